#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 of either side before and after each ownership record (a ctrmigrate that kills itself there, dying.c), one client
# connection through all of them. Before OFFERED the container goes on by itself; in OFFERED it stays frozen and is listed as
# offered until --resolve has asked. After each case exactly one node runs it, and nothing is left on the other.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
nodes_up k9
cp "$BUILD/tests/migrate/ctrmigrate-dying" "$WORK/bin/ctrmigrate"
DATA_MIB=16 web_up
watch_start
download_start || { not_ok download "it does not start"; exit 1; }
empty2=$(census node2)
at=node1

other() { [ "$1" = node1 ] && echo node2 || echo node1; }
host() { echo "host${1#node}"; }
leftovers() {
        local lib=/var/lib/gantry-nodes/$PREFIX/$1/lib
        find "$lib/ct" -mindepth 1 -maxdepth 1 ! -name '.*' ! -name "$2" 2>/dev/null | paste -sd ' '
}

# is_now STATE: of web1 on the source; `any` is all but frozen. Sets `now`.
is_now() { now=$(state $at); [ "$now" = "$1" ] || [ "$1" = any ] && [ "$now" != frozen ]; }
# resolve NODE: again while the other half of what died is still at work on it there
resolve() {
        local i
        for i in {1..100}; do
                on "$1" timeout 60 ctrmigrate --resolve web1 --remove-source
                [ $? = 7 ] || return
                sleep 0.2
        done
}

# death SIDE WHEN FILE WORD AFTER [all]: AFTER is what web1 must be on the source without anybody's help: running, offered,
# or any. `all`: the guard dies too, and the next command cures what is frozen (here `ctrctl list`).
death() {
        local side=$1 when=$2 file=$3 word=$4 after=$5 name="$1-$2-$3-$4${6:+-all}" to who rc now left
        to=$(other $at)
        who=$at
        [ "$side" = target ] && who=$to
        on "$who" sh -c "echo $when $file $word ${6-} >/run/gantry/die-at"
        on $at timeout 300 ctrmigrate web1 "$(host $to)" --remove-source --timeout 120 >"$WORK/out" 2>&1
        rc=$?
        if on "$who" test -e /run/gantry/die-at; then
                not_ok "$name" "nobody died: $rc $(tail -1 "$WORK/out")"
                on "$who" rm -f /run/gantry/die-at
        fi
        # What the guard does comes a moment after its command's death.
        wait_for 20 is_now "$after"
        if [ "$after" != any ] && [ "$now" != "$after" ]; then not_ok "$name" "it is $now, not $after: $rc $(tail -1 "$WORK/out")"; fi
        [ "$now" = frozen ] && [ "$after" != frozen ] && not_ok "$name" "it was left frozen"
        resolve $at >"$WORK/resolve1" 2>&1
        resolve "$to" >"$WORK/resolve2" 2>&1
        [ "$(state $at)" = "-" ] || [ "$(state "$to")" = "-" ] || { not_ok "$name" "both nodes have it: $(state $at), $(state "$to")"; return; }
        [ "$(state "$to")" = running ] && at=$to
        if ! runs_only_on $at; then
                not_ok "$name" "nobody runs it: $(state node1), $(state node2): $(cat "$WORK/out" "$WORK/resolve1" "$WORK/resolve2" | paste -sd '|')"
                return
        fi
        left=$(leftovers "$(other $at)" -)$(leftovers $at web1)
        if [ -n "$left" ]; then not_ok "$name" "left: $left"
        elif ! kill -0 "$DOWNLOADER" 2>/dev/null; then not_ok "$name" "the client ended: $(cat "$WORK/download.json")"
        else ok "$name"; fi
}

death source before journal frozen running
death source after journal frozen running
death target after journal VOID running
death target before journal PREPARED running
death target after journal PREPARED running
death source before journal OFFERED running
death source before journal OFFERED running all
death source after journal OFFERED any
death source after journal OFFERED offered all
death target before ledger CLAIMED any
death target after ledger CLAIMED any
death target before journal CLAIMED any
death target after journal CLAIMED any
death source before journal GONE offered
death source after journal GONE any

sum=$(on $at ctrctl exec web1 sha256sum /var/www/html/data.bin | cut -d' ' -f1)
download_stop
watch_stop
note "$DOWNLOAD"
check client-got-all [ "$(field "$DOWNLOAD" sha256) $(field "$DOWNLOAD" mismatches) $(field "$DOWNLOAD" errors)" = "$sum 0 0" ]
check no-reset [ "$(field "$DOWNLOAD" resets) $RESETS" = "0 0" ]
exit $FAILED
