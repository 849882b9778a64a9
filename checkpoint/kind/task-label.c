/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Security labels of a process: the current one, and those for what it executes and creates next.
 *
 * The label that a container starts with is the engine's; labels that its programs moved on to by policy are theirs, and
 * the same policy decides at restore whether they may (the task itself writes /proc/thread-self/attr). While a process has one
 * thread only it may change freely, so PH_LABEL comes before PH_THREADS and only the leader is asked. A machine
 * without labels has no attr files that answer: nothing is recorded there, and an image that has some is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/label.h"
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
