/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack: deep frames keep their content, and it goes on growing. */
#include "tests/victim/smaps.h"

#define DEPTH 200

static int deep(struct victim *v, int level)
{
        unsigned char frame[4000];
        struct seen seen = {0};
        int bad = 0;

        pattern_fill(frame, sizeof(frame), (unsigned)level);
        if (level < DEPTH) {
                bad = deep(v, level + 1);
        } else {
                struct victim rehearsal = *v;
                VICTIM_MUST(smaps_find(frame, &seen));
                smaps_same(&rehearsal, "rehearsal", frame, &seen); /* what it needs of the stack is there from now on */
                VICTIM_MUST(smaps_find(frame, &seen));
                victim_wait(v);
                smaps_same(v, "the stack", frame, &seen);
        }
        return bad + !pattern_is(frame, sizeof(frame), (unsigned)level);
}

static int grow(int level)
{
        volatile unsigned char frame[16384];

        for (size_t i = 0; i < sizeof(frame); i += 512)
                frame[i] = (unsigned char)level;
        return level ? grow(level - 1) + (frame[512] != (unsigned char)level) : 0;
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        int bad = deep(&v, 0);
        VICTIM_CHECK(&v, bad == 0, "%d frames differ", bad);
        VICTIM_CHECK(&v, grow(120) == 0, "what grew differs");
        return victim_end(&v);
}
