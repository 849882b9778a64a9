/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Security labels through libselinux; a machine without labels is one branch in label.c: label_get gives "". */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

bool label_enabled(void);
int label_get(pid_t pid, char *ret, unsigned long size, struct err *err);   /* current label of a process, "" if none */
int label_get_file(int fd, char *ret, unsigned long size, struct err *err);
