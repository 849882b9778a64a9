#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Limits hold, can be changed while a container runs, and editing the file is the same as ctrctl set.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
bb_template

test_memory() {
        local why=""
        # A program of 40 MiB does not fit 32 MiB, and is what ends; one of 16 does, so does that much tmpfs. (More tmpfs would be there
        # still when its writer is killed, and init the next.)
        "$CTL" exec web1 -- dd if=/dev/zero of=/dev/shm/a bs=1M count=16 2>/dev/null || why+="16 MiB of tmpfs do not fit;"
        "$CTL" exec web1 -- rm /dev/shm/a
        "$CTL" exec web1 -- dd if=/dev/zero of=/dev/null bs=16M count=1 2>/dev/null || why+="16 MiB do not fit;"
        "$CTL" exec web1 -- dd if=/dev/zero of=/dev/null bs=40M count=1 2>/dev/null && why+="40 MiB fit;"
        [ "$(state web1)" = running ] || { why+="it did not survive;"; "$CTL" start web1; }
        why+=$(expect 0 -- "$CTL" set web1 memory=128M)
        "$CTL" exec web1 -- dd if=/dev/zero of=/dev/null bs=40M count=1 2>/dev/null || why+="40 MiB do not fit 128 MiB;"
        "$CTL" exec web1 -- dd if=/dev/zero of=/dev/shm/a bs=1M count=40 2>/dev/null || why+="40 MiB of tmpfs do not fit 128 MiB;"
        [ "$(info web1 memory)" -gt $((40 << 20)) ] && [ "$(info web1 memory_limit)" = $((128 << 20)) ] ||
                why+="info says $(info web1 memory) of $(info web1 memory_limit);"
        "$CTL" exec web1 -- rm /dev/shm/a
        result memory "$why"
}

end_sleeps() { # those of the container, from outside: it may be full
        local p
        for p in $(cat "$(cgroup2_root)/$SUBTREE/web1/payload/cgroup.procs"); do
                [ "$(cat "/proc/$p/comm" 2>/dev/null)" = sleep ] && kill -KILL "$p"
        done
}

test_pids() {
        local why="" n
        # The shell gives up at its first failed fork; what it made until then goes on.
        in_ct web1 'while :; do sleep 600 >/dev/null 2>&1 & done' >/dev/null 2>&1 && why+="forks never fail;"
        n=$(info web1 pids)
        [ "$n" -ge 18 ] && [ "$n" -le 20 ] || why+="info counts $n of 20;"
        end_sleeps
        wait_for 30 "$CTL" exec web1 -- true || why+="it is full for ever;"
        why+=$(expect 0 -- "$CTL" set web1 pids=100)
        n=$(in_ct web1 'i=0; while [ $i -lt 40 ]; do sleep 600 >/dev/null 2>&1 & i=$((i + 1)); done; cat /sys/fs/cgroup/cgroup.procs | wc -l' 2>/dev/null)
        [ "${n:-0}" -ge 40 ] || why+="with 100 there are $n;"
        end_sleeps
        result pids "$why"
}

# 400 ms of work on a fifth of a cpu take two seconds, of a cpu that does nothing else; the cgroup's own clock tells what was done.
test_cpu() {
        local why="" from a b
        in_ct web1 '(while :; do :; done) >/dev/null 2>&1 & echo $! >/run/loop'
        a=$(info web1 cpu_usec) from=${EPOCHREALTIME/[.,]/}
        wait_for 60 eval '[ "$(info web1 cpu_usec)" -ge $((a + 400000)) ]' || why+="it used only $(($(info web1 cpu_usec) - a)) us in a minute;"
        b=$(info web1 cpu_usec)
        [ $((b - a)) -lt $(((${EPOCHREALTIME/[.,]/} - from) * 2 / 5)) ] ||
                why+="it used $((b - a)) us in $((${EPOCHREALTIME/[.,]/} - from)) us with a limit of 20%;"
        in_ct web1 'kill -KILL $(cat /run/loop)'
        result cpu "$why"
}

test_set() {
        local why="" file=$LIB/ct/web1/ct.conf before
        sed -i '1i# mine\n' $file
        sed -i 's/^pids.*/&   # enough/' $file
        before=$(grep -c . $file)
        why+=$(expect 0 -- "$CTL" set web1 pids=50 memory=64M)
        grep -q '^# mine$' $file || why+="a comment is gone;"
        grep -q '^pids = 50   # enough$' $file || why+="the comment after the value is gone: $(grep pids $file);"
        [ "$(grep -c . $file)" = "$before" ] || why+="lines came or went;"
        why+=$(expect 0 "started again" -- "$CTL" set web1 hostname=other)
        why+=$(expect 2 "not a number" -- "$CTL" set web1 memory=lots)
        why+=$(expect 2 "no such key" memorry -- "$CTL" set web1 memorry=1G)
        why+=$(expect 2 "KEY=VALUE" -- "$CTL" set web1 memory)
        why+=$(expect 6 "uuid" -- "$CTL" set web1 uuid=00000000-0000-4000-8000-000000000000)
        why+=$(expect 6 "in use" -- "$CTL" set web1 idmap=20500000:65536)
        why+=$(expect 0 -- "$CTL" set web1 cpu=)
        grep -q '^cpu' $file && why+="the key is still there;"
        [ "$(stat -c %a $file)" = 644 ] || why+="its mode is $(stat -c %a $file);"
        # By hand, then a start: the same.
        "$CTL" stop web1
        sed -i 's/^pids = .*/pids = 7/' $file
        why+=$(expect 0 -- "$CTL" start web1)
        why+=$(expect 0 '"pids_limit":7' -- "$CTL" info web1 --json)
        [ "$("$CTL" exec web1 -- hostname)" = other ] || why+="the host name did not change;"
        result set "$why"
}

[ -z "$(expect 0 -- make web1 --memory 32M --pids 20 --cpu 20%)" ] && "$CTL" start web1 || { echo "not ok start: it does not start"; exit 1; }
test_memory
test_pids
test_cpu
test_set
"$CTL" stop web1
exit $FAILED
