/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Splitting init's command line (engine/command.h). No shell and no escapes: what stands in quotes is taken as it is,
 * and "" is an empty word. The words lie behind the pointers in the same block, so that one free() ends them.
 */
#include "engine/command.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool blank(char c)
{
        return c == ' ' || c == '\t';
}

/* Copies the word at *p to `to`, quotes removed; the end of the copy. */
static char *copy_word(const char **p, char *to)
{
        bool quoted = false;
        const char *s = *p;

        for (; *s && (quoted || !blank(*s)); s++) {
                if (*s == '"')
                        quoted = !quoted;
                else
                        *to++ = *s;
        }
        *to++ = '\0';
        *p = s;
        return to;
}

int command_split(const char *text, char ***ret, struct err *err)
{
        static const char what[] = "cannot use the command line";
        size_t len = strlen(text), quotes = 0, words = len / 2 + 2, n = 0;

        for (const char *p = text; *p; p++)
                quotes += *p == '"';
        if (quotes % 2)
                return err_set(err, EX_CONFIG, what, "a quote is not closed", "%s", text);
        char **argv = calloc(1, words * sizeof(*argv) + len + 2);
        if (!argv)
                return err_set(err, EX_NOSPC, what, "out of memory", "%s", text);
        char *to = (char *)(argv + words);
        for (const char *p = text; *p;) {
                if (blank(*p)) {
                        p++;
                        continue;
                }
                argv[n++] = to;
                to = copy_word(&p, to);
        }
        if (!n || argv[0][0] != '/') {
                free(argv);
                return err_set(err, EX_CONFIG, what, "the first word must be an absolute path", "%s", text);
        }
        *ret = argv;
        return 0;
}
