#include "runtime/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "runtime/url.h"

#define PREFIX "whsec_"

enum { KEY_LEAST = 24, KEY_MOST = 64, MAC = 32, MAC_TEXT = 45 };

_Static_assert(MAC_TEXT == sodium_base64_ENCODED_LEN(MAC, sodium_base64_VARIANT_ORIGINAL), "with its terminator");
_Static_assert(MR_WEBHOOK_SECRET_MAX >= sizeof PREFIX - 1 + KEY_MOST * 4 / 3 + 4, "the longest secret fits");

/* ---- Secrets ---- */

/* The bytes behind the prefix; 0: it is no secret. */
static size_t read_secret(uint8_t key[KEY_MOST], struct mr_slice text)
{
    size_t len = 0;
    const size_t prefix = sizeof PREFIX - 1;

    if (text.len <= prefix || memcmp(text.data, PREFIX, prefix) != 0 ||
        sodium_base642bin(key, KEY_MOST, text.data + prefix, text.len - prefix, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len < KEY_LEAST) {
        sodium_memzero(key, KEY_MOST);
        return 0;
    }
    return len;
}

bool mr_webhook_is_secret(struct mr_slice text, struct mr_buf *reason)
{
    uint8_t key[KEY_MOST];
    bool good = read_secret(key, text) > 0;

    sodium_memzero(key, sizeof key);
    if (!good && reason != NULL)
        mr_buf_text(reason,
                    "expected whsec_ and 24 to 64 bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes it");
    return good;
}

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
    uint8_t key[KEY_MOST];
    uint8_t mac[MAC];
    char text[MAC_TEXT];
    size_t len = read_secret(key, secret);
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
        status = ++count > MR_WEBHOOK_SECRETS_MAX ? MR_INVALID : append_signature(out, secret, signed_text);
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

/* libcurl's parser takes some that it should not; a browser's or a proxy's may then read another host than it does. */
static bool has_only_url_bytes(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == '\\')
            return false;
    return true;
}

/* NULL: it is none. curl_url_cleanup frees it. */
static CURLU *parse(const char *text)
{
    CURLU *url = strlen(text) <= MR_WEBHOOK_URL_MAX && has_only_url_bytes(text) ? curl_url() : NULL;
    bool good = url != NULL && curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) == CURLUE_OK &&
                mr_url_is_http(url) && mr_url_has(url, CURLUPART_HOST) && !mr_url_has(url, CURLUPART_FRAGMENT);

    if (good)
        return url;
    curl_url_cleanup(url);
    return NULL;
}

bool mr_webhook_is_url(const char *text, struct mr_buf *reason)
{
    CURLU *url = parse(text);
    bool good = url != NULL;

    curl_url_cleanup(url);
    if (!good && reason != NULL)
        mr_buf_printf(reason,
                      "expected an http or https URL of at most %d bytes, without user, password or fragment; what is not ASCII"
                      " is percent-encoded",
                      MR_WEBHOOK_URL_MAX);
    return good;
}

static void append_part(struct mr_buf *out, CURLU *url, CURLUPart part, const char *before)
{
    char *text = NULL;

    mr_buf_text(out, before);
    if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
        for (const char *c = text; *c != '\0'; c++)
            mr_buf_char(out, *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c);
    curl_free(text);
}

bool mr_webhook_origin(const char *text, struct mr_buf *out)
{
    CURLU *url = parse(text);

    if (url == NULL)
        return false;
    append_part(out, url, CURLUPART_SCHEME, "");
    append_part(out, url, CURLUPART_HOST, "://");
    append_part(out, url, CURLUPART_PORT, ":");
    curl_url_cleanup(url);
    return true;
}
