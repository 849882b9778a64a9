/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making, renaming and removing a container's directory.
 *
 * A new container is made as .NAME.tmp and becomes NAME by one rename, a removed one is renamed to .NAME.tmp first: the
 * name means a whole container or nothing, whatever is killed when. What a killed command left under that name is removed by
 * the next that needs it. The node's lock is held while names, ids and addresses are compared and until the rename.
 *
 * A template's image is copied by reflink where the host's file system can, else data by data with its holes
 * (copy_file_range), and grown to the container's size while it is attached to nothing. The copy gets an own UUID.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/spawn.h"
#include "base/signals.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/config.h"
#include "engine/ct-int.h"
#include "ploop/ploop.h"

#define TEMPLATE_DIR "template"
#define TMP_NAME_MAX (CT_NAME_MAX + 8)
#define SIZE_DEFAULT (UINT64_C(10) << 30)

static void tmp_name(const char *name, char ret[TMP_NAME_MAX])
{
        snprintf(ret, TMP_NAME_MAX, ".%s.tmp", name);
}

static int sync_cts(struct node *n, struct err *err)
{
        int r = sys_fsync(n->cts);

        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot write", LIB_DIR "/ct") : 0;
}

static int name_free(struct node *n, const char *name, struct err *err)
{
        char dir[CT_NAME_MAX + sizeof(INCOMING)];

        for (int i = 0; i < 2; i++) {
                ct_dirname(name, i == 1, dir);
                if (!path_exists(n->cts, dir))
                        continue;
                err_set(err, EX_EXISTS, "the name is taken", i ? "a container of that name is on its way to this node"
                                                               : "this node has a container of that name", "%s", name);
                return err_remedy(err, "choose another name");
        }
        return 0;
}

/* ---- the image ---- */

/* In parts, so that a signal is heard. */
#define COPY_BYTES ((off_t)64 << 20)

static int copy_data(int from, int to, off_t off, off_t len, const char *name, struct err *err)
{
        while (len > 0) {
                off_t in = off, out = off;
                int r = signals_check("cannot copy the template", name, err);
                if (r < 0)
                        return r;
                ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(len < COPY_BYTES ? len : COPY_BYTES), 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return err_sys(err, EX_FAIL, n ? errno : EIO, "cannot copy the template", "%s", name);
                off += n;
                len -= n;
        }
        return 0;
}

static int copy_image(int from, int to, const char *name, struct err *err)
{
        struct range *at = NULL;
        struct stat st;
        size_t n = 0;

        if (ioctl(to, FICLONE, from) == 0)
                return 0;
        if (fstat(from, &st) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot copy the template", "%s", name);
        int r = sys_ftruncate(to, st.st_size);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot copy the template", "%s", name);
        r = image_ranges(from, &at, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = copy_data(from, to, (off_t)at[i].offset, (off_t)at[i].length, name, err);
        free(at);
        return r;
}

/* resize2fs and tune2fs get our own descriptor's path, so that nothing can be put in the file's place. */
static int adapt_image(int fd, uint64_t size, const char *name, struct err *err)
{
        char path[64], self[24];
        struct stat st;
        ssize_t n = readlink("/proc/self", self, sizeof(self) - 1); /* as this /proc counts */

        if (n < 0 || fstat(fd, &st) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at the image", "%s", name);
        self[n] = '\0';
        snprintf(path, sizeof(path), "/proc/%s/fd/%d", self, fd);
        if (size < (uint64_t)st.st_size) {
                err_set(err, EX_USAGE, "cannot create the image", "", "%s", name);
                err_why(err, "its template has %lld MiB", (long long)st.st_size >> 20);
                return err_remedy(err, "give a --size of at least that");
        }
        if (size > (uint64_t)st.st_size) {
                const char *argv[] = {"resize2fs", "-f", path, NULL};
                int r = sys_ftruncate(fd, (off_t)size);
                if (r < 0)
                        return err_sys(err, EX_FAIL, r, "cannot grow the image", "%s", name);
                r = spawn_check(EX_DISK, argv, err);
                if (r < 0)
                        return err_wrap(err, "cannot grow the image", "%s", name);
        }
        const char *argv[] = {"tune2fs", "-U", "random", path, NULL};
        return spawn_check(EX_DISK, argv, err);
}

static int image_from_template(struct node *n, int dir, const struct ct_create *c, uint64_t size, struct err *err)
{
        char path[CT_NAME_MAX + 32];
        int r = parse_label(c->template_name, err);

        if (r < 0)
                return err_wrap(err, "wrong name of a template", "%s", c->template_name);
        snprintf(path, sizeof(path), TEMPLATE_DIR "/%s.img", c->template_name);
        _cleanup_close_ int from = sys_openat(n->lib, path, O_RDONLY, 0);
        if (from == -ENOENT) {
                err_set(err, EX_UNKNOWN, "no such template", "there is no image of it", LIB_DIR "/%s", path);
                return err_remedy(err, "make it with ctrctl template create %s", c->template_name);
        }
        if (from < 0)
                return err_sys(err, EX_FAIL, from, "cannot open the template", "%s", c->template_name);
        _cleanup_close_ int to = path_open(dir, "root.img", O_RDWR | O_CREAT | O_EXCL, 0600, err);
        if (to < 0)
                return to;
        r = copy_image(from, to, c->template_name, err);
        if (r == 0)
                r = adapt_image(to, size, c->name, err);
        if (r < 0)
                return r;
        r = sys_fsync(to);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot write the image", "%s", c->name) : 0;
}

static int empty_image(int dir, const struct ct_create *c, uint64_t size, struct err *err)
{
        char label[17];
        struct image_options o = {.size = size, .label = label};

        snprintf(label, sizeof(label), "%.16s", c->name);
        return image_create(dir, "root.img", &o, err);
}

/* ---- create ---- */

/* What the caller left open. */
static int fill_config(struct node *n, const struct ct_create *c, struct ct_config *conf, struct err *err)
{
        static const unsigned char none[6];
        int r = 0;

        if (!conf->uuid[0])
                r = uuid_new(conf->uuid, err);
        if (r == 0 && !conf->idmap.count)
                r = node_idmap_free(n, 65536, &conf->idmap, err);
        if (r < 0)
                return r;
        if (memcmp(conf->mac, none, sizeof(none)) == 0)
                mac_from_uuid(conf->uuid, conf->mac);
        if (!conf->hostname[0])
                str_copy(conf->hostname, sizeof(conf->hostname), c->name);
        if (!conf->size)
                conf->size = SIZE_DEFAULT;
        r = config_check_gateways(conf, err);
        return r < 0 ? r : node_conflicts(n, c->name, conf, err);
}

static int fill_dir(struct node *n, int dir, const struct ct_create *c, const struct ct_config *conf, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        struct ct_config again;
        int r = config_format(conf, &text, err);

        if (r == 0)
                r = ct_config_parse(text, strlen(text), CT_CONF, &again, err); /* what we write must be readable */
        if (r < 0)
                return r;
        ct_config_done(&again);
        r = path_replace(dir, CT_CONF, text, strlen(text), 0644, err);
        if (r < 0 || conf->image[0] == '/')
                return r;
        return c->template_name ? image_from_template(n, dir, c, conf->size, err) : empty_image(dir, c, conf->size, err);
}

static int make_dir(struct node *n, const char *tmp, const struct ct_create *c, const struct ct_config *conf, struct err *err)
{
        int r = path_remove_tree(n->cts, tmp, err);

        if (r == 0 && (r = sys_mkdirat(n->cts, tmp, 0700)) < 0)
                r = err_sys(err, EX_FAIL, r, "cannot create the container", "%s", c->name);
        if (r < 0)
                return r;
        _cleanup_close_ int dir = path_open(n->cts, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
        if (dir < 0)
                return dir;
        r = fill_dir(n, dir, c, conf, err);
        if (r == 0)
                r = signals_check("cannot create the container", c->name, err);
        if (r == 0 && (r = sys_fsync(dir)) < 0)
                r = err_sys(err, EX_FAIL, r, "cannot create the container", "%s", c->name);
        if (r == 0 && (r = sys_renameat2(n->cts, tmp, n->cts, c->name, RENAME_NOREPLACE)) < 0)
                r = err_sys(err, EX_FAIL, r, "cannot create the container", "%s", c->name);
        return r == 0 ? sync_cts(n, err) : r;
}

/* What killed commands have left. Whoever makes or removes a directory ".NAME.tmp" has the node's lock, as we do. */
static void remove_left(struct node *n)
{
        int fd = path_open(n->cts, ".", O_RDONLY | O_DIRECTORY, 0, NULL);
        _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d) {
                fd_close(fd);
                return;
        }
        for (const struct dirent *e; (e = readdir(d));) {
                size_t len = strlen(e->d_name);
                if (e->d_name[0] == '.' && len > 5 && str_eq(e->d_name + len - 4, ".tmp"))
                        (void)path_remove_tree(n->cts, e->d_name, NULL); /* the next one tries again */
        }
}

int ct_create(struct node *n, const struct ct_create *c, struct err *err)
{
        struct ct_config conf = c->config;
        char tmp[TMP_NAME_MAX], image[] = "root.img", init[] = "/sbin/init";
        int r = parse_label(c->name, err);

        if (r < 0)
                return err_wrap(err, "wrong name of a container", "%s", c->name);
        if (!conf.image)
                conf.image = image;
        if (!conf.init)
                conf.init = init;
        if (conf.image[0] != '/' && !str_eq(conf.image, "root.img"))
                return err_set(err, EX_USAGE, "cannot create the container", "a new image is root.img", "%s", conf.image);
        _cleanup_close_ int lock = node_lock(n, err);
        if (lock < 0)
                return lock;
        r = name_free(n, c->name, err);
        if (r == 0)
                r = fill_config(n, c, &conf, err);
        if (r < 0)
                return r;
        sigset_t before;
        remove_left(n);
        tmp_name(c->name, tmp);
        r = signals_hold(&before, err);
        if (r < 0)
                return r;
        r = make_dir(n, tmp, c, &conf, err);
        if (r < 0) {
                (void)path_remove_tree(n->cts, tmp, NULL); /* the next create removes it otherwise */
                /* A Ctrl-C ends resize2fs too, and its failure is no news then. */
                if (signals_check("cannot create the container", c->name, err) < 0)
                        r = -EX_INTERRUPTED;
        }
        signals_release(&before, r);
        return r;
}

/* ---- remove and rename ---- */

static int must_rest(struct ct *ct, const char *what, struct err *err)
{
        enum ct_state s;
        int r = ct_need_lock(ct, what, err);

        if (r == 0)
                r = ct_state(ct, &s, err);
        if (r < 0)
                return r;
        if (s == CT_STOPPED || s == CT_MOVED || s == CT_SUSPENDED)
                return 0;
        err_set(err, EX_STATE, what, "", "%s", ct->name);
        err_why(err, "it is %s", ct_state_name(s));
        if (s == CT_RUNNING || s == CT_FROZEN)
                return err_remedy(err, "stop it first: ctrctl stop %s", ct->name);
        return err_remedy(err, "ask the other node first: ctrmigrate --resolve %s", ct->name);
}

static int remove_files(struct ct *ct, struct err *err)
{
        char dir[CT_NAME_MAX + sizeof(INCOMING)], tmp[TMP_NAME_MAX];
        struct node *n = ct->node;

        ct_dirname(ct->name, ct->incoming, dir);
        tmp_name(ct->name, tmp);
        int r = path_remove_tree(n->cts, tmp, err);
        if (r == 0 && (r = sys_renameat2(n->cts, dir, n->cts, tmp, 0)) < 0)
                r = r == -ENOENT ? 0 : err_sys(err, EX_FAIL, r, "cannot remove the container", "%s", ct->name);
        if (r == 0)
                r = sync_cts(n, err);
        if (r == 0)
                r = path_remove_tree(n->cts, tmp, err);
        return r == 0 ? path_remove_tree(n->run, ct->name, err) : r;
}

int ct_destroy(struct ct *ct, struct err *err)
{
        int r = must_rest(ct, "cannot destroy the container", err);

        if (r < 0)
                return r;
        _cleanup_close_ int lock = node_lock(ct->node, err);
        if (lock < 0)
                return lock;
        r = ct_cleanup(ct, err);
        return r < 0 ? r : remove_files(ct, err);
}

static int rename_dir(struct node *n, const char *from, const char *to, struct err *err)
{
        int r = sys_renameat2(n->cts, from, n->cts, to, RENAME_NOREPLACE);

        if (r < 0)
                return err_sys(err, r == -EEXIST ? EX_EXISTS : EX_FAIL, r, "cannot rename the container", "%s to %s", from, to);
        return sync_cts(n, err);
}

int ct_rename(struct ct *ct, const char *name, struct err *err)
{
        int r = parse_label(name, err);

        if (r < 0)
                return err_wrap(err, "wrong name of a container", "%s", name);
        r = must_rest(ct, "cannot rename the container", err);
        if (r < 0)
                return r;
        _cleanup_close_ int lock = node_lock(ct->node, err);
        if (lock < 0)
                return lock;
        r = name_free(ct->node, name, err);
        if (r == 0)
                r = ct_cleanup(ct, err);
        if (r == 0)
                r = rename_dir(ct->node, ct->name, name, err);
        if (r == 0)
                r = path_remove_tree(ct->node->run, ct->name, err);
        if (r < 0)
                return r;
        str_copy(ct->name, sizeof(ct->name), name);
        snprintf(ct->cgroup, sizeof(ct->cgroup), "%s/%s", ct->node->conf.cgroup, name);
        r = path_mkdir_p(ct->node->run, name, 0755, err);
        if (r < 0)
                return r;
        ct->run = fd_close(ct->run);
        ct->lock = fd_close(ct->lock);
        ct->mode = CT_LOCK_NONE;
        ct->run = path_open(ct->node->run, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
        if (ct->run < 0)
                return ct->run;
        ct->lock = lock_file(ct->run, "lock", CT_LOCK_EXCLUSIVE, 3000, name, err);
        if (ct->lock < 0)
                return ct->lock;
        ct->mode = CT_LOCK_EXCLUSIVE;
        return 0;
}

/* ---- incoming ---- */

static int incoming_dir(struct node *n, const char *tmp, const char *name, const char *config, struct err *err)
{
        struct journal j = {.owner = OWNER_VOID};
        char dir[CT_NAME_MAX + sizeof(INCOMING)];
        int r = path_remove_tree(n->cts, tmp, err);

        if (r == 0 && (r = sys_mkdirat(n->cts, tmp, 0700)) < 0)
                r = err_sys(err, EX_FAIL, r, "cannot create the container", "%s", name);
        if (r < 0)
                return r;
        struct ct part = {.node = n, .dir = path_open(n->cts, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err)};
        if (part.dir < 0)
                return part.dir;
        str_copy(part.name, sizeof(part.name), name);
        r = path_replace(part.dir, CT_CONF, config, strlen(config), 0644, err);
        if (r == 0)
                r = ct_journal_put(&part, &j, err);
        fd_close(part.dir);
        ct_dirname(name, true, dir);
        return r == 0 ? rename_dir(n, tmp, dir, err) : r;
}

int ct_incoming_create(struct node *n, const char *name, const char *config, struct ct **ret, struct err *err)
{
        char tmp[TMP_NAME_MAX];
        struct ct_config conf;
        int r = parse_label(name, err);

        if (r < 0)
                return err_wrap(err, "wrong name of a container", "%s", name);
        r = ct_config_parse(config, strlen(config), CT_CONF, &conf, err);
        if (r < 0)
                return r;
        _cleanup_close_ int lock = node_lock(n, err);
        r = lock < 0 ? lock : name_free(n, name, err);
        if (r == 0)
                r = node_conflicts(n, name, &conf, err);
        ct_config_done(&conf);
        if (r < 0)
                return r;
        remove_left(n);
        tmp_name(name, tmp);
        r = incoming_dir(n, tmp, name, config, err);
        if (r < 0) {
                (void)path_remove_tree(n->cts, tmp, NULL);
                return r;
        }
        return ct_incoming_open(n, name, ret, err);
}

int ct_incoming_open(struct node *n, const char *name, struct ct **ret, struct err *err)
{
        return ct_open_as(n, name, true, CT_LOCK_EXCLUSIVE, ret, err);
}

int ct_incoming_adopt(struct ct *ct, struct err *err)
{
        char dir[CT_NAME_MAX + sizeof(INCOMING)];

        if (!ct->incoming)
                return 0;
        _cleanup_close_ int lock = node_lock(ct->node, err);
        if (lock < 0)
                return lock;
        ct_dirname(ct->name, true, dir);
        int r = rename_dir(ct->node, dir, ct->name, err);
        if (r == 0)
                ct->incoming = false;
        return r;
}

int ct_incoming_remove(struct ct *ct, struct err *err)
{
        int r = ct_need_lock(ct, "cannot remove the container", err);

        if (r < 0)
                return r;
        if (!ct->incoming)
                return err_set(err, EX_STATE, "cannot remove the container", "it is no longer on its way in", "%s", ct->name);
        r = ct_cleanup(ct, err);
        return r < 0 ? r : remove_files(ct, err);
}
