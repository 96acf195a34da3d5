/*
 * url: parses, with libcurl, a URL that a setting or a kind of jobs gives us to call.
 *
 * Thread: any, for a URL of its own.
 */
#ifndef MR_RUNTIME_URL_H
#define MR_RUNTIME_URL_H

#include <curl/curl.h>
#include <stdbool.h>

/* Whether the parsed URL has that part, and not an empty one. */
bool mr_url_has(CURLU *url, CURLUPart part);

/* Whether its scheme is http or https. */
bool mr_url_is_http(CURLU *url);

#endif
