/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs one victim through dumps and restores:
 *
 *      kind-driver [-v] [--stem STEM] [--cgroup NAME] VICTIM MODE...
 *      kind-driver --without STEM DIR FROM TO      makes of image DIR/FROM the image DIR/TO without the records of a kind
 *
 *      dump            dumped and let go on: it looks the same from outside, and verifies
 *      restore         dumped, killed, restored: it looks the same from outside, and verifies
 *      twice           dumped, killed, restored, dumped: the second image equals the first
 *      refuse          a probe names kind STEM and nothing else, as often as the victim says in DIR/expect (once); a dump fails for it;
 *                      the tree goes on and looks the same from outside, and verifies
 *      drop            the records of kind STEM are taken out of the image: CHECK, the restore, or the victim must fail
 *      fault-dump      the engine's k-th system call fails, for k = 1, 2, 3 …: the tree goes on, nothing leaks
 *      fault-restore   the same for a restore: nothing is left
 *
 * Prints `ok MODE` or `not ok MODE: why`. The fault modes need the build with the failing seam (kind-driver-fault); of
 * more than $GANTRY_TRIES (60) steps so many are taken, spread over all. Needs root and a pid namespace whose end is ours (tests/run).
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/pidfd.h"
#include "checkpoint/image.h"
#include "checkpoint/kind/kind.h"
#include "tests/kind/driver.h"
#include "tests/kind/look.h"
#include "tests/sys_fault.h"

#define FREEZE_MS 10000

struct mode { const char *name; int (*run)(struct trial *r); };

struct options { const char *stem, *cgroup, *victim; bool verbose; struct sleepers *sleepers; };

/* Freezes, dumps into r->dir/name; then kill or resume. What fails resumes; r->written says whether the image was done. */
static int dump_to(struct trial *r, const char *name, bool end, struct err *err)
{
        struct dump *d = NULL;
        struct image_writer *w = NULL;
        int dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int n = session_freeze(&r->s, FREEZE_MS, &d, err);

        r->written = false;
        if (n < 0) {
                close(dir);
                return n;
        }
        n = image_writer_open(dir, name, session_record_types(), &w, err);
        if (n >= 0) {
                struct record_sink rs = image_writer_records(w);
                n = session_dump(d, &rs, &image_page_sink, w, err);
                if (n >= 0)
                        n = image_writer_close(w, err);
                else
                        image_writer_abort(w);
                r->written = n >= 0;
        }
        close(dir);
        if (n < 0 || !end) {
                int q = session_resume(d, n < 0 ? NULL : err);
                return n < 0 ? n : q;
        }
        return session_kill(&r->s, d, err);
}

/* From an image to a running tree on a new ground. */
static int restore_from(struct trial *r, const char *name, struct err *err)
{
        struct image *img = NULL;
        struct restore *rs = NULL;
        int dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int n = image_open(dir, name, session_record_types(), &img, err);

        close(dir);
        r->reached = n >= 0;
        if (n >= 0)
                n = session_prepare(&r->s, img, &rs, err);
        if (n >= 0)
                n = session_park(rs, err);
        if (n >= 0)
                restore_free(rs);
        else if (rs)
                session_undo(rs);
        image_close(img);
        r->parked = n >= 0;
        if (n >= 0)
                n = session_go(&r->s, err);
        return n;
}

static int dump_and_end(struct trial *r, const char *name)
{
        struct err err = {0};

        if (dump_to(r, name, true, &err) < 0)
                return failed_err(r, "dump", &err);
        return victim_gone(r);
}

static int restored(struct trial *r, const char *name)
{
        struct err err = {0};

        if (victim_ground(r) < 0)
                return -1;
        if (restore_from(r, name, &err) < 0)
                return failed_err(r, "restore", &err);
        return victim_at_large(r);
}

/* Compares with what the tree looked like before. */
static int same_look(struct trial *r, const char *before)
{
        char diff[900];
        char *after = look(r->s.cgroup_fd);
        int n = 0;

        if (!before || !after)
                n = failed(r, "the tree cannot be looked at");
        else if (look_differs(before, after, diff, sizeof(diff)))
                n = failed(r, "it looks different from outside: %s", diff);
        free(after);
        return n;
}

static int mode_dump(struct trial *r)
{
        struct err err = {0};

        if (victim_start(r) < 0)
                return -1;
        char *before = look(r->s.cgroup_fd);
        int n = dump_to(r, "image", false, &err);
        n = n < 0 ? failed_err(r, "dump", &err) : victim_at_large(r);
        if (n == 0)
                n = same_look(r, before);
        free(before);
        return n == 0 ? victim_verify(r) : n;
}

static int mode_restore(struct trial *r)
{
        if (victim_start(r) < 0)
                return -1;
        char *before = look(r->s.cgroup_fd);
        int n = dump_and_end(r, "image");
        if (n == 0)
                n = restored(r, "image");
        if (n == 0)
                n = same_look(r, before);
        free(before);
        return n == 0 ? victim_verify(r) : n;
}

/* The kernel writes the number of the processor into a task's rseq area: with one processor that is no difference. */
static void one_processor(void)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(sched_getcpu() < 0 ? 0 : (size_t)sched_getcpu(), &set);
        (void)sched_setaffinity(0, sizeof(set), &set);
}

static int mode_twice(struct trial *r)
{
        one_processor();
        r->calm = true;
        if (victim_start(r) < 0 || dump_and_end(r, "first") < 0 || restored(r, "first") < 0)
                return -1;
        if (dump_and_end(r, "second") < 0)
                return -1;
        return images_equal(r, "first", "second");
}

/* How many findings the victim says there are. */
static size_t expected(const struct trial *r)
{
        char path[128], text[16] = "";

        snprintf(path, sizeof(path), "%s/expect", r->dir);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
        if (fd >= 0)
                close(fd);
        return n > 0 ? strtoul(text, NULL, 10) : 1;
}

static bool names(const struct err *e, const char *stem)
{
        size_t n = strlen(stem);

        return e->code == EX_UNSUPPORTED && strncmp(e->on, stem, n) == 0 && (!e->on[n] || e->on[n] == ':' || e->on[n] == ',');
}

static int probe(struct trial *r)
{
        struct findings f = {0};
        struct err err = {0};
        int n = session_probe(&r->s, &f, &err);

        if (n < 0)
                failed_err(r, "probe", &err);
        for (size_t i = 0; n >= 0 && i < f.n; i++)
                if (!names(&f.at[i], r->stem))
                        n = failed_err(r, "an unexpected finding", &f.at[i]);
        if (n >= 0 && f.n != expected(r))
                n = failed(r, "%zu findings, %zu expected", f.n, expected(r));
        findings_done(&f);
        return n;
}

static int mode_refuse(struct trial *r)
{
        struct err err = {0};

        /* What is made in the node's namespace must go with us. */
        if (unshare(CLONE_NEWIPC) < 0)
                return failed(r, "unshare: %s", strerror(errno));
        if (victim_start(r) < 0)
                return -1;
        char *before = look(r->s.cgroup_fd);
        int n = probe(r);
        if (n == 0)
                n = victim_at_large(r);
        if (n == 0 && dump_to(r, "image", false, &err) >= 0)
                n = failed(r, "it was dumped");
        else if (n == 0 && !names(&err, r->stem))
                n = failed_err(r, "refused for another reason", &err);
        if (n == 0)
                n = victim_at_large(r);
        if (n == 0)
                n = same_look(r, before);
        free(before);
        return n == 0 ? victim_verify(r) : n;
}

static const struct kind *kind_of(const char *stem)
{
        size_t n = 0;
        const struct kind *const *all = kind_table(&n);

        for (size_t i = 0; i < n; i++)
                if (strcmp(all[i]->stem, stem) == 0)
                        return all[i];
        return NULL;
}

static int mode_drop(struct trial *r)
{
        const struct kind *k = kind_of(r->stem);
        struct err err = {0};
        unsigned dropped = 0;

        if (!k)
                return failed(r, "there is no kind '%s'", r->stem);
        if (victim_start(r) < 0)
                return -1;
        char *before = look(r->s.cgroup_fd);
        int n = dump_and_end(r, "image");
        if (n == 0)
                n = image_without(r, "image", "without", k->number, &dropped);
        if (n == 0 && dropped == 0)
                n = failed(r, "the image holds no record of %s", r->stem);
        if (n == 0)
                n = victim_ground(r);
        bool noticed = n == 0 && (restore_from(r, "without", &err) < 0 || same_look(r, before) < 0 || victim_verify(r) < 0);
        free(before);
        if (n == 0 && !noticed)
                n = failed(r, "nobody misses the %u records of %s", dropped, r->stem);
        return n;
}

#ifdef GANTRY_FAULT

/* The k of the i-th of `tries` steps over `all`: every one where they are few. */
static unsigned long step(unsigned long i, unsigned long all, unsigned long tries)
{
        return all <= tries ? i : 1 + i * (all - 1) / tries;
}

static int one_failed_dump(struct trial *r, unsigned long k)
{
        struct err err = {0};
        size_t fds = open_descriptors();

        sys_fault_arm(k, EIO);
        int n = dump_to(r, "image", false, &err);
        sys_fault_disarm();
        bool fired = sys_fault_fired();
        if (n < 0 && !fired)
                return failed_err(r, "a dump without a fault", &err);
        if (victim_at_large(r) < 0)
                return -1;
        if (open_descriptors() != fds)
                return failed(r, "after a fault at %lu (%s) %zu descriptors were %zu", k, sys_fault_name(), open_descriptors(), fds);
        char path[128];
        snprintf(path, sizeof(path), "%s/image/records", r->dir);
        if (!r->written && access(path, F_OK) == 0)
                return failed(r, "a failed dump (fault at %lu, %s) left an image", k, sys_fault_name());
        unlink(path);
        snprintf(path, sizeof(path), "%s/image/pages", r->dir);
        unlink(path);
        snprintf(path, sizeof(path), "%s/image", r->dir);
        rmdir(path);
        return 0;
}

static unsigned long tries_of(const struct trial *r)
{
        const char *text = getenv("GANTRY_TRIES");

        (void)r;
        unsigned long n = text ? strtoul(text, NULL, 10) : 0;
        return n ? n : 60;
}

static int mode_fault_dump(struct trial *r)
{
        unsigned long tries = tries_of(r), all;

        if (victim_start(r) < 0)
                return -1;
        char *before = look(r->s.cgroup_fd);
        int n = one_failed_dump(r, 0);
        all = sys_fault_count();
        for (unsigned long i = 1; n == 0 && i <= all && i <= tries; i++)
                n = one_failed_dump(r, step(i, all, tries));
        if (n == 0)
                n = same_look(r, before);
        free(before);
        return n == 0 ? victim_verify(r) : n;
}

/* A ground, a restore with the k-th call failing; nothing of either may be left. 1: it went through. */
static int one_failed_restore(struct trial *r, unsigned long k)
{
        struct err err = {0};
        size_t fds = open_descriptors();

        if (victim_ground(r) < 0)
                return -1;
        sys_fault_arm(k, EIO);
        int n = restore_from(r, "image", &err);
        sys_fault_disarm();
        if (n < 0 && !sys_fault_fired())
                return failed_err(r, "a restore without a fault", &err);
        if (n < 0 && r->parked) {
                /* after PARK there is no way back, and none is needed: GO is done again, by whoever comes */
                err = (struct err){0};
                n = session_go(&r->s, &err);
                if (n < 0)
                        return failed_err(r, "a second GO", &err);
        }
        if (n >= 0)
                return victim_at_large(r) < 0 ? -1 : 1;
        if (!r->reached) {
                victim_end_all(r);
                return 0;
        }
        if (victim_gone(r) < 0)
                return failed(r, "after a fault at %lu (%s) the tree is still there", k, sys_fault_name());
        if (r->s.sock >= 0)
                close(r->s.sock);
        r->s.sock = -1;
        if (open_descriptors() != fds)
                return failed(r, "after a fault at %lu (%s) %zu descriptors were %zu", k, sys_fault_name(), open_descriptors(), fds);
        return 0;
}

static int mode_fault_restore(struct trial *r)
{
        unsigned long tries = tries_of(r), all;

        if (victim_start(r) < 0 || dump_and_end(r, "image") < 0)
                return -1;
        int n = one_failed_restore(r, 0);
        all = sys_fault_count();
        for (unsigned long i = 1; n >= 0 && i <= all && i <= tries; i++) {
                if (n == 1)
                        victim_end_all(r);
                n = one_failed_restore(r, step(i, all, tries));
        }
        if (n == 1)
                victim_end_all(r);
        return n < 0 ? n : restored(r, "image") < 0 ? -1 : victim_verify(r);
}
#endif

static const struct mode modes[] = {
        {"dump", mode_dump}, {"restore", mode_restore}, {"twice", mode_twice}, {"drop", mode_drop}, {"refuse", mode_refuse},
#ifdef GANTRY_FAULT
        {"fault-dump", mode_fault_dump}, {"fault-restore", mode_fault_restore},
#endif
};

static int dir_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
        (void)st;
        (void)at;
        return type == FTW_DP ? rmdir(path) : unlink(path);
}

/* The files of the talk, the victim's own and the images; the directory is ours, from mkdtemp. */
static void dir_empty(const char *path)
{
        (void)nftw(path, dir_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int run_mode(const struct options *o, const struct mode *m)
{
        const struct log log = {.fd = 2, .topics = ~0u};
        struct trial r = {.program = o->victim, .stem = o->stem, .cgroup = o->cgroup, .log = o->verbose ? &log : NULL, .master = -1};

        r.s = (struct subject){.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .console_index = -1, .caps = ~UINT64_C(0),
                               .sock = -1, .sock_fd = -1, .fssync_fd = -1, .log = r.log, .sleepers = o->sleepers};
        snprintf(r.dir, sizeof(r.dir), "/tmp/gantry-kind-XXXXXX");
        if (!mkdtemp(r.dir) || chmod(r.dir, 0777) < 0) {
                printf("not ok %s: %s: %s\n", m->name, r.dir, strerror(errno));
                return 1;
        }
        int n = m->run(&r);
        victim_end_all(&r);
        if (r.master >= 0)
                close(r.master);
        dir_empty(r.dir);
        if (n == 0)
                printf("ok %s\n", m->name);
        else
                printf("not ok %s: %s\n", m->name, r.why);
        fflush(stdout);
        return n != 0;
}

static int options_parse(int argc, char **argv, struct options *o)
{
        static const struct option longs[] = {{"stem", required_argument, NULL, 's'}, {"cgroup", required_argument, NULL, 'c'}, {}};
        int c;

        *o = (struct options){.cgroup = "gantry-test-kind"};
        while ((c = getopt_long(argc, argv, "v", longs, NULL)) != -1) {
                switch (c) {
                case 's': o->stem = optarg; break;
                case 'c': o->cgroup = optarg; break;
                case 'v': o->verbose = true; break;
                default: return -1;
                }
        }
        if (argc - optind < 2)
                return -1;
        o->victim = argv[optind];
        if (!o->stem) {
                const char *base = strrchr(o->victim, '/');
                base = base ? base + 1 : o->victim;
                o->stem = strncmp(base, "victim-", 7) == 0 ? base + 7 : base;
        }
        return optind + 1;
}

/* STEM DIR FROM TO: for those who restore in another way (inside.sh). */
static int without(char **argv)
{
        const struct kind *k = kind_of(argv[0]);
        struct trial r = {.stem = argv[0]};
        unsigned dropped = 0;

        snprintf(r.dir, sizeof(r.dir), "%s", argv[1]);
        int n = k ? image_without(&r, argv[2], argv[3], k->number, &dropped) : failed(&r, "there is no kind '%s'", argv[0]);
        if (n == 0 && dropped == 0)
                n = failed(&r, "the image holds no record of %s", argv[0]);
        if (n < 0)
                printf("%s\n", r.why);
        return n < 0;
}

int main(int argc, char **argv)
{
        struct options o;
        if (argc == 6 && strcmp(argv[1], "--without") == 0)
                return without(argv + 2);
        int first = options_parse(argc, argv, &o), bad = 0;

        if (first < 0) {
                fprintf(stderr, "usage: %s [-v] [--stem STEM] [--cgroup NAME] VICTIM MODE...\n", argv[0]);
                return 2;
        }
        if (sleepers_open(&o.sleepers, NULL) < 0)
                return 2;
        for (int i = first; i < argc; i++) {
                const struct mode *m = NULL;
                for (size_t k = 0; k < sizeof(modes) / sizeof(*modes); k++)
                        if (strcmp(modes[k].name, argv[i]) == 0)
                                m = &modes[k];
                if (!m) {
                        fprintf(stderr, "%s: no mode '%s'\n", argv[0], argv[i]);
                        return 2;
                }
                bad |= run_mode(&o, m);
        }
        sleepers_close(o.sleepers);
        return bad;
}
