/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console, whose output is stopped as by ^S: refused, and still stopped. In a container. */
#include <poll.h>
#include <termios.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct pollfd p = {.fd = 1, .events = POLLOUT};

        VICTIM_MUST(getenv("container"));
        victim_begin(&v, argc, argv);
        VICTIM_MUST(isatty(1) && tcflow(1, TCOOFF) == 0);
        victim_file(&v, "words", "a terminal whose output is stopped (^S)");

        victim_wait(&v);

        VICTIM_CHECK(&v, poll(&p, 1, 0) == 0, "the console goes on");
        VICTIM_MUST(tcflow(1, TCOON) == 0);
        return victim_end(&v);
}
