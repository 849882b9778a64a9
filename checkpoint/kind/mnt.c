/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options of file systems, both ways (mnt.h).
 *
 * mountinfo shows ids as the reader's user namespace sees them, so uid= and gid= are turned to what they are inside; a value
 * that fsconfig(2) is given in the stub is read in the stub's own namespace. "ro" is of the super block here (the mount's own
 * is the planner's): it is kept for every type whose list does not say that it is derived, and set when the content is there.
 */
#include "checkpoint/kind/mnt.h"

#include <inttypes.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/kind/field.h"

#define VALUE_MAX 255
#define SOURCE "source="   /* what mountinfo shows before the options; any text, which only the program reads */

static const struct mnt_option *find(const struct mnt_option *known, const char *s, size_t n)
{
        for (; known->key; known++)
                if (strlen(known->key) == n && strncmp(known->key, s, n) == 0)
                        return known;
        return NULL;
}

/* One option at *p: its length, and where the value starts (0: none). */
static size_t next(const char *p, size_t *ret_key)
{
        size_t n = strcspn(p, ",");
        const char *eq = memchr(p, '=', n);

        *ret_key = eq ? (size_t)(eq - p) : n;
        return n;
}

int mnt_options_refuse(const struct kind *k, const struct facts *f, const struct mnt_option *known, struct err *err)
{
        size_t key, n;

        for (const char *p = f->mnt.m->super_options; *p; p += n + (p[n] == ',')) {
                n = next(p, &key);
                if ((key == 2 && (strncmp(p, "rw", 2) == 0 || strncmp(p, "ro", 2) == 0)) || find(known, p, key))
                        continue;
                char what[96];
                snprintf(what, sizeof(what), "the mount option %.*s on %.40s", (int)(n < 40 ? n : 40), p, f->mnt.m->target);
                return kind_refuse(k, f, err, what, "Mount it without that option");
        }
        return 0;
}

static char *one(struct dump *d, const struct mnt_option *o, const char *p, size_t key, size_t n)
{
        char text[VALUE_MAX + 65], value[VALUE_MAX + 1];
        uint64_t id;

        if (n - key > VALUE_MAX)
                return NULL;
        snprintf(value, sizeof(value), "%.*s", (int)(n > key ? n - key - 1 : 0), p + (n > key ? key + 1 : n));
        if ((o->value == MNT_UID || o->value == MNT_GID) && parse_u64(value, 0, UINT32_MAX, &id, NULL) == 0)
                snprintf(value, sizeof(value), "%" PRIu32, o->value == MNT_UID ? dump_uid(d, (uint32_t)id) : dump_gid(d, (uint32_t)id));
        snprintf(text, sizeof(text), "%s%s%s", o->key, o->value == MNT_FLAG ? "" : "=", o->value == MNT_FLAG ? "" : value);
        return kind_strdup(text);
}

int mnt_options_take(const struct kind *k, const struct obj *o, struct dump *d, const struct mnt_option *known, char ***ret,
                     size_t *ret_n, struct err *err)
{
        int r = mnt_options_refuse(k, &o->facts, known, err);
        size_t key, n, count = 0;

        if (r < 0)
                return r;
        *ret_n = 0;
        for (const char *p = o->facts.mnt.m->super_options; *p; p++)
                count += *p == ',';
        *ret = calloc(count + 2, sizeof(**ret));
        if (!*ret)
                return kind_nomem(err);
        if (!str_eq(o->facts.mnt.m->source, o->facts.mnt.m->type)) {
                char text[VALUE_MAX + sizeof(SOURCE)];
                snprintf(text, sizeof(text), SOURCE "%.*s", VALUE_MAX, o->facts.mnt.m->source);
                (*ret)[0] = kind_strdup(text);
                if (!(*ret)[0])
                        return kind_nomem(err);
                *ret_n = 1;
        }
        for (const char *p = o->facts.mnt.m->super_options; *p; p += n + (p[n] == ',')) {
                n = next(p, &key);
                const struct mnt_option *opt = find(known, p, key);
                if (opt ? opt->value == MNT_DERIVED : key != 2 || strncmp(p, "ro", 2) != 0)
                        continue;
                (*ret)[*ret_n] = opt ? one(d, opt, p, key, n) : kind_strdup("ro");
                if (!(*ret)[*ret_n])
                        return kind_nomem(err);
                ++*ret_n;
        }
        return 0;
}

static bool fits(const struct mnt_option *o, const char *value)
{
        uint64_t n;
        size_t digits = value ? strspn(value, "0123456789") : 0;

        if (!o || o->value == MNT_DERIVED || (o->value == MNT_FLAG) != (value == NULL))
                return false;
        if (o->value == MNT_FLAG)
                return true;
        if (strlen(value) > VALUE_MAX || strchr(value, ','))
                return false;
        if (o->value == MNT_UID || o->value == MNT_GID)
                return parse_u64(value, 0, UINT32_MAX - 1, &n, NULL) == 0;
        if (o->value == MNT_NUMBER)
                return digits > 0 && (!value[digits] || (strchr("kmgt%", value[digits]) && !value[digits + 1]));
        return strspn(value, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(value) && value[0];
}

int mnt_options_check(const struct kind *k, const struct record *r, const struct mnt_option *known, char **option, size_t n,
                      struct err *err)
{
        if (n > 32)
                return kind_bad(k, r, err, "too many options");
        for (size_t i = 0; i < n; i++) {
                const char *eq = strchr(option[i], '=');
                size_t key = eq ? (size_t)(eq - option[i]) : strlen(option[i]);
                if (str_starts(option[i], SOURCE) ? strlen(option[i]) - strlen(SOURCE) <= VALUE_MAX : str_eq(option[i], "ro"))
                        continue;
                if (!fits(find(known, option[i], key), eq ? eq + 1 : NULL))
                        return kind_bad(k, r, err, "an option is not one that this file system may have");
        }
        return 0;
}

uint32_t mnt_make(struct restore *rs, const struct record *r, const char *type, char **option, size_t n)
{
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        tape_label(t, "make a %s (%s %" PRIu64 ")", type, kind_find(r->kind)->stem, r->id);
        uint32_t fs = TAPE(t, SYS_fsopen, A_DATA(tape_str(t, type)), A_IMM(FSOPEN_CLOEXEC));
        if (n == 0 || !str_starts(option[0], SOURCE))
                TAPE(t, SYS_fsconfig, A_RET(fs), A_IMM(FSCONFIG_SET_STRING), A_DATA(tape_str(t, "source")), A_DATA(tape_str(t, type)), A_IMM(0));
        for (size_t i = 0; i < n; i++) {
                char key[64];
                const char *eq = strchr(option[i], '=');
                if (str_eq(option[i], "ro"))
                        continue;   /* mnt_seal() */
                snprintf(key, sizeof(key), "%.*s", (int)(eq ? eq - option[i] : (long)strlen(option[i])), option[i]);
                TAPE(t, SYS_fsconfig, A_RET(fs), A_IMM(eq ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG), A_DATA(tape_str(t, key)),
                     eq ? A_DATA(tape_str(t, eq + 1)) : A_IMM(0), A_IMM(0));
        }
        TAPE(t, SYS_fsconfig, A_RET(fs), A_IMM(FSCONFIG_CMD_CREATE), A_IMM(0), A_IMM(0), A_IMM(0));
        uint32_t m = TAPE(t, SYS_fsmount, A_RET(fs), A_IMM(FSMOUNT_CLOEXEC), A_IMM(0));
        TAPE(t, SYS_close, A_RET(fs));
        tape_keep_fd(t, m, r->id);
        return m;
}

void mnt_seal(struct restore *rs, const struct record *r, uint32_t mount, char **option, size_t n)
{
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        for (size_t i = 0; i < n; i++) {
                if (!str_eq(option[i], "ro"))
                        continue;
                uint32_t fs = TAPE(t, SYS_fspick, A_RET(mount), A_DATA(tape_str(t, "")), A_IMM(FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
                TAPE(t, SYS_fsconfig, A_RET(fs), A_IMM(FSCONFIG_SET_FLAG), A_DATA(tape_str(t, "ro")), A_IMM(0), A_IMM(0));
                TAPE(t, SYS_fsconfig, A_RET(fs), A_IMM(FSCONFIG_CMD_RECONFIGURE), A_IMM(0), A_IMM(0), A_IMM(0));
                TAPE(t, SYS_close, A_RET(fs));
                return;
        }
}
