#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a checkpoint cannot keep of a real container is refused by name: keys, a firewall, rules, odd routes and links. And the keys of whoever starts a
# container, or runs a command in it, are not in it.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
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

# A key that nobody holds, in the persistent keyring of a user of the container.
test_persistent_key() {
        local why="" pid
        pid=$(init_pid web1)
        key() { # CODE of python, with `ring`
                nsenter -U -t "$pid" -S 0 -G 0 python3 -c 'import ctypes, sys
c = ctypes.CDLL(None, use_errno=True)
ring = c.syscall(250, 22, 1234, -2)   # keyctl(KEYCTL_GET_PERSISTENT, 1234, process keyring)
assert ring > 0, "keyctl"
exec(sys.argv[1])' "$1"
        }
        key 'assert c.syscall(248, b"user", b"ticket", b"x", 1, ring) > 0, "add_key"' || why+="no key;"
        why+=$(expect 11 "task-keyring" "persistent" -- saved)
        key 'assert c.syscall(250, 7, ring) == 0, "clear"' || why+="it cannot be cleared;"
        why+=$(expect 0 -- saved)
        result persistent-key "$why"
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

# What is beyond what a record of a route, an address or a link can hold.
test_beyond() {
        local why="" mac
        in_net ip addr add 10.88.0.50/24 dev eth0
        in_net ip route add 10.99.0.0/16 nexthop dev eth0 nexthop via 10.88.0.1 || why+="no route;"
        why+=$(expect 11 "10.99.0.0/16" "several next hops" -- saved)
        in_net ip route del 10.99.0.0/16
        in_net ip route add 10.99.0.0/16 encap ip id 7 dst 192.0.2.1 dev eth0 || why+="no tunnel;"
        why+=$(expect 11 "10.99.0.0/16" "encapsulates" -- saved)
        in_net ip route del 10.99.0.0/16
        in_net ip link set eth0 alias uplink
        why+=$(expect 11 "link-veth" "alias" -- saved)
        in_net ip link set eth0 alias ""
        offload() {
                in_net python3 -c 'import array, fcntl, socket, struct, sys
v = array.array("B", struct.pack("II", 0x17, int(sys.argv[1])))   # ETHTOOL_STXCSUM
fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP16x", b"eth0", v.buffer_info()[0]))' "$1"
        }
        offload 0 || why+="no offload;"
        why+=$(expect 11 "link-veth" "offloads" -- saved)
        offload 1
        why+=$(expect 0 -- saved)
        # The hardware address is the configuration's: a restore says so.
        mac=$(in_net cat /sys/class/net/eth0/address)
        in_net ip link set eth0 address 02:00:00:00:77:77
        why+=$(expect 0 -- "$CTL" checkpoint web1 "$DIR/mac")
        why+=$(expect 11 "hardware address" "ct.conf" -- "$CTL" restore web1 "$DIR/mac")
        [ "$(state web1)" = stopped ] || why+="it is $(state web1), mac $mac;"
        result beyond "$why"
}

test_keys
test_persistent_key
test_rule
test_filter
test_beyond
exit $FAILED
