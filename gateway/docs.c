#include "gateway/docs.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "gateway/etag.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "http/grammar.h"
#include "openapi/openapi.h"
#include "openapi/page.h"
#include "runtime/log.h"
#include "runtime/thread.h"

enum { GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 9, GZIP_LENGTH = 4, HEADERS_MAX = 640, TAG_MAX = MR_ETAG_TEXT + 8 };

/*
 * The document is made by a thread of its own while the gateway serves: nobody waits for it who does not ask for it. Until the thread is
 * joined, what is written here is its.
 */
struct docs {
    const char *version;
    mr_thread *maker;       /* NULL: joined */
    struct mr_buf document; /* compressed; empty: there was no memory for it */
};

/* Scripts and calls of this host only. Swagger UI sets styles of single elements and has its icons inline. */
static const char page_policy[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

/* ---- Making ---- */

static mr_status compress_into(struct mr_buf *out, struct mr_slice text)
{
    z_stream stream = {.next_in = (const Bytef *)text.data, .avail_in = (uInt)text.len};
    size_t room;
    char *at;
    bool good;

    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return MR_NO_MEMORY;
    room = deflateBound(&stream, (uLong)text.len);
    at = mr_buf_reserve(out, room);
    stream.next_out = (Bytef *)at;
    stream.avail_out = (uInt)room;
    good = at != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    if (good)
        out->len += (size_t)stream.total_out;
    deflateEnd(&stream);
    return good ? MR_OK : MR_NO_MEMORY;
}

/* A copy without the room that it might have taken. */
static mr_status keep_in(struct mr_buf *out, const struct mr_buf *compressed)
{
    char *at = mr_buf_reserve(out, compressed->len);

    if (at == NULL)
        return MR_NO_MEMORY;
    memcpy(at, compressed->data, compressed->len);
    out->len += compressed->len;
    return MR_OK;
}

/*
 * The tree that the document is made of takes a quarter of a megabyte for each resource, in small pieces: without this the process keeps it
 * to its end, though it needs it never again.
 */
static void give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static mr_status make(struct docs *self)
{
    struct mr_buf text = {0};
    struct mr_buf compressed = {0};
    mr_status status = mr_openapi_write(&text, self->version, false);

    if (status == MR_OK)
        status = compress_into(&compressed, (struct mr_slice){text.data, text.len});
    mr_buf_fini(&text);
    if (status == MR_OK)
        status = keep_in(&self->document, &compressed);
    mr_buf_fini(&compressed);
    give_back();
    return status;
}

static void make_in_thread(mr_thread *thread, void *argument)
{
    mr_thread_ready(thread);
    if (make(argument) != MR_OK)
        mr_log(MR_LOG_WARN, "no OpenAPI document: out of memory");
}

/* Waits until it is made. */
static void join_maker(struct docs *self)
{
    if (self->maker == NULL)
        return;
    mr_thread_await(self->maker);
    mr_thread_stop(&self->maker);
}

mr_status docs_setup(struct gateway *gateway)
{
    struct docs *self;

    if (!gateway->config->api_docs)
        return MR_OK;
    self = calloc(1, sizeof *self);
    if (self == NULL)
        return MR_NO_MEMORY;
    gateway->docs = self;
    self->version = gateway->options->version;
    self->maker = mr_thread_begin("docs", make_in_thread, self);
    return self->maker != NULL ? MR_OK : MR_NO_MEMORY;
}

void docs_fini(struct gateway *gateway)
{
    if (gateway->docs == NULL)
        return;
    join_maker(gateway->docs);
    mr_buf_fini(&gateway->docs->document);
    free(gateway->docs);
    gateway->docs = NULL;
}

/* ---- Answering ---- */

/* RFC 9110, 12.5.3. */
static bool takes_gzip(const struct mr_http_request *request)
{
    struct mr_http_list list = {0};
    struct mr_slice item;

    while (mr_http_list_item(&list, request, "accept-encoding", &item)) {
        const char *semicolon = memchr(item.data, ';', item.len);
        size_t len = semicolon != NULL ? (size_t)(semicolon - item.data) : item.len;
        struct mr_slice name = {item.data, len};

        while (name.len > 0 && (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '\t'))
            name.len--;
        if (mr_http_same_word(name, "gzip") || mr_http_same_word(name, "*"))
            return !mr_http_is_unwanted(item);
    }
    return false;
}

/* The length that the end of a gzip member tells (RFC 1952, 2.3.1), least byte first. */
static size_t length_of(struct mr_slice gzip)
{
    size_t length = 0;

    for (size_t i = 1; i <= GZIP_LENGTH; i++)
        length = length << 8 | (unsigned char)gzip.data[gzip.len - i];
    return length;
}

static mr_status decompress_into(struct mr_buf *out, struct mr_slice gzip)
{
    z_stream stream = {.next_in = (const Bytef *)gzip.data, .avail_in = (uInt)gzip.len};
    size_t length = length_of(gzip);
    char *at = mr_buf_reserve(out, length);
    bool good;

    if (at == NULL || inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return MR_NO_MEMORY;
    stream.next_out = (Bytef *)at;
    stream.avail_out = (uInt)length;
    good = inflate(&stream, Z_FINISH) == Z_STREAM_END;
    inflateEnd(&stream);
    out->len += length;
    return good ? MR_OK : MR_NO_MEMORY;
}

/* Both codings of a file are strong representations of their own (RFC 9110, 8.8.3.3). */
static void tag_of(char out[TAG_MAX], struct mr_slice gzip, bool compressed)
{
    char tag[MR_ETAG_TEXT];

    mr_etag_make(tag, gzip);
    snprintf(out, TAG_MAX, "%.*s%s\"", (int)strlen(tag) - 1, tag, compressed ? "-gzip" : "");
}

static void answer_file(struct exchange *exchange, const struct mr_http_request *request, const char *type,
                        struct mr_slice gzip)
{
    bool compressed = takes_gzip(request);
    struct mr_buf plain = {0};
    char headers[HEADERS_MAX];
    char tag[TAG_MAX];
    mr_status status = MR_OK;

    tag_of(tag, gzip, compressed);
    snprintf(headers, sizeof headers, "%sCache-Control: public, no-cache\r\nVary: Accept-Encoding\r\nETag: %s\r\n%s",
             compressed ? "Content-Encoding: gzip\r\n" : "", tag, strncmp(type, "text/html", 9) == 0 ? page_policy : "");
    if (!compressed)
        status = decompress_into(&plain, gzip);
    if (status != MR_OK)
        reply_problem(exchange, status, NULL, (struct mr_slice){0});
    else
        reply_kept(exchange, type, compressed ? gzip : (struct mr_slice){plain.data, plain.len}, tag, headers);
    mr_buf_fini(&plain);
}

/* A malformed condition is refused as for every other op; a good one is evaluated with the answer. */
static bool read_conditions(struct exchange *exchange, const struct mr_http_request *request)
{
    struct mr_request message = {0};
    const char *detail = NULL;
    mr_status status = mr_preconditions_read(&exchange->conditions, request);

    if (status == MR_OK)
        status = mr_request_conditions(&message, exchange->op, &exchange->conditions, &detail);
    if (status != MR_OK)
        reply_problem(exchange, status, detail, (struct mr_slice){message.errors.data, message.errors.len});
    mr_request_fini(&message);
    return status == MR_OK;
}

static void answer_page(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice name)
{
    for (const struct mr_page_file *file = mr_page_files; file->name != NULL; file++)
        if (mr_slice_is(name, file->name)) {
            answer_file(exchange, request, file->type, file->gzip);
            return;
        }
    reply_problem(exchange, MR_NOT_FOUND, NULL, (struct mr_slice){0});
}

/* Who asks right after the start waits for it, and with them everybody; it takes some milliseconds. */
static void answer_document(struct exchange *exchange, const struct mr_http_request *request)
{
    struct docs *docs = exchange->gateway->docs;
    const struct mr_buf *document = &docs->document;

    join_maker(docs);
    if (document->len == 0)
        reply_problem(exchange, MR_NO_MEMORY, NULL, (struct mr_slice){0});
    else
        answer_file(exchange, request, "application/json", (struct mr_slice){document->data, document->len});
}

void docs_answer(struct exchange *exchange, const struct mr_http_request *request)
{
    const struct mr_route *route = &exchange->route;

    if (!read_conditions(exchange, request))
        return;
    if (exchange->op == MR_OP_openapi)
        answer_document(exchange, request);
    else
        answer_page(exchange, request, route->param_count > 0 ? route->params[0].value : (struct mr_slice){"", 0});
}
