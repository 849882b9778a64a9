/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stacks grow down again after a restore. */
#include <sys/mman.h>

#include "checkpoint/kind/vma.h"
#include "proto/vma-stack.pb-c.h"
#include "tests/unit/records.h"

Test(vma_stack, records)
{
        Gantry__VmaStack m = GANTRY__VMA_STACK__INIT;

        m.mm = 7;
        m.start = 0x7ffd00000000;
        m.end = 0x7ffd00021000;
        m.prot = PROT_READ | PROT_WRITE;
        m.flags = VMA_ACCOUNT | VMA_GROWSDOWN | VMA_MAYWRITE;
        ACCEPTED(&kind_vma_stack, m);
        REFUSED(&kind_vma_stack, m, m.start = m.end);
        REFUSED(&kind_vma_stack, m, m.end = 0x7ffd00021001);
        REFUSED(&kind_vma_stack, m, m.prot = ~0u);
        PLANNED(&kind_vma_stack, m, PH_MEMORY, "mmap");
}
