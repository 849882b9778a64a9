/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seam between the engine and the kernel (base/sys.h): each function is one system call and gives its result or
 * -errno. Nothing is retried and nothing is decided here, so that tests/sys_fault.c can stand in for this file.
 *
 * The mount calls and the pidfd calls go by number: <sys/mount.h> and <linux/mount.h> of Debian 12 cannot be
 * included together. Every descriptor made here is born CLOEXEC.
 */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int ret_int(long r)
{
        return r < 0 ? -errno : (int)r;
}

static int64_t ret_long(int64_t r)
{
        return r < 0 ? -errno : r;
}

int sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
        return ret_int(openat(dirfd, path, flags | O_CLOEXEC, mode));
}

int sys_openat2(int dirfd, const char *path, const struct open_how *how)
{
        struct open_how h = *how;

        h.flags |= O_CLOEXEC;
        return ret_int(syscall(SYS_openat2, dirfd, path, &h, sizeof(h)));
}

int sys_mkdirat(int dirfd, const char *path, mode_t mode)
{
        return ret_int(mkdirat(dirfd, path, mode));
}

int sys_unlinkat(int dirfd, const char *path, int flags)
{
        return ret_int(unlinkat(dirfd, path, flags));
}

int sys_renameat2(int olddir, const char *oldp, int newdir, const char *newp, unsigned flags)
{
        return ret_int(renameat2(olddir, oldp, newdir, newp, flags));
}

int sys_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
        return ret_int(mknodat(dirfd, path, mode, dev));
}

int sys_symlinkat(const char *target, int dirfd, const char *path)
{
        return ret_int(symlinkat(target, dirfd, path));
}

int sys_fsync(int fd)
{
        return ret_int(fsync(fd));
}

int sys_syncfs(int fd)
{
        return ret_int(syncfs(fd));
}

int sys_ftruncate(int fd, off_t len)
{
        return ret_int(ftruncate(fd, len));
}

int sys_fallocate(int fd, int mode, off_t off, off_t len)
{
        return ret_int(fallocate(fd, mode, off, len));
}

int64_t sys_pread(int fd, void *buf, size_t n, off_t off)
{
        return ret_long(pread(fd, buf, n, off));
}

int64_t sys_pwrite(int fd, const void *buf, size_t n, off_t off)
{
        return ret_long(pwrite(fd, buf, n, off));
}

int64_t sys_read(int fd, void *buf, size_t n)
{
        return ret_long(read(fd, buf, n));
}

int64_t sys_write(int fd, const void *buf, size_t n)
{
        return ret_long(write(fd, buf, n));
}

int64_t sys_sendmsg(int fd, const struct msghdr *m, int flags)
{
        return ret_long(sendmsg(fd, m, flags));
}

int64_t sys_recvmsg(int fd, struct msghdr *m, int flags)
{
        return ret_long(recvmsg(fd, m, flags));
}

int sys_ioctl(int fd, unsigned long req, void *arg)
{
        return ret_int(ioctl(fd, req, arg));
}

int sys_mount(const char *src, const char *dst, const char *type, unsigned long flags, const char *data)
{
        return ret_int(syscall(SYS_mount, src, dst, type, flags, data));
}

int sys_umount2(const char *path, int flags)
{
        return ret_int(syscall(SYS_umount2, path, flags));
}

int sys_open_tree(int dirfd, const char *path, unsigned flags)
{
        return ret_int(syscall(SYS_open_tree, dirfd, path, flags | OPEN_TREE_CLOEXEC));
}

int sys_move_mount(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
        return ret_int(syscall(SYS_move_mount, fromfd, from, tofd, to, flags));
}

int sys_mount_setattr(int dirfd, const char *path, unsigned flags, const struct mount_attr *a, size_t n)
{
        return ret_int(syscall(SYS_mount_setattr, dirfd, path, flags, a, n));
}

int sys_fsopen(const char *type, unsigned flags)
{
        return ret_int(syscall(SYS_fsopen, type, flags | FSOPEN_CLOEXEC));
}

int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *val, int aux)
{
        return ret_int(syscall(SYS_fsconfig, fd, cmd, key, val, aux));
}

int sys_fsmount(int fd, unsigned flags, unsigned attr)
{
        return ret_int(syscall(SYS_fsmount, fd, flags | FSMOUNT_CLOEXEC, attr));
}

int sys_unshare(int flags)
{
        return ret_int(unshare(flags));
}

int sys_setns(int fd, int nstype)
{
        return ret_int(setns(fd, nstype));
}

pid_t sys_clone3(struct clone_args *args, size_t size)
{
        return ret_int(syscall(SYS_clone3, args, size));
}

int sys_pidfd_open(pid_t pid, unsigned flags)
{
        return ret_int(syscall(SYS_pidfd_open, pid, flags));
}

int sys_pidfd_getfd(int pidfd, int fd)
{
        return ret_int(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

int sys_pidfd_send_signal(int pidfd, int sig, unsigned flags)
{
        return ret_int(syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, flags));
}

int sys_kcmp(pid_t a, pid_t b, int type, unsigned long ia, unsigned long ib)
{
        return ret_int(syscall(SYS_kcmp, a, b, type, ia, ib));
}

int sys_memfd_create(const char *name, unsigned flags)
{
        return ret_int(syscall(SYS_memfd_create, name, flags | MFD_CLOEXEC));
}

int sys_socket(int domain, int type, int proto)
{
        return ret_int(socket(domain, type | SOCK_CLOEXEC, proto));
}

int64_t sys_process_vm_readv(pid_t pid, void *local, size_t n, uint64_t remote)
{
        struct iovec l = {.iov_base = local, .iov_len = n};
        struct iovec r = {.iov_base = (void *)(uintptr_t)remote, .iov_len = n};

        return ret_long(process_vm_readv(pid, &l, 1, &r, 1, 0));
}

int64_t sys_process_vm_writev(pid_t pid, const void *local, size_t n, uint64_t remote)
{
        struct iovec l = {.iov_base = (void *)(uintptr_t)local, .iov_len = n};
        struct iovec r = {.iov_base = (void *)(uintptr_t)remote, .iov_len = n};

        return ret_long(process_vm_writev(pid, &l, 1, &r, 1, 0));
}
