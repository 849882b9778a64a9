/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The faked half of tests/unit/migrate-hand-over.c (tests/unit/migrate-world.h): every function of engine/ and of the session
 * that migrate/ calls, over a note in shared memory. Each is one step before which its process may be told to die. What a
 * function may only be called for is checked where it is called: a task killed by somebody who does not own it is the
 * failure this test is for.
 *
 * Not faked: the wire, the messages, the disk, the image stream and its unpacker, the ledger, and the disk image.
 */
#include "tests/unit/migrate-world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/netlink.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/image.h"
#include "migrate/ledger.h"
#include "migrate/migrate.h"
#include "migrate/msg.h"
#include "migrate/target.h"

struct world *world;
static char dirs[2][64];
static int me;                   /* which side this process is */

struct node { int side, lib; };
struct ct { int side, dirfd; enum dir as; };
struct dump { int side; };
struct restore { int side; };
struct ground { int side; };

static void broken(const char *why)
{
        world->killed_unowned = true;
        snprintf(world->why, sizeof(world->why), "%s", why);
}

static void step(void)
{
        struct side *s = &world->at[me];

        if (++s->steps == world->die_step && world->die_side == me) {
                world->died = true;
                _exit(137);
        }
}

/* ---- both records' way to the disk is a step too: before it, and after it ---- */

int __real_path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err);
int __wrap_path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err);
int __wrap_path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
        step();
        int r = __real_path_replace(dirfd, path, data, n, mode, err);
        step();
        return r;
}

int __wrap_nl_link_get(struct nl *n, const char *name, struct nl_link *ret, struct err *err);
int __wrap_nl_link_get(struct nl *n, const char *name, struct nl_link *ret, struct err *err)
{
        (void)n, (void)name, (void)err;
        *ret = (struct nl_link){.kind = "bridge"};
        return 0;
}

/* ---- the node ---- */

int node_open(const struct log *log, struct node **ret, struct err *err)
{
        (void)log;
        *ret = malloc(sizeof(**ret));
        **ret = (struct node){me, open(dirs[me], O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        return (*ret)->lib < 0 ? err_sys(err, EX_FAIL, errno, "no directory", "%s", dirs[me]) : 0;
}

void node_free(struct node *n)
{
        if (n)
                close(n->lib);
        free(n);
}

int node_lib_dirfd(const struct node *n)
{
        return n->lib;
}

const struct node_config *node_config(const struct node *n)
{
        static const struct node_config c = {.bridge = "br0"};

        (void)n;
        return &c;
}

int node_idmap_free(struct node *n, uint32_t count, struct idmap *ret, struct err *err)
{
        (void)n, (void)err;
        *ret = (struct idmap){100000, count};
        return 0;
}

/* ---- the container ---- */

static const struct ct_config config = {
        .uuid = "00000000-0000-0000-0000-000000000001", .bridge = "br0", .image = (char *)(uintptr_t) "root.img",
        .idmap = {100000, 65536},
};

int ct_config_parse(const char *text, size_t len, const char *file, struct ct_config *ret, struct err *err)
{
        (void)text, (void)len, (void)file, (void)err;
        *ret = config;
        return 0;
}

void ct_config_done(struct ct_config *c)
{
        (void)c;
}

int ct_config_set(const char *text, const char *section, const char *key, const char *value, char **ret, struct err *err)
{
        (void)section, (void)key, (void)value, (void)err;
        *ret = strdup(text);
        return 0;
}

const char *ct_state_name(enum ct_state s)
{
        (void)s;
        return "in a state";
}

static int open_ct(int side, enum dir as, struct ct **ret)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/web1", dirs[side]);
        *ret = malloc(sizeof(**ret));
        **ret = (struct ct){side, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), as};
        return 0;
}

static int unknown(const char *name, struct err *err)
{
        return err_set(err, EX_UNKNOWN, "no such container", "there is none", "%s", name);
}

int ct_open(struct node *n, const char *name, enum ct_lock lock, struct ct **ret, struct err *err)
{
        (void)lock;
        return world->at[n->side].dir == DIR_NAMED ? open_ct(n->side, DIR_NAMED, ret) : unknown(name, err);
}

int ct_incoming_open(struct node *n, const char *name, struct ct **ret, struct err *err)
{
        return world->at[n->side].dir == DIR_INCOMING ? open_ct(n->side, DIR_INCOMING, ret) : unknown(name, err);
}

void ct_close(struct ct *ct)
{
        if (ct)
                close(ct->dirfd);
        free(ct);
}

const struct ct_config *ct_config(const struct ct *ct)
{
        (void)ct;
        return &config;
}

const char *ct_name(const struct ct *ct)
{
        (void)ct;
        return "web1";
}

int ct_dirfd(const struct ct *ct)
{
        return ct->dirfd;
}

int ct_state(struct ct *ct, enum ct_state *ret, struct err *err)
{
        (void)err;
        *ret = world->at[ct->side].tasks == TASKS_RUNNING ? CT_RUNNING : CT_STOPPED;
        return 0;
}

int ct_init_pidfd(struct ct *ct, struct err *err)
{
        if (world->at[ct->side].tasks == TASKS_NONE)
                return err_set(err, EX_STATE, "no init", "it does not run", "%s", "web1");
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int ct_names(struct node *n, char ***ret, size_t *ret_n, struct err *err)
{
        (void)err;
        *ret = calloc(1, sizeof(char *));
        *ret_n = world->at[n->side].dir == DIR_NAMED;
        if (*ret_n)
                (*ret)[0] = strdup("web1");
        return 0;
}

int ct_journal_get(struct ct *ct, struct journal *ret, struct err *err)
{
        (void)err;
        *ret = world->at[ct->side].journal;
        return 0;
}

int ct_journal_put(struct ct *ct, const struct journal *j, struct err *err)
{
        (void)err;
        step();
        world->at[ct->side].journal = *j;
        step();
        return 0;
}

int ct_incoming_create(struct node *n, const char *name, const char *text, struct ct **ret, struct err *err)
{
        char path[128];

        (void)name, (void)text, (void)err;
        step();
        snprintf(path, sizeof(path), "%s/web1", dirs[n->side]);
        mkdir(path, 0700);
        world->at[n->side].journal = (struct journal){.owner = OWNER_VOID};
        world->at[n->side].dir = DIR_INCOMING;
        return open_ct(n->side, DIR_INCOMING, ret);
}

int ct_incoming_adopt(struct ct *ct, struct err *err)
{
        (void)err;
        step();
        world->at[ct->side].dir = DIR_NAMED;
        return 0;
}

int ct_incoming_remove(struct ct *ct, struct err *err)
{
        struct side *s = &world->at[ct->side];

        (void)err;
        step();
        if (s->tasks == TASKS_RUNNING || s->dir == DIR_NAMED)
                broken("what was removed as incoming had been claimed");
        s->tasks = TASKS_NONE;
        s->port_off = false;
        s->dir = DIR_NONE;
        (void)unlinkat(ct->dirfd, "root.img", 0);
        return 0;
}

int ct_rename(struct ct *ct, const char *name, struct err *err)
{
        (void)err, (void)name;
        step();
        world->at[ct->side].dir = DIR_MOVED;
        return 0;
}

int ct_cleanup(struct ct *ct, struct err *err)
{
        (void)err;
        step();
        world->at[ct->side].port_off = false;
        return 0;
}

int ct_destroy(struct ct *ct, struct err *err)
{
        (void)err;
        world->at[ct->side].dir = DIR_NONE;
        return 0;
}

int ct_subject(struct ct *ct, struct subject *ret, struct err *err)
{
        if (world->at[ct->side].tasks == TASKS_NONE)
                return err_set(err, EX_STATE, "no subject", "it does not run", "%s", "web1");
        *ret = (struct subject){.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .fssync_fd = -1, .ctx = &world->at[ct->side]};
        return 0;
}

void subject_done(struct subject *s)
{
        (void)s;
}

/* ---- the ground ---- */

int ct_ground(struct ct *ct, enum ground_for purpose, struct ground **ret, struct err *err)
{
        (void)purpose, (void)err;
        step();
        *ret = malloc(sizeof(**ret));
        **ret = (struct ground){ct->side};
        world->at[ct->side].port_off = true;
        return 0;
}

int ground_image(struct ground *g, struct err *err)
{
        (void)g, (void)err;
        step();
        return 0;
}

int ground_subject(struct ground *g, struct subject *ret, struct err *err)
{
        (void)err;
        *ret = (struct subject){.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .fssync_fd = -1, .ctx = &world->at[g->side]};
        return 0;
}

void ground_undo(struct ground *g)
{
        if (g) {
                if (world->at[g->side].tasks == TASKS_RUNNING)
                        broken("the ground of a running container was undone");
                world->at[g->side].tasks = TASKS_NONE;
                world->at[g->side].port_off = false;
        }
        free(g);
}

int ground_keeper(struct ground *g, struct err *err)
{
        (void)g, (void)err;
        step();
        return 0;
}

int ground_commit(struct ground *g, struct err *err)
{
        (void)g, (void)err;
        step();
        return 0;
}

/* ---- the session ---- */

int cgroup_procs(int cgfd, pid_t **ret, size_t *ret_n, struct err *err)
{
        (void)cgfd, (void)err;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

void findings_done(struct findings *f)
{
        free(f->at);
        *f = (struct findings){0};
}

int findings_add(struct findings *f, const struct err *e)
{
        char text[512];

        f->at = realloc(f->at, (f->n + 1) * sizeof(*e));
        f->at[f->n++] = *e;
        fprintf(stderr, "finding: %s\n", err_format(e, text, sizeof(text)));
        return 0;
}

int session_probe(const struct subject *s, struct findings *ret, struct err *err)
{
        (void)s, (void)ret, (void)err;
        return 0;
}

const struct record_types *session_record_types(void)
{
        static const struct record_types none;

        return &none;
}

int session_freeze(const struct subject *s, unsigned ms, struct dump **ret, struct err *err)
{
        struct side *w = s->ctx;

        (void)ms, (void)err;
        step();
        if (!w->journal.frozen)
                broken("S1: frozen without a journal that says so");
        w->guard = true;
        w->tasks = TASKS_FROZEN;
        w->port_off = true;
        *ret = malloc(sizeof(**ret));
        **ret = (struct dump){0};
        step();
        return 0;
}

int session_dump(struct dump *d, const struct record_sink *rs, const struct page_sink_ops *ps, void *c, struct err *err)
{
        struct image_meta meta = {0};
        static uint8_t page[PAGE_BYTES] = {1};
        struct run run = {.mem = 5, .addr = 4096, .pages = 1, .what = RUN_DATA};

        (void)d;
        step();
        int r = image_header_put(rs, &meta, err);
        return r < 0 ? r : ps->put(c, &run, page, err);
}

void dump_stats(const struct dump *d, struct session_stats *ret)
{
        (void)d;
        *ret = (struct session_stats){.tasks = 1, .frozen_at = now_ns()};
}

int session_park_source(struct dump *d, struct err *err)
{
        (void)d, (void)err;
        step();
        return 0;
}

int session_offer(struct dump *d, struct err *err)
{
        (void)d, (void)err;
        if (world->at[0].journal.owner != OWNER_OFFERED)
                broken("S2: the guard was sent away without OFFERED");
        world->at[0].guard = false;
        step();
        return 0;
}

static int thaw(struct side *w)
{
        w->tasks = w->tasks == TASKS_NONE ? TASKS_NONE : TASKS_RUNNING;
        w->port_off = false;
        w->guard = false;
        return 0;
}

int session_resume(struct dump *d, struct err *err)
{
        (void)err;
        free(d);
        step();
        return thaw(&world->at[0]);
}

int session_cure(const struct subject *s, struct err *err)
{
        (void)err;
        step();
        return thaw(s->ctx);
}

int session_kill(const struct subject *s, struct dump *d, struct err *err)
{
        struct side *w = s->ctx;

        (void)err;
        free(d);
        step();
        if (world->at[0].journal.owner != OWNER_GONE)
                broken("S4: killed without GONE");
        if (w)
                w->tasks = TASKS_NONE;
        return 0;
}

int session_prepare(const struct subject *s, struct image *img, struct restore **ret, struct err *err)
{
        (void)err, (void)img;
        step();
        ((struct side *)s->ctx)->tasks = TASKS_FROZEN;
        *ret = malloc(sizeof(**ret));
        **ret = (struct restore){1};
        return 0;
}

int session_park(struct restore *r, struct err *err)
{
        (void)r, (void)err;
        step();
        world->at[1].tasks = TASKS_PARKED;
        return 0;
}

int session_go(const struct subject *s, struct err *err)
{
        (void)err;
        step();
        if (world->at[0].tasks == TASKS_RUNNING)
                broken("T4: it runs on both");
        int r = thaw(s->ctx);
        step();
        return r;
}

void session_undo(struct restore *r)
{
        free(r);
}

void restore_free(struct restore *r)
{
        free(r);
}

/* ---- the other node: a process, and a socket in place of ssh ---- */

static void serve(int fd) __attribute__((noreturn));

static void serve(int fd)
{
        struct wire w;
        struct hello peer;
        struct node *n;
        struct ct *ct;
        struct ground *g;
        struct err err = {0};

        me = 1;
        if (wire_open(fd, fd, 5000, &w, &err) < 0)
                _exit(EX_FAIL);
        int r = hello_target(&w, &peer, &err);
        if (r == 0)
                r = node_open(NULL, &n, &err);
        if (r == 0)
                r = target_run(n, &w, &peer, &ct, &g, &err);
        if (r < 0)
                msg_send_error(&w, &err);
        _exit(r < 0 ? err.code : EX_OK);
}

int ssh_open(const char *host, unsigned step_ms, struct ssh *ret, struct err *err)
{
        int pair[2];

        (void)host;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, EX_FAIL, errno, "no socket", "%s", "");
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                close(pair[0]);
                serve(pair[1]);
        }
        close(pair[1]);
        *ret = (struct ssh){.pidfd = pid, .relay_pidfd = -1, .err_fd = -1};
        return wire_open(pair[0], pair[0], step_ms < 5000 ? step_ms : 5000, &ret->wire, err);
}

int ssh_why(struct ssh *s, struct err *err)
{
        (void)s;
        return err ? -err->code : -EX_CONNECT;
}

void ssh_close(struct ssh *s)
{
        wire_done(&s->wire);
        (void)waitpid(s->pidfd, NULL, 0);
}

int ssh_host_check(const char *host, struct err *err)
{
        (void)host, (void)err;
        return 0;
}

/* ---- what the test does ---- */

static int in_child(int side, bool resolve)
{
        int status;

        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                struct migrate_options o = {.host = "other", .stop_fd = -1, .timeout_s = resolve ? 3 : 20};
                struct migrate_report rep;
                enum resolved what;
                struct node *n;
                struct err err = {0};
                char text[512];
                me = side;
                int r = node_open(NULL, &n, &err);
                if (r == 0)
                        r = resolve ? migrate_resolve(n, "web1", &o, &what, &err) : migrate_run(n, "web1", &o, &rep, &err);
                if (r < 0)
                        fprintf(stderr, "  side %d: %s\n", side, err_format(&err, text, sizeof(text)));
                _exit(r < 0 ? err.code : EX_OK);
        }
        if (waitpid(pid, &status, 0) != pid)
                return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int world_migrate(void)
{
        return in_child(0, false);
}

int world_resolve(int side)
{
        return in_child(side, true);
}

void world_guards(void)
{
        struct side *s = &world->at[0];

        if (s->guard && s->journal.owner != OWNER_OFFERED)
                (void)thaw(s);
        s->guard = false;
}

void world_free(void)
{
        for (int i = 0; i < 2; i++)
                if (dirs[i][0])
                        (void)path_remove_tree(AT_FDCWD, dirs[i], NULL);
}

void world_reset(int die_side, unsigned die_step)
{
        world_free();
        if (!world)
                world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        *world = (struct world){.die_side = die_side, .die_step = die_step};
        world->at[0] = (struct side){.tasks = TASKS_RUNNING, .dir = DIR_NAMED};
        for (int i = 0; i < 2; i++) {
                snprintf(dirs[i], sizeof(dirs[i]), "/var/tmp/migrate-world-XXXXXX");
                if (!mkdtemp(dirs[i]))
                        abort();
        }
}

void world_image_at(const char *dir);

void world_image(void)
{
        unsigned keep = world->die_step;

        world->die_step = 0;
        world_image_at(dirs[0]);
        world->die_step = keep;
        world->at[0].steps = world->at[1].steps = 0;
}
