/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys in the persistent keyrings of a container's users (keyctl_get_persistent(3): Kerberos tickets). They belong to a user of the user
 * namespace, and no process need hold them.
 *
 * /proc/key-users names every user who has keys. /proc/keys shows a key to those who may view it, by the file system user id of
 * whoever has opened the file, and a persistent keyring may be viewed by its owner: so the file is opened once as each of the
 * container's users that has keys. The ids in both are those of our own user namespace. Another file system user id takes this thread's
 * capabilities for files away until the old one is back.
 *
 * A tree without an id map uses the keyrings of this node's users, which nobody takes away.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/procfs.h"
#include "base/str.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

#define KEYS_MAX ((size_t)16 << 20)

/* The column of a line, counted from 0; NULL: it has fewer. */
static const char *column(const char *line, unsigned n)
{
        const char *p = line + strspn(line, " ");

        for (; n && *p && *p != '\n'; n--) {
                p += strcspn(p, " \n");
                p += strspn(p, " ");
        }
        return *p && *p != '\n' ? p : NULL;
}

static const char *next_line(const char *p)
{
        p += strcspn(p, "\n");
        return *p ? p + 1 : p;
}

bool keys_persistent(const char *text, uint64_t uid)
{
        for (const char *p = text; *p; p = next_line(p)) {
                const char *owner = column(p, 5), *type = column(p, 7), *name = column(p, 8), *holds = column(p, 9);
                uint64_t n;
                if (owner && scan_u64(&owner, &n) && n == uid && type && str_starts(type, "keyring ") && name &&
                    str_starts(name, "_persistent.") && holds && !str_starts(holds, "empty"))
                        return true;
        }
        return false;
}

static int read_as(uint32_t uid, char **ret, struct err *err)
{
        size_t len = 0;

        (void)setfsuid(uid);
        int fd = path_open(AT_FDCWD, "/proc/keys", O_RDONLY, 0, err);
        (void)setfsuid(geteuid());
        int r = fd < 0 ? fd : fd_read_all(fd, KEYS_MAX, ret, &len, err);
        fd_close(fd);
        return r;
}

int dump_persistent_keys(struct dump *d, struct err *err)
{
        _cleanup_close_ int proc = path_open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0, err);
        _cleanup_free_ char *users = NULL;
        size_t len = 0;
        struct err e = {};

        if (proc < 0 || !d->s.ids)
                return proc < 0 ? proc : 0;
        int r = proc_read(proc, "key-users", &users, &len, &e);
        if (r < 0)
                return e.sys == ENOENT ? 0 : err_take(err, &e);   /* a kernel without keys */
        for (const char *p = users; *p; p = next_line(p)) {
                const char *q = p + strspn(p, " ");
                _cleanup_free_ char *keys = NULL;
                uint64_t uid = 0;
                uint32_t inside;
                if (!scan_u64(&q, &uid) || uid > UINT32_MAX || !idmap_inside(d->s.ids, (uint32_t)uid, &inside))
                        continue;
                r = read_as((uint32_t)uid, &keys, err);
                if (r < 0)
                        return r;
                if (keys_persistent(keys, uid))
                        d->task[0].thread[0].seen |= TASK_SEEN_PERSISTENT;
        }
        return 0;
}
