/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared mappings of files: databases, journals, /run/... tables, read-only caches.
 *
 * All pages are the file's, which travels with its file system: nothing but the mapping is dumped. It is opened for
 * writing only where mprotect() could make it writable (mw), because a writer of a read-only mapping would have a right
 * that the program had given up. Its time is not compared: a page written through a mapping may move it later.
 * Not here: shared anonymous memory (vma-shmem) and memfds.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/inside.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/vma-file-shared.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_VMA_FILE_SHARED);
}

static int refuse(const struct facts *f, struct err *err)
{
        if (!f->vma.path)
                return kind_refuse(&kind_vma_file_shared, f, err, "a mapping of a file that has no path in the container",
                                   "Let the program map it again after its mount is back");
        return vma_refuse(&kind_vma_file_shared, f, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct stat *st = &o->facts.vma.st;
        struct vma_area a;
        bool lasting = false;

        (void)fd;
        (void)t;
        int r = vma_take(&kind_vma_file_shared, o, &a, err);
        if (r < 0)
                return r;
        r = inside_same(d, o, o->facts.vma.path, st, &lasting, err);
        if (r < 0)
                return r;
        if (!r)
                return kind_refuse(&kind_vma_file_shared, &o->facts, err, "a mapping of a file that was replaced or covered",
                                   "Restart the program, so that it maps the new file");
        Gantry__VmaFileShared *m = KIND_NEW(Gantry__VmaFileShared, gantry__vma_file_shared__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        VMA_INTO(m, a);
        m->offset = o->facts.vma.vma->pgoff;
        m->size = (uint64_t)st->st_size;
        m->has_ino = lasting;
        m->ino = lasting ? st->st_ino : 0;
        r = field_set_text(&m->path, o->facts.vma.path, err);
        if (r < 0)
                return r;
        return field_record(&kind_vma_file_shared, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__VmaFileShared *m = (const Gantry__VmaFileShared *)r->msg;
        struct vma_area a = VMA_OF(m);
        uint64_t end;

        (void)need;
        if (!field_is_path(&m->path))
                return kind_bad(&kind_vma_file_shared, r, err, "its path is not one");
        if (m->offset % 4096 || __builtin_add_overflow(m->offset, m->end - m->start, &end) || end > INT64_MAX)
                return kind_bad(&kind_vma_file_shared, r, err, "its place in the file is impossible");
        if ((m->prot & PROT_WRITE) && !(m->flags & VMA_MAYWRITE))
                return kind_bad(&kind_vma_file_shared, r, err, "writable, though it may not become so");
        return vma_check(&kind_vma_file_shared, r, &a, err);
}

static int plan_memory(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaFileShared *m = (const Gantry__VmaFileShared *)r->msg;
        struct vma_area a = VMA_OF(m);
        struct inside_file want = {.path = &m->path, .size = m->size, .has_ino = m->has_ino, .ino = m->ino};
        int r2 = inside_expect(rs, &kind_vma_file_shared, r, m->mm, &want, err);

        if (r2 < 0)
                return r2;
        struct tape *t = vma_tape(rs, m->mm);
        tape_label(t, "map %.*s (vma-file-shared %llu)", (int)m->path.len, (const char *)m->path.data,
                   (unsigned long long)r->id);
        int mode = m->flags & VMA_MAYWRITE ? O_RDWR : O_RDONLY;
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(field_tape(t, &m->path)),
                           A_IMM(mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), A_IMM(0));
        vma_map(t, &a, MAP_SHARED, A_RET(fd), m->offset);
        TAPE(t, __NR_close, A_RET(fd));
        return 0;
}

static int plan_lock(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaFileShared *m = (const Gantry__VmaFileShared *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (a.flags & VMA_LOCKED)
                vma_lock(vma_tape(rs, m->mm), &a);
        return 0;
}

const struct kind kind_vma_file_shared = {
        .stem = "vma-file-shared",
        .number = KIND_VMA_FILE_SHARED,
        .cls = CLS_VMA,
        .msg = &gantry__vma_file_shared__descriptor,
        .pages = PAGES_NONE,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_MEMORY] = plan_memory, [PH_LABEL] = plan_lock},
};
