/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Labels: text, or none. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/label.h"
#include "base/path.h"
#include "proto/task-label.pb-c.h"
#include "tests/unit/records.h"

Test(task_label, records)
{
        Gantry__TaskLabel m = GANTRY__TASK_LABEL__INIT;

        ACCEPTED(&kind_task_label, m);
        m.has_current = true;
        m.current = TEXT("a\0b");
        cr_assert_eq(rec_check(&kind_task_label, &m.base), EX_IMAGE, "a label with a NUL");
        m.current = TEXT("");
        cr_assert_eq(rec_check(&kind_task_label, &m.base), EX_IMAGE, "an empty label that is there");
}

/* A /proc directory of a thread under another module than SELinux. */
static int take_of(const char *text, struct err *err)
{
        char dir[] = "/tmp/gantry-unit-label-XXXXXX";
        struct record r = {};

        cr_assert_not_null(mkdtemp(dir));
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert(fd >= 0 && mkdirat(fd, "attr", 0700) == 0);
        int file = openat(fd, "attr/current", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        cr_assert(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text) && close(file) == 0);
        struct obj o = {.cls = CLS_THREAD, .id = 7, .procfd = fd, .facts = {.cls = CLS_THREAD, .comm = "x", .shown_pid = 5}};
        int n = kind_task_label.take(NULL, &o, -1, NULL, &r, err);
        record_done(&r);
        close(fd);
        cr_assert_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
        return n;
}

Test(task_label, other_modules)
{
        struct err err = {};

        if (label_enabled())   /* then the files are SELinux's */
                return;
        cr_assert_eq(take_of("unconfined\n", &err), 0);
        cr_assert_eq(take_of("", &err), 0);
        cr_assert_eq(take_of("gantry-unit (enforce)\n", &err), -EX_UNSUPPORTED);
        cr_assert_not_null(strstr(err.why, "gantry-unit (enforce)"), "%s", err.why);
}
