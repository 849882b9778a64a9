/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the driver does with images by itself: a copy without one kind's records, and the law that the second dump
 * equals the first.
 *
 * Two images are compared as the text of the generic printer, record by record. Normalised is what must differ:
 * where page bytes stand in the file.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "checkpoint/image.h"
#include "tests/kind/driver.h"

struct filter { struct record_sink out; uint16_t number; unsigned dropped; };

static int filter_put(struct filter *f, struct record *rec, struct err *err)
{
        if (rec->kind == f->number) {
                f->dropped++;
                return 0;
        }
        return f->out.put(f->out.c, rec, err);
}

static int copy_records(struct image *img, struct filter *f, struct err *err)
{
        struct record_source src = image_records(img);
        struct record rec = {0};
        int n;

        while ((n = src.next(src.c, &rec, err)) == 1) {
                n = filter_put(f, &rec, err);
                record_done(&rec);
                if (n < 0)
                        return n;
        }
        return n;
}

static int copy_pages(struct image *img, struct image_writer *w, struct err *err)
{
        size_t cap = RUN_MAX_PAGES * (size_t)PAGE_BYTES;
        void *ctx = NULL, *buf = malloc(cap);
        struct run run;
        int n = buf ? image_pages_new(img, &ctx, err) : -1;

        while (n >= 0 && (n = image_page_source.next(ctx, &run, buf, cap, err)) == 1)
                n = image_page_sink.put(w, &run, buf, err);
        if (ctx)
                image_page_source.done(ctx);
        free(buf);
        return n;
}

int image_without(struct trial *r, const char *from, const char *to, uint16_t number, unsigned *ret_dropped)
{
        struct image *img = NULL;
        struct image_writer *w = NULL;
        struct err err = {0};
        int dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int n = image_open(dir, from, session_record_types(), &img, &err);

        if (n >= 0)
                n = image_writer_open(dir, to, session_record_types(), &w, &err);
        struct filter f = {.number = number};
        if (n >= 0) {
                f.out = image_writer_records(w);
                n = copy_records(img, &f, &err);
        }
        if (n >= 0)
                n = copy_pages(img, w, &err);
        if (n >= 0)
                n = image_writer_close(w, &err);
        else
                image_writer_abort(w);
        image_close(img);
        close(dir);
        *ret_dropped = f.dropped;
        return n < 0 ? failed_err(r, "a copy of the image without a kind", &err) : 0;
}

static int gather(void *c, const void *p, size_t n, struct err *err)
{
        (void)err;
        strbuf_add(c, p, n);
        return 0;
}

/* "offset":4096 → "offset":_ . */
static void blank(char *text, const char *key)
{
        for (char *p = text; (p = strstr(p, key)); ) {
                p += strlen(key);
                size_t n = strcspn(p, ",}]");
                if (!n)
                        continue;
                *p = '_'; /* however many digits it has */
                memmove(p + 1, p + n, strlen(p + n) + 1);
        }
}

/* A call that goes on after a stop shows -EINTR where the stop interrupted it, and -ERESTARTNOHAND where a restore has put that
 * in its place and the task has not run since: both say that it starts again. */
static void same_restart(char *text)
{
        static const char eintr[] = "18446744073709551612", restart[] = "18446744073709551102";

        for (char *p = text; (p = strstr(p, eintr)); p += sizeof(restart) - 1)
                memcpy(p, restart, sizeof(restart) - 1);
}

/* Removes every `what`. */
static void strike(char *text, const char *what)
{
        size_t n = strlen(what);

        for (char *p = text; (p = strstr(p, what)); )
                memmove(p, p + n, strlen(p + n) + 1);
}

/* The k-th number of a list. */
static char *number_at(char *list, unsigned k)
{
        char *p = list;

        while (k && *p && *p != ']')
                k -= *p++ == ',';
        return p;
}

static void blank_number(char *p)
{
        size_t n = strcspn(p, ",]");

        *p = '_';
        memmove(p + 1, p + n, strlen(p + n) + 1);
}

/* A victim waits in short sleeps, so a dump meets it within one, in the restart of one, or at the end of one: rax and
 * orig_rax (11th and 16th in user_regs_struct) say which, and nothing else differs. */
static void same_sleep(char *text)
{
        static const char key[] = "\"reg\":[";
        enum { RAX = 10, ORIG_RAX = 15, NANOSLEEP = 35, RESTART = 219, CLOCK_NANOSLEEP = 230 };

        for (char *p = text; (p = strstr(p, key)); ) {
                p += sizeof(key) - 1;
                unsigned long call = strtoul(number_at(p, ORIG_RAX), NULL, 10);
                if (call == NANOSLEEP || call == RESTART || call == CLOCK_NANOSLEEP) {
                        blank_number(number_at(p, ORIG_RAX));
                        blank_number(number_at(p, RAX));
                }
        }
        strike(text, ",\"left_ns\":_");
}

static char *text_of(struct trial *r, int dir, const char *name)
{
        /* Where pages lie; a connection's clock, and its windows, which the probe of GO renews; what is left of an interval
         * timer or a sleep; the sum of the records, which are compared one by one. */
        static const char *const changing[] = {"\"offset\":", "\"timestamp\":", "\"snd_wl1\":", "\"snd_wnd\":", "\"max_window\":",
                                               "\"rcv_wnd\":", "\"rcv_wup\":", "\"value_us\":", "\"left_ns\":", "\"sha256\":"};
        struct strbuf b = {0};
        struct byte_sink sink = {.put = gather, .c = &b};
        struct err err = {0};

        if (image_show_json(dir, name, session_record_types(), &sink, &err) < 0) {
                failed_err(r, "showing the image", &err);
                strbuf_done(&b);
                return NULL;
        }
        char *text = strbuf_take(&b);
        for (size_t i = 0; text && i < sizeof(changing) / sizeof(*changing); i++)
                blank(text, changing[i]);
        if (text) {
                same_restart(text);
                same_sleep(text);
        }
        return text;
}

int images_equal(struct trial *r, const char *a, const char *b)
{
        int dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char *x = text_of(r, dir, a), *y = x ? text_of(r, dir, b) : NULL;
        int n = x && y ? 0 : -1;
        size_t at = 0;

        while (n == 0 && x[at] && x[at] == y[at])
                at++;
        if (n == 0 && x[at] != y[at]) {
                size_t from = at > 200 ? at - 200 : 0;
                n = failed(r, "the second dump differs: …%.260s… became …%.260s…", x + from, y + from);
        }
        for (char *p = r->why; n < 0 && *p; p++)
                if (*p == '\n')
                        *p = ' ';
        free(x);
        free(y);
        close(dir);
        return n;
}
