# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the scripts of tests/ share; sourced. How a result is said, how an exit status and a message are judged, how a condition is waited
# for, and how a script comes into namespaces of its own.
#
#       $ROOT the source   $B the build with sanitizers, or `build`   $FAILED what the script ends with
set -u
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
B=${T_BUILD:-$ROOT/build}
FAILED=0

# result NAME WHY...: `ok` when WHY is empty
result() {
        local name=$1
        shift
        if [ -z "$*" ]; then echo "ok $name"; else echo "not ok $name: $(echo "$*" | tr '\n' ' ')"; FAILED=1; fi
}

# expect CODE WORDS... -- COMMAND...: prints what is wrong: the exit code, or a message that lacks one of the words
expect() {
        local want=$1 words=() out code word
        shift
        while [ "$1" != -- ]; do words+=("$1"); shift; done
        shift
        out=$("$@" 2>&1 </dev/null)
        code=$?
        [ "$code" = "$want" ] || { echo "${*:2} ended with $code, not $want: $out;"; return; }
        for word in "${words[@]}"; do
                [[ $out == *"$word"* ]] || echo "the output of ${*:2} lacks '$word': $out;"
        done
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
        local i n=$(($1 * 50))
        shift
        for ((i = 0; i < n; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.02; done
        return 1
}

seconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); } # of milliseconds

# killed_after SECONDS COMMAND...: which has ended when this returns. (timeout -s KILL ends before its command may have.)
killed_after() {
        "${@:2}" &
        sleep "$1"
        { kill -KILL $!; wait $!; } 2>/dev/null
}

# field JSON KEY[.KEY…]: of an object or an array; nothing where there is none
field() {
        python3 -c 'import json, sys
try:
        v = json.loads(sys.argv[1])
        for k in sys.argv[2].split("."):
                v = v[int(k)] if k.isdigit() else v[k]
        print(json.dumps(v) if isinstance(v, (bool, dict, list)) or v is None else v)
except (ValueError, KeyError, IndexError, TypeError):
        pass' "$1" "$2"
}

# flip FILE OFFSET: one bit of it
flip() {
        python3 -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1)[0]; f.seek(int(sys.argv[2])); f.write(bytes([b ^ 4]))' "$1" "$2"
}

# sound IMAGE: prints what is wrong with the file system in it
sound() { e2fsck -fn "$1" >/dev/null 2>&1 || echo "e2fsck is not content with ${1##*/};"; }

cgroup2_root() { awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts; }

needs_root() { [ "$(id -u)" = 0 ] || { echo "skip ${0##*/}: it needs root"; exit 0; }; }

# apart [UNSHARE-OPTION...] -- [ARG...]: runs this script once more, with $INSIDE set, in pid and mount namespaces of its own that end with
# every process and mount. `tidy`, a function of the caller, removes afterwards what is left outside, whatever happens. Does not return.
apart() {
        local options=() rc
        while [ "$1" != -- ]; do options+=("$1"); shift; done
        shift
        INNER=
        trap 'end_inner; tidy' EXIT
        trap 'exit 1' INT TERM HUP
        INSIDE=1 unshare --mount --propagation private --pid --fork --mount-proc --kill-child "${options[@]}" "$0" "$@" &
        INNER=$!
        wait $INNER
        rc=$?
        INNER=
        exit $rc
}
# The first process inside dies with its parent.
end_inner() { [ -z "$INNER" ] || { kill -KILL $INNER; wait $INNER; } 2>/dev/null; }
