/*
 * response: the bytes of an answer. Head and body leave in one write: two would halve the rate.
 */
#include <time.h>

#include "http/internal.h"

enum { KEEP_BYTES = 256 * 1024 };

/* IMF-fixdate. */
static void write_date(struct mr_buf *out, int64_t now_s)
{
    char text[64];
    time_t seconds = (time_t)now_s;
    struct tm utc;

    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &utc));
    mr_buf_text(out, text);
}

/* Nearly every answer begins as the one before it did. */
static void write_opening(struct mr_http_server *server, int status, const char *type)
{
    int64_t now_s = mr_wall_ms(server->options.clock) / 1000;
    struct mr_buf *text = &server->opening.text;

    if (text->len == 0 || server->opening.second != now_s || server->opening.status != status || server->opening.type != type) {
        mr_buf_clear(text, KEEP_BYTES);
        mr_buf_text(text, "HTTP/1.1 ");
        mr_buf_int(text, status);
        mr_buf_char(text, ' ');
        mr_buf_text(text, mr_http_reason(status));
        mr_buf_text(text, "\r\nDate: ");
        write_date(text, now_s);
        if (type != NULL) {
            mr_buf_text(text, "\r\nContent-Type: ");
            mr_buf_text(text, type);
        }
        server->opening.second = now_s;
        server->opening.status = status;
        server->opening.type = type;
    }
    server->out.failed |= text->failed;
    mr_buf_slice(&server->out, (struct mr_slice){text->data, text->len});
    if (text->failed)
        mr_buf_fini(text);
}

/* HTTP/1.1 keeps a connection unless it says otherwise, HTTP/1.0 ends it unless it says otherwise (RFC 9112, 9.3). */
static void write_connection(struct mr_http_connection *self, struct mr_buf *out)
{
    self->close_after |= self->body_unread || self->server->draining;
    if (self->close_after)
        mr_buf_text(out, "Connection: close\r\n");
    else if (self->is_old)
        mr_buf_text(out, "Connection: keep-alive\r\n");
}

struct mr_buf *mr_http_respond(struct mr_http_connection *self, int status, const char *type, size_t body_len)
{
    struct mr_buf *out = &self->server->out;

    mr_buf_clear(out, KEEP_BYTES);
    write_opening(self->server, status, type);
    if (status != 204 && status != 304) {
        mr_buf_text(out, "\r\nContent-Length: ");
        mr_buf_int(out, (long long)body_len);
    }
    mr_buf_text(out, "\r\n");
    write_connection(self, out);
    return out;
}

void mr_http_respond_end(struct mr_http_connection *self, struct mr_slice body)
{
    struct mr_buf *out = &self->server->out;

    mr_buf_text(out, "\r\n");
    if (!self->is_head)
        mr_buf_slice(out, body);
    self->exchange = NULL;
    if (out->failed) {
        connection_die(self);
        return;
    }
    connection_write(self, (struct mr_slice){out->data, out->len});
    connection_answered(self);
}
