/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes of a traced program. Through /proc/TID/mem with any protection, which the agent's read-only code needs; small reads by
 * process_vm_readv(2), which takes no descriptor and goes by the program's own protections.
 *
 * Not here: the tapes' areas, which exec_ptrace.c moves as a whole.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "checkpoint/tape/tracee-int.h"

static int mem_open(struct tracee *t, int flags, struct err *err)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/mem", (int)t->tid);
        int fd = sys_openat(AT_FDCWD, path, flags, 0);
        return fd < 0 ? err_sys(err, EX_FAIL, fd, "cannot open a thread's memory", "thread %d", (int)t->tid) : fd;
}

int tracee_mem_read(struct tracee *t, uint64_t addr, void *buf, size_t n, struct err *err)
{
        size_t got = 0;
        _cleanup_close_ int fd = mem_open(t, O_RDONLY, err);

        if (fd < 0)
                return fd;
        int r = fd_pread_full(fd, buf, n, (off_t)addr, &got, err);
        if (r < 0)
                return err_wrap(err, "cannot read a thread's memory", "thread %d, 0x%llx", (int)t->tid,
                                (unsigned long long)addr);
        if (got < n)
                return err_set(err, EX_FAIL, "cannot read a thread's memory", "it is not mapped", "thread %d, 0x%llx",
                               (int)t->tid, (unsigned long long)addr);
        return 0;
}

int tracee_mem_write(struct tracee *t, uint64_t addr, const void *buf, size_t n, struct err *err)
{
        _cleanup_close_ int fd = mem_open(t, O_RDWR, err);

        if (fd < 0)
                return fd;
        int r = fd_pwrite_full(fd, buf, n, (off_t)addr, err);
        if (r < 0)
                return err_wrap(err, "cannot write a thread's memory", "thread %d, 0x%llx", (int)t->tid,
                                (unsigned long long)addr);
        return 0;
}

bool tracee_peek(struct tracee *t, uint64_t addr, void *buf, size_t n)
{
        return sys_process_vm_readv(t->tid, buf, n, addr) == (int64_t)n;
}
