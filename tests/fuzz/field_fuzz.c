/*
 * Bytes as the value of every field that is read by a grammar of its own: conditions, media types, codings, keys. Whatever
 * is taken is inside of what was given, and what goes out again is of its own grammar.
 */
#include <string.h>

#include "gateway/etag.h"
#include "gateway/link.h"
#include "gateway/media.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tasks.h"

static bool is_inside(struct mr_slice slice, struct mr_slice whole)
{
    return slice.len == 0 || (slice.data >= whole.data && slice.data + slice.len <= whole.data + whole.len);
}

static void check_tags(struct mr_slice text)
{
    struct mr_slice list = text;
    struct mr_etag tag;

    while (mr_etag_next(&list, &tag)) {
        must(is_inside(tag.opaque, text) && tag.opaque.len >= 2);
        must(memchr(tag.opaque.data + 1, '"', tag.opaque.len - 2) == NULL);
    }
}

static void check_media(struct mr_slice text)
{
    struct mr_media media;

    if (!mr_media_parse(&media, text))
        return;
    must(is_inside(media.type, text) && is_inside(media.charset, text));
    must(memchr(media.type.data, '/', media.type.len) != NULL);
    (void)mr_media_is_utf8(&media);
}

static void check_conditions(const struct mr_http_request *request)
{
    struct mr_preconditions conditions = {.if_unmodified_since = false};
    struct mr_buf versions = {0};

    must(mr_preconditions_read(&conditions, request) == MR_OK);
    if (!mr_preconditions_malformed(&conditions))
        mr_condition_versions(&conditions.if_match, true, &versions);
    for (size_t i = 0; i < versions.len; i++)
        must(versions.data[i] == ',' || (versions.data[i] >= '0' && versions.data[i] <= '9'));
    mr_buf_fini(&versions);
    mr_preconditions_fini(&conditions);
}

static void check_items(const struct mr_http_request *request, struct mr_slice text)
{
    struct mr_http_list list = {0};
    enum mr_coding coding;
    struct mr_slice item;

    while (mr_http_list_item(&list, request, "content-encoding", &item))
        must(item.len > 0 && is_inside(item, text));
    if (mr_media_coding(request, true, &coding) == MR_OK)
        must(coding == MR_CODING_IDENTITY || coding == MR_CODING_GZIP);
}

static void check_key(const struct mr_http_request *request)
{
    static const struct mr_principal caller;
    static const uint8_t id[16];
    struct mr_request_facts facts = {.principal = &caller, .new_id = id, .traceparent = ""};
    struct mr_route route = {.op = op_named("task_create")};
    int key = mr_field_index(route.op, "Idempotency-Key");
    struct mr_request out;
    const char *detail;

    if (mr_request_read(&out, &route, request, MR_SLICE("{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\"}"), &facts, &detail) == MR_OK)
        for (size_t i = 0; out.values[key].present && i < out.values[key].text.len; i++)
            must(out.values[key].text.data[i] >= ' ' && out.values[key].text.data[i] <= '~');
    mr_request_fini(&out);
}

/* The text as a query: the Link that it makes holds no byte that could end its target (RFC 3986, 2). */
static void check_link(struct mr_slice text)
{
    static const struct mr_principal caller;
    struct mr_http_request request = {.verb = MR_VERB_GET, .query = text};
    struct mr_request_facts facts = {.principal = &caller};
    struct mr_route route = {.op = op_named("task_list")};
    struct mr_buf link = {0};
    struct mr_request out;
    const char *detail;

    if (mr_request_read(&out, &route, &request, (struct mr_slice){"", 0}, &facts, &detail) == MR_OK) {
        mr_link_begin(&out, route.op, &link);
        for (size_t i = 0; i < link.len; i++)
            must(strchr("-._~/?&=%", link.data[i]) != NULL || (link.data[i] >= '0' && link.data[i] <= '9') ||
                 ((link.data[i] | 32) >= 'a' && (link.data[i] | 32) <= 'z'));
    }
    mr_buf_fini(&link);
    mr_request_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"If-Match", "If-None-Match", "Content-Encoding", "Idempotency-Key"};
    struct mr_slice text = {(const char *)data, size};
    struct mr_http_request request = {.verb = MR_VERB_POST};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        request.headers[request.header_count++] = (struct mr_http_header){mr_slice_of(names[i]), text};
    serve_tasks();
    check_tags(text);
    check_media(text);
    check_conditions(&request);
    check_items(&request, text);
    request.headers[2].value = MR_SLICE("identity"); /* else no body is read, and no key */
    check_key(&request);
    check_link(text);
    return 0;
}
