#include "gateway/route.h"

#include <stdlib.h>

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

/* ---- The index: an application may have a thousand ways, and a request has time for a few ---- */

/*
 * Ways by their head: the first two segments, which say the resource. Within a head, and among those whose head is no text, what
 * is written out comes before what is a parameter. Made anew after the tables have changed.
 */
enum { BUCKETS = 1024, HEAD_SEGMENTS = 2 };

struct entry {
    const struct mr_way *way;
    struct mr_slice head; /* empty: one of its segments is a parameter */
    uint32_t hash;
    int next; /* of the same bucket; -1: it is the last */
};

static struct {
    struct entry *entries;
    unsigned count;
    int buckets[BUCKETS];
    int loose; /* the first whose head is no text */
    unsigned edition;
    bool is_made;
} ways = {.loose = -1};

static struct mr_slice head_of(struct mr_slice path)
{
    struct mr_slice rest = path;
    struct mr_slice segment;

    for (int i = 0; i < HEAD_SEGMENTS && next_segment(&rest, &segment);)
        i++;
    return (struct mr_slice){path.data, path.len - rest.len};
}

static uint32_t hash_of(struct mr_slice text)
{
    uint32_t hash = 2166136261U;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * 16777619U;
    return hash;
}

/* At the first place where one has a parameter and the other has not, the other comes first. */
static int by_parameters(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    struct mr_slice rest_a = mr_slice_of(a->way->path);
    struct mr_slice rest_b = mr_slice_of(b->way->path);
    struct mr_slice segment_a;
    struct mr_slice segment_b;

    while (next_segment(&rest_a, &segment_a) && next_segment(&rest_b, &segment_b)) {
        int difference = (segment_a.len > 0 && segment_a.data[0] == ':') - (segment_b.len > 0 && segment_b.data[0] == ':');

        if (difference != 0)
            return difference;
    }
    return a->way < b->way ? -1 : a->way > b->way;
}

static void gather(void)
{
    unsigned i = 0;

    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i)) {
        struct mr_slice head;

        if (way->path == NULL)
            continue;
        head = head_of(mr_slice_of(way->path));
        if (memchr(head.data, ':', head.len) != NULL)
            head.len = 0;
        ways.entries[ways.count++] = (struct entry){way, head, hash_of(head), -1};
    }
}

/* From the last to the first, so that each list begins with the first. */
static void chain(void)
{
    for (int i = 0; i < BUCKETS; i++)
        ways.buckets[i] = -1;
    ways.loose = -1;
    for (int i = (int)ways.count - 1; i >= 0; i--) {
        struct entry *entry = &ways.entries[i];
        int *list = entry->head.len > 0 ? &ways.buckets[entry->hash % BUCKETS] : &ways.loose;

        entry->next = *list;
        *list = i;
    }
}

/* The gateway's thread alone comes here. False: no memory for it. */
static bool make_index(void)
{
    unsigned count = 0;

    if (ways.is_made && ways.edition == mr_ops_edition())
        return true;
    while (mr_way(count) != NULL)
        count++;
    free(ways.entries);
    ways.entries = calloc(count + 1, sizeof *ways.entries);
    ways.count = 0;
    ways.is_made = ways.entries != NULL;
    if (!ways.is_made)
        return false;
    gather();
    qsort(ways.entries, ways.count, sizeof *ways.entries, by_parameters);
    chain();
    ways.edition = mr_ops_edition();
    return true;
}

mr_status mr_route_prepare(void)
{
    return make_index() ? MR_OK : MR_NO_MEMORY;
}

void mr_route_forget(void)
{
    free(ways.entries);
    ways.entries = NULL;
    ways.is_made = false;
}

/* ---- Finding ---- */

static void add_allowed(struct mr_buf *allow, enum mr_verb verb)
{
    if (allow->len == 0)
        mr_buf_text(allow, "OPTIONS");
    mr_buf_printf(allow, verb == MR_VERB_GET ? ", %s, HEAD" : ", %s", mr_verb_name(verb));
}

/* The first of a list with that verb and path. */
static bool find_way(int first, struct mr_route *out, enum mr_verb verb, struct mr_slice path)
{
    for (int i = first; i >= 0; i = ways.entries[i].next) {
        const struct mr_way *way = ways.entries[i].way;

        if (way->verb != verb || !matches(way->path, path, out))
            continue;
        out->op = way->op;
        return true;
    }
    return false;
}

/* Whether any of a list has the path; adds their verbs. */
static bool find_path(int first, struct mr_route *out, struct mr_slice path, struct mr_buf *allow)
{
    bool known = false;

    for (int i = first; i >= 0; i = ways.entries[i].next) {
        const struct mr_way *way = ways.entries[i].way;

        if (!matches(way->path, path, out))
            continue;
        known = true;
        if (allow != NULL)
            add_allowed(allow, way->verb);
    }
    return known;
}

/* Looks through a list. MR_NOT_FOUND: no way of it has the path. */
static mr_status look(int first, struct mr_route *out, enum mr_verb verb, struct mr_slice path, struct mr_buf *allow)
{
    if (find_way(first, out, verb, path))
        return MR_OK;
    return find_path(first, out, path, allow) ? MR_METHOD : MR_NOT_FOUND;
}

mr_status mr_route_find(struct mr_route *out, enum mr_verb verb, struct mr_slice path, struct mr_buf *allow)
{
    mr_status exact;
    mr_status loose;

    if (!make_index())
        return MR_NO_MEMORY;
    exact = look(ways.buckets[hash_of(head_of(path)) % BUCKETS], out, verb, path, allow);
    if (exact == MR_OK)
        return exact;
    loose = look(ways.loose, out, verb, path, allow);
    return loose == MR_NOT_FOUND ? exact : loose;
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
