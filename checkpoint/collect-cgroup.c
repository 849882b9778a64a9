/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, cgroups: the directories that the container has made below its payload, and which of them each thread is in.
 *
 * A thread is found by cgroup.threads, which lists it in every type of directory (cgroup.procs cannot be read in a threaded one).
 * All of them stand still meanwhile, so nobody moves. A process that has ended is listed nowhere; its /proc still tells.
 *
 * Where the tree has no cgroup namespace of its own, directories are the caller's business; but a process in one would come back
 * in another, so that is refused by name. Not here: what a directory is like (kind/cgdir.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/procfs.h"
#include "base/str.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/kind/cgdir.h"
#include "checkpoint/kind/kinds.h"

#define THREADS_MAX ((size_t)64 << 20)

struct place { pid_t tid; uint64_t dir; };

struct walk {
        struct dump *d;
        struct cg_base *base;
        struct place *place;
        size_t n, cap;
        unsigned dirs;
        struct err *err;
};

static int failed(struct walk *w, int sysno, const char *path)
{
        return err_sys(w->err, EX_FAIL, sysno, "cannot look into the container's cgroup", "/%.100s", path);
}

static int add_place(struct walk *w, pid_t tid, uint64_t dir)
{
        if (w->n == w->cap) {
                size_t cap = w->cap ? w->cap * 2 : 256;
                struct place *grown = reallocarray(w->place, cap, sizeof(*grown));
                if (!grown)
                        return kind_nomem(w->err);
                w->place = grown;
                w->cap = cap;
        }
        w->place[w->n++] = (struct place){ tid, dir };
        return 0;
}

static int read_threads(struct walk *w, int fd, uint64_t dir, const char *path)
{
        _cleanup_free_ char *text = NULL;
        uint64_t tid;
        _cleanup_close_ int threads = path_open(fd, "cgroup.threads", O_RDONLY, 0, w->err);
        int r = threads < 0 ? threads : fd_read_all(threads, THREADS_MAX, &text, NULL, w->err);

        for (const char *p = text; r >= 0 && p && *p;) {
                if (!scan_u64(&p, &tid) || !scan_skip(&p, "\n") || tid > INT32_MAX)
                        return failed(w, EINVAL, path);
                r = add_place(w, (pid_t)tid, dir);
        }
        return r;
}

/* An object for the directory; *ret is borrowed. */
static int add_dir(struct walk *w, const char *path, uint64_t parent, struct dump_obj **ret)
{
        struct dump_obj *x = dump_add(w->d, CLS_CGROUP);

        if (!x || !(x->path = strdup(path)))
                return kind_nomem(w->err);
        const char *slash = strrchr(x->path, '/');
        x->o.facts.shown_pid = w->d->task[0].vpid;
        x->o.facts.comm = w->d->task[0].thread[0].stat.comm;
        x->o.facts.cgroup.path = x->path;
        x->o.facts.cgroup.name = slash ? slash + 1 : x->path;
        x->o.facts.cgroup.parent = parent;
        *ret = x;
        return 0;
}

/* A refusal that cannot wait for the others. */
static int refuse_now(struct walk *w, struct dump_obj *x, const char *odd)
{
        x->o.facts.cgroup.odd = odd;
        return kind_cg_dir.refuse(&x->o.facts, w->err);
}

static int walk_dir(struct walk *w, int fd, const char *path, uint64_t parent, unsigned depth);

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_children(struct walk *w, int fd, const char *path, struct dump_obj *x, unsigned depth)
{
        struct dirent **list = NULL;
        int n = scandirat(fd, ".", &list, NULL, by_name), r = 0;

        if (n < 0)
                return failed(w, errno, path);
        for (int i = 0; i < n; i++) {
                const char *name = list[i]->d_name;
                if (r >= 0 && list[i]->d_type == DT_DIR && !str_eq(name, ".") && !str_eq(name, "..")) {
                        char child[CG_PATH_MAX];
                        bool fits = snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", name) < (int)sizeof(child);
                        _cleanup_close_ int sub = fits ? path_open(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, w->err) : -1;
                        if (!fits || depth == CG_DEPTH_MAX || w->dirs == CG_DIRS_MAX)
                                r = refuse_now(w, x, "more directories, or deeper ones, than an image holds");
                        else
                                r = sub < 0 ? sub : walk_dir(w, sub, child, x->o.id, depth + 1);
                }
                free(list[i]);
        }
        free(list);
        return r;
}

static int walk_dir(struct walk *w, int fd, const char *path, uint64_t parent, unsigned depth)
{
        struct dump_obj *x = NULL;
        int r = add_dir(w, path, parent, &x);

        w->dirs++;
        if (r >= 0)
                r = cg_look(fd, parent == 0, w->base, w->d->s.ids, &x->cg, w->err);
        if (r >= 0)
                r = read_threads(w, fd, parent ? x->o.id : 0, path);
        if (r < 0)
                return r;
        x->o.facts.cgroup.seen = x->cg;
        if (parent && !cg_name_ok(x->o.facts.cgroup.name, strlen(x->o.facts.cgroup.name)))
                str_copy(x->cg->odd, sizeof(x->cg->odd), "a name that the kernel keeps for its own files");
        if (x->cg->odd[0])
                x->o.facts.cgroup.odd = x->cg->odd;
        return walk_children(w, fd, path, x, depth);
}

static int by_tid(const void *a, const void *b)
{
        const struct place *x = a, *y = b;

        return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int find_threads(struct walk *w)
{
        if (w->n)
                qsort(w->place, w->n, sizeof(*w->place), by_tid);
        for (size_t i = 0; i < w->d->n_task; i++) {
                struct dump_task *t = &w->d->task[i];
                for (size_t k = 0; k < t->n_thread; k++) {
                        struct place key = { .tid = t->thread[k].tid };
                        const struct place *p = w->n ? bsearch(&key, w->place, w->n, sizeof(key), by_tid) : NULL;
                        if (!p) {
                                err_set(w->err, EX_UNSUPPORTED, "cannot checkpoint a task", "it is in a cgroup that is not the container's",
                                        "process %d (%s)", (int)t->vpid, t->thread[k].stat.comm);
                                return err_remedy(w->err, "move it back to where the container's processes are");
                        }
                        t->thread[k].cgroup = p->dir;
                }
                t->cgroup = t->thread[0].cgroup;
        }
        return 0;
}

/* The v2 line of a /proc directory; cut off before its end. NULL: it has none that fits. */
static char *path_of(int procfd, char **ret_text)
{
        size_t len = 0;

        if (proc_read(procfd, "cgroup", ret_text, &len, NULL) < 0)
                return NULL;
        for (char *p = *ret_text; p && *p; p += strcspn(p, "\n"), p += *p == '\n')
                if (str_starts(p, "0::/")) {
                        p += 3;
                        p[strcspn(p, "\n")] = '\0';
                        return p;
                }
        return NULL;
}

/* As /proc shows the payload here: init's directory without what it has below that. */
static char *payload_path(struct walk *w, char **ret_text)
{
        const struct dump_task *init = &w->d->task[0];
        const struct dump_obj *x = dump_find(w->d, init->cgroup);
        char *path = path_of(init->procfd, ret_text);
        size_t len = path ? strlen(path) : 0, n = x ? strlen(x->path) : 0;

        if (!path || n >= len || (n && (strcmp(path + len - n, x->path) != 0 || path[len - n - 1] != '/')))
                return NULL;
        path[n ? len - n - 1 : len] = '\0';
        return path;
}

static int place_dead(struct walk *w, struct dump_dead *x, const char *payload)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int procfd = proc_open(x->pid, NULL);
        const char *path = procfd < 0 ? NULL : path_of(procfd, &text);
        size_t n = strlen(payload);

        if (path && n == 1)
                n = 0;   /* the payload is our own root */
        if (path && strncmp(path, payload, n) == 0 && (!path[n] || str_eq(path + n, "/")))
                return 0;
        for (size_t i = 0; path && strncmp(path, payload, n) == 0 && i < w->d->n_obj; i++)
                if (w->d->obj[i]->o.cls == CLS_CGROUP && str_eq(path + n + 1, w->d->obj[i]->path)) {
                        x->cgroup = w->d->obj[i]->o.id;
                        return 0;
                }
        err_set(w->err, EX_UNSUPPORTED, "cannot checkpoint a process", "it has ended in a cgroup that is gone, and nobody has waited for it",
                "process %d (%s)", (int)x->vpid, x->comm);
        return err_remedy(w->err, "let its parent wait for it, or end it, and try again");
}

/* No cgroup lists them. */
static int find_dead(struct walk *w)
{
        _cleanup_free_ char *text = NULL;
        const char *payload = w->d->n_dead ? payload_path(w, &text) : NULL;
        int r = 0;

        if (w->d->n_dead && !payload)
                return failed(w, EINVAL, "");
        for (size_t i = 0; r >= 0 && i < w->d->n_dead; i++)
                r = place_dead(w, &w->d->dead[i], payload);
        return r;
}

/* The first directory in which somebody is. */
static int refuse_populated(struct walk *w, int fd)
{
        struct dirent **list = NULL;
        int n = scandirat(fd, ".", &list, NULL, by_name), r = 0;

        if (n < 0)
                return failed(w, errno, "");
        for (int i = 0; i < n; i++) {
                const char *name = list[i]->d_name;
                if (r >= 0 && list[i]->d_type == DT_DIR && !str_eq(name, ".") && !str_eq(name, "..")) {
                        char events[NAME_MAX + 32];
                        _cleanup_free_ char *text = NULL;
                        struct dump_obj *x = NULL;
                        snprintf(events, sizeof(events), "%s/cgroup.events", name);
                        if (path_read(fd, events, &text, NULL, NULL) >= 0 && strstr(text, "populated 1") &&
                            (r = add_dir(w, name, 0, &x)) >= 0 && x)
                                x->o.facts.cgroup.odd = "processes in a cgroup below its own, and no cgroup namespace";
                }
                free(list[i]);
        }
        free(list);
        return r;
}

int dump_walk_cgroups(struct dump *d, struct err *err)
{
        struct walk w = { .d = d, .err = err };
        bool own = false;

        for (size_t i = 0; i < d->n_ns; i++)
                own |= d->ns[i].type == NS_CGROUP && !d->ns[i].external;
        if (d->s.cgroup_fd < 0)
                return 0;
        _cleanup_close_ int fd = path_open(d->s.cgroup_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
        if (fd < 0)
                return fd;
        if (!own)
                return refuse_populated(&w, fd);
        int r = cg_base_read(fd, &w.base, err);
        if (r >= 0)
                r = walk_dir(&w, fd, "", 0, 0);
        if (r >= 0)
                r = find_threads(&w);
        if (r >= 0)
                r = find_dead(&w);
        cg_base_free(w.base);
        free(w.place);
        return r;
}
