/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places that kinds ask for (kind.h): the root of a mount namespace, then and now; where the kernel's own areas lie in every
 * stub; what a thread's restart needs.
 *
 * The stubs are copies of init's, so that the areas lie where init's do until PH_SPACE. The scratch place is the end of the room
 * that is kept for the agent, which is free in every memory of the image.
 */
#include <fcntl.h>
#include <string.h>

#include "base/path.h"
#include "base/str.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/restore-int.h"

#define SCRATCH (UINT64_C(64) << 10)

int dump_root(struct dump *d, const struct obj *o, struct err *err)
{
        (void)o;
        if (d->n_mntns == 0 || d->mntns[0].rootfd < 0)
                return err_set(err, EX_FAIL, "cannot look into the container", "its root is not known", "%s", "");
        return d->mntns[0].rootfd;
}

int restore_root(struct restore *rs, uint64_t object, struct err *err)
{
        (void)object;
        if (rs->root_fd < 0)
                rs->root_fd = path_open(rs->task[0].procfd, "root", O_PATH | O_DIRECTORY, 0, err);
        return rs->root_fd;
}

static int each_area(void *ctx, const struct proc_vma *v)
{
        struct vdso_place *p = ctx;

        if (!str_starts(v->name, "[vdso]") && !str_starts(v->name, "[vvar"))
                return 0;
        if (p->n == sizeof(p->at) / sizeof(p->at[0]))
                return 1;
        str_copy(p->at[p->n].name, sizeof(p->at[0].name), v->name);
        p->at[p->n].start = v->start;
        p->at[p->n++].len = v->end - v->start;
        return 0;
}

/* Asked for in PH_GROUND at the latest: before anything has moved. None is found where /proc cannot be read. */
const struct vdso_place *restore_vdso(struct restore *rs)
{
        if (!rs->vdso.scratch) {
                rs->vdso.scratch = rs->agent_addr + AGENT_ROOM - SCRATCH;
                (void)proc_smaps_read(rs->task[0].procfd, each_area, &rs->vdso, NULL);
        }
        return &rs->vdso;
}

struct restart *restore_restart(struct restore *rs, uint64_t thread)
{
        for (size_t i = 0; i < rs->n_task; i++)
                for (size_t k = 0; k < rs->task[i].n_thread; k++)
                        if (rs->task[i].thread[k].id == thread)
                                return &rs->task[i].thread[k].restart;
        return NULL;
}
