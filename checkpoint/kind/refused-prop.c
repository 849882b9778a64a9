/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties that are refused where they are met: timers, sandboxes and keyrings of tasks, rules of network
 * namespaces, locks and descriptors in flight beside an open file.
 *
 * fdinfo shows locks as "lock:" lines and, for unix sockets, the descriptors in flight as "scm_fds:" (a 0-byte datagram
 * can carry some: the queue's length says nothing). What /proc does not show the collector has asked by tape; here it is a bit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

static bool has_lock(const char *fdinfo)
{
        return fdinfo && (str_starts(fdinfo, "lock:") || strstr(fdinfo, "\nlock:"));
}

static bool has_scm(const char *fdinfo)
{
        uint64_t n = 0;
        const char *p = fdinfo ? strstr(fdinfo, "scm_fds:") : NULL;

        if (!p)
                return false;
        p += strlen("scm_fds:");
        while (*p == ' ' || *p == '\t')
                p++;
        return scan_u64(&p, &n) && n > 0;
}

static int task_property(const struct facts *f, uint16_t number)
{
        static const struct { uint16_t number; unsigned bit; } bits[] = {
                {KIND_TASK_LANDLOCK, TASK_SEEN_LANDLOCK}, {KIND_TASK_KEYRING, TASK_SEEN_KEYRING | TASK_SEEN_PERSISTENT},
                {KIND_TASK_SUD, TASK_SEEN_SUD},           {KIND_TASK_MEMPOLICY, TASK_SEEN_MEMPOLICY},
                {KIND_TASK_SYSVSEM, TASK_SEEN_SYSVSEM},
        };

        if (number == KIND_TASK_POSIX_TIMER)
                return f->task.timers && f->task.timers[0];
        for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
                if (bits[i].number == number)
                        return (f->task.seen & bits[i].bit) != 0;
        return 0;
}

static int netns_property(const struct facts *f, uint16_t number)
{
        const struct { uint16_t number; bool there; } all[] = {
                {KIND_NET_RULE, f->netns.rules},     {KIND_NET_NFT, f->netns.nft},         {KIND_NET_CONNTRACK, f->netns.conntrack},
                {KIND_NET_QDISC, f->netns.qdisc},    {KIND_NET_XFRM, f->netns.xfrm},       {KIND_NET_IPSET, f->netns.ipset},
                {KIND_NET_NEXTHOP, f->netns.nexthop}, {KIND_NET_OTHER, f->netns.other != NULL},
        };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                if (all[i].number == number)
                        return all[i].there;
        return 0;
}

int kind_has_property(const struct facts *f, uint16_t number)
{
        switch (f->cls) {
        case CLS_TASK:
        case CLS_THREAD:
                return task_property(f, number);
        case CLS_FILE:
        case CLS_FILEPROP:
                if (number == KIND_FILE_LOCK)
                        return has_lock(f->file.fdinfo);
                return number == KIND_FILE_SCM && has_scm(f->file.fdinfo);
        case CLS_NETNS:
                return netns_property(f, number);
        case CLS_MM:
        case CLS_FILES:
        case CLS_FS:
        case CLS_SIGHAND:
        case CLS_VMA:
        case CLS_SHM:
        case CLS_NS:
        case CLS_MOUNT:
        case CLS_LINK:
        case CLS_CGROUP:
        case CLS_N:
        default:
                return 0;
        }
}
