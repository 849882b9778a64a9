/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel notes of a call that a stop has interrupted: the task's restart block. An iterator over one task writes one line:
 * the function's name, and the block's fields as each of the calls would read them. sleepers.c takes those of the function.
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

struct task_struct {
        struct restart_block restart_block;
} BY_BTF;

struct seq_file;
struct bpf_iter_meta {
        struct seq_file *seq;
} BY_BTF;
struct bpf_iter__task {
        struct bpf_iter_meta *meta;
        struct task_struct *task;
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

/* Kernel structures may be read by GPL-compatible programs only; section 3 of the LGPL allows this copy to be GPL. */
char may_read_kernel[] SEC("license") = "GPL";
