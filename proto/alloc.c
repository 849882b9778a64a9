/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The budgeted allocator of record_unpack().
 *
 * protobuf-c 1.4.1 has no limit of its own: 2 MiB of empty submessages make it allocate 143 MB. The budget counts what
 * was asked for plus malloc's header, and never gives anything back: an upper bound over the whole parse is enough,
 * and freeing needs no book-keeping. It does not bound what other code allocates.
 */
#include "proto/alloc.h"

#define MALLOC_OVERHEAD 16u

void budget_init(struct budget *b, size_t payload_len)
{
        *b = (struct budget){.left = payload_len * BUDGET_FACTOR + BUDGET_BASE};
}

static void *take(void *ctx, size_t size)
{
        struct budget *b = ctx;

        if (size > b->left || b->left - size < MALLOC_OVERHEAD) {
                b->spent = true;
                return NULL;
        }
        b->left -= size + MALLOC_OVERHEAD;
        return malloc(size);
}

static void give(void *ctx, void *p)
{
        (void)ctx;
        free(p);
}

ProtobufCAllocator budget_allocator(struct budget *b)
{
        return (ProtobufCAllocator){.alloc = take, .free = give, .allocator_data = b};
}
