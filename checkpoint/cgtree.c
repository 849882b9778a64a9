/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The planner of cgroups: who is put into which directory of the container, and when. What a directory is like is cg-dir's.
 *
 *      before GROUND    init's stub makes a cgroup2 mount that is attached nowhere; its root must be the payload
 *      (GROUND          cg-dir makes the directories)
 *      before MOUNTS    init moves itself: it was cloned into the payload
 *      (MOUNTS          cg-dir enables controllers, for which the payload may have to be empty)
 *      before TREE      init opens what anybody is cloned into; every stub inherits the descriptors, at the same numbers, until HAND
 *                       clears the tables. A child is born in its directory (CLONE_INTO_CGROUP, 5.7): a move costs milliseconds
 *      before THREADS   the directories of single threads are delivered to who clones them: tables are final by now
 *      after PARK       what the container had frozen is frozen, under the frozen payload
 *
 * All of it is the container's own authority: a stub is root inside, and may be cloned where its root may move a process to.
 */
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "checkpoint/cgtree.h"
#include "checkpoint/kind/cgdir.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "proto/cg-dir.pb-c.h"

static int bad(struct err *err, const char *why, uint64_t id)
{
        return err_set(err, EX_IMAGE, "cannot restore the image", why, "cgroup %llu", (unsigned long long)id);
}

/* ---- CHECK ---- */

static const struct record *dir_record(struct restore *rs, uint64_t id)
{
        const struct record *r = restore_record(rs, id);

        return r && r->kind == KIND_CG_DIR ? r : NULL;
}

static bool has_value(const struct record *r, const char *name)
{
        const Gantry__CgDir *m = (const void *)r->msg;

        for (size_t i = 0; i < m->n_value; i++)
                if (m->value[i]->name.len == strlen(name) && memcmp(m->value[i]->name.data, name, strlen(name)) == 0)
                        return true;
        return false;
}

static int check_member(struct restore *rs, uint64_t id, struct err *err)
{
        if (id && (!dir_record(rs, id) || id == rs->cg_payload))
                return bad(err, "a process is in one that it does not have", id);
        return 0;
}

static int check_dir(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__CgDir *m = (const void *)r->msg;
        const struct record *up = m->has_parent ? dir_record(rs, m->parent) : NULL;
        char path[CG_PATH_MAX];

        if (restore_record(rs, r->id) != r)   /* later it is looked up by that */
                return bad(err, "its id is another record's too", r->id);
        if (!m->has_name && rs->cg_payload)
                return bad(err, "there are two payloads", r->id);
        if (!m->has_name) {
                rs->cg_payload = r->id;
                return 0;
        }
        /* Records of one kind stand in the order of the image: what is above stands before, so there is no ring. */
        if (!up || up >= r || cg_path(rs, r, path, NULL) < 0)
                return bad(err, "it is in no directory that stands before it", r->id);
        return 0;
}

int cgtree_check(struct restore *rs, struct err *err)
{
        unsigned dirs = 0;
        bool own = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < rs->n_rec; i++) {
                own |= rs->rec[i].kind == KIND_NS_CGROUP;
                if (rs->rec[i].kind != KIND_CG_DIR)
                        continue;
                if (++dirs > CG_DIRS_MAX)
                        return bad(err, "there are too many", rs->rec[i].id);
                r = check_dir(rs, &rs->rec[i], err);
        }
        if (r >= 0 && own != (rs->cg_payload != 0))
                return err_set(err, EX_IMAGE, "cannot restore the image", "a record is missing", "%s",
                               own ? "cg-dir of the payload" : "ns-cgroup");
        for (size_t i = 0; r >= 0 && i < rs->n_task; i++) {
                r = check_member(rs, rs->task[i].cgroup, err);
                for (size_t k = 1; r >= 0 && k < rs->task[i].n_thread; k++)
                        r = check_member(rs, rs->task[i].thread[k].cgroup, err);
        }
        for (size_t i = 0; r >= 0 && i < rs->n_dead; i++)
                r = check_member(rs, rs->dead[i].cgroup, err);
        return r;
}

/* ---- the mount ---- */

static struct tape *init_tape(struct restore *rs, const char *label, struct err *err)
{
        struct tape *t = tape_new((struct actor){ ACTOR_TASK, rs->task[0].id });

        if (t)
                tape_label(t, "%s", label);
        else
                (void)kind_nomem(err);
        return t;
}

/* A node on which a controller is in a v1 tree cannot give it to a container. */
static int check_controllers(struct restore *rs, struct err *err)
{
        const struct record *r = restore_record(rs, rs->cg_payload);
        const Gantry__CgDir *m = (const void *)r->msg;
        _cleanup_free_ char *text = NULL;
        int q = m->n_controller ? path_read(rs->s.cgroup_fd, "cgroup.controllers", &text, NULL, err) : 0;

        for (size_t i = 0; q >= 0 && i < m->n_controller; i++) {
                const ProtobufCBinaryData *c = &m->controller[i];
                if (cg_listed(text, c->data, c->len))
                        continue;
                err_set(err, EX_KERNEL, "cannot restore the container's cgroups", "this node has no such controller for a container", "%.*s",
                        (int)c->len, (const char *)c->data);
                return err_remedy(err, "it is used inside: let it go on on a node with cgroup v2 alone");
        }
        return q < 0 ? q : 0;
}

int cgtree_mount(struct restore *rs, struct err *err)
{
        struct stat theirs, ours;

        if (!rs->cg_payload)
                return 0;
        int r = check_controllers(rs, err);
        struct tape *t = r < 0 ? NULL : init_tape(rs, "mount the container's cgroups", err);
        if (!t)
                return r < 0 ? r : -EX_NOSPC;
        uint32_t fs = TAPE(t, SYS_fsopen, A_DATA(tape_str(t, "cgroup2")), A_IMM(FSOPEN_CLOEXEC));
        TAPE(t, SYS_fsconfig, A_RET(fs), A_IMM(FSCONFIG_CMD_CREATE), A_IMM(0), A_IMM(0), A_IMM(0));
        tape_keep_fd(t, TAPE(t, SYS_fsmount, A_RET(fs), A_IMM(FSMOUNT_CLOEXEC), A_IMM(0)), rs->cg_payload);
        TAPE(t, SYS_close, A_RET(fs));
        r = play_one(rs, t, err);
        int fd = r < 0 ? r : restore_fd(rs, rs->cg_payload, err);
        if (fd < 0)
                return fd;
        /* A namespace whose root is another directory would have them made there. */
        if (fstat(fd, &ours) < 0 || fstat(rs->s.cgroup_fd, &theirs) < 0 || ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev)
                return err_set(err, EX_STATE, "cannot restore the container's cgroups", "its ground is not the root of its cgroup namespace",
                               "%s", "payload");
        return 0;
}

/* ---- init ---- */

static int path_of(struct restore *rs, uint64_t id, char path[CG_PATH_MAX], struct err *err)
{
        path[0] = '\0';
        return id == 0 || cg_path(rs, restore_record(rs, id), path, NULL) >= 0 ? 0 : bad(err, "it is in no directory", id);
}

int cgtree_enter(struct restore *rs, struct err *err)
{
        char path[CG_PATH_MAX];
        uint64_t id = rs->task[0].cgroup;

        if (!id)
                return 0;
        int r = path_of(rs, id, path, err);
        struct tape *t = r < 0 ? NULL : init_tape(rs, "move init into its cgroup", err);
        if (!t)
                return r < 0 ? r : -EX_NOSPC;
        uint32_t dir = cg_open(t, rs->cg_payload, path, O_PATH | O_DIRECTORY);
        uint32_t fd = TAPE(t, SYS_openat, A_RET(dir), A_DATA(tape_str(t, "cgroup.procs")), A_IMM(O_WRONLY | O_CLOEXEC), A_IMM(0));
        tape_expect(t, TAPE(t, SYS_write, A_RET(fd), A_DATA(tape_str(t, "0")), A_IMM(1)), 1);
        TAPE(t, SYS_close, A_RET(fd));
        TAPE(t, SYS_close, A_RET(dir));
        return play_one(rs, t, err);
}

/* ---- TREE ---- */

static void list_dir(struct restore *rs, uint64_t id)
{
        for (size_t i = 0; i < rs->n_cg; i++)
                if (rs->cg[i].id == id)
                        return;
        rs->cg[rs->n_cg++] = (struct restore_cgroup){ id, -1 };
}

/* Every directory that a process is in, the payload too; none where all are in the payload. */
static int list_dirs(struct restore *rs, struct err *err)
{
        bool any = false;

        for (size_t i = 0; i < rs->n_task; i++)
                any |= rs->task[i].cgroup != 0;
        for (size_t i = 0; i < rs->n_dead; i++)
                any |= rs->dead[i].cgroup != 0;
        if (!any)
                return 0;
        rs->cg = calloc(rs->n_task + rs->n_dead, sizeof(*rs->cg));
        if (!rs->cg)
                return kind_nomem(err);
        for (size_t i = 1; i < rs->n_task; i++)
                list_dir(rs, rs->task[i].cgroup);
        for (size_t i = 0; i < rs->n_dead; i++)
                list_dir(rs, rs->dead[i].cgroup);
        return 0;
}

int cgtree_open(struct restore *rs, struct err *err)
{
        char path[CG_PATH_MAX];
        int r = list_dirs(rs, err);

        if (r < 0 || rs->n_cg == 0)
                return r;
        struct tape *t = init_tape(rs, "open the container's cgroups", err);
        if (!t)
                return -EX_NOSPC;
        for (size_t i = 0; r >= 0 && i < rs->n_cg; i++) {
                r = path_of(rs, rs->cg[i].id, path, err);
                if (r >= 0)
                        (void)cg_open(t, rs->cg_payload, path, O_PATH | O_DIRECTORY);
        }
        if (r >= 0)
                r = deliver_needs(rs, t, err);
        if (r >= 0)
                r = executor_play(&rs->ptrace, &t, 1, err);
        for (size_t i = 0; r >= 0 && i < rs->n_cg; i++)
                rs->cg[i].fd = (int)tape_ret(t, (uint32_t)i);
        tape_free(t);
        return r;
}

int cgtree_number(const struct restore *rs, uint64_t id)
{
        for (size_t i = 0; i < rs->n_cg; i++)
                if (rs->cg[i].id == id)
                        return rs->cg[i].fd;
        return -1;
}

/* ---- THREADS ---- */

uint64_t cgtree_thread(const struct restore *rs, const struct restore_task *t, size_t k)
{
        if (t->thread[k].cgroup == t->cgroup)
                return 0;
        return t->thread[k].cgroup ? t->thread[k].cgroup : rs->cg_payload;
}

int cgtree_threads(struct restore *rs, struct err *err)
{
        char path[CG_PATH_MAX];
        struct tape *t = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < rs->n_task; i++)
                for (size_t k = 1; r >= 0 && k < rs->task[i].n_thread; k++) {
                        uint64_t id = cgtree_thread(rs, &rs->task[i], k);
                        if (!id || id == rs->cg_payload || object_fd(rs, id) >= 0)
                                continue;
                        if (!(t = init_tape(rs, "open the cgroup of a thread", err)))
                                return -EX_NOSPC;
                        r = path_of(rs, id, path, err);
                        tape_keep_fd(t, cg_open(t, rs->cg_payload, path, O_PATH | O_DIRECTORY), id);
                        if (r < 0)
                                tape_free(t);
                        else
                                r = play_one(rs, t, err);
                }
        return r < 0 ? r : deliver_cleanup(rs, err);
}

/* ---- PARK ---- */

/* By our own hand, which is no more than what the container's own could do: the tasks are gone from us, and no tape runs any more. */
int cgtree_freeze(struct restore *rs, struct err *err)
{
        char path[CG_PATH_MAX];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < rs->n_rec; i++) {
                if (rs->rec[i].kind != KIND_CG_DIR || !has_value(&rs->rec[i], "cgroup.freeze"))
                        continue;
                r = path_of(rs, rs->rec[i].id, path, err);
                _cleanup_close_ int fd = r < 0 ? r : path_open_beneath(rs->s.cgroup_fd, path, O_RDONLY | O_DIRECTORY, 0, err);
                r = fd < 0 ? fd : cgroup_freeze_write(fd, err);
        }
        return r;
}
