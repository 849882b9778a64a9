/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bind that maps user and group ids: refused, and still there. In a container. */
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

static void put(const char *dir, const char *name, const char *text)
{
        char path[64];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        VICTIM_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* A user namespace in which id 0 is our 1000. */
static int other_ids(void)
{
        int up[2], down[2];
        char c, dir[32], path[64];

        VICTIM_MUST(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                VICTIM_MUST(unshare(CLONE_NEWUSER) == 0 && write(up[1], "u", 1) == 1);
                _exit(read(down[0], &c, 1) != 1);
        }
        VICTIM_MUST(read(up[0], &c, 1) == 1);
        snprintf(dir, sizeof(dir), "/proc/%d", (int)child);
        put(dir, "uid_map", "0 1000 100\n");
        put(dir, "gid_map", "0 1000 100\n");
        snprintf(path, sizeof(path), "%s/ns/user", dir);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        VICTIM_MUST(fd >= 0 && write(down[1], "d", 1) == 1 && waitpid(child, NULL, 0) == child);
        VICTIM_MUST(close(up[0]) == 0 && close(up[1]) == 0 && close(down[0]) == 0 && close(down[1]) == 0);
        return fd;
}

int main(int argc, char **argv)
{
        struct victim v;
        struct stat st;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        VICTIM_MUST(mkdir("/from", 0755) == 0 && mkdir("/to", 0755) == 0 && mount("from", "/from", "tmpfs", 0, "") == 0);
        VICTIM_MUST(mount(NULL, "/from", NULL, MS_PRIVATE, NULL) == 0 && mkdir("/from/in", 0755) == 0);
        struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)other_ids()};
        int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/from", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        VICTIM_MUST(tree >= 0 && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &a, sizeof(a)) == 0);
        VICTIM_MUST(syscall(SYS_move_mount, tree, "", AT_FDCWD, "/to", MOVE_MOUNT_F_EMPTY_PATH) == 0);
        VICTIM_MUST(close(tree) == 0 && close((int)a.userns_fd) == 0);
        victim_file(&v, "words", "it maps user and group ids");

        victim_wait(&v);

        VICTIM_CHECK(&v, stat("/to/in", &st) == 0 && st.st_uid == 1000, "root's file is of user %u", (unsigned)st.st_uid);
        return victim_end(&v);
}
