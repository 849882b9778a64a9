/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading track.bpf.c: the compiled object is part of this library, libbpf relocates and attaches it.
 *
 * The bitmap is a BPF array with BPF_F_MMAPABLE (5.5), so that user space takes the bits by atomic exchange without a
 * system call per word. Program, link and maps are descriptors of this process and of nothing else: whatever ends it
 * detaches the program.
 *
 * libbpf prints to standard error unless told otherwise, and a library floor does not print: its output is turned off
 * for the process. What the verifier says goes into the error instead.
 */
#include "ploop/track-load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define LOG_SIZE 65536

static const char cannot[] = "cannot track the image's changes";

static const unsigned char object_bytes[] __attribute__((aligned(8))) = {
#include "ploop/track-object.inc"
};

static int no_tracker(struct err *err, int r, const char *step)
{
        int ret = err_sys(err, EX_KERNEL, r, cannot, "%s", step);

        if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
                ret = err ? err_why(err, "this kernel does not describe its types (no /sys/kernel/btf/vmlinux)") : ret;
        return err ? err_remedy(err, "it needs Linux 5.17 with BTF and CAP_BPF with CAP_PERFMON; else compare by hash") : ret;
}

/* The last line but one of the verifier's log is what it objects to; the last is a statistic. */
static void last_words(const char *log, struct err *err)
{
        char copy[512];
        size_t n = strlen(log), from = n > sizeof(copy) - 1 ? n - (sizeof(copy) - 1) : 0;
        char *line, *why = NULL;

        str_copy(copy, sizeof(copy), log + from);
        for (char *rest = copy; (line = strsep(&rest, "\n"));)
                if (*line && !str_starts(line, "processed ") && !str_starts(line, "-- END"))
                        why = line;
        if (why && err)
                err_why(err, "%s", why);
}

static int open_object(const struct track_target *target, char *log, struct track_program *p, struct err *err)
{
        LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "gantry_track", .kernel_log_buf = log,
                    .kernel_log_size = LOG_SIZE, .kernel_log_level = 1);
        uint64_t words = (target->blocks + 63) / 64;

        if (words == 0 || words > UINT32_MAX / 8)
                return err_set(err, EX_KERNEL, cannot, "the image is empty or too large for a BPF map", "bitmap");
        (void)libbpf_set_print(NULL);
        p->object = bpf_object__open_mem(object_bytes, sizeof(object_bytes), &opts);
        if (!p->object)
                return no_tracker(err, errno, "BPF object");
        struct bpf_map *ro = bpf_object__find_map_by_name(p->object, ".rodata");
        struct bpf_map *bits = bpf_object__find_map_by_name(p->object, "bits");
        if (!ro || !bits)
                return no_tracker(err, ENOENT, "maps of the BPF object");
        int r = bpf_map__set_initial_value(ro, target, sizeof(*target));
        if (r == 0)
                r = bpf_map__set_max_entries(bits, (uint32_t)words);
        if (r < 0)
                return no_tracker(err, r, "maps of the BPF object");
        p->n_words = words;
        return 0;
}

static int map_bits(struct track_program *p, struct err *err)
{
        int fd = bpf_object__find_map_fd_by_name(p->object, "bits");

        if (fd < 0)
                return no_tracker(err, fd, "bitmap");
        void *m = mmap(NULL, p->n_words * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (m == MAP_FAILED)
                return no_tracker(err, errno, "bitmap");
        p->words = m;
        p->counters_fd = bpf_object__find_map_fd_by_name(p->object, "counters");
        return p->counters_fd < 0 ? no_tracker(err, p->counters_fd, "counters") : 0;
}

static int attach(struct track_program *p, struct err *err)
{
        struct bpf_program *prog = bpf_object__find_program_by_name(p->object, "track_issue");

        if (!prog)
                return no_tracker(err, ENOENT, "BPF program");
        p->prog_fd = bpf_program__fd(prog);
        p->link = bpf_program__attach_trace(prog);
        return p->link ? 0 : no_tracker(err, errno, "block_rq_issue");
}

int track_program_load(const struct track_target *target, struct track_program *ret, struct err *err)
{
        _cleanup_free_ char *log = calloc(1, LOG_SIZE);
        struct track_program p = {.prog_fd = -1, .counters_fd = -1};

        if (!log)
                return err_sys(err, EX_NOSPC, ENOMEM, cannot, "log of the verifier");
        int r = open_object(target, log, &p, err);
        if (r == 0) {
                int q = bpf_object__load(p.object);
                if (q < 0) {
                        r = no_tracker(err, q, "BPF program");
                        last_words(log, err);
                }
        }
        if (r == 0)
                r = map_bits(&p, err);
        if (r == 0)
                r = attach(&p, err);
        if (r < 0) {
                track_program_done(&p);
                return r;
        }
        *ret = p;
        return 0;
}

int track_program_counters(const struct track_program *p, struct track_counters *ret, struct err *err)
{
        struct track_counters c = {};
        uint32_t zero = 0;
        int r = bpf_map_lookup_elem(p->counters_fd, &zero, &c);

        if (r < 0)
                return err_sys(err, EX_FAIL, r, cannot, "counters of the BPF program");
        *ret = c;
        return 0;
}

int track_program_misses(const struct track_program *p, uint64_t *ret, struct err *err)
{
        struct bpf_prog_info info = {};
        uint32_t len = sizeof(info);
        int r = bpf_obj_get_info_by_fd(p->prog_fd, &info, &len);

        if (r < 0)
                return err_sys(err, EX_FAIL, r, cannot, "statistics of the BPF program");
        *ret = info.recursion_misses;
        return 0;
}

void track_program_done(struct track_program *p)
{
        if (p->link)
                (void)bpf_link__destroy(p->link); /* closes the descriptor, which cannot fail in a way that matters */
        if (p->words)
                munmap(p->words, p->n_words * 8);
        if (p->object)
                bpf_object__close(p->object);
        *p = (struct track_program){.prog_fd = -1, .counters_fd = -1};
}
