/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The closed world of /proc/PID/status (status.h): every key of 6.1 to 6.18 is some kind's, or is derived.
 *
 * Derived means that a restored process shows the same because of what others restore, or that it is a figure of the
 * moment: memory in use, context switches. untag_mask is the processor's; a task that switched on address tags (LAM)
 * cannot be told by its name here, so the collector compares it with its own. A key in neither list is new: the
 * collector refuses it by name instead of losing what it says.
 */
#include "checkpoint/kind/status.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/kind.h"

static const char *const derived[] = {
        /* the tree planner's: identity and relations */
        "State", "Tgid", "Pid", "PPid", "TracerPid", "NStgid", "NSpid", "NSpgid", "NSsid", "Threads", "Kthread",
        /* NUMA balancing, descriptor table size: the kernel's own housekeeping */
        "Ngid", "FDSize",
        /* sizes of what mappings and pages restore */
        "VmPeak", "VmSize", "VmLck", "VmPin", "VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmData", "VmStk",
        "VmExe", "VmLib", "VmPTE", "VmPMD", "VmSwap", "HugetlbPages",
        /* a dump of core in progress ends before a freeze does */
        "CoreDumping", "untag_mask",
        /* the count beside pending signals; the nodes of memory follow the cpuset */
        "SigQ", "Mems_allowed", "Mems_allowed_list",
        "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches",
};

static bool in(const char *const *keys, const char *key)
{
        for (; keys && *keys; keys++)
                if (str_eq(*keys, key))
                        return true;
        return false;
}

bool status_key_known(const char *key, const struct kind **ret_kind)
{
        size_t n;
        const struct kind *const *table = kind_table(&n);

        for (size_t i = 0; i < n; i++)
                if (in(table[i]->status_keys, key)) {
                        if (ret_kind)
                                *ret_kind = table[i];
                        return true;
                }
        if (ret_kind)
                *ret_kind = NULL;
        for (size_t i = 0; i < ELEMENTSOF(derived); i++)
                if (str_eq(derived[i], key))
                        return true;
        return false;
}
