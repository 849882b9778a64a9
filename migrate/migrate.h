/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moving a container to another node. Who owns it at every moment, on both sides, is drawn in docs/PROTOCOL.md; source.c
 * and target.c carry their halves of that picture.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "checkpoint/session.h"
#include "engine/ct.h"
#include "migrate/disk.h"
#include "migrate/ssh.h"

#define MIGRATE_PHASES 40

struct migrate_phase { char name[32]; uint64_t ns; };
struct migrate_phases { struct migrate_phase at[MIGRATE_PHASES]; size_t n; };

struct migrate_report {
        char name[CT_NAME_MAX + 1], host[SSH_HOST_MAX + 1], token[37];
        char left_as[CT_NAME_MAX + 1];           /* name of the source's copy; "" when it was removed */
        struct findings findings;                /* of the checks, both nodes' */
        struct disk_stat disk;
        struct session_stats session;
        struct migrate_phases here, there;
        uint64_t frozen_ns, total_ns, sent;      /* bytes on the wire, frames included */
        struct err note;                         /* why the disk was not tracked; code 0: it was */
        bool moved;
};
void migrate_report_done(struct migrate_report *r);

struct migrate_options {
        const char *host;
        bool check_only, remove_source;
        unsigned timeout_s;                      /* of everything before OFFERED, and of the asking after it; 0: none */
        int stop_fd;                             /* readable when the user wants an end (a signalfd); -1: never */
        void (*progress)(void *ctx, const char *phase, uint64_t bytes);   /* may be NULL */
        void *progress_ctx;
};
bool migrate_stopped(const struct migrate_options *o);
/* The whole way. EX_CHECK: findings say what; EX_DOUBT: it stays frozen, --resolve asks; else it runs here as before. */
int migrate_run(struct node *n, const char *name, const struct migrate_options *o, struct migrate_report *ret,
                struct err *err);

enum resolved { RESOLVED_NOTHING, RESOLVED_HERE, RESOLVED_THERE, RESOLVED_CLAIMED, RESOLVED_REMOVED };
const char *resolved_text(enum resolved r);
/* Ends any doubt about NAME on this node: source in OFFERED (asks the other node), frozen by a killed migration, gone but
 * not removed, claimed but not started, or coming in and void. host NULL: the one the journal names. */
int migrate_resolve(struct node *n, const char *name, const struct migrate_options *o, enum resolved *ret,
                    struct err *err);

/* The other side, on the descriptors of the ssh stream. Returns when the connection is no longer needed. */
int migrate_serve(const struct log *log, int in, int out, struct err *err);
