/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generic printer: every field type that a message can have, names that JSON must escape, 64-bit numbers. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "proto/end.pb-c.h"
#include "proto/header.pb-c.h"
#include "proto/pages.pb-c.h"
#include "proto/record.h"

static const struct record_type rows[] = {
        {RECORD_HEADER, "header", &gantry__header__descriptor},
        {RECORD_END, "end", &gantry__end__descriptor},
        {RECORD_PAGES, "pages", &gantry__pages__descriptor},
};
static const struct record_types types = {rows, ELEMENTSOF(rows)};

static void expect_json(const struct record *r, const char *want)
{
        _cleanup_strbuf_ struct strbuf out = {};

        record_json(&out, &types, r);
        cr_assert_not(out.bad);
        cr_assert_str_eq(out.s, want);
}

Test(proto_json, numbers_and_bytes)
{
        Gantry__End m = GANTRY__END__INIT;
        uint8_t sha[] = {0x00, 0xff, 0x1a};

        m.runs = UINT64_MAX;
        m.pages_bytes = 1;
        m.sha256 = (ProtobufCBinaryData){sizeof(sha), sha};
        expect_json(&(struct record){RECORD_END, 0, UINT64_MAX, &m.base},
                    "{\"kind\":\"end\",\"id\":18446744073709551615,\"optional\":false,\"message\":"
                    "{\"runs\":18446744073709551615,\"pages_bytes\":1,\"sha256\":\"00ff1a\"}}");
}

Test(proto_json, strings)
{
        Gantry__Header m = GANTRY__HEADER__INIT;
        char quote[] = "a\"b\\\n", latin[] = "caf\xe9", utf8[] = "caf\xc3\xa9", *features[] = {latin, utf8};

        m.version = quote;
        m.kernel = utf8;
        m.feature = features;
        m.n_feature = 2;
        expect_json(&(struct record){RECORD_HEADER, RECORD_OPTIONAL, 0, &m.base},
                    "{\"kind\":\"header\",\"id\":0,\"optional\":true,\"message\":{\"version\":\"a\\\"b\\\\\\u000a\","
                    "\"kernel\":\"caf\xc3\xa9\",\"feature\":[\"hex:636166e9\",\"caf\xc3\xa9\"]}}");
}

Test(proto_json, enums_and_messages)
{
        Gantry__Pages m = GANTRY__PAGES__INIT;
        Gantry__Pages__Run a = GANTRY__PAGES__RUN__INIT, b = GANTRY__PAGES__RUN__INIT, *runs[] = {&a, &b};

        a.what = GANTRY__PAGES__RUN__WHAT__ZERO;
        b.what = GANTRY__PAGES__RUN__WHAT__DATA;
        b.has_offset = 1;
        b.offset = 0;
        m.runs = runs;
        m.n_runs = 2;
        expect_json(&(struct record){RECORD_PAGES, 0, 3, &m.base},
                    "{\"kind\":\"pages\",\"id\":3,\"optional\":false,\"message\":{\"runs\":["
                    "{\"mem\":0,\"addr\":0,\"pages\":0,\"what\":\"ZERO\"},"
                    "{\"mem\":0,\"addr\":0,\"pages\":0,\"what\":\"DATA\",\"offset\":0}]}}");
}

Test(proto_json, unknown_kind_without_message)
{
        expect_json(&(struct record){600, RECORD_OPTIONAL, 3, NULL}, "{\"kind\":600,\"id\":3,\"optional\":true}");
}
