/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of a network namespace, read from outside of it. Private to checkpoint/. */
#pragma once

#include <stddef.h>
#include "checkpoint/kind/kind.h"

/* features: of a new namespace only, those of its links as they begin. */
struct net_settings { struct net_setting *at; size_t n, cap; struct { uint32_t lo[NL_FEATURES], veth[NL_FEATURES], channels[3]; } features; };

/* All that can be read and written of the namespace behind `netns`, or of a new one for -1; sorted by name. */
int net_settings_read(int netns, struct net_settings *ret, struct err *err);
/* Marks links of the namespace whose offloads differ from those of a new one. */
int net_links_compare(int netns, struct nl_link *at, size_t n, const struct net_settings *fresh, struct err *err);
void net_settings_done(struct net_settings *s);
/* The value of a setting, NULL: there is none of that name. */
const char *net_settings_get(const struct net_settings *s, const char *name);
/* Marks what differs from a new namespace, where a link other than lo begins with what `default` has there. */
void net_settings_compare(struct net_settings *s, const struct net_settings *fresh);
