/*
 * precondition: the conditions of a request (RFC 9110, 13).
 *
 * A condition that cannot be parsed is refused: anything but a list of entity tags is malformed, never absent. All tags are kept,
 * however many there are, because a read is evaluated only when its representation is known.
 *
 * Ownership: a zeroed struct holds no condition; clear keeps its memory for the next request, fini frees it.
 */
#ifndef MR_GATEWAY_PRECONDITION_H
#define MR_GATEWAY_PRECONDITION_H

#include "http/head.h"

enum mr_condition_kind {
    MR_CONDITION_ABSENT,
    MR_CONDITION_ANY,  /* `*`: any representation at all */
    MR_CONDITION_TAGS, /* a list of entity tags, possibly an empty one */
    MR_CONDITION_MALFORMED
};

struct mr_condition {
    enum mr_condition_kind kind;
    struct mr_buf tags; /* of all lines */
};

struct mr_preconditions {
    struct mr_condition if_match;
    struct mr_condition if_none_match;
    bool if_unmodified_since;
};

enum mr_verdict {
    MR_VERDICT_PROCEED,
    MR_VERDICT_NOT_MODIFIED, /* a read whose representation the client has already: 304 */
    MR_VERDICT_FAILED        /* 412 */
};

/* Reads the request's conditions. MR_NO_MEMORY is the only failure; what is malformed has that kind. */
mr_status mr_preconditions_read(struct mr_preconditions *self, const struct mr_http_request *request) MR_WARN_UNUSED;

/* Whether one of them is malformed. */
bool mr_preconditions_malformed(const struct mr_preconditions *self);

/*
 * Evaluates them in the order of RFC 9110, 13.2.2. `exists`: the target has a current representation; `etag`: its tag, NULL if it
 * has none. No resource of ours has a modification date. On a write If-Unmodified-Since fails unless If-Match overrules it
 * (13.1.4 would ignore it, and the write would go through unguarded); on a read it is ignored.
 */
enum mr_verdict mr_preconditions_judge(const struct mr_preconditions *self, bool is_read, bool exists, const char *etag);

/* Appends the versions among the tags, "3,4": tags of ours are `"version"`. `weakly`: W/ tags count too. */
void mr_condition_versions(const struct mr_condition *self, bool weakly, struct mr_buf *out);

/* Forgets all conditions and keeps the memory for the next request. */
void mr_preconditions_clear(struct mr_preconditions *self);

/* Frees what the conditions hold, not the struct itself. A zeroed struct is fine. */
void mr_preconditions_fini(struct mr_preconditions *self);

#endif
