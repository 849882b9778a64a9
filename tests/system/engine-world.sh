#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a checkpoint cannot keep of a real container is refused by name: keys, a firewall, rules. And the keys of whoever starts a
# container, or runs a command in it, are not in it.
set -u
export LC_ALL=C.UTF-8
. "$(dirname "$0")/engine-common.bash"
[ -n "${ENGINE_INSIDE:-}" ] || outside "$@"
node
bb_template

# COMMAND… in a new session keyring that holds a key
with_key() {
        python3 -c 'import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
assert c.syscall(250, 1, None) > 0, "keyctl"
assert c.syscall(248, b"user", b"gantry-caller", b"secret", 6, -3) > 0, "add_key"
os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}
saved() { rm -rf "$DIR/image"; "$CTL" checkpoint web1 "$DIR/image" --leave-running; }
in_net() { nsenter --net="/proc/$(init_pid web1)/ns/net" "$@"; }

test_keys() {
        local why=""
        why+=$(expect 0 -- make web1 --memory 64M)
        why+=$(expect 0 -- with_key "$CTL" start web1)
        # Its shell ends, and it is a child of the container's init with whatever keys it came with.
        with_key "$CTL" exec web1 -- sh -c 'sleep 600 </dev/null >/dev/null 2>&1 &' </dev/null || why+="exec failed;"
        why+=$(expect 0 -- saved)
        result keys "$why"
}

test_rule() {
        local why=""
        in_net ip rule add fwmark 7 table main pref 100 || why+="no rule;"
        why+=$(expect 11 "net-rule" -- saved)
        in_net ip rule del pref 100
        in_net ip -6 rule del pref 32766 || why+="the default rule is not there;"
        why+=$(expect 11 "net-rule" -- saved)
        in_net ip -6 rule add pref 32766 table main
        result rule "$why"
}

test_filter() {
        local why=""
        in_net nft add table inet fence || why+="no table;"
        why+=$(expect 11 "net-nft" -- saved)
        [ "$(state web1)" = running ] || why+="it is $(state web1);"
        in_net nft list ruleset | grep -q fence || why+="the table is gone;"
        in_net nft flush ruleset
        why+=$(expect 0 -- saved)
        result filter "$why"
}

test_keys
test_rule
test_filter
exit $FAILED
