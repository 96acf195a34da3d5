#include "gateway/precondition.h"

#include "gateway/etag.h"

enum { KEEP_BYTES = 512, VERSION_DIGITS = 18 };

static struct mr_slice tags_of(const struct mr_condition *self)
{
    return (struct mr_slice){self->tags.data != NULL ? self->tags.data : "", self->tags.len};
}

static bool is_tag_list(struct mr_slice list)
{
    struct mr_etag tag;

    while (mr_etag_next(&list, &tag))
        continue;
    return list.len == 0;
}

/* The blank keeps an open quote of one line from being closed on the next: no tag holds one. */
static void read_condition(struct mr_condition *self, const struct mr_http_request *request, const char *name)
{
    unsigned next = 0;
    struct mr_slice line;

    while (mr_http_line_next(request, name, &next, &line)) {
        if (self->kind != MR_CONDITION_ABSENT)
            mr_buf_text(&self->tags, ", ");
        self->kind = MR_CONDITION_TAGS;
        mr_buf_slice(&self->tags, line);
    }
    if (self->kind == MR_CONDITION_ABSENT)
        return;
    if (mr_slice_is(tags_of(self), "*"))
        self->kind = MR_CONDITION_ANY;
    else if (!is_tag_list(tags_of(self)))
        self->kind = MR_CONDITION_MALFORMED;
}

mr_status mr_preconditions_read(struct mr_preconditions *self, const struct mr_http_request *request)
{
    mr_preconditions_clear(self);
    read_condition(&self->if_match, request, "if-match");
    read_condition(&self->if_none_match, request, "if-none-match");
    self->if_unmodified_since = mr_http_header_count(request, "if-unmodified-since") > 0;
    return self->if_match.tags.failed || self->if_none_match.tags.failed ? MR_NO_MEMORY : MR_OK;
}

bool mr_preconditions_malformed(const struct mr_preconditions *self)
{
    return self->if_match.kind == MR_CONDITION_MALFORMED || self->if_none_match.kind == MR_CONDITION_MALFORMED;
}

/* Whether the representation is one of those that the condition names. */
static bool names(const struct mr_condition *self, bool exists, const char *etag, bool weakly)
{
    if (self->kind == MR_CONDITION_ANY)
        return exists;
    return self->kind == MR_CONDITION_TAGS && exists && etag != NULL && mr_etag_listed(tags_of(self), etag, weakly);
}

enum mr_verdict mr_preconditions_judge(const struct mr_preconditions *self, bool is_read, bool exists, const char *etag)
{
    if (mr_preconditions_malformed(self))
        return MR_VERDICT_FAILED;
    if (self->if_match.kind != MR_CONDITION_ABSENT) {
        if (!names(&self->if_match, exists, etag, false))
            return MR_VERDICT_FAILED;
    } else if (self->if_unmodified_since && !is_read) {
        return MR_VERDICT_FAILED;
    }
    if (names(&self->if_none_match, exists, etag, true))
        return is_read ? MR_VERDICT_NOT_MODIFIED : MR_VERDICT_FAILED;
    return MR_VERDICT_PROCEED;
}

/* A quoted number as we write it: without a zero in front. */
static bool is_version(struct mr_slice tag)
{
    if (tag.len < 3 || tag.len > VERSION_DIGITS + 2 || tag.data[1] == '0')
        return false;
    for (size_t i = 1; i < tag.len - 1; i++)
        if (tag.data[i] < '0' || tag.data[i] > '9')
            return false;
    return true;
}

void mr_condition_versions(const struct mr_condition *self, bool weakly, struct mr_buf *out)
{
    struct mr_slice list = tags_of(self);
    struct mr_etag tag;

    while (mr_etag_next(&list, &tag)) {
        if ((tag.weak && !weakly) || !is_version(tag.opaque))
            continue;
        if (out->len > 0)
            mr_buf_char(out, ',');
        mr_buf_append(out, tag.opaque.data + 1, tag.opaque.len - 2);
    }
}

static void clear(struct mr_condition *self)
{
    self->kind = MR_CONDITION_ABSENT;
    mr_buf_clear(&self->tags, KEEP_BYTES);
}

void mr_preconditions_clear(struct mr_preconditions *self)
{
    clear(&self->if_match);
    clear(&self->if_none_match);
    self->if_unmodified_since = false;
}

void mr_preconditions_fini(struct mr_preconditions *self)
{
    mr_preconditions_clear(self);
    mr_buf_fini(&self->if_match.tags);
    mr_buf_fini(&self->if_none_match.tags);
}
