/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrploop: disk images by hand.
 *
 * Each verb is a row of a table: its options, its operands and one function that calls ploop/. `mount` mounts in the
 * caller's own mount namespace, private, so that no other namespace holds the image after `umount`; the loop device
 * frees itself then. An image of a running container is refused: its device is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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
#include "base/str.h"
#include "base/sys.h"
#include "ploop/ploop.h"

#define LOOP_MAJOR 7

struct options {
        const char *size, *label;
        bool read_only, json;
};

struct verb {
        const char *name, *operands, *help;
        int n_operands;
        const char *accepts; /* short names of the options that it takes */
        int (*run)(const struct options *o, char *const operand[], struct err *err);
};

static const struct option long_options[] = {
        {"size", required_argument, NULL, 's'}, {"label", required_argument, NULL, 'L'},
        {"read-only", no_argument, NULL, 'r'},  {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {"version", no_argument, NULL, 'V'},
        {},
};

static int run_create(const struct options *o, char *const operand[], struct err *err)
{
        struct image_options io = {.label = o->label};

        if (!o->size) {
                err_set(err, EX_USAGE, "cannot create the image", "no size is given", "%s", operand[0]);
                return err_remedy(err, "add --size, for example --size 10G");
        }
        int r = parse_size(o->size, &io.size, err);
        if (r < 0)
                return err_wrap(err, "cannot use the option", "--size %s", o->size);
        return image_create(AT_FDCWD, operand[0], &io, err);
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
        printf("\nlabel      %s\nstate      %s\n", i->label,
               i->clean ? "clean" : i->attached ? "in use" : "not unmounted cleanly (the journal repairs it at the next mount)");
        printf("attached   %s\n", i->attached ? i->device : "no");
}

static int run_info(const struct options *o, char *const operand[], struct err *err)
{
        struct disk_info i;
        _cleanup_close_ int fd = path_open(AT_FDCWD, operand[0], O_RDONLY | O_NONBLOCK, 0, err);

        if (fd < 0) {
                if (err->sys == ENOENT || err->sys == -ENOENT)
                        err->code = EX_UNKNOWN;
                return -err->code;
        }
        if (disk_info(fd, &i, err) < 0)
                return err_wrap(err, "cannot show the image", "%s", operand[0]);
        if (o->json)
                print_json(operand[0], &i);
        else
                print_text(operand[0], &i);
        return 0;
}

static int run_mount(const struct options *o, char *const operand[], struct err *err)
{
        struct image_attach_options ao = {.read_only = o->read_only, .minor = -1};
        _cleanup_close_ int loop = -1, mount = -1;
        struct disk_info i;
        struct stat st;

        if (stat(operand[1], &st) < 0 || !S_ISDIR(st.st_mode))
                return err_set(err, EX_USAGE, "cannot mount", "there is no such directory", "%s", operand[1]);
        _cleanup_close_ int fd = path_open(AT_FDCWD, operand[0], o->read_only ? O_RDONLY : O_RDWR, 0, err);
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
                r = image_mount(loop, o->read_only, NULL, &mount, err);
        if (r < 0)
                return err_wrap(err, "cannot mount", "%s", operand[0]);
        r = mount_attach(mount, AT_FDCWD, operand[1], err);
        if (r == 0)
                r = mount_propagation(operand[1], MS_PRIVATE, false, err);
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

static int run_umount(const struct options *o, char *const operand[], struct err *err)
{
        int r = check_mount(operand[0], err);

        (void)o;
        if (r < 0)
                return r;
        r = sys_umount2(operand[0], UMOUNT_NOFOLLOW);
        if (r == -EBUSY) {
                err_sys(err, EX_STATE, r, "cannot unmount", "%s", operand[0]);
                return err_remedy(err, "close what is open below it (see fuser -m %s)", operand[0]);
        }
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot unmount", "%s", operand[0]) : 0;
}

static const struct verb verbs[] = {
        {"create", "IMAGE", "make an empty image (--size, --label)", 1, "sL", run_create},
        {"info", "IMAGE", "what is in an image (--json)", 1, "j", run_info},
        {"mount", "IMAGE DIR", "mount an image, private to this mount namespace (--read-only)", 2, "r", run_mount},
        {"umount", "DIR", "unmount an image; its loop device frees itself", 1, "", run_umount},
};

static void help(void)
{
        printf("ctrploop: disk images of containers\n\n");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                printf("  ctrploop %-7s %-10s  %s\n", verbs[i].name, verbs[i].operands, verbs[i].help);
        printf("\n  --size SIZE    size of a new image: 10G, 512M\n"
               "  --label TEXT   label of a new image, at most 16 bytes\n"
               "  --read-only    mount without writing\n"
               "  --json         one JSON object\n"
               "  --help, --version\n");
}

static int usage(struct err *err, const char *why, const char *on)
{
        err_set(err, EX_USAGE, "wrong command line", why, "%s", on);
        return err_remedy(err, "see ctrploop --help");
}

static const struct verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (str_eq(verbs[i].name, name))
                        return &verbs[i];
        return NULL;
}

/* 1: help or version was printed. `given` collects the short names seen. */
static int parse_options(int argc, char **argv, struct options *o, char given[16], struct err *err)
{
        size_t n = 0;
        int c;

        opterr = 0;
        while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
                switch (c) {
                case 's':
                        o->size = optarg;
                        break;
                case 'L':
                        o->label = optarg;
                        break;
                case 'r':
                        o->read_only = true;
                        break;
                case 'j':
                        o->json = true;
                        break;
                case 'h':
                        help();
                        return 1;
                case 'V':
                        printf("ctrploop (Gantry) %s\n", GANTRY_VERSION);
                        return 1;
                default:
                        return usage(err, "unknown option, or its value is missing", argv[optind - 1]);
                }
                if (n < 15)
                        given[n++] = (char)c;
        }
        return 0;
}

static int run(int argc, char **argv, struct err *err)
{
        struct options o = {};
        char given[16] = "";
        int r = parse_options(argc, argv, &o, given, err);

        if (r)
                return r < 0 ? r : 0;
        if (optind >= argc)
                return usage(err, "no command is given", "ctrploop");
        const struct verb *v = find_verb(argv[optind]);
        if (!v)
                return usage(err, "unknown command", argv[optind]);
        if (argc - optind - 1 != v->n_operands)
                return usage(err, "wrong number of operands", v->name);
        if (given[strspn(given, v->accepts)])
                return usage(err, "an option that this command does not take", v->name);
        return v->run(&o, argv + optind + 1, err);
}

int main(int argc, char **argv)
{
        struct err err = {};
        char line[640];

        if (run(argc, argv, &err) < 0) {
                fprintf(stderr, "ctrploop: %s\n", err_format(&err, line, sizeof(line)));
                return err.code;
        }
        return fflush(stdout) == 0 ? EX_OK : EX_FAIL;
}
