/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a program (tools/common.h): options by table, one form of error, one exit code.
 *
 * The parser is ours because getopt keeps its state in globals, abbreviates options behind a script's back and knows no
 * verbs of two words. Options and operands may be mixed; "--" ends the options. A verb that runs a command stops reading
 * options at that command, so that its options stay its own. Only this floor prints.
 */
#include "tools/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

void report(const char *program, const struct err *err)
{
        fprintf(stderr, "%s: %s%s%s: %s\n", program, err->what, err->on[0] ? ": " : "", err->on, err->why);
        if (err_advice(err)[0])
                fprintf(stderr, "        %s\n", err_advice(err));
}

void error_json(struct strbuf *to, const struct err *err)
{
        const char *name = exit_code_name(err->code);
        const struct { const char *key, *value; } text[] = {
                {"name", name ? name : "FAIL"}, {"what", err->what}, {"on", err->on}, {"why", err->why}, {"remedy", err_advice(err)},
        };

        strbuf_addf(to, "{\"code\":%d", err->code);
        for (size_t i = 0; i < ELEMENTSOF(text); i++) {
                strbuf_addf(to, ",\"%s\":", text[i].key);
                strbuf_json(to, text[i].value);
        }
        strbuf_adds(to, "}");
}

static void report_json(const struct err *err)
{
        _cleanup_strbuf_ struct strbuf b = {};

        strbuf_adds(&b, "{\"ok\":false,\"error\":");
        error_json(&b, err);
        _cleanup_free_ char *text = strbuf_take(&b);
        printf("%s}\n", text ? text : "{\"ok\":false");
}

int usage_error(struct err *err, const char *why, const char *on)
{
        return err_set(err, EX_USAGE, "wrong command line", why, "%s", on);
}

const struct log *program_log(struct log *buf)
{
        const char *topics = getenv("GANTRY_LOG");

        if (!topics || log_topics_parse(topics, &buf->topics, NULL) < 0)
                return NULL;
        buf->fd = STDERR_FILENO;
        return buf;
}

void progress(const char *text)
{
        if (!isatty(STDERR_FILENO))
                return;
        fprintf(stderr, "\r\033[K%s", text ? text : "");
        fflush(stderr);
}

static int option_index(const struct verb *v, const char *name, size_t len)
{
        for (int i = 0; i < OPTIONS_MAX && v->options[i].name; i++)
                if (strlen(v->options[i].name) == len && strncmp(v->options[i].name, name, len) == 0)
                        return i;
        return -1;
}

const char *arg(const struct args *a, const char *name)
{
        int i = option_index(a->verb, name, strlen(name));

        return i < 0 ? NULL : a->value[i];
}

bool arg_flag(const struct args *a, const char *name)
{
        return arg(a, name) != NULL;
}

/* ---- help ---- */

static void program_help(const struct program *p)
{
        printf("%s: %s\n\n", p->name, p->summary);
        for (size_t i = 0; i < p->n; i++)
                printf("  %s %s%s%s\n        %s\n", p->name, p->verbs[i]->name, p->verbs[i]->operands[0] ? " " : "",
                       p->verbs[i]->operands, p->verbs[i]->help);
        printf("\n  %s VERB --help    its options\n  %s --version\n", p->name, p->name);
}

static void verb_help(const struct program *p, const struct verb *v)
{
        char left[64];

        printf("%s %s%s%s\n        %s\n", p->name, v->name, v->operands[0] ? " " : "", v->operands, v->help);
        if (v->options[0].name)
                printf("\n");
        for (int i = 0; i < OPTIONS_MAX && v->options[i].name; i++) {
                const struct option_def *o = &v->options[i];
                snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
                printf("  %-24s  %s\n", left, o->help);
        }
        if (v->more)
                printf("\n%s", v->more);
}

/* ---- parsing ---- */

/* The verb, and how many words its name took. */
static const struct verb *find_verb(const struct program *p, int argc, char **argv, int *ret_words)
{
        const struct verb *found = NULL;

        for (size_t i = 0; i < p->n; i++) {
                const char *name = p->verbs[i]->name, *space = strchr(name, ' ');
                size_t first = space ? (size_t)(space - name) : strlen(name);
                if (strlen(argv[1]) != first || strncmp(argv[1], name, first) != 0)
                        continue;
                if (space && (argc < 3 || !str_eq(argv[2], space + 1)))
                        continue;
                found = p->verbs[i];
                *ret_words = space ? 2 : 1;
        }
        return found;
}

static int one_option(const struct verb *v, int argc, char **argv, int *i, struct args *a, struct err *err)
{
        const char *name = argv[*i] + 2, *eq = strchr(name, '=');
        int k = option_index(v, name, eq ? (size_t)(eq - name) : strlen(name));

        if (k < 0)
                return usage_error(err, "unknown option", argv[*i]);
        if (a->value[k])
                return usage_error(err, "the option is given twice", argv[*i]);
        if (!v->options[k].value) {
                if (eq)
                        return usage_error(err, "the option takes no value", argv[*i]);
                a->value[k] = "";
                return 0;
        }
        if (!eq && *i + 1 >= argc)
                return usage_error(err, "the option's value is missing", argv[*i]);
        a->value[k] = eq ? eq + 1 : argv[++*i];
        return 0;
}

/* 1: --help. Operands are moved together at the front of argv. */
static int parse(const struct verb *v, int argc, char **argv, struct args *a, struct err *err)
{
        bool only_operands = false;

        a->verb = v;
        a->operand = argv;
        for (int i = 0; i < argc; i++) {
                if (!only_operands && str_eq(argv[i], "--")) {
                        only_operands = true;
                        continue;
                }
                if (only_operands || argv[i][0] != '-' || !argv[i][1]) {
                        argv[a->n_operands++] = argv[i];
                        if (v->command && a->n_operands == 2)
                                only_operands = true;
                        continue;
                }
                if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
                        return 1;
                if (argv[i][1] != '-')
                        return usage_error(err, "unknown option", argv[i]);
                int r = one_option(v, argc, argv, &i, a, err);
                if (r < 0)
                        return r;
        }
        if (a->n_operands < v->min || a->n_operands > v->max) {
                usage_error(err, a->n_operands < v->min ? "an operand is missing" : "too many operands", v->name);
                return err_remedy(err, "it is: %s %s", v->name, v->operands);
        }
        return 0;
}

static int run(const struct program *p, int argc, char **argv, struct args *a, struct err *err)
{
        int words = 0;

        if (argc < 2) {
                usage_error(err, "no command is given", p->name);
                return err_remedy(err, "see %s --help", p->name);
        }
        if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
                program_help(p);
                return 0;
        }
        if (str_eq(argv[1], "--version")) {
                printf("%s (Gantry) %s\n", p->name, GANTRY_VERSION);
                return 0;
        }
        const struct verb *v = find_verb(p, argc, argv, &words);
        if (!v) {
                usage_error(err, "unknown command", argv[1]);
                return err_remedy(err, "see %s --help", p->name);
        }
        int r = parse(v, argc - 1 - words, argv + 1 + words, a, err);
        if (r == 1) {
                verb_help(p, v);
                return 0;
        }
        if (r < 0)
                return err_remedy(err, "see %s %s --help", p->name, v->name);
        /* What was moved to the front must end where the operands do: a command line is handed on as it stands. */
        argv[1 + words + (int)a->n_operands] = NULL;
        return v->run(a, err);
}

int program_main(const struct program *p, int argc, char **argv)
{
        struct err err = {};
        struct args a = {};
        int r = run(p, argc, argv, &a, &err);

        if (r < 0) {
                progress(NULL);
                if (a.verb && arg_flag(&a, "json"))
                        report_json(&err);
                else
                        report(p->name, &err);
                (void)fflush(stdout); /* it has failed already */
                return err.code ? err.code : EX_FAIL;
        }
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "%s: cannot write to standard output\n", p->name);
                return EX_FAIL;
        }
        return r;
}
