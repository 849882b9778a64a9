/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent's mappings in a target: one page of code, r-x, and the tape area behind it, rw-.
 *
 *      code (4 KiB, r-x) | tape area (rw-)        of the tracee that brought the agent
 *                          tape area (rw-)        of each other thread of that mm, anywhere
 *
 * Never one mapping with both rights: PR_SET_MDWE refuses it, and SELinux asks for execmem. The whole range is mapped r-x
 * first and its tail replaced, so that no other mapping can slip in between. No descriptor is used: RLIMIT_NOFILE may be
 * exhausted. Once the code is there, every injected call runs at the agent's own `syscall` instruction, because the tape may
 * have unmapped everything else; only the unmapping of the code itself needs an instruction elsewhere.
 *
 * int3 resets an ignored SIGTRAP to its default (force_sig), so it is put back after each play by a call that involves no
 * signal.
 */
#include "checkpoint/tape/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/procfs.h"
#include "checkpoint/tape/tracee-int.h"

#define USER32_CS 0x23
#define TAPE_BYTES_MAX (UINT64_C(1) << 30)

uint64_t agent_insn(const struct tracee *t)
{
        return t->agent->code + (uint64_t)(agent_code_syscall - agent_code);
}

void agent_size(size_t *ret_bytes, unsigned *ret_instructions)
{
        *ret_bytes = (size_t)(agent_code_end - agent_code);
        *ret_instructions = agent_code_count;
}

bool agent_owns_code(const struct tracee *t)
{
        return t->tape == t->agent->code + AGENT_CODE_BYTES;
}

static int call_failed(struct tracee *t, int64_t ret, const char *what, struct err *err)
{
        return err_sys(err, EX_FAIL, (int)-ret, what, "thread %d", (int)t->tid);
}

struct area { uint64_t addr, len; int prot, flags; };

/* mmap of anonymous memory; a full RLIMIT_AS is lifted as far as its hard limit while it runs. */
static int mmap_at(struct tracee *t, uint64_t insn, struct area a, int64_t *ret, struct err *err)
{
        const uint64_t arg[6] = { a.addr, a.len, (uint64_t)a.prot, (uint64_t)(MAP_PRIVATE | MAP_ANONYMOUS | a.flags),
                                  UINT64_MAX, 0 };
        struct rlimit old, wide;
        int r = tracee_inject(t, insn, SYS_mmap, arg, ret, err);

        if (r < 0 || *ret != -ENOMEM || prlimit(t->tid, RLIMIT_AS, NULL, &old) < 0 || old.rlim_cur == old.rlim_max)
                return r;
        wide = (struct rlimit){ old.rlim_max, old.rlim_max };
        if (prlimit(t->tid, RLIMIT_AS, &wide, NULL) < 0)
                return r;
        r = tracee_inject(t, insn, SYS_mmap, arg, ret, err);
        if (prlimit(t->tid, RLIMIT_AS, &old, NULL) < 0 && r == 0)
                r = err_sys(err, EX_FAIL, errno, "cannot set a limit back", "RLIMIT_AS of %d", (int)t->tid);
        return r;
}

static int unmap(struct tracee *t, uint64_t insn, uint64_t addr, uint64_t len, struct err *err)
{
        const uint64_t arg[6] = { addr, len };
        int64_t ret = 0;
        int r = tracee_inject(t, insn, SYS_munmap, arg, &ret, err);

        if (r < 0)
                return r;
        return ret < 0 ? call_failed(t, ret, "cannot unmap the agent", err) : 0;
}

/* Code and tape area in one range, by the `syscall` instruction `insn`, which must outlive the first call only. */
static int map_whole(struct tracee *t, uint64_t insn, uint64_t tape_len, uint64_t *ret, struct err *err)
{
        int64_t at = 0, tape = 0;
        int fixed = t->fixed ? MAP_FIXED_NOREPLACE : 0;
        struct area all = { t->fixed, AGENT_CODE_BYTES + tape_len, PROT_READ | PROT_EXEC, fixed };
        int r = mmap_at(t, insn, all, &at, err);

        if (r < 0)
                return r;
        if (at < 0 && at > -4096)
                return call_failed(t, at, "cannot map the agent", err);
        uint64_t code = (uint64_t)at;
        struct area tail = { code + AGENT_CODE_BYTES, tape_len, PROT_READ | PROT_WRITE, MAP_FIXED };
        r = tracee_mem_write(t, code, agent_code, (size_t)(agent_code_end - agent_code), err);
        if (r == 0)
                r = mmap_at(t, code + (uint64_t)(agent_code_syscall - agent_code), tail, &tape, err);
        if (r == 0 && (uint64_t)tape != code + AGENT_CODE_BYTES)
                r = call_failed(t, tape, "cannot map the tape area", err);
        if (r < 0) {
                if (!t->gone)
                        (void)unmap(t, insn, code, AGENT_CODE_BYTES + tape_len, NULL);
                return r;
        }
        *ret = code;
        return 0;
}

static int map_tape(struct tracee *t, uint64_t fixed, uint64_t len, uint64_t *ret, struct err *err)
{
        int64_t at = 0;
        struct area a = { fixed, len, PROT_READ | PROT_WRITE, fixed ? MAP_FIXED_NOREPLACE : 0 };
        int r = mmap_at(t, agent_insn(t), a, &at, err);

        if (r < 0)
                return r;
        if (at < 0 && at > -4096)
                return call_failed(t, at, "cannot map a tape area", err);
        *ret = (uint64_t)at;
        return 0;
}

/* Is SIGTRAP ignored? */
static int read_ignored(const struct tracee *t, bool *ret, struct err *err)
{
        struct proc_kv kv[128];
        size_t n = 0, len;
        uint64_t ignored = 0;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int procfd = proc_open(t->tid, err);

        if (procfd < 0)
                return procfd;
        int r = proc_read(procfd, "status", &text, &len, err);
        if (r == 0)
                r = proc_status_parse(text, len, kv, ELEMENTSOF(kv), &n, err);
        if (r < 0)
                return r;
        const char *s = proc_kv_get(kv, n, "SigIgn");
        if (!s || parse_hex64(s, &ignored, NULL) < 0)
                return err_set(err, EX_FAIL, "cannot read the ignored signals", "no such line", "thread %d", (int)t->tid);
        *ret = ignored >> (SIGTRAP - 1) & 1;
        return 0;
}

/* The program's own disposition, where int3 would destroy it. */
static int learn_trap(struct tracee *t, struct err *err)
{
        bool ignored = t->trap_ignored;
        int r = t->trap_known ? 0 : read_ignored(t, &ignored, err);

        if (r < 0 || !ignored)
                return r;
        const uint64_t arg[6] = { SIGTRAP, 0, t->tape, 8 };
        int64_t ret = 0;
        r = tracee_inject(t, agent_insn(t), SYS_rt_sigaction, arg, &ret, err);
        if (r == 0 && ret < 0)
                r = call_failed(t, ret, "cannot read a signal's disposition", err);
        if (r == 0)
                r = tracee_mem_read(t, t->tape, t->agent->trap_action, sizeof(t->agent->trap_action), err);
        if (r == 0)
                t->agent->trap_ignored = true;
        return r;
}

int agent_mend(struct tracee *t, struct err *err)
{
        if (!t->agent->trap_ignored)
                return 0;
        const uint64_t arg[6] = { SIGTRAP, t->tape, 0, 8 };
        int64_t ret = 0;
        int r = tracee_mem_write(t, t->tape, t->agent->trap_action, sizeof(t->agent->trap_action), err);
        if (r == 0)
                r = tracee_inject(t, agent_insn(t), SYS_rt_sigaction, arg, &ret, err);
        if (r == 0 && ret < 0)
                r = call_failed(t, ret, "cannot set a signal's disposition back", err);
        return r;
}

int agent_placed(struct tracee *t, uint64_t code, uint64_t tape_len, struct err *err)
{
        struct agent_map *m = calloc(1, sizeof(*m));
        uint64_t insn;

        if (!m) {
                if (tracee_find_syscall(t, &insn, NULL) == 0)
                        (void)unmap(t, insn, code, AGENT_CODE_BYTES + tape_len, NULL);
                return err_sys(err, EX_FAIL, ENOMEM, "cannot bring the agent", "thread %d", (int)t->tid);
        }
        *m = (struct agent_map){ .code = code, .refs = 1 };
        t->agent = m;
        t->tape = code + AGENT_CODE_BYTES;
        t->tape_len = tape_len;
        int r = learn_trap(t, err);
        if (r < 0)
                (void)tracee_agent_drop(t, NULL);
        return r;
}

static int bring(struct tracee *t, uint64_t tape_len, struct err *err)
{
        uint64_t insn = 0, code = 0;
        int r = tracee_find_syscall(t, &insn, err);

        if (r < 0)
                return r;
        struct err first = { 0 };
        r = map_whole(t, insn, tape_len, &code, &first);
        if (r < 0 && tape_len > 4096 && (first.sys == ENOMEM || first.sys == EAGAIN)) {
                tape_len = 4096; /* little memory may be locked: the area grows when a tape needs it */
                first = (struct err){ 0 };
                r = map_whole(t, insn, tape_len, &code, &first);
        }
        return r < 0 ? err_take(err, &first) : agent_placed(t, code, tape_len, err);
}

int tracee_agent(struct tracee *t, const struct tracee *share, uint64_t fixed, size_t tape_bytes, struct err *err)
{
        uint64_t len = agent_pages(tape_bytes ? tape_bytes : 1);

        if (t->agent)
                return agent_room(t, tape_bytes, err);
        if (!t->stopped || !t->seen || len > TAPE_BYTES_MAX)
                return err_set(err, EX_FAIL, "cannot bring the agent", "the thread is not stopped, or the area too long",
                               "thread %d", (int)t->tid);
        if (t->regs.cs == USER32_CS)
                return err_set(err, EX_UNSUPPORTED, "cannot work inside a program", "it is a 32-bit program", "thread %d",
                               (int)t->tid);
        tracee_sud(t, true);
        t->fixed = fixed;
        if (!share || !share->agent)
                return bring(t, len, err);
        t->agent = share->agent;
        int r = map_tape(t, fixed, len, &t->tape, err);
        if (r < 0) {
                t->agent = NULL;
                return r;
        }
        t->agent->refs++;
        t->tape_len = len;
        return 0;
}

void tracee_agent_range(const struct tracee *t, uint64_t *ret_start, uint64_t *ret_len)
{
        *ret_start = *ret_len = 0;
        if (!t->agent)
                return;
        bool whole = agent_owns_code(t);
        *ret_start = whole ? t->agent->code : t->tape;
        *ret_len = t->tape_len + (whole ? AGENT_CODE_BYTES : 0);
}

void agent_forget(struct tracee *t)
{
        if (--t->agent->refs == 0)
                free(t->agent);
        t->agent = NULL;
        t->tape = t->tape_len = 0;
}

int tracee_agent_drop(struct tracee *t, struct err *err)
{
        uint64_t insn = 0;
        int r;

        if (!t->agent)
                return 0;
        if (t->gone) {
                agent_forget(t);
                return 0;
        }
        if (t->agent->refs > 1) {
                r = unmap(t, agent_insn(t), t->tape, t->tape_len, err);
        } else {
                bool whole = agent_owns_code(t);
                r = whole ? 0 : unmap(t, agent_insn(t), t->tape, t->tape_len, err);
                if (r == 0)
                        r = tracee_find_syscall(t, &insn, err);
                if (r == 0)
                        r = unmap(t, insn, t->agent->code, AGENT_CODE_BYTES + (whole ? t->tape_len : 0), err);
        }
        if (r < 0 && !t->gone)
                return r;
        agent_forget(t);
        if (!t->gone)
                tracee_sud(t, false);
        return 0;
}

int tracee_agent_inherit(struct tracee *child, const struct tracee *parent, struct err *err)
{
        struct agent_map *m;

        if (!parent->agent || child->agent)
                return err_set(err, EX_FAIL, "cannot take over the agent", "the parent has none, or the child has one",
                               "thread %d", (int)child->tid);
        m = malloc(sizeof(*m));
        if (!m)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot take over the agent", "thread %d", (int)child->tid);
        *m = *parent->agent;
        m->refs = 1;
        child->agent = m;
        child->fixed = parent->fixed;
        child->tape = parent->tape;
        child->tape_len = parent->tape_len;
        return 0;
}

/* A larger area elsewhere: the code moves along where it lies before the old one. */
static int move_area(struct tracee *t, uint64_t len, struct err *err)
{
        uint64_t old = t->tape, old_len = t->tape_len, at = 0;
        int r;

        if (!agent_owns_code(t)) {
                r = map_tape(t, 0, len, &at, err);
                if (r < 0)
                        return r;
                t->tape = at;
        } else {
                r = map_whole(t, agent_insn(t), len, &at, err);
                if (r < 0)
                        return r;
                t->agent->code = at;
                t->tape = at + AGENT_CODE_BYTES;
                old -= AGENT_CODE_BYTES;
                old_len += AGENT_CODE_BYTES;
        }
        t->tape_len = len;
        return unmap(t, agent_insn(t), old, old_len, err);
}

int agent_room(struct tracee *t, size_t bytes, struct err *err)
{
        uint64_t len = agent_pages(bytes), more = len > t->tape_len ? len - t->tape_len : 0;
        int64_t at = 0;

        if (!more)
                return 0;
        if (len > TAPE_BYTES_MAX)
                return err_set(err, EX_FAIL, "cannot play a tape", "it is too long", "%zu bytes", bytes);
        struct area a = { t->tape + t->tape_len, more, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE };
        int r = mmap_at(t, agent_insn(t), a, &at, err);
        if (r < 0)
                return r;
        if ((uint64_t)at == t->tape + t->tape_len) {
                t->tape_len = len;
                return 0;
        }
        if (t->fixed) /* its place was agreed with what will be mapped around it: it must not move */
                return call_failed(t, at, "cannot lengthen the tape area", err);
        return move_area(t, len, err);
}
