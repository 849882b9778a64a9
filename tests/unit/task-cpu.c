/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers: all of them, of a 64-bit program, and never the kernel's addresses. */
#include <sys/user.h>

#include "proto/task-cpu.pb-c.h"
#include "tests/unit/records.h"

#define REG(f) (offsetof(struct user_regs_struct, f) / 8)

Test(task_cpu, records)
{
        Gantry__TaskCpu m = GANTRY__TASK_CPU__INIT;
        uint64_t reg[sizeof(struct user_regs_struct) / 8] = {};
        static uint8_t fx[512] = {0x7f, 0x03, [24] = 0x80, [25] = 0x1f};

        reg[REG(rip)] = 0x401000;
        reg[REG(rsp)] = 0x7ffd00001000;
        reg[REG(cs)] = 0x33;
        reg[REG(ss)] = 0x2b;
        reg[REG(eflags)] = 0x202;
        m.n_reg = sizeof(reg) / 8;
        m.reg = reg;
        m.fxsave = (ProtobufCBinaryData){sizeof(fx), fx};
        ACCEPTED(&kind_task_cpu, m);
        REFUSED(&kind_task_cpu, m, m.n_reg--);
        REFUSED(&kind_task_cpu, m, m.fxsave.len = 511);
        REFUSED(&kind_task_cpu, m, (m.has_rseq = true, m.rseq = 0x7f0000000000));
        reg[REG(rip)] = UINT64_C(0xffffffff81000000);
        cr_assert_eq(rec_check(&kind_task_cpu, &m.base), EX_IMAGE, "an instruction of the kernel's half");
        reg[REG(rip)] = 0x401000;
        reg[REG(cs)] = 0x10;
        cr_assert_eq(rec_check(&kind_task_cpu, &m.base), EX_IMAGE, "the kernel's code segment");
        reg[REG(cs)] = 0x23;
        cr_assert_eq(rec_check(&kind_task_cpu, &m.base), EX_IMAGE, "a 32-bit program");
}
