/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrploop: disk images by hand.
 *
 * Each verb is a table of options and one function that calls ploop/. `mount` mounts in the caller's own mount namespace, private, so that no other namespace holds the image after `umount`; the loop device
 * frees itself then. An image of a running container is refused: its device is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/mountapi.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/signals.h"
#include "base/str.h"
#include "base/sys.h"
#include "ploop/ploop.h"
#include "tools/common.h"

#define LOOP_MAJOR 7

static int run_create(const struct args *a, struct err *err)
{
        struct image_options io = {.label = arg(a, "label")};
        const char *size = arg(a, "size");

        if (!size) {
                err_set(err, EX_USAGE, "cannot create the image", "no size is given", "%s", a->operand[0]);
                return err_remedy(err, "add --size, for example --size 10G");
        }
        int r = parse_size(size, &io.size, err);
        if (r < 0)
                return err_wrap(err, "cannot use the option", "--size %s", size);
        sigset_t before;
        r = signals_hold(&before, err);
        if (r < 0)
                return r;
        r = image_create(AT_FDCWD, a->operand[0], &io, err);
        /* A Ctrl-C ends mke2fs, and its failure is no news then. */
        if (r < 0 && signals_check("cannot create the image", a->operand[0], err) < 0)
                r = -EX_INTERRUPTED;
        signals_release(&before, r);
        return r;
}

static void print_json(const char *path, const struct disk_info *i)
{
        _cleanup_strbuf_ struct strbuf b = {};

        strbuf_adds(&b, "{\"image\":");
        strbuf_json(&b, path);
        strbuf_addf(&b, ",\"size\":%" PRIu64 ",\"allocated\":%" PRIu64, i->size, i->allocated);
        strbuf_addf(&b, ",\"fs_size\":%" PRIu64 ",\"fs_free\":%" PRIu64, i->fs_size, i->fs_free);
        strbuf_addf(&b, ",\"inodes\":%" PRIu64 ",\"inodes_free\":%" PRIu64, i->inodes, i->inodes_free);
        strbuf_addf(&b, ",\"block_size\":%u,\"uuid\":\"", i->block_size);
        for (int k = 0; k < 16; k++)
                strbuf_addf(&b, "%02x%s", i->uuid[k], k == 3 || k == 5 || k == 7 || k == 9 ? "-" : "");
        strbuf_adds(&b, "\",\"label\":");
        strbuf_json(&b, i->label);
        strbuf_addf(&b, ",\"clean\":%s,\"device\":", i->clean ? "true" : "false");
        if (i->attached)
                strbuf_json(&b, i->device);
        else
                strbuf_adds(&b, "null");
        _cleanup_free_ char *text = strbuf_take(&b);
        if (text)
                printf("%s}\n", text);
}

static void print_text(const char *path, const struct disk_info *i)
{
        const double mib = 1048576.0;

        printf("image      %s\n", path);
        printf("size       %.1f MiB, %.1f MiB of it allocated on the host\n", (double)i->size / mib,
               (double)i->allocated / mib);
        printf("ext4       %.1f MiB, %.1f MiB free, blocks of %u bytes\n", (double)i->fs_size / mib,
               (double)i->fs_free / mib, i->block_size);
        printf("inodes     %" PRIu64 ", %" PRIu64 " free\n", i->inodes, i->inodes_free);
        printf("uuid       ");
        for (int k = 0; k < 16; k++)
                printf("%02x%s", i->uuid[k], k == 3 || k == 5 || k == 7 || k == 9 ? "-" : "");
        /* Whoever made the image chose it; the terminal is ours. */
        printf("\nlabel      ");
        for (const char *c = i->label; *c; c++)
                putchar((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f ? '?' : *c);
        printf("\nstate      %s\n",
               i->clean ? "clean" : i->attached ? "in use" : "not unmounted cleanly (the journal repairs it at the next mount)");
        printf("attached   %s\n", i->attached ? i->device : "no");
}

static int run_info(const struct args *a, struct err *err)
{
        const char *image = a->operand[0];
        struct disk_info i;
        _cleanup_close_ int fd = path_open(AT_FDCWD, image, O_RDONLY | O_NONBLOCK, 0, err);

        if (fd < 0) {
                if (err->sys == ENOENT || err->sys == -ENOENT)
                        err->code = EX_UNKNOWN;
                return -err->code;
        }
        if (disk_info(fd, &i, err) < 0)
                return err_wrap(err, "cannot show the image", "%s", image);
        if (arg_flag(a, "json"))
                print_json(image, &i);
        else
                print_text(image, &i);
        return 0;
}

static int run_mount(const struct args *a, struct err *err)
{
        const char *image = a->operand[0], *dir = a->operand[1];
        bool read_only = arg_flag(a, "read-only");
        struct image_attach_options ao = {.read_only = read_only, .minor = -1};
        _cleanup_close_ int loop = -1, mount = -1;
        struct disk_info i;
        struct stat st;

        if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
                return err_set(err, EX_USAGE, "cannot mount", "there is no such directory", "%s", dir);
        _cleanup_close_ int fd = path_open(AT_FDCWD, image, read_only ? O_RDONLY : O_RDWR, 0, err);
        if (fd < 0) {
                if (err->sys == ENOENT || err->sys == -ENOENT)
                        err->code = EX_UNKNOWN;
                return -err->code;
        }
        int r = disk_info(fd, &i, err);
        if (r == 0) {
                ao.block_size = i.block_size < 4096 ? 512 : 0;
                r = image_attach(fd, &ao, &loop, err);
        }
        if (r == 0)
                r = image_mount(loop, read_only, NULL, &mount, err);
        if (r < 0)
                return err_wrap(err, "cannot mount", "%s", image);
        r = mount_attach(mount, AT_FDCWD, dir, err);
        if (r == 0)
                r = mount_propagation(dir, MS_PRIVATE, false, err);
        return r;
}

/* Never unmounts anything but an image's root: a slip would take a file system of the host away. */
static int check_mount(const char *dir, struct err *err)
{
        struct statx x;

        if (statx(AT_FDCWD, dir, 0, STATX_BASIC_STATS, &x) < 0)
                return err_sys(err, errno == ENOENT ? EX_UNKNOWN : EX_FAIL, errno, "cannot unmount", "%s", dir);
        if (!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT))
                return err_set(err, EX_STATE, "cannot unmount", "nothing is mounted there", "%s", dir);
        if (x.stx_dev_major != LOOP_MAJOR)
                return err_set(err, EX_STATE, "cannot unmount", "what is mounted there is no image", "%s", dir);
        return 0;
}

static int run_umount(const struct args *a, struct err *err)
{
        const char *dir = a->operand[0];
        int r = check_mount(dir, err);

        if (r < 0)
                return r;
        r = sys_umount2(dir, UMOUNT_NOFOLLOW);
        if (r == -EBUSY) {
                err_sys(err, EX_STATE, r, "cannot unmount", "%s", dir);
                return err_remedy(err, "close what is open below it (see fuser -m %s)", dir);
        }
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot unmount", "%s", dir) : 0;
}

static const struct verb verb_create = {
        .name = "create",
        .operands = "IMAGE",
        .help = "make an empty image",
        .options = {{"size", "SIZE", "of the image: 10G, 512M"}, {"label", "TEXT", "at most 16 bytes"}},
        .min = 1,
        .max = 1,
        .run = run_create,
};

static const struct verb verb_info = {
        .name = "info",
        .operands = "IMAGE",
        .help = "what is in an image",
        .options = {{"json", NULL, "one object"}},
        .min = 1,
        .max = 1,
        .run = run_info,
};

static const struct verb verb_mount = {
        .name = "mount",
        .operands = "IMAGE DIR",
        .help = "mount an image, private to this mount namespace",
        .options = {{"read-only", NULL, "without writing"}},
        .min = 2,
        .max = 2,
        .run = run_mount,
};

static const struct verb verb_umount = {
        .name = "umount",
        .operands = "DIR",
        .help = "unmount an image; its loop device frees itself",
        .min = 1,
        .max = 1,
        .run = run_umount,
};

static const struct verb *const verbs[] = {&verb_create, &verb_info, &verb_mount, &verb_umount};

int main(int argc, char **argv)
{
        const struct program p = {.name = "ctrploop", .summary = "disk images of containers", .verbs = verbs, .n = ELEMENTSOF(verbs)};

        return program_main(&p, argc, argv);
}
