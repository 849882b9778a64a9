/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host and domain name that a container has given itself. Runs as the first program of one (tests/kind/inside.sh). */
#include <sys/utsname.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct utsname u;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        VICTIM_MUST(sethostname("changed-by-victim", 17) == 0);
        VICTIM_MUST(setdomainname("example.test", 12) == 0);

        victim_wait(&v);

        VICTIM_MUST(uname(&u) == 0);
        VICTIM_CHECK(&v, strcmp(u.nodename, "changed-by-victim") == 0, "the host name is %s", u.nodename);
        VICTIM_CHECK(&v, strcmp(u.domainname, "example.test") == 0, "the domain name is %s", u.domainname);
        return victim_end(&v);
}
