/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory policies: a thread's own, and the leader's mapping's. Two refusals; both are still there. */
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/victim/victim.h"

static pthread_barrier_t built, looked;

static int policy(void *addr)
{
        int mode = -1;

        return syscall(SYS_get_mempolicy, &mode, NULL, 0, addr, addr ? MPOL_F_ADDR : 0) < 0 ? -errno : mode;
}

static void *preferring(void *arg)
{
        unsigned long node = 1;

        (void)arg;
        VICTIM_MUST(syscall(SYS_set_mempolicy, MPOL_PREFERRED, &node, 8) == 0);
        pthread_barrier_wait(&built);
        pthread_barrier_wait(&looked);
        return (void *)(long)policy(NULL);
}

int main(int argc, char **argv)
{
        struct victim v;
        unsigned long node = 1;
        pthread_t t;
        void *r;
        char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        victim_begin(&v, argc, argv);
        VICTIM_MUST(p != MAP_FAILED);
        VICTIM_MUST(syscall(SYS_mbind, p + 4096, 4096, MPOL_BIND, &node, 8, 0) == 0);
        VICTIM_MUST(pthread_barrier_init(&built, NULL, 2) == 0 && pthread_barrier_init(&looked, NULL, 2) == 0);
        VICTIM_MUST(pthread_create(&t, NULL, preferring, NULL) == 0);
        pthread_barrier_wait(&built);
        victim_file(&v, "expect", "2\n");

        victim_wait(&v);

        pthread_barrier_wait(&looked);
        VICTIM_MUST(pthread_join(t, &r) == 0);
        VICTIM_CHECK(&v, (long)r == MPOL_PREFERRED, "the thread's policy is %ld", (long)r);
        VICTIM_CHECK(&v, policy(p + 4096) == MPOL_BIND, "the mapping's policy is %d", policy(p + 4096));
        VICTIM_CHECK(&v, policy(p) == MPOL_DEFAULT && policy(NULL) == MPOL_DEFAULT, "a policy has spread");
        return victim_end(&v);
}
