/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/idmap.c: the arithmetic and its borders. Namespaces: tests/system/base-mount.c.
 */
#include <criterion/criterion.h>

#include "base/idmap.h"

Test(idmap, both_ways)
{
        struct idmap m = {.base = 100000, .count = 65536};
        uint32_t v = 1;

        cr_assert(idmap_outside(&m, 0, &v));
        cr_assert_eq(v, 100000);
        cr_assert(idmap_outside(&m, 65535, &v));
        cr_assert_eq(v, 165535);
        v = 1;
        cr_assert_not(idmap_outside(&m, 65536, &v));
        cr_assert(idmap_inside(&m, 165535, &v));
        cr_assert_eq(v, 65535);
        v = 1;
        cr_assert_not(idmap_inside(&m, 165536, &v));
        cr_assert_not(idmap_inside(&m, 99999, &v));
        cr_assert_not(idmap_inside(&m, 0, &v), "the host's root is nobody inside");
        cr_assert_eq(v, 1);
}

Test(idmap, without_a_map)
{
        uint32_t v;

        cr_assert(idmap_inside(NULL, 7, &v));
        cr_assert_eq(v, 7);
        cr_assert(idmap_outside(NULL, UINT32_MAX, &v));
        cr_assert_eq(v, UINT32_MAX);
}

Test(idmap, at_the_end_of_the_numbers)
{
        struct idmap m = {.base = UINT32_MAX - 1, .count = 10};
        uint32_t v;

        cr_assert(idmap_outside(&m, 1, &v));
        cr_assert_eq(v, UINT32_MAX);
        cr_assert_not(idmap_outside(&m, 2, &v), "it does not wrap to 0");
        cr_assert_not(idmap_inside(&m, 0, &v));
}
