/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private mappings of files: programs, libraries, locale archives.
 *
 * Pages that the process wrote are its own and follow as runs; all others come from the file, which must therefore be the
 * same file with the same content: device and inode are compared at dump, inode, size and time at restore. A file that no
 * path leads to is refused here when the path turns out to lead elsewhere, and by vma-deleted when it is gone.
 * The descriptor lives for three calls of one tape: open, mmap, close.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/inside.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/vma-file.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_VMA_FILE);
}

static int refuse(const struct facts *f, struct err *err)
{
        if (!f->vma.path)
                return kind_refuse(&kind_vma_file, f, err, "a mapping of a file that has no path in the container",
                                   "Let the program map it again after its mount is back");
        return vma_refuse(&kind_vma_file, f, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct stat *st = &o->facts.vma.st;
        struct vma_area a;
        bool lasting = false;

        (void)fd;
        (void)t;
        int r = vma_take(&kind_vma_file, o, &a, err);
        if (r < 0)
                return r;
        r = inside_same(d, o, o->facts.vma.path, st, &lasting, err);
        if (r < 0)
                return r;
        if (!r)
                return kind_refuse(&kind_vma_file, &o->facts, err, "a mapping of a file that was replaced or covered",
                                   "Restart the program, so that it maps the new file");
        Gantry__VmaFile *m = KIND_NEW(Gantry__VmaFile, gantry__vma_file__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        VMA_INTO(m, a);
        m->offset = o->facts.vma.vma->pgoff;
        m->size = (uint64_t)st->st_size;
        m->has_ino = lasting;
        m->ino = lasting ? st->st_ino : 0;
        m->mtime = st->st_mtim.tv_sec;
        m->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
        r = field_set_text(&m->path, o->facts.vma.path, err);
        if (r < 0)
                return r;
        return field_record(&kind_vma_file, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__VmaFile *m = (const Gantry__VmaFile *)r->msg;
        struct vma_area a = VMA_OF(m);
        uint64_t end;

        (void)need;
        if (!field_is_path(&m->path))
                return kind_bad(&kind_vma_file, r, err, "its path is not one");
        if (m->offset % 4096 || __builtin_add_overflow(m->offset, m->end - m->start, &end) || end > INT64_MAX)
                return kind_bad(&kind_vma_file, r, err, "its place in the file is impossible");
        if (m->mtime_ns >= 1000000000)
                return kind_bad(&kind_vma_file, r, err, "its time is impossible");
        return vma_check(&kind_vma_file, r, &a, err);
}

static int plan_memory(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaFile *m = (const Gantry__VmaFile *)r->msg;
        struct vma_area a = VMA_OF(m);
        struct inside_file want = {.path = &m->path, .size = m->size, .has_ino = m->has_ino, .ino = m->ino,
                                   .has_mtime = true, .mtime = m->mtime, .mtime_ns = m->mtime_ns};
        int r2 = inside_expect(rs, &kind_vma_file, r, m->mm, &want, err);

        if (r2 < 0)
                return r2;
        struct tape *t = vma_tape(rs, m->mm);
        tape_label(t, "map %.*s (vma-file %llu)", (int)m->path.len, (const char *)m->path.data,
                   (unsigned long long)r->id);
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(field_tape(t, &m->path)),
                           A_IMM(O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), A_IMM(0));
        vma_map(t, &a, MAP_PRIVATE, A_RET(fd), m->offset);
        TAPE(t, __NR_close, A_RET(fd));
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaFile *m = (const Gantry__VmaFile *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (!vma_protects(&a))
                return 0;
        struct tape *t = vma_tape(rs, m->mm);
        tape_label(t, "protect what is filled (vma-file %llu)", (unsigned long long)r->id);
        vma_protect(t, &a);
        return 0;
}

static int plan_lock(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaFile *m = (const Gantry__VmaFile *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (a.flags & VMA_LOCKED)
                vma_lock(vma_tape(rs, m->mm), &a);
        return 0;
}

const struct kind kind_vma_file = {
        .stem = "vma-file",
        .number = KIND_VMA_FILE,
        .cls = CLS_VMA,
        .msg = &gantry__vma_file__descriptor,
        .pages = PAGES_ANON,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_MEMORY] = plan_memory, [PH_ATTR] = plan_attr, [PH_LABEL] = plan_lock},
};
