/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrmigrate that kills itself at a record, for tests/migrate/kill9.sh: linked with --wrap=path_replace over the same
 * objects as the real one. /run/gantry/die-at holds "before|after FILE WORD", where FILE is `journal` or `ledger` and WORD is in the
 * text that is being written; the file is removed, so that the next program lives. SIGKILL, as the kernel would send it. With a
 * fourth word, `all`, its children die first: the guard too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/uapi.h"

#define DIE_AT "/run/gantry/die-at"

int __real_path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err);
int __wrap_path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err);

static void end(int pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        if (fd >= 0)
                (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static void die(void)
{
        char word[4][32] = {""};
        FILE *f = fopen(DIE_AT, "re");
        int pid;

        if (f && fscanf(f, "%31s %31s %31s %31s", word[0], word[1], word[2], word[3]) == 4) {
                FILE *children = fopen("/proc/thread-self/children", "re");
                while (children && fscanf(children, "%d", &pid) == 1)
                        end(pid);
        }
        (void)unlink(DIE_AT);
        end(getpid());
}

static bool is_due(const char *when, const char *path, const void *data, size_t n)
{
        char want_when[16], want_file[16], want_word[32];
        FILE *f = fopen(DIE_AT, "re");

        if (!f)
                return false;
        int got = fscanf(f, "%15s %15s %31s", want_when, want_file, want_word);
        fclose(f);
        const char *file = strcmp(path, "journal") == 0 ? "journal" : "ledger";
        char text[512];
        snprintf(text, sizeof(text), "%.*s", (int)n, (const char *)data);
        return got == 3 && strcmp(when, want_when) == 0 && strcmp(file, want_file) == 0 && strcasestr(text, want_word);
}

int __wrap_path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
        if (is_due("before", path, data, n))
                die();
        int r = __real_path_replace(dirfd, path, data, n, mode, err);
        if (is_due("after", path, data, n))
                die();
        return r;
}
