/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What kind.h asks of a session beyond descriptors. The table of kinds draws every kind into every test, so all of it
 * must be there to be linked; a test whose kind needs one of these gives its own, stronger, definition.
 */
#include "tests/unit/harness-int.h"

#define WEAK __attribute__((weak))

WEAK int dump_fd_table(struct dump *d, const struct obj *files, struct fd_entry **ret, size_t *ret_n, struct err *err)
{
        (void)d, (void)files, (void)ret, (void)ret_n;
        return err_set(err, EX_FAIL, "not in this test", "fd table", "%s", "");
}

WEAK struct nl *dump_nl(struct dump *d, const struct obj *o, struct err *err)
{
        (void)d, (void)o;
        err_set(err, EX_FAIL, "not in this test", "netlink", "%s", "");
        return NULL;
}

WEAK int dump_fresh_socket(struct dump *d, const struct obj *o, struct err *err)
{
        static int fd[8];   /* of this process, which ends soon */
        const struct file_facts *f = &o->facts.file;
        size_t at = (f->family == AF_INET6 ? 1 : f->family == AF_INET ? 2 : 3);

        (void)d, (void)err;
        if (fd[at] == 0)
                fd[at] = socket(f->family, f->type | SOCK_CLOEXEC, f->protocol);
        return fd[at];
}

WEAK int dump_settings(struct dump *d, const struct net_setting **ret, size_t *ret_n, struct err *err)
{
        (void)d, (void)err;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

WEAK int restore_settings(struct restore *rs, const struct net_setting **ret, size_t *ret_n, struct err *err)
{
        (void)rs, (void)err;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

WEAK int dump_seccomp(struct dump *d, const void **ret, size_t *ret_n, struct err *err)
{
        (void)d, (void)ret, (void)ret_n, (void)err;
        return 1;
}

WEAK int dump_thread_filters(struct dump *d, const struct obj *thread, size_t *ret_n, struct err *err)
{
        (void)d, (void)thread, (void)err;
        *ret_n = 0;
        return 0;
}

WEAK int dump_thread_filter(struct dump *d, const struct obj *thread, size_t index, void **ret, size_t *ret_insns,
                            struct err *err)
{
        (void)d, (void)thread, (void)index, (void)ret, (void)ret_insns;
        return err_set(err, EX_FAIL, "not in this test", "seccomp filter", "%s", "");
}

WEAK uint64_t dump_mm_of(struct dump *d, const struct obj *task)
{
        (void)d, (void)task;
        return 0;
}

WEAK uint64_t dump_files_of(struct dump *d, const struct obj *task)
{
        (void)d, (void)task;
        return 0;
}

WEAK uint64_t dump_fs_of(struct dump *d, const struct obj *task)
{
        (void)d, (void)task;
        return 0;
}

WEAK uint64_t dump_ns_of(struct dump *d, const struct obj *task, enum ns_type type)
{
        (void)d, (void)task, (void)type;
        return 0;
}

WEAK uint32_t dump_foreground(struct dump *d, const struct obj *task)
{
        (void)d;
        return (uint32_t)(task->facts.task.stat ? task->facts.task.stat->tpgid : 0);
}

WEAK void restore_keep_map(struct restore *rs, struct tape *t, uint32_t entry, uint64_t size, uint64_t object)
{
        (void)rs, (void)t, (void)entry, (void)size, (void)object;
}

WEAK struct cpu_state *restore_cpu(struct restore *rs, uint64_t thread)
{
        (void)rs, (void)thread;
        return NULL;
}

WEAK struct nl *restore_nl(struct restore *rs, uint64_t ns, struct err *err)
{
        (void)rs, (void)ns;
        err_set(err, EX_FAIL, "not in this test", "netlink", "%s", "");
        return NULL;
}

WEAK int restore_external(struct restore *rs, const char *name, uint64_t object, struct err *err)
{
        (void)rs, (void)object;
        return err_set(err, EX_FAIL, "not in this test", "external", "%s", name);
}

WEAK int restore_seccomp(struct restore *rs, const void **ret, size_t *ret_n, struct err *err)
{
        (void)rs, (void)ret, (void)ret_n, (void)err;
        return 1;
}

WEAK const struct vdso_place *restore_vdso(struct restore *rs)
{
        static const struct vdso_place none;

        (void)rs;
        return &none;
}

WEAK struct restart *restore_restart(struct restore *rs, uint64_t thread)
{
        (void)rs, (void)thread;
        return NULL;
}

WEAK size_t restore_threads(struct restore *rs, uint64_t task, const uint64_t **ret)
{
        (void)rs, (void)task, (void)ret;
        return 0;
}
