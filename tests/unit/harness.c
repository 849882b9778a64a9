/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dump and the restore side of kind.h for one process: this one (harness.h).
 *
 * Ids are indices. dump_group() compares (st_dev, st_ino), dump_epoll_target() asks kcmp as the collector does. A restore
 * walks the phases in order, builds the tapes of all records and plays them by the self executor, or by the failing
 * one over it; descriptors that tapes keep are delivered to the tapes of later phases as they are.
 */
#include "tests/unit/harness-int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/procfs.h"
#include "base/sys.h"

#define FIRST_MADE 200 /* restored descriptors stay clear of the numbers that are put back */

struct kt_object *kt_at(struct kt *t, uint64_t id)
{
        cr_assert(id >= 1 && id <= t->n, "no object %llu", (unsigned long long)id);
        return &t->at[id - 1];
}

struct kt *kt_new(void)
{
        struct kt *t = calloc(1, sizeof(*t));

        cr_assert_not_null(t);
        t->procfd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        t->procfd = fcntl(t->procfd, F_DUPFD_CLOEXEC, 900);
        t->console = -1;
        t->master = -1;
        cr_assert_geq(t->procfd, 0);
        return t;
}

void kt_free(struct kt *t)
{
        for (size_t i = 0; i < t->n; i++) {
                struct kt_object *x = &t->at[i];
                free(x->slot);
                free(x->link);
                free(x->fdinfo);
                free(x->ux);
                free(x->bytes);
                record_done(&x->rec);
        }
        fd_close(t->master);
        close(t->procfd);
        free(t);
}

static struct kt_object *add(struct kt *t)
{
        cr_assert_lt(t->n, KT_OBJECTS);
        struct kt_object *x = &t->at[t->n++];
        *x = (struct kt_object){.made = -1};
        x->o.id = t->n;
        x->o.procfd = t->procfd;
        return x;
}

static const struct kind *claimant(const struct facts *f)
{
        size_t n;
        const struct kind *const *table = kind_table(&n);
        const struct kind *k = NULL;

        for (size_t i = 0; i < n; i++)
                if (table[i]->cls == f->cls && table[i]->claim && table[i]->claim(f)) {
                        cr_assert_null(k, "%s and %s claim the same", k ? k->stem : "", table[i]->stem);
                        k = table[i];
                }
        return k;
}

uint64_t kt_add_fd(struct kt *t, int fd)
{
        struct kt_object *x = add(t);

        cr_assert_geq(fd, 0);
        kt_read_facts(t, x, fd);
        x->kind = claimant(&x->o.facts);
        cr_assert(x->kind && x->kind->take, "nobody keeps %s", x->link);
        x->fds[x->n_fds++] = fd;
        return x->o.id;
}

uint64_t kt_add(struct kt *t, const struct kind *k, const struct facts *f)
{
        struct kt_object *x = add(t);

        x->o.facts = *f;
        x->o.cls = f->cls;
        x->kind = k;
        return x->o.id;
}

void kt_alias(struct kt *t, uint64_t id, int fd)
{
        struct kt_object *x = kt_at(t, id);

        cr_assert_lt(x->n_fds, KT_FDS);
        x->fds[x->n_fds++] = fd;
}

struct facts *kt_facts(struct kt *t, uint64_t id)
{
        return &kt_at(t, id)->o.facts;
}

void kt_console(struct kt *t, int index)
{
        t->console = index;
}

const struct record *kt_record(struct kt *t, uint64_t id)
{
        return &kt_at(t, id)->rec;
}

/* ---- dump ---- */

int dump_id(struct dump *d, enum obj_class c, const void *key, size_t len, uint64_t *ret, struct err *err)
{
        for (size_t i = 0; c == CLS_FILE && len == sizeof(uint64_t) && i < d->t->n; i++) {
                uint64_t ino = d->t->at[i].o.facts.file.st.st_ino;
                if (d->t->at[i].o.cls == CLS_FILE && memcmp(&ino, key, len) == 0) {
                        *ret = d->t->at[i].o.id;
                        return 0;
                }
        }
        return err_set(err, EX_UNSUPPORTED, "cannot checkpoint an object", "the walk did not meet it", "class %d", (int)c);
}

size_t dump_group(struct dump *d, const struct obj *o, const uint64_t **ret)
{
        struct kt_object *x = kt_at(d->t, o->id);
        size_t n = 0;

        for (size_t i = 0; i < d->t->n; i++) {
                const struct obj *y = &d->t->at[i].o;
                if (y->cls == CLS_FILE && y->facts.file.st.st_ino == o->facts.file.st.st_ino &&
                    y->facts.file.st.st_dev == o->facts.file.st.st_dev)
                        x->group[n++] = y->id;
        }
        *ret = x->group;
        return n;
}

const struct obj *dump_obj(struct dump *d, uint64_t id)
{
        return id >= 1 && id <= d->t->n ? &d->t->at[id - 1].o : NULL;
}

int dump_epoll_target(struct dump *d, const struct obj *epoll, uint32_t tfd, uint32_t index, uint64_t *ret, struct err *err)
{
        struct kcmp_epoll_slot slot = {.efd = (uint32_t)epoll->facts.file.fd, .tfd = tfd, .toff = index};

        (void)err;
        for (size_t i = 0; i < d->t->n; i++) {
                const struct obj *y = &d->t->at[i].o;
                if (y->cls == CLS_FILE &&
                    sys_kcmp(getpid(), getpid(), KCMP_EPOLL_TFD, (unsigned long)y->facts.file.fd, (unsigned long)&slot) == 0) {
                        *ret = y->id;
                        return 0;
                }
        }
        return 1;
}

int dump_bytes(struct dump *d, uint64_t id, uint64_t offset, const void *buf, size_t len, struct err *err)
{
        struct kt_object *x = kt_at(d->t, id);

        cr_assert_eq(offset % 4096, 0);
        uint8_t *p = realloc(x->bytes, offset + len);
        if (!p)
                return kind_nomem(err);
        x->bytes = p;
        memcpy(p + offset, buf, len);
        x->n_bytes = offset + len;
        return 0;
}

int dump_proc(const struct obj *o, const char *name, char **ret, size_t *ret_len, struct err *err)
{
        return proc_read(o->procfd, name, ret, ret_len, err);
}

int dump_root(struct dump *d, const struct obj *o, struct err *err)
{
        static int root = -1; /* of a test program: the same for its whole life */

        (void)d;
        (void)o;
        (void)err;
        if (root < 0)
                root = fcntl(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), F_DUPFD_CLOEXEC, 901);
        return root;
}

struct looked *dump_looked(struct dump *d, const char *path)
{
        (void)d;
        (void)path;
        return NULL;
}

bool dump_area(struct dump *d, const struct obj *mm, const char *name)
{
        char *text = NULL;
        size_t len;

        (void)d;
        cr_assert_eq(proc_read(mm->procfd, "maps", &text, &len, NULL), 0);
        bool has = strstr(text, name) != NULL;
        free(text);
        return has;
}

uint32_t dump_uid(struct dump *d, uint32_t outside)
{
        (void)d;
        return outside;
}

uint32_t dump_gid(struct dump *d, uint32_t outside)
{
        (void)d;
        return outside;
}

int dump_console_index(const struct dump *d)
{
        return d->t->console;
}

void dump_count_dropped(struct dump *d, unsigned syn_recv, unsigned time_wait)
{
        (void)d;
        (void)syn_recv;
        (void)time_wait;
}

void **dump_slot(struct dump *d, const struct obj *o)
{
        return &kt_at(d->t, o->id)->slot;
}

/* Through the frame and back: what a restore sees is what unpack accepts. */
static int through_the_image(struct record *r, struct err *err)
{
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n = 0;
        struct record again = {};
        int res = record_pack(r, &frame, &n, err);

        record_done(r);
        if (res < 0)
                return res;
        struct record_head h = record_head_get(frame);
        res = record_unpack(kind_record_types(), h.kind, h.flags, h.id, frame + RECORD_HEAD, h.len, &again, err);
        if (res == 0)
                *r = again;
        return res;
}

static int take_object(struct dump *d, struct kt_object *x, struct err *err)
{
        struct executor self;
        struct tape *t = tape_new((struct actor){ACTOR_TASK, 1});
        int fd = x->n_fds ? fcntl(x->fds[0], F_DUPFD_CLOEXEC, 800) : -1;
        int r = 0;

        cr_assert_not_null(t);
        if (x->kind->ask) {
                cr_assert_eq(executor_self(&self, NULL), 0);
                r = x->kind->ask(d, &x->o, t);
                if (r == 0)
                        r = executor_play(&self, (struct tape *const[]){t}, 1, err);
                executor_done(&self);
        }
        record_done(&x->rec);
        x->rec = (struct record){.kind = x->kind->number, .id = x->o.id};
        if (r == 0)
                r = x->kind->take(d, &x->o, fd, x->kind->ask ? t : NULL, &x->rec, err);
        if (r == 0)
                r = through_the_image(&x->rec, err);
        tape_free(t);
        fd_close(fd);
        return r;
}

/* As long as one asks for it, and two seconds at most. */
static int settle(struct dump *d, struct err *err)
{
        const struct timespec tick = {.tv_nsec = 1000000};
        int again = 1, r = 0;

        for (int ms = 0; r >= 0 && again && ms < 2000; ms++) {
                again = 0;
                for (size_t i = 0; r >= 0 && i < d->t->n; i++)
                        if (d->t->at[i].kind->settle) {
                                r = d->t->at[i].kind->settle(d, &d->t->at[i].o, d->t->at[i].fds[0], err);
                                again |= r > 0;
                        }
                if (again)
                        nanosleep(&tick, NULL);
        }
        return r < 0 ? r : 0;
}

int kt_try_dump(struct kt *t, struct err *err)
{
        struct dump d = {t};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < t->n; i++)
                if (t->at[i].kind->refuse)
                        r = t->at[i].kind->refuse(&t->at[i].o.facts, err);
        if (r >= 0)
                r = settle(&d, err);
        for (size_t i = 0; r >= 0 && i < t->n; i++)
                if (t->at[i].kind->quiesce)
                        r = t->at[i].kind->quiesce(&d, &t->at[i].o, t->at[i].fds[0], err);
        for (size_t i = 0; r >= 0 && i < t->n; i++)
                r = take_object(&d, &t->at[i], err);
        return r;
}

void kt_cure(struct kt *t)
{
        struct dump d = {t};
        struct err err = {};

        for (size_t i = 0; i < t->n; i++)
                if (t->at[i].kind->cure)
                        cr_assert_geq(t->at[i].kind->cure(&d, &t->at[i].o, t->at[i].fds[0], &err), 0, "%s", err.why);
}

void kt_dump(struct kt *t)
{
        struct err err = {};

        cr_assert_geq(kt_try_dump(t, &err), 0, "%s (%s): %s", err.what, err.on, err.why);
}

void kt_give(struct kt *t, uint64_t id, const struct kind *k, ProtobufCMessage *msg)
{
        while (t->n < id)
                (void)add(t);
        struct kt_object *x = kt_at(t, id);
        record_done(&x->rec);
        x->kind = k;
        x->rec = (struct record){.kind = k->number, .id = id, .msg = msg};
}

void kt_give_bytes(struct kt *t, uint64_t id, const void *p, size_t n)
{
        struct kt_object *x = kt_at(t, id);

        free(x->bytes);
        x->bytes = kind_memdup(p, n);
        x->n_bytes = n;
}

void kt_close(struct kt *t)
{
        for (size_t i = 0; i < t->n; i++)
                for (size_t k = 0; k < t->at[i].n_fds; k++)
                        close(t->at[i].fds[k]);
}

/* ---- restore ---- */

struct tape *restore_tape(struct restore *rs, struct actor who)
{
        for (size_t i = 0; i < rs->n_tape; i++)
                if (tape_actor(rs->tape[i]).type == who.type && tape_actor(rs->tape[i]).id == who.id)
                        return rs->tape[i];
        cr_assert_lt(rs->n_tape, ELEMENTSOF(rs->tape));
        struct tape *t = tape_new(who);
        cr_assert_not_null(t);
        return rs->tape[rs->n_tape++] = t;
}

struct actor restore_owner(struct restore *rs, uint64_t object)
{
        (void)rs;
        (void)object;
        return (struct actor){ACTOR_TASK, 1000};
}

uint64_t restore_task(struct restore *rs, uint32_t number)
{
        (void)rs;
        return (pid_t)number == getpid() ? 1000 : 0;
}

const struct record *restore_record(struct restore *rs, uint64_t object)
{
        return object >= 1 && object <= rs->t->n && rs->t->at[object - 1].rec.msg ? &rs->t->at[object - 1].rec : NULL;
}

int restore_bytes(struct restore *rs, uint64_t id, uint64_t offset, void *buf, size_t len, struct err *err)
{
        struct kt_object *x = kt_at(rs->t, id);

        if (offset > x->n_bytes || len > x->n_bytes - offset)
                return err_set(err, EX_IMAGE, "the checkpoint image is refused", "bytes are missing", "object %llu",
                               (unsigned long long)id);
        memcpy(buf, x->bytes + offset, len);
        return 0;
}

int restore_fd(struct restore *rs, uint64_t object, struct err *err)
{
        int fd = kt_at(rs->t, object)->made;

        return fd >= 0 ? fd : err_set(err, EX_FAIL, "no descriptor", "the object was not made", "%llu", (unsigned long long)object);
}

int restore_root(struct restore *rs, uint64_t object, struct err *err)
{
        (void)rs;
        (void)object;
        return dump_root(NULL, NULL, err);
}

int kt_check(struct kt *t, struct err *err)
{
        struct need need = {};

        for (size_t i = 0; i < t->n; i++)
                if (t->at[i].rec.msg && t->at[i].kind->check) {
                        int r = t->at[i].kind->check(&t->at[i].rec, &need, err);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int plan_phase(struct restore *rs, struct err *err)
{
        size_t n;
        const struct kind *const *table = kind_table(&n);

        rs->n_tape = 0;
        for (size_t k = 0; k < n; k++)
                for (size_t i = 0; table[k]->plan[rs->phase] && i < rs->t->n; i++) {
                        struct kt_object *x = &rs->t->at[i];
                        if (x->kind != table[k] || !x->rec.msg)
                                continue;
                        int r = table[k]->plan[rs->phase](rs, &x->rec, err);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static void drop_tapes(struct restore *rs)
{
        for (size_t i = 0; i < rs->n_tape; i++)
                tape_free(rs->tape[i]);
        rs->n_tape = 0;
}

static int deliver(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_tape; i++) {
                const uint64_t *need;
                size_t n = tape_needs(rs->tape[i], &need);
                for (size_t k = 0; k < n; k++) {
                        int fd = restore_fd(rs, need[k], err);
                        if (fd < 0)
                                return fd;
                        tape_set_fd(rs->tape[i], need[k], fd);
                }
        }
        return 0;
}

/* Kept descriptors move out of the way, also those of a tape that failed later: they are ours to close. */
static void collect(struct restore *rs)
{
        for (size_t i = 0; i < rs->n_tape; i++) {
                const struct tape_fd *keep;
                size_t n = tape_keeps(rs->tape[i], &keep);
                for (size_t k = 0; k < n; k++) {
                        if (keep[k].fd < 0)
                                continue;
                        int fd = fcntl(keep[k].fd, F_DUPFD_CLOEXEC, FIRST_MADE);
                        cr_assert_geq(fd, 0);
                        close(keep[k].fd);
                        if (keep[k].object == OBJECT_CONSOLE) {
                                rs->t->master = fd;
                                continue;
                        }
                        struct kt_object *x = kt_at(rs->t, keep[k].object);
                        cr_assert_lt(x->made, 0, "object %llu is made twice", (unsigned long long)keep[k].object);
                        x->made = fd;
                }
        }
}

static void hand(struct restore *rs)
{
        for (size_t i = 0; i < rs->t->n; i++) {
                struct kt_object *x = &rs->t->at[i];
                for (size_t k = 0; x->made >= 0 && k < x->n_fds; k++)
                        cr_assert_eq(dup3(x->made, x->fds[k], O_CLOEXEC), x->fds[k]);
        }
}

static int play_phase(struct restore *rs, const struct executor *x, struct err *err)
{
        int r = plan_phase(rs, err);

        if (r >= 0)
                r = deliver(rs, err);
        if (r >= 0) {
                r = executor_play(x, rs->tape, rs->n_tape, err);
                collect(rs);
        }
        if (rs->phase == PH_HAND && r >= 0)
                hand(rs);
        drop_tapes(rs);
        return r;
}

int kt_try_restore(struct kt *t, uint64_t fail, uint64_t *ret_entries, struct err *err)
{
        struct restore rs = {.t = t};
        struct executor self, fault;
        int r = kt_check(t, err);

        t->master = fd_close(t->master);
        cr_assert_eq(executor_self(&self, NULL), 0);
        cr_assert_eq(executor_fault(&self, fail, EIO, &fault, NULL), 0);
        for (int p = 0; r >= 0 && p < PH_N; p++) {
                rs.phase = (enum phase)p;
                r = play_phase(&rs, &fault, err);
        }
        *ret_entries = executor_fault_count(&fault);
        executor_done(&fault);
        executor_done(&self);
        for (size_t i = 0; i < t->n; i++)
                t->at[i].made = fd_close(t->at[i].made);
        return r;
}

void kt_restore(struct kt *t)
{
        struct err err = {};
        uint64_t entries = 0;

        cr_assert_geq(kt_try_restore(t, 0, &entries, &err), 0, "%s (%s): %s", err.what, err.on, err.why);
        cr_assert_gt(entries, 0);
}

static void close_all_but(const bool keep[1024])
{
        for (int fd = 3; fd < 1024; fd++)
                if (!keep[fd])
                        close(fd);
}

void kt_sweep(struct kt *t)
{
        bool open_before[1024];
        uint64_t entries = 0;

        for (int fd = 0; fd < 1024; fd++)
                open_before[fd] = fcntl(fd, F_GETFD) >= 0;
        for (uint64_t k = 1; k < 4096; k++) {
                struct err err = {};
                int r = kt_try_restore(t, k, &entries, &err);
                if (k > entries) {
                        cr_assert_geq(r, 0, "the clean run: %s (%s): %s", err.what, err.on, err.why);
                        return;
                }
                /* An entry that may fail in any way has no bad end of its own. */
                cr_assert(r >= 0 || err_is_set(&err), "entry %llu failed without a word", (unsigned long long)k);
                close_all_but(open_before);
        }
        cr_assert_fail("the sweep does not end");
}

char *kt_plan(struct kt *t, enum phase phase)
{
        struct restore rs = {.t = t, .phase = phase};
        struct strbuf out = {};
        struct err err = {};

        cr_assert_geq(plan_phase(&rs, &err), 0, "%s: %s", err.on, err.why);
        for (size_t i = 0; i < rs.n_tape; i++) {
                _cleanup_free_ char *text = tape_print(rs.tape[i]);
                cr_assert_not_null(text);
                strbuf_adds(&out, text);
        }
        drop_tapes(&rs);
        return strbuf_take(&out);
}

void kt_golden(struct kt *t, enum phase phase, const char *want)
{
        _cleanup_free_ char *got = kt_plan(t, phase);

        cr_assert_not_null(got);
        cr_assert_str_eq(got, want, "the plan changed; it is now\n%s", got);
}
