# SPDX-License-Identifier: GPL-2.0-or-later
#
# interrupt-at.bash WORD COMMAND…: runs the command, and sends it SIGTERM as soon as WORD stands in what it says. Its status.
word=$1 said=$(mktemp) || exit 1
shift
"$@" 2>"$said" </dev/null &
pid=$!
until grep -qw -- "$word" "$said" || [ ! -d "/proc/$pid" ]; do sleep 0.01; done
kill -TERM "$pid" 2>/dev/null
wait "$pid"
rc=$?
cat "$said" >&2
rm -f "$said"
exit $rc
