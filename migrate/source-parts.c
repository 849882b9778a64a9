/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the source's steps consist of (migrate/source.h): its disk, its facts for the check, its phases for the report.
 *
 * Before each round but the last the file system is synced, frozen and thawed at once: what lies in its journal goes to
 * its place, so that the freeze of the last round takes a millisecond and the target's mount replays nothing (storage.md).
 * The two ioctls are made by a child: if we are killed between them, it still thaws.
 */
#include "migrate/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/str.h"
#include "base/sys.h"
#include "migrate/check.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"
#include "ploop/ploop.h"

int source_disk_open(struct source *s, struct err *err)
{
        const char *image = ct_config(s->ct)->image;
        struct disk_info info;

        s->imagefd = path_open(ct_dirfd(s->ct), image, O_RDONLY | O_DIRECT, 0, NULL);
        if (s->imagefd < 0)                      /* tmpfs and others know no O_DIRECT */
                s->imagefd = path_open(ct_dirfd(s->ct), image, O_RDONLY, 0, err);
        if (s->imagefd < 0)
                return s->imagefd;
        _cleanup_close_ int plain = path_open(ct_dirfd(s->ct), image, O_RDONLY, 0, err);
        if (plain < 0)
                return plain;
        int r = disk_info(plain, &info, err);
        if (r < 0)
                return r;
        s->image_size = info.size;
        s->image_allocated = info.allocated;
        if (!info.attached)
                return 0;
        s->loopfd = path_open(AT_FDCWD, info.device, O_RDONLY, 0, err);
        return s->loopfd < 0 ? s->loopfd : 0;
}

static void calm_child(int fd) __attribute__((noreturn));

static void calm_child(int fd)
{
        if (image_freeze(fd, NULL) < 0)
                _exit(EX_FAIL);
        _exit(image_thaw(fd, NULL) < 0 ? EX_DISK : EX_OK);
}

static int calm(int fsfd, struct err *err)
{
        int pidfd = -1, status = 0;
        struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};

        int r = image_sync(fsfd, err);
        if (r < 0)
                return r;
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0)
                calm_child(fsfd);
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot bring the file system to rest", "clone3");
        r = pidfd_wait(pidfd, -1, &status, err);
        fd_close(pidfd);
        if (r < 0)
                return r;
        if (status != EX_OK) {
                (void)image_thaw(fsfd, NULL);
                return err_set(err, EX_DISK, "cannot bring the file system to rest", "FIFREEZE or FITHAW failed", "%s", "");
        }
        return 0;
}

int source_disk_round(struct source *s, bool last, struct err *err)
{
        int r = 0;

        if (!s->disk)
                r = disk_source_new(s->imagefd, s->loopfd, s->image_size, &s->disk, &s->rep->note, err);
        if (r == 0 && !last && s->subject.fssync_fd >= 0)
                r = calm(s->subject.fssync_fd, err);
        if (r == 0)
                r = disk_source_round(s->disk, &s->ssh.wire, last, err);
        if (r < 0)
                return r;
        if (s->rounds < ELEMENTSOF(s->round_bytes))
                s->round_bytes[s->rounds++] = disk_source_round_bytes(s->disk);
        s->rep->disk = disk_source_stat(s->disk);
        return 0;
}

int source_still(struct source *s, struct err *err)
{
        int r = image_sync(s->subject.fssync_fd, err);

        return r < 0 ? r : image_freeze(s->subject.fssync_fd, err);
}

void source_disk_close(struct source *s)
{
        disk_source_free(s->disk);
        s->disk = NULL;
        s->loopfd = fd_close(s->loopfd);
        s->imagefd = fd_close(s->imagefd);
}

/* Resident bytes, shared pages counted by each that maps them: an upper bound, as a check wants it. */
static int tree_size(const struct subject *s, uint64_t *ret_bytes, uint64_t *ret_n, struct err *err)
{
        _cleanup_free_ pid_t *pids = NULL;
        uint64_t pages = 0;
        size_t n = 0;
        int r = cgroup_procs(s->cgroup_fd, &pids, &n, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                _cleanup_close_ int proc = proc_open(pids[i], NULL);
                _cleanup_free_ char *text = NULL;
                size_t len;
                uint64_t size, rss;
                const char *p;
                if (proc < 0 || proc_read(proc, "statm", &text, &len, NULL) < 0)
                        continue;                /* it has ended */
                p = text;
                if (scan_u64(&p, &size) && scan_skip(&p, " ") && scan_u64(&p, &rss))
                        pages += rss;
        }
        *ret_bytes = pages * 4096;
        *ret_n = n;
        return 0;
}

int source_check(struct source *s, struct err *err)
{
        struct check_facts f = {.image_size = s->image_size, .image_allocated = s->image_allocated, .running = true,
                                .only = s->o->check_only, .token = s->rep->token};
        int r = tree_size(&s->subject, &f.memory_used, &f.processes, err);

        return r < 0 ? r : check_source(s->ct, &s->subject, &f, &s->ssh.wire, &s->rep->findings, err);
}

void phases_put(struct migrate_phases *to, const char *name, uint64_t ns)
{
        for (size_t i = 0; i < to->n; i++)
                if (str_eq(to->at[i].name, name)) {
                        to->at[i].ns += ns;
                        return;
                }
        if (to->n == MIGRATE_PHASES)
                return;
        str_copy(to->at[to->n].name, sizeof(to->at[0].name), name);
        to->at[to->n++].ns = ns;
}

/* Names from the other node end up on a terminal. */
static bool is_plain(const char *name)
{
        for (const char *p = name; *p; p++)
                if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
                        return false;
        return *name != '\0';
}

int source_phases(struct migrate_phases *to, size_t n, Gantry__WirePhase **at, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                if (!is_plain(at[i]->name))
                        return err_set(err, EX_PEER, "the other node broke the protocol", "not the name of a phase", "%zu", i);
                phases_put(to, at[i]->name, at[i]->ns);
        }
        return 0;
}

void source_timers(struct source *s)
{
        for (size_t i = 0; i < s->timers.n; i++) {
                const struct phase_time *t = &s->timers.at[i];
                if (t->end_ns >= t->start_ns)
                        phases_put(&s->rep->here, t->name, t->end_ns - t->start_ns);
        }
}
