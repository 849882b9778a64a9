/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The closed world: for sample facts of every object kind exactly one kind claims, and it is the one expected; what
 * no rule knows falls to the class's *-other kind and is refused with a text that names it.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

#define NODE(maj, min) ((dev_t)(((maj) << 8) | (min)))
#define DEL 1u  /* deleted */
#define EXT 2u  /* on a mount that is not the container's */
struct file_sample { uint16_t want; const char *link; mode_t mode; uint64_t magic; unsigned flags, how; dev_t rdev; };

static const struct file_sample files[] = {
        {KIND_FD_FILE, "/var/log/a", S_IFREG, EXT4_SUPER_MAGIC, O_RDWR, 0, 0},
        {KIND_FD_FILE, "/memfd:no", S_IFREG, EXT4_SUPER_MAGIC, O_RDWR, 0, 0},
        {KIND_FD_FILE, "/proc/meminfo", S_IFREG, 0, O_RDONLY, 0, 0},
        {KIND_FD_FILE, "/srv/a.pressure", S_IFREG, TMPFS_MAGIC, O_RDWR, 0, 0},
        {KIND_FD_DELETED, "/memfd:no (deleted)", S_IFREG, EXT4_SUPER_MAGIC, O_RDWR, DEL, 0},
        {KIND_FD_DELETED, "/srv (deleted)", S_IFDIR, EXT4_SUPER_MAGIC, O_RDONLY, DEL, 0},
        {KIND_FD_DELETED, "/dev/null (deleted)", S_IFCHR, TMPFS_MAGIC, O_RDWR, DEL, NODE(1, 3)},
        {KIND_FD_EXTERNAL, "/etc/passwd", S_IFREG, EXT4_SUPER_MAGIC, O_RDONLY, EXT, 0},
        {KIND_FD_EXTERNAL, "/etc", S_IFDIR, EXT4_SUPER_MAGIC, O_RDONLY, EXT, 0},
        {KIND_FD_EXTERNAL, "/dev/null", S_IFCHR, TMPFS_MAGIC, O_RDWR, EXT, NODE(1, 3)},
        {KIND_FD_DIR, "/srv", S_IFDIR, EXT4_SUPER_MAGIC, O_RDONLY, 0, 0},
        {KIND_FD_DEV, "/dev/null", S_IFCHR, TMPFS_MAGIC, O_RDWR, 0, NODE(1, 3)},
        {KIND_FD_DEV, "/dev/urandom", S_IFCHR, TMPFS_MAGIC, O_RDONLY, 0, NODE(1, 9)},
        {KIND_FD_OTHER, "/dev/kmsg", S_IFCHR, TMPFS_MAGIC, O_RDONLY, 0, NODE(1, 11)},
        {KIND_FD_OTHER, "/dev/rtc0", S_IFCHR, TMPFS_MAGIC, O_RDONLY, 0, NODE(250, 0)},
        {KIND_FD_PIPE, "pipe:[12]", S_IFIFO, PIPEFS_MAGIC, O_RDONLY, EXT, 0},
        {KIND_FD_PIPE, "pipe:[12]", S_IFIFO, 0, O_WRONLY, EXT, 0},
        {KIND_FD_FIFO, "/run/f", S_IFIFO, TMPFS_MAGIC, O_RDWR, 0, 0},
        {KIND_FD_PTY, "/dev/pts/0", S_IFCHR, DEVPTS_SUPER_MAGIC, O_RDWR, 0, NODE(136, 0)},
        {KIND_FD_PTY, "/dev/console", S_IFCHR, DEVPTS_SUPER_MAGIC, O_RDWR, 0, NODE(136, 0)},
        {KIND_FD_PTY, "/dev/tty", S_IFCHR, TMPFS_MAGIC, O_RDWR, 0, NODE(5, 0)},
        {KIND_FD_PTMX, "/dev/pts/ptmx", S_IFCHR, DEVPTS_SUPER_MAGIC, O_RDWR, 0, NODE(5, 2)},
        {KIND_FD_TTY, "/dev/tty1", S_IFCHR, TMPFS_MAGIC, O_RDWR, 0, NODE(4, 1)},
        {KIND_FD_TUN, "/dev/net/tun", S_IFCHR, TMPFS_MAGIC, O_RDWR, 0, NODE(10, 200)},
        {KIND_FD_FUSE, "/dev/fuse", S_IFCHR, TMPFS_MAGIC, O_RDWR, 0, NODE(10, 229)},
        {KIND_FD_KVM, "/dev/kvm", S_IFCHR, TMPFS_MAGIC, O_RDWR, 0, NODE(10, 232)},
        {KIND_FD_ASHMEM, "/dev/ashmem", S_IFCHR, TMPFS_MAGIC, O_RDWR, 0, NODE(10, 55)},
        {KIND_FD_BLOCKDEV, "/dev/loop0", S_IFBLK, TMPFS_MAGIC, O_RDWR, 0, NODE(7, 0)},
        {KIND_FD_PROC, "/proc/1/mountinfo", S_IFREG, PROC_SUPER_MAGIC, O_RDONLY, 0, 0},
        {KIND_FD_PROC, "/proc", S_IFDIR, PROC_SUPER_MAGIC, O_RDONLY, 0, 0},
        {KIND_FD_PSI, "/proc/pressure/memory", S_IFREG, PROC_SUPER_MAGIC, O_RDWR, 0, 0},
        {KIND_FD_PSI, "/sys/fs/cgroup/a/memory.pressure", S_IFREG, CGROUP2_SUPER_MAGIC, O_RDWR, 0, 0},
        {KIND_FD_CGROUP, "/sys/fs/cgroup/a/memory.pressure", S_IFREG, CGROUP2_SUPER_MAGIC, O_RDONLY, 0, 0},
        {KIND_FD_CGROUP, "/sys/fs/cgroup", S_IFDIR, CGROUP2_SUPER_MAGIC, O_RDONLY, 0, 0},
        {KIND_FD_SYS, "/sys/class", S_IFDIR, SYSFS_MAGIC, O_RDONLY, 0, 0},
        {KIND_FD_NS, "net:[4026531840]", S_IFREG, NSFS_MAGIC, O_RDONLY, EXT, 0},
        {KIND_FD_MQUEUE, "/q", S_IFREG, 0x19800202, O_RDWR, EXT, 0},
        {KIND_FD_MEMFD, "/memfd:x (deleted)", S_IFREG, TMPFS_MAGIC, O_RDWR, DEL | EXT, 0},
        {KIND_FD_SECRET, "/secretmem (deleted)", S_IFREG, SECRETMEM_MAGIC, O_RDWR, DEL | EXT, 0},
        {KIND_FD_TMPFILE, "/tmp/#12 (deleted)", S_IFREG, EXT4_SUPER_MAGIC, O_RDWR | O_TMPFILE, DEL, 0},
        {KIND_FD_PATH, "/etc", S_IFDIR, EXT4_SUPER_MAGIC, O_PATH, 0, 0},
        {KIND_FD_MOUNT, "/", S_IFDIR, EXT4_SUPER_MAGIC, O_PATH, EXT, 0},
        {KIND_FD_SYMLINK, "/etc/l", S_IFLNK, EXT4_SUPER_MAGIC, O_PATH, 0, 0},
        {KIND_FD_EVENTFD, "anon_inode:[eventfd]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_EPOLL, "anon_inode:[eventpoll]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_SIGNALFD, "anon_inode:[signalfd]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_TIMERFD, "anon_inode:[timerfd]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_INOTIFY, "anon_inode:inotify", 0, ANON_INODE_FS_MAGIC, O_RDONLY, EXT, 0},
        {KIND_FD_FANOTIFY, "anon_inode:[fanotify]", 0, ANON_INODE_FS_MAGIC, O_RDONLY, EXT, 0},
        {KIND_FD_PIDFD, "anon_inode:[pidfd]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_PIDFD, "anon_inode:[pidfd]", S_IFREG, 0x50494446, O_RDWR, EXT, 0},
        {KIND_FD_USERFAULTFD, "anon_inode:[userfaultfd]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_IO_URING, "anon_inode:[io_uring]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_PERF, "anon_inode:[perf_event]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_BPF_MAP, "anon_inode:bpf-map", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_BPF_PROG, "anon_inode:bpf-prog", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_BPF_LINK, "anon_inode:bpf_link", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_LANDLOCK, "anon_inode:[landlock-ruleset]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_SECCOMP, "anon_inode:seccomp notify", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_FSOPEN, "anon_inode:[fscontext]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_KVM, "anon_inode:kvm-vm", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_ANON, "anon_inode:[something-new]", 0, ANON_INODE_FS_MAGIC, O_RDWR, EXT, 0},
        {KIND_FD_OTHER, "something:[1]", 0, 0, O_RDWR, EXT, 0},
};

static unsigned claimed(const struct facts *f, uint16_t *ret)
{
        size_t n;
        const struct kind *const *table = kind_table(&n);
        unsigned claims = 0;

        *ret = 0;
        for (size_t i = 0; i < n; i++) {
                if (table[i]->cls != f->cls || (table[i]->claim && !table[i]->claim(f)))
                        continue;
                *ret = table[i]->number;
                claims++;
        }
        return claims;
}

static void expect(const struct facts *f, uint16_t want, const char *name)
{
        uint16_t got;
        unsigned claims = claimed(f, &got);

        cr_assert_eq(claims, 1, "%s: %u kinds claim it", name, claims);
        cr_assert_eq(got, want, "%s: claimed by %u, not by %u", name, got, want);
}

static struct facts file_facts(const struct file_sample *s)
{
        struct facts f = {.cls = CLS_FILE, .shown_pid = 7, .comm = "nginx"};

        f.file = (struct file_facts){
                .fd = 3, .link = s->link, .fdinfo = "pos:\t0\n", .fs_magic = s->magic, .flags = s->flags,
                .deleted = s->how & DEL, .external_mount = s->how & EXT, .family = -1, .type = -1, .protocol = -1,
        };
        f.file.st.st_mode = s->mode;
        f.file.st.st_rdev = s->rdev;
        return f;
}

Test(kind_claims, files)
{
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                struct facts f = file_facts(&files[i]);
                expect(&f, files[i].want, files[i].link);
        }
}

Test(kind_claims, sockets)
{
        static const struct { uint16_t want; int family, type, protocol; } rows[] = {
                {KIND_SK_UNIX_STREAM, AF_UNIX, SOCK_STREAM, 0},
                {KIND_SK_UNIX_DGRAM, AF_UNIX, SOCK_DGRAM, 0},
                {KIND_SK_UNIX_SEQPACKET, AF_UNIX, SOCK_SEQPACKET, 0},
                {KIND_SK_INET_STREAM, AF_INET, SOCK_STREAM, IPPROTO_TCP},
                {KIND_SK_INET6_STREAM, AF_INET6, SOCK_STREAM, IPPROTO_TCP},
                {KIND_SK_INET_DGRAM, AF_INET, SOCK_DGRAM, IPPROTO_UDP},
                {KIND_SK_INET6_DGRAM, AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
                {KIND_SK_INET_RAW, AF_INET, SOCK_RAW, IPPROTO_ICMP},
                {KIND_SK_INET6_RAW, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
                {KIND_SK_INET_MPTCP, AF_INET, SOCK_STREAM, 262},
                {KIND_SK_INET_MPTCP, AF_INET6, SOCK_STREAM, 262},
                {KIND_SK_INET_SCTP, AF_INET, SOCK_STREAM, IPPROTO_SCTP},
                {KIND_SK_INET_SCTP, AF_INET6, SOCK_SEQPACKET, IPPROTO_SCTP},
                {KIND_SK_INET_ICMP, AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
                {KIND_SK_INET_UDPLITE, AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE},
                {KIND_SK_NETLINK, AF_NETLINK, SOCK_RAW, 0},
                {KIND_SK_PACKET, AF_PACKET, SOCK_RAW, 3},
                {KIND_SK_VSOCK, AF_VSOCK, SOCK_STREAM, 0},
                {KIND_SK_XDP, AF_XDP, SOCK_RAW, 0},
                {KIND_SK_ALG, AF_ALG, SOCK_SEQPACKET, 0},
                {KIND_SK_KEY, AF_KEY, SOCK_RAW, 2},
                {KIND_SK_BLUETOOTH, AF_BLUETOOTH, SOCK_RAW, 1},
                {KIND_SK_CAN, AF_CAN, SOCK_RAW, 1},
                {KIND_SK_TIPC, AF_TIPC, SOCK_RDM, 0},
                {KIND_SK_OTHER, AF_INET, SOCK_STREAM, 256},
                {KIND_SK_OTHER, AF_UNIX, SOCK_PACKET, 0},
                {KIND_SK_OTHER, 43, SOCK_STREAM, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct file_sample s = {0, "socket:[5]", S_IFSOCK, SOCKFS_MAGIC, O_RDWR, EXT, 0};
                struct facts f = file_facts(&s);
                char name[64];
                f.file.family = rows[i].family;
                f.file.type = rows[i].type;
                f.file.protocol = rows[i].protocol;
                snprintf(name, sizeof(name), "socket %d/%d/%d", rows[i].family, rows[i].type, rows[i].protocol);
                expect(&f, rows[i].want, name);
        }
}

Test(kind_claims, memory)
{
        static const struct { uint16_t want; const char *name, *flags; mode_t mode; bool shared, external; } rows[] = {
                {KIND_VMA_VDSO, "[vdso]", "rd ex", 0, false, false},
                {KIND_VMA_VDSO, "[vvar]", "rd io", 0, false, false},
                {KIND_VMA_VDSO, "[vvar_vclock]", "rd pf", 0, false, false},
                {KIND_VMA_ANON, "", "rd wr", 0, false, false},
                {KIND_VMA_ANON, "[heap]", "rd wr", 0, false, false},
                {KIND_VMA_ANON, "[anon:x]", "rd wr", 0, false, false},
                {KIND_VMA_STACK, "[stack]", "rd wr gd", 0, false, false},
                {KIND_VMA_FILE, "/usr/bin/nginx", "rd ex", S_IFREG, false, false},
                {KIND_VMA_FILE_SHARED, "/var/cache/x", "rd wr sh", S_IFREG, true, false},
                {KIND_VMA_OTHER, "/usr/bin/host", "rd ex", S_IFREG, false, true},
                {KIND_VMA_SHMEM, "/dev/zero (deleted)", "rd wr sh", S_IFREG, true, true},
                {KIND_VMA_SHMEM, "[anon_shmem:y]", "rd wr sh", 0, true, true},
                {KIND_VMA_SYSV, "/SYSV00000000 (deleted)", "rd wr sh", S_IFREG, true, true},
                {KIND_VMA_MEMFD, "/memfd:z (deleted)", "rd wr sh", S_IFREG, true, true},
                {KIND_VMA_SECRET, "/secretmem (deleted)", "rd wr sh lo", S_IFREG, true, true},
                {KIND_VMA_HUGETLB, "/anon_hugepage (deleted)", "rd wr ht", S_IFREG, false, true},
                {KIND_VMA_DELETED, "/usr/lib/x.so (deleted)", "rd ex", S_IFREG, false, false},
                {KIND_VMA_AIO, "/[aio] (deleted)", "rd wr sh de", S_IFREG, true, true},
                {KIND_VMA_IO_URING, "anon_inode:[io_uring]", "rd wr sh", 0, true, true},
                {KIND_VMA_PERF, "anon_inode:[perf_event]", "rd wr sh", 0, true, true},
                {KIND_VMA_BPF, "anon_inode:bpf-map", "rd wr sh", 0, true, true},
                {KIND_VMA_OTHER, "anon_inode:new", "rd wr sh", 0, true, true},
                {KIND_VMA_SOCKET, "socket:[4]", "rd wr sh", 0, true, true},
                {KIND_VMA_DEVICE, "/dev/mem", "rd wr sh io", S_IFCHR, true, false},
                {KIND_VMA_DEVICE, "/dev/zero", "rd wr", S_IFCHR, false, false},
                {KIND_VMA_UFFD, "", "rd wr um", 0, false, false},
                {KIND_VMA_UFFD, "/dev/zero (deleted)", "rd wr sh uw", S_IFREG, true, true},
                {KIND_VMA_GUARD, "", "rd wr gu", 0, false, false},
                {KIND_VMA_SHADOW_STACK, "", "rd wr ss", 0, false, false},
                {KIND_VMA_UPROBES, "[uprobes]", "ex", 0, false, false},
                {KIND_VMA_OTHER, "[new]", "rd", 0, false, false},
                {KIND_VMA_OTHER, "", "rd sh", 0, true, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct proc_vma v = {.start = 0x1000, .end = 0x2000, .shared = rows[i].shared, .r = true};
                struct facts f = {.cls = CLS_VMA, .vma = {.vma = &v, .external = rows[i].external}};
                str_copy(v.name, sizeof(v.name), rows[i].name);
                str_copy(v.flags, sizeof(v.flags), rows[i].flags);
                f.vma.st.st_mode = rows[i].mode;
                expect(&f, rows[i].want, rows[i].name);
        }
}

static char *text(const char *s)
{
        static char pool[16][64];
        static unsigned next;
        char *p = pool[next++ % 16];

        str_copy(p, sizeof(pool[0]), s);
        return p;
}

Test(kind_claims, mounts)
{
        static const struct { uint16_t want; const char *type, *root, *external; } rows[] = {
                {KIND_MNT_ROOT, "ext4", "/", "root"},        {KIND_MNT_DEV, "tmpfs", "/", "dev"},
                {KIND_MNT_BIND, "tmpfs", "/x", "bind:boot_id"}, {KIND_MNT_BIND, "ext4", "/srv", ""},
                {KIND_MNT_TMPFS, "tmpfs", "/", ""},          {KIND_MNT_DEVPTS, "devpts", "/", ""},
                {KIND_MNT_MQUEUE, "mqueue", "/", ""},        {KIND_MNT_PROC, "proc", "/", ""},
                {KIND_MNT_SYSFS, "sysfs", "/", ""},          {KIND_MNT_CGROUP2, "cgroup2", "/", ""},
                {KIND_MNT_CGROUP1, "cgroup", "/", ""},       {KIND_MNT_OVERLAY, "overlay", "/a", ""},
                {KIND_MNT_RAMFS, "ramfs", "/", ""},          {KIND_MNT_HUGETLBFS, "hugetlbfs", "/", ""},
                {KIND_MNT_AUTOFS, "autofs", "/", ""},        {KIND_MNT_FUSE, "fuse.sshfs", "/", ""},
                {KIND_MNT_FUSE, "fuse", "/", ""},            {KIND_MNT_NFS, "nfs4", "/", ""},
                {KIND_MNT_BPF, "bpf", "/", ""},              {KIND_MNT_BINFMT, "binfmt_misc", "/", ""},
                {KIND_MNT_SECURITYFS, "securityfs", "/", ""}, {KIND_MNT_TRACEFS, "tracefs", "/", ""},
                {KIND_MNT_DEBUGFS, "debugfs", "/", ""},      {KIND_MNT_DISK, "ext4", "/", ""},
                {KIND_MNT_OTHER, "fancyfs", "/", ""},        {KIND_MNT_OTHER, "nsfs", "net:[4]", ""},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct mountinfo m = {.type = text(rows[i].type), .root = text(rows[i].root), .target = text("/m")};
                struct facts f = {.cls = CLS_MOUNT, .mnt = {.m = &m}};
                str_copy(f.mnt.external, sizeof(f.mnt.external), rows[i].external);
                expect(&f, rows[i].want, rows[i].type);
        }
}

Test(kind_claims, links)
{
        static const struct { uint16_t want; const char *kind; unsigned flags; } rows[] = {
                {KIND_LINK_LO, "", IFF_LOOPBACK},   {KIND_LINK_VETH, "veth", 0},       {KIND_LINK_BRIDGE, "bridge", 0},
                {KIND_LINK_MACVLAN, "macvlan", 0},  {KIND_LINK_IPVLAN, "ipvlan", 0},   {KIND_LINK_VLAN, "vlan", 0},
                {KIND_LINK_DUMMY, "dummy", 0},      {KIND_LINK_BOND, "bond", 0},       {KIND_LINK_TUN, "tun", 0},
                {KIND_LINK_VXLAN, "vxlan", 0},      {KIND_LINK_WIREGUARD, "wireguard", 0},
                {KIND_LINK_OTHER, "", 0},           {KIND_LINK_OTHER, "sit", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct facts f = {.cls = CLS_LINK};
                str_copy(f.link.kind, sizeof(f.link.kind), rows[i].kind);
                f.link.flags = rows[i].flags;
                expect(&f, rows[i].want, rows[i].kind);
        }
}

Test(kind_claims, namespaces)
{
        for (unsigned t = 0; t < NS_N; t++) {
                struct facts f = {.cls = CLS_NS, .ns = {.type = (enum ns_type)t}};
                uint16_t got;
                cr_assert_eq(claimed(&f, &got), 1, "namespace type %u", t);
        }
}

/* Every refused object kind is reached by a sample above or by construction; its text names the holder. */
Test(kind_claims, refusals_say_who_why_and_what_to_do)
{
        struct facts f = file_facts(&(struct file_sample){0, "anon_inode:[io_uring]", 0, 0, O_RDWR, EXT, 0});
        struct err err = {};
        size_t n;
        const struct kind *const *table = kind_table(&n);
        unsigned refused = 0;

        for (size_t i = 0; i < n; i++) {
                if (table[i]->msg)
                        continue;
                err = (struct err){};
                struct facts other = {.cls = table[i]->cls};
                bool file = table[i]->cls == CLS_FILE;
                cr_assert_eq(table[i]->refuse(file ? &f : &other, &err), -EX_UNSUPPORTED, "%s", table[i]->stem);
                cr_assert(!file || strstr(err.why, "7 (nginx)"), "%s: %s", table[i]->stem, err.why);
                cr_assert(err.remedy[0], "%s", table[i]->stem);
                cr_assert(strstr(err.on, table[i]->stem), "%s: %s", table[i]->stem, err.on);
                refused++;
        }
        cr_assert_gt(refused, 80);
}

Test(kind_claims, properties)
{
        struct facts f = file_facts(&files[0]);

        cr_assert(!kind_has_property(&f, KIND_FILE_LOCK));
        f.file.fdinfo = "pos:\t0\nflags:\t02\nlock:\t1: FLOCK  ADVISORY  WRITE 1 00:1:2 0 EOF\n";
        cr_assert(kind_has_property(&f, KIND_FILE_LOCK));
        cr_assert(!kind_has_property(&f, KIND_FILE_SCM));
        f.file.fdinfo = "pos:\t0\nscm_fds:\t0\n";
        cr_assert(!kind_has_property(&f, KIND_FILE_SCM));
        f.file.fdinfo = "pos:\t0\nscm_fds:\t2\n";
        cr_assert(kind_has_property(&f, KIND_FILE_SCM));

        struct facts t = {.cls = CLS_TASK, .task = {.timers = "", .seen = TASK_SEEN_LANDLOCK}};
        cr_assert(!kind_has_property(&t, KIND_TASK_POSIX_TIMER));
        cr_assert(kind_has_property(&t, KIND_TASK_LANDLOCK));
        cr_assert(!kind_has_property(&t, KIND_TASK_SUD));
        t.task.timers = "ID: 0\n";
        cr_assert(kind_has_property(&t, KIND_TASK_POSIX_TIMER));
}

Test(kind_claims, table)
{
        size_t n;
        const struct kind *const *table = kind_table(&n);
        struct err err = {};

        for (size_t i = 0; i < n; i++) {
                cr_assert(i == 0 || table[i - 1]->number < table[i]->number);
                cr_assert_eq(kind_find(table[i]->number), table[i]);
                const struct record_type *t = record_type_find(kind_record_types(), table[i]->number);
                cr_assert_not_null(t);
                cr_assert_str_eq(t->stem, table[i]->stem);
                cr_assert_eq(t->msg, table[i]->msg, "%s", t->stem);
        }
        cr_assert_null(kind_find(15));
        cr_assert_eq(record_types_check(kind_record_types(), &err), 0, "%s %s", err.on, err.why);
}
