/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much memory relatives share copy-on-write, and will not share when it comes back: a frame that is mapped by k of the dumped
 * memories is stored k times, and k - 1 of these are more than there were.
 *
 * /proc/PID/pagemap says of a page whether it is mapped once only (bit 56, since 4.2) and, to root, in which frame it is. Only pages
 * that are mapped more often are remembered, eight bytes each, so that memory which nobody shares costs a read of the map alone. A page in
 * the swap has a slot in the place of a frame, which relatives share as well. The kernel's page of zeroes is nobody's; its number is
 * that of a page of our own that was never written to.
 *
 * A frame that is shared with somebody outside of the dump, or by samepage merging, counts only as often as it is met.
 */
#include "checkpoint/pages-int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define BATCH 8192u
#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define FILE_PAGE (UINT64_C(1) << 61)
#define EXCLUSIVE (UINT64_C(1) << 56)
#define FRAME ((UINT64_C(1) << 55) - 1)   /* or a swap's type and slot */

int shared_add(struct shared *s, const uint64_t *entry, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t e = entry[i], frame = e & FRAME;
                bool here = e & PRESENT;
                if (!(e & (PRESENT | SWAPPED)) || e & FILE_PAGE || (here && (e & EXCLUSIVE || frame == s->zero)) || !frame)
                        continue;
                if (s->n == s->cap) {
                        size_t cap = s->cap ? s->cap * 2 : 4096;
                        uint64_t *grown = realloc(s->at, cap * sizeof(*grown));
                        if (!grown)
                                return -EX_NOSPC;
                        s->at = grown;
                        s->cap = cap;
                }
                s->at[s->n++] = frame | (here ? PRESENT : SWAPPED);
        }
        return 0;
}

static int by_number(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

uint64_t shared_extra(struct shared *s)
{
        uint64_t extra = 0;

        if (s->n)
                qsort(s->at, s->n, sizeof(*s->at), by_number);
        for (size_t i = 1; i < s->n; i++)
                extra += s->at[i] == s->at[i - 1];
        return extra;
}

void shared_done(struct shared *s)
{
        free(s->at);
        *s = (struct shared){};
}

static int read_entries(int fd, uint64_t at, uint64_t *ret, size_t n, size_t *ret_n, struct err *err)
{
        size_t got = 0;
        int r = fd_pread_full(fd, ret, n * sizeof(*ret), (off_t)(at / PAGE_BYTES * sizeof(*ret)), &got, err);

        *ret_n = got / sizeof(*ret);
        return r < 0 ? r : 0;
}

/* The frame of a page of our own that has only been read. */
int shared_begin(struct shared *s, struct err *err)
{
        _cleanup_close_ int fd = path_open(AT_FDCWD, "/proc/self/pagemap", O_RDONLY, 0, err);
        volatile const uint8_t *p = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t e = 0;
        size_t n = 0;
        int r = fd < 0 ? fd : 0;

        *s = (struct shared){};
        if (p == MAP_FAILED)
                return err_sys(err, EX_NOSPC, errno, "cannot look for shared pages", "%s", "");
        if (r == 0 && *p == 0)
                r = read_entries(fd, (uintptr_t)p, &e, 1, &n, err);
        (void)munmap((void *)(uintptr_t)p, PAGE_BYTES);
        s->zero = n ? e & FRAME : 0;
        return r;
}

int shared_scan(struct shared *s, int pagemap_fd, const struct spans *spans, struct err *err)
{
        _cleanup_free_ uint64_t *entry = malloc(BATCH * sizeof(*entry));

        if (!entry)
                return err_sys(err, EX_NOSPC, ENOMEM, "cannot look for shared pages", "%s", "");
        for (size_t i = 0; i < spans->n; i++)
                for (uint64_t at = spans->at[i].start; at < spans->at[i].end;) {
                        size_t want = (size_t)((spans->at[i].end - at) / PAGE_BYTES), n = 0;
                        int r = read_entries(pagemap_fd, at, entry, want < BATCH ? want : BATCH, &n, err);
                        if (r < 0)
                                return r;
                        if (n == 0)
                                break;
                        if (shared_add(s, entry, n) < 0)
                                return err_sys(err, EX_NOSPC, ENOMEM, "cannot look for shared pages", "%s", "");
                        at += n * PAGE_BYTES;
                }
        return 0;
}
