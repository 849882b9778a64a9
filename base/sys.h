/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one seam between the engine and the kernel for calls whose failure must be swept: mounts, writes, syncs,
 * renames, descriptors, processes. Each returns the call's result, or -errno. The release links base/sys.c; the test
 * build links tests/sys_fault.c, which counts the calls and fails the k-th.
 *
 * Every descriptor is born CLOEXEC, whether the flags given ask for it or not.
 *
 * Calls that Debian 12's C library does not wrap get their number and structures from base/uapi.h.
 */
#pragma once

#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>

struct clone_args;
struct stat;

int sys_openat(int dirfd, const char *path, int flags, mode_t mode);           /* O_CLOEXEC is added */
int sys_openat2(int dirfd, const char *path, const struct open_how *how);
int sys_mkdirat(int dirfd, const char *path, mode_t mode);
int sys_unlinkat(int dirfd, const char *path, int flags);
int sys_renameat2(int olddir, const char *oldp, int newdir, const char *newp, unsigned flags);
int sys_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev);
int sys_symlinkat(const char *target, int dirfd, const char *path);
int sys_fsync(int fd);
int sys_syncfs(int fd);
int sys_ftruncate(int fd, off_t len);
int sys_fallocate(int fd, int mode, off_t off, off_t len);
int64_t sys_pread(int fd, void *buf, size_t n, off_t off);
int64_t sys_pwrite(int fd, const void *buf, size_t n, off_t off);
int64_t sys_read(int fd, void *buf, size_t n);
int64_t sys_write(int fd, const void *buf, size_t n);
int64_t sys_sendmsg(int fd, const struct msghdr *m, int flags);
int64_t sys_recvmsg(int fd, struct msghdr *m, int flags);
int sys_ioctl(int fd, unsigned long req, void *arg);
int sys_mount(const char *src, const char *dst, const char *type, unsigned long flags, const char *data);
int sys_umount2(const char *path, int flags);
int sys_open_tree(int dirfd, const char *path, unsigned flags);
int sys_move_mount(int fromfd, const char *from, int tofd, const char *to, unsigned flags);
int sys_mount_setattr(int dirfd, const char *path, unsigned flags, const struct mount_attr *a, size_t n);
int sys_fsopen(const char *type, unsigned flags);
int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *val, int aux);
int sys_fsmount(int fd, unsigned flags, unsigned attr);
int sys_unshare(int flags);
int sys_setns(int fd, int nstype);
pid_t sys_clone3(struct clone_args *args, size_t size);
int sys_pidfd_open(pid_t pid, unsigned flags);
int sys_pidfd_getfd(int pidfd, int fd);
int sys_pidfd_send_signal(int pidfd, int sig, unsigned flags);
int sys_kcmp(pid_t a, pid_t b, int type, unsigned long ia, unsigned long ib); /* 0 equal, 1, 2 order */
int sys_memfd_create(const char *name, unsigned flags);
int sys_socket(int domain, int type, int proto);
int64_t sys_process_vm_readv(pid_t pid, void *local, size_t n, uint64_t remote);
int64_t sys_process_vm_writev(pid_t pid, const void *local, size_t n, uint64_t remote);
