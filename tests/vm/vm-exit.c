/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm-exit STATUS: ends the machine it runs in. qemu's isa-debug-exit device at port 0xf4 makes 2 × STATUS + 1 of it, so
 * that a guest's word differs from a machine that stopped by itself. (Debian's cloud kernel has no /dev/port.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        unsigned long status = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

        if (ioperm(0xf4, 4, 1) < 0) {
                perror("vm-exit: ioperm");
                return 1;
        }
        outb((unsigned char)(status & 0x7f), 0xf4);
        pause();
        return 1;
}
