/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a kind may ask of a dump (kind.h, "dump side"): ids of other objects, bytes beside its record, text of /proc, the
 * container's netlink socket. Finding never makes: an object that is not there was missed by the walk, which is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "checkpoint/dump-int.h"

static bool key_is(const struct dump_obj *x, enum obj_class c, const void *key, size_t len)
{
        uint64_t k[2] = {};

        if (x->o.cls != c || len > sizeof(k))
                return false;
        memcpy(k, key, len);
        switch (c) {
        case CLS_FILE:
                return len == 8 && S_ISSOCK(x->ff->st.st_mode) && x->ino == k[0];
        case CLS_NS:
                return len == 8 && x->ino == k[0];
        case CLS_SHM:
                return len == 16 && x->dev == k[0] && x->ino == k[1];
        case CLS_MOUNT: {
                int id;
                if (len != sizeof(id))
                        return false;
                memcpy(&id, key, sizeof(id));
                return x->mount->id == id;
        }
        case CLS_TASK:
        case CLS_THREAD:
        case CLS_MM:
        case CLS_FILES:
        case CLS_FS:
        case CLS_SIGHAND:
        case CLS_VMA:
        case CLS_LINK:
        case CLS_NETNS:
        case CLS_CGROUP:
        case CLS_FILEPROP:
        case CLS_N:
        default:
                return false;
        }
}

int dump_id(struct dump *d, enum obj_class c, const void *key, size_t len, uint64_t *ret, struct err *err)
{
        for (size_t i = 0; i < d->n_obj; i++)
                if (key_is(d->obj[i], c, key, len)) {
                        *ret = d->obj[i]->o.id;
                        return 0;
                }
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint an object", "what it is connected to is outside of the container",
                "class %d", (int)c);
        return err_remedy(err, "end the program that holds it, or the one outside that it talks to");
}

size_t dump_group(struct dump *d, const struct obj *o, const uint64_t **ret)
{
        struct dump_obj *x = dump_find(d, o->id);

        if (!x || o->cls != CLS_FILE)
                return 0;
        if (!x->group) {
                x->group = calloc(d->n_obj, sizeof(*x->group));
                for (size_t i = 0; x->group && i < d->n_obj; i++)
                        if (d->obj[i]->o.cls == CLS_FILE && d->obj[i]->dev == x->dev && d->obj[i]->ino == x->ino)
                                x->group[x->n_group++] = d->obj[i]->o.id;
        }
        *ret = x->group;
        return x->group ? x->n_group : 0;
}

const struct obj *dump_obj(struct dump *d, uint64_t id)
{
        struct dump_obj *x = dump_find(d, id);

        return x ? &x->o : NULL;
}

/* 1: it is this file; 0: not. */
static int epoll_is(struct dump *d, const struct dump_obj *file, pid_t holder, const struct kcmp_epoll_slot *slot, struct err *err)
{
        int r = sys_kcmp(d->task[file->task].pid, holder, KCMP_EPOLL_TFD, (unsigned long)file->fd, (unsigned long)slot);

        if (r < 0 && r != -ENOENT)
                return err_sys(err, EX_FAIL, r, "cannot compare an epoll target", "target %u", slot->tfd);
        return r == 0;
}

int dump_epoll_target(struct dump *d, const struct obj *epoll, uint32_t tfd, uint32_t index, uint64_t *ret, struct err *err)
{
        struct dump_obj *x = dump_find(d, epoll->id);
        struct kcmp_epoll_slot slot = { .efd = (uint32_t)x->fd, .tfd = tfd, .toff = index };
        const struct dump_task *t = &d->task[x->task];
        int r = 0;

        /* Nearly always it is what the number still stands for. */
        for (size_t i = 0; r == 0 && i < t->n_fds; i++) {
                if (t->fds[i].fd != tfd)
                        continue;
                *ret = t->fds[i].file;
                r = epoll_is(d, dump_find(d, *ret), t->pid, &slot, err);
        }
        for (size_t i = 0; r == 0 && i < d->n_obj; i++) {
                if (d->obj[i]->o.cls != CLS_FILE)
                        continue;
                *ret = d->obj[i]->o.id;
                r = epoll_is(d, d->obj[i], t->pid, &slot, err);
        }
        return r < 0 ? r : r == 0;
}

int dump_fd_table(struct dump *d, const struct obj *files, struct fd_entry **ret, size_t *ret_n, struct err *err)
{
        struct dump_obj *x = dump_find(d, files->id);
        struct dump_task *t = &d->task[x->task];

        *ret = malloc((t->n_fds ? t->n_fds : 1) * sizeof(**ret));
        if (!*ret)
                return kind_nomem(err);
        if (t->n_fds)
                memcpy(*ret, t->fds, t->n_fds * sizeof(**ret));
        *ret_n = t->n_fds;
        return 0;
}

int dump_bytes(struct dump *d, uint64_t id, uint64_t offset, const void *buf, size_t len, struct err *err)
{
        const uint8_t *p = buf;

        while (len > 0) {
                size_t piece = len < PAGE_BYTES * RUN_MAX_PAGES ? len : PAGE_BYTES * RUN_MAX_PAGES;
                size_t whole = piece & ~(size_t)(PAGE_BYTES - 1);
                uint8_t last[PAGE_BYTES] = {};
                struct run run = { .mem = id, .addr = offset, .pages = (uint32_t)(whole / PAGE_BYTES), .what = RUN_DATA };
                int r = whole ? d->sink->put(d->sink_ctx, &run, p, err) : 0;
                if (r < 0)
                        return r;
                if (whole < piece) {
                        memcpy(last, p + whole, piece - whole);
                        run.addr = offset + whole;
                        run.pages = 1;
                        r = d->sink->put(d->sink_ctx, &run, last, err);
                        if (r < 0)
                                return r;
                }
                d->stats.bytes += piece;
                p += piece;
                offset += piece;
                len -= piece;
        }
        return 0;
}

int dump_proc(const struct obj *o, const char *name, char **ret, size_t *ret_len, struct err *err)
{
        return proc_read(o->procfd, name, ret, ret_len, err);
}

uint32_t dump_uid(struct dump *d, uint32_t outside)
{
        uint32_t in;

        return idmap_inside(d->s.ids, outside, &in) ? in : 65534;
}

uint32_t dump_gid(struct dump *d, uint32_t outside)
{
        return dump_uid(d, outside);
}

struct nl *dump_nl(struct dump *d, const struct obj *o, struct err *err)
{
        (void)o;
        if (!d->nl)
                err_set(err, EX_FAIL, "cannot ask for the container's network", "there is no netlink socket", "%s", "");
        return d->nl;
}

int dump_seccomp(struct dump *d, const void **ret, size_t *ret_n, struct err *err)
{
        if (!d->s.outside || !d->s.outside->seccomp)
                return 1;
        return d->s.outside->seccomp(d->s.ctx, ret, ret_n, err);
}

static struct dump_task *task_of(struct dump *d, const struct obj *o)
{
        return &d->task[dump_find(d, o->id)->task];
}

int dump_thread_filters(struct dump *d, const struct obj *thread, size_t *ret_n, struct err *err)
{
        struct dump_obj *x = dump_find(d, thread->id);

        return tracee_filters(d->task[x->task].thread[x->thread].tracee, ret_n, err);
}

int dump_thread_filter(struct dump *d, const struct obj *thread, size_t index, void **ret, size_t *ret_insns, struct err *err)
{
        struct dump_obj *x = dump_find(d, thread->id);

        return tracee_filter(d->task[x->task].thread[x->thread].tracee, index, ret, ret_insns, err);
}

uint64_t dump_mm_of(struct dump *d, const struct obj *task)
{
        return task_of(d, task)->mm;
}

uint64_t dump_files_of(struct dump *d, const struct obj *task)
{
        return task_of(d, task)->files;
}

uint64_t dump_fs_of(struct dump *d, const struct obj *task)
{
        return task_of(d, task)->fs;
}

uint64_t dump_ns_of(struct dump *d, const struct obj *task, enum ns_type type)
{
        return task_of(d, task)->ns[type];
}

uint32_t dump_foreground(struct dump *d, const struct obj *task)
{
        pid_t group = task_of(d, task)->thread[0].stat.tpgid;

        for (size_t i = 0; group > 0 && i < d->n_task; i++)
                if (d->task[i].thread[0].stat.pgrp == group)
                        return (uint32_t)d->task[i].vpgid;
        return 0;
}

int dump_console_index(const struct dump *d)
{
        return d->s.console_index;
}

void dump_count_dropped(struct dump *d, unsigned syn_recv, unsigned time_wait)
{
        d->stats.dropped_syn_recv += syn_recv;
        d->stats.dropped_time_wait += time_wait;
}

void **dump_slot(struct dump *d, const struct obj *o)
{
        struct dump_obj *x = dump_find(d, o->id);

        if (!x->slots)
                x->slots = calloc(1, sizeof(*x->slots));
        return x->slots;
}

#define PATHS 1024u   /* lists */

struct looked *dump_looked(struct dump *d, const char *path)
{
        size_t n = strlen(path) + 1;
        uint32_t h = 2166136261u;

        if (!d->path)
                d->path = calloc(PATHS, sizeof(*d->path));
        if (!d->path)
                return NULL;
        for (size_t i = 0; i < n; i++)
                h = (h ^ (uint8_t)path[i]) * 16777619u;
        struct dump_path **at = &d->path[h % PATHS];
        for (struct dump_path *p = *at; p; p = p->next)
                if (strcmp(p->path, path) == 0)
                        return &p->is;
        struct dump_path *p = calloc(1, sizeof(*p) + n);
        if (!p)
                return NULL;
        memcpy(p->path, path, n);
        p->next = *at;
        *at = p;
        return &p->is;
}

void dump_paths_free(struct dump *d)
{
        for (size_t i = 0; d->path && i < PATHS; i++)
                for (struct dump_path *p = d->path[i], *next; p; p = next) {
                        next = p->next;
                        free(p);
                }
        free(d->path);
}

bool dump_area(struct dump *d, const struct obj *mm, const char *name)
{
        const struct dump_task *t = task_of(d, mm);

        for (size_t at = t->vma_from; at < t->vma_to; at++)
                if (d->obj[at]->o.cls == CLS_VMA && strcmp(d->obj[at]->vma->name, name) == 0)
                        return true;
        return false;
}
