#include "gateway/route.h"

static const struct {
    const char *alias;
    const char *path;
} aliases[] = {
#define ALIAS(alias, path) {alias, path},
    MR_ALIASES(ALIAS)
#undef ALIAS
};

static struct mr_slice resolve_alias(struct mr_slice path)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (mr_slice_is(path, aliases[i].alias))
            return mr_slice_of(aliases[i].path);
    return path;
}

/* Takes the segment after the slash at the front of `rest`; false when there is none. */
static bool next_segment(struct mr_slice *rest, struct mr_slice *segment)
{
    const char *slash;

    if (rest->len == 0 || *rest->data != '/')
        return false;
    slash = memchr(rest->data + 1, '/', rest->len - 1);
    segment->data = rest->data + 1;
    segment->len = slash != NULL ? (size_t)(slash - segment->data) : rest->len - 1;
    *rest = (struct mr_slice){segment->data + segment->len, rest->len - 1 - segment->len};
    return true;
}

static bool matches(const char *pattern, struct mr_slice path, struct mr_route *route)
{
    struct mr_slice rest = mr_slice_of(pattern);
    struct mr_slice want;
    struct mr_slice have;

    route->param_count = 0;
    while (next_segment(&rest, &want)) {
        if (!next_segment(&path, &have))
            return false;
        if (want.len > 0 && want.data[0] == ':') {
            if (have.len == 0 || route->param_count == MR_ROUTE_PARAMS)
                return false;
            route->params[route->param_count++] = (struct mr_route_param){{want.data + 1, want.len - 1}, have};
        } else if (want.len != have.len || memcmp(want.data, have.data, want.len) != 0) {
            return false;
        }
    }
    return path.len == 0;
}

static void add_allowed(struct mr_buf *allow, enum mr_verb verb)
{
    if (allow->len == 0)
        mr_buf_text(allow, "OPTIONS");
    mr_buf_printf(allow, verb == MR_VERB_GET ? ", %s, HEAD" : ", %s", mr_verb_name(verb));
}

mr_status mr_route_find(struct mr_route *out, enum mr_verb verb, struct mr_slice path, struct mr_buf *allow)
{
    bool known_path = false;

    path = resolve_alias(path);
    for (int op = 0; op < MR_OP_COUNT; op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        if (info->path == NULL || !matches(info->path, path, out))
            continue;
        if (info->verb == verb) {
            out->op = (enum mr_op)op;
            return MR_OK;
        }
        known_path = true;
        if (allow != NULL)
            add_allowed(allow, info->verb);
    }
    return known_path ? MR_METHOD : MR_NOT_FOUND;
}
