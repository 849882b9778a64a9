/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/caps.c and base/label.c.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/label.h"
#include "base/parse.h"
#include "base/procfs.h"
#include "base/str.h"

#define BIT(c) (UINT64_C(1) << (c))

static uint64_t from_status(const char *key)
{
        _cleanup_free_ char *text = NULL;
        struct proc_kv kv[128];
        size_t n = 0, len;
        uint64_t v = 0;
        _cleanup_close_ int fd = proc_open(getpid(), NULL);

        cr_assert_eq(proc_read(fd, "status", &text, &len, NULL), 0);
        cr_assert_eq(proc_status_parse(text, len, kv, ELEMENTSOF(kv), &n, NULL), 0);
        cr_assert_eq(parse_hex64(proc_kv_get(kv, n, key), &v, NULL), 0, "%s", key);
        return v;
}

static void compare(const struct caps *c)
{
        cr_expect_eq(c->inheritable, from_status("CapInh"));
        cr_expect_eq(c->permitted, from_status("CapPrm"));
        cr_expect_eq(c->effective, from_status("CapEff"));
        cr_expect_eq(c->bounding, from_status("CapBnd"));
        cr_expect_eq(c->ambient, from_status("CapAmb"));
}

Test(caps, self)
{
        struct caps c;
        struct err e = {};

        cr_assert_eq(caps_self(&c, &e), 0);
        compare(&c);
        for (int i = 0; i < 41; i++)
                cr_expect_eq(caps_have(i), !!(c.effective & BIT(i)), "%d", i);
        cr_assert_not(caps_have(63));
}

Test(caps, names)
{
        int cap = -1;
        struct err e = {};

        cr_assert_eq(caps_by_name("cap_sys_admin", &cap, &e), 0);
        cr_assert_eq(cap, CAP_SYS_ADMIN);
        cr_assert_eq(caps_by_name("cap_nothing", &cap, &e), -EX_USAGE);
        cr_assert_eq(cap, CAP_SYS_ADMIN);
}

/* In a process of its own: it cannot be undone. */
Test(caps, limit)
{
        struct caps before, c;
        struct err e = {};

        cr_assert_eq(caps_self(&before, &e), 0);
        uint64_t keep = BIT(CAP_CHOWN) | BIT(CAP_KILL);
        if (!caps_have(CAP_SETPCAP)) {
                cr_assert_eq(caps_limit(keep, &e), -EX_PERM);
                return;
        }
        cr_assert_eq(caps_limit(keep, &e), 0, "%s", e.why);
        cr_assert_eq(caps_self(&c, &e), 0);
        compare(&c);
        cr_assert_eq(c.bounding, before.bounding & keep);
        cr_assert_eq(c.permitted, before.permitted & keep);
        cr_assert_eq(c.effective, before.permitted & keep);
        cr_assert_eq(c.inheritable | c.ambient, 0);
        cr_assert_eq(caps_limit(keep, &e), 0, "again changes nothing and needs no privilege");
}

Test(label, machine_without_labels)
{
        char text[64] = "x";
        struct err e = {};
        _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        cr_assert_eq(label_get(getpid(), text, sizeof(text), &e), 0);
        cr_assert_eq(text[0] == '\0', !label_enabled());
        cr_assert_eq(label_get_file(fd, text, sizeof(text), &e), 0);
        if (!label_enabled())
                cr_assert_str_eq(text, "");
}
