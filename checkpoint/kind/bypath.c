/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening again by path (bypath.h).
 *
 * The link text of /proc/PID/fd/N is the path of the file's own mount, from the root of that mount's namespace. Whether it
 * leads there from the holder's namespace, with whatever is mounted over it by now, is looked at while everything stands
 * still: openat2(2) with RESOLVE_IN_ROOT from the namespace's root (not the chroot of the holder: fs roots are handed
 * over later than files are opened), without following symbolic links, which such a path has none of. Nothing is looked
 * at on FUSE: its server may be one of the tasks that stand still.
 *
 * At restore the owner opens; it still has the container's full rights then, so that a file opened before a program gave
 * up its rights opens again. O_CREAT and O_TRUNC never stay in the flags. The engine compares file type, device, size and,
 * where they travel with the disk, inode numbers by its duplicate. tmpfs gives new numbers and is not compared by them.
 */
#include "checkpoint/kind/bypath.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"

#define XFS_MAGIC 0x58465342
#define RDEV(maj, min) (((uint32_t)(maj) << 20) | (uint32_t)(min))

/* 1: the path leads to something else, *ret_why says to what. */
static int leads_there(struct dump *d, const struct obj *o, const char **ret_why, struct err *err)
{
        const struct file_facts *f = &o->facts.file;
        struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
        struct stat st;

        if (f->fs_magic == 0)
                return 0;
        int root = dump_root(d, o, err);
        if (root < 0)
                return root;
        _cleanup_close_ int fd = sys_openat2(root, f->link, &how);
        if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) {
                *ret_why = "a file that its path no longer leads to (moved under a mount, or renamed over)";
                return 1;
        }
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot look at a path of the container", "%s", f->link);
        if (fstat(fd, &st) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a file of the container", "%s", f->link);
        if (st.st_dev == f->st.st_dev && st.st_ino == f->st.st_ino)
                return 0;
        *ret_why = "a file whose path leads to another one by now (replaced, or another mount lies over it)";
        return 1;
}

int bypath_take(const struct kind *k, struct dump *d, const struct obj *o, int fd, const struct tape *t, struct bypath *ret,
                struct err *err)
{
        const struct file_facts *f = &o->facts.file;
        const char *why = NULL;

        *ret = (struct bypath){.pos = f->pos, .mode = f->st.st_mode, .size = (uint64_t)f->st.st_size};
        int r = ofd_take(k, o, fd, t, &ret->ofd, err);
        if (r >= 0)
                r = leads_there(d, o, &why, err);
        if (r > 0)
                return kind_refuse(k, &o->facts, err, why, "Restart the program, so that it opens the files that are there now");
        if (r < 0)
                return r;
        if (S_ISCHR(f->st.st_mode)) {
                ret->rdev = RDEV(major(f->st.st_rdev), minor(f->st.st_rdev));
                ret->pos = 0;
        }
        ret->has_ino = f->fs_magic == EXT4_SUPER_MAGIC || f->fs_magic == XFS_MAGIC || f->fs_magic == BTRFS_SUPER_MAGIC;
        ret->ino = f->st.st_ino;
        if (fd >= 0 && S_ISREG(f->st.st_mode) && fcntl(fd, F_GET_RW_HINT, &ret->hint) < 0)
                ret->hint = 0;
        return field_set_text(&ret->path, f->link, err);
}

int bypath_check(const struct kind *k, const struct record *r, const struct bypath *b, struct need *need, struct err *err)
{
        if (!ofd_ok(&b->ofd))
                return kind_bad(k, r, err, "flags or owner are not those of an open file");
        if (!field_is_path(&b->path))
                return kind_bad(k, r, err, "its path is none");
        if (b->pos > INT64_MAX || b->size > INT64_MAX)
                return kind_bad(k, r, err, "position or size is negative");
        need->fds++;
        return 0;
}

uint32_t bypath_make(const struct kind *k, struct restore *rs, const struct record *r, const struct bypath *b)
{
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        struct open_how how = {.flags = b->ofd.flags & ~(uint32_t)O_ASYNC, .resolve = RESOLVE_NO_MAGICLINKS};
        char path[64];

        how.flags |= O_CLOEXEC | O_NOCTTY;
        if (!field_copy(&b->path, path, sizeof(path)))
                snprintf(path, sizeof(path), "…%.*s", 58, (const char *)b->path.data + b->path.len - 58);
        tape_label(t, "open %s (%s %" PRIu64 ")", path, k->stem, r->id);
        uint32_t name = field_tape(t, &b->path), arg = tape_data(t, &how, sizeof(how));
        uint32_t e = TAPE(t, SYS_openat2, A_IMM(AT_FDCWD), A_DATA(name), A_DATA(arg), A_IMM(sizeof(how)));
        tape_keep_fd(t, e, r->id);
        if (b->pos)
                tape_expect(t, TAPE(t, SYS_lseek, A_RET(e), A_IMM(b->pos), A_IMM(SEEK_SET)), (int64_t)b->pos);
        return e;
}

int bypath_verify(const struct kind *k, struct restore *rs, const struct record *r, const struct bypath *b, struct err *err)
{
        struct stat st;
        const char *why = NULL;
        int fd = restore_fd(rs, r->id, err);

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at an opened file", "%s %" PRIu64, k->stem, r->id);
        if ((st.st_mode & S_IFMT) != (b->mode & S_IFMT))
                why = "another type of file";
        else if (S_ISCHR(st.st_mode) && RDEV(major(st.st_rdev), minor(st.st_rdev)) != b->rdev)
                why = "another device";
        else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < b->size)
                why = "a shorter file";
        else if (b->has_ino && st.st_ino != b->ino)
                why = "another file";
        if (!why)
                return 0;
        char text[96];
        snprintf(text, sizeof(text), "its path leads to %s than at the checkpoint", why);
        err_set(err, EX_IMAGE, "cannot open a file again", text, "%.*s (%s %" PRIu64 ")", (int)b->path.len,
                (const char *)b->path.data, k->stem, r->id);
        return err_remedy(err, "Restore with the disk image as it was at the checkpoint");
}
