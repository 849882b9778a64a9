/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A semaphore of the node's ipc namespace, taken with SEM_UNDO: refused, and still taken. */
#include <sys/ipc.h>
#include <sys/sem.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct sembuf up = {.sem_op = 3, .sem_flg = SEM_UNDO};

        victim_begin(&v, argc, argv);
        int id = semget(IPC_PRIVATE, 1, 0600);
        VICTIM_MUST(id >= 0);
        VICTIM_MUST(semop(id, &up, 1) == 0);

        victim_wait(&v);

        VICTIM_CHECK(&v, semctl(id, 0, GETVAL) == 3, "the semaphore is at %d", semctl(id, 0, GETVAL));
        VICTIM_MUST(semctl(id, 0, IPC_RMID) == 0);
        return victim_end(&v);
}
