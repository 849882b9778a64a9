/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command line as ct.conf's init writes it: words split at blanks; a word, or a part of one, in double quotes keeps its blanks. */
#pragma once

#include "base/err.h"

/* *ret: NULL-ended argv in one allocation (free() it). The first word must be an absolute path. EX_CONFIG. */
int command_split(const char *text, char ***ret, struct err *err);
