/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image as a stream: fed in pieces of every size, cut, flipped, followed by something else, through a pipe. */
#include "tests/unit/image-common.h"

struct bytes {
        uint8_t at[32768];
        size_t n;
};

static int collect(void *c, const void *p, size_t n, struct err *e)
{
        struct bytes *b = c;

        (void)e;
        cr_assert_leq(b->n + n, sizeof(b->at));
        memcpy(b->at + b->n, p, n);
        b->n += n;
        return 0;
}

static void make_stream(struct bytes *b)
{
        struct image_writer *w = NULL;
        struct byte_sink out = {collect, b};
        struct err e = {};

        cr_assert_eq(image_writer_stream(&out, &test_types, &w, &e), 0);
        fill_image(w);
        cr_assert_eq(image_page_sink.sync(w, &e), 0);
        cr_assert_eq(image_writer_bytes(w), b->n, "sync leaves nothing behind");
        cr_assert_eq(image_writer_close(w, &e), 0);
}

/* 1: complete, 0: wants more, <0. */
static int feed(const uint8_t *p, size_t n, size_t piece, uint64_t max, struct image **ret)
{
        struct image_receiver *r = NULL;
        size_t used = 0, at = 0;
        struct err e = {};
        int res = 0;

        cr_assert_eq(image_receiver_new(&test_types, -1, max, &r, &e), 0);
        while (res == 0 && at < n) {
                res = image_receiver_feed(r, p + at, n - at < piece ? n - at : piece, &used, &e);
                at += res < 0 ? 0 : used;
        }
        if (res == 1 && ret)
                cr_assert_eq(image_receiver_take(r, ret, &e), 0);
        else
                cr_assert_eq(image_receiver_take(r, &(struct image *){NULL}, &e), res == 1 ? 0 : -EX_IMAGE);
        image_receiver_free(r);
        return res;
}

Test(image_stream, pieces_of_any_size)
{
        struct bytes *b = calloc(1, sizeof(*b));
        static const size_t pieces[] = {1, 2, 3, 7, 15, 16, 17, 100, 4096, 5000, 100000};

        make_stream(b);
        for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
                struct image *img = NULL;
                cr_assert_eq(feed(b->at, b->n, pieces[i], 1 << 20, &img), 1, "pieces of %zu", pieces[i]);
                expect_image(img);
                image_close(img);
        }
        free(b);
}

Test(image_stream, what_follows_is_not_ours)
{
        struct bytes *b = calloc(1, sizeof(*b));
        struct image_receiver *r = NULL;
        size_t used = 0;
        struct err e = {};

        make_stream(b);
        cr_assert_eq(image_receiver_new(&test_types, AT_FDCWD, 1 << 20, &r, &e), 0);
        cr_assert_eq(image_receiver_feed(r, b->at, b->n + 50, &used, &e), 1);
        cr_assert_eq(used, b->n);
        image_receiver_free(r);
        free(b);
}

Test(image_stream, cut_and_flipped)
{
        struct bytes *b = calloc(1, sizeof(*b));

        make_stream(b);
        for (size_t n = 0; n < b->n; n += n < 400 ? 5 : 301)
                cr_assert_leq(feed(b->at, n, 4096, 1 << 20, NULL), 0, "cut at %zu", n);
        for (size_t i = 0; i < b->n; i += i < 400 ? 3 : 97) {
                b->at[i] ^= (uint8_t)(1u << i % 8);
                cr_assert_leq(feed(b->at, b->n, 4096, 1 << 20, NULL), 0, "byte %zu was not noticed", i);
                b->at[i] ^= (uint8_t)(1u << i % 8);
        }
        free(b);
}

Test(image_stream, too_many_bytes_are_refused_before_they_come)
{
        struct bytes *b = calloc(1, sizeof(*b));

        make_stream(b);
        cr_assert_eq(feed(b->at, b->n, 16, 2 * PAGE_BYTES, NULL), -EX_NOSPC);
        free(b);
}

Test(image_stream, through_a_pipe)
{
        struct bytes *b = calloc(1, sizeof(*b));
        struct image *img = NULL;
        struct image_writer *w = NULL;
        struct err e = {};
        int p[2];
        char rest[4] = "";

        cr_assert_eq(pipe2(p, O_CLOEXEC), 0); /* 64 KiB: all of it fits */
        struct byte_sink out = byte_sink_fd(&p[1]);
        cr_assert_eq(image_writer_stream(&out, &test_types, &w, &e), 0);
        fill_image(w);
        cr_assert_eq(image_writer_close(w, &e), 0);
        cr_assert_eq(write(p[1], "rest", 4), 4);
        cr_assert_eq(image_receive_fd(p[0], &test_types, 1 << 20, &img, &e), 0, "%s %s", e.on, e.why);
        expect_image(img);
        image_close(img);
        cr_assert_eq(read(p[0], rest, 4), 4, "not one byte more was taken");
        cr_assert(memcmp(rest, "rest", 4) == 0);
        make_stream(b);
        cr_assert_eq(write(p[1], b->at, b->n - 1), (ssize_t)b->n - 1);
        close(p[1]);
        cr_assert_eq(image_receive_fd(p[0], &test_types, 1 << 20, &img, &e), -EX_IMAGE);
        close(p[0]);
        free(b);
}

static int full(void *c, const void *p, size_t n, struct err *e)
{
        (void)c, (void)p, (void)n;
        return err_set(e, EX_PEER, "cannot send", "gone", "peer");
}

/* The error of the wire comes through, at the latest at the close. */
Test(image_stream, a_broken_sink)
{
        struct image_writer *w = NULL;
        struct byte_sink out = {full, NULL};
        struct err e = {};

        cr_assert_eq(image_writer_stream(&out, &test_types, &w, &e), 0);
        struct record_sink s = image_writer_records(w);
        cr_assert_eq(image_header_put(&s, &(struct image_meta){}, &e), 0);
        cr_assert_eq(image_page_sink.sync(w, &e), -EX_PEER);
        cr_assert_eq(put_pipe(&s, 1, 0, &e), -EX_PEER, "an error stays");
        cr_assert_eq(image_writer_close(w, &e), -EX_PEER);
        cr_assert_str_eq(e.why, "gone");
}

/* The fuzz corpus would test little if the parser refused it at once: each of its streams is an image. */
Test(image_stream, the_fuzz_corpus_is_accepted)
{
        static const char *const names[] = {"empty", "records", "runs"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[512];
                struct image *img = NULL;
                struct err e = {};
                snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/image/%s.stream", TEST_SOURCE_ROOT, names[i]);
                _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
                cr_assert_geq(fd, 0, "%s", path);
                cr_assert_eq(image_receive_fd(fd, NULL, 1 << 20, &img, &e), 0, "%s: %s %s", path, e.on, e.why);
                cr_assert_str_eq(image_get_info(img).version, "0.1.0");
                image_close(img);
        }
}
