/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A POSIX message queue that nobody has open and no mount shows, in an ipc namespace of its own: refused, and still there. */
#include <mqueue.h>
#include <sched.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 8};
        char text[8] = "";

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWIPC) == 0);
        mqd_t q = mq_open("/queue", O_CREAT | O_RDWR, 0600, &a);
        VICTIM_MUST(q >= 0 && mq_send(q, "said", 5, 0) == 0 && mq_close(q) == 0);

        victim_wait(&v);

        q = mq_open("/queue", O_RDONLY);
        VICTIM_CHECK(&v, q >= 0 && mq_receive(q, text, sizeof(text), NULL) == 5 && strcmp(text, "said") == 0, "the queue is gone: %s", strerror(errno));
        return victim_end(&v);
}
