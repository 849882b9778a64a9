/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a kind may ask of a restore (kind.h, "restore side").
 *
 * Small steps on behalf of one record. The order of things is restore.c's, the tapes are phase.c's; what is only looked up by its id is
 * in restore-find.c.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "checkpoint/restore-int.h"
#include "proto/task-files.pb-c.h"

static struct actor task_actor(const struct restore_task *t)
{
        return (struct actor){ ACTOR_TASK, t->id };
}

/* The lowest task that holds a FILE, by the records of the descriptor tables. */
static const struct restore_task *holder(struct restore *rs, uint64_t file)
{
        for (size_t i = 0; i < rs->n_task; i++) {
                const struct record *rec = restore_record(rs, rs->task[i].files);
                if (!rec || rec->msg->descriptor != &gantry__task_files__descriptor)
                        continue;
                const Gantry__TaskFiles *m = (const Gantry__TaskFiles *)(const void *)rec->msg;
                for (size_t k = 0; k < m->n_entry; k++)
                        if (m->entry[k]->file == file)
                                return &rs->task[i];
        }
        return &rs->task[0];
}

/* A shared memory object is made where the first mapping of it is; its vma-shmem record says so by asking for its own owner. */
struct actor restore_owner(struct restore *rs, uint64_t object)
{
        struct restore_task *t = restore_task_of(rs, object);

        if (t) {
                for (size_t k = 0; k < t->n_thread; k++)
                        if (t->thread[k].id == object)
                                return (struct actor){ ACTOR_THREAD, object };
                return task_actor(t);
        }
        const struct record *rec = restore_record(rs, object);
        const struct kind *k = rec ? kind_find(rec->kind) : NULL;
        if (k && k->cls == CLS_FILE)
                return task_actor(holder(rs, object));
        if (k && k->cls == CLS_VMA) {
                /* Every message of a mapping names its memory in the field `mm`. */
                const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(rec->msg->descriptor, "mm");
                uint64_t mm = 0;
                if (f && f->type == PROTOBUF_C_TYPE_UINT64 && f->label == PROTOBUF_C_LABEL_REQUIRED)
                        memcpy(&mm, (const uint8_t *)rec->msg + f->offset, sizeof(mm));
                t = restore_task_of(rs, mm);
                if (t)
                        return task_actor(t);
        }
        return task_actor(&rs->task[0]);
}

uint64_t restore_task(struct restore *rs, uint32_t number)
{
        for (size_t i = 0; i < rs->n_task; i++)
                if (rs->task[i].vpid == number)
                        return rs->task[i].id;
        return 0;
}

int restore_bytes(struct restore *rs, uint64_t id, uint64_t offset, void *buf, size_t len, struct err *err)
{
        uint8_t *p = buf;
        uint8_t last[PAGE_BYTES];

        while (len > 0) {
                size_t whole = len & ~(size_t)(PAGE_BYTES - 1);
                uint32_t pages = (uint32_t)(whole / PAGE_BYTES < RUN_MAX_PAGES ? whole / PAGE_BYTES : RUN_MAX_PAGES);
                size_t n = pages ? (size_t)pages * PAGE_BYTES : len;
                int r = image_page_read(rs->img, id, offset, pages ? pages : 1, pages ? p : last, err);
                if (r == 1)
                        return err_set(err, EX_IMAGE, "cannot restore an object", "bytes of it are missing in the image",
                                       "object %llu at %llu", (unsigned long long)id, (unsigned long long)offset);
                if (r < 0)
                        return r;
                if (!pages)
                        memcpy(p, last, len);
                p += n;
                offset += n;
                len -= n;
        }
        return 0;
}

struct cpu_state *restore_cpu(struct restore *rs, uint64_t thread)
{
        for (size_t i = 0; i < rs->n_task; i++)
                for (size_t k = 0; k < rs->task[i].n_thread; k++)
                        if (rs->task[i].thread[k].id == thread) {
                                rs->task[i].thread[k].has_cpu = true;
                                return rs->task[i].thread[k].cpu;
                        }
        return NULL;
}

struct nl *restore_nl(struct restore *rs, uint64_t ns, struct err *err)
{
        (void)ns;
        if (rs->nl)
                return rs->nl;
        _cleanup_close_ int fd = path_open(rs->task[0].procfd, "ns/net", O_RDONLY, 0, err);
        if (fd < 0 || nl_open_in(fd, &rs->nl, err) < 0)
                return NULL;
        return rs->nl;
}

int restore_settings(struct restore *rs, const struct net_setting **ret, size_t *ret_n, struct err *err)
{
        _cleanup_close_ int fd = path_open(rs->task[0].procfd, "ns/net", O_RDONLY, 0, err);

        net_settings_done(&rs->settings);
        int r = fd < 0 ? fd : net_settings_read(fd, &rs->settings, err);
        if (r < 0)
                return r;
        *ret = rs->settings.at;
        *ret_n = rs->settings.n;
        return 0;
}

int restore_external(struct restore *rs, const char *name, uint64_t object, struct err *err)
{
        int fd = -1;

        if (!rs->s.outside || !rs->s.outside->open_external)
                return err_set(err, EX_IMAGE, "cannot restore an external object", "this restore has none", "%s", name);
        int r = rs->s.outside->open_external(rs->s.ctx, name, &fd, err);
        return r < 0 ? r : object_put(rs, object, fd, err);
}

int restore_seccomp(struct restore *rs, const void **ret, size_t *ret_n, struct err *err)
{
        if (!rs->s.outside || !rs->s.outside->seccomp)
                return 1;
        return rs->s.outside->seccomp(rs->s.ctx, ret, ret_n, err);
}

size_t restore_threads(struct restore *rs, uint64_t task, const uint64_t **ret)
{
        const struct restore_task *t = restore_task_find(rs, task);

        if (!t)
                return 0;
        *ret = t->thread_ids;
        return t->n_thread;
}
