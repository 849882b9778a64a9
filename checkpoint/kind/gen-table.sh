#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From kinds.list to C: the enum of numbers (OUT.h) and the tables (OUT.c).
#
#       gen-table.sh kinds.list OUT.h OUT.c STEM…
#
# The stems are the kept kinds that have their files. A kept kind of an object class without files is refused like any
# other until they land; one of a property class is left out. Refusals come from the three functions of
# checkpoint/kind/classify.h alone, so that turning a word in kinds.list from `refused` to `kept` touches no old file.
set -eu

list=$1 header=$2 table=$3
shift 3

exec awk -v header="$header" -v table="$table" -v have=" $* " '
function ident(s) { gsub("-", "_", s); return s }
function bad(why) { printf "%s:%d: %s\n", FILENAME, FNR, why > "/dev/stderr"; failed = 1; exit 1 }

BEGIN {
        n = 0
        split("ns cgroup link netns mount mm vma file fs files sighand task thread fileprop", names, " ")
        for (i in names)
                class[names[i]] = "CLS_" toupper(names[i])
        split("ns cgroup link mount vma file", objects, " ")
        for (i in objects)
                object[objects[i]] = 1
}
/^[ \t]*(#|$)/ { next }
NF != 4 { bad("not NUMBER STEM CLASS STATE") }
$1 !~ /^[0-9]+$/ || $1 < 16 || $1 > 65535 { bad("the number is not within 16 to 65535") }
n && $1 <= number[n - 1] { bad("the numbers do not rise") }
$2 !~ /^[a-z][a-z0-9]*(-[a-z0-9]+)+$/ || ($2 in seen) { bad("the stem is wrong or taken") }
!($3 in class) { bad("unknown class " $3) }
$4 != "kept" && $4 != "refused" { bad("neither kept nor refused") }
{
        seen[$2] = 1
        number[n] = $1; stem[n] = $2; cls[n] = $3
        kept[n] = $4 == "kept" && index(have, " " $2 " ")
        left_out[n] = $4 == "kept" && !kept[n] && !($3 in object)
        n++
}
END {
        if (failed)
                exit 1
        note = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n/* Made by gen-table.sh from kinds.list. */\n"
        print note "#pragma once\n\nenum kind_number {" > header
        for (i = 0; i < n; i++)
                printf "        KIND_%s = %d,\n", toupper(ident(stem[i])), number[i] > header
        print "};" > header
        for (i = 0; i < n; i++)
                if (kept[i])
                        printf "extern const struct kind kind_%s;\n", ident(stem[i]) > header

        print note "#include \"checkpoint/kind/classify.h\"\n#include \"checkpoint/kind/kind.h\"" > table
        print "#include \"checkpoint/kind/kinds.h\"\n#include \"base/cleanup.h\"" > table
        print "#include \"proto/mounts.pb-c.h\"\n#include \"proto/tree.pb-c.h\"" > table
        for (i = 0; i < n; i++)
                if (kept[i])
                        printf "#include \"proto/%s.pb-c.h\"\n", stem[i] > table
        for (i = 0; i < n; i++) {
                if (kept[i] || left_out[i])
                        continue
                id = ident(stem[i])
                printf "\nstatic int claim_%s(const struct facts *f)\n{\n", id > table
                if (cls[i] in object)
                        printf "        return kind_is(f, KIND_%s);\n}\n", toupper(id) > table
                else
                        printf "        return kind_has_property(f, KIND_%s);\n}\n", toupper(id) > table
                printf "static int refuse_%s(const struct facts *f, struct err *err);\n", id > table
                printf "static const struct kind kind_%s = {.stem = \"%s\", .number = %d, .cls = %s, .claim = claim_%s, .refuse = refuse_%s};\n", id, stem[i], number[i], class[cls[i]], id, id > table
                printf "static int refuse_%s(const struct facts *f, struct err *err)\n{\n        return kind_refuse_text(&kind_%s, f, err);\n}\n", id, id > table
        }
        print "\nstatic const struct kind *const kinds[] = {" > table
        for (i = 0; i < n; i++)
                if (!left_out[i])
                        printf "        &kind_%s,\n", ident(stem[i]) > table
        print "};\n\n/* The records of the planners stand before those of the kinds. */\nstatic const struct record_type rows[] = {" > table
        print "        {4, \"tree\", &gantry__tree__descriptor},\n        {5, \"mounts\", &gantry__mounts__descriptor}," > table
        for (i = 0; i < n; i++) {
                msg = "NULL"
                if (kept[i])
                        msg = "&gantry__" ident(stem[i]) "__descriptor"
                printf "        {%d, \"%s\", %s},\n", number[i], stem[i], msg > table
        }
        print "};\nstatic const struct record_types types = {rows, ELEMENTSOF(rows)};\n" > table
        print "const struct kind *const *kind_table(size_t *ret_n)\n{\n        *ret_n = ELEMENTSOF(kinds);\n        return kinds;\n}\n" > table
        print "const struct record_types *kind_record_types(void)\n{\n        return &types;\n}" > table
}' "$list"
