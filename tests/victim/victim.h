/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The common frame of victims: programs that build one state, wait while they are dumped and restored, and then tell
 * by themselves what differs.
 *
 *      int main(int argc, char **argv)
 *      {
 *              struct victim v;
 *              victim_begin(&v, argc, argv);     argv[1]: a directory for the talk with the driver
 *              … build …
 *              victim_wait(&v);                  makes DIR/ready, waits until DIR/go is there
 *              VICTIM_CHECK(&v, x == 3, "x is %d", x);
 *              return victim_end(&v);            writes DIR/result: "ok" or what differs; exit 0 or 1
 *      }
 *
 * No descriptor of the frame is open while it waits: what a victim holds is what it is about. The wait sleeps in
 * nanosleep(2) and looks for the file by access(2), both of which a restore must let go on; an EINTR is a failure (the
 * program has no signal handlers), and so is any other error that the frame meets.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct victim {
        const char *dir;
        unsigned failures, eintr;
        char text[8192];
        size_t len;
};

__attribute__((format(printf, 2, 3))) static inline void victim_fail(struct victim *v, const char *fmt, ...)
{
        va_list ap;

        v->failures++;
        va_start(ap, fmt);
        int n = vsnprintf(v->text + v->len, sizeof(v->text) - v->len, fmt, ap);
        va_end(ap);
        if (n > 0 && v->len + (size_t)n + 2 < sizeof(v->text)) {
                v->len += (size_t)n;
                v->text[v->len++] = '\n';
                v->text[v->len] = '\0';
        }
}

#define VICTIM_CHECK(v, cond, ...)                                                                           \
        do {                                                                                                 \
                if (!(cond))                                                                                 \
                        victim_fail((v), __VA_ARGS__);                                                       \
        } while (0)
/* Building the state must not fail: nothing could be learned then. */
#define VICTIM_MUST(cond)                                                                                    \
        do {                                                                                                 \
                if (!(cond)) {                                                                               \
                        fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, strerror(errno));      \
                        exit(2);                                                                             \
                }                                                                                            \
        } while (0)

static inline void victim_begin(struct victim *v, int argc, char **argv)
{
        *v = (struct victim){.dir = argc > 1 ? argv[1] : NULL};
        if (!v->dir) {
                fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
                exit(2);
        }
}

static inline void victim_file(struct victim *v, const char *name, const char *text)
{
        char tmp[512], path[512];

        snprintf(tmp, sizeof(tmp), "%s/.%s", v->dir, name);
        snprintf(path, sizeof(path), "%s/%s", v->dir, name);
        int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        VICTIM_MUST(fd >= 0);
        VICTIM_MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        VICTIM_MUST(close(fd) == 0);
        VICTIM_MUST(rename(tmp, path) == 0);
}

static inline bool victim_asked(struct victim *v)
{
        char path[512];

        snprintf(path, sizeof(path), "%s/go", v->dir);
        if (access(path, F_OK) == 0)
                return true;
        if (errno != ENOENT)
                victim_fail(v, "looking for the driver's file: %s", strerror(errno));
        return errno != ENOENT;
}

/* Where two dumps are compared nobody is to be met between two sleeps. */
static inline bool victim_calm(void)
{
        const char *calm = getenv("VICTIM_CALM");

        return calm && calm[0] == '1';
}

static inline void victim_wait(struct victim *v)
{
        const struct timespec tick = {.tv_nsec = 20000000}, long_tick = {.tv_sec = 5};

        victim_file(v, "ready", "ready\n");
        for (unsigned i = 0; !victim_asked(v); i++)
                if (nanosleep(i >= 5 && victim_calm() ? &long_tick : &tick, NULL) < 0 && errno == EINTR)
                        v->eintr++;
        VICTIM_CHECK(v, v->eintr == 0, "%u sleeps ended with EINTR", v->eintr);
}

static inline int victim_end(struct victim *v)
{
        victim_file(v, "result", v->failures ? v->text : "ok\n");
        fputs(v->text, stderr);
        return v->failures ? 1 : 0;
}
