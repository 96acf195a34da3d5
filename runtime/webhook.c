#include "runtime/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdlib.h>

#include "proto/kind.h"
#include "runtime/url.h"

enum { MAC = 32, MAC_TEXT = 45 };

_Static_assert(MAC_TEXT == sodium_base64_ENCODED_LEN(MAC, sodium_base64_VARIANT_ORIGINAL), "with its terminator");
_Static_assert(MR_SECRET_TEXT >= sizeof "whsec_" - 1 + MR_SECRET_MOST * 4 / 3 + 4, "the longest secret fits");

/* ---- Signatures ---- */

/* Takes the next word off `rest`; false: there is none. */
static bool next_word(struct mr_slice *rest, struct mr_slice *out)
{
    const char *end;

    while (rest->len > 0 && *rest->data == ' ')
        *rest = (struct mr_slice){rest->data + 1, rest->len - 1};
    if (rest->len == 0)
        return false;
    end = memchr(rest->data, ' ', rest->len);
    *out = (struct mr_slice){rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
    *rest = (struct mr_slice){rest->data + out->len, rest->len - out->len};
    return true;
}

static mr_status append_signature(struct mr_buf *out, struct mr_slice secret, const struct mr_buf *signed_text)
{
    uint8_t key[MR_SECRET_MOST];
    uint8_t mac[MAC];
    char text[MAC_TEXT];
    size_t len = mr_webhook_key(key, secret);
    const uint8_t *made = NULL;

    if (len == 0)
        return MR_INVALID;
    made = HMAC(EVP_sha256(), key, (int)len, (const uint8_t *)signed_text->data, signed_text->len, mac, NULL);
    sodium_memzero(key, sizeof key);
    if (made == NULL)
        return MR_NO_MEMORY;
    mr_buf_text(out, "v1,");
    mr_buf_text(out, sodium_bin2base64(text, sizeof text, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL));
    return MR_OK;
}

static mr_status sign_with_all(struct mr_buf *out, struct mr_slice secrets, const struct mr_buf *signed_text)
{
    struct mr_slice secret;
    mr_status status = MR_OK;
    unsigned count = 0;

    while (status == MR_OK && next_word(&secrets, &secret)) {
        if (count > 0)
            mr_buf_char(out, ' ');
        status = ++count > MR_SECRETS_MAX ? MR_INVALID : append_signature(out, secret, signed_text);
    }
    return status == MR_OK && count == 0 ? MR_INVALID : status;
}

mr_status mr_webhook_sign(struct mr_buf *out, struct mr_slice secrets, struct mr_slice id, int64_t timestamp_s,
                          struct mr_slice body)
{
    struct mr_buf text = {0};
    mr_status status = MR_NO_MEMORY;

    mr_buf_slice(&text, id);
    mr_buf_printf(&text, ".%lld.", (long long)timestamp_s);
    mr_buf_slice(&text, body);
    if (!text.failed)
        status = sign_with_all(out, secrets, &text);
    mr_buf_fini(&text);
    return status == MR_OK && out->failed ? MR_NO_MEMORY : status;
}

/* ---- URLs ---- */

/*
 * libcurl's parser takes some that it should not: bytes that no URL has, and more slashes behind the scheme than two, or fewer. A
 * browser's or a proxy's may then read another host than it does. It also takes an empty fragment for none.
 */
static bool has_odd_parts(struct mr_slice text)
{
    const char *colon = memchr(text.data, ':', text.len);
    size_t rest = colon != NULL ? (size_t)(text.data + text.len - colon) : 0;

    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("\"#<>\\^`{|}", text.data[i]) != NULL)
            return true;
    return rest < 4 || memcmp(colon, "://", 3) != 0 || colon[3] == '/';
}

/* Nobody can be called there. */
static bool is_port_zero(CURLU *url)
{
    char *text = NULL;
    bool zero = curl_url_get(url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && strtoul(text, NULL, 10) == 0;

    curl_free(text);
    return zero;
}

/* NULL: it is none. curl_url_cleanup frees it. */
static CURLU *parse(struct mr_slice text)
{
    char copy[MR_URL_MAX + 1];
    CURLU *url = text.len <= MR_URL_MAX && !has_odd_parts(text) ? curl_url() : NULL;
    bool good;

    mr_slice_copy(copy, sizeof copy, text);
    good = url != NULL && curl_url_set(url, CURLUPART_URL, copy, CURLU_DISALLOW_USER) == CURLUE_OK && mr_url_is_http(url) &&
           mr_url_has(url, CURLUPART_HOST) && !is_port_zero(url);
    if (good)
        return url;
    curl_url_cleanup(url);
    return NULL;
}

bool mr_webhook_is_url(struct mr_slice text)
{
    CURLU *url = parse(text);
    bool good = url != NULL;

    curl_url_cleanup(url);
    return good;
}

static void append_part(struct mr_buf *out, CURLU *url, CURLUPart part, const char *before)
{
    char *text = NULL;

    mr_buf_text(out, before);
    if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
        for (const char *c = text; *c != '\0'; c++)
            mr_buf_char(out, (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c));
    curl_free(text);
}

bool mr_webhook_origin(const char *text, struct mr_buf *out)
{
    CURLU *url = parse(mr_slice_of(text));

    if (url == NULL)
        return false;
    append_part(out, url, CURLUPART_SCHEME, "");
    append_part(out, url, CURLUPART_HOST, "://");
    append_part(out, url, CURLUPART_PORT, ":");
    curl_url_cleanup(url);
    return true;
}
