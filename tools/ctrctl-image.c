/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl image show and verify: checkpoint images, read whole and checked before a byte of them is shown
 * (docs/FORMAT.md). They need no container and no privilege beyond reading the files.
 */
#include "tools/ctrctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "checkpoint/image.h"
#include "checkpoint/session.h"

static int emit(void *c, const void *p, size_t n, struct err *err)
{
        (void)c;
        if (fwrite(p, 1, n, stdout) != n)
                return err_sys(err, EX_FAIL, errno, "cannot write", "standard output");
        return 0;
}

static int run_show(const struct args *a, struct err *err)
{
        const struct byte_sink out = {.put = emit};
        int r = image_show_json(AT_FDCWD, a->operand[0], session_record_types(), &out, err);

        if (r == 0)
                printf("\n");
        return r;
}

const struct verb verb_image_show = {
        .name = "image show",
        .operands = "DIR",
        .help = "a checkpoint image as JSON",
        .min = 1,
        .max = 1,
        .run = run_show,
};

static int run_verify(const struct args *a, struct err *err)
{
        struct image_info i;
        int r = image_verify(AT_FDCWD, a->operand[0], session_record_types(), &i, err);

        if (r < 0)
                return r;
        printf("%s: whole: %" PRIu64 " records, %" PRIu64 " runs, %" PRIu64 " bytes of pages\n", a->operand[0], i.records, i.runs,
               i.pages_bytes);
        return 0;
}

const struct verb verb_image_verify = {
        .name = "image verify",
        .operands = "DIR",
        .help = "read a checkpoint image whole; a flipped bit is named with its record",
        .min = 1,
        .max = 1,
        .run = run_verify,
};
