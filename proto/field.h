/*
 * field: one property of a message, and everything that is known of it.
 *
 * The field table of a message (proto/messages/) drives the gateway's validation, the codec, the SQL
 * parameters (in table order: $1, $2, ...) and the documentation. There is no second place to keep in step.
 */
#ifndef MR_PROTO_FIELD_H
#define MR_PROTO_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/cursor.h"

/*      name   SQL type        element OID   what a client is told */
/* clang-format off */
#define MR_TYPES(T)                                                    \
    T(TEXT,  "text",         25,   "string")                           \
    T(UUID,  "uuid",         2950, "UUID")                             \
    T(TIME,  "timestamptz",  1184, "date or date-time (RFC 3339, ISO 8601)") \
    T(BOOL,  "boolean",      16,   "boolean")                          \
    T(INT,   "bigint",       20,   "integer")                          \
    T(BYTES, "bytea",        17,   "bytes")
/* clang-format on */

enum mr_type {
#define T(name, sql, oid, told) MR_##name,
    MR_TYPES(T)
#undef T
};

/* Where a field's value comes from. */
enum mr_source {
    MR_BODY,          /* property of the JSON body */
    MR_PATH,          /* `:name` segment of the path */
    MR_QUERY,         /* query parameter */
    MR_HEADER,        /* request header of the field's name; a structured-field string or bare (RFC 8941, 3.3.3) */
    MR_IF_MATCH,      /* the versions that If-Match names, "3,4"; empty when it names none of ours (RFC 9110, 13.1.1) */
    MR_IF_NONE_MATCH, /* those that If-None-Match names, or "*"; an op with one of the two has both (RFC 9110, 13.1.2) */
    MR_TOKEN_USER,    /* the caller's id, from the verified access token */
    MR_TOKEN_ADMIN,   /* whether the caller is an administrator */
    MR_TOKEN_SESSION, /* the session the access token was issued in, when it names one */
    MR_NEW_ID,        /* UUIDv7 made by the gateway, so that a message can be run twice and write once */
    MR_FINGERPRINT,   /* hash of the body, when there is an Idempotency-Key */
    MR_TRACE,         /* the request's traceparent (W3C Trace Context), as given or made */
    MR_UPLOAD_TYPE,   /* of a body that travelled ahead in parts: the one of the op's media types that it has, */
    MR_UPLOAD_PARTS,  /* how many parts it came in, */
    MR_UPLOAD_LINES,  /* and how many lines those hold */
    MR_ACTOR          /* filled in by the actor's code before the statement runs */
};

/* A rule for text beside its length. */
enum mr_format {
    MR_FORMAT_ANY,
    MR_FORMAT_EMAIL,    /* local part at most 64, a domain with a dot (RFC 5321, 4.5.3.1) */
    MR_FORMAT_USERNAME, /* nothing invisible, see proto/username.h */
    MR_FORMAT_WORDS,    /* a letter or a digit at least, of any script */
    MR_FORMAT_CODE,     /* A-Z 0-9 _ - */
    MR_FORMAT_CHOICE,   /* one of the field's choices */
    MR_FORMAT_CURSOR,   /* hexadecimal digits, as a list's Link carries them; see also `belongs_to` */
};

struct mr_field {
    const char *name; /* JSON name */
    enum mr_type type;
    enum mr_source from;
    bool required;
    int64_t min; /* TEXT: code points; INT: value. 0 and 0: unbounded */
    int64_t max;
    enum mr_format format;
    const char *choices;    /* MR_FORMAT_CHOICE: "one|of|these" */
    const char *fallback;   /* the value when it is left out, as text; NULL: none */
    bool clearable;         /* null is not the same as left out: it clears. A statement then has a boolean parameter
                             more behind the field's own, which says whether the field was given at all */
    const char *belongs_to; /* MR_FORMAT_CURSOR: the field whose value a cursor is good for. The client sees that value and a
                               dot in front of the digits, the statement sees the digits; NULL: good for all */
    const enum mr_cursor_key
        *keys;           /* MR_FORMAT_CURSOR: what it holds behind the id for each of the choices of the field that it
                                       belongs to; NULL: only the length is known */
    const char *same_as; /* has to equal that field of the message when it is given; NULL: no such rule */
    const char *about;   /* one line for the documentation */
    const char *example; /* a good value as text, for the documentation; NULL: none */
};

/* A value of a field. Not present stands for left out and, unless the field is clearable, for null. */
struct mr_value {
    bool present;
    bool cleared; /* null was given for a clearable field; not present then */
    union {
        struct mr_slice text; /* borrowed; MR_BYTES too */
        uint8_t uuid[16];
        int64_t integer; /* MR_INT; MR_TIME in microseconds since 1970 */
        bool boolean;
    };
};

/* What is wrong with a value: a stable code for programs and a sentence for people. Static storage. */
struct mr_problem {
    const char *code;
    char message[120];
};

/* SQL type of the field's column, e.g. "uuid", and the OID of that type (pg_type.dat). */
const char *mr_type_sql(enum mr_type type);
uint32_t mr_type_oid(enum mr_type type);
/* What a client is told the type is, e.g. "string". */
const char *mr_type_told(enum mr_type type);

/*
 * Reads `text` as the field's type and holds it against the field's rules. True: `out` is set and, for
 * text, borrows `text`. False: `problem` says what is wrong.
 */
bool mr_field_parse(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem);

/* Which of a field's choices `text` is, from 0 on; -1: none. */
int mr_field_choice(const struct mr_field *field, struct mr_slice text);

/* Holds an integer against the field's bounds. */
bool mr_field_check_integer(const struct mr_field *field, int64_t value, struct mr_problem *problem);

/* Fills `problem`; for callers that find a fault of their own (a JSON value of the wrong type, a missing field). */
void mr_problem_set(struct mr_problem *problem, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether `text` is well-formed UTF-8 (RFC 3629) without U+0000; `points` (may be NULL) counts code points. */
bool mr_utf8_valid(struct mr_slice text, int64_t *points);

#endif
