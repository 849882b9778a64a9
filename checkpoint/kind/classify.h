/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The closed world as one function: from facts to the number of the one kind that answers for them. Kinds claim through
 * kind_is(), so that two kinds cannot claim one thing and nothing can be claimed by none: what no rule knows belongs to
 * the class's *-other kind. tests/unit/kind-claims.c holds the claims of all kinds to it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct facts;
struct kind;

/* Pure. The number of the kind of an object of class FILE, VMA, MOUNT, LINK, NS or CGROUP; 0 for the other classes. */
uint16_t kind_classify(const struct facts *f);
int kind_is(const struct facts *f, uint16_t number);   /* facts.number, where it is set */

/* Pure. 1: these facts of a TASK, THREAD, NETNS or FILE show the property of that (refused) kind. */
int kind_has_property(const struct facts *f, uint16_t number);

/* The refusal of a whole kind, with the text of its row in refused-text.c, or a general one. */
int kind_refuse_text(const struct kind *k, const struct facts *f, struct err *err);

/* One for each class; only kind_classify() calls them. */
uint16_t classify_file(const struct facts *f);
uint16_t classify_socket(const struct facts *f);
uint16_t classify_vma(const struct facts *f);
uint16_t classify_mount(const struct facts *f);
uint16_t classify_link(const struct facts *f);
uint16_t classify_ns(const struct facts *f);

/* The row of a text table: what starts with (or equals) `text` belongs to kind `number`. */
struct text_rule { const char *text; uint16_t number; };
uint16_t rule_prefix(const struct text_rule *rules, size_t n, const char *s);
uint16_t rule_equal(const struct text_rule *rules, size_t n, const char *s);
