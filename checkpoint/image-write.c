/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing an image, as a directory or as a stream of bytes.
 *
 * Both forms are the same frames; they differ in where the page bytes go: into a second file, or right behind the
 * PAGES record that describes them. Runs are gathered into one such record until it has 1 MiB of bytes or 1,024
 * runs, and runs that continue each other become one. A record put between two runs ends the batch, so that the order in
 * which a session puts things is the order in the image.
 *
 * A directory is made as NAME.tmp under a lock (flock), synced, and renamed without replacing; a failure at any step
 * removes it. A writer that was killed leaves NAME.tmp, which the next one with that name removes: the lock, which
 * ended with the killed process, tells the two apart.
 *
 * The first error is kept: what was lost once cannot be made whole by later calls, so the close fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/image-int.h"
#include "proto/end.pb-c.h"
#include "proto/header.pb-c.h"
#include "proto/pages.pb-c.h"

#ifndef GANTRY_VERSION
#define GANTRY_VERSION "unknown"
#endif
#define WHAT "cannot write the checkpoint image"
#define BUFFER (256u << 10)

struct image_writer {
        const struct record_types *types;
        struct byte_sink out;                /* stream form; put NULL: directory */
        int parent_fd, dir_fd, records_fd, pages_fd;
        char name[256], tmp[256];            /* in parent_fd */
        uint8_t *buf;                        /* frames not yet written */
        size_t buf_len;
        struct sha256_ctx sha;
        struct kind_counts counts;
        uint64_t records_bytes, pages_bytes, runs;
        uint32_t frames_of_pages;
        bool header_put;
        int failed;                          /* the first error's return */
        struct err first;
        uint8_t *batch;                      /* DATA bytes of the open batch */
        size_t batch_len, batch_runs;
        struct run run[IMAGE_FRAME_RUNS];
};

/* ---- bytes ---- */

/* A file of the directory form is told by its name: who reads the message knows no descriptors. */
static int on_file(const struct image_writer *w, int r, const char *file, struct err *err)
{
        if (r < 0 && err)
                snprintf(err->on, sizeof(err->on), "%.100s/%s", w->tmp, file);
        return r;
}

static int write_records(struct image_writer *w, const void *p, size_t n, struct err *err)
{
        if (w->out.put)
                return w->out.put(w->out.c, p, n, err);
        return on_file(w, fd_write_full(w->records_fd, p, n, err), IMAGE_RECORDS_FILE, err);
}

static int flush_buffer(struct image_writer *w, struct err *err)
{
        int r = w->buf_len ? write_records(w, w->buf, w->buf_len, err) : 0;

        w->buf_len = 0;
        return r;
}

static int put_bytes(struct image_writer *w, const uint8_t *p, size_t n, bool hashed, struct err *err)
{
        int r = 0;

        if (w->records_bytes + n > IMAGE_RECORDS_MAX)
                return err_set(err, EX_NOSPC, WHAT, "its records are more than an image may have", "%u bytes",
                               IMAGE_RECORDS_MAX);
        if (hashed)
                sha256_update(&w->sha, n, p);
        w->records_bytes += n;
        if (w->buf_len + n > BUFFER)
                r = flush_buffer(w, err);
        if (r == 0 && n > BUFFER)
                return write_records(w, p, n, err);
        if (r == 0) {
                memcpy(w->buf + w->buf_len, p, n);
                w->buf_len += n;
        }
        return r;
}

static int put_frame(struct image_writer *w, const struct record *rec, struct err *err)
{
        _cleanup_free_ uint8_t *frame = NULL;
        size_t len = 0;
        int r = record_pack(rec, &frame, &len, err);

        if (r == 0 && rec->kind != RECORD_END)
                r = kind_counts_add(&w->counts, rec->kind, err);
        if (r == 0)
                r = put_bytes(w, frame, len, rec->kind != RECORD_END, err);
        return r;
}

/* Remembers the first failure. */
static int note(struct image_writer *w, int r, const struct err *err)
{
        if (r < 0 && !w->failed) {
                w->failed = r;
                if (err)
                        w->first = *err;
        }
        return r;
}

static int still_failed(const struct image_writer *w, struct err *err)
{
        if (err && err_is_set(&w->first))
                *err = w->first;
        return w->failed;
}

/* ---- page runs ---- */

static void describe(const struct run *run, uint64_t offset, const uint8_t *bytes, Gantry__Pages__Run *ret)
{
        static const Gantry__Pages__Run__What what[] = {
                [RUN_DATA] = GANTRY__PAGES__RUN__WHAT__DATA,
                [RUN_ZERO] = GANTRY__PAGES__RUN__WHAT__ZERO,
                [RUN_SAME] = GANTRY__PAGES__RUN__WHAT__SAME,
                [RUN_PARENT] = GANTRY__PAGES__RUN__WHAT__PARENT,
        };

        gantry__pages__run__init(ret);
        ret->mem = run->mem;
        ret->addr = run->addr;
        ret->pages = run->pages;
        ret->what = what[run->what];
        if (run->what == RUN_DATA) {
                ret->has_offset = ret->has_xxh3 = 1;
                ret->offset = offset;
                ret->xxh3 = XXH3_64bits(bytes, (size_t)run->pages * PAGE_BYTES);
        } else if (run->what == RUN_SAME) {
                ret->has_same_mem = ret->has_same_addr = 1;
                ret->same_mem = run->same_mem;
                ret->same_addr = run->same_addr;
        }
}

static int write_pages(struct image_writer *w, const uint8_t *bytes, size_t n, struct err *err)
{
        if (!n)
                return 0;
        if (!w->out.put)
                return on_file(w, fd_pwrite_full(w->pages_fd, bytes, n, (off_t)w->pages_bytes, err), IMAGE_PAGES_FILE, err);
        int r = flush_buffer(w, err);
        return r < 0 ? r : w->out.put(w->out.c, bytes, n, err);
}

/* The open batch as one record; its bytes may stand elsewhere than in the batch buffer. */
static int flush_batch(struct image_writer *w, const uint8_t *bytes, struct err *err)
{
        Gantry__Pages m = GANTRY__PAGES__INIT;
        size_t n = w->batch_runs, at = 0;

        if (!n)
                return 0;
        _cleanup_free_ Gantry__Pages__Run *runs = calloc(n, sizeof(*runs));
        _cleanup_free_ Gantry__Pages__Run **list = calloc(n, sizeof(*list));
        if (!runs || !list)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "page runs");
        for (size_t i = 0; i < n; i++) {
                list[i] = &runs[i];
                describe(&w->run[i], w->pages_bytes + at, bytes + at, &runs[i]);
                if (w->run[i].what == RUN_DATA)
                        at += (size_t)w->run[i].pages * PAGE_BYTES;
        }
        m.runs = list;
        m.n_runs = n;
        int r = put_frame(w, &(struct record){RECORD_PAGES, 0, w->frames_of_pages, &m.base}, err);
        if (r == 0)
                r = write_pages(w, bytes, at, err);
        w->frames_of_pages++;
        w->pages_bytes += at;
        w->runs += n;
        w->batch_runs = w->batch_len = 0;
        return r;
}

/* Does `b` continue `a`, so that both can be one run? */
static bool continues(const struct run *a, const struct run *b)
{
        uint64_t len = (uint64_t)a->pages * PAGE_BYTES;
        uint64_t max = a->what == RUN_DATA || a->what == RUN_SAME ? RUN_MAX_PAGES : UINT32_MAX;

        if (a->mem != b->mem || a->what != b->what || a->addr + len != b->addr)
                return false;
        if ((uint64_t)a->pages + b->pages > max)
                return false;
        return a->what != RUN_SAME || (a->same_mem == b->same_mem && a->same_addr + len == b->same_addr);
}

static int check_run(const struct run *r, struct err *err)
{
        const char *why = NULL;
        bool same = r->what == RUN_SAME;

        if (r->what > RUN_PARENT || !r->pages || !r->mem)
                why = "a run without pages, object or type";
        else if (r->addr % PAGE_BYTES || (same && r->same_addr % PAGE_BYTES))
                why = "its address is not a multiple of 4096";
        else if ((r->what == RUN_DATA || same) && r->pages > RUN_MAX_PAGES)
                why = "a run of more than 1 MiB";
        return why ? err_set(err, EX_FAIL, WHAT, why, "object %llu, address 0x%llx", (unsigned long long)r->mem,
                             (unsigned long long)r->addr)
                   : 0;
}

static int put_run(struct image_writer *w, const struct run *run, const void *buf, struct err *err)
{
        size_t len = run->what == RUN_DATA ? (size_t)run->pages * PAGE_BYTES : 0;
        int r = check_run(run, err);

        if (r < 0)
                return r;
        if (!w->header_put)
                return err_set(err, EX_FAIL, WHAT, "the first record is not the header", "page run");
        if (w->batch_runs == IMAGE_FRAME_RUNS || w->batch_len + len > IMAGE_FRAME_BYTES)
                r = flush_batch(w, w->batch, err);
        if (r < 0)
                return r;
        struct run *last = w->batch_runs ? &w->run[w->batch_runs - 1] : NULL;
        if (last && continues(last, run))
                last->pages += run->pages;
        else
                w->run[w->batch_runs++] = *run;
        if (len == IMAGE_FRAME_BYTES && w->batch_runs == 1)
                return flush_batch(w, buf, err); /* no copy of what fills a record alone */
        if (len)
                memcpy(w->batch + w->batch_len, buf, len);
        w->batch_len += len;
        return 0;
}

static int sink_put(void *c, const struct run *run, const void *buf, struct err *err)
{
        struct image_writer *w = c;

        return w->failed ? still_failed(w, err) : note(w, put_run(w, run, buf, err), err);
}

static int sink_sync(void *c, struct err *err)
{
        struct image_writer *w = c;

        if (w->failed)
                return still_failed(w, err);
        int r = flush_batch(w, w->batch, err);
        if (r == 0)
                r = flush_buffer(w, err);
        return note(w, r, err);
}

static void sink_done(void *c)
{
        (void)c;
}

const struct page_sink_ops image_page_sink = {.put = sink_put, .sync = sink_sync, .done = sink_done};

/* ---- records ---- */

static int put_record(struct image_writer *w, const struct record *rec, struct err *err)
{
        if (rec->kind == RECORD_PAGES || rec->kind == RECORD_END)
                return err_set(err, EX_FAIL, WHAT, "the image makes this record itself", "kind %u", rec->kind);
        if ((rec->kind == RECORD_HEADER) == w->header_put)
                return err_set(err, EX_FAIL, WHAT,
                               w->header_put ? "a second header" : "the first record is not the header", "kind %u",
                               rec->kind);
        int r = flush_batch(w, w->batch, err);
        if (r == 0)
                r = put_frame(w, rec, err);
        w->header_put = true;
        return r;
}

static int records_put(void *c, const struct record *rec, struct err *err)
{
        struct image_writer *w = c;

        return w->failed ? still_failed(w, err) : note(w, put_record(w, rec, err), err);
}

struct record_sink image_writer_records(struct image_writer *w)
{
        return (struct record_sink){.put = records_put, .c = w};
}

/* protobuf-c has no const strings: what is packed is only read. */
static char *borrow(const char *s)
{
        return (char *)(uintptr_t)s;
}

int image_header_put(const struct record_sink *s, const struct image_meta *m, struct err *err)
{
        Gantry__Header h = GANTRY__HEADER__INIT;
        struct utsname un;

        if (uname(&un) < 0)
                return err_sys(err, EX_FAIL, errno, WHAT, "uname");
        _cleanup_free_ char **cpu = calloc(m->n_cpu + 1, sizeof(*cpu));
        if (!cpu)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "header");
        for (size_t i = 0; i < m->n_cpu; i++)
                cpu[i] = borrow(m->cpu[i]);
        h.version = borrow(GANTRY_VERSION);
        h.kernel = un.release;
        h.uuid = borrow(m->uuid);
        h.parent = borrow(m->parent);
        h.cpu = cpu;
        h.n_cpu = m->n_cpu;
        return s->put(s->c, &(struct record){RECORD_HEADER, 0, 0, &h.base}, err);
}

/* ---- open and close ---- */

static void writer_free(struct image_writer *w)
{
        fd_close(w->records_fd);
        fd_close(w->pages_fd);
        fd_close(w->dir_fd);
        fd_close(w->parent_fd);
        free(w->counts.at);
        free(w->batch);
        free(w->buf);
        free(w);
}

static int writer_new(const struct record_types *types, struct image_writer **ret, struct err *err)
{
        struct image_writer *w = calloc(1, sizeof(*w));

        if (!w)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "writer");
        w->types = types;
        w->parent_fd = w->dir_fd = w->records_fd = w->pages_fd = -1;
        w->buf = malloc(BUFFER);
        w->batch = malloc(IMAGE_FRAME_BYTES);
        if (!w->buf || !w->batch) {
                writer_free(w);
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "writer");
        }
        uint8_t head[IMAGE_HEAD];
        image_head_put(head);
        sha256_init(&w->sha);
        int r = put_bytes(w, head, sizeof(head), true, err);
        if (r < 0) {
                writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

/* "a/b/" → parent "a", name "b". */
static int split_name(struct image_writer *w, int dirfd, const char *name, struct err *err)
{
        _cleanup_free_ char *path = strdup(name);

        if (!path)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "%s", name);
        for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
                path[n - 1] = '\0';
        char *slash = strrchr(path, '/');
        const char *base = slash ? slash + 1 : path;
        if (!*base || str_eq(base, ".") || str_eq(base, "..") || strlen(base) > 250)
                return err_set(err, EX_USAGE, WHAT, "this is no name for a new directory", "%s", name);
        str_copy(w->name, sizeof(w->name), base);
        snprintf(w->tmp, sizeof(w->tmp), "%.250s.tmp", w->name);
        if (slash)
                slash[slash == path] = '\0';
        w->parent_fd = path_open(dirfd, slash ? path : ".", O_RDONLY | O_DIRECTORY, 0, err);
        return w->parent_fd < 0 ? w->parent_fd : 0;
}

/* 0: a lock on the directory NAME.tmp, which is in w->dir_fd; EX_LOCKED: somebody else has it. */
static int lock_tmp(struct image_writer *w, struct err *err)
{
        w->dir_fd = path_open(w->parent_fd, w->tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
        if (w->dir_fd < 0)
                return w->dir_fd;
        if (flock(w->dir_fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        w->dir_fd = fd_close(w->dir_fd);
        if (errno == EWOULDBLOCK)
                return err_set(err, EX_LOCKED, WHAT, "another process is writing it", "%s", w->name);
        return err_sys(err, EX_FAIL, errno, WHAT, "%s", w->tmp);
}

/* What a killed checkpoint left, and nothing else: somebody's own directory may have that name too. */
static int remove_left(struct image_writer *w, struct err *err)
{
        int r = lock_tmp(w, err);

        if (r < 0)
                return r;
        int list = path_open(w->dir_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
        if (list < 0)
                return list;
        _cleanup_closedir_ DIR *d = fdopendir(list);
        if (!d) {
                fd_close(list);
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "%s", w->tmp);
        }
        for (const struct dirent *e; (e = readdir(d));) {
                if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || str_eq(e->d_name, IMAGE_RECORDS_FILE) ||
                    str_eq(e->d_name, IMAGE_PAGES_FILE))
                        continue;
                err_set(err, EX_EXISTS, WHAT, "a directory of that name holds other things, and it is needed", "%s", w->tmp);
                return err_remedy(err, "rename it, or choose another name for the image");
        }
        return path_remove_tree(w->parent_fd, w->tmp, err);
}

static int make_tmp(struct image_writer *w, struct err *err)
{
        int r = sys_mkdirat(w->parent_fd, w->tmp, 0700);

        if (r == -EEXIST) {
                r = remove_left(w, err);
                w->dir_fd = fd_close(w->dir_fd);
                if (r < 0)
                        return r;
                r = sys_mkdirat(w->parent_fd, w->tmp, 0700);
        }
        if (r < 0)
                return err_sys(err, EX_FAIL, r, WHAT, "%s", w->tmp);
        r = lock_tmp(w, err);
        if (r < 0 && sys_unlinkat(w->parent_fd, w->tmp, AT_REMOVEDIR) < 0)
                err_remedy(err, "%s was left behind; the next checkpoint of that name removes it", w->tmp);
        return r;
}

static int make_directory(struct image_writer *w, int dirfd, const char *name, struct err *err)
{
        int r = split_name(w, dirfd, name, err);

        if (r < 0)
                return r;
        if (path_exists(w->parent_fd, w->name)) {
                err_set(err, EX_EXISTS, WHAT, "it exists already", "%s", name);
                err_remedy(err, "Remove it, or choose another directory");
                return -EX_EXISTS;
        }
        r = make_tmp(w, err);
        if (r < 0)
                return r;
        w->records_fd = path_open(w->dir_fd, IMAGE_RECORDS_FILE, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
        w->pages_fd = path_open(w->dir_fd, IMAGE_PAGES_FILE, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
        return w->records_fd < 0 ? w->records_fd : w->pages_fd < 0 ? w->pages_fd : 0;
}

int image_writer_open(int dirfd, const char *name, const struct record_types *types, struct image_writer **ret,
                      struct err *err)
{
        struct image_writer *w = NULL;
        int r = writer_new(types, &w, err);

        if (r < 0)
                return r;
        r = make_directory(w, dirfd, name, err);
        if (r < 0) {
                image_writer_abort(w);
                return r;
        }
        *ret = w;
        return 0;
}

int image_writer_stream(const struct byte_sink *out, const struct record_types *types, struct image_writer **ret,
                        struct err *err)
{
        struct image_writer *w = NULL;
        int r = writer_new(types, &w, err);

        if (r < 0)
                return r;
        w->out = *out;
        *ret = w;
        return 0;
}

static int fd_sink_put(void *c, const void *p, size_t n, struct err *err)
{
        return fd_write_full(*(const int *)c, p, n, err);
}

struct byte_sink byte_sink_fd(const int *fd)
{
        return (struct byte_sink){.put = fd_sink_put, .c = (void *)(uintptr_t)fd};
}

uint64_t image_writer_bytes(const struct image_writer *w)
{
        return w->records_bytes + w->pages_bytes + w->batch_len;
}

static int put_end(struct image_writer *w, struct err *err)
{
        Gantry__End m = GANTRY__END__INIT;
        uint8_t digest[SHA256_DIGEST_SIZE];
        size_t n = w->counts.n;
        _cleanup_free_ Gantry__End__Count *rows = calloc(n + 1, sizeof(*rows));
        _cleanup_free_ Gantry__End__Count **list = calloc(n + 1, sizeof(*list));

        if (!rows || !list)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "last record");
        for (size_t i = 0; i < n; i++) {
                gantry__end__count__init(&rows[i]);
                rows[i].kind = w->counts.at[i].kind;
                rows[i].count = w->counts.at[i].count;
                list[i] = &rows[i];
        }
        sha256_digest(&w->sha, sizeof(digest), digest);
        m.counts = list;
        m.n_counts = n;
        m.runs = w->runs;
        m.pages_bytes = w->pages_bytes;
        m.sha256 = (ProtobufCBinaryData){sizeof(digest), digest};
        return put_frame(w, &(struct record){RECORD_END, 0, 0, &m.base}, err);
}

/* From here to the renamed directory's own entry: a checkpoint exists whole or not at all. */
static int make_durable(struct image_writer *w, struct err *err)
{
        int r = sys_fsync(w->pages_fd);

        if (r == 0)
                r = sys_fsync(w->records_fd);
        if (r == 0)
                r = sys_fsync(w->dir_fd);
        if (r == 0)
                r = sys_renameat2(w->parent_fd, w->tmp, w->parent_fd, w->name, RENAME_NOREPLACE);
        if (r < 0)
                return err_sys(err, r == -EEXIST ? EX_EXISTS : EX_FAIL, r, WHAT, "%s", w->name);
        r = sys_fsync(w->parent_fd);
        if (r < 0) {
                /* its entry may not be on the disk: take it back under the name that abort removes */
                sys_renameat2(w->parent_fd, w->name, w->parent_fd, w->tmp, RENAME_NOREPLACE);
                return err_sys(err, EX_FAIL, r, WHAT, "%s", w->name);
        }
        return 0;
}

static int finish(struct image_writer *w, struct err *err)
{
        if (w->failed)
                return still_failed(w, err);
        if (!w->header_put)
                return err_set(err, EX_FAIL, WHAT, "it has no header", "close");
        int r = flush_batch(w, w->batch, err);
        if (r == 0)
                r = put_end(w, err);
        if (r == 0)
                r = flush_buffer(w, err);
        if (r == 0 && !w->out.put)
                r = make_durable(w, err);
        return r;
}

int image_writer_close(struct image_writer *w, struct err *err)
{
        int r = finish(w, err);

        if (r < 0)
                image_writer_abort(w);
        else
                writer_free(w);
        return r;
}

void image_writer_abort(struct image_writer *w)
{
        if (!w)
                return;
        if (w->dir_fd >= 0 && path_remove_tree(w->parent_fd, w->tmp, NULL) < 0)
                w->failed = -EX_FAIL; /* the next writer of that name removes it */
        writer_free(w);
}
