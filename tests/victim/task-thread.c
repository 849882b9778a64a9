/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What belongs to a thread: name, alternate stack, robust list, exit address, parent-death signal, personality, TSC. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/victim/gate.h"
#include "tests/victim/victim.h"

#define N 8
#define ALT 32768

static pthread_mutex_t robust;
static volatile int go, ready;
static unsigned char alt[N][ALT];
static int bad[N];
static pthread_t threads[N];

static void *one(void *arg)
{
        long i = (long)arg;
        char name[16], now[16] = "";
        stack_t s = {.ss_sp = alt[i], .ss_size = ALT}, s_now = {0};
        void *head, *head_now;
        size_t len, len_now;

        snprintf(name, sizeof(name), "thread %ld\n\\x", i);
        if (prctl(PR_SET_NAME, name) < 0 || (i & 1 && sigaltstack(&s, NULL) < 0))
                bad[i] |= 1;
        if (i == 3 && (pthread_mutex_lock(&robust) != 0))
                bad[i] |= 2;
        if (i == 4 && personality(ADDR_COMPAT_LAYOUT | WHOLE_SECONDS) < 0)
                bad[i] |= 4;
        if (i == 5 && prctl(PR_SET_PDEATHSIG, 30) < 0)
                bad[i] |= 8;
        syscall(SYS_get_robust_list, 0, &head, &len);
        __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
        bad[i] |= gate_wait(&go) ? 512 : 0;
        prctl(PR_GET_NAME, now);
        bad[i] |= strcmp(name, now) != 0 ? 16 : 0;
        sigaltstack(NULL, &s_now);
        bad[i] |= (i & 1 ? s_now.ss_sp != alt[i] || s_now.ss_size != ALT : !(s_now.ss_flags & SS_DISABLE)) ? 32 : 0;
        syscall(SYS_get_robust_list, 0, &head_now, &len_now);
        bad[i] |= head != head_now || len != len_now ? 64 : 0;
        bad[i] |= personality(0xffffffff) != (i == 4 ? (ADDR_COMPAT_LAYOUT | WHOLE_SECONDS) : 0) ? 128 : 0;
        int sig = 0;
        prctl(PR_GET_PDEATHSIG, &sig);
        bad[i] |= sig != (i == 5 ? 30 : 0) ? 256 : 0;
        return NULL; /* number 3 dies as the owner of a robust mutex */
}

int main(int argc, char **argv)
{
        struct victim v;
        pthread_mutexattr_t a;
        char name[16];

        victim_begin(&v, argc, argv);
        pthread_mutexattr_init(&a);
        VICTIM_MUST(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(&robust, &a) == 0);
        VICTIM_MUST(prctl(PR_SET_NAME, "the leader") == 0);
        struct { volatile int go, ready; } *shared;
        shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        VICTIM_MUST(shared != MAP_FAILED);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                int tsc = 0;
                prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
                prctl(PR_SET_PDEATHSIG, SIGUSR1);
                shared->ready = 1;
                unsigned odd = gate_wait(&shared->go);
                prctl(PR_GET_TSC, &tsc);
                int sig = 0;
                prctl(PR_GET_PDEATHSIG, &sig);
                _exit(tsc == PR_TSC_SIGSEGV && sig == SIGUSR1 && !odd ? 0 : 1);
        }
        for (long i = 0; i < N; i++)
                VICTIM_MUST(pthread_create(&threads[i], NULL, one, (void *)i) == 0);
        while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < N)
                usleep(1000);
        while (!shared->ready)
                usleep(1000);

        victim_wait(&v);

        prctl(PR_GET_NAME, name);
        VICTIM_CHECK(&v, strcmp(name, "the leader") == 0, "the leader is called %s", name);
        gate_open(&go);
        gate_open(&shared->go);
        for (int i = 0; i < N; i++) {
                VICTIM_CHECK(&v, pthread_join(threads[i], NULL) == 0, "thread %d cannot be joined", i);
                VICTIM_CHECK(&v, bad[i] == 0, "thread %d: %x", i, (unsigned)bad[i]);
        }
        VICTIM_CHECK(&v, pthread_mutex_lock(&robust) == EOWNERDEAD, "the robust mutex does not know that its owner died");
        int status = -1;
        VICTIM_CHECK(&v, waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", (unsigned)status);
        return victim_end(&v);
}
