#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sleeps that go on to their ends over a dump and over a restore (tests/victim/tape-sleep.c).
set -u
build=${T_BUILD:?} release=${T_RELEASE:-$T_BUILD}
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 77; }
exec "$build/tests/kind/kind-driver" --cgroup "gantry-test-${T_RUN:-$$}-sleep" "$release/tests/victim/victim-tape-sleep" \
        dump restore
