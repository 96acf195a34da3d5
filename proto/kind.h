/*
 * kind: what the values of a kind of jobs have to be like, whoever declares it: what signs its calls, and its arguments.
 * Where they go is for who parses URLs to say (runtime/webhook.h).
 */
#ifndef MR_PROTO_KIND_H
#define MR_PROTO_KIND_H

#include "proto/field.h"

enum {
    MR_SECRET_LEAST = 24, /* bytes */
    MR_SECRET_MOST = 64,
    MR_SECRET_TEXT = 128, /* characters of the longest, and some */
    MR_SECRETS_MAX = 4,   /* of a kind, while one is rotated */
    MR_URL_MAX = 2048,    /* bytes */
    MR_ARGS_MAX = 64
};

/*
 * Decodes a secret into `key` and returns its length. A secret is "whsec_" and the base64 (RFC 4648, 4) of MR_SECRET_LEAST to
 * MR_SECRET_MOST bytes (Standard Webhooks). The caller wipes the key. 0: it is no secret, and `key` holds nothing. Validation
 * and signing both use this function, so every accepted secret can sign.
 */
size_t mr_webhook_key(uint8_t key[MR_SECRET_MOST], struct mr_slice text);

/* Whether mr_webhook_key accepts the text. */
bool mr_webhook_secret_is_good(struct mr_slice text);

/* Whether this can be the name of a kind: a letter, followed by a-z, 0-9, _ and -. Such a name can also stand in a scope. */
bool mr_kind_name_is_good(struct mr_slice name);

/*
 * Whether a run may have this argument of type timestamp: "2027-01-31T12:00:00Z", with decimals or an offset, as millrace.is_instant
 * takes it. A default has to be one as well, since functions of the engine convert it.
 */
bool mr_kind_timestamp_is_good(struct mr_slice text);

/*
 * The rules of a kind's arguments, as the column millrace.job.args has them: an object of argument to
 * {type, required, default, min, max, length}.
 */
mr_json_rule mr_kind_args_rule;

/* The arguments themselves: an object. */
mr_json_rule mr_kind_object_rule;

#endif
