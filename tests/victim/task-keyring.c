/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys: one in a thread's own keyring, one in its keyring two links away; a thread whose keyring holds an empty keyring has none.
 * The keys are there after they were looked for.
 */
#include <linux/keyctl.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/victim/victim.h"

enum { THREADS = 3 };

static pthread_barrier_t built, looked;

static long key(const char *type, const char *name, long ring)
{
        long id = syscall(SYS_add_key, type, name, strcmp(type, "keyring") ? "secret" : NULL, strcmp(type, "keyring") ? 6ul : 0ul, ring);

        VICTIM_MUST(id > 0);
        return id;
}

static void *holder(void *arg)
{
        char text[16] = "";
        long n = (long)arg, id = 0;

        if (n == 0)
                id = key("user", "gantry-own", KEY_SPEC_THREAD_KEYRING);
        else
                id = key("keyring", "gantry-ring", KEY_SPEC_THREAD_KEYRING);
        if (n == 1)
                id = key("user", "gantry-linked", id);
        pthread_barrier_wait(&built);
        pthread_barrier_wait(&looked);
        long got = syscall(SYS_keyctl, KEYCTL_READ, id, text, sizeof(text), 0);
        return (void *)(long)(n == 2 ? got == 0 : got == 6 && memcmp(text, "secret", 6) == 0);
}

int main(int argc, char **argv)
{
        struct victim v;
        pthread_t t[THREADS];
        void *r;

        victim_begin(&v, argc, argv);
        /* Not the session of whoever runs the tests: its keys are none of ours. */
        VICTIM_MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) > 0);
        VICTIM_MUST(pthread_barrier_init(&built, NULL, THREADS + 1) == 0);
        VICTIM_MUST(pthread_barrier_init(&looked, NULL, THREADS + 1) == 0);
        for (long i = 0; i < THREADS; i++)
                VICTIM_MUST(pthread_create(&t[i], NULL, holder, (void *)i) == 0);
        pthread_barrier_wait(&built);
        victim_file(&v, "expect", "2\n");

        victim_wait(&v);

        pthread_barrier_wait(&looked);
        for (long i = 0; i < THREADS; i++) {
                VICTIM_MUST(pthread_join(t[i], &r) == 0);
                VICTIM_CHECK(&v, r, "what thread %ld kept is gone", i);
        }
        return victim_end(&v);
}
