/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings of files: a path from the root, a place in the file, and never more than the mapping may become. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoint/kind/vma.h"
#include "proto/vma-file-shared.pb-c.h"
#include "tests/unit/records.h"

Test(vma_file_shared, records)
{
        Gantry__VmaFileShared m = GANTRY__VMA_FILE_SHARED__INIT;

        m.mm = 7;
        m.start = 0x10000;
        m.end = 0x14000;
        m.prot = PROT_READ;
        m.flags = VMA_MAYWRITE;
        m.offset = 0x1000;
        m.path = TEXT("/usr/sbin/nginx");
        m.size = 100000;
        ACCEPTED(&kind_vma_file_shared, m);
        REFUSED(&kind_vma_file_shared, m, m.path = TEXT("usr/sbin/nginx"));
        REFUSED(&kind_vma_file_shared, m, m.path = TEXT("/usr\0/x"));
        REFUSED(&kind_vma_file_shared, m, m.path = TEXT(""));
        REFUSED(&kind_vma_file_shared, m, m.offset = 0x1001);
        REFUSED(&kind_vma_file_shared, m, m.offset = UINT64_MAX & ~UINT64_C(4095));
        REFUSED(&kind_vma_file_shared, m, m.end = m.start - 4096);

        /* A plan looks for the file: one of another size is refused, the right one is mapped. */
        char path[] = "/tmp/gantry-unit-XXXXXX";
        int fd = mkstemp(path);
        cr_assert(fd >= 0 && ftruncate(fd, 100000) == 0);
        m.path = (ProtobufCBinaryData){strlen(path), (uint8_t *)path};
        PLANNED(&kind_vma_file_shared, m, PH_MEMORY, path);
        unlink(path);
        close(fd);
}
