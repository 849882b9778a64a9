/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mqueue: empty, and queues made later are seen in it. Runs in a container (tests/victim/mount-table.h). */
#include <mqueue.h>

#include "tests/victim/mount-table.h"

int main(int argc, char **argv)
{
        static struct table t;
        static struct listing l;
        struct victim v;
        struct statfs fs;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(mkdir("/q", 0755) == 0 && mount("mqueue", "/q", "mqueue", MS_NOEXEC, NULL) == 0);
        listing_read(&l, "/q");
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        listing_check(&v, &l, "/q");
        VICTIM_CHECK(&v, statfs("/q", &fs) == 0 && fs.f_type == 0x19800202, "it is no mqueue");
        mqd_t q = mq_open("/later", O_RDWR | O_CREAT, 0600, NULL);
        VICTIM_CHECK(&v, q >= 0, "mq_open: %s", strerror(errno));
        VICTIM_CHECK(&v, access("/q/later", F_OK) == 0 && access("/dev/mqueue/later", F_OK) == 0, "a queue is not seen: it is another namespace's");
        return victim_end(&v);
}
