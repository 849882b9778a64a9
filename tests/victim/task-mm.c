/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an address space knows of itself: arguments, environment, auxiliary vector, program, break, lock of the future, barriers. */
#include <linux/membarrier.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "tests/victim/smaps.h"

static size_t slurp(const char *path, char *buf, size_t cap)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t len = 0;

        if (fd < 0)
                return 0;
        for (ssize_t n; len < cap && (n = read(fd, buf + len, cap - len)) > 0;)
                len += (size_t)n;
        close(fd);
        return len;
}

static bool is_locked(void)
{
        struct seen s = {0};
        unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                return false;
        bool there = smaps_find(p, &s), locked = strstr(s.flags, " lo") && strstr(s.flags, " lf");
        munmap(p, 4096);
        return there && locked;
}

static long field(const char *stat, int n)
{
        const char *p = strrchr(stat, ')');

        for (int i = 2; p && i < n; i++)
                p = strchr(p + 1, ' ');
        return p ? strtol(p + 1, NULL, 10) : -1;
}

int main(int argc, char **argv)
{
        static const char *const files[] = {"/proc/self/cmdline", "/proc/self/environ", "/proc/self/auxv"};
        static char before[3][8192], now[8192], stat_before[2048], stat_now[2048];
        static const int fields[] = {26, 27, 28, 45, 46, 47, 48, 49, 50, 51};
        size_t len[3];
        struct victim v;
        char exe[512] = "", exe_now[512] = "";

        victim_begin(&v, argc, argv);
        void *brk = sbrk(8 << 20);
        memset(brk, 0x5a, 8 << 20);
        brk = sbrk(0);
        VICTIM_MUST(mlockall(MCL_FUTURE | MCL_ONFAULT) == 0 && is_locked());
        VICTIM_MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
        for (int i = 0; i < 3; i++)
                VICTIM_MUST((len[i] = slurp(files[i], before[i], sizeof(before[i]))) > 0);
        VICTIM_MUST(slurp("/proc/self/stat", stat_before, sizeof(stat_before) - 1) > 0);
        VICTIM_MUST(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);

        victim_wait(&v);

        for (int i = 0; i < 3; i++) {
                size_t n = slurp(files[i], now, sizeof(now));
                VICTIM_CHECK(&v, n == len[i] && memcmp(now, before[i], n) == 0, "%s differs", files[i]);
        }
        (void)slurp("/proc/self/stat", stat_now, sizeof(stat_now) - 1);
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
                VICTIM_CHECK(&v, field(stat_before, fields[i]) == field(stat_now, fields[i]), "field %d of stat: %ld became %ld",
                             fields[i], field(stat_before, fields[i]), field(stat_now, fields[i]));
        VICTIM_CHECK(&v, readlink("/proc/self/exe", exe_now, sizeof(exe_now) - 1) > 0 && strcmp(exe, exe_now) == 0,
                     "the program was %s and is %s", exe, exe_now);
        VICTIM_CHECK(&v, strcmp(argv[1], v.dir) == 0 && getauxval(AT_PAGESZ) == 4096, "arguments or vector differ");
        VICTIM_CHECK(&v, sbrk(0) == brk && sbrk(4096) == brk, "the break moved, or cannot grow");
        VICTIM_CHECK(&v, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0, "the registration for barriers is lost: %s", strerror(errno));
        VICTIM_CHECK(&v, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) < 0 && errno == EPERM, "a registration has come");
        VICTIM_CHECK(&v, is_locked(), "new mappings are no longer locked on fault");
        return victim_end(&v);
}
