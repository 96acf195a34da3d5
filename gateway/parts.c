#include "gateway/parts.h"

#include <sodium.h>
#include <stdlib.h>

struct parts *parts_new(void)
{
    return calloc(1, sizeof(struct parts));
}

void parts_destroy(struct parts **self)
{
    if (*self == NULL)
        return;
    mr_request_fini(&(*self)->head);
    mr_buf_fini(&(*self)->part);
    mr_inflate_destroy(&(*self)->inflate);
    free(*self);
    *self = NULL;
}

static size_t room_of(const struct parts *self)
{
    return MR_UPLOAD_PART - self->part.len;
}

static mr_status fill_plain(struct parts *self, struct mr_slice *content)
{
    size_t len = content->len < room_of(self) ? content->len : room_of(self);

    mr_buf_append(&self->part, content->data, len);
    *content = (struct mr_slice){content->data + len, content->len - len};
    return self->part.failed ? MR_NO_MEMORY : MR_OK;
}

static mr_status fill_decoded(struct parts *self, struct mr_slice *content)
{
    mr_status status = MR_OK;
    bool more = true;

    while (status == MR_OK && more && !parts_is_full(self)) {
        size_t room = room_of(self);
        size_t made = 0;
        char *out = mr_buf_reserve(&self->part, room);

        if (out == NULL)
            return MR_NO_MEMORY;
        status = mr_inflate_take(self->inflate, content, out, room, &made);
        self->part.len += made;
        more = content->len > 0 || made == room;
    }
    return status;
}

mr_status parts_fill(struct parts *self, struct mr_slice *content)
{
    return self->inflate != NULL ? fill_decoded(self, content) : fill_plain(self, content);
}

bool parts_may_end(const struct parts *self)
{
    return self->inflate == NULL || mr_inflate_is_whole(self->inflate);
}

bool parts_is_full(const struct parts *self)
{
    return self->part.len == MR_UPLOAD_PART;
}

/* Text in UTF-16 begins with a mark of the byte order: its characters, and so its line breaks, have two bytes. */
static void learn_encoding(struct parts *self)
{
    const struct mr_buf *part = &self->part;

    if (self->sent > 0 || part->len < 2)
        return;
    self->is_wide = memcmp(part->data, "\xff\xfe", 2) == 0 || memcmp(part->data, "\xfe\xff", 2) == 0;
    self->low_byte = self->is_wide && part->data[0] == '\xfe';
}

static void count_lines(struct parts *self)
{
    const struct mr_buf *part = &self->part;
    size_t step = 1;
    bool is_break = false;

    learn_encoding(self);
    step += self->is_wide;
    for (size_t i = 0; i + step <= part->len; i += step) {
        is_break = part->data[i + self->low_byte] == '\n' && (!self->is_wide || part->data[i + !self->low_byte] == '\0');
        self->lines += is_break;
    }
    self->is_in_line = part->len > 0 && !is_break;
}

/* Parts of one content end at the same places, so that a chain of their digests is the content's. */
void parts_note(struct parts *self)
{
    uint8_t before[sizeof self->digest];

    memcpy(before, self->digest, sizeof before);
    crypto_generichash(self->digest, sizeof self->digest, (const unsigned char *)self->part.data, self->part.len, before,
                       sizeof before);
    count_lines(self);
}

void parts_next(struct parts *self)
{
    self->sent++;
    mr_buf_clear(&self->part, MR_UPLOAD_PART);
}
