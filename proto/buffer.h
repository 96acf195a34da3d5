/*
 * buffer: bytes that grow.
 *
 * A failed allocation is remembered in `failed` and makes later appends do nothing, so that a writer
 * checks once, at the end. A zeroed struct is an empty buffer. Not shared between threads.
 */
#ifndef MR_PROTO_BUFFER_H
#define MR_PROTO_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Borrowed bytes: no terminator, no ownership. */
struct mr_slice {
    const char *data;
    size_t len;
};

#define MR_SLICE(literal) ((struct mr_slice){(literal), sizeof(literal) - 1})

/* Borrows a text that ends in NUL; `text` is not NULL. */
static inline struct mr_slice mr_slice_of(const char *text)
{
    return (struct mr_slice){text, strlen(text)};
}

/* Whether the slice holds exactly the bytes of `text`. Case counts. */
static inline bool mr_slice_is(struct mr_slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

/* Whether nothing is there to read: only white space of ASCII, or nothing at all. */
static inline bool mr_slice_is_blank(struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(" \t\n\v\f\r", text.data[i]) == NULL || text.data[i] == '\0')
            return false;
    return true;
}

/* Copies text, cut before the character that does not fit, and ends it with a NUL. `room` is at least 1. */
void mr_slice_copy(char *out, size_t room, struct mr_slice text);

struct mr_buf {
    char *data;
    size_t len;
    size_t cap;
    bool failed;
};

/*
 * Returns room for `more` bytes after the present end, without moving the end. The room belongs to the buffer and is valid until
 * the next call. Out of memory: returns NULL and sets `failed`.
 */
char *mr_buf_reserve(struct mr_buf *self, size_t more);

/*
 * Appends `len` bytes. `data` is borrowed for the call and must not lie in the buffer itself. Out of memory: sets `failed`,
 * appends nothing. Here, and not in buffer.c, because a request makes hundreds of these calls, nearly all of a length that the
 * compiler knows.
 */
static inline void mr_buf_append(struct mr_buf *self, const void *data, size_t len)
{
    bool has_room = !self->failed && self->cap - self->len >= len;
    char *end;

    if (len == 0)
        return;
    end = has_room ? self->data + self->len : mr_buf_reserve(self, len);
    if (end == NULL) {
        self->failed = true; /* as mr_buf_reserve has set it: here, the analyser sees it, too */
        return;
    }
    memcpy(end, data, len);
    self->len += len;
}

/* Appends a text without its NUL. As mr_buf_append. */
static inline void mr_buf_text(struct mr_buf *self, const char *text)
{
    mr_buf_append(self, text, strlen(text));
}

/* Appends the bytes of a slice. As mr_buf_append. */
static inline void mr_buf_slice(struct mr_buf *self, struct mr_slice slice)
{
    mr_buf_append(self, slice.data, slice.len);
}

/* Appends one byte. As mr_buf_append. */
static inline void mr_buf_char(struct mr_buf *self, char c)
{
    mr_buf_append(self, &c, 1);
}

/* Appends an integer in decimal. As mr_buf_append. */
void mr_buf_int(struct mr_buf *self, long long value);

/* Appends what printf would print, of any length. As mr_buf_append. */
void mr_buf_printf(struct mr_buf *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the whole buffer to `out`, which stays open. Failures show in `ferror(out)`. */
void mr_buf_print(const struct mr_buf *self, FILE *out);

/* Empties the buffer and keeps its memory, unless that has grown past `keep` bytes. */
void mr_buf_clear(struct mr_buf *self, size_t keep);

/* Frees the memory; the buffer is empty and usable again. */
void mr_buf_fini(struct mr_buf *self);

#endif
