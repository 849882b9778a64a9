/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all programs of Gantry share: one way to read options, to report an error and to end.
 *
 * A program is a table of verbs; a verb is a table of options and a function. --help of program and verb is printed from the
 * same tables. An error is two lines on standard error:
 *
 *      ctrctl: cannot mount the image: web1: No space left on device
 *              free some space on the host's file system
 *
 * With --json it is an object on standard output instead: {"ok":false,"error":{…}}.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#define OPTIONS_MAX 16

struct option_def {
        const char *name;      /* "size", without dashes */
        const char *value;     /* what to call its value in --help; NULL: a flag */
        const char *help;
};

struct verb;
/* What a command line said. */
struct args {
        const struct verb *verb;
        const char *value[OPTIONS_MAX];   /* by the index of the verb's option; a flag that is set has "" */
        char *const *operand;
        size_t n_operands;
};

struct verb {
        const char *name;      /* "create", or "template create" */
        const char *operands;  /* "NAME [CT…]" */
        const char *help;      /* one line */
        const char *more;      /* further lines for its --help; may be NULL */
        struct option_def options[OPTIONS_MAX];
        size_t min, max;       /* operands; max 0: none, SIZE_MAX: any number */
        bool command;          /* options end at the second operand, where a command line begins (after a "--") */
        int (*run)(const struct args *a, struct err *err);  /* <0, or an exit status */
};

struct program {
        const char *name, *summary;
        const struct verb *const *verbs;
        size_t n;
};

/* The option's value, NULL if it was not given. The name must be one of the verb's. */
const char *arg(const struct args *a, const char *name);
bool arg_flag(const struct args *a, const char *name);

/* Parses, runs, reports; what main() returns. */
int program_main(const struct program *p, int argc, char **argv);
/* "PROGRAM: what: on: why", and the remedy on a line of its own. */
void report(const char *program, const struct err *err);
/* {"code":4,"name":"UNKNOWN","what":…,"on":…,"why":…,"remedy":…} */
void error_json(struct strbuf *to, const struct err *err);
int usage_error(struct err *err, const char *why, const char *on);
/* GANTRY_LOG=topics in the environment: debug lines on standard error. */
const struct log *program_log(struct log *buf);
/* One line of progress, only if standard error is a terminal; NULL ends it. */
void progress(const char *text);
