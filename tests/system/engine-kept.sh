#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a container has that no process of it holds comes back with a checkpoint: a console that everybody has let go of. And what
# does not come back as it was is counted: memory that processes share since a fork.
. "$(dirname "$0")/engine-common.bash"
enter "$@"
bb_template

saved_and_back() { rm -rf "$DIR/image"; "$CTL" checkpoint "$1" "$DIR/image" && "$CTL" restore "$1" "$DIR/image"; }

test_console() {
        local why="" before after
        why+=$(expect 0 -- "$CTL" create con1 --template bb --size 64M --memory 64M \
                --init '/bin/sh -c "exec <>/dev/pts/0; stty -echo rows 31 cols 91; exec <&- >&- 2>&-; while :; do sleep 3600; done"')
        why+=$(expect 0 -- "$CTL" start con1)
        let_go() { [ "$(find "/proc/$(init_pid con1)/fd" -lname '*console' -o -lname '/dev/pts*' | wc -l)" = 0 ]; }
        wait_for 30 let_go || why+="it holds its console;"
        looks() { "$CTL" exec con1 -- sh -c 'cut -d" " -f 6-8 /proc/1/stat; stty -a -F /dev/pts/0' </dev/null 2>&1; }
        before=$(looks)
        [[ $before == 1\ 34816\ 1* && $before == *"rows 31"* && $before == *-echo\ * ]] || why+="before: $before;"
        why+=$(expect 0 -- saved_and_back con1)
        after=$(looks)
        [ "$before" = "$after" ] || why+="was: $before; is: $after;"
        why+=$(expect 0 -- "$CTL" stop con1 --timeout 0)
        result console "$why"
}

# 8 MiB touched before two forks, 2 MiB of them written to by one child: 8 and 6 MiB come back as copies, and little else.
test_unshared() {
        local why="" n out
        mkdir -p "$DIR/forked"/{bin,dev,proc,sys,run,tmp,talk} && cp "${T_RELEASE:-$B}/tests/victim/victim-forked" "$DIR/forked/bin/forked"
        cp "$(command -v busybox)" "$DIR/forked/bin/busybox"
        template_of forked "$DIR/forked" 32M || why+="no template;"
        why+=$(expect 0 -- "$CTL" create fork1 --template forked --size 64M --memory 128M --init '/bin/forked /talk')
        why+=$(expect 0 -- "$CTL" start fork1)
        wait_for 30 "$CTL" exec fork1 -- /bin/busybox test -e /talk/ready </dev/null || why+="it is not ready;"
        out=$("$CTL" checkpoint fork1 "$DIR/forked.image" --leave-running --json </dev/null)
        n=$(field "$out" unshared_pages)
        [ "${n:-0}" -ge 3584 ] && [ "$n" -le 3712 ] || why+="$n pages, of 3584 and a few;"
        out=$("$CTL" checkpoint fork1 "$DIR/forked2.image" </dev/null)
        [[ $out == *1[45].[0-9]\ MiB\ that\ relatives\ share* ]] || why+="in words: $out;"
        # What came back are copies: nothing is left to be unshared but what the exec'd restore shares.
        why+=$(expect 0 -- "$CTL" restore fork1 "$DIR/forked.image")
        out=$("$CTL" checkpoint fork1 "$DIR/forked3.image" --json </dev/null)
        n=$(field "$out" unshared_pages)
        [ "${n:-9999}" -le 64 ] || why+="$n pages are still shared after a restore;"
        result unshared "$why"
}

test_console
test_unshared
exit $FAILED
