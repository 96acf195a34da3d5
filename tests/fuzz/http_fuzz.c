/* Bytes as a connection would deliver them, whole and one by one; a head found is parsed, routed and decoded. */
#include "http/head.h"
#include "http/target.h"
#include "gateway/route.h"
#include "tests/fuzz/fuzz.h"

static enum mr_http_progress scan_in_steps(const char *data, size_t size, size_t step, size_t *head_len, mr_status *fault)
{
    struct mr_http_scan scan = {0};
    enum mr_http_progress progress = MR_HTTP_MORE;

    for (size_t len = 0; progress == MR_HTTP_MORE && len < size;) {
        len = len + step < size ? len + step : size;
        progress = mr_http_scan(&scan, data, len, head_len, fault);
    }
    return progress;
}

static bool is_inside(struct mr_slice slice, const char *data, size_t size)
{
    return slice.len == 0 || (slice.data >= data && slice.data + slice.len <= data + size);
}

static void parse(const char *data, size_t size)
{
    struct mr_http_request request;
    struct mr_route route;
    struct mr_buf decoded = {0};
    struct mr_slice value;

    if (mr_http_parse(&request, data, size) != MR_OK)
        return;
    must(is_inside(request.query, data, size));
    must(request.header_count <= MR_HTTP_HEADERS_MAX);
    for (unsigned i = 0; i < request.header_count; i++)
        must(is_inside(request.headers[i].name, data, size) && is_inside(request.headers[i].value, data, size));
    if (mr_http_header(&request, "connection", &value))
        (void)mr_http_list_has(value, "close");
    (void)!mr_route_find(&route, request.verb, request.path, NULL);
    (void)!mr_http_decode(&decoded, request.query, true);
    mr_buf_fini(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t whole_len = 0;
    size_t pieces_len = 0;
    mr_status fault = MR_OK;
    enum mr_http_progress whole = scan_in_steps(text, size, size > 0 ? size : 1, &whole_len, &fault);

    must(scan_in_steps(text, size, size > 4096 ? 509 : 1, &pieces_len, &fault) == whole);
    must(whole_len == pieces_len);
    if (whole == MR_HTTP_COMPLETE)
        parse(text, whole_len);
    parse(text, size);
    return 0;
}
