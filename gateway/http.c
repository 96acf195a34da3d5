#include "gateway/http.h"

#include <http_parser.h>
#include <strings.h>

/* A line ends in CR LF, and neither stands anywhere else. */
static bool line_is_clean(const char *line, size_t len)
{
    return len >= 2 && line[len - 2] == '\r' && memchr(line, '\r', len - 2) == NULL && memchr(line, '\0', len) == NULL;
}

static enum mr_http_progress refuse(mr_status *fault, mr_status status)
{
    *fault = status;
    return MR_HTTP_REFUSED;
}

/* What has come in so far is over a limit, whether or not its line is complete. */
static bool over_limit(const struct mr_http_scan *scan, size_t len, mr_status *fault)
{
    if (scan->first_line == 0 && len > MR_HTTP_TARGET_MAX + MR_HTTP_LINE_SLACK) {
        *fault = MR_URI_TOO_LONG;
        return true;
    }
    *fault = MR_HEADERS_TOO_LARGE;
    return scan->first_line != 0 && len - scan->first_line > MR_HTTP_HEADERS_SIZE + 2;
}

enum mr_http_progress mr_http_scan(struct mr_http_scan *scan, const char *data, size_t len, size_t *head_len, mr_status *fault)
{
    const char *end;

    while ((end = memchr(data + scan->at, '\n', len - scan->at)) != NULL) {
        size_t next = (size_t)(end - data) + 1;
        size_t line_len = next - scan->line;

        if (over_limit(scan, next, fault))
            return MR_HTTP_REFUSED;
        if (!line_is_clean(data + scan->line, line_len))
            return refuse(fault, MR_INVALID);
        if (scan->first_line == 0) {
            if (line_len > 2)
                scan->first_line = next;
            else if (next > 2)
                return refuse(fault, MR_INVALID); /* one empty line before a request is let pass (RFC 9112, 2.2) */
        } else if (line_len == 2) {
            *head_len = next;
            return MR_HTTP_COMPLETE;
        }
        scan->at = scan->line = next;
    }
    scan->at = len;
    return over_limit(scan, len, fault) ? MR_HTTP_REFUSED : MR_HTTP_MORE;
}

/* Of what http_parser calls out: the target, and headers as slices of the head. */
struct reading {
    struct mr_http_request *out;
    struct mr_slice target;
    bool too_many;
};

/* Pieces of one token arrive one after the other, without a gap. */
static void extend(struct mr_slice *slice, const char *at, size_t len)
{
    if (slice->len == 0)
        slice->data = at;
    slice->len += len;
}

static int on_target(http_parser *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;

    extend(&reading->target, at, len);
    return 0;
}

static int on_name(http_parser *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct mr_http_request *out = reading->out;
    struct mr_http_header *last = out->header_count > 0 ? &out->headers[out->header_count - 1] : NULL;

    if (last == NULL || last->value.data != NULL) {
        if (out->header_count == MR_HTTP_HEADERS_MAX) {
            reading->too_many = true;
            return 1;
        }
        last = &out->headers[out->header_count++];
        *last = (struct mr_http_header){0};
    }
    extend(&last->name, at, len);
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct mr_http_header *last = &reading->out->headers[reading->out->header_count - 1];

    if (last->value.data == NULL)
        last->value.data = at;
    last->value.len += len;
    return 0;
}

static int on_end(http_parser *parser)
{
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings callbacks = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_end,
};

static enum mr_verb verb_of(const char *method, bool *is_head)
{
    *is_head = strcmp(method, "HEAD") == 0;
    if (*is_head)
        return MR_VERB_GET;
    for (int verb = MR_VERB_GET; verb < MR_VERB_COUNT; verb++) {
        static const char *const names[] = {
#define VERB(name) #name,
            MR_VERBS(VERB)
#undef VERB
        };
        if (strcmp(method, names[verb]) == 0)
            return (enum mr_verb)verb;
    }
    return MR_VERB_NONE;
}

/* Path and query of an origin-form or absolute-form target; false for any other form and for a fragment. */
static bool split_target(struct mr_http_request *out, struct mr_slice target)
{
    struct http_parser_url url;

    http_parser_url_init(&url);
    if (target.len > MR_HTTP_TARGET_MAX || memchr(target.data, '#', target.len) != NULL)
        return false;
    if (out->is_options && mr_slice_is(target, "*")) {
        out->path = target;
        return true;
    }
    /* An origin-form target is split here: http_parser_parse_url would read // as the start of a host. */
    if (target.len > 0 && target.data[0] == '/') {
        const char *mark = memchr(target.data, '?', target.len);
        size_t path_len = mark != NULL ? (size_t)(mark - target.data) : target.len;

        out->path = (struct mr_slice){target.data, path_len};
        if (mark != NULL)
            out->query = (struct mr_slice){mark + 1, target.len - path_len - 1};
        return true;
    }
    if (http_parser_parse_url(target.data, target.len, 0, &url) != 0 || !(url.field_set & 1 << UF_HOST))
        return false;
    out->path = (struct mr_slice){"/", 1};
    if (url.field_set & 1 << UF_PATH)
        out->path = (struct mr_slice){target.data + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len};
    if (url.field_set & 1 << UF_QUERY)
        out->query = (struct mr_slice){target.data + url.field_data[UF_QUERY].off, url.field_data[UF_QUERY].len};
    return true;
}

static bool name_is(struct mr_slice name, const char *wanted)
{
    return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0;
}

unsigned mr_http_header_count(const struct mr_http_request *request, const char *name)
{
    unsigned count = 0;

    for (unsigned i = 0; i < request->header_count; i++)
        count += name_is(request->headers[i].name, name);
    return count;
}

static struct mr_slice trim(struct mr_slice text)
{
    while (text.len > 0 && (*text.data == ' ' || *text.data == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

bool mr_http_header(const struct mr_http_request *request, const char *name, struct mr_slice *value)
{
    for (unsigned i = 0; i < request->header_count; i++)
        if (name_is(request->headers[i].name, name)) {
            *value = trim(request->headers[i].value);
            return true;
        }
    return false;
}

bool mr_http_list_next(struct mr_slice *list, struct mr_slice *item)
{
    while (list->len > 0) {
        const char *comma = memchr(list->data, ',', list->len);
        size_t len = comma != NULL ? (size_t)(comma - list->data) : list->len;

        *item = trim((struct mr_slice){list->data, len});
        len += comma != NULL;
        *list = (struct mr_slice){list->data + len, list->len - len};
        if (item->len > 0)
            return true;
    }
    return false;
}

bool mr_http_list_has(struct mr_slice value, const char *word)
{
    struct mr_slice item;

    while (mr_http_list_next(&value, &item))
        if (name_is(item, word))
            return true;
    return false;
}

/* A plain decimal number and nothing else: no sign, no list, no unit (RFC 9112, 6.3). */
static bool read_length(struct mr_slice text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}

static mr_status read_framing(struct mr_http_request *out)
{
    struct mr_slice value;
    unsigned lengths = mr_http_header_count(out, "content-length");

    if (mr_http_header_count(out, "transfer-encoding") > 0)
        return lengths > 0 ? MR_INVALID : MR_LENGTH_REQUIRED;
    if (lengths > 1)
        return MR_INVALID;
    if (mr_http_header(out, "content-length", &value) && !read_length(value, &out->content_length))
        return MR_INVALID;
    return MR_OK;
}

static bool takes_body(enum mr_verb verb)
{
    return verb == MR_VERB_POST || verb == MR_VERB_PUT || verb == MR_VERB_PATCH;
}

static mr_status read_connection(struct mr_http_request *out, unsigned minor)
{
    struct mr_slice value;
    unsigned hosts = mr_http_header_count(out, "host");

    if (hosts > 1 || (minor == 1 && hosts == 0))
        return MR_INVALID;
    if (hosts == 1 && (!mr_http_header(out, "host", &value) || value.len == 0))
        return MR_INVALID;
    out->keep_alive = minor == 1;
    if (mr_http_has_item(out, "connection", "close"))
        out->keep_alive = false;
    else if (mr_http_has_item(out, "connection", "keep-alive"))
        out->keep_alive = true;
    /* Where a body belongs and none is announced, whatever follows cannot be trusted to be a request. */
    if (takes_body(out->verb) && mr_http_header_count(out, "content-length") == 0)
        out->keep_alive = false;
    out->expects_continue = mr_http_has_item(out, "expect", "100-continue");
    return MR_OK;
}

static bool has_folded_line(const char *head, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (head[i] == '\n' && (head[i + 1] == ' ' || head[i + 1] == '\t'))
            return true;
    return false;
}

/* The target of a request line whose method is not known: the second of three words. */
static void read_unknown_method(struct mr_http_request *out, const char *head, size_t len)
{
    const char *blank = memchr(head, ' ', len);
    const char *end;

    if (blank == NULL || blank == head)
        return;
    blank++;
    end = memchr(blank, ' ', len - (size_t)(blank - head));
    if (end != NULL)
        (void)split_target(out, (struct mr_slice){blank, (size_t)(end - blank)});
}

mr_status mr_http_parse(struct mr_http_request *out, const char *head, size_t len)
{
    struct reading reading = {.out = out};
    http_parser parser;
    mr_status status;

    out->header_count = 0;
    out->content_length = 0;
    out->verb = MR_VERB_NONE;
    out->is_head = out->is_options = out->keep_alive = out->expects_continue = false;
    out->path = out->query = (struct mr_slice){"", 0};
    if (has_folded_line(head, len))
        return MR_INVALID;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &reading;
    http_parser_execute(&parser, &callbacks, head, len);
    if (HTTP_PARSER_ERRNO(&parser) == HPE_INVALID_METHOD) {
        read_unknown_method(out, head, len);
        return MR_METHOD;
    }
    if (reading.too_many)
        return MR_HEADERS_TOO_LARGE;
    /* http_parser refuses a length beside a transfer encoding, and two lengths; the table of limits says the same below. */
    if (HTTP_PARSER_ERRNO(&parser) != HPE_PAUSED || parser.http_major != 1 || parser.http_minor > 1)
        return MR_INVALID;
    out->is_options = parser.method == HTTP_OPTIONS;
    out->verb = verb_of(http_method_str((enum http_method)parser.method), &out->is_head);
    if (reading.target.len > MR_HTTP_TARGET_MAX)
        return MR_URI_TOO_LONG;
    if (!split_target(out, reading.target))
        return MR_INVALID;
    status = read_framing(out);
    return status != MR_OK ? status : read_connection(out, parser.http_minor);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

mr_status mr_http_decode(struct mr_buf *out, struct mr_slice text, bool form)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (c == '%') {
            int high = text.len - i > 2 ? hex(text.data[i + 1]) : -1;
            int low = text.len - i > 2 ? hex(text.data[i + 2]) : -1;

            if (high < 0 || low < 0 || high + low == 0)
                return MR_INVALID;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        mr_buf_char(out, c);
    }
    return out->failed ? MR_NO_MEMORY : MR_OK;
}

bool mr_http_query_next(struct mr_slice *query, struct mr_slice *name, struct mr_slice *value)
{
    const char *amp;
    const char *equals;
    size_t len;

    if (query->len == 0)
        return false;
    amp = memchr(query->data, '&', query->len);
    len = amp != NULL ? (size_t)(amp - query->data) : query->len;
    equals = memchr(query->data, '=', len);
    *name = (struct mr_slice){query->data, equals != NULL ? (size_t)(equals - query->data) : len};
    *value = equals != NULL ? (struct mr_slice){equals + 1, len - name->len - 1} : (struct mr_slice){query->data + len, 0};
    len += amp != NULL;
    *query = (struct mr_slice){query->data + len, query->len - len};
    return true;
}

bool mr_http_line_next(const struct mr_http_request *request, const char *name, unsigned *next, struct mr_slice *line)
{
    while (*next < request->header_count) {
        const struct mr_http_header *header = &request->headers[(*next)++];

        if (!name_is(header->name, name))
            continue;
        *line = header->value.len > 0 ? trim(header->value) : (struct mr_slice){"", 0};
        return true;
    }
    return false;
}

/* Length of what stands before the next comma outside of quoted strings (RFC 9110, 5.6.4). */
static size_t item_length(struct mr_slice rest, bool *in_quotes)
{
    size_t i = 0;

    for (; i < rest.len && (*in_quotes || rest.data[i] != ','); i++) {
        if (rest.data[i] == '"')
            *in_quotes = !*in_quotes;
        else if (*in_quotes && rest.data[i] == '\\' && i + 1 < rest.len)
            i++;
    }
    return i;
}

bool mr_http_list_item(struct mr_http_list *list, const struct mr_http_request *request, const char *name,
                       struct mr_slice *item)
{
    while (!list->broken && (list->rest.len > 0 || mr_http_line_next(request, name, &list->next, &list->rest))) {
        size_t len = item_length(list->rest, &list->broken);

        if (list->broken)
            break;
        *item = trim((struct mr_slice){list->rest.data, len});
        len += len < list->rest.len; /* the comma */
        list->rest = (struct mr_slice){list->rest.data + len, list->rest.len - len};
        if (item->len > 0)
            return true;
    }
    return false;
}

bool mr_http_has_item(const struct mr_http_request *request, const char *name, const char *word)
{
    struct mr_http_list list = {0};
    struct mr_slice item;

    while (mr_http_list_item(&list, request, name, &item))
        if (name_is(item, word))
            return true;
    return false;
}
