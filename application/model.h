/*
 * model: an application as its files declare it.
 *
 * Everything belongs to the application's arena and lives until mr_application_destroy; nothing changes after the load, so any
 * thread may read it. `node` is where an entry stands in its file, for messages. The table of keys, application/keys.h, says what
 * a member means. An absent member is NULL, has `is_set` false, or holds the table's default.
 */
#ifndef MR_APPLICATION_MODEL_H
#define MR_APPLICATION_MODEL_H

#include <stdint.h>

#include "application/yaml.h"
#include "proto/ops.h"

/* In the order of the words in application/keys.h. */
enum mr_app_type {
    MR_APP_TEXT,
    MR_APP_UUID,
    MR_APP_INTEGER,
    MR_APP_DECIMAL,
    MR_APP_NUMBER,
    MR_APP_BOOLEAN,
    MR_APP_DATE,
    MR_APP_TIMESTAMP,
    MR_APP_JSON
};
enum mr_app_from { MR_APP_FROM_PATH, MR_APP_FROM_QUERY, MR_APP_FROM_BODY };
enum mr_app_standard { MR_APP_CREATE, MR_APP_GET, MR_APP_LIST, MR_APP_UPDATE, MR_APP_DELETE, MR_APP_IMPORT };
enum mr_app_work { MR_APP_BY_SQL, MR_APP_BY_PUSH, MR_APP_BY_PULL };
enum mr_app_starter { MR_APP_BY_ADMIN, MR_APP_BY_USER };
enum mr_app_missed { MR_APP_MISSED_ONCE, MR_APP_MISSED_SKIP, MR_APP_MISSED_ALL };
enum mr_app_comparison { MR_APP_EQUAL, MR_APP_UNEQUAL, MR_APP_LESS, MR_APP_LESS_EQUAL, MR_APP_GREATER, MR_APP_GREATER_EQUAL };

/* Values of keys. */
struct mr_app_word {
    bool is_set;
    int index; /* in the words of the key */
};

struct mr_app_integer {
    bool is_set;
    int64_t value; /* milliseconds where the member's name ends in _ms */
};

struct mr_app_range {
    bool is_set;
    const char *min; /* decimal text: it never passes through a double; NULL: open */
    const char *max;
};

struct mr_app_length {
    bool is_set;
    int64_t min;
    int64_t max;
};

struct mr_app_reference {
    const char *resource; /* NULL: none */
    const char *field;
};

struct mr_app_access {
    const char *read; /* "public", "user", "admin", or a scope */
    const char *write;
};

struct mr_app_name {
    const char *name;
    const struct mr_yaml *node;
};

struct mr_app_names {
    struct mr_app_name *items;
    unsigned count;
};

/* A map of names to texts; a name is not held to MR_KIND_NAME. */
struct mr_app_text {
    const char *name;
    const char *text;
};

struct mr_app_texts {
    struct mr_app_text *items;
    unsigned count;
};

struct mr_app_sort {
    const char *field; /* or another word, for a column of the row that a field references: */
    bool descending;
    const char *through; /* that field; NULL: none */
    const char *of;      /* the field of the other resource */
    const struct mr_yaml *node;
};

struct mr_app_sorts {
    struct mr_app_sort *items;
    unsigned count;
};

struct mr_app_filter {
    const char *parameter;
    const char *field;
    enum mr_app_comparison comparison;
    const struct mr_yaml *node;
};

struct mr_app_filters {
    struct mr_app_filter *items;
    unsigned count;
};

struct mr_app_route {
    enum mr_verb verb;
    const char *path; /* with {name} */
};

/* Maps. */
struct mr_app_embed {
    const struct mr_yaml *node; /* NULL: none */
    const char *as;
    struct mr_app_names columns;
};

struct mr_app_list {
    const struct mr_yaml *node;
    struct mr_app_sorts sort;
    struct mr_app_filters filter;
    struct mr_app_names search;
    const char *total; /* the statement that knows how many rows there are; NULL: they are counted */
};

struct mr_app_field;

struct mr_app_fields {
    struct mr_app_field *items;
    unsigned count;
};

/* A field of a resource, of an operation's message or answer, or an argument of a job. */
struct mr_app_field {
    const struct mr_yaml *node;
    const char *name; /* in JSON */
    struct mr_app_word type;
    bool many;
    bool required;
    bool clearable;
    bool readonly;
    bool unique;
    const struct mr_yaml *fallback; /* of its type; NULL: none */
    const struct mr_yaml *example;  /* of its type; NULL: none */
    struct mr_app_length length;
    const char *pattern;
    const char *hint; /* what is wrong with a value that does not match */
    struct mr_app_range range;
    struct mr_app_integer scale;
    struct mr_app_length items;
    const char *column;
    struct mr_app_reference references;
    struct mr_app_embed embed;
    struct mr_app_word from;      /* of an operation's field: decided when it was left out */
    struct mr_app_fields members; /* of an answer's json, what is in it; none: anything */
    bool keyed;                   /* they are those of each of its values */
    const char *about;
};

struct mr_app_resource {
    const struct mr_yaml *node;
    const char *name;
    const char *path;
    const char *table;
    const char *about;
    struct mr_app_access access;
    const char *owner; /* column; NULL: rows are everybody's */
    struct mr_app_fields fields;
    struct mr_app_list list;
    unsigned operations; /* bit n is enum mr_app_standard; 0: nothing is served, see mr_app_is_served */
    struct mr_app_integer cache_ms;
};

struct mr_app_returns {
    const struct mr_yaml *node; /* NULL: nothing */
    const char *resource;       /* NULL: a map of fields */
    bool many;
    struct mr_app_fields fields;
};

struct mr_app_operation {
    const struct mr_yaml *node;
    const char *name;
    struct mr_app_route route;
    struct mr_app_integer status;
    const char *access;
    const char *about;
    const char *key;
    bool idempotent;
    struct mr_app_integer cache_ms;
    struct mr_app_fields fields;
    struct mr_app_returns returns;
    const char *statement;
};

struct mr_app_retry {
    const struct mr_yaml *node;
    struct mr_app_integer attempts;
    struct mr_app_integer first_ms;
    struct mr_app_integer most_ms;
};

struct mr_app_unique {
    const struct mr_yaml *node;
    struct mr_app_names by;
    struct mr_app_integer for_ms;
};

struct mr_app_job {
    const struct mr_yaml *node;
    const char *name;
    struct mr_app_word work;
    struct mr_app_names statements;
    const char *url;
    const char *secret;
    struct mr_app_names secrets;
    struct mr_app_fields args;
    struct mr_app_retry retry;
    struct mr_app_integer timeout_ms;
    struct mr_app_integer concurrency;
    struct mr_app_integer per_key;
    struct mr_app_integer priority;
    struct mr_app_unique unique;
    const char *cron;
    const char *timezone;
    struct mr_app_word missed;
    bool exclusive;
    struct mr_app_word started_by;
    struct mr_app_integer keep_ms;
    const char *about;
};

/* A statement of queries/, from its `-- name:` line to the next, without comments at its end and without its semicolon. */
struct mr_app_statement {
    const char *name;
    const char *sql;
    struct mr_place place; /* of the line with its name */
    struct mr_place begin; /* of the first character of `sql` */
};

struct mr_app_migration {
    unsigned number;  /* 1, 2, ... */
    const char *name; /* "0001_shop" */
    const char *sql;
    bool breaking; /* its first line is `-- breaking`: older folders may not run on what it leaves */
};

/* `${NAME}` in a string value. */
struct mr_app_variable {
    const char *name;
    const char *fallback;  /* NULL: it has to be set */
    struct mr_place place; /* where it stands first */
    const char *path;      /* the keys that lead there: "cleanup.args.scope.default" */
    const char *takes; /* what a value has to be, where the keys beside it say so: "cron", or the words of a pattern; "text" */
    const char *about; /* what they say that it is for; NULL: nothing */
    bool is_secret;    /* it stands in a secret somewhere: nobody is shown its value */
};

struct mr_application {
    const struct mr_yaml *node;
    const char *title;
    const char *version;
    const char *about;
    const char *license;
    struct mr_app_texts groups;
    struct mr_app_resource *resources; /* by name */
    unsigned resource_count;
    struct mr_app_operation *operations; /* by name */
    unsigned operation_count;
    struct mr_app_job *jobs; /* by name */
    unsigned job_count;
    struct mr_app_statement *statements; /* by name */
    unsigned statement_count;
    struct mr_app_migration *migrations; /* by number, which is the index and one */
    unsigned migration_count;
    struct mr_app_variable *variables; /* by name */
    unsigned variable_count;
    struct mr_arena arena;
};

/* A resource by its name; borrowed. NULL when there is none. */
const struct mr_app_resource *mr_app_resource(const struct mr_application *self, const char *name);

/* A statement of queries/ by its name; borrowed. NULL when there is none. */
const struct mr_app_statement *mr_app_statement(const struct mr_application *self, const char *name);

/* A field of a map by its name; borrowed. NULL when there is none. */
const struct mr_app_field *mr_app_field(const struct mr_app_fields *self, const char *name);

/*
 * Whether a resource is served by itself. A table that is only referred to, embedded or returned by operations does not need the
 * columns that the engine's statements use: id, version, created_at and updated_at.
 */
bool mr_app_is_served(const struct mr_app_resource *resource);

#endif
