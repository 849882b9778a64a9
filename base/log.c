/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log (base/log.h): one line, one write(2), so that lines of several processes do not mix.
 *
 * A log that cannot be written must not fail the work it tells about: the result of write is not looked at, and
 * errno stays as it was. Long lines are cut.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/timer.h"

static const char *const topic_names[LOG_N] = {
        [LOG_CONFIG] = "config", [LOG_DISK] = "disk",       [LOG_NET] = "net",     [LOG_CGROUP] = "cgroup",
        [LOG_TAPE] = "tape",     [LOG_DUMP] = "dump",       [LOG_RESTORE] = "restore", [LOG_PAGES] = "pages",
        [LOG_WIRE] = "wire",     [LOG_MIGRATE] = "migrate", [LOG_ENGINE] = "engine",
};

static unsigned topic_bit(const char *word, size_t n)
{
        for (unsigned i = 0; i < LOG_N; i++)
                if (strlen(topic_names[i]) == n && memcmp(topic_names[i], word, n) == 0)
                        return 1u << i;
        return 0;
}

int log_topics_parse(const char *text, unsigned *ret, struct err *err)
{
        unsigned topics = 0;

        if (str_eq(text, "all") || str_eq(text, "none")) {
                *ret = text[0] == 'a' ? (1u << LOG_N) - 1 : 0;
                return 0;
        }
        for (const char *p = text;; p++) {
                size_t n = strcspn(p, ",");
                unsigned bit = topic_bit(p, n);
                if (!bit) {
                        int r = err_set(err, EX_USAGE, "unknown log topic", "no topic has this name", "\"%.*s\"",
                                        (int)(n > 64 ? 64 : n), p);
                        if (err)
                                err_remedy(err, "topics: config disk net cgroup tape dump restore pages wire "
                                                "migrate engine, or all, none");
                        return r;
                }
                topics |= bit;
                p += n;
                if (!*p)
                        break;
        }
        *ret = topics;
        return 0;
}

void log_debug(const struct log *log, enum log_topic topic, const char *fmt, ...)
{
        char line[1024];
        int saved = errno;
        uint64_t ns = now_ns();
        va_list ap;

        if (!log || !(log->topics & 1u << topic))
                return;
        int n = snprintf(line, sizeof(line), "%llu.%06llu %s: ", (unsigned long long)(ns / 1000000000),
                         (unsigned long long)(ns / 1000 % 1000000), topic_names[topic]);
        size_t len = n > 0 ? (size_t)n : 0;
        va_start(ap, fmt);
        n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
        va_end(ap);
        if (n > 0)
                len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
        line[len++] = '\n';
        ssize_t r = write(log->fd, line, len);
        (void)r;
        errno = saved;
}
