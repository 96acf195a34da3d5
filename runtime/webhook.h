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
 * Whether `text` is an http or https URL with a host, at most MR_URL_MAX bytes, without user, password, fragment, or bytes that
 * URLs do not have. It may have a query. Folders, requests and the calls themselves use this function, so every accepted URL can
 * be called.
 */
bool mr_webhook_is_url(struct mr_slice text);

/*
 * Appends scheme, host and port of a URL in lower case, as "https://example.org:443". Limits count by it, and logs show no more
 * of the URL. False: it is no URL, and nothing is appended.
 */
bool mr_webhook_origin(const char *url, struct mr_buf *out);

/*
 * Appends the value of the header webhook-signature: for each of `secrets`, which are separated by spaces, in their order, `v1,`
 * and the HMAC-SHA256 of `id.timestamp.body` in base64. `timestamp_s`: Unix seconds. MR_INVALID: there is no secret, an invalid
 * one, or more than MR_SECRETS_MAX. MR_NO_MEMORY.
 */
mr_status mr_webhook_sign(struct mr_buf *out, struct mr_slice secrets, struct mr_slice id, int64_t timestamp_s,
                          struct mr_slice body) MR_WARN_UNUSED;

#endif
