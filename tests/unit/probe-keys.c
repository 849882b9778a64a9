/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which lines of /proc/keys are a user's persistent keyring with something in it. */
#include <criterion/criterion.h>

#include "checkpoint/collect.h"

#define LINE(uid, name) "1806c4ba I--Q---     1   3d 1f0b0000  " uid " 65534 keyring   " name "\n"

Test(probe_keys, persistent)
{
        cr_assert(keys_persistent(LINE("1000", "_persistent.1000: 2"), 1000));
        cr_assert(keys_persistent(LINE("   0", "_uid.0: empty") LINE("1000", "_persistent.0: 1"), 1000), "the name has the number inside");
        cr_assert(!keys_persistent(LINE("1000", "_persistent.1000: 2"), 1001), "another user's");
        cr_assert(!keys_persistent(LINE("1000", "_persistent.1000: empty"), 1000));
        cr_assert(!keys_persistent(LINE("1000", "_uid.1000: 2"), 1000));
        cr_assert(!keys_persistent("1806c4ba I--Q---     1 perm 3f010000  1000  1000 user      _persistent.1000: 2\n", 1000), "no keyring");
}

Test(probe_keys, odd)
{
        cr_assert(!keys_persistent("", 0));
        cr_assert(!keys_persistent("\n\n  \n", 0));
        cr_assert(!keys_persistent("1 2 3 4 5 0 7 keyring", 0));
        cr_assert(!keys_persistent("1 2 3 4 5 0 7 keyring _persistent.0:", 0));
        cr_assert(!keys_persistent("1 2 3 4 5 x 7 keyring _persistent.0: 1\n", 0));
}
