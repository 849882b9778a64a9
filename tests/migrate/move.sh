#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One move under a running download, and what the source keeps. The source's directories are destroyed before the result
# counts: what the client then gets can only come from the target.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
nodes_up mv
DATA_MIB=64 web_up
watch_start
download_start || { not_ok download "it does not start: $(cat "$WORK/download.err")"; exit 1; }

check=$(n1 ctrmigrate web1 host2 --check --json)
check check-is-clean [ "$(field "$check" ok) $(field "$check" findings)" = "true []" ]
check check-changes-nothing [ "$(state node1) $(state node2)" = "running -" ]

uptime1=$(n1 ctrctl exec web1 cut -d. -f1 /proc/uptime)
out=$(n1 ctrmigrate web1 host2 --json 2>"$WORK/migrate.err") || { not_ok moves "$out $(cat "$WORK/migrate.err")"; }
note "$out"
if [ "$(field "$out" moved)" = true ]; then
        ok "moves ($(field "$out" frozen_ms) ms frozen)"
        check runs-there runs_only_on node2
        uptime2=$(n2 ctrctl exec web1 cut -d. -f1 /proc/uptime)
        # node2's own clock is 100,000 s ahead.
        check clock-does-not-jump awk "BEGIN { d = $uptime2 - $uptime1; exit !(d >= 0 && d <= 60) }"
        left=$(field "$out" left_as)
        check keeps-the-source [ "$(n1 ctrctl list | awk -v n="$left" '$1 == n { print $2 }')" = moved ]
        text=$(n1 ctrctl start "$left" 2>&1; echo "code $?"; n1 ctrmigrate "$left" host2 2>&1; echo "code $?"; n1 ctrctl set "$left" pids=9 2>&1; echo "code $?")
        check copy-is-told-by-name [ "$(grep -c -e 'another node' -e 'moved already' -e '^code 6' <<<"$text")" -ge 6 ]
        n1 ctrctl destroy "$left" >&2
        rm -rf "/var/lib/gantry-nodes/$PREFIX/node1/lib/ct" && mkdir "/var/lib/gantry-nodes/$PREFIX/node1/lib/ct"
        sleep 4
        sum=$(n2 ctrctl exec web1 sha256sum /var/www/html/data.bin | cut -d' ' -f1)
        download_stop
        watch_stop
        note "$DOWNLOAD"
        check same-bytes [ "$(field "$DOWNLOAD" sha256)" = "$sum" ]
        check no-error [ "$(field "$DOWNLOAD" errors) $(field "$DOWNLOAD" mismatches)" = "0 0" ]
        check one-connection [ "$(field "$DOWNLOAD" connections)" = 1 ]
        check no-reset [ "$(field "$DOWNLOAD" resets) $RESETS" = "0 0" ]
        check frozen-below-500-ms awk "BEGIN { exit !($(field "$out" frozen_ms) <= 500) }"
        check gap-below-1000-ms awk "BEGIN { exit !($(field "$DOWNLOAD" gap_ms) <= 1000) }"
        check stops-there n2 ctrctl stop web1
fi
exit $FAILED
