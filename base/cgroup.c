/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup trees (base/cgroup.h): what is mounted where, and a container's directories in all of it.
 *
 * v1: every hierarchy is a tree of its own, controllers may share one (cpu,cpuacct), and the same hierarchy may be
 * mounted at several places: they are told apart by device number. v2: one tree; a controller reaches a child only
 * if every cgroup above lists it in cgroup.subtree_control, and a cgroup that does must hold no process itself. So
 * controllers are enabled down to PATH, and below it only by cgroup_delegate(). Where cgroup2 is mounted nowhere, a detached mount of it is
 * used: the tree is the same whoever mounts it.
 *
 * Limits and usage are cgroup-limits.c, freezing and killing cgroup-v2.c.
 */
#include "base/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cgroup-walk.h"
#include "base/cleanup.h"
#include "base/mountapi.h"
#include "base/path.h"
#include "base/procfs.h"
#include "base/str.h"
#include "base/sys.h"

/* v1 hierarchies in which a container gets a directory. */
static const char *const wanted[] = {"memory", "cpu", "cpuacct", "pids", "freezer", "devices", "name=systemd"};
#define WANTED ELEMENTSOF(wanted)

static const char *const names[CG_CONTROLLERS] = {[CG_MEMORY] = "memory", [CG_CPU] = "cpu", [CG_PIDS] = "pids"};

struct hierarchy {
        int fd;
        dev_t dev;
        unsigned controllers; /* bit per entry of `wanted` */
};

struct cgroups {
        int v2;
        unsigned v2_controllers; /* bit per enum cg_controller */
        struct hierarchy v1[WANTED];
        size_t n;
};

#define LEAF "payload"

static bool word_in(const char *list, const char *word, const char *separators)
{
        size_t len = strlen(word);

        for (const char *p = list; *p;) {
                size_t n = strcspn(p, separators);
                if (n == len && memcmp(p, word, n) == 0)
                        return true;
                p += n;
                p += strspn(p, separators);
        }
        return false;
}

/* The mount's directory in *ret, or -1 there where something else is mounted over it by now. A hierarchy that could only not
 * be opened must not be forgotten: a container's directory in it would stay for ever. */
static int open_mount(const struct mountinfo *m, int *ret, struct err *err)
{
        struct stat st;
        _cleanup_close_ int fd = sys_openat(AT_FDCWD, m->target, O_RDONLY | O_DIRECTORY, 0);

        *ret = -1;
        if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -EACCES)
                return err_sys(err, EX_FAIL, fd, "cannot open a cgroup hierarchy", "%s", m->target);
        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == makedev(m->major, m->minor))
                *ret = TAKE_FD(fd);
        return 0;
}

static int add_v1(struct cgroups *c, const struct mountinfo *m, struct err *err)
{
        dev_t dev = makedev(m->major, m->minor);
        unsigned mask = 0;

        for (unsigned i = 0; i < WANTED; i++)
                if (word_in(m->super_options, wanted[i], ","))
                        mask |= 1u << i;
        for (size_t i = 0; i < c->n; i++)
                if (c->v1[i].dev == dev)
                        return 0;
        if (!mask || c->n == WANTED)
                return 0;
        int fd, r = open_mount(m, &fd, err);
        if (fd >= 0)
                c->v1[c->n++] = (struct hierarchy){.fd = fd, .dev = dev, .controllers = mask};
        return r;
}

static int open_v2(struct cgroups *c, struct err *err)
{
        _cleanup_free_ char *text = NULL;

        if (c->v2 < 0)
                c->v2 = mount_new("cgroup2", "gantry", NULL, 0, err);
        if (c->v2 < 0)
                return c->v2;
        int r = path_read(c->v2, "cgroup.controllers", &text, NULL, err);
        if (r < 0)
                return err_wrap(err, "cannot use the cgroup2 tree", "%s", "cgroup.controllers");
        for (unsigned i = 0; i < CG_CONTROLLERS; i++)
                if (names[i] && word_in(text, names[i], " \n"))
                        c->v2_controllers |= 1u << i;
        c->v2_controllers |= 1u << CG_FREEZER_V2;
        return 0;
}

int cgroups_open(struct cgroups **ret, struct err *err)
{
        struct mountinfo *m = NULL;
        size_t n = 0;
        _cleanup_close_ int self = sys_openat(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY, 0);

        if (self < 0)
                return err_sys(err, EX_FAIL, self, "cannot open", "/proc/self");
        struct cgroups *c = calloc(1, sizeof(*c));
        if (!c)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot look at the cgroups", "%s", "");
        c->v2 = -1;
        int r = mountinfo_read(self, &m, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++) {
                if (str_eq(m[i].type, "cgroup"))
                        r = add_v1(c, &m[i], err);
                else if (str_eq(m[i].type, "cgroup2") && c->v2 < 0)
                        r = open_mount(&m[i], &c->v2, err);
        }
        mountinfo_free(m, n);
        if (r == 0)
                r = open_v2(c, err);
        if (r < 0) {
                cgroups_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void cgroups_free(struct cgroups *c)
{
        if (!c)
                return;
        fd_close(c->v2);
        for (size_t i = 0; i < c->n; i++)
                fd_close(c->v1[i].fd);
        free(c);
}

bool cgroups_is_v2(const struct cgroups *c, enum cg_controller k)
{
        return c->v2_controllers & 1u << k;
}

/* Plain components only: a path from a configuration must not leave the tree. */
static int check_path(const char *path, struct err *err)
{
        bool fine = *path != '\0' && strlen(path) < 1024;

        for (const char *p = path; fine && *p;) {
                size_t n = strcspn(p, "/");
                fine = n > 0 && n < 256 && p[0] != '.' && !memchr(p, '\n', n);
                p += n;
                if (*p == '/' && !*++p)
                        fine = false;
        }
        return fine ? 0 : err_set(err, EX_CONFIG, "wrong cgroup path", "it must be relative, without dots", "%s", path);
}

/* "+memory +pids" for what is v2 here; empty if none. */
static void subtree_text(const struct cgroups *c, char *ret, size_t size)
{
        size_t len = 0;

        ret[0] = '\0';
        for (unsigned i = 0; i < CG_CONTROLLERS; i++)
                if (names[i] && c->v2_controllers & 1u << i && len < size)
                        len += (size_t)snprintf(ret + len, size - len, "%s+%s", len ? " " : "", names[i]);
}

static int enable(int dirfd, const char *text, const char *path, struct err *err)
{
        if (!*text)
                return 0;
        int r = path_write(dirfd, "cgroup.subtree_control", text, err);
        if (r < 0) {
                r = err_wrap(err, "cannot enable the controllers of a cgroup", "above %s", path);
                if (err && err->sys == EBUSY)
                        err_remedy(err, "processes run in that cgroup itself; choose another `cgroup` in node.conf");
        }
        return r;
}

/* Makes PATH one component at a time, enabling controllers on the way; the leaf's descriptor or <0. */
static int make_v2(const struct cgroups *c, const char *path, struct err *err)
{
        char text[64], name[256];
        _cleanup_close_ int fd = sys_openat(c->v2, ".", O_RDONLY | O_DIRECTORY, 0);

        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot make a cgroup", "%s", path);
        subtree_text(c, text, sizeof(text));
        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");
                snprintf(name, sizeof(name), "%.*s", (int)n, p);
                int r = enable(fd, text, path, err);
                if (r < 0)
                        return r;
                r = sys_mkdirat(fd, name, 0755);
                if (r < 0 && r != -EEXIST)
                        return err_sys(err, EX_FAIL, r, "cannot make a cgroup", "%s", path);
                int next = sys_openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
                if (next < 0)
                        return err_sys(err, EX_FAIL, next, "cannot make a cgroup", "%s", path);
                fd_close(fd);
                fd = next;
                p += n + (p[n] == '/');
        }
        return TAKE_FD(fd);
}

static int make_all(struct cgroups *c, const char *path, struct err *err)
{
        _cleanup_close_ int fd = make_v2(c, path, err);

        if (fd < 0)
                return fd;
        int r = sys_mkdirat(fd, LEAF, 0755);
        if (r < 0 && r != -EEXIST)
                return err_sys(err, EX_FAIL, r, "cannot make a cgroup", "%s/" LEAF, path);
        for (size_t i = 0; i < c->n; i++) {
                r = path_mkdir_p(c->v1[i].fd, path, 0755, err);
                if (r < 0)
                        return err_wrap(err, "cannot make a cgroup", "%s", path);
        }
        return 0;
}

int cgroup_create(struct cgroups *c, const char *path, struct err *err)
{
        int r = check_path(path, err);

        if (r < 0)
                return r;
        bool existed = path_exists(c->v2, path);
        r = make_all(c, path, err);
        if (r < 0 && !existed)
                (void)cgroup_remove(c, path, NULL); /* the failure above is what counts */
        return r;
}

int cgroup_delegate(struct cgroups *c, const char *path, struct err *err)
{
        char text[64];
        _cleanup_close_ int fd = cgroup_open_v2(c, path, err);

        if (fd < 0)
                return fd;
        subtree_text(c, text, sizeof(text));
        return enable(fd, text, path, err);
}

static int attach_one(int rootfd, const char *path, const char *leaf, pid_t pid, struct err *err)
{
        char file[1400], text[16];

        snprintf(file, sizeof(file), "%s%s%s/cgroup.procs", path, *leaf ? "/" : "", leaf);
        snprintf(text, sizeof(text), "%d", pid);
        int r = path_write(rootfd, file, text, err);
        return r < 0 ? err_wrap(err, "cannot move a process into a cgroup", "pid %d", pid) : 0;
}

int cgroup_attach(struct cgroups *c, const char *path, const char *v2leaf, pid_t pid, struct err *err)
{
        int r = check_path(path, err);

        if (r == 0 && v2leaf && *v2leaf)
                r = check_path(v2leaf, err);
        if (r < 0)
                return r;
        if (pid <= 0) /* 0 would be the caller */
                return err_sys(err, EX_FAIL, EINVAL, "cannot move a process into a cgroup", "pid %d", pid);
        for (size_t i = 0; i < c->n; i++) {
                r = attach_one(c->v1[i].fd, path, "", pid, err);
                if (r < 0)
                        return r;
        }
        return v2leaf ? attach_one(c->v2, path, v2leaf, pid, err) : 0;
}

/* A process that has just been reaped may still be on its way out of the cgroup: EBUSY is asked again for a while. */
static int remove_dir(int parentfd, const char *name, struct err *err)
{
        struct timespec nap = {.tv_nsec = 2000000};
        int r = sys_unlinkat(parentfd, name, AT_REMOVEDIR);

        for (int i = 0; r == -EBUSY && i < 100; i++) {
                (void)nanosleep(&nap, NULL);
                r = sys_unlinkat(parentfd, name, AT_REMOVEDIR);
        }
        if (r == 0 || r == -ENOENT)
                return 0;
        r = err_sys(err, r == -EBUSY ? EX_STATE : EX_FAIL, r, "cannot remove a cgroup", "%s", name);
        if (err && err->sys == EBUSY)
                err_remedy(err, "processes are left in it");
        return r;
}

static int remove_child(void *ctx, int parentfd, const char *name, struct err *err)
{
        (void)ctx;
        return remove_dir(parentfd, name, err);
}

static int remove_tree(int rootfd, const char *path, struct err *err)
{
        struct cgroup_walk_ops ops = {.leave = remove_child};
        _cleanup_close_ int fd = sys_openat(rootfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot remove a cgroup", "%s", path);
        int r = cgroup_walk(fd, &ops, err);
        return r < 0 ? r : remove_dir(rootfd, path, err);
}

int cgroup_remove(struct cgroups *c, const char *path, struct err *err)
{
        int r = check_path(path, err);

        if (r < 0)
                return r;
        /* All are tried, so that one that is busy does not leave the others behind; the first failure is told. */
        r = remove_tree(c->v2, path, err);
        for (size_t i = 0; i < c->n; i++) {
                int q = remove_tree(c->v1[i].fd, path, r < 0 ? NULL : err);
                if (r == 0)
                        r = q;
        }
        return r;
}

static int open_dir(int rootfd, const char *path, struct err *err)
{
        int r = check_path(path, err);

        if (r < 0)
                return r;
        int fd = sys_openat(rootfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        return fd < 0 ? err_sys(err, fd == -ENOENT ? EX_UNKNOWN : EX_FAIL, fd, "cannot open a cgroup", "%s", path)
                      : fd;
}

int cgroup_open_v2(struct cgroups *c, const char *path, struct err *err)
{
        return open_dir(c->v2, path, err);
}

int cgroup_open_controller(struct cgroups *c, enum cg_controller k, const char *path, struct err *err)
{
        if (cgroups_is_v2(c, k))
                return open_dir(c->v2, path, err);
        for (size_t i = 0; i < c->n; i++)
                for (unsigned w = 0; w < WANTED; w++)
                        if (c->v1[i].controllers & 1u << w && str_eq(wanted[w], names[k]))
                                return open_dir(c->v1[i].fd, path, err);
        return err_set(err, EX_KERNEL, "cannot use a cgroup controller", "it is neither in v1 nor in v2", "%s",
                       names[k]);
}
