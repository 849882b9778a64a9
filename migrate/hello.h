/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first message both ways: versions and features. Each side refuses by name what cannot work. */
#pragma once

#include "base/err.h"
#include "migrate/wire.h"

struct hello { char node[65], version[32], kernel[65]; };
int hello_source(struct wire *w, struct hello *ret, struct err *err);
int hello_target(struct wire *w, struct hello *ret, struct err *err);
int token_new(char ret[37], struct err *err);            /* a random uuid */
