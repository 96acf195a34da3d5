/*
 * message: the description of an operation beside its row in the map.
 *
 * proto/messages/<resource>.c holds, for each message of the map, its traits and its field table.
 */
#ifndef MR_PROTO_MESSAGE_H
#define MR_PROTO_MESSAGE_H

#include <stdatomic.h>

#include "proto/field.h"
#include "proto/ops.h"
#include "proto/result.h"

/*
 * A message has at most so many fields, and its statement so many parameters: a clearable field has two. What is kept of a message
 * is as large as its own fields need (mr_field_count). A row that answers it has at most MR_ROW_COLUMNS for its JSON.
 */
enum { MR_FIELDS_MAX = 128, MR_PARAMS_MAX = 2 * MR_FIELDS_MAX, MR_ROW_COLUMNS = 240, MR_UPLOAD_PART = 256 * 1024 };

/* What the JSON of a success looks like. */
enum mr_shape {
    MR_SHAPE_NONE, /* nothing */
    MR_SHAPE_ONE,  /* one object */
    MR_SHAPE_MANY, /* an array; "$next" becomes a Link to the rest */
    MR_SHAPE_PAGE  /* {data, pagination}; from "$page", "$pageSize" and "$totalItems" */
};

/* A mailbox, thread and connection of its own, so that slow work never stands in front of quick work. */
enum mr_lane { MR_LANE_QUICK, MR_LANE_SLOW, MR_LANE_COUNT };

/* A field that is present and, when `is` is not NULL, has this text. */
struct mr_when {
    const char *field;
    const char *is;
};

/* `statement` answers instead of the one of the message's name; the first variant decides whose conditions all hold. */
struct mr_variant {
    const char *statement;
    enum mr_shape shape;
    const struct mr_when *when;      /* ended by a NULL field; NULL: there are none */
    unsigned batch_max;              /* messages in one of its statements; 0: as many as the op's */
    const struct mr_result *returns; /* what a success of it tells; NULL: as the op's */
};

struct mr_traits;

/*
 * Who decides between variants that are too many to try one after the other; what it has to know stands behind this. Every value
 * has to lead to a variant. Called by actors, each in its own thread.
 */
struct mr_pick {
    const struct mr_variant *(*variant)(const struct mr_pick *self, const struct mr_traits *traits,
                                        const struct mr_value *values);
};

/* A body that does not fit a message: it travels ahead, in parts, while it comes in. */
struct mr_upload {
    enum mr_op part;   /* the message that carries one: the new id, its place, its bytes */
    enum mr_op drop;   /* the message that undoes them, when they come to nothing: the new id */
    enum mr_op beat;   /* the message that says that more is to come: the new id */
    const char *types; /* media types that are taken: "one|of|these" */
    uint32_t max;      /* bytes in all, of what it decodes to */
    bool takes_gzip;   /* it may come compressed */
};

/* A client that may wait for what it asks for: gateway/waiting.h. The answer says `pending` while that has not come. */
struct mr_waits {
    const char *field; /* for how long, an INT of milliseconds; not present, or 0: it does not wait */
    const char *on;    /* the field that says what for: a job's name, or a run's id */
    const char
        *nothing; /* the JSON of a success that brings nothing: for whom nothing may be kept any more; NULL: what was answered
                            last is repeated */
};

/*
 * What the records of an upload become: rows, by the job `import` (jobs/import.c), which finds the operation by its name. A record
 * is read as a body; the id is made for each, and who calls is whoever uploaded it.
 */
struct mr_import {
    const struct mr_field
        *fields; /* of a record, ended by a NULL name: one parameter of the statements each, none clearable. From
                                      MR_BODY, MR_NEW_ID, MR_TOKEN_USER and MR_TOKEN_ADMIN */
    const char
        *statement; /* makes rows of a chunk's records. Answers with a row for each record that it made none of: its ordinal;
                              401, 400 or 409, NULL where it does not know why; and the field, NULL: the record as a whole */
    const char
        *reason; /* the same of what is stored now, and makes nothing: asked when `statement` did not know; NULL: it knows */
    const char *
        plain; /* makes rows of the records of which `reason` knows nothing, and fails for what stands in the way; with `reason` only */
};

struct mr_traits {
    const char *summary; /* one line for the documentation */
    enum mr_shape shape;
    enum mr_lane lane;
    unsigned batch_max;     /* messages in one statement; 0: as many as wait */
    bool conflicts;         /* what its statement leaves unanswered twice conflicts with what is stored: 409; else
                                          that is a fault of the statement */
    bool rerun_safe;        /* a lost connection may run the statement again: it reads, or finds what it wrote */
    const char *resource;   /* messages of one resource and one key keep their order; NULL: those of this op */
    const char *key;        /* the field that is that key; NULL: messages are independent */
    unsigned cache_s;       /* how long the gateway and the client may keep a success; 0: not at all */
    const char *location;   /* path of what was made, with `:field`; NULL: no Location header */
    bool idempotent;        /* honours Idempotency-Key, which then is the message's key */
    const char *credential; /* of an OPTIONAL op: the body's field that stands in for an access token; who has
                                          such a token may leave the body out. NULL: none */
    const char *scopes;     /* of API keys that may call it, one of "these|words"; NULL: no key may */
    const char *narrow;     /* the field of the path to whose value such a scope may be narrowed; NULL: none. An op
                                          with a field from MR_TOKEN_ONLY takes narrowed scopes, too, and its statement narrows */
    bool body_optional;     /* the body may be left out, also where a field of it is required */
    bool body_exact;        /* a member of the body that is no field is refused, not ignored; for fields without groups */
    const struct mr_upload *upload;  /* the body is taken in parts; NULL: it is a JSON object, or none */
    const struct mr_waits *waits;    /* a client may wait; NULL: it is answered at once */
    const struct mr_import *import;  /* what becomes of that upload; NULL: its statement sees to it */
    const struct mr_result *returns; /* an object of a success, or each of a list; NULL: it has no body, or `media` says what */
    const char *media;   /* media types of a success that is no JSON, "one|of|these"; NULL: it is JSON, or nothing */
    const char *answers; /* what the statement or the code may answer besides, "404|412"; NULL: nothing. What
                                          follows from the other traits is not listed: see openapi/answers.c */
    int unwell;          /* a status, listed or not, that has the body of a success; 0: none */
    bool versioned;      /* a success has an entity tag: the statement has a column "$version" */
    bool kept;           /* answered by the gateway from memory, with an entity tag: see gateway/docs.c */
    bool continued;   /* a list may have a Link to its rest: the statement has a column "$next", or "$take" (runtime/rows.h) */
    bool row_wise;    /* its statement answers one message, not a batch, and takes values, not arrays: runtime/rowwise.h */
    bool constraints; /* a constraint that its statement breaks is an answer: runtime/constraints.h */
    const struct mr_variant *variants; /* ended by a NULL statement; NULL: none */
    const struct mr_variant *again;    /* retries what the statement left unanswered; NULL: the statement itself does */
    const struct mr_pick *pick;        /* decides between them; NULL: the first whose conditions hold */
    const struct mr_field *fields;     /* ended by a NULL name; at most MR_FIELDS_MAX */
};

#define MR_MESSAGE(message) const struct mr_traits mr_traits_##message =
#define MR_FIELDS(...)      ((const struct mr_field[]){__VA_ARGS__, {.name = NULL}})
#define MR_WHEN(...)        ((const struct mr_when[]){__VA_ARGS__, {.field = NULL}})
#define MR_VARIANTS(...)    ((const struct mr_variant[]){__VA_ARGS__, {.statement = NULL}})

/* What a worker says of a run: the objects of run_outcomes (proto/messages/work.c). */
enum mr_outcome_field {
    MR_OUTCOME_id,
    MR_OUTCOME_claim,
    MR_OUTCOME_outcome,
    MR_OUTCOME_result,
    MR_OUTCOME_error,
    MR_OUTCOME_retry_after,
    MR_OUTCOME_lease,
    MR_OUTCOME_progress,
    MR_OUTCOME_FIELDS
};
extern const struct mr_field mr_outcome_fields[MR_OUTCOME_FIELDS + 1];

/* The upload of an operation that imports, and its message, whose statement queues the run: proto/messages/job.c. */
extern const struct mr_upload mr_import_upload;
extern const struct mr_field mr_import_fields[];

/*
 * Another op that answers in the place of one once it is ready: the same name, fields, access and answers, under another actor or in another
 * form. It has no route. Both rows stay as they are, so that who has begun with one ends with it.
 */
struct mr_successor {
    enum mr_op op;
    _Atomic bool is_ready; /* never taken back */
};

/* A row of the map. */
struct mr_op_info {
    const char *name;
    enum mr_verb verb;
    const char *path; /* NULL for a message that has no route */
    enum mr_actor_id actor;
    enum mr_access access;
    int http; /* status of a success */
    enum mr_handler handler;
    const struct mr_traits *traits;
    struct mr_successor *successor; /* NULL: there is none */
};

/* A verb and a path that lead to an op: of its row in the map, or of an alias. */
struct mr_way {
    const char *name; /* unique; the op's own for its row */
    enum mr_verb verb;
    const char *path; /* NULL for a message that has no route */
    enum mr_op op;
};

/* What the documentation says of a group of operations. */
struct mr_group {
    const char *name;
    const char *about;
};

/* A row of the table of actors. */
struct mr_actor_info {
    const char *name;
    enum mr_database database;
};

/* ---- Operations beside the map ---- */

/* What an application adds: its operation `i` is the op MR_OP_COUNT + i, which its ways and traits use. All borrowed. */
struct mr_op_table {
    const struct mr_op_info *ops;
    unsigned op_count;
    const struct mr_way *ways;
    unsigned way_count;
    const struct mr_group *groups;
    unsigned group_count;
    const char *title;   /* the application's name, for people; NULL: none */
    const char *version; /* of the application; NULL: that of the binary */
    const char *about;   /* what it is for; NULL: nobody has said */
    const char *license; /* its identifier in the SPDX list; NULL: nobody has said */
};

/*
 * Makes these the application's operations of this process, in addition to the engine's; NULL: none. `table` must not change
 * until the process ends or until the next call. Call it before other threads exist.
 */
void mr_ops_install(const struct mr_op_table *table);

/* A number that changes with each mr_ops_install, so that caches made from the tables notice. */
unsigned mr_ops_edition(void);

/* The installed table, borrowed; an empty one if none was installed. */
const struct mr_op_table *mr_ops_installed(void);

/* The number of ops, of the engine and the application: one more than the greatest op. */
unsigned mr_op_count(void);

/* The row of an op, which has to be below mr_op_count(). It lives as long as the table. */
const struct mr_op_info *mr_op_info(enum mr_op op);

/* The op that answers a message of `op` from now on: itself, or its successor that is ready. Any thread. */
enum mr_op mr_op_answering(enum mr_op op);

/* The actor's row in the table of actors; static. `actor` is below MR_ACTOR_COUNT. */
const struct mr_actor_info *mr_actor_info(enum mr_actor_id actor);

/* The route number `i`, from 0 on: those of the engine's map first, in its order. NULL: there are no more. */
const struct mr_way *mr_way(unsigned i);

/* The group of operations number `i`, from 0 on. NULL: there are no more. */
const struct mr_group *mr_group(unsigned i);

/* "GET", "POST", ...; "NONE" for a message without a route. */
const char *mr_verb_name(enum mr_verb verb);

/* The number of fields in a table. */
unsigned mr_fields_count(const struct mr_field *fields);

/* The number of fields in the op's message. */
unsigned mr_field_count(enum mr_op op);

/* The number of parameters of the op's statement: one for each field, and a second one for each clearable field. */
unsigned mr_statement_params(enum mr_op op);

/* Index of the field of that name, -1 when the message has none. */
int mr_field_index(enum mr_op op, const char *name);

#endif
