/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The unprivileged unpacker: one child for the length of one image.
 *
 *      parent                                  child
 *      whole frames, ≤ 64 KiB at a time  ───►  record_unpack, record_pack
 *      compare with what was sent        ◄───  u32 status, u32 length, frame | struct err
 *
 * The child is forked, not executed: it needs the tables of kinds and nothing else. Before it reads the first byte it has
 * no descriptor but its end of the socket pair, no capability, RLIMIT_AS a fixed amount above what it started with, a
 * bounded CPU time, and a seccomp filter that leaves read and write on that descriptor and memory management without
 * PROT_EXEC; anything else kills it. A socket pair and not pipes, because a write to a dead child must give EPIPE and
 * not SIGPIPE (MSG_NOSIGNAL), whatever the program does with signals.
 *
 * Which frame broke a dead child is read from one shared page, in which the child counts. The count only chooses the
 * name in the message: a child that lies about it gains nothing. Canonical form (proto/record.c) makes the answer
 * predictable, so a child that was taken over can refuse frames, not alter them.
 *
 * AddressSanitizer keeps terabytes of shadow mapped and wants a few more calls: under it RLIMIT_AS is left alone.
 */
#include "checkpoint/unpacker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/sys.h"

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

#define CHUNK (64u << 10)        /* one send: fits a socket buffer whole, so neither side waits for the other's read */
#define FRAME_MAX (RECORD_OVERHEAD + RECORD_MAX)
#define MEMORY_MAX (256u << 20)  /* above what the child starts with: buffers, and the budget of the largest record */
#define CPU_SECONDS 60u
#define ANSWER_MS 60000
#define WHAT "cannot unpack the checkpoint image"

enum answer { ANSWER_FRAME, ANSWER_SKIPPED, ANSWER_ERROR };

struct unpacker {
        const struct record_types *types;
        _Atomic uint32_t *count;  /* shared page: frames begun by the child */
        uint32_t answered;
        int sock, pidfd;
        uint8_t *answer;          /* FRAME_MAX bytes */
};

/* ---- the child ---- */

struct child {
        const struct record_types *types;
        _Atomic uint32_t *count;
        uint8_t *in, *out;        /* 2 × FRAME_MAX each */
        size_t in_len, out_len;
};

static bool limit(int what, rlim_t value)
{
        struct rlimit r = {value, value};

        return setrlimit((__rlimit_resource_t)what, &r) == 0;
}

static bool child_limits(uint64_t vm_bytes)
{
        if (!UNDER_ASAN && !limit(RLIMIT_AS, vm_bytes + MEMORY_MAX))
                return false;
        return limit(RLIMIT_CPU, CPU_SECONDS) && limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) &&
               limit(RLIMIT_NPROC, 0) && limit(RLIMIT_NOFILE, 1);
}

static bool child_capabilities(void)
{
        cap_t none = cap_init();
        bool ok = none && cap_set_proc(none) == 0;

        if (none)
                cap_free(none);
        return ok;
}

/* Memory management may change nothing to executable. */
static bool allow_memory(scmp_filter_ctx f)
{
        const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
        static const int free_calls[] = {
                SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex),
                SCMP_SYS(exit_group), SCMP_SYS(exit), SCMP_SYS(rt_sigreturn), SCMP_SYS(getrandom),
        };

        for (size_t i = 0; i < ELEMENTSOF(free_calls); i++)
                if (seccomp_rule_add(f, SCMP_ACT_ALLOW, free_calls[i], 0))
                        return false;
        if (UNDER_ASAN && (seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(sched_yield), 0) ||
                           seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(gettid), 0) ||
                           seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(getpid), 0)))
                return false;
        return !seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &no_exec) &&
               !seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &no_exec);
}

static bool child_filter(void)
{
        scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
        const struct scmp_arg_cmp sock = SCMP_A0(SCMP_CMP_EQ, 0);
        bool ok = f && allow_memory(f) &&
                  !seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, &sock) &&
                  !seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, &sock) && !seccomp_load(f);

        if (f)
                seccomp_release(f);
        return ok;
}

static bool child_flush(struct child *c)
{
        for (size_t at = 0; at < c->out_len;) {
                ssize_t n = write(0, c->out + at, c->out_len - at);
                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        c->out_len = 0;
        return true;
}

static bool child_answer(struct child *c, uint32_t status, const void *p, size_t n)
{
        uint32_t head[2] = {status, (uint32_t)n};

        if (c->out_len + sizeof(head) + n > 2u * FRAME_MAX && !child_flush(c))
                return false;
        memcpy(c->out + c->out_len, head, sizeof(head));
        if (n)
                memcpy(c->out + c->out_len + sizeof(head), p, n);
        c->out_len += sizeof(head) + n;
        return true;
}

static bool child_frame(struct child *c, const uint8_t *p, const struct record_head *h)
{
        struct record r = {};
        struct err err = {};
        _cleanup_free_ uint8_t *again = NULL;
        size_t len = 0;

        (*c->count)++;
        int res = record_unpack(c->types, h->kind, h->flags, h->id, p + RECORD_HEAD, h->len, &r, &err);
        if (res == 0)
                res = record_pack(&r, &again, &len, &err);
        record_done(&r);
        if (res < 0)
                return child_answer(c, ANSWER_ERROR, &err, sizeof(err));
        return res ? child_answer(c, ANSWER_SKIPPED, NULL, 0) : child_answer(c, ANSWER_FRAME, again, len);
}

/* All whole frames of the input buffer; what is left of the last one moves to its start. */
static bool child_frames(struct child *c)
{
        size_t at = 0;

        while (c->in_len - at >= RECORD_HEAD) {
                struct record_head h = record_head_get(c->in + at);
                if (h.len > RECORD_MAX)
                        return false;
                if (c->in_len - at < RECORD_OVERHEAD + h.len)
                        break;
                if (!child_frame(c, c->in + at, &h))
                        return false;
                at += RECORD_OVERHEAD + h.len;
        }
        memmove(c->in, c->in + at, c->in_len - at);
        c->in_len -= at;
        return child_flush(c);
}

static void child_serve(struct child *c)
{
        for (;;) {
                ssize_t n = read(0, c->in + c->in_len, 2u * FRAME_MAX - c->in_len);
                if (n <= 0)
                        return;
                c->in_len += (size_t)n;
                if (!child_frames(c))
                        return;
        }
}

__attribute__((noreturn)) static void child_main(const struct unpacker *u, int sock, uint64_t vm_bytes)
{
        struct child c = {.types = u->types, .count = u->count};

        c.in = malloc(2u * FRAME_MAX);
        c.out = malloc(2u * FRAME_MAX);
        if (!c.in || !c.out || dup2(sock, 0) != 0 || syscall(SYS_close_range, 1u, ~0u, 0u) != 0)
                _exit(1);
        if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
                _exit(1);
        if (!child_capabilities() || !child_limits(vm_bytes) || !child_filter())
                _exit(1);
        child_serve(&c);
        _exit(0);
}

/* ---- the parent ---- */

/* Bytes mapped by us now: what the child's limit stands on. */
static int vm_size(uint64_t *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        uint64_t pages;
        int r = path_read(AT_FDCWD, "/proc/self/statm", &text, NULL, err);

        if (r < 0)
                return r;
        const char *p = text;
        if (!scan_u64(&p, &pages))
                return err_set(err, EX_FAIL, WHAT, "its first field is no number", "/proc/self/statm");
        *ret = pages * (uint64_t)sysconf(_SC_PAGESIZE);
        return 0;
}

static int fork_child(struct unpacker *u, struct err *err)
{
        uint64_t vm = 0;
        int pair[2];
        int r = vm_size(&vm, err);

        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, EX_FAIL, errno, WHAT, "socket pair");
        pid_t pid = fork();
        if (pid == 0)
                child_main(u, pair[1], vm);
        int error = errno;
        close(pair[1]);
        u->sock = pair[0];
        if (pid < 0)
                return err_sys(err, EX_FAIL, error, WHAT, "fork");
        /* our own child, not yet waited for: the number is still its own */
        u->pidfd = pidfd_open_proc(pid, err);
        if (u->pidfd >= 0)
                return 0;
        u->sock = fd_close(u->sock); /* it reads the end of file and ends by itself */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return u->pidfd;
}

int unpacker_start(const struct record_types *types, struct unpacker **ret, struct err *err)
{
        int r = record_types_check(types, err);

        if (r < 0)
                return r;
        struct unpacker *u = calloc(1, sizeof(*u));
        if (!u)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "memory");
        *u = (struct unpacker){.types = types, .sock = -1, .pidfd = -1};
        u->answer = malloc(FRAME_MAX);
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        u->count = page == MAP_FAILED ? NULL : page;
        if (!u->answer || !u->count)
                r = err_sys(err, EX_FAIL, ENOMEM, WHAT, "memory");
        else
                r = fork_child(u, err);
        if (r < 0) {
                unpacker_end(u);
                return r;
        }
        *ret = u;
        return 0;
}

void unpacker_end(struct unpacker *u)
{
        if (!u)
                return;
        u->sock = fd_close(u->sock);
        pidfd_end(u->pidfd);
        fd_close(u->pidfd);
        if (u->count)
                munmap((void *)(uintptr_t)u->count, 4096);
        free(u->answer);
        free(u);
}

/* The child is gone or silent: which of the frames from p (the first unanswered one) did it die of? */
static int child_broke(struct unpacker *u, const uint8_t *p, size_t n, struct err *err)
{
        char why[96];
        int status = 0;
        struct record_head h = record_head_get(p);
        size_t len = RECORD_OVERHEAD + h.len;

        for (uint32_t i = u->answered + 1; i < *u->count && n > len + RECORD_HEAD; i++) {
                p += len;
                n -= len;
                h = record_head_get(p);
                len = RECORD_OVERHEAD + h.len;
        }
        if (pidfd_wait(u->pidfd, 1000, &status, NULL) == 0)
                snprintf(why, sizeof(why), "the unpacker %s %d at it", status > 128 ? "died of signal" : "ended with",
                         status > 128 ? status - 128 : status);
        else
                snprintf(why, sizeof(why), "the unpacker gave no answer to it");
        return record_refuse(u->types, h.kind, h.id, why, err);
}

/* 1: the child is gone. */
static int send_all(struct unpacker *u, const uint8_t *p, size_t n)
{
        while (n) {
                struct iovec io = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
                int64_t sent = sys_sendmsg(u->sock, &(struct msghdr){.msg_iov = &io, .msg_iovlen = 1}, MSG_NOSIGNAL);
                if (sent == -EINTR)
                        continue;
                if (sent <= 0)
                        return 1;
                p += sent;
                n -= (size_t)sent;
        }
        return 0;
}

static int receive_all(struct unpacker *u, void *buf, size_t n)
{
        for (uint8_t *p = buf; n;) {
                struct pollfd ready = {.fd = u->sock, .events = POLLIN};
                int r = poll(&ready, 1, ANSWER_MS);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        return 1;
                int64_t got = sys_read(u->sock, p, n);
                if (got == -EINTR)
                        continue;
                if (got <= 0)
                        return 1;
                p += got;
                n -= (size_t)got;
        }
        return 0;
}

/* The child's words about a record it refused; it may be anybody by now, so only printable text passes. */
static int child_refused(struct unpacker *u, const struct record_head *h, struct err *err)
{
        struct err said;

        memcpy(&said, u->answer, sizeof(said));
        said.why[sizeof(said.why) - 1] = '\0';
        for (char *c = said.why; *c; c++)
                if (*c < 0x20 || *c == 0x7f)
                        *c = '?';
        return record_refuse(u->types, h->kind, h->id, said.why, err);
}

static int one_answer(struct unpacker *u, const uint8_t *p, size_t n, size_t *ret_len, struct err *err)
{
        struct record_head h = record_head_get(p);
        size_t len = RECORD_OVERHEAD + h.len;
        uint32_t head[2];

        if (receive_all(u, head, sizeof(head)) || head[1] > FRAME_MAX || receive_all(u, u->answer, head[1]))
                return child_broke(u, p, n, err);
        u->answered++;
        if (head[0] == ANSWER_ERROR && head[1] == sizeof(struct err))
                return child_refused(u, &h, err);
        bool skip = !record_type_find(u->types, h.kind) || !record_type_find(u->types, h.kind)->msg;
        if (skip ? head[0] != ANSWER_SKIPPED
                 : head[0] != ANSWER_FRAME || head[1] != len || memcmp(u->answer, p, len) != 0)
                return record_refuse(u->types, h.kind, h.id, "the unpacker gave another record back", err);
        *ret_len = len;
        return 0;
}

/* As many whole frames as fit a chunk, at least one. */
static size_t chunk_of(const uint8_t *p, size_t n)
{
        size_t at = 0;

        while (at < n) {
                size_t len = RECORD_OVERHEAD + record_head_get(p + at).len;
                if (at && at + len > CHUNK)
                        break;
                at += len;
        }
        return at;
}

int unpacker_frames(struct unpacker *u, const uint8_t *p, size_t n, struct err *err)
{
        while (n) {
                size_t chunk = chunk_of(p, n);
                if (send_all(u, p, chunk))
                        return child_broke(u, p, chunk, err);
                for (size_t at = 0, len = 0; at < chunk; at += len) {
                        int r = one_answer(u, p + at, chunk - at, &len, err);
                        if (r < 0)
                                return r;
                }
                p += chunk;
                n -= chunk;
        }
        return 0;
}
