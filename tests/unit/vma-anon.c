/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Anonymous mappings: what every mapping's record must be, and names. */
#include <sys/mman.h>

#include "checkpoint/kind/vma.h"
#include "proto/vma-anon.pb-c.h"
#include "tests/unit/records.h"

Test(vma_anon, records)
{
        Gantry__VmaAnon m = GANTRY__VMA_ANON__INIT;

        m.mm = 7;
        m.start = 0x10000;
        m.end = 0x14000;
        m.prot = PROT_READ | PROT_WRITE;
        m.flags = VMA_ACCOUNT | VMA_MAYWRITE;
        ACCEPTED(&kind_vma_anon, m);
        REFUSED(&kind_vma_anon, m, m.mm = 0);
        REFUSED(&kind_vma_anon, m, m.start = 0x10001);
        REFUSED(&kind_vma_anon, m, m.end = m.start);
        REFUSED(&kind_vma_anon, m, m.end = UINT64_C(0xffffffffff600000));
        REFUSED(&kind_vma_anon, m, m.prot = 8);
        REFUSED(&kind_vma_anon, m, m.flags = 1u << 31);
        REFUSED(&kind_vma_anon, m, m.flags |= VMA_LOCKONFAULT);
        REFUSED(&kind_vma_anon, m, m.flags |= VMA_HUGEPAGE | VMA_NOHUGEPAGE);
        m.has_name = true;
        m.name = TEXT("heap of a program");
        ACCEPTED(&kind_vma_anon, m);
        REFUSED(&kind_vma_anon, m, m.name = TEXT("a\0b"));
        PLANNED(&kind_vma_anon, m, PH_MEMORY, "mmap");
}
