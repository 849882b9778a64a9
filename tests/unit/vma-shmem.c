/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared anonymous mappings: one of them makes the object, all map it by its descriptor. */
#include <sys/mman.h>

#include "checkpoint/kind/vma.h"
#include "proto/vma-shmem.pb-c.h"
#include "tests/unit/records.h"

Test(vma_shmem, records)
{
        Gantry__VmaShmem m = GANTRY__VMA_SHMEM__INIT;

        m.mm = 7;
        m.start = 0x10000;
        m.end = 0x14000;
        m.prot = PROT_READ | PROT_WRITE;
        m.flags = VMA_MAYWRITE;
        m.shm = 9;
        m.size = 0x4000;
        m.makes = true;
        ACCEPTED(&kind_vma_shmem, m);
        REFUSED(&kind_vma_shmem, m, m.shm = 0);
        REFUSED(&kind_vma_shmem, m, m.size = 0x4001);
        REFUSED(&kind_vma_shmem, m, m.size = 0);
        REFUSED(&kind_vma_shmem, m, m.offset = 0x1001);
        PLANNED(&kind_vma_shmem, m, PH_MAKE, "mmap");
        m.makes = false;
        char *p = rec_plan(&kind_vma_shmem, &m.base, PH_MAKE);
        cr_assert(!p || !strstr(p, "mmap"), "a mapping that does not make the object makes one:\n%s", p);
        free(p);
}
