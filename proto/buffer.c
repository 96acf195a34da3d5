#include "proto/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static bool grow(struct mr_buf *self, size_t need)
{
    size_t cap = self->cap != 0 ? self->cap : 256;
    char *data;

    while (cap < need)
        cap *= 2;
    data = realloc(self->data, cap);
    if (data == NULL) {
        self->failed = true;
        return false;
    }
    self->data = data;
    self->cap = cap;
    return true;
}

void mr_slice_copy(char *out, size_t room, struct mr_slice text)
{
    size_t len = text.len < room ? text.len : room - 1;

    while (len > 0 && len < text.len && (text.data[len] & 0xC0) == 0x80) /* the rest of a character in UTF-8 */
        len--;
    if (len > 0)
        memcpy(out, text.data, len);
    out[len] = '\0';
}

char *mr_buf_reserve(struct mr_buf *self, size_t more)
{
    if (self->failed)
        return NULL;
    if (more > SIZE_MAX / 4 - self->len) {
        self->failed = true;
        return NULL;
    }
    if ((self->data == NULL || self->cap - self->len < more) && !grow(self, self->len + more))
        return NULL;
    return self->data + self->len;
}

void mr_buf_int(struct mr_buf *self, long long value)
{
    char digits[24];
    char *start = digits + sizeof digits;
    unsigned long long rest = value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;

    do
        *--start = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (value < 0)
        *--start = '-';
    mr_buf_append(self, start, (size_t)(digits + sizeof digits - start));
}

void mr_buf_printf(struct mr_buf *self, const char *format, ...)
{
    va_list args;
    int len;
    char *end;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || (end = mr_buf_reserve(self, (size_t)len + 1)) == NULL) {
        self->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(end, (size_t)len + 1, format, args);
    va_end(args);
    self->len += (size_t)len;
}

void mr_buf_print(const struct mr_buf *self, FILE *out)
{
    if (self->len > 0) /* an empty one has no data, which fwrite must not be given */
        fwrite(self->data, 1, self->len, out);
}

void mr_buf_clear(struct mr_buf *self, size_t keep)
{
    if (self->cap > keep)
        mr_buf_fini(self);
    self->len = 0;
    self->failed = false;
}

void mr_buf_fini(struct mr_buf *self)
{
    free(self->data);
    *self = (struct mr_buf){0};
}
