/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A growing list of ranges; neighbours that touch become one. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "ploop/ploop.h"

struct range_list {
        struct range *at;
        size_t n, cap;
};

/* Offsets must not go backwards. -EX_NOSPC when there is no memory. */
int range_add(struct range_list *l, uint64_t offset, uint64_t length, struct err *err);
void range_done(struct range_list *l);
#define _cleanup_ranges_ __attribute__((cleanup(range_done)))
