/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source's half of the check (migrate/check.h): the container is described, the target answers with all that it
 * finds, and what its processes hold that no dump could keep (session_probe) is added. Nothing is frozen or changed.
 */
#include "migrate/check.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/cpu.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"

static int describe(struct ct *ct, const struct check_facts *f, struct wire *w, struct err *err)
{
        Gantry__WireCheck m = GANTRY__WIRE_CHECK__INIT;
        _cleanup_free_ char *config = NULL;
        _cleanup_free_ char *flags = NULL;
        const char *cpu[CPU_MAX];
        size_t n;

        int r = path_read(ct_dirfd(ct), "ct.conf", &config, &n, err);
        if (r == 0)
                r = cpu_flags_read(&flags, err);
        if (r < 0)
                return r;
        m.n_cpu = cpu_features(flags, cpu, CPU_MAX);
        m.cpu = (char **)(uintptr_t)cpu;
        m.name = (char *)(uintptr_t)ct_name(ct);
        m.uuid = (char *)(uintptr_t)ct_config(ct)->uuid;
        m.token = (char *)(uintptr_t)f->token;
        m.config = config;
        m.running = f->running;
        m.only = f->only;
        m.image_size = f->image_size;
        m.image_allocated = f->image_allocated;
        m.memory_used = f->memory_used;
        m.processes = f->processes;
        return msg_send(w, MSG_CHECK, &m.base, err);
}

static int take_findings(const Gantry__WireFindings *m, struct findings *ret, struct err *err)
{
        for (size_t i = 0; i < m->n_finding; i++) {
                const Gantry__WireError *f = m->finding[i];
                struct err e = {0};
                int code = f->code < 256 && exit_code_name((int)f->code) && f->code ? (int)f->code : EX_PEER;

                err_set(&e, code, f->what, f->why, "%s", f->on);
                if (f->remedy[0])
                        str_copy(e.remedy, sizeof(e.remedy), f->remedy);
                int r = findings_add(ret, &e);
                if (r < 0)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot note a finding", "%s", "");
        }
        return 0;
}

int check_source(struct ct *ct, const struct subject *s, const struct check_facts *f, struct wire *w,
                 struct findings *ret, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        struct subject quiet = *s;               /* the phases of a look are not those of the freeze */
        int r = describe(ct, f, w, err);

        quiet.timers = NULL;
        if (r == 0)
                r = session_probe(&quiet, ret, err);
        if (r == 0)
                r = msg_expect(w, MSG_FINDINGS, &m, err);
        return r < 0 ? r : take_findings((Gantry__WireFindings *)m, ret, err);
}
