/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An ipc namespace: its settings. Objects in it (System V memory, semaphores, message queues, POSIX queues) are refused by name.
 *
 * Only a task in the namespace can ask: SHM_INFO, SEM_INFO and MSG_INFO count objects, /proc/sys shows the settings of
 * whoever reads it. Settings that differ from a new namespace's are recorded and written again by init's tape in
 * PH_MOUNTS, when /proc is mounted; they belong to the namespace's root since 5.19. A container without /proc has none.
 */
#include <fcntl.h>
#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-ipc.pb-c.h"

#define VALUE 64u
struct answer { struct shm_info shm; struct seminfo sem; struct msginfo msg; }; /* at offset 0 of the ask tape */
enum { ASK_SHM, ASK_SEM, ASK_MSG, ASK_FILES };                                  /* then open, read, close for each setting */

/* Names below /proc/sys, and what a new namespace has (ipc/util.h, ipc/msg.c, ipc/mqueue.c). */
static const struct { const char *name, *fresh; } settings[] = {
        {"kernel/shmmax", "18446744073692774399"}, {"kernel/shmall", "18446744073692774399"},
        {"kernel/shmmni", "4096"},                 {"kernel/shm_rmid_forced", "0"},
        {"kernel/sem", "32000\t1024000000\t500\t32000"}, {"kernel/msgmax", "8192"},
        {"kernel/msgmnb", "16384"},                {"kernel/msgmni", "32000"},
        {"fs/mqueue/queues_max", "256"},           {"fs/mqueue/msg_max", "10"},
        {"fs/mqueue/msgsize_max", "8192"},         {"fs/mqueue/msg_default", "10"},
        {"fs/mqueue/msgsize_default", "8192"},
        {"kernel/shm_next_id", "-1"},              {"kernel/sem_next_id", "-1"},
        {"kernel/msg_next_id", "-1"},
};
#define N_SETTINGS ELEMENTSOF(settings)

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_IPC);
}

static int refuse(const struct facts *f, struct err *err)
{
        if (!f->ns.queues)
                return 0;
        return kind_refuse(&kind_ns_ipc, f, err, "POSIX message queues", "Stop the program that made them, and remove them (mount -t mqueue shows them)");
}

static uint32_t open_setting(struct tape *t, const char *name, int flags)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/sys/%s", name);
        return TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(flags | O_CLOEXEC), A_IMM(0));
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, sizeof(struct answer));
        uint32_t text = tape_data(t, NULL, N_SETTINGS * VALUE); /* follows at once: both sizes are known */
        TAPE(t, __NR_shmctl, A_IMM(0), A_IMM(SHM_INFO), A_DATA(at + (uint32_t)offsetof(struct answer, shm)));
        TAPE(t, __NR_semctl, A_IMM(0), A_IMM(0), A_IMM(SEM_INFO), A_DATA(at + (uint32_t)offsetof(struct answer, sem)));
        TAPE(t, __NR_msgctl, A_IMM(0), A_IMM(MSG_INFO), A_DATA(at + (uint32_t)offsetof(struct answer, msg)));
        for (uint32_t i = 0; i < N_SETTINGS; i++) {
                uint32_t fd = open_setting(t, settings[i].name, O_RDONLY);
                tape_may_fail(t, fd, 0);
                tape_may_fail(t, TAPE(t, __NR_read, A_RET(fd), A_DATA(text + i * VALUE), A_IMM(VALUE - 1)), 0);
                tape_may_fail(t, TAPE(t, __NR_close, A_RET(fd)), 0);
        }
        return 0;
}

static int refuse_objects(const struct obj *o, const struct answer *a, struct err *err)
{
        const char *what = NULL;

        if (a->shm.used_ids)
                what = "System V shared memory";
        else if (a->sem.semusz)
                what = "System V semaphores";
        else if (a->msg.msgpool)
                what = "System V message queues";
        return what ? kind_refuse(&kind_ns_ipc, &o->facts, err, what, "Stop the service that uses it (ipcs shows it)") : 0;
}

static int take_setting(Gantry__NsIpc *m, const char *name, const char *value, struct err *err)
{
        Gantry__NsIpc__Setting *s = KIND_NEW(Gantry__NsIpc__Setting, gantry__ns_ipc__setting__init);

        if (!s)
                return kind_nomem(err);
        m->setting[m->n_setting++] = s;
        int r = field_set_text(&s->name, name, err);
        return r < 0 ? r : field_set_text(&s->value, value, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const char *text = tape_out(t, (sizeof(struct answer) + 15) & ~(uint32_t)15);
        struct answer a;

        (void)d;
        (void)fd;
        memcpy(&a, tape_out(t, 0), sizeof(a));
        int r = refuse_objects(o, &a, err);
        if (r < 0)
                return r;
        Gantry__NsIpc *m = KIND_NEW(Gantry__NsIpc, gantry__ns_ipc__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->setting = kind_calloc(N_SETTINGS, sizeof(*m->setting));
        if (!m->setting)
                return kind_nomem(err);
        for (uint32_t i = 0; i < N_SETTINGS && r >= 0; i++) {
                char value[VALUE];
                if (tape_ret(t, ASK_FILES + 3 * i + 1) <= 0)
                        continue;
                str_copy(value, sizeof(value), text + i * VALUE);
                value[strcspn(value, "\n")] = '\0';
                if (!str_eq(value, settings[i].fresh))
                        r = take_setting(m, settings[i].name, value, err);
        }
        return r < 0 ? r : field_record(&kind_ns_ipc, o, &guard, ret);
}

static const char *known(const ProtobufCBinaryData *name)
{
        for (size_t i = 0; i < N_SETTINGS; i++)
                if (name->len == strlen(settings[i].name) && memcmp(name->data, settings[i].name, name->len) == 0)
                        return settings[i].name;
        return NULL;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsIpc *m = (const Gantry__NsIpc *)r->msg;

        (void)need;
        for (size_t i = 0; i < m->n_setting; i++)
                if (!known(&m->setting[i]->name) || !field_is_text(&m->setting[i]->value, VALUE))
                        return kind_bad(&kind_ns_ipc, r, err, "a setting is unknown, or has no value");
        return 0;
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NsIpc *m = (const Gantry__NsIpc *)r->msg;

        (void)err;
        for (size_t i = 0; i < m->n_setting; i++) {
                struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
                const ProtobufCBinaryData *v = &m->setting[i]->value;
                const char *name = known(&m->setting[i]->name);
                tape_label(t, "set %s (ns-ipc %llu)", name, (unsigned long long)r->id);
                uint32_t fd = open_setting(t, name, O_WRONLY);
                TAPE(t, __NR_write, A_RET(fd), A_DATA(field_tape(t, v)), A_IMM(v->len));
                TAPE(t, __NR_close, A_RET(fd));
        }
        return 0;
}

const struct kind kind_ns_ipc = {
        .stem = "ns-ipc",
        .number = KIND_NS_IPC,
        .cls = CLS_NS,
        .msg = &gantry__ns_ipc__descriptor,
        .claim = claim,
        .refuse = refuse,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_MOUNTS] = plan_mounts},
};
