/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fields of an address space: all of a program's half, in order, with the program by its path. */
#include "proto/task-mm.pb-c.h"
#include "tests/unit/records.h"

Test(task_mm, records)
{
        Gantry__TaskMm m = GANTRY__TASK_MM__INIT;
        static uint8_t auxv[336];

        m.start_code = 0x400000;
        m.end_code = 0x401000;
        m.start_data = 0x402000;
        m.end_data = 0x403000;
        m.start_brk = 0x404000;
        m.brk = 0x425000;
        m.start_stack = 0x7ffd00001000;
        m.arg_start = 0x7ffd00001100;
        m.arg_end = 0x7ffd00001200;
        m.env_start = 0x7ffd00001200;
        m.env_end = 0x7ffd00001300;
        m.auxv = (ProtobufCBinaryData){sizeof(auxv), auxv};
        m.exe = TEXT("/usr/sbin/nginx");
        ACCEPTED(&kind_task_mm, m);
        REFUSED(&kind_task_mm, m, m.brk = UINT64_C(0xffff800000000000));
        REFUSED(&kind_task_mm, m, m.end_code = m.start_code - 1);
        REFUSED(&kind_task_mm, m, m.brk = m.start_brk - 4096);
        REFUSED(&kind_task_mm, m, m.arg_end = m.arg_start - 1);
        REFUSED(&kind_task_mm, m, m.exe = TEXT("nginx"));
        REFUSED(&kind_task_mm, m, m.exe = TEXT("/a\0b"));
        REFUSED(&kind_task_mm, m, m.auxv.len = 7);
        REFUSED(&kind_task_mm, m, m.areas = ~0u);
        REFUSED(&kind_task_mm, m, m.lock = ~0u);
}
