/*
 * webhook: the URL and the signature of a Standard Webhook (standardwebhooks.com, specification of 2024).
 *
 * What a secret is stands in proto/kind.h. Nothing here appends a secret or a URL to what others read.
 *
 * Thread: any.
 */
#ifndef MR_RUNTIME_WEBHOOK_H
#define MR_RUNTIME_WEBHOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/status.h"

/*
 * Whether `text` is an http or https URL with a host, MR_URL_MAX bytes at most, and without user, password, fragment, or bytes that
 * no URL has. A query is taken. Folders, requests and the calls themselves ask here: what is taken is what can be called.
 */
bool mr_webhook_is_url(struct mr_slice text);

/*
 * Appends scheme, host and port of a URL that is one, in lower case, as "https://example.org:443": what its limits are counted by,
 * and all of it that a log may tell. False, and nothing is appended: it is no URL.
 */
bool mr_webhook_origin(const char *url, struct mr_buf *out);

/*
 * Appends the value of the header webhook-signature: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64, one for each of
 * the secrets in `secrets`, which stand side by side with a space between them, in their order. `timestamp_s`: Unix seconds.
 * MR_INVALID: there is no secret, one of them is none, or there are more than MR_SECRETS_MAX. MR_NO_MEMORY.
 */
mr_status mr_webhook_sign(struct mr_buf *out, struct mr_slice secrets, struct mr_slice id, int64_t timestamp_s,
                          struct mr_slice body) MR_WARN_UNUSED;

#endif
