/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Properties of tasks on this process itself: asked, changed, and set again by the same plan that a restore plays; each
 * entry of it also fails once. Kinds that would take away what the test needs (credentials, memory) have victims only.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/procfs.h"
#include "tests/unit/harness.h"

struct self { char *text; struct proc_kv kv[128]; size_t n; struct proc_stat stat; struct facts f; };

static void read_self(struct self *s, enum obj_class cls)
{
        size_t len = 0;
        int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

        *s = (struct self){};
        cr_assert_eq(proc_read(fd, "status", &s->text, &len, NULL), 0);
        cr_assert_eq(proc_status_parse(s->text, len, s->kv, ELEMENTSOF(s->kv), &s->n, NULL), 0);
        cr_assert_eq(proc_stat_read(fd, &s->stat, NULL), 0);
        s->f = (struct facts){.cls = cls, .shown_pid = getpid(), .comm = "self"};
        s->f.task.status = s->kv;
        s->f.task.n_status = s->n;
        s->f.task.stat = &s->stat;
        s->f.task.leader = true;
        close(fd);
}

static struct kt *dumped(struct self *s, const struct kind *k)
{
        struct kt *t = kt_new();

        read_self(s, k->cls);
        kt_add(t, k, &s->f);
        kt_dump(t);
        return t;
}

static void done(struct kt *t, struct self *s)
{
        kt_free(t);
        free(s->text);
}

Test(kind_task_self, thread)
{
        static char stack[65536];
        stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)}, off = {.ss_flags = SS_DISABLE}, now;
        struct self s;
        char name[16] = "";
        int sig = 0;

        cr_assert_eq(prctl(PR_SET_NAME, "a \\ \n name"), 0);
        cr_assert_eq(sigaltstack(&alt, NULL), 0);
        cr_assert_eq(prctl(PR_SET_PDEATHSIG, SIGUSR2), 0);
        cr_assert_geq(personality(ADDR_COMPAT_LAYOUT), 0);
        struct kt *t = dumped(&s, &kind_task_thread);
        prctl(PR_SET_NAME, "other");
        sigaltstack(&off, NULL);
        prctl(PR_SET_PDEATHSIG, 0);
        personality(0);
        kt_sweep(t);
        prctl(PR_GET_NAME, name);
        cr_assert_str_eq(name, "a \\ \n name");
        cr_assert_eq(sigaltstack(NULL, &now), 0);
        cr_assert_eq(now.ss_sp, stack);
        cr_assert_eq(now.ss_size, sizeof(stack));
        prctl(PR_GET_PDEATHSIG, &sig);
        cr_assert_eq(sig, SIGUSR2);
        cr_assert_eq(personality(0xffffffff), ADDR_COMPAT_LAYOUT);
        done(t, &s);
}

static void handler(int sig)
{
        (void)sig;
}

Test(kind_task_self, sigact)
{
        struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER}, now;
        struct self s;

        sigaddset(&a.sa_mask, SIGWINCH);
        cr_assert_eq(sigaction(SIGUSR1, &a, NULL), 0);
        cr_assert_eq(sigaction(SIGUSR1, NULL, &a), 0); /* as the C library shows it */
        cr_assert_neq(signal(SIGPIPE, SIG_IGN), SIG_ERR);
        struct kt *t = dumped(&s, &kind_task_sigact);
        signal(SIGUSR1, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGUSR2, SIG_IGN);
        kt_sweep(t);
        cr_assert_eq(sigaction(SIGUSR1, NULL, &now), 0);
        cr_assert(now.sa_handler == handler && now.sa_flags == a.sa_flags && sigismember(&now.sa_mask, SIGWINCH));
        cr_assert_eq(sigaction(SIGPIPE, NULL, &now), 0);
        cr_assert_eq(now.sa_handler, SIG_IGN);
        cr_assert_eq(sigaction(SIGUSR2, NULL, &now), 0);
        cr_assert_eq(now.sa_handler, SIG_DFL, "a disposition that was the default is not again");
        done(t, &s);
}

Test(kind_task_self, rlimit)
{
        struct rlimit lim = {77, 0}, now;
        struct self s;

        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &now), 0);
        lim = (struct rlimit){1000, now.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
        struct kt *t = dumped(&s, &kind_task_rlimit);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){1100, now.rlim_max}), 0);
        kt_sweep(t);
        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &now), 0);
        cr_assert_eq(now.rlim_cur, lim.rlim_cur);
        cr_assert_eq(now.rlim_max, lim.rlim_max);
        done(t, &s);
}

Test(kind_task_self, prctl)
{
        struct self s;
        int reaper = 0;

        cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        cr_assert_eq(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
        struct kt *t = dumped(&s, &kind_task_prctl);
        prctl(PR_SET_CHILD_SUBREAPER, 0);
        prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
        kt_sweep(t);
        cr_assert_eq(prctl(PR_GET_CHILD_SUBREAPER, &reaper), 0);
        cr_assert_eq(reaper, 1);
        cr_assert_eq(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
        cr_assert_eq(prctl(PR_GET_DUMPABLE), 1);
        done(t, &s);
}

Test(kind_task_self, sched)
{
        struct self s;

        cr_assert_eq(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), 0);
        cr_assert_eq(prctl(PR_SET_TIMERSLACK, 777777, 0, 0, 0), 0);
        cr_assert_eq(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 7), 0);
        struct kt *t = dumped(&s, &kind_task_sched);
        sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
        prctl(PR_SET_TIMERSLACK, 50000, 0, 0, 0);
        syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4);
        kt_sweep(t);
        cr_assert_eq(sched_getscheduler(0), SCHED_BATCH);
        cr_assert_eq(prctl(PR_GET_TIMERSLACK), 777777);
        cr_assert_eq(syscall(SYS_ioprio_get, 1, 0), 2 << 13 | 7);
        done(t, &s);
}

Test(kind_task_self, a_real_time_policy_is_refused)
{
        struct self s;
        struct err err = {};

        read_self(&s, CLS_THREAD);
        s.stat.policy = SCHED_FIFO;
        cr_assert_eq(kind_task_sched.refuse(&s.f, &err), -EX_UNSUPPORTED);
        free(s.text);
}

Test(kind_task_self, itimer)
{
        struct itimerval now, off = {};
        struct self s;

        cr_assert_eq(setitimer(ITIMER_REAL, &(struct itimerval){{60, 0}, {5000, 0}}, NULL), 0);
        struct kt *t = dumped(&s, &kind_task_itimer);
        setitimer(ITIMER_REAL, &off, NULL);
        kt_sweep(t);
        cr_assert_eq(getitimer(ITIMER_REAL, &now), 0);
        cr_assert(now.it_value.tv_sec > 4900 && now.it_value.tv_sec <= 5000 && now.it_interval.tv_sec == 60);
        setitimer(ITIMER_REAL, &off, NULL);
        done(t, &s);
}

Test(kind_task_self, signals)
{
        static const struct { enum obj_class cls; const char *key; } rows[] = {{CLS_THREAD, "SigPnd"}, {CLS_TASK, "ShdPnd"}};
        sigset_t block;

        sigemptyset(&block);
        sigaddset(&block, SIGUSR1);
        sigaddset(&block, 40);
        cr_assert_eq(sigprocmask(SIG_BLOCK, &block, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct kind *k = rows[i].cls == CLS_THREAD ? &kind_task_sigpend : &kind_task_sigshared;
                siginfo_t queue[2] = {{.si_signo = 40, .si_code = SI_QUEUE}, {.si_signo = 40, .si_code = 77}}, got;
                struct proc_kv kv[] = {{rows[i].key, "0000008000000200"}};
                struct facts f = {.cls = rows[i].cls};
                struct kt *t = kt_new();
                queue[0].si_value.sival_int = 4711;
                f.task.status = kv;
                f.task.n_status = 1;
                f.task.pending = queue;
                f.task.n_pending = 2;
                kt_add(t, k, &f);
                kt_dump(t);
                kt_restore(t);
                cr_assert_eq(sigtimedwait(&block, &got, &(struct timespec){0, 0}), SIGUSR1, "one that was a bit of the mask only");
                cr_assert_eq(got.si_code, SI_USER);
                cr_assert_eq(sigtimedwait(&block, &got, &(struct timespec){0, 0}), 40);
                cr_assert(got.si_code == SI_QUEUE && got.si_value.sival_int == 4711);
                cr_assert_eq(sigtimedwait(&block, &got, &(struct timespec){0, 0}), 40);
                cr_assert_eq(got.si_code, 77, "a code of the kernel");
                cr_assert_eq(sigtimedwait(&block, &got, &(struct timespec){0, 0}), -1);
                kt_free(t);
        }
}

Test(kind_task_self, stop_signals_are_refused)
{
        static const struct { const char *mask; int want; } rows[] = {
                {"0000000000000000", 0}, {"0000000000000100", -EX_UNSUPPORTED}, {"0000000000040000", -EX_UNSUPPORTED},
                {"0000000000000010", -EX_UNSUPPORTED}, {"0000000000000200", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct proc_kv kv[] = {{"SigPnd", rows[i].mask}};
                struct facts f = {.cls = CLS_THREAD};
                struct err err = {};
                f.task.status = kv;
                f.task.n_status = 1;
                cr_assert_eq(kind_task_sigpend.refuse(&f, &err), rows[i].want, "%s", rows[i].mask);
        }
}

Test(kind_task_self, place_and_mask)
{
        struct self s;
        struct stat a, b;

        cr_assert_eq(chdir("/tmp"), 0);
        umask(027);
        struct kt *t = dumped(&s, &kind_task_fs);
        cr_assert_eq(stat(".", &a), 0);
        cr_assert_eq(chdir("/"), 0);
        umask(0);
        kt_sweep(t);
        cr_assert_eq(stat(".", &b), 0);
        cr_assert_eq(a.st_ino, b.st_ino);
        cr_assert_eq(umask(0), 027);
        done(t, &s);
}

Test(kind_task_self, a_removed_directory_is_refused)
{
        char dir[] = "/tmp/gantry-unit-XXXXXX";
        struct self s;
        struct err err = {};

        cr_assert(mkdtemp(dir));
        cr_assert_eq(chdir(dir), 0);
        cr_assert_eq(rmdir(dir), 0);
        struct kt *t = kt_new();
        read_self(&s, CLS_FS);
        kt_add(t, &kind_task_fs, &s.f);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED, "%s", err.why);
        done(t, &s);
}
