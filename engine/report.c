/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container at one glance (engine/ct-report.h). Only reads, without a lock: what changes meanwhile is the reader's
 * risk, and a figure that cannot be read is left at zero rather than failing the whole list.
 */
#include "engine/ct-report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "engine/config.h"
#include "engine/ct-int.h"
#include "ploop/ploop.h"

static void list_ips(const struct ip_prefix *at, size_t n, char *ret, size_t size)
{
        char one[80];
        size_t len = 0;

        ret[0] = '\0';
        for (size_t i = 0; i < n && len < size; i++) {
                prefix_format(&at[i], true, one, sizeof(one));
                len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? "," : "", one);
        }
}

static void read_disk(struct ct *ct, struct ct_report *r)
{
        _cleanup_close_ int fd = path_open(ct->dir, ct->conf.image, O_RDONLY, 0, NULL);
        struct disk_info info;

        if (fd < 0 || disk_info(fd, &info, NULL) < 0)
                return;
        r->disk_size = info.size;
        r->disk_allocated = info.allocated;
        str_copy(r->device, sizeof(r->device), info.device);
}

static void read_running(struct ct *ct, struct ct_report *r)
{
        _cleanup_close_ int pidfd = -1;
        struct err e = {};

        if (state_pidfd(ct, &pidfd, &e) != 0 || pidfd_pid(pidfd, &r->pid, &e) < 0) {
                r->pid = 0;
                return;
        }
        struct cgroups *c = node_cgroups(ct->node, &e);
        if (c)
                (void)cgroup_usage(c, ct->cgroup, &r->usage, &e); /* zeroes otherwise */
}

static void read_exit(struct ct *ct, struct ct_report *r)
{
        _cleanup_free_ char *text = NULL;
        uint64_t v;

        r->exit_status = -1;
        if (!path_exists(ct->run, "exit") || path_read(ct->run, "exit", &text, NULL, NULL) < 0)
                return;
        const char *p = text;
        if (scan_skip(&p, "status = ") && scan_u64(&p, &v) && v < 256)
                r->exit_status = (int)v;
}

int ct_report(struct node *n, const char *name, struct ct_report *ret, struct err *err)
{
        struct ct_report r = {};
        struct ct *ct = NULL;
        enum ct_state s;
        int q = ct_open(n, name, CT_LOCK_NONE, &ct, err);

        if (q == 0)
                q = ct_state(ct, &s, err);
        if (q < 0) {
                ct_close(ct);
                return q;
        }
        const struct ct_config *c = &ct->conf;
        str_copy(r.name, sizeof(r.name), name);
        str_copy(r.uuid, sizeof(r.uuid), c->uuid);
        str_copy(r.state, sizeof(r.state), ct_state_name(s));
        str_copy(r.hostname, sizeof(r.hostname), c->hostname);
        str_copy(r.init, sizeof(r.init), c->init);
        str_copy(r.image, sizeof(r.image), c->image);
        str_copy(r.bridge, sizeof(r.bridge), c->bridge);
        str_copy(r.port, sizeof(r.port), ct->port);
        snprintf(r.mac, sizeof(r.mac), "%02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1], c->mac[2], c->mac[3], c->mac[4],
                 c->mac[5]);
        list_ips(c->ip4, c->n_ip4, r.ip4, sizeof(r.ip4));
        list_ips(c->ip6, c->n_ip6, r.ip6, sizeof(r.ip6));
        r.idmap = c->idmap;
        r.limits = c->limits;
        read_disk(ct, &r);
        read_running(ct, &r);
        read_exit(ct, &r);
        ct_close(ct);
        *ret = r;
        return 0;
}

static void field(struct strbuf *b, const char *key, const char *value)
{
        strbuf_addf(b, ",\"%s\":", key);
        if (*value)
                strbuf_json(b, value);
        else
                strbuf_adds(b, "null");
}

static void number(struct strbuf *b, const char *key, bool known, uint64_t value)
{
        if (known)
                strbuf_addf(b, ",\"%s\":%" PRIu64, key, value);
        else
                strbuf_addf(b, ",\"%s\":null", key);
}

void ct_report_json(const struct ct_report *r, struct strbuf *to)
{
        bool runs = r->pid != 0;

        strbuf_adds(to, "{\"name\":");
        strbuf_json(to, r->name);
        field(to, "uuid", r->uuid);
        field(to, "state", r->state);
        number(to, "pid", runs, (uint64_t)r->pid);
        field(to, "ip4", r->ip4);
        field(to, "ip6", r->ip6);
        field(to, "hostname", r->hostname);
        field(to, "init", r->init);
        field(to, "image", r->image);
        field(to, "device", r->device);
        number(to, "disk_size", r->disk_size, r->disk_size);
        number(to, "disk_allocated", r->disk_size, r->disk_allocated);
        number(to, "idmap_base", true, r->idmap.base);
        number(to, "idmap_count", true, r->idmap.count);
        field(to, "bridge", r->bridge);
        field(to, "port", r->port);
        field(to, "mac", r->mac);
        number(to, "memory", runs, r->usage.memory);
        number(to, "memory_limit", r->limits.memory, r->limits.memory);
        number(to, "pids", runs, r->usage.pids);
        number(to, "pids_limit", r->limits.pids, r->limits.pids);
        number(to, "cpu_usec", runs, r->usage.cpu_usec);
        number(to, "cpu_limit_milli", r->limits.cpu_milli, r->limits.cpu_milli);
        number(to, "last_exit", r->exit_status >= 0, (uint64_t)(r->exit_status >= 0 ? r->exit_status : 0));
        strbuf_adds(to, "}");
}
