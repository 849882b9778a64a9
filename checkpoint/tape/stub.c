/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stub as a descriptor to execute: a sealed memfd with the bytes of stub.S.
 *
 * A memfd, so that no file of the host has to exist or be trusted inside the container, and sealed, so that a process
 * which finds it under /proc/PID/exe cannot change it. Executable memfds want MFD_EXEC since Linux 6.3, which earlier kernels
 * refuse as an unknown flag.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/sys.h"
#include "checkpoint/tape/tracee.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

extern const uint8_t stub_elf[], stub_elf_end[];

int stub_open(struct err *err)
{
        _cleanup_close_ int fd = sys_memfd_create("stub", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

        if (fd == -EINVAL)
                fd = sys_memfd_create("stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot make the stub's file", "%s", "memfd");
        int r = fd_write_full(fd, stub_elf, (size_t)(stub_elf_end - stub_elf), err);
        if (r < 0)
                return err_wrap(err, "cannot write the stub", "%s", "memfd");
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot seal the stub", "%s", "memfd");
        return TAKE_FD(fd);
}
