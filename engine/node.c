/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The node: its directories, node.conf, and what its containers must not share.
 *
 *      # /etc/gantry/node.conf; every key has a default, so has the whole file
 *      cgroup = gantry                       # subtree for containers, relative to each hierarchy's root
 *      bridge = br0                          # where a container's link goes unless its ct.conf says otherwise
 *      idmap_range = 1000000:16777216        # ids for containers, 65536 each
 *
 * The three directories are fixed. Two nodes on one kernel are two mount namespaces with their own bound over them, and
 * differ in cgroup, bridge and idmap_range; nothing here assumes to be alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/config.h"
#include "engine/ct-int.h"
#include "engine/ini.h"

#define CONF_FILE ETC_DIR "/node.conf"

static int node_entry(void *ctx, const struct ini_entry *e, struct err *err)
{
        struct node_config *c = ctx;
        const char *p = e->value;
        uint64_t base, count;

        if (*e->section)
                return ini_error(err, CONF_FILE, e->line, 1, "there are no sections here");
        if (str_eq(e->key, "cgroup")) {
                if (*p == '/' || strstr(p, "..") || strpbrk(p, " \t\"") || !str_copy(c->cgroup, sizeof(c->cgroup), p))
                        return ini_error(err, CONF_FILE, e->line, e->value_col, "cgroup: it must be a relative path without dots");
        } else if (str_eq(e->key, "bridge")) {
                if (strpbrk(p, "/ \t\":") || !str_copy(c->bridge, sizeof(c->bridge), p))
                        return ini_error(err, CONF_FILE, e->line, e->value_col, "bridge: this is no name of a link");
        } else if (str_eq(e->key, "idmap_range")) {
                if (!scan_u64(&p, &base) || !scan_skip(&p, ":") || !scan_u64(&p, &count) || *p || base == 0 ||
                    base > UINT32_MAX || count > UINT32_MAX || base + count > UINT32_MAX)
                        return ini_error(err, CONF_FILE, e->line, e->value_col, "idmap_range: BASE:COUNT, above 0 and in 32 bits");
                c->idmap_range = (struct idmap){.base = (uint32_t)base, .count = (uint32_t)count};
        } else {
                ini_error(err, CONF_FILE, e->line, e->key_col, "unknown key %s", e->key);
                return err_remedy(err, "known here: cgroup, bridge, idmap_range");
        }
        return 0;
}

static int read_conf(struct node *n, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len;

        n->conf = (struct node_config){.cgroup = "gantry", .bridge = "br0", .idmap_range = {1000000, 16777216}};
        if (n->etc < 0 || !path_exists(n->etc, "node.conf"))
                return 0;
        int r = path_read(n->etc, "node.conf", &text, &len, err);
        return r < 0 ? r : ini_parse(text, len, CONF_FILE, node_entry, &n->conf, err);
}

static int open_dir(const char *path, mode_t mode, struct err *err)
{
        int r = path_mkdir_p(AT_FDCWD, path, mode, err);

        if (r == 0)
                r = path_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
        if (r == -EX_PERM)
                err_remedy(err, "run this as root");
        return r;
}

int node_open(const struct log *log, struct node **ret, struct err *err)
{
        struct node *n = calloc(1, sizeof(*n));

        if (!n)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot open the node", "%s", "");
        *n = (struct node){.log = log, .lib = -1, .cts = -1, .run = -1, .etc = -1};
        n->lib = open_dir(LIB_DIR, 0755, err);
        int r = n->lib;
        if (r >= 0)
                r = n->cts = open_dir(LIB_DIR "/ct", 0700, err);
        if (r >= 0)
                r = n->run = open_dir(RUN_DIR, 0755, err);
        if (r >= 0) {
                n->etc = sys_openat(AT_FDCWD, ETC_DIR, O_RDONLY | O_DIRECTORY, 0);
                r = read_conf(n, err);
        }
        if (r < 0) {
                node_free(n);
                return r;
        }
        *ret = n;
        return 0;
}

void node_free(struct node *n)
{
        if (!n)
                return;
        fd_close(n->lib);
        fd_close(n->cts);
        fd_close(n->run);
        fd_close(n->etc);
        cgroups_free(n->cg);
        free(n);
}

int node_lib_dirfd(const struct node *n)
{
        return n->lib;
}

const struct node_config *node_config(const struct node *n)
{
        return &n->conf;
}

struct cgroups *node_cgroups(struct node *n, struct err *err)
{
        if (!n->cg && cgroups_open(&n->cg, err) < 0)
                n->cg = NULL;
        return n->cg;
}

int node_lock(struct node *n, struct err *err)
{
        return lock_file(n->run, "node.lock", CT_LOCK_EXCLUSIVE, 20000, "the node's list of containers", err);
}

/* What moved to another node is kept here, not run: nothing of it is in use, and it may come back under its own uuid. */
static bool moved_away(struct node *n, const char *dir)
{
        struct ct part = {.node = n, .dir = path_open(n->cts, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL)};
        struct journal j = {};

        bool gone = part.dir >= 0 && ct_journal_get(&part, &j, NULL) == 0 && j.owner == OWNER_GONE;
        fd_close(part.dir);
        return gone;
}

/* The configuration of every container that is this node's, those on their way in included. A broken one is left out: its own
 * commands tell. */
static int each_config(struct node *n, int (*each)(void *ctx, const char *name, const struct ct_config *c, struct err *err),
                       void *ctx, struct err *err)
{
        _cleanup_close_ int fd = path_open(n->cts, ".", O_RDONLY | O_DIRECTORY, 0, err);
        struct dirent *e;
        int r = 0;

        if (fd < 0)
                return fd;
        _cleanup_closedir_ DIR *d = fdopendir(fd);
        if (!d)
                return err_sys(err, EX_FAIL, errno, "cannot list", LIB_DIR "/ct");
        fd = -1;
        while (r == 0 && (e = readdir(d))) {
                _cleanup_free_ char *text = NULL;
                char path[300], name[CT_NAME_MAX + 1];
                struct ct_config c;
                size_t len, base = strcspn(e->d_name, ".");
                if (!base || base > CT_NAME_MAX || (e->d_name[base] && !str_eq(e->d_name + base, INCOMING)))
                        continue;
                snprintf(name, sizeof(name), "%.*s", (int)base, e->d_name);
                snprintf(path, sizeof(path), "%s/" CT_CONF, e->d_name);
                if (moved_away(n, e->d_name) || path_read(n->cts, path, &text, &len, NULL) < 0 || ct_config_parse(text, len, path, &c, NULL) < 0)
                        continue;
                r = each(ctx, name, &c, err);
                ct_config_done(&c);
        }
        return r;
}

static bool overlap(const struct idmap *a, const struct idmap *b)
{
        return (uint64_t)a->base < (uint64_t)b->base + b->count && (uint64_t)b->base < (uint64_t)a->base + a->count;
}

struct conflict {
        const char *name;
        const struct ct_config *c;
};

static int taken(struct err *err, const char *name, const char *what, const char *value, const char *key)
{
        err_set(err, EX_EXISTS, what, "", "%s", value);
        err_why(err, "container %s of this node has it", name);
        return err_remedy(err, "choose another %s, or change that container's", key);
}

static int ip_conflict(const char *name, const struct ip_prefix *a, size_t n, const struct ip_prefix *b, size_t m,
                       struct err *err)
{
        char text[80];

        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < m; k++)
                        if (memcmp(a[i].addr, b[k].addr, sizeof(a[i].addr)) == 0) {
                                prefix_format(&a[i], false, text, sizeof(text));
                                return taken(err, name, "the address is taken", text, "address");
                        }
        return 0;
}

static int conflict(void *ctx, const char *name, const struct ct_config *o, struct err *err)
{
        const struct conflict *x = ctx;
        const struct ct_config *c = x->c;
        char text[40];

        if (str_eq(name, x->name))
                return 0;
        if (str_eq(o->uuid, c->uuid))
                return taken(err, name, "the uuid is taken", c->uuid, "uuid");
        snprintf(text, sizeof(text), "%u:%u", c->idmap.base, c->idmap.count);
        if (overlap(&o->idmap, &c->idmap))
                return taken(err, name, "the id range is taken", text, "idmap");
        snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1], c->mac[2], c->mac[3], c->mac[4],
                 c->mac[5]);
        if (memcmp(o->mac, c->mac, sizeof(c->mac)) == 0)
                return taken(err, name, "the MAC address is taken", text, "mac");
        int r = ip_conflict(name, c->ip4, c->n_ip4, o->ip4, o->n_ip4, err);
        return r < 0 ? r : ip_conflict(name, c->ip6, c->n_ip6, o->ip6, o->n_ip6, err);
}

int node_conflicts(struct node *n, const char *name, const struct ct_config *c, struct err *err)
{
        struct conflict x = {.name = name, .c = c};

        return each_config(n, conflict, &x, err);
}

struct free_range {
        struct idmap want;
        bool moved;
};

static int step_over(void *ctx, const char *name, const struct ct_config *c, struct err *err)
{
        struct free_range *f = ctx;

        (void)name;
        (void)err;
        if (overlap(&f->want, &c->idmap)) {
                f->want.base = c->idmap.base + c->idmap.count;
                f->moved = true;
        }
        return 0;
}

int node_idmap_free(struct node *n, uint32_t count, struct idmap *ret, struct err *err)
{
        const struct idmap *range = &n->conf.idmap_range;
        struct free_range f = {.want = {.base = range->base, .count = count}};

        do {
                f.moved = false;
                int r = each_config(n, step_over, &f, err);
                if (r < 0)
                        return r;
                if ((uint64_t)f.want.base + count > (uint64_t)range->base + range->count) {
                        err_set(err, EX_NOSPC, "no ids are left", "every range of idmap_range is in use", "%u:%u", range->base,
                                range->count);
                        return err_remedy(err, "make idmap_range in " CONF_FILE " larger");
                }
        } while (f.moved);
        *ret = f.want;
        return 0;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int ct_names(struct node *n, char ***ret, size_t *ret_n, struct err *err)
{
        _cleanup_close_ int fd = path_open(n->cts, ".", O_RDONLY | O_DIRECTORY, 0, err);
        char **names = NULL;
        size_t count = 0, cap = 0;
        struct dirent *e;

        if (fd < 0)
                return fd;
        _cleanup_closedir_ DIR *d = fdopendir(fd);
        if (!d)
                return err_sys(err, EX_FAIL, errno, "cannot list", LIB_DIR "/ct");
        fd = -1;
        while ((e = readdir(d))) {
                if (parse_label(e->d_name, NULL) < 0)
                        continue;
                if (count == cap) {
                        char **more = realloc(names, (cap += 32) * sizeof(*names));
                        if (!more)
                                goto nomem;
                        names = more;
                }
                names[count] = strdup(e->d_name);
                if (!names[count])
                        goto nomem;
                count++;
        }
        if (count)
                qsort(names, count, sizeof(*names), by_name);
        *ret = names;
        *ret_n = count;
        return 0;
nomem:
        while (count)
                free(names[--count]);
        free(names);
        return err_sys(err, EX_FAIL, ENOMEM, "cannot list", LIB_DIR "/ct");
}
