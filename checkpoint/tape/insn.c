/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a call can be injected: a `syscall` instruction of the target that is not the agent's.
 *
 * The vdso has five, at the same offsets in every 64-bit process of a kernel, so our own is scanned and only its address is
 * read from the target's auxv (4 us; maps and a scan would be 25). auxv lies where a program has moved its vdso, so
 * what is found is looked at. Without a vdso there is the instruction that the task sleeps in, or any other in its code.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/cleanup.h"
#include "base/procfs.h"
#include "checkpoint/tape/tracee-int.h"

/* Offset of the first `syscall` in our own vdso: the same in every 64-bit process of this kernel. 0: none. */
static uint64_t vdso_offset(void)
{
        const uint8_t *v = (const uint8_t *)getauxval(AT_SYSINFO_EHDR); // NOLINT: the kernel gives a number

        for (size_t i = 0; v && i + 1 < 4096; i++)
                if (v[i] == 0x0f && v[i + 1] == 0x05)
                        return i;
        return 0;
}

static bool is_syscall(struct tracee *t, uint64_t addr)
{
        uint8_t b[2];

        return tracee_peek(t, addr, b, 2) && b[0] == 0x0f && b[1] == 0x05;
}

/* By auxv, which lies only where a program has moved its vdso. */
static uint64_t by_auxv(struct tracee *t)
{
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        uint64_t off = vdso_offset(), pair[2];
        _cleanup_close_ int procfd = proc_open(t->tid, NULL);

        if (!off || procfd < 0 || proc_read(procfd, "auxv", &text, &len, NULL) < 0)
                return 0;
        for (size_t i = 0; i + sizeof(pair) <= len; i += sizeof(pair)) {
                memcpy(pair, text + i, sizeof(pair));
                if (pair[0] == AT_SYSINFO_EHDR && is_syscall(t, pair[1] + off))
                        return pair[1] + off;
        }
        return 0;
}

/* Any executable mapping that is not ours. */
static uint64_t by_scan(struct tracee *t)
{
        static const size_t step = 65536;
        _cleanup_free_ char *text = NULL;
        _cleanup_free_ uint8_t *buf = malloc(step);
        size_t len = 0;
        _cleanup_close_ int procfd = proc_open(t->tid, NULL);

        if (!buf || procfd < 0 || proc_read(procfd, "maps", &text, &len, NULL) < 0)
                return 0;
        for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                unsigned long start, end;
                char prot[5];
                if (sscanf(line, "%lx-%lx %4s", &start, &end, prot) != 3 || prot[2] != 'x' || (start >> 63))
                        continue;
                if (t->agent && start <= t->agent->code && t->agent->code < end)
                        continue;
                for (uint64_t at = start; at < end; at += step) {
                        size_t n = end - at < step ? (size_t)(end - at) : step;
                        if (!tracee_peek(t, at, buf, n))
                                break;
                        const uint8_t *hit = memmem(buf, n, "\x0f\x05", 2);
                        if (hit)
                                return at + (uint64_t)(hit - buf);
                }
        }
        return 0;
}

int tracee_find_syscall(struct tracee *t, uint64_t *ret, struct err *err)
{
        uint64_t at = by_auxv(t);

        if (!at && (int64_t)t->regs.orig_rax >= 0 && is_syscall(t, t->regs.rip - 2))
                at = t->regs.rip - 2; /* it sleeps in a call */
        if (!at)
                at = by_scan(t);
        if (!at)
                return err_set(err, EX_UNSUPPORTED, "cannot work inside a program",
                               "it has no vdso and no system call instruction anywhere", "thread %d", (int)t->tid);
        *ret = at;
        return 0;
}
