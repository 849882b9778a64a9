/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of /proc/PID/status that no kind answers for: what they say follows from elsewhere. */
#pragma once

#include <stdbool.h>

struct kind;
/* Pure. 1: a kept kind or the list of derived keys answers for it. *ret_kind (may be NULL): that kind, or NULL. */
bool status_key_known(const char *key, const struct kind **ret_kind);
