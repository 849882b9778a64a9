/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kinds under test without a session and without root: this process is dumped and restored into itself.
 *
 *      struct kt *t = kt_new();
 *      uint64_t id = kt_add_fd(t, fd);      every descriptor that the kind is to see
 *      kt_dump(t);                          refuse, settle, quiesce, ask, take; each record goes through pack and unpack
 *      kt_close(t);                         the originals are gone
 *      kt_golden(t, PH_MAKE, "…");          the plan of a phase as text
 *      kt_sweep(t);                         fails every entry once, then runs clean
 *      … verify the state behind the old number …
 *      kt_free(t);
 *
 * All actors are this process, played by the self executor. PH_HAND puts each restored descriptor at its old number, as
 * the session does. What a failed attempt has made in a task would die with it: kt_sweep() closes that, and checks
 * that nothing was left by what ran in the engine's place (ACTOR_SELF).
 */
#pragma once

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

struct kt;
struct kt *kt_new(void);
void kt_free(struct kt *t);

/* The next object id (from 1), with facts read from /proc as the collector does. Its kind must claim it. */
uint64_t kt_add_fd(struct kt *t, int fd);
/* A further descriptor of object id, to be put back as well. */
void kt_alias(struct kt *t, uint64_t id, int fd);
/* An object without a descriptor: facts are copied as they are; its kind is given. */
uint64_t kt_add(struct kt *t, const struct kind *k, const struct facts *f);
/* The facts, to be changed before kt_dump(). */
struct facts *kt_facts(struct kt *t, uint64_t id);
/* The devpts index of the external console (default -1). */
void kt_console(struct kt *t, int index);

/* refuse, settle, quiesce, ask, take: 0, or the first error in *err (NULL allowed). kt_cure() undoes settle and quiesce. */
int kt_try_dump(struct kt *t, struct err *err);
void kt_dump(struct kt *t);
void kt_cure(struct kt *t);
const struct record *kt_record(struct kt *t, uint64_t id);
/* A record made by the test instead of a dump; takes its message. */
void kt_give(struct kt *t, uint64_t id, const struct kind *k, ProtobufCMessage *msg);
/* Bytes beside a record, as dump_bytes() had put them. */
void kt_give_bytes(struct kt *t, uint64_t id, const void *p, size_t n);
/* Closes the descriptors that kt_add_fd() and kt_alias() named. */
void kt_close(struct kt *t);

/* check() of every record; the first refusal. */
int kt_check(struct kt *t, struct err *err);
/* All phases: check, plan, play. `fail` k > 0 fails the k-th entry with EIO; *ret_entries: entries seen. */
int kt_try_restore(struct kt *t, uint64_t fail, uint64_t *ret_entries, struct err *err);
void kt_restore(struct kt *t);
void kt_sweep(struct kt *t);
/* The tapes of one phase as text, without playing. Descriptors that the phase looks at must be there. */
char *kt_plan(struct kt *t, enum phase phase);
void kt_golden(struct kt *t, enum phase phase, const char *want);
