/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold before a byte is copied: asked on both nodes, all answers at once, nothing changed. */
#pragma once

#include "base/err.h"
#include "checkpoint/session.h"
#include "engine/ct.h"
#include "migrate/wire.h"

struct Gantry__WireCheck;

/* Source: describes the container to the target and takes its findings; adds what its own processes hold. */
struct check_facts { uint64_t image_size, image_allocated, memory_used, processes; bool running, only; const char *token; };
int check_source(struct ct *ct, const struct subject *s, const struct check_facts *f, struct wire *w,
                 struct findings *ret, struct err *err);
/* Target: every finding about this container on this node. */
int check_target(struct node *n, const struct Gantry__WireCheck *m, struct findings *ret, struct err *err);
int check_answer(struct wire *w, const struct findings *f, struct err *err);
