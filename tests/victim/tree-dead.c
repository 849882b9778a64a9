/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children that have ended and have not been waited for: with a code, by a signal, of another user, one that led a session and
 * one that led a process group in which others live on. No signal tells of them again.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

static volatile sig_atomic_t told;

static void on_child(int sig)
{
        (void)sig;
        told++;
}

static void await_zombie(pid_t pid)
{
        siginfo_t i;

        VICTIM_MUST(waitid(P_PID, (id_t)pid, &i, WEXITED | WNOWAIT) == 0);
}

static pid_t child_that(void (*ends)(void))
{
        pid_t pid = fork();

        VICTIM_MUST(pid >= 0);
        if (pid == 0) {
                ends();
                _exit(99);
        }
        await_zombie(pid);
        return pid;
}

static void with_code(void)
{
        _exit(42);
}

static void by_signal(void)
{
        raise(SIGTERM);
}

static void by_kill(void)
{
        raise(SIGKILL);
}

static void of_another_user(void)
{
        if (setresgid(1234, 1234, 1234) < 0 || setresuid(1000, 1000, 1000) < 0)
                _exit(98);
        _exit(0);
}

/* The session's leader ends; the member, which is init's now, lives on. */
static int tell[2];

static void leads_a_session(void)
{
        if (setsid() < 0)
                _exit(97);
        pid_t member = fork();
        if (member == 0)
                for (;;)
                        pause();
        if (write(tell[1], &member, sizeof(member)) != (ssize_t)sizeof(member))
                _exit(96);
        _exit(7);
}

static void check(struct victim *v, pid_t pid, int code, int status, uid_t uid)
{
        siginfo_t i = {0};
        int r = waitid(P_PID, (id_t)pid, &i, WEXITED | WNOHANG);

        VICTIM_CHECK(v, r == 0 && i.si_pid == pid && i.si_code == code && i.si_status == status && i.si_uid == uid,
                     "child %d: %d, pid %d, code %d, status %d, uid %u", (int)pid, r, (int)i.si_pid, i.si_code, i.si_status,
                     (unsigned)i.si_uid);
}

int main(int argc, char **argv)
{
        struct victim v;
        pid_t member = 0, grouped;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0 && pipe(tell) == 0);
        VICTIM_MUST(signal(SIGCHLD, on_child) != SIG_ERR);
        pid_t code = child_that(with_code), term = child_that(by_signal), killed = child_that(by_kill);
        pid_t other = child_that(of_another_user), session = child_that(leads_a_session);
        VICTIM_MUST(read(tell[0], &member, sizeof(member)) == (ssize_t)sizeof(member));
        VICTIM_MUST(close(tell[0]) == 0 && close(tell[1]) == 0);
        /* A group whose leader has ended. */
        pid_t leader = fork();
        VICTIM_MUST(leader >= 0);
        if (leader == 0) {
                setpgid(0, 0);
                pause();
                _exit(0);
        }
        VICTIM_MUST(setpgid(leader, leader) == 0);
        grouped = fork();
        VICTIM_MUST(grouped >= 0);
        if (grouped == 0)
                for (;;)
                        pause();
        VICTIM_MUST(setpgid(grouped, leader) == 0 && sigqueue(leader, SIGKILL, (union sigval){0}) == 0);
        await_zombie(leader);
        told = 0;

        victim_wait(&v);

        VICTIM_CHECK(&v, told == 0, "%d signals of children that had ended long ago", (int)told);
        VICTIM_CHECK(&v, getsid(member) == session && getpgid(member) == session, "the member is in session %d, group %d",
                     (int)getsid(member), (int)getpgid(member));
        VICTIM_CHECK(&v, getpgid(grouped) == leader, "the member is in group %d", (int)getpgid(grouped));
        check(&v, code, CLD_EXITED, 42, 0);
        check(&v, term, CLD_KILLED, SIGTERM, 0);
        check(&v, killed, CLD_KILLED, SIGKILL, 0);
        check(&v, other, CLD_EXITED, 0, 1000);
        check(&v, session, CLD_EXITED, 7, 0);
        check(&v, leader, CLD_KILLED, SIGKILL, 0);
        VICTIM_CHECK(&v, sigqueue(member, SIGKILL, (union sigval){0}) == 0, "it has ended");
        VICTIM_CHECK(&v, sigqueue(grouped, SIGKILL, (union sigval){0}) == 0, "it has ended");
        VICTIM_CHECK(&v, waitpid(member, NULL, 0) == member && waitpid(grouped, NULL, 0) == grouped && waitpid(-1, NULL, WNOHANG) < 0,
                     "there is one more child");
        return victim_end(&v);
}
