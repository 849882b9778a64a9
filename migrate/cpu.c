/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU features for the check (migrate/check.h): a program that has seen AVX-512 at its start will use it after the move.
 *
 * Only what user space can execute counts: /proc/cpuinfo also names what belongs to the kernel, to virtualisation or to
 * bug work-arounds, in which two good targets may differ. The table is of prefixes, so that sse4_1, avx512_vnni and what is
 * added in their families are in it.
 */
#include "migrate/check.h"

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

int cpu_flags_read(char **ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = path_open(AT_FDCWD, "/proc/cpuinfo", O_RDONLY, 0, err);
        size_t n;

        if (fd < 0)
                return fd;
        int r = fd_read_all(fd, (size_t)16 << 20, &text, &n, err);
        if (r < 0)
                return r;
        char *line = strstr(text, "\nflags");
        char *colon = line ? strchr(line, ':') : NULL;
        if (!colon)
                return err_set(err, EX_FAIL, "cannot read the CPU's features", "no line of flags", "/proc/cpuinfo");
        char *end = strchr(colon, '\n');
        *ret = strndup(colon + 1, end ? (size_t)(end - colon - 1) : strlen(colon + 1));
        return *ret ? 0 : err_sys(err, EX_FAIL, 12, "cannot read the CPU's features", "%s", "");
}
