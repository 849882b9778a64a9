/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the image's tests share: a table of kinds, a directory of their own, and a small image in it. */
#pragma once

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/image.h"
#include "proto/end.pb-c.h"
#include "proto/header.pb-c.h"
#include "proto/pages.pb-c.h"

/* Container kinds need no message of their own here: any will do. */
static const struct record_type test_rows[] = {
        {17, "fd-pipe", &gantry__end__count__descriptor},
        {18, "fd-file", &gantry__header__descriptor},
        {19, "fd-refused", NULL},
};
static const struct record_types test_types = {test_rows, ELEMENTSOF(test_rows)};

struct dir {
        char path[64];
        int fd;
};

static inline struct dir dir_make(void)
{
        struct dir d = {.path = "/tmp/gantry-image-XXXXXX"};

        cr_assert_not_null(mkdtemp(d.path));
        d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(d.fd, 0);
        return d;
}

/* Also says how many entries were left. */
static inline size_t dir_entries(const struct dir *d)
{
        DIR *s = opendir(d->path);
        size_t n = 0;

        cr_assert_not_null(s);
        for (struct dirent *e; (e = readdir(s));)
                n += e->d_name[0] != '.';
        closedir(s);
        return n;
}

static inline void dir_done(struct dir *d)
{
        cr_assert_eq(path_remove_tree(AT_FDCWD, d->path, NULL), 0);
        close(d->fd);
}

static inline int put_pipe(const struct record_sink *s, uint64_t id, uint16_t flags, struct err *err)
{
        Gantry__End__Count m = GANTRY__END__COUNT__INIT;

        m.kind = 5;
        m.count = id * 10;
        return s->put(s->c, &(struct record){17, flags, id, &m.base}, err);
}

static inline int put_data(struct image_writer *w, uint64_t mem, uint64_t addr, uint32_t pages, int fill,
                           struct err *err)
{
        _cleanup_free_ uint8_t *buf = malloc((size_t)pages * PAGE_BYTES);
        struct run run = {.mem = mem, .addr = addr, .pages = pages, .what = RUN_DATA};

        memset(buf, fill, (size_t)pages * PAGE_BYTES);
        for (size_t i = 0; i < (size_t)pages * PAGE_BYTES; i += PAGE_BYTES)
                memcpy(buf + i, &i, sizeof(i));
        return image_page_sink.put(w, &run, buf, err);
}

/* Header, two pipes, an OPTIONAL record of an unknown kind, runs of all types that need no parent. */
static inline void fill_image(struct image_writer *w)
{
        struct record_sink s = image_writer_records(w);
        static const char *const cpu[] = {"avx2"};
        struct err e = {};
        Gantry__End__Count other = GANTRY__END__COUNT__INIT;
        struct run zero = {.mem = 20, .addr = 0x10000, .pages = 1000000, .what = RUN_ZERO};
        struct run same = {.mem = 21, .addr = 0, .pages = 1, .what = RUN_SAME, .same_mem = 20, .same_addr = 0x2000};

        cr_assert_eq(image_header_put(&s, &(struct image_meta){.uuid = "u-1", .cpu = cpu, .n_cpu = 1}, &e), 0);
        cr_assert_eq(put_pipe(&s, 1, 0, &e), 0);
        cr_assert_eq(put_data(w, 20, 0x1000, 2, 'x', &e), 0);
        cr_assert_eq(image_page_sink.put(w, &zero, NULL, &e), 0);
        cr_assert_eq(image_page_sink.put(w, &same, NULL, &e), 0);
        cr_assert_eq(put_pipe(&s, 2, RECORD_OPTIONAL, &e), 0);
        cr_assert_eq(s.put(s.c, &(struct record){900, RECORD_OPTIONAL, 3, &other.base}, &e), 0);
        cr_assert_eq(put_data(w, 22, 0, 1, 'y', &e), 0);
}

static inline void write_image(const struct dir *d, const char *name)
{
        struct image_writer *w = NULL;
        struct err e = {};

        cr_assert_eq(image_writer_open(d->fd, name, &test_types, &w, &e), 0, "%s %s", e.on, e.why);
        fill_image(w);
        cr_assert_eq(image_writer_close(w, &e), 0, "%s %s", e.on, e.why);
}

/* What fill_image() put is what comes out. */
static inline void expect_image(struct image *img)
{
        struct image_info info = image_get_info(img);
        struct record_source s = image_records(img);
        static const uint16_t kinds[] = {RECORD_HEADER, 17, 17};
        struct record r = {};
        struct err e = {};

        cr_assert_str_eq(info.uuid, "u-1");
        cr_assert_eq(info.skipped, 1);
        cr_assert_eq(info.runs, 4);
        cr_assert_eq(info.pages_bytes, 3 * PAGE_BYTES);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                cr_assert_eq(s.next(s.c, &r, &e), 1);
                cr_assert_eq(r.kind, kinds[i]);
                cr_assert_eq(r.id, i);
                record_done(&r);
        }
        cr_assert_eq(s.next(s.c, &r, &e), 0);
        image_rewind(img);
        cr_assert_eq(s.next(s.c, &r, &e), 1);
        record_done(&r);

        uint8_t page[2 * PAGE_BYTES];
        cr_assert_eq(image_page_read(img, 20, 0x1000, 2, page, &e), 0);
        cr_assert_eq(page[100], 'x');
        cr_assert_eq(page[PAGE_BYTES + 1], 0x10);
        cr_assert_eq(image_page_read(img, 21, 0, 1, page, &e), 0);
        cr_assert_eq(page[1], 0x10, "SAME gives the bytes of the second page");
        cr_assert_eq(image_page_read(img, 20, 0x10000 + 4096 * 999999ull, 1, page, &e), 0);
        cr_assert_eq(page[0] | page[4095], 0);
        cr_assert_eq(image_page_read(img, 20, 0x3000, 1, page, &e), 1, "a hole");
        cr_assert_eq(image_page_read(img, 23, 0, 1, page, &e), 1, "no such object");
}
