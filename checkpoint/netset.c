/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Settings of a network namespace: everything below /proc/sys/net that can be read and written there.
 *
 * The tree shows the namespace of whoever looks, at each step of a path, so it is walked by a thread that is in the namespace and comes
 * back. What a new namespace has is not known by heart: it depends on the node and its kernel, so a new one is made and read the
 * same way, before anything is frozen, and is gone when we have left it. The offloads of a new link are found out there too.
 *
 * Files that cannot be written (counts, limits of the node) are no settings; neither are those that cannot be read
 * (route/flush), or that answer with an error because they are not set (stable_secret).
 */
#include "checkpoint/netset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"

#define ROOT "/proc/sys/net"
#define DEPTH 6
#define NAME 256

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct net_setting *)a)->name, ((const struct net_setting *)b)->name);
}

static int add(struct net_settings *s, const char *name, const char *value, struct err *err)
{
        if (s->n == s->cap) {
                size_t cap = s->cap ? s->cap * 2 : 512;
                struct net_setting *grown = realloc(s->at, cap * sizeof(*grown));
                if (!grown)
                        return kind_nomem(err);
                s->at = grown;
                s->cap = cap;
        }
        struct net_setting *x = &s->at[s->n];
        *x = (struct net_setting){ .name = strdup(name), .value = strdup(value) };
        s->n++;
        return x->name && x->value ? 0 : kind_nomem(err);
}

/* It has gone, is not ours to see, or is not set; anything else is our trouble. */
static bool says_nothing(int e)
{
        return e == ENOENT || e == EACCES || e == EPERM || e == EIO || e == EINVAL || e == EOPNOTSUPP;
}

/* One that is too long to be a setting is read as far as it goes, and is refused where it differs. */
static int read_one(int dir, const char *file, const char *name, struct net_settings *s, struct err *err)
{
        char value[NET_SETTING_MAX + 2];
        struct stat st;

        if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0222) || !(st.st_mode & 0444))
                return 0;
        int fd = sys_openat(dir, file, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
                return says_nothing(-fd) ? 0 : err_sys(err, EX_FAIL, fd, "cannot read a setting of a network namespace", "%s", name);
        ssize_t n = read(fd, value, sizeof(value) - 1);
        int e = n < 0 ? errno : 0;
        fd_close(fd);
        if (n < 0)
                return says_nothing(e) ? 0 : err_sys(err, EX_FAIL, e, "cannot read a setting of a network namespace", "%s", name);
        value[n] = '\0';
        if (n && value[n - 1] == '\n')
                value[n - 1] = '\0';
        return add(s, name, value, err);
}

static int walk(int parent, const char *file, const char *name, unsigned depth, struct net_settings *s, struct err *err)
{
        _cleanup_close_ int fd = sys_openat(parent, file, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir)
                return err_sys(err, EX_FAIL, errno, "cannot read the settings of a network namespace", "%s", name);
        int at = fd;
        fd = -1;
        for (const struct dirent *e; (e = readdir(dir));) {
                char path[NAME];
                if (e->d_name[0] == '.' && (!e->d_name[1] || str_eq(e->d_name, "..")))
                        continue;
                if (snprintf(path, sizeof(path), "%s/%s", name, e->d_name) >= (int)sizeof(path))
                        return err_set(err, EX_FAIL, "cannot read the settings of a network namespace", "a name is too long", "%s", path);
                int r = e->d_type == DT_DIR ? depth ? walk(at, e->d_name, path, depth - 1, s, err) : 0
                                            : read_one(at, e->d_name, path, s, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Runs in the namespace behind `netns`, or in a new one for -1, and comes back. */
static int within(int netns, int (*run)(void *ctx, struct err *err), void *ctx, struct err *err)
{
        _cleanup_close_ int own = path_open(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY, 0, err);

        if (own < 0)
                return own;
        int r = netns < 0 ? sys_unshare(CLONE_NEWNET) : sys_setns(netns, CLONE_NEWNET);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot enter a network namespace", "%s", netns < 0 ? "a new one" : "the container's");
        r = run(ctx, err);
        int q = sys_setns(own, CLONE_NEWNET);
        for (int i = 0; q < 0 && i < 3; i++)   /* staying in the wrong namespace would be worse than anything else */
                q = setns(own, CLONE_NEWNET) < 0 ? -errno : 0;
        return r >= 0 && q < 0 ? err_sys(err, EX_FAIL, q, "cannot return to the own network namespace", "%s", "") : r;
}

DEFINE_CLEANUP(struct nl *, nl_free)

/* A pair of veth is made, to see what such a link begins with. A kernel without them has none in any container. */
static int read_veth(struct net_settings *s, struct err *err)
{
        CLEANUP(nl_freep) struct nl *nl = NULL;
        struct err e = {};
        int r = nl_open(&nl, err);

        if (r < 0)
                return r;
        if (nl_veth_create(nl, "eth0", NULL, -1, "eth1", NULL, &e) < 0)
                return e.code == EX_KERNEL ? 0 : err_take(err, &e);
        r = nl_link_features("eth0", s->features.veth, err);
        if (r >= 0)
                r = nl_link_channels("eth0", s->features.channels, err);
        return r < 0 ? r : nl_link_delete(nl, "eth0", err);
}

/* A new namespace has no link but lo. */
static int read_new(void *ctx, struct err *err)
{
        struct net_settings *s = ctx;
        int r = read_veth(s, err);

        if (r >= 0)
                r = nl_link_features("lo", s->features.lo, err);
        return r < 0 ? r : walk(AT_FDCWD, ROOT, "net", DEPTH, s, err);
}

static int read_all(void *ctx, struct err *err)
{
        return walk(AT_FDCWD, ROOT, "net", DEPTH, ctx, err);
}

struct links { struct nl_link *at; size_t n; const struct net_settings *fresh; };

static int compare_links(void *ctx, struct err *err)
{
        struct links *l = ctx;

        for (size_t i = 0; i < l->n; i++) {
                bool veth = str_eq(l->at[i].kind, "veth"), lo = !l->at[i].kind[0] && l->at[i].flags & IFF_LOOPBACK;
                uint32_t is[NL_FEATURES], channels[3];
                if (!veth && !lo)
                        continue;   /* refused for what it is */
                int r = nl_link_features(l->at[i].name, is, err);
                if (r < 0)
                        return r;
                if (memcmp(is, veth ? l->fresh->features.veth : l->fresh->features.lo, sizeof(is)) != 0)
                        l->at[i].odd = "offloads of its own (ethtool -K)";
                r = veth ? nl_link_channels(l->at[i].name, channels, err) : 0;
                if (r < 0)
                        return r;
                if (veth && memcmp(channels, l->fresh->features.channels, sizeof(channels)) != 0)
                        l->at[i].odd = "a number of queues of its own (ethtool -L)";
        }
        return 0;
}

int net_links_compare(int netns, struct nl_link *at, size_t n, const struct net_settings *fresh, struct err *err)
{
        struct links l = { at, n, fresh };

        return within(netns, compare_links, &l, err);
}

int net_settings_read(int netns, struct net_settings *ret, struct err *err)
{
        struct net_settings s = {};
        int r = within(netns, netns < 0 ? read_new : read_all, &s, err);

        if (r < 0) {
                net_settings_done(&s);
                return r;
        }
        if (s.n)
                qsort(s.at, s.n, sizeof(*s.at), by_name);
        *ret = s;
        return 0;
}

void net_settings_done(struct net_settings *s)
{
        for (size_t i = 0; i < s->n; i++) {
                free((char *)(uintptr_t)s->at[i].name);
                free((char *)(uintptr_t)s->at[i].value);
        }
        free(s->at);
        *s = (struct net_settings){};
}

const char *net_settings_get(const struct net_settings *s, const char *name)
{
        struct net_setting key = { .name = name };
        const struct net_setting *x = s->n ? bsearch(&key, s->at, s->n, sizeof(*s->at), by_name) : NULL;

        return x ? x->value : NULL;
}

/* "net/ipv4/conf/eth0/forwarding" begins as "net/ipv4/conf/default/forwarding", and so does "net/ipv6/neigh/eth0/…". */
static const char *beginning(const struct net_settings *fresh, const char *name)
{
        const char *value = net_settings_get(fresh, name);
        const char *p = strstr(name, "/conf/");
        char path[NAME];

        if (!p)
                p = strstr(name, "/neigh/");
        if (value || !p)
                return value;
        p = strchr(p + 1, '/') + 1;
        const char *end = strchr(p, '/');
        if (!end)
                return NULL;
        snprintf(path, sizeof(path), "%.*sdefault%s", (int)(p - name), name, end);
        return net_settings_get(fresh, path);
}

void net_settings_compare(struct net_settings *s, const struct net_settings *fresh)
{
        for (size_t i = 0; i < s->n; i++) {
                const char *value = beginning(fresh, s->at[i].name);
                s->at[i].changed = !value || !str_eq(value, s->at[i].value);
        }
}
