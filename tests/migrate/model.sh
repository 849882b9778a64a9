#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The hand-over's model, checked by spin (tests/model).
exec "$(dirname "$(readlink -f "$0")")/../model/run"
