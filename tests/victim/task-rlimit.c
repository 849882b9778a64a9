/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All sixteen limits, soft and hard, and one that bites. */
#include <sys/resource.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        static struct rlimit before[RLIM_NLIMITS], now;

        victim_begin(&v, argc, argv);
        for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
                VICTIM_MUST(getrlimit((__rlimit_resource_t)i, &before[i]) == 0);
                if (i == RLIMIT_NOFILE)
                        before[i] = (struct rlimit){10, 300};
                else if (i == RLIMIT_CORE)
                        before[i] = (struct rlimit){0, 0};
                else if (i == RLIMIT_AS)
                        before[i] = (struct rlimit){1ul << 30, 1ul << 31};
                else if (i == RLIMIT_MEMLOCK)
                        before[i] = (struct rlimit){65536, before[i].rlim_max};
                else if (i == RLIMIT_NPROC)
                        before[i] = (struct rlimit){33, 44};
                VICTIM_MUST(setrlimit((__rlimit_resource_t)i, &before[i]) == 0);
        }

        victim_wait(&v);

        for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
                VICTIM_CHECK(&v, getrlimit((__rlimit_resource_t)i, &now) == 0 && now.rlim_cur == before[i].rlim_cur &&
                             now.rlim_max == before[i].rlim_max, "limit %d: %llu/%llu became %llu/%llu", i,
                             (unsigned long long)before[i].rlim_cur, (unsigned long long)before[i].rlim_max,
                             (unsigned long long)now.rlim_cur, (unsigned long long)now.rlim_max);
        }
        int fd = -1, n = 0;
        while (n < 20 && (fd = open("/dev/null", O_RDONLY)) >= 0)
                n++;
        VICTIM_CHECK(&v, n < 20 && errno == EMFILE, "%d descriptors could be opened", n);
        for (int i = 3; i < 10; i++)
                close(i);
        return victim_end(&v);
}
