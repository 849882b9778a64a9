/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of proc_stat_parse(): what it takes is what the C library reads behind the last bracket, column by column.
 */
#include "base/procfs.h"
#include "tests/fuzz/fuzz.h"

/* comm; the whole text */
const size_t fuzz_sizes[] = {2047, 2048, 0};

static void check_columns(const char *text, const struct proc_stat *s)
{
        const char *p = strrchr(text, ')') + 3;
        unsigned long long col[53] = {0};

        FUZZ_CHECK(s->state == p[-1] && p[-2] == ' ');
        for (int i = 4; i <= 52; i++) {
                char *end = NULL;
                FUZZ_CHECK(*p == ' ');
                col[i] = p[1] == '-' ? 0 - strtoull(p + 2, &end, 10) : strtoull(p + 1, &end, 10);
                FUZZ_CHECK(end > p + 1 && (p[1] == '-' || (p[1] >= '0' && p[1] <= '9')));
                p = end;
        }
        FUZZ_CHECK(s->ppid == (pid_t)col[4] && s->pgrp == (pid_t)col[5] && s->session == (pid_t)col[6] && s->tty_nr == (int)col[7]);
        FUZZ_CHECK(s->tpgid == (pid_t)col[8] && s->flags == col[9] && s->utime == col[14] && s->stime == col[15]);
        FUZZ_CHECK(s->nice == (int)col[19] && s->num_threads == (unsigned)col[20] && s->starttime == col[22] && s->vsize == col[23]);
        FUZZ_CHECK(s->start_code == col[26] && s->end_code == col[27] && s->start_stack == col[28] && s->exit_signal == (int)col[38]);
        FUZZ_CHECK(s->processor == (int)col[39] && s->rt_priority == (unsigned)col[40] && s->policy == (int)col[41]);
        FUZZ_CHECK(s->start_data == col[45] && s->end_data == col[46] && s->start_brk == col[47] && s->arg_start == col[48]);
        FUZZ_CHECK(s->arg_end == col[49] && s->env_start == col[50] && s->env_end == col[51] && s->exit_code == (int)col[52]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char good[1024]; /* the last one that was taken: what a parser that reads too far would find in its place */
        static size_t good_n;
        struct proc_stat *s = fuzz_array(1, sizeof(*s)), untouched, other;

        memset(&untouched, 0xa5, sizeof(untouched));
        (void)proc_stat_parse(good, good_n, &other, NULL);
        if (proc_stat_parse((const char *)data, size, s, NULL) == 0) {
                char *text = fuzz_string(data, size);
                FUZZ_CHECK(strlen(text) == size && memchr(s->comm, '\0', sizeof(s->comm)));
                size_t n = strlen(s->comm);
                const char *name = strchr(text, '(') + 1;
                FUZZ_CHECK(strncmp(s->comm, name, n) == 0 && name + n == strrchr(text, ')'));
                FUZZ_CHECK(s->pid >= 0 && strtoull(text, NULL, 10) == (unsigned long long)s->pid && s->state);
                check_columns(text, s);
                free(text);
                good_n = size < sizeof(good) ? size : 0;
                memcpy(good, data, good_n);
        } else {
                FUZZ_CHECK(memcmp(s, &untouched, sizeof(untouched)) == 0);
        }
        free(s);
        return 0;
}
