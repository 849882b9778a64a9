/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From facts to the one kind that answers for them (classify.h): the switch over the classes.
 *
 * Classes of properties have no entry here: each of their kinds looks at every object of its class.
 */
#include "checkpoint/kind/classify.h"

#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

uint16_t kind_classify(const struct facts *f)
{
        switch (f->cls) {
        case CLS_FILE:
                return classify_file(f);
        case CLS_VMA:
                return classify_vma(f);
        case CLS_MOUNT:
                return classify_mount(f);
        case CLS_LINK:
                return classify_link(f);
        case CLS_NS:
                return classify_ns(f);
        case CLS_CGROUP:
                return KIND_CG_DIR;
        case CLS_TASK:
        case CLS_THREAD:
        case CLS_MM:
        case CLS_FILES:
        case CLS_FS:
        case CLS_SIGHAND:
        case CLS_SHM:
        case CLS_NETNS:
        case CLS_FILEPROP:
        case CLS_N:
        default:
                return 0;
        }
}

int kind_is(const struct facts *f, uint16_t number)
{
        return (f->number ? f->number : kind_classify(f)) == number;
}
