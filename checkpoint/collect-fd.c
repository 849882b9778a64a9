/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, descriptors: every entry of every table becomes a FILE object, once per open file description.
 *
 * Looked at from outside: /proc/PID/fd, fdinfo, and a duplicate by pidfd_getfd (5.6+). The duplicate is asked by statx
 * with AT_STATX_DONT_SYNC and never by statfs on a FUSE mount: its server may be one of the tasks that stand still.
 * Two entries are the same description when (dev, ino, flags, position) are equal and kcmp(KCMP_FILE) says so.
 *
 * Sockets get their rows of sock_diag(7), read once for the container's network namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

int dump_dup(struct dump *d, const struct dump_obj *x, struct err *err)
{
        int fd = sys_pidfd_getfd(d->task[x->task].pidfd, x->fd);

        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot duplicate a descriptor", "process %d, descriptor %d",
                               (int)d->task[x->task].vpid, x->fd);
        return fd;
}

static uint64_t hash(uint64_t dev, uint64_t ino)
{
        uint64_t h = (dev * UINT64_C(0x9e3779b97f4a7c15)) ^ ino;

        h ^= h >> 29;
        h *= UINT64_C(0xbf58476d1ce4e5b9);
        return h ^ (h >> 32);
}

static int buckets(struct dump *d, struct err *err)
{
        if (d->bucket)
                return 0;
        d->n_bucket = 16384;
        d->bucket = calloc(d->n_bucket, sizeof(*d->bucket));
        return d->bucket ? 0 : kind_nomem(err);
}

static struct dump_obj *known(struct dump *d, const struct file_facts *ff, size_t task)
{
        uint64_t at = d->bucket[hash(ff->st.st_dev, ff->st.st_ino) % d->n_bucket];

        for (; at; at = d->obj[at - 1]->next) {
                struct dump_obj *x = d->obj[at - 1];
                if (x->dev != ff->st.st_dev || x->ino != ff->st.st_ino || x->ff->flags != ff->flags ||
                    x->ff->pos != ff->pos)
                        continue;
                if (sys_kcmp(d->task[x->task].pid, d->task[task].pid, KCMP_FILE, (unsigned long)x->fd,
                             (unsigned long)ff->fd) == 0)
                        return x;
        }
        return NULL;
}

static void stat_from(const struct statx *sx, struct stat *st)
{
        *st = (struct stat){ .st_dev = makedev(sx->stx_dev_major, sx->stx_dev_minor),
                             .st_rdev = makedev(sx->stx_rdev_major, sx->stx_rdev_minor),
                             .st_ino = sx->stx_ino,
                             .st_mode = sx->stx_mode,
                             .st_nlink = sx->stx_nlink,
                             .st_uid = sx->stx_uid,
                             .st_gid = sx->stx_gid,
                             .st_size = (off_t)sx->stx_size,
                             .st_blocks = (blkcnt_t)sx->stx_blocks };
        st->st_mtim.tv_sec = sx->stx_mtime.tv_sec;
        st->st_mtim.tv_nsec = sx->stx_mtime.tv_nsec;
}

static void socket_facts(struct dump *d, size_t task, int fd, struct file_facts *ff)
{
        int grouped = 0;
        socklen_t len = sizeof(int);
        struct tcp_info info = {};

        (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &ff->family, &len);
        len = sizeof(int);
        (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &ff->type, &len);
        len = sizeof(int);
        (void)getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &ff->protocol, &len);
        if ((ff->family == AF_INET || ff->family == AF_INET6) && ff->protocol == IPPROTO_TCP) {
                len = sizeof(info);
                if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
                        ff->tcp_state = info.tcpi_state;
                len = sizeof(grouped);
                if (getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &grouped, &len) == 0 && grouped)
                        (void)sleepers_steered(d->s.sleepers, d->task[task].pid, ff->fd, &ff->tcp_steered);
        }
        for (size_t i = 0; ff->tcp_state && i < d->n_signed_tcp; i++)
                ff->tcp_signed |= d->signed_tcp[i] == ff->st.st_ino;
        for (size_t i = 0; ff->family == AF_UNIX && i < d->n_ux; i++)
                if (d->ux[i].ino == ff->st.st_ino)
                        ff->ux = &d->ux[i].d;
}

static int mount_facts(struct dump *d, size_t task, struct file_facts *ff, int fd)
{
        const struct mountinfo *m = dump_mountinfo(d, task, ff->mnt_id);
        struct statfs sf;

        ff->external_mount = true;
        for (size_t i = 0; i < d->n_mntns; i++)
                for (size_t k = 0; k < d->mntns[i].n; k++)
                        if (d->mntns[i].m[k].id == ff->mnt_id) {
                                ff->external_mount = false;
                                ff->mount = d->mntns[i].external ? 0 : d->mntns[i].id[k];
                        }
        if (m && strncmp(m->type, "fuse", 4) == 0)
                return 0;
        if (fstatfs(fd, &sf) == 0)
                ff->fs_magic = (uint64_t)(uint32_t)sf.f_type;
        return 0;
}

static int read_fdinfo(struct dump *d, size_t task, unsigned n, struct dump_obj *own, struct proc_fdinfo *ret, struct err *err)
{
        char name[48];
        size_t len = 0;

        snprintf(name, sizeof(name), "fdinfo/%u", n);
        int r = proc_read(d->task[task].procfd, name, &own->fdinfo, &len, err);
        return r < 0 ? r : proc_fdinfo_head(own->fdinfo, len, ret, err);
}

/* The rest, behind what fdinfo has told. */
static int read_facts(struct dump *d, size_t task, struct file_facts *ff, struct dump_obj *own, struct err *err)
{
        struct dump_task *t = &d->task[task];
        int n = ff->fd;
        char name[48];

        ff->family = ff->type = ff->protocol = -1;
        own->link = malloc(PATH_MAX);
        if (!own->link)
                return kind_nomem(err);
        snprintf(name, sizeof(name), "fd/%d", n);
        int r = proc_readlink(t->procfd, name, own->link, PATH_MAX, err);
        if (r < 0)
                return r;
        ff->link = own->link;
        ff->fdinfo = own->fdinfo;
        _cleanup_close_ int fd = sys_pidfd_getfd(t->pidfd, n);
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot duplicate a descriptor", "process %d, descriptor %d", (int)t->vpid, n);
        struct statx sx;
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &sx) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a descriptor", "process %d, descriptor %d", (int)t->vpid, n);
        stat_from(&sx, &ff->st);
        size_t ll = strlen(ff->link);
        ff->deleted = (ff->st.st_nlink == 0 || (ll > 10 && str_eq(ff->link + ll - 10, " (deleted)"))) && ff->link[0] == '/';
        if (S_ISSOCK(ff->st.st_mode))
                socket_facts(d, task, fd, ff);
        return mount_facts(d, task, ff, fd);
}

static int add_file(struct dump *d, size_t task, const struct file_facts *ff, struct dump_obj *own, uint64_t *ret,
                    struct err *err)
{
        struct dump_obj *x = dump_add(d, CLS_FILE);

        if (!x)
                return kind_nomem(err);
        x->task = task;
        x->fd = ff->fd;
        x->dev = ff->st.st_dev;
        x->ino = ff->st.st_ino;
        x->link = TAKE_PTR(own->link);
        x->fdinfo = TAKE_PTR(own->fdinfo);
        x->ff = malloc(sizeof(*ff));
        if (!x->ff)
                return kind_nomem(err);
        *x->ff = *ff;
        uint64_t *head = &d->bucket[hash(x->dev, x->ino) % d->n_bucket];
        x->next = *head;
        *head = x->o.id;
        d->stats.fds++;
        *ret = x->o.id;
        return 0;
}

/* fdinfo shows the locks of the process that it is read of (POSIX ones are a table's): any holder's is the description's. */
static void lock_of(struct dump_obj *x, size_t task, const struct file_facts *ff, struct dump_obj *own)
{
        if (strncmp(own->fdinfo, "lock:", 5) != 0 && !strstr(own->fdinfo, "\nlock:"))
                return;
        free(x->fdinfo);
        x->fdinfo = TAKE_PTR(own->fdinfo);
        x->ff->fdinfo = x->fdinfo;
        x->task = task;
        x->fd = x->ff->fd = ff->fd;
}

/* What a child has inherited needs no look of its own: the parent's object, or NULL. */
static struct dump_obj *inherited(struct dump *d, size_t task, unsigned fd)
{
        const struct dump_task *t = &d->task[task], *parent = &d->task[t->parent_at];
        size_t lo = 0, hi = task == t->parent_at ? 0 : parent->n_fds;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (parent->fds[mid].fd == fd)
                        return sys_kcmp(parent->pid, t->pid, KCMP_FILE, fd, fd) == 0 ? dump_find(d, parent->fds[mid].file) : NULL;
                if (parent->fds[mid].fd < fd)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return NULL;
}

/* One entry of a table: its own flag, and the description behind it. */
static int walk_entry(struct dump *d, size_t task, unsigned fd, struct fd_entry *e, struct err *err)
{
        struct dump_obj own = {}, *x;
        struct proc_fdinfo head = {};
        int r = read_fdinfo(d, task, fd, &own, &head, err);
        struct file_facts ff = { .fd = (int)fd, .flags = head.flags & ~(unsigned)O_CLOEXEC, .pos = head.pos, .mnt_id = head.mnt_id };

        *e = (struct fd_entry){ .fd = fd, .cloexec = head.flags & O_CLOEXEC };
        x = r >= 0 ? inherited(d, task, fd) : NULL;
        if (r >= 0 && !x) {
                r = read_facts(d, task, &ff, &own, err);
                x = r >= 0 ? known(d, &ff, task) : NULL;
        }
        if (x) {
                lock_of(x, task, &ff, &own);
                e->file = x->o.id;
        } else if (r >= 0) {
                r = add_file(d, task, &ff, &own, &e->file, err);
        }
        free(own.link);
        free(own.fdinfo);
        return r < 0 ? r : 0;
}

int dump_walk_files(struct dump *d, size_t task, struct err *err)
{
        struct dump_task *t = &d->task[task];
        _cleanup_free_ unsigned *fds = NULL;
        size_t n = 0;
        int r = buckets(d, err);

        if (r >= 0)
                r = proc_numbers(t->procfd, "fd", &fds, &n, err);
        if (r < 0)
                return r;
        t->fds = calloc(n ? n : 1, sizeof(*t->fds));
        if (!t->fds)
                return kind_nomem(err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = walk_entry(d, task, fds[i], &t->fds[t->n_fds++], err);
        return r;
}
