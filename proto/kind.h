/*
 * kind: what the values of a kind of jobs have to be like, whoever declares it: where its calls go, what signs them, its arguments.
 */
#ifndef MR_PROTO_KIND_H
#define MR_PROTO_KIND_H

#include "proto/field.h"

enum { MR_SECRET_LEAST = 24, MR_SECRET_MOST = 64, MR_ARGS_MAX = 64 };

/* Whether it is an absolute URL of http or https, with a host, and without a user, a password or a fragment. */
bool mr_push_url_is_good(struct mr_slice url);

/* Whether it is "whsec_" and the base64 (RFC 4648, 4) of MR_SECRET_LEAST to MR_SECRET_MOST bytes (Standard Webhooks). */
bool mr_push_secret_is_good(struct mr_slice secret);

/* Whether it can be the name of a kind: a letter, and a-z, 0-9, _ and - behind it, which is a word of a scope, too. */
bool mr_kind_name_is_good(struct mr_slice name);

/*
 * The rules of a kind's arguments, as the column millrace.job.args has them: an object of argument to
 * {type, required, default, min, max, length}.
 */
mr_json_rule mr_kind_args_rule;

/* The arguments themselves: an object. */
mr_json_rule mr_kind_object_rule;

#endif
