/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of a container beside its configuration: whether it runs (volatile, /run/gantry/NAME/state) and who owns
 * it (durable, the file `journal` beside the image).
 *
 * A pid alone proves nothing, so the state has its start time too (/proc/PID/stat, field 22): a pidfd is opened first and
 * the time compared after it, so that a pid that was given out anew cannot pass. Nothing is believed of a state file that
 * has no living init: it is what a crash left, and the next command cleans up.
 *
 * A frozen cgroup of a HERE container is FROZEN; a journal that says OFFERED is OFFERED whatever the cgroup says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/config.h"
#include "engine/ct-int.h"
#include "engine/ini.h"

#define STATE_FILE "state"
#define JOURNAL_FILE "journal"

const char *ct_state_name(enum ct_state s)
{
        switch (s) {
        case CT_STOPPED:
                return "stopped";
        case CT_RUNNING:
                return "running";
        case CT_FROZEN:
                return "frozen";
        case CT_OFFERED:
                return "offered";
        case CT_INCOMING:
                return "incoming";
        case CT_SUSPENDED:
                return "suspended";
        case CT_MOVED:
                return "moved";
        }
        return "?";
}

/* ---- run state ---- */

static int need_u64(const char *file, const struct ini_entry *e, uint64_t *ret, struct err *err)
{
        if (parse_u64(e->value, 0, UINT64_MAX, ret, NULL) < 0)
                return ini_error(err, file, e->line, e->value_col, "%s: this is no number", e->key);
        return 0;
}

static int state_entry(void *ctx, const struct ini_entry *e, struct err *err)
{
        struct run_state *s = ctx;
        uint64_t v = 0;
        int r = need_u64(STATE_FILE, e, &v, err);

        if (r < 0)
                return r;
        if (str_eq(e->key, "pid") && v > 0 && v < INT32_MAX)
                s->pid = (pid_t)v;
        else if (str_eq(e->key, "start"))
                s->start = v;
        else if (str_eq(e->key, "root_dev"))
                s->root_dev = (dev_t)v;
        else if (str_eq(e->key, "dev_dev"))
                s->dev_dev = (dev_t)v;
        else if (str_eq(e->key, "boot_dev"))
                s->boot_dev = (dev_t)v;
        else
                return ini_error(err, STATE_FILE, e->line, e->key_col, "unknown key %s", e->key);
        return 0;
}

int state_put(struct ct *ct, const struct run_state *s, struct err *err)
{
        char text[200];
        int n = snprintf(text, sizeof(text), "pid = %d\nstart = %llu\nroot_dev = %llu\ndev_dev = %llu\nboot_dev = %llu\n",
                         s->pid, (unsigned long long)s->start, (unsigned long long)s->root_dev,
                         (unsigned long long)s->dev_dev, (unsigned long long)s->boot_dev);

        return path_replace(ct->run, STATE_FILE, text, (size_t)n, 0644, err);
}

int state_get(struct ct *ct, struct run_state *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        struct run_state s = {};
        size_t len;

        if (!path_exists(ct->run, STATE_FILE))
                return 1;
        int r = path_read(ct->run, STATE_FILE, &text, &len, err);
        if (r < 0) /* removed just now by a command that cleans up */
                return path_exists(ct->run, STATE_FILE) ? r : 1;
        r = ini_parse(text, len, STATE_FILE, state_entry, &s, err);
        if (r == 0 && !s.pid)
                r = err_set(err, EX_FAIL, "cannot use the run state", "it names no process", "%s", ct->name);
        if (r == 0)
                *ret = s;
        return r;
}

int state_of_pid(pid_t pid, struct run_state *ret, struct err *err)
{
        _cleanup_close_ int proc = proc_open(pid, err);
        struct proc_stat st;

        if (proc < 0)
                return proc;
        int r = proc_stat_read(proc, &st, err);
        if (r == 0)
                *ret = (struct run_state){.pid = pid, .start = st.starttime};
        return r;
}

int state_pidfd(struct ct *ct, int *ret_pidfd, struct err *err)
{
        struct run_state s, now;
        struct err later = {};
        int r = state_get(ct, &s, err);

        if (r)
                return r;
        _cleanup_close_ int fd = sys_pidfd_open(s.pid, 0);
        if (fd == -ESRCH)
                return 1;
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot look at the container's first process", "%s, pid %d", ct->name, s.pid);
        /* Only a process that is known to be another or to have ended counts as gone: on this answer things are removed. */
        r = state_of_pid(s.pid, &now, &later);
        if (!pidfd_alive(fd) || (r == 0 && now.start != s.start))
                return 1;
        if (r < 0) {
                if (err)
                        *err = later;
                return r;
        }
        *ret_pidfd = TAKE_FD(fd);
        return 0;
}

bool ct_has_traces(struct ct *ct)
{
        return path_exists(ct->run, "ground") || path_exists(ct->run, "state");
}

int ct_init_pidfd(struct ct *ct, struct err *err)
{
        int fd = -1;
        int r = state_pidfd(ct, &fd, err);

        if (r == 1) {
                err_set(err, EX_STATE, "cannot do this", "the container is not running", "%s", ct->name);
                return err_remedy(err, "start it with ctrctl start %s", ct->name);
        }
        return r < 0 ? r : fd;
}

/* ---- journal ---- */

static const char *const owners[] = {"here", "prepared", "offered", "claimed", "gone", "void"};

static int journal_entry(void *ctx, const struct ini_entry *e, struct err *err)
{
        struct journal *j = ctx;

        if (str_eq(e->key, "owner")) {
                for (size_t i = 0; i < ELEMENTSOF(owners); i++)
                        if (str_eq(owners[i], e->value)) {
                                j->owner = (enum owner)i;
                                return 0;
                        }
                return ini_error(err, JOURNAL_FILE, e->line, e->value_col, "unknown owner");
        }
        if (str_eq(e->key, "token") && uuid_valid(e->value))
                str_copy(j->token, sizeof(j->token), e->value);
        else if (str_eq(e->key, "peer") && str_copy(j->peer, sizeof(j->peer), e->value))
                return 0;
        else if (str_eq(e->key, "frozen"))
                j->frozen = str_eq(e->value, "yes");
        else
                return ini_error(err, JOURNAL_FILE, e->line, e->key_col, "wrong key or value: %s", e->key);
        return 0;
}

int ct_journal_get(struct ct *ct, struct journal *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        struct journal j = {.owner = OWNER_HERE};
        struct err scratch;
        size_t len;

        if (!err)
                err = &scratch;
        if (!path_exists(ct->dir, JOURNAL_FILE)) {
                *ret = j;
                return 0;
        }
        int r = path_read(ct->dir, JOURNAL_FILE, &text, &len, err);
        if (r == 0)
                r = ini_parse(text, len, JOURNAL_FILE, journal_entry, &j, err);
        if (r < 0)
                return err_wrap(err, "cannot tell who owns the container", "%s", ct->name);
        *ret = j;
        return 0;
}

int ct_journal_put(struct ct *ct, const struct journal *j, struct err *err)
{
        _cleanup_strbuf_ struct strbuf b = {};

        strbuf_addf(&b, "owner = %s\n", owners[j->owner]);
        if (j->token[0])
                strbuf_addf(&b, "token = %s\n", j->token);
        if (j->peer[0])
                strbuf_addf(&b, "peer = %s\n", j->peer);
        if (j->frozen)
                strbuf_adds(&b, "frozen = yes\n");
        if (b.bad)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot write the journal", "%s", ct->name);
        int r = path_replace(ct->dir, JOURNAL_FILE, b.s, b.len, 0600, err);
        return r < 0 ? err_wrap(err, "cannot write the journal", "%s", ct->name) : 0;
}

/* ---- state ---- */

static int run_state_of(struct ct *ct, enum ct_state *ret, struct err *err)
{
        _cleanup_close_ int pidfd = -1, cg = -1;
        bool frozen = false;
        int r = state_pidfd(ct, &pidfd, err);

        if (r < 0)
                return r;
        if (r == 1) {
                *ret = path_exists(ct->dir, "suspended/records") ? CT_SUSPENDED : CT_STOPPED;
                return 0;
        }
        if (!node_cgroups(ct->node, err))
                return err_result(err);
        cg = ct_payload(ct, NULL);
        if (cg >= 0)
                (void)cgroup_frozen(cg, &frozen, NULL); /* it may die under our eyes: then it is not frozen */
        *ret = frozen ? CT_FROZEN : CT_RUNNING;
        return 0;
}

int ct_state(struct ct *ct, enum ct_state *ret, struct err *err)
{
        struct journal j;
        struct err scratch;

        if (!err)
                err = &scratch;
        int r = ct_journal_get(ct, &j, err);

        if (r < 0)
                return r;
        if (ct->incoming) {
                *ret = CT_INCOMING;
                return 0;
        }
        switch (j.owner) {
        case OWNER_OFFERED:
                *ret = CT_OFFERED;
                return 0;
        case OWNER_PREPARED:
                *ret = CT_INCOMING;
                return 0;
        case OWNER_GONE:
        case OWNER_VOID:
                *ret = CT_MOVED;
                return 0;
        case OWNER_HERE:
        case OWNER_CLAIMED:
                break;
        }
        return run_state_of(ct, ret, err);
}
