/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's code (agent.S) and what it reads; for agent.c, agents.c and exec_ptrace.c alone. */
#pragma once

#include <stdint.h>

#define AGENT_MAY_FAIL 1u
#define AGENT_EXPECTED 2u
#define AGENT_REF_INT 1u             /* in a referenced offset: four bytes, sign-extended */
#define AGENT_NR_FAULT 0xffffu       /* no such call: the agent stops there with ENOSYS */

struct agent_entry {
        uint16_t nr, flags;
        uint8_t refmask, unused;
        uint16_t errno_ok;           /* with AGENT_MAY_FAIL; 0: any */
        uint64_t arg[6];
        int64_t ret;                 /* before: the wanted result */
};
_Static_assert(sizeof(struct agent_entry) == 64, "as in agent.S");

#define AGENT_CODE_BYTES 4096u       /* one page of the target */

extern const uint8_t agent_code[], agent_code_syscall[], agent_code_trap[], agent_code_end[];
extern const uint32_t agent_code_count;
