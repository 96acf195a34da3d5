#include "http/body.h"

#include "http/grammar.h"

void mr_http_body_init(struct mr_http_body *self, const struct mr_http_request *request)
{
    *self = (struct mr_http_body){.state = request->chunked ? MR_HTTP_CHUNK_SIZE : MR_HTTP_BODY_LENGTH,
                                  .left = request->content_length};
}

static bool is_content(const struct mr_http_body *self)
{
    return self->state == MR_HTTP_BODY_LENGTH || self->state == MR_HTTP_CHUNK_DATA;
}

static bool go(struct mr_http_body *self, enum mr_http_body_state state)
{
    self->state = state;
    return true;
}

/* Extensions and trailers are read over, but not without end. */
static bool is_spare(struct mr_http_body *self, char c)
{
    self->spare++;
    return self->spare <= MR_HTTP_CHUNK_SPARE && mr_http_is(c, MR_HTTP_VALUE);
}

/* The line with the size is at its CR: the last chunk is the one of size 0. */
static bool end_size(struct mr_http_body *self)
{
    return self->digits > 0 && go(self, MR_HTTP_CHUNK_SIZE_LF);
}

static bool take_size(struct mr_http_body *self, char c)
{
    int digit = mr_http_hex(c);

    if (digit >= 0) {
        self->left = self->left << 4 | (unsigned)digit;
        self->digits++;
        return self->left < (uint64_t)1 << 4 * MR_HTTP_CHUNK_DIGITS;
    }
    if (c == '\r')
        return end_size(self);
    return c == ';' && self->digits > 0 && is_spare(self, c) && go(self, MR_HTTP_CHUNK_EXT);
}

static bool end_size_line(struct mr_http_body *self, char c)
{
    self->digits = 0;
    self->line = 0;
    return c == '\n' && go(self, self->left > 0 ? MR_HTTP_CHUNK_DATA : MR_HTTP_TRAILER_NAME);
}

static bool take_trailer_name(struct mr_http_body *self, char c)
{
    if (c == '\r' && self->line == 1)
        return go(self, MR_HTTP_LAST_LF);
    if (c == ':' && self->line > 1)
        return is_spare(self, c) && go(self, MR_HTTP_TRAILER_VALUE);
    return mr_http_is(c, MR_HTTP_TOKEN) && is_spare(self, c);
}

static bool end_trailer_line(struct mr_http_body *self, char c)
{
    self->line = 0;
    return c == '\n' && go(self, MR_HTTP_TRAILER_NAME);
}

/* One byte that is not content; false when it is out of place. */
static bool take_framing(struct mr_http_body *self, char c)
{
    self->line++;
    switch (self->state) {
    case MR_HTTP_CHUNK_SIZE: return self->line <= MR_HTTP_CHUNK_LINE && take_size(self, c);
    case MR_HTTP_CHUNK_EXT: return self->line <= MR_HTTP_CHUNK_LINE && (c == '\r' ? end_size(self) : is_spare(self, c));
    case MR_HTTP_CHUNK_SIZE_LF: return end_size_line(self, c);
    case MR_HTTP_CHUNK_CR: return c == '\r' && go(self, MR_HTTP_CHUNK_LF);
    case MR_HTTP_CHUNK_LF: self->line = 0; return c == '\n' && go(self, MR_HTTP_CHUNK_SIZE);
    case MR_HTTP_TRAILER_NAME: return take_trailer_name(self, c);
    case MR_HTTP_TRAILER_VALUE: return c == '\r' ? go(self, MR_HTTP_TRAILER_LF) : is_spare(self, c);
    case MR_HTTP_TRAILER_LF: return end_trailer_line(self, c);
    case MR_HTTP_LAST_LF: return c == '\n' && go(self, MR_HTTP_BODY_END);
    case MR_HTTP_BODY_LENGTH:
    case MR_HTTP_CHUNK_DATA:
    case MR_HTTP_BODY_END: break;
    }
    return false;
}

enum mr_http_progress mr_http_body_next(struct mr_http_body *self, const char *data, size_t len, size_t *framing,
                                        struct mr_slice *piece)
{
    size_t at = 0;

    *piece = (struct mr_slice){data, 0};
    if (self->state == MR_HTTP_BODY_LENGTH && self->left == 0)
        self->state = MR_HTTP_BODY_END;
    while (at < len && self->state != MR_HTTP_BODY_END && !is_content(self))
        if (!take_framing(self, data[at++]))
            return MR_HTTP_REFUSED;
    *framing = at;
    if (self->state == MR_HTTP_BODY_END)
        return MR_HTTP_COMPLETE;
    if (is_content(self))
        *piece = (struct mr_slice){data + at, len - at < self->left ? len - at : (size_t)self->left};
    return MR_HTTP_MORE;
}

void mr_http_body_took(struct mr_http_body *self, size_t len)
{
    self->left -= len;
    if (self->left == 0)
        self->state = self->state == MR_HTTP_CHUNK_DATA ? MR_HTTP_CHUNK_CR : MR_HTTP_BODY_END;
}
