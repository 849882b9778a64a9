/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/str.c: growing buffers, JSON text, bounded copies.
 */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "base/str.h"

Test(str, buffer_grows)
{
        struct strbuf b = {};

        for (int i = 0; i < 10000; i++)
                strbuf_addf(&b, "%04d", i % 10000);
        cr_assert_eq(b.len, 40000);
        _cleanup_free_ char *s = strbuf_take(&b);
        cr_assert_eq(strlen(s), 40000);
        cr_assert_arr_eq(s + 39996, "9999", 4);
        cr_assert_null(b.s, "taking empties it");
}

Test(str, empty_buffer_is_an_empty_string)
{
        struct strbuf b = {};
        _cleanup_free_ char *s = strbuf_take(&b);

        cr_assert_str_eq(s, "");
}

Test(str, json)
{
        struct strbuf b = {};

        strbuf_json(&b, "a\"b\\c\n\x01\x7f");
        _cleanup_free_ char *s = strbuf_take(&b);
        cr_assert_str_eq(s, "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\"");
}

Test(str, copy)
{
        char buf[4] = "zzz";

        cr_assert(str_copy(buf, sizeof(buf), "abc"));
        cr_assert_str_eq(buf, "abc");
        cr_assert_not(str_copy(buf, sizeof(buf), "defg"));
        cr_assert_str_eq(buf, "def");
}

Test(str, compare)
{
        cr_assert(str_eq("a", "a"));
        cr_assert_not(str_eq("a", NULL));
        cr_assert_not(str_eq(NULL, NULL));
        cr_assert(str_starts("memory.max", "memory."));
        cr_assert_not(str_starts("mem", "memory"));
}
