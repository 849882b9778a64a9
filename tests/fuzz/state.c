/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of the engine's own small files, whatever has become of them: the run state, the journal, an entry of the
 * migration's ledger, and node.conf. What is read of one is written down and read as the same; what cannot be read decides nothing.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "engine/config.h"
#include "engine/ct-int.h"
#include "migrate/ledger.h"
#include "tests/fuzz/fuzz.h"

/* A bridge, a cgroup, a peer. */
const size_t fuzz_sizes[] = {16, 256, 0};

#define TOKEN "0f8fad5b-d9cb-469f-a165-70867728950e"

static void put(int dir, const char *name, const void *p, size_t n)
{
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        FUZZ_CHECK(fd >= 0 && write(fd, p, n) == (ssize_t)n);
        close(fd);
}

static void run_state(struct ct *ct)
{
        struct run_state s = {.pid = -1}, again = {};
        struct err err = {};
        int r = state_get(ct, &s, &err);

        if (r < 0) {
                FUZZ_CHECK(s.pid == -1 && err.code && err.why[0]);
                return;
        }
        FUZZ_CHECK(r == 0 && s.pid > 0 && state_put(ct, &s, &err) == 0 && state_get(ct, &again, &err) == 0);
        FUZZ_CHECK(s.pid == again.pid && s.start == again.start && s.root_dev == again.root_dev && s.dev_dev == again.dev_dev && s.boot_dev == again.boot_dev);
}

static void journal(struct ct *ct)
{
        struct journal *j = fuzz_array(1, sizeof(*j)), *again = fuzz_array(1, sizeof(*again)), untouched;
        struct err err = {};

        memcpy(&untouched, j, sizeof(untouched));
        if (ct_journal_get(ct, j, &err) < 0) {
                FUZZ_CHECK(memcmp(j, &untouched, sizeof(untouched)) == 0 && err.code && err.why[0]);
        } else {
                FUZZ_CHECK(memchr(j->token, '\0', sizeof(j->token)) && memchr(j->peer, '\0', sizeof(j->peer)) && (!j->token[0] || uuid_valid(j->token)));
                FUZZ_CHECK(ct_journal_put(ct, j, &err) == 0 && ct_journal_get(ct, again, &err) == 0);
                FUZZ_CHECK(j->owner == again->owner && !strcmp(j->token, again->token) && !strcmp(j->peer, again->peer) && j->frozen == again->frozen);
        }
        free(j);
        free(again);
}

static void ledger(int dir, const uint8_t *data, size_t size)
{
        enum ledger_state s = LEDGER_STATES, again = LEDGER_STATES;
        struct err err = {};
        int r = ledger_get(dir, TOKEN, &s, &err);
        bool claimed = size == 8 && memcmp(data, "CLAIMED\n", 8) == 0, is_void = size == 5 && memcmp(data, "VOID\n", 5) == 0;

        FUZZ_CHECK((r == 0) == (claimed || is_void) && (r == 0 || r == -EX_DOUBT));
        FUZZ_CHECK(r < 0 || s == (claimed ? LEDGER_CLAIMED : LEDGER_VOID));
        /* Who asks, decides, or forgets changes nothing that is decided, and decides nothing that cannot be read. */
        FUZZ_CHECK(ledger_decide(dir, TOKEN, LEDGER_CLAIMED, &again, &err) == (r < 0 ? r : 1) && (r < 0 || again == s));
        FUZZ_CHECK(ledger_ask(dir, TOKEN, &again, &err) == r && (r < 0 || again == s));
}

static void node_conf(const uint8_t *data, size_t size)
{
        struct node_config *c = fuzz_array(1, sizeof(*c));
        struct err err = {};

        if (node_conf_parse((const char *)data, size, c, &err) == 0) {
                FUZZ_CHECK(memchr(c->cgroup, '\0', sizeof(c->cgroup)) && memchr(c->bridge, '\0', sizeof(c->bridge)));
                FUZZ_CHECK(c->cgroup[0] != '/' && !strstr(c->cgroup, "..") && !strpbrk(c->bridge, "/ \t"));
                FUZZ_CHECK(c->idmap_range.base && (uint64_t)c->idmap_range.base + c->idmap_range.count <= UINT32_MAX);
        } else {
                FUZZ_CHECK(err.code == EX_CONFIG && err.why[0]);
        }
        free(c);
}

/* A token is a uuid, or is none. */
static void token(const char *text)
{
        size_t n = strlen(text);
        bool good = n == 36;

        for (size_t i = 0; good && i < n; i++)
                good = i == 8 || i == 13 || i == 18 || i == 23 ? text[i] == '-' : (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        FUZZ_CHECK((ledger_token_check(text, NULL) == 0) == good);
        FUZZ_CHECK(n != 36 || uuid_valid(text) == good);
}

static char place[] = "/dev/shm/gantry-fuzz-XXXXXX"; /* in memory: nothing is waited for */

static void remove_place(void)
{
        (void)path_remove_tree(AT_FDCWD, place, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int dir = -1;
        char *text = fuzz_string(data, size), *exact = fuzz_string(text, strlen(text));

        if (dir < 0) {
                FUZZ_CHECK(mkdtemp(place) && atexit(remove_place) == 0 && (dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
                FUZZ_CHECK(mkdirat(dir, "ledger", 0700) == 0);
        }
        struct ct ct = {.name = "web1", .dir = dir, .run = dir};
        put(dir, "state", data, size);
        put(dir, "journal", data, size);
        put(dir, "ledger/" TOKEN, data, size);
        run_state(&ct);
        journal(&ct);
        ledger(dir, data, size);
        node_conf(data, size);
        token(exact);
        free(exact);
        free(text);
        return 0;
}
