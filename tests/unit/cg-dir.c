/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup directories: what is told from their files (on directories that look like cgroups), what a record may ask for, and the
 * plans. With a kernel: tests/victim/cg-dir.c, tests/system/engine-cgroup.sh.
 */
#include <fcntl.h>
#include <string.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/path.h"
#include "checkpoint/kind/cgdir.h"
#include "proto/cg-dir.pb-c.h"
#include "tests/unit/records.h"

typedef Gantry__CgDir Message;

/* ---- looking ---- */

struct dirs { char path[64]; int payload, dir; struct idmap ids; };

static void put_in(int dir, const char *name, const char *text, mode_t mode)
{
        (void)unlinkat(dir, name, 0);
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0 && close(fd) == 0, "%s", name);
}

static void fill(int dir)
{
        put_in(dir, "cgroup.procs", "", 0644);
        put_in(dir, "cgroup.threads", "", 0644);
        put_in(dir, "cgroup.subtree_control", "\n", 0644);
        put_in(dir, "cgroup.type", "domain\n", 0644);
        put_in(dir, "cgroup.events", "populated 0\nfrozen 0\n", 0444);
        put_in(dir, "cgroup.freeze", "0\n", 0644);
        put_in(dir, "cgroup.kill", "", 0200);
        put_in(dir, "cgroup.max.depth", "max\n", 0644);
        put_in(dir, "cgroup.pressure", "1\n", 0644);
        put_in(dir, "cpu.pressure", "some avg10=0.00\n", 0644);
        put_in(dir, "cpu.weight", "100\n", 0644);
        put_in(dir, "cpu.max", "max 100000\n", 0644);
        put_in(dir, "cpu.max.burst", "0\n", 0644);
        put_in(dir, "io.max", "", 0644);
        put_in(dir, "memory.current", "12\n", 0444);
        put_in(dir, "memory.max", "max\n", 0644);
        put_in(dir, "memory.peak", "12\n", 0644);
        put_in(dir, "new.thing", "7\n", 0644);
}

static struct dirs dirs_make(void)
{
        struct dirs d = {.path = "/tmp/gantry-unit-cg-dir-XXXXXX", .ids = {.base = getuid(), .count = 100}};

        if (getuid() != getgid())
                cr_skip_test("one number for user and group");
        cr_assert_not_null(mkdtemp(d.path));
        d.payload = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert(mkdirat(d.payload, "d", 0755) == 0 && fchmod(d.payload, 0755) == 0);
        d.dir = openat(d.payload, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert(d.payload >= 0 && d.dir >= 0);
        fill(d.payload);
        fill(d.dir);
        return d;
}

static void dirs_done(struct dirs *d)
{
        close(d->payload);
        close(d->dir);
        cr_assert_eq(path_remove_tree(AT_FDCWD, d->path, NULL), 0);
}

static struct cg_seen *seen(struct dirs *d, bool payload)
{
        struct cg_base *base = NULL;
        struct cg_seen *s = NULL;
        struct err err = {};

        cr_assert_eq(cg_base_read(d->payload, &base, &err), 0, "%s: %s", err.on, err.why);
        cr_assert_eq(cg_look(payload ? d->payload : d->dir, payload, base, &d->ids, &s, &err), 0, "%s: %s", err.on, err.why);
        cg_base_free(base);
        return s;
}

Test(cg_dir, as_new)
{
        struct dirs d = dirs_make();
        struct cg_seen *s;

        put_in(d.dir, "memory.peak", "99\n", 0644);   /* figures are no state */
        put_in(d.dir, "memory.current", "99\n", 0444);
        put_in(d.dir, "cpu.pressure", "some avg10=1.00\n", 0644);
        s = seen(&d, false);
        cr_assert(s->uid == 0 && s->gid == 0 && s->mode == 0755 && !s->threaded && !s->frozen);
        cr_assert(s->n_value == 0 && s->n_file == 0 && s->n_xattr == 0, "%zu %zu %zu", s->n_value, s->n_file, s->n_xattr);
        cr_assert_str_eq(s->odd, "");
        cg_seen_free(s);
        dirs_done(&d);
}

Test(cg_dir, values)
{
        struct dirs d = dirs_make();
        struct cg_seen *s;

        put_in(d.dir, "cgroup.freeze", "1\n", 0644);
        put_in(d.dir, "memory.max", "4096\n", 0444);   /* closed by its owner, and a limit all the same */
        put_in(d.dir, "cpu.max.burst", "5\n", 0644);
        put_in(d.dir, "cpu.max", "50 1000\n", 0644);
        put_in(d.dir, "cpu.weight", "0\n", 0644);      /* of an idle group */
        put_in(d.dir, "cgroup.type", "threaded\n", 0644);
        put_in(d.dir, "cgroup.subtree_control", "cpu pids\n", 0644);
        s = seen(&d, false);
        cr_assert_eq(s->n_value, 4);
        cr_assert(str_eq(s->value[0].name, "cpu.max") && str_eq(s->value[0].text, "50 1000"));
        cr_assert(str_eq(s->value[1].name, "cpu.max.burst") && str_eq(s->value[2].name, "memory.max") && str_eq(s->value[3].name, "cgroup.freeze"));
        cr_assert(s->n_file == 1 && str_eq(s->file[0].name, "memory.max") && s->file[0].mode == 0444);
        cr_assert(s->threaded && s->frozen && str_eq(s->controllers, "cpu pids"));
        cr_assert_str_eq(s->odd, "");
        cg_seen_free(s);
        dirs_done(&d);
}

/* SELinux gives what is made in a directory the label of that directory. Only root sets one where there is no such module. */
Test(cg_dir, labels)
{
        static const char policy[] = "system_u:object_r:cgroup_t:s0", other[] = "system_u:object_r:user_t:s0";
        struct dirs d = dirs_make();
        struct cg_seen *s;

        if (fsetxattr(d.payload, "security.selinux", policy, sizeof(policy), 0) < 0) {
                cr_assert(errno == EPERM || errno == EOPNOTSUPP, "%s", strerror(errno));
                dirs_done(&d);
                return;
        }
        cr_assert_eq(fsetxattr(d.dir, "security.selinux", policy, sizeof(policy), 0), 0);
        s = seen(&d, false);
        cr_assert_str_eq(s->odd, "");
        cg_seen_free(s);
        cr_assert_eq(fsetxattr(d.dir, "security.selinux", other, sizeof(other), 0), 0);
        s = seen(&d, false);
        cr_assert_not_null(strstr(s->odd, "label"), "%s", s->odd);
        cg_seen_free(s);
        cr_assert_eq(fsetxattr(d.dir, "security.selinux", policy, sizeof(policy), 0), 0);
        int file = openat(d.dir, "memory.max", O_RDONLY | O_CLOEXEC);
        cr_assert(file >= 0 && fsetxattr(file, "security.selinux", other, sizeof(other), 0) == 0 && close(file) == 0);
        s = seen(&d, false);
        cr_assert_not_null(strstr(s->odd, "memory.max"), "%s", s->odd);
        cg_seen_free(s);
        dirs_done(&d);
}

static void odd(struct dirs *d, const char *file, const char *text, const char *word)
{
        put_in(d->dir, file, text, 0644);
        struct cg_seen *s = seen(d, false);

        cr_assert(strstr(s->odd, word), "%s: '%s'", file, s->odd);
        cg_seen_free(s);
        fill(d->dir);
}

Test(cg_dir, what_is_odd)
{
        struct dirs d = dirs_make();
        struct cg_seen *s;

        odd(&d, "io.max", "8:0 rbps=1 wbps=max riops=max wiops=max\n", "io.max");
        odd(&d, "new.thing", "8\n", "new.thing");
        odd(&d, "other.thing", "0\n", "other.thing");  /* not in the payload: nobody knows what is usual */
        cr_assert_eq(unlinkat(d.dir, "other.thing", 0), 0);
        d.ids.base += 1;
        s = seen(&d, false);
        cr_assert(strstr(s->odd, "owner"), "'%s'", s->odd);
        cg_seen_free(s);
        dirs_done(&d);
}

/* Of the payload only what belongs to the container is looked at. */
Test(cg_dir, payload)
{
        struct dirs d = dirs_make();
        struct cg_seen *s;

        put_in(d.payload, "memory.max", "4096\n", 0640);
        put_in(d.payload, "cgroup.freeze", "1\n", 0644);
        put_in(d.payload, "cgroup.subtree_control", "memory\n", 0600);
        cr_assert_eq(fchmod(d.payload, 0700), 0);
        s = seen(&d, true);
        cr_assert(s->mode == 0700 && s->n_value == 0 && !s->frozen && str_eq(s->controllers, "memory"));
        cr_assert(s->n_file == 1 && str_eq(s->file[0].name, "cgroup.subtree_control") && s->file[0].mode == 0600);
        cr_assert_str_eq(s->odd, "");
        cg_seen_free(s);
        dirs_done(&d);
}

Test(cg_dir, attributes)
{
        struct dirs d = dirs_make();

        if (fsetxattr(d.dir, "user.b", "x\0y", 3, 0) < 0 || fsetxattr(d.dir, "user.a", "", 0, 0) < 0) {
                dirs_done(&d);
                cr_skip_test("the file system of /tmp has no attributes");
        }
        struct cg_seen *s = seen(&d, false);
        cr_assert(s->n_xattr == 2 && str_eq(s->xattr[0].name, "user.a") && s->xattr[0].len == 0);
        cr_assert(str_eq(s->xattr[1].name, "user.b") && s->xattr[1].len == 3 && memcmp(s->xattr[1].value, "x\0y", 3) == 0);
        cr_assert_str_eq(s->odd, "");
        cg_seen_free(s);
        int fd = openat(d.dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        cr_assert(fd >= 0 && fsetxattr(fd, "user.f", "", 0, 0) == 0 && close(fd) == 0);
        s = seen(&d, false);
        cr_assert(strstr(s->odd, "cgroup.procs"), "'%s'", s->odd);
        cg_seen_free(s);
        dirs_done(&d);
}

Test(cg_dir, refused_by_name)
{
        struct facts f = {.cls = CLS_CGROUP, .shown_pid = 1, .comm = "init", .cgroup = {.path = "a/b", .name = "b", .parent = 1}};
        struct err err = {};

        cr_assert_eq(kind_cg_dir.claim(&f), 1);
        cr_assert_eq(kind_cg_dir.refuse(&f, &err), 0);
        f.cgroup.odd = "the attribute trusted.x";
        cr_assert_eq(kind_cg_dir.refuse(&f, &err), -EX_UNSUPPORTED);
        cr_assert(strstr(err.on, "cg-dir") && strstr(err.why, "trusted.x") && strstr(err.why, "/a/b"), "%s: %s", err.on, err.why);
}

/* What was seen becomes the record. */
Test(cg_dir, taken)
{
        struct cg_value values[] = {{(char[]){"cpu.max"}, (char[]){"5 10"}}, {(char[]){"pids.max"}, (char[]){"9"}}};
        struct cg_file files[] = {{(char[]){"cgroup.procs"}, 7, 8, 0664}};
        struct cg_xattr xattrs[] = {{(char[]){"user.n"}, (char[]){"v"}, 1}};
        struct cg_seen s = {.uid = 5, .gid = 6, .mode = 0750, .threaded = true, .controllers = (char[]){"cpu pids"}, .value = values, .n_value = 2,
                            .file = files, .n_file = 1, .xattr = xattrs, .n_xattr = 1};
        struct facts f = {.cls = CLS_CGROUP, .cgroup = {.path = "a\xff", .name = "a\xff", .parent = 9, .seen = &s}};
        struct kt *t = kt_new();
        uint64_t id = kt_add(t, &kind_cg_dir, &f);

        kt_dump(t);
        const Message *m = (const void *)kt_record(t, id)->msg;
        cr_assert(m->parent == 9 && m->name.len == 2 && m->uid == 5 && m->gid == 6 && m->mode == 0750 && m->threaded);
        cr_assert(m->n_controller == 2 && m->controller[1].len == 4 && memcmp(m->controller[1].data, "pids", 4) == 0);
        cr_assert(m->n_value == 2 && m->value[0]->text.len == 4 && m->n_file == 1 && m->file[0]->gid == 8 && m->n_attribute == 1);
        cr_assert_eq(kt_check(t, NULL), 0);
        kt_free(t);
}

/* ---- records ---- */

static Message *dir(struct kt *t, uint64_t id, uint64_t parent, const char *name)
{
        Message *m = KIND_NEW(Message, gantry__cg_dir__init);

        m->mode = 0755;
        m->has_parent = m->has_name = parent != 0;
        m->parent = parent;
        if (parent)
                m->name = (ProtobufCBinaryData){strlen(name), kind_memdup(name, strlen(name))};
        kt_give(t, id, &kind_cg_dir, &m->base);
        return m;
}

static ProtobufCBinaryData bytes(const char *s)
{
        return (ProtobufCBinaryData){strlen(s), kind_memdup(s, strlen(s))};
}

static void give(struct kt *t)
{
        dir(t, 1, 0, "");
        Message *a = dir(t, 2, 1, "a"), *b = dir(t, 3, 2, "b");

        a->n_controller = 2;
        a->controller = kind_calloc(2, sizeof(*a->controller));
        a->controller[0] = bytes("cpu");
        a->controller[1] = bytes("pids");
        b->threaded = true;
        b->uid = 7;
        b->mode = 0700;
        b->value = kind_calloc(1, sizeof(*b->value));
        b->value[b->n_value++] = KIND_NEW(Gantry__CgDir__Value, gantry__cg_dir__value__init);
        b->value[0]->name = bytes("pids.max");
        b->value[0]->text = bytes("5");
        b->file = kind_calloc(1, sizeof(*b->file));
        b->file[b->n_file++] = KIND_NEW(Gantry__CgDir__File, gantry__cg_dir__file__init);
        b->file[0]->name = bytes("cgroup.procs");
        b->file[0]->gid = 8;
        b->file[0]->mode = 0664;
        b->attribute = kind_calloc(1, sizeof(*b->attribute));
        b->attribute[b->n_attribute++] = KIND_NEW(Gantry__CgDir__Attribute, gantry__cg_dir__attribute__init);
        b->attribute[0]->name = bytes("user.n");
        b->attribute[0]->value = bytes("v");
}

Test(cg_dir, golden)
{
        struct kt *t = kt_new();

        give(t);
        cr_assert_eq(kt_check(t, NULL), 0);
        kt_golden(t, PH_GROUND, "tape of task 1000, 11 calls\n"
                                "# make the cgroup /a (cg-dir 2)\n"
                                "0 openat2(fd#1, \".\", hex:000029000000000000000000000000000f00000000000000, 24)\n"
                                "1 mkdirat(r0, \"a\", 493)\n"
                                "2 close(r0)\n"
                                "# make the cgroup /a/b (cg-dir 3)\n"
                                "3 openat2(fd#1, \"a\", hex:000029000000000000000000000000000f00000000000000, 24)\n"
                                "4 mkdirat(r3, \"b\", 493)\n"
                                "5 close(r3)\n"
                                "6 openat2(fd#1, \"a/b\", hex:000029000000000000000000000000000f00000000000000, 24)\n"
                                "7 openat(r6, \"cgroup.type\", 0xa0001, 0)\n"
                                "8 write(r7, \"threaded\", 8) = 8\n"
                                "9 close(r7)\n"
                                "10 close(r6)\n");
        kt_free(t);
        t = kt_new();
        give(t);
        kt_golden(t, PH_MOUNTS, "tape of task 1000, 5 calls\n"
                                "# enable the controllers of the cgroup /a (cg-dir 2)\n"
                                "0 openat2(fd#1, \"a\", hex:000029000000000000000000000000000f00000000000000, 24)\n"
                                "1 openat(r0, \"cgroup.subtree_control\", 0xa0001, 0)\n"
                                "2 write(r1, \"+cpu +pids\", 10) = 10\n"
                                "3 close(r1)\n"
                                "4 close(r0)\n");
        kt_free(t);
        t = kt_new();
        give(t);
        kt_golden(t, PH_THREADS, "tape of task 1000, 10 calls\n"
                                 "# set up the cgroup /a/b (cg-dir 3)\n"
                                 "0 openat2(fd#1, \"a/b\", hex:000009000000000000000000000000000f00000000000000, 24)\n"
                                 "1 openat(r0, \"pids.max\", 0xa0001, 0)\n"
                                 "2 write(r1, \"5\", 1) = 1\n"
                                 "3 close(r1)\n"
                                 "4 fsetxattr(r0, \"user.n\", hex:76, 1, 0)\n"
                                 "5 fchownat(r0, \"cgroup.procs\", 0, 8, 256)\n"
                                 "6 fchmodat(r0, \"cgroup.procs\", 436)\n"
                                 "7 fchown(r0, 7, 0)\n"
                                 "8 fchmod(r0, 448)\n"
                                 "9 close(r0)\n");
        kt_free(t);
}

static const Message good = {.base = PROTOBUF_C_MESSAGE_INIT(&gantry__cg_dir__descriptor), .has_parent = 1, .parent = 1, .has_name = 1,
                             .name = {1, (uint8_t[]){'a'}}, .mode = 0755};

Test(cg_dir, hostile_names)
{
        Message m = good;
        uint8_t lot[256];

        memset(lot, 'n', sizeof(lot));
        ACCEPTED(&kind_cg_dir, m);
        m.name = TEXT("\x01 \xff memory.max");
        ACCEPTED(&kind_cg_dir, m);
        REFUSED(&kind_cg_dir, m, m.name = TEXT(""));
        REFUSED(&kind_cg_dir, m, m.name = TEXT("."));
        REFUSED(&kind_cg_dir, m, m.name = TEXT(".."));
        REFUSED(&kind_cg_dir, m, m.name = TEXT("a/b"));
        REFUSED(&kind_cg_dir, m, m.name = TEXT("/"));
        REFUSED(&kind_cg_dir, m, m.name = TEXT("a\nb"));
        REFUSED(&kind_cg_dir, m, m.name = TEXT("a\0b"));
        REFUSED(&kind_cg_dir, m, m.name = TEXT("cgroup.procs"));
        REFUSED(&kind_cg_dir, m, (m.name = (ProtobufCBinaryData){256, lot}));
        m.name = (ProtobufCBinaryData){255, lot};
        ACCEPTED(&kind_cg_dir, m);
        m = good;
        REFUSED(&kind_cg_dir, m, m.has_parent = 0);
        REFUSED(&kind_cg_dir, m, m.has_name = 0);
        REFUSED(&kind_cg_dir, m, m.parent = 0);
        REFUSED(&kind_cg_dir, m, m.uid = UINT32_MAX);
        REFUSED(&kind_cg_dir, m, m.gid = UINT32_MAX);
        REFUSED(&kind_cg_dir, m, m.mode = 010000);
}

static int value_check(const char *name, const char *text, const char *then)
{
        Gantry__CgDir__Value v = GANTRY__CG_DIR__VALUE__INIT, w = v, *list[] = {&v, &w};
        Message m = good;

        v.name = (ProtobufCBinaryData){strlen(name), (uint8_t *)(uintptr_t)name};
        v.text = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
        w.name = then ? (ProtobufCBinaryData){strlen(then), (uint8_t *)(uintptr_t)then} : v.name;
        w.text = TEXT("1");
        m.value = list;
        m.n_value = then ? 2 : 1;
        return rec_check(&kind_cg_dir, &m.base);
}

Test(cg_dir, hostile_values)
{
        cr_assert_eq(value_check("memory.max", "4096", NULL), 0);
        cr_assert_eq(value_check("memory.max", "4096", "pids.max"), 0);
        cr_assert_eq(value_check("pids.max", "4096", "memory.max"), EX_IMAGE, "out of order");
        cr_assert_eq(value_check("pids.max", "4096", "pids.max"), EX_IMAGE, "twice");
        cr_assert_eq(value_check("memory.max", "", NULL), EX_IMAGE);
        cr_assert_eq(value_check("memory.max", "1\n2", NULL), EX_IMAGE);
        cr_assert_eq(value_check("cgroup.procs", "1", NULL), EX_IMAGE, "a process would be moved");
        cr_assert_eq(value_check("cgroup.kill", "1", NULL), EX_IMAGE);
        cr_assert_eq(value_check("../cgroup.procs", "1", NULL), EX_IMAGE);
        cr_assert_eq(value_check("io.max", "8:0 rbps=1", NULL), EX_IMAGE, "a device of the node");
}

Test(cg_dir, hostile_rest)
{
        Message m = good;
        Gantry__CgDir__File f = GANTRY__CG_DIR__FILE__INIT, *files[] = {&f};
        Gantry__CgDir__Attribute a = GANTRY__CG_DIR__ATTRIBUTE__INIT, *attributes[] = {&a};
        ProtobufCBinaryData c = TEXT("cpu");

        m.n_controller = 1;
        m.controller = &c;
        ACCEPTED(&kind_cg_dir, m);
        REFUSED(&kind_cg_dir, m, c = TEXT("cpu -cpu"));
        REFUSED(&kind_cg_dir, m, c = TEXT(""));
        m = good;
        m.n_file = 1;
        m.file = files;
        f.name = TEXT("memory.max");
        ACCEPTED(&kind_cg_dir, m);
        REFUSED(&kind_cg_dir, m, f.name = TEXT("../memory.max"));
        REFUSED(&kind_cg_dir, m, f.name = TEXT("a.b/memory.max"));
        REFUSED(&kind_cg_dir, m, f.name = TEXT(".."));
        REFUSED(&kind_cg_dir, m, f.name = TEXT("sub"));
        f.name = TEXT("memory.max");
        REFUSED(&kind_cg_dir, m, f.uid = UINT32_MAX);
        f.uid = 0;
        REFUSED(&kind_cg_dir, m, f.mode = 0100644);
        f.mode = 0644;
        REFUSED(&kind_cg_dir, m, m.has_parent = m.has_name = 0);   /* the payload's limits are the node's */
        f.name = TEXT("cgroup.procs");
        m.has_parent = m.has_name = 0;
        ACCEPTED(&kind_cg_dir, m);
        REFUSED(&kind_cg_dir, m, m.threaded = 1);
        m = good;
        m.n_attribute = 1;
        m.attribute = attributes;
        a.name = TEXT("user.x");
        ACCEPTED(&kind_cg_dir, m);
        REFUSED(&kind_cg_dir, m, a.name = TEXT("trusted.x"));
        REFUSED(&kind_cg_dir, m, a.name = TEXT("security.selinux"));
        REFUSED(&kind_cg_dir, m, a.name = TEXT("user."));
}

Test(cg_dir, controllers_of_a_node)
{
        cr_assert(cg_listed("cpu memory pids\n", "memory", 6) && cg_listed("cpu", "cpu", 3) && cg_listed("cpu pids\n", "pids", 4));
        cr_assert(!cg_listed("cpuset pids\n", "cpu", 3) && !cg_listed("\n", "cpu", 3) && !cg_listed("", "cpu", 3) && !cg_listed("cpu\n", "", 0));
}

/* Paths of many records: what leads to no payload is no path, however it is bent. */
Test(cg_dir, paths)
{
        struct kt *t = kt_new();
        char long_name[256] = "", *text;
        uint64_t up = 1, n;

        memset(long_name, 'x', 255);
        dir(t, 1, 0, "");
        for (uint64_t id = 2; id <= 17; id++) {   /* 4,095 bytes */
                dir(t, id, up, long_name);
                up = id;
        }
        text = kt_plan(t, PH_GROUND);
        cr_assert(text && strstr(text, "mkdirat"));
        free(text);
        struct err err = {};
        dir(t, 18, up, "x");
        cr_assert_eq(kt_try_restore(t, 0, &n, &err), -EX_IMAGE);
        kt_free(t);
        t = kt_new();
        dir(t, 1, 2, "a");
        dir(t, 2, 1, "b");   /* a ring */
        cr_assert_eq(kt_try_restore(t, 0, &n, &err), -EX_IMAGE);
        kt_free(t);
        t = kt_new();
        dir(t, 1, 7, "a");
        cr_assert_eq(kt_try_restore(t, 0, &n, &err), -EX_IMAGE);
        kt_free(t);
}
