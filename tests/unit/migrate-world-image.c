/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk image of tests/unit/migrate-world.c, in a file of its own: ploop/ and the checkpoint image share a name. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "ploop/ploop.h"
#include "tests/unit/migrate-world.h"

void world_image_at(const char *dir);

void world_image_at(const char *dir)
{
        struct image_options o = {.size = 16u << 20};

        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || mkdirat(fd, "web1", 0700) < 0 || image_create(fd, "web1/root.img", &o, NULL) < 0 ||
            path_replace(fd, "web1/ct.conf", "uuid\n", 5, 0600, NULL) < 0)
                abort();
        close(fd);
}
