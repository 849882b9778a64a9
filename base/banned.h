/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that this project does not make, given to every compilation by meson (-include).
 *
 * Unbounded string functions and unchecked number parsers have safe counterparts in base/str.h and
 * base/parse.h. kill() takes a number that a failed call may have left at -1: signals go by pidfd
 * (base/pidfd.h). system() and popen() run a shell: children are made by base/spawn.h.
 */
#pragma once
#ifndef __ASSEMBLER__

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BANNED(f) sorry_##f##_is_banned_see_base_banned_h

#undef strcpy
#define strcpy(...) BANNED(strcpy)
#undef strcat
#define strcat(...) BANNED(strcat)
#undef strncpy
#define strncpy(...) BANNED(strncpy)
#undef strncat
#define strncat(...) BANNED(strncat)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf)
#undef strtok
#define strtok(...) BANNED(strtok)
#undef atoi
#define atoi(...) BANNED(atoi)
#undef atol
#define atol(...) BANNED(atol)
#undef atoll
#define atoll(...) BANNED(atoll)
#undef gets
#define gets(...) BANNED(gets)
#undef system
#define system(...) BANNED(system)
#undef popen
#define popen(...) BANNED(popen)
#undef kill
#define kill(...) BANNED(kill)

#endif
