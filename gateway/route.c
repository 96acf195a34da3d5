#include "gateway/route.h"

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
    unsigned i = 0;

    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i)) {
        if (way->path == NULL || !matches(way->path, path, out))
            continue;
        if (way->verb == verb) {
            out->op = way->op;
            return MR_OK;
        }
        known_path = true;
        if (allow != NULL)
            add_allowed(allow, way->verb);
    }
    return known_path ? MR_METHOD : MR_NOT_FOUND;
}

static bool has_way(enum mr_verb verb, const char *path)
{
    unsigned i = 0;

    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i))
        if (way->verb == verb && way->path != NULL && strcmp(way->path, path) == 0)
            return true;
    return false;
}

bool mr_route_takes(enum mr_op op, enum mr_verb verb)
{
    unsigned i = 0;

    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i))
        if (way->op == op && way->path != NULL && has_way(verb, way->path))
            return true;
    return false;
}
