/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings of the network namespace that its root has changed: of TCP, of all links and of one, against the order in which they
 * follow from each other; and all others, as they were. In a container.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/victim/victim.h"

#define NET "/proc/sys/net/"
static const struct { const char *path, *value; } set[] = {
        {NET "ipv4/ip_forward", "1"},
        {NET "ipv4/conf/all/accept_redirects", "1"},
        {NET "ipv4/conf/eth0/forwarding", "0"},
        {NET "ipv4/conf/eth0/rp_filter", "2"},
        {NET "ipv4/conf/lo/arp_ignore", "3"},
        {NET "ipv4/neigh/eth0/gc_stale_time", "77"},
        {NET "ipv4/tcp_fin_timeout", "37"},
        {NET "ipv4/tcp_early_retrans", "0"},
        {NET "ipv4/tcp_rmem", "4096\t131072\t4194304"},
        {NET "ipv4/ip_local_reserved_ports", "1000-1007,2000"},
        {NET "ipv4/ip_unprivileged_port_start", "80"},
        {NET "ipv4/ping_group_range", "0\t100"},
        {NET "ipv6/conf/all/forwarding", "1"},
        {NET "ipv6/conf/eth0/forwarding", "0"},
        {NET "ipv6/conf/eth0/accept_ra", "0"},
        {NET "ipv6/conf/default/hop_limit", "63"},
        {NET "ipv6/flowlabel_reflect", "3"},
        {NET "unix/max_dgram_qlen", "123"},
        {NET "core/somaxconn", "777"},
};

struct row { char name[256], value[256]; };
struct rows { struct row at[1024]; unsigned n; };

static void read_all(struct rows *l, const char *dir)
{
        DIR *d = opendir(dir);

        VICTIM_MUST(d);
        for (const struct dirent *e; (e = readdir(d));) {
                char path[600];
                struct stat st;
                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
                if (e->d_type == DT_DIR) {
                        read_all(l, path);
                        continue;
                }
                int fd = stat(path, &st) == 0 && (st.st_mode & 0222) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
                struct row *r = &l->at[l->n];
                ssize_t n = fd < 0 ? -1 : read(fd, r->value, sizeof(r->value) - 1);
                if (fd >= 0)
                        close(fd);
                if (n < 0)
                        continue;
                r->value[n] = '\0';
                r->value[strcspn(r->value, "\n")] = '\0';
                VICTIM_MUST(strlen(path) - strlen(NET) < sizeof(r->name) && l->n + 1 < sizeof(l->at) / sizeof(l->at[0]));
                memcpy(r->name, path + strlen(NET), strlen(path + strlen(NET)) + 1);
                l->n++;
        }
        closedir(d);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void look(struct rows *l)
{
        l->n = 0;
        read_all(l, "/proc/sys/net");
        qsort(l->at, l->n, sizeof(l->at[0]), by_name);
}

int main(int argc, char **argv)
{
        static struct rows before, after;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        for (unsigned i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
                int fd = open(set[i].path, O_WRONLY | O_CLOEXEC);
                VICTIM_MUST(fd >= 0);
                VICTIM_MUST(write(fd, set[i].value, strlen(set[i].value)) > 0 && close(fd) == 0);
        }
        look(&before);
        VICTIM_MUST(before.n > 200);

        victim_wait(&v);

        look(&after);
        VICTIM_CHECK(&v, before.n == after.n, "there were %u settings and are %u", before.n, after.n);
        for (unsigned i = 0; i < before.n && i < after.n; i++)
                VICTIM_CHECK(&v, strcmp(before.at[i].name, after.at[i].name) == 0 && strcmp(before.at[i].value, after.at[i].value) == 0,
                             "%s was %s, and %s is %s", before.at[i].name, before.at[i].value, after.at[i].name, after.at[i].value);
        for (unsigned i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
                char now[64] = "";
                int fd = open(set[i].path, O_RDONLY | O_CLOEXEC);
                VICTIM_MUST(fd >= 0 && read(fd, now, sizeof(now) - 1) > 0 && close(fd) == 0);
                now[strcspn(now, "\n")] = '\0';
                VICTIM_CHECK(&v, strcmp(now, set[i].value) == 0, "%s is %s", set[i].path, now);
        }
        return victim_end(&v);
}
