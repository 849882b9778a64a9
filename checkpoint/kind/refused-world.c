/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which kind a mount, a network link or a namespace belongs to: by the name that the engine gives to what it made itself, by
 * the file system's or the link's own name for the rest. A mount of a part of a file system (its root is not "/") is a
 * bind; a disk mounted inside whole is refused, because its device is the host's.
 */
#include <net/if.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

static uint16_t classify_refused_type(const char *type)
{
        static const struct text_rule equal[] = {
                {"cgroup", KIND_MNT_CGROUP1},     {"overlay", KIND_MNT_OVERLAY},       {"ramfs", KIND_MNT_RAMFS},
                {"hugetlbfs", KIND_MNT_HUGETLBFS}, {"autofs", KIND_MNT_AUTOFS},        {"bpf", KIND_MNT_BPF},
                {"binfmt_misc", KIND_MNT_BINFMT}, {"securityfs", KIND_MNT_SECURITYFS}, {"tracefs", KIND_MNT_TRACEFS},
                {"debugfs", KIND_MNT_DEBUGFS},    {"nfs", KIND_MNT_NFS},               {"nfs4", KIND_MNT_NFS},
                {"cifs", KIND_MNT_NFS},           {"ceph", KIND_MNT_NFS},              {"9p", KIND_MNT_NFS},
                {"fuse", KIND_MNT_FUSE},          {"fuseblk", KIND_MNT_FUSE},          {"nsfs", KIND_MNT_OTHER},
        };

        if (str_starts(type, "fuse."))
                return KIND_MNT_FUSE;
        return rule_equal(equal, ELEMENTSOF(equal), type);
}

static uint16_t classify_whole(const char *type)
{
        static const struct text_rule equal[] = {
                {"tmpfs", KIND_MNT_TMPFS}, {"devpts", KIND_MNT_DEVPTS}, {"mqueue", KIND_MNT_MQUEUE},
                {"proc", KIND_MNT_PROC},   {"sysfs", KIND_MNT_SYSFS},   {"cgroup2", KIND_MNT_CGROUP2},
                {"ext2", KIND_MNT_DISK},   {"ext3", KIND_MNT_DISK},     {"ext4", KIND_MNT_DISK},
                {"xfs", KIND_MNT_DISK},    {"btrfs", KIND_MNT_DISK},    {"vfat", KIND_MNT_DISK},
                {"squashfs", KIND_MNT_DISK}, {"iso9660", KIND_MNT_DISK}, {"erofs", KIND_MNT_DISK},
                {"f2fs", KIND_MNT_DISK},
        };
        uint16_t number = rule_equal(equal, ELEMENTSOF(equal), type);

        return number ? number : KIND_MNT_OTHER;
}

uint16_t classify_mount(const struct facts *f)
{
        const struct mountinfo *m = f->mnt.m;

        if (f->mnt.external[0]) {
                if (strcmp(f->mnt.external, "root") == 0)
                        return KIND_MNT_ROOT;
                return strcmp(f->mnt.external, "dev") == 0 ? KIND_MNT_DEV : KIND_MNT_BIND;
        }
        uint16_t number = classify_refused_type(m->type);
        if (number)
                return number;
        return strcmp(m->root, "/") == 0 ? classify_whole(m->type) : KIND_MNT_BIND;
}

uint16_t classify_link(const struct facts *f)
{
        static const struct text_rule equal[] = {
                {"veth", KIND_LINK_VETH},     {"bridge", KIND_LINK_BRIDGE}, {"macvlan", KIND_LINK_MACVLAN},
                {"macvtap", KIND_LINK_MACVLAN}, {"ipvlan", KIND_LINK_IPVLAN}, {"ipvtap", KIND_LINK_IPVLAN},
                {"vlan", KIND_LINK_VLAN},     {"dummy", KIND_LINK_DUMMY},   {"bond", KIND_LINK_BOND},
                {"tun", KIND_LINK_TUN},       {"vxlan", KIND_LINK_VXLAN},   {"wireguard", KIND_LINK_WIREGUARD},
        };

        if ((f->link.flags & IFF_LOOPBACK) && !f->link.kind[0])
                return KIND_LINK_LO;
        uint16_t number = rule_equal(equal, ELEMENTSOF(equal), f->link.kind);
        return number ? number : KIND_LINK_OTHER;
}

uint16_t classify_ns(const struct facts *f)
{
        static const uint16_t numbers[NS_N] = {
                [NS_USER] = KIND_NS_USER, [NS_MNT] = KIND_NS_MNT, [NS_PID] = KIND_NS_PID,
                [NS_NET] = KIND_NS_NET,   [NS_UTS] = KIND_NS_UTS, [NS_IPC] = KIND_NS_IPC,
                [NS_CGROUP] = KIND_NS_CGROUP, [NS_TIME] = KIND_NS_TIME,
        };

        return (unsigned)f->ns.type < NS_N ? numbers[f->ns.type] : 0;
}
