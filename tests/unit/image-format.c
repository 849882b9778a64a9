/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * docs/FORMAT.md against the code: each constant of its tables, each field of the image's own messages with number
 * and type, in both directions; the numbers of kinds.list; and the golden image of the first release, which must load.
 */
#include "tests/unit/image-common.h"

#include "base/parse.h"
#include "proto/alloc.h"
#include "proto/walk.h"

static char *source_file(const char *path)
{
        _cleanup_close_ int root = open(TEST_SOURCE_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *text = NULL;
        struct err e = {};

        cr_assert_geq(root, 0);
        cr_assert_eq(path_read(root, path, &text, NULL, &e), 0, "%s", path);
        return text;
}

Test(image_format, constants)
{
        static const struct { const char *name; uint64_t value; } want[] = {
                {"FORMAT_VERSION", FORMAT_VERSION},       {"FORMAT_ARCH_X86_64", FORMAT_ARCH_X86_64},
                {"IMAGE_HEAD", IMAGE_HEAD},               {"RECORD_MAX", RECORD_MAX},
                {"RECORD_HEAD", RECORD_HEAD},             {"RECORD_CRC", RECORD_CRC},
                {"RECORD_OPTIONAL", RECORD_OPTIONAL},     {"IMAGE_RECORDS_MAX", IMAGE_RECORDS_MAX},
                {"WALK_DEPTH", WALK_DEPTH},               {"BUDGET_FACTOR", BUDGET_FACTOR},
                {"BUDGET_BASE", BUDGET_BASE},             {"PAGE_BYTES", PAGE_BYTES},
                {"RUN_MAX_PAGES", RUN_MAX_PAGES},         {"IMAGE_FRAME_RUNS", IMAGE_FRAME_RUNS},
                {"IMAGE_FRAME_BYTES", IMAGE_FRAME_BYTES},
        };
        _cleanup_free_ char *text = source_file("docs/FORMAT.md");
        size_t rows = 0;

        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                char row[96];
                snprintf(row, sizeof(row), "\n| `%s` | %llu |", want[i].name, (unsigned long long)want[i].value);
                cr_assert(strstr(text, row), "the page does not say:%s", row);
        }
        cr_assert(strstr(text, "| `IMAGE_MAGIC` | \"" IMAGE_MAGIC "\" |"));
        for (const char *p = text; (p = strstr(p, "\n| `")); p++)
                rows += p[4] >= 'A' && p[4] <= 'Z';
        cr_assert_eq(rows, ELEMENTSOF(want) + 1, "the page names a constant that this test does not know");
}

static const char *type_name(const ProtobufCFieldDescriptor *f)
{
        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
                return "string";
        case PROTOBUF_C_TYPE_BYTES:
                return "bytes";
        case PROTOBUF_C_TYPE_UINT32:
                return "uint32";
        case PROTOBUF_C_TYPE_UINT64:
                return "uint64";
        case PROTOBUF_C_TYPE_FIXED64:
                return "fixed64";
        case PROTOBUF_C_TYPE_ENUM:
                return "enum";
        case PROTOBUF_C_TYPE_MESSAGE:
                return "message";
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_BOOL:
        default:
                return "a type that the page never used";
        }
}

/* The rows of the page's table that follows `heading` are the message's fields, no more and no fewer. */
static void expect_fields(const char *text, const char *heading, const ProtobufCMessageDescriptor *d)
{
        static const char *const labels[] = {
                [PROTOBUF_C_LABEL_REQUIRED] = "required",
                [PROTOBUF_C_LABEL_OPTIONAL] = "optional",
                [PROTOBUF_C_LABEL_REPEATED] = "repeated",
        };
        const char *p = strstr(text, heading);

        cr_assert_not_null(p, "%s", heading);
        p = strstr(p, "\n| `");
        for (unsigned i = 0; i < d->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &d->fields[i];
                char row[96];
                snprintf(row, sizeof(row), "\n| `%s` | %u | %s %s |", f->name, f->id, labels[f->label], type_name(f));
                cr_assert(p && str_starts(p, row), "%s: the page does not say:%s", heading, row);
                p = strchr(p + 1, '\n');
        }
        cr_assert_not(str_starts(p, "\n|"), "%s: the page has a field too many", heading);
}

Test(image_format, fields)
{
        _cleanup_free_ char *text = source_file("docs/FORMAT.md");

        expect_fields(text, "\n## Header (1)", &gantry__header__descriptor);
        expect_fields(text, "\n## Pages (3)", &gantry__pages__descriptor);
        expect_fields(text, "\n`Run`:", &gantry__pages__run__descriptor);
        expect_fields(text, "\n## End (2)", &gantry__end__descriptor);
        expect_fields(text, "\n`Count`:", &gantry__end__count__descriptor);
        for (unsigned i = 0; i < gantry__pages__run__what__descriptor.n_values; i++) {
                const ProtobufCEnumValue *v = &gantry__pages__run__what__descriptor.values[i];
                char row[32];
                snprintf(row, sizeof(row), "%s %d", v->name, v->value);
                cr_assert(strstr(text, row), "the page does not say: %s", row);
                snprintf(row, sizeof(row), "\n- **%s**:", v->name);
                cr_assert(strstr(text, row), "the page does not explain %s", v->name);
        }
        const struct record_types *own = image_record_types();
        for (size_t i = 0; i < own->n; i++) {
                char heading[32];
                snprintf(heading, sizeof(heading), "## %s (%u)", own->at[i].msg->short_name, own->at[i].kind);
                cr_assert(strstr(text, heading), "no section \"%s\"", heading);
        }
}

/* NUMBER STEM CLASS STATE: numbers from 16 to 65535, each once, each stem once. */
Test(image_format, numbers_of_kinds)
{
        _cleanup_free_ char *text = source_file("checkpoint/kind/kinds.list");
        uint64_t last = 15, n = 0;
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *p = line;
                if (*p == '#' || !*p)
                        continue;
                cr_assert(scan_u64(&p, &n), "%s", line);
                cr_assert(n > last && n <= UINT16_MAX, "not ascending from 16: %s", line);
                last = n;
        }
        cr_assert_gt(n, 16);
}

/* Made by the first release and never made again. */
Test(image_format, golden_image)
{
        _cleanup_close_ int root = open(TEST_SOURCE_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct image *img = NULL;
        struct err e = {};

        cr_assert_eq(image_open(root, "tests/golden/image-1", &test_types, &img, &e), 0, "%s: %s", e.on, e.why);
        cr_assert_str_eq(image_get_info(img).version, "0.1.0");
        expect_image(img);
        image_close(img);
}

/* And its bytes are those that this writer still makes. */
Test(image_format, golden_bytes)
{
        _cleanup_free_ char *want = source_file("tests/golden/image-1/pages");
        struct dir d = dir_make();
        _cleanup_free_ char *got = NULL;
        size_t n = 0;

        write_image(&d, "one");
        cr_assert_eq(path_read(d.fd, "one/pages", &got, &n, NULL), 0);
        cr_assert_eq(n, 3 * PAGE_BYTES);
        cr_assert(memcmp(got, want, n) == 0);
        dir_done(&d);
}

/* "fd-pipe" → "\nmessage FdPipe {" */
static void message_line(char *ret, size_t size, const char *stem)
{
        bool up = true;
        size_t n = (size_t)snprintf(ret, size, "\nmessage ");

        for (; *stem && n + 3 < size; stem++) {
                if (*stem != '-')
                        ret[n++] = (char)(up && *stem >= 'a' && *stem <= 'z' ? *stem - 'a' + 'A' : *stem);
                up = *stem == '-';
        }
        memcpy(ret + n, " {", 3);
}

/* Each .proto has the one message that its name promises, and nothing else beside it. */
Test(image_format, proto_files)
{
        DIR *d = opendir(TEST_SOURCE_ROOT "/proto");
        unsigned files = 0;

        cr_assert_not_null(d);
        for (struct dirent *e; (e = readdir(d));) {
                char path[300], stem[256], line[300];
                char *dot = strrchr(e->d_name, '.');
                if (!dot || !str_eq(dot, ".proto"))
                        continue;
                str_copy(stem, sizeof(stem), e->d_name);
                stem[dot - e->d_name] = '\0';
                snprintf(path, sizeof(path), "proto/%s", e->d_name);
                _cleanup_free_ char *text = source_file(path);
                cr_assert(strstr(text, "\nsyntax = \"proto2\";"), "%s", path);
                message_line(line, sizeof(line), stem);
                const char *m = strstr(text, line);
                cr_assert(m, "%s: no \"%s\"", path, line + 1);
                cr_assert(strstr(text, "\nmessage ") == m && !strstr(m + 1, "\nmessage ") && !strstr(text, "\nenum "),
                          "%s: something stands beside its message; nest it", path);
                files++;
        }
        closedir(d);
        cr_assert_geq(files, 3);
}
