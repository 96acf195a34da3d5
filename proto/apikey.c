#include "proto/apikey.h"

enum { PREFIX = sizeof MR_KEY_PREFIX - 1 };

bool mr_key_is_meant(struct mr_slice credential)
{
    return credential.len >= PREFIX && memcmp(credential.data, MR_KEY_PREFIX, PREFIX) == 0;
}

static bool is_base64url(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool mr_key_is_formed(struct mr_slice credential)
{
    if (!mr_key_is_meant(credential) || credential.len != MR_KEY_TEXT)
        return false;
    for (size_t i = PREFIX; i < credential.len; i++)
        if (!is_base64url(credential.data[i]))
            return false;
    return true;
}

/* ---- Scopes ---- */

static bool next_part(struct mr_slice *rest, char separator, struct mr_slice *out)
{
    const char *end;

    if (rest->len == 0)
        return false;
    end = memchr(rest->data, separator, rest->len);
    *out = (struct mr_slice){rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
    rest->data += out->len + (end != NULL);
    rest->len -= out->len + (end != NULL);
    return true;
}

bool mr_scope_next(const char **scopes, struct mr_slice *out)
{
    struct mr_slice rest = mr_slice_of(*scopes != NULL ? *scopes : "");

    if (!next_part(&rest, '|', out))
        return false;
    *scopes = rest.data;
    return true;
}

static bool narrows_itself(const struct mr_traits *traits)
{
    for (const struct mr_field *field = traits->fields; field->name != NULL; field++)
        if (field->from == MR_TOKEN_ONLY)
            return true;
    return false;
}

bool mr_scope_can_narrow(const struct mr_traits *traits)
{
    return traits->narrow != NULL || narrows_itself(traits);
}

static bool is_same(struct mr_slice a, struct mr_slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Whether `scope` is `wanted` and a colon and something behind that, which `out` gets. */
static bool is_narrowed(struct mr_slice scope, struct mr_slice wanted, struct mr_slice *out)
{
    if (scope.len < wanted.len + 2 || memcmp(scope.data, wanted.data, wanted.len) != 0 || scope.data[wanted.len] != ':')
        return false;
    *out = (struct mr_slice){scope.data + wanted.len + 1, scope.len - wanted.len - 1};
    return true;
}

/* What a scope of the key means for an op: nothing, all of it, or what `to` says. */
enum reach { REACH_NONE, REACH_NARROW, REACH_ALL };

static enum reach reach_of(const struct mr_traits *traits, struct mr_slice scope, struct mr_slice *to)
{
    const char *scopes = traits->scopes;
    enum reach reach = REACH_NONE;
    struct mr_slice wanted;

    while (mr_scope_next(&scopes, &wanted)) {
        if (is_same(scope, wanted))
            return REACH_ALL;
        if (is_narrowed(scope, wanted, to))
            reach = REACH_NARROW;
    }
    return reach;
}

static void add_element(struct mr_buf *out, struct mr_slice text)
{
    mr_buf_text(out, out->len == 0 ? "{\"" : ",\"");
    mr_buf_slice(out, text);
    mr_buf_char(out, '"');
}

bool mr_scope_grants(const struct mr_traits *traits, struct mr_slice granted, struct mr_slice value, struct mr_buf *only)
{
    bool by_statement = narrows_itself(traits);
    struct mr_slice scope;
    struct mr_slice to = {"", 0};

    while (next_part(&granted, ' ', &scope)) {
        enum reach reach = reach_of(traits, scope, &to);

        if (reach == REACH_ALL || (reach == REACH_NARROW && traits->narrow != NULL && is_same(to, value))) {
            mr_buf_clear(only, SIZE_MAX);
            return true;
        }
        if (reach == REACH_NARROW && by_statement)
            add_element(only, to);
    }
    if (only->len > 0)
        mr_buf_char(only, '}');
    return only->len > 0;
}

void mr_scopes_known(struct mr_buf *out)
{
    struct mr_slice scope;

    mr_buf_text(out, "{");
    for (unsigned op = 0; op < mr_op_count(); op++) {
        const struct mr_traits *traits = mr_op_info((enum mr_op)op)->traits;
        const char *scopes = traits->scopes;

        while (mr_scope_next(&scopes, &scope)) {
            const char *comma = out->data != NULL && out->len > 1 ? "," : "";

            mr_buf_printf(out, "%s%.*s", comma, (int)scope.len, scope.data);
            if (mr_scope_can_narrow(traits))
                mr_buf_printf(out, ",\"%.*s:*\"", (int)scope.len, scope.data);
        }
    }
    mr_buf_text(out, "}");
}
