#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# cgroups that a container makes in its own: kept over a checkpoint with who is in them, gone when it is stopped, when it is
# destroyed and when a restore fails; what cannot be kept is refused by name and goes on.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
bb_template
UNIFIED=$(cgroup2_root)

saved() { rm -rf "$DIR/image"; "$CTL" checkpoint web1 "$DIR/image" "$@"; }
mine() { echo "$UNIFIED/$SUBTREE/web1/payload"; }
# A shell that is a child of the container's init and tells where it is, again and again.
teller() { # DIRECTORY
        in_ct web1 "mkdir -p /sys/fs/cgroup/$1 && (cd /sys/fs/cgroup/$1; echo 0 >cgroup.procs; exec 9</etc/held
                while :; do grep 0:: /proc/self/cgroup >/tmp/where.new; mv /tmp/where.new /tmp/where; sleep 0.1; done) >/dev/null 2>&1 </dev/null &"
}
told() { in_ct web1 'rm -f /tmp/where; while [ ! -e /tmp/where ]; do sleep 0.05; done; cat /tmp/where'; }

test_shell() {
        local why="" out
        why+=$(expect 0 -- make web1 --memory 64M)
        why+=$(expect 0 -- "$CTL" start web1)
        in_ct web1 'mkdir -p /etc && touch /etc/held'
        teller a/b
        out=$(told)
        [ "$out" = 0::/a/b ] || why+="before, the shell is in '$out';"
        why+=$(expect 0 -- saved --leave-running)
        out=$(told)
        [ "$out" = 0::/a/b ] || why+="it went on in '$out';"
        why+=$(expect 0 -- saved)
        wait_for 30 clean web1 || why+="the checkpoint left: $(leftovers web1)"
        why+=$(expect 0 -- "$CTL" restore web1 "$DIR/image")
        out=$(told)
        [ "$out" = 0::/a/b ] || why+="it came back in '$out';"
        out=$(cd "$(mine)" && find . -type d | sort | tr '\n' ' ')
        [ "$out" = ". ./a ./a/b " ] || why+="the node sees $out;"
        out=$(in_ct web1 'for p in $(cat /sys/fs/cgroup/a/b/cgroup.procs); do readlink /proc/$p/cwd; done | sort -u')
        [ "$out" = /sys/fs/cgroup/a/b ] || why+="its current directory is $out;"
        [ "$(in_ct web1 'cat /sys/fs/cgroup/a/b/cgroup.procs | wc -l')" -ge 1 ] || why+="nobody is in it;"
        result shell "$why"
}

test_refused() {
        local why="" top
        top=$(mine)
        python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.word", b"x")' "$top/a" || why+="no attribute;"
        why+=$(expect 11 cg-dir trusted.word -- saved --leave-running)
        python3 -c 'import os, sys; os.removexattr(sys.argv[1], "trusted.word")' "$top/a"
        chown 0:0 "$top/a/b/cgroup.procs"
        why+=$(expect 11 cg-dir owner -- saved --leave-running)
        chown --reference="$top/a/b" "$top/a/b/cgroup.procs"
        in_ct web1 'mkdir /sys/fs/cgroup/cgroup.own'
        why+=$(expect 11 cg-dir cgroup.own -- saved --leave-running)
        in_ct web1 'rmdir /sys/fs/cgroup/cgroup.own; cd /sys/fs/cgroup; for i in $(seq 65); do mkdir d && cd d; done'
        why+=$(expect 11 cg-dir deeper -- saved --leave-running)
        in_ct web1 'cd /sys/fs/cgroup && find d -depth -type d -exec rmdir {} \;'
        [ "$(state web1)" = running ] || why+="it is $(state web1);"
        why+=$(expect 0 -- saved --leave-running)
        result refused "$why"
}

# Frozen by the container itself: through dumps that go on, that end, that fail and that are killed at any moment.
# Its steps are the bytes of a file: one that is written anew may be empty when its writer is frozen.
steps() { in_ct web1 'stat -c %s /tmp/steps'; }
is_frozen() { # STEPS: it has not run since
        [ "$(cat "$(mine)/cold/cgroup.freeze")" = 1 ] && wait_for 30 grep -q 'frozen 1' "$(mine)/cold/cgroup.events" || { echo "it was thawed ($2);"; return; }
        wait_for 30 grep -q 'frozen 0' "$(mine)/cgroup.events" || echo "all of it is frozen ($2);"
        [ "$(steps)" = "$1" ] || echo "it ran ($2);"
        python3 -c 'import os, sys; sys.exit(any(os.listxattr(p) for p, _, _ in os.walk(sys.argv[1])))' "$(mine)" || echo "a mark was left ($2);"
}

test_frozen() {
        local why="" steps i pid ended=0
        in_ct web1 'mkdir -p /sys/fs/cgroup/cold/er; (echo 0 >/sys/fs/cgroup/cold/er/cgroup.procs
                while :; do echo >>/tmp/steps; done) >/dev/null 2>&1 </dev/null &'
        wait_for 30 in_ct web1 'test -s /tmp/steps' || why+="it takes no steps;"
        in_ct web1 'echo 1 >/sys/fs/cgroup/cold/cgroup.freeze; echo 1 >/sys/fs/cgroup/cold/er/cgroup.freeze'
        wait_for 30 grep -q 'frozen 1' "$(mine)/cold/cgroup.events"
        steps=$(steps)
        why+=$(expect 0 -- saved --leave-running)
        why+=$(is_frozen "$steps" "dump")
        in_ct web1 'mkdir /sys/fs/cgroup/cgroup.own'
        why+=$(expect 11 cg-dir -- saved --leave-running)
        in_ct web1 'rmdir /sys/fs/cgroup/cgroup.own'
        why+=$(is_frozen "$steps" "failed dump")
        why+=$(expect 0 -- saved)
        why+=$(expect 0 -- "$CTL" restore web1 "$DIR/image")
        why+=$(is_frozen "$steps" "restore")
        in_ct web1 'echo 0 >/sys/fs/cgroup/cold/cgroup.freeze; echo 0 >/sys/fs/cgroup/cold/er/cgroup.freeze'
        wait_for 30 eval '[ "$(steps)" -gt "$steps" ]' || why+="it does not go on;"
        in_ct web1 'echo 1 >/sys/fs/cgroup/cold/cgroup.freeze'
        rm -rf "$DIR/good" && "$CTL" checkpoint web1 "$DIR/good" --leave-running </dev/null >/dev/null || why+="no image to go back to;"
        for i in {1..12}; do
                rm -rf "$DIR/image"
                "$CTL" checkpoint web1 "$DIR/image" --leave-running </dev/null >/dev/null 2>&1 &
                pid=$!
                sleep "0.0$((i * 7 % 10))$((i % 10))"
                kill -9 $pid 2>/dev/null
                wait $pid 2>/dev/null
                wait_for 30 settled web1 || { why+="it is $(state web1) (killed, $i);"; break; }
                # Killed while a tape plays, it takes that task with it (ARCHITECTURE.md, "The window"): perhaps init.
                if [ "$(state web1)" = stopped ]; then
                        ended=$((ended + 1))
                        "$CTL" restore web1 "$DIR/good" </dev/null >/dev/null 2>&1 || { why+="it cannot be restored;"; break; }
                fi
                wait_for 30 grep -q 'frozen 1' "$(mine)/cold/cgroup.events" || why+="it is not frozen (killed, $i);"
                [ "$(cat "$(mine)/cold/cgroup.freeze")" = 1 ] || why+="it was thawed (killed, $i);"
                wait_for 30 grep -q 'frozen 0' "$(mine)/cgroup.events" || why+="all of it is frozen (killed, $i);"
        done
        [ $ended -lt 6 ] || why+="$ended of 12 kills ended it;"
        steps=$(steps)
        why+=$(expect 0 -- saved --leave-running)
        why+=$(is_frozen "$steps" "after all")
        in_ct web1 'echo 0 >/sys/fs/cgroup/cold/cgroup.freeze'
        result frozen "$why"
}

# A file that the image needs is gone from the disk: what was made up to there goes as well.
test_failed_restore() {
        local why=""
        in_ct web1 'ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q /etc/held' || teller a/b   # a kill may have ended the first
        told >/dev/null
        why+=$(expect 0 -- saved)
        why+=$(expect 0 -- "$CTL" start web1)
        in_ct web1 'rm /etc/held'
        why+=$(expect 0 -- "$CTL" stop web1 --timeout 0)
        "$CTL" restore web1 "$DIR/image" </dev/null >/dev/null 2>&1 && why+="it was restored;"
        wait_for 30 clean web1 || why+="it left: $(leftovers web1)"
        [ "$(state web1)" = stopped ] || why+="it is $(state web1);"
        result failed-restore "$why"
}

test_stop() {
        local why=""
        why+=$(expect 0 -- "$CTL" start web1)
        in_ct web1 'mkdir -p /etc && touch /etc/held'
        teller deep/er/still
        in_ct web1 'cd /sys/fs/cgroup && mkdir -p t/w ice && echo threaded >t/w/cgroup.type && echo 1 >ice/cgroup.freeze'
        in_ct web1 '(echo 0 >/sys/fs/cgroup/ice/cgroup.procs; sleep 600) >/dev/null 2>&1 </dev/null &'
        wait_for 30 grep -q 'populated 1' "$(mine)/ice/cgroup.events" || why+="nobody is frozen;"
        why+=$(expect 0 -- "$CTL" stop web1 --timeout 1)
        wait_for 30 clean web1 || why+="it left: $(leftovers web1)"
        why+=$(expect 0 -- "$CTL" start web1)
        in_ct web1 'mkdir -p /sys/fs/cgroup/x/y'
        why+=$(expect 0 -- "$CTL" stop web1 --timeout 0)
        why+=$(expect 0 -- "$CTL" destroy web1)
        wait_for 30 clean web1 || why+="destroy left: $(leftovers web1)"
        result stop "$why"
}

# A tree without a cgroup namespace: an empty directory is the caller's, a process in one would come back elsewhere.
test_bare_tree() {
        local why="" g=$UNIFIED/$SUBTREE/bare pid
        mkdir -p "$g/sub"
        setsid python3 -c '
import os, sys, time
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
os.closerange(0, 1024)
os.fork()
while True: time.sleep(600)' "$g" &
        pid=$!
        wait_for 30 awk 'END { exit NR < 2 }' "$g/cgroup.procs" || why+="the tree does not grow;"
        why+=$(expect 0 -- "$CTL" checkpoint --pid "$pid" "$DIR/bare" --leave-running)
        tail -n 1 "$g/cgroup.procs" >"$g/sub/cgroup.procs"
        why+=$(expect 11 cg-dir /sub -- "$CTL" checkpoint --pid "$pid" "$DIR/bare2" --leave-running)
        echo 1 >"$g/cgroup.kill"
        wait "$pid" 2>/dev/null
        wait_for 30 rmdir "$g/sub" && wait_for 30 rmdir "$g" || why+="it cannot be removed;"
        result bare-tree "$why"
}

test_shell
test_refused
test_frozen
test_failed_restore
test_stop
test_bare_tree
exit $FAILED
