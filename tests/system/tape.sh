#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Tapes in real tasks. usage: tape.sh BUILDDIR [PROGRAM [TEST]]
# Each program runs inside its own pid namespace, where the worst mistake cannot leave it.
set -u
build=${1:?builddir}
status=0
for name in ${2:-play}; do
        unshare --pid --fork --mount-proc --kill-child "$build/tests/tape-$name" ${3:+"$3"} || status=1
done
exit $status
