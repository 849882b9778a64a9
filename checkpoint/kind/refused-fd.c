/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which kind an open file description belongs to, the sockets excepted (refused-sk.c).
 *
 * The order matters: O_PATH descriptors refer to anything and can do nothing; an anonymous inode is known by its link
 * text alone; a pseudo file system by its magic number, because its files look like regular ones; then the file type.
 * Texts and numbers are those of Linux 6.1 to 6.18. A path of a program's own making cannot pass for an anonymous
 * inode: links of real files begin with '/', and memfds lie on a mount that no namespace of the container has.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446 /* 6.9 */
#endif
#define MQUEUE_FS_MAGIC 0x19800202
#define CONFIGFS_FS_MAGIC 0x62656570
#define TMPFILE_BIT 020000000 /* O_TMPFILE without its O_DIRECTORY, as it stays in the flags */

static uint16_t classify_anon(const char *link)
{
        static const struct text_rule rules[] = {
                {"[eventfd]", KIND_FD_EVENTFD},      {"[eventpoll]", KIND_FD_EPOLL},
                {"[signalfd]", KIND_FD_SIGNALFD},    {"[timerfd]", KIND_FD_TIMERFD},
                {"inotify", KIND_FD_INOTIFY},        {"[fanotify]", KIND_FD_FANOTIFY},
                {"[pidfd]", KIND_FD_PIDFD},          {"[userfaultfd]", KIND_FD_USERFAULTFD},
                {"[io_uring]", KIND_FD_IO_URING},    {"[perf_event]", KIND_FD_PERF},
                {"bpf-map", KIND_FD_BPF_MAP},        {"bpf-prog", KIND_FD_BPF_PROG},
                {"bpf_link", KIND_FD_BPF_LINK},      {"bpf-link", KIND_FD_BPF_LINK},
                {"[landlock", KIND_FD_LANDLOCK},     {"landlock", KIND_FD_LANDLOCK},
                {"seccomp notify", KIND_FD_SECCOMP}, {"[fscontext]", KIND_FD_FSOPEN},
                {"kvm-", KIND_FD_KVM},
        };
        uint16_t number = rule_prefix(rules, ELEMENTSOF(rules), link);

        return number ? number : KIND_FD_ANON;
}

/* Files of pseudo file systems look regular, yet hold no bytes of their own. 0: an ordinary file system. */
static uint16_t classify_pseudo(const struct facts *f)
{
        const char *link = f->file.link;

        switch (f->file.fs_magic) {
        case NSFS_MAGIC:
                return KIND_FD_NS;
        case PID_FS_MAGIC:
                return KIND_FD_PIDFD;
        case PROC_SUPER_MAGIC:
                return str_starts(link, "/proc/pressure/") && (f->file.flags & O_ACCMODE) != O_RDONLY ? KIND_FD_PSI
                                                                                                      : KIND_FD_PROC;
        case CGROUP_SUPER_MAGIC:
        case CGROUP2_SUPER_MAGIC: {
                size_t n = strlen(link), p = strlen(".pressure");
                bool psi = n > p && strcmp(link + n - p, ".pressure") == 0;
                return psi && (f->file.flags & O_ACCMODE) != O_RDONLY ? KIND_FD_PSI : KIND_FD_CGROUP;
        }
        case SYSFS_MAGIC:
        case DEBUGFS_MAGIC:
        case TRACEFS_MAGIC:
        case SECURITYFS_MAGIC:
        case SELINUX_MAGIC:
        case BPF_FS_MAGIC:
        case CONFIGFS_FS_MAGIC:
        case BINFMTFS_MAGIC:
                return KIND_FD_SYS;
        case MQUEUE_FS_MAGIC:
                return S_ISREG(f->file.st.st_mode) ? KIND_FD_MQUEUE : 0;
        case SECRETMEM_MAGIC:
                return KIND_FD_SECRET;
        default:
                return 0;
        }
}

static uint16_t classify_misc(unsigned m, const char *link)
{
        static const struct text_rule rules[] = {
                {"/dev/net/tun", KIND_FD_TUN}, {"/dev/kvm", KIND_FD_KVM}, {"/dev/fuse", KIND_FD_FUSE}, {"/dev/ashmem", KIND_FD_ASHMEM},
        };

        switch (m) {
        case 200:
                return KIND_FD_TUN;
        case 229:
                return KIND_FD_FUSE;
        case 232:
                return KIND_FD_KVM;
        default: {
                uint16_t number = rule_prefix(rules, ELEMENTSOF(rules), link);
                return number ? number : KIND_FD_OTHER;
        }
        }
}

static bool plain_memory_device(unsigned m)
{
        return m == 3 || m == 5 || m == 7 || m == 8 || m == 9; /* null zero full random urandom */
}

static uint16_t classify_char(const struct facts *f)
{
        unsigned maj = major(f->file.st.st_rdev), min = minor(f->file.st.st_rdev);

        if (maj >= 136 && maj <= 143)
                return KIND_FD_PTY;
        if (maj == 5 && min == 2)
                return KIND_FD_PTMX;
        if (maj == 5 && min == 0)
                return KIND_FD_PTY; /* /dev/tty: the controlling terminal under its other name */
        if (maj == 10)
                return classify_misc(min, f->file.link);
        if (maj == 1 && plain_memory_device(min)) {
                if (f->file.deleted)
                        return KIND_FD_DELETED;
                return f->file.external_mount ? KIND_FD_EXTERNAL : KIND_FD_DEV;
        }
        if (maj == 4 || maj == 5 || maj == 7 || maj == 204 || maj == 229)
                return KIND_FD_TTY;
        return KIND_FD_OTHER;
}

static uint16_t classify_regular(const struct facts *f)
{
        static const struct text_rule rules[] = {{"/memfd:", KIND_FD_MEMFD}, {"/secretmem", KIND_FD_SECRET}};

        if (f->file.deleted && f->file.external_mount) {
                uint16_t number = rule_prefix(rules, ELEMENTSOF(rules), f->file.link);
                if (number)
                        return number;
        }
        if (f->file.flags & TMPFILE_BIT)
                return KIND_FD_TMPFILE;
        if (f->file.deleted)
                return KIND_FD_DELETED;
        return f->file.external_mount ? KIND_FD_EXTERNAL : KIND_FD_FILE;
}

static uint16_t classify_path(const struct facts *f)
{
        if (S_ISLNK(f->file.st.st_mode))
                return KIND_FD_SYMLINK;
        return f->file.external_mount ? KIND_FD_MOUNT : KIND_FD_PATH;
}

uint16_t classify_file(const struct facts *f)
{
        static const char anon[] = "anon_inode:";
        const char *link = f->file.link;

        if (f->file.flags & O_PATH)
                return classify_path(f);
        if (f->file.family >= 0)
                return classify_socket(f);
        if (str_starts(link, anon))
                return classify_anon(link + strlen(anon));
        if (f->file.fs_magic == PIPEFS_MAGIC || (str_starts(link, "pipe:[") && S_ISFIFO(f->file.st.st_mode)))
                return KIND_FD_PIPE;
        uint16_t number = classify_pseudo(f);
        if (number)
                return number;
        switch (f->file.st.st_mode & S_IFMT) {
        case S_IFREG:
                return classify_regular(f);
        case S_IFDIR:
                if (f->file.deleted)
                        return KIND_FD_DELETED;
                return f->file.external_mount ? KIND_FD_EXTERNAL : KIND_FD_DIR;
        case S_IFCHR:
                return classify_char(f);
        case S_IFBLK:
                return KIND_FD_BLOCKDEV;
        case S_IFIFO:
                return KIND_FD_FIFO;
        case S_IFSOCK:
                return KIND_SK_OTHER;
        default:
                return KIND_FD_OTHER;
        }
}
