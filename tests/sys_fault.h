/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control of the stand-in for base/sys.c that fails the k-th call (tests/sys_fault.c). A test links dep_fault before
 * the libraries, runs the sequence with k = 1, 2, 3 … and stops at the first k that no call reached:
 *
 *      for (unsigned long k = 1;; k++) {
 *              sys_fault_arm(k, EIO);
 *              int r = sequence(&err);
 *              sys_fault_disarm();
 *              … nothing may have leaked …
 *              if (!sys_fault_fired())
 *                      break;          // r must be 0 here
 *      }
 *
 * A program is controlled by its environment instead, read at its first call: GANTRY_FAULT=K:ERRNO[:CALL], and
 * GANTRY_FAULT_LOG=FILE, which gets one line "PID CALL K" when the fault strikes. A child made by fork counts on from
 * its parent's count; a fault strikes once in each process.
 */
#pragma once

#include <stdbool.h>

/* Counts from 0 again; the k-th call fails with this errno, without being made. k = 0: only counts. */
void sys_fault_arm(unsigned long k, int errno_value);
/* The same, counting only calls of this name ("fsync"). */
void sys_fault_arm_call(const char *name, unsigned long k, int errno_value);
void sys_fault_disarm(void);
bool sys_fault_fired(void);
/* Of the call that failed ("fsync"), "" if none did. */
const char *sys_fault_name(void);
unsigned long sys_fault_count(void);
