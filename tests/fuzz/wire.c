/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of the wire's receiving side: the frame parser and the message check that the relay runs on what the other
 * node sends. The first byte chooses the size of the pieces in which the rest arrives; how it is cut must not matter.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/msg.h"
#include "migrate/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Frames accepted before the end or the first refusal. */
static unsigned run(const uint8_t *data, size_t size, size_t piece)
{
        struct wire_parser p;
        struct wire_msg m;
        unsigned n = 0;
        int r = 0;

        if (wire_parser_init(&p, NULL) < 0)
                abort();
        for (size_t at = 0; at < size && r >= 0; at += piece) {
                size_t room, take = size - at < piece ? size - at : piece;
                void *to = wire_parser_room(&p, &room);
                if (room < take)
                        break;
                memcpy(to, data + at, take);
                wire_parser_fed(&p, take);
                while ((r = wire_parser_next(&p, &m, NULL)) == 1 && msg_check(&m, NULL) == 0)
                        n++;
                if (r == 1)
                        break;
        }
        wire_parser_done(&p);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        if (run(data + 1, size - 1, 1 + data[0]) != run(data + 1, size - 1, size))
                abort();
        return 0;
}
