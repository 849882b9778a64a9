/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's half of the change tracker: one bit per 4 KiB block of one loop device, set when a request that changes
 * data is handed to the driver.
 *
 * block_rq_issue fires in blk_mq_start_request(), for every request, while it holds a reference of its queue: a mark
 * that user space has seen belongs to a request that a queue freeze waits for, and a mark that it has not seen yet will
 * be seen by the next take. (At block_bio_queue the reference is not held yet; completion events of loop devices get
 * lost; both were tried.) The lowest bit of the operation is set for everything that changes data: write, discard,
 * secure erase, write zeroes.
 *
 * The kernel's structures are declared with the few fields in use; libbpf relocates them by the running kernel's BTF
 * (CO-RE), so no header dump of any kernel is needed. A request can cover 260,000 sectors: bpf_loop (5.17), because
 * the verifier would not follow a plain loop so far.
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

#define MAP_TYPE_ARRAY 2
#define MAP_MMAPABLE (1U << 10)
#define CHANGES_DATA 1U
#define SECTORS_PER_BLOCK_SHIFT 3

struct gendisk {
        int major, first_minor;
} __attribute__((preserve_access_index));

struct request_queue {
        struct gendisk *disk;
} __attribute__((preserve_access_index));

struct request {
        struct request_queue *q;
        __u32 cmd_flags;
        __u32 __data_len;
        __u64 __sector;
} __attribute__((preserve_access_index));

/* Set before the program is loaded; the layout is that of struct track_target in track.c. */
const volatile struct {
        __u32 major, minor;
        __u64 blocks;
} target = {};

struct {
        __u32 (*type)[MAP_TYPE_ARRAY];
        __u32 (*map_flags)[MAP_MMAPABLE];
        __u32 *key;
        __u64 *value;
        __u32 (*max_entries)[1]; /* set when it is loaded */
} bits SEC(".maps");

/* The layout is that of struct track_counters in track.c. */
struct counters {
        __u64 requests, sectors, outside;
};

struct {
        __u32 (*type)[MAP_TYPE_ARRAY];
        __u32 *key;
        struct counters *value;
        __u32 (*max_entries)[1];
} counters SEC(".maps");

struct span {
        __u64 first, last; /* blocks, both included */
};

static long mark_word(__u32 i, void *ctx)
{
        const struct span *s = ctx;
        __u32 word = (__u32)(s->first >> 6) + i;
        __u64 mask = ~0ULL;

        if (i == 0)
                mask <<= s->first & 63;
        if (word == (__u32)(s->last >> 6))
                mask &= ~0ULL >> (63 - (s->last & 63));
        __u64 *w = bpf_map_lookup_elem(&bits, &word);
        if (w)
                __sync_fetch_and_or(w, mask);
        return 0;
}

SEC("tp_btf/block_rq_issue")
int track_issue(__u64 *ctx)
{
        struct request *rq = (struct request *)ctx[0];
        __u32 zero = 0;

        if (!(rq->cmd_flags & CHANGES_DATA))
                return 0;
        struct gendisk *disk = rq->q->disk;
        if ((__u32)disk->major != target.major || (__u32)disk->first_minor != target.minor)
                return 0;
        __u64 sector = rq->__sector, sectors = rq->__data_len >> 9;
        if (sectors == 0)
                return 0;
        struct counters *c = bpf_map_lookup_elem(&counters, &zero);
        if (!c)
                return 0;
        struct span s = {sector >> SECTORS_PER_BLOCK_SHIFT, (sector + sectors - 1) >> SECTORS_PER_BLOCK_SHIFT};
        if (s.last >= target.blocks)
                __sync_fetch_and_add(&c->outside, 1);
        else
                bpf_loop((__u32)((s.last >> 6) - (s.first >> 6) + 1), mark_word, &s, 0);
        __sync_fetch_and_add(&c->requests, 1);
        __sync_fetch_and_add(&c->sectors, sectors);
        return 0;
}

/* Kernel structures may be read by GPL-compatible programs only; section 3 of the LGPL allows this copy to be GPL. */
char may_read_kernel[] SEC("license") = "GPL";
