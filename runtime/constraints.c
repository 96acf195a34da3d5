#include "runtime/constraints.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* KNOWN_MOST: an application has fewer; past it all are forgotten. PATIENCE_MS: for the question about one. */
enum { KNOWN_MOST = 512, COLUMNS_MOST = 16, PATIENCE_MS = 1000 };

/* A constraint that was broken on this connection's database. */
struct known {
    char schema[MR_DB_NAME];
    char table[MR_DB_NAME];
    char name[MR_DB_NAME];
    unsigned count;
    char columns[COLUMNS_MOST][MR_DB_NAME];
};

/* What was learnt holds for one connection: a migration that changes a constraint restarts nobody, but is seen by the next. */
struct mr_constraints {
    uint64_t serial;
    unsigned count;
    struct known *known[KNOWN_MOST];
};

static const struct mr_column_names no_names[] = {{NULL, NULL, NULL}};
static const struct mr_column_names *installed = no_names;

void mr_constraints_install(const struct mr_column_names *names)
{
    installed = names != NULL ? names : no_names;
}

static void forget(struct mr_constraints *self)
{
    while (self->count > 0)
        free(self->known[--self->count]);
}

void mr_constraints_destroy(struct mr_constraints **self)
{
    if (*self == NULL)
        return;
    forget(*self);
    free(*self);
    *self = NULL;
}

/* ---- A constraint's columns ---- */

static struct known *find(const struct mr_constraints *self, const struct mr_db_error *error)
{
    for (unsigned i = 0; i < self->count; i++) {
        struct known *known = self->known[i];

        if (strcmp(known->name, error->constraint) == 0 && strcmp(known->table, error->table) == 0 &&
            strcmp(known->schema, error->schema) == 0)
            return known;
    }
    return NULL;
}

static void copy_name(char out[MR_DB_NAME], struct mr_slice name)
{
    snprintf(out, MR_DB_NAME, "%.*s", (int)name.len, name.data);
}

static void read_columns(struct known *out, const mr_rows *rows)
{
    struct mr_slice name;

    for (unsigned i = 0; i < mr_rows_count(rows) && out->count < COLUMNS_MOST; i++)
        if (mr_rows_get(rows, i, 0, &name))
            copy_name(out->columns[out->count++], name);
}

static mr_status ask(struct mr_actor *self, const struct mr_db_error *error, mr_rows **out)
{
    struct mr_params *params = &self->other_params;
    mr_status status;

    mr_params_begin(params, 3);
    mr_params_text(params, 0, error->schema);
    mr_params_text(params, 1, error->table);
    mr_params_text(params, 2, error->constraint);
    status = mr_params_end(params);
    return status != MR_OK ? status
                           : mr_db_run(self->db, "row_wise__columns", params, mr_mono_ms(self->clock) + PATIENCE_MS, out);
}

/* NULL: it could not be learnt. */
static struct known *learn(struct mr_actor *self, const struct mr_db_error *error)
{
    struct mr_constraints *constraints = self->constraints;
    struct known *known = calloc(1, sizeof *known);
    mr_rows *rows = NULL;

    if (known == NULL || ask(self, error, &rows) != MR_OK) {
        free(known);
        return NULL;
    }
    copy_name(known->schema, mr_slice_of(error->schema));
    copy_name(known->table, mr_slice_of(error->table));
    copy_name(known->name, mr_slice_of(error->constraint));
    read_columns(known, rows);
    mr_rows_free(&rows);
    if (constraints->count == KNOWN_MOST)
        forget(constraints);
    constraints->known[constraints->count++] = known;
    return known;
}

static const struct known *columns_of(struct mr_actor *self, const struct mr_db_error *error)
{
    struct known *known;

    if (self->constraints == NULL)
        self->constraints = calloc(1, sizeof *self->constraints);
    if (self->constraints == NULL || error->table[0] == '\0')
        return NULL;
    if (self->constraints->serial != mr_db_serial(self->db))
        forget(self->constraints);
    self->constraints->serial = mr_db_serial(self->db);
    known = find(self->constraints, error);
    return known != NULL ? known : learn(self, error);
}

/* ---- Their names ---- */

/* "category_code" becomes "categoryCode". */
static void camel_case(char out[MR_DB_NAME], const char *column)
{
    size_t len = 0;

    for (const char *c = column; *c != '\0'; c++) {
        bool joins = *c == '_' && c != column && islower((unsigned char)c[1]);

        if (joins)
            out[len++] = (char)toupper((unsigned char)*++c);
        else
            out[len++] = *c;
    }
    out[len] = '\0';
}

static bool comes_from_client(enum mr_op op, const char *name)
{
    int index = mr_field_index(op, name);
    const struct mr_field *field = index >= 0 ? &mr_op_info(op)->traits->fields[index] : NULL;

    return field != NULL && (field->from == MR_BODY || field->from == MR_PATH || field->from == MR_QUERY);
}

/* NULL: clients do not know it. `room` may hold the name. */
static const char *field_of(enum mr_op op, const char *table, const char *column, char room[MR_DB_NAME])
{
    for (const struct mr_column_names *n = installed; n->table != NULL; n++)
        if (strcmp(n->table, table) == 0 && strcmp(n->column, column) == 0)
            return n->field;
    camel_case(room, column);
    return comes_from_client(op, room) ? room : NULL;
}

static void add_field(struct mr_refusal *out, enum mr_op op, const char *table, const char *column)
{
    char room[MR_DB_NAME];
    const char *field = field_of(op, table, column, room);
    size_t len = strlen(out->fields);

    if (field != NULL && len + 1 + strlen(field) < sizeof out->fields)
        snprintf(out->fields + len, sizeof out->fields - len, "%s%s", len > 0 ? "|" : "", field);
}

static void name_fields(struct mr_actor *self, struct mr_refusal *out, enum mr_op op, const struct mr_db_error *error)
{
    const struct known *known;

    if (error->column[0] != '\0') {
        add_field(out, op, error->table, error->column);
        return;
    }
    known = columns_of(self, error);
    for (unsigned i = 0; known != NULL && i < known->count; i++)
        add_field(out, op, error->table, known->columns[i]);
}

/* ---- Answers ---- */

/*
 * A foreign key is broken from either side: by a row that names one which is not there, or by the end of one that others name. The
 * server says which only in words, and those may be translated; who deletes does the latter.
 */
static bool is_still_named(enum mr_op op, const struct mr_db_error *error)
{
    static const char begins[] = "update or delete ";

    return strncmp(error->message, begins, sizeof begins - 1) == 0 || mr_op_info(op)->verb == MR_VERB_DELETE;
}

static void say(struct mr_refusal *out, mr_status status, const char *code, const char *text)
{
    out->status = status;
    out->code = code;
    snprintf(out->text, sizeof out->text, "%s", text);
}

/* False: it is about no constraint. `names` gets whether its columns are the client's business. */
static bool explain_constraint(struct mr_refusal *out, enum mr_op op, const struct mr_db_error *error, bool *names)
{
    const char *sqlstate = error->sqlstate;

    *names = true;
    if (strcmp(sqlstate, "23505") == 0) {
        say(out, MR_CONFLICT, "taken", MR_TOLD_TAKEN);
    } else if (strcmp(sqlstate, "23P01") == 0) {
        say(out, MR_CONFLICT, "taken", "collides with what is stored");
    } else if (strcmp(sqlstate, "23502") == 0) {
        say(out, MR_INVALID, "required", "is required");
    } else if (strcmp(sqlstate, "23503") == 0 && is_still_named(op, error)) {
        say(out, MR_CONFLICT, "used", "The resource is still in use.");
        *names = false;
    } else if (strcmp(sqlstate, "23503") == 0) {
        say(out, MR_INVALID, "unknown", MR_TOLD_UNKNOWN);
    } else if (strcmp(sqlstate, "23514") == 0) {
        say(out, MR_INVALID, "range", "breaks a rule of what is stored");
    } else {
        return false;
    }
    return true;
}

/* The column that the application names is the field's name already. A RAISE without a message has its SQLSTATE for one. */
static void explain_raised(struct mr_refusal *out, mr_status status, const struct mr_db_error *error)
{
    bool says = strcmp(error->message, error->sqlstate) != 0 && !mr_slice_is_blank(mr_slice_of(error->message));
    const char *usual = error->column[0] != '\0' ? "is refused" : ""; /* without a field, the status says it */

    say(out, status, status == MR_CONFLICT ? "state" : "range", says ? error->message : usual);
    snprintf(out->fields, sizeof out->fields, "%s", error->column);
}

static bool explain(struct mr_actor *self, enum mr_op op, const struct mr_db_error *error, bool is_answer,
                    struct mr_refusal *out)
{
    mr_status raised = mr_status_raised(error->sqlstate);
    bool names;

    *out = (struct mr_refusal){.code = ""};
    if (raised != MR_OK) {
        explain_raised(out, raised, error);
        return true;
    }
    if (!is_answer || !explain_constraint(out, op, error, &names))
        return false;
    if (names)
        name_fields(self, out, op, error);
    if (names && out->fields[0] == '\0') /* said of a field, it makes no sense without one */
        out->text[0] = '\0';
    return true;
}

bool mr_constraints_explain(struct mr_actor *self, enum mr_op op, const struct mr_db_error *error, struct mr_refusal *out)
{
    return explain(self, op, error, mr_op_info(op)->traits->constraints, out);
}

bool mr_constraints_explain_record(struct mr_actor *self, enum mr_op op, const struct mr_db_error *error,
                                   struct mr_refusal *out)
{
    return explain(self, op, error, true, out);
}
