/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every call of making an image, looking at it and hashing it fails once: it is told, and nothing is left behind. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "ploop/ploop.h"
#include "tests/sys_fault.h"

static size_t entries(const char *path)
{
        _cleanup_closedir_ DIR *d = opendir(path);
        size_t n = 0;

        cr_assert_not_null(d);
        while (readdir(d))
                n++;
        return n;
}

/* Makes an image, looks at it, hashes it; the image is removed again where it was made. */
static int sequence(int dir, bool *made)
{
        struct image_options o = {.size = UINT64_C(16) << 20};
        struct block_hashes *h = NULL;
        _cleanup_free_ struct range *at = NULL;
        struct disk_info info;
        struct err err = {};
        size_t n = 0;
        int r = image_create(dir, "a", &o, &err);

        *made = r == 0;
        if (r == 0) {
                _cleanup_close_ int fd = path_open(dir, "a", O_RDONLY, 0, &err);
                r = fd < 0 ? fd : disk_info(fd, &info, &err);
                if (r == 0)
                        r = hashes_take(fd, &h, &at, &n, &err);
        }
        hashes_free(h);
        cr_expect_eq(r < 0, err_is_set(&err), "an error without a text, or a text without an error");
        return r;
}

Test(ploop_fault, sweep)
{
        char path[] = "/var/tmp/ploop-fault-XXXXXX";
        bool fired = true;

        cr_assert_not_null(mkdtemp(path));
        _cleanup_close_ int dir = path_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, NULL);
        size_t fds = entries("/proc/self/fd");
        for (unsigned long k = 1; fired; k++) {
                bool made = false;

                sys_fault_arm(k, ENOSPC);
                int r = sequence(dir, &made);
                sys_fault_disarm();
                fired = sys_fault_fired();
                cr_expect_eq(entries("/proc/self/fd"), fds, "step %lu (%s) leaks a descriptor", k, sys_fault_name());
                cr_expect(r < 0 || !fired || strcmp(sys_fault_name(), "read") == 0, "step %lu (%s) went unnoticed", k,
                          sys_fault_name());
                if (made)
                        cr_assert_eq(unlinkat(dir, "a", 0), 0);
                cr_expect_eq(entries(path), 2, "step %lu (%s) leaves a file", k, sys_fault_name());
                cr_assert_lt(k, 200);
        }
        cr_assert_eq(path_remove_tree(AT_FDCWD, path, NULL), 0);
}
