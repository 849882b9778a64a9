#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ctrctl checkpoint, restore and image with a container: it goes on as it was, and a failure changes nothing.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
bb_template

booted() { # counts in a shell variable of init's, which only its memory holds
        "$CTL" exec web1 -- cat /run/count 2>/dev/null
}
counting() { local a; a=$(booted); wait_for 30 eval '[ "$(booted)" -gt "'"${a:-0}"'" ]'; }

said_bye() { [ "$(tail -n 1 $RUN/web1/console.log | tr -d '\r')" = bye ]; }

# Nothing is left of a restore that was refused.
refusal_undone() { [ "$(state web1)" = stopped ] && wait_for 30 clean web1 || echo "a refused restore ($*) leaves $(state web1), $(leftovers web1);"; }

# Init counts once in 100 ms and keeps the last number in a file of its tmpfs.
count_init() {
        cat >"$DIR/bb/sbin/init-test" <<'INIT'
#!/bin/sh
trap 'echo bye; exit 3' TERM
httpd -p 80 -h /www
n=0
while :; do n=$((n + 1)); echo $n >/run/count.new; mv /run/count.new /run/count; sleep 0.1; done
INIT
        template_of bb "$DIR/bb" 32M
}

test_leave_running() {
        local why="" pid
        why+=$(expect 0 -- make web1 --memory 64M --ip4 10.88.0.50/24 --ip6 fd88::50/64)
        why+=$(expect 0 -- "$CTL" start web1)
        wait_for 30 served || why+="it does not serve;"
        pid=$(init_pid web1)
        why+=$(expect 0 "tasks" -- "$CTL" checkpoint web1 "$DIR/live" --leave-running)
        [ "$(init_pid web1)" = "$pid" ] || why+="init is another;"
        [ "$(state web1)" = running ] || why+="it is $(state web1);"
        wait_for 30 served || why+="it does not serve afterwards;"
        counting || why+="it stands still afterwards;"
        why+=$(expect 5 "live" -- "$CTL" checkpoint web1 "$DIR/live" --leave-running)
        counting || why+="it stands still after a failed one;"
        why+=$(expect 0 '"tasks":' -- "$CTL" checkpoint web1 "$DIR/live2" --leave-running --json)
        result leave-running "$why"
}

test_restore() {
        local why="" before after from
        from=${EPOCHREALTIME/[.,]/} before=$(booted)
        why+=$(expect 0 -- "$CTL" checkpoint web1 "$DIR/image")
        [ "$(state web1)" = stopped ] || why+="it is $(state web1);"
        why+=$(left_behind web1)
        why+=$(expect 0 -- "$CTL" restore web1 "$DIR/image")
        [ "$(state web1)" = running ] || why+="it is $(state web1);"
        wait_for 30 served || why+="it does not serve;"
        wait_for 30 busybox ping6 -c 1 -W 2 fd88::50 || why+="no echo over IPv6;"
        counting || why+="it stands still;"
        after=$(booted)
        [ "${after:-0}" -gt "${before:-0}" ] && [ "${after:-0}" -le $((before + 1 + (${EPOCHREALTIME/[.,]/} - from) / 100000)) ] ||
                why+="it counted $before before and $after after;"
        [ "$("$CTL" exec web1 -- hostname)" = web1 ] || why+="its host name is wrong;"
        why+=$(expect 6 -- "$CTL" restore web1 "$DIR/image")
        # Once more from the restored one, and by a relative path.
        why+=$(expect 0 -- "$CTL" checkpoint web1 "$DIR/image2")
        why+=$(cd "$DIR" && expect 0 -- "$CTL" restore web1 image2)
        counting || why+="it stands still after the second time;"
        wait_for 30 monitor || why+="it has no monitor;"
        why+=$(expect 0 -- "$CTL" stop web1)
        wait_for 30 said_bye || why+="its console is lost: $(tail -n 2 $RUN/web1/console.log);"
        why+=$(left_behind web1)
        result restore "$why"
}

test_image() {
        local why="" size i off
        why+=$(expect 0 whole -- "$CTL" image verify "$DIR/image")
        "$CTL" image show "$DIR/image" | python3 -c 'import json,sys; json.load(sys.stdin)' || why+="show prints no JSON;"
        why+=$(expect 4 -- "$CTL" image verify "$DIR/nothing")
        why+=$(expect 4 -- "$CTL" restore web1 "$DIR/nothing")
        # One bit in each of ten places of both files.
        for i in 1 2 3 4 5 6 7 8 9 10; do
                rm -rf "$DIR/bad"
                cp -r "$DIR/image" "$DIR/bad"
                local f=records
                [ $((i % 2)) = 0 ] && f=pages
                size=$(stat -c %s "$DIR/bad/$f")
                off=$((size * i / 11))
                flip "$DIR/bad/$f" $off
                why+=$(expect 12 -- "$CTL" image verify "$DIR/bad")
        done
        why+=$(expect 12 -- "$CTL" restore web1 "$DIR/bad")
        why+=$(refusal_undone)
        rm -rf "$DIR/bad"
        cp -r "$DIR/image" "$DIR/bad"
        truncate -s -1 "$DIR/bad/records"
        why+=$(expect 12 -- "$CTL" restore web1 "$DIR/bad")
        result image "$why"
}

# The console is hung up when the monitor is killed; the container can be moved all the same, and has a console again.
test_hung_up() {
        local why="" m
        why+=$(expect 0 -- "$CTL" start web1)
        wait_for 30 monitor || why+="it has no monitor;"
        m=$(monitor)
        kill -KILL "$m" && wait_for 30 test ! -e "/proc/$m" || why+="no monitor is killed;"
        why+=$(expect 0 -- "$CTL" checkpoint web1 "$DIR/hung")
        why+=$(expect 0 -- "$CTL" restore web1 "$DIR/hung")
        counting || why+="it stands still;"
        why+=$(expect 0 -- "$CTL" stop web1)
        wait_for 30 said_bye || why+="it has no console: $(tail -n 2 $RUN/web1/console.log);"
        why+=$(left_behind web1)
        rm -rf "$DIR/hung"
        result hung-up "$why"
}

# What would be killed for its memory is refused before anything is made, and comes back once there is room.
test_limit() {
        local why=""
        why+=$(expect 0 -- "$CTL" start web1)
        "$CTL" exec web1 -- sh -c 'exec >/dev/null 2>&1; (exec awk "BEGIN { s = \"x\"; while (length(s) < 10000000) s = s s; while (1) system(\"sleep 1\") }") &'
        wait_for 30 eval '[ "$(info web1 memory)" -gt 17000000 ]' ||
                why+="its program takes no memory: $("$CTL" info web1 --json);"
        why+=$(expect 0 -- "$CTL" checkpoint web1 "$DIR/large")
        why+=$(expect 0 -- "$CTL" set web1 memory=16M)
        why+=$(expect 9 "limit" "16 MiB" "raise" -- "$CTL" restore web1 "$DIR/large")
        why+=$(refusal_undone)
        why+=$(expect 0 -- "$CTL" set web1 memory=128M)
        why+=$(expect 0 -- "$CTL" restore web1 "$DIR/large")
        counting || why+="it stands still;"
        why+=$(expect 0 -- "$CTL" stop web1)
        rm -rf "$DIR/large"
        result limit "$why"
}

# Images that are whole and wrong (image-edit.py): the exit code, what is done to it, a word of the message.
test_crafted() {
        local why="" row words
        while read -r row; do
                rm -rf "$DIR/bad"
                cp -r "$DIR/image" "$DIR/bad"
                words=${row#*: } row=${row%%: *}
                # shellcheck disable=SC2086
                python3 "$ROOT/tests/system/image-edit.py" "$DIR/bad" ${row#* } || why+="no image for ${row#* };"
                why+=$(expect "${row%% *}" "$words" -- "$CTL" restore web1 "$DIR/bad")
                why+=$(refusal_undone "${row#* }")
        done <<'ROWS'
11 cpu avx1024: avx1024
12 feature novel: a newer one
12 format 2: format 2
12 kind 999 0: does not know its kind
12 fixed64 235 7 0x1ffffffffff: not granted
12 drop 5: no image of a container
12 drop 16: ns-user
12 drop 18: ns-mnt
12 drop 20: ns-uts
ROWS
        rm -rf "$DIR/bad"
        cp -r "$DIR/image" "$DIR/bad"
        python3 "$ROOT/tests/system/image-edit.py" "$DIR/bad" kind 999 1 || why+="no image with a record to be skipped;"
        why+=$(expect 0 whole -- "$CTL" image verify "$DIR/bad")
        "$CTL" image show "$DIR/image" | python3 -c 'import json,sys
sys.exit("sse2" not in json.load(sys.stdin)["records"][0]["message"]["cpu"])' || why+="no CPU features in its header;"
        result crafted "$why"
}

# A tree that is no container: its image is whole, and no container goes on from it. The node's mounts, which its ground was made
# of, would be the container's.
test_pid() {
        local why="" p v2
        v2=$(cgroup2_root)
        mkdir -p "$v2/$SUBTREE/tree"
        # Without what this script has inherited: a descriptor of the node's would be refused.
        (cd / && for p in $(ls /proc/self/fd); do [ "$p" -le 2 ] || eval "exec $p>&-"; done; exec setsid busybox sleep 1000) \
                </dev/null >/dev/null 2>&1 &
        p=$!
        wait_for 30 eval '[ "$(cat /proc/'$p'/comm)" = busybox ] || [ "$(cat /proc/'$p'/comm)" = sleep ]'
        why+=$(expect 6 "cgroup" -- "$CTL" checkpoint --pid $p "$DIR/tree")
        echo $p >"$v2/$SUBTREE/tree/cgroup.procs" || why+="no cgroup;"
        why+=$(expect 0 "1 tasks" -- "$CTL" checkpoint --pid $p "$DIR/tree" --leave-running)
        [ -d /proc/$p ] && [ "$(cat "$v2/$SUBTREE/tree/cgroup.freeze")" = 0 ] || why+="it does not go on;"
        why+=$(expect 0 whole -- "$CTL" image verify "$DIR/tree")
        why+=$(expect 12 "no image of a container" -- "$CTL" restore web1 "$DIR/tree")
        why+=$(refusal_undone)
        why+=$(expect 0 -- "$CTL" checkpoint --pid $p "$DIR/tree2")
        wait_for 30 eval '! [ -d /proc/'$p' ] || grep -q "State:.Z" /proc/'$p'/status' || why+="it did not end;"
        kill -KILL $p 2>/dev/null
        wait $p 2>/dev/null
        why+=$(expect 4 999999 -- "$CTL" checkpoint --pid 999999 "$DIR/tree3")
        wait_for 30 rmdir "$v2/$SUBTREE/tree" || why+="its cgroup is not empty;"
        result pid "$why"
}

# A full disk is told by file and remedy, and nothing happens to the container; neither to a directory that is in the way.
test_no_room() {
        local why=""
        mkdir -p "$DIR/full" && mount -t tmpfs -o size=64k full "$DIR/full" || why+="no tmpfs;"
        why+=$(expect 9 "image.tmp/" "free some space" -- "$CTL" checkpoint web1 "$DIR/full/image")
        [ -z "$(ls -A "$DIR/full")" ] || why+="left: $(ls -A "$DIR/full");"
        umount "$DIR/full"
        counting || why+="it stands still;"
        mkdir -p "$DIR/mine.tmp" && echo letter >"$DIR/mine.tmp/letter"
        why+=$(expect 5 "mine.tmp" -- "$CTL" checkpoint web1 "$DIR/mine")
        [ "$(cat "$DIR/mine.tmp/letter")" = letter ] || why+="a directory of somebody's is gone;"
        counting || why+="it stands still;"
        result no-room "$why"
}

# A signal undoes a checkpoint: the container goes on, and half an image does not stay on the disk.
test_interrupted() {
        local why="" i rc undone=0
        # As late as a slow machine needs it to be.
        for i in {1..40} {60..3000..20}; do
                [ $i -le 40 ] || [ $undone = 0 ] || break
                timeout --preserve-status -s INT "$(seconds $i)" "$CTL" checkpoint web1 "$DIR/int" --leave-running >"$DIR/out" 2>&1 </dev/null
                rc=$?
                case $rc in
                0) [ -d "$DIR/int" ] || why+="after $i ms it says 0 and there is no image;" ;;
                20) undone=1
                    [ -e "$DIR/int" ] && why+="after $i ms it says 20 and there is an image;"
                    grep -q interrupted "$DIR/out" || why+="it says $(cat "$DIR/out");" ;;
                130) ;; # not begun
                *) why+="after $i ms it says $rc: $(cat "$DIR/out");" ;;
                esac
                [ -e "$DIR/int.tmp" ] && why+="after $i ms ($rc) half an image is left;"
                [ "$(state web1)" = running ] || why+="after $i ms ($rc) it is $(state web1);"
                rm -rf "$DIR/int" "$DIR/int.tmp"
        done
        counting || why+="it stands still;"
        [ $undone = 1 ] || why+="no checkpoint was undone;"
        result interrupted "$why"
}

# A killed checkpoint leaves the container running, at once or when the next command has looked. The one exception is the
# window of docs/ARCHITECTURE.md: killed while a tape plays (30-60 us each), a task ends, and then so does the container,
# cleanly; it must be the exception.
test_killed_checkpoint() {
        local why="" i p lived=0
        for i in {1..16}; do
                [ "$(state web1)" = running ] || why+=$(expect 0 -- "$CTL" start web1)
                wait_for 30 served || why+="it does not serve before kill $i;"
                "$CTL" checkpoint web1 "$DIR/k$i" --leave-running >/dev/null 2>&1 </dev/null &
                p=$!
                sleep "$(seconds $((i * 5)))"
                kill -KILL $p 2>/dev/null
                wait $p 2>/dev/null
                wait_for 30 settled web1 || { why+="kill $i: it is $(state web1), $(leftovers web1);"; break; }
                why+=$(expect 0 -- "$CTL" set web1 pids=$((50 + i)))
                if [ "$(state web1)" = running ] && "$CTL" exec web1 -- pidof httpd >/dev/null; then
                        lived=$((lived + 1))
                        counting || { why+="kill $i: it stands still;"; break; }
                        served || why+="kill $i: it does not serve;"
                elif [ "$(state web1)" = running ]; then
                        why+=$(expect 0 -- "$CTL" stop web1)
                fi
                [ "$(state web1)" = running ] || wait_for 30 clean web1 || why+="kill $i: left behind: $(leftovers web1)"
        done
        [ $lived -ge 10 ] || why+="only $lived of 16 outlived it;"
        [ "$(state web1)" = running ] && why+=$(expect 0 -- "$CTL" stop web1)
        why+=$(left_behind web1)
        result killed-checkpoint "$why"
}

test_killed_restore() {
        local why="" i
        why+=$(expect 0 -- "$CTL" start web1)
        wait_for 30 served
        why+=$(expect 0 -- "$CTL" checkpoint web1 "$DIR/again")
        for i in {1..15}; do
                "$CTL" restore web1 "$DIR/again" >/dev/null 2>&1 </dev/null &
                sleep "$(seconds $((i * 12)))"
                end_family
                { wait $!; } 2>/dev/null
                wait_for 30 eval '"$CTL" list >/dev/null; [ "$(state web1)" = running ] || clean web1' || { why+="kill $i: it is $(state web1), $(leftovers web1);"; break; }
                if [ "$(state web1)" = running ]; then
                        counting || { why+="kill $i: it stands still;"; break; }
                        why+=$(expect 0 -- "$CTL" stop web1 --timeout 5)
                        wait_for 30 clean web1 || { why+="kill $i: left behind: $(leftovers web1)"; break; }
                fi
        done
        why+=$(expect 0 -- "$CTL" restore web1 "$DIR/again")
        counting || why+="it stands still;"
        why+=$(expect 0 -- "$CTL" stop web1)
        result killed-restore "$why"
}

# What cannot be kept is refused by name, and nothing happens to it.
test_refused() {
        local why=""
        why+=$(expect 0 -- "$CTL" start web1)
        wait_for 30 served
        "$CTL" exec web1 -- sh -c 'echo >/run/first; exec sleep 1000' >/dev/null 2>&1 </dev/null &
        "$CTL" exec web1 -- sh -c 'exec 5<>/dev/ptmx; echo >/run/second; exec sleep 1000' >/dev/null 2>&1 </dev/null &
        wait_for 30 in_ct web1 'test -e /run/first && test -e /run/second' || why+="they do not run;"
        why+=$(expect 11 "cannot checkpoint" -- "$CTL" checkpoint web1 "$DIR/refused")
        [ -e "$DIR/refused" ] && why+="an image was made;"
        [ "$(state web1)" = running ] || why+="it is $(state web1);"
        counting || why+="it stands still;"
        why+=$(expect 0 -- "$CTL" stop web1)
        why+=$(expect 6 -- "$CTL" checkpoint web1 "$DIR/refused")
        result refused "$why"
}

count_init
test_leave_running
test_restore
test_image
test_hung_up
test_limit
test_crafted
test_pid
"$CTL" start web1
wait_for 30 served
test_no_room
test_interrupted
test_killed_checkpoint
test_killed_restore
test_refused
exit $FAILED
