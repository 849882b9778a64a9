# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the suites of this folder, which are started by tests/run with
#
#       T_ROOT      the source         T_BUILD     the build with sanitizers      T_RELEASE   the build without
#       T_LOG       a directory        T_JOBS      programs at a time             T_FILTER    -k of tests/run
#       T_RUN       a word that no other run has: names of cgroups, links and files carry it
#       T_LIST      set: print the names of the tests and end
#
# and print `ok NAME`, `not ok NAME: why` or `skip NAME: why`. A program's exit status 77 means skipped.

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=1:disable_coredump=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:abort_on_error=1:print_stacktrace=1}

# meson_tests SUITE: "NAME<TAB>TIMEOUT<TAB>COMMAND…" of each test of the build with sanitizers; ten times meson's timeout, which is for a
# machine that has nothing else to do
meson_tests() {
        meson introspect "$T_BUILD" --tests | python3 -c '
import json, shlex, sys
for t in json.load(sys.stdin):
    if any(s.split(":")[-1] == sys.argv[1] for s in t["suite"]):
        print(t["name"], int(t["timeout"]) * 10, " ".join(map(shlex.quote, t["cmd"])), sep="\t")' "$1"
}

# May a program of this name hold a test that -k asked for? "prog.test" asks for prog.
may_match() {
        local f=${T_FILTER#*/}
        [ -z "$T_FILTER" ] || [[ "$T_SUITE/$1/" == *"$T_FILTER"* || $f == "$1".* || $f == "$1"/* ]]
}

needs_root() { [ "$(id -u)" = 0 ] || { echo "skip suite: it needs root"; exit 0; }; }

# Returns when one more program may run beside those that do.
free_slot() { while [ "$(jobs -rp | wc -l)" -ge "$T_JOBS" ]; do wait -n; done; }

elapsed() {
        local t=${EPOCHREALTIME/[.,]/}
        t=$(((t - $1) / 1000))
        printf '(%d.%d s)' $((t / 1000)) $((t % 1000 / 100))
}

micros() { echo "${EPOCHREALTIME/[.,]/}"; }

# The line of a log that best says why: the last one with "error" in it, or the last one.
why_of() {
        local line
        line=$(grep -aiE 'ERROR:|error:|assert|fail|cannot' "$1" | tail -n 1)
        [ -n "$line" ] || line=$(grep -av '^[[:space:]]*$' "$1" | tail -n 1)
        printf '%s' "${line:-it printed nothing}" | tr '\t' ' ' | tr -d '\000-\037' | cut -c1-300
}

# run_status NAME TIMEOUT COMMAND…: a program whose exit status is the whole result.
run_status() {
        local name=$1 limit=$2 log=$T_LOG/$1.log t rc
        shift 2
        t=$(micros)
        timeout -k 5 "$limit" "$@" >"$log" 2>&1 </dev/null
        rc=$?
        case $rc in
        0) echo "ok $name $(elapsed "$t")" ;;
        77) echo "skip $name: $(why_of "$log")" ;;
        124 | 137) echo "not ok $name: not done after $limit s: $(why_of "$log")" ;;
        *) echo "not ok $name: status $rc: $(why_of "$log")" ;;
        esac
}

# run_lines NAME TIMEOUT COMMAND…: a program that prints lines of its own as they come (NAME/ is put before each name).
# Everything else that it prints goes to its log.
run_lines() {
        local name=$1 limit=$2 log=$T_LOG/$1.log line rc n=0 bad=0
        shift 2
        while IFS= read -r line; do
                case $line in
                "ok "*) echo "ok $name/${line#ok }"; n=$((n + 1)) ;;
                "not ok "*) echo "not ok $name/${line#not ok }"; n=$((n + 1)) bad=1 ;;
                "skip "*) echo "skip $name/${line#skip }"; n=$((n + 1)) ;;
                "status "*) rc=${line#status } ;;
                esac
        done < <(
                timeout -k 5 "$limit" "$@" 2>>"$log" </dev/null | tee -a "$log"
                echo "status ${PIPESTATUS[0]}"
        )
        case $rc in
        0 | 77) if [ $n = 0 ]; then [ "$rc" = 77 ] && echo "skip $name: $(why_of "$log")" || echo "ok $name"; fi ;;
        124 | 137) echo "not ok $name: not done after $limit s: $(why_of "$log")" ;;
        *) [ $bad = 1 ] || echo "not ok $name: status $rc: $(why_of "$log")" ;;
        esac
}

# The programs of a folder of tests: its executable files that are text. Binaries come from meson.
scripts_of() {
        local f
        for f in "$T_ROOT/tests/$1"/*; do
                [ -f "$f" ] && [ -x "$f" ] && [ "$(head -c 2 "$f")" = '#!' ] && echo "$f"
        done
        return 0
}

# folder_suite NAME TIMEOUT: every meson test of suite NAME and every script of tests/NAME, one after the other.
folder_suite() {
        local name limit cmd f
        while IFS=$'\t' read -r name limit cmd; do
                [ -n "${T_LIST:-}" ] && { echo "$name"; continue; }
                may_match "$name" || continue
                eval "run_lines $(printf %q "$name") $limit $cmd"
        done < <(meson_tests "$1")
        for f in $(scripts_of "$1"); do
                name=$(basename "$f")
                name=${name%.*}
                [ -n "${T_LIST:-}" ] && { echo "$name"; continue; }
                may_match "$name" || continue
                run_lines "$name" "$2" "$f"
        done
}
