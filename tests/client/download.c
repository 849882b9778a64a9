/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one-socket client of the migration tests and the demo: HTTP/1.1 GETs over one TCP connection, from a fixed
 * source port, read at a fixed rate, never retried, never reconnected. What it prints is the judgement.
 *
 *      {"connections":1,"bodies":1,"bytes":…,"sha256":"…","mismatches":0,"gap_ms":…,"resets":0,"errors":0,"error":""}
 *
 * sha256 is that of the first body; a later body of the same connection that differs counts as a mismatch. gap_ms is
 * the longest time that the client wanted to read and nothing came: pauses that its own rate asks for are not in it.
 * The receive buffer is small on purpose (128 KiB: 6 ms at 20 MB/s), else the kernel would feed the client through a
 * freeze and hide it. --mark FILE is made when 1 MiB has come; --until FILE repeats the GET until FILE is there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "tests/client/sha256.h"

struct client {
        const char *host, *port, *source, *path, *mark, *until;
        uint64_t rate;                 /* bytes per second, 0: as fast as it comes */
        uint64_t stall_ms, pause_ms;
        int rcvbuf, fd;
        uint64_t started, paced;       /* ns; bytes since started that the rate has counted */
        uint64_t bytes, bodies, mismatches, gap_ns, resets, errors;
        uint64_t left;                 /* of the body now being read */
        size_t have;                   /* of buf: bytes after the head */
        char first[65];
        char error[160];
        uint8_t buf[65536];
};

static uint64_t clock_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
        struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

        while (nanosleep(&t, &t) < 0 && errno == EINTR)
                ;
}

static int fail(struct client *c, const char *what, int sysno)
{
        c->errors++;
        if (sysno == ECONNRESET)
                c->resets++;
        snprintf(c->error, sizeof(c->error), "%s%s%s after %" PRIu64 " bytes", what, sysno ? ": " : "",
                 sysno ? strerror(sysno) : "", c->bytes);
        return -1;
}

/* Numeric only: a static program has no resolver. */
static int address(const struct client *c, struct sockaddr_storage *to, struct sockaddr_storage *from, socklen_t *len)
{
        uint16_t port = htons((uint16_t)strtoul(c->port, NULL, 10));
        uint16_t source = htons((uint16_t)strtoul(c->source, NULL, 10));
        struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = port};
        struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = port};

        memset(to, 0, sizeof(*to));
        memset(from, 0, sizeof(*from));
        if (inet_pton(AF_INET, c->host, &to4.sin_addr) == 1) {
                struct sockaddr_in from4 = {.sin_family = AF_INET, .sin_port = source};
                memcpy(to, &to4, sizeof(to4));
                memcpy(from, &from4, sizeof(from4));
                *len = sizeof(to4);
                return 0;
        }
        if (inet_pton(AF_INET6, c->host, &to6.sin6_addr) == 1) {
                struct sockaddr_in6 from6 = {.sin6_family = AF_INET6, .sin6_port = source};
                memcpy(to, &to6, sizeof(to6));
                memcpy(from, &from6, sizeof(from6));
                *len = sizeof(to6);
                return 0;
        }
        return -1;
}

static int open_socket(struct client *c)
{
        struct sockaddr_storage to, from;
        socklen_t len;
        int one = 1;

        if (address(c, &to, &from, &len) < 0)
                return fail(c, "not a numeric address", 0);
        c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &c->rcvbuf, sizeof(c->rcvbuf)) < 0 ||
            bind(c->fd, (struct sockaddr *)&from, len) < 0)
                return fail(c, "cannot bind the source port", errno);
        if (connect(c->fd, (struct sockaddr *)&to, len) < 0)
                return fail(c, "cannot connect", errno);
        return 0;
}

/* One read into the rest of buf. The wait before it is what gap_ms is about. 0: end of file. */
static ssize_t take(struct client *c, size_t off, size_t want)
{
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        uint64_t from = clock_ns();
        int r = poll(&p, 1, (int)c->stall_ms);
        uint64_t waited = clock_ns() - from;

        if (waited > c->gap_ns)
                c->gap_ns = waited;
        if (r == 0)
                return fail(c, "nothing came in time", 0);
        ssize_t n = r < 0 ? -1 : recv(c->fd, c->buf + off, want, 0);
        return n < 0 ? fail(c, "cannot read", errno) : n;
}

static int send_request(struct client *c)
{
        char text[1024];
        int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", c->path, c->host);

        if (n < 0 || (size_t)n >= sizeof(text))
                return fail(c, "the path is too long", 0);
        for (int done = 0; done < n;) {
                ssize_t w = send(c->fd, text + done, (size_t)(n - done), MSG_NOSIGNAL);
                if (w < 0)
                        return fail(c, "cannot send the request", errno);
                done += (int)w;
        }
        return 0;
}

/* Reads up to the end of the head; what came after it moves to the front of buf. */
static int read_head(struct client *c)
{
        size_t n = c->have;
        char *end = NULL;

        while (!end) {
                if (n >= sizeof(c->buf) - 1)
                        return fail(c, "the head is too long", 0);
                ssize_t r = take(c, n, sizeof(c->buf) - 1 - n);
                if (r <= 0)
                        return r < 0 ? -1 : fail(c, "the connection was closed in the head", 0);
                n += (size_t)r;
                c->buf[n] = '\0';
                end = strstr((char *)c->buf, "\r\n\r\n");
        }
        *end = '\0';
        const char *len = strcasestr((char *)c->buf, "\r\nContent-Length:");
        if (strncmp((char *)c->buf, "HTTP/1.1 200", 12) || !len)
                return fail(c, "the answer is not a 200 with a length", 0);
        c->left = strtoull(len + 17, NULL, 10);
        size_t head = (size_t)(end + 4 - (char *)c->buf);
        c->have = n - head;
        memmove(c->buf, c->buf + head, c->have);
        return 0;
}

static void touch(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        if (fd >= 0)
                close(fd);
}

static void pace(struct client *c, size_t n)
{
        c->paced += n;
        if (c->rate) {
                uint64_t due = c->started + c->paced * 1000u / c->rate * 1000000u;
                uint64_t now = clock_ns();
                if (due > now)
                        sleep_ns(due - now);
                else if (now - due > 200000000u)   /* after a gap: on at the same rate, no catching up */
                        c->started += now - due;
        }
        if (c->mark && c->bytes >= 1u << 20) {
                touch(c->mark);
                c->mark = NULL;
        }
}

static int read_body(struct client *c)
{
        struct sha256 sum;
        char hex[65];

        sha256_init(&sum);
        while (c->left) {
                if (!c->have) {
                        ssize_t r = take(c, 0, c->left < sizeof(c->buf) ? (size_t)c->left : sizeof(c->buf));
                        if (r <= 0)
                                return r < 0 ? -1 : fail(c, "the connection was closed in the body", 0);
                        c->have = (size_t)r;
                }
                size_t n = c->have < c->left ? c->have : (size_t)c->left;
                sha256_add(&sum, c->buf, n);
                c->left -= n;
                c->bytes += n;
                c->have -= n;
                memmove(c->buf, c->buf + n, c->have);
                pace(c, n);
        }
        sha256_hex(&sum, hex);
        if (!c->bodies++)
                memcpy(c->first, hex, sizeof(hex));
        else if (strcmp(c->first, hex))
                c->mismatches++;
        return 0;
}

static int run(struct client *c)
{
        if (open_socket(c) < 0)
                return -1;
        c->started = clock_ns();
        do {
                if (send_request(c) < 0 || read_head(c) < 0 || read_body(c) < 0)
                        return -1;
                if (c->pause_ms)
                        sleep_ns(c->pause_ms * 1000000u);
        } while (c->until && access(c->until, F_OK) < 0);
        return c->mismatches ? fail(c, "a body differs from the first", 0) : 0;
}

static uint64_t number(const char *text, uint64_t max)
{
        char *end;
        uint64_t v;

        errno = 0;
        v = strtoull(text, &end, 10);
        if (*end == 'M')
                v *= 1000000u, end++;
        if (errno || *end || end == text || v > max) {
                fprintf(stderr, "download: not a number: %s\n", text);
                exit(2);
        }
        return v;
}

static void print(const struct client *c)
{
        printf("{\"connections\":1,\"bodies\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"sha256\":\"%s\",\"mismatches\":%" PRIu64
               ",\"gap_ms\":%.3f,\"resets\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"error\":\"%s\"}\n",
               c->bodies, c->bytes, c->first, c->mismatches, (double)c->gap_ns / 1e6, c->resets, c->errors, c->error);
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"host", required_argument, NULL, 'h'},   {"port", required_argument, NULL, 'p'},
                {"source", required_argument, NULL, 's'}, {"path", required_argument, NULL, 'f'},
                {"rate", required_argument, NULL, 'r'},   {"mark", required_argument, NULL, 'm'},
                {"until", required_argument, NULL, 'u'},  {"stall-ms", required_argument, NULL, 't'},
                {"pause-ms", required_argument, NULL, 'w'}, {"rcvbuf", required_argument, NULL, 'b'},
                {NULL, 0, NULL, 0},
        };
        static struct client c = {.port = "80", .source = "40000", .path = "/", .stall_ms = 30000, .rcvbuf = 65536};
        int o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (o) {
                case 'h': c.host = optarg; break;
                case 'p': c.port = optarg; break;
                case 's': c.source = optarg; break;
                case 'f': c.path = optarg; break;
                case 'r': c.rate = number(optarg, UINT64_C(1) << 40); break;
                case 'm': c.mark = optarg; break;
                case 'u': c.until = optarg; break;
                case 't': c.stall_ms = number(optarg, 3600000); break;
                case 'w': c.pause_ms = number(optarg, 3600000); break;
                case 'b': c.rcvbuf = (int)number(optarg, 1 << 30); break;
                default: return 2;
                }
        }
        if (!c.host || optind != argc) {
                fprintf(stderr, "usage: download --host ADDR [--port N] [--source PORT] [--path /FILE] [--rate 20M]\n"
                                "                [--mark FILE] [--until FILE] [--stall-ms N] [--pause-ms N] [--rcvbuf N]\n");
                return 2;
        }
        int r = run(&c);
        print(&c);
        return r < 0;
}
