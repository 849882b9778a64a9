/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam of base/sys.h with a fault in it: the same functions, each counted, the k-th failing with a chosen errno
 * (tests/sys_fault.h).
 *
 * The real calls are those of base/sys.c itself, compiled in here under other names, so that nothing is written
 * twice. The one table below holds each call's name, type and arguments; a call that base/sys.h gains and this table
 * lacks is a duplicate symbol at link time. A failing call is not made at all: what a kernel does half and then
 * refuses is not imitated.
 */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sys_fault.h"

/* clang-format off */
#define CALLS(X) \
        X(int, openat, (int a, const char *b, int c, mode_t d), (a, b, c, d)) \
        X(int, openat2, (int a, const char *b, const struct open_how *c), (a, b, c)) \
        X(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c)) \
        X(int, unlinkat, (int a, const char *b, int c), (a, b, c)) \
        X(int, renameat2, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e)) \
        X(int, mknodat, (int a, const char *b, mode_t c, dev_t d), (a, b, c, d)) \
        X(int, symlinkat, (const char *a, int b, const char *c), (a, b, c)) \
        X(int, fsync, (int a), (a)) \
        X(int, syncfs, (int a), (a)) \
        X(int, ftruncate, (int a, off_t b), (a, b)) \
        X(int, fallocate, (int a, int b, off_t c, off_t d), (a, b, c, d)) \
        X(int64_t, pread, (int a, void *b, size_t c, off_t d), (a, b, c, d)) \
        X(int64_t, pwrite, (int a, const void *b, size_t c, off_t d), (a, b, c, d)) \
        X(int64_t, read, (int a, void *b, size_t c), (a, b, c)) \
        X(int64_t, write, (int a, const void *b, size_t c), (a, b, c)) \
        X(int64_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c)) \
        X(int64_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c)) \
        X(int, ioctl, (int a, unsigned long b, void *c), (a, b, c)) \
        X(int, mount, (const char *a, const char *b, const char *c, unsigned long d, const char *e), (a, b, c, d, e)) \
        X(int, umount2, (const char *a, int b), (a, b)) \
        X(int, open_tree, (int a, const char *b, unsigned c), (a, b, c)) \
        X(int, move_mount, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e)) \
        X(int, mount_setattr, (int a, const char *b, unsigned c, const struct mount_attr *d, size_t e), (a, b, c, d, e)) \
        X(int, fsopen, (const char *a, unsigned b), (a, b)) \
        X(int, fsconfig, (int a, unsigned b, const char *c, const void *d, int e), (a, b, c, d, e)) \
        X(int, fsmount, (int a, unsigned b, unsigned c), (a, b, c)) \
        X(int, unshare, (int a), (a)) \
        X(int, setns, (int a, int b), (a, b)) \
        X(pid_t, clone3, (struct clone_args *a, size_t b), (a, b)) \
        X(int, pidfd_open, (pid_t a, unsigned b), (a, b)) \
        X(int, pidfd_getfd, (int a, int b), (a, b)) \
        X(int, pidfd_send_signal, (int a, int b, unsigned c), (a, b, c)) \
        X(int, kcmp, (pid_t a, pid_t b, int c, unsigned long d, unsigned long e), (a, b, c, d, e)) \
        X(int, memfd_create, (const char *a, unsigned b), (a, b)) \
        X(int, socket, (int a, int b, int c), (a, b, c)) \
        X(int64_t, process_vm_readv, (pid_t a, void *b, size_t c, uint64_t d), (a, b, c, d)) \
        X(int64_t, process_vm_writev, (pid_t a, const void *b, size_t c, uint64_t d), (a, b, c, d))
/* clang-format on */

/* base/sys.c under other names. */
#define RENAME(name) real_sys_##name
#define sys_openat RENAME(openat)
#define sys_openat2 RENAME(openat2)
#define sys_mkdirat RENAME(mkdirat)
#define sys_unlinkat RENAME(unlinkat)
#define sys_renameat2 RENAME(renameat2)
#define sys_mknodat RENAME(mknodat)
#define sys_symlinkat RENAME(symlinkat)
#define sys_fsync RENAME(fsync)
#define sys_syncfs RENAME(syncfs)
#define sys_ftruncate RENAME(ftruncate)
#define sys_fallocate RENAME(fallocate)
#define sys_pread RENAME(pread)
#define sys_pwrite RENAME(pwrite)
#define sys_read RENAME(read)
#define sys_write RENAME(write)
#define sys_sendmsg RENAME(sendmsg)
#define sys_recvmsg RENAME(recvmsg)
#define sys_ioctl RENAME(ioctl)
#define sys_mount RENAME(mount)
#define sys_umount2 RENAME(umount2)
#define sys_open_tree RENAME(open_tree)
#define sys_move_mount RENAME(move_mount)
#define sys_mount_setattr RENAME(mount_setattr)
#define sys_fsopen RENAME(fsopen)
#define sys_fsconfig RENAME(fsconfig)
#define sys_fsmount RENAME(fsmount)
#define sys_unshare RENAME(unshare)
#define sys_setns RENAME(setns)
#define sys_clone3 RENAME(clone3)
#define sys_pidfd_open RENAME(pidfd_open)
#define sys_pidfd_getfd RENAME(pidfd_getfd)
#define sys_pidfd_send_signal RENAME(pidfd_send_signal)
#define sys_kcmp RENAME(kcmp)
#define sys_memfd_create RENAME(memfd_create)
#define sys_socket RENAME(socket)
#define sys_process_vm_readv RENAME(process_vm_readv)
#define sys_process_vm_writev RENAME(process_vm_writev)
#define DECLARE(type, name, params, args) static type real_sys_##name params;
CALLS(DECLARE)
#include "base/sys.c"
#undef sys_openat
#undef sys_openat2
#undef sys_mkdirat
#undef sys_unlinkat
#undef sys_renameat2
#undef sys_mknodat
#undef sys_symlinkat
#undef sys_fsync
#undef sys_syncfs
#undef sys_ftruncate
#undef sys_fallocate
#undef sys_pread
#undef sys_pwrite
#undef sys_read
#undef sys_write
#undef sys_sendmsg
#undef sys_recvmsg
#undef sys_ioctl
#undef sys_mount
#undef sys_umount2
#undef sys_open_tree
#undef sys_move_mount
#undef sys_mount_setattr
#undef sys_fsopen
#undef sys_fsconfig
#undef sys_fsmount
#undef sys_unshare
#undef sys_setns
#undef sys_clone3
#undef sys_pidfd_open
#undef sys_pidfd_getfd
#undef sys_pidfd_send_signal
#undef sys_kcmp
#undef sys_memfd_create
#undef sys_socket
#undef sys_process_vm_readv
#undef sys_process_vm_writev

/* Test control has no context to travel in: the calls under test know nothing of it. */
static atomic_ulong count, target;
static atomic_int fault_errno;
static const char *_Atomic only; /* NULL: every call */
static const char *_Atomic struck;
static char only_text[32];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void arm(const char *name, unsigned long k, int errno_value)
{
        atomic_store(&count, 0);
        atomic_store(&struck, NULL);
        atomic_store(&fault_errno, errno_value);
        snprintf(only_text, sizeof(only_text), "%s", name ? name : "");
        atomic_store(&only, name ? only_text : NULL);
        atomic_store(&target, k);
}

static void from_environment(void)
{
        const char *s = getenv("GANTRY_FAULT");
        char *end;

        if (!s)
                return;
        unsigned long k = strtoul(s, &end, 10);
        if (*end != ':')
                abort(); /* a sweep that silently does nothing would pass */
        unsigned long e = strtoul(end + 1, &end, 10);
        if ((*end && *end != ':') || e == 0 || e > 4095)
                abort();
        arm(*end ? end + 1 : NULL, k, (int)e);
}

static void tell(const char *name, unsigned long k)
{
        const char *file = getenv("GANTRY_FAULT_LOG");
        int fd = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

        if (fd < 0)
                return;
        dprintf(fd, "%d %s %lu\n", (int)getpid(), name, k);
        close(fd);
}

/* 0, or -errno for the call that shall fail. */
static int strike(const char *name)
{
        pthread_once(&once, from_environment);
        const char *o = atomic_load(&only);
        if (o && strcmp(o, name) != 0)
                return 0;
        unsigned long k = atomic_fetch_add(&count, 1) + 1;
        if (k != atomic_load(&target))
                return 0;
        atomic_store(&struck, name);
        tell(name, k);
        return -atomic_load(&fault_errno);
}

#define DEFINE(type, name, params, args)                                                                     \
        type sys_##name params                                                                               \
        {                                                                                                    \
                int r = strike(#name);                                                                       \
                return r < 0 ? r : real_sys_##name args;                                                     \
        }
CALLS(DEFINE)

void sys_fault_arm(unsigned long k, int errno_value)
{
        pthread_once(&once, from_environment);
        arm(NULL, k, errno_value);
}

void sys_fault_arm_call(const char *name, unsigned long k, int errno_value)
{
        pthread_once(&once, from_environment);
        arm(name, k, errno_value);
}

void sys_fault_disarm(void)
{
        atomic_store(&target, 0);
}

bool sys_fault_fired(void)
{
        return atomic_load(&struck) != NULL;
}

const char *sys_fault_name(void)
{
        const char *s = atomic_load(&struck);

        return s ? s : "";
}

unsigned long sys_fault_count(void)
{
        return atomic_load(&count);
}
