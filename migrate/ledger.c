/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger of tokens (migrate/ledger.h): where the target's half of the hand-over becomes true.
 *
 *      NONE ── ledger_decide ──> CLAIMED ── ledger_forget ──> NONE
 *        └──── ledger_decide, ledger_ask ──> VOID
 *
 * That everything is restored and waits (PREPARED) is not here but in the container's journal: it decides nothing, and a
 * second sync would lengthen the freeze.
 *
 *  L1  A token that is CLAIMED never becomes VOID, one that is VOID never CLAIMED: whoever comes first decides.
 *  L2  A state is told to nobody before it is on the disk (path_replace: file and directory synced).
 *  L3  ledger_forget is called only when the source's GONE is durable, after which nobody asks.
 *
 * The lock is flock on one file, so that it goes with whoever held it; it is held for two syncs at most. VOID entries stay:
 * a worker of that token may still be stopped somewhere and go on a year later.
 */
#include "migrate/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "migrate/msg.h"

static const char *const names[LEDGER_STATES] = {
        [LEDGER_NONE] = "NONE", [LEDGER_CLAIMED] = "CLAIMED", [LEDGER_VOID] = "VOID",
};

const char *ledger_state_name(enum ledger_state s)
{
        return names[s];
}

int ledger_token_check(const char *token, struct err *err)
{
        bool ok = strlen(token) == PROTOCOL_TOKEN;

        for (size_t i = 0; ok && i < PROTOCOL_TOKEN; i++)
                ok = i == 8 || i == 13 || i == 18 || i == 23 ? token[i] == '-'
                                                             : token[i] && strchr("0123456789abcdef", token[i]);
        return ok ? 0 : err_set(err, EX_PEER, "not the token of a migration", "it is not a uuid", "%.40s", token);
}

/* The directory, made if need be, and its lock. */
static int open_locked(int dirfd, int *ret_dir, int *ret_lock, struct err *err)
{
        int r = path_mkdir_p(dirfd, "ledger", 0700, err);
        if (r < 0)
                return r;
        _cleanup_close_ int dir = path_open(dirfd, "ledger", O_RDONLY | O_DIRECTORY, 0, err);
        if (dir < 0)
                return dir;
        _cleanup_close_ int lock = path_open(dir, "lock", O_RDWR | O_CREAT, 0600, err);
        if (lock < 0)
                return lock;
        while (flock(lock, LOCK_EX) < 0)
                if (errno != EINTR)
                        return err_sys(err, EX_FAIL, errno, "cannot lock the ledger", "%s", "ledger/lock");
        *ret_dir = TAKE_FD(dir);
        *ret_lock = TAKE_FD(lock);
        return 0;
}

static int read_state(int dir, const char *token, enum ledger_state *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t n;

        *ret = LEDGER_NONE;
        if (!path_exists(dir, token))
                return 0;
        int r = path_read(dir, token, &text, &n, err);
        if (r < 0)
                return r;
        for (int s = LEDGER_CLAIMED; s < LEDGER_STATES; s++) {
                size_t len = strlen(names[s]);
                if (n == len + 1 && text[len] == '\n' && memcmp(text, names[s], len) == 0) {
                        *ret = (enum ledger_state)s;
                        return 0;
                }
        }
        return err_set(err, EX_DOUBT, "cannot read the ledger", "the entry is damaged", "ledger/%s", token);
}

static int write_state(int dir, const char *token, enum ledger_state s, struct err *err)
{
        char line[16];

        str_copy(line, sizeof(line), names[s]);
        size_t n = strlen(line);
        line[n++] = '\n';
        int r = path_replace(dir, token, line, n, 0600, err);
        return r < 0 ? err_wrap(err, "cannot write the ledger", "ledger/%s", token) : 0;
}

int ledger_get(int dirfd, const char *token, enum ledger_state *ret, struct err *err)
{
        _cleanup_close_ int dir = -1, lock = -1;
        int r = ledger_token_check(token, err);

        if (r == 0)
                r = open_locked(dirfd, &dir, &lock, err);
        return r < 0 ? r : read_state(dir, token, ret, err);
}

int ledger_decide(int dirfd, const char *token, enum ledger_state to, enum ledger_state *ret_now, struct err *err)
{
        _cleanup_close_ int dir = -1, lock = -1;
        enum ledger_state now = LEDGER_NONE;
        int r = ledger_token_check(token, err);

        if (r == 0)
                r = open_locked(dirfd, &dir, &lock, err);
        if (r == 0)
                r = read_state(dir, token, &now, err);
        if (r < 0)
                return r;
        if (ret_now)
                *ret_now = now;
        if (now != LEDGER_NONE)
                return 1;
        return write_state(dir, token, to, err);
}

int ledger_ask(int dirfd, const char *token, enum ledger_state *ret, struct err *err)
{
        _cleanup_close_ int dir = -1, lock = -1;
        enum ledger_state now = LEDGER_NONE;
        int r = ledger_token_check(token, err);

        if (r == 0)
                r = open_locked(dirfd, &dir, &lock, err);
        if (r == 0)
                r = read_state(dir, token, &now, err);
        if (r == 0 && now == LEDGER_NONE)
                r = write_state(dir, token, LEDGER_VOID, err);
        if (r < 0)
                return r;
        *ret = now == LEDGER_CLAIMED ? LEDGER_CLAIMED : LEDGER_VOID;
        return 0;
}

int ledger_forget(int dirfd, const char *token, struct err *err)
{
        _cleanup_close_ int dir = -1, lock = -1;
        enum ledger_state now = LEDGER_NONE;
        int r = ledger_token_check(token, err);

        if (r == 0)
                r = open_locked(dirfd, &dir, &lock, err);
        if (r == 0)
                r = read_state(dir, token, &now, err);
        if (r < 0 || now != LEDGER_CLAIMED)
                return r;
        r = sys_unlinkat(dir, token, 0);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot write the ledger", "ledger/%s", token) : 0;
}
