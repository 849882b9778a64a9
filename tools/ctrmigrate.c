/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrmigrate: moves a running container to another node.
 *
 * Options, progress, the report and the exit code; what happens is migrate/. `--serve` is the other side, which ssh starts:
 * it speaks the protocol on its standard input and output and prints nothing. SIGINT and SIGTERM before the hand-over undo
 * the migration; after it they end the waiting for an answer, and the container stays frozen until --resolve has asked.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "migrate/migrate.h"
#include "tools/common.h"

struct options {
        bool check, json, keep, remove, resolve, serve;
        const char *timeout, *debug;
};

static const struct option long_options[] = {
        {"check", no_argument, NULL, 'c'},         {"dry-run", no_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},          {"timeout", required_argument, NULL, 't'},
        {"keep-source", no_argument, NULL, 'k'},   {"remove-source", no_argument, NULL, 'x'},
        {"resolve", no_argument, NULL, 'R'},       {"serve", no_argument, NULL, 'S'},
        {"debug", required_argument, NULL, 'd'},   {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {0},
};

static const char help[] =
        "Usage: ctrmigrate CT HOST [options]\n"
        "       ctrmigrate --resolve CT [HOST] [options]\n"
        "\n"
        "Moves the running container CT to the node HOST ([user@]host or ssh://[user@]host[:port]), which must let this\n"
        "node's root log in by key and have ctrmigrate installed. Programs, connections and addresses move with it.\n"
        "\n"
        "  --check            only the checks: every reason why it would fail, nothing is changed (also --dry-run)\n"
        "  --timeout S        give up after S seconds before the hand-over; it then runs here as before\n"
        "  --keep-source      keep the copy here, stopped, as CT-moved-XXXXXXXX (default)\n"
        "  --remove-source    remove it\n"
        "  --resolve          end a doubt that a cut migration has left: asks the other node who owns CT\n"
        "  --json             one JSON object instead of text\n"
        "  --debug TOPICS     log these topics (wire,migrate,dump,... or all) to standard error\n"
        "  --serve            the other side, started by ssh\n"
        "  --help, --version\n"
        "\n"
        "Exit codes are those of docs/EXIT-CODES.md: 14 not reachable, 15 host key, 18 in doubt, 19 checks failed.\n";

/* A signal makes the descriptor readable and does nothing else: what runs looks at it where it can stop in order. */
static int catch_signals(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -1;
        return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static double ms(uint64_t ns)
{
        return (double)ns / 1e6;
}

static void findings_json(struct strbuf *b, const struct findings *f)
{
        strbuf_adds(b, ",\"findings\":[");
        for (size_t i = 0; i < f->n; i++) {
                strbuf_adds(b, i ? "," : "");
                error_json(b, &f->at[i]);
        }
        strbuf_adds(b, "]");
}

static void phases_json(struct strbuf *b, const char *name, const struct migrate_phases *p)
{
        strbuf_addf(b, ",\"%s\":{", name);
        for (size_t i = 0; i < p->n; i++) {
                strbuf_adds(b, i ? "," : "");
                strbuf_json(b, p->at[i].name);
                strbuf_addf(b, ":%.3f", ms(p->at[i].ns));
        }
        strbuf_adds(b, "}");
}

static void report_json(const struct migrate_report *r, const struct err *e, bool check)
{
        struct strbuf b = {0};

        strbuf_adds(&b, "{\"container\":");
        strbuf_json(&b, r->name);
        strbuf_adds(&b, ",\"host\":");
        strbuf_json(&b, r->host);
        strbuf_addf(&b, ",\"ok\":%s,\"moved\":%s", e->code ? "false" : "true", r->moved ? "true" : "false");
        if (e->code) {
                strbuf_adds(&b, ",\"error\":");
                error_json(&b, e);
        }
        findings_json(&b, &r->findings);
        if (!check) {
                strbuf_adds(&b, ",\"token\":");
                strbuf_json(&b, r->token);
                strbuf_adds(&b, ",\"left_as\":");
                strbuf_json(&b, r->left_as);
                strbuf_addf(&b, ",\"frozen_ms\":%.3f,\"total_ms\":%.3f,\"bytes_sent\":%" PRIu64, ms(r->frozen_ns),
                            ms(r->total_ns), r->sent);
                strbuf_addf(&b, ",\"disk\":{\"rounds\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"resent\":%" PRIu64
                            ",\"tracked\":%s}", r->disk.rounds, r->disk.bytes, r->disk.resent,
                            r->disk.tracked ? "true" : "false");
                strbuf_addf(&b, ",\"memory\":{\"tasks\":%" PRIu64 ",\"pages\":%" PRIu64 ",\"zero_pages\":%" PRIu64
                            ",\"unshared_pages\":%" PRIu64 ",\"dropped_syn_recv\":%" PRIu64 ",\"dropped_time_wait\":%" PRIu64 "}",
                            r->session.tasks, r->session.pages, r->session.zero_pages, r->session.unshared_pages,
                            r->session.dropped_syn_recv, r->session.dropped_time_wait);
                phases_json(&b, "phases_ms", &r->here);
                phases_json(&b, "target_phases_ms", &r->there);
        }
        strbuf_adds(&b, "}\n");
        char *text = strbuf_take(&b);
        fputs(text ? text : "{}\n", stdout);
        free(text);
}

static void phases_text(const char *where, const struct migrate_phases *p)
{
        for (size_t i = 0; i < p->n; i++)
                printf("  %-8s %-16s %10.1f ms\n", i ? "" : where, p->at[i].name, ms(p->at[i].ns));
}

static void report_text(const struct migrate_report *r)
{
        phases_text("here", &r->here);
        phases_text("there", &r->there);
        printf("disk: %.1f MiB in %" PRIu64 " rounds, %.1f MiB of it again, %s\n", (double)r->disk.bytes / 1048576,
               r->disk.rounds, (double)r->disk.resent / 1048576,
               r->disk.tracked ? "changed blocks tracked" : "compared by hash");
        if (r->note.code)
                printf("note: %s: %s\n", r->note.what, r->note.why);
        printf("memory: %" PRIu64 " tasks, %" PRIu64 " pages, %" PRIu64 " zero pages not sent", r->session.tasks,
               r->session.pages, r->session.zero_pages);
        if (r->session.unshared_pages)
                printf(", %.1f MiB came back unshared", (double)r->session.unshared_pages / 256);
        printf("\nconnections dropped: %" PRIu64 " half open, %" PRIu64 " in TIME_WAIT\n", r->session.dropped_syn_recv,
               r->session.dropped_time_wait);
        printf("sent: %.1f MiB in %.1f s\n", (double)r->sent / 1048576, (double)r->total_ns / 1e9);
        printf("frozen: %.1f ms\n", ms(r->frozen_ns));
        printf("%s is on %s now; ", r->name, r->host);
        if (r->left_as[0])
                printf("the copy here is %s (ctrctl destroy %s removes it)\n", r->left_as, r->left_as);
        else
                printf("the copy here was removed\n");
}

static void print_error(const struct err *e)
{
        char text[1024];

        fprintf(stderr, "ctrmigrate: %s\n", err_format(e, text, sizeof(text)));
}

struct progress { const char *last; bool tty; };

static void show_progress(void *ctx, const char *phase, uint64_t bytes)
{
        struct progress *p = ctx;

        if (p->tty)
                fprintf(stderr, "\r\033[K%s%s", phase, bytes ? "" : " ...");
        else if (!p->last || strcmp(p->last, phase) != 0)
                fprintf(stderr, "%s\n", phase);
        if (p->tty && bytes)
                fprintf(stderr, " (last round %.1f MiB) ...", (double)bytes / 1048576);
        p->last = phase;
}

static int usage(const char *why)
{
        fprintf(stderr, "ctrmigrate: %s (see ctrmigrate --help)\n", why);
        return EX_USAGE;
}

static int run_resolve(struct node *n, const char *name, const struct migrate_options *mo, bool json, struct err *err)
{
        enum resolved what;
        int r = migrate_resolve(n, name, mo, &what, err);

        if (json) {
                struct strbuf b = {0};
                strbuf_adds(&b, "{\"container\":");
                strbuf_json(&b, name);
                strbuf_addf(&b, ",\"ok\":%s", r < 0 ? "false" : "true");
                if (r < 0) {
                        strbuf_adds(&b, ",\"error\":");
                        error_json(&b, err);
                } else {
                        strbuf_adds(&b, ",\"result\":");
                        strbuf_json(&b, resolved_text(what));
                }
                strbuf_adds(&b, "}\n");
                char *text = strbuf_take(&b);
                fputs(text ? text : "{}\n", stdout);
                free(text);
        } else if (r == 0) {
                printf("%s: %s\n", name, resolved_text(what));
        }
        return r;
}

static int run_migrate(struct node *n, const char *name, const struct migrate_options *mo, bool json, struct err *err)
{
        struct migrate_report rep;
        int r = migrate_run(n, name, mo, &rep, err);

        if (r == 0)                              /* what was tried on the way and went another way is no error */
                *err = (struct err){0};
        if (mo->progress_ctx && ((struct progress *)mo->progress_ctx)->tty)
                fprintf(stderr, "\r\033[K");
        if (json) {
                report_json(&rep, err, mo->check_only);
        } else {
                for (size_t i = 0; i < rep.findings.n; i++)
                        print_error(&rep.findings.at[i]);
                if (r == 0 && mo->check_only)
                        printf("%s can move to %s\n", name, mo->host);
                else if (r == 0)
                        report_text(&rep);
        }
        migrate_report_done(&rep);
        return r;
}

/* What can be wrong before there is a report. */
static int prepare(const struct options *o, const char *host, struct log *log, struct node **ret, unsigned *ret_timeout, struct err *err)
{
        uint64_t seconds = 0;
        int r = 0;

        if (o->debug && log_topics_parse(o->debug, &log->topics, err) < 0)
                return err_wrap(err, "cannot use the option", "--debug %s", o->debug);
        if (o->timeout && parse_u64(o->timeout, 1, 86400, &seconds, err) < 0)
                return err_wrap(err, "cannot use the option", "--timeout %s", o->timeout);
        *ret_timeout = (unsigned)seconds;
        if (host)
                r = ssh_host_check(host, err);
        return r == 0 ? node_open(log, ret, err) : r;
}

static int run(const struct options *o, char *const operand[], struct err *err)
{
        struct log log = {.fd = STDERR_FILENO};
        struct progress p = {.tty = isatty(STDERR_FILENO) == 1};
        struct migrate_options mo = {.host = operand[1], .check_only = o->check, .remove_source = o->remove,
                                     .stop_fd = catch_signals()};
        struct node *n = NULL;
        int r = prepare(o, mo.host, &log, &n, &mo.timeout_s, err);

        if (r < 0) {
                struct migrate_report none = {};
                (void)str_copy(none.name, sizeof(none.name), operand[0]); /* a wrong one may be cut */
                (void)str_copy(none.host, sizeof(none.host), mo.host ? mo.host : "");
                if (o->json)
                        report_json(&none, err, true);
                return r;
        }
        if (!o->json) {
                mo.progress = show_progress;
                mo.progress_ctx = &p;
        }
        r = o->resolve ? run_resolve(n, operand[0], &mo, o->json, err) : run_migrate(n, operand[0], &mo, o->json, err);
        node_free(n);
        return r;
}

static int serve(void)
{
        struct err err = {0};

        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);
        if (migrate_serve(NULL, STDIN_FILENO, STDOUT_FILENO, &err) < 0) {
                print_error(&err);
                return err.code;
        }
        return EX_OK;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct options *o)
{
        int c;

        while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
                switch (c) {
                case 'c': o->check = true; break;
                case 'j': o->json = true; break;
                case 't': o->timeout = optarg; break;
                case 'k': o->keep = true; break;
                case 'x': o->remove = true; break;
                case 'R': o->resolve = true; break;
                case 'S': o->serve = true; break;
                case 'd': o->debug = optarg; break;
                case 'h': fputs(help, stdout); return EX_OK;
                case 'V': puts("ctrmigrate (Gantry) " GANTRY_VERSION); return EX_OK;
                default: return EX_USAGE;
                }
        }
        return -1;
}

int main(int argc, char **argv)
{
        struct options o = {0};
        struct err err = {0};
        char *operand[2] = {NULL, NULL};

        int code = parse(argc, argv, &o);
        if (code >= 0)
                return code;
        int n = argc - optind;
        if (o.serve)
                return n ? usage("--serve takes no operands") : serve();
        if (o.keep && o.remove)
                return usage("--keep-source and --remove-source exclude each other");
        if (n > 2 || n < (o.resolve ? 1 : 2))
                return usage(o.resolve ? "name the container to resolve" : "name a container and a host");
        (void)signal(SIGPIPE, SIG_IGN);
        for (int i = 0; i < n; i++)
                operand[i] = argv[optind + i];
        int r = run(&o, operand, &err);
        if (r < 0 && !o.json)
                print_error(&err);
        return r < 0 ? err.code : EX_OK;
}
