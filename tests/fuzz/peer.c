/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what is done with the other node's messages: the greeting from both sides, errors, confirmations, and the target's
 * disk. Input as wire.c's. The wire is stood in for by the parser alone; nobody answers.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/exit.h"
#include "migrate/disk.h"
#include "migrate/hello.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"
#include "tests/fuzz/fuzz.h"

#define IMAGE (64u << 10)

ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);

/* What the corpus gives back. */
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags)
{
        (void)flags;
        for (size_t i = 0; i < n; i++)
                ((char *)p)[i] = "0123456789abcdef"[i % 16];
        return (ssize_t)n;
}

struct stream { struct wire_parser p; uint8_t *body; };

static int no_send(void *c, const struct wire_msg *m, struct err *err)
{
        (void)c, (void)m, (void)err;
        return 0;
}

static int next(void *c, struct wire_msg *ret, struct err *err)
{
        struct stream *s = c;
        int r;

        do
                r = wire_parser_next(&s->p, ret, err);
        while (r == 1 && ret->type == WIRE_MSG_BEAT);
        if (r <= 0)
                return r < 0 ? r : err_set(err, EX_CONNECT, "no more", "the end of the input", "%s", "");
        free(s->body);
        ret->body = s->body = fuzz_copy(ret->body, ret->len);
        return 0;
}

static const struct wire_ops ops = {.send = no_send, .recv = next};

static void begin(struct stream *s, struct wire *w, const uint8_t *data, size_t size)
{
        static struct wire_parser once; /* its buffer is megabytes */
        size_t room;

        FUZZ_CHECK(once.buf || wire_parser_init(&once, NULL) == 0);
        *s = (struct stream){.p = {.buf = once.buf}};
        void *to = wire_parser_room(&s->p, &room);
        size = size < room ? size : room;
        if (size)
                memcpy(to, data, size);
        wire_parser_fed(&s->p, size);
        *w = (struct wire){&ops, s};
}

static void end(struct stream *s)
{
        free(s->body);
}

/* An error that came over the wire is a row of our table. */
static void judge(int r, const struct err *err)
{
        FUZZ_CHECK(r >= 0 ? !err->code : err->code > 0 && r == -err->code && exit_code_name(err->code));
}

static void check_hello(const uint8_t *body, size_t n, const struct hello *h)
{
        Gantry__WireHello *m = gantry__wire_hello__unpack(NULL, n, body);
        struct utsname u;
        unsigned found = 0;

        FUZZ_CHECK(m && uname(&u) == 0 && m->protocol == PROTOCOL_VERSION && strcmp(m->arch, u.machine) == 0);
        FUZZ_CHECK(m->nonce.len == 16);
        for (size_t i = 0; i < m->n_feature; i++)
                found |= !strcmp(m->feature[i], "disk-rounds") ? 1u : !strcmp(m->feature[i], "image-1") ? 2u : !strcmp(m->feature[i], "ledger") ? 4u : 0u;
        FUZZ_CHECK(found == 7);
        FUZZ_CHECK(memchr(h->node, '\0', sizeof(h->node)) && memchr(h->version, '\0', sizeof(h->version)) && memchr(h->kernel, '\0', sizeof(h->kernel)));
        FUZZ_CHECK(strncmp(h->node, m->node, sizeof(h->node) - 1) == 0);
        gantry__wire_hello__free_unpacked(m, NULL);
}

static void greeting(const uint8_t *data, size_t size, bool source)
{
        struct stream s;
        struct wire w;
        struct hello *h = fuzz_array(1, sizeof(*h));
        struct err err = {};

        begin(&s, &w, data, size);
        int r = source ? hello_source(&w, h, &err) : hello_target(&w, h, &err);
        judge(r, &err);
        if (r >= 0) {
                FUZZ_CHECK(size > WIRE_HEAD + WIRE_CRC);
                size_t at = 0;
                while (data[at + 4] == WIRE_MSG_BEAT) /* what came before it */
                        at += WIRE_HEAD + WIRE_CRC;
                size_t n = (size_t)data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;
                check_hello(data + at + WIRE_HEAD, n, h);
                if (source)
                        FUZZ_CHECK(memmem(data + at + WIRE_HEAD, n, "\x3a\x10" "0123456789abcdef", 18));
        }
        free(h);
        end(&s);
}

static void answers(const uint8_t *data, size_t size)
{
        struct stream s;
        struct wire w;
        struct err err = {};
        ProtobufCMessage *m = NULL;

        begin(&s, &w, data, size);
        judge(msg_expect_ok(&w, MSG_BEGIN, &err), &err);
        end(&s);
        err = (struct err){};
        begin(&s, &w, data, size);
        int r = msg_expect(&w, MSG_CHECK, &m, &err);
        judge(r, &err);
        FUZZ_CHECK(r < 0 ? !m : m->descriptor == &gantry__wire_check__descriptor);
        msg_free(m);
        end(&s);
        err = (struct err){};
        begin(&s, &w, data, size);
        r = msg_reason(&w, -EX_CONNECT, &err);
        FUZZ_CHECK(r < 0 && (!err.code || exit_code_name(err.code)));
        end(&s);
}

/* The target's disk: one file, which stays as large as it is, and is written to in whole blocks and before the last round only. */
static void disk(const uint8_t *data, size_t size)
{
        static int file = -1;
        struct disk_target *d = NULL;
        struct stream s;
        struct wire w;
        struct stat st;
        struct err err = {};
        bool last = false, was_last = false;
        uint64_t bytes = 0, rounds = 0;
        int r = 0;

        if (file < 0)
                file = memfd_create("fuzz-disk", MFD_CLOEXEC);
        FUZZ_CHECK(file >= 0 && disk_target_new(file, IMAGE, &d, &err) == 0);
        begin(&s, &w, data, size);
        while (r >= 0) {
                struct wire_msg frame;
                struct wire_piece piece;
                ProtobufCMessage *m = NULL;
                r = msg_recv(&w, &frame, &m, &err);
                judge(r, &err);
                was_last = last;
                if (r >= 0) {
                        r = disk_target_take(d, &w, &frame, m, &last, &err);
                        judge(r, &err);
                }
                if (r == 1 && frame.type == WIRE_MSG_BULK) {
                        FUZZ_CHECK(wire_piece(&frame, &piece, NULL) == 0 && piece.what == WIRE_DISK && piece.len && !was_last);
                        FUZZ_CHECK(piece.offset % DISK_BLOCK == 0 && piece.len % DISK_BLOCK == 0 && piece.offset + piece.len <= IMAGE);
                        bytes += piece.len;
                }
                if (r == 1 && frame.type == MSG_HOLES) {
                        const Gantry__WireHoles *h = (const void *)m;
                        FUZZ_CHECK(h->n_offset == h->n_length && !(was_last && h->n_offset));
                        for (size_t i = 0; i < h->n_offset; i++)
                                FUZZ_CHECK(h->offset[i] % DISK_BLOCK == 0 && h->length[i] && h->length[i] % DISK_BLOCK == 0 && h->offset[i] < IMAGE &&
                                           h->length[i] <= IMAGE - h->offset[i]);
                }
                if (r == 1 && frame.type == MSG_ROUND) {
                        const Gantry__WireRound *x = (const void *)m;
                        FUZZ_CHECK(x->round == rounds && x->bytes == bytes && !was_last && last == x->last);
                        rounds++;
                        bytes = 0;
                }
                msg_free(m);
                FUZZ_CHECK(fstat(file, &st) == 0 && st.st_size == IMAGE);
        }
        end(&s);
        disk_target_free(d);
}

static void sizes(const uint8_t *data, size_t size)
{
        struct disk_target *d = NULL;
        uint64_t n = 0;
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* cannot be given a size: what is right fails later, and otherwise */

        memcpy(&n, data, size < 8 ? size : 8);
        int r = disk_target_new(fd, n, &d, NULL);
        FUZZ_CHECK(r < 0 && (r == -EX_PEER) == (!n || n % DISK_BLOCK || n > INT64_MAX / 2));
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        uint8_t *exact = fuzz_copy(data + 1, size - 1);
        greeting(exact, size - 1, true);
        greeting(exact, size - 1, false);
        answers(exact, size - 1);
        disk(exact, size - 1);
        sizes(exact, size - 1);
        free(exact);
        return 0;
}
