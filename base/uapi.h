/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernel interfaces newer than Debian 12's headers (6.1), declared by hand. The structures are the kernel's ABI.
 * Every user probes first: 6.1 answers ENOSYS, EINVAL or ENOTTY.
 */
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* 6.9 */
#endif
#ifndef __NR_statmount
#define __NR_statmount 457 /* 6.8 */
#define __NR_listmount 458
#endif
#ifndef PAGEMAP_SCAN /* 6.7 */
struct page_region { __u64 start, end, categories; };
struct pm_scan_arg {
        __u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
        __u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WPALLOWED (1 << 0)
#define PAGE_IS_WRITTEN (1 << 1)
#define PAGE_IS_FILE (1 << 2)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_PFNZERO (1 << 5)
#define PAGE_IS_HUGE (1 << 6)
#define PAGE_IS_SOFT_DIRTY (1 << 7)
#define PAGE_IS_GUARD (1 << 8)
#define PM_SCAN_WP_MATCHING (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)
#endif
#ifndef PR_TIMER_CREATE_RESTORE_IDS
#define PR_TIMER_CREATE_RESTORE_IDS 77 /* 6.15 */
#endif
#ifndef EPIOCGPARAMS /* 6.9 */
struct epoll_params { __u32 busy_poll_usecs; __u16 busy_poll_budget; __u8 prefer_busy_poll, pad; };
#define EPIOCSPARAMS _IOW(0x8a, 0x01, struct epoll_params)
#define EPIOCGPARAMS _IOR(0x8a, 0x02, struct epoll_params)
#endif
