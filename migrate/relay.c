/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The relay (migrate/relay.h): what the other node sends is parsed here first, by a process that has nothing to lose.
 *
 *      ssh ══ net_in ══> parser ── msg_check ──> local ══> the process that acts
 *      ssh <══ net_out ══ parser <────────────── local <══        "
 *
 * It has no capability, no user, no descriptor but three and a system call filter that allows reading, writing, waiting
 * and memory. A frame that is not exactly right ends the stream: the process behind is told by a WireError marked
 * `local` in its place, which is refused when it comes from outside.
 *
 * Heartbeats: whenever a second passes without a frame to send one goes out; ten seconds without a byte from the other
 * side is silence. They do not count in the sequence and are not handed on. A full buffer stops reading on that side,
 * so nothing grows. That the process behind is stuck is not this file's to notice: every step of its has a limit.
 */
#include "migrate/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "base/timer.h"
#include "migrate/msg.h"

/* AddressSanitizer's allocator makes a few calls of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

#define MS 1000000u
#define NOBODY 65534

/* One direction: frames are parsed out of `from` and go to `to` one by one, straight from the parser's buffer. */
struct lane {
        int from, to;
        struct wire_parser parser;
        const uint8_t *at;               /* rest of the frame that is leaving */
        size_t left;
        bool trusted, ended, broken;     /* ended: `from` has hung up; broken: `to` has */
        uint64_t heard_ns, sent_ns;
};

static int lane_read(struct lane *l, struct err *err)
{
        size_t room;
        void *to = wire_parser_room(&l->parser, &room);
        ssize_t n = read(l->from, to, room);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0)
                return err_sys(err, EX_CONNECT, errno, "the connection to the other node is lost", "%s", "");
        l->ended = n == 0;
        l->heard_ns = now_ns();
        wire_parser_fed(&l->parser, (size_t)n);
        return 0;
}

/* Takes the next frame up for sending, if there is one. */
static int lane_next(struct lane *l, struct err *err)
{
        struct wire_msg m;
        int r;

        while (!l->left && (r = wire_parser_next(&l->parser, &m, err)) != 0) {
                if (r < 0)
                        return r;
                if (m.type == WIRE_MSG_BEAT)
                        continue;
                r = l->trusted ? 0 : msg_check(&m, err);
                if (r < 0)
                        return r;
                l->at = (const uint8_t *)m.body - WIRE_HEAD;
                l->left = WIRE_HEAD + m.len + WIRE_CRC;
        }
        return 0;
}

static int lane_write(struct lane *l, struct err *err)
{
        ssize_t n = write(l->to, l->at, l->left);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        /* Who hangs up has often said why before: what still comes the other way is worth more than what cannot leave. */
        if (n < 0 && errno == EPIPE) {
                l->broken = true;
                n = (ssize_t)l->left;
        }
        if (n < 0)
                return err_sys(err, EX_CONNECT, errno, "the connection to the other node is lost", "%s", "");
        l->at += n;
        l->left -= (size_t)n;
        l->sent_ns = now_ns();
        return 0;
}

/* One lane's share of a turn. Reading waits until what was read before has left. */
static int lane_turn(struct lane *l, short in, short out, struct err *err)
{
        int r = 0;

        if (l->left && out)
                r = lane_write(l, err);
        if (r == 0 && !l->left && !l->ended && in)
                r = lane_read(l, err);
        if (r == 0)
                r = lane_next(l, err);
        return r;
}

static int turn(struct lane *net, struct lane *loc, const struct wire_frame *beat, struct err *err)
{
        struct pollfd p[4] = {
                {.fd = net->left || net->ended ? -1 : net->from, .events = POLLIN},
                {.fd = net->left ? net->to : -1, .events = POLLOUT},
                {.fd = loc->left || loc->ended ? -1 : loc->from, .events = POLLIN},
                {.fd = loc->left ? loc->to : -1, .events = POLLOUT},
        };
        int r = poll(p, 4, RELAY_BEAT_MS / 4);

        if (r < 0 && errno != EINTR)
                return err_sys(err, EX_FAIL, errno, "cannot wait for the other node", "%s", "");
        uint64_t now = now_ns();
        if (p[0].fd < 0)
                net->heard_ns = now;     /* it may be talking: we do not listen now */
        if (!loc->left && now - loc->sent_ns > (uint64_t)RELAY_BEAT_MS * MS) {
                loc->at = (const uint8_t *)beat;
                loc->left = sizeof(*beat);
        }
        r = lane_turn(net, p[0].revents, p[1].revents, err);
        if (r == 0)
                r = lane_turn(loc, p[2].revents, p[3].revents, err);
        if (r == 0 && now > net->heard_ns && now - net->heard_ns > (uint64_t)RELAY_SILENCE_MS * MS)
                return err_set(err, EX_TIMEOUT, "the other node is silent", "no heartbeat came", "for %u s",
                               RELAY_SILENCE_MS / 1000);
        return r;
}

/* In place of the frame that would have come next. Failing to tell is telling too: the process behind sees the end. */
static void tell(struct lane *net, const struct err *e)
{
        _cleanup_free_ uint8_t *frame = NULL;
        size_t len = 0;
        struct err ignored;

        (void)fd_nonblock(net->to, false, &ignored);
        while (net->left && lane_write(net, &ignored) == 0)
                ;
        if (!net->left && msg_local_error(e, net->parser.seq + 1, &frame, &len, &ignored) == 0)
                (void)fd_write_full(net->to, frame, len, &ignored);
}

int relay_run(const struct relay *relay, struct err *err)
{
        struct lane net = {.from = relay->net_in, .to = relay->local};
        struct lane loc = {.from = relay->local, .to = relay->net_out, .trusted = true};
        struct wire_frame beat;
        int r = fd_nonblock(relay->net_in, true, err);

        if (r == 0)
                r = fd_nonblock(relay->net_out, true, err);
        if (r == 0)
                r = fd_nonblock(relay->local, true, err);
        if (r == 0)
                r = wire_parser_init(&net.parser, err);
        if (r == 0)
                r = wire_parser_init(&loc.parser, err);
        net.heard_ns = loc.sent_ns = now_ns();
        wire_frame_make(&beat, WIRE_MSG_BEAT, 0, NULL, 0, NULL, 0);
        /* The stream's end is handed on by closing; our process' end lets what it sent leave first. */
        while (r == 0 && !(net.ended && !net.left) && !(loc.ended && !loc.left))
                r = turn(&net, &loc, &beat, err);
        if (r == 0 && loc.broken)
                r = err_sys(err, EX_CONNECT, EPIPE, "the connection to the other node is lost", "%s", "");
        if (r < 0)
                tell(&net, err);
        wire_parser_done(&net.parser);
        wire_parser_done(&loc.parser);
        return r;
}

static int filter_calls(struct err *err)
{
        static const int allowed[] = {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(poll), SCMP_SYS(close),
                                      SCMP_SYS(fcntl), SCMP_SYS(clock_gettime), SCMP_SYS(brk),
                                      SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(exit_group),
                                      SCMP_SYS(futex), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn)};
        static const int asan[] = {SCMP_SYS(sched_yield), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(madvise),
                                   SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask)};
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = ctx ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(allowed); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
        for (size_t i = 0; UNDER_ASAN && r == 0 && i < ELEMENTSOF(asan); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, asan[i], 0);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        if (r < 0)
                return err_sys(err, EX_KERNEL, r, "cannot confine the receiver of the stream", "seccomp");
        return 0;
}

static int confine(struct err *err)
{
        struct rlimit few = {6, 6};   /* poll(2) refuses more entries than this */

        /* Leaving user 0 empties every capability set but the bounding one, which no_new_privs makes worthless. */
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                return err_sys(err, EX_PERM, errno, "cannot confine the receiver of the stream", "user %d", NOBODY);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
            setrlimit(RLIMIT_NOFILE, &few) < 0)
                return err_sys(err, EX_PERM, errno, "cannot confine the receiver of the stream", "%s", "limits");
        return filter_calls(err);
}

/* The child: its three descriptors become 3, 4, 5 and the only ones. SIGINT is for the process behind, which then ends. */
static void child(struct relay r) __attribute__((noreturn));

static void child(struct relay r)
{
        struct err err = {0};
        int from[3] = {r.net_in, r.net_out, r.local};

        (void)setsid();
        (void)prctl(PR_SET_NAME, "relay");
        for (int i = 0; i < 3; i++)
                from[i] = fcntl(from[i], F_DUPFD, 16);
        for (int i = 0; i < 3; i++)
                if (from[i] < 0 || dup2(from[i], 3 + i) < 0)
                        _exit(EX_FAIL);
        for (int i = 0; i < 3; i++)
                close(i);
        if (syscall(SYS_close_range, 6, ~0U, 0) < 0)
                _exit(EX_FAIL);
        r = (struct relay){3, 4, 5};
        if (confine(&err) < 0) {
                struct lane none = {.to = r.local};
                tell(&none, &err);
                _exit(err.code);
        }
        _exit(relay_run(&r, &err) < 0 ? err.code : EX_OK);
}

int relay_start(int net_in, int net_out, unsigned step_ms, struct wire *ret, int *ret_pidfd, struct err *err)
{
        int pidfd = -1, pair[2];
        struct clone_args args = {
                .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD,
        };

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot receive from the other node", "socketpair");
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0)
                child((struct relay){net_in, net_out, pair[1]});
        fd_close(pair[1]);
        if (pid < 0) {
                fd_close(pair[0]);
                return err_sys(err, EX_FAIL, pid, "cannot receive from the other node", "clone3");
        }
        if (net_out != net_in)
                fd_close(net_out);
        fd_close(net_in);
        int r = wire_open(pair[0], pair[0], step_ms, ret, err);
        if (r < 0) {
                fd_close(pair[0]);
                pidfd_end(pidfd);
                fd_close(pidfd);
                return r;
        }
        *ret_pidfd = pidfd;
        return 0;
}
