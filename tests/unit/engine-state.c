/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run state, journal, locks and the outer seccomp filter: what needs no container and no root.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/confine.h"
#include "engine/ct-int.h"

/* A container that is a directory and nothing else; each test has a process of its own. */
struct fixture {
        char dir[40];
        struct ct ct;
};

static struct fixture *fixture_new(void)
{
        struct fixture *f = calloc(1, sizeof(*f));

        cr_assert_not_null(f);
        memcpy(f->dir, "/tmp/gantry-unit-state-XXXXXX", 30);
        cr_assert_not_null(mkdtemp(f->dir));
        f->ct = (struct ct){.name = "web1", .lock = -1};
        f->ct.dir = f->ct.run = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(f->ct.dir, 0);
        return f;
}

static void fixture_free(struct fixture *f)
{
        close(f->ct.dir);
        cr_assert_eq(path_remove_tree(AT_FDCWD, f->dir, NULL), 0);
        free(f);
}

Test(state, only_the_same_process_counts)
{
        struct fixture *f = fixture_new();
        struct run_state s, t = {};
        struct err e = {};
        int fd = -1;

        cr_assert_eq(state_pidfd(&f->ct, &fd, &e), 1, "no state");
        cr_assert_eq(state_of_pid(getpid(), &s, &e), 0);
        s.root_dev = 7;
        s.boot_dev = 9;
        cr_assert_eq(state_put(&f->ct, &s, &e), 0);
        cr_assert_eq(state_pidfd(&f->ct, &fd, &e), 0, "%s", e.why);
        close(fd);
        cr_assert_eq(state_get(&f->ct, &t, &e), 0);
        cr_assert(t.pid == s.pid && t.start == s.start && t.root_dev == 7 && t.dev_dev == 0 && t.boot_dev == 9);
        s.start++;
        cr_assert_eq(state_put(&f->ct, &s, &e), 0);
        cr_assert_eq(state_pidfd(&f->ct, &fd, &e), 1, "another start time is another process");
        fixture_free(f);
}

/* Who only wants to know whether a container is there passes no error. */
Test(state, no_error_wanted)
{
        struct fixture *f = fixture_new();
        struct node n = {.lib = -1, .cts = f->ct.dir, .run = f->ct.run, .etc = -1};
        struct ct *ct = NULL;
        struct err e = {};

        cr_assert_eq(ct_open_as(&n, "web2", false, CT_LOCK_NONE, &ct, NULL), -EX_UNKNOWN);
        cr_assert_eq(ct_open_as(&n, "web2", false, CT_LOCK_NONE, &ct, &e), -EX_UNKNOWN);
        cr_assert_eq(e.code, EX_UNKNOWN);
        cr_assert_neq(e.remedy[0], '\0');
        cr_assert_null(ct);
        fixture_free(f);
}

Test(state, ended_process)
{
        struct fixture *f = fixture_new();
        struct run_state s;
        struct err e = {};
        siginfo_t si;
        int fd = -1, p[2];

        cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0) {
                char c;
                close(p[1]);
                _exit(read(p[0], &c, 1) != 0);
        }
        close(p[0]);
        cr_assert_eq(state_of_pid(pid, &s, &e), 0);
        cr_assert_eq(state_put(&f->ct, &s, &e), 0);
        cr_assert_eq(state_pidfd(&f->ct, &fd, &e), 0);
        close(fd);
        close(p[1]);
        cr_assert_eq(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
        cr_assert_eq(state_pidfd(&f->ct, &fd, &e), 1, "a zombie has ended");
        cr_assert_eq(waitpid(pid, NULL, 0), pid);
        cr_assert_eq(state_pidfd(&f->ct, &fd, &e), 1);
        fixture_free(f);
}

/* On the answer "no container" things are removed: a file that says nothing must not be that answer. */
Test(state, garbage_is_an_error)
{
        struct fixture *f = fixture_new();
        struct err e = {};
        int fd = -1;

        cr_assert_eq(path_replace(f->ct.run, "state", "pid = -1\n", 9, 0600, &e), 0);
        cr_assert_lt(state_pidfd(&f->ct, &fd, &e), 0);
        cr_assert_eq(path_replace(f->ct.run, "state", "", 0, 0600, &e), 0);
        cr_assert_lt(state_pidfd(&f->ct, &fd, &e), 0);
        fixture_free(f);
}

Test(state, journal)
{
        struct fixture *f = fixture_new();
        struct journal k, j = {.owner = OWNER_OFFERED, .token = "c34a3ee7-be1a-4015-8b7b-4d95d0f75111", .peer = "root@host2",
                               .frozen = true};
        struct err e = {};

        cr_assert_eq(ct_journal_get(&f->ct, &k, &e), 0);
        cr_assert_eq(k.owner, OWNER_HERE, "no file");
        cr_assert_eq(ct_journal_put(&f->ct, &j, &e), 0);
        cr_assert_eq(ct_journal_get(&f->ct, &k, &e), 0);
        cr_assert_eq(k.owner, OWNER_OFFERED);
        cr_assert_str_eq(k.token, j.token);
        cr_assert_str_eq(k.peer, j.peer);
        cr_assert(k.frozen);
        for (int i = OWNER_HERE; i <= OWNER_VOID; i++) {
                j.owner = (enum owner)i;
                cr_assert_eq(ct_journal_put(&f->ct, &j, &e), 0);
                cr_assert_eq(ct_journal_get(&f->ct, &k, &e), 0);
                cr_assert_eq((int)k.owner, i);
        }
        cr_assert_eq(path_replace(f->ct.dir, "journal", "owner = me\n", 11, 0600, &e), 0);
        cr_assert_lt(ct_journal_get(&f->ct, &k, &e), 0, "nobody guesses");
        fixture_free(f);
}

/* A state is shown by the journal before anything else. */
Test(state, by_journal)
{
        static const struct { enum owner owner; enum ct_state state; } rows[] = {
                {OWNER_OFFERED, CT_OFFERED}, {OWNER_PREPARED, CT_INCOMING}, {OWNER_GONE, CT_MOVED}, {OWNER_VOID, CT_MOVED},
                {OWNER_HERE, CT_STOPPED}, {OWNER_CLAIMED, CT_STOPPED},
        };
        struct fixture *f = fixture_new();
        struct err e = {};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct journal j = {.owner = rows[i].owner};
                enum ct_state s;
                cr_assert_eq(ct_journal_put(&f->ct, &j, &e), 0);
                cr_assert_eq(ct_state(&f->ct, &s, &e), 0);
                cr_assert_eq(s, rows[i].state, "%zu is %s", i, ct_state_name(s));
        }
        fixture_free(f);
}

Test(state, locks)
{
        struct fixture *f = fixture_new();
        int run = f->ct.run;
        struct err e = {};
        char want[24];
        int a = lock_file(run, "lock", CT_LOCK_EXCLUSIVE, 0, "web1", &e);

        cr_assert_geq(a, 0);
        cr_assert_eq(lock_file(run, "lock", CT_LOCK_EXCLUSIVE, 0, "web1", &e), -EX_LOCKED);
        snprintf(want, sizeof(want), "process %d ", getpid());
        cr_assert(strstr(e.why, want), "%s", e.why);
        cr_assert_eq(lock_file(run, "lock", CT_LOCK_SHARED, 0, "web1", &e), -EX_LOCKED);
        close(a);
        int b = lock_file(run, "lock", CT_LOCK_SHARED, 0, "web1", &e);
        int c = lock_file(run, "lock", CT_LOCK_SHARED, 0, "web1", &e);
        cr_assert(b >= 0 && c >= 0);
        cr_assert_eq(lock_file(run, "lock", CT_LOCK_EXCLUSIVE, 0, "web1", &e), -EX_LOCKED);
        /* A file that was removed and made anew is another lock. */
        cr_assert_eq(unlinkat(run, "lock", 0), 0);
        int d = lock_file(run, "lock", CT_LOCK_EXCLUSIVE, 0, "web1", &e);
        cr_assert_geq(d, 0);
        close(b);
        close(c);
        close(d);
        fixture_free(f);
}

/* ---- the filter, by a BPF interpreter small enough to be believed ---- */

static uint32_t evaluate(const struct filter *f, uint32_t arch, int nr)
{
        const struct seccomp_data d = {.nr = nr, .arch = arch};
        uint32_t acc = 0;

        for (size_t pc = 0; pc < f->n; pc++) {
                const struct sock_filter *i = &f->insns[pc];
                switch (i->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        cr_assert_leq(i->k + 4, sizeof(d));
                        memcpy(&acc, (const char *)&d + i->k, 4);
                        break;
                case BPF_JMP | BPF_JA:
                        pc += i->k;
                        break;
                case BPF_JMP | BPF_JEQ | BPF_K:
                        pc += acc == i->k ? i->jt : i->jf;
                        break;
                case BPF_JMP | BPF_JGE | BPF_K:
                        pc += acc >= i->k ? i->jt : i->jf;
                        break;
                case BPF_JMP | BPF_JGT | BPF_K:
                        pc += acc > i->k ? i->jt : i->jf;
                        break;
                case BPF_RET | BPF_K:
                        return i->k;
                default:
                        cr_assert_fail("an instruction that this test does not know: %#x", i->code);
                }
        }
        cr_assert_fail("it does not end");
        return 0;
}

Test(confine, filter)
{
        static const int yes[] = {SYS_read, SYS_execve, SYS_clone3, SYS_mount, SYS_reboot, SYS_ptrace, SYS_seccomp, SYS_close_range,
                                  452 /* fchmodat2 */, 462 /* mseal */};
        static const int no[] = {SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_bpf, SYS_perf_event_open, SYS_fanotify_init,
                                 SYS_open_by_handle_at, SYS_swapon, SYS_syslog, SYS_clock_settime, SYS_settimeofday, SYS_iopl,
                                 SYS_ioperm, SYS_userfaultfd, SYS_io_uring_setup, SYS_quotactl, SYS_acct, SYS_lookup_dcookie, 999};
        const uint32_t enosys = SECCOMP_RET_ERRNO | ENOSYS;
        struct filter f, again;
        struct err e = {};

        cr_assert_eq(confine_filter(&f, &e), 0, "%s", e.why);
        cr_assert_eq(confine_filter(&again, &e), 0);
        cr_assert_eq(f.n, again.n);
        cr_assert_eq(memcmp(f.insns, again.insns, f.n * sizeof(*f.insns)), 0, "the same bytes every time");
        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                cr_assert_eq(evaluate(&f, AUDIT_ARCH_X86_64, yes[i]), SECCOMP_RET_ALLOW, "%d", yes[i]);
        for (size_t i = 0; i < ELEMENTSOF(no); i++) {
                cr_assert_eq(evaluate(&f, AUDIT_ARCH_X86_64, no[i]), enosys, "%d", no[i]);
                cr_assert_eq(evaluate(&f, AUDIT_ARCH_X86_64, no[i] | 0x40000000), enosys, "x32 %d", no[i]);
        }
        cr_assert_eq(evaluate(&f, AUDIT_ARCH_X86_64, SYS_read | 0x40000000), enosys, "x32");
        cr_assert_eq(evaluate(&f, AUDIT_ARCH_I386, 3), enosys, "32 bits");
        free(f.insns);
        free(again.insns);
}

Test(confine, stored_filter)
{
        struct fixture *x = fixture_new();
        struct filter f, g;
        struct err e = {};

        cr_assert_eq(confine_filter(&f, &e), 0);
        cr_assert_eq(filter_put(x->ct.run, "seccomp", &f, &e), 0);
        cr_assert_eq(filter_get(x->ct.run, "seccomp", &g, &e), 0);
        cr_assert_eq(f.n, g.n);
        cr_assert_eq(memcmp(f.insns, g.insns, f.n * sizeof(*f.insns)), 0);
        free(g.insns);
        cr_assert_eq(path_replace(x->ct.run, "seccomp", "1234567", 7, 0600, &e), 0);
        cr_assert_lt(filter_get(x->ct.run, "seccomp", &g, &e), 0, "half an instruction");
        free(f.insns);
        fixture_free(x);
}

Test(confine, capabilities)
{
        uint64_t c = confine_caps();

        cr_assert(c & UINT64_C(1) << CAP_SYS_ADMIN);
        cr_assert(c & UINT64_C(1) << CAP_SYS_PTRACE);
        cr_assert_not(c & UINT64_C(1) << CAP_SYS_RAWIO, "else a Debian systemd is degraded");
        cr_assert_not(c & UINT64_C(1) << CAP_SYS_MODULE);
        cr_assert_not(c & UINT64_C(1) << CAP_SYS_TIME);
}
