/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of the planners: numbers between the image's own and the kinds'. */
#pragma once

enum { RECORD_TREE = 4, RECORD_MOUNTS = 5 };
