/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tape's clone3 answers with the number that the caller's namespace gives; we need our own. /proc/PID/task/TID/children
 * (3.5+, CONFIG_PROC_CHILDREN, which Debian's kernels have) lists a thread's children in the order in which they were made, and NSpid in their
 * status says what they are called inside. So the last one is asked first.
 */
#include "checkpoint/child.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/procfs.h"

/* The text of a status line; NULL: none. */
static const char *line_of(const char *status, const char *key)
{
        const char *p = strstr(status, key);

        return p ? p + strlen(key) : NULL;
}

static uint64_t last_number(const char *p)
{
        uint64_t last = 0, x;

        for (p = p ? p : ""; *p == '\t' || *p == ' ';) {
                p++;
                if (!scan_u64(&p, &x))
                        break;
                last = x;
        }
        return last;
}

static bool is_it(pid_t pid, uint32_t vpid, uint32_t *ret_vpid)
{
        _cleanup_close_ int fd = proc_open(pid, NULL);
        _cleanup_free_ char *status = NULL;
        size_t len;

        if (fd < 0 || proc_read(fd, "status", &status, &len, NULL) < 0)
                return false;
        uint64_t inside = last_number(line_of(status, "\nNSpid:"));
        if (vpid)
                return inside == vpid;
        *ret_vpid = (uint32_t)inside;
        return last_number(line_of(status, "\nTracerPid:")) == (uint64_t)getpid();
}

/* The last child that `vpid` names, or, when it is 0, that we trace and skip() does not know. */
static pid_t find(pid_t parent, uint32_t vpid, bool (*skip)(const void *ctx, pid_t pid), const void *ctx, uint32_t *ret_vpid)
{
        char name[64];
        _cleanup_close_ int procfd = proc_open(parent, NULL);
        _cleanup_free_ char *text = NULL;
        size_t len;

        snprintf(name, sizeof(name), "task/%d/children", (int)parent);
        if (procfd < 0 || proc_read(procfd, name, &text, &len, NULL) < 0)
                return -1;
        while (len > 0) {
                uint64_t child;
                while (len > 0 && text[len - 1] == ' ')
                        text[--len] = '\0';
                while (len > 0 && text[len - 1] != ' ')
                        len--;
                const char *p = text + len;
                if (scan_u64(&p, &child) && !(skip && skip(ctx, (pid_t)child)) && is_it((pid_t)child, vpid, ret_vpid))
                        return (pid_t)child;
        }
        return -1;
}

pid_t child_by_number(pid_t parent, uint32_t vpid)
{
        return vpid ? find(parent, vpid, NULL, NULL, NULL) : -1;
}

pid_t child_traced(pid_t parent, bool (*skip)(const void *ctx, pid_t pid), const void *ctx, uint32_t *ret_vpid)
{
        return find(parent, 0, skip, ctx, ret_vpid);
}
