# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the engine's tests share; sourced. Each runs once outside, which makes a directory and chooses a cgroup subtree
# of its own and removes both whatever happens, and once inside a node: mount, network and pid namespaces with their own
# /etc/gantry, /var/lib/gantry and /run/gantry and a bridge br0 (10.88.0.1/24, fd88::1/64).
. "$(dirname "${BASH_SOURCE[0]}")/../lib.bash"

CTL=$B/tools/ctrctl
LIB=/var/lib/gantry RUN=/run/gantry
BRIDGE=br0

enter() { # ARG...: the script's; returns in the node
        if [ -n "${INSIDE:-}" ]; then node; return; fi
        needs_root
        DIR=$(mktemp -d /var/tmp/gantry-engine-test.XXXXXX) || exit 1
        SUBTREE=gantry-${DIR##*/}
        export DIR SUBTREE
        mkdir -p "$DIR"/{etc,lib,run} /etc/gantry $LIB $RUN
        apart --net --uts -- "$@"
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

node() {
        mount --bind "$DIR/etc" /etc/gantry && mount --bind "$DIR/lib" $LIB && mount -t tmpfs -o mode=755 run $RUN || exit 1
        node_conf
        ip link set lo up && ip link add $BRIDGE type bridge mcast_snooping 0 forward_delay 0 && ip link set $BRIDGE up &&
                ip addr add 10.88.0.1/24 dev $BRIDGE && ip addr add fd88::1/64 dev $BRIDGE nodad || exit 1
        cd "$DIR" || exit 1
}
node_conf() { printf 'cgroup = %s\nbridge = %s\nidmap_range = 20000000:1048576\n' "$SUBTREE" $BRIDGE >/etc/gantry/node.conf; }

# template_of NAME DIRECTORY SIZE: from what lies there
template_of() { mke2fs -q -F -t ext4 -b 4096 -O metadata_csum_seed -E root_owner=0:0 -d "$2" "$LIB/template/$1.img" "$3" >/dev/null; }

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
        template_of bb "$r" 32M || exit 1
}

INIT=/sbin/init-test
# make NAME [OPTIONS…]
make() { local n=$1; shift; "$CTL" create "$n" --template bb --size 64M --init $INIT "$@" </dev/null; }

state() { "$CTL" list | awk -v n="$1" '$1 == n { s = $2 } END { print s ? s : "none" }'; }
# info CT KEY: one figure of `ctrctl info --json`, nothing for null
info() { local v; v=$(field "$("$CTL" info "$1" --json)" "$2"); [ "$v" = null ] || echo "$v"; }
init_pid() { info "$1" pid; }
# in_ct CT SCRIPT: a shell inside
in_ct() { "$CTL" exec "$1" -- sh -c "$2" </dev/null; }
served() { [ "$(timeout 3 busybox wget -qO- http://10.88.0.50/ 2>/dev/null)" = hello ]; } # by a container of that address

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
# left_behind CT: what is there still after a moment
left_behind() { wait_for 30 clean "$1" || echo "left behind: $(leftovers "$1")"; }

# Processes of commands: each itself, its worker and its guard, which are sessions of their own.
family() { local p; for p in /proc/[0-9]*; do [ "$(readlink "$p/exe" 2>/dev/null)" = "$(readlink -f "$CTL")" ] && echo "${p#/proc/}"; done; }
end_family() { # SIGKILL to each: only this test's own, in a pid namespace of its own
        local p
        for p in $(family); do kill -KILL "$p" 2>/dev/null; done
}
# settled CT: no command is at work any more, and it is stopped and clean or takes part again
settled() { [ -z "$(family)" ] && { clean "$1" || { [ "$(state "$1")" = running ] && in_ct "$1" true; }; }; }
monitor() { local p; for p in /proc/[0-9]*; do [ "$(cat "$p/comm" 2>/dev/null)" = ctrmon ] && { echo "${p#/proc/}"; return 0; }; done; return 1; }
