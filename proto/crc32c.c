/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC32C (Castagnoli, reflected polynomial 0x82f63b78): the checksum of a frame.
 *
 * SSE4.2 has an instruction for it; where the CPU lacks it, or on another architecture, the polynomial is divided
 * four bits at a time over a constant table, which needs no state made at run time. Both give the same value, and the
 * unit test holds them to the published check value.
 */
#include "proto/record.h"
#include "proto/crc32c.h"

#define ROW(a, b, c, d) UINT32_C(a), UINT32_C(b), UINT32_C(c), UINT32_C(d)
static const uint32_t nibble[16] = {
        ROW(0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1),
        ROW(0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d),
        ROW(0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9),
        ROW(0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75),
};

uint32_t crc32c_portable(uint32_t seed, const void *p, size_t n)
{
        const uint8_t *b = p;
        uint32_t crc = ~seed;

        for (size_t i = 0; i < n; i++) {
                crc ^= b[i];
                crc = (crc >> 4) ^ nibble[crc & 15];
                crc = (crc >> 4) ^ nibble[crc & 15];
        }
        return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t seed, const void *p, size_t n)
{
        const uint8_t *b = p;
        uint64_t crc = (uint32_t)~seed;

        for (; n >= 8; n -= 8, b += 8) {
                uint64_t word;
                memcpy(&word, b, sizeof(word));
                crc = __builtin_ia32_crc32di(crc, word);
        }
        for (; n; n--, b++)
                crc = __builtin_ia32_crc32qi((uint32_t)crc, *b);
        return ~(uint32_t)crc;
}
#endif

uint32_t crc32c(uint32_t seed, const void *p, size_t n)
{
#ifdef __x86_64__
        if (__builtin_cpu_supports("sse4.2"))
                return crc32c_sse42(seed, p, n);
#endif
        return crc32c_portable(seed, p, n);
}
