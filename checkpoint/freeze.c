/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * STOP and its undoing: the freeze that moves nobody, and the guard that undoes it when we die.
 *
 *      cgroup.freeze=1 → SEIZE + INTERRUPT every thread, until two walks agree → wait for all → cgroup.freeze=0
 *
 * What the container itself has frozen below is thawed with it, while all stand, and frozen again before they are let go.
 *
 * All threads then stand in a ptrace-stop before their next user instruction and tapes can be played (nothing can be
 * injected into a frozen cgroup). A vfork parent is in D state and cannot stop: the cgroup is thawed for a moment, which
 * lets the child exec or exit, and tried again within the limit.
 *
 * The guard is a child made before the freeze. It holds the cgroup, the network's undo and duplicates of every socket that
 * goes into repair, and reads a socket: end of file before it was told to end means that we died, and it cures what
 * it holds and thaws. Tracees need nothing from it: the kernel detaches them with their own registers.
 *
 * Not here: what is read while all stand still (collect.c), and the cure of kinds (dump-quiet.c).
 */
#include <errno.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/freeze.h"
#include "checkpoint/kind/tcp.h"

#define GUARD_SOCKETS 4096
enum { GUARD_SOCKET = 'S', GUARD_END = 'E' };

/* A thaw wakes many tasks, which would run before the writer comes back from write(2). */
static void raise_priority(bool on)
{
        struct sched_param p = { .sched_priority = on ? 1 : 0 };

        (void)sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &p);
}

/* What it has frozen itself is frozen again; twice is harmless. */
int subject_freeze_below(const struct subject *s, struct err *err)
{
        int r = s->cgroup_fd >= 0 ? cgroup_freeze_below(s->cgroup_fd, err) : 0;

        return r < 0 ? err_wrap(err, "cannot let the container go on", "%s", "what it has frozen itself") : 0;
}

int subject_thaw(const struct subject *s, bool network, struct err *err)
{
        int r = 0;

        if (s->fssync_fd >= 0)
                (void)sys_ioctl(s->fssync_fd, FITHAW, NULL);   /* EINVAL: it is not frozen */
        if (network && s->outside && s->outside->network)
                r = s->outside->network(s->ctx, false, err);
        if (s->cgroup_fd >= 0) {
                raise_priority(true);
                int t = cgroup_thaw(s->cgroup_fd, r ? NULL : err);
                raise_priority(false);
                if (!r)
                        r = t;
        }
        return r;
}

/* Leaving repair clears SO_REUSEADDR: the value that the dump, or the restore, has put there goes back. The pace of a dump whose
 * end nobody has seen ends as well. */
static int repair_off(int fd)
{
        int off = 0, reuse = 0;
        unsigned long rate = 0, unpaced = ~0ul;
        socklen_t len = sizeof(reuse), rate_len = sizeof(rate);

        if (getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &rate_len) == 0 && rate == TCP_PACE &&
            setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &unpaced, sizeof(unpaced)) < 0)
                return -errno;
        if (getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, &len) < 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) < 0)
                return -errno;
        reuse = reuse != 0;
        return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) < 0 ? -errno : 0;
}

/* Runs in the guard: what we held, in the order of the cure. */
static void guard_cure(const struct dump *d, const int socks[], size_t n)
{
        if (d->s.outside && d->s.outside->offered && d->s.outside->offered(d->s.ctx) == 1)
                _exit(0);
        /* At once: the kernel lets the tasks go with us. */
        (void)subject_freeze_below(&d->s, NULL);
        if (d->s.outside && d->s.outside->network)
                (void)d->s.outside->network(d->s.ctx, false, NULL);
        for (size_t i = 0; i < n; i++)
                (void)repair_off(socks[i]);
        (void)subject_thaw(&d->s, false, NULL);
        _exit(0);
}

static void guard_loop(const struct dump *d, int sock)
{
        int socks[GUARD_SOCKETS];
        size_t n = 0;

        for (;;) {
                char c = 0;
                size_t len = 0, got = 0;
                int fds[FD_PASS_MAX];
                int r = fd_recv(sock, &c, 1, &len, fds, FD_PASS_MAX, &got, NULL);

                if (r < 0)
                        continue;
                if (r == 1 || len == 0)
                        guard_cure(d, socks, n);
                if (c == GUARD_END)
                        _exit(0);
                for (size_t i = 0; i < got; i++) {
                        if (n < GUARD_SOCKETS)
                                socks[n++] = fds[i];
                        else
                                close(fds[i]);
                }
                (void)sys_write(sock, &c, 1);
        }
}

int guard_start(struct dump *d, struct err *err)
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make the guard's socket", "%s", "");
        pid_t pid = fork();
        if (pid < 0) {
                int e = errno;
                close(pair[0]);
                close(pair[1]);
                return err_sys(err, EX_FAIL, e, "cannot fork the guard of the freeze", "%s", "");
        }
        if (pid == 0) {
                close(pair[0]);
                (void)setsid();
                signal(SIGINT, SIG_IGN);
                signal(SIGTERM, SIG_IGN);
                signal(SIGHUP, SIG_IGN);
                guard_loop(d, pair[1]);
        }
        close(pair[1]);
        d->guard = pair[0];
        d->guard_pidfd = pidfd_open_proc(pid, NULL);
        return 0;
}

/* Handed over and acknowledged before the socket goes into repair. */
int guard_socket(struct dump *d, int fd, struct err *err)
{
        char c = GUARD_SOCKET;
        size_t got = 0;

        if (d->guard < 0)
                return 0;
        int r = fd_send(d->guard, &c, 1, &fd, 1, err);
        if (r < 0)
                return r;
        r = fd_recv(d->guard, &c, 1, &got, NULL, 0, &got, err);
        if (r < 0)
                return r;
        if (r == 1)
                return err_set(err, EX_FAIL, "cannot go on with the dump", "the guard of the freeze is gone", "%s", "");
        return 0;
}

void guard_end(struct dump *d)
{
        char c = GUARD_END;
        int status;

        if (d->guard < 0)
                return;
        (void)fd_send(d->guard, &c, 1, NULL, 0, NULL);
        d->guard = fd_close(d->guard);
        if (d->guard_pidfd >= 0)
                (void)pidfd_wait(d->guard_pidfd, 2000, &status, NULL);
        d->guard_pidfd = fd_close(d->guard_pidfd);
}

/* ---- the tasks of the subject ---- */



static int add_children(pid_t pid, pid_t **list, size_t *n, struct err *err);

/* Without a cgroup the tree is init and its descendants (/proc/PID/task/TID/children). */
static int tree_procs(const struct subject *s, pid_t **ret, size_t *ret_n, struct err *err)
{
        pid_t init;
        int r = pidfd_pid(s->init_pidfd, &init, err);
        if (r < 0)
                return r;
        *ret = malloc(sizeof(pid_t));
        if (!*ret)
                return kind_nomem(err);
        (*ret)[0] = init;
        *ret_n = 1;
        for (size_t i = 0; i < *ret_n; i++) {
                r = add_children((*ret)[i], ret, ret_n, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_children(pid_t pid, pid_t **list, size_t *n, struct err *err)
{
        unsigned *tids = NULL;
        size_t n_tids = 0;
        int procfd = proc_open(pid, err);

        if (procfd < 0)
                return 0;   /* it has ended since */
        int r = proc_numbers(procfd, "task", &tids, &n_tids, err);
        for (size_t i = 0; r >= 0 && i < n_tids; i++) {
                char name[64];
                char *text = NULL;
                size_t len = 0;

                snprintf(name, sizeof(name), "task/%u/children", tids[i]);
                if (proc_read(procfd, name, &text, &len, NULL) < 0)
                        continue;
                const char *p = text;
                uint64_t child;
                while (r >= 0 && scan_u64(&p, &child)) {
                        pid_t *grown = realloc(*list, (*n + 1) * sizeof(pid_t));
                        if (!grown) {
                                r = kind_nomem(err);
                                break;
                        }
                        *list = grown;
                        grown[(*n)++] = (pid_t)child;
                        (void)scan_skip(&p, " ");
                }
                free(text);
        }
        free(tids);
        close(procfd);
        return r < 0 ? r : 0;
}

static int subject_procs(const struct subject *s, pid_t **ret, size_t *ret_n, struct err *err)
{
        if (s->cgroup_fd >= 0)
                return cgroup_procs(s->cgroup_fd, ret, ret_n, err);
        return tree_procs(s, ret, ret_n, err);
}

static struct dump_task *task_of(struct dump *d, pid_t pid)
{
        for (size_t i = 0; i < d->n_task; i++)
                if (d->task[i].pid == pid)
                        return &d->task[i];
        return NULL;
}

static int add_task(struct dump *d, pid_t pid, struct dump_task **ret, struct err *err)
{
        struct dump_task *grown = realloc(d->task, (d->n_task + 1) * sizeof(*grown));

        if (!grown)
                return kind_nomem(err);
        d->task = grown;
        struct dump_task *t = &grown[d->n_task];
        *t = (struct dump_task){ .pid = pid, .pidfd = -1, .procfd = -1 };
        t->pidfd = pidfd_open_proc(pid, NULL);
        t->procfd = proc_open(pid, NULL);
        if (t->pidfd < 0 || t->procfd < 0) {
                t->pidfd = fd_close(t->pidfd);
                t->procfd = fd_close(t->procfd);
                return 1;   /* ended */
        }
        d->n_task++;
        *ret = t;
        return 0;
}

static int add_thread(struct dump *d, struct dump_task *t, pid_t tid, bool *ret_new, struct err *err)
{
        (void)d;
        for (size_t i = 0; i < t->n_thread; i++)
                if (t->thread[i].tid == tid)
                        return 0;
        struct tracee *tracee = NULL;
        int r = tracee_seize(tid, 0, &tracee, err);
        if (r < 0)
                return r;
        if (r == 1)
                return 0;   /* gone, or a zombie: collect.c names it */
        struct dump_thread *grown = realloc(t->thread, (t->n_thread + 1) * sizeof(*grown));
        if (!grown) {
                tracee_detach(tracee, NULL);
                return kind_nomem(err);
        }
        t->thread = grown;
        grown[t->n_thread++] = (struct dump_thread){ .tid = tid, .procfd = -1, .tracee = tracee };
        *ret_new = true;
        return 0;
}

/* One walk: seizes what is not seized yet. *ret_new tells whether there was anything. */
static int seize_all(struct dump *d, bool *ret_new, struct err *err)
{
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;
        int r = subject_procs(&d->s, &pids, &n, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                struct dump_task *t = task_of(d, pids[i]);
                if (!t) {
                        r = add_task(d, pids[i], &t, err);
                        if (r < 0)
                                return r;
                        if (r == 1 || !t)
                                continue;
                }
                _cleanup_free_ unsigned *tids = NULL;
                size_t n_tids = 0;
                r = proc_numbers(t->procfd, "task", &tids, &n_tids, NULL);
                for (size_t k = 0; r >= 0 && k < n_tids; k++) {
                        int q = add_thread(d, t, (pid_t)tids[k], ret_new, err);
                        if (q < 0)
                                return q;
                }
        }
        return 0;
}

/* 0: all stand; 1: some thread did not stop within ms (named in err). Threads that are gone are dropped. */
static int wait_all(struct dump *d, unsigned ms, struct err *err)
{
        for (size_t i = 0; i < d->n_task; i++) {
                struct dump_task *t = &d->task[i];
                for (size_t k = 0; k < t->n_thread;) {
                        int r = tracee_wait(t->thread[k].tracee, ms, err);
                        if (r < 0)
                                return r;
                        if (r == 1) {
                                char wchan[64] = "?", *text = NULL;
                                size_t len = 0;
                                if (proc_read(t->procfd, "wchan", &text, &len, NULL) >= 0)
                                        snprintf(wchan, sizeof(wchan), "%s", text);
                                free(text);
                                err_set(err, EX_BUSY, "cannot stop a task", "it does not come to a stop",
                                        "process %d, thread %d, waiting in %s", t->pid, t->thread[k].tid, wchan);
                                err_remedy(err, "wait until its vfork or device I/O has ended and try again");
                                return 1;
                        }
                        if (r == 2) {
                                (void)tracee_detach(t->thread[k].tracee, NULL);
                                t->n_thread--;
                                for (size_t j = k; j < t->n_thread; j++)
                                        t->thread[j] = t->thread[j + 1];
                                continue;
                        }
                        k++;
                }
        }
        return 0;
}

static int stop_once(struct dump *d, unsigned ms, struct err *err)
{
        if (d->s.cgroup_fd >= 0) {
                int r = cgroup_freeze(d->s.cgroup_fd, ms, err);
                if (r < 0)
                        return r;
                if (r == 1)
                        return err_set(err, EX_BUSY, "cannot freeze the container", "its cgroup did not freeze in time",
                                       "%u ms", ms);
                d->frozen = true;
        }
        bool more = true;
        while (more) {
                more = false;
                int r = seize_all(d, &more, err);
                if (r < 0)
                        return r;
                r = wait_all(d, ms / 4 + 50, err);
                if (r)
                        return r;
        }
        if (d->frozen) {
                /* What the container has frozen itself stands in our stops too: no tape could run there. */
                int r = cgroup_thaw_below(d->s.cgroup_fd, err);
                if (r >= 0)
                        r = cgroup_thaw(d->s.cgroup_fd, err);
                if (r < 0)
                        return r;
                d->frozen = false;
        }
        return 0;
}

/* The tasks go on and are forgotten: a further dump_stop() finds them anew. */
int dump_unstop(struct dump *d, struct err *err)
{
        int r = dump_release(d, err);

        if (d->s.cgroup_fd >= 0)
                (void)cgroup_thaw(d->s.cgroup_fd, NULL);
        d->frozen = false;
        d->state = DUMP_NEW;
        for (size_t i = 0; i < d->n_task; i++) {
                free(d->task[i].thread);
                fd_close(d->task[i].pidfd);
                fd_close(d->task[i].procfd);
        }
        d->n_task = 0;
        return r;
}

int dump_stop(struct dump *d, unsigned ms, struct err *err)
{
        uint64_t now = now_ns(), deadline = now + (uint64_t)ms * 1000000;

        if (!d->stats.frozen_at)
                d->stats.frozen_at = now;
        for (;;) {
                int r = stop_once(d, ms, err);
                if (r == 0)
                        break;
                (void)dump_unstop(d, NULL);
                if (r < 0)
                        return r;
                if (now_ns() >= deadline)
                        return err ? -err->code : -EX_BUSY;
                struct timespec pause = { .tv_nsec = 2000000 };
                nanosleep(&pause, NULL);
        }
        d->state = DUMP_STOPPED;
        return 0;
}

/* Threads other than the leader first: the last one to let go of an mm takes the agent out. */
/* All at once: what was killed meanwhile can only be reaped together (tracee_detach_all). */
int dump_detach(struct dump *d, struct err *err)
{
        size_t n = 0, at = 0;

        for (size_t i = 0; i < d->n_task; i++)
                n += d->task[i].n_thread;
        struct tracee **all = calloc(n + 1, sizeof(struct tracee *));
        if (!all)
                return kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = d->task[i].n_thread; k-- > 0;)
                        all[at++] = TAKE_PTR(d->task[i].thread[k].tracee);
        int r = tracee_detach_all(all, at, err);
        free(all);
        return r;
}

int dump_release(struct dump *d, struct err *err)
{
        int r = dump_agents_drop(d, err);
        int q = subject_freeze_below(&d->s, r ? NULL : err);
        if (!r)
                r = q;
        q = dump_detach(d, r ? NULL : err);
        return r ? r : q;
}

/* ---- TCP sockets of a container that nobody holds a dump of (GO, --resolve, journal) ---- */

static int repair_off_fd(int fd)
{
        int domain = 0, proto = 0;
        struct tcp_info info = {};
        socklen_t len = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || (domain != AF_INET && domain != AF_INET6))
                return 0;
        len = sizeof(int);
        if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len) < 0 || proto != IPPROTO_TCP)
                return 0;
        len = sizeof(info);
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || info.tcpi_state == TCP_LISTEN ||
            info.tcpi_state == TCP_CLOSE)
                return 0;
        /* Also where it is not in repair: the window probe is what brings the peer's true window. */
        return repair_off(fd);
}

int subject_repair_off(const struct subject *s, struct err *err)
{
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;
        int r = subject_procs(s, &pids, &n, err);

        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_close_ int pidfd = pidfd_open_proc(pids[i], NULL);
                _cleanup_close_ int procfd = proc_open(pids[i], NULL);
                _cleanup_free_ unsigned *fds = NULL;
                size_t n_fds = 0;

                if (pidfd < 0 || procfd < 0 || proc_numbers(procfd, "fd", &fds, &n_fds, NULL) < 0)
                        continue;
                for (size_t k = 0; k < n_fds; k++) {
                        char name[32], link[64];
                        snprintf(name, sizeof(name), "fd/%u", fds[k]);
                        if (proc_readlink(procfd, name, link, sizeof(link), NULL) < 0 || !str_starts(link, "socket:"))
                                continue;
                        _cleanup_close_ int fd = sys_pidfd_getfd(pidfd, (int)fds[k]);
                        if (fd < 0)
                                continue;
                        int q = repair_off_fd(fd);
                        if (q < 0)
                                return err_sys(err, EX_FAIL, q, "cannot take a TCP connection out of repair",
                                               "process %d, descriptor %u", pids[i], fds[k]);
                }
        }
        return r < 0 ? r : 0;
}
