/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making a template: mmdebstrap installs into a directory, mke2fs puts the directory into an image.
 *
 * Both run in a mount namespace of their own (unshare of util-linux), so that an installer that is killed leaves no
 * mount. The directory is .NAME.tmp below LIB_DIR/template, locked while it is used; what a killed run left is removed by the
 * next. Packages come from the node's own apt sources for the release, so that a node that uses a mirror keeps to
 * it; --mirror overrides. Documentation, manual pages and translations are left out, and apt's lists and packages: a
 * container copies the whole image.
 *
 * The file system has the features of ploop's own images: its UUID can change while it is mounted, nothing depends
 * on the node's mke2fs.conf.
 */
#include "engine/template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/signals.h"
#include "base/spawn.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/ct-int.h"

#define DIR_NAME "template"
#define SIZE_DEFAULT (UINT64_C(1) << 30)
#define FEATURES                                                                                             \
        "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"       \
        "large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed"

static const char cannot[] = "cannot make the template";

static const struct { const char *name, *suite; } known[] = {{"debian-12", "bookworm"}, {"debian-13", "trixie"}};

static int find_suite(const char *name, const char **ret, struct err *err)
{
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (str_eq(known[i].name, name)) {
                        *ret = known[i].suite;
                        return 0;
                }
        err_set(err, EX_UNKNOWN, cannot, "no such distribution", "%s", name);
        return err_remedy(err, "known: debian-12, debian-13");
}

static int check_words(const char *text, const char *also, const char *what, struct err *err)
{
        for (const char *p = text; p && *p; p++)
                if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr(also, *p)))
                        return err_set(err, EX_USAGE, cannot, "a character that does not belong there", "%s %s", what, text);
        return 0;
}

static int install(const char *root, const char *suite, const struct template_options *o, struct err *err)
{
        char include[2048];
        const char *argv[40] = {"unshare", "--mount", "--propagation", "private", "--", "mmdebstrap", "--quiet", "--mode=root",
                                "--variant=minbase",
                                "--dpkgopt=path-exclude=/usr/share/man/*",
                                "--dpkgopt=path-exclude=/usr/share/doc/*",
                                "--dpkgopt=path-exclude=/usr/share/locale/*",
                                "--aptopt=APT::Install-Recommends \"false\""};
        size_t n = 0;

        while (argv[n])
                n++;
        if (snprintf(include, sizeof(include), "--include=%s", o->packages ? o->packages : "") >= (int)sizeof(include))
                return err_set(err, EX_USAGE, cannot, "too many packages", "%s", o->name);
        if (o->packages && *o->packages)
                argv[n++] = include;
        argv[n++] = suite;
        argv[n++] = root;
        if (o->mirror)
                argv[n++] = o->mirror;
        int r = spawn_check(EX_FAIL, argv, err);
        if (r < 0) {
                err_wrap(err, cannot, "%s", o->name);
                return err_remedy(err, "are mmdebstrap installed and the mirror reachable? see ctrctl template create --help");
        }
        return 0;
}

/* What a copy must not inherit. */
static int neutralise(int dir, const char *tree, struct err *err)
{
        static const char *const gone[] = {"etc/hostname", "etc/resolv.conf", "var/lib/dbus/machine-id"};
        _cleanup_close_ int root = path_open(dir, tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);

        if (root < 0)
                return root;
        for (size_t i = 0; i < ELEMENTSOF(gone); i++) {
                int r = sys_unlinkat(root, gone[i], 0);
                if (r < 0 && r != -ENOENT && r != -ENOTDIR)
                        return err_sys(err, EX_FAIL, r, cannot, "%s", gone[i]);
        }
        int r = path_replace(root, "etc/machine-id", "", 0, 0444, err);
        if (r == 0)
                r = path_replace(root, "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", 34, 0644, err);
        return r;
}

static int make_image(const char *root, const char *image, const struct template_options *o, struct err *err)
{
        char blocks[32];
        uint64_t size = o->size ? o->size : SIZE_DEFAULT;
        const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0", "-O", FEATURES,
                              "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0", "-e", "remount-ro",
                              "-L", o->name, "-d", root, image, blocks, NULL};

        snprintf(blocks, sizeof(blocks), "%llu", (unsigned long long)(size / 4096));
        int r = spawn_check(EX_DISK, argv, err);
        if (r < 0) {
                err_wrap(err, cannot, "%s", o->name);
                return err_remedy(err, "is --size large enough?");
        }
        return 0;
}

/* LIB_DIR/template, and its lock: one template of a name is made at a time. */
static int open_dir(struct node *n, const char *name, int *ret_lock, struct err *err)
{
        char lock[96];
        int r = path_mkdir_p(n->lib, DIR_NAME, 0755, err);

        if (r < 0)
                return r;
        _cleanup_close_ int dir = path_open(n->lib, DIR_NAME, O_RDONLY | O_DIRECTORY, 0, err);
        if (dir < 0)
                return dir;
        snprintf(lock, sizeof(lock), "template-%s.lock", name);
        *ret_lock = lock_file(n->run, lock, CT_LOCK_EXCLUSIVE, 0, name, err);
        return *ret_lock < 0 ? *ret_lock : TAKE_FD(dir);
}

static int publish(int dir, const char *tmp, const char *name, struct err *err)
{
        char image[96];
        _cleanup_close_ int fd = path_open(dir, tmp, O_RDWR | O_NOFOLLOW, 0, err);
        int r = fd < 0 ? fd : sys_fsync(fd);

        if (r < 0)
                return fd < 0 ? fd : err_sys(err, EX_FAIL, r, cannot, "%s", name);
        snprintf(image, sizeof(image), "%s.img", name);
        r = sys_renameat2(dir, tmp, dir, image, 0);
        if (r == 0)
                r = sys_fsync(dir);
        return r < 0 ? err_sys(err, EX_FAIL, r, cannot, "%s", name) : 0;
}

static int make(int dir, const struct template_options *o, const char *suite, struct err *err)
{
        char tree[96], image[96], tree_path[192], image_path[192];

        snprintf(tree, sizeof(tree), ".%s.tmp", o->name);
        snprintf(image, sizeof(image), ".%s.img.tmp", o->name);
        snprintf(tree_path, sizeof(tree_path), LIB_DIR "/" DIR_NAME "/%s", tree);
        snprintf(image_path, sizeof(image_path), LIB_DIR "/" DIR_NAME "/%s", image);
        int r = path_remove_tree(dir, tree, err);
        if (r == 0)
                r = path_remove_tree(dir, image, err);
        if (r == 0)
                r = install(tree_path, suite, o, err);
        if (r == 0)
                r = neutralise(dir, tree, err);
        if (r == 0)
                r = make_image(tree_path, image_path, o, err);
        if (r == 0)
                r = publish(dir, image, o->name, err);
        (void)path_remove_tree(dir, tree, NULL);  /* the next run removes them otherwise */
        (void)path_remove_tree(dir, image, NULL);
        return r;
}

int template_create(struct node *n, const struct template_options *o, struct err *err)
{
        const char *suite = NULL;
        int r = find_suite(o->name, &suite, err);

        if (r == 0)
                r = check_words(o->packages, ",.+-", "--packages", err);
        if (r == 0 && o->size && (o->size % 4096 || o->size < (UINT64_C(256) << 20)))
                r = err_set(err, EX_USAGE, cannot, "the size is below 256M or no multiple of 4K", "%s", o->name);
        if (r < 0)
                return r;
        _cleanup_close_ int lock = -1;
        _cleanup_close_ int dir = open_dir(n, o->name, &lock, err);
        sigset_t before;
        if (dir < 0 || (r = signals_hold(&before, err)) < 0)
                return dir < 0 ? dir : r;
        /* What it runs hears the terminal's signals by itself and ends; we remove what it has made. */
        r = make(dir, o, suite, err);
        if (r < 0 && signals_check(cannot, o->name, err) < 0)
                r = -EX_INTERRUPTED;
        signals_release(&before, r);
        return r;
}
