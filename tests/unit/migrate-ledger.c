/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ledger: whoever decides first decides for ever, and only a question can turn "unknown" into VOID. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/path.h"
#include "migrate/ledger.h"

#define TOKEN "01234567-89ab-cdef-0123-456789abcdef"

static char dir[] = "/tmp/migrate-ledger-XXXXXX";

static int scratch(void)
{
        cr_assert_not_null(mkdtemp(dir));
        return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void done(int fd)
{
        close(fd);
        cr_assert_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}

Test(ledger, the_way_of_a_migration)
{
        enum ledger_state s;
        int fd = scratch();

        cr_expect_eq(ledger_get(fd, TOKEN, &s, NULL), 0);
        cr_expect_eq(s, LEDGER_NONE);
        cr_expect_eq(ledger_decide(fd, TOKEN, LEDGER_CLAIMED, &s, NULL), 0);
        cr_expect_eq(ledger_decide(fd, TOKEN, LEDGER_CLAIMED, &s, NULL), 1);
        cr_expect_eq(ledger_decide(fd, TOKEN, LEDGER_VOID, &s, NULL), 1);
        cr_expect_eq(s, LEDGER_CLAIMED);
        cr_expect_eq(ledger_ask(fd, TOKEN, &s, NULL), 0);
        cr_expect_eq(s, LEDGER_CLAIMED);
        cr_expect_eq(ledger_forget(fd, TOKEN, NULL), 0);
        cr_expect_eq(ledger_get(fd, TOKEN, &s, NULL), 0);
        cr_expect_eq(s, LEDGER_NONE);
        done(fd);
}

Test(ledger, a_question_voids_what_is_not_claimed)
{
        enum ledger_state s;
        int fd = scratch();

        cr_expect_eq(ledger_ask(fd, TOKEN, &s, NULL), 0);
        cr_expect_eq(s, LEDGER_VOID, "unknown");
        cr_expect_eq(ledger_decide(fd, TOKEN, LEDGER_CLAIMED, &s, NULL), 1);
        cr_expect_eq(s, LEDGER_VOID);
        cr_expect_eq(ledger_forget(fd, TOKEN, NULL), 0);
        cr_expect_eq(ledger_get(fd, TOKEN, &s, NULL), 0);
        cr_expect_eq(s, LEDGER_VOID, "it stays");
        done(fd);
}

Test(ledger, a_token_is_a_uuid_and_no_path)
{
        enum ledger_state s;
        int fd = scratch();

        cr_expect_eq(ledger_get(fd, "../../etc/passwd", &s, NULL), -EX_PEER);
        cr_expect_eq(ledger_get(fd, "", &s, NULL), -EX_PEER);
        cr_expect_eq(ledger_ask(fd, "01234567-89ab-cdef-0123-456789abcde/", &s, NULL), -EX_PEER);
        done(fd);
}

Test(ledger, a_damaged_entry_is_a_doubt_and_not_an_answer)
{
        enum ledger_state s;
        int fd = scratch();

        cr_assert_eq(path_mkdir_p(fd, "ledger", 0700, NULL), 0);
        cr_assert_eq(path_replace(fd, "ledger/" TOKEN, "CLAI", 4, 0600, NULL), 0);
        cr_expect_eq(ledger_ask(fd, TOKEN, &s, NULL), -EX_DOUBT);
        done(fd);
}

struct race { int fd; pthread_barrier_t *b; bool ask; int r; enum ledger_state s; };

static void *racer(void *arg)
{
        struct race *r = arg;

        pthread_barrier_wait(r->b);
        if (r->ask)
                r->r = ledger_ask(r->fd, TOKEN, &r->s, NULL);
        else
                r->r = ledger_decide(r->fd, TOKEN, LEDGER_CLAIMED, &r->s, NULL);
        return NULL;
}

/* The claim and the question at the same time: exactly one wins, and both know which. */
Test(ledger, claim_and_question_race)
{
        int fd = scratch();
        int claimed = 0;

        for (int i = 0; i < 200; i++) {
                pthread_barrier_t b;
                struct race at[2] = {{.fd = fd, .b = &b}, {.fd = fd, .b = &b, .ask = true}};
                pthread_t t[2];

                pthread_barrier_init(&b, NULL, 2);
                for (int k = 0; k < 2; k++)
                        pthread_create(&t[k], NULL, racer, &at[k]);
                for (int k = 0; k < 2; k++)
                        pthread_join(t[k], NULL);
                bool won = at[0].r == 0;
                cr_assert_eq(at[1].s, won ? LEDGER_CLAIMED : LEDGER_VOID);
                claimed += won;
                unlinkat(fd, "ledger/" TOKEN, 0);
                pthread_barrier_destroy(&b);
        }
        printf("claimed first: %d of 200\n", claimed);
        done(fd);
}
