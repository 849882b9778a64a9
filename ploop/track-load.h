/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tracker's BPF program, loaded and attached; nothing of it outlives the descriptors in here. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* The layouts that track.bpf.c declares for itself. */
struct track_target { uint32_t major, minor; uint64_t blocks; };
struct track_counters { uint64_t requests, sectors, outside; };

struct bpf_object;
struct bpf_link;
struct track_program {
        struct bpf_object *object;
        struct bpf_link *link;
        uint64_t *words; /* the bitmap, shared with the kernel */
        size_t n_words;
        int prog_fd, counters_fd; /* borrowed from the object */
};

int track_program_load(const struct track_target *target, struct track_program *ret, struct err *err);
int track_program_counters(const struct track_program *p, struct track_counters *ret, struct err *err);
/* How often the kernel did not run the program because it was running on that cpu already. */
int track_program_misses(const struct track_program *p, uint64_t *ret, struct err *err);
void track_program_done(struct track_program *p);
