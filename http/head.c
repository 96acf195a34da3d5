#include "http/head.h"

#include "http/grammar.h"
#include "http/target.h"

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
                return refuse(fault, MR_INVALID); /* only one empty line may precede a request (RFC 9112, 2.2) */
        } else if (line_len == 2) {
            *head_len = next;
            return MR_HTTP_COMPLETE;
        }
        scan->at = scan->line = next;
    }
    scan->at = len;
    return over_limit(scan, len, fault) ? MR_HTTP_REFUSED : MR_HTTP_MORE;
}

/* ---- Why a head is refused ---- */

const struct mr_http_reason mr_http_reasons[MR_HTTP_FAULT_COUNT] = {
#define FAULT(name, field, code, message) [MR_HTTP_FAULT_##name] = {field, code, message},
    MR_HTTP_FAULTS(FAULT)
#undef FAULT
#define FIELD(name, plain, shown) [MR_HTTP_TWICE_##name] = {shown, "duplicate", "must come once"},
        MR_HTTP_SINGLE(FIELD)
#undef FIELD
};

_Static_assert(MR_HTTP_FAULT_COUNT <= 32, "a fault is a bit of mr_http_request.faults");

static mr_status blame(struct mr_http_request *out, enum mr_http_fault fault)
{
    out->faults |= UINT32_C(1) << fault;
    return MR_INVALID;
}

/* ---- The request line: method SP request-target SP HTTP-version (RFC 9112, 3) ---- */

/* Takes what stands in front of the next `stop` off `text`; false when there is none. */
static bool take_until(struct mr_slice *text, char stop, struct mr_slice *out)
{
    const char *end = memchr(text->data, stop, text->len);
    size_t len;

    if (end == NULL)
        return false;
    len = (size_t)(end - text->data);
    *out = (struct mr_slice){text->data, len};
    *text = (struct mr_slice){end + 1, text->len - len - 1};
    return true;
}

/* Takes a line that ends in CR LF off `text`, without its end. */
static bool take_line(struct mr_slice *text, struct mr_slice *out)
{
    if (!take_until(text, '\n', out) || out->len == 0 || out->data[out->len - 1] != '\r')
        return false;
    out->len--;
    return true;
}

static mr_status read_method(struct mr_http_request *out, struct mr_slice method)
{
    static const char *const names[] = {
#define VERB(name) #name,
        MR_VERBS(VERB)
#undef VERB
    };

    if (method.len == 0 || !mr_http_all(method, MR_HTTP_TOKEN))
        return MR_INVALID;
    out->is_head = mr_slice_is(method, "HEAD");
    out->is_options = mr_slice_is(method, "OPTIONS");
    out->verb = out->is_head ? MR_VERB_GET : MR_VERB_NONE;
    for (int verb = MR_VERB_GET; verb < MR_VERB_COUNT; verb++)
        if (mr_slice_is(method, names[verb]))
            out->verb = (enum mr_verb)verb;
    return MR_OK;
}

static mr_status read_version(struct mr_http_request *out, struct mr_slice version)
{
    if (!mr_slice_is(version, "HTTP/1.1") && !mr_slice_is(version, "HTTP/1.0"))
        return MR_INVALID;
    out->minor = version.data[version.len - 1] == '1';
    return MR_OK;
}

/* A method that is not known is a matter of routes, not of framing: the message ends where it says. */
static mr_status read_request_line(struct mr_http_request *out, struct mr_slice line)
{
    struct mr_slice method;
    struct mr_slice target;

    if (!take_until(&line, ' ', &method) || !take_until(&line, ' ', &target))
        return blame(out, MR_HTTP_FAULT_REQUEST_LINE);
    if (read_method(out, method) != MR_OK || read_version(out, line) != MR_OK)
        return blame(out, MR_HTTP_FAULT_REQUEST_LINE);
    if (target.len > MR_HTTP_TARGET_MAX)
        return MR_URI_TOO_LONG;
    if (!mr_http_target_split(target, out->is_options, &out->path, &out->query))
        return blame(out, MR_HTTP_FAULT_TARGET);
    return MR_OK;
}

/* ---- Field lines: field-name ":" OWS field-value OWS (RFC 9112, 5) ---- */

/*
 * A blank between the name and its colon, and a line that goes on the one before, are no names: so a proxy that passes
 * them on cannot have read another message than we do (RFC 9112, 5.1 and 5.2).
 */
static mr_status read_field(struct mr_http_request *out, struct mr_slice line)
{
    size_t len = mr_http_span(line, MR_HTTP_TOKEN);
    struct mr_http_header *header;

    if (len == 0 || len == line.len || line.data[len] != ':')
        return blame(out, MR_HTTP_FAULT_FIELD_LINE);
    if (out->header_count == MR_HTTP_HEADERS_MAX)
        return MR_HEADERS_TOO_LARGE;
    header = &out->headers[out->header_count];
    header->name = (struct mr_slice){line.data, len};
    header->value = mr_http_trim((struct mr_slice){line.data + len + 1, line.len - len - 1});
    if (!mr_http_is_value(header->value))
        return blame(out, MR_HTTP_FAULT_LINE_END);
    out->header_count++;
    out->again |= mr_http_length_bit(len) & ~out->absent;
    out->absent &= ~mr_http_length_bit(len);
    return MR_OK;
}

/*
 * Behind more fields than there is room for: whose request it is, for that script may only then read why it was refused. It takes
 * the last place, whose field nobody misses.
 */
static void look_for_origin(struct mr_http_request *out, struct mr_slice line, struct mr_slice text)
{
    if (mr_http_header_count(out, "origin") > 0)
        return;
    out->header_count--;
    do {
        if (line.len > 7 && mr_http_same_word((struct mr_slice){line.data, 6}, "origin") && read_field(out, line) == MR_OK)
            return;
    } while (take_line(&text, &line));
}

static mr_status read_fields(struct mr_http_request *out, struct mr_slice text)
{
    struct mr_slice line;
    mr_status status = MR_OK;

    while (status == MR_OK) {
        if (!take_line(&text, &line))
            return blame(out, MR_HTTP_FAULT_LINE_END);
        if (line.len == 0)
            return text.len == 0 ? MR_OK : blame(out, MR_HTTP_FAULT_LINE_END);
        status = read_field(out, line);
        if (status == MR_HEADERS_TOO_LARGE)
            look_for_origin(out, line, text);
    }
    return status;
}

unsigned mr_http_header_count(const struct mr_http_request *request, const char *name)
{
    unsigned count = 0;

    if ((request->absent & mr_http_length_bit(strlen(name))) != 0)
        return 0;
    for (unsigned i = 0; i < request->header_count; i++)
        count += mr_http_same_word(request->headers[i].name, name);
    return count;
}

bool mr_http_header_find(const struct mr_http_request *request, const char *name, struct mr_slice *value)
{
    for (unsigned i = 0; i < request->header_count; i++)
        if (mr_http_same_word(request->headers[i].name, name)) {
            *value = request->headers[i].value;
            return true;
        }
    return false;
}

bool mr_http_list_next(struct mr_slice *list, struct mr_slice *item)
{
    while (list->len > 0) {
        const char *comma = memchr(list->data, ',', list->len);
        size_t len = comma != NULL ? (size_t)(comma - list->data) : list->len;

        *item = mr_http_trim((struct mr_slice){list->data, len});
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
        if (mr_http_same_word(item, word))
            return true;
    return false;
}

bool mr_http_is_unwanted(struct mr_slice item)
{
    for (size_t i = 0; i < item.len; i++) {
        size_t at = i + 1;

        if (item.data[i] != ';')
            continue;
        while (at < item.len && (item.data[at] == ' ' || item.data[at] == '\t'))
            at++;
        if (at + 2 >= item.len || (item.data[at] | 0x20) != 'q' || item.data[at + 1] != '=')
            continue;
        at += 2;
        while (at < item.len && (item.data[at] == '0' || item.data[at] == '.'))
            at++;
        return at == item.len || item.data[at] == ';' || item.data[at] == ' ' || item.data[at] == '\t';
    }
    return false;
}

bool mr_http_line_next(const struct mr_http_request *request, const char *name, unsigned *next, struct mr_slice *line)
{
    if ((request->absent & mr_http_length_bit(strlen(name))) != 0)
        return false;
    while (*next < request->header_count) {
        const struct mr_http_header *header = &request->headers[(*next)++];

        if (!mr_http_same_word(header->name, name))
            continue;
        *line = header->value;
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
        *item = mr_http_trim((struct mr_slice){list->rest.data, len});
        len += len < list->rest.len; /* the comma */
        list->rest = (struct mr_slice){list->rest.data + len, list->rest.len - len};
        if (item->len > 0)
            return true;
    }
    return false;
}

bool mr_http_header_has(const struct mr_http_request *request, const char *name, const char *word)
{
    struct mr_http_list list = {0};
    struct mr_slice item;

    while (mr_http_list_item(&list, request, name, &item))
        if (mr_http_same_word(item, word))
            return true;
    return false;
}

/* ---- What the fields say of the message and the connection ---- */

static mr_status check_single_fields(struct mr_http_request *request)
{
    static const struct {
        const char *name;
        size_t len;
        enum mr_http_fault fault;
    } fields[] = {
#define FIELD(name, plain, shown) {(plain), sizeof(plain) - 1, MR_HTTP_TWICE_##name},
        MR_HTTP_SINGLE(FIELD)
#undef FIELD
    };
    mr_status status = MR_OK;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if ((request->again & mr_http_length_bit(fields[i].len)) != 0 && mr_http_header_count(request, fields[i].name) > 1)
            status = blame(request, fields[i].fault);
    return status;
}

/* A plain decimal number and nothing else: no sign, no list, no unit (RFC 9112, 6.3). */
static bool read_length(struct mr_slice text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 18 || !mr_http_all(text, MR_HTTP_DIGIT))
        return false;
    for (size_t i = 0; i < text.len; i++)
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    *out = value;
    return true;
}

/* HTTP/1.0 has no transfer codings: its peers would take the chunks for the body (RFC 9112, 6.1). */
static mr_status read_transfer_encoding(struct mr_http_request *out)
{
    struct mr_slice value = {"", 0};

    if (!mr_http_header(out, "transfer-encoding", &value))
        return MR_OK;
    if (out->has_length)
        return blame(out, MR_HTTP_FAULT_LENGTH_BESIDE);
    if (out->minor == 0)
        return MR_LENGTH_REQUIRED;
    out->chunked = mr_http_same_word(value, "chunked");
    return out->chunked ? MR_OK : MR_TRANSFER_CODING;
}

static mr_status read_framing(struct mr_http_request *out)
{
    struct mr_slice value;

    out->has_length = mr_http_header(out, "content-length", &value);
    if (out->has_length && !read_length(value, &out->content_length))
        return blame(out, MR_HTTP_FAULT_LENGTH);
    return read_transfer_encoding(out);
}

static mr_status read_host(struct mr_http_request *request)
{
    struct mr_slice value;

    if (!mr_http_header(request, "host", &value))
        return request->minor == 0 ? MR_OK : blame(request, MR_HTTP_FAULT_NO_HOST);
    return mr_http_is_host(value) ? MR_OK : blame(request, MR_HTTP_FAULT_HOST);
}

static bool may_have_body(const struct mr_http_request *request)
{
    return request->verb != MR_VERB_GET && request->verb != MR_VERB_DELETE && !request->is_options;
}

static void read_connection(struct mr_http_request *out)
{
    if (mr_http_header_has(out, "connection", "close"))
        out->keep_alive = false;
    else
        out->keep_alive = out->minor == 1 || mr_http_header_has(out, "connection", "keep-alive");
    /* Where a body may belong and none is announced, whatever follows cannot be trusted to be a request. */
    if (may_have_body(out) && !out->has_length && !out->chunked)
        out->keep_alive = false;
}

/* HTTP/1.0 knows no interim answers (RFC 9110, 10.1.1). An expectation that is not known cannot be met. */
static mr_status read_expectation(struct mr_http_request *out)
{
    struct mr_slice value;

    if (out->minor == 0 || !mr_http_header(out, "expect", &value))
        return MR_OK;
    out->expects_continue = mr_http_same_word(value, "100-continue");
    return out->expects_continue && mr_http_header_count(out, "expect") == 1 ? MR_OK : MR_EXPECTATION;
}

/* All of it, so that an answer names everything that is wrong; the first that is decides its status. */
static mr_status read_meaning(struct mr_http_request *out)
{
    const mr_status found[] = {check_single_fields(out), read_framing(out), read_host(out), read_expectation(out)};
    mr_status status = MR_OK;

    for (size_t i = 0; i < sizeof found / sizeof found[0] && status == MR_OK; i++)
        status = found[i];
    read_connection(out);
    return status;
}

static void reset(struct mr_http_request *out)
{
    out->verb = MR_VERB_NONE;
    out->is_head = out->is_options = false;
    out->minor = 1;
    out->path = out->query = (struct mr_slice){"", 0};
    out->header_count = 0;
    out->absent = UINT64_MAX;
    out->again = 0;
    out->content_length = 0;
    out->has_length = out->chunked = out->keep_alive = out->expects_continue = false;
    out->faults = 0;
}

mr_status mr_http_parse(struct mr_http_request *out, const char *head, size_t len)
{
    struct mr_slice rest = {head, len};
    struct mr_slice line;
    mr_status status;
    mr_status fields_status;

    reset(out);
    if (!take_line(&rest, &line) || (line.len == 0 && !take_line(&rest, &line)))
        return blame(out, MR_HTTP_FAULT_LINE_END);
    status = read_request_line(out, line);
    fields_status = read_fields(out, rest);
    if (status == MR_OK)
        status = fields_status;
    return status == MR_OK ? read_meaning(out) : status;
}
