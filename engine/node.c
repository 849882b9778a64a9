/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The node: its directories, node.conf, its cgroups and its lock.
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

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/config.h"
#include "engine/ct-int.h"
#include "engine/ini.h"

static int node_entry(void *ctx, const struct ini_entry *e, struct err *err)
{
        struct node_config *c = ctx;
        const char *p = e->value;
        uint64_t base, count;

        if (*e->section)
                return ini_error(err, NODE_CONF, e->line, 1, "there are no sections here");
        if (str_eq(e->key, "cgroup")) {
                if (*p == '/' || strstr(p, "..") || strpbrk(p, " \t\"") || !str_copy(c->cgroup, sizeof(c->cgroup), p))
                        return ini_error(err, NODE_CONF, e->line, e->value_col, "cgroup: it must be a relative path without dots");
        } else if (str_eq(e->key, "bridge")) {
                if (strpbrk(p, "/ \t\":") || !str_copy(c->bridge, sizeof(c->bridge), p))
                        return ini_error(err, NODE_CONF, e->line, e->value_col, "bridge: this is no name of a link");
        } else if (str_eq(e->key, "idmap_range")) {
                if (!scan_u64(&p, &base) || !scan_skip(&p, ":") || !scan_u64(&p, &count) || *p || base == 0 ||
                    base > UINT32_MAX || count > UINT32_MAX || base + count > UINT32_MAX)
                        return ini_error(err, NODE_CONF, e->line, e->value_col, "idmap_range: BASE:COUNT, above 0 and in 32 bits");
                c->idmap_range = (struct idmap){.base = (uint32_t)base, .count = (uint32_t)count};
        } else {
                ini_error(err, NODE_CONF, e->line, e->key_col, "unknown key %s", e->key);
                return err_remedy(err, "known here: cgroup, bridge, idmap_range");
        }
        return 0;
}

int node_conf_parse(const char *text, size_t len, struct node_config *ret, struct err *err)
{
        struct node_config c = {.cgroup = "gantry", .bridge = "br0", .idmap_range = {1000000, 16777216}};
        int r = ini_parse(text, len, NODE_CONF, node_entry, &c, err);

        if (r == 0)
                *ret = c;
        return r;
}

static int read_conf(struct node *n, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        bool some = n->etc >= 0 && path_exists(n->etc, "node.conf");
        int r = some ? path_read(n->etc, "node.conf", &text, &len, err) : 0;

        return r < 0 ? r : node_conf_parse(some ? text : "", len, &n->conf, err);
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
