# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the ploop tests share; sourced. Each runs once outside, which makes a directory and a cgroup of its own and
# removes them whatever happens, and once inside a pid and mount namespace that ends with every process and mount.

B=${T_BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build}
PLOOP=$B/tools/ctrploop
FAILED=0

outside() { # runs "$0" inside; does not return
        [ "$(id -u)" = 0 ] || { echo "skip ${0##*/}: needs root"; exit 0; }
        local unified
        unified=$(awk '$(NF-2) == "cgroup2" || / - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
        DIR=$(mktemp -d "${TMPDIR:-/tmp}/gantry-ploop-${T_RUN:-by-hand}.XXXXXX") || exit 1
        CG=${unified:+$unified/${DIR##*/}}
        [ -z "$CG" ] || mkdir "$CG" || exit 1
        trap 'tidy' EXIT
        trap 'exit 1' INT TERM HUP
        DIR=$DIR CG=$CG PLOOP_INSIDE=1 unshare --mount --propagation private --pid --fork --mount-proc --kill-child \
                "$0" "$@" &
        INNER=$!
        wait $INNER
        exit $?
}

# A copier that was killed in its last round leaves a frozen file system, and its writers in a sleep that SIGKILL does not
# end: thawed through a descriptor that one of them holds.
thaw_stuck() {
        local p f
        for p in $(cat "$CG/cgroup.procs"); do
                for f in /proc/"$p"/task/*/fd/*; do
                        [ -d "$f" ] && [ "$(stat -Lc %Hd "$f")" = 7 ] && fsfreeze -u "$f" && return
                done
        done
} 2>/dev/null

# Processes and mounts went with the namespaces; a loop device may need a moment to let go.
tidy() {
        local i
        { kill -KILL $INNER; wait $INNER; } 2>/dev/null # the first process inside dies with its parent
        [ -z "$CG" ] || { echo 0 >"$CG/cgroup.freeze"; for i in {1..50}; do rmdir "$CG" 2>/dev/null && break; thaw_stuck; sleep 0.1; done; }
        rm -rf "$DIR"
}

attached() { # how many loop devices have a file of ours
        cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -c "^$DIR/"
}

none_attached() { # after a moment
        local i
        for i in {1..50}; do [ "$(attached)" = 0 ] && return 0; sleep 0.1; done
        return 1
}

# result NAME WHY...: `ok` when WHY is empty
result() {
        local name=$1
        shift
        if [ -z "$*" ]; then echo "ok $name"; else echo "not ok $name: $*"; FAILED=1; fi
}

# expect CODE WORDS... -- COMMAND...: prints what is wrong: the exit code, or a message that lacks one of the words
expect() {
        local want=$1 words=() out code word
        shift
        while [ "$1" != -- ]; do words+=("$1"); shift; done
        shift
        out=$("$@" 2>&1 </dev/null)
        code=$?
        [ "$code" = "$want" ] || { echo "${*:2:2} ended with $code, not $want: $out;"; return; }
        for word in "${words[@]}"; do
                [[ $out == *"$word"* ]] || echo "the message lacks '$word': $out;"
        done
}
