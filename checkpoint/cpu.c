/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU features (checkpoint/cpu.h): a program that has seen AVX-512 at its start will use it after the move.
 *
 * Only what user space can execute counts: /proc/cpuinfo also names what belongs to the kernel, to virtualisation or to
 * bug work-arounds, in which two good targets may differ. The table is of prefixes, so that sse4_1, avx512_vnni and what is
 * added in their families are in it. Which of them a program really uses nobody can tell, so it is all that it could.
 *
 * Of /proc/cpuinfo the beginning is read: its text of a large machine takes longer than a dump may.
 */
#include "checkpoint/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

static const char *const visible[] = {
        "3dnow", "abm",     "adx",  "aes",    "amx",   "avx",   "bmi",   "clflush", "clwb",    "cmov",    "cx16",
        "cx8",   "erms",    "f16c", "fma",    "fpu",   "fsgs",  "fsrm",  "fxsr",    "gfni",    "hle",     "lahf",
        "lm",    "mmx",     "movb", "movd",   "ospke", "pclmu", "pni",   "popcnt",  "prefetc", "rdpid",   "rdrand",
        "rdseed", "rdtscp", "rtm",  "serial", "sha",   "sse",   "ssse3", "syscall", "tbm",     "tsc",     "vaes",
        "vpclmul", "waitpkg", "xop", "xsave", "xgetbv1",
};

static bool is_visible(const char *flag)
{
        for (size_t i = 0; i < ELEMENTSOF(visible); i++)
                if (str_starts(flag, visible[i]))
                        return !str_starts(flag, "tsc_") && !str_starts(flag, "xsaves");
        return false;
}

size_t cpu_features(char *text, const char *ret[], size_t max)
{
        size_t n = 0;
        char *save = NULL;

        for (char *w = strtok_r(text, " \t\n", &save); w && n < max; w = strtok_r(NULL, " \t\n", &save))
                if (is_visible(w))
                        ret[n++] = w;
        return n;
}

/* Enough for the first processor's paragraph. */
#define HEAD_BYTES 16384

int cpu_flags_read(char **ret, struct err *err)
{
        _cleanup_free_ char *text = calloc(1, HEAD_BYTES + 1);
        _cleanup_close_ int fd = path_open(AT_FDCWD, "/proc/cpuinfo", O_RDONLY, 0, err);

        if (fd < 0)
                return fd;
        if (!text)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot read the CPU's features", "%s", "");
        int r = fd_read_full(fd, text, HEAD_BYTES, NULL, err); /* 1: it is shorter */
        if (r < 0)
                return r;
        char *line = strstr(text, "\nflags");
        char *colon = line ? strchr(line, ':') : NULL;
        char *end = colon ? strchr(colon, '\n') : NULL;
        if (!end)
                return err_set(err, EX_FAIL, "cannot read the CPU's features", "no line of flags", "/proc/cpuinfo");
        *ret = strndup(colon + 1, (size_t)(end - colon - 1));
        return *ret ? 0 : err_sys(err, EX_FAIL, ENOMEM, "cannot read the CPU's features", "%s", "");
}

const char *cpu_lacks(const char *const have[], size_t n_have, char *const need[], size_t n_need)
{
        for (size_t i = 0; i < n_need; i++) {
                size_t k = 0;
                while (k < n_have && !str_eq(have[k], need[i]))
                        k++;
                if (k == n_have)
                        return need[i];
        }
        return NULL;
}

int cpu_check(char *const need[], size_t n, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        const char *have[CPU_MAX];
        int r = cpu_flags_read(&text, err);

        if (r < 0)
                return r;
        size_t n_have = cpu_features(text, have, CPU_MAX);
        const char *lacks = cpu_lacks(have, n_have, need, n);
        if (!lacks)
                return 0;
        err_set(err, EX_UNSUPPORTED, "cannot restore the image", "this node's CPU lacks a feature that its programs may use", "%.60s", lacks);
        return err_remedy(err, "restore it on a node whose CPU has it");
}
