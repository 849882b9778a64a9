/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own areas: only the code has a hash, and every record says which area it is. */
#include "proto/vma-vdso.pb-c.h"
#include "tests/unit/records.h"

Test(vma_vdso, records)
{
        Gantry__VmaVdso m = GANTRY__VMA_VDSO__INIT;

        m.mm = 7;
        m.start = 0x7ffd00000000;
        m.end = 0x7ffd00004000;
        m.area = GANTRY__VMA_VDSO__AREA__VVAR;
        ACCEPTED(&kind_vma_vdso, m);
        REFUSED(&kind_vma_vdso, m, m.start++);
        REFUSED(&kind_vma_vdso, m, m.end = m.start);
        REFUSED(&kind_vma_vdso, m, m.mm = 0);
        REFUSED(&kind_vma_vdso, m, m.area = GANTRY__VMA_VDSO__AREA__VDSO);   /* without its hash */
        m.area = GANTRY__VMA_VDSO__AREA__VDSO;
        m.has_hash = true;
        m.hash = 1;
        REFUSED(&kind_vma_vdso, m, (m.has_kernel = true, m.kernel = TEXT("6.1\0x")));
}
