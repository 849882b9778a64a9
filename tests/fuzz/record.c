/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of record_unpack() and what stands on it. Input: u16 kind, u16 flags (little-endian), payload.
 *
 * Whatever is accepted must pack to the bytes it came from, pass the check of its own frame, and be printable.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "checkpoint/image.h"
#include "proto/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct record_types *types = image_record_types();
        struct record r = {};
        struct record_head h;
        uint8_t *frame = NULL;
        size_t len = 0;

        if (size < 4)
                return 0;
        uint16_t kind = (uint16_t)(data[0] | data[1] << 8), flags = (uint16_t)(data[2] | data[3] << 8);
        if (record_unpack(types, kind, flags, 7, data + 4, size - 4, &r, NULL) != 0)
                return 0;
        if (record_pack(&r, &frame, &len, NULL) < 0 || len != size - 4 + RECORD_OVERHEAD)
                abort();
        if (memcmp(frame + RECORD_HEAD, data + 4, size - 4) != 0)
                abort();
        if (record_frame_check(types, frame, len, &h, NULL) < 0 || h.kind != kind || h.id != 7)
                abort();
        struct strbuf text = {};
        record_json(&text, types, &r);
        if (!text.s || text.s[0] != '{' || text.s[text.len - 1] != '}')
                abort();
        strbuf_done(&text);
        record_done(&r);
        free(frame);
        return 0;
}
