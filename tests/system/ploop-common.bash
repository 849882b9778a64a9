# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the ploop tests share; sourced. Each runs once outside, which makes a directory and a cgroup of its own and
# removes them whatever happens, and once inside a pid and mount namespace that ends with every process and mount.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.bash"

PLOOP=$B/tools/ctrploop

enter() { # ARG...: the script's; returns inside, in the directory
        if [ -n "${INSIDE:-}" ]; then cd "$DIR" || exit 1; return; fi
        needs_root
        local unified
        unified=$(cgroup2_root)
        DIR=$(mktemp -d "${TMPDIR:-/tmp}/gantry-ploop-${T_RUN:-by-hand}.XXXXXX") || exit 1
        CG=${unified:+$unified/${DIR##*/}}
        [ -z "$CG" ] || mkdir "$CG" || exit 1
        export DIR CG
        apart -- "$@"
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
        [ -z "$CG" ] || { echo 0 >"$CG/cgroup.freeze"; for i in {1..50}; do rmdir "$CG" 2>/dev/null && break; thaw_stuck; sleep 0.1; done; }
        rm -rf "$DIR"
}

attached() { # how many loop devices have a file of ours
        cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -c "^$DIR/"
}

none_attached() { wait_for 30 test_none; } # after a moment
test_none() { [ "$(attached)" = 0 ]; }
