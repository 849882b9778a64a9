/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Syscall user dispatch (Linux 5.11): refused; and still on, with its selector, after it was looked for. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/victim/victim.h"

#define SET_DISPATCH 59 /* PR_SET_SYSCALL_USER_DISPATCH */

static volatile char selector;
static volatile sig_atomic_t caught;

static void on_sigsys(int sig)
{
        (void)sig;
        selector = 0;
        caught++;
}

int main(int argc, char **argv)
{
        struct victim v;
        struct sigaction sa = {.sa_handler = on_sigsys};

        victim_begin(&v, argc, argv);
        VICTIM_MUST(sigaction(SIGSYS, &sa, NULL) == 0);
        VICTIM_MUST(prctl(SET_DISPATCH, 1, 0, 0, &selector) == 0);

        victim_wait(&v);

        selector = 1;
        (void)syscall(SYS_getppid);
        VICTIM_CHECK(&v, caught == 1 && selector == 0, "a blocked call was caught %d times", (int)caught);
        VICTIM_MUST(prctl(SET_DISPATCH, 0, 0, 0, 0) == 0);
        return victim_end(&v);
}
