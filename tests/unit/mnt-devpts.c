/* SPDX-License-Identifier: GPL-2.0-or-later */
/* devpts: options, the console that is made with it and handed out, an instance without one, hostile records. */
#include <linux/magic.h>
#include <sys/ioctl.h>

#include "proto/mnt-devpts.pb-c.h"
#include "tests/unit/mount-common.h"

typedef Gantry__MntDevpts Message;

static const struct mountinfo row = {.root = (char[]){"/"}, .target = (char[]){"/dev/pts"}, .options = (char[]){"rw"}, .type = (char[]){"devpts"},
                                     .source = (char[]){"devpts"}, .super_options = (char[]){"rw"}};

static char **options_of(const struct record *r, size_t *ret_n)
{
        const Message *m = (const void *)r->msg;

        *ret_n = m->n_option;
        return m->option;
}

static Message *message(struct kt *t, const char *option, bool console)
{
        Message *m = KIND_NEW(Message, gantry__mnt_devpts__init);

        m->option = one_option(option);
        m->n_option = 1;
        m->console = console;
        m->console_mode = console ? 0600 : 0;
        m->has_console_uid = m->has_console_gid = console;
        kt_give(t, 1, &kind_mnt_devpts, &m->base);
        return m;
}

static void give(struct kt *t, const char *option)
{
        (void)message(t, option, false);
}

Test(mnt_devpts, options)
{
        mount_options(&kind_mnt_devpts, &row, "rw,uid=3,gid=5,mode=620,ptmxmode=666,max=7", "uid=3;gid=5;mode=620;ptmxmode=666;max=7", options_of);
}

Test(mnt_devpts, golden)
{
        struct kt *t = kt_new();
        Message *m = message(t, "ptmxmode=666", true);

        m->console_uid = 5;
        m->console_gid = 6;
        kt_golden(t, PH_MOUNTS, "tape of task 1000, 10 calls\n"
                                "# make a devpts (mnt-devpts 1)\n"
                                "0 fsopen(\"devpts\", 1)\n"
                                "1 fsconfig(r0, 1, \"source\", \"devpts\", 0)\n"
                                "2 fsconfig(r0, 1, \"ptmxmode\", \"666\", 0)\n"
                                "3 fsconfig(r0, 6, 0, 0, 0)\n"
                                "4 fsmount(r0, 1, 0) keep 1\n"
                                "5 close(r0)\n"
                                "# make the console (mnt-devpts)\n"
                                "6 openat(r4, \"ptmx\", 0x80102) keep 18446744069414584321\n"
                                "7 ioctl(r6, 0x40045431, hex:00000000)\n"
                                "8 fchownat(r4, \"0\", 5, 6, 0)\n"
                                "9 fchmodat(r4, \"0\", 384)\n");
        kt_free(t);
}

/* A pty of `dir`: opened, and what one says at one end is read at the other. */
static int console_of(int dir)
{
        int unlock = 0, master = openat(dir, "ptmx", O_RDWR | O_NOCTTY);

        cr_assert(master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0);
        return master;
}

Test(mnt_devpts, the_console)
{
        enter_namespaces(0);
        struct kt *t = kt_new();
        struct stat st;
        char buf[4] = "";

        cr_assert_eq(mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=666"), 0);
        int dir = open("/dev/pts", O_RDONLY | O_DIRECTORY), master = console_of(dir);
        cr_assert_eq(chmod("/dev/pts/0", 0640), 0);
        uint64_t id = mount_add(t, &kind_mnt_devpts, &row, "");
        kt_console(t, 0);
        kt_alias(t, id, dir);
        kt_dump(t);
        const Message *m = (const void *)kt_record(t, id)->msg;
        cr_assert(m->console && m->console_mode == 0640 && m->has_console_uid && m->console_uid == 0);
        close(master);
        kt_close(t);
        kt_sweep(t);
        cr_assert_geq(t->master, 0, "there is no console");
        cr_assert_eq(fstatat(dir, "0", &st, 0), 0);
        cr_assert_eq(st.st_mode & 07777, 0640);
        int slave = openat(dir, "0", O_RDWR | O_NOCTTY);
        cr_assert(slave >= 0 && write(slave, "hi", 2) == 2 && read(t->master, buf, 2) == 2 && strcmp(buf, "hi") == 0);
        kt_free(t);
}

/* Where the engine holds no console, where it is elsewhere, and where this is not the place: none is made. */
Test(mnt_devpts, no_console)
{
        static const struct { int index; const char *target; bool open; } rows[] = {
                {-1, "/dev/pts", true}, {3, "/dev/pts", true}, {0, "/p", true}, {0, "/dev/pts", false},
        };

        enter_namespaces(0);
        cr_assert_eq(mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=666"), 0);
        int dir = open("/dev/pts", O_RDONLY | O_DIRECTORY);
        (void)console_of(dir);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                struct mountinfo m = row;
                char target[16];
                snprintf(target, sizeof(target), "%s", rows[i].target);
                m.target = target;
                uint64_t id = mount_add(t, &kind_mnt_devpts, &m, "");
                kt_console(t, rows[i].index);
                if (rows[i].open)
                        kt_alias(t, id, dir);
                kt_dump(t);
                const Message *r = (const void *)kt_record(t, id)->msg;
                cr_assert(!r->console && !r->has_console_uid && r->console_mode == 0, "row %zu", i);
                kt_free(t);
        }
}

Test(mnt_devpts, hostile)
{
        static const char *const bad[] = {"mode=", "mode=x", "mode=6 ", "ptmxmode=6z6", "uid=4294967295", "gid=x", "max=-1", "newinstance"};
        static const struct { uint32_t mode, uid, gid; } rows[] = {{010000, 0, 0}, {0600, UINT32_MAX, 0}, {0600, 0, UINT32_MAX}};

        mount_hostile(&kind_mnt_devpts, give);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct kt *t = kt_new();
                give(t, bad[i]);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "'%s' is accepted", bad[i]);
                kt_free(t);
        }
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                Message *m = message(t, "ro", true);
                m->console_mode = rows[i].mode;
                m->console_uid = rows[i].uid;
                m->console_gid = rows[i].gid;
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "row %zu", i);
                kt_free(t);
        }
}
