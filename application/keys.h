/*
 * keys: THE TABLE OF KEYS. Every key that a file of an application may have is one row here.
 *
 * A row says where the key stands, what its value looks like, its default and its purpose. The rows drive the reader
 * (application/read.c), the JSON Schema (application/schema.c) and the reference, so there is no second place to keep consistent.
 * application/check.c has the rules that involve several values.
 */
#ifndef MR_APPLICATION_KEYS_H
#define MR_APPLICATION_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buffer.h"

/*
 * What a value is. `pattern` is a regular expression that POSIX (extended) and ECMA-262 read alike: the reader and the schema hold
 * text against the same one. Kinds without a pattern are read and described by code of their own.
 *
 *   kind        pattern, or NULL    what a message says was expected
 */
#define MR_NAME_PATTERN   "[A-Za-z][A-Za-z0-9_]{0,62}"
#define MR_COLUMN_PATTERN "[a-z_][a-z0-9_]{0,62}"
#define MR_WORD_PATTERN   "[a-z][a-z0-9_]{0,62}"
#define MR_NUMBER_PATTERN "-?[0-9]{1,30}([.][0-9]{1,30})?"
/* clang-format off */
#define MR_KINDS(KIND)                                                                                                      \
    KIND(TEXT,      NULL,                                              "text")                                              \
    KIND(NAME,      "^" MR_NAME_PATTERN "$",                           "a name of letters, digits and _")                   \
    KIND(COLUMN,    "^" MR_COLUMN_PATTERN "$",                         "a name in SQL: a-z, 0-9 and _")                     \
    KIND(STATEMENT, "^[A-Za-z][A-Za-z0-9_/-]{0,62}$",                  "the name of a statement in queries/")               \
    KIND(PATH,      "^(/[A-Za-z0-9._~-]+)+$",                          "a path such as /v1/products")                       \
    KIND(ROUTE,     "^(GET|POST|PUT|PATCH|DELETE) (/([A-Za-z0-9._~-]+|[{]" MR_NAME_PATTERN "[}]))+$",                        \
                                                                       "a method and a path such as POST /v1/orders/{id}")  \
    KIND(DURATION,  "^[0-9]{1,9}(ms|s|m|h|d)$",                        "a duration such as 30s, 5m, 1h or 7d")              \
    KIND(RANGE,     "^(" MR_NUMBER_PATTERN ")?[.][.](" MR_NUMBER_PATTERN ")?$",                                             \
                                                                       "a range such as 0..99")                             \
    KIND(LENGTH,    "^[0-9]{1,7}[.][.][0-9]{1,7}$",                    "a length such as 1..200")                           \
    KIND(PATTERN,   NULL,                                              "a regular expression (POSIX, extended)")            \
    KIND(REFERENCE, "^" MR_WORD_PATTERN "[.]" MR_NAME_PATTERN "$",     "a resource and its field, such as category.code")   \
    KIND(SCOPE,     "^(public|user|admin|[a-z][a-z0-9_-]{0,30}(:[a-z][a-z0-9_-]{0,30}){1,3})$",                                  \
                                                                       "public, user, admin or a scope such as products:write") \
    KIND(SORT,      "^-?" MR_NAME_PATTERN "$",                         "a field, with - in front for descending")           \
    KIND(THROUGH,   "^" MR_NAME_PATTERN "[.]" MR_NAME_PATTERN "$",     "a field that references a row, and a field of that, such as categoryCode.label") \
    KIND(CONDITION, "^(" MR_NAME_PATTERN " )?(=|!=|<|<=|>|>=)$",       "a comparison such as '=' or 'price <='")            \
    KIND(CRON,      NULL,                                              "a cron expression such as 0 5 * * MON")             \
    KIND(ZONE,      "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$",    "a time zone such as Europe/Berlin")                 \
    KIND(URL,       "^https?://[^ /?#]+([/?#][^ ]*)?$",                "a URL, http or https")                              \
    KIND(SECRET,    "^whsec_[A-Za-z0-9+/=_-]+$",                       "a secret, whsec_ and base64")                       \
    KIND(WORD,      NULL,                                              "one of these words")                                \
    KIND(BOOLEAN,   NULL,                                              "true or false")                                     \
    KIND(INTEGER,   NULL,                                              "an integer")                                        \
    KIND(VALUE,     NULL,                                              "a value of the field's type")                       \
    KIND(ACCESS,    NULL,                                              "one word, or a map of read and write")              \
    KIND(RETURNS,   NULL,                                              "a resource or a map of fields, or a list of one of these") \
    KIND(WORDS,     NULL,                                              "a list of words")                                   \
    KIND(NAMES,     NULL,                                              "a list of names")                                   \
    KIND(COLUMNS,   NULL,                                              "a list of names in SQL")                            \
    KIND(STATEMENTS,NULL,                                              "a list of statements in queries/")                  \
    KIND(SECRETS,   NULL,                                              "a list of secrets")                                 \
    KIND(SORTS,     NULL,                                              "a list of fields to sort by")                       \
    KIND(FILTERS,   NULL,                                              "a map of a query parameter to a comparison")        \
    KIND(TEXTS,     NULL,                                              "a map of a name to a text")                         \
    KIND(SECTION,   NULL,                                              "a map")                                             \
    KIND(FIELDS,    NULL,                                              "a map of a name to what it is")

/*
 * Where keys stand: the files, and the maps inside them. `about` is the schema's description.
 *
 *      section      struct of the model        about
 */
#define MR_SECTIONS(SECTION)                                                                        \
    SECTION(application, mr_application,  "millrace.yaml: the application as a whole")              \
    SECTION(resource,    mr_app_resource, "resources/NAME.yaml: a table as a resource")             \
    SECTION(field,       mr_app_field,    "a field of a resource")                                  \
    SECTION(embed,       mr_app_embed,    "columns of the referenced row in the answer")            \
    SECTION(list,        mr_app_list,     "how clients may sort, filter and search a list")          \
    SECTION(operation,   mr_app_operation,"an operation of operations/*.yaml")                      \
    SECTION(input,       mr_app_field,    "a field of an operation's message")                      \
    SECTION(result,      mr_app_field,    "a field of an operation's answer")                       \
    SECTION(job,         mr_app_job,      "a job of jobs/*.yaml")                                   \
    SECTION(arg,         mr_app_field,    "an argument of a job's runs")                            \
    SECTION(retry,       mr_app_retry,    "when a failed run is retried")                       \
    SECTION(unique,      mr_app_unique,   "when two runs count as duplicates")

#define MR_TYPE_WORDS "text|uuid|integer|decimal|number|boolean|date|timestamp|json"
#define MR_TEXT_TYPES "type=text"
#define MR_NUMBERS    "type=integer|decimal|number"
#define MR_OTHERS     "work=push|pull"

/*
 * `allowed`: the words of WORD and WORDS; the bounds of INTEGER; the section of SECTION and FIELDS. `fallback`: the value as it
 * would stand in the file. `needs`: what else the map has to say, separated by spaces: `key=one|of|these`, `key` (is there) or
 * `!key` (is not true). `must`: the key is required.
 *
 *    section      key            member         kind       allowed           fallback  must   needs     about
 */
#define MR_KEYS(KEY)                                                                                                                                      \
    KEY(application, "title",       title,         TEXT,      NULL,             NULL,     true,  NULL, "the application's name, for people")              \
    KEY(application, "version",     version,       TEXT,      NULL,             NULL,     false, NULL, "its version; the documentation shows it")         \
    KEY(application, "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "what it is for")                                  \
    KEY(application, "license",     license,       TEXT,      NULL,             NULL,     false, NULL, "its licence, as an identifier of the SPDX list, such as MIT") \
    KEY(application, "groups",      groups,        TEXTS,     NULL,             NULL,     false, NULL, "descriptions of groups of operations: those whose paths begin with /v1/ and the group's name") \
                                                                                                                                                          \
    KEY(resource,    "path",        path,          PATH,      NULL,             NULL,     true,  NULL, "its path; a row is one segment below: /v1/products/{productId}") \
    KEY(resource,    "table",       table,         COLUMN,    NULL,             NULL,     false, NULL, "its table; absent: the file's name")        \
    KEY(resource,    "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "one line for the documentation")                  \
    KEY(resource,    "access",      access,        ACCESS,    NULL,             "user",   false, NULL, "who may call it: public, user, admin or a scope of API keys") \
    KEY(resource,    "owner",       owner,         COLUMN,    NULL,             NULL,     false, NULL, "a column that holds the caller's id; rows of others do not exist for the caller") \
    KEY(resource,    "fields",      fields,        FIELDS,    "field",          NULL,     true,  NULL, "its fields, by their names in JSON")              \
    KEY(resource,    "list",        list,          SECTION,   "list",           NULL,     false, NULL, "how lists are sorted, filtered and searched")     \
    KEY(resource,    "operations",  operations,    WORDS,     "create|get|list|update|delete|import", "create|get|list|update|delete", false, NULL, "the operations to serve; []: none; other files may refer to the table, embed it or return it") \
    KEY(resource,    "cache",       cache_ms,      DURATION,  "1s..1d",         NULL,     false, "!owner", "how long an answer may be cached; only where everybody may read") \
                                                                                                                                                          \
    KEY(field,       "type",        type,          WORD,      MR_TYPE_WORDS,    NULL,     true,  NULL, "its type")                                        \
    KEY(field,       "many",        many,          BOOLEAN,   NULL,             "false",  false, NULL, "an array of the type")                            \
    KEY(field,       "required",    required,      BOOLEAN,   NULL,             "false",  false, "!clearable !readonly", "a new row must have it")      \
    KEY(field,       "clearable",   clearable,     BOOLEAN,   NULL,             "false",  false, "!readonly", "may be NULL, and null clears it")          \
    KEY(field,       "readonly",    readonly,      BOOLEAN,   NULL,             "false",  false, NULL, "set by the database: a generated column, or a trigger")  \
    KEY(field,       "unique",      unique,        BOOLEAN,   NULL,             "false",  false, "!many", "no two rows may have the same value; a duplicate is 409") \
    KEY(field,       "default",     fallback,      VALUE,     NULL,             NULL,     false, "!required !readonly", "the value in a new row if the request has none")  \
    KEY(field,       "length",      length,        LENGTH,    NULL,             NULL,     false, MR_TEXT_TYPES, "characters, from..to")                   \
    KEY(field,       "pattern",     pattern,       PATTERN,   NULL,             NULL,     false, MR_TEXT_TYPES, "a pattern that the whole text must match")       \
    KEY(field,       "hint",        hint,          TEXT,      NULL,             NULL,     false, "pattern", "the message for a value that does not match it") \
    KEY(field,       "example",     example,       VALUE,     NULL,             NULL,     false, NULL, "a valid value, for the documentation")            \
    KEY(field,       "range",       range,         RANGE,     NULL,             NULL,     false, MR_NUMBERS, "from..to; one side may be absent")        \
    KEY(field,       "scale",       scale,         INTEGER,   "0..30",          NULL,     false, "type=decimal", "digits after the point")               \
    KEY(field,       "items",       items,         LENGTH,    NULL,             NULL,     false, "many=true", "number of elements, from..to") \
    KEY(field,       "column",      column,        COLUMN,    NULL,             NULL,     false, NULL, "its column; absent: the name in snake_case") \
    KEY(field,       "references",  references,    REFERENCE, NULL,             NULL,     false, "!many", "a row of another resource, by its field")     \
    KEY(field,       "embed",       embed,         SECTION,   "embed",          NULL,     false, "references", "columns of that row, in the answer")     \
    KEY(field,       "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "one line for the documentation")                  \
                                                                                                                                                          \
    KEY(embed,       "as",          as,            NAME,      NULL,             NULL,     true,  NULL, "the object's name in the answer")                 \
    KEY(embed,       "columns",     columns,       COLUMNS,   NULL,             NULL,     true,  NULL, "the columns that it shows")                                   \
                                                                                                                                                          \
    KEY(list,        "sort",        sort,          SORTS,     NULL,             NULL,     false, NULL, "orders that clients may choose, the first is the default; an entry `word: field.other` orders by a column of the row that a field references") \
    KEY(list,        "filter",      filter,        FILTERS,   NULL,             NULL,     false, NULL, "query parameters, and what each compares")        \
    KEY(list,        "search",      search,        NAMES,     NULL,             NULL,     false, NULL, "fields that q searches")                  \
    KEY(list,        "total",       total,         STATEMENT, NULL,             NULL,     false, NULL, "a statement of queries/ that returns the number of rows of an unfiltered list; absent: they are counted") \
                                                                                                                                                          \
    KEY(operation,   "route",       route,         ROUTE,     NULL,             NULL,     true,  NULL, "method and path")                                 \
    KEY(operation,   "status",      status,        INTEGER,   "200..299",       NULL,     false, NULL, "status of a success; 200, or 204 without an answer")     \
    KEY(operation,   "access",      access,        SCOPE,     NULL,             "user",   false, NULL, "who may call it: public, user, admin or a scope of API keys") \
    KEY(operation,   "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "one line for the documentation")                  \
    KEY(operation,   "key",         key,           NAME,      NULL,             NULL,     false, NULL, "a field; messages with the same value run in order")   \
    KEY(operation,   "idempotent",  idempotent,    BOOLEAN,   NULL,             "false",  false, NULL, "honours Idempotency-Key")                         \
    KEY(operation,   "cache",       cache_ms,      DURATION,  "1s..1d",         NULL,     false, NULL, "how long an answer may be cached; only for GET, where everybody may read") \
    KEY(operation,   "fields",      fields,        FIELDS,    "input",          NULL,     false, NULL, "the fields of a request, by their names in JSON")           \
    KEY(operation,   "returns",     returns,       RETURNS,   NULL,             NULL,     false, NULL, "a resource or a map of fields, or a list of one of these; absent: nothing") \
    KEY(operation,   "statement",   statement,     STATEMENT, NULL,             NULL,     false, NULL, "the statement that answers; absent: the one with the operation's name") \
                                                                                                                                                          \
    KEY(input,       "type",        type,          WORD,      MR_TYPE_WORDS,    NULL,     true,  NULL, "its type")                                        \
    KEY(input,       "many",        many,          BOOLEAN,   NULL,             "false",  false, NULL, "an array of the type")                            \
    KEY(input,       "required",    required,      BOOLEAN,   NULL,             "false",  false, NULL, "a request must have it; fields of the path always are") \
    KEY(input,       "default",     fallback,      VALUE,     NULL,             NULL,     false, "!required", "the value if the request has none")  \
    KEY(input,       "length",      length,        LENGTH,    NULL,             NULL,     false, MR_TEXT_TYPES, "characters, from..to")                   \
    KEY(input,       "pattern",     pattern,       PATTERN,   NULL,             NULL,     false, MR_TEXT_TYPES, "a pattern that the whole text must match")       \
    KEY(input,       "hint",        hint,          TEXT,      NULL,             NULL,     false, "pattern", "the message for a value that does not match it") \
    KEY(input,       "example",     example,       VALUE,     NULL,             NULL,     false, NULL, "a valid value, for the documentation")            \
    KEY(input,       "range",       range,         RANGE,     NULL,             NULL,     false, MR_NUMBERS, "from..to; one side may be absent")        \
    KEY(input,       "scale",       scale,         INTEGER,   "0..30",          NULL,     false, "type=decimal", "digits after the point")               \
    KEY(input,       "items",       items,         LENGTH,    NULL,             NULL,     false, "many=true", "number of elements, from..to") \
    KEY(input,       "from",        from,          WORD,      "path|query|body",NULL,     false, NULL, "where it comes from; absent: the path that names it, the query of GET and DELETE, or the body") \
    KEY(input,       "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "one line for the documentation")                  \
                                                                                                                                                          \
    KEY(result,      "type",        type,          WORD,      MR_TYPE_WORDS,    NULL,     true,  NULL, "its type")                                        \
    KEY(result,      "many",        many,          BOOLEAN,   NULL,             "false",  false, NULL, "an array of the type")                            \
    KEY(result,      "required",    required,      BOOLEAN,   NULL,             "false",  false, NULL, "every answer contains it")                             \
    KEY(result,      "fields",      members,       FIELDS,    "result",         NULL,     false, "type=json", "what is in it, for the documentation")      \
    KEY(result,      "keyed",       keyed,         BOOLEAN,   NULL,             "false",  false, "fields", "its member names are data; the fields describe each value") \
    KEY(result,      "example",     example,       VALUE,     NULL,             NULL,     false, NULL, "a valid value, for the documentation")            \
    KEY(result,      "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "one line for the documentation")                  \
                                                                                                                                                          \
    KEY(job,         "work",        work,          WORD,      "sql|push|pull",  NULL,     true,  NULL, "who does the work: statements, a signed HTTP call, or workers") \
    KEY(job,         "statements",  statements,    STATEMENTS,NULL,             NULL,     false, "work=sql", "its statements, in order") \
    KEY(job,         "url",         url,           URL,       NULL,             NULL,     false, "work=push", "the URL to call")                      \
    KEY(job,         "secret",      secret,        SECRET,    NULL,             NULL,     false, "work=push !secrets", "the secret that signs the call")             \
    KEY(job,         "secrets",     secrets,       SECRETS,   NULL,             NULL,     false, "work=push", "several secrets, while one is rotated")            \
    KEY(job,         "args",        args,          FIELDS,    "arg",            NULL,     false, NULL, "the arguments of a run")                             \
    KEY(job,         "retry",       retry,         SECTION,   "retry",          NULL,     false, MR_OTHERS, "when a failed run is retried")                \
    KEY(job,         "timeout",     timeout_ms,    DURATION,  "1s..1d",         NULL,     false, MR_OTHERS, "push: how long a call may take; pull: the lease of a claim that names none; absent: 30s") \
    KEY(job,         "concurrency", concurrency,   INTEGER,   "1..100000",      NULL,     false, MR_OTHERS, "the most runs at once, in all processes; absent: no limit") \
    KEY(job,         "perKey",      per_key,       INTEGER,   "1..100000",      NULL,     false, MR_OTHERS, "the most runs of one key at once; runs without a key count as one key") \
    KEY(job,         "priority",    priority,      INTEGER,   "-100..100",      "0",      false, MR_OTHERS, "priority within a key; the higher goes first")                    \
    KEY(job,         "unique",      unique,        SECTION,   "unique",         NULL,     false, MR_OTHERS, "when a second run counts as a duplicate") \
    KEY(job,         "cron",        cron,          CRON,      NULL,             NULL,     false, NULL, "its schedule, as a cron expression")                     \
    KEY(job,         "timezone",    timezone,      ZONE,      NULL,             NULL,     false, "cron", "the time zone of cron; absent: SCHEDULE_TIMEZONE") \
    KEY(job,         "missed",      missed,        WORD,      "once|skip|all",  NULL,     false, "cron", "what happens to ticks while no scheduler runs, or while the job is paused; absent: SCHEDULE_MISSED") \
    KEY(job,         "exclusive",   exclusive,     BOOLEAN,   NULL,             "false",  false, "work=sql", "one run at a time, in all processes")             \
    KEY(job,         "startedBy",   started_by,    WORD,      "admin|user",     "admin",  false, NULL, "who may start a run: administrators; to queue runs for users, write a statement that calls millrace.enqueue") \
    KEY(job,         "keep",        keep_ms,       DURATION,  "1m..3650d",      NULL,     false, MR_OTHERS, "how long finished runs are kept; absent: JOB_RUN_RETENTION")                 \
    KEY(job,         "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "one line for the documentation")                  \
                                                                                                                                                          \
    KEY(arg,         "type",        type,          WORD,      MR_TYPE_WORDS,    NULL,     true,  NULL, "its type")                                        \
    KEY(arg,         "required",    required,      BOOLEAN,   NULL,             "false",  false, NULL, "a run must have it")                            \
    KEY(arg,         "default",     fallback,      VALUE,     NULL,             NULL,     false, "!required", "the value if it is absent")             \
    KEY(arg,         "length",      length,        LENGTH,    NULL,             NULL,     false, MR_TEXT_TYPES, "characters, from..to")                   \
    KEY(arg,         "pattern",     pattern,       PATTERN,   NULL,             NULL,     false, MR_TEXT_TYPES, "a pattern that the whole text must match")       \
    KEY(arg,         "range",       range,         RANGE,     NULL,             NULL,     false, MR_NUMBERS, "from..to; one side may be absent")        \
    KEY(arg,         "about",       about,         TEXT,      NULL,             NULL,     false, NULL, "one line for the documentation")                  \
                                                                                                                                                          \
    KEY(retry,       "attempts",    attempts,      INTEGER,   "1..100",         "10",     false, NULL, "the most attempts")                                        \
    KEY(retry,       "first",       first_ms,      DURATION,  "1s..1d",         "2s",     false, NULL, "pause before the second attempt; each later one is twice as long") \
    KEY(retry,       "most",        most_ms,       DURATION,  "1s..30d",        "1h",     false, NULL, "the longest pause")                               \
                                                                                                                                                          \
    KEY(unique,      "by",          by,            NAMES,     NULL,             NULL,     true,  NULL, "arguments that identify a run")                \
    KEY(unique,      "for",         for_ms,        DURATION,  "1s..365d",       NULL,     false, NULL, "how long a run counts after it was due, even if it is finished by then; absent: until it is finished")
/* clang-format on */

enum mr_kind {
#define KIND(name, pattern, told) MR_KIND_##name,
    MR_KINDS(KIND)
#undef KIND
        MR_KIND_COUNT
};

enum mr_section {
#define SECTION(name, model, about) MR_SECTION_##name,
    MR_SECTIONS(SECTION)
#undef SECTION
        MR_SECTION_COUNT
};

struct mr_kind_info {
    const char *pattern;
    const char *told;
};

struct mr_key {
    const char *name;
    enum mr_kind kind;
    const char *allowed;
    const char *fallback;
    bool must;
    const char *needs;
    const char *about;
    size_t member; /* offset in the section's struct */
};

struct mr_section_info {
    const char *name;
    const char *about;
    size_t size; /* of its struct in the model */
};

/* What is required of a map for one of its keys: see `needs`. */
struct mr_need {
    char key[32];
    char words[64]; /* "one|of|these", or "" */
    bool negated;
};

enum { MR_ENTRIES_MAX = 100, MR_WORD_ROOM = 64 }; /* entries of a list, and of a map of fields */

/* Names that a field cannot have; those of a resource cannot have the second row either. */
#define MR_RESERVED_NAMES "caller|role|newId|now"
#define MR_IMPLIED_NAMES  "id|version|createdAt|updatedAt"

/* The row of a kind of value; static. */
const struct mr_kind_info *mr_kind_info(enum mr_kind kind);

/* The row of a section of a file; static. */
const struct mr_section_info *mr_section_info(enum mr_section section);

/* The section of that name, which has to exist. */
enum mr_section mr_section_named(const char *name);

/* The next row of a section after `key`, in the table's order; the first for NULL. NULL: there are no more. */
const struct mr_key *mr_key_next(enum mr_section section, const struct mr_key *key);

/* The row of a key, NULL when the section has none. */
const struct mr_key *mr_key_find(enum mr_section section, const char *name);

/* Reads the next need and advances `at`, which may point to NULL. False: there are no more. */
bool mr_need_next(const char **at, struct mr_need *out);

/* Reads the next word of "one|of|these" and advances `at`, which may point to NULL. False: there are no more. */
bool mr_word_next(const char **at, char out[MR_WORD_ROOM]);

/* Whether `word` is one of "one|of|these". Sets `index` (may be NULL) to its position. */
bool mr_word_is_in(const char *words, const char *word, int *index);

/* The word in "one|of|these" that is nearest to `name`, at most two changes away, copied to `room`; NULL: there is none. */
const char *mr_word_near(const char *words, const char *name, char room[MR_WORD_ROOM]);

/* Adds a name to "one|of|these", for mr_word_near_of, which frees the memory. Out of memory: `words->failed`. */
void mr_word_add(struct mr_buf *words, const char *word);

/* As mr_word_near, for the words that mr_word_add gathered. Frees the memory of `words`. */
const char *mr_word_near_of(struct mr_buf *words, const char *name, char room[MR_WORD_ROOM]);

/* The key nearest to `name`; NULL when there is none. */
const char *mr_key_near(enum mr_section section, const char *name);

#endif
