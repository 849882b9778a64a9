/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image as a directory: what was put comes out, and everything else is refused. Each bit of a small image is
 * flipped, each length cut; nothing of it may be taken for an image.
 */
#include "tests/unit/image-common.h"

#include "base/sys.h"
#include "checkpoint/image-int.h"

static int open_image(const struct dir *d, const char *name, struct err *e)
{
        struct image *img = NULL;
        int r = image_open(d->fd, name, &test_types, &img, e);

        image_close(img);
        return r;
}

static uint8_t *read_file(const struct dir *d, const char *path, size_t *ret_len)
{
        char *data = NULL;

        cr_assert_eq(path_read(d->fd, path, &data, ret_len, NULL), 0);
        return (uint8_t *)data;
}

static void write_file(const struct dir *d, const char *path, const void *p, size_t n)
{
        _cleanup_close_ int fd = openat(d->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        cr_assert_geq(fd, 0);
        cr_assert_eq(fd_write_full(fd, p, n, NULL), 0);
}

Test(image, round_trip)
{
        struct dir d = dir_make();
        struct image *img = NULL;
        struct err e = {};

        write_image(&d, "one");
        cr_assert_eq(dir_entries(&d), 1, "nothing but the image may be left");
        cr_assert_eq(image_open(d.fd, "one/", &test_types, &img, &e), 0, "%s %s", e.on, e.why);
        expect_image(img);
        image_close(img);
        struct image_info info = {};
        cr_assert_eq(image_verify(d.fd, "one", &test_types, &info, &e), 0);
        cr_assert_eq(info.runs, 4);
        dir_done(&d);
}

/* All runs by the source, in small pieces, and what each must hold. */
Test(image, page_source)
{
        struct dir d = dir_make();
        struct image *img = NULL;
        struct err e = {};
        uint8_t buf[PAGE_BYTES];
        struct run r = {};
        void *c = NULL;
        static const struct run want[] = {
                {20, 0x1000, 1, RUN_DATA, 0, 0},          {20, 0x2000, 1, RUN_DATA, 0, 0},
                {20, 0x10000, 1000000, RUN_ZERO, 0, 0}, {21, 0, 1, RUN_SAME, 20, 0x2000},
                {22, 0, 1, RUN_DATA, 0, 0},
        };

        write_image(&d, "one");
        cr_assert_eq(image_open(d.fd, "one", &test_types, &img, &e), 0);
        cr_assert_eq(image_pages_new(img, &c, &e), 0);
        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                cr_assert_eq(image_page_source.next(c, &r, buf, sizeof(buf), &e), 1);
                cr_assert(r.mem == want[i].mem && r.addr == want[i].addr && r.pages == want[i].pages &&
                                  r.what == want[i].what && r.same_addr == want[i].same_addr, "run %zu", i);
        }
        cr_assert_eq(buf[100], 'y');
        cr_assert_eq(image_page_source.next(c, &r, buf, sizeof(buf), &e), 0);
        image_page_source.done(c);
        cr_assert_eq(image_pages_new(img, &c, &e), 0);
        cr_assert_eq(image_page_source.next(c, &r, buf, PAGE_BYTES - 1, &e), -EX_FAIL);
        image_page_source.done(c);
        image_close(img);
        dir_done(&d);
}

Test(image, every_bit_of_records)
{
        struct dir d = dir_make();
        size_t n = 0;

        write_image(&d, "one");
        _cleanup_free_ uint8_t *bytes = read_file(&d, "one/records", &n);
        cr_assert_lt(n, 1000, "kept small, so that every bit can be tried");
        for (size_t bit = 0; bit < 8 * n; bit++) {
                struct err e = {};
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                write_file(&d, "one/records", bytes, n);
                cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE, "bit %zu was not noticed", bit);
                cr_assert(strstr(e.on, bit < 8 * IMAGE_HEAD ? "file head" : "record"), "bit %zu: %s", bit, e.on);
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        write_file(&d, "one/records", bytes, n);
        cr_assert_eq(open_image(&d, "one", NULL), 0);
        dir_done(&d);
}

Test(image, every_length_of_records)
{
        struct dir d = dir_make();
        size_t n = 0;
        struct err e = {};

        write_image(&d, "one");
        _cleanup_free_ uint8_t *bytes = read_file(&d, "one/records", &n);
        for (size_t len = 0; len < n; len++) {
                write_file(&d, "one/records", bytes, len);
                cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE, "cut at %zu", len);
        }
        write_file(&d, "one/records", bytes, n + 1); /* path_read() puts a NUL behind what it read */
        cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE);
        dir_done(&d);
}

/* Opening forks a child, so one bit of every 32nd byte goes that way; every bit goes through the reader's own check. */
Test(image, every_bit_of_pages)
{
        struct dir d = dir_make();
        struct image *img = NULL;
        size_t n = 0;
        struct err e = {};
        uint8_t page[2 * PAGE_BYTES];

        write_image(&d, "one");
        _cleanup_free_ uint8_t *bytes = read_file(&d, "one/pages", &n);
        cr_assert_eq(n, 3 * PAGE_BYTES);
        for (size_t i = 0; i < n; i += 32) {
                bytes[i] ^= (uint8_t)(1u << i / 32 % 8);
                write_file(&d, "one/pages", bytes, n);
                cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE, "byte %zu was not noticed", i);
                cr_assert(strstr(e.on, "record pages "), "%s", e.on);
                bytes[i] ^= (uint8_t)(1u << i / 32 % 8);
        }
        write_file(&d, "one/pages", bytes, n);
        cr_assert_eq(image_open(d.fd, "one", &test_types, &img, &e), 0);
        _cleanup_close_ int fd = openat(d.fd, "one/pages", O_WRONLY | O_CLOEXEC);
        for (size_t bit = 0; bit < 8 * n; bit++) {
                uint8_t flipped = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
                bool first = bit / 8 < 2 * PAGE_BYTES;
                cr_assert_eq(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
                cr_assert_eq(image_page_read(img, first ? 20 : 22, first ? 0x1000 : 0, first ? 2 : 1, page, NULL),
                             -EX_IMAGE, "bit %zu", bit);
                cr_assert_eq(pwrite(fd, &bytes[bit / 8], 1, (off_t)(bit / 8)), 1);
        }
        cr_assert_eq(image_page_read(img, 20, 0x1000, 2, page, NULL), 0);
        image_close(img);
        dir_done(&d);
}

Test(image, files_of_the_directory)
{
        struct dir d = dir_make();
        size_t n = 0;
        struct err e = {};

        cr_assert_eq(open_image(&d, "none", &e), -EX_UNKNOWN);
        write_image(&d, "one");
        _cleanup_free_ uint8_t *pages = read_file(&d, "one/pages", &n);
        write_file(&d, "one/pages", pages, n - 1);
        cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE, "cut pages");
        cr_assert_eq(unlinkat(d.fd, "one/pages", 0), 0);
        cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE, "no pages");
        cr_assert_eq(mkfifoat(d.fd, "one/pages", 0600), 0);
        cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE, "a fifo must not block the reader");
        cr_assert_eq(unlinkat(d.fd, "one/pages", 0), 0);
        write_file(&d, "elsewhere", pages, n);
        cr_assert_eq(symlinkat("../elsewhere", d.fd, "one/pages"), 0);
        cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE, "links are not followed");
        dir_done(&d);
}

Test(image, writer_leaves_nothing_or_all)
{
        struct dir d = dir_make();
        struct image_writer *w = NULL, *v = NULL;
        struct err e = {};

        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, &e), 0);
        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &v, &e), -EX_LOCKED);
        fill_image(w);
        cr_assert_eq(path_exists(d.fd, "one"), 0, "not before it is whole");
        image_writer_abort(w);
        cr_assert_eq(dir_entries(&d), 0);

        cr_assert_eq(mkdirat(d.fd, "one.tmp", 0700), 0);
        write_file(&d, "one.tmp/records", "killed", 6);
        write_image(&d, "one"); /* over what a killed writer left */
        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, &e), -EX_EXISTS);
        cr_assert_eq(dir_entries(&d), 1);
        cr_assert_eq(image_writer_open(d.fd, "two", &test_types, &w, &e), 0);
        cr_assert_eq(image_writer_close(w, &e), -EX_FAIL, "without a header it is no image");
        cr_assert_eq(dir_entries(&d), 1);
        cr_assert_eq(image_writer_open(d.fd, "..", &test_types, &w, &e), -EX_USAGE);
        cr_assert_eq(image_writer_open(d.fd, "no/such", &test_types, &w, &e), -EX_FAIL);
        cr_assert_eq(open_image(&d, "one", &e), 0);
        dir_done(&d);
}

/* A directory NAME.tmp that no writer left is somebody's. */
Test(image, writer_removes_its_own_only)
{
        struct dir d = dir_make();
        struct image_writer *w = NULL;
        struct err e = {};

        cr_assert_eq(mkdirat(d.fd, "one.tmp", 0700), 0);
        write_file(&d, "one.tmp/records", "killed", 6);
        write_file(&d, "one.tmp/letters", "mine", 4);
        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, &e), -EX_EXISTS);
        cr_assert(strstr(e.on, "one.tmp") && e.remedy[0], "%s: %s", e.on, e.why);
        cr_assert(path_exists(d.fd, "one.tmp/letters") && path_exists(d.fd, "one.tmp/records"));
        dir_done(&d);
}

/* The first error stays: a session that overlooks it cannot close the image. */
Test(image, writer_errors_stick)
{
        struct dir d = dir_make();
        struct image_writer *w = NULL;
        struct err e = {};

        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, &e), 0);
        struct record_sink s = image_writer_records(w);
        cr_assert_eq(put_pipe(&s, 1, 0, &e), -EX_FAIL, "no header yet");
        e = (struct err){};
        cr_assert_eq(image_header_put(&s, &(struct image_meta){}, &e), -EX_FAIL);
        cr_assert_str_eq(e.why, "the first record is not the header");
        cr_assert_eq(image_writer_close(w, &e), -EX_FAIL);
        cr_assert_eq(dir_entries(&d), 0);
        dir_done(&d);
}

Test(image, writer_refuses_bad_runs)
{
        static const struct run bad[] = {
                {0, 0, 1, RUN_ZERO, 0, 0},      {1, 5, 1, RUN_ZERO, 0, 0},  {1, 0, 0, RUN_ZERO, 0, 0},
                {1, 0, 257, RUN_SAME, 2, 0},    {1, 0, 1, RUN_SAME, 2, 1},  {1, 0, 1, 9, 0, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct dir d = dir_make();
                struct image_writer *w = NULL;
                cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, NULL), 0);
                struct record_sink s = image_writer_records(w);
                cr_assert_eq(image_header_put(&s, &(struct image_meta){}, NULL), 0);
                cr_assert_eq(image_page_sink.put(w, &bad[i], NULL, NULL), -EX_FAIL, "run %zu", i);
                image_writer_abort(w);
                dir_done(&d);
        }
}

/* Many small runs, whole megabytes, runs that continue each other: the batching must lose nothing. */
Test(image, many_runs)
{
        struct dir d = dir_make();
        struct image_writer *w = NULL;
        struct image *img = NULL;
        struct err e = {};
        uint8_t page[PAGE_BYTES];

        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, &e), 0);
        struct record_sink s = image_writer_records(w);
        cr_assert_eq(image_header_put(&s, &(struct image_meta){}, &e), 0);
        for (uint64_t i = 0; i < 1500; i++) /* every other page: nothing to merge */
                cr_assert_eq(put_data(w, 5, i * 2 * PAGE_BYTES, 1, (int)(i & 0xff), &e), 0);
        for (uint64_t i = 0; i < 600; i++) /* one after the other: merged up to 1 MiB */
                cr_assert_eq(put_data(w, 6, i * PAGE_BYTES, 1, (int)(i & 0xff), &e), 0);
        cr_assert_eq(put_data(w, 7, 0, 256, 7, &e), 0);
        cr_assert_eq(put_data(w, 7, 1 << 20, 256, 8, &e), 0);
        for (uint64_t i = 0; i < 1100; i++) {
                struct run zero = {.mem = 8 + i, .addr = 0, .pages = 1, .what = RUN_ZERO};
                cr_assert_eq(image_page_sink.put(w, &zero, NULL, &e), 0);
        }
        cr_assert_eq(image_page_sink.sync(w, &e), 0);
        cr_assert_eq(image_writer_close(w, &e), 0);
        cr_assert_eq(image_open(d.fd, "one", NULL, &img, &e), 0, "%s %s", e.on, e.why);
        struct image_info info = image_get_info(img);
        cr_assert_eq(info.pages_bytes, (1500 + 600 + 512) * (uint64_t)PAGE_BYTES);
        cr_assert_geq(info.runs, 1500 + 3 + 2 + 1100);
        cr_assert_leq(info.runs, 1500 + 5 + 2 + 1100);
        for (uint64_t i = 0; i < 1500; i++) {
                cr_assert_eq(image_page_read(img, 5, i * 2 * PAGE_BYTES, 1, page, &e), 0);
                cr_assert_eq(page[9], i & 0xff);
        }
        for (uint64_t i = 0; i < 600; i++) {
                cr_assert_eq(image_page_read(img, 6, i * PAGE_BYTES, 1, page, &e), 0);
                cr_assert_eq(page[9], i & 0xff);
        }
        cr_assert_eq(image_page_read(img, 7, (1 << 20) + 4096 * 255, 1, page, &e), 0);
        cr_assert_eq(page[9], 8);
        image_close(img);
        dir_done(&d);
}

static int image_of_runs(const struct run *runs, size_t n, const char *parent, struct image **ret, struct err *e)
{
        struct dir d = dir_make();
        struct image_writer *w = NULL;
        _cleanup_free_ uint8_t *buf = calloc(RUN_MAX_PAGES, PAGE_BYTES);

        buf[70000] = 1;
        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, e), 0);
        struct record_sink s = image_writer_records(w);
        cr_assert_eq(image_header_put(&s, &(struct image_meta){.parent = parent}, e), 0);
        for (size_t i = 0; i < n; i++)
                cr_assert_eq(image_page_sink.put(w, &runs[i], buf, e), 0);
        cr_assert_eq(image_writer_close(w, e), 0);
        int r = image_open(d.fd, "one", &test_types, ret, e);
        dir_done(&d);
        return r;
}

/* What the writer cannot know (it keeps no index) the reader refuses. */
Test(image, runs_that_do_not_fit_together)
{
        static const struct { const char *why; struct run runs[3]; size_t n; } bad[] = {
                {"overlap", {{1, 0, 3, RUN_ZERO, 0, 0}, {1, 8192, 3, RUN_DATA, 0, 0}}, 2},
                {"the same run twice", {{1, 0, 3, RUN_DATA, 0, 0}, {2, 0, 1, RUN_ZERO, 0, 0}, {1, 0, 3, RUN_DATA, 0, 0}}, 3},
                {"SAME as nothing", {{1, 0, 1, RUN_SAME, 9, 0}}, 1},
                {"SAME as a later run", {{1, 0, 1, RUN_SAME, 2, 0}, {2, 0, 1, RUN_DATA, 0, 0}}, 2},
                {"SAME as zero", {{2, 0, 1, RUN_ZERO, 0, 0}, {1, 0, 1, RUN_SAME, 2, 0}}, 2},
                {"SAME as itself", {{1, 0, 1, RUN_SAME, 1, 0}}, 1},
                {"SAME past the end", {{2, 0, 2, RUN_DATA, 0, 0}, {1, 0, 2, RUN_SAME, 2, 4096}}, 2},
                {"PARENT without a parent", {{1, 0, 1, RUN_PARENT, 0, 0}}, 1},
                {"past the end of the address space", {{1, UINT64_MAX - 4095, 1, RUN_ZERO, 0, 0}}, 0},
        };
        struct image *img = NULL;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct err e = {};
                if (bad[i].n)
                        cr_assert_eq(image_of_runs(bad[i].runs, bad[i].n, NULL, &img, &e), -EX_IMAGE, "%s",
                                     bad[i].why);
        }
}

Test(image, parent)
{
        struct run data = {1, 0, 20, RUN_DATA, 0, 0}, up = {1, 4096, 19, RUN_PARENT, 0, 0};
        struct image *base = NULL, *img = NULL;
        uint8_t page[PAGE_BYTES];
        struct err e = {};

        cr_assert_eq(image_of_runs(&data, 1, NULL, &base, &e), 0);
        cr_assert_eq(image_of_runs(&up, 1, "base", &img, &e), 0, "%s", e.why);
        cr_assert_str_eq(image_get_info(img).parent, "base");
        cr_assert_eq(image_page_read(img, 1, 69632, 1, page, &e), -EX_IMAGE, "without its parent it has no bytes");
        image_set_parent(img, base);
        cr_assert_eq(image_page_read(img, 1, 69632, 1, page, &e), 0);
        cr_assert_eq(page[70000 - 69632], 1);
        image_close(img);
        image_close(base);
}

Test(image, padding)
{
        struct run data = {1, 0, 18, RUN_DATA, 0, 0};
        struct image *img = NULL;
        struct err e = {};

        cr_assert_eq(image_of_runs(&data, 1, NULL, &img, &e), 0);
        cr_assert_eq(image_tail_check(img, 1, 70001, &e), 0);
        cr_assert_eq(image_tail_check(img, 1, 70000, &e), -EX_IMAGE, "byte 70000 is not zero");
        cr_assert_eq(image_tail_check(img, 1, 18 * 4096, &e), 0);
        cr_assert_eq(image_tail_check(img, 1, 17 * 4096, &e), -EX_IMAGE, "a whole page too many");
        image_close(img);
}

static int collect(void *c, const void *p, size_t n, struct err *e)
{
        (void)e;
        strbuf_add(c, p, n);
        return 0;
}

Test(image, show)
{
        struct dir d = dir_make();
        _cleanup_strbuf_ struct strbuf out = {};
        struct byte_sink emit = {collect, &out};
        struct err e = {};

        write_image(&d, "one");
        cr_assert_eq(image_show_json(d.fd, "one", &test_types, &emit, &e), 0);
        cr_assert(strstr(out.s, "{\"format\":1,\"architecture\":62,\"records\":[\n{\"kind\":\"header\",\"id\":0,"));
        cr_assert(strstr(out.s, "{\"kind\":\"fd-pipe\",\"id\":1,\"optional\":false,\"message\":{\"kind\":5,\"count\":10}},"));
        cr_assert(strstr(out.s, "{\"kind\":900,\"id\":3,\"optional\":true},"));
        cr_assert(strstr(out.s, "{\"kind\":\"end\",\"id\":0"));
        size_t n = 0;
        _cleanup_free_ uint8_t *bytes = read_file(&d, "one/records", &n);
        bytes[n / 2] ^= 1;
        write_file(&d, "one/records", bytes, n);
        out.len = 0;
        cr_assert_eq(image_show_json(d.fd, "one", &test_types, &emit, &e), -EX_IMAGE);
        cr_assert_eq(out.len, 0, "nothing of a damaged image is shown");
        dir_done(&d);
}

/* Frames that are each valid, put together as no writer did: `order` gives indices into the image's frames, 0 the header. */
static int open_spliced(const struct dir *d, const uint8_t *bytes, size_t n, const size_t *order, size_t n_order,
                        struct err *e)
{
        uint8_t out[2048];
        size_t start[16], len[16], frames = 0, to = IMAGE_HEAD;

        for (size_t at = IMAGE_HEAD; at < n; at += len[frames++]) {
                cr_assert_lt(frames, ELEMENTSOF(start));
                start[frames] = at;
                len[frames] = RECORD_OVERHEAD + record_head_get(bytes + at).len;
        }
        memcpy(out, bytes, IMAGE_HEAD);
        for (size_t i = 0; i < n_order; i++) {
                cr_assert_lt(order[i], frames);
                memcpy(out + to, bytes + start[order[i]], len[order[i]]);
                to += len[order[i]];
        }
        write_file(d, "one/records", out, to);
        return open_image(d, "one", e);
}

Test(image, frames_put_together_anew)
{
        enum { HEADER, PIPE1, RUNS0, PIPE2, OTHER, RUNS1, LAST };
        static const struct { const char *on, *why; size_t n, order[8]; } bad[] = {
                {"record end 0", "the records are not those it counts", 6, {HEADER, PIPE1, RUNS0, OTHER, RUNS1, LAST}},
                {"record end 0", "SHA-256 of the records differs", 7, {HEADER, PIPE2, RUNS0, PIPE1, OTHER, RUNS1, LAST}},
                {"record end 0", "SHA-256 of the records differs", 7, {HEADER, PIPE1, RUNS0, PIPE1, OTHER, RUNS1, LAST}},
                {"record pages 1", "its ordinal is not the next one", 7, {HEADER, PIPE1, RUNS1, PIPE2, OTHER, RUNS0, LAST}},
                {"record header 0", "a second header", 8, {HEADER, HEADER, PIPE1, RUNS0, PIPE2, OTHER, RUNS1, LAST}},
                {"record fd-pipe 1", "the first record is not the header", 6, {PIPE1, RUNS0, PIPE2, OTHER, RUNS1, LAST}},
                {"records", "there are bytes after the last record", 8, {HEADER, PIPE1, RUNS0, PIPE2, OTHER, RUNS1, LAST, LAST}},
                {"records", "it is incomplete: the last record is missing", 6, {HEADER, PIPE1, RUNS0, PIPE2, OTHER, RUNS1}},
        };
        static const size_t good[] = {HEADER, PIPE1, RUNS0, PIPE2, OTHER, RUNS1, LAST};
        struct dir d = dir_make();
        size_t n = 0;
        struct err e = {};

        write_image(&d, "one");
        _cleanup_free_ uint8_t *bytes = read_file(&d, "one/records", &n);
        cr_assert_eq(open_spliced(&d, bytes, n, good, ELEMENTSOF(good), &e), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                e = (struct err){};
                cr_assert_eq(open_spliced(&d, bytes, n, bad[i].order, bad[i].n, &e), -EX_IMAGE, "splice %zu", i);
                cr_assert_str_eq(e.why, bad[i].why, "splice %zu", i);
                cr_assert_str_eq(e.on, bad[i].on, "splice %zu", i);
        }
        dir_done(&d);
}

/* A feature is what a reader must have: one that it does not know refuses the image by name. */
Test(image, features)
{
        struct dir d = dir_make();
        struct image_writer *w = NULL;
        struct err e = {};
        Gantry__Header h = GANTRY__HEADER__INIT;
        char text[] = "time-travel", *features[] = {text};

        h.version = h.kernel = text;
        h.feature = features;
        h.n_feature = 1;
        cr_assert_eq(image_writer_open(d.fd, "one", &test_types, &w, &e), 0);
        struct record_sink s = image_writer_records(w);
        cr_assert_eq(s.put(s.c, &(struct record){RECORD_HEADER, 0, 0, &h.base}, &e), 0);
        cr_assert_eq(image_writer_close(w, &e), 0);
        cr_assert_eq(open_image(&d, "one", &e), -EX_IMAGE);
        cr_assert(strstr(e.why, "time-travel"));
        dir_done(&d);
}
