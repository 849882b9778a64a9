/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tapes played by a helper that has entered a container's namespaces, root and ids. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/path.h"
#include "tests/system/tape-common.h"

#define ALL_NS (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC)

/* A container: own namespaces, host name, root directory (a tmpfs with one file), uid 0 = 100000 outside. */
static void container_main(struct board *b, bool userns)
{
        if (userns) {
                b->bad = unshare(CLONE_NEWUSER) != 0;
                b->v[1] = 1;
                while (!b->v[2])
                        sleep_ms(1);
                if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
                        b->bad = 2;
        }
        prctl(PR_SET_DUMPABLE, 1); /* as after its exec */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) || sethostname("inside", 6) ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("t", "/mnt", "tmpfs", 0, NULL))
                b->bad = 3;
        int fd = open("/mnt/file", O_CREAT | O_WRONLY, 0600);
        if (fd < 0 || write(fd, "within", 6) != 6 || chroot("/mnt") || chdir("/"))
                b->bad = 4;
        close(fd);
        pid_t p = fork(); /* init of its pid namespace */
        if (p == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        b->v[0] = p;
        b->ready = 1;
        while (!b->go)
                sleep_ms(1);
        _exit(b->bad);
}

static void with_userns(struct board *b)
{
        container_main(b, true);
}

static void without_userns(struct board *b)
{
        container_main(b, false);
}

static void map_ids(pid_t p)
{
        static const char *const files[] = { "uid_map", "gid_map" };
        for (size_t i = 0; i < 2; i++) {
                char path[64];
                snprintf(path, sizeof(path), "/proc/%d/%s", p, files[i]);
                int fd = open(path, O_WRONLY | O_CLOEXEC);
                CHECK(fd >= 0 && write(fd, "0 100000 65536", 14) == 14);
                close(fd);
        }
}

/* v[0] is a number of our pid namespace (the container's parent is in it). */
static int container(struct board *b, bool userns, pid_t *ret)
{
        *ret = victim(userns ? with_userns : without_userns, b);
        if (userns) {
                UNTIL(b->v[1]);
                map_ids(*ret);
                b->v[2] = 1;
        }
        UNTIL(b->ready);
        CHECK(!b->bad);
        int fd = pidfd_open_proc((pid_t)b->v[0], NULL);
        CHECK(fd >= 0);
        return fd;
}

static struct tape *look_tape(uint32_t *ret_uts, uint32_t *ret_word)
{
        struct tape *t = tape_new((struct actor){ ACTOR_NS, 9 });
        uint32_t uts = tape_data(t, NULL, 400), word = tape_data(t, NULL, 16);
        uint32_t u = TAPE(t, SYS_uname, A_DATA(uts));
        (void)u;
        uint32_t o = TAPE(t, SYS_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/file")), A_IMM(O_RDWR | O_CLOEXEC), A_IMM(0));
        tape_keep_fd(t, o, 50);
        tape_expect(t, TAPE(t, SYS_read, A_RET(o), A_DATA(word), A_IMM(16)), 6);
        tape_expect(t, TAPE0(t, SYS_geteuid), 0);
        tape_expect(t, TAPE0(t, SYS_getegid), 0);
        TAPE(t, SYS_socket, A_IMM(AF_INET), A_IMM(SOCK_DGRAM | SOCK_CLOEXEC), A_IMM(0));
        tape_keep_fd(t, 5, 51);
        *ret_uts = uts;
        *ret_word = word;
        return t;
}

static void looks(bool userns)
{
        struct board *b = board_new();
        pid_t p;
        int pidfd = container(b, userns, &p);
        struct executor x;
        uint32_t uts, word;
        struct tape *t = look_tape(&uts, &word);
        const struct tape_fd *keep;
        struct stat st;

        DO(executor_helper(pidfd, ALL_NS, &x, &err));
        DO(executor_play(&x, &t, 1, &err));
        CHECK(strcmp((const char *)tape_out(t, uts) + 65, "inside") == 0);
        CHECK(memcmp(tape_out(t, word), "within", 6) == 0);
        CHECK(tape_keeps(t, &keep) == 2);
        CHECK(fstat(keep[0].fd, &st) == 0 && st.st_size == 6 && st.st_uid == (userns ? 100000u : 0u));
        /* The socket belongs to the container's network namespace: no address on its loopback. */
        struct ifreq ifr = { .ifr_name = "lo" };
        CHECK(ioctl(keep[1].fd, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP));

        /* A needed descriptor goes over: written from inside, seen here. */
        struct tape *w = tape_new((struct actor){ ACTOR_NS, 9 });
        TAPE(w, SYS_pwrite64, A_FD(50), A_DATA(tape_str(w, "WITH")), A_IMM(4), A_IMM(0));
        tape_expect(w, 0, 4);
        tape_set_fd(w, 50, keep[0].fd);
        DO(executor_play(&x, &w, 1, &err));
        char buf[8] = { 0 };
        CHECK(pread(keep[0].fd, buf, 6, 0) == 6 && strcmp(buf, "WITHin") == 0);
        for (size_t i = 0; i < 2; i++)
                close(keep[i].fd);
        tape_free(w);
        tape_free(t);
        executor_done(&x);
        close(pidfd);
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

static void in_a_user_namespace(void)
{
        looks(true);
}

static void in_ours(void)
{
        looks(false);
}

static void errors_are_named(void)
{
        struct board *b = board_new();
        pid_t p;
        int pidfd = container(b, true, &p);
        struct executor x, f;
        struct err e = { 0 };
        struct tape *t = numbers_tape(0, 1);

        DO(executor_helper(pidfd, ALL_NS, &x, &err));
        tape_label(t, "open what is not there (fd-file 4)");
        TAPE(t, SYS_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/none")), A_IMM(0), A_IMM(0));
        TAPE0(t, SYS_getpid);
        CHECK(executor_play(&x, &t, 1, &e) < 0 && e.sys == ENOENT);
        CHECK(strstr(e.on, "open what is not there (fd-file 4): openat"));
        CHECK(tape_ret(t, 0) > 1 && tape_ret(t, 2) == INT64_MIN); /* getpid inside: neither init nor ours */
        tape_free(t);

        /* Goes on after a failed tape, and under faults. */
        uint32_t uts, word;
        for (int k = 1; k <= 7; k++) {
                t = look_tape(&uts, &word);
                const struct tape_fd *keep;
                DO(executor_fault(&x, (uint64_t)k, EIO, &f, &err));
                CHECK((executor_play(&f, &t, 1, &e) == 0) == (k == 7));
                tape_keeps(t, &keep);
                for (size_t i = 0; i < 2; i++)
                        if (keep[i].fd >= 0)
                                close(keep[i].fd);
                tape_free(t);
                executor_done(&f);
        }
        executor_done(&x);
        close(pidfd);
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

/* No descriptor of ours but the socket; closed to ptrace by the container's root; nothing left after it. */
static void holds_nothing(void)
{
        struct board *b = board_new();
        pid_t p;
        int pidfd = container(b, true, &p);
        struct executor x;
        unsigned *fds = NULL, *tasks = NULL;
        size_t n = 0, n_before = 0, n_after = 0;

        DO(proc_numbers(AT_FDCWD, "/proc", &tasks, &n_before, &err));
        free(tasks);
        DO(executor_helper(pidfd, ALL_NS, &x, &err));
        struct tape *t = tape_new((struct actor){ ACTOR_NS, 9 });
        uint32_t path = tape_str(t, "/proc/self/fd"), buf = tape_data(t, NULL, 4096);
        (void)buf;
        TAPE(t, SYS_mkdirat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/proc")), A_IMM(0755));
        TAPE(t, SYS_prctl, A_IMM(PR_GET_DUMPABLE), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0));
        tape_expect(t, 1, 0);
        for (int fd = 0; fd < 64; fd++)
                tape_may_fail(t, TAPE(t, SYS_fcntl, A_IMM(fd), A_IMM(F_GETFD)), EBADF);
        DO(executor_play(&x, &t, 1, &err));
        for (uint32_t i = 2; i < 66; i++)
                n += tape_ret(t, i) >= 0;
        CHECK(n == 1);
        (void)path;
        tape_free(t);
        executor_done(&x);
        free(fds);
        DO(proc_numbers(AT_FDCWD, "/proc", &tasks, &n_after, &err));
        free(tasks);
        CHECK(n_before == n_after);
        close(pidfd);
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

static void blocked_helper_ends(void)
{
        struct board *b = board_new();
        pid_t p;
        int pidfd = container(b, true, &p);
        struct err e = { 0 };
        struct executor x;

        pid_t engine = fork();
        if (engine == 0) {
                struct tape *t = numbers_tape(0, 1);
                DO(executor_helper(pidfd, ALL_NS, &x, &err));
                TAPE0(t, SYS_pause);
                b->v[5] = 1;
                (void)executor_play(&x, &t, 1, &e);
                _exit(0);
        }
        int efd = pidfd_open_proc(engine, NULL);
        UNTIL(b->v[5] && proc_state(engine) == 'S');
        pidfd_signal(efd, SIGKILL, NULL);
        waitpid(engine, NULL, 0);
        unsigned *tasks = NULL;
        size_t n = 0;
        for (int i = 0; i < 500; i++) {
                DO(proc_numbers(AT_FDCWD, "/proc", &tasks, &n, &err));
                free(tasks);
                if (n == 4) /* init of the tests, this one, the container's two */
                        break;
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
                sleep_ms(10);
        }
        CHECK(n == 4);
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

static void dead_target(void)
{
        pid_t p = fork();
        struct executor x;
        struct err e = { 0 };
        if (p == 0)
                _exit(0);
        int pidfd = pidfd_open_proc(p, NULL);
        waitpid(p, NULL, 0);
        CHECK(executor_helper(pidfd, ALL_NS, &x, &e) < 0);
        close(pidfd);
}

int main(int argc, char **argv)
{
        static const struct test tests[] = {
                { "in_a_user_namespace", in_a_user_namespace }, { "in_ours", in_ours },
                { "errors_are_named", errors_are_named }, { "holds_nothing", holds_nothing },
                { "blocked_helper_ends", blocked_helper_ends }, { "dead_target", dead_target },
        };
        return run_tests(tests, ELEMENTSOF(tests), argc > 1 ? argv[1] : NULL);
}
