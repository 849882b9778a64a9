/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making an image and looking at it, without a loop device: no root is needed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "ploop/ploop.h"

struct place {
        char path[64];
        int dir;
};

static struct place start(void)
{
        struct place p = {.path = "/var/tmp/ploop-unit-XXXXXX"};

        cr_assert_not_null(mkdtemp(p.path));
        p.dir = path_open(AT_FDCWD, p.path, O_RDONLY | O_DIRECTORY, 0, NULL);
        cr_assert_geq(p.dir, 0);
        return p;
}

static void end(struct place *p)
{
        fd_close(p->dir);
        cr_assert_eq(path_remove_tree(AT_FDCWD, p->path, NULL), 0);
}

Test(ploop_create, options_arrive)
{
        struct image_options o = {.size = UINT64_C(256) << 20, .label = "sixteen-bytes-is", .uuid = {0xab, 1, [15] = 9}};
        struct place p = start();
        struct disk_info i = {};
        struct err err = {};
        struct stat st;

        cr_assert_eq(image_create(p.dir, "root.img", &o, &err), 0, "%s: %s", err.what, err.why);
        cr_assert_not(path_exists(p.dir, "root.img.tmp"));
        int fd = path_open(p.dir, "root.img", O_RDONLY, 0, NULL);
        cr_assert_eq(disk_info(fd, &i, &err), 0, "%s", err.why);
        cr_assert_eq(fstat(fd, &st), 0);
        fd_close(fd);
        cr_assert_eq(st.st_mode & 0777, 0600);
        cr_assert_eq(i.size, o.size);
        cr_assert_eq(i.fs_size, o.size);
        cr_assert_lt(i.allocated, UINT64_C(8) << 20);
        cr_assert_str_eq(i.label, o.label);
        cr_assert_arr_eq(i.uuid, o.uuid, 16);
        cr_assert(i.clean);
        cr_assert_not(i.attached);
        cr_assert_eq(image_create(p.dir, "root.img", &o, &err), -EX_EXISTS);
        cr_assert(err.remedy[0]);
        end(&p);
}

Test(ploop_create, two_images_differ_in_their_uuid)
{
        struct image_options o = {.size = UINT64_C(64) << 20};
        struct place p = start();
        struct disk_info a = {}, b = {};

        cr_assert_eq(image_create(p.dir, "a", &o, NULL), 0);
        cr_assert_eq(image_create(p.dir, "b", &o, NULL), 0);
        int fa = path_open(p.dir, "a", O_RDONLY, 0, NULL), fb = path_open(p.dir, "b", O_RDONLY, 0, NULL);
        cr_assert_eq(disk_info(fa, &a, NULL), 0);
        cr_assert_eq(disk_info(fb, &b, NULL), 0);
        fd_close(fa);
        fd_close(fb);
        cr_assert(memcmp(a.uuid, b.uuid, 16) != 0);
        end(&p);
}

Test(ploop_create, refused)
{
        struct image_options o = {.size = 1 << 20};
        struct place p = start();
        struct err err = {};

        cr_assert_eq(image_create(p.dir, "a", &o, &err), -EX_USAGE);
        o.size = (UINT64_C(64) << 20) + 1;
        cr_assert_eq(image_create(p.dir, "a", &o, &err), -EX_USAGE);
        o.size = UINT64_MAX;
        cr_assert_eq(image_create(p.dir, "a", &o, &err), -EX_USAGE);
        o.size = UINT64_C(64) << 20;
        o.label = "seventeen-bytes-!";
        cr_assert_eq(image_create(p.dir, "a", &o, &err), -EX_USAGE);
        o.label = NULL;
        cr_assert_eq(image_create(p.dir, "no/a", &o, &err), -EX_FAIL);
        /* Larger than any file here can be: nothing may be left. */
        o.size = UINT64_C(1) << 58;
        cr_assert_eq(image_create(p.dir, "a", &o, &err), -EX_NOSPC, "%d %s", err.code, err.why);
        cr_assert_not(path_exists(p.dir, "a"));
        cr_assert_not(path_exists(p.dir, "a.tmp"));
        /* A link in the temporary file's place is not followed. */
        cr_assert_eq(symlinkat("victim", p.dir, "a.tmp"), 0);
        o.size = UINT64_C(64) << 20;
        cr_assert_lt(image_create(p.dir, "a", &o, &err), 0);
        cr_assert_not(path_exists(p.dir, "victim"));
        end(&p);
}
