#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cannot work is refused with the right exit code, a reason and a remedy, the container goes on, and neither node keeps
# anything: no such container or host, ssh refused, host key changed or unknown, name, address or hardware address
# taken, no bridge, a disk too small at the check and one that fills up in the middle.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
nodes_up ref
DATA_MIB=16 web_up
download_start || { not_ok download "it does not start"; exit 1; }
STATE2=/var/lib/gantry-nodes/$PREFIX/node2
before=$(census node2)

# refused NAME CODE WORD ARGS...: ctrmigrate ends with CODE, says WORD, and web1 runs here as before.
refused() {
        local name=$1 code=$2 word=$3 rc text left
        shift 3
        # shellcheck disable=SC2086
        text=$(n1 ${WITH:-} ctrmigrate "$@" 2>&1)
        rc=$?
        [ -z "${BESIDE:-}" ] || { n2 touch /run/enough; wait "$BESIDE"; } # what ran beside it ends before anything is counted
        left=$(left_on node2 "$before")
        if [ $rc != "$code" ]; then not_ok "$name" "exit code $rc, not $code: $(echo "$text" | tail -2 | paste -sd ' ')"
        elif [[ $text != *"$word"* ]]; then not_ok "$name" "it does not say '$word': $(echo "$text" | tail -2 | paste -sd ' ')"
        elif ! runs_only_on node1; then not_ok "$name" "web1 is $(state node1) here, $(state node2) there"
        elif [ -n "$left" ]; then not_ok "$name" "left on the target: $left"
        elif [ -e "$STATE2/lib/ct/web1.incoming" ]; then not_ok "$name" "web1.incoming is left on the target"
        else ok "$name"; fi
}

refused no-such-container 4 nosuch nosuch host2
refused no-such-host 14 nowhere.invalid web1 nowhere.invalid
refused wrong-options 2 exclude web1 host2 --keep-source --remove-source
refused option-for-a-host 2 'host' web1 -- -oProxyCommand=true

refused time-limit 17 'time limit' web1 host2 --timeout 1
# A signal in the middle of the copy: it is undone in order.
WITH="bash $(dirname "$(readlink -f "$0")")/interrupt-at.bash disk" refused interrupted 20 'by a signal' web1 host2

n1 cp /root/.ssh/known_hosts /root/.ssh/known_hosts.good
n1 sh -c "awk '{ print \$1 }' /root/.ssh/known_hosts.good | sed 's|\$| $(n1 cut -d' ' -f1,2 /root/.ssh/id_ed25519.pub)|' >/root/.ssh/known_hosts"
refused host-key-changed 15 'has changed' web1 host2
n1 sh -c ': >/root/.ssh/known_hosts'
refused host-key-unknown 15 'unknown' web1 host2
n1 mv /root/.ssh/known_hosts.good /root/.ssh/known_hosts
n2 mv /root/.ssh/authorized_keys /root/.ssh/authorized_keys.off
refused login-refused 14 'Permission denied' web1 host2
n2 mv /root/.ssh/authorized_keys.off /root/.ssh/authorized_keys

n2 ctrctl create web1 --size 64M --bridge none >&2
before=$(census node2)
text=$(n1 ctrmigrate web1 host2 --check 2>&1); rc=$?
if [ $rc = 19 ] && [[ $text == *"name is taken"* ]]; then ok name-taken; else not_ok name-taken "code $rc: $text"; fi
n2 ctrctl destroy web1 >&2
mac=$(n1 cat /var/lib/gantry/ct/web1/ct.conf | sed -n 's/^ *mac *= *//p')
n2 ctrctl create other --size 64M --ip4 10.77.0.10/24 --mac "$mac" >&2
text=$(n1 ctrmigrate web1 host2 --check --json 2>/dev/null); rc=$?
if [ $rc = 19 ] && [[ $text == *"address is taken"* ]] && [[ $text == *"hardware address is taken"* ]]; then
        ok all-findings-at-once
else
        not_ok all-findings-at-once "code $rc: $text"
fi
n2 ctrctl destroy other >&2
n2 ip link set br0 name br9
before=$(census node2)
refused no-bridge 19 'bridge is missing' web1 host2
n2 ip link set br9 name br0

# A small file system where the target's containers lie.
n2 sh -c 'mkdir -p /var/lib/gantry/ct && mount -t tmpfs -o size=32m tmpfs /var/lib/gantry'
before=$(census node2)
refused disk-too-small 19 'disk space' web1 host2
n2 umount /var/lib/gantry
n2 sh -c 'mount -t tmpfs -o size=900m tmpfs /var/lib/gantry'
before=$(census node2)
# The check passes, then somebody else writes: as soon as the copy lies there, at once, all that is left.
n2 bash -c 'until [ -e /run/enough ]; do
        if [ -s /var/lib/gantry/ct/web1.incoming/root.img ]; then
                left=$(df --output=avail -k /var/lib/gantry | tail -n 1)
                fallocate -l $((left > 2048 ? left - 2048 : 4))K /var/lib/gantry/other && break
        fi
        sleep 0.005
done' 2>/dev/null &
BESIDE=$! refused disk-fills-up 9 'No space left' web1 host2
n2 umount /var/lib/gantry
check client-undisturbed kill -0 "$DOWNLOADER"
download_stop
note "$DOWNLOAD"
check client-got-all [ "$(field "$DOWNLOAD" errors) $(field "$DOWNLOAD" mismatches)" = "0 0" ]
exit $FAILED
