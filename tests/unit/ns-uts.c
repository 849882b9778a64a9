/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host and domain names: any bytes but NUL, up to 64, also none. */
#include "proto/ns-uts.pb-c.h"
#include "tests/unit/records.h"

Test(ns_uts, records)
{
        Gantry__NsUts m = GANTRY__NS_UTS__INIT;
        static uint8_t longer[65];

        memset(longer, 'x', sizeof(longer));
        m.hostname = TEXT("web1");
        m.domainname = TEXT("example.test");
        ACCEPTED(&kind_ns_uts, m);
        m.domainname = TEXT("");
        ACCEPTED(&kind_ns_uts, m);
        REFUSED(&kind_ns_uts, m, m.hostname = TEXT("we\0b"));
        REFUSED(&kind_ns_uts, m, (m.domainname = (ProtobufCBinaryData){sizeof(longer), longer}));
        PLANNED(&kind_ns_uts, m, PH_GROUND, "sethostname");
        PLANNED(&kind_ns_uts, m, PH_GROUND, "setdomainname");
}
