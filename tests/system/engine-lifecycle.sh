#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A container's life as an administrator sees it: made, started, entered, listed, stopped, removed; and what is refused.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
bb_template

test_create() {
        local why=""
        why+=$(expect 0 -- make web1 --ip4 10.88.0.50/24 --ip6 fd88::50/64 --gw4 10.88.0.1)
        why+=$(expect 5 web1 "choose another name" -- make web1)
        why+=$(expect 5 "address is taken" 10.88.0.50 web1 -- make web2 --ip4 10.88.0.50/24)
        why+=$(expect 4 "no such template" nix -- "$CTL" create web2 --template nix)
        why+=$(expect 2 "Web2" -- make Web2)
        why+=$(expect 2 "../x" -- make ../x)
        why+=$(expect 2 "--memory lots" -- make web2 --memory lots)
        why+=$(expect 2 "32 MiB" -- "$CTL" create web2 --template bb --size 16M)
        why+=$(expect 2 -- "$CTL" create web2 --colour red)
        [ "$(ls $LIB/ct)" = web1 ] && [ "$(ls -A $LIB/ct)" = web1 ] || why+="left behind: $(ls -A $LIB/ct);"
        why+=$(sound $LIB/ct/web1/root.img)
        [ "$(stat -c %s $LIB/ct/web1/root.img)" = $((64 << 20)) ] || why+="its size is wrong;"
        [ "$(blkid -o value -s UUID $LIB/ct/web1/root.img)" != "$(blkid -o value -s UUID $LIB/template/bb.img)" ] ||
                why+="it has the template's UUID;"
        result create "$why"
}

test_unknown() {
        local why="" v
        for v in start stop destroy info "exec nobody -- true" "set nobody pids=1"; do
                case $v in *" "*) set -- $v ;; *) set -- $v nobody ;; esac
                why+=$(expect 4 "no such container" nobody "ctrctl list" -- "$CTL" "$@")
        done
        why+=$(expect 4 "no such distribution" "debian-12" -- "$CTL" template create nix-1)
        why+=$(expect 2 "--packages" -- "$CTL" template create debian-12 --packages 'a;b')
        why+=$(expect 2 "256M" -- "$CTL" template create debian-12 --size 1M)
        [ -e $RUN/nobody ] && why+="a run directory was made for it;"
        why+=$(expect 2 "unknown command" -- "$CTL" fly)
        why+=$(expect 2 "operand" -- "$CTL" start)
        why+=$(expect 0 "ctrctl create" -- "$CTL" --help)
        why+=$(expect 0 -- "$CTL" --version)
        for v in create start stop exec list info set destroy checkpoint restore "template create" "image show" "image verify"; do
                why+=$(expect 0 "ctrctl $v" -- "$CTL" $v --help)
        done
        result unknown "$why"
}

test_start() {
        local why=""
        why+=$(expect 6 "stopped" -- "$CTL" stop web1)
        why+=$(expect 6 "not running" "ctrctl start web1" -- "$CTL" exec web1 -- true)
        why+=$(expect 0 -- "$CTL" start web1)
        [ "$(state web1)" = running ] || why+="it is $(state web1);"
        why+=$(expect 6 "running" -- "$CTL" start web1)
        why+=$(expect 6 "stop it first" -- "$CTL" destroy web1)
        why+=$(expect 0 "web1" "running" "10.88.0.50/24" -- "$CTL" list)
        wait_for 30 busybox wget -qO- http://10.88.0.50/ || why+="no answer over IPv4;"
        served || why+="a wrong answer over IPv4;"
        wait_for 30 busybox ping -c 1 -W 2 10.88.0.50 || why+="no echo over IPv4;"
        wait_for 30 busybox ping6 -c 1 -W 2 fd88::50 || why+="no echo over IPv6;" # not before duplicate detection has ended
        wait_for 30 in_ct web1 'busybox ping -c 1 -W 2 10.88.0.1' || why+="it does not reach the node;"
        [ "$("$CTL" exec web1 -- hostname)" = web1 ] || why+="its host name is wrong;"
        result start "$why"
}

programs() { in_ct web1 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" " "; echo end'; }
inside_runs() { programs | grep -q "$1"; }
inside_lacks() { local all; all=$(programs) && [[ $all == *end && $all != *"$1"* ]]; }

test_exec() {
        local why="" out
        "$CTL" exec web1 -- sh -c 'exit 7'
        [ $? = 7 ] || why+="the exit status is lost;"
        "$CTL" exec web1 -- sh -c 'kill -9 $$'
        [ $? = 137 ] || why+="the signal is lost;"
        why+=$(expect 4 "no-such-program" -- "$CTL" exec web1 -- no-such-program)
        out=$(echo "through" | "$CTL" exec web1 -- cat)
        [ "$out" = through ] || why+="standard input does not arrive: $out;"
        out=$("$CTL" exec web1 -- echo --help -x "a b")
        [ "$out" = "--help -x a b" ] || why+="arguments are changed: $out;"
        out=$("$CTL" exec web1 -- sh -c 'ls /proc/self/fd | wc -l')
        [ "$out" = 4 ] || why+="$out descriptors are open, with ls' own;"
        out=$(script -qec "$CTL exec web1 -- tty" /dev/null </dev/null | tr -d '\r')
        [[ $out == /dev/pts/* ]] || why+="on a terminal it has none of its own: $out;"
        # Nothing stays in it that its command has left: a terminal's program, and one without.
        "$CTL" exec web1 -- sleep 777 </dev/null >/dev/null 2>&1 &
        wait_for 30 inside_runs 'sleep 777' || why+="exec does not run;"
        kill -KILL $!
        { wait $!; } 2>/dev/null
        wait_for 30 inside_lacks 'sleep 777' || why+="a program outlives its killed command;"
        mkfifo "$DIR/typed"
        script -qec "exec $CTL exec web1 -- sleep 778" /dev/null <"$DIR/typed" >/dev/null 2>&1 &
        exec 8>"$DIR/typed"
        wait_for 30 inside_runs 'sleep 778' || why+="exec on a terminal does not run;"
        kill -TERM "$(pgrep -f "^$CTL exec web1 -- sleep 778" | sort -n | head -n 1)"
        wait_for 30 inside_lacks 'sleep 778' || why+="a program outlives its killed command and terminal;"
        exec 8>&-
        wait $! 2>/dev/null
        out=$("$CTL" exec web1 -- sh -c 'grep -h . /proc/self/cgroup | cut -d: -f3 | sort -u')
        [ "$out" = / ] || why+="its cgroups are $out;"
        result exec "$why"
}

test_inside() {
        local why="" pid n out
        pid=$(init_pid web1)
        for n in user mnt pid net uts ipc cgroup time; do
                [ "$(readlink /proc/$pid/ns/$n)" != "$(readlink /proc/self/ns/$n)" ] || why+="it shares our $n namespace;"
        done
        out=$("$CTL" exec web1 -- sh -c 'cut -d" " -f5 /proc/self/mountinfo | sort | tr "\n" " "')
        [ "$out" = "/ /dev /dev/.hid/proc /dev/.hid/sys /dev/console /dev/mqueue /dev/pts /dev/shm /proc /proc/sys/kernel/random/boot_id /run /sys /sys/fs/cgroup " ] ||
                why+="its mounts are $out;"
        [ "$(awk '$1 == "CapBnd:" { print $2 }' /proc/$pid/status)" = 00000000fdecffff ] || why+="its bounding set is wrong;"
        [ "$(awk '$1 == "Seccomp_filters:" { print $2 }' /proc/$pid/status)" = 1 ] || why+="it has not one filter;"
        [ "$(awk '$1 == "NoNewPrivs:" { print $2 }' /proc/$pid/status)" = 0 ] || why+="no_new_privs is set;"
        # 10 is the script that its shell reads.
        [ "$(ls /proc/$pid/fd | sort -n | tr '\n' ' ')" = "0 1 2 10 " ] || why+="its descriptors are $(ls /proc/$pid/fd | tr '\n' ' ');"
        [ "$(readlink /proc/$pid/fd/1)" = /dev/console ] || why+="it is not on the console;"
        [ "$("$CTL" exec web1 -- stat -c %u:%g /bin/busybox)" = 0:0 ] || why+="files of the image are not root's;"
        [ "$(awk '{ print $1, $2, $3 }' /proc/$pid/uid_map)" = "0 20000000 65536" ] || why+="its id map is wrong;"
        out=$("$CTL" exec web1 -- sh -c 'cat /proc/sys/kernel/random/boot_id; : >/dev/null; mknod /tmp/sda b 8 0 2>&1; mount -t ext4 /dev/loop0 /tmp 2>&1; ls -d /dev/loop0 2>&1')
        [ "${out%%$'\n'*}" != "$(cat /proc/sys/kernel/random/boot_id)" ] || why+="it sees our boot id;"
        [[ $out == *"not permitted"* ]] || why+="mknod of a disk is not refused: $out;"
        wait_for 30 grep -q "console works" $RUN/web1/console.log || why+="its console is not kept;"
        result inside "$why"
}

test_stop() {
        local why="" t
        printf '%s\n' '#!/bin/sh' 'sleep 1' 'trap "echo heard; exit 5" TERM' 'while :; do sleep 0.1; done' |
                "$CTL" exec web1 -- sh -c 'cat >/bin/late-init && chmod 755 /bin/late-init' || why+="no late-init;"
        why+=$(expect 0 -- "$CTL" stop web1)
        [ "$(state web1)" = stopped ] || why+="it is $(state web1);"
        why+=$(left_behind web1)
        # A first program that hears and does nothing is killed when the time is over: 120 s unless given.
        why+=$(expect 0 -- "$CTL" set web1 'init=/bin/sh -c "trap : TERM; while :; do sleep 1; done"')
        why+=$(expect 0 -- "$CTL" start web1)
        t=$SECONDS
        why+=$(expect 0 -- "$CTL" stop web1 --timeout 1)
        [ $((SECONDS - t)) -le 60 ] || why+="killing took $((SECONDS - t)) s;"
        wait_for 30 clean web1 || why+="left behind after a kill: $(leftovers web1)"
        # So is one that cannot hear, soon; and one that cannot hear yet is asked when it can.
        why+=$(expect 0 -- "$CTL" set web1 'init=/bin/sleep 1000')
        why+=$(expect 0 -- "$CTL" start web1)
        t=$SECONDS
        why+=$(expect 0 -- "$CTL" stop web1)
        [ $((SECONDS - t)) -le 60 ] || why+="killing a deaf one took $((SECONDS - t)) s;"
        why+=$(expect 0 -- "$CTL" set web1 'init=/bin/late-init')
        why+=$(expect 0 -- "$CTL" start web1)
        why+=$(expect 0 -- "$CTL" stop web1)
        wait_for 30 grep -q heard $RUN/web1/console.log || why+="it was not asked: $(cat $RUN/web1/console.log);"
        why+=$(expect 0 -- "$CTL" set web1 "init=$INIT")
        result stop "$why"
}

# Init ends by itself: the monitor sees its status and removes everything.
test_exit() {
        local why=""
        rm -f $RUN/web1/exit
        why+=$(expect 0 -- "$CTL" set web1 'init=/bin/sh -c "exit 6"')
        why+=$(expect 0 -- "$CTL" start web1)
        wait_for 30 test -e $RUN/web1/exit || why+="no status was noted;"
        [ "$(cat $RUN/web1/exit 2>/dev/null)" = "status = 6" ] || why+="the status is $(cat $RUN/web1/exit);"
        why+=$(left_behind web1)
        grep -q heard $RUN/web1/console.log || why+="it was not asked: $(cat $RUN/web1/console.log);"
        why+=$(expect 0 -- "$CTL" set web1 "init=$INIT")
        result exit "$why"
}

test_bad_start() {
        local why=""
        why+=$(expect 0 -- "$CTL" set web1 'init=/bin/nothing-here')
        why+=$(expect 22 "/bin/nothing-here" "ct.conf" -- "$CTL" start web1)
        why+=$(left_behind web1)
        why+=$(expect 0 -- "$CTL" set web1 "init=$INIT" net.bridge=br7)
        why+=$(expect 3 "br7" "ip link add" -- "$CTL" start web1)
        why+=$(left_behind web1)
        why+=$(expect 0 -- "$CTL" set web1 net.bridge=)
        mv $LIB/ct/web1/root.img "$DIR/x.img"
        why+=$(expect 13 "root.img" -- "$CTL" start web1)
        head -c 1M /dev/zero >$LIB/ct/web1/root.img
        why+=$(expect 13 -- "$CTL" start web1)
        mv "$DIR/x.img" $LIB/ct/web1/root.img
        why+=$(left_behind web1)
        why+=$(expect 0 -- "$CTL" start web1)
        why+=$(expect 0 -- "$CTL" stop web1)
        result bad-start "$why"
}

# An image is the container's to fill: a link where a mount point belongs must not lead the engine out of it.
test_hostile_image() {
        local why="" victim=$DIR/outside
        mkdir "$victim"
        "$CTL" start web1 && "$CTL" exec web1 -- sh -c "umount -l /sys && rmdir /sys && ln -s $victim /sys" ||
                why+="the link could not be made;"
        "$CTL" stop web1
        why+=$(expect 1 "/sys" -- "$CTL" start web1)
        [ -z "$(ls -A "$victim")" ] || why+="something was made outside;"
        why+=$(left_behind web1)
        rm -f $LIB/ct/web1/root.img
        cp --sparse=always $LIB/template/bb.img $LIB/ct/web1/root.img
        result hostile-image "$why"
}

test_no_network() {
        local why=""
        why+=$(expect 0 -- make alone --bridge none)
        why+=$(expect 0 -- "$CTL" start alone)
        [ "$("$CTL" exec alone -- sh -c 'ls /sys/class/net')" = lo ] || why+="it has more than lo;"
        why+=$(expect 0 -- "$CTL" stop alone)
        why+=$(expect 0 -- "$CTL" destroy alone)
        result no-network "$why"
}

test_destroy() {
        local why=""
        why+=$(expect 0 -- "$CTL" destroy web1)
        [ -z "$(ls -A $LIB/ct)" ] || why+="left: $(ls -A $LIB/ct);"
        [ -e $RUN/web1 ] && why+="its run directory is left;"
        why+=$(expect 4 -- "$CTL" start web1)
        result destroy "$why"
}

test_create
test_unknown
test_start
test_exec
test_inside
test_stop
test_exit
test_bad_start
test_hostile_image
test_no_network
test_destroy
exit $FAILED
