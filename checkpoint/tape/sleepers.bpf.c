/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel notes of a call that a stop has interrupted: the task's restart block. An iterator over one task writes one line:
 * the function's name, and the block's fields as each of the calls would read them. sleepers.c takes those of the function.
 *
 * Two more are for what no interface tells either: whether a task has system call user dispatch (ptrace tells since 6.4) and its user
 * namespace a binfmt_misc of its own (6.7), which stays when nobody mounts it; and which files of a process are sockets whose
 * SO_REUSEPORT group has a program.
 *
 * The name comes from the kernel (%ps), because looking the addresses up in /proc/kallsyms took 250 ms. The kernel's
 * structures are declared with the few fields in use and relocated by the running kernel's BTF (CO-RE).
 */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32, __wsum;

#include <bpf/bpf_helpers.h>

#define BY_BTF __attribute__((preserve_access_index))
#define EXISTS(field) __builtin_preserve_field_info(field, 2) /* BPF_FIELD_EXISTS */
/* By copying: the verifier follows no pointer into a union. */
#define READ(dst, field) bpf_probe_read_kernel(&(dst), sizeof(dst), __builtin_preserve_access_index(&(field)))

struct restart_block {
        long (*fn)(struct restart_block *);
        union {
                struct {
                        __u64 time;
                } BY_BTF futex;
                struct {
                        int clockid;
                        __u64 expires;
                } BY_BTF nanosleep;
                struct {
                        int has_timeout;
                        unsigned long tv_sec, tv_nsec;
                } BY_BTF poll;
        } BY_BTF;
} BY_BTF;

struct user_namespace {
        void *binfmt_misc;
} BY_BTF;
struct cred {
        struct user_namespace *user_ns;
} BY_BTF;
enum syscall_work_bit { SYSCALL_WORK_BIT_SYSCALL_USER_DISPATCH = 6 };
struct thread_info {
        unsigned long syscall_work;
} BY_BTF;
struct task_struct {
        struct thread_info thread_info;
        struct cred *cred;
        struct restart_block restart_block;
} BY_BTF;
struct sock_reuseport {
        void *prog;
} BY_BTF;
struct sock {
        struct sock_reuseport *sk_reuseport_cb;
} BY_BTF;
struct socket {
        struct sock *sk;
} BY_BTF;
struct file;

struct seq_file;
struct bpf_iter_meta {
        struct seq_file *seq;
} BY_BTF;
struct bpf_iter__task {
        struct bpf_iter_meta *meta;
        struct task_struct *task;
} BY_BTF;

struct bpf_iter__task_file {
        struct bpf_iter_meta *meta;
        struct task_struct *task;
        __u32 fd;
        struct file *file;
} BY_BTF;

static const char line[] = "%ps %d %llu %llu %d %lu %lu\n";

SEC("iter/task")
int one_task(struct bpf_iter__task *ctx)
{
        struct task_struct *task = ctx->task;
        __u64 v[7] = { 0 };
        __s32 i = 0;

        if (!task)
                return 0;
        READ(v[0], task->restart_block.fn);
        READ(i, task->restart_block.nanosleep.clockid);
        v[1] = (__u64)(__s64)i;
        READ(v[2], task->restart_block.nanosleep.expires);
        READ(v[3], task->restart_block.futex.time);
        if (EXISTS(task->restart_block.poll.tv_sec)) {
                READ(i, task->restart_block.poll.has_timeout);
                v[4] = i != 0;
                READ(v[5], task->restart_block.poll.tv_sec);
                READ(v[6], task->restart_block.poll.tv_nsec);
        }
        bpf_seq_printf(ctx->meta->seq, line, sizeof(line), v, sizeof(v));
        return 0;
}

static const char bits[] = "%d %d\n";

SEC("iter/task")
int one_hidden(struct bpf_iter__task *ctx)
{
        struct task_struct *task = ctx->task;
        struct user_namespace *ns = 0;
        struct cred *cred = 0;
        unsigned long work = 0;
        void *binfmt = 0;
        __u64 v[2] = { 0 };

        if (!task)
                return 0;
        READ(work, task->thread_info.syscall_work);
        v[0] = (work >> __builtin_preserve_enum_value(*(enum syscall_work_bit *)SYSCALL_WORK_BIT_SYSCALL_USER_DISPATCH, 1)) & 1;
        READ(cred, task->cred);
        if (cred)
                READ(ns, cred->user_ns);
        if (ns && EXISTS(ns->binfmt_misc))
                READ(binfmt, ns->binfmt_misc);
        v[1] = binfmt != 0;
        bpf_seq_printf(ctx->meta->seq, bits, sizeof(bits), v, sizeof(v));
        return 0;
}

static const char number[] = "%u\n";

SEC("iter/task_file")
int one_file(struct bpf_iter__task_file *ctx)
{
        struct sock_reuseport *group = 0;
        struct file *file = ctx->file;   /* read once: the verifier takes a second reading for another one */
        struct socket *socket = 0;
        struct sock *sk = 0;
        void *prog = 0;
        __u64 v = ctx->fd;

        if (!file)
                return 0;
        socket = bpf_sock_from_file(file);
        if (!socket)
                return 0;
        READ(sk, socket->sk);
        if (sk)
                READ(group, sk->sk_reuseport_cb);
        if (group)
                READ(prog, group->prog);
        if (prog)
                bpf_seq_printf(ctx->meta->seq, number, sizeof(number), &v, sizeof(v));
        return 0;
}

/* Kernel structures may be read by GPL-compatible programs only; section 3 of the LGPL allows this copy to be GPL. */
char may_read_kernel[] SEC("license") = "GPL";
