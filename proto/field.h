/*
 * field: one property of a message, with all its rules.
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

/*
 * `sent`: the SQL type of a parameter, and its OID: the binary form is that type's (runtime/params.h). `column`: the SQL type that
 * the statement makes of it; the same, or one that is cast to.
 *
 *    name      sent           OID   column              what a client is told */
/* clang-format off */
#define MR_TYPES(T)                                                                     \
    T(TEXT,    "text",        25,   "text",             "string")                       \
    T(UUID,    "uuid",        2950, "uuid",             "UUID")                         \
    T(TIME,    "timestamptz", 1184, "timestamptz",      "date or date-time (RFC 3339, ISO 8601)") \
    T(BOOL,    "boolean",     16,   "boolean",          "boolean")                      \
    T(INT,     "bigint",      20,   "bigint",           "integer")                      \
    T(BYTES,   "bytea",       17,   "bytea",            "bytes")                        \
    T(DECIMAL, "text",        25,   "numeric",          "number")                       \
    T(NUMBER,  "text",        25,   "double precision", "number")                       \
    T(DATE,    "text",        25,   "date",             "date (RFC 3339), as 2027-01-31") \
    T(JSON,    "text",        25,   "jsonb",            "JSON value")
/* clang-format on */

enum mr_type {
#define T(name, sent, oid, column, told) MR_##name,
    MR_TYPES(T)
#undef T
};

/* Where a field's value comes from. */
enum mr_source {
    MR_BODY,       /* property of the JSON body */
    MR_BODY_ITEMS, /* of a JSON body that is an array of objects instead of one: JSON, an array of objects that have the values of
                         the fields from MR_BODY, which are themselves left out then; items_min and items_max are its bounds */
    MR_PATH,       /* `:name` segment of the path */
    MR_QUERY,      /* query parameter */
    MR_HEADER,     /* request header of the field's name; a structured-field string or bare (RFC 8941, 3.3.3) */
    MR_IF_MATCH,   /* the versions that If-Match names, "3,4"; empty when it names none of ours (RFC 9110, 13.1.1) */
    MR_IF_NONE_MATCH, /* those that If-None-Match names, or "*"; an op with one of the two has both (RFC 9110, 13.1.2) */
    MR_TOKEN_USER,    /* the caller's id, from the verified access token; of an API key there is none */
    MR_TOKEN_ADMIN,   /* whether the caller is an administrator; of an API key there is none */
    MR_TOKEN_KEY,     /* the id of the API key that calls, when it is one */
    MR_TOKEN_ONLY,    /* what the scopes of the API key are narrowed to, as the literal of a text[]; none: they are not */
    MR_TOKEN_SESSION, /* the session the access token was issued in, when it names one */
    MR_NEW_ID,        /* UUIDv7 made by the gateway, so that a message can be run twice and write once */
    MR_FINGERPRINT,   /* hash of the body, when there is an Idempotency-Key */
    MR_TRACE,         /* the request's traceparent (W3C Trace Context), as given or made */
    MR_OPERATION,     /* the name of the operation that was called, for a statement that serves several */
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
    MR_FORMAT_DURATION, /* of an INT: text such as "30s", carried as milliseconds; ms, s, m, h, d */
    MR_FORMAT_NAME,     /* a-z, 0-9, _ and -, a letter first */
    MR_FORMAT_URL,      /* absolute, http or https, which the gateway reads (runtime/webhook.h) */
    MR_FORMAT_SECRET,   /* whsec_ and base64 of 24 to 64 bytes (Standard Webhooks); never told again, not even in an error */
    MR_FORMAT_CRON,     /* a cron expression, which the gateway reads (scheduler/cron.h) */
    MR_FORMAT_ZONE,     /* the name of a time zone that this machine knows, which the gateway looks for (scheduler/zone.h) */
};

struct json_t;
struct mr_pattern;
struct mr_problem;

/*
 * Holds a JSON value, which is not null, against rules of its own, and tells every problem under its name: "args.orderId.type" of the
 * field "args". False: there was one.
 */
typedef bool mr_json_rule(const struct json_t *json, const char *name,
                          void (*tell)(void *context, const char *name, const struct mr_problem *problem), void *context);

struct mr_field {
    const char
        *name; /* JSON name. Of the body, "retry.first" is the member `first` of the object `retry`; not for what is read from
                         the body's text (mr_json_wants_text) */
    enum mr_type type;
    enum mr_source from;
    bool required;
    int64_t min; /* TEXT: code points; INT: value; JSON: bytes, `max` alone. 0 and 0: unbounded */
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
    int scale;           /* DECIMAL: digits after the point, at most; -1: any number of them */
    const char *least;   /* DECIMAL, NUMBER: the bounds, as proto/decimal.h reads them; NULL: none */
    const char *most;
    const struct mr_pattern *pattern; /* TEXT: what the whole value matches; borrowed; NULL: anything (proto/pattern.h) */
    const char *hint;                 /* the message for a value that does not match; NULL: the pattern itself */
    bool many;         /* an array of such values, each under the rules above. `fallback` and `example` are JSON then */
    int64_t items_min; /* how many there are in it; 0 and 0: unbounded */
    int64_t items_max;
    mr_json_rule *rule; /* JSON: what the value has to be like beside that; NULL: anything */
    const struct mr_field
        *of; /* JSON: an array of `items_min` to `items_max` objects, each read as a body of these fields, which
                                  are ended by a NULL name and of MR_BODY; NULL: any value */
};

/* A value of a field. Not present stands for left out and, unless the field is clearable, for null. */
struct mr_value {
    bool present;
    bool cleared; /* null was given for a clearable field; not present then */
    union {
        struct mr_slice text; /* borrowed. BYTES, DECIMAL, DATE and JSON too; what is `many`: the literal of an array */
        uint8_t uuid[16];
        double number;   /* MR_NUMBER; finite */
        int64_t integer; /* MR_INT; MR_TIME in microseconds since 1970 */
        bool boolean;
    };
};

/* What is wrong with a value: a stable code for programs and a sentence for people. Static storage. */
struct mr_problem {
    const char *code;
    char message[512]; /* cut at a character when it is too long */
};

/*
 * The SQL type in which a value of the field is sent to the database: the type of the parameter or, where a batch sends an
 * array, of its elements. Static. A field that is `many` is sent as one text, an array literal: see mr_field_cast.
 */
const char *mr_field_sql(const struct mr_field *field);

/* The OID (pg_type.dat) of the type that mr_field_sql names. */
uint32_t mr_field_oid(const struct mr_field *field);

/* The type in which threads and the database receive the field's values: text for a field that is `many`, otherwise its own. */
enum mr_type mr_field_carried(const struct mr_field *field);

/*
 * The SQL type to which the statement casts the parameter, e.g. "numeric" or "text[]"; the same as mr_field_sql if no cast is
 * needed. Static.
 */
const char *mr_field_cast(const struct mr_field *field);

/* The name of the type in messages for clients, e.g. "string". Static. */
const char *mr_type_told(enum mr_type type);

/* The bytes of a present value of type `carried`. Two values are equal if and only if their bytes are. Borrows the value. */
struct mr_slice mr_value_bytes(enum mr_type carried, const struct mr_value *value);

/*
 * Parses `text` as a value of the field, or as one element of a field that is `many`, and checks it against the field's rules.
 * True: `out` is set; a text value borrows `text`. False: `problem` says what is wrong.
 */
bool mr_field_parse(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem);

/* The index of `text` among the field's choices; -1: it is none of them. */
int mr_field_choice(const struct mr_field *field, struct mr_slice text);

/*
 * Parses a duration such as "500ms", "30s", "15m", "1h" or "7d": at most nine digits and a unit. Sets milliseconds. False: it is
 * no duration, and `out_ms` is untouched.
 */
bool mr_duration_parse(int64_t *out_ms, struct mr_slice text);

/* Checks an integer against the field's bounds. False: `problem` says what is wrong. */
bool mr_field_check_integer(const struct mr_field *field, int64_t value, struct mr_problem *problem);

/* Checks the number of elements of a field that is `many` against its bounds. False: `problem` says what is wrong. */
bool mr_field_check_items(const struct mr_field *field, size_t items, struct mr_problem *problem);

/*
 * Fills in `problem`, for callers that detect a fault themselves, such as a missing field. `code` is borrowed and has to be
 * static.
 */
void mr_problem_set(struct mr_problem *problem, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether `text` is well-formed UTF-8 (RFC 3629) without U+0000; `points` (may be NULL) counts code points. */
bool mr_utf8_valid(struct mr_slice text, int64_t *points);

#endif
