/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checksum without the CPU's help, apart so that the test can hold both ways to each other. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c_portable(uint32_t seed, const void *p, size_t n);
