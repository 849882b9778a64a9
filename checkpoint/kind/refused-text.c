/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is refused, in words: what the process holds, why that cannot be kept, what to do. A kind that has no row gets a
 * general sentence. The rows of kinds that were kept later may stay: nothing asks for them.
 */
#include <stdio.h>

#include "base/cleanup.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

static const struct row { uint16_t number; const char *what, *remedy; } rows[] = {
        /* links and network */
        {KIND_LINK_BRIDGE, "a bridge, whose ports and forwarding table cannot be rebuilt", "Remove the bridge, or stop the program that made it"},
        {KIND_LINK_MACVLAN, "a macvlan link, which depends on a link of this node", "Give the container a veth link"},
        {KIND_LINK_IPVLAN, "an ipvlan link, which depends on a link of this node", "Give the container a veth link"},
        {KIND_LINK_VLAN, "a VLAN link", "Remove the link before the checkpoint"},
        {KIND_LINK_DUMMY, "a dummy link", "Remove the link before the checkpoint"},
        {KIND_LINK_BOND, "a bond of links", "Remove the bond before the checkpoint"},
        {KIND_LINK_TUN, "a tun or tap link, whose other end is a program", "Stop the VPN or emulator that made it"},
        {KIND_LINK_VXLAN, "a VXLAN link", "Remove the link before the checkpoint"},
        {KIND_LINK_WIREGUARD, "a WireGuard link, whose session keys the kernel does not give out", "Take the link down and remove it"},
        {KIND_LINK_OTHER, "a network link of a type that is not known here", "Remove the link before the checkpoint"},
        {KIND_NET_RULE, "policy routing rules", "Remove the rules (ip rule) before the checkpoint"},
        {KIND_NET_NFT, "packet filter tables", "Flush the tables (nft flush ruleset) before the checkpoint"},
        {KIND_NET_CONNTRACK, "tracked connections, which the packet filter would forget", "Remove the rules that use connection tracking"},
        {KIND_NET_QDISC, "a queueing discipline (tc qdisc)", "Remove it: tc qdisc del dev eth0 root"},
        {KIND_NET_XFRM, "IPsec policies or states (ip xfrm)", "Stop the program that made them, or ip xfrm policy flush and ip xfrm state flush"},
        {KIND_NET_IPSET, "sets of addresses (ipset)", "Stop the program that made them, or ipset destroy"},
        {KIND_NET_NEXTHOP, "next hop objects (ip nexthop)", "Use routes with gateways of their own, and ip nexthop flush"},
        /* mounts */
        {KIND_MNT_CGROUP1, "a mount of a version 1 cgroup hierarchy", "Mount cgroup2 alone inside the container"},
        {KIND_MNT_OVERLAY, "an overlay mount, whose layers cannot be named from inside", "Stop the container engine that runs inside"},
        {KIND_MNT_RAMFS, "a ramfs mount, whose content only its own mount can reach", "Unmount it; for a systemd service, stop the service that has credentials"},
        {KIND_MNT_HUGETLBFS, "a mount of huge pages", "Unmount it before the checkpoint"},
        {KIND_MNT_AUTOFS, "an automount point, whose pipe to its daemon cannot be rebuilt", "Stop the automount units inside the container"},
        {KIND_MNT_FUSE, "a FUSE mount, served by a program through a kernel connection", "Unmount it before the checkpoint"},
        {KIND_MNT_NFS, "a network file system", "Unmount it, or mount it on the node and bind it in"},
        {KIND_MNT_BPF, "a bpf file system", "Unmount it before the checkpoint"},
        {KIND_MNT_BINFMT, "a binfmt_misc mount", "Unmount it before the checkpoint"},
        {KIND_MNT_SECURITYFS, "a securityfs mount", "Unmount it before the checkpoint"},
        {KIND_MNT_TRACEFS, "a tracefs mount", "Unmount it before the checkpoint"},
        {KIND_MNT_DEBUGFS, "a debugfs mount", "Unmount it before the checkpoint"},
        {KIND_MNT_DISK, "a disk mounted inside, which is a device of this node", "Unmount it, or declare it in the container's configuration"},
        {KIND_MNT_OTHER, "a mount of a file system that is not known here", "Unmount it before the checkpoint"},
        /* memory */
        {KIND_VMA_SYSV, "a System V shared memory segment", "Stop the program that uses it"},
        {KIND_VMA_HUGETLB, "explicit huge pages (MAP_HUGETLB)", "Run the program with transparent huge pages"},
        {KIND_VMA_MEMFD, "a mapping of a memfd", "Stop the program that uses it"},
        {KIND_VMA_SECRET, "memfd_secret memory, which the kernel shows to nobody else", "Stop the program that uses it"},
        {KIND_VMA_DELETED, "a mapping of a deleted or replaced file", "Restart the program, so that it maps the files that are there now"},
        {KIND_VMA_AIO, "a context of kernel asynchronous I/O", "Run the program with another I/O method"},
        {KIND_VMA_IO_URING, "the rings of an io_uring", "Run the program with another I/O method"},
        {KIND_VMA_DEVICE, "a mapping of a device", "Stop the program that uses the device"},
        {KIND_VMA_UFFD, "memory watched by a userfaultfd", "Stop the program that serves its own page faults"},
        {KIND_VMA_GUARD, "guard regions inside a mapping", "Use a C library whose guards are mappings of their own"},
        {KIND_VMA_SHADOW_STACK, "a shadow stack", "Run the program without GLIBC_TUNABLES shadow stacks"},
        {KIND_VMA_SOCKET, "a mapping of a socket's ring", "Stop the program that captures packets"},
        {KIND_VMA_BPF, "a mapping of a BPF map", "Stop the program that uses BPF"},
        {KIND_VMA_PERF, "a buffer of performance events", "Stop the profiler"},
        {KIND_VMA_UPROBES, "user probes set by a tracer", "Remove the probes on this node"},
        {KIND_VMA_OTHER, "a mapping of a kind that is not known here", "Stop the program that uses it"},
        /* open files */
        {KIND_FD_FIFO, "a named pipe", "Stop the program, or let it use a pipe or a socket"},
        {KIND_FD_DELETED, "an open file that was deleted", "Restart the program, so that it opens the files that are there now"},
        {KIND_FD_PROC, "an open file of /proc", "Stop the program that watches /proc"},
        {KIND_FD_SYS, "an open file of /sys or another kernel file system", "Stop the program that watches it"},
        {KIND_FD_CGROUP, "an open file of the cgroup tree", "Stop the program that manages cgroups"},
        {KIND_FD_NS, "a namespace held open", "Stop the program that manages namespaces"},
        {KIND_FD_PATH, "a path held open with O_PATH", "Stop the program that holds it"},
        {KIND_FD_TMPFILE, "a nameless temporary file (O_TMPFILE)", "Let the program finish with its temporary file"},
        {KIND_FD_SYMLINK, "a symbolic link held open with O_PATH", "Stop the program that holds it"},
        {KIND_FD_SIGNALFD, "a signalfd", "Stop the program that uses it"},
        {KIND_FD_TIMERFD, "a timerfd", "Stop the program that uses it"},
        {KIND_FD_INOTIFY, "an inotify instance", "Stop the program that watches files"},
        {KIND_FD_FANOTIFY, "a fanotify group", "Stop the program that watches files"},
        {KIND_FD_PIDFD, "a pidfd", "Stop the program that watches the process"},
        {KIND_FD_MEMFD, "a memfd", "Stop the program that uses it"},
        {KIND_FD_SECRET, "memfd_secret memory, which the kernel shows to nobody else", "Stop the program that uses it"},
        {KIND_FD_USERFAULTFD, "a userfaultfd", "Stop the program that serves its own page faults"},
        {KIND_FD_IO_URING, "an io_uring", "Run the program with another I/O method"},
        {KIND_FD_PERF, "a performance event", "Stop the profiler"},
        {KIND_FD_BPF_MAP, "a BPF map", "Stop the program that uses BPF"},
        {KIND_FD_BPF_PROG, "a BPF program", "Stop the program that uses BPF"},
        {KIND_FD_BPF_LINK, "a BPF link", "Stop the program that uses BPF"},
        {KIND_FD_MQUEUE, "a POSIX message queue", "Stop the program that uses it"},
        {KIND_FD_LANDLOCK, "a Landlock ruleset", "Stop the program that sandboxes itself"},
        {KIND_FD_SECCOMP, "a seccomp listener, which answers for other processes", "Stop the supervisor that holds it"},
        {KIND_FD_FSOPEN, "a half-configured file system (fsopen)", "Let the mount program end first"},
        {KIND_FD_MOUNT, "a path on a mount that is in no namespace of the container", "Stop the program that holds it"},
        {KIND_FD_TUN, "a tun or tap device", "Stop the VPN or emulator that uses it"},
        {KIND_FD_KVM, "a virtual machine of /dev/kvm", "Stop the virtual machine"},
        {KIND_FD_FUSE, "the server's side of a FUSE mount", "Unmount the FUSE file system"},
        {KIND_FD_BLOCKDEV, "a block device of this node", "Close the device"},
        {KIND_FD_PTMX, "the master side of a pseudo terminal", "End the terminal session (ssh, tmux, script) inside the container"},
        {KIND_FD_TTY, "a terminal of this node", "Start the program on the container's console"},
        {KIND_FD_ASHMEM, "ashmem shared memory", "Stop the program that uses it"},
        {KIND_FD_PSI, "a pressure trigger", "Stop the program that watches memory pressure"},
        {KIND_FD_EXTERNAL, "a file on a mount that is not the container's", "Start the program from inside the container, without open files of the node"},
        {KIND_FD_ANON, "a kernel object of a kind that is not known here", "Stop the program that holds it"},
        {KIND_FD_OTHER, "a descriptor of a kind that is not known here", "Stop the program that holds it"},
        /* sockets */
        {KIND_SK_UNIX_DGRAM, "a unix datagram socket", "Stop the program that uses it"},
        {KIND_SK_UNIX_SEQPACKET, "a unix seqpacket socket", "Stop the program that uses it"},
        {KIND_SK_INET_DGRAM, "a UDP socket", "Stop the program that uses it"},
        {KIND_SK_INET6_DGRAM, "a UDP socket (IPv6)", "Stop the program that uses it"},
        {KIND_SK_INET_RAW, "a raw socket", "Stop the program that uses it"},
        {KIND_SK_INET6_RAW, "a raw socket (IPv6)", "Stop the program that uses it"},
        {KIND_SK_INET_MPTCP, "an MPTCP connection, whose state the kernel does not give out", "Let the program use plain TCP"},
        {KIND_SK_INET_SCTP, "an SCTP socket", "Stop the program that uses it"},
        {KIND_SK_INET_ICMP, "a ping socket", "Let the ping end"},
        {KIND_SK_INET_UDPLITE, "a UDP-Lite socket", "Stop the program that uses it"},
        {KIND_SK_NETLINK, "a netlink socket", "Stop the program that talks to the kernel"},
        {KIND_SK_PACKET, "a packet socket", "Stop the program that captures or sends raw frames"},
        {KIND_SK_VSOCK, "a vsock socket", "Stop the program that uses it"},
        {KIND_SK_XDP, "an XDP socket", "Stop the program that uses it"},
        {KIND_SK_ALG, "a socket of the kernel's cryptography", "Stop the program that uses it"},
        {KIND_SK_KEY, "a key management (IPsec) socket", "Stop the program that uses it"},
        {KIND_SK_BLUETOOTH, "a Bluetooth socket", "Stop the program that uses it"},
        {KIND_SK_CAN, "a CAN socket", "Stop the program that uses it"},
        {KIND_SK_TIPC, "a TIPC socket", "Stop the program that uses it"},
        {KIND_SK_OTHER, "a socket of a family, type or protocol that is not known here", "Stop the program that uses it"},
        /* properties */
        {KIND_TASK_POSIX_TIMER, "POSIX timers (timer_create)", "Stop the program that uses them"},
        {KIND_TASK_LANDLOCK, "a Landlock sandbox, from which it would come back free", "Run the program without its sandbox"},
        {KIND_TASK_KEYRING, "keys in its own keyrings", "Stop the program that uses them"},
        {KIND_TASK_SUD, "system call user dispatch", "Stop the emulator that uses it"},
        {KIND_TASK_MEMPOLICY, "a memory policy (numactl)", "Start the program without it"},
        {KIND_TASK_SYSVSEM, "semaphore undo records (SEM_UNDO)", "Stop the program that uses them"},
        {KIND_FILE_LOCK, "a lock on an open file", "Let the program release the lock"},
        {KIND_FILE_SCM, "descriptors in flight in a unix socket's queue", "Let the program receive them"},
};

int kind_refuse_text(const struct kind *k, const struct facts *f, struct err *err)
{
        if (k->number == KIND_NET_OTHER && f->netns.other)
                return kind_refuse(k, f, err, f->netns.other, "Stop the program that made it");
        if (k->number == KIND_TASK_KEYRING && !(f->task.seen & TASK_SEEN_KEYRING))
                return kind_refuse(k, f, err, "keys in a persistent keyring of one of the container's users",
                                   "Let that user clear it (keyctl get_persistent, keyctl clear), or let them expire");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].number == k->number)
                        return kind_refuse(k, f, err, rows[i].what, rows[i].remedy);
        char what[96];
        snprintf(what, sizeof(what), "an object of kind %s, which this version does not keep", k->stem);
        return kind_refuse(k, f, err, what, "Stop the program that uses it");
}
