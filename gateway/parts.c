#include "gateway/parts.h"

#include <stdlib.h>

struct parts *parts_new(void)
{
    return calloc(1, sizeof(struct parts));
}

void parts_destroy(struct parts **self)
{
    if (*self == NULL)
        return;
    mr_buf_fini(&(*self)->part);
    free(*self);
    *self = NULL;
}

size_t parts_take(struct parts *self, struct mr_slice content)
{
    size_t room = MR_UPLOAD_PART - self->part.len;

    if (content.len > room)
        content.len = room;
    mr_buf_slice(&self->part, content);
    return content.len;
}

bool parts_is_full(const struct parts *self)
{
    return self->part.len == MR_UPLOAD_PART;
}

void parts_count_lines(struct parts *self)
{
    const struct mr_buf *part = &self->part;

    for (size_t i = 0; i < part->len; i++)
        self->lines += part->data[i] == '\n';
    self->is_in_line = part->len > 0 && part->data[part->len - 1] != '\n';
}

void parts_next(struct parts *self)
{
    self->sent++;
    mr_buf_clear(&self->part, MR_UPLOAD_PART);
}
