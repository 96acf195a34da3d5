#include "gateway/link.h"

#include "proto/literal.h"

static struct mr_slice text_of(const struct mr_buf *buf)
{
    return (struct mr_slice){buf->len > 0 ? buf->data : "", buf->len};
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

/* Unreserved characters (RFC 3986, 2.3) stay, everything else is escaped: so nothing can end the Link's target. */
static void add_escaped(struct mr_buf *out, struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (is_unreserved(c))
            mr_buf_char(out, c);
        else
            mr_buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

static void add_parameter(const struct mr_request *self, const struct mr_field *fields, struct mr_slice name,
                          struct mr_buf *out)
{
    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (mr_slice_is(name, fields[i].name))
            add_escaped(out, text_of(&self->decoded[i]));
}

/* The op's path with the parameters that were read in their places. */
static void add_path(const struct mr_request *self, enum mr_op op, struct mr_buf *out)
{
    const struct mr_op_info *info = mr_op_info(op);

    for (const char *at = info->path; *at != '\0';) {
        size_t len = strcspn(at, ":");

        mr_buf_append(out, at, len);
        at += len;
        len = strcspn(at, "/");
        if (len > 0)
            add_parameter(self, info->traits->fields, (struct mr_slice){at + 1, len - 1}, out);
        at += len;
    }
}

static void add_pair(const struct mr_field *field, struct mr_slice text, struct mr_buf *out)
{
    mr_buf_text(out, field->name);
    mr_buf_char(out, '=');
    add_escaped(out, text);
    mr_buf_char(out, '&');
}

/* What is `many` is given once for each element. */
static void add_items(const struct mr_field *field, struct mr_slice literal, struct mr_buf *out)
{
    struct mr_buf item = {0};

    while (mr_literal_next(&literal, &item)) {
        add_pair(field, text_of(&item), out);
        mr_buf_clear(&item, SIZE_MAX);
    }
    out->failed |= item.failed;
    mr_buf_fini(&item);
}

void mr_link_begin(const struct mr_request *self, enum mr_op op, struct mr_buf *out)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    const char *belongs_to = NULL;

    add_path(self, op, out);
    mr_buf_char(out, '?');
    for (unsigned i = 0; fields[i].name != NULL; i++) {
        if (fields[i].format == MR_FORMAT_CURSOR)
            belongs_to = fields[i].belongs_to;
        else if (fields[i].from == MR_QUERY && fields[i].many && self->values[i].present)
            add_items(&fields[i], self->values[i].text, out);
        else if (fields[i].from == MR_QUERY && self->decoded[i].len > 0)
            add_pair(&fields[i], text_of(&self->decoded[i]), out);
    }
    mr_buf_text(out, "cursor=");
    if (belongs_to != NULL) {
        add_escaped(out, self->values[mr_field_index(op, belongs_to)].text);
        mr_buf_char(out, '.');
    }
}
