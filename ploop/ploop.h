/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single-file container images: sparse raw ext4 on a loop device with direct I/O (LOOP_CONFIGURE, 5.8+), freed by
 * autoclear after any exit, kill -9 included. Sizes in bytes. See docs/STORAGE.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include "base/err.h"
#include "base/idmap.h"

struct image_options { uint64_t size; const char *label; unsigned char uuid[16]; /* zero: random */ };
/* New image at (dirfd, path), which must not exist; written as path.tmp and renamed. mke2fs, lazily initialised:
 * well under a second at any size. EX_EXISTS, EX_NOSPC, EX_DISK. */
int image_create(int dirfd, const char *path, const struct image_options *o, struct err *err);

struct image_attach_options { bool read_only; uint32_t block_size; /* 0: 4096 */ int minor; /* wanted minor, -1: any */ };
/* Attaches an open image file (O_RDWR) to a loop device with direct I/O and AUTOCLEAR. *ret: open loop device;
 * keep it until the mount has been made. EX_EXISTS when the image is attached already (the device is named). */
int image_attach(int imagefd, const struct image_attach_options *o, int *ret_loop, struct err *err);
/* Mounts it (ext4, discard, noinit_itable, noatime), idmapped if `ids` (NULL: not); *ret: a detached mount's descriptor.
 * Needs an own mount namespace (mount_own_namespace) only for nothing: fsopen is used. */
int image_mount(int loopfd, bool read_only, const struct idmap *ids, int *ret_mount, struct err *err);

struct disk_info {
        uint64_t size, allocated, fs_size, fs_free, inodes, inodes_free;
        uint32_t block_size;
        unsigned char uuid[16];
        char label[17];
        bool clean, attached;
        char device[32];            /* "/dev/loop3" when attached */
};
/* Reads the superblock itself (checksummed, strict): no mount. EX_DISK when it is no ext4. */
int disk_info(int imagefd, struct disk_info *ret, struct err *err);
/* FIFREEZE / FITHAW on any descriptor of the mounted file system; thaw of a thawed one is fine. */
int image_freeze(int fsfd, struct err *err);
int image_thaw(int fsfd, struct err *err);
int image_sync(int fsfd, struct err *err);                          /* syncfs */

/* Allocated ranges by SEEK_DATA/SEEK_HOLE, 4 KiB granular, merged; caller frees. */
struct range { uint64_t offset, length; };
int image_ranges(int imagefd, struct range **ret, size_t *ret_n, struct err *err);

/* The change tracker: BPF on block_rq_issue (5.17+ for bpf_loop). track_take hands out what was written since the last
 * take; the caller then drains (LOOP_SET_STATUS64 freezes the queue) and reads. Closing the tracker detaches all.
 * Call track_new between image_freeze and image_thaw: the self-check needs a start at which no write is in flight, and a
 * busy device has none by itself (then track_check answers 1). */
struct track;
int track_new(int loopfd, uint64_t size, struct track **ret, struct err *err);   /* EX_KERNEL: cannot track here, and why */
int track_take(struct track *t, struct range **ret, size_t *ret_n, struct err *err);
int track_drain(struct track *t, struct err *err);
/* Self-check against /sys/block/loopN/stat and recursion misses: 0 right, 1 a write may have been missed → compare by hash. */
int track_check(struct track *t, struct err *err);
void track_free(struct track *t);
/* Fallback: ranges of 4 KiB blocks whose XXH3-128 differ from the table *inout (NULL: from a file of zeroes, so all data),
 * and the new table in its place. While the image is written to, give every block that you then read to hashes_note, or
 * one that changes twice in between is lost: the table must say what the copy holds. */
struct block_hashes;
int hashes_take(int imagefd, struct block_hashes **inout, struct range **ret, size_t *ret_n, struct err *err);
int hashes_note(struct block_hashes *h, uint64_t offset, const void *bytes, size_t n, struct err *err);
void hashes_free(struct block_hashes *h);
