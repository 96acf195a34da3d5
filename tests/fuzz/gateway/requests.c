#include "tests/fuzz/gateway/requests.h"

#include <zlib.h>

#include "proto/message.h"
#include "runtime/token.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/gateway/front.h"
#include "tests/fuzz/gateway/time.h"

enum { LIFE_S = 1000000000, BOMB_BYTES = 4 << 20, BOMB_ROOM = 16 * 1024 };

static const char some_id[] = "0190a0a0-0000-7000-8000-000000000001";

static struct mr_buf tokens[4]; /* user, admin, expired, signed with the secret before */
static char key_text[] = "mk_K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols";
static const struct mr_buf key = {.data = key_text, .len = sizeof key_text - 1};

static void issue(struct mr_buf *out, enum mr_role role, const char *secret, int64_t life_s)
{
    struct mr_principal principal = {.role = role, .has_session = role == MR_ROLE_USER, .user_id = {1, (uint8_t)role}};

    must(mr_token_issue(out, &principal, MR_SLICE("jo"), secret, mr_wall_ms(&virtual_clock) / 1000, life_s) == MR_OK);
}

/* ---- Pieces ---- */

#define FILLER8  "xxxxxxxx"
#define FILLER64 FILLER8 FILLER8 FILLER8 FILLER8 FILLER8 FILLER8 FILLER8 FILLER8
#define FILLER1K                                                                                                   \
    FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 FILLER64 \
        FILLER64 FILLER64 FILLER64 FILLER64
#define HOST "Host: a\r\n"

/* New ones come last: the corpus names them by number. */
static const char *const literals[] = {
    /* whole requests */
    "GET /livez HTTP/1.1\r\n" HOST "\r\n",
    "HEAD /readyz HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/health HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
    "OPTIONS /v1/tasks HTTP/1.1\r\n" HOST "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
    "BREW /v1/tasks HTTP/1.1\r\n" HOST "\r\n",
    "GET http://a/livez HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/refdata/taskpriorities HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/refdata/taskpriorities/LOW HTTP/1.1\r\n" HOST "If-None-Match: \"1\", W/\"2\", *\r\n\r\n",
    "POST /v1/auth/signin HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 34\r\n\r\n"
    "{\"username\":\"jo\",\"password\":\"pass\"}",
    "POST /v1/auth/refresh HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    "12\r\n{\"refreshToken\":\"x\r\n2\r\n\"}\r\n0\r\n\r\n",
    "GET /livez HTTP/1.1\r\n" HOST "Content-Length : 38\r\n\r\nGET /readyz HTTP/1.1\r\n" HOST "X: yyyyy\r\n\r\n",
    "GET /livez HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    /* first lines */
    "GET /v1/tasks?limit=5&q=a%20b HTTP/1.1\r\n",
    "GET /v1/tasks?limit=1&x=>;rel=%22next%22,<http://b/ HTTP/1.1\r\n",
    "POST /v1/tasks HTTP/1.1\r\n",
    "POST /v1/tasks/import HTTP/1.1\r\n",
    "PUT /v1/tasks/0190a0a0-0000-7000-8000-000000000001 HTTP/1.1\r\n",
    "PATCH /v1/tasks/0190a0a0-0000-7000-8000-000000000001 HTTP/1.1\r\n",
    "DELETE /v1/tasks/0190a0a0-0000-7000-8000-000000000001 HTTP/1.1\r\n",
    "GET /v1/tasks/%zz%00 HTTP/1.1\r\n",
    "GET / HTTP/9.9\r\n",
    /* header lines */
    HOST,
    "Host: b\r\n",
    "Host: [::1]:80\r\n",
    "Host: u@a,b\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 16\r\n",
    "Content-Length: 262145\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length : 16\r\n",
    "Content-Length: 16, 16\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Content-Type: application/json\r\n",
    "Content-Type: application/json; charset=utf-16\r\n",
    "Content-Type: application/merge-patch+json\r\n",
    "Content-Type: application/x-ndjson\r\n",
    "Content-Type: text/csv\r\n",
    "Content-Encoding: gzip\r\n",
    "Expect: 100-continue\r\n",
    "Expect: 200-maybe\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "If-Match: \"3\"\r\n",
    "If-None-Match: *\r\n",
    "Idempotency-Key: \"a key\"\r\n",
    "X-Forwarded-For: 192.0.2.1, [2001:db8::1]:5\r\n",
    "X-Request-Id: an-id\r\n",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
    "tracestate: a=b\r\nbaggage: c=d\r\n",
    "Origin: https://a.example\r\n",
    " folded: line\r\n",
    "x" FILLER64 ": " FILLER1K "\r\n",
    "Trailer: X\r\n",
    "\r\n",
    "\n",
    /* bodies */
    "{\"summary\":\"a\",\"taskPriorityCode\":\"LOW\"}",
    "{\"summary\":\"a\",\"taskPriorityCode\":\"LOW\"}\n",
    "summary,taskPriorityCode\r\n\"a\"\"b\",LOW\r\n",
    "0123456789abcdef",
    "5\r\nhello\r\n",
    "10;name=\"va\\\"lue\"\r\n0123456789abcdef\r\n",
    "40000\r\n",
    "7fffffffffffffff\r\n",
    "0\r\n\r\n",
    "0\r\nX-Trailer: y\r\n\r\n",
    "-1\r\n",
};

enum { LITERALS = sizeof literals / sizeof literals[0], TOKENS = 3, BINARIES = 4 };

/* {"summary":"a","taskPriorityCode":"LOW"} and a line break, gzipped */
static const char gzip_member[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x2e\xcd\xcd\x4d\x2c\xaa\x54"
                                  "\xb2\x52\x4a\x54\xd2\x51\x2a\x49\x2c\xce\x0e\x28\xca\xcc\x2f\xca\x2c\xa9\x74\xce"
                                  "\x4f\x49\x05\x0a\xfb\xf8\x87\x2b\xd5\x72\x01\x00\xb2\x8c\x3b\x76\x29\x00\x00\x00";
static const char nul_piece[] = "X: a\0b\r\n";
static const char latin_piece[] = "GET /\xe9\xff HTTP/1.1\r\nX: \x80\xff\r\n";
static const char bare_cr_piece[] = "X: a\rY: b\r\n";

static const struct mr_slice binaries[BINARIES] = {
    {gzip_member, sizeof gzip_member - 1},
    {nul_piece, sizeof nul_piece - 1},
    {latin_piece, sizeof latin_piece - 1},
    {bare_cr_piece, sizeof bare_cr_piece - 1},
};

static struct mr_buf token_lines[TOKENS];

/* Empty lines, four mebibytes of them, in a few kibibytes. */
static char bomb[BOMB_ROOM];
static size_t bomb_len;

static void make_bomb(void)
{
    char *lines = malloc(BOMB_BYTES);
    z_stream stream = {.next_in = (Bytef *)lines, .avail_in = BOMB_BYTES, .next_out = (Bytef *)bomb, .avail_out = BOMB_ROOM};

    must(lines != NULL);
    memset(lines, '\n', BOMB_BYTES);
    must(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    must(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    bomb_len = stream.total_out;
    deflateEnd(&stream);
    free(lines);
}

void requests_setup(void)
{
    if (tokens[0].len > 0)
        return;
    make_bomb();
    issue(&tokens[0], MR_ROLE_USER, front_config.jwt_secret, LIFE_S);
    issue(&tokens[1], MR_ROLE_ADMIN, front_config.jwt_secret, LIFE_S);
    issue(&tokens[2], MR_ROLE_USER, front_config.jwt_secret, -60);
    issue(&tokens[3], MR_ROLE_USER, front_config.jwt_secret_previous, LIFE_S);
    for (unsigned i = 0; i < TOKENS; i++)
        mr_buf_printf(&token_lines[i], "Authorization: Bearer %.*s\r\n", (int)tokens[i].len, tokens[i].data);
}

struct mr_slice request_piece(uint8_t number)
{
    unsigned at = number % (TOKENS + BINARIES + LITERALS);

    if (at < TOKENS)
        return (struct mr_slice){token_lines[at].data, token_lines[at].len};
    at -= TOKENS;
    return at < BINARIES ? binaries[at] : mr_slice_of(literals[at - BINARIES]);
}

/* ---- Requests for the rows of the map ---- */

enum mr_op request_op(uint8_t number)
{
    unsigned left = number;

    for (;;)
        for (unsigned op = 0; op < mr_op_count(); op++)
            if (mr_op_info((enum mr_op)op)->path != NULL && left-- == 0)
                return (enum mr_op)op;
}

enum mr_op request_upload_op(uint8_t number)
{
    unsigned left = number;

    for (;;)
        for (unsigned op = 0; op < mr_op_count(); op++)
            if (mr_op_info((enum mr_op)op)->traits->upload != NULL && left-- == 0)
                return (enum mr_op)op;
}

/* A value that the field's rule allows. */
static void write_value(struct mr_buf *out, const struct mr_field *field, bool quoted)
{
    const char *quote = quoted ? "\"" : "";

    switch (field->type) {
    case MR_UUID: mr_buf_printf(out, "%s%s%s", quote, some_id, quote); return;
    case MR_TIME: mr_buf_printf(out, "%s2027-01-01T00:00:00Z%s", quote, quote); return;
    case MR_BOOL: mr_buf_text(out, "true"); return;
    case MR_INT:
    case MR_DECIMAL:
    case MR_NUMBER:
    case MR_JSON: mr_buf_text(out, "1"); return;
    case MR_DATE: mr_buf_printf(out, "%s2027-01-31%s", quote, quote); return;
    case MR_BYTES: mr_buf_printf(out, "%sx%s", quote, quote); return;
    case MR_TEXT: break;
    }
    mr_buf_text(out, quote);
    if (field->format == MR_FORMAT_EMAIL)
        mr_buf_text(out, "jo@example.org");
    else if (field->format == MR_FORMAT_CHOICE)
        mr_buf_append(out, field->choices, strcspn(field->choices, "|"));
    else
        for (int64_t i = 0; i < 8 || i < field->min; i++)
            mr_buf_char(out, (char)('A' + i % 6));
    mr_buf_text(out, quote);
}

static bool wanted(const struct mr_field *field, enum mr_source from, unsigned flags)
{
    return field->from == from && (field->required || (flags & REQUEST_FULL) != 0);
}

/* "/v1/tasks/0190...?limit=1&" */
static void write_target(struct mr_buf *out, enum mr_op op, unsigned flags)
{
    const struct mr_op_info *info = mr_op_info(op);

    for (const char *at = info->path; *at != '\0'; at++) {
        size_t len = strcspn(at + 1, "/");
        int field;
        char name[64];

        mr_buf_char(out, *at);
        if (at[1] != ':')
            continue;
        snprintf(name, sizeof name, "%.*s", (int)len - 1, at + 2);
        field = mr_field_index(op, name);
        must(field >= 0);
        write_value(out, &info->traits->fields[field], false);
        at += len;
    }
    mr_buf_char(out, '?');
    for (const struct mr_field *field = info->traits->fields; field->name != NULL; field++)
        if (wanted(field, MR_QUERY, flags)) {
            mr_buf_printf(out, "%s=", field->name);
            write_value(out, field, false);
            mr_buf_char(out, '&');
        }
}

static void write_json(struct mr_buf *out, enum mr_op op, unsigned flags)
{
    const char *before = "{";

    for (const struct mr_field *field = mr_op_info(op)->traits->fields; field->name != NULL; field++)
        if (wanted(field, MR_BODY, flags)) {
            mr_buf_printf(out, "%s\"%s\":", before, field->name);
            write_value(out, field, true);
            before = ",";
        }
    mr_buf_text(out, *before == '{' ? "{}" : "}");
}

static const struct mr_buf *token_for(unsigned flags)
{
    if ((flags & REQUEST_ANONYMOUS) != 0)
        return (flags & REQUEST_ADMIN) == 0 ? NULL : (flags & REQUEST_FULL) != 0 ? &key : &tokens[2];
    if ((flags & REQUEST_ADMIN) != 0)
        return &tokens[1];
    return (flags & REQUEST_FULL) != 0 ? &tokens[3] : &tokens[0];
}

static void write_guards(struct mr_buf *out, enum mr_op op)
{
    const struct mr_op_info *info = mr_op_info(op);

    if (info->verb == MR_VERB_GET)
        mr_buf_text(out, "If-None-Match: \"1\"\r\n");
    else if (info->traits->idempotent)
        mr_buf_text(out, "Idempotency-Key: \"driver\"\r\n");
    else
        mr_buf_text(out, "If-Match: \"1\"\r\n");
}

static void write_headers(struct mr_buf *out, enum mr_op op, unsigned flags, const char *id)
{
    const struct mr_buf *token = token_for(flags);

    mr_buf_printf(out, "Host: a\r\nX-Request-Id: %s\r\n", id);
    if (token != NULL)
        mr_buf_printf(out, "Authorization: Bearer %.*s\r\n", (int)token->len, token->data);
    if ((flags & REQUEST_CLOSES) != 0)
        mr_buf_text(out, "Connection: close\r\n");
    if ((flags & REQUEST_GUARDED) != 0)
        write_guards(out, op);
    if ((flags & REQUEST_ORIGIN) != 0)
        mr_buf_text(out, "Origin: https://b.example\r\nX-Forwarded-For: 192.0.2.7\r\n");
}

static bool has_body(const struct mr_op_info *info)
{
    return info->verb == MR_VERB_POST || info->verb == MR_VERB_PUT || info->verb == MR_VERB_PATCH;
}

struct mr_slice request_lines(void)
{
    return MR_SLICE("{\"summary\":\"a\",\"taskPriorityCode\":\"LOW\"}\n");
}

/* A compressed body ends where a member does. */
static void announce_upload(struct request *out, const struct mr_upload *upload, unsigned body, size_t size)
{
    mr_buf_printf(&out->bytes, "Content-Type: %.*s\r\n", (int)strcspn(upload->types, "|"), upload->types);
    out->pattern = request_lines();
    out->goes_on = size;
    if ((body & REQUEST_GZIP) == 0)
        return;
    out->pattern = (body & REQUEST_BOMB) == REQUEST_BOMB ? (struct mr_slice){bomb, bomb_len} : binaries[0];
    out->goes_on = size - size % out->pattern.len;
    mr_buf_text(&out->bytes, "Content-Encoding: gzip\r\n");
}

/* What is known of the body, and of JSON the body itself. */
static void write_body(struct request *out, enum mr_op op, unsigned flags, unsigned body, size_t size)
{
    const struct mr_upload *upload = mr_op_info(op)->traits->upload;
    struct mr_buf json = {0};

    out->invites = (flags & REQUEST_HEAD) != 0 && (flags & REQUEST_OLD) == 0;
    out->chunked = (body & REQUEST_CHUNKED) != 0 && (flags & REQUEST_OLD) == 0;
    if ((flags & REQUEST_HEAD) != 0)
        mr_buf_text(&out->bytes, "Expect: 100-continue\r\n");
    if (upload != NULL) {
        announce_upload(out, upload, body, size);
    } else {
        mr_buf_text(&out->bytes, "Content-Type: application/json\r\n");
        write_json(&json, op, flags);
    }
    if (!out->chunked)
        mr_buf_printf(&out->bytes, "Content-Length: %zu\r\n\r\n", out->goes_on + json.len);
    else
        mr_buf_text(&out->bytes, "Transfer-Encoding: chunked\r\n\r\n");
    if (out->chunked && json.len > 0)
        mr_buf_printf(&out->bytes, "%zx\r\n%.*s\r\n", json.len, (int)json.len, json.data);
    else
        mr_buf_append(&out->bytes, json.data, json.len);
    if (out->chunked && out->goes_on == 0)
        mr_buf_text(&out->bytes, "0\r\n\r\n");
    mr_buf_fini(&json);
}

void request_make(struct request *out, enum mr_op op, unsigned flags, unsigned body, size_t size, const char *id)
{
    const struct mr_op_info *info = mr_op_info(op);

    mr_buf_clear(&out->bytes, SIZE_MAX);
    out->goes_on = 0;
    out->chunked = false;
    out->invites = false;
    out->to_head = info->verb == MR_VERB_GET && (flags & REQUEST_HEAD) != 0;
    out->closes = (flags & (REQUEST_CLOSES | REQUEST_OLD)) != 0;
    mr_buf_printf(&out->bytes, "%s ", out->to_head ? "HEAD" : mr_verb_name(info->verb));
    write_target(&out->bytes, op, flags);
    mr_buf_printf(&out->bytes, " HTTP/1.%c\r\n", (flags & REQUEST_OLD) != 0 ? '0' : '1');
    write_headers(&out->bytes, op, flags, id);
    if (has_body(info))
        write_body(out, op, flags, body, size);
    else
        mr_buf_text(&out->bytes, "\r\n");
    must(!out->bytes.failed);
}
