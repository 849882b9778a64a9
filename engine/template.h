/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Templates: images that containers are copied from, LIB_DIR/template/NAME.img. */
#pragma once

#include "engine/ct.h"

struct template_options {
        const char *name;       /* "debian-12": says what is installed */
        const char *packages;   /* with commas; NULL: none beside the minimal set */
        const char *mirror;     /* NULL: the node's own sources for that release */
        uint64_t size;          /* 0: 1 GiB */
};
/* Made beside the old one and put in its place by one rename: containers can be copied meanwhile. EX_UNKNOWN: no such
 * distribution; EX_NOSPC; EX_FAIL with the last line of what the installer said. */
int template_create(struct node *n, const struct template_options *o, struct err *err);
