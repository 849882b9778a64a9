/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a kind looks at while it settles, quiesces, reads or cures an object: our duplicate of an open file, the root of a mount. It is
 * opened for one call and closed after it: a dump of ten thousand descriptors must not need as many of its own.
 */
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/mounts.h"

int dump_open(struct dump *d, struct dump_obj *x, int *ret, struct err *err)
{
        *ret = -1;
        if (x->o.cls == CLS_MOUNT)
                *ret = mount_root_open(d, x, err);
        else if (x->o.cls == CLS_FILE)
                *ret = dump_dup(d, x, err);
        else
                return 0;
        return *ret < 0 && err_is_set(err) ? *ret : 0;
}
