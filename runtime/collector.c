#include "runtime/collector.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/pairs.h"
#include "runtime/url.h"

enum { ANSWER_KEPT = 4096, ANSWER_MOST = 65536, CONNECT_MS = 3000, WAIT_MS = 1000, RETRY_AFTER_MOST_S = 60 };

struct mr_collector {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    int64_t timeout_ms;
    char error[CURL_ERROR_SIZE];
    char answer[ANSWER_KEPT];
    size_t answer_len;
    size_t answer_seen;
};

/* ---- What the settings say ---- */

bool mr_collector_is_url(const char *text, struct mr_buf *reason)
{
    CURLU *url = curl_url();
    bool good = url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && mr_url_is_http(url) &&
                mr_url_has(url, CURLUPART_HOST) && !mr_url_has(url, CURLUPART_USER) && !mr_url_has(url, CURLUPART_PASSWORD) &&
                !mr_url_has(url, CURLUPART_QUERY) && !mr_url_has(url, CURLUPART_FRAGMENT);

    if (!good)
        mr_buf_text(reason, "expected a URL such as http://localhost:4318, without user, query or fragment;"
                            " credentials belong into OTEL_EXPORTER_OTLP_HEADERS");
    curl_url_cleanup(url);
    return good;
}

/* A token (RFC 9110, 5.6.2). */
static bool is_header_name(struct mr_slice name)
{
    static const char more[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!alphanumeric && (c == '\0' || strchr(more, c) == NULL))
            return false;
    }
    return name.len > 0;
}

bool mr_collector_are_headers(const char *text, struct mr_buf *reason)
{
    struct mr_slice rest = mr_slice_of(text);
    struct mr_slice name;
    struct mr_buf value = {0};
    enum mr_pair pair;

    while ((pair = mr_pairs_next(&rest, &name, &value)) == MR_PAIR_FOUND)
        if (!is_header_name(name)) {
            pair = MR_PAIR_BROKEN;
            break;
        }
    mr_buf_fini(&value);
    if (pair == MR_PAIR_BROKEN)
        mr_buf_text(reason, "expected name=value,name=value with percent-encoded values");
    return pair == MR_PAIR_END;
}

/* ---- The request ---- */

/* Keeps the beginning; who sends without an end is hung up on. */
static size_t take_answer(char *data, size_t size, size_t count, void *argument)
{
    struct mr_collector *self = argument;
    size_t len = size * count;
    size_t kept = sizeof self->answer - self->answer_len;

    if (kept > len)
        kept = len;
    memcpy(self->answer + self->answer_len, data, kept);
    self->answer_len += kept;
    self->answer_seen += len;
    return self->answer_seen <= ANSWER_MOST ? len : 0;
}

/* The URL of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT as it is; that of OTEL_EXPORTER_OTLP_ENDPOINT with the path of the signal. */
static void write_url(struct mr_buf *out, const struct mr_config *config)
{
    const char *base = config->otel_endpoint;
    size_t len = strlen(base);

    if (config->otel_traces_endpoint[0] != '\0') {
        mr_buf_text(out, config->otel_traces_endpoint);
    } else {
        mr_buf_append(out, base, len > 0 && base[len - 1] == '/' ? len - 1 : len);
        mr_buf_text(out, "/v1/traces");
    }
    mr_buf_char(out, '\0');
}

static bool add_header(struct mr_collector *self, const char *line)
{
    struct curl_slist *longer = curl_slist_append(self->headers, line);

    if (longer != NULL)
        self->headers = longer;
    return longer != NULL;
}

static bool add_headers(struct mr_collector *self, const struct mr_config *config)
{
    struct mr_slice rest = mr_slice_of(config->otel_headers);
    struct mr_slice name;
    struct mr_buf value = {0};
    struct mr_buf line = {0};
    bool good = add_header(self, "Content-Type: application/json") && add_header(self, "Expect:");

    while (good && mr_pairs_next(&rest, &name, &value) == MR_PAIR_FOUND) {
        mr_buf_clear(&line, SIZE_MAX);
        mr_buf_slice(&line, name);
        mr_buf_text(&line, ": ");
        mr_buf_append(&line, value.data, value.len);
        mr_buf_char(&line, '\0');
        good = !line.failed && add_header(self, line.data);
    }
    if (line.data != NULL)
        explicit_bzero(line.data, line.cap);
    if (value.data != NULL)
        explicit_bzero(value.data, value.cap);
    mr_buf_fini(&line);
    mr_buf_fini(&value);
    return good;
}

static bool set_up(struct mr_collector *self, const struct mr_config *config)
{
    struct mr_buf url = {0};
    bool good;

    write_url(&url, config);
    good = !url.failed && curl_easy_setopt(self->easy, CURLOPT_URL, url.data) == CURLE_OK && add_headers(self, config);
    mr_buf_fini(&url);
    curl_easy_setopt(self->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(self->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(self->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(self->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(self->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt(self->easy, CURLOPT_USERAGENT, "millrace");
    curl_easy_setopt(self->easy, CURLOPT_TIMEOUT_MS, (long)self->timeout_ms);
    curl_easy_setopt(self->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(self->easy, CURLOPT_ERRORBUFFER, self->error);
    curl_easy_setopt(self->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(self->easy, CURLOPT_WRITEDATA, self);
    if (config->otel_certificate[0] != '\0')
        good = curl_easy_setopt(self->easy, CURLOPT_CAINFO, config->otel_certificate) == CURLE_OK && good;
    return good;
}

struct mr_collector *mr_collector_new(const struct mr_config *config)
{
    struct mr_collector *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    self->timeout_ms = config->otel_timeout;
    self->multi = curl_multi_init();
    self->easy = curl_easy_init();
    if (self->multi == NULL || self->easy == NULL || !set_up(self, config))
        mr_collector_destroy(&self);
    return self;
}

void mr_collector_destroy(struct mr_collector **self)
{
    if (*self == NULL)
        return;
    curl_easy_cleanup((*self)->easy);
    curl_multi_cleanup((*self)->multi);
    curl_slist_free_all((*self)->headers);
    free(*self);
    *self = NULL;
}

/*
 * Turns the transfer until it is over. False: time was up before, which is OTEL_EXPORTER_OTLP_TIMEOUT for libcurl to see, and
 * `flush_ms` from when the thread was asked to end.
 */
static bool transfer(struct mr_collector *self, mr_thread *thread, int64_t flush_ms, CURLcode *out)
{
    struct curl_waitfd ending = {.fd = mr_thread_end_fd(thread), .events = CURL_WAIT_POLLIN};
    int64_t until_ms = INT64_MAX;
    int running = 1;
    int left;
    const CURLMsg *done;

    while (curl_multi_perform(self->multi, &running) == CURLM_OK && running > 0) {
        int64_t now_ms = mr_mono_ms(&mr_system_clock);

        if (until_ms == INT64_MAX && mr_thread_asked_to_end(thread, 0))
            until_ms = now_ms + flush_ms;
        if (now_ms >= until_ms)
            return false;
        /* The descriptor stays readable, so it is waited for only as long as it says something new. */
        curl_multi_poll(self->multi, &ending, until_ms == INT64_MAX ? 1 : 0,
                        until_ms == INT64_MAX || until_ms - now_ms > WAIT_MS ? WAIT_MS : (int)(until_ms - now_ms), NULL);
    }
    done = curl_multi_info_read(self->multi, &left);
    if (done == NULL)
        return false;
    *out = done->data.result;
    return true;
}

/* {"partialSuccess": {"rejectedSpans": "3", "errorMessage": "…"}}; what is no such thing says nothing. */
static void read_answer(const struct mr_collector *self, struct mr_receipt *out)
{
    json_t *root = json_loadb(self->answer, self->answer_len, 0, NULL);
    const json_t *partial = json_object_get(root, "partialSuccess");
    const json_t *rejected = json_object_get(partial, "rejectedSpans");
    const char *message = json_string_value(json_object_get(partial, "errorMessage"));

    if (json_is_integer(rejected))
        out->rejected = json_integer_value(rejected);
    else if (json_is_string(rejected))
        out->rejected = strtoll(json_string_value(rejected), NULL, 10);
    if (out->rejected < 0)
        out->rejected = 0;
    if (message != NULL)
        snprintf(out->reason, sizeof out->reason, "%s", message);
    json_decref(root);
}

/* OTLP, "Failures": these, and no answer at all, are worth another try. */
static bool is_retryable(long http)
{
    return http == 429 || http == 502 || http == 503 || http == 504;
}

static void judge(struct mr_collector *self, CURLcode code, struct mr_receipt *out)
{
    int64_t retry_after_s = mr_url_retry_after_s(self->easy);
    long http = 0;

    curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &http);
    if (retry_after_s > RETRY_AFTER_MOST_S)
        retry_after_s = RETRY_AFTER_MOST_S;
    if (http >= 200 && http < 300) { /* taken, even when the rest of the answer never came: once more would be twice */
        out->delivery = MR_DELIVERED;
        read_answer(self, out);
    } else if (http >= 200) { /* what comes before that is no answer yet */
        out->delivery = is_retryable(http) ? MR_DELAYED : MR_REFUSED;
        out->retry_after_ms = retry_after_s * 1000;
        snprintf(out->reason, sizeof out->reason, "the collector answers %ld", http);
    } else {
        out->delivery = MR_DELAYED;
        snprintf(out->reason, sizeof out->reason, "%s", self->error[0] != '\0' ? self->error : curl_easy_strerror(code));
    }
}

void mr_collector_send(struct mr_collector *self, struct mr_slice body, mr_thread *thread, int64_t flush_ms,
                       struct mr_receipt *out)
{
    CURLcode code = CURLE_OK;

    *out = (struct mr_receipt){.delivery = MR_DELAYED};
    self->answer_len = self->answer_seen = 0;
    self->error[0] = '\0';
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, body.data);
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    if (curl_multi_add_handle(self->multi, self->easy) != CURLM_OK) {
        snprintf(out->reason, sizeof out->reason, "no memory");
        return;
    }
    if (transfer(self, thread, flush_ms, &code))
        judge(self, code, out);
    else
        snprintf(out->reason, sizeof out->reason, "there was no time left for the answer");
    curl_multi_remove_handle(self->multi, self->easy);
}
