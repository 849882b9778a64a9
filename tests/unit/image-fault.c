/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing and reading an image with its k-th system call failing, for k = 1, 2, 3 … until a run is clean: an error
 * is told, no file, descriptor or child is left, and what exists under the image's name is whole.
 *
 * The calls go through base/sys.h; the linker puts these wrappers in between (--wrap).
 */
#include "tests/unit/image-common.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/sys.h"

/* Calls until the one that fails; 0: none does (any more). One test process, one thread. */
struct fault {
        unsigned left;
        bool hit;
        const char *name;
};

static struct fault *fault(void)
{
        static struct fault f;

        return &f;
}

static bool fails(const char *name)
{
        struct fault *f = fault();

        if (!f->left || --f->left)
                return false;
        f->hit = true;
        f->name = name;
        return true;
}

#define WRAP(type, name, args, values)                                                                       \
        type __real_sys_##name args;                                                                         \
        type __wrap_sys_##name args;                                                                         \
        type __wrap_sys_##name args                                                                          \
        {                                                                                                    \
                return fails(#name) ? -EIO : __real_sys_##name values;                                       \
        }
WRAP(int, openat, (int d, const char *p, int f, mode_t m), (d, p, f, m))
WRAP(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m))
WRAP(int, renameat2, (int a, const char *b, int c, const char *d, unsigned f), (a, b, c, d, f))
WRAP(int, fsync, (int fd), (fd))
WRAP(int64_t, pread, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
WRAP(int64_t, pwrite, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
WRAP(int64_t, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP(int64_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(int64_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f))
WRAP(int, pidfd_open, (pid_t pid, unsigned f), (pid, f))
WRAP(int, memfd_create, (const char *n, unsigned f), (n, f))

static size_t open_fds(void)
{
        struct dir self = {.path = "/proc/self/fd"};

        return dir_entries(&self);
}

static bool no_children(void)
{
        return waitpid(-1, NULL, WNOHANG) == -1;
}

/* Like write_image(), but an error is an answer. */
static int try_write(const struct dir *d, struct err *e)
{
        struct image_writer *w = NULL;
        int r = image_writer_open(d->fd, "one", &test_types, &w, e);

        if (r < 0)
                return r;
        struct record_sink s = image_writer_records(w);
        r = image_header_put(&s, &(struct image_meta){.uuid = "u-1"}, e);
        if (r == 0)
                r = put_data(w, 20, 0x1000, 2, 'x', e);
        if (r == 0)
                r = image_page_sink.sync(w, e);
        if (r == 0)
                r = put_pipe(&s, 1, 0, e);
        if (r < 0) {
                image_writer_abort(w);
                return r;
        }
        return image_writer_close(w, e);
}

Test(image_fault, writing)
{
        struct dir d = dir_make();
        size_t fds = open_fds();
        unsigned k = 1;

        for (;; k++) {
                struct err e = {};
                *fault() = (struct fault){.left = k};
                int r = try_write(&d, &e);
                struct fault f = *fault();
                *fault() = (struct fault){};
                cr_assert_eq(open_fds(), fds, "step %u: a descriptor was left", k);
                if (!f.hit) {
                        cr_assert_eq(r, 0);
                        break;
                }
                cr_assert_lt(r, 0, "step %u (%s): the failure was not told", k, f.name);
                cr_assert_eq(e.code, -r, "step %u (%s)", k, f.name);
                cr_assert_eq(dir_entries(&d), 0, "step %u (%s): something was left", k, f.name);
        }
        cr_assert_gt(k, 10, "the sweep met too few calls to be one");
        cr_assert_eq(dir_entries(&d), 1);
        cr_assert_eq(image_verify(d.fd, "one", &test_types, &(struct image_info){}, NULL), 0);
        dir_done(&d);
}

Test(image_fault, reading)
{
        struct dir d = dir_make();
        unsigned k = 1;

        write_image(&d, "one");
        size_t fds = open_fds();
        for (;; k++) {
                struct image *img = NULL;
                struct err e = {};
                *fault() = (struct fault){.left = k};
                int r = image_open(d.fd, "one", &test_types, &img, &e);
                struct fault f = *fault();
                *fault() = (struct fault){};
                if (!f.hit) {
                        cr_assert_eq(r, 0);
                        image_close(img);
                        break;
                }
                cr_assert_lt(r, 0, "step %u (%s): the failure was not told", k, f.name);
                cr_assert_null(img);
                cr_assert_eq(open_fds(), fds, "step %u (%s): a descriptor was left", k, f.name);
                cr_assert(no_children(), "step %u (%s): a child was left", k, f.name);
        }
        cr_assert_gt(k, 8, "the sweep met too few calls to be one");
        dir_done(&d);
}

Test(image_fault, receiving)
{
        _cleanup_close_ int fd = open(TEST_SOURCE_ROOT "/tests/fuzz/corpus/image/runs.stream", O_RDONLY | O_CLOEXEC);
        size_t fds = open_fds();
        unsigned k = 1;

        cr_assert_geq(fd, 0);
        for (;; k++) {
                struct image *img = NULL;
                struct err e = {};
                cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
                *fault() = (struct fault){.left = k};
                int r = image_receive_fd(fd, NULL, 1 << 20, &img, &e);
                struct fault f = *fault();
                *fault() = (struct fault){};
                if (!f.hit) {
                        cr_assert_eq(r, 0);
                        image_close(img);
                        break;
                }
                cr_assert_lt(r, 0, "step %u (%s): the failure was not told", k, f.name);
                cr_assert_eq(open_fds(), fds, "step %u (%s): a descriptor was left", k, f.name);
                cr_assert(no_children(), "step %u (%s): a child was left", k, f.name);
        }
        cr_assert_gt(k, 8, "the sweep met too few calls to be one");
}
