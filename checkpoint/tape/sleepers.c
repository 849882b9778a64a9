/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ends of interrupted sleeps, read from the kernel's restart blocks by a BPF iterator (sleepers.bpf.c).
 *
 * No other interface tells them: /proc/TID/syscall shows arguments, /proc/timer_list no longer names tasks. The iterator
 * is made for one thread at a time (5.8; by number 6.1), by its number in our pid namespace. It runs when it is read and
 * leaves nothing behind.
 *
 * The block also says which call it belongs to, better than restart_true_nr() can guess; nanosleep and clock_nanosleep share one
 * function and are told apart by their arguments.
 *
 * libbpf prints to standard error unless told otherwise, and a library floor does not print: its output is turned off for
 * the process.
 */
#include "checkpoint/tape/sleepers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/fd.h"
#include "checkpoint/tape/tracee-int.h"

#define NS_PER_S UINT64_C(1000000000)
#define SMALLEST_POINTER 0x10000u
#define TEXT_MAX (1u << 20)
#define SHORT_NS NS_PER_S      /* shorter sleeps begin anew: not worth 20 us of each of a thousand threads */

enum what { BLOCK_NANOSLEEP = 1, BLOCK_FUTEX, BLOCK_POLL };

struct block {
        enum what what;
        clockid_t clock;
        uint64_t end_ns;
};

struct sleepers {
        struct bpf_object *object;
        struct bpf_program *program, *bits, *file;   /* the last two may be missing */
};

static const unsigned char object_bytes[] __attribute__((aligned(8))) = {
#include "checkpoint/tape/sleepers-object.inc"
};

/* All programs, or the first alone: a kernel that does not accept one of the others shall not lose the ends of sleeps. */
static bool load(struct sleepers *s, bool all)
{
        LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "gantry_sleepers");

        s->object = bpf_object__open_mem(object_bytes, sizeof(object_bytes), &opts);
        if (!s->object)
                return false;
        s->program = bpf_object__find_program_by_name(s->object, "one_task");
        s->bits = bpf_object__find_program_by_name(s->object, "one_hidden");
        s->file = bpf_object__find_program_by_name(s->object, "one_file");
        if (!s->program || !s->bits || !s->file)
                return false;
        if (!all && (bpf_program__set_autoload(s->bits, false) < 0 || bpf_program__set_autoload(s->file, false) < 0))
                return false;
        if (!all)
                s->bits = s->file = NULL;
        return bpf_object__load(s->object) == 0;
}

int sleepers_open(struct sleepers **ret, struct err *err)
{
        struct sleepers *s = calloc(1, sizeof(*s));

        if (!s)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot look at sleeping tasks", "%s", "BPF object");
        (void)libbpf_set_print(NULL);
        bool loaded = load(s, true);
        if (!loaded && s->object) {
                bpf_object__close(s->object);
                loaded = load(s, false);
        }
        if (!loaded) {
                sleepers_close(s);
                return 1;
        }
        *ret = s;
        return 0;
}

void sleepers_close(struct sleepers *s)
{
        if (!s)
                return;
        if (s->object)
                bpf_object__close(s->object);
        free(s);
}

/* The line of sleepers.bpf.c. 0, or 1 where it tells no end. */
static int parse(const char *text, struct block *ret)
{
        char name[64];
        int clock, has_timeout;
        unsigned long long expires, futex, sec, nsec;

        if (sscanf(text, "%63s %d %llu %llu %d %llu %llu", name, &clock, &expires, &futex, &has_timeout, &sec, &nsec) != 7)
                return 1;
        if (strcmp(name, "hrtimer_nanosleep_restart") == 0)
                *ret = (struct block){ BLOCK_NANOSLEEP, clock, expires };
        else if (strcmp(name, "futex_wait_restart") == 0)
                *ret = (struct block){ BLOCK_FUTEX, CLOCK_MONOTONIC, futex };
        else if (strcmp(name, "do_restart_poll") == 0 && has_timeout && sec < UINT64_MAX / NS_PER_S - 1)
                *ret = (struct block){ BLOCK_POLL, CLOCK_MONOTONIC, sec * NS_PER_S + nsec };
        else
                return 1;
        return 0;
}

/* What a program writes of one thread (tid) or process (pid); caller frees. 0, or 1. */
static int run(struct bpf_program *program, pid_t tid, pid_t pid, char **ret)
{
        union bpf_iter_link_info info = { .task = { .tid = (uint32_t)tid, .pid = (uint32_t)pid } };
        LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
        struct bpf_link *link = program ? bpf_program__attach_iter(program, &opts) : NULL;
        size_t len = 0;
        int r = 1;

        if (!link)
                return 1;
        _cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));
        if (fd >= 0 && fd_read_all(fd, TEXT_MAX, ret, &len, NULL) == 0)
                r = 0;
        (void)bpf_link__destroy(link);
        return r;
}

static int read_block(struct sleepers *s, pid_t tid, struct block *ret)
{
        _cleanup_free_ char *text = NULL;

        return run(s->program, tid, 0, &text) == 0 ? parse(text, ret) : 1;
}

int sleepers_bits(struct sleepers *s, pid_t tid, struct sleeper_bits *ret)
{
        _cleanup_free_ char *text = NULL;
        int sud, binfmt;

        if (!s || run(s->bits, tid, 0, &text) || sscanf(text, "%d %d", &sud, &binfmt) != 2)
                return 1;
        *ret = (struct sleeper_bits){ sud != 0, binfmt != 0 };
        return 0;
}

int sleepers_steered(struct sleepers *s, pid_t pid, int fd, bool *ret)
{
        _cleanup_free_ char *text = NULL;
        char key[16];

        if (!s || run(s->file, 0, pid, &text))
                return 1;
        int n = snprintf(key, sizeof(key), "%d\n", fd);
        *ret = false;
        for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
                *ret |= strncmp(p, key, (size_t)n) == 0;
        return 0;
}

static long nr_of(const struct block *b, const struct user_regs_struct *r)
{
        switch (b->what) {
        case BLOCK_FUTEX:
                return SYS_futex;
        case BLOCK_POLL:
                return SYS_poll;
        case BLOCK_NANOSLEEP:
        default:
                return r->rdi >= SMALLEST_POINTER && (int64_t)r->rdi > 0 ? SYS_nanosleep : SYS_clock_nanosleep;
        }
}

static void note(struct tracee *t, const struct block *b)
{
        struct timespec ts;

        if (b->what != BLOCK_NANOSLEEP ||
            (t->regs.orig_rax != SYS_nanosleep && t->regs.orig_rax != SYS_clock_nanosleep))
                t->regs.orig_rax = (unsigned long long)nr_of(b, &t->regs); /* it was restart_syscall, or a wrong guess */
        if (clock_gettime(b->clock, &ts) < 0)
                return;
        uint64_t now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
        t->left_known = true;
        t->left_ns = b->end_ns > now ? b->end_ns - now : 0;
}

/* The whole time that the call was given; 0: none that can be read. */
static uint64_t whole_ns(struct tracee *t)
{
        const struct user_regs_struct *r = &t->regs;
        struct timespec ts = { 0 };
        uint64_t at = 0;

        if (r->orig_rax == SYS_poll)
                return (int)r->rdx > 0 ? (uint64_t)(uint32_t)r->rdx * (NS_PER_S / 1000) : 0;
        if (r->orig_rax == SYS_nanosleep)
                at = r->rdi;
        else if (r->orig_rax == SYS_clock_nanosleep)
                at = r->rdx;
        else if (r->orig_rax == SYS_futex)
                at = r->r10;
        if (!at || !tracee_peek(t, at, &ts, sizeof(ts)) || ts.tv_sec < 0 || ts.tv_nsec < 0)
                return 0;
        return (uint64_t)ts.tv_sec >= UINT64_MAX / NS_PER_S - 1 ? UINT64_MAX : (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

int sleepers_read(struct sleepers *s, struct tracee *const t[], size_t n, struct err *err)
{
        (void)err;
        for (size_t i = 0; s && i < n; i++) {
                struct block b = { 0 };

                if (!t[i]->stopped || !t[i]->seen || (int64_t)t[i]->raw_rax != -516 || whole_ns(t[i]) < SHORT_NS)
                        continue;
                if (read_block(s, t[i]->tid, &b) == 0)
                        note(t[i], &b);
        }
        return 0;
}
