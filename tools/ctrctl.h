/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctrctl's verbs: one file each (a file may hold two of one kind), one row in ctrctl.c. */
#pragma once

#include "engine/ct.h"
#include "tools/common.h"

extern const struct verb verb_create, verb_start, verb_stop, verb_exec, verb_destroy, verb_list, verb_set, verb_info,
        verb_template_create, verb_checkpoint, verb_restore, verb_image_show, verb_image_verify;

/* ctrctl-open.c: node and container of operand 0; both are closed by ctrctl_close. */
struct opened { struct log log; struct node *node; struct ct *ct; };
int ctrctl_open(const char *name, enum ct_lock lock, struct opened *ret, struct err *err);
int ctrctl_open_node(struct opened *ret, struct err *err);
void ctrctl_close(struct opened *o);
#define _cleanup_opened_ __attribute__((cleanup(ctrctl_close)))
