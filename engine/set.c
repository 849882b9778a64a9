/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing one key of ct.conf: the same as editing the file, and what can be applied to the running container is.
 *
 * The new text must parse and must not take another container's address, id range or uuid; it is written atomically, then
 * limits go to the cgroup. A file that is broken already is reported with its line and column and left alone: who
 * edits by hand finishes by hand.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "engine/config.h"
#include "engine/ct-int.h"

static int check_new(struct ct *ct, const char *text, struct err *err)
{
        struct ct_config c;
        int r = ct_config_parse(text, strlen(text), CT_CONF, &c, err);

        if (r < 0)
                return r;
        r = node_conflicts(ct->node, ct->name, &c, err);
        if (r == 0 && !str_eq(c.uuid, ct->conf.uuid)) {
                err_set(err, EX_STATE, "cannot change the uuid", "it is what checkpoints and backups refer to", "%s", ct->name);
                err_remedy(err, "make a new container");
                r = -EX_STATE;
        }
        ct_config_done(&c);
        return r;
}

static int may_change(struct ct *ct, const struct config_key *k, enum ct_state s, struct err *err)
{
        if (str_eq(k->key, "size")) {
                err_set(err, EX_STATE, "cannot change this key", "it says how large the image was made, and nothing resizes images yet",
                        "%s", k->key);
                return err_remedy(err, "make a new container with --size");
        }
        if (s == CT_STOPPED || s == CT_RUNNING || s == CT_FROZEN || s == CT_SUSPENDED) {
                if (s == CT_STOPPED || (!str_eq(k->key, "idmap") && !str_eq(k->key, "image")))
                        return 0;
                err_set(err, EX_STATE, "cannot change this key", "the container is in use", "%s", k->key);
                return err_remedy(err, "stop it first: ctrctl stop %s", ct->name);
        }
        err_set(err, EX_STATE, "cannot change the configuration", "", "%s", ct->name);
        err_why(err, "it is %s", ct_state_name(s));
        return s == CT_MOVED ? err_remedy(err, "it runs on another node; ctrctl destroy %s removes this copy", ct->name)
                             : err_remedy(err, "see ctrmigrate --resolve %s", ct->name);
}

int ct_set(struct ct *ct, const char *key, const char *value, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        struct config_key k;
        enum ct_state s;
        struct err inner = {};
        int r = ct_need_lock(ct, "cannot change the configuration", err);

        if (r == 0)
                r = config_key_find(key, &k, err);
        if (r == 0)
                r = ct_state(ct, &s, err);
        if (r == 0)
                r = may_change(ct, &k, s, err);
        if (r < 0)
                return r;
        r = ct_config_set(ct->text, k.section, k.key, value && *value ? value : NULL, &text, &inner);
        if (r == -EX_CONFIG) /* the file was right until then: it is the new value, in a line that nobody has seen */
                return err_set(err, EX_USAGE, "cannot set", inner.why, "%s", key);
        if (r < 0)
                return err_take(err, &inner);
        r = check_new(ct, text, err);
        if (r < 0)
                return err_wrap(err, "cannot set", "%s", key);
        r = path_replace(ct->dir, CT_CONF, text, strlen(text), 0644, err);
        if (r == 0)
                r = ct_reload(ct, err);
        if (r < 0 || (s != CT_RUNNING && s != CT_FROZEN))
                return r;
        if (!k.live)
                return 1;
        struct cgroups *c = node_cgroups(ct->node, err);
        return c ? cgroup_limits(c, ct->cgroup, &ct->conf.limits, err) : err_result(err);
}
