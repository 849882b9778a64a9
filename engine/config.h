/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine needs of ct.conf and node.conf beside ct.h: writing one, and telling keys. */
#pragma once

#include <stdbool.h>
#include "engine/ct.h"

/* The text of a new ct.conf; caller frees. */
int config_format(const struct ct_config *c, char **ret, struct err *err);
/* node.conf; what it does not say has its default. EX_CONFIG with line and column. */
int node_conf_parse(const char *text, size_t len, struct node_config *ret, struct err *err);
/* "net.ip4" to section "net" and key "ip4"; EX_USAGE when there is no such key. Names live for ever. */
struct config_key { const char *section, *key; bool live; /* applied to a running container */ };
int config_key_find(const char *name, struct config_key *ret, struct err *err);
/* Lower-case uuid text with dashes. */
bool uuid_valid(const char *s);
int uuid_new(char ret[37], struct err *err);
/* A locally administered MAC from a uuid: the same container has the same address on every node. */
void mac_from_uuid(const char *uuid, unsigned char ret[6]);
/* EX_CONFIG: a default route that the kernel would refuse, because none of the addresses has its gateway in its network. */
int config_check_gateways(const struct ct_config *c, struct err *err);
/* "10.77.0.50/24" */
void prefix_format(const struct ip_prefix *p, bool with_bits, char *ret, size_t size);
