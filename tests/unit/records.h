/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kinds looked at from their records: what check() lets through and what not, and what a plan writes. */
#pragma once

#include <stdlib.h>

#include "tests/unit/harness.h"

#define TEXT(s) ((ProtobufCBinaryData){sizeof(s) - 1, (uint8_t *)(uintptr_t)(s)})

static inline ProtobufCMessage *rec_copy(const ProtobufCMessage *m)
{
        size_t n = protobuf_c_message_get_packed_size(m);
        uint8_t *buf = malloc(n ? n : 1);

        cr_assert(buf);
        protobuf_c_message_pack(m, buf);
        ProtobufCMessage *copy = protobuf_c_message_unpack(m->descriptor, NULL, n, buf);
        free(buf);
        cr_assert(copy);
        return copy;
}

static inline struct kt *rec_given(const struct kind *k, const ProtobufCMessage *m)
{
        struct kt *t = kt_new();
        struct facts f = {.cls = k->cls};

        kt_give(t, kt_add(t, k, &f), k, rec_copy(m));
        return t;
}

/* 0, or the code of the refusal. */
static inline int rec_check(const struct kind *k, const ProtobufCMessage *m)
{
        struct kt *t = rec_given(k, m);
        struct err err = {};
        int r = kt_check(t, &err);

        kt_free(t);
        return r < 0 ? err.code : 0;
}

/* The plan of a phase; caller frees. */
static inline char *rec_plan(const struct kind *k, const ProtobufCMessage *m, enum phase ph)
{
        struct kt *t = rec_given(k, m);
        char *text = kt_plan(t, ph);

        kt_free(t);
        return text;
}

#define ACCEPTED(k, m) cr_assert_eq(rec_check(k, &(m).base), 0, "a good record is refused")
/* The record with one field changed by `change` is refused as an image's fault, and is good without. */
#define REFUSED(k, m, change)                                                                                \
        do {                                                                                                 \
                __typeof__(m) _good = (m);                                                                   \
                change;                                                                                      \
                cr_assert_eq(rec_check(k, &(m).base), EX_IMAGE, "accepted: %s", #change);                    \
                (m) = _good;                                                                                 \
        } while (0)
#define PLANNED(k, m, ph, words)                                                                             \
        do {                                                                                                 \
                char *_p = rec_plan(k, &(m).base, ph);                                                       \
                cr_assert(_p && strstr(_p, words), "no \"%s\" in:\n%s", words, _p);                          \
                free(_p);                                                                                    \
        } while (0)
