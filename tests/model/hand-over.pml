/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hand-over of docs/PROTOCOL.md for spin: two nodes, a connection that may end at any moment with what is in it, every
 * process of both sides killed between any two steps, questions whose answers get lost, administrators who resolve on
 * either node in any order.
 *
 *      spin -a hand-over.pml && cc -O2 -o pan pan.c && ./pan        (tests/model/run does it)
 *
 * Each `atomic` is one durable write or one action of the kernel. What the tasks of a side do is (tasks, frozen); who owns the
 * container is the ledger: CLAIMED is the target, everything else the source.
 *
 * MUTANT removes one rule, to show that the checks below would notice:
 *      1 TAKE before OFFERED is durable · 2 an answer VOID that was not written · 3 a guard that outlives OFFERED and thaws
 *      4 a target that goes on alone · 5 a source that kills at its own timeout · 6 a claim that does not compare
 */
#ifndef MUTANT
#define MUTANT 0
#endif

mtype = { HERE, OFFERED, GONE, NONE, CLAIMED, VOID, READY, TAKE, RUNNING };

mtype journal = HERE;           /* the source's, durable */
mtype ledger = NONE;            /* the target's, durable */
bool s_tasks = true, s_frozen = false, guard = false;
bool t_tasks = false, t_runs = false, t_dir = false;
bool s_up = true, t_up = true;  /* the processes of the migration */
bool link = true;
chan to_t = [1] of { mtype };
chan to_s = [1] of { mtype };

#define s_runs (s_tasks && !s_frozen)

/* What must hold in every state. */
#define SAFE (!(s_runs && t_runs) && (!t_runs || ledger == CLAIMED) && (s_tasks || ledger == CLAIMED) && \
              (journal != GONE || ledger == CLAIMED) && !(s_runs && ledger == CLAIMED))

#define S_DIES if :: skip :: atomic { s_up = false; link = false; goto dead } fi
#define T_DIES if :: skip :: atomic { t_up = false; link = false; goto dead } fi

/* The question, asked until it is answered; an answer that gets lost has been written all the same. */
inline ask(claimed)
{
        do
        :: atomic { ledger == CLAIMED -> claimed = true; break }
        :: atomic { ledger != CLAIMED ->
#if MUTANT != 2
                    ledger = VOID;
#endif
                    claimed = false; break }
        :: atomic { ledger != CLAIMED -> ledger = VOID }        /* lost: ask again */
        od
}

inline source_end(claimed)
{
        if
        :: claimed ->
                atomic { journal = GONE };
                S_DIES;
                atomic { s_tasks = false; s_frozen = false }
        :: else ->
                atomic { s_frozen = false };
                S_DIES;
                atomic { journal = HERE }
        fi
}

active proctype Source()
{
        bool claimed = false;

        S_DIES;
        atomic { s_frozen = true; guard = true };
        S_DIES;
        if
        :: to_s ? READY
        :: atomic { !link || !t_up || timeout -> s_frozen = false; guard = false; link = false; goto done }
        :: atomic { s_frozen = false; guard = false; link = false; goto done }      /* error, signal, time limit */
        fi;
        S_DIES;
#if MUTANT == 1
        if :: link && nfull(to_t) -> to_t ! TAKE :: else fi;
        S_DIES;
#endif
        atomic { journal = OFFERED };
        S_DIES;
#if MUTANT != 3
        atomic { guard = false };
        S_DIES;
#endif
#if MUTANT != 1
        if :: link && nfull(to_t) -> to_t ! TAKE :: else fi;
        S_DIES;
#endif
#if MUTANT == 5
        if
        :: atomic { journal = GONE; s_tasks = false; goto done }
        :: skip
        fi;
#endif
        if
        :: to_s ? RUNNING -> claimed = true
        :: atomic { !link || timeout || 1 -> link = false }; ask(claimed)
        fi;
        S_DIES;
        source_end(claimed);
done:   s_up = false;
        link = false;
dead:   skip
}

/* Stands from the freeze to OFFERED; acts when it sees its process gone. It may be killed too: then Resolve does it. */
active proctype Guard()
{
        do
        :: atomic { guard && !s_up ->
                guard = false;
                if
#if MUTANT == 3
                :: s_frozen = false
#else
                :: journal != OFFERED -> s_frozen = false
                :: journal == OFFERED -> skip
#endif
                :: skip         /* killed */
                fi }
        :: !s_up && !guard -> break
        od
}

active proctype Target()
{
        atomic { t_dir = true };
        T_DIES;
        atomic { t_tasks = true };                      /* restored, detached, frozen */
        T_DIES;
        if :: link && nfull(to_s) -> to_s ! READY :: else fi;
        T_DIES;
        if
        :: to_t ? TAKE
#if MUTANT == 4
        :: atomic { 1 }
#endif
        :: atomic { 1 -> if :: ledger == NONE -> ledger = VOID :: else fi; goto undo }  /* no patience, no link */
        fi;
        T_DIES;
#if MUTANT == 6
        atomic { ledger = CLAIMED };
#else
        atomic { if :: ledger == NONE -> ledger = CLAIMED :: else -> goto undo fi };
#endif
        T_DIES;
        atomic { t_runs = true };                       /* GO */
        T_DIES;
        if :: link && nfull(to_s) -> to_s ! RUNNING :: else fi;
        goto out;
undo:   atomic { t_tasks = false };
        T_DIES;
        atomic { t_dir = false };
out:    t_up = false;
dead:   skip
}

/* `ctrmigrate --resolve` on the source, which waits for the container's lock: only when the migration's process is gone. */
active proctype ResolveSource()
{
        bool claimed = false;

        !s_up && !guard;
        if
        :: journal == HERE && s_frozen -> atomic { s_frozen = false }
        :: journal == OFFERED -> ask(claimed);
                if
                :: claimed -> atomic { journal = GONE }; atomic { s_tasks = false; s_frozen = false }
                :: else -> atomic { s_frozen = false }; atomic { journal = HERE }
                fi
        :: journal == GONE -> atomic { s_tasks = false; s_frozen = false }
        :: else
        fi
}

/* The same on the target. */
active proctype ResolveTarget()
{
        !t_up;
        if
        :: atomic { ledger == CLAIMED -> t_runs = t_tasks }
        :: atomic { ledger != CLAIMED -> ledger = VOID }; atomic { t_tasks = false }; atomic { t_dir = false }
        fi
}

/* Always; and when everybody has done what they can, exactly one runs and nothing else is left. */
active proctype Always()
{
        end: do
        :: atomic { !SAFE -> assert(false) }
        :: atomic { timeout ->
                assert(s_runs != t_runs);
                assert(t_runs || (!t_tasks && !t_dir));
                assert(!t_runs || !s_tasks);
                assert(!s_runs || journal == HERE) }
        od
}
