/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container that somebody freezes, and the thaw of one that a killed command has left frozen.
 *
 * Whoever dumps a container says so in its journal first. Its guard thaws it when it dies; if the guard is killed too, the note is what
 * the next command finds. A note that is there without need costs a needless cure, so it may stay when it cannot be taken back.
 */
#include "checkpoint/session.h"
#include "engine/ct-int.h"

int ct_note_frozen(struct ct *ct, bool frozen, struct err *err)
{
        struct journal j;
        int r = ct_journal_get(ct, &j, err);

        if (r < 0 || j.frozen == frozen)
                return r;
        j.frozen = frozen;
        return ct_journal_put(ct, &j, err);
}

int ct_cure(struct ct *ct, struct err *err)
{
        struct subject s;
        struct journal j;
        int r = ct_journal_get(ct, &j, err);

        /* OFFERED thaws by --resolve alone, PREPARED is the other node's to decide. */
        if (r < 0 || !j.frozen || (j.owner != OWNER_HERE && j.owner != OWNER_CLAIMED))
                return r;
        r = ct_subject(ct, &s, err);
        if (r < 0)
                return r;
        r = session_cure(&s, err);
        subject_done(&s);
        return r < 0 ? r : ct_note_frozen(ct, false, err);
}
