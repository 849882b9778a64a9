# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the engine's tests share; sourced. Each runs once outside, which makes a directory and chooses a cgroup subtree
# of its own and removes both whatever happens, and once inside a node: mount, network and pid namespaces with their own
# /etc/gantry, /var/lib/gantry and /run/gantry and a bridge br0 (10.88.0.1/24, fd88::1/64).

B=${T_BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build}
CTL=$B/tools/ctrctl
LIB=/var/lib/gantry RUN=/run/gantry
FAILED=0
BRIDGE=br0

outside() { # runs "$0" inside; does not return
        [ "$(id -u)" = 0 ] || { echo "skip ${0##*/}: needs root"; exit 0; }
        DIR=$(mktemp -d /var/tmp/gantry-engine-test.XXXXXX) || exit 1
        SUBTREE=gantry-${DIR##*/}
        mkdir -p "$DIR"/{etc,lib,run} /etc/gantry $LIB $RUN
        trap 'tidy' EXIT
        trap 'exit 1' INT TERM HUP
        DIR=$DIR SUBTREE=$SUBTREE ENGINE_INSIDE=1 unshare --mount --propagation private --net --uts --pid --fork --mount-proc \
                --kill-child "$0" "$@" &
        wait $!
        exit $?
}

cgroup_roots() { awk '$3 ~ /^cgroup/ { print $2 }' /proc/self/mounts; }

tidy() {
        local r i
        for r in $(cgroup_roots); do
                for i in {1..50}; do
                        [ -d "$r/$SUBTREE" ] || break
                        find "$r/$SUBTREE" -depth -type d -exec rmdir {} + 2>/dev/null
                        [ -d "$r/$SUBTREE" ] && sleep 0.1
                done
        done
        rm -rf --one-file-system "$DIR"
}

node() { # inside
        mount --bind "$DIR/etc" /etc/gantry && mount --bind "$DIR/lib" $LIB && mount -t tmpfs -o mode=755 run $RUN || exit 1
        printf 'cgroup = %s\nbridge = %s\nidmap_range = 20000000:1048576\n' "$SUBTREE" $BRIDGE >/etc/gantry/node.conf
        ip link set lo up && ip link add $BRIDGE type bridge mcast_snooping 0 forward_delay 0 && ip link set $BRIDGE up &&
                ip addr add 10.88.0.1/24 dev $BRIDGE && ip addr add fd88::1/64 dev $BRIDGE nodad || exit 1
        cd "$DIR" || exit 1
}

# A template "bb" of one static busybox and an init that serves /www and ends with status 3 when it is asked to.
bb_template() {
        local r=$DIR/bb a
        mkdir -p "$r"/{bin,sbin,dev,proc,sys,run,tmp,www,root} $LIB/template
        cp "$(command -v busybox)" "$r/bin/busybox"
        for a in $("$r/bin/busybox" --list); do
                [ "$a" = busybox ] || ln -s busybox "$r/bin/$a"
        done
        echo hello >"$r/www/index.html"
        cat >"$r/sbin/init-test" <<'INIT'
#!/bin/sh
trap 'echo bye; exit 3' TERM
echo "console works"
httpd -p 80 -h /www
while :; do sleep 3600 & wait $!; done
INIT
        chmod 755 "$r/sbin/init-test"
        mke2fs -q -t ext4 -b 4096 -O metadata_csum_seed -E root_owner=0:0 -d "$r" $LIB/template/bb.img 32M || exit 1
}

INIT=/sbin/init-test
# make NAME [OPTIONS…]
make() { local n=$1; shift; "$CTL" create "$n" --template bb --size 64M --init $INIT "$@" </dev/null; }

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

state() { "$CTL" list | awk -v n="$1" '$1 == n { s = $2 } END { print s ? s : "none" }'; }
init_pid() { "$CTL" info "$1" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["pid"] or "")'; }

# Loop devices whose file is this container's image, by inode: other nodes on this machine have the same paths.
loops_of() {
        local dev
        [ -e "$LIB/ct/$1/root.img" ] || return 0
        dev=$(stat -c '%Hd:%Ld' "$LIB/ct/$1/root.img")
        losetup -n -O NAME,BACK-INO,BACK-MAJ:MIN 2>/dev/null | awk -v i="$(stat -c %i "$LIB/ct/$1/root.img")" -v d="$dev" '$2 == i && $3 == d { print $1 }'
}
# What a container leaves on the node while it runs: loop devices of ours, links, cgroups, monitors, marks.
leftovers() {
        local l r
        for l in $(loops_of "$1"); do echo "loop device $l;"; done
        for l in /sys/class/net/vz*; do [ -e "$l" ] && echo "link ${l##*/};"; done
        ip -o link | grep -o 'vz[0-9a-f]*' | head -n 1
        for r in $(cgroup_roots); do [ -d "$r/$SUBTREE/$1" ] && echo "cgroup $r/$SUBTREE/$1;"; done
        for l in state ground; do [ -e "$RUN/$1/$l" ] && echo "mark $l;"; done
        for l in /proc/[0-9]*/comm; do [ "$(cat "$l" 2>/dev/null)" = ctrmon ] && echo "a monitor;"; done
}
clean() { [ -z "$(leftovers "$1")" ]; }
