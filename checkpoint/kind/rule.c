/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The search in text rules, by which a class of objects finds its kind (classify.h). Tables are short and read from the top: the first
 * row that fits wins.
 */
#include <string.h>

#include "base/str.h"
#include "checkpoint/kind/classify.h"

uint16_t rule_prefix(const struct text_rule *rules, size_t n, const char *s)
{
        for (size_t i = 0; i < n; i++)
                if (str_starts(s, rules[i].text))
                        return rules[i].number;
        return 0;
}

uint16_t rule_equal(const struct text_rule *rules, size_t n, const char *s)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(s, rules[i].text) == 0)
                        return rules[i].number;
        return 0;
}
