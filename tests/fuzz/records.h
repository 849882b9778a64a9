/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records in a row as the corpus of a harness has them: a head as in an image (proto/record.h), the payload, no checksum. */
#pragma once

#include "proto/record.h"
#include "tests/fuzz/fuzz.h"

/* The next one at *at; false at the end, or where it is cut. */
static inline bool fuzz_record_next(const uint8_t *p, size_t n, size_t *at, struct record_head *ret, const uint8_t **ret_payload)
{
        if (n - *at < RECORD_HEAD)
                return false;
        *ret = record_head_get(p + *at);
        if (ret->len > RECORD_MAX || ret->len > n - *at - RECORD_HEAD)
                return false;
        *ret_payload = p + *at + RECORD_HEAD;
        *at += RECORD_HEAD + ret->len;
        return true;
}

static inline void fuzz_record_add(struct fuzz_buf *b, struct record_head h, const void *payload, size_t n)
{
        uint8_t head[RECORD_HEAD];

        h.len = (uint32_t)n;
        record_head_put(head, &h);
        fuzz_add(b, head, sizeof(head));
        fuzz_add(b, payload, n);
}
