#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The change tracker under a harsh writer: copies made in rounds must equal the image byte by byte; with something left
# out on purpose they must not; a killed copier leaves nothing.
#
#       tests/system/ploop-track.sh [RUNS]
. "$(dirname "$0")/ploop-common.bash"
enter "$@"
RUNS=${1:-3}
SIZE=333M WORDS=1332 # of 64 blocks: a size that no other test has
mkdir m

writers() { # starts them on a new image, in their cgroup
        "$PLOOP" create a.img --size $SIZE && "$PLOOP" mount a.img m || return 1
        (echo $BASHPID >"$CG/cgroup.procs" && exec "$B/tests/harsh-writer" m 600 "$@") >writer.log 2>&1 &
        WRITER=$!
        wait_for 60 test -e m/direct-5
}

# stop: ends the writers; WHY is what is wrong with them or the image. Not for a subshell: only a parent can wait.
stop() {
        WHY=""
        echo 0 >"$CG/cgroup.freeze"
        { kill -0 $WRITER; } 2>/dev/null || WHY+="the writers had ended: $(cat writer.log);"
        { kill -KILL $WRITER; wait $WRITER; } 2>/dev/null
        WHY+=$(expect 0 -- "$PLOOP" umount m)
        none_attached || WHY+="still attached;"
        e2fsck -fp a.img >/dev/null 2>&1
        [ $? -le 1 ] || WHY+="e2fsck is not content;"
        rm -f a.img b.img
}

# copy NAME WANTED-EXIT ROUNDS MODE [PAUSE]
copy() {
        local name=$1 want=$2 rounds=$3 mode=$4 why="" code
        writers ${5:+"$5"} || { result "$name" "no writers: $(cat writer.log)"; return; }
        timeout 400 "$B/tests/ploop-copier" m a.img b.img "$rounds" "$mode" "$CG" >copier.log 2>&1
        code=$?
        if [ $code = 10 ]; then
                stop
                echo "skip $name: $(tail -n 1 copier.log)"
                return
        fi
        [ $code = "$want" ] || why="ended with $code, not $want: $(tail -n 3 copier.log | tr '\n' ';')"
        stop
        why+=$WHY
        result "$name" "$why"
}

# killed NAME MODE: a copier that is killed leaves no program and no device; one killed in its last round leaves a frozen
# file system, which one FITHAW makes good again.
killed() {
        local name=$1 mode=$2 why="" before during pid
        before=$("$B/tests/ploop-probe" maps $WORDS)
        writers || { result "$name" "no writers: $(cat writer.log)"; return; }
        : >copier.log # what the one before has said would be taken for its word until it runs
        "$B/tests/ploop-copier" m a.img b.img 3 "$mode" "$CG" >copier.log 2>&1 &
        pid=$!
        wait_for 120 grep -q stalled copier.log || why+="it did not come so far: $(cat copier.log);"
        during=$("$B/tests/ploop-probe" maps $WORDS)
        { kill -KILL $pid; wait $pid; } 2>/dev/null
        [ "$during" -gt "$before" ] || why+="no tracker was seen;"
        wait_for 30 eval '[ "$("$B/tests/ploop-probe" maps $WORDS)" -le "$before" ]' || why+="the tracker is still there;"
        if [ "$mode" = stall-frozen ]; then
                fsfreeze -f m 2>/dev/null && why+="it was not frozen;"
                fsfreeze -u m || why+="it cannot be thawed;"
        fi
        echo 0 >"$CG/cgroup.freeze"
        rm -f m/mark && timeout -s KILL 60 touch m/mark || why+="it cannot be written;"
        stop
        why+=$WHY
        result "$name" "$why"
}

probe() { # probe NAME: on a file system of its own
        local why="" code
        "$PLOOP" create o.img --size 200M && "$PLOOP" mount o.img m || why="no image"
        why+=$(timeout 300 "$B/tests/ploop-probe" "$1" m 2>&1)
        code=$?
        [ $code = 0 ] || [ $code = 77 ] || why+=" ended with $code"
        "$PLOOP" umount m || why+=" cannot unmount"
        none_attached || why+=" still attached"
        rm -f o.img
        if [ $code = 77 ]; then echo "skip track-$1: $why"; else result "track-$1" "$why"; fi
}

if [ -z "$CG" ]; then
        echo "skip track: there is no cgroup2 tree to freeze the writers in"
        exit 0
fi
probe drain
probe check
for run in $(seq "$RUNS"); do copy "harsh-$run" 0 4 right; done
copy many-rounds 0 25 right 20000
copy by-hash 0 3 hash
# A mark left out must show, or the comparisons above prove nothing.
copy forgotten-marks 3 3 no-mark
killed copier-killed stall
killed copier-killed-frozen stall-frozen
exit $FAILED
