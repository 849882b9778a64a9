/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * devpts: the ptys of the container, the console (its first one) among them.
 *
 * Mounted by the container's own right in init's stub, so that its super block belongs to the container's user
 * namespace. The console is the first pty that is opened in a new instance: its master is made here and handed to the
 * engine's monitor; an instance that the container mounts elsewhere has none. Where it is mounted, with which flags and propagation, is the mount planner's.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/mnt.h"
#include "proto/mnt-devpts.pb-c.h"

static const struct mnt_option known[] = {
        { "uid", MNT_UID },
        { "gid", MNT_GID },
        { "mode", MNT_NUMBER },
        { "ptmxmode", MNT_NUMBER },
        { "max", MNT_NUMBER },
        {},
};

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_MNT_DEVPTS);
}

static int refuse(const struct facts *f, struct err *err)
{
        return mnt_options_refuse(&kind_mnt_devpts, f, known, err);
}

#define HUNG_UP_MODE 0620u

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__MntDevpts *m = KIND_NEW(Gantry__MntDevpts, gantry__mnt_devpts__init);

        (void)t;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        struct stat st = {};
        m->console = dump_console_index(d) == 0 && str_eq(o->facts.mnt.m->target, "/dev/pts") && fd >= 0;
        if (m->console && fstatat(fd, "0", &st, AT_SYMLINK_NOFOLLOW) == 0) {
                m->console_mode = st.st_mode & 07777;
                m->has_console_uid = m->has_console_gid = true;
                m->console_uid = dump_uid(d, st.st_uid);
                m->console_gid = dump_gid(d, st.st_gid);
        } else if (m->console) { /* hung up: it has lost its node, and gets one as the file system makes them */
                m->console_mode = HUNG_UP_MODE;
        }
        int r = mnt_options_take(&kind_mnt_devpts, o, d, known, &m->option, &m->n_option, err);
        return r < 0 ? r : field_record(&kind_mnt_devpts, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__MntDevpts *m = (const void *)r->msg;

        (void)need;
        if (m->console_mode > 07777 || m->console_uid == UINT32_MAX || m->console_gid == UINT32_MAX)
                return kind_bad(&kind_mnt_devpts, r, err, "the console's mode or owner is impossible");
        return mnt_options_check(&kind_mnt_devpts, r, known, m->option, m->n_option, err);
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__MntDevpts *m = (const void *)r->msg;

        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        uint32_t mount = mnt_make(rs, r, "devpts", m->option, m->n_option);
        int unlock = 0;

        (void)err;
        if (!m->console) {
                mnt_seal(rs, r, mount, m->option, m->n_option);
                return 0;
        }
        tape_label(t, "make the console (mnt-devpts)");
        uint32_t e = TAPE(t, SYS_openat, A_RET(mount), A_DATA(tape_str(t, "ptmx")), A_IMM(O_RDWR | O_NOCTTY | O_CLOEXEC));
        TAPE(t, SYS_ioctl, A_RET(e), A_IMM(TIOCSPTLCK), A_DATA(tape_data(t, &unlock, sizeof(unlock))));
        if (m->has_console_uid && m->has_console_gid)
                TAPE(t, SYS_fchownat, A_RET(mount), A_DATA(tape_str(t, "0")), A_IMM(m->console_uid), A_IMM(m->console_gid), A_IMM(0));
        TAPE(t, SYS_fchmodat, A_RET(mount), A_DATA(tape_str(t, "0")), A_IMM(m->console_mode));
        tape_keep_fd(t, e, OBJECT_CONSOLE);
        mnt_seal(rs, r, mount, m->option, m->n_option);
        return 0;
}

const struct kind kind_mnt_devpts = {
        .stem = "mnt-devpts",
        .number = KIND_MNT_DEVPTS,
        .cls = CLS_MOUNT,
        .msg = &gantry__mnt_devpts__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = { [PH_MOUNTS] = plan_mounts },
};
