/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the source share; source.c draws the states. */
#pragma once

#include "base/timer.h"
#include "migrate/migrate.h"

struct Gantry__WirePhase;

enum source_state { SOURCE_IDLE, SOURCE_LOCKED, SOURCE_COPYING, SOURCE_FROZEN, SOURCE_OFFERED, SOURCE_GONE };

struct source {
        struct node *node;
        struct ct *ct;
        const struct migrate_options *o;
        struct migrate_report *rep;
        enum source_state state;
        struct ssh ssh;
        bool connected, has_subject;
        bool marked;                     /* the journal says `frozen`, or may */
        bool refused;                    /* OFFERED, and the target has answered VOID */
        struct subject subject;
        struct dump *dump;
        struct disk_source *disk;
        int imagefd, loopfd;
        uint64_t image_size, image_allocated;
        uint64_t round_bytes[DISK_ROUNDS_MAX + 1];
        unsigned rounds;
        uint64_t deadline, frozen_at;    /* CLOCK_MONOTONIC, ns */
        struct timers timers;
};

int source_disk_open(struct source *s, struct err *err);
/* One round; unless it is the last, the file system is brought to rest first, so that the freeze finds little to write. */
int source_disk_round(struct source *s, bool last, struct err *err);
/* Syncs and freezes the file system for the last round; session_resume, session_cure or source_gone thaw it. */
int source_still(struct source *s, struct err *err);
void source_disk_close(struct source *s);
int source_check(struct source *s, struct err *err);
int source_phases(struct migrate_phases *to, size_t n, struct Gantry__WirePhase **at, struct err *err);
void source_timers(struct source *s);
void phases_put(struct migrate_phases *to, const char *name, uint64_t ns);
