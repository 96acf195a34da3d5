/*
 * url: parses, with libcurl, a URL that a setting or a kind of jobs gives us to call, and what the answer asks of whoever calls.
 *
 * Thread: any, for a URL or a handle of its own.
 */
#ifndef MR_RUNTIME_URL_H
#define MR_RUNTIME_URL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

/* Whether the parsed URL has that part, and not an empty one. */
bool mr_url_has(CURLU *url, CURLUPart part);

/* Whether its scheme is http or https. */
bool mr_url_is_http(CURLU *url);

/* In how many seconds the answer wants to be asked again (RFC 9110, 10.2.3); 0: it does not say, or names a time that has passed. */
int64_t mr_url_retry_after_s(CURL *easy);

#endif
