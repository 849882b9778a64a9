/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tmpfs: all that one can hold comes back, what covers a part of it is not entered, what cannot be kept is refused by name,
 * and no record leads out of it.
 */
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "proto/mnt-tmpfs.pb-c.h"
#include "tests/unit/mount-common.h"

typedef Gantry__MntTmpfs Message;
typedef Gantry__MntTmpfs__Node Node;

#define BIG ((size_t)300000)

static const struct mountinfo row = {.root = (char[]){"/"}, .target = (char[]){"/t"}, .options = (char[]){"rw"}, .type = (char[]){"tmpfs"},
                                     .source = (char[]){"tmpfs"}, .super_options = (char[]){"rw"}};

static char **options_of(const struct record *r, size_t *ret_n)
{
        const Message *m = (const void *)r->msg;

        *ret_n = m->n_option;
        return m->option;
}

Test(mnt_tmpfs, options)
{
        mount_options(&kind_mnt_tmpfs, &row, "ro,size=65536k,nr_inodes=16k,mode=755,uid=1,gid=2,huge=advise,inode64,noswap",
                      "ro;size=65536k;nr_inodes=16k;mode=755;uid=1;gid=2;huge=advise;inode64;noswap", options_of);
}

/* ---- with a file system ---- */

/* A tmpfs of our own on /tmp; its root directory. */
static int new_tmpfs(const char *options)
{
        enter_namespaces(0);
        cr_assert_eq(mount("tmpfs", "/tmp", "tmpfs", 0, options), 0);
        int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
        cr_assert_geq(fd, 0);
        return fd;
}

static void fill(const uint8_t *big)
{
        struct timespec old[2] = {{.tv_sec = 1000000000, .tv_nsec = 5}, {.tv_sec = 1000000000, .tv_nsec = 123456789}};

        cr_assert(mkdir("/tmp/sub", 0750) == 0 && mkdir("/tmp/sub/deep", 0700) == 0 && mkdir("/tmp/sub2", 01777) == 0);
        cr_assert_eq(chmod("/tmp/sub2", 01777), 0);
        write_file("/tmp/small", "small");
        write_file("/tmp/sub/deep/x", "deep");
        write_file("/tmp/none", "");
        cr_assert(link("/tmp/small", "/tmp/sub/twin") == 0 && chmod("/tmp/small", 04711) == 0);
        umask(0);
        cr_assert(symlink("/etc", "/tmp/link") == 0 && mkfifo("/tmp/fifo", 0620) == 0 && mknod("/tmp/sock", S_IFSOCK | 0600, 0) == 0);
        int fd = open("/tmp/big", O_WRONLY | O_CREAT, 0600);
        cr_assert(fd >= 0 && write(fd, big, BIG) == (ssize_t)BIG);
        close(fd);
        cr_assert_eq(utimensat(AT_FDCWD, "/tmp/small", old, 0), 0);
        cr_assert_eq(utimensat(AT_FDCWD, "/tmp/sub", old, 0), 0);
}

static void check_text(int dir, const char *path, const void *want, size_t n)
{
        _cleanup_free_ char *buf = malloc(n + 1);
        int fd = openat(dir, path, O_RDONLY);

        cr_assert(fd >= 0 && read(fd, buf, n + 1) == (ssize_t)n && memcmp(buf, want, n) == 0, "%s is not what it was", path);
        close(fd);
}

static mode_t mode_of(int dir, const char *path, struct stat *st)
{
        cr_assert_eq(fstatat(dir, path, st, AT_SYMLINK_NOFOLLOW), 0, "%s: %s", path, strerror(errno));
        return st->st_mode;
}

Test(mnt_tmpfs, content)
{
        static uint8_t big[BIG];
        int dir = new_tmpfs("size=8m,mode=1755");
        struct kt *t = kt_new();
        struct stat st, twin;
        char target[8] = "";

        for (size_t i = 0; i < BIG; i++)
                big[i] = (uint8_t)(i * 7 + i / 4099);
        fill(big);
        uint64_t id = mount_add(t, &kind_mnt_tmpfs, &row, "");
        kt_alias(t, id, dir);
        kt_dump(t);
        kt_close(t);
        cr_assert_eq(umount("/tmp"), 0);
        kt_sweep(t);
        check_text(dir, "small", "small", 5);
        check_text(dir, "sub/deep/x", "deep", 4);
        check_text(dir, "none", "", 0);
        check_text(dir, "big", big, BIG);
        cr_assert_eq(mode_of(dir, "small", &st), S_IFREG | 04711);
        cr_assert(st.st_mtim.tv_sec == 1000000000 && st.st_mtim.tv_nsec == 123456789);
        cr_assert(mode_of(dir, "sub/twin", &twin) && twin.st_ino == st.st_ino && twin.st_nlink == 2);
        cr_assert(mode_of(dir, "sub", &st) == (S_IFDIR | 0750) && st.st_mtim.tv_sec == 1000000000);
        cr_assert_eq(mode_of(dir, "sub2", &st), S_IFDIR | 01777);
        cr_assert_eq(mode_of(dir, "fifo", &st), S_IFIFO | 0620);
        cr_assert_eq(mode_of(dir, "sock", &st), S_IFSOCK | 0600);
        cr_assert_eq(mode_of(dir, ".", &st), S_IFDIR | 01755);
        cr_assert(readlinkat(dir, "link", target, sizeof(target) - 1) == 4 && strcmp(target, "/etc") == 0);
        kt_free(t);
}

static const Node *node_of(struct kt *t, const char *path)
{
        const Message *m = (const void *)kt_record(t, 1)->msg;

        for (size_t i = 0; i < m->n_node; i++)
                if (m->node[i]->path.len == strlen(path) && memcmp(m->node[i]->path.data, path, strlen(path)) == 0)
                        return m->node[i];
        return NULL;
}

/* Other mounts on a directory and on a file: their places are kept, and nothing of theirs. */
Test(mnt_tmpfs, covered)
{
        int dir = new_tmpfs("");
        struct kt *t = kt_new();

        cr_assert(mkdir("/tmp/d", 0700) == 0 && mkdir("/tmp/s", 0700) == 0);
        write_file("/tmp/d/below", "below");
        write_file("/tmp/f", "below");
        write_file("/tmp/s/on", "something that lies elsewhere");
        cr_assert(mount("tmpfs", "/tmp/d", "tmpfs", 0, NULL) == 0 && mount("/tmp/s/on", "/tmp/f", NULL, MS_BIND, NULL) == 0);
        write_file("/tmp/d/above", "above");
        kt_alias(t, mount_add(t, &kind_mnt_tmpfs, &row, ""), dir);
        kt_dump(t);
        const Gantry__MntTmpfs__Node *d = node_of(t, "d"), *f = node_of(t, "f");
        cr_assert(d && f && !node_of(t, "d/above") && !node_of(t, "d/below"));
        if (d && f) {   /* the compiler does not know that an assertion ends the test */
                cr_assert_eq(d->mode, S_IFDIR | 0755);
                cr_assert(f->mode == (S_IFREG | 0644) && f->size == 0 && !f->has_data);
        }
        cr_assert_eq(kt_check(t, NULL), 0);
        kt_free(t);
}

/* "ro" of the super block comes when the content is there. */
Test(mnt_tmpfs, read_only)
{
        int dir = new_tmpfs("");
        struct kt *t = kt_new();
        struct mountinfo m = row;

        write_file("/tmp/x", "x");
        m.super_options = (char[]){"ro,mode=755"};
        kt_alias(t, mount_add(t, &kind_mnt_tmpfs, &m, ""), dir);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        check_text(dir, "x", "x", 1);
        cr_assert(openat(dir, "y", O_WRONLY | O_CREAT, 0600) < 0 && errno == EROFS, "it can be written to");
        kt_free(t);
}

static void refused(int dir, const char *word)
{
        struct kt *t = kt_new();
        struct err err = {};

        kt_alias(t, mount_add(t, &kind_mnt_tmpfs, &row, ""), dir);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED, "'%s' is not refused", word);
        cr_assert_not_null(strstr(err.why, word), "%s", err.why);
        kt_free(t);
}

Test(mnt_tmpfs, refused)
{
        int dir = new_tmpfs("size=1g");
        char path[400] = "/tmp";

        write_file("/tmp/x", "x");
        cr_assert_eq(truncate("/tmp/x", 257l << 20), 0);
        refused(dir, "256 MiB");
        cr_assert_eq(unlink("/tmp/x"), 0);
        for (int i = 0; i < 66; i++) {
                snprintf(path + strlen(path), sizeof(path) - strlen(path), "/d");
                cr_assert_eq(mkdir(path, 0700), 0);
        }
        refused(dir, "64 deep");
        cr_assert_eq(umount("/tmp/"), -1, "it is busy");
}

/* ---- records ---- */

static Node *node(Message *m, const char *path, uint32_t mode)
{
        Node *n = KIND_NEW(Node, gantry__mnt_tmpfs__node__init);

        m->node = realloc(m->node, (m->n_node + 1) * sizeof(*m->node));
        m->node[m->n_node++] = n;
        n->path = (ProtobufCBinaryData){.len = strlen(path), .data = *path ? kind_memdup(path, strlen(path)) : NULL};
        n->mode = mode;
        n->has_size = S_ISREG(mode);
        return n;
}

static void text(ProtobufCBinaryData *b, const char *s)
{
        *b = (ProtobufCBinaryData){.len = strlen(s), .data = kind_memdup(s, strlen(s))};
}

static Message *message(struct kt *t)
{
        Message *m = KIND_NEW(Message, gantry__mnt_tmpfs__init);

        node(m, "", S_IFDIR | 0755);
        kt_give(t, 1, &kind_mnt_tmpfs, &m->base);
        return m;
}

static void give(struct kt *t, const char *option)
{
        Message *m = message(t);

        m->option = one_option(option);
        m->n_option = 1;
}

Test(mnt_tmpfs, golden)
{
        struct kt *t = kt_new();
        Message *m = message(t);
        Node *n;

        m->option = one_option("ro");
        m->n_option = 1;
        node(m, "d", S_IFDIR | 0700)->uid = 7;
        n = node(m, "d/f", S_IFREG | 0600);
        n->size = 2;
        n->has_data = true;
        text(&n->data, "hi");
        n = node(m, "l", S_IFLNK | 0777);
        n->has_target = true;
        text(&n->target, "d");
        n = node(m, "twin", S_IFREG | 0600);
        n->has_link = true;
        n->link = 3;
        node(m, "p", S_IFIFO | 0600);
        kt_golden(t, PH_MOUNTS, "tape of task 1000, 32 calls\n"
                                "# make a tmpfs (mnt-tmpfs 1)\n"
                                "0 fsopen(\"tmpfs\", 1)\n"
                                "1 fsconfig(r0, 1, \"source\", \"tmpfs\", 0)\n"
                                "2 fsconfig(r0, 6, 0, 0, 0)\n"
                                "3 fsmount(r0, 1, 0) keep 1\n"
                                "4 close(r0)\n"
                                "# make / in a tmpfs (mnt-tmpfs 1)\n"
                                "5 fchownat(r3, hex:00, 0, 0, 0x1100)\n"
                                "6 fchmodat(r3, \".\", 493)\n"
                                "# make /d in a tmpfs (mnt-tmpfs 1)\n"
                                "7 mkdirat(r3, \"d\", 448)\n"
                                "8 fchownat(r3, \"d\", 7, 0, 0x1100)\n"
                                "9 fchmodat(r3, \"d\", 448)\n"
                                "# make /d/f in a tmpfs (mnt-tmpfs 1)\n"
                                "10 openat(r3, \"d/f\", 0xa00c1, 384)\n"
                                "11 ftruncate(r10, 2)\n"
                                "12 pwrite64(r10, hex:6869, 2, 0) = 2\n"
                                "13 close(r10)\n"
                                "14 fchownat(r3, \"d/f\", 0, 0, 0x1100)\n"
                                "15 fchmodat(r3, \"d/f\", 384)\n"
                                "# make /l in a tmpfs (mnt-tmpfs 1)\n"
                                "16 symlinkat(\"d\", r3, \"l\")\n"
                                "17 fchownat(r3, \"l\", 0, 0, 0x1100)\n"
                                "# make /twin in a tmpfs (mnt-tmpfs 1)\n"
                                "18 linkat(r3, \"d/f\", r3, \"twin\", 0)\n"
                                "# make /p in a tmpfs (mnt-tmpfs 1)\n"
                                "19 mknodat(r3, \"p\", 0x1180, 0)\n"
                                "20 fchownat(r3, \"p\", 0, 0, 0x1100)\n"
                                "21 fchmodat(r3, \"p\", 384)\n"
                                "22 utimensat(r3, \"p\", hex:0000000000000000000000000000000000000000000000000000000000000000, 256)\n"
                                "23 utimensat(r3, \"twin\", hex:0000000000000000000000000000000000000000000000000000000000000000, 256)\n"
                                "24 utimensat(r3, \"l\", hex:0000000000000000000000000000000000000000000000000000000000000000, 256)\n"
                                "25 utimensat(r3, \"d/f\", hex:0000000000000000000000000000000000000000000000000000000000000000, 256)\n"
                                "26 utimensat(r3, \"d\", hex:0000000000000000000000000000000000000000000000000000000000000000, 256)\n"
                                "27 utimensat(r3, \".\", hex:0000000000000000000000000000000000000000000000000000000000000000, 256)\n"
                                "28 fspick(r3, hex:00, 9)\n"
                                "29 fsconfig(r28, 0, \"ro\", 0, 0)\n"
                                "30 fsconfig(r28, 7, 0, 0, 0)\n"
                                "31 close(r28)\n");
        kt_free(t);
}

enum bend { NOTHING, NO_ROOT, ROOT_FILE, TWO_ROOTS, ABSOLUTE, DOTS, DOT, EMPTY_NAME, SLASH_END, LONG_NAME, NUL, MODE, TIME, UID, GID, NO_PARENT,
            PARENT_LINK, PARENT_FILE, PARENT_LEFT, LINK_LATER, LINK_ITSELF, LINK_ZERO, LINK_TYPE, LINK_DIR, LINK_LINK, NO_TARGET, EMPTY_TARGET,
            TARGET_NUL, NO_SIZE, SIZE, DATA_SHORT, OFFSET, OFFSET_FAR, OFFSET_SMALL, OFFSET_DATA, SUM, SUM_ROUND, BLOCK, DEEP, BENDS };

static void bend_path(Message *m, enum bend how)
{
        char name[300] = "", deep[200] = "a";

        if (how == ABSOLUTE || how == DOTS || how == DOT || how == EMPTY_NAME || how == SLASH_END || how == NO_PARENT)
                node(m, how == ABSOLUTE ? "/etc" : how == DOTS ? "d/.." : how == DOT ? "d/." : how == EMPTY_NAME ? "d//x" : how == SLASH_END ? "d/" : "x/y",
                     S_IFDIR | 0700);
        memset(name, 'n', 256);
        if (how == LONG_NAME)
                node(m, name, S_IFDIR | 0700);
        if (how == NUL)
                node(m, "abc", S_IFDIR | 0700)->path.data[1] = '\0';
        if (how == PARENT_LINK)
                node(m, "l/x", S_IFREG | 0600);
        if (how == PARENT_FILE)
                node(m, "f/x", S_IFREG | 0600);
        if (how == PARENT_LEFT)
                node(m, "d/late", S_IFREG | 0600);
        for (int i = 0; how == DEEP && i < 70; i++) {
                node(m, deep, S_IFDIR | 0700);
                snprintf(deep + strlen(deep), sizeof(deep) - strlen(deep), "/a");
        }
        if (how == TWO_ROOTS)
                node(m, "", S_IFDIR | 0700);
}

static void bend_link(Message *m, enum bend how)
{
        if (how < LINK_LATER || how > LINK_LINK)
                return;
        Node *n = node(m, "z", how == LINK_TYPE ? S_IFIFO | 0600 : how == LINK_DIR ? S_IFDIR | 0700 : S_IFREG | 0600);
        n->has_link = true;
        /* 1 the root, 2 d, 3 f, 4 l, 5 twin of f, 6 this one */
        n->link = how == LINK_LATER ? 9 : how == LINK_ITSELF ? 6 : how == LINK_ZERO ? 0 : how == LINK_DIR ? 2 : how == LINK_LINK ? 5 : 3;
}

static void bend_node(Message *m, enum bend how)
{
        Node *f = m->node[2], *l = m->node[3];

        f->mode = how == MODE ? 0200000 | f->mode : how == BLOCK ? S_IFBLK | 0600 : f->mode;
        f->mtime_ns = how == TIME ? 1000000000 : 0;
        f->uid = how == UID ? UINT32_MAX : 0;
        f->gid = how == GID ? UINT32_MAX : 0;
        f->has_size = how != NO_SIZE;
        f->size = how == SIZE ? (UINT64_C(256) << 20) + 1 : how == DATA_SHORT ? 3 : f->size;
        if (how >= OFFSET && how <= SUM) {
                f->has_offset = true;
                f->offset = how == OFFSET ? 5 : how == OFFSET_FAR ? UINT64_C(1) << 40 : 0;
                f->size = how == OFFSET_SMALL ? 5 : how == SUM ? UINT64_C(256) << 20 : 100000;
                f->data.len = how == OFFSET_DATA ? f->data.len : 0;
        }
        if (how == SUM)
                m->node[4]->size = 1;
        if (how == SUM_ROUND) /* of what nobody writes; with the file's it would be less than that */
                m->node[0]->size = UINT64_MAX - 1;
        l->has_target = how != NO_TARGET;
        l->target.len = how == EMPTY_TARGET ? 0 : l->target.len;
        if (how == TARGET_NUL)
                l->target.data[0] = '\0';
}

Test(mnt_tmpfs, hostile)
{
        static const char *const bad[] = {"size=", "size=1x", "size=1kk", "mode=-1", "uid=4294967295", "huge=A", "inode64=1", "noswap=", "mpol=bind:0"};

        mount_hostile(&kind_mnt_tmpfs, give);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct kt *t = kt_new();
                give(t, bad[i]);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "'%s' is accepted", bad[i]);
                kt_free(t);
        }
        for (int how = 0; how < BENDS; how++) {
                struct kt *t = kt_new();
                Message *m = message(t);
                node(m, "d", S_IFDIR | 0700);
                Node *f = node(m, "f", S_IFREG | 0600), *l = node(m, "l", S_IFLNK | 0777), *twin = node(m, "twin", S_IFREG | 0600);
                f->size = 2;
                f->has_data = true;
                text(&f->data, "hi");
                text(&l->target, "/etc");
                twin->has_link = true;
                twin->link = 3;
                bend_path(m, (enum bend)how);
                bend_link(m, (enum bend)how);
                bend_node(m, (enum bend)how);
                if (how == NO_ROOT)
                        text(&m->node[0]->path, "r");
                m->node[0]->mode = how == ROOT_FILE ? S_IFREG | 0600 : m->node[0]->mode;
                cr_assert_eq(kt_check(t, NULL), how == NOTHING ? 0 : -EX_IMAGE, "bend %d", how);
                kt_free(t);
        }
}
