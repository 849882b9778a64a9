/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variants of a protobuf message through its descriptor, whatever it means: every field at its limits, absent, present, too many. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "tests/fuzz/fuzz.h"

/* Changes m in place, one thing at a time, calls each(ctx), and changes it back. Of the elements of one field no more than `most`. */
void fuzz_message(ProtobufCMessage *m, size_t most, void (*each)(void *ctx), void *ctx);

/* Its bytes; caller frees. */
uint8_t *fuzz_pack(const ProtobufCMessage *m, size_t *ret_n);
