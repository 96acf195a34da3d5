#include "runtime/needs.h"

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/app_ledger.h"
#include "runtime/log.h"

static const struct mr_needs none;
static const struct mr_needs *_Atomic installed = &none; /* a connection may be made while the application is read */
static _Atomic bool asks_for_migrations;
static _Atomic bool migrated;     /* the application's record was seen whole, or is believed */
static _Atomic bool all_migrated; /* and the engine's, at the start */
static _Atomic bool met;          /* by a connection for requests */

void mr_needs_install(const struct mr_needs *needs)
{
    atomic_store(&installed, needs != NULL ? needs : &none);
    atomic_store(&asks_for_migrations, needs != NULL);
    atomic_store(&migrated, false);
    atomic_store(&all_migrated, false);
    atomic_store(&met, false);
}

bool mr_needs_any(enum mr_db_use use)
{
    return use != MR_DB_FOR_ITSELF && atomic_load(&asks_for_migrations);
}

/* ---- Tables, their columns, functions ---- */

static void put_text(struct mr_buf *out, const char *text)
{
    mr_buf_char(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            mr_buf_char(out, '\'');
        mr_buf_char(out, *text);
    }
    mr_buf_char(out, '\'');
}

static void put_schema(struct mr_buf *out, const char *schema)
{
    if (schema != NULL)
        put_text(out, schema);
    else
        mr_buf_text(out, "NULL::text");
}

static void put_columns(struct mr_buf *out, const struct mr_table_need *need)
{
    mr_buf_text(out, "'{");
    for (unsigned i = 0; i < need->column_count; i++) /* they are declared: of a-z, 0-9 and _ */
        mr_buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", need->columns[i]);
    mr_buf_text(out, "}'::name[]");
}

/* Rows of the list; returns how many. */
static unsigned put_tables(struct mr_buf *out, enum mr_db_use use)
{
    const struct mr_needs *needs = atomic_load(&installed);
    unsigned count = 0;

    for (unsigned i = 0; i < needs->count; i++) {
        const struct mr_table_need *need = &needs->items[i];

        if (need->use != use)
            continue;
        mr_buf_printf(out, "%s(%u, ", count > 0 ? ", " : "", count);
        put_schema(out, need->schema);
        mr_buf_text(out, ", ");
        put_text(out, need->table);
        mr_buf_printf(out, ", %u, ", need->rights);
        put_columns(out, need);
        mr_buf_char(out, ')');
        count++;
    }
    return count;
}

static unsigned put_functions(struct mr_buf *out, enum mr_db_use use)
{
    const struct mr_needs *needs = atomic_load(&installed);
    unsigned count = 0;

    for (unsigned i = 0; i < needs->function_count; i++) {
        const struct mr_function_need *need = &needs->functions[i];

        if (need->use != use)
            continue;
        mr_buf_printf(out, "%s(%u, ", count > 0 ? ", " : "", count);
        put_schema(out, need->schema);
        mr_buf_text(out, ", ");
        put_text(out, need->function);
        mr_buf_char(out, ')');
        count++;
    }
    return count;
}

/*
 * A right to some of the columns will do. What the role may not see at all, because it has no USAGE on the schema, is not in its
 * search path: PostgreSQL says that it is not there, and so do we.
 */
#define RIGHTS                                                                                 \
    "(SELECT r.bit, r.name, CASE r.name WHEN 'DELETE' THEN has_table_privilege(c.oid, r.name)" \
    " ELSE has_any_column_privilege(c.oid, r.name) END AS given"                               \
    " FROM (VALUES (1, 'SELECT'), (2, 'INSERT'), (4, 'UPDATE'), (8, 'DELETE')) r (bit, name)) r"
#define LACKS                                                                                                \
    "SELECT CASE WHEN w.rights = 0 AND NOT bool_or(r.given) THEN 'use'"                                      \
    " ELSE string_agg(r.name, ', ' ORDER BY r.bit) FILTER (WHERE w.rights & r.bit <> 0 AND NOT r.given) END" \
    " AS words FROM " RIGHTS
#define FOUND                                                                                            \
    "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace"   \
    " WHERE c.relname = w.name AND CASE WHEN w.space IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)" \
    " ELSE s.nspname = w.space AND has_schema_privilege(s.oid, 'USAGE') END"

#define COLUMNS                                                                                                   \
    "SELECT string_agg(a.name, ', ' ORDER BY a.name) AS names FROM unnest(w.columns) a (name) WHERE NOT EXISTS (" \
    "SELECT FROM pg_catalog.pg_attribute p WHERE p.attrelid = c.oid AND p.attname = a.name)"

/*
 * What looks like a call may be a cast (`uuid(x)`) or a column of a row (`price(p)`): in doubt it is there. Nobody looks for those
 * unless there is no such function.
 */
#define CALLABLE                                                                                        \
    "EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace" \
    " WHERE p.proname = w.name AND has_function_privilege(p.oid, 'EXECUTE')"                            \
    " AND CASE WHEN w.space IS NULL THEN pg_catalog.pg_function_is_visible(p.oid)"                      \
    " ELSE s.nspname = w.space AND has_schema_privilege(s.oid, 'USAGE') END)"
#define OTHER                                                               \
    "EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typname = w.name) OR" \
    " EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attname = w.name)"

static bool tables_sql(struct mr_buf *out, enum mr_db_use use)
{
    struct mr_buf rows = {0};
    unsigned count = put_tables(&rows, use);

    if (count > 0) {
        mr_buf_text(out, "(SELECT string_agg(CASE WHEN c.oid IS NULL THEN 'no table ' || w.name || ', or none that may be seen'"
                         " ELSE concat_ws('; ', 'no right to ' || lacks.words || ' ' || w.name,"
                         " 'no column ' || missing.names || ' in ' || w.name) END, '; ' ORDER BY w.i) FROM (VALUES ");
        mr_buf_append(out, rows.data, rows.len);
        mr_buf_text(out, ") w (i, space, name, rights, columns) LEFT JOIN LATERAL (" FOUND ") c ON true"
                         " LEFT JOIN LATERAL (" LACKS ") lacks ON c.oid IS NOT NULL"
                         " LEFT JOIN LATERAL (" COLUMNS ") missing ON c.oid IS NOT NULL"
                         " WHERE c.oid IS NULL OR lacks.words IS NOT NULL OR missing.names IS NOT NULL)");
    }
    out->failed |= rows.failed;
    mr_buf_fini(&rows);
    return count > 0;
}

static void functions_sql(struct mr_buf *out, enum mr_db_use use)
{
    struct mr_buf rows = {0};

    if (put_functions(&rows, use) > 0) {
        mr_buf_text(out, ", (SELECT string_agg('no function ' || w.name || ', or none that may be called', '; ' ORDER BY w.i)"
                         " FROM (VALUES ");
        mr_buf_append(out, rows.data, rows.len);
        mr_buf_text(out, ") w (i, space, name) WHERE CASE WHEN " CALLABLE " THEN false ELSE NOT (" OTHER ") END)");
    }
    out->failed |= rows.failed;
    mr_buf_fini(&rows);
}

void mr_needs_sql(struct mr_buf *out, enum mr_db_use use)
{
    mr_buf_text(out, "nullif(concat_ws('; ', ");
    if (!tables_sql(out, use))
        mr_buf_text(out, "NULL::text");
    functions_sql(out, use);
    mr_buf_text(out, "), '')");
}

/* ---- Migrations ---- */

static void tell_pending(const struct mr_app_steps *steps, unsigned applied, struct mr_buf *problem)
{
    mr_buf_text(problem, "migrations of the application have not run: ");
    for (unsigned i = applied; i < steps->count; i++)
        mr_buf_printf(problem, "%s%s", i > applied ? ", " : "", steps->items[i].name);
}

static mr_status check_record(const mr_rows *applied, struct mr_buf *problem, enum mr_db_trouble *trouble)
{
    const struct mr_app_steps *steps = mr_app_steps_installed();
    unsigned count = applied != NULL ? mr_rows_count(applied) : 0;

    *trouble = MR_DB_OTHER;
    if (applied != NULL && mr_app_ledger_check(applied, steps, problem) != MR_OK)
        return MR_CONFLICT;
    if (count >= steps->count)
        return MR_OK;
    *trouble = MR_DB_PENDING;
    tell_pending(steps, count, problem);
    return MR_CONFLICT;
}

/* What has run is behind the engine's record, which the role may not be allowed to see: it has to be told so once. */
static void note_unreadable(const mr_db *db)
{
    mr_log(MR_LOG_WARN, "no right to read which migrations of the application have run",
           mr_log_text("reason", mr_db_last_error(db)->message));
}

mr_status mr_needs_migrations(mr_db *db, int64_t deadline_ms, struct mr_buf *problem, enum mr_db_trouble *trouble)
{
    mr_rows *exists = NULL;
    mr_rows *applied = NULL;
    mr_status status;

    if (atomic_load(&migrated) || mr_app_steps_installed()->count == 0)
        return MR_OK;
    status = mr_db_exec(db, mr_app_ledger_exists_sql, deadline_ms, &exists);
    if (status == MR_OK && mr_rows_count(exists) > 0)
        status = mr_db_exec(db, mr_app_ledger_list_sql, deadline_ms, &applied);
    if (status == MR_OK)
        status = check_record(applied, problem, trouble);
    else if (strcmp(mr_db_last_error(db)->sqlstate, "42501") == 0 && mr_db_is_up(db)) {
        if (!atomic_exchange(&migrated, true))
            note_unreadable(db);
        status = MR_OK;
    }
    if (status == MR_OK)
        atomic_store(&migrated, true);
    mr_rows_free(&exists);
    mr_rows_free(&applied);
    return status;
}

void mr_needs_note_migrated(void)
{
    atomic_store(&migrated, true);
    atomic_store(&all_migrated, true);
}

bool mr_needs_are_migrated(void)
{
    return atomic_load(&all_migrated);
}

void mr_needs_note_met(void)
{
    atomic_store(&met, true);
}

bool mr_needs_were_met(void)
{
    return atomic_load(&met);
}

/* ---- What was missing ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char noted[MR_NEEDS_ROOM]; /* under the lock */

void mr_needs_note(const char *missing)
{
    pthread_mutex_lock(&lock);
    mr_slice_copy(noted, sizeof noted, mr_slice_of(missing));
    pthread_mutex_unlock(&lock);
}

void mr_needs_missing(char out[MR_NEEDS_ROOM])
{
    pthread_mutex_lock(&lock);
    memcpy(out, noted, sizeof noted);
    pthread_mutex_unlock(&lock);
}
