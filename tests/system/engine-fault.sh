#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every call of base/sys.h that a command makes, in it, its worker or the container's first process, is failed once: k = 1, 2,
# 3 … until no process gets so far. After each the container is stopped with nothing left, or runs and can be stopped; a
# command that says 0 has done its work.
#
# GANTRY_TRIES (25) bounds the steps of a command: they are spread over all its calls then.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
bb_template
TRIES=${GANTRY_TRIES:-25}
mkdir "$DIR/bin" && cp "$B/tests/system/ctrctl-fault" "$DIR/bin/" && cp "$B/tools/ctrmon" "$DIR/bin/" || exit 1

# fault K VERB...: runs it; what it said is in $DIR/out, its status in RC. false: no process made K calls.
fault() {
        local k=$1
        shift
        rm -f "$DIR/fault.log"
        GANTRY_FAULT=$k:5 GANTRY_FAULT_LOG=$DIR/fault.log timeout 300 "$DIR/bin/ctrctl-fault" "$@" >"$DIR/out" 2>&1 </dev/null
        RC=$?
        [ -s "$DIR/fault.log" ]
}
struck() { tr '\n' ';' <"$DIR/fault.log"; }

# Where the calls of VERB... end: doubling, then halving. `again` brings the container back to where the verb can be run.
count_calls() { # AGAIN VERB...
        local again=$1 low=0 high=64 mid
        shift
        while fault $high "$@"; do low=$high; high=$((high * 2)); $again; done
        $again
        while [ $((high - low)) -gt 1 ]; do
                mid=$(((low + high) / 2))
                if fault $mid "$@"; then low=$mid; else high=$mid; fi
                $again
        done
        echo $low
}

rested() { "$CTL" list >/dev/null 2>&1; [ "$(state web1)" = stopped ] && clean web1; }
running() { "$CTL" list >/dev/null 2>&1; [ "$(state web1)" = running ]; }
steady() { rested || running; }

to_stopped() { wait_for 30 steady; [ "$(state web1)" = running ] && "$CTL" stop web1 --timeout 5 >/dev/null 2>&1; wait_for 30 rested; }
no_image() { rm -rf "$DIR/img"; to_running; }
to_running() { wait_for 30 steady; [ "$(state web1)" = running ] || "$CTL" start web1 >/dev/null 2>&1; }

# sweep NAME AGAIN JUDGE VERB...
sweep() {
        local name=$1 again=$2 judge=$3 why="" all i k
        shift 3
        $again
        all=$(count_calls "$again" "$@")
        [ "$all" -gt 10 ] || why+="it makes $all calls;"
        for ((i = 1; i <= (all < TRIES ? all : TRIES); i++)); do
                k=$i
                [ "$all" -le "$TRIES" ] || k=$((1 + i * (all - 1) / TRIES))
                $again || { why+="before $k: it is $(state web1), $(leftovers web1);"; break; }
                fault $k "$@" || continue
                why+=$($judge $k)
                [ -z "$why" ] || break
        done
        $again
        fault 0 "$@"
        [ $RC = 0 ] || why+="without a fault it says $RC: $(cat "$DIR/out");"
        $again
        result "$name" "$why"
        echo "# $name: $all calls" >&2
}

judge_start() {
        wait_for 30 steady || { echo "call $1 ($(struck)): it is $(state web1), $(leftovers web1);"; return; }
        if [ $RC = 0 ]; then
                wait_for 30 running || echo "call $1 ($(struck)): it says 0 and is $(state web1);"
        elif [ $RC -gt 22 ] || ! grep -q "^ctrctl" "$DIR/out"; then
                echo "call $1 ($(struck)): status $RC, $(cat "$DIR/out");"
        fi
}

judge_stop() {
        wait_for 30 steady || { echo "call $1 ($(struck)): it is $(state web1), $(leftovers web1);"; return; }
        [ $RC != 0 ] || wait_for 30 rested || echo "call $1 ($(struck)): it says 0 and is $(state web1), $(leftovers web1);"
}

judge_checkpoint() {
        wait_for 30 running || { echo "call $1 ($(struck)): it is $(state web1), $(leftovers web1): $(cat "$DIR/out");"; return; }
        wait_for 30 served || echo "call $1 ($(struck)): it does not serve;"
        [ $RC != 0 ] || [ -e "$DIR/img/records" ] || echo "call $1 ($(struck)): it says 0 and there is no image;"
        # Once the image is whole only the thaw can fail; then the guard, or the next command, has seen to it.
        [ $RC = 0 ] || [ ! -e "$DIR/img" ] || grep -q "thaw\|go on" "$DIR/out" || echo "call $1 ($(struck)): it says $RC and there is an image;"
        rm -rf "$DIR/img"
}

[ -z "$(expect 0 -- make web1 --memory 64M --ip4 10.88.0.50/24)" ] || { echo "not ok create: it cannot be made"; exit 1; }
sweep start to_stopped judge_start start web1
sweep stop to_running judge_stop stop web1 --timeout 5
to_running
sweep checkpoint no_image judge_checkpoint checkpoint web1 "$DIR/img" --leave-running
rm -rf "$DIR/img"
to_running
"$CTL" checkpoint web1 "$DIR/image" >/dev/null || { echo "not ok restore: no image"; exit 1; }
sweep restore to_stopped judge_start restore web1 "$DIR/image"
to_stopped
exit $FAILED
