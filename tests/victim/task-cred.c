/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Credentials that differ from thread to thread: ids, groups, capability sets, securebits, no_new_privs. */
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/victim/gate.h"
#include "tests/victim/victim.h"

#define N 5

static volatile int go, ready;
static char before[N][2048], after[N][2048];

static void caps(uint64_t eff, uint64_t prm, uint64_t inh)
{
        struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct d[2] = {{(uint32_t)eff, (uint32_t)prm, (uint32_t)inh},
                                              {(uint32_t)(eff >> 32), (uint32_t)(prm >> 32), (uint32_t)(inh >> 32)}};

        VICTIM_MUST(syscall(SYS_capset, &h, d) == 0);
}

/* The lines of the thread's status that are about credentials, and its securebits. */
static void look(char *ret, size_t size)
{
        char text[8192];
        size_t len = 0;
        int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);

        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n < 0)
                n = 0;
        text[n] = '\0';
        close(fd);
        for (char *p = text, *nl; (nl = strchr(p, '\n')); p = nl + 1) {
                *nl = '\0';
                if (strncmp(p, "Uid", 3) && strncmp(p, "Gid", 3) && strncmp(p, "Groups", 6) && strncmp(p, "Cap", 3) &&
                    strncmp(p, "NoNew", 5))
                        continue;
                len += (size_t)snprintf(ret + len, size - len, "%s;", p);
        }
        snprintf(ret + len, size - len, "securebits %d", prctl(PR_GET_SECUREBITS));
}

/* By the system calls themselves: the C library would change all threads. */
static void become(long i)
{
        const gid_t groups[] = {7, 100, 60000};

        if (i == 1) {
                VICTIM_MUST(syscall(SYS_setgroups, 3, groups) == 0);
                VICTIM_MUST(syscall(SYS_setresgid, 10, 11, 12) == 0 && syscall(SYS_setresuid, 20, 21, 22) == 0);
        } else if (i == 2) {
                caps(1u << CAP_SETPCAP, 1u << CAP_SETPCAP | 1u << CAP_NET_RAW | 1u << CAP_CHOWN, 1u << CAP_KILL);
                VICTIM_MUST(prctl(PR_CAPBSET_DROP, CAP_KILL) == 0);
                caps(1u << CAP_NET_RAW, 1u << CAP_NET_RAW | 1u << CAP_CHOWN, 1u << CAP_CHOWN | 1u << CAP_KILL);
        } else if (i == 3) {
                VICTIM_MUST(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED) == 0);
                VICTIM_MUST(syscall(SYS_setresuid, 1000, 1000, 1000) == 0);
                caps(1u << CAP_NET_BIND_SERVICE, 1u << CAP_NET_BIND_SERVICE, 1u << CAP_NET_BIND_SERVICE);
                VICTIM_MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0);
        } else if (i == 4) {
                VICTIM_MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
                VICTIM_MUST(syscall(SYS_setgroups, 0, NULL) == 0);
                VICTIM_MUST(syscall(SYS_setfsgid, 33) >= 0 && syscall(SYS_setfsuid, 33) >= 0);
                caps(0, 0, 0);
        }
}

static void *one(void *arg)
{
        long i = (long)arg;

        become(i);
        look(before[i], sizeof(before[i]));
        __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
        (void)gate_wait(&go);
        look(after[i], sizeof(after[i]));
        return NULL;
}

int main(int argc, char **argv)
{
        struct victim v;
        pthread_t t[N];

        victim_begin(&v, argc, argv);
        for (long i = 0; i < N; i++)
                VICTIM_MUST(pthread_create(&t[i], NULL, one, (void *)i) == 0);
        while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < N)
                usleep(1000);

        victim_wait(&v);

        gate_open(&go);
        for (int i = 0; i < N; i++) {
                pthread_join(t[i], NULL);
                VICTIM_CHECK(&v, strcmp(before[i], after[i]) == 0, "thread %d: %s became %s", i, before[i], after[i]);
        }
        return victim_end(&v);
}
