/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a process stands: its current directory, its root, its umask.
 *
 * /proc shows both directories as paths from the root of the mount namespace, also for a chrooted process. They are looked at
 * again, so that a removed or covered directory is refused and not mistaken. The current directory is taken in PH_HAND, the
 * root only in PH_ATTR: mapped files are opened by paths of the namespace in between. chroot() does not move the current
 * directory, so one outside of the root is kept as well. The umask comes last, because it would bend what tapes create.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/inside.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-fs.pb-c.h"

static int take_dir(struct dump *d, const struct obj *o, const char *link, ProtobufCBinaryData *ret, struct err *err)
{
        char path[PATH_MAX], what[96];
        struct stat st;
        bool lasting;

        if (fstatat(o->procfd, link, &st, AT_NO_AUTOMOUNT) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a directory", "%s of process %d", link,
                               (int)o->facts.shown_pid);
        int r = proc_readlink(o->procfd, link, path, sizeof(path), err);
        if (r < 0)
                return r;
        r = path[0] == '/' ? inside_same(d, o, path, &st, &lasting, err) : 0;
        if (r < 0)
                return r;
        if (!r) {
                snprintf(what, sizeof(what), "a %s that was removed, replaced or covered",
                         str_eq(link, "cwd") ? "current directory" : "root directory");
                return kind_refuse(&kind_task_fs, &o->facts, err, what, "Let it change to a directory that is there");
        }
        return field_set_text(ret, path, err);
}

static int take_umask(const struct obj *o, uint32_t *ret, struct err *err)
{
        const char *p = proc_kv_get(o->facts.task.status, o->facts.task.n_status, "Umask");
        uint32_t v = 0;

        for (; p && *p >= '0' && *p <= '7'; p++)
                v = v << 3 | (uint32_t)(*p - '0');
        if (!p || *p || v > 0777)
                return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form",
                               "status: Umask");
        *ret = v;
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        (void)fd;
        (void)t;
        Gantry__TaskFs *m = KIND_NEW(Gantry__TaskFs, gantry__task_fs__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        int r = take_dir(d, o, "cwd", &m->cwd, err);
        if (r >= 0)
                r = take_dir(d, o, "root", &m->root, err);
        if (r >= 0)
                r = take_umask(o, &m->umask, err);
        return r < 0 ? r : field_record(&kind_task_fs, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskFs *m = (const Gantry__TaskFs *)r->msg;

        (void)need;
        if (!field_is_path(&m->cwd) || !field_is_path(&m->root))
                return kind_bad(&kind_task_fs, r, err, "a directory is no path");
        if (m->umask > 0777)
                return kind_bad(&kind_task_fs, r, err, "its umask is impossible");
        return 0;
}

static int plan_hand(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskFs *m = (const Gantry__TaskFs *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "change to %.*s (task-fs %llu)", (int)m->cwd.len, (const char *)m->cwd.data, (unsigned long long)r->id);
        TAPE(t, __NR_chdir, A_DATA(field_tape(t, &m->cwd)));
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskFs *m = (const Gantry__TaskFs *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "set root and umask (task-fs %llu)", (unsigned long long)r->id);
        if (m->root.len > 1)
                TAPE(t, __NR_chroot, A_DATA(field_tape(t, &m->root)));
        TAPE(t, __NR_umask, A_IMM(m->umask));
        return 0;
}

const struct kind kind_task_fs = {
        .stem = "task-fs",
        .number = KIND_TASK_FS,
        .cls = CLS_FS,
        .msg = &gantry__task_fs__descriptor,
        .status_keys = (const char *const[]){"Umask", NULL},
        .take = take,
        .check = check,
        .plan = {[PH_HAND] = plan_hand, [PH_ATTR] = plan_attr},
};
