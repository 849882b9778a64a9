/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first message both ways (migrate/hello.h), and the random numbers of a migration.
 *
 * The source names what it needs, the target what it can do; what is missing is named in the refusal. The target gives
 * the source's random bytes back, so that an answer is to this question and no other.
 */
#include "migrate/hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"
#include "proto/record.h"

#define WHAT "the two nodes cannot work together"
#define NONCE 16

/* What this release both needs and can do. A feature is never renamed. */
static const char *const features[] = {"disk-rounds", "image-1", "ledger"};

static int random_bytes(void *p, size_t n, struct err *err)
{
        if (getrandom(p, n, 0) != (ssize_t)n)
                return err_sys(err, EX_FAIL, errno, "cannot get random bytes", "%s", "");
        return 0;
}

int token_new(char ret[37], struct err *err)
{
        unsigned char b[16];
        int r = random_bytes(b, sizeof(b), err);

        if (r < 0)
                return r;
        b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
        b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
        for (unsigned i = 0, at = 0; i < 16; i++, at += 2) {
                if (i == 4 || i == 6 || i == 8 || i == 10)
                        ret[at++] = '-';
                snprintf(ret + at, 3, "%02x", b[i]);
        }
        return 0;
}

static int send_hello(struct wire *w, const uint8_t *nonce, struct err *err)
{
        Gantry__WireHello m = GANTRY__WIRE_HELLO__INIT;
        struct utsname u;
        char version[] = GANTRY_VERSION;
        char *list[ELEMENTSOF(features)];

        if (uname(&u) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot name the kernel", "%s", "");
        for (size_t i = 0; i < ELEMENTSOF(features); i++)
                list[i] = (char *)(uintptr_t)features[i];
        m.protocol = PROTOCOL_VERSION;
        m.version = version;
        m.arch = u.machine;
        m.kernel = u.release;
        m.node = u.nodename;
        m.n_feature = ELEMENTSOF(features);
        m.feature = list;
        m.nonce = (ProtobufCBinaryData){NONCE, (uint8_t *)(uintptr_t)nonce};
        return msg_send(w, MSG_HELLO, &m.base, err);
}

static bool has(const Gantry__WireHello *m, const char *feature)
{
        for (size_t i = 0; i < m->n_feature; i++)
                if (str_eq(m->feature[i], feature))
                        return true;
        return false;
}

static int judge(const Gantry__WireHello *m, struct err *err)
{
        struct utsname u;

        if (m->protocol != PROTOCOL_VERSION)
                return err_set(err, EX_PEER, WHAT, "they speak different versions of the protocol", "%s: %u, here: %u",
                               m->node, m->protocol, PROTOCOL_VERSION);
        if (uname(&u) < 0 || strcmp(u.machine, m->arch) != 0)
                return err_set(err, EX_PEER, WHAT, "their processors are of different kinds", "%s: %s, here: %s", m->node,
                               m->arch, u.machine);
        for (size_t i = 0; i < ELEMENTSOF(features); i++)
                if (!has(m, features[i]))
                        return err_set(err, EX_PEER, WHAT, "a feature is missing there", "%s: %s", m->node, features[i]);
        if (m->nonce.len != NONCE)
                return err_set(err, EX_PEER, "the other node broke the protocol", "no random bytes", "%s", m->node);
        return 0;
}

static void note(const Gantry__WireHello *m, struct hello *ret)
{
        str_copy(ret->node, sizeof(ret->node), m->node);
        str_copy(ret->version, sizeof(ret->version), m->version);
        str_copy(ret->kernel, sizeof(ret->kernel), m->kernel);
}

int hello_source(struct wire *w, struct hello *ret, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        uint8_t nonce[NONCE];
        int r = random_bytes(nonce, sizeof(nonce), err);

        if (r == 0)
                r = send_hello(w, nonce, err);
        if (r == 0)
                r = msg_expect(w, MSG_HELLO, &m, err);
        if (r < 0)
                return r;
        const Gantry__WireHello *h = (Gantry__WireHello *)m;
        r = judge(h, err);
        if (r < 0)
                return r;
        if (memcmp(h->nonce.data, nonce, NONCE) != 0)
                return err_set(err, EX_PEER, "the other node broke the protocol", "it answers something else", "%s", h->node);
        note(h, ret);
        return 0;
}

int hello_target(struct wire *w, struct hello *ret, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        int r = msg_expect(w, MSG_HELLO, &m, err);

        if (r < 0)
                return r;
        const Gantry__WireHello *h = (Gantry__WireHello *)m;
        r = judge(h, err);
        if (r < 0)
                return r;
        note(h, ret);
        return send_hello(w, h->nonce.data, err);
}
