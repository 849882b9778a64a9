/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building, printing and playing tapes in this process: self, log and fault executors. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "checkpoint/tape/tape.h"

static const struct actor SELF = { ACTOR_SELF, 1 };

static struct executor self_executor(void)
{
        struct executor x;

        cr_assert_eq(executor_self(&x, NULL), 0);
        return x;
}

/* A pipe, a word through it, and both ends kept: results, out places and descriptors in one. */
static struct tape *pipe_tape(uint32_t *ret_read)
{
        struct tape *t = tape_new(SELF);
        tape_label(t, "make a pipe (fd-pipe %d)", 7);
        uint32_t ends = tape_data(t, NULL, 8);
        uint32_t word = tape_data(t, "hello", 5);
        uint32_t back = tape_data(t, NULL, 16);
        uint32_t p = TAPE(t, SYS_pipe2, A_DATA(ends), A_IMM(O_CLOEXEC));
        tape_keep_out(t, p, ends, 7);
        tape_keep_out(t, p, ends + 4, 8);
        uint32_t w = TAPE(t, SYS_write, A_OUT(ends + 4), A_DATA(word), A_IMM(5));
        tape_expect(t, w, 5);
        uint32_t r = TAPE(t, SYS_read, A_OUT(ends), A_DATA(back), A_IMM(16));
        tape_label(t, "count again");
        TAPE(t, SYS_lseek, A_OUT(ends), A_RET(r), A_IMM(0));
        tape_may_fail(t, 3, ESPIPE);
        *ret_read = back;
        return t;
}

Test(tape, plays_here)
{
        struct executor x = self_executor();
        uint32_t back;
        struct tape *t = pipe_tape(&back);
        const struct tape_fd *keeps;

        cr_assert_eq(executor_play(&x, &t, 1, NULL), 0);
        cr_assert_eq(tape_ret(t, 2), 5);
        cr_assert_eq(tape_ret(t, 3), -ESPIPE);
        cr_assert_arr_eq(tape_out(t, back), "hello", 5);
        cr_assert_eq(tape_keeps(t, &keeps), 2);
        for (size_t i = 0; i < 2; i++) {
                struct stat st;
                cr_assert_eq(fstat(keeps[i].fd, &st), 0);
                cr_assert(S_ISFIFO(st.st_mode));
                close(keeps[i].fd);
        }
        cr_assert_neq(keeps[0].fd, keeps[1].fd);
        tape_free(t);
        executor_done(&x);
}

Test(tape, prints_golden)
{
        uint32_t back;
        struct tape *t = pipe_tape(&back);
        uint32_t d = tape_data(t, "\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        tape_reloc(t, d + 8, 8, A_DATA(back));
        tape_reloc(t, d + 4, 4, A_FD(31));
        TAPE(t, SYS_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/var/lib/x y")), A_IMM(0x80000), A_IMM(0));
        TAPE(t, 700, A_DATA(d), A_FD(31), A_IMM(0x7fff00000000));
        tape_may_fail(t, 5, 0);
        char *s = tape_print(t);
        cr_assert_str_eq(s, "tape of self 1, 6 calls\n"
                            "# make a pipe (fd-pipe 7)\n"
                            "0 pipe2(out[8], 0x80000) keep 7 at o0 keep 8 at o4\n"
                            "1 write(o4, hex:68656c6c6f, 5) = 5\n"
                            "2 read(o0, out[16], 16)\n"
                            "# count again\n"
                            "3 lseek(o0, r2, 0) may fail ESPIPE\n"
                            "4 openat(-100, \"/var/lib/x y\", 0x80000, 0)\n"
                            "5 syscall_700(hex:01020304000000000000000000000000 +8:&32 +4:fd#31, fd#31, "
                            "0x7fff00000000) may fail\n");
        free(s);
        tape_free(t);
}

Test(tape, relocated_data)
{
        struct executor x = self_executor();
        struct tape *t = tape_new(SELF);
        uint32_t text = tape_str(t, "two parts");
        struct { uint64_t base, len; } iov[2] = { { 0, 3 }, { 0, 6 } };
        uint32_t v = tape_data(t, iov, sizeof(iov));
        int fd = memfd_create("tape", 0);

        tape_reloc(t, v, 8, A_DATA(text));
        tape_reloc(t, v + 16, 8, A_DATA(text + 3));
        TAPE(t, SYS_writev, A_FD(5), A_DATA(v), A_IMM(2));
        tape_expect(t, 0, 9);
        struct err err = { 0 };
        cr_assert_eq(executor_play(&x, &t, 1, &err), -EX_FAIL, "an undelivered descriptor is refused");
        const uint64_t *needs;
        cr_assert_eq(tape_needs(t, &needs), 1);
        cr_assert_eq(needs[0], 5);
        tape_set_fd(t, 5, fd);
        cr_assert_eq(executor_play(&x, &t, 1, NULL), 0);
        char buf[16] = { 0 };
        cr_assert_eq(pread(fd, buf, sizeof(buf), 0), 9);
        cr_assert_str_eq(buf, "two parts");
        close(fd);
        tape_free(t);
}

Test(tape, bad_use_is_sticky)
{
        struct executor x = self_executor();
        for (int i = 0; i < 7; i++) {
                struct tape *t = tape_new(SELF);
                uint32_t d = tape_data(t, NULL, 16);
                TAPE0(t, SYS_getpid);
                cr_assert(!tape_bad(t));
                switch (i) {
                case 0: TAPE(t, SYS_close, A_RET(1)); break;               /* a result that does not come before */
                case 1: TAPE(t, SYS_close, A_DATA(16)); break;             /* past the data */
                case 2: tape_call(t, SYS_close, 7, (struct arg[7]){ 0 }); break;
                case 3: tape_reloc(t, d, 8, A_RET(0)); break;
                case 4: tape_reloc(t, d + 12, 8, A_IMM(1)); break;
                case 5: tape_may_fail(t, 9, 0); break;
                default: tape_keep_out(t, 0, d + 13, 3); break;
                }
                cr_assert(tape_bad(t), "case %d", i);
                TAPE0(t, SYS_getpid);
                cr_assert_eq(executor_play(&x, &t, 1, NULL), -EX_FAIL);
                tape_free(t);
        }
}

Test(tape, stops_at_the_first_error)
{
        struct executor x = self_executor();
        struct tape *t = tape_new(SELF);
        struct err err = { 0 };
        tape_label(t, "step one");
        TAPE0(t, SYS_getpid);
        tape_label(t, "close nothing (fd-file 3)");
        uint32_t c = TAPE(t, SYS_close, A_IMM(-1));
        tape_may_fail(t, c, ENOENT); /* another errno than the one that comes */
        uint32_t after = TAPE0(t, SYS_getpid);
        cr_assert_lt(executor_play(&x, &t, 1, &err), 0);
        cr_assert_eq(err.sys, EBADF);
        cr_assert(strstr(err.on, "close nothing (fd-file 3): close"), "%s", err.on);
        cr_assert_eq(tape_ret(t, 0), getpid());
        cr_assert_eq(tape_ret(t, after), INT64_MIN);
        tape_free(t);

        t = tape_new(SELF);
        TAPE0(t, SYS_getpid);
        tape_expect(t, 0, 0);
        TAPE0(t, SYS_getpid);
        cr_assert_eq(executor_play(&x, &t, 1, &err), -EX_FAIL);
        cr_assert_eq(tape_ret(t, 1), INT64_MIN);
        tape_free(t);
}

static int open_fds(void)
{
        int n = 0;
        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

Test(tape, fault_sweep_leaks_nothing)
{
        struct executor self = self_executor();
        int before = open_fds();
        bool clean = false;
        uint64_t k = 1;

        for (; !clean; k++) {
                struct executor x;
                uint32_t back;
                struct tape *t = pipe_tape(&back);
                struct err err = { 0 };
                const struct tape_fd *keeps;

                cr_assert_eq(executor_fault(&self, k, EIO, &x, NULL), 0);
                int r = executor_play(&x, &t, 1, &err);
                cr_assert(r == 0 || err.sys == EIO);
                clean = executor_fault_count(&x) < k;
                cr_assert_eq(r == 0, clean, "entry %d", (int)k);
                for (size_t i = 0; i < tape_keeps(t, &keeps); i++)
                        if (keeps[i].fd >= 0)
                                close(keeps[i].fd);
                cr_assert_eq(open_fds(), before);
                executor_done(&x);
                tape_free(t);
        }
        cr_assert_eq(k, 6, "four calls: four failures and a clean run");
}

Test(tape, fault_that_may_happen_goes_on)
{
        struct executor self = self_executor(), x;
        struct tape *t = tape_new(SELF);
        TAPE(t, SYS_close, A_IMM(-1));
        tape_may_fail(t, 0, 0);
        TAPE0(t, SYS_getpid);
        cr_assert_eq(executor_fault(&self, 1, EINTR, &x, NULL), 0);
        cr_assert_eq(executor_play(&x, &t, 1, NULL), 0);
        cr_assert_eq(tape_ret(t, 0), -EINTR);
        cr_assert_eq(tape_ret(t, 1), getpid());
        executor_done(&x);
        tape_free(t);
}

Test(tape, log_invents)
{
        struct strbuf out = { 0 };
        struct executor x;
        uint32_t back;
        struct tape *t = pipe_tape(&back);
        const struct tape_fd *keeps;

        cr_assert_eq(executor_log(&out, &x, NULL), 0);
        cr_assert_eq(executor_play(&x, &t, 1, NULL), 0);
        cr_assert_eq(tape_ret(t, 1), 5);
        tape_keeps(t, &keeps);
        cr_assert_eq(keeps[0].fd, 100);
        cr_assert_eq(keeps[1].fd, 101);
        cr_assert(strstr(out.s, "2 read(o0, out[16], 16)\n"));
        strbuf_done(&out);
        executor_done(&x);
        tape_free(t);
}
