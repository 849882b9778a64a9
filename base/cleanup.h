/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope cleanup by attribute, and hand-over of what would have been cleaned up.
 *
 *      _cleanup_close_ int fd = openat(…);
 *      _cleanup_free_ char *text = NULL;
 *      …
 *      *ret = TAKE_FD(fd);
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <errno.h>

#define CLEANUP(f) __attribute__((cleanup(f)))

#define DEFINE_CLEANUP(type, func)                                                                           \
        static inline void func##p(type *p)                                                                  \
        {                                                                                                    \
                if (*p)                                                                                      \
                        func(*p);                                                                            \
        }

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline int fd_close(int fd) /* closes and returns -1; errno is kept; -1 is allowed */
{
        if (fd >= 0) {
                int saved = errno;
                close(fd);
                errno = saved;
        }
        return -1;
}

static inline void closep(int *fd)
{
        *fd = fd_close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose)
DEFINE_CLEANUP(DIR *, closedir)

#define _cleanup_free_ CLEANUP(freep)
#define _cleanup_close_ CLEANUP(closep)
#define _cleanup_fclose_ CLEANUP(fclosep)
#define _cleanup_closedir_ CLEANUP(closedirp)

#define TAKE_FD(fd)                                                                                          \
        ({                                                                                                   \
                int _fd = (fd);                                                                              \
                (fd) = -1;                                                                                   \
                _fd;                                                                                         \
        })
#define TAKE_PTR(p)                                                                                          \
        ({                                                                                                   \
                __typeof__(p) _p = (p);                                                                      \
                (p) = NULL;                                                                                  \
                _p;                                                                                          \
        })

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
