/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * File systems that a container mounts itself, by fsopen in init's stub (5.2+): the options that mountinfo shows are kept by a
 * list per type; what is in no list is refused by name. The planner attaches what a kind makes and sets flags.
 */
#pragma once

#include "checkpoint/kind/kind.h"

enum mnt_value { MNT_NUMBER, MNT_TEXT, MNT_UID, MNT_GID, MNT_FLAG, MNT_DERIVED /* nothing to restore */ };
struct mnt_option { const char *key; enum mnt_value value; };

/* Of the super block of m, as "key=value" with ids as inside; *ret is an array of n strings, caller frees each and it. */
int mnt_options_take(const struct kind *k, const struct obj *o, struct dump *d, const struct mnt_option *known, char ***ret,
                     size_t *ret_n, struct err *err);
/* Pure: would mnt_options_take refuse? */
int mnt_options_refuse(const struct kind *k, const struct facts *f, const struct mnt_option *known, struct err *err);
/* Each is a known key and a fitting value. */
int mnt_options_check(const struct kind *k, const struct record *r, const struct mnt_option *known, char **option, size_t n,
                      struct err *err);
/* fsopen(type), the options, fsmount; the detached mount is kept as object r->id. Returns the fsmount entry. */
uint32_t mnt_make(struct restore *rs, const struct record *r, const char *type, char **option, size_t n);
/* "ro" among the options: the super block becomes read-only, once all is in it. */
void mnt_seal(struct restore *rs, const struct record *r, uint32_t mount, char **option, size_t n);
