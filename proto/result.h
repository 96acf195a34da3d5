/*
 * result: describes successful answers, for the documentation.
 *
 * A statement makes the JSON (its columns' names are the JSON names); these tables say the same to a reader, beside the
 * message's fields in proto/messages/. A test asks PostgreSQL for the columns of every statement and holds them against the
 * tables, so neither can change alone (tests/integration/openapi_test.c).
 */
#ifndef MR_PROTO_RESULT_H
#define MR_PROTO_RESULT_H

#include <stdbool.h>

#include "proto/field.h"

/* A property: a value of `type`, or an object when `json` or `columns` says of which kind. */
struct mr_member {
    const char *name;
    enum mr_type type;
    bool optional;                   /* left out when there is none */
    bool many;                       /* an array of such */
    bool keyed;                      /* an object of such, under names that are data */
    const char *format;              /* of a text, as JSON Schema names it: "date", "email"; NULL: none */
    const char *choices;             /* of a text: "one|of|these"; NULL: any */
    const struct mr_result *json;    /* one column of json or jsonb, or code, makes the object */
    const struct mr_result *columns; /* columns make it: "name.member" for each of its members */
    const char *about;               /* one line */
    const char *example;             /* as text; of objects that of their members. NULL: none */
};

struct mr_result {
    const char *name; /* unique among the results, as "Task" */
    const char *about;
    const struct mr_member *members; /* ended by a NULL name; NULL: whatever the job or the database has to say */
};

#define MR_MEMBERS(...) ((const struct mr_member[]){__VA_ARGS__, {.name = NULL}})

/* Results that several messages, or the documentation itself, tell; the others are static beside their message. */
extern const struct mr_result mr_result_user;     /* user.c */
extern const struct mr_result mr_result_priority; /* refdata.c */
extern const struct mr_result mr_result_anything; /* health.c */
extern const struct mr_result mr_result_job_run;  /* job.c */
extern const struct mr_result mr_result_job;      /* kind.c */

#endif
