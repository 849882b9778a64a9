#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is killed, locked, broken or done twice at the same time: nothing is left, and nothing is lost.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
bb_template

# A start takes ~100 ms: it is killed at 40 points of that, the command and its worker together, or one of them alone.
test_killed_starts() {
        local why="" i p who
        why+=$(expect 0 -- make web1 --ip4 10.88.0.50/24)
        for i in {1..40}; do
                "$CTL" start web1 >/dev/null 2>&1 </dev/null &
                p=$!
                sleep "$(seconds $((i * 5)))"
                who=$((i % 3))
                case $who in
                0) end_family ;;
                1) kill -KILL $p 2>/dev/null ;;
                2) for p in $(family); do [ "$p" != $! ] && kill -KILL "$p" 2>/dev/null; done ;;
                esac
                wait $! 2>/dev/null
                "$CTL" list >/dev/null # the next command, whatever it is
                wait_for 30 settled web1 || { why+="kill $i (way $who): $(state web1), $(leftovers web1);"; break; }
                [ "$(state web1)" = running ] && why+=$(expect 0 -- "$CTL" stop web1 --timeout 5)
                wait_for 30 clean web1 || { why+="after kill $i (way $who): $(leftovers web1)"; break; }
        done
        why+=$(expect 0 -- "$CTL" start web1)
        why+=$(expect 0 -- "$CTL" stop web1)
        why+=$(sound $LIB/ct/web1/root.img)
        result killed-starts "$why"
}

# A signal before the point of no return undoes the start and says so; later it is too late, and the container runs.
test_interrupted() {
        local why="" i rc undone=0
        # As late as a slow machine needs it to be.
        for i in 2 5 10 20 30 40 50 60 80 120 {150..3000..50}; do
                [ $i -le 120 ] || [ $undone = 0 ] || break
                timeout --preserve-status -s INT "$(seconds $i)" "$CTL" start web1 >"$DIR/out" 2>&1 </dev/null
                rc=$?
                wait_for 30 settled web1 || why+="interrupted after $i ms: $(state web1), $(leftovers web1);"
                case $rc in
                0) [ "$(state web1)" = running ] || why+="after $i ms it says 0 and is $(state web1);" ;;
                20) undone=1
                    [ "$(state web1)" = stopped ] && clean web1 || why+="after $i ms it says 20 and is $(state web1), $(leftovers web1);"
                    grep -q interrupted "$DIR/out" || why+="it says $(cat "$DIR/out");" ;;
                130) [ "$(state web1)" = stopped ] || why+="after $i ms it says 130 and is $(state web1);" ;; # not begun
                *) why+="after $i ms it says $rc: $(cat "$DIR/out");" ;;
                esac
                [ "$(state web1)" = running ] && why+=$(expect 0 -- "$CTL" stop web1)
        done
        [ $undone = 1 ] || why+="no start was undone;"
        result interrupted "$why"
}

test_killed_create() {
        local why="" i rc undone=0
        for i in 1 3 6 10 20 40 80; do
                killed_after "$(seconds $i)" "$CTL" create k --template bb --size 64M --init $INIT >/dev/null 2>&1
                [ -e $LIB/ct/k ] && { why+=$(expect 0 -- "$CTL" start k); why+=$(expect 0 -- "$CTL" stop k); why+=$(expect 0 -- "$CTL" destroy k); }
        done
        # What a killed one has left goes with the next create of any name; an interrupted one leaves nothing.
        mkdir -p $LIB/ct/.gone.tmp && echo half >$LIB/ct/.gone.tmp/root.img
        why+=$(expect 0 -- make k)
        why+=$(expect 0 -- "$CTL" destroy k)
        [ "$(ls -A $LIB/ct)" = web1 ] || why+="left by a killed one: $(ls -A $LIB/ct);"
        for i in 2 4 6 8 10 15 20 25 30 40 {60..3000..20}; do
                [ $i -le 60 ] || [ $undone = 0 ] || break
                timeout --preserve-status -s INT "$(seconds $i)" "$CTL" create k --template bb --size 1G --init $INIT >"$DIR/out" 2>&1 </dev/null
                rc=$?
                case $rc in
                0) why+=$(expect 0 -- "$CTL" destroy k) ;;
                20) undone=1; grep -q interrupted "$DIR/out" || why+="it says $(cat "$DIR/out");" ;;
                130) ;; # not begun
                *) why+="interrupted after $i ms it says $rc: $(cat "$DIR/out");" ;;
                esac
                [ "$(ls -A $LIB/ct)" = web1 ] || why+="interrupted after $i ms it leaves $(ls -A $LIB/ct);"
        done
        [ $undone = 1 ] || why+="no create was undone;"
        [ "$(ls -A $LIB/ct)" = web1 ] || why+="left: $(ls -A $LIB/ct);"
        result killed-create "$why"
}

test_monitor() {
        local why="" m
        why+=$(expect 0 -- "$CTL" start web1)
        wait_for 30 monitor || why+="no monitor begins;" # the worker that started it becomes it, a moment later
        m=$(monitor)
        kill -KILL $m
        wait_for 30 test ! -e "/proc/$m" || why+="it does not end;"
        [ "$(state web1)" = running ] || why+="without a monitor it is $(state web1);"
        wait_for 30 served ||
                why+="without a monitor it does not answer: $("$CTL" info web1; bridge link; ip neigh; tail -n 3 $RUN/web1/console.log);"
        why+=$(expect 0 -- "$CTL" exec web1 -- true)
        wait_for 30 monitor || why+="the next command starts no monitor;"
        # Init ends: the new monitor removes everything.
        "$CTL" exec web1 -- kill -TERM 1
        wait_for 30 clean web1 || why+="the new monitor leaves $(leftovers web1)"
        result monitor "$why"
}

# The lock names who holds it; readers do not wait for it.
test_locked() {
        local why="" p
        exec 9<>$RUN/web1/lock
        flock 9
        echo $$ >&9
        why+=$(expect 7 "process $$" -- "$CTL" start web1)
        why+=$(expect 7 web1 -- "$CTL" destroy web1)
        why+=$(expect 7 web1 -- "$CTL" set web1 pids=9)
        why+=$(expect 0 stopped -- "$CTL" list)
        why+=$(expect 0 -- "$CTL" info web1)
        exec 9>&-
        for p in 1 2 3 4; do "$CTL" start web1 >/dev/null 2>"$DIR/e$p" </dev/null & done
        wait
        [ "$(state web1)" = running ] || why+="four starts at once: it is $(state web1);"
        [ "$(cat "$DIR"/e? | grep -c "^ctrctl:")" = 3 ] || why+="four starts at once: $(cat "$DIR"/e?);"
        [ "$(loops_of web1 | wc -l)" = 1 ] || why+="$(loops_of web1 | wc -l) loop devices;"
        why+=$(expect 0 -- "$CTL" stop web1)
        result locked "$why"
}

# A typo is named by line and column, hides no other container, and is not overwritten.
test_typo() {
        local why="" sum out
        why+=$(expect 0 -- make web2)
        sed -i 's/^idmap/memorry = 1G\n&/' $LIB/ct/web1/ct.conf
        sum=$(md5sum <$LIB/ct/web1/ct.conf)
        local line
        line=$(grep -n memorry $LIB/ct/web1/ct.conf | cut -d: -f1)
        why+=$(expect 3 "ct.conf:$line:1" "memorry" "known here" -- "$CTL" start web1)
        why+=$(expect 3 "ct.conf:$line:1" -- "$CTL" set web1 pids=9)
        why+=$(expect 3 "ct.conf:$line:1" web2 broken -- "$CTL" list)
        out=$("$CTL" list --json | python3 -c 'import json,sys
print([(c["name"], c["state"], c.get("error", {}).get("name"), c.get("error", {}).get("on", "")[-len(sys.argv[1]):]) for c in json.load(sys.stdin)])' \
                "ct.conf:$line:1" 2>&1)
        [ "$out" = "[('web1', 'broken', 'CONFIG', 'ct.conf:$line:1'), ('web2', 'stopped', None, '')]" ] || why+="list --json shows $out;"
        out=$("$CTL" info nobody --json 2>/dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["ok"], d["error"]["code"], d["error"]["name"])' 2>&1)
        [ "$out" = "False 4 UNKNOWN" ] || why+="info --json of nobody shows $out;"
        [ "$(md5sum <$LIB/ct/web1/ct.conf)" = "$sum" ] || why+="the file was changed;"
        sed -i '/memorry/d; s/^pids.*//; $apids = x' $LIB/ct/web1/ct.conf
        why+=$(expect 3 "unknown key pids" -- "$CTL" start web1)
        sed -i '$d' $LIB/ct/web1/ct.conf
        mv $LIB/ct/web2/ct.conf "$DIR/away"
        why+=$(expect 3 "$LIB/ct/web2/ct.conf" "No such file" "backup" -- "$CTL" start web2)
        why+=$(expect 3 web1 broken -- "$CTL" list)
        mv "$DIR/away" $LIB/ct/web2/ct.conf
        mv $LIB/ct/web2/root.img "$DIR/away"
        why+=$(expect 13 "root.img" "see \`image\`" -- "$CTL" start web2)
        mv "$DIR/away" $LIB/ct/web2/root.img
        why+=$(expect 0 -- "$CTL" destroy web2)
        printf 'cgroup = x\nbridges = br0\n' >/etc/gantry/node.conf
        why+=$(expect 3 "node.conf:2:1" "known here" -- "$CTL" list)
        printf 'cgroup = ../x\n' >/etc/gantry/node.conf
        why+=$(expect 3 "node.conf:1:10" -- "$CTL" list)
        node_conf
        result typo "$why"
}

test_ids() {
        local why="" a b
        why+=$(expect 0 -- make a)
        why+=$(expect 0 -- make b)
        a=$(sed -n 's/^idmap = //p' $LIB/ct/a/ct.conf) b=$(sed -n 's/^idmap = //p' $LIB/ct/b/ct.conf)
        [ "$a" != "$b" ] || why+="two containers have the ids $a;"
        why+=$(expect 5 "id range" a -- "$CTL" set b "idmap=$a")
        why+=$(expect 5 "address is taken" -- "$CTL" set b net.ip4=10.88.0.50/24)
        why+=$(expect 6 "size" "resizes" -- "$CTL" set b size=128M)
        why+=$(expect 2 "cpu: it must be more than 0" -- "$CTL" set b cpu=0)
        why+=$(expect 2 "--cpu 0: cpu: it must" -- make c --cpu 0)
        why+=$(expect 0 -- "$CTL" set b net.gw4=10.99.0.1)
        why+=$(expect 3 "gateway" "10.99.0.1" "correct it" -- "$CTL" start b)
        why+=$(expect 3 "gateway" -- make c --ip4 10.88.0.51/24 --gw4 10.99.0.1)
        why+=$(expect 0 -- "$CTL" set b net.gw4=)
        sed -i "s/^idmap = .*/idmap = $a/" $LIB/ct/b/ct.conf
        why+=$(expect 5 "id range" -- "$CTL" start b)
        why+=$(expect 0 -- "$CTL" destroy b)
        why+=$(expect 0 -- "$CTL" destroy a)
        printf 'cgroup = %s\nidmap_range = 30000000:65535\n' "$SUBTREE" >/etc/gantry/node.conf
        why+=$(expect 9 "idmap_range" -- make c)
        [ "$(ls -A $LIB/ct)" = web1 ] || why+="left: $(ls -A $LIB/ct);"
        node_conf
        result ids "$why"
}

test_killed_starts
test_interrupted
test_killed_create
test_monitor
test_locked
test_typo
test_ids
exit $FAILED
