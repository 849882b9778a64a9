/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The containers of the node as a list: their names, and what no two of them may have.
 *
 * A name is a directory below LIB_DIR/ct. uuid, id range, MAC and addresses are compared by reading the configuration of each: there is no
 * register that could be wrong. A new container's are compared and written under node_lock().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "engine/config.h"
#include "engine/ct-int.h"

/* What moved to another node is kept here, not run: nothing of it is in use, and it may come back under its own uuid. */
static bool moved_away(struct node *n, const char *dir)
{
        struct ct part = {.node = n, .dir = path_open(n->cts, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL)};
        struct journal j = {};

        bool gone = part.dir >= 0 && ct_journal_get(&part, &j, NULL) == 0 && j.owner == OWNER_GONE;
        fd_close(part.dir);
        return gone;
}

static DIR *open_cts(struct node *n, struct err *err)
{
        _cleanup_close_ int fd = path_open(n->cts, ".", O_RDONLY | O_DIRECTORY, 0, err);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (d)
                fd = -1;   /* it is the stream's */
        else if (fd >= 0)
                (void)err_sys(err, EX_FAIL, errno, "cannot list", LIB_DIR "/ct");
        return d;
}

/* The configuration of every container that is this node's, those on their way in included. A broken one is left out: its own
 * commands tell. */
static int each_config(struct node *n, int (*each)(void *ctx, const char *name, const struct ct_config *c, struct err *err),
                       void *ctx, struct err *err)
{
        _cleanup_closedir_ DIR *d = open_cts(n, err);
        struct dirent *e;
        int r = 0;

        if (!d)
                return -EX_FAIL;
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
                        return err_remedy(err, "make idmap_range in " NODE_CONF " larger");
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
        _cleanup_closedir_ DIR *d = open_cts(n, err);
        char **names = NULL;
        size_t count = 0, cap = 0;
        struct dirent *e;

        if (!d)
                return -EX_FAIL;
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
