#include "runtime/url.h"

#include <stdlib.h>
#include <string.h>

bool mr_url_has(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK && *text != '\0';

    curl_free(text);
    return has;
}

bool mr_url_is_http(CURLU *url)
{
    char *scheme = NULL;
    bool http = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    return http;
}

/* libcurl takes a number that is too large for none at all. */
int64_t mr_url_retry_after_s(CURL *easy)
{
    struct curl_header *header = NULL;
    curl_off_t told_s = 0;

    if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK && header->value[0] != '\0' &&
        header->value[strspn(header->value, "0123456789")] == '\0')
        return strtoll(header->value, NULL, 10); /* or the largest */
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &told_s);
    return told_s;
}
