/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unprivileged unpacker: what it answers, what it refuses by name, and that its death is an error and no more. */
#include "tests/unit/image-common.h"

#include <sys/wait.h>

#include "checkpoint/unpacker.h"
#include "proto/record.h"

/* A descriptor that protobuf-c cannot survive: it has fields, and a table of them that is not there. */
static const ProtobufCMessageDescriptor broken = {
        .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
        .name = "Broken",
        .short_name = "Broken",
        .sizeof_message = sizeof(ProtobufCMessage),
        .n_fields = 0,
        .n_field_ranges = 1,
        .field_ranges = (const ProtobufCIntRange *)16,
};
static const struct record_type rows[] = {
        {17, "fd-pipe", &gantry__end__count__descriptor},
        {66, "sk-broken", &broken},
};
static const struct record_types types = {rows, ELEMENTSOF(rows)};

/* Stands before record_pack() (--wrap): what a child that was taken over could do for records with this id. */
#define EVIL_ID 666666u
int __real_record_pack(const struct record *r, uint8_t **ret, size_t *ret_len, struct err *err);
int __wrap_record_pack(const struct record *r, uint8_t **ret, size_t *ret_len, struct err *err);
int __wrap_record_pack(const struct record *r, uint8_t **ret, size_t *ret_len, struct err *err)
{
        int res = __real_record_pack(r, ret, ret_len, err);

        if (res == 0 && r->id == EVIL_ID)
                (*ret)[*ret_len - RECORD_CRC - 1] ^= 1;
        return res;
}

struct frames {
        uint8_t at[300000];
        size_t n;
};

static void add(struct frames *f, uint16_t kind, uint16_t flags, uint64_t id)
{
        Gantry__End__Count m = GANTRY__END__COUNT__INIT;
        _cleanup_free_ uint8_t *p = NULL;
        size_t n = 0;

        m.kind = 1;
        m.count = id;
        cr_assert_eq(record_pack(&(struct record){kind, flags, id, &m.base}, &p, &n, NULL), 0);
        cr_assert_leq(f->n + n, sizeof(f->at));
        memcpy(f->at + f->n, p, n);
        f->n += n;
}

static int children(void)
{
        return waitpid(-1, NULL, WNOHANG) == -1; /* ECHILD: none */
}

Test(image_unpacker, answers)
{
        struct frames *f = calloc(1, sizeof(*f));
        struct unpacker *u = NULL;
        struct err e = {};

        for (uint64_t i = 0; i < 10000; i++)
                add(f, 17, 0, i);
        add(f, 600, RECORD_OPTIONAL, 5);
        cr_assert_eq(unpacker_start(&types, &u, &e), 0, "%s", e.why);
        cr_assert_eq(unpacker_frames(u, f->at, f->n, &e), 0, "%s %s", e.on, e.why);
        cr_assert_eq(unpacker_frames(u, f->at, 0, &e), 0);
        cr_assert_eq(unpacker_frames(u, f->at, f->n, &e), 0);
        unpacker_end(u);
        cr_assert(children(), "the child was not reaped");
        free(f);
}

Test(image_unpacker, a_large_record)
{
        static uint8_t frame[RECORD_MAX + RECORD_OVERHEAD];
        static const struct record_type end = {RECORD_END, "end", &gantry__end__descriptor};
        static const struct record_types ends = {&end, 1};
        _cleanup_free_ uint8_t *big = calloc(1, RECORD_MAX), *p = NULL;
        Gantry__End m = GANTRY__END__INIT;
        struct unpacker *u = NULL;
        struct err e = {};
        size_t n = 0;

        m.sha256 = (ProtobufCBinaryData){RECORD_MAX - 8, big};
        cr_assert_eq(record_pack(&(struct record){RECORD_END, 0, 0, &m.base}, &p, &n, &e), 0, "%s", e.why);
        memcpy(frame, p, n);
        cr_assert_eq(unpacker_start(&ends, &u, &e), 0);
        cr_assert_eq(unpacker_frames(u, frame, n, &e), 0, "%s", e.why);
        unpacker_end(u);
}

Test(image_unpacker, refusals_name_the_record)
{
        struct frames *f = calloc(1, sizeof(*f));
        struct unpacker *u = NULL;
        struct err e = {};

        add(f, 17, 0, 1);
        add(f, 600, 0, 41);
        add(f, 17, 0, 2);
        cr_assert_eq(unpacker_start(&types, &u, &e), 0);
        cr_assert_eq(unpacker_frames(u, f->at, f->n, &e), -EX_IMAGE);
        cr_assert(strstr(e.on, "600") && strstr(e.on, "41"), "%s", e.on);
        unpacker_end(u);
        free(f);
}

Test(image_unpacker, it_cannot_alter_a_record)
{
        struct frames *f = calloc(1, sizeof(*f));
        struct unpacker *u = NULL;
        struct err e = {};

        add(f, 17, 0, 1);
        add(f, 17, 0, EVIL_ID);
        f->at[f->n - RECORD_CRC - 1] ^= 1; /* add() packs by the same wrapper */
        cr_assert_eq(unpacker_start(&types, &u, &e), 0);
        cr_assert_eq(unpacker_frames(u, f->at, f->n, &e), -EX_IMAGE);
        cr_assert_str_eq(e.on, "record fd-pipe 666666");
        cr_assert_str_eq(e.why, "the unpacker gave another record back");
        unpacker_end(u);
        free(f);
}

Test(image_unpacker, its_death_names_the_record)
{
        struct frames *f = calloc(1, sizeof(*f));
        struct unpacker *u = NULL;
        struct err e = {};

        for (uint64_t i = 0; i < 100; i++)
                add(f, 17, 0, i);
        add(f, 66, 0, 4242);
        add(f, 17, 0, 100);
        cr_assert_eq(unpacker_start(&types, &u, &e), 0);
        cr_assert_eq(unpacker_frames(u, f->at, f->n, &e), -EX_IMAGE);
        cr_assert_str_eq(e.on, "record sk-broken 4242");
        cr_assert_eq(unpacker_frames(u, f->at, f->n, &e), -EX_IMAGE, "a dead child stays an error");
        unpacker_end(u);
        cr_assert(children(), "the child was not reaped");
        free(f);
}

static bool status_has(const char *text, const char *line)
{
        const char *p = strstr(text, line);

        return p && (p == text || p[-1] == '\n');
}

/* From outside: no capability, no way to get one, a filter, one descriptor. */
Test(image_unpacker, confined)
{
        struct frames *f = calloc(1, sizeof(*f));
        struct unpacker *u = NULL;
        struct err e = {};
        _cleanup_free_ char *pid = NULL, *status = NULL, *limits = NULL;
        char path[64];
        unsigned fds = 0;

        add(f, 17, 0, 1);
        cr_assert_eq(unpacker_start(&types, &u, &e), 0);
        cr_assert_eq(unpacker_frames(u, f->at, f->n, &e), 0, "now it surely serves");
        cr_assert_eq(path_read(AT_FDCWD, "/proc/thread-self/children", &pid, NULL, &e), 0);
        pid[strcspn(pid, " ")] = '\0';
        snprintf(path, sizeof(path), "/proc/%.10s/status", pid);
        cr_assert_eq(path_read(AT_FDCWD, path, &status, NULL, &e), 0, "%s", path);
        cr_assert(status_has(status, "CapEff:\t0000000000000000"));
        cr_assert(status_has(status, "CapPrm:\t0000000000000000"));
        cr_assert(status_has(status, "NoNewPrivs:\t1"));
        cr_assert(status_has(status, "Seccomp:\t2"));
        if (geteuid() == 0) { /* it is not dumpable: only root may look further */
                snprintf(path, sizeof(path), "/proc/%.10s/fd", pid);
                DIR *s = opendir(path);
                cr_assert_not_null(s);
                for (struct dirent *d; (d = readdir(s));)
                        fds += d->d_name[0] != '.';
                closedir(s);
                cr_assert_eq(fds, 1);
        }
        snprintf(path, sizeof(path), "/proc/%.10s/limits", pid);
        cr_assert_eq(path_read(AT_FDCWD, path, &limits, NULL, &e), 0);
        cr_assert(strstr(limits, "Max file size             0 "));
        unpacker_end(u);
        free(f);
}

Test(image_unpacker, tables_that_could_nest_are_refused)
{
        ProtobufCMessageDescriptor self = {.short_name = "Self", .n_fields = 1};
        ProtobufCFieldDescriptor field = {.name = "self", .type = PROTOBUF_C_TYPE_MESSAGE, .descriptor = &self};
        struct record_type row = {16, "self", &self};
        struct unpacker *u = NULL;

        self.fields = &field;
        cr_assert_eq(unpacker_start(&(struct record_types){&row, 1}, &u, NULL), -EX_FAIL);
        cr_assert(children());
}
