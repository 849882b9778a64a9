/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record types of a checkpoint: the planners' and the kinds', one generated table (checkpoint/kind/gen-table.sh). The
 * session's users need no header of the kinds for it.
 */
#include "checkpoint/kind/kind.h"
#include "checkpoint/session.h"

const struct record_types *session_record_types(void)
{
        return kind_record_types();
}
