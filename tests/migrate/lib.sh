# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of two nodes share. A test sources this, calls `nodes_up NAME` and prints lines `ok NAME`,
# `not ok NAME: why`, `skip NAME: why`. Whatever way it ends, the nodes go with it; two may run at the same time.
#
#       n1 CMD...  n2 CMD...    in a node;  client CMD...  mid CMD...   outside
#       web_up                  container web1 on node1: Debian's nginx with two workers at 10.77.0.10
#       download_start ARGS...  the one-socket client, in the background; download_stop: ends it, its JSON is $DOWNLOAD
#
# GANTRY_BUILD: the build directory (in tests/run the one without sanitizers). GANTRY_TEMPLATE: an image with nginx to use instead of making one.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib.bash"
BUILD=${GANTRY_BUILD:-${T_RELEASE:-$ROOT/build}}
CACHE=/var/cache/gantry-tests

ok() { echo "ok $1"; }
not_ok() { echo "not ok $1: ${2:-}"; FAILED=1; }
skip() { echo "skip $1: $2"; }
note() { echo "# $*" >&2; }

# check NAME CONDITION...: one line by the condition's outcome.
check() {
        local name=$1
        shift
        if "$@"; then ok "$name"; else not_ok "$name" "not so: $*"; fi
}

n1() { "$ROOT/tools/nodes" exec "$PREFIX" node1 "$@"; }
n2() { "$ROOT/tools/nodes" exec "$PREFIX" node2 "$@"; }
client() { "$ROOT/tools/nodes" exec "$PREFIX" client "$@"; }
mid() { "$ROOT/tools/nodes" exec "$PREFIX" mid "$@"; }
on() { local node=$1; shift; "$ROOT/tools/nodes" exec "$PREFIX" "$node" "$@"; }

finish() {
        [ -n "${WORK:-}" ] && touch "$WORK/stop-download" "$WORK/stop-watch"
        [ -n "${PREFIX:-}" ] && "$ROOT/tools/nodes" down "$PREFIX"
        [ -n "${WORK:-}" ] && rm -rf "$WORK"
        WORK=
}

# The programs of the build by name in one directory; a test may put others in their place.
make_bin() {
        local p
        mkdir "$WORK/bin"
        for p in ctrctl ctrmon ctrmigrate ctrploop; do
                [ -x "$BUILD/tools/$p" ] || { not_ok build "there is no $BUILD/tools/$p"; exit 1; }
                cp "$BUILD/tools/$p" "$WORK/bin/"
        done
}

# Those of a run that was killed an hour ago or more: no process holds their lock.
remove_old() { # NAME
        local old
        for old in $(find /var/lib/gantry-nodes -mindepth 1 -maxdepth 1 -name "$1-*" -mmin +60 2>/dev/null); do
                { [ ! -e "$old/node1/lock" ] || flock -n "$old/node1/lock" true; } && { [ ! -e "$old/node2/lock" ] || flock -n "$old/node2/lock" true; } &&
                        "$ROOT/tools/nodes" down "${old##*/}"
        done
}

nodes_up() {
        PREFIX=$1-${T_RUN:-$$}
        [ "$(id -u)" = 0 ] || { skip "$1" "it needs root"; exit 0; }
        remove_old "$1"
        WORK=$(mktemp -d "/tmp/gantry-$PREFIX-XXXXXX")
        trap finish EXIT
        trap 'exit 130' INT TERM HUP
        make_bin
        "$ROOT/tools/nodes" up "$PREFIX" --bin "$WORK/bin" || { not_ok nodes "they do not come up"; exit 1; }
}

# An image with Debian and nginx, made once and kept: in a mount namespace where the cache is the node's directory.
template() {
        if [ -n "${GANTRY_TEMPLATE:-}" ]; then echo "$GANTRY_TEMPLATE"; return; fi
        local image=$CACHE/template/debian-12.img
        mkdir -p "$CACHE" /var/lib/gantry
        # shellcheck disable=SC2016
        flock "$CACHE/made" unshare --mount bash -c '[ -f "$3" ] || { mount --bind "$1" /var/lib/gantry &&
                exec "$2" template create debian-12 --packages nginx-light; }' - "$CACHE" "$BUILD/tools/ctrctl" "$image" >&2 || return 1
        echo "$image"
}

NGINX='/usr/sbin/nginx -g "daemon off;"'

web_create() {
        local image
        image=$(template) || { not_ok template "Debian's packages cannot be had"; exit 1; }
        mkdir -p "/var/lib/gantry-nodes/$PREFIX/node1/lib/template"
        cp --sparse=always "$image" "/var/lib/gantry-nodes/$PREFIX/node1/lib/template/web.img"
        n1 ctrctl create web1 --template web --size 2G --memory 512M --pids 200 --ip4 10.77.0.10/24 --ip6 fd77::10/64 --init "$NGINX"
}

workers() { n1 ctrctl exec web1 cat /proc/1/task/1/children; } # nginx's, by number
answers() { client bash -c 'exec 3<>/dev/tcp/10.77.0.10/80'; }
two_others() { # NUMBERS: two workers, none of them of these
        local now
        now=$(workers) || return 1
        [ "$(wc -w <<<"$now")" = 2 ] && [ -z "$(comm -12 <(tr ' ' '\n' <<<"$1" | grep . | sort) <(tr ' ' '\n' <<<"$now" | grep . | sort))" ]
}

# DATA_MIB of random bytes are served as /data.bin, by two workers of nginx. It has a pid file a moment after it listens, and old workers
# end a moment after they are told to.
web_up() {
        local before
        web_create && n1 ctrctl start web1 || { not_ok start "web1 does not start"; exit 1; }
        n1 ctrctl exec web1 sh -c "head -c ${DATA_MIB:-32}M /dev/urandom >/var/www/html/data.bin && sync" ||
                { not_ok start "no data in web1"; exit 1; }
        wait_for 60 n1 ctrctl exec web1 test -s /run/nginx.pid || { not_ok start "nginx does not begin"; exit 1; }
        before=$(workers)
        n1 ctrctl exec web1 sh -c "sed -i 's/^worker_processes.*/worker_processes 2;/' /etc/nginx/nginx.conf && nginx -s reload" &&
                wait_for 60 two_others "$before" || { not_ok start "nginx does not take its configuration"; exit 1; }
        wait_for 60 answers || { not_ok start "nginx does not answer"; exit 1; }
}

watch_start() {
        rm -f "$WORK/stop-watch" "$WORK/watch.err"
        mid "$BUILD/tests/client/watch" client "$WORK/stop-watch" >"$WORK/watch.json" 2>"$WORK/watch.err" &
        WATCH=$!
        wait_for 60 grep -q ready "$WORK/watch.err" || { not_ok watch "it does not begin: $(cat "$WORK/watch.err")"; exit 1; }
}
watch_stop() { touch "$WORK/stop-watch"; wait "$WATCH"; RESETS=$(field "$(cat "$WORK/watch.json")" resets); }

download_start() {
        rm -f "$WORK/stop-download" "$WORK/mark"
        client "$BUILD/tests/client/download" --host 10.77.0.10 --path /data.bin --rate 20M --mark "$WORK/mark" \
                --until "$WORK/stop-download" "$@" >"$WORK/download.json" 2>"$WORK/download.err" &
        DOWNLOADER=$!
        wait_for 60 test -e "$WORK/mark"
}
# What the client has got by now, in bytes.
received() { client ss -Htin dst 10.77.0.10 | sed -n 's/.*bytes_received:\([0-9]*\).*/\1/p'; }
download_stop() { touch "$WORK/stop-download"; wait "$DOWNLOADER"; DOWNLOAD=$(cat "$WORK/download.json"); }

# state NODE: of web1 there, "-" when the node has none of that name.
state() {
        on "$1" ctrctl list --json 2>/dev/null | python3 -c 'import json, sys
for c in json.load(sys.stdin):
        if c["name"] == "web1": print(c["state"]); break
else: print("-")'
}
runs_only_on() {
        local other=node1
        [ "$1" = node1 ] && other=node2
        [ "$(state "$1")" = running ] && [ "$(state $other)" != running ] && [ "$(state $other)" != frozen ]
}

# left_on NODE BEFORE: what is there still after a moment, and was not in the census BEFORE; one line
left_on() {
        none_left() { LEFT=$(comm -13 <(echo "$2") <(census "$1")); [ -z "$LEFT" ]; }
        wait_for 20 none_left "$1" "$2" || echo "$LEFT" | paste -sd ';' | cut -c1-300
}

# census NODE: what a node holds, by a program that shares nothing with the engine; without the census itself and without what
# is not the node's: loop devices and cgroups are the machine's, others may be at work beside us.
census() {
        # shellcheck disable=SC2016
        on "$1" bash -c '"$1" take | while read -r kind what; do
                case "$kind $what" in
                "process "*) [[ $what =~ ^(census|bash|sort|nsenter|env)$ ]] && continue ;;
                "cgroup "*) [[ $what == *"$2"/* ]] || continue ;;
                "loop "*"/ct/web1/root.img (deleted)") ;;
                "loop "*) [ -e "$what" ] || continue ;;
                esac
                echo "$kind $what"
        done' - "$ROOT/tests/suites/census" "gantry-$PREFIX-$1"
}
