#include "runtime/url.h"

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
