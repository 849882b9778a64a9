/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Confinement of a container's processes (engine/confine.h).
 *
 * Capabilities count only against the container's own user namespace; those left out reach things that no namespace
 * divides (the clock, modules, the kernel log, MAC policy, audit reading, BPF and perf) or would let a Debian systemd try
 * mounts that fail (SYS_RAWIO). CAP_CHECKPOINT_RESTORE could choose pids in nested namespaces.
 *
 * The filter is an allow-list: a call that no one has thought of yet does not exist (ENOSYS, which programs take as an
 * old kernel and fall back from). reboot is allowed: in a pid namespace it ends init, and with ENOSYS a systemd
 * would never exit. The 32-bit and x32 tables do not exist either: a checkpoint cannot hold such tasks. libseccomp 2.5.4 of Debian
 * 12 does not know calls newer than 5.17; those get their number here. clone, clone3, unshare and mount stay, as systemd
 * and nested containers need them: their power ends at the user namespace.
 */
#include "engine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#define FILTER_MAX 4096 /* BPF_MAXINSNS */

uint64_t confine_caps(void)
{
        static const int without[] = {CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_PACCT, CAP_SYS_TIME, CAP_MAC_OVERRIDE, CAP_MAC_ADMIN,
                                      CAP_SYSLOG, CAP_WAKE_ALARM, CAP_BLOCK_SUSPEND, CAP_AUDIT_READ, CAP_PERFMON, CAP_BPF,
                                      CAP_CHECKPOINT_RESTORE};
        uint64_t caps = CAPS_ALL;

        for (size_t i = 0; i < ELEMENTSOF(without); i++)
                caps &= ~(UINT64_C(1) << without[i]);
        return caps;
}

static const char *const allowed[] = {
        "accept", "accept4", "access", "adjtimex", "alarm", "arch_prctl", "bind", "brk", "capget", "capset", "chdir",
        "chmod", "chown", "chroot", "clock_adjtime", "clock_getres", "clock_gettime", "clock_nanosleep", "clone", "clone3",
        "close", "close_range", "connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
        "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old",
        "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fadvise64",
        "fallocate", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchown", "fchownat", "fcntl", "fdatasync",
        "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr", "fsconfig", "fsetxattr", "fsmount", "fsopen", "fspick",
        "fstat", "fstatfs", "fsync", "ftruncate", "futex", "futex_waitv", "futimesat", "getcpu", "getcwd", "getdents",
        "getdents64", "getegid", "geteuid", "getgid", "getgroups", "getitimer", "getpeername", "getpgid", "getpgrp",
        "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "get_robust_list",
        "getrusage", "getsid", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getxattr",
        "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "ioctl", "io_destroy",
        "io_getevents", "io_pgetevents", "ioprio_get", "ioprio_set", "io_setup", "io_submit", "kcmp", "kill",
        "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lchown", "lgetxattr", "link", "linkat",
        "listen", "listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "madvise", "membarrier",
        "memfd_create", "memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall",
        "mmap", "mount", "mount_setattr", "move_mount", "mprotect", "mq_getsetattr", "mq_notify", "mq_open",
        "mq_timedreceive", "mq_timedsend", "mq_unlink", "mremap", "msgctl", "msgget", "msgrcv", "msgsnd", "msync",
        "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open", "openat", "openat2",
        "open_tree", "pause", "personality", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2",
        "pivot_root", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "prctl", "pread64", "preadv", "preadv2",
        "prlimit64", "process_madvise", "process_mrelease", "process_vm_readv", "process_vm_writev", "pselect6", "ptrace",
        "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "reboot", "recvfrom",
        "recvmmsg", "recvmsg", "remap_file_pages", "removexattr", "rename", "renameat", "renameat2", "request_key",
        "add_key", "keyctl", "restart_syscall", "rmdir", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
        "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_getaffinity",
        "sched_getattr", "sched_getparam", "sched_get_priority_max", "sched_get_priority_min", "sched_getscheduler",
        "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
        "sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop", "sendfile", "sendmmsg", "sendmsg",
        "sendto", "setdomainname", "setfsgid", "setfsuid", "setgid", "setgroups", "sethostname", "setitimer", "setns",
        "setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "set_robust_list",
        "setsid", "setsockopt", "set_tid_address", "setuid", "setxattr", "shmat", "shmctl", "shmdt", "shmget", "shutdown",
        "sigaltstack", "signalfd", "signalfd4", "socket", "socketpair", "splice", "stat", "statfs", "statx", "symlink",
        "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create",
        "timer_delete", "timerfd_create", "timerfd_gettime", "timerfd_settime", "timer_getoverrun", "timer_gettime",
        "timer_settime", "times", "tkill", "truncate", "umask", "umount2", "uname", "unlink", "unlinkat", "unshare",
        "utime", "utimensat", "utimes", "vfork", "vmsplice", "wait4", "waitid", "write", "writev",
};

/* cachestat, fchmodat2, map_shadow_stack, futex_wake/wait/requeue, statmount, listmount, mseal, *xattrat, open_tree_attr */
static const int allowed_new[] = {451, 452, 453, 454, 455, 456, 457, 458, 462, 463, 464, 465, 466, 467};

static int failed(int sysno, const char *on, struct err *err)
{
        return err_sys(err, EX_FAIL, sysno, "cannot build the seccomp filter", "%s", on);
}

static int add_rules(scmp_filter_ctx ctx, struct err *err)
{
        int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));

        if (r == 0)
                r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
        if (r == 0)
                r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree: ~9 steps instead of ~300 */
        if (r < 0)
                return failed(r, "attributes", err);
        for (size_t i = 0; i < ELEMENTSOF(allowed); i++) {
                int nr = seccomp_syscall_resolve_name(allowed[i]);
                if (nr < 0) /* not in this architecture's table */
                        continue;
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
                if (r < 0)
                        return failed(r, allowed[i], err);
        }
        for (size_t i = 0; i < ELEMENTSOF(allowed_new); i++) {
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_new[i], 0);
                if (r < 0)
                        return failed(r, "a call newer than the library", err);
        }
        return 0;
}

static int export(scmp_filter_ctx ctx, struct filter *ret, struct err *err)
{
        _cleanup_close_ int fd = sys_memfd_create("seccomp", MFD_CLOEXEC);
        char *bytes = NULL;
        size_t len = 0;

        if (fd < 0)
                return failed(fd, "memfd", err);
        int r = seccomp_export_bpf(ctx, fd);
        if (r < 0)
                return failed(r, "export", err);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return failed(errno, "memfd", err);
        r = fd_read_all(fd, FILTER_MAX * sizeof(*ret->insns), &bytes, &len, err);
        if (r < 0)
                return r;
        *ret = (struct filter){.insns = (struct sock_filter *)(void *)bytes, .n = len / sizeof(*ret->insns)};
        return 0;
}

int confine_filter(struct filter *ret, struct err *err)
{
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

        if (!ctx)
                return failed(ENOMEM, "libseccomp", err);
        int r = add_rules(ctx, err);
        if (r == 0)
                r = export(ctx, ret, err);
        seccomp_release(ctx);
        return r;
}

/* ENOSYS: a kernel without keys. EPERM: a filter around the engine forbids keyctl, and so to all that it starts. */
int confine_keyring(struct err *err)
{
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS && errno != EPERM)
                return err_sys(err, EX_FAIL, errno, "cannot make a session keyring for the container", "%s", "");
        return 0;
}

int filter_put(int dirfd, const char *name, const struct filter *f, struct err *err)
{
        return path_replace(dirfd, name, f->insns, f->n * sizeof(*f->insns), 0600, err);
}

int filter_get(int dirfd, const char *name, struct filter *ret, struct err *err)
{
        char *bytes = NULL;
        size_t len = 0;
        int r = path_read(dirfd, name, &bytes, &len, err);

        if (r < 0)
                return r;
        if (len == 0 || len % sizeof(*ret->insns) || len / sizeof(*ret->insns) > FILTER_MAX) {
                free(bytes);
                return err_set(err, EX_FAIL, "cannot use the stored seccomp filter", "it has no whole instructions", "%s", name);
        }
        *ret = (struct filter){.insns = (struct sock_filter *)(void *)bytes, .n = len / sizeof(*ret->insns)};
        return 0;
}

int filter_load(const struct filter *f, struct err *err)
{
        struct sock_fprog p = {.len = (unsigned short)f->n, .filter = f->insns};

        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot load the seccomp filter", "%zu instructions", f->n);
        return 0;
}
