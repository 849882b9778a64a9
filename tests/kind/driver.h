/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the kind driver: a victim (start.c), its image (image.c), the modes (driver.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "checkpoint/session.h"

struct trial {
        const char *program, *stem, *cgroup;   /* cgroup: below the v2 root, ours alone */
        char dir[64];                          /* of the talk with the victim, images in it */
        char why[2048];                        /* why the mode failed */
        const struct log *log;
        bool calm;                             /* what the C library writes by itself into memory (rseq) is left out */
        struct subject s;                      /* the live tree; init_pidfd and cgroup_fd -1: none */
        bool written, reached, parked;                /* the image of a dump; the session of a restore */
        unsigned grounds;                      /* trees so far; each has a cgroup of its own */
        int master;                            /* of the console that fd-pty's victim has as descriptor 0; -1: /dev/null */
        char slave[32];
};

/* Sets why; returns -1. */
__attribute__((format(printf, 2, 3))) int failed(struct trial *r, const char *fmt, ...);
int failed_err(struct trial *r, const char *what, const struct err *err);

/* Starts the victim as init of a pid namespace, in a cgroup, and waits until it is ready. */
int victim_start(struct trial *r);
/* The new tree's stub instead of the victim. */
int victim_ground(struct trial *r);
/* Lets it verify, waits for its result: 0 when it says "ok" and ends with 0. */
int victim_verify(struct trial *r);
/* The init of the tree has ended and is reaped; its cgroup is empty. */
int victim_gone(struct trial *r);
/* Ends whatever is there. Idempotent. */
void victim_end_all(struct trial *r);
/* Where the cgroup's processes are frozen, or traced, after all: sets why. */
int victim_at_large(struct trial *r);
size_t open_descriptors(void);

/* A copy of image `from` without the records of kind `number`, in r->dir. *ret_dropped: how many there were. */
int image_without(struct trial *r, const char *from, const char *to, uint16_t number, unsigned *ret_dropped);
/* Two images say the same: 0; else -1 with the first difference in why. */
int images_equal(struct trial *r, const char *a, const char *b);
