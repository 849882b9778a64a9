/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ending a doubt (migrate/migrate.h): what the journal and the ledger say becomes true, on whichever node this is.
 *
 *      journal          what is done                                                         result
 *      HERE             nothing, or the cure of what a killed source has left frozen         NOTHING, HERE
 *      OFFERED          ask the other node: VOID → thaw, HERE · CLAIMED → GONE               HERE, THERE
 *      GONE             kill what is left, then rename it out of the way                     THERE
 *      CLAIMED          GO again, then HERE                                                  CLAIMED
 *      incoming         ledger CLAIMED → GO, name · else VOID first, then remove             CLAIMED, REMOVED
 *
 * Every line can be repeated from its beginning: a second --resolve goes on where a killed one was. The container's lock is
 * held throughout, so that a living migration answers EX_LOCKED instead.
 */
#include "migrate/migrate.h"

#include <stdio.h>

#include "base/str.h"
#include "migrate/ask.h"
#include "migrate/ledger.h"

static const char *const texts[] = {
        [RESOLVED_NOTHING] = "there was nothing to resolve",
        [RESOLVED_HERE] = "it is this node's, and runs again",
        [RESOLVED_THERE] = "it is the other node's; the copy here is out of the way",
        [RESOLVED_CLAIMED] = "it is this node's since the migration",
        [RESOLVED_REMOVED] = "it never became this node's; what had come was removed",
};

const char *resolved_text(enum resolved r)
{
        return texts[r];
}

static int here_again(struct ct *ct, const struct subject *s, struct err *err)
{
        struct journal j = {.owner = OWNER_HERE};
        int r = session_cure(s, err);

        return r < 0 ? r : ct_journal_put(ct, &j, err);
}

static int gone(struct ct *ct, const struct subject *s, struct journal *j, const struct migrate_options *o, struct err *err)
{
        char left[CT_NAME_MAX + 1];
        int r = 0;

        if (j->owner != OWNER_GONE) {
                j->owner = OWNER_GONE;
                r = ct_journal_put(ct, j, err);
        }
        return r < 0 ? r : source_gone(ct, s, NULL, o->remove_source, left, err);
}

static int offered(struct ct *ct, const struct subject *s, struct journal *j, const struct migrate_options *o,
                   enum resolved *ret, struct err *err)
{
        bool claimed = false;
        int r = ask_owner(o->host ? o->host : j->peer, j->token, ct_name(ct), o, &claimed, err);

        if (r < 0)
                return r;
        *ret = claimed ? RESOLVED_THERE : RESOLVED_HERE;
        return claimed ? gone(ct, s, j, o, err) : here_again(ct, s, err);
}

/* A container under its own name. Its tasks may be dead by now: then there is no subject, and nothing to thaw. */
static int resolve_named(struct ct *ct, const struct migrate_options *o, enum resolved *ret, struct err *err)
{
        struct subject s = {.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .fssync_fd = -1};
        struct journal j;
        struct err dead;

        int r = ct_journal_get(ct, &j, err);
        *ret = RESOLVED_NOTHING;
        if (r < 0 || (j.owner == OWNER_HERE && !j.frozen))
                return r;
        if (j.owner == OWNER_CLAIMED) {
                struct journal here = {.owner = OWNER_HERE};
                *ret = RESOLVED_CLAIMED;
                r = target_claimed(ct, err);
                return r < 0 ? r : ct_journal_put(ct, &here, err);
        }
        bool alive = ct_subject(ct, &s, &dead) == 0;
        if (j.owner == OWNER_HERE) {
                *ret = RESOLVED_HERE;
                r = here_again(ct, &s, err);
        } else if (j.owner == OWNER_OFFERED) {
                r = offered(ct, &s, &j, o, ret, err);
        } else if (j.owner == OWNER_GONE) {
                *ret = RESOLVED_THERE;
                r = gone(ct, &s, &j, o, err);
        }
        if (alive)
                subject_done(&s);
        return r;
}

static int resolve_incoming(struct node *n, struct ct *ct, enum resolved *ret, struct err *err)
{
        enum ledger_state state = LEDGER_VOID;
        struct journal j, here = {.owner = OWNER_HERE};

        int r = ct_journal_get(ct, &j, err);
        if (r == 0 && j.token[0])                /* none: it was killed before it had one, and promised nothing */
                r = ledger_ask(node_lib_dirfd(n), j.token, &state, err);
        if (r < 0)
                return r;
        if (state != LEDGER_CLAIMED) {
                *ret = RESOLVED_REMOVED;
                return ct_incoming_remove(ct, err);
        }
        *ret = RESOLVED_CLAIMED;
        r = target_claimed(ct, err);
        return r < 0 ? r : ct_journal_put(ct, &here, err);
}

int migrate_resolve(struct node *n, const char *name, const struct migrate_options *o, enum resolved *ret,
                    struct err *err)
{
        struct ct *ct = NULL;
        int r = ct_open(n, name, CT_LOCK_EXCLUSIVE, &ct, err);

        if (r == 0) {
                r = resolve_named(ct, o, ret, err);
        } else if (r == -EX_UNKNOWN) {
                struct err e = {0};
                r = ct_incoming_open(n, name, &ct, &e);
                if (r == -EX_UNKNOWN)
                        return r;                /* *err says that there is no such container */
                if (r < 0) {
                        if (err)
                                *err = e;
                        return r;
                }
                r = resolve_incoming(n, ct, ret, err);
        }
        ct_close(ct);
        return r;
}
