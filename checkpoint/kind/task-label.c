/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Security labels of a process: the current one, and those for what it executes and creates next.
 *
 * The label that a container starts with is the engine's; labels that its programs moved on to by policy are theirs, and
 * the same policy decides at restore whether they may (the task itself writes /proc/thread-self/attr). While a process has one
 * thread only it may change freely, so PH_LABEL comes before PH_THREADS and only the leader is asked; a thread with labels of
 * its own is refused. A machine without labels has no attr files that answer: nothing is recorded there, and an image that has some
 * is refused.
 *
 * Other modules (AppArmor, Smack) answer under the same names. What starts is confined as the engine is, so a thread that
 * shows anything else than the engine does and than "unconfined" would come back with less: refused by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/label.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-label.pb-c.h"

#define LABEL_MAX 4095
#define N_LABELS 5

struct one { const char *file; protobuf_c_boolean *has; ProtobufCBinaryData *value; };

static void each(Gantry__TaskLabel *m, struct one ret[N_LABELS])
{
        const struct one all[N_LABELS] = {
                {"attr/exec", &m->has_exec, &m->exec},
                {"attr/fscreate", &m->has_fscreate, &m->fscreate},
                {"attr/keycreate", &m->has_keycreate, &m->keycreate},
                {"attr/sockcreate", &m->has_sockcreate, &m->sockcreate},
                {"attr/current", &m->has_current, &m->current}, /* last: a new one may forbid the others */
        };

        memcpy(ret, all, sizeof(all));
}

/* "" where nobody answers, which is EINVAL. */
static int read_label(const struct obj *o, const char *file, char **ret, struct err *err)
{
        struct err e = {};
        size_t len = 0;
        int r = dump_proc(o, file, ret, &len, &e);

        if (r < 0 && e.sys != EINVAL && e.sys != ENOENT)
                return err_take(err, &e);
        if (r < 0)
                *ret = kind_strdup("");
        if (!*ret)
                return kind_nomem(err);
        (*ret)[strcspn(*ret, "\n")] = '\0';
        return 0;
}

/* A thread of SELinux: what its process has. */
static int refuse_thread(const struct obj *o, const struct one all[N_LABELS], struct err *err)
{
        for (size_t i = 0; i < N_LABELS; i++) {
                _cleanup_free_ char *own = NULL, *first = NULL;
                char path[48];
                snprintf(path, sizeof(path), "../../%s", all[i].file);   /* of /proc/PID/task/TID */
                int r = read_label(o, all[i].file, &own, err);
                if (r >= 0)
                        r = read_label(o, path, &first, err);
                if (r < 0)
                        return r;
                if (!str_eq(own, first))
                        return kind_refuse(&kind_task_label, &o->facts, err, "a thread with a security label of its own", "Restart the program");
        }
        return 0;
}

/* Another module than SELinux, or none. */
static int refuse_profile(const struct obj *o, struct err *err)
{
        _cleanup_free_ char *theirs = NULL;
        char ours[LABEL_MAX + 1] = "", what[128];
        int r = read_label(o, "attr/current", &theirs, err);

        if (r < 0 || !theirs[0] || str_eq(theirs, "unconfined"))
                return r;
        _cleanup_close_ int fd = sys_openat(AT_FDCWD, "/proc/thread-self/attr/current", O_RDONLY | O_CLOEXEC, 0);
        ssize_t n = fd < 0 ? -1 : read(fd, ours, LABEL_MAX);
        ours[n < 0 ? 0 : n] = '\0';
        ours[strcspn(ours, "\n")] = '\0';
        if (str_eq(theirs, ours))
                return 0;
        snprintf(what, sizeof(what), "the security profile %.80s", theirs);
        return kind_refuse(&kind_task_label, &o->facts, err, what, "Start the program without it");
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct one all[N_LABELS];

        (void)d;
        (void)fd;
        (void)t;
        Gantry__TaskLabel *m = KIND_NEW(Gantry__TaskLabel, gantry__task_label__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        each(m, all);
        int q = !label_enabled() ? refuse_profile(o, err) : o->facts.task.leader ? 0 : refuse_thread(o, all, err);
        if (q < 0)
                return q;
        for (size_t i = 0; i < N_LABELS && label_enabled() && o->facts.task.leader; i++) {
                _cleanup_free_ char *text = NULL;
                size_t len = 0;
                int r = dump_proc(o, all[i].file, &text, &len, err);
                if (r < 0)
                        return r;
                len = strcspn(text, "\n");
                if (!len)
                        continue;
                r = field_set(all[i].value, text, len, err);
                if (r < 0)
                        return r;
                *all[i].has = true;
        }
        return field_record(&kind_task_label, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        Gantry__TaskLabel m = *(const Gantry__TaskLabel *)r->msg;
        struct one all[N_LABELS];

        (void)need;
        each(&m, all);
        for (size_t i = 0; i < N_LABELS; i++)
                if (*all[i].has && !field_is_text(all[i].value, LABEL_MAX))
                        return kind_bad(&kind_task_label, r, err, "a label is not one");
        return 0;
}

static int plan_label(struct restore *rs, const struct record *r, struct err *err)
{
        Gantry__TaskLabel m = *(const Gantry__TaskLabel *)r->msg;
        struct one all[N_LABELS];

        each(&m, all);
        for (size_t i = 0; i < N_LABELS; i++) {
                char path[48];
                if (!*all[i].has)
                        continue;
                if (!label_enabled()) {
                        err_set(err, EX_KERNEL, "a process has a security label, and this node keeps none",
                                "it would be less confined than before", "task-label %llu", (unsigned long long)r->id);
                        return err_remedy(err, "Restore on a node with the same security module");
                }
                struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
                snprintf(path, sizeof(path), "/proc/thread-self/%s", all[i].file);
                tape_label(t, "write %s (task-label %llu)", path, (unsigned long long)r->id);
                uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(O_WRONLY | O_CLOEXEC),
                                   A_IMM(0));
                uint32_t e = TAPE(t, __NR_write, A_RET(fd), A_DATA(field_tape(t, all[i].value)), A_IMM(all[i].value->len));
                tape_expect(t, e, (int64_t)all[i].value->len);
                TAPE(t, __NR_close, A_RET(fd));
        }
        return 0;
}

const struct kind kind_task_label = {
        .stem = "task-label",
        .number = KIND_TASK_LABEL,
        .cls = CLS_THREAD,
        .msg = &gantry__task_label__descriptor,
        .take = take,
        .check = check,
        .plan = {[PH_LABEL] = plan_label},
};
