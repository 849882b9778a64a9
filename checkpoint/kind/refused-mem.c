/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which kind a mapping belongs to. VmFlags first (huge pages, user faults, shadow stacks are properties of any mapping),
 * then names that the kernel gives, then the file behind it. "/dev/zero (deleted)" is what a shared anonymous mapping is
 * called; memory of sysv, memfd and secretmem lies on kernel mounts under names of their own.
 */
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

static uint16_t classify_flags(const struct proc_vma *v)
{
        static const struct text_rule rules[] = {
                {"ss", KIND_VMA_SHADOW_STACK}, {"um", KIND_VMA_UFFD},  {"uw", KIND_VMA_UFFD}, {"ui", KIND_VMA_UFFD},
                {"ht", KIND_VMA_HUGETLB},      {"gu", KIND_VMA_GUARD},
        };

        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                if (proc_vma_flag(v, rules[i].text))
                        return rules[i].number;
        return 0;
}

static uint16_t classify_named(const struct proc_vma *v)
{
        static const struct text_rule rules[] = {
                {"[vdso]", KIND_VMA_VDSO},         {"[vvar", KIND_VMA_VDSO},
                {"[vsyscall]", KIND_VMA_VDSO},     {"[stack]", KIND_VMA_STACK},
                {"[heap]", KIND_VMA_ANON},         {"[anon:", KIND_VMA_ANON},
                {"[anon_shmem:", KIND_VMA_SHMEM},  {"[uprobes]", KIND_VMA_UPROBES},
                {"/[aio]", KIND_VMA_AIO},          {"anon_inode:[io_uring]", KIND_VMA_IO_URING},
                {"anon_inode:[perf_event]", KIND_VMA_PERF}, {"anon_inode:bpf-", KIND_VMA_BPF},
                {"anon_inode:", KIND_VMA_OTHER},   {"socket:[", KIND_VMA_SOCKET},
                {"[", KIND_VMA_OTHER},
        };

        return rule_prefix(rules, ELEMENTSOF(rules), v->name);
}

static bool on_kernel_mount(const struct facts *f, const char *prefix)
{
        const char *name = f->vma.vma->name;
        size_t n = strlen(name), d = strlen(" (deleted)");

        return str_starts(name, prefix) && n > d && strcmp(name + n - d, " (deleted)") == 0;
}

static uint16_t classify_mapped_file(const struct facts *f)
{
        const struct proc_vma *v = f->vma.vma;
        size_t n = strlen(v->name), d = strlen(" (deleted)");

        if (on_kernel_mount(f, "/SYSV"))
                return KIND_VMA_SYSV;
        if (on_kernel_mount(f, "/memfd:"))
                return KIND_VMA_MEMFD;
        if (on_kernel_mount(f, "/secretmem"))
                return KIND_VMA_SECRET;
        if (S_ISCHR(f->vma.st.st_mode) || S_ISBLK(f->vma.st.st_mode) || proc_vma_flag(v, "io") || proc_vma_flag(v, "pf"))
                return KIND_VMA_DEVICE;
        if (n > d && strcmp(v->name + n - d, " (deleted)") == 0)
                return KIND_VMA_DELETED;
        if (f->vma.external)
                return KIND_VMA_OTHER;
        return v->shared ? KIND_VMA_FILE_SHARED : KIND_VMA_FILE;
}

uint16_t classify_vma(const struct facts *f)
{
        const struct proc_vma *v = f->vma.vma;
        uint16_t number = classify_flags(v);

        if (number)
                return number;
        if (f->vma.shm || (v->shared && strcmp(v->name, "/dev/zero (deleted)") == 0))
                return KIND_VMA_SHMEM;
        if (!v->name[0])
                return v->shared ? KIND_VMA_OTHER : KIND_VMA_ANON;
        number = classify_named(v);
        return number ? number : classify_mapped_file(f);
}
