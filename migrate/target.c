/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The target of a migration: its half of the picture in docs/PROTOCOL.md.
 *
 *      message   Check   Begin      blocks, Ground, Round      pieces, ImageEnd      Take        Gone
 *      state   IDLE ──> CHECKED ──> COPYING ──────────> MOUNTED ──────────> PREPARED ──> CLAIMED ──> (monitor)
 *                 └── any failure, a lost connection, a time limit: undo() ───────┘
 *
 *  T1  The container's directory is NAME.incoming until CLAIMED is durable; nobody takes it for a container.
 *  T2  READY is sent only when everything is restored, detached under a frozen cgroup, and PREPARED is durable.
 *  T3  The token becomes CLAIMED or VOID by one compare and set in the ledger; VOID may come from anybody, here too: a target
 *      that loses patience voids its own token before it undoes, so that a late TAKE finds nothing to take.
 *  T4  Nothing runs, and no packet passes, before CLAIMED is durable; after it nothing is undone.
 *  T5  RUNNING is sent after GO. The ledger forgets the token only when GONE has come and the directory has its name.
 *
 * The worker is the parent of the container's init and ends as its monitor. It has one thread.
 */
#include "migrate/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "migrate/ask.h"
#include "migrate/check.h"
#include "migrate/disk.h"
#include "migrate/ledger.h"
#include "migrate/msg.h"
#include "migrate/source.h"
#include "migrate/stream.h"
#include "migrate/wire.pb-c.h"

#define PAGES_MIN ((uint64_t)1 << 30)
#define GONE_WAIT_NS UINT64_C(15000000000)

enum target_state { TARGET_IDLE, TARGET_CHECKED, TARGET_COPYING, TARGET_MOUNTED, TARGET_PREPARED, TARGET_CLAIMED };

struct target {
        struct node *node;
        struct wire *w;
        enum target_state state;
        char name[CT_NAME_MAX + 1], token[37], peer[256];
        char *config;                    /* the source's ct.conf with this node's id range */
        uint64_t pages_max, image_size;
        struct ct *ct;
        int imagefd;
        struct disk_target *disk;
        struct stream_target *stream;
        struct ground *ground;
        struct subject subject;
        bool has_subject;
        struct restore *restore;
        struct timers timers;
        struct session_stats stats;
};

static void target_assert_state(const struct target *t, enum target_state want)
{
        if (t->state != want)
                abort();
        if ((t->ct != NULL) != (t->state >= TARGET_COPYING))
                abort();
        if (t->state >= TARGET_MOUNTED && (!t->ground || !t->has_subject))
                abort();
}

static int put_journal(struct target *t, enum owner owner, struct err *err)
{
        struct journal j = {.owner = owner, .frozen = owner == OWNER_PREPARED};

        str_copy(j.token, sizeof(j.token), t->token);
        str_copy(j.peer, sizeof(j.peer), t->peer);
        return ct_journal_put(t->ct, &j, err);
}

/* ---- before a byte is copied ---- */

/* The id range is the node's to give: the image holds ids as seen inside. */
static int own_config(struct target *t, const Gantry__WireCheck *m, struct err *err)
{
        struct ct_config c = {0};
        struct idmap ids;
        char value[32];

        int r = ct_config_parse(m->config, strlen(m->config), "ct.conf", &c, err);
        if (r < 0)
                return r;
        r = node_idmap_free(t->node, c.idmap.count, &ids, err);
        ct_config_done(&c);
        if (r < 0)
                return r;
        snprintf(value, sizeof(value), "%u:%u", ids.base, ids.count);
        return ct_config_set(m->config, "", "idmap", value, &t->config, err);
}

static int on_check(struct target *t, const Gantry__WireCheck *m, struct err *err)
{
        struct findings f = {0};
        int r = ledger_token_check(m->token, err);

        target_assert_state(t, TARGET_IDLE);
        if (r == 0)
                r = check_target(t->node, m, &f, err);
        bool clean = r == 0 && !f.n;
        if (r == 0)
                r = check_answer(t->w, &f, err);
        findings_done(&f);
        if (r < 0 || !clean || m->only)
                return r;
        str_copy(t->name, sizeof(t->name), m->name);
        str_copy(t->token, sizeof(t->token), m->token);
        t->image_size = m->image_size;
        t->pages_max = m->memory_used > UINT64_MAX / 4 ? UINT64_MAX : m->memory_used * 4 + PAGES_MIN;
        r = own_config(t, m, err);
        if (r == 0)
                t->state = TARGET_CHECKED;
        return r;
}

static int on_begin(struct target *t, const Gantry__WireBegin *m, struct err *err)
{
        if (t->state != TARGET_CHECKED || m->image_size != t->image_size)
                return err_set(err, EX_PEER, "the other node broke the protocol", "it begins what was not checked", "%s",
                               t->name);
        int r = ct_incoming_create(t->node, t->name, t->config, &t->ct, err);
        if (r < 0)
                return r;
        t->state = TARGET_COPYING;
        r = put_journal(t, OWNER_VOID, err);
        if (r < 0)
                return r;
        t->imagefd = path_open(ct_dirfd(t->ct), ct_config(t->ct)->image, O_RDWR | O_CREAT | O_EXCL, 0600, err);
        if (t->imagefd < 0)
                return t->imagefd;
        r = disk_target_new(t->imagefd, m->image_size, &t->disk, err);
        if (r == 0)                              /* its unpacker is forked now: not when a container stands still */
                r = stream_target_new(t->pages_max, &t->stream, err);
        return r < 0 ? r : msg_send_ok(t->w, MSG_BEGIN, err);
}

/* ---- while it is copied ---- */

static int on_ground(struct target *t, struct err *err)
{
        if (t->state != TARGET_COPYING || t->ground)
                return err_set(err, EX_PEER, "the other node broke the protocol", "the ground is not due", "%s", t->name);
        timers_start(&t->timers, "ground");
        int r = ct_ground(t->ct, GROUND_RESTORE, &t->ground, err);
        timers_stop(&t->timers);
        return r < 0 ? r : msg_send_ok(t->w, MSG_GROUND, err);
}

/* The last block is on the disk. */
static int on_last(struct target *t, struct err *err)
{
        target_assert_state(t, TARGET_COPYING);
        if (!t->ground)
                return err_set(err, EX_PEER, "the other node broke the protocol", "the last round came before the ground",
                               "%s", t->name);
        timers_start(&t->timers, "mount");
        int r = ground_image(t->ground, err);
        if (r == 0)
                r = ground_subject(t->ground, &t->subject, err);
        if (r < 0)
                return r;
        t->has_subject = true;
        t->subject.timers = &t->timers;
        t->state = TARGET_MOUNTED;
        timers_start(&t->timers, "receive");
        return 0;
}

static int send_ready(struct target *t, struct err *err)
{
        Gantry__WireReady m = GANTRY__WIRE_READY__INIT;
        Gantry__WireRestored restored = GANTRY__WIRE_RESTORED__INIT;
        Gantry__WirePhase at[MIGRATE_PHASES], *list[MIGRATE_PHASES];
        struct migrate_phases phases = {0};

        for (size_t i = 0; i < t->timers.n; i++)
                phases_put(&phases, t->timers.at[i].name, t->timers.at[i].end_ns - t->timers.at[i].start_ns);
        for (size_t i = 0; i < phases.n; i++) {
                gantry__wire_phase__init(&at[i]);
                at[i].name = phases.at[i].name;
                at[i].ns = phases.at[i].ns;
                list[i] = &at[i];
        }
        restored.tasks = t->stats.tasks;
        restored.pages = t->stats.pages;
        m.token = t->token;
        m.n_phase = phases.n;
        m.phase = list;
        m.restored = &restored;
        return msg_send(t->w, MSG_READY, &m.base, err);
}

/* The image is complete: restore, park, PREPARED, READY. */
static int on_image(struct target *t, struct err *err)
{
        target_assert_state(t, TARGET_MOUNTED);
        timers_start(&t->timers, "restore");
        int r = session_prepare(&t->subject, stream_target_image(t->stream), &t->restore, err);
        timers_start(&t->timers, "park");
        if (r == 0)
                r = session_park(t->restore, err);
        if (r < 0)
                return r;
        timers_start(&t->timers, "prepared");    /* the image is on the disk since its last round */
        /* The run state too: from here on another process may have to play GO, and must find its first process. */
        r = ground_commit(t->ground, err);
        if (r == 0)
                r = ground_keeper(t->ground, err);
        if (r == 0)
                r = put_journal(t, OWNER_PREPARED, err);
        timers_stop(&t->timers);
        if (r < 0)
                return r;
        t->state = TARGET_PREPARED;
        return send_ready(t, err);
}

/* ---- the hand-over ---- */

static int send_running(struct target *t, struct err *err)
{
        Gantry__WireRunning m = GANTRY__WIRE_RUNNING__INIT;
        Gantry__WirePhase at[2] = {GANTRY__WIRE_PHASE__INIT, GANTRY__WIRE_PHASE__INIT}, *list[2] = {&at[0], &at[1]};
        char claim[] = "claimed", go[] = "go";

        at[0].name = claim;
        at[0].ns = timers_ns(&t->timers, "claimed");
        at[1].name = go;
        at[1].ns = timers_ns(&t->timers, "go");
        m.token = t->token;
        m.n_phase = 2;
        m.phase = list;
        return msg_send(t->w, MSG_RUNNING, &m.base, err);
}

static int on_take(struct target *t, const Gantry__WireTake *m, struct err *err)
{
        if (t->state != TARGET_PREPARED || !str_eq(m->token, t->token))
                return err_set(err, EX_PEER, "the other node broke the protocol", "there is nothing to take", "%.40s",
                               m->token);
        timers_start(&t->timers, "claimed");
        int r = ledger_decide(node_lib_dirfd(t->node), t->token, LEDGER_CLAIMED, NULL, err);
        if (r == 1)
                return err_set(err, EX_PEER, "the migration was called off", "its token is void", "%s", t->token);
        if (r < 0)
                return r;
        t->state = TARGET_CLAIMED;
        timers_start(&t->timers, "go");
        r = session_go(&t->subject, err);
        timers_stop(&t->timers);
        return r;
}

/* After GO the other side may be gone: what follows is for this node alone, and none of it undoes anything. */
static int settle(struct target *t, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        struct journal here = {.owner = OWNER_HERE};

        int told = send_running(t, NULL);
        /* Each connection's first packet has shown the switches the way already; this is for everybody else. It comes
         * after RUNNING because making a packet socket takes the kernel some 15 ms. */
        int r = target_announce(t->ct, err);
        int r2 = target_settle(t->ct, t->token, t->peer, err);
        if (r < 0 || r2 < 0)
                return r < 0 ? r : r2;
        wire_deadline(t->w, now_ns() + GONE_WAIT_NS);
        if (told < 0 || msg_expect(t->w, MSG_GONE, &m, NULL) < 0)
                return 0;                        /* the ledger keeps the answer for a source that asks later */
        r = ct_journal_put(t->ct, &here, err);
        return r < 0 ? r : ledger_forget(node_lib_dirfd(t->node), t->token, err);
}

/* T3: void first, then undo. Whoever voided it before us has said the same. */
static void undo(struct target *t)
{
        enum ledger_state now;
        struct err ignored;

        if (t->state == TARGET_CLAIMED)
                return;
        if (t->state == TARGET_PREPARED &&
            ledger_decide(node_lib_dirfd(t->node), t->token, LEDGER_VOID, &now, &ignored) < 0)
                return;                          /* not durable: it stays as it is, for --resolve */
        session_undo(t->restore);
        t->restore = NULL;
        ground_undo(t->ground);
        t->ground = NULL;
        t->imagefd = fd_close(t->imagefd);
        if (t->ct)
                (void)ct_incoming_remove(t->ct, &ignored);
}

/* One message of a migration. 1: it was Take, and the container runs. */
static int on_message(struct target *t, const struct wire_msg *m, const void *body, struct err *err)
{
        bool done = false;
        int r = 0;

        if (t->disk && (r = disk_target_take(t->disk, t->w, m, body, &done, err)) != 0)
                return r < 0 ? r : done ? on_last(t, err) : 0;
        if (t->state == TARGET_MOUNTED && (r = stream_target_take(t->stream, m, body, &done, err)) != 0)
                return r < 0 ? r : done ? on_image(t, err) : 0;
        switch (m->type) {
        case MSG_CHECK:
                return t->state == TARGET_IDLE ? on_check(t, body, err) : msg_unexpected(m, "a second check", err);
        case MSG_BEGIN:
                return on_begin(t, body, err);
        case MSG_GROUND:
                return on_ground(t, err);
        case MSG_TAKE:
                r = on_take(t, body, err);
                return r < 0 ? r : 1;
        default:
                return msg_unexpected(m, "it is not due", err);
        }
}

static void target_done(struct target *t)
{
        stream_target_free(t->stream);
        disk_target_free(t->disk);
        restore_free(t->restore);
        if (t->has_subject)
                subject_done(&t->subject);
        fd_close(t->imagefd);
        free(t->config);
}

static int migrate_in(struct target *t, const struct wire_msg *first, const void *body, struct err *err)
{
        int r = on_message(t, first, body, err);

        while (r == 0) {
                CLEANUP_MSG ProtobufCMessage *m = NULL;
                struct wire_msg frame;
                r = msg_recv(t->w, &frame, &m, err);
                if (r == 0)
                        r = on_message(t, &frame, m, err);
        }
        if (r == 1)
                return settle(t, err);
        undo(t);
        return r;
}

/* ---- the question ---- */

/* What a dead worker of this token has left here; a living one holds the lock and sees VOID by itself. */
static void clear_incoming(struct node *n, const Gantry__WireAsk *q)
{
        struct ct *ct = NULL;
        struct journal j;
        struct err ignored;

        if (ct_incoming_open(n, q->name, &ct, &ignored) < 0)
                return;
        if (ct_journal_get(ct, &j, &ignored) == 0 && str_eq(j.token, q->token))
                (void)ct_incoming_remove(ct, &ignored);
        ct_close(ct);
}

static bool claimed_runs(struct node *n, const Gantry__WireAsk *q)
{
        struct ct *ct = NULL;
        struct journal j;
        struct err ignored;
        bool ok = true;

        if (ct_incoming_open(n, q->name, &ct, &ignored) < 0)
                return true;                     /* it has its name: a worker or an earlier answer came here before */
        if (ct_journal_get(ct, &j, &ignored) == 0 && str_eq(j.token, q->token))
                ok = target_claimed(ct, &ignored) == 0;
        ct_close(ct);
        return ok;
}

static int answer(struct node *n, struct wire *w, const Gantry__WireAsk *q, struct err *err)
{
        Gantry__WireAnswer m = GANTRY__WIRE_ANSWER__INIT;
        enum ledger_state state;

        int r = parse_label(q->name, err);
        if (r == 0)
                r = ledger_ask(node_lib_dirfd(n), q->token, &state, err);
        if (r < 0)
                return r;
        m.token = q->token;
        m.claimed = state == LEDGER_CLAIMED;
        m.running = m.claimed && claimed_runs(n, q);
        r = msg_send(w, MSG_ANSWER, &m.base, err);
        if (!m.claimed)
                clear_incoming(n, q);
        return r;
}

int target_run(struct node *n, struct wire *w, const struct hello *peer, struct ct **ret_ct, struct ground **ret_ground,
               struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        struct target t = {.node = n, .w = w, .imagefd = -1};
        struct wire_msg frame;

        *ret_ct = NULL;
        *ret_ground = NULL;
        int r = msg_recv(w, &frame, &m, err);
        if (r < 0)
                return r;
        if (frame.type == MSG_ASK)
                return answer(n, w, (Gantry__WireAsk *)m, err);
        if (frame.type != MSG_CHECK)
                return msg_unexpected(&frame, "neither a check nor a question", err);
        str_copy(t.peer, sizeof(t.peer), peer->node);
        r = migrate_in(&t, &frame, m, err);
        if (t.state == TARGET_CLAIMED) {
                *ret_ct = t.ct;
                *ret_ground = t.ground;
        } else {
                ct_close(t.ct);
        }
        target_done(&t);
        return r;
}
