/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CHECK: the whole image is looked at before anything of it is done.
 *
 * Its records are read, in the order of the image, and indexed by id; each has passed its kind's check(), the planners can make the
 * tree, the cgroups and the mounts, nothing is missing, and memory and capabilities are what this container may have.
 *
 * Not here: hashes, counts and the form of each record, which the image has verified while it was read (image-check.c); and what a
 * single record may say (kind/STEM.c).
 */
#include <stdlib.h>

#include "checkpoint/cgtree.h"
#include "checkpoint/cpu.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/mounts.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"
#include "proto/header.pb-c.h"

static int by_id(const void *a, const void *b, void *ctx)
{
        const struct restore *rs = ctx;
        const struct record *x = &rs->rec[*(const size_t *)a], *y = &rs->rec[*(const size_t *)b];

        if (x->id != y->id)
                return x->id < y->id ? -1 : 1;
        return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static int read_records(struct restore *rs, struct err *err)
{
        struct record_source src = image_records(rs->img);
        size_t cap = 0;
        int r;

        for (;;) {
                struct record rec = {};
                r = src.next(src.c, &rec, err);
                if (r <= 0)
                        break;
                if (rec.kind == RECORD_HEADER) {
                        const Gantry__Header *h = (const Gantry__Header *)(const void *)rec.msg;
                        r = cpu_check(h->cpu, h->n_cpu, err);
                        record_done(&rec);
                        if (r < 0)
                                break;
                        continue;
                }
                if (rs->n_rec == cap) {
                        cap = cap ? cap * 2 : 256;
                        struct record *grown = realloc(rs->rec, cap * sizeof(*grown));
                        if (!grown) {
                                record_done(&rec);
                                return kind_nomem(err);
                        }
                        rs->rec = grown;
                }
                rs->rec[rs->n_rec++] = rec;
        }
        if (r < 0)
                return r;
        rs->by_id = calloc(rs->n_rec ? rs->n_rec : 1, sizeof(*rs->by_id));
        if (!rs->by_id)
                return kind_nomem(err);
        for (size_t i = 0; i < rs->n_rec; i++)
                rs->by_id[i] = i;
        qsort_r(rs->by_id, rs->n_rec, sizeof(*rs->by_id), by_id, rs);
        return 0;
}

static int check_order(const struct restore *rs, struct err *err)
{
        for (size_t i = 1; i < rs->n_rec; i++)
                if (rs->rec[i].kind < rs->rec[i - 1].kind)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "its records are not in order", "record %u %llu",
                                       rs->rec[i].kind, (unsigned long long)rs->rec[i].id);
        for (size_t i = 1; i < rs->n_rec; i++) {
                const struct record *a = &rs->rec[rs->by_id[i - 1]], *b = &rs->rec[rs->by_id[i]];
                if (a->id == b->id && a->kind == b->kind)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "a record stands twice", "record %u %llu", a->kind,
                                       (unsigned long long)a->id);
        }
        return 0;
}

/* Memory has runs and no record of its id's kind but the address space's; all other runs are what a record could not hold, and
 * counted by its kind. */
static bool is_memory(void *ctx, uint64_t id)
{
        return !has_record(ctx, 0, id) || has_record(ctx, KIND_TASK_MM, id);
}

static int check_memory(struct restore *rs, struct err *err)
{
        uint64_t need = rs->need.bytes + image_resident(rs->img, is_memory, rs);

        if (!rs->s.memory_limit || need <= rs->s.memory_limit)
                return 0;
        err_set(err, EX_NOSPC, "cannot restore the image", "its memory would not fit the container's limit", "%llu MiB of %llu MiB",
                (unsigned long long)(need >> 20), (unsigned long long)(rs->s.memory_limit >> 20));
        return err_remedy(err, "raise the container's memory and try again");
}

static int check_caps(const struct restore *rs, struct err *err)
{
        uint64_t more = rs->need.caps & ~rs->s.caps;

        if (!more)
                return 0;
        err_set(err, EX_IMAGE, "cannot restore the image", "a process in it has capabilities that a container here is not granted",
                "mask 0x%llx", (unsigned long long)more);
        return err_remedy(err, "it is no image of such a container: restore it where it was made, or start the container anew");
}

int restore_check(struct restore *rs, struct err *err)
{
        int r = read_records(rs, err);

        if (r >= 0)
                r = check_order(rs, err);
        for (size_t i = 0; r >= 0 && i < rs->n_rec; i++) {
                const struct kind *k = kind_find(rs->rec[i].kind);
                if (rs->rec[i].kind == RECORD_TREE || rs->rec[i].kind == RECORD_MOUNTS)
                        continue;
                if (!k || !k->check)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "a record's kind cannot be restored here",
                                       "record %u %llu", rs->rec[i].kind, (unsigned long long)rs->rec[i].id);
                r = k->check(&rs->rec[i], &rs->need, err);
        }
        if (r >= 0)
                r = restore_read_tree(rs, err);
        if (r >= 0)
                r = complete_check(rs, err);
        if (r >= 0)
                r = cgtree_check(rs, err);
        if (r >= 0)
                r = mounts_check(rs, err);
        if (r >= 0)
                r = check_caps(rs, err);
        if (r >= 0)
                r = check_memory(rs, err);
        if (r < 0)
                return r;
        rs->state = RESTORE_CHECKED;
        return 0;
}
