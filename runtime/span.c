#include "runtime/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/field.h"
#include "runtime/tracer.h"

enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, STATE_MOST = 512 };

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False also for an id of zeroes alone, which is none. */
static bool read_id(uint8_t *out, size_t len, const char *text)
{
    bool any = false;

    for (size_t i = 0; i < len; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        any = any || out[i] != 0;
    }
    return any;
}

bool mr_context_read(struct mr_context *out, struct mr_slice traceparent)
{
    const char *text = traceparent.data;
    struct mr_context context;

    if (traceparent.len != MR_TRACEPARENT - 1 || memcmp(text, "00-", TRACE_AT) != 0 || text[SPAN_AT - 1] != '-' ||
        text[FLAGS_AT - 1] != '-' || digit(text[FLAGS_AT]) < 0 || digit(text[FLAGS_AT + 1]) < 0 ||
        !read_id(context.trace_id, sizeof context.trace_id, text + TRACE_AT) ||
        !read_id(context.span_id, sizeof context.span_id, text + SPAN_AT))
        return false;
    context.sampled = (digit(text[FLAGS_AT + 1]) & 1) != 0;
    *out = context;
    return true;
}

static void write_id(char *out, const uint8_t *id, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
}

void mr_context_write(char out[MR_TRACEPARENT], const struct mr_context *context)
{
    memcpy(out,
           context->sampled ? "00-................................-................-01"
                            : "00-................................-................-00",
           MR_TRACEPARENT);
    write_id(out + TRACE_AT, context->trace_id, sizeof context->trace_id);
    write_id(out + SPAN_AT, context->span_id, sizeof context->span_id);
}

struct mr_span *mr_span_new(enum mr_span_kind kind, const struct mr_context *context, const struct mr_context *parent,
                            int64_t start_us)
{
    struct mr_span *self = malloc(sizeof *self);

    if (self == NULL) {
        mr_tracer_note_dropped(1);
        return NULL;
    }
    memset(self, 0, offsetof(struct mr_span, text));
    self->kind = kind;
    self->context = *context;
    self->start_us = start_us;
    self->has_parent = parent != NULL;
    if (parent != NULL)
        memcpy(self->parent_id, parent->span_id, sizeof self->parent_id);
    return self;
}

struct mr_span *mr_span_below(enum mr_span_kind kind, const struct mr_context *parent, int64_t start_us)
{
    struct mr_context own = *parent;

    mr_tracer_new_id(own.span_id, sizeof own.span_id);
    return mr_span_new(kind, &own, parent, start_us);
}

/* A copy in the span's own room, cut to what fits. What is not UTF-8, or not any more, keeps its ASCII. */
static struct mr_slice keep(struct mr_span *self, struct mr_slice text, size_t most)
{
    size_t room = sizeof self->text - self->used;
    char *at = self->text + self->used;

    if (text.len > most)
        text.len = most;
    if (text.len > room)
        text.len = room;
    if (text.len > 0)
        memcpy(at, text.data, text.len);
    text.data = at;
    self->used += text.len;
    for (size_t i = 0; i < text.len && !mr_utf8_valid(text, NULL); i++)
        if ((unsigned char)at[i] >= 0x80)
            at[i] = '?';
    return text;
}

void mr_span_name(struct mr_span *self, const char *format, ...)
{
    char name[MR_SPAN_VALUE];
    va_list arguments;

    if (self == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    self->name = keep(self, mr_slice_of(name), sizeof name);
}

void mr_span_text(struct mr_span *self, const char *key, struct mr_slice value)
{
    if (self == NULL || self->attribute_count == MR_SPAN_ATTRIBUTES)
        return;
    self->attributes[self->attribute_count++] = (struct mr_attribute){.key = key, .text = keep(self, value, MR_SPAN_VALUE)};
}

void mr_span_int(struct mr_span *self, const char *key, int64_t value)
{
    if (self == NULL || self->attribute_count == MR_SPAN_ATTRIBUTES)
        return;
    self->attributes[self->attribute_count++] = (struct mr_attribute){.key = key, .integer = value};
}

void mr_span_state(struct mr_span *self, struct mr_slice trace_state)
{
    if (self != NULL && trace_state.len <= STATE_MOST && trace_state.len <= sizeof self->text - self->used)
        self->trace_state = keep(self, trace_state, STATE_MOST);
}

void mr_span_expect_links(struct mr_span *self, unsigned count)
{
    if (self == NULL || self->links != NULL || count == 0)
        return;
    self->links = calloc(count < MR_SPAN_LINKS ? count : MR_SPAN_LINKS, sizeof *self->links);
}

void mr_span_link(struct mr_span *self, const struct mr_context *to)
{
    if (self == NULL)
        return;
    if (self->links == NULL || self->link_count == MR_SPAN_LINKS)
        self->links_dropped++;
    else
        self->links[self->link_count++] = *to;
}

void mr_span_fail(struct mr_span *self, struct mr_slice type)
{
    if (self == NULL)
        return;
    self->failed = true;
    mr_span_text(self, "error.type", type);
}

void mr_span_end(struct mr_span *self, int64_t end_us)
{
    if (self == NULL)
        return;
    self->end_us = end_us > self->start_us ? end_us : self->start_us;
    mr_tracer_take(self);
}

void mr_span_destroy(struct mr_span **self)
{
    if (*self != NULL)
        free((*self)->links);
    free(*self);
    *self = NULL;
}
