/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ranges of an image: the list itself, and what a file has allocated.
 *
 * SEEK_DATA and SEEK_HOLE see data that the host has not written back yet, which FIEMAP without a flush does not. They
 * may answer in units smaller than 4 KiB or call an unwritten extent data: ranges are widened to whole 4 KiB blocks,
 * never narrowed, so that a copy of them is complete. A file system without the calls says that all is data.
 */
#include "ploop/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK UINT64_C(4096)

int range_add(struct range_list *l, uint64_t offset, uint64_t length, struct err *err)
{
        if (length == 0)
                return 0;
        if (l->n) {
                struct range *last = &l->at[l->n - 1];
                uint64_t end = last->offset + last->length;
                if (offset <= end) {
                        if (offset + length > end)
                                last->length = offset + length - last->offset;
                        return 0;
                }
        }
        if (l->n == l->cap) {
                size_t cap = l->cap ? l->cap * 2 : 64;
                struct range *at = realloc(l->at, cap * sizeof(*at));
                if (!at)
                        return err_sys(err, EX_NOSPC, ENOMEM, "cannot list the image's blocks", "%zu ranges", cap);
                l->at = at;
                l->cap = cap;
        }
        l->at[l->n++] = (struct range){offset, length};
        return 0;
}

void range_done(struct range_list *l)
{
        free(l->at);
        *l = (struct range_list){};
}

int image_ranges(int imagefd, struct range **ret, size_t *ret_n, struct err *err)
{
        static const char what[] = "cannot list the image's blocks";
        _cleanup_ranges_ struct range_list l = {};
        struct stat st;
        off_t at = 0;

        if (fstat(imagefd, &st) < 0)
                return err_sys(err, EX_FAIL, errno, what, "descriptor %d", imagefd);
        while (at < st.st_size) {
                off_t data = lseek(imagefd, at, SEEK_DATA);
                if (data < 0 && errno == ENXIO)
                        break;
                off_t hole = data < 0 ? -1 : lseek(imagefd, data, SEEK_HOLE);
                if (hole < 0)
                        return err_sys(err, EX_FAIL, errno, what, "descriptor %d", imagefd);
                if (hole > st.st_size)
                        hole = st.st_size;
                uint64_t from = (uint64_t)data & ~(BLOCK - 1), to = ((uint64_t)hole + BLOCK - 1) & ~(BLOCK - 1);
                if (to > (uint64_t)st.st_size)
                        to = (uint64_t)st.st_size;
                int r = range_add(&l, from, to - from, err);
                if (r < 0)
                        return r;
                at = hole;
        }
        *ret_n = l.n;
        *ret = l.at;
        l.at = NULL;
        return 0;
}
