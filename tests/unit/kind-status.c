/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every key of /proc/PID/status is known, to one kind at most; a key that no kernel has is not. */
#include <fcntl.h>
#include <unistd.h>

#include "base/procfs.h"
#include "checkpoint/kind/status.h"
#include "tests/unit/harness.h"

/* What 6.1 (Debian) and 6.18 print with everything built in. */
static const char *const printed[] = {
        "Name", "Umask", "State", "Tgid", "Ngid", "Pid", "PPid", "TracerPid", "Uid", "Gid", "FDSize", "Groups", "NStgid",
        "NSpid", "NSpgid", "NSsid", "Kthread", "VmPeak", "VmSize", "VmLck", "VmPin", "VmHWM", "VmRSS", "RssAnon", "RssFile",
        "RssShmem", "VmData", "VmStk", "VmExe", "VmLib", "VmPTE", "VmSwap", "HugetlbPages", "CoreDumping", "THP_enabled",
        "untag_mask", "Threads", "SigQ", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
        "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Speculation_Store_Bypass",
        "SpeculationIndirectBranch", "Cpus_allowed", "Cpus_allowed_list", "Mems_allowed", "Mems_allowed_list",
        "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches", "x86_Thread_features", "x86_Thread_features_locked",
};

Test(kind_status, of_both_kernels)
{
        for (size_t i = 0; i < ELEMENTSOF(printed); i++)
                cr_assert(status_key_known(printed[i], NULL), "nobody answers for %s", printed[i]);
}

Test(kind_status, of_this_kernel)
{
        _cleanup_free_ char *text = NULL;
        struct proc_kv kv[128];
        size_t len = 0, n = 0;
        int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

        cr_assert_eq(proc_read(fd, "status", &text, &len, NULL), 0);
        cr_assert_eq(proc_status_parse(text, len, kv, ELEMENTSOF(kv), &n, NULL), 0);
        cr_assert_gt(n, 40);
        for (size_t i = 0; i < n; i++)
                cr_assert(status_key_known(kv[i].key, NULL), "nobody answers for %s", kv[i].key);
        close(fd);
}

Test(kind_status, one_kind_each)
{
        size_t n;
        const struct kind *const *table = kind_table(&n);

        for (size_t i = 0; i < n; i++)
                for (const char *const *key = table[i]->status_keys; key && *key; key++) {
                        const struct kind *k = NULL;
                        cr_assert(status_key_known(*key, &k));
                        cr_assert_eq(k, table[i], "%s and %s both answer for %s", k->stem, table[i]->stem, *key);
                }
}

Test(kind_status, unknown)
{
        cr_assert_not(status_key_known("Aura", NULL));
        cr_assert_not(status_key_known("", NULL));
        cr_assert_not(status_key_known("name", NULL));
}
