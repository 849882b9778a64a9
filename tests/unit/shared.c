/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which pages count as shared by relatives, from entries of pagemap. */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "checkpoint/pages-int.h"

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define FILE_PAGE (UINT64_C(1) << 61)
#define EXCLUSIVE (UINT64_C(1) << 56)

static uint64_t extra(const uint64_t *e, size_t n)
{
        struct shared s = {.zero = 1};

        cr_assert_eq(shared_add(&s, e, n), 0);
        uint64_t x = shared_extra(&s);
        shared_done(&s);
        return x;
}

Test(shared, counted)
{
        const uint64_t three[] = {PRESENT | 9, PRESENT | 7, PRESENT | 9, PRESENT | 9, PRESENT | 7};
        const uint64_t swap[] = {SWAPPED | 9, PRESENT | 9, SWAPPED | 9};

        cr_assert_eq(extra(NULL, 0), 0);
        cr_assert_eq(extra(three, ELEMENTSOF(three)), 3, "one frame three times, one twice");
        cr_assert_eq(extra(swap, ELEMENTSOF(swap)), 1, "a slot is no frame");
}

Test(shared, not_counted)
{
        const uint64_t alone[] = {PRESENT | EXCLUSIVE | 9, PRESENT | EXCLUSIVE | 9};
        const uint64_t zeroes[] = {PRESENT | 1, PRESENT | 1}, none[] = {0, 0, 9, 9}, hidden[] = {PRESENT, PRESENT};
        const uint64_t file[] = {PRESENT | FILE_PAGE | 9, PRESENT | FILE_PAGE | 9};

        cr_assert_eq(extra(alone, ELEMENTSOF(alone)), 0);
        cr_assert_eq(extra(zeroes, ELEMENTSOF(zeroes)), 0, "the page of zeroes");
        cr_assert_eq(extra(none, ELEMENTSOF(none)), 0, "not there");
        cr_assert_eq(extra(hidden, ELEMENTSOF(hidden)), 0, "the kernel does not tell");
        cr_assert_eq(extra(file, ELEMENTSOF(file)), 0);
}

Test(shared, soft_dirty_does_not_matter)
{
        const uint64_t e[] = {PRESENT | UINT64_C(1) << 55 | 9, PRESENT | 9};

        cr_assert_eq(extra(e, ELEMENTSOF(e)), 1);
}
