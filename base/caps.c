/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Capability sets through libcap (base/caps.h).
 *
 * Sets and names go by libcap; masks are what records and configuration hold. A capability that the running kernel
 * does not know reads as absent. libcap without libpsx changes the calling thread only, which is why caps_limit()
 * asks for a single-threaded process.
 */
#include "base/caps.h"

#include <errno.h>
#include <sys/capability.h>

#include "base/cleanup.h"

#define CAP_END 64

static void capfreep(cap_t *c)
{
        if (*c)
                cap_free(*c);
}
#define _cleanup_cap_ CLEANUP(capfreep)

static int failed(struct err *err, const char *what)
{
        return err_sys(err, EX_FAIL, errno, what, "%s", "");
}

static int flag_mask(cap_t c, cap_flag_t flag, uint64_t *ret)
{
        uint64_t mask = 0;

        for (int i = 0; i < CAP_END && CAP_IS_SUPPORTED(i); i++) {
                cap_flag_value_t v;
                if (cap_get_flag(c, i, flag, &v) < 0)
                        return -1;
                if (v == CAP_SET)
                        mask |= UINT64_C(1) << i;
        }
        *ret = mask;
        return 0;
}

int caps_self(struct caps *ret, struct err *err)
{
        _cleanup_cap_ cap_t c = cap_get_proc();
        struct caps s = {};

        if (!c || flag_mask(c, CAP_INHERITABLE, &s.inheritable) < 0 || flag_mask(c, CAP_PERMITTED, &s.permitted) < 0 ||
            flag_mask(c, CAP_EFFECTIVE, &s.effective) < 0)
                return failed(err, "cannot read the capabilities");
        for (int i = 0; i < CAP_END && CAP_IS_SUPPORTED(i); i++) {
                if (cap_get_bound(i) == CAP_SET)
                        s.bounding |= UINT64_C(1) << i;
                if (cap_get_ambient(i) == CAP_SET)
                        s.ambient |= UINT64_C(1) << i;
        }
        *ret = s;
        return 0;
}

bool caps_have(int cap)
{
        _cleanup_cap_ cap_t c = cap_get_proc();
        cap_flag_value_t v;

        return c && cap_get_flag(c, cap, CAP_EFFECTIVE, &v) == 0 && v == CAP_SET;
}

int caps_by_name(const char *name, int *ret, struct err *err)
{
        cap_value_t v;

        if (cap_from_name(name, &v) < 0)
                return err_set(err, EX_USAGE, "wrong capability", "no capability has this name", "\"%s\"", name);
        *ret = v;
        return 0;
}

int caps_limit(uint64_t keep, struct err *err)
{
        _cleanup_cap_ cap_t c = NULL;
        struct caps now;
        int r = caps_self(&now, err);

        if (r < 0)
                return r;
        /* The bounding set first: dropping from it needs CAP_SETPCAP, which may go below. */
        for (int i = 0; i < CAP_END; i++)
                if (now.bounding & ~keep & UINT64_C(1) << i && cap_drop_bound(i) < 0)
                        return failed(err, "cannot drop a capability from the bounding set");
        if (cap_reset_ambient() < 0)
                return failed(err, "cannot clear the ambient capabilities");
        c = cap_init();
        if (!c)
                return failed(err, "cannot set the capabilities");
        for (cap_value_t i = 0; i < CAP_END; i++) {
                if (!(now.permitted & keep & UINT64_C(1) << i))
                        continue;
                if (cap_set_flag(c, CAP_PERMITTED, 1, &i, CAP_SET) < 0 ||
                    cap_set_flag(c, CAP_EFFECTIVE, 1, &i, CAP_SET) < 0)
                        return failed(err, "cannot set the capabilities");
        }
        return cap_set_proc(c) < 0 ? failed(err, "cannot set the capabilities") : 0;
}
