/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frame of the system suite's programs: the test runs as init of new pid, mount and network namespaces, with everything
 * mounted private and a /proc of its own, so that whatever it does ends with it. Without root it is skipped (77).
 */
#pragma once

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mountapi.h"

/* Fails the test with the place and, if `e` says more, the error. */
#define CHECK_ERR(cond, e)                                                                                   \
        do {                                                                                                 \
                if (!(cond)) {                                                                               \
                        char _text[700] = "";                                                                \
                        const struct err *_e = (e);                                                          \
                        if (err_is_set(_e))                                                                  \
                                err_format(_e, _text, sizeof(_text));                                        \
                        fprintf(stderr, "%s:%d: %s failed. %s\n", __FILE__, __LINE__, #cond, _text);         \
                        exit(1);                                                                             \
                }                                                                                            \
        } while (0)
#define CHECK(cond) CHECK_ERR(cond, NULL)
#define OK(call)                                                                                             \
        do {                                                                                                 \
                struct err err_ = {};                                                                        \
                struct err *err = &err_;                                                                     \
                CHECK_ERR((call) >= 0, err);                                                                 \
        } while (0)
/* Waits for a condition, at most about five seconds. */
#define UNTIL(cond)                                                                                          \
        do {                                                                                                 \
                int _i = 0;                                                                                  \
                while (!(cond) && _i++ < 1000)                                                               \
                        usleep(5000);                                                                        \
                CHECK(cond);                                                                                 \
        } while (0)

/* `after` (or NULL) runs when the test has ended, however it did: what outlives namespaces, as cgroups do, goes there. */
static inline int run_in_own_namespaces(void (*test)(void), void (*after)(void))
{
        struct err e = {};
        int status = 0;

        if (geteuid() != 0) {
                fprintf(stderr, "needs root\n");
                return 77;
        }
        CHECK(unshare(CLONE_NEWPID | CLONE_NEWNET) == 0);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
                CHECK_ERR(mount_own_namespace(&e) == 0, &e);
                int proc = mount_new("proc", NULL, NULL, 0, &e);
                CHECK_ERR(proc >= 0, &e);
                CHECK_ERR(mount_attach(proc, -100, "/proc", &e) == 0, &e);
                close(proc);
                test();
                exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        if (after)
                after();
        /* LeakSanitizer's own thread could not be made any more: the pid namespace of our children has ended. */
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
