/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One phase of a restore: a tape per actor, which plans write on, and all of them played side by side.
 *
 * Before a tape plays, the descriptors that it needs are delivered; afterwards those that it made are fetched, and when all have
 * played, what was delivered is closed. A plan is always given a tape: without memory it writes on a spare one that nobody plays, and
 * the phase fails. A planner that needs a barrier within a phase (mounts, the tree) plays more than once.
 *
 * Not here: what the phases are and who plans them (restore.c), how a descriptor travels (deliver.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"

struct tape *restore_tape(struct restore *rs, struct actor who)
{
        for (size_t i = 0; i < rs->n_tape; i++) {
                struct actor a = tape_actor(rs->tape[i]);
                if (a.type == who.type && a.id == who.id)
                        return rs->tape[i];
        }
        struct tape **grown = realloc(rs->tape, (rs->n_tape + 1) * sizeof(*grown));
        struct tape *t = grown ? tape_new(who) : NULL;
        if (grown)
                rs->tape = grown;
        if (!t) {
                rs->no_memory = true;
                return rs->spare;
        }
        rs->tape[rs->n_tape++] = t;
        return t;
}

void restore_keep_map(struct restore *rs, struct tape *t, uint32_t entry, uint64_t size, uint64_t object)
{
        struct restore_map *grown = realloc(rs->map, (rs->n_map + 1) * sizeof(*grown));

        if (!grown) {
                rs->no_memory = true;
                return;
        }
        rs->map = grown;
        grown[rs->n_map++] = (struct restore_map){ t, entry, size, object };
}

static int open_maps(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_map; i++) {
                const struct restore_map *m = &rs->map[i];
                const struct restore_task *t = restore_task_find(rs, tape_actor(m->t).id);
                uint64_t at = (uint64_t)tape_ret(m->t, m->entry);
                char name[96];

                snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)at, (unsigned long long)(at + m->size));
                int fd = sys_openat(t->procfd, name, O_RDWR, 0);
                if (fd < 0)
                        return err_sys(err, EX_FAIL, fd, "cannot open a shared memory object", "%s", name);
                int r = object_put(rs, m->object, fd, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

void phase_drop(struct restore *rs)
{
        for (size_t i = 0; i < rs->n_tape; i++)
                tape_free(rs->tape[i]);
        rs->n_tape = rs->n_map = 0;
}

/* The container's own tapes first, then ours: what the engine does by its duplicates needs the objects to exist. */
static int play_split(struct restore *rs, bool self, struct err *err)
{
        _cleanup_free_ struct tape **list = calloc(rs->n_tape ? rs->n_tape : 1, sizeof(*list));
        size_t n = 0;

        if (!list)
                return kind_nomem(err);
        for (size_t i = 0; i < rs->n_tape; i++)
                if ((tape_actor(rs->tape[i]).type == ACTOR_SELF) == self && (tape_len(rs->tape[i]) || tape_bad(rs->tape[i])))
                        list[n++] = rs->tape[i];
        int r = 0;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = deliver_needs(rs, list[i], err);
        if (r >= 0 && n)
                r = executor_play(self ? &rs->self : &rs->ptrace, list, n, err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = collect_keeps(rs, list[i], err);
        return r;
}

int phase_play(struct restore *rs, struct err *err)
{
        int r = rs->no_memory ? kind_nomem(err) : play_split(rs, false, err);

        if (r >= 0)
                r = open_maps(rs, err);
        if (r >= 0)
                r = play_split(rs, true, err);
        phase_drop(rs);
        if (r >= 0)
                r = deliver_cleanup(rs, err);
        return r;
}
