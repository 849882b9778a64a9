#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images as an administrator uses them: made, shown, mounted, refused, and never left attached.
. "$(dirname "$0")/ploop-common.bash"
enter "$@"
mkdir m n

test_create() {
        local size start ms i why=""
        for size in 10G 1T; do
                # The best of some: the machine may be at other work.
                for i in {1..10}; do
                        rm -f "$size.img"
                        start=${EPOCHREALTIME/[.,]/}
                        why+=$(expect 0 -- "$PLOOP" create "$size.img" --size "$size" --label test)
                        ms=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
                        [ $ms -ge 800 ] || break
                done
                [ $ms -lt 800 ] || why+="$size took $ms ms;"
                [ -e "$size.img.tmp" ] && why+="a temporary file was left;"
                why+=$(sound "$size.img")
        done
        [ "$(stat -c %b 10G.img)" -lt 32768 ] || why+="10G takes $(stat -c %b 10G.img) sectors;"
        [ "$(stat -c %a 10G.img)" = 600 ] || why+="everybody may read it;"
        why+=$(expect 5 "10G.img" exists -- "$PLOOP" create 10G.img --size 1G)
        why+=$(expect 2 "16M" -- "$PLOOP" create small.img --size 1M)
        why+=$(expect 2 "--size" -- "$PLOOP" create small.img)
        why+=$(expect 1 "no-such-dir" -- "$PLOOP" create no-such-dir/a.img --size 64M)
        result create "$why"
}

# Nobody makes k.img any more: mke2fs outlives a killed command, and has its lock.
unlocked() { [ ! -e k.img.tmp ] || flock -n k.img.tmp true; }

# An administrator may not lose a file to a temporary name of ours, nor an image to a killed command.
test_create_killed() {
        local i why="" first
        for i in 1 2 3 4 5 6 7 8 9; do
                killed_after "0.00$i" "$PLOOP" create k.img --size 1T 2>/dev/null
                [ -e k.img ] && rm k.img
        done
        wait_for 30 unlocked || why+="it is locked for ever;"
        why+=$(expect 0 -- "$PLOOP" create k.img --size 64M)
        why+=$(sound k.img)
        rm -f k.img
        : >l.img.tmp
        exec 9<l.img.tmp
        flock 9
        why+=$(expect 7 "l.img" -- "$PLOOP" create l.img --size 64M)
        [ -e l.img.tmp ] || why+="the file of another command is gone;"
        exec 9<&-
        first=$(stat -c %i l.img.tmp)
        why+=$(expect 0 -- "$PLOOP" create l.img --size 64M)
        [ "$(stat -c %i l.img)" = "$first" ] || why+="it is not the temporary file that was renamed;"
        result create-killed "$why"
}

# Killed in the middle of mke2fs, which goes on: nobody else writes to that file meanwhile. This mke2fs waits for a word of ours.
test_create_orphan() {
        local why=""
        mount -t tmpfs none /usr/local/sbin && printf '#!/bin/sh\n: >%s/begun\nuntil [ -e %s/go ]; do sleep 0.05; done\nexec %s "$@"\n' \
                "$DIR" "$DIR" "$(PATH=/usr/sbin:/sbin command -v mke2fs)" >/usr/local/sbin/mke2fs && chmod 755 /usr/local/sbin/mke2fs ||
                why+="no other mke2fs;"
        "$PLOOP" create k.img --size 64M &
        wait_for 30 test -e begun || why+="mke2fs is not run;"
        { kill -KILL $!; wait $!; } 2>/dev/null
        umount -l /usr/local/sbin # the script is open
        why+=$(expect 7 "k.img" -- "$PLOOP" create k.img --size 64M)
        : >go
        wait_for 30 unlocked || why+="it is locked for ever;"
        why+=$(expect 0 -- "$PLOOP" create k.img --size 64M)
        why+=$(sound k.img)
        rm -f k.img go begun
        result create-orphan "$why"
}

test_create_interrupted() {
        local i rc why=""
        for i in 1 2 3 4 5 6 8 10 15 20 30; do
                timeout --preserve-status -s INT "$(seconds $i)" "$PLOOP" create i.img --size 1T >out 2>&1
                rc=$?
                case $rc in 0) rm i.img ;; 20 | 130) ;; *) why+="after $i ms it says $rc: $(cat out);" ;; esac
                [ -e i.img.tmp ] || [ -e i.img ] && why+="after $i ms ($rc) it leaves $(echo i.img*);"
        done
        result create-interrupted "$why"
}

test_create_full() {
        local why=""
        mount -t tmpfs -o size=1M none n || { result create-full "no tmpfs"; return; }
        why+=$(expect 9 "free some space" -- "$PLOOP" create n/a.img --size 10G)
        [ -z "$(ls -A n)" ] || why+="left behind: $(ls -A n);"
        umount n
        result create-full "$why"
}

test_mount() {
        local why=""
        why+=$(expect 0 -- "$PLOOP" mount 10G.img m)
        [ "$(attached)" = 1 ] || why+="not attached;"
        [ "$(cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -c "^$DIR/10G.img")" = 1 ] || why+="not on a loop device;"
        grep -q " $DIR/m rw,nodev,noatime - ext4 /dev/loop[0-9]* rw,discard,noinit_itable" /proc/self/mountinfo ||
                why+="mounted as: $(grep " $DIR/m " /proc/self/mountinfo);"
        why+=$(expect 5 "attached already" "/dev/loop" -- "$PLOOP" mount 10G.img n)
        why+=$(expect 0 "in use" "/dev/loop" -- "$PLOOP" info 10G.img)
        head -c 3000000 /dev/urandom >m/file
        sum=$(sha256sum <m/file)
        why+=$(expect 0 -- "$PLOOP" umount m)
        none_attached || why+="still attached after umount;"
        why+=$(expect 0 -- "$PLOOP" mount 10G.img m --read-only)
        [ "$(sha256sum <m/file)" = "$sum" ] || why+="the file has changed;"
        : 2>/dev/null >m/other && why+="read-only can be written;"
        exec 8<m/file
        why+=$(expect 6 "busy" -- "$PLOOP" umount m)
        exec 8<&-
        why+=$(expect 0 -- "$PLOOP" umount m)
        why+=$(sound 10G.img)
        result mount "$why"
}

test_refused() {
        local why="" before
        why+=$(expect 4 "nothing.img" -- "$PLOOP" info nothing.img)
        why+=$(expect 4 "nothing.img" -- "$PLOOP" mount nothing.img m)
        why+=$(expect 2 "nodir" -- "$PLOOP" mount 10G.img nodir)
        why+=$(expect 6 "nothing is mounted" -- "$PLOOP" umount m)
        why+=$(expect 6 "no image" -- "$PLOOP" umount /)
        why+=$(expect 4 "nodir" -- "$PLOOP" umount nodir)
        why+=$(expect 13 "no ext4" -- "$PLOOP" info "$PLOOP")
        why+=$(expect 13 "regular" -- "$PLOOP" info /dev/null)
        why+=$(expect 2 "IMAGE DIR" -- "$PLOOP" mount 10G.img)
        why+=$(expect 2 "--help" -- "$PLOOP" umount --size 3G m)
        why+=$(expect 2 "--help" -- "$PLOOP" explode m)
        why+=$(expect 0 ctrploop -- "$PLOOP" --version)
        why+=$(expect 0 create info mount umount -- "$PLOOP" --help)
        none_attached || why+="something is attached;"
        result refused "$why"
}

# The superblock lies at 1,024. A bit of it, its checksum, half of the file, options that it brings along.
test_damaged() {
        local at why=""
        "$PLOOP" create d.img --size 64M || why+="no image;"
        for at in 1028 1084 1120 1500 2044; do
                cp --sparse=always d.img e.img
                flip e.img $at
                why+=$(expect 13 -- "$PLOOP" info e.img)
                why+=$(expect 13 -- "$PLOOP" mount e.img m)
        done
        cp --sparse=always d.img e.img
        truncate -s 30M e.img
        why+=$(expect 13 "cut short" -- "$PLOOP" mount e.img m)
        cp --sparse=always d.img e.img
        tune2fs -E mount_opts=errors=panic e.img >/dev/null 2>&1
        why+=$(expect 13 "mount options" -- "$PLOOP" mount e.img m)
        cp --sparse=always d.img e.img
        tune2fs -L $'\033[31mred' e.img >/dev/null 2>&1
        why+=$(expect 0 "label      ?[31mred" -- "$PLOOP" info e.img)
        none_attached || why+="a refused image is attached;"
        rm -f d.img e.img
        result damaged "$why"
}

# Whatever moment a kill meets, the image is mounted or free; nothing else.
test_mount_killed() {
        local i why="" mounted=0 free=0
        for i in $(seq -w 1 60); do
                killed_after "0.00$((10#$i % 10))$((10#$i / 10))" "$PLOOP" mount 10G.img m 2>/dev/null
                if mountpoint -q m; then
                        mounted=$((mounted + 1))
                        umount m || { why="cannot unmount"; break; }
                else
                        free=$((free + 1))
                fi
                none_attached || { why="attached without a mount after kill $i"; break; }
        done
        [ -n "$why" ] || [ $free -gt 0 ] || why="no kill came in time"
        why+=$(sound 10G.img)
        result "mount-killed" "$why"
}

# Two commands at once: one mounts, all others say who has it.
test_mount_race() {
        local i round why="" codes
        for i in 1 2 3 4 5 6; do mkdir -p "r$i"; done
        for round in 1 2 3 4 5; do
                for i in 1 2 3 4 5 6; do
                        { "$PLOOP" mount 10G.img "r$i" 2>/dev/null; echo $? >"rc$i"; } &
                done
                wait
                codes=$(cat rc? | sort | tr '\n' ' ')
                [ "$codes" = "0 5 5 5 5 5 " ] || why+="round $round: $codes;"
                [ "$(attached)" = 1 ] || why+="$(attached) devices;"
                for i in 1 2 3 4 5 6; do mountpoint -q "r$i" && umount "r$i"; done
                none_attached || why+="still attached;"
        done
        result mount-race "$why"
}

# Every system call of attaching, mounting, tracking and freezing fails once.
test_faults() {
        local why
        why=$(timeout 500 "$B/tests/ploop-fault" . 2>&1) || why+=" ended with $?"
        none_attached || why+=" still attached"
        result faults "$why"
}

test_create
test_create_killed
test_create_orphan
test_create_interrupted
test_create_full
test_mount
test_refused
test_damaged
test_mount_killed
test_mount_race
test_faults
exit $FAILED
