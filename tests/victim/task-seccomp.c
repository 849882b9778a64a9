/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process without a system call filter has none afterwards either. (One with the engine's: tests/system.) */
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_DISABLED);

        victim_wait(&v);

        VICTIM_CHECK(&v, prctl(PR_GET_SECCOMP) == SECCOMP_MODE_DISABLED, "it has a filter");
        VICTIM_CHECK(&v, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0, "it may not gain privileges any more");
        return victim_end(&v);
}
