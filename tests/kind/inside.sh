#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Victims that need a container of their own (namespaces, links, addresses, mounts): each is the first program of one, which is
# dumped while it runs on, dumped again (the second dump equals the first), dumped and ended, restored, and asked; and restored
# on the disk as it was without the records of its kind, which somebody must miss.
#
# A victim STEM-refused holds something that is refused: in words that it writes to /talk/words.
#
#       inside.sh STEM…        prints `ok STEM/MODE` or `not ok STEM/MODE: why`; modes as in tests/suites/kind
. "$(dirname "$0")/../system/engine-common.bash"
VICTIMS=${T_RELEASE:-$B}/tests/victim
DRIVER=$B/tests/kind/kind-driver
enter "$@"

template() {
        local r=$DIR/inside
        mkdir -p "$r"/{bin,dev,proc,sys,run,tmp,talk,victim} $LIB/template
        cp "$(command -v busybox)" "$r/bin/busybox"
        for s; do cp "$VICTIMS/victim-$s" "$r/victim/$s"; done
        mke2fs -q -t ext4 -b 4096 -O metadata_csum_seed -E root_owner=0:0 -d "$r" $LIB/template/inside.img 128M || exit 1
}

in_ct() { "$CTL" exec "$@" </dev/null 2>&1; }

ready() { # NAME
        local i
        for i in {1..200}; do
                in_ct "$1" -- /bin/busybox test -e /talk/ready >/dev/null && return 0
                [ "$("$CTL" list --json 2>/dev/null | grep -c '"running"')" = 0 ] && break
                sleep 0.05
        done
        echo "the victim never said ready"
        return 1
}

# What a program that runs on between two dumps changes itself (registers, its stack, connections) and what the clock does is left out; all
# that it holds is compared.
normalised() {
        "$CTL" image show "$1" | python3 -c '
import json, sys
image = json.load(sys.stdin)
skip = {"header", "end", "pages", "task-cpu", "ns-time", "task-mm", "net-neigh", "sk-inet-stream"}
rows = image["records"] if isinstance(image, dict) else image
for r in rows:
    # Seconds that are left of addresses and routes.
    for row in r["message"].get("address", []) + r["message"].get("route", []):
        for key in {"valid", "preferred", "expires"} & row.keys():
            row[key] = row[key] in (0, 4294967295)
    if r.get("kind") not in skip and r.get("stem") not in skip:
        print(json.dumps(r, sort_keys=True))'
}

same() {
        normalised "$1" >"$DIR/a.json" && normalised "$2" >"$DIR/b.json" || { echo "an image cannot be shown"; return; }
        [ -s "$DIR/a.json" ] || { echo "an image shows no records"; return; }
        cmp -s "$DIR/a.json" "$DIR/b.json" || diff "$DIR/a.json" "$DIR/b.json" | cut -c1-300 | head -n 4
}

judge() { # NAME: asks, waits for the end, reads the verdict from the disk
        local i
        in_ct "$1" -- /bin/busybox touch /talk/go || { echo "cannot ask it"; return; }
        for i in {1..200}; do
                "$CTL" info "$1" 2>/dev/null | grep -qi 'state.*stopped' && break
                sleep 0.05
        done
        mkdir -p "$DIR/look" && "${CTL%ctrctl}ctrploop" mount "$LIB/ct/$1/root.img" "$DIR/look" --read-only || { echo "cannot read the verdict"; return; }
        [ "$(cat "$DIR/look/talk/result" 2>&1)" = ok ] || cat "$DIR/look/talk/result" 2>&1
        "${CTL%ctrctl}ctrploop" umount "$DIR/look"
}

# The image without the kind: the restore fails, or the victim does.
missed() { # NAME STEM
        local why img=$LIB/ct/$1/root.img
        why=$("$DRIVER" --without "$2" "$DIR" "$2-b" "$2-without") || { echo "$why"; return; }
        cat "$DIR/disk" >"$img"
        "$CTL" restore "$1" "$DIR/$2-without" >/dev/null 2>&1 </dev/null || return
        [ -n "$(judge "$1")" ] || echo "nobody misses the records of $2"
}

one() { # STEM
        local n=v-$1 why
        "$CTL" create "$n" --template inside --size 256M --ip4 10.88.0.30/24 --ip6 fd88::30/64 --init "/victim/$1 /talk" </dev/null &&
                "$CTL" start "$n" || { echo "not ok $1/restore: it does not start"; return; }
        why=$(ready "$n") || { result "$1/restore" "$why"; "$CTL" stop "$n" --timeout 0; "$CTL" destroy "$n"; return; }
        why=$("$CTL" checkpoint "$n" "$DIR/$1-a" --leave-running 2>&1 >/dev/null)
        result "$1/dump" "$why"
        [ -z "$why" ] && why=$("$CTL" checkpoint "$n" "$DIR/$1-b" 2>&1 >/dev/null)
        [ -z "$why" ] && why=$(same "$DIR/$1-a" "$DIR/$1-b")
        result "$1/twice" "$why"
        cp --sparse=always "$LIB/ct/$n/root.img" "$DIR/disk"
        why=$("$CTL" restore "$n" "$DIR/$1-b" 2>&1 >/dev/null)
        [ -z "$why" ] && why=$(judge "$n")
        result "$1/restore" "$why"
        "$CTL" stop "$n" --timeout 0 >/dev/null 2>&1
        case $1 in
        # The ground makes these whatever an image says; and on one node the clocks agree.
        ns-cgroup | ns-time) ;;
        *) result "$1/drop" "$(missed "$n" "$1")" ;;
        esac
        "$CTL" stop "$n" --timeout 0 >/dev/null 2>&1
        "$CTL" destroy "$n" >/dev/null 2>&1
}

# A dump says what the victim expects it to say, and nobody has noticed.
refused() { # STEM-refused
        local n=v-$1 why words
        "$CTL" create "$n" --template inside --size 256M --ip4 10.88.0.30/24 --ip6 fd88::30/64 --init "/victim/$1 /talk" </dev/null &&
                "$CTL" start "$n" || { echo "not ok $1/refuse: it does not start"; return; }
        why=$(ready "$n")
        if [ -z "$why" ]; then
                words=$(in_ct "$n" -- /bin/busybox cat /talk/words)
                why=$("$CTL" checkpoint "$n" "$DIR/$1" --leave-running 2>&1 >/dev/null)
                case $why in
                '') why="it was dumped" ;;
                *"${words:-nothing}"*) why=$(judge "$n") ;;
                esac
        fi
        result "$1/refuse" "$why"
        "$CTL" stop "$n" --timeout 0 >/dev/null 2>&1
        "$CTL" destroy "$n" >/dev/null 2>&1
}

template "$@"
for s; do
        case $s in
        *-refused) refused "$s" ;;
        *) one "$s" ;;
        esac
done
exit $FAILED
