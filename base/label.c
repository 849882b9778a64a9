/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Security labels through libselinux (base/label.h).
 *
 * Raw contexts are used: a translation daemon's names differ between nodes. Where SELinux is off, label_enabled() is
 * the one branch and a label is "". A file system without labels answers as if the file had none.
 */
#include "base/label.h"

#include <errno.h>
#include <selinux/selinux.h>

#include "base/cleanup.h"
#include "base/str.h"

static void conp(char **c)
{
        if (*c)
                freecon(*c);
}
#define _cleanup_con_ CLEANUP(conp)

bool label_enabled(void)
{
        return is_selinux_enabled() == 1;
}

static int give(const char *con, char *ret, unsigned long size, struct err *err)
{
        if (!str_copy(ret, size, con))
                return err_sys(err, EX_FAIL, ENAMETOOLONG, "cannot read a security label", "%s", con);
        return 0;
}

int label_get(pid_t pid, char *ret, unsigned long size, struct err *err)
{
        _cleanup_con_ char *con = NULL;

        if (!label_enabled())
                return give("", ret, size, err);
        if (getpidcon_raw(pid, &con) < 0)
                return err_sys(err, errno == ESRCH || errno == ENOENT ? EX_UNKNOWN : EX_FAIL, errno,
                               "cannot read a security label", "pid %d", pid);
        return give(con, ret, size, err);
}

int label_get_file(int fd, char *ret, unsigned long size, struct err *err)
{
        _cleanup_con_ char *con = NULL;

        if (!label_enabled())
                return give("", ret, size, err);
        if (fgetfilecon_raw(fd, &con) < 0) {
                if (errno == ENODATA || errno == ENOTSUP)
                        return give("", ret, size, err);
                return err_sys(err, EX_FAIL, errno, "cannot read a security label", "descriptor %d", fd);
        }
        return give(con, ret, size, err);
}
