#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# MOVES moves back and forth (50 unless set), one client connection for all of them at 20 MB/s, --remove-source: no reset, no
# wrong byte, and at the end each node holds what it held before.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
MOVES=${MOVES:-50}
nodes_up mvs
empty1=$(census node1) empty2=$(census node2)
DATA_MIB=48 web_up
watch_start
download_start || { not_ok download "it does not start: $(cat "$WORK/download.err")"; exit 1; }
at=node1 done=0
while [ $done -lt "$MOVES" ]; do
        to=host2 next=node2
        [ $at = node2 ] && to=host1 next=node1
        out=$(on $at ctrmigrate web1 $to --remove-source --json 2>"$WORK/migrate.err") || {
                not_ok moves "move $((done + 1)) from $at: $out $(tail -1 "$WORK/migrate.err")"
                break
        }
        done=$((done + 1))
        at=$next
        echo "$(field "$out" frozen_ms) $(field "$out" total_ms)" >>"$WORK/times"
        kill -0 "$DOWNLOADER" 2>/dev/null || { not_ok moves "the client ended after move $done: $(cat "$WORK/download.json")"; break; }
done
[ $done = "$MOVES" ] && ok "moves ($done, frozen ms median $(sort -n "$WORK/times" | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'), max $(sort -n "$WORK/times" | awk 'END { print $1 }'))"
sum=$(on $at ctrctl exec web1 sha256sum /var/www/html/data.bin | cut -d' ' -f1)
download_stop
watch_stop
note "$DOWNLOAD"
check no-wrong-byte [ "$(field "$DOWNLOAD" sha256) $(field "$DOWNLOAD" mismatches) $(field "$DOWNLOAD" errors)" = "$sum 0 0" ]
check no-reset [ "$(field "$DOWNLOAD" resets) $RESETS" = "0 0" ]
on $at ctrctl stop web1 >&2 && on $at ctrctl destroy web1 >&2
for node in node1 node2; do
        before=$empty1
        [ $node = node2 ] && before=$empty2
        left=$(left_on $node "$before")
        if [ -z "$left" ]; then ok "nothing-left-on-$node"; else not_ok "nothing-left-on-$node" "$left"; fi
        files=$(find "/var/lib/gantry-nodes/$PREFIX/$node/lib" -type f ! -path '*/template/*' ! -name '*lock*' | paste -sd ' ')
        check "no-files-on-$node" [ -z "$files" ]
done
exit $FAILED
