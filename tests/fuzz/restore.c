/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what a restore does with records: each kind's check(), the CHECK of the whole, and every plan of every phase.
 * Input: records in a row (records.h).
 *
 * A row with a tree is an image and goes through restore_check(). One without is a few records of a kind, each of which is checked by its
 * kind alone, with a process made for them. What passes is planned phase by phase and played under the log executor, so that nothing
 * is made (of whole images one in four); nothing may crash, assert, or build a tape that cannot be played. What plans do by themselves (netlink, files of the
 * container, descriptors of tasks) is stood in for below, and looks at what it is given.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "checkpoint/cgtree.h"
#include "checkpoint/image-int.h"
#include "checkpoint/kind/bypath.h"
#include "checkpoint/kind/inside.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/mounts.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"
#include "tests/fuzz/records.h"

/* ---- what is stood in for ---- */

int __wrap_sys_pidfd_getfd(int pidfd, int fd);
int __wrap_fd_send(int sock, const void *buf, size_t len, const int fds[], size_t n, struct err *err);
int __wrap_sys_openat(int dirfd, const char *path, int flags, mode_t mode);
int __real_sys_openat(int dirfd, const char *path, int flags, mode_t mode);
bool __wrap_label_enabled(void);
struct nl *__wrap_restore_nl(struct restore *rs, uint64_t ns, struct err *err);
int __wrap_restore_settings(struct restore *rs, const struct net_setting **ret, size_t *ret_n, struct err *err);
int __wrap_inside_expect(struct restore *rs, const struct kind *k, const struct record *r, uint64_t object, const struct inside_file *want, struct err *err);
int __wrap_bypath_verify(const struct kind *k, struct restore *rs, const struct record *r, const struct bypath *b, struct err *err);
int __wrap_nl_link_get(struct nl *n, const char *name, struct nl_link *ret, struct err *err);
int __wrap_nl_link_tune(struct nl *n, const char *name, unsigned flags, unsigned mtu, unsigned queue, struct err *err);
int __wrap_nl_link_up(struct nl *n, const char *name, bool up, struct err *err);
int __wrap_nl_addrs(struct nl *n, struct nl_addr **ret, size_t *ret_n, struct err *err);
int __wrap_nl_addr_add(struct nl *n, const struct nl_addr *a, struct err *err);
int __wrap_nl_routes(struct nl *n, struct nl_route **ret, size_t *ret_n, struct err *err);
int __wrap_nl_route_add(struct nl *n, const struct nl_route *r, struct err *err);
int __wrap_nl_neigh_add(struct nl *n, const struct nl_neigh *x, struct err *err);

static int some_fd(void)
{
        return __real_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
}

int __wrap_sys_pidfd_getfd(int pidfd, int fd)
{
        (void)pidfd, (void)fd;
        return some_fd();
}

int __wrap_fd_send(int sock, const void *buf, size_t len, const int fds[], size_t n, struct err *err)
{
        (void)sock, (void)buf, (void)err;
        FUZZ_CHECK(len && n <= 64 && fcntl(fds[n - 1], F_GETFD) >= 0);
        return 0;
}

int __wrap_sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
        return strncmp(path, "map_files/", 10) == 0 ? some_fd() : __real_sys_openat(dirfd, path, flags, mode);
}

bool __wrap_label_enabled(void)
{
        return true;
}

static char nobody; /* a socket that is only handed on */

struct nl *__wrap_restore_nl(struct restore *rs, uint64_t ns, struct err *err)
{
        (void)rs, (void)ns, (void)err;
        return (struct nl *)(void *)&nobody;
}

int __wrap_restore_settings(struct restore *rs, const struct net_setting **ret, size_t *ret_n, struct err *err)
{
        static const struct net_setting now[] = {{"net/ipv4/ip_forward", "0", false}, {"net/ipv4/conf/all/forwarding", "0", false},
                                                 {"net/ipv4/ping_group_range", "1\t0", false}, {"net/ipv6/conf/all/forwarding", "0", false}};

        (void)rs, (void)err;
        *ret = now;
        *ret_n = sizeof(now) / sizeof(now[0]);
        return 0;
}

int __wrap_inside_expect(struct restore *rs, const struct kind *k, const struct record *r, uint64_t object, const struct inside_file *want, struct err *err)
{
        (void)rs, (void)k, (void)r, (void)object, (void)err;
        FUZZ_CHECK(want->path->len && want->path->data[0] == '/' && want->path->len < PATH_MAX && !memchr(want->path->data, '\0', want->path->len));
        return 0;
}

int __wrap_bypath_verify(const struct kind *k, struct restore *rs, const struct record *r, const struct bypath *b, struct err *err)
{
        (void)k, (void)rs, (void)r, (void)err;
        FUZZ_CHECK(b->path.len && b->pos <= INT64_MAX && b->size <= INT64_MAX);
        return 0;
}

static void link_name(const char name[16])
{
        FUZZ_CHECK(memchr(name, '\0', 16) && name[0] && !strpbrk(name, "/ "));
}

static void prefix(const struct ip_prefix *p)
{
        FUZZ_CHECK((p->family == AF_INET && p->bits <= 32) || (p->family == AF_INET6 && p->bits <= 128));
}

int __wrap_nl_link_get(struct nl *n, const char *name, struct nl_link *ret, struct err *err)
{
        static const unsigned char mac[6] = {0x02, 0xa3, 0x4f, 0x01, 0x02, 0x03};

        (void)n, (void)err;
        link_name(name);
        *ret = (struct nl_link){.index = 2};
        memcpy(ret->mac, mac, 6);
        return 0;
}

int __wrap_nl_link_tune(struct nl *n, const char *name, unsigned flags, unsigned mtu, unsigned queue, struct err *err)
{
        (void)n, (void)err;
        FUZZ_CHECK(name[0] && !(flags & ~(unsigned)NL_LINK_FLAGS) && mtu <= INT32_MAX && queue <= INT32_MAX);
        return 0;
}

int __wrap_nl_link_up(struct nl *n, const char *name, bool up, struct err *err)
{
        (void)n, (void)name, (void)up, (void)err;
        return 0;
}

int __wrap_nl_addrs(struct nl *n, struct nl_addr **ret, size_t *ret_n, struct err *err)
{
        (void)n, (void)err;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

int __wrap_nl_addr_add(struct nl *n, const struct nl_addr *a, struct err *err)
{
        (void)n, (void)err;
        prefix(&a->ip);
        FUZZ_CHECK(memchr(a->label, '\0', sizeof(a->label)) && (!a->has_peer || a->peer.family == a->ip.family) &&
                   (!a->has_broadcast || a->broadcast.family == a->ip.family) && (!a->lifetimes || a->preferred <= a->valid));
        link_name(a->link);
        return 0;
}

int __wrap_nl_routes(struct nl *n, struct nl_route **ret, size_t *ret_n, struct err *err)
{
        (void)n, (void)err;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

int __wrap_nl_route_add(struct nl *n, const struct nl_route *r, struct err *err)
{
        (void)n, (void)err;
        prefix(&r->dst);
        if (r->has_gw)
                prefix(&r->gw);
        if (r->has_src)
                prefix(&r->src);
        if (r->link[0])
                link_name(r->link);
        return 0;
}

int __wrap_nl_neigh_add(struct nl *n, const struct nl_neigh *x, struct err *err)
{
        (void)n, (void)err;
        prefix(&x->ip);
        link_name(x->link);
        return 0;
}

static int open_external(void *ctx, const char *name, int *ret_fd, struct err *err)
{
        (void)ctx, (void)err;
        FUZZ_CHECK(strcmp(name, "root") == 0 || strcmp(name, "dev") == 0 || strncmp(name, "bind:", 5) == 0);
        *ret_fd = some_fd();
        return 0;
}

static int console(void *ctx, int fd, struct err *err)
{
        (void)ctx, (void)err;
        close(fd);
        return 0;
}

static int filter(void *ctx, const void **ret, size_t *ret_n, struct err *err)
{
        static const uint64_t insns[2];

        (void)ctx, (void)err;
        *ret = insns;
        *ret_n = 2;
        return 0;
}

/* ---- a restore without a container ---- */

static const struct idmap ids = {.base = 100000, .count = 65536};
static const struct outside_ops outside = {.open_external = open_external, .console = console, .seccomp = filter};

static void own_areas(struct vdso_place *ret)
{
        static struct vdso_place place;
        FILE *f = place.n ? NULL : fopen("/proc/self/maps", "re");
        char line[512], name[24];
        unsigned long long start, end;

        while (f && place.n < 4 && fgets(line, sizeof(line), f))
                if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %23s", &start, &end, name) == 3 && (strncmp(name, "[vvar", 5) == 0 || strcmp(name, "[vdso]") == 0)) {
                        memcpy(place.at[place.n].name, name, sizeof(name));
                        place.at[place.n].start = start;
                        place.at[place.n++].len = end - start;
                }
        if (f)
                fclose(f);
        place.scratch = 0x10000000;
        *ret = place;
}

/* The image as its intake has left it; checksums are not looked at any more. */
static struct image *image_of(const uint8_t *data, size_t size, bool *ret_tree)
{
        struct image *img = NULL;
        struct record_head h;
        const uint8_t *payload;
        struct fuzz_buf b = {};

        FUZZ_CHECK(image_new(session_record_types(), &img, NULL) == 0);
        fuzz_fill(&b, 0, IMAGE_HEAD);
        for (size_t at = 0; fuzz_record_next(data, size, &at, &h, &payload);) {
                fuzz_record_add(&b, h, payload, h.len);
                fuzz_fill(&b, 0, RECORD_CRC);
                *ret_tree |= h.kind == RECORD_TREE;
        }
        img->bytes = fuzz_copy(b.p, b.n); /* exactly */
        img->len = img->cap = b.n;
        img->order = calloc(1, sizeof(*img->order));
        free(b.p);
        return img;
}

static int by_id(const void *a, const void *b, void *ctx)
{
        const struct restore *rs = ctx;
        const struct record *x = &rs->rec[*(const size_t *)a], *y = &rs->rec[*(const size_t *)b];

        if (x->id != y->id)
                return x->id < y->id ? -1 : 1;
        return x->kind < y->kind ? -1 : x->kind > y->kind;
}

/* Each record by itself. <0: one is refused. */
static int check_each(struct restore *rs)
{
        struct record_source src = image_records(rs->img);
        int r;

        rs->rec = calloc(512, sizeof(*rs->rec));
        rs->by_id = calloc(512, sizeof(*rs->by_id));
        FUZZ_CHECK(rs->rec && rs->by_id);
        while ((r = src.next(src.c, &rs->rec[rs->n_rec], NULL)) == 1) {
                const struct kind *k = kind_find(rs->rec[rs->n_rec].kind);
                struct err err = {};
                rs->by_id[rs->n_rec] = rs->n_rec;
                rs->n_rec++;
                if (!k || !k->check || rs->n_rec == 511)
                        return -EX_IMAGE;
                r = k->check(&rs->rec[rs->n_rec - 1], &rs->need, &err);
                FUZZ_CHECK(r == 0 || (r == -EX_IMAGE && err.code == EX_IMAGE && err.why[0]));
                if (r < 0)
                        return r;
        }
        if (rs->n_rec)
                qsort_r(rs->by_id, rs->n_rec, sizeof(*rs->by_id), by_id, rs);
        return r;
}

/* One process that has what the records are about. */
static void one_task(struct restore *rs)
{
        struct restore_task *t = rs->task = calloc(1, sizeof(*t));

        FUZZ_CHECK(t && (t->thread = calloc(16, sizeof(*t->thread))) && (t->thread_ids = calloc(16, sizeof(*t->thread_ids))));
        rs->n_task = 1;
        *t = (struct restore_task){.id = 1, .vpid = 1, .pidfd = -1, .procfd = -1, .sock_fd = 3, .thread = t->thread, .thread_ids = t->thread_ids};
        for (size_t i = 0; i < rs->n_rec; i++) {
                const struct kind *k = kind_find(rs->rec[i].kind);
                uint64_t id = rs->rec[i].id;
                t->id = k->cls == CLS_TASK ? id : t->id;
                t->mm = k->cls == CLS_MM ? id : t->mm;
                t->files = k->cls == CLS_FILES ? id : t->files;
                t->fs = k->cls == CLS_FS ? id : t->fs;
                t->sighand = k->cls == CLS_SIGHAND ? id : t->sighand;
                if (k->cls != CLS_THREAD || t->n_thread == 16)
                        continue;
                t->thread_ids[t->n_thread] = t->thread[t->n_thread].id = id;
                t->thread[t->n_thread].cpu = calloc(1, sizeof(struct cpu_state));
                t->n_thread++;
        }
}

/* Every tape can be played: what a check lets through is no bad use of a tape. (A record of more than a tape holds may be.) */
static void check_tapes(const struct restore *rs, size_t size)
{
        for (size_t i = 0; i < rs->n_tape; i++)
                FUZZ_CHECK(!tape_bad(rs->tape[i]) || size > 65536);
}

/* An error is words, and so is none that a plan could not tell of. */
static void judge(int r, const struct err *err)
{
        FUZZ_CHECK(r >= 0 ? !err->code : err->code && err->why[0]);
}

static void plan_all(struct restore *rs, size_t size, bool whole)
{
        for (rs->phase = 0; rs->phase < PH_N; rs->phase++) {
                struct err err = {};
                if (whole && rs->phase == PH_GROUND)
                        (void)cgtree_mount(rs, NULL);
                if (whole && rs->phase == PH_MOUNTS && cgtree_enter(rs, NULL) >= 0)
                        (void)mounts_restore(rs, NULL);
                if (whole && rs->phase == PH_TREE)
                        (void)cgtree_open(rs, NULL);
                if (whole && rs->phase == PH_THREADS)
                        (void)cgtree_threads(rs, NULL);
                phase_drop(rs);
                for (size_t i = 0; i < rs->n_rec; i++) {
                        const struct kind *k = kind_find(rs->rec[i].kind);
                        if (!k || !k->plan[rs->phase] || (whole && rs->phase == PH_MOUNTS && k->cls == CLS_MOUNT))
                                continue;
                        err = (struct err){};
                        judge(k->plan[rs->phase](rs, &rs->rec[i], &err), &err);
                }
                check_tapes(rs, size);
                err = (struct err){};
                judge(phase_play(rs, &err), &err);
                phase_drop(rs);
                if (whole && rs->phase == PH_HAND)
                        (void)hand_tables(rs, NULL);
        }
}

static void run(struct restore *rs, size_t size, bool whole, bool chosen)
{
        struct strbuf text = {};
        struct err err = {};
        int r;

        if (whole) {
                r = restore_check(rs, &err);
                judge(r, &err);
                if (r >= 0)
                        (void)space_choose_agent(rs, NULL);
        } else {
                r = check_each(rs);
                if (r >= 0)
                        one_task(rs);
        }
        if (r < 0 || (whole && !chosen))
                return;
        FUZZ_CHECK(executor_log(&text, &rs->ptrace, NULL) == 0 && executor_log(&text, &rs->self, NULL) == 0);
        rs->have_ptrace = rs->have_self = true;
        for (size_t i = 0; i < rs->n_task; i++)
                rs->task[i].sock_fd = 3;
        plan_all(rs, size, whole);
        strbuf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct restore *rs = calloc(1, sizeof(*rs));
        bool whole = false;

        FUZZ_CHECK(rs);
        rs->img = image_of(data, size, &whole);
        rs->root_fd = -1;
        rs->s = (struct subject){.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .sock = -1, .sock_fd = 3, .console_index = -1,
                                 .caps = UINT64_MAX, .ids = &ids, .outside = &outside};
        own_areas(&rs->vdso);
        uint32_t hash = 0;
        for (size_t i = 0; i < size; i++)
                hash = hash * 31 + data[i];
        run(rs, size, whole, hash % 4 == 0);
        struct image *img = rs->img;
        restore_free(rs);
        image_close(img);
        return 0;
}
