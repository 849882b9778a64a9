/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An address space's own knowledge: where code, data, heap, stack, arguments and environment are, the auxiliary vector,
 * the program file, the lock that future mappings get, registrations for expedited membarriers.
 *
 * The fields come from /proc/PID/stat, brk from brk(0) by tape. PR_SET_MM_MAP sets all of them at once (in PH_ATTR, when
 * the mappings it points into exist); its exe_fd wants the old program unmapped (EBUSY) and the capability of
 * the namespace. The file is opened in PH_MAKE under this object's id and handed back by number. mlockall(MCL_FUTURE)
 * shows nowhere in /proc: a page mapped by tape is locked (msync(MS_INVALIDATE) says EBUSY) and filled (mincore), or not.
 * Registrations can be asked for since 6.3. Before, an unregistered process gets EPERM for a barrier, which does no harm; only that for
 * GLOBAL_EXPEDITED shows nowhere, and is made without being asked for: who has it and does not need it is interrupted now and then.
 *
 * dumpable, thp and MDWE are task-prctl's. A deleted or replaced program is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/inside.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/task-mm.pb-c.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#define AUXV_MAX 1024
#define MEMBARRIER_GET_REGISTRATIONS (1 << 9) /* 6.3 */
#define REGISTRATIONS ((uint32_t)(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |     \
                                  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ))
static const struct { uint32_t barrier, registration; } barriers[] = {
        {MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED},
        {MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
        {MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ},
};

/* Numbers of the ask tape's entries; its only data is the byte of mincore at offset 0. */
enum { ASK_BRK, ASK_MMAP, ASK_MSYNC, ASK_MINCORE, ASK_MUNMAP, ASK_REGISTRATIONS, ASK_BARRIERS };

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t vec = tape_data(t, NULL, 1);
        TAPE(t, __NR_brk, A_IMM(0));
        uint32_t page = TAPE(t, __NR_mmap, A_IMM(0), A_IMM(4096), A_IMM(PROT_READ | PROT_WRITE),
                             A_IMM(MAP_PRIVATE | MAP_ANONYMOUS), A_IMM(-1), A_IMM(0));
        tape_may_fail(t, page, 0);
        tape_may_fail(t, TAPE(t, __NR_msync, A_RET(page), A_IMM(4096), A_IMM(MS_ASYNC | MS_INVALIDATE)), 0);
        tape_may_fail(t, TAPE(t, __NR_mincore, A_RET(page), A_IMM(4096), A_DATA(vec)), 0);
        tape_may_fail(t, TAPE(t, __NR_munmap, A_RET(page), A_IMM(4096)), 0);
        tape_may_fail(t, TAPE(t, __NR_membarrier, A_IMM(MEMBARRIER_GET_REGISTRATIONS), A_IMM(0), A_IMM(0)), 0);
        for (size_t i = 0; i < ELEMENTSOF(barriers); i++)
                tape_may_fail(t, TAPE(t, __NR_membarrier, A_IMM(barriers[i].barrier), A_IMM(0), A_IMM(0)), 0);
        return 0;
}

static uint32_t registrations(const struct tape *t)
{
        int64_t told = tape_ret(t, ASK_REGISTRATIONS);
        uint32_t r = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;

        if (told >= 0)
                return (uint32_t)told;
        if (told == -ENOSYS)
                return 0;
        for (uint32_t i = 0; i < ELEMENTSOF(barriers); i++)
                if (tape_ret(t, ASK_BARRIERS + i) == 0)
                        r |= barriers[i].registration;
        return r;
}

static uint32_t future_lock(const struct tape *t)
{
        if (tape_ret(t, ASK_MMAP) == -EAGAIN)
                return MCL_FUTURE; /* the lock's limit is used up; whether on fault cannot be told */
        if (tape_ret(t, ASK_MSYNC) != -EBUSY)
                return 0;
        const uint8_t *vec = tape_out(t, 0);
        bool filled = tape_ret(t, ASK_MINCORE) == 0 && (*vec & 1);
        return MCL_FUTURE | (filled ? 0 : MCL_ONFAULT);
}

/* Which of the kernel's own areas are there: task-mm unmaps the others at restore. */
static uint32_t areas_of(struct dump *d, const struct obj *o)
{
        static const struct { const char *name; unsigned bit; } names[] = {{"[vvar]", 1}, {"[vvar_vclock]", 2}, {"[vdso]", 3}};
        uint32_t areas = 0;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (dump_area(d, o, names[i].name))
                        areas |= 1u << names[i].bit;
        return areas;
}

static int exe_of(struct dump *d, const struct obj *o, Gantry__TaskMm *m, struct err *err)
{
        char path[PATH_MAX];
        struct stat st;
        bool lasting = false;

        if (fstatat(o->procfd, "exe", &st, AT_NO_AUTOMOUNT) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a program", "process %d", (int)o->facts.shown_pid);
        int r = proc_readlink(o->procfd, "exe", path, sizeof(path), err);
        if (r < 0)
                return r;
        r = path[0] == '/' ? inside_same(d, o, path, &st, &lasting, err) : 0;
        if (r < 0)
                return r;
        if (!r)
                return kind_refuse(&kind_task_mm, &o->facts, err, "a program file that was deleted, replaced or covered",
                                   "Restart the program");
        m->exe_size = (uint64_t)st.st_size;
        m->has_exe_ino = lasting;
        m->exe_ino = lasting ? st.st_ino : 0;
        return field_set_text(&m->exe, path, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ char *auxv = NULL;
        const struct proc_stat *s = o->facts.task.stat;
        size_t len;

        (void)fd;
        int r = dump_proc(o, "auxv", &auxv, &len, err);
        if (r < 0)
                return r;
        Gantry__TaskMm *m = KIND_NEW(Gantry__TaskMm, gantry__task_mm__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->start_code = s->start_code;
        m->end_code = s->end_code;
        m->start_data = s->start_data;
        m->end_data = s->end_data;
        m->start_brk = s->start_brk;
        m->start_stack = s->start_stack;
        m->arg_start = s->arg_start;
        m->arg_end = s->arg_end;
        m->env_start = s->env_start;
        m->env_end = s->env_end;
        m->brk = (uint64_t)tape_ret(t, ASK_BRK);
        m->lock = future_lock(t);
        m->has_membarrier = (m->membarrier = registrations(t)) != 0;
        r = field_set(&m->auxv, auxv, len, err);
        if (r >= 0)
                r = exe_of(d, o, m, err);
        m->areas = areas_of(d, o);
        return r < 0 ? r : field_record(&kind_task_mm, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskMm *m = (const Gantry__TaskMm *)r->msg;
        const uint64_t at[] = {m->start_code, m->end_code, m->start_data, m->end_data, m->start_brk, m->brk,
                               m->start_stack, m->arg_start, m->arg_end, m->env_start, m->env_end};

        (void)need;
        for (size_t i = 0; i < ELEMENTSOF(at); i++)
                if (at[i] > VMA_TOP)
                        return kind_bad(&kind_task_mm, r, err, "an address is not a program's");
        if (m->start_code >= m->end_code || m->start_data > m->end_data || m->start_brk > m->brk || m->arg_start > m->arg_end ||
            m->env_start > m->env_end)
                return kind_bad(&kind_task_mm, r, err, "an area ends before it starts");
        if (!m->auxv.len || m->auxv.len % 16 || m->auxv.len > AUXV_MAX)
                return kind_bad(&kind_task_mm, r, err, "the auxiliary vector has an impossible size");
        if (!field_is_path(&m->exe))
                return kind_bad(&kind_task_mm, r, err, "the program's path is not one");
        if (m->areas & ~0xeu)
                return kind_bad(&kind_task_mm, r, err, "unknown areas of the kernel");
        if (m->lock & ~(uint32_t)(MCL_FUTURE | MCL_ONFAULT) || m->lock == MCL_ONFAULT)
                return kind_bad(&kind_task_mm, r, err, "unknown lock of future mappings");
        if (m->membarrier & ~REGISTRATIONS)
                return kind_bad(&kind_task_mm, r, err, "unknown memory barriers");
        return 0;
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskMm *m = (const Gantry__TaskMm *)r->msg;
        struct inside_file want = {.path = &m->exe, .size = m->exe_size, .has_ino = m->has_exe_ino, .ino = m->exe_ino};
        int r2 = inside_expect(rs, &kind_task_mm, r, r->id, &want, err);

        if (r2 < 0)
                return r2;
        struct tape *t = vma_tape(rs, r->id);
        tape_label(t, "open the program %.*s (task-mm %llu)", (int)m->exe.len, (const char *)m->exe.data,
                   (unsigned long long)r->id);
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(field_tape(t, &m->exe)),
                           A_IMM(O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), A_IMM(0));
        tape_keep_fd(t, fd, r->id);
        return 0;
}

static unsigned area_bit(const char *name)
{
        if (str_eq(name, "[vvar]"))
                return 1;
        if (str_eq(name, "[vvar_vclock]"))
                return 2;
        return str_eq(name, "[vdso]") ? 3 : 0;
}

static int plan_space(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskMm *m = (const Gantry__TaskMm *)r->msg;
        const struct vdso_place *p = restore_vdso(rs);

        (void)err;
        for (size_t i = 0; i < p->n; i++) {
                unsigned bit = area_bit(p->at[i].name);
                if (m->areas & 1u << bit)
                        continue;
                struct tape *t = vma_tape(rs, r->id);
                tape_label(t, "unmap %s (task-mm %llu)", p->at[i].name, (unsigned long long)r->id);
                TAPE(t, __NR_munmap, A_IMM(p->at[i].start), A_IMM(p->at[i].len));
        }
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskMm *m = (const Gantry__TaskMm *)r->msg;
        struct prctl_mm_map map = {
                .start_code = m->start_code, .end_code = m->end_code, .start_data = m->start_data,
                .end_data = m->end_data,     .start_brk = m->start_brk, .brk = m->brk,
                .start_stack = m->start_stack, .arg_start = m->arg_start, .arg_end = m->arg_end,
                .env_start = m->env_start,   .env_end = m->env_end,   .auxv_size = (uint32_t)m->auxv.len,
        };
        struct tape *t = vma_tape(rs, r->id);

        (void)err;
        tape_label(t, "describe the address space (task-mm %llu)", (unsigned long long)r->id);
        uint32_t auxv = tape_data(t, m->auxv.data, m->auxv.len);
        uint32_t at = tape_data(t, &map, sizeof(map));
        tape_reloc(t, at + (uint32_t)offsetof(struct prctl_mm_map, auxv), 8, A_DATA(auxv));
        tape_reloc(t, at + (uint32_t)offsetof(struct prctl_mm_map, exe_fd), 4, A_FD(r->id));
        TAPE(t, __NR_prctl, A_IMM(PR_SET_MM), A_IMM(PR_SET_MM_MAP), A_DATA(at), A_IMM(sizeof(map)), A_IMM(0));
        for (uint32_t bit = 1; bit <= REGISTRATIONS; bit <<= 1)
                if (m->membarrier & bit)
                        TAPE(t, __NR_membarrier, A_IMM(bit), A_IMM(0), A_IMM(0));
        return 0;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskMm *m = (const Gantry__TaskMm *)r->msg;

        (void)err;
        if (!m->lock)
                return 0;
        struct tape *t = vma_tape(rs, r->id);
        tape_label(t, "lock future mappings (task-mm %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_mlockall, A_IMM(m->lock));
        return 0;
}

const struct kind kind_task_mm = {
        .stem = "task-mm",
        .number = KIND_TASK_MM,
        .cls = CLS_MM,
        .msg = &gantry__task_mm__descriptor,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_SPACE] = plan_space, [PH_ATTR] = plan_attr, [PH_PARK] = plan_park},
};
