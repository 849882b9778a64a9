/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source of a migration: its half of the picture in docs/PROTOCOL.md.
 *
 *      step        open  connect  check  begin  base  ground  rounds  memory  freeze  blocks  image  offer   take     gone
 *      state   IDLE ─┬─> LOCKED ───────────────> COPYING ───────────────────> FROZEN ───────────> OFFERED ──────> GONE
 *                    └── any failure up to here: undo() ─> it runs here as before ──┘   │ lost: ask_owner()
 *                                                                                       ├─ CLAIMED ─────> GONE
 *                                                                                       ├─ VOID: back() ─> it runs here
 *                                                                                       └─ no answer: EX_DOUBT, frozen
 *
 *  S1  The journal says `frozen` durably before a task is frozen; a killed source is found by it and cured.
 *  S2  TAKE is sent only when OFFERED is durable and no task has a tracer.
 *  S3  In OFFERED nothing is thawed, cured or killed but on the target's answer.
 *  S4  A task is killed only when GONE is durable; GONE is written only on RUNNING or on the answer CLAIMED.
 *  S5  Before OFFERED every way out ends in undo(), which is the same for an error, a signal and a lost connection. Who is
 *      killed by SIGKILL leaves it to the session's guard, which stands until session_offer().
 *
 * The steps are a table, so that the order is one place and the phase timers come for free. Memory rounds have their
 * step and do nothing yet: pages go in the freeze.
 */
#include "migrate/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "migrate/ask.h"
#include "migrate/hello.h"
#include "migrate/msg.h"
#include "migrate/source.h"
#include "migrate/stream.h"
#include "migrate/wire.pb-c.h"

#define STEP_MS 60000u                  /* of one wait; a dead node is noticed by its heartbeat long before */
#define FREEZE_MS 5000u                 /* for the tasks to stop */
#define FROZEN_MAX_NS UINT64_C(30000000000)

static void source_assert_state(const struct source *s, enum source_state want)
{
        if (s->state != want)
                abort();
        if ((s->dump != NULL) != (s->state == SOURCE_FROZEN || s->state == SOURCE_OFFERED))
                abort();
}

static int put_journal(struct source *s, enum owner owner, bool frozen, struct err *err)
{
        struct journal j = {.owner = owner, .frozen = frozen};

        str_copy(j.token, sizeof(j.token), s->rep->token);
        str_copy(j.peer, sizeof(j.peer), s->o->host);
        return ct_journal_put(s->ct, &j, err);
}

/* ---- up to the freeze ---- */

static int step_open(struct source *s, struct err *err)
{
        struct journal j;
        enum ct_state state;

        int r = ct_open(s->node, s->rep->name, CT_LOCK_EXCLUSIVE, &s->ct, err);
        if (r == 0)
                r = ct_journal_get(s->ct, &j, err);
        if (r < 0)
                return r;
        if (j.owner == OWNER_GONE) {
                err_set(err, EX_STATE, "cannot migrate the container", "it has moved already, and this is the copy that it left", "%s",
                        s->rep->name);
                return err_remedy(err, "look for it on the other node; ctrctl destroy %s removes the copy", s->rep->name);
        }
        if ((j.owner != OWNER_HERE && j.owner != OWNER_CLAIMED) || j.frozen) {
                err_set(err, j.owner == OWNER_OFFERED ? EX_DOUBT : EX_STATE, "cannot migrate the container",
                        "an earlier migration was cut short", "%s", s->rep->name);
                return err_remedy(err, "run `ctrmigrate --resolve %s` first", s->rep->name);
        }
        r = ct_state(s->ct, &state, err);
        if (r < 0)
                return r;
        if (state != CT_RUNNING)
                return err_set(err, EX_STATE, "cannot migrate the container", "it does not run", "%s is %s", s->rep->name,
                               ct_state_name(state));
        r = token_new(s->rep->token, err);
        if (r == 0)
                r = ct_subject(s->ct, &s->subject, err);
        if (r < 0)
                return r;
        s->has_subject = true;
        s->subject.timers = &s->timers;
        s->state = SOURCE_LOCKED;
        return source_disk_open(s, err);
}

static int step_connect(struct source *s, struct err *err)
{
        struct hello peer;
        int r = ssh_open(s->o->host, STEP_MS, &s->ssh, err);

        if (r < 0)
                return r;
        s->connected = true;
        if (s->o->timeout_s)
                wire_deadline(&s->ssh.wire, now_ns() + (uint64_t)s->o->timeout_s * 1000000000u);
        wire_stop(&s->ssh.wire, s->o->stop_fd);
        r = hello_source(&s->ssh.wire, &peer, err);
        return r == -EX_CONNECT ? ssh_why(&s->ssh, err) : r;
}

static int step_check(struct source *s, struct err *err)
{
        int r = source_check(s, err);

        if (r < 0 || !s->rep->findings.n)
                return r;
        err_set(err, EX_CHECK, "the container cannot move", "the checks found reasons", "%s to %s: %zu", s->rep->name,
                s->o->host, s->rep->findings.n);
        return err_remedy(err, "each is listed with what to do");
}

static int step_begin(struct source *s, struct err *err)
{
        Gantry__WireBegin m = GANTRY__WIRE_BEGIN__INIT;

        m.image_size = s->image_size;
        int r = msg_send(&s->ssh.wire, MSG_BEGIN, &m.base, err);
        if (r == 0)
                r = msg_expect_ok(&s->ssh.wire, MSG_BEGIN, err);
        if (r == 0)
                s->state = SOURCE_COPYING;
        return r;
}

static int step_base(struct source *s, struct err *err)
{
        source_assert_state(s, SOURCE_COPYING);
        return source_disk_round(s, false, err);
}

static int step_ground(struct source *s, struct err *err)
{
        Gantry__WireGround m = GANTRY__WIRE_GROUND__INIT;
        int r = msg_send(&s->ssh.wire, MSG_GROUND, &m.base, err);

        return r < 0 ? r : msg_expect_ok(&s->ssh.wire, MSG_GROUND, err);
}

static int step_rounds(struct source *s, struct err *err)
{
        int r = 0;

        source_assert_state(s, SOURCE_COPYING);
        while (r == 0 && disk_again(s->round_bytes, s->rounds))
                r = source_disk_round(s, false, err);
        return r;
}

/* Pages sent while the container runs, tracked by WP_ASYNC, round by round like the disk: zero rounds in this release. */
static int step_memory(struct source *s, struct err *err)
{
        (void)err;
        source_assert_state(s, SOURCE_COPYING);
        return 0;
}

/* ---- frozen ---- */

static int step_freeze(struct source *s, struct err *err)
{
        source_assert_state(s, SOURCE_COPYING);
        int r = put_journal(s, OWNER_HERE, true, err);
        if (r < 0)
                return r;
        s->marked = true;
        r = session_freeze(&s->subject, FREEZE_MS, &s->dump, err);
        if (r < 0)
                return r;
        s->state = SOURCE_FROZEN;
        struct session_stats stats;
        dump_stats(s->dump, &stats);
        s->frozen_at = stats.frozen_at;
        if (!s->o->timeout_s || s->deadline > s->frozen_at + FROZEN_MAX_NS)
                wire_deadline(&s->ssh.wire, s->frozen_at + FROZEN_MAX_NS);
        return 0;
}

/* What the tasks wrote last is in their pages' cache until now. The guard thaws the file system if we die. */
static int step_blocks(struct source *s, struct err *err)
{
        int r = 0;

        source_assert_state(s, SOURCE_FROZEN);
        if (s->subject.fssync_fd >= 0)
                r = source_still(s, err);
        return r < 0 ? r : source_disk_round(s, true, err);
}

static int step_image(struct source *s, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;

        source_assert_state(s, SOURCE_FROZEN);
        int r = stream_send(&s->ssh.wire, s->dump, err);
        if (r < 0)
                return r;
        dump_stats(s->dump, &s->rep->session);
        timers_start(&s->timers, "restore there");
        r = msg_expect(&s->ssh.wire, MSG_READY, &m, err);
        if (r < 0)
                return r;
        const Gantry__WireReady *ready = (Gantry__WireReady *)m;
        if (!str_eq(ready->token, s->rep->token))
                return err_set(err, EX_PEER, "the other node broke the protocol", "it is ready for another migration",
                               "%.40s", ready->token);
        return source_phases(&s->rep->there, ready->n_phase, ready->phase, err);
}

static int step_offer(struct source *s, struct err *err)
{
        source_assert_state(s, SOURCE_FROZEN);
        if (migrate_stopped(s->o))
                return err_set(err, EX_INTERRUPTED, "the migration was interrupted", "by a signal", "%s", s->rep->name);
        int r = session_park_source(s->dump, err);
        if (r == 0)
                r = put_journal(s, OWNER_OFFERED, true, err);
        if (r < 0)
                return r;
        /* From here on only the target's answer decides (S3). */
        s->state = SOURCE_OFFERED;
        wire_stop(&s->ssh.wire, -1);
        wire_deadline(&s->ssh.wire, 0);
        return session_offer(s->dump, err);
}

/* RUNNING, or whatever a question brings: a lost connection, an error from there and a broken stream are all a doubt. */
static int step_take(struct source *s, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        Gantry__WireTake take = GANTRY__WIRE_TAKE__INIT;
        struct err lost = {0};
        bool claimed = false;

        source_assert_state(s, SOURCE_OFFERED);
        take.token = s->rep->token;
        int r = msg_send(&s->ssh.wire, MSG_TAKE, &take.base, &lost);
        if (r == 0)
                r = msg_expect(&s->ssh.wire, MSG_RUNNING, &m, &lost);
        s->rep->frozen_ns = now_ns() - s->frozen_at;
        if (r == 0 && str_eq(((Gantry__WireRunning *)m)->token, s->rep->token))
                return source_phases(&s->rep->there, ((Gantry__WireRunning *)m)->n_phase,
                                     ((Gantry__WireRunning *)m)->phase, err);
        ssh_close(&s->ssh);
        s->connected = false;
        r = ask_owner(s->o->host, s->rep->token, s->rep->name, s->o, &claimed, err);
        if (r < 0)
                return r;
        s->rep->frozen_ns = now_ns() - s->frozen_at;
        if (claimed)
                return 0;
        if (!err_is_set(&lost))
                err_set(&lost, EX_PEER, "the other node broke the protocol", "it runs another migration", "%s", s->o->host);
        s->refused = true;
        if (err)
                *err = lost;
        return -lost.code;
}

static int step_gone(struct source *s, struct err *err)
{
        Gantry__WireGone m = GANTRY__WIRE_GONE__INIT;
        struct err ignored;

        source_assert_state(s, SOURCE_OFFERED);
        int r = put_journal(s, OWNER_GONE, true, err);
        if (r < 0)
                return r;
        s->state = SOURCE_GONE;
        m.token = s->rep->token;
        if (s->connected)                        /* else the target keeps its entry: harmless */
                (void)msg_send(&s->ssh.wire, MSG_GONE, &m.base, &ignored);
        source_disk_close(s);
        struct dump *dump = TAKE_PTR(s->dump);
        return source_gone(s->ct, &s->subject, dump, s->o->remove_source, s->rep->left_as, err);
}

struct step {
        const char *name;
        int (*run)(struct source *s, struct err *err);
};
static const struct step steps[] = {
        {"open", step_open},     {"connect", step_connect}, {"check", step_check},   {"begin", step_begin},
        {"disk", step_base},     {"ground", step_ground},   {"rounds", step_rounds}, {"memory", step_memory},
        {"freeze", step_freeze}, {"blocks", step_blocks},   {"dump", step_image},    {"offer", step_offer},
        {"take", step_take},     {"remove", step_gone},
};

/* S5. The error that led here is told to the target and kept; a failure to undo is worse than it and takes its place. */
static int undo(struct source *s, int r, struct err *err)
{
        struct err e = {0};

        if (s->connected && s->state < SOURCE_OFFERED && err)
                msg_send_error(&s->ssh.wire, err);
        if (s->state == SOURCE_GONE || (s->state == SOURCE_OFFERED && !s->refused))
                return r;
        if (s->dump) {
                if (session_resume(TAKE_PTR(s->dump), &e) < 0) {
                        if (err)
                                *err = e;
                        err_wrap(err, "the container could not be resumed", "%s", s->rep->name);
                        return err_remedy(err, "run `ctrmigrate --resolve %s`", s->rep->name);
                }
        }
        if (s->marked && put_journal(s, OWNER_HERE, false, &e) < 0 && err)
                err_remedy(err, "run `ctrmigrate --resolve %s`: the journal could not be written", s->rep->name);
        s->state = s->ct ? SOURCE_LOCKED : SOURCE_IDLE;
        return r;
}

static int run_steps(struct source *s, struct err *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(steps); i++) {
                if (s->o->progress)
                        s->o->progress(s->o->progress_ctx, steps[i].name, s->rounds ? s->round_bytes[s->rounds - 1] : 0);
                timers_start(&s->timers, steps[i].name);
                r = steps[i].run(s, err);
                if (r == 0 && s->o->check_only && steps[i].run == step_check)
                        break;
                if (r == 0 && s->state < SOURCE_FROZEN && migrate_stopped(s->o))
                        r = err_set(err, EX_INTERRUPTED, "the migration was interrupted", "by a signal", "%s", s->rep->name);
        }
        timers_stop(&s->timers);
        if (r < 0 && s->connected && s->ssh.wire.ops && s->state < SOURCE_OFFERED)
                r = msg_reason(&s->ssh.wire, r, err);
        return r < 0 ? undo(s, r, err) : 0;
}

int migrate_run(struct node *n, const char *name, const struct migrate_options *o, struct migrate_report *ret,
                struct err *err)
{
        struct source s = {.node = n, .o = o, .rep = ret, .imagefd = -1, .loopfd = -1};
        uint64_t started = now_ns();

        *ret = (struct migrate_report){0};
        if (!str_copy(ret->name, sizeof(ret->name), name) || !str_copy(ret->host, sizeof(ret->host), o->host))
                return err_set(err, EX_USAGE, "not the name of a container or host", "it is too long", "%s", "");
        s.deadline = o->timeout_s ? started + (uint64_t)o->timeout_s * 1000000000u : UINT64_MAX;
        int r = run_steps(&s, err);
        ret->total_ns = now_ns() - started;
        ret->moved = s.state == SOURCE_GONE;
        source_disk_close(&s);
        if (s.connected) {
                ret->sent = wire_counts(&s.ssh.wire).sent;
                ssh_close(&s.ssh);
        }
        source_timers(&s);
        if (s.has_subject)
                subject_done(&s.subject);
        ct_close(s.ct);
        return r;
}

void migrate_report_done(struct migrate_report *r)
{
        findings_done(&r->findings);
}
