/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk over cgroups (base/cgroup-walk.h).
 *
 * Depth costs memory, never descriptors or stack: each level keeps the names of its children, and the way up is
 * "..", which cgroup2 cannot rename away (v1 can, but only by who owns the directory). A child that vanished between
 * the listing and its turn is passed over.
 */
#include "base/cgroup-walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

struct level {
        struct level *up;
        struct strbuf names; /* NUL after each */
        size_t at;           /* next one */
        char name[256];      /* ours in the level above */
};

static int failed(struct err *err, int sysno, const char *on)
{
        return err_sys(err, EX_FAIL, sysno, "cannot walk the cgroups", "%s", on);
}

static void level_free(struct level *l)
{
        strbuf_done(&l->names);
        free(l);
}

static int list(int fd, struct strbuf *names, struct err *err)
{
        const struct dirent *e;
        int own = sys_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0);

        if (own < 0)
                return failed(err, own, "list");
        _cleanup_closedir_ DIR *d = fdopendir(own);
        if (!d) {
                fd_close(own);
                return failed(err, errno, "list");
        }
        for (errno = 0; (e = readdir(d)); errno = 0)
                if (e->d_type == DT_DIR && !str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
                        strbuf_add(names, e->d_name, strlen(e->d_name) + 1);
        if (errno && errno != ENOENT) /* removed while being read */
                return failed(err, errno, "list");
        return names->bad ? failed(err, ENOMEM, "list") : 0;
}

/* Enters the directory fd as a new level. */
static int push(struct level **top, int fd, const char *name, const struct cgroup_walk_ops *ops, struct err *err)
{
        struct level *l = calloc(1, sizeof(*l));

        if (!l)
                return failed(err, ENOMEM, name);
        str_copy(l->name, sizeof(l->name), name);
        l->up = *top;
        *top = l;
        int r = ops->enter ? ops->enter(ops->ctx, fd, err) : 0;
        return r < 0 ? r : list(fd, &l->names, err);
}

/* Leaves the level: fd becomes its parent. */
static int pop(struct level **top, int *fd, const struct cgroup_walk_ops *ops, struct err *err)
{
        struct level *l = *top;
        int r = 0;

        *top = l->up;
        if (l->up) {
                int up = sys_openat(*fd, "..", O_RDONLY | O_DIRECTORY, 0);
                fd_close(*fd);
                *fd = up;
                if (up < 0)
                        r = failed(err, up, l->name);
                else if (ops->leave)
                        r = ops->leave(ops->ctx, up, l->name, err);
        }
        level_free(l);
        return r;
}

int cgroup_walk(int fd, const struct cgroup_walk_ops *ops, struct err *err)
{
        struct level *top = NULL;
        _cleanup_close_ int cur = sys_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0);

        if (cur < 0)
                return failed(err, cur, "top");
        int r = push(&top, cur, "", ops, err);
        while (r >= 0 && top) {
                if (top->at >= top->names.len) {
                        r = pop(&top, &cur, ops, err);
                        continue;
                }
                const char *name = top->names.s + top->at;
                top->at += strlen(name) + 1;
                int next = sys_openat(cur, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
                if (next == -ENOENT)
                        continue;
                if (next < 0) {
                        r = failed(err, next, name);
                        continue;
                }
                fd_close(cur);
                cur = next;
                r = push(&top, cur, name, ops, err);
        }
        while (top) {
                struct level *l = top;
                top = l->up;
                level_free(l);
        }
        return r < 0 ? r : 0;
}
