#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a container has that no process of it holds comes back with a checkpoint: a console that everybody has let go of.
set -u
export LC_ALL=C.UTF-8
. "$(dirname "$0")/engine-common.bash"
[ -n "${ENGINE_INSIDE:-}" ] || outside "$@"
node
bb_template

saved_and_back() { rm -rf "$DIR/image"; "$CTL" checkpoint "$1" "$DIR/image" && "$CTL" restore "$1" "$DIR/image"; }

test_console() {
        local why="" before after
        why+=$(expect 0 -- "$CTL" create con1 --template bb --size 64M --memory 64M \
                --init '/bin/sh -c "exec <>/dev/pts/0; stty -echo rows 31 cols 91; exec <&- >&- 2>&-; while :; do sleep 3600; done"')
        why+=$(expect 0 -- "$CTL" start con1)
        let_go() { [ "$(find "/proc/$(init_pid con1)/fd" -lname '*console' -o -lname '/dev/pts*' | wc -l)" = 0 ]; }
        wait_for 10 let_go || why+="it holds its console;"
        looks() { "$CTL" exec con1 -- sh -c 'cut -d" " -f 6-8 /proc/1/stat; stty -a -F /dev/pts/0' </dev/null 2>&1; }
        before=$(looks)
        [[ $before == 1\ 34816\ 1* && $before == *"rows 31"* && $before == *-echo\ * ]] || why+="before: $before;"
        why+=$(expect 0 -- saved_and_back con1)
        after=$(looks)
        [ "$before" = "$after" ] || why+="was: $before; is: $after;"
        why+=$(expect 0 -- "$CTL" stop con1 --timeout 0)
        result console "$why"
}

test_console
exit $FAILED
