#include "runtime/migrate.h"

#include <time.h>

#include "runtime/app_ledger.h"
#include "runtime/ledger.h"
#include "runtime/log.h"
#include "runtime/turn.h"

enum { PAUSE_MS = 100, STATEMENT_MS = 24 * 3600 * 1000 };

/* Any number will do as long as nobody else uses it: the bytes of "millrace". */
#define LOCK_SQL "SELECT pg_advisory_lock(7883960444165051237)"

struct migrator {
    mr_db *db;
    const struct mr_clock *clock;
    const struct mr_migration *migrations;
    const struct mr_baseline *baseline; /* NULL: none, every database begins with the first migration */
    struct mr_buf *problem;
    bool untouched; /* there was nothing to do, and the session is as it was */
};

static int64_t deadline(const struct migrator *self)
{
    return mr_mono_ms(self->clock) + STATEMENT_MS;
}

/* What an administrator can do for a role that may not make what a migration makes. */
static const char advice_sql[] =
    "SELECT string_agg(a.text, '; ') FROM ("
    " SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) AS text"
    "  WHERE to_regnamespace('millrace') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')"
    " UNION ALL"
    " SELECT format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', n.nspname, current_user) FROM pg_namespace n"
    "  WHERE n.nspname IN ('millrace', 'public')"
    "    AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'))"
    " UNION ALL"
    " SELECT DISTINCT format('or migrate as %I, who owns the tables', pg_get_userbyid(c.relowner)) FROM pg_class c"
    "  WHERE c.relnamespace = to_regnamespace('millrace') AND c.relkind = 'r' AND NOT pg_has_role(c.relowner, 'USAGE')) a";

static void add_advice(struct migrator *self, const struct mr_db_error *error)
{
    struct mr_slice advice;
    mr_rows *rows = NULL;

    if (strcmp(error->sqlstate, "42501") != 0 || !mr_db_is_up(self->db))
        return;
    if (mr_db_exec(self->db, advice_sql, deadline(self), &rows) == MR_OK && mr_rows_get(rows, 0, 0, &advice))
        mr_buf_printf(self->problem, "; the role may not do that: %.*s", (int)advice.len, advice.data);
    mr_rows_free(&rows);
}

/* `error` is a copy: what the advice takes to find is asked of the same connection. */
static mr_status refuse_for(struct migrator *self, mr_status status, const char *what, struct mr_db_error error)
{
    mr_buf_printf(self->problem, "%s: %s", what, error.message);
    if (error.sqlstate[0] != '\0')
        mr_buf_printf(self->problem, " (SQLSTATE %s)", error.sqlstate);
    add_advice(self, &error);
    return status;
}

static mr_status refuse(struct migrator *self, mr_status status, const char *what)
{
    return refuse_for(self, status, what, *mr_db_last_error(self->db));
}

/* As long as somebody's lock is in the way, it is tried again: runtime/turn.h. */
static mr_status run_in_turn(struct migrator *self, const char *sql, const char *what, const char *refusal)
{
    struct mr_db_error failure = {0};
    mr_status status = mr_turn_exec(self->db, sql, what, deadline(self), &failure);

    return status == MR_OK ? MR_OK : refuse_for(self, status, refusal, failure);
}

static mr_status run(struct migrator *self, const char *sql, mr_rows **rows, const char *what)
{
    mr_status status = mr_db_exec(self->db, sql, deadline(self), rows);

    return status == MR_OK ? MR_OK : refuse(self, status, what);
}

mr_status mr_migrate_db(mr_db **out, const struct mr_config *config, const struct mr_clock *clock)
{
    struct mr_db_options options = {
        .config = config, .clock = clock, .host = config->db_host, .application_name = "millrace migrate"};

    return mr_db_new(out, &options, NULL);
}

static mr_status connect(struct migrator *self, const struct mr_config *config, int64_t patience_ms)
{
    int64_t give_up_ms = mr_mono_ms(self->clock) + patience_ms;
    mr_status status = self->db == NULL ? mr_migrate_db(&self->db, config, self->clock) : MR_OK;
    int64_t attempts;

    if (status != MR_OK)
        return status;
    while ((status = mr_db_connect(self->db)) != MR_OK && !mr_db_is_hopeless(self->db) &&
           mr_mono_ms(self->clock) < give_up_ms) {
        if (mr_db_should_tell(self->db, &attempts))
            mr_log(MR_LOG_WARN, "waiting for the database", mr_log_text("host", config->db_host),
                   mr_log_int("attempts", attempts), mr_log_text("reason", mr_db_last_error(self->db)->message));
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
    return status == MR_OK ? MR_OK : refuse(self, status, "the database cannot be reached");
}

/* What is applied, NULL when nothing was ever recorded; refused when this binary may not work on it. */
static mr_status read_applied(struct migrator *self, mr_rows **out)
{
    mr_rows *exists = NULL;
    const char *sql = NULL;
    mr_status status = run(self, mr_ledger_exists_sql, &exists, "the database cannot be read");

    if (status == MR_OK)
        sql = mr_ledger_list_sql(exists);
    if (sql != NULL)
        status = run(self, sql, out, "the record of migrations cannot be read");
    if (status == MR_OK && *out != NULL)
        status = mr_ledger_check(*out, self->migrations, self->problem);
    mr_rows_free(&exists);
    return status;
}

/* Statements and the record of them, or neither. Frees `sql`. */
static mr_status apply_sql(struct migrator *self, struct mr_buf *sql, const char *name)
{
    mr_status status;

    mr_buf_char(sql, '\0');
    status = sql->failed ? MR_NO_MEMORY : run_in_turn(self, sql->data, name, name);
    mr_buf_fini(sql);
    return status;
}

static mr_status apply(struct migrator *self, const struct mr_migration *migration)
{
    struct mr_buf sql = {0};

    mr_ledger_apply_sql(&sql, migration);
    return apply_sql(self, &sql, migration->name);
}

static unsigned count(const struct mr_migration *migrations)
{
    unsigned found = 0;

    while (migrations[found].name != NULL)
        found++;
    return found;
}

static mr_status apply_missing(struct migrator *self, unsigned done, unsigned *applied)
{
    unsigned known = count(self->migrations);
    mr_status status = MR_OK;

    if (done > known)
        mr_log(MR_LOG_INFO, "the database is newer than this binary, which still runs on it", mr_log_int("version", done),
               mr_log_int("known", known));
    for (const struct mr_migration *m = self->migrations + (done < known ? done : known); m->name != NULL && status == MR_OK;
         m++) {
        status = apply(self, m);
        if (status == MR_OK) {
            ++*applied;
            mr_log(MR_LOG_INFO, "migration applied", mr_log_int("version", m->version), mr_log_text("name", m->name));
        }
    }
    return status;
}

/* ---- The application's own, behind the engine's ---- */

/* What is applied, NULL when nothing was ever recorded; refused when this folder may not work on it. */
static mr_status read_app_applied(struct migrator *self, mr_rows **out)
{
    mr_rows *exists = NULL;
    mr_status status = run(self, mr_app_ledger_exists_sql, &exists, "the database cannot be read");

    if (status == MR_OK && mr_rows_count(exists) > 0)
        status = run(self, mr_app_ledger_list_sql, out, "the record of the application's migrations cannot be read");
    if (status == MR_OK && *out != NULL)
        status = mr_app_ledger_check(*out, mr_app_steps_installed(), self->problem);
    mr_rows_free(&exists);
    return status;
}

static mr_status apply_app(struct migrator *self, unsigned number, const struct mr_app_step *step)
{
    struct mr_buf sql = {0};

    mr_app_ledger_apply_sql(&sql, number, step);
    return apply_sql(self, &sql, step->name);
}

/* What its first migration makes is there. */
static mr_status adopt(struct migrator *self, const struct mr_app_step *step)
{
    struct mr_buf sql = {0};
    mr_status status;

    mr_app_ledger_adopt_sql(&sql, step);
    status = apply_sql(self, &sql, step->name);
    if (status == MR_OK)
        mr_log(MR_LOG_INFO, "the application's first migration counts as applied: its tables exist",
               mr_log_text("name", step->name));
    return status;
}

/* `done`: how many are; `is_of_baseline`: nothing of an application was there before its own. */
static mr_status apply_app_missing(struct migrator *self, unsigned done, bool is_of_baseline, unsigned *applied)
{
    const struct mr_app_steps *steps = mr_app_steps_installed();
    mr_status status;

    if (steps->count == 0)
        return MR_OK;
    status = run(self, mr_app_ledger_make_sql, NULL, "the table millrace.app_migration cannot be created");
    if (status == MR_OK && done == 0 && steps->inherits && !is_of_baseline) {
        status = adopt(self, &steps->items[0]);
        done = 1;
    }
    for (unsigned i = done; i < steps->count && status == MR_OK; i++) {
        status = apply_app(self, i + 1, &steps->items[i]);
        if (status != MR_OK)
            break;
        ++*applied;
        mr_log(MR_LOG_INFO, "migration of the application applied", mr_log_int("version", i + 1),
               mr_log_text("name", steps->items[i].name));
    }
    return status;
}

/* ---- Whose database it is ---- */

/* What a database has, before anything is done to it. */
struct found {
    mr_rows *engine; /* NULL: nothing was ever recorded */
    mr_rows *app;
};

static unsigned rows_of(const mr_rows *rows)
{
    return rows != NULL ? mr_rows_count(rows) : 0;
}

static void found_fini(struct found *self)
{
    mr_rows_free(&self->engine);
    mr_rows_free(&self->app);
}

static mr_status refuse_owner(struct migrator *self, const char *whose)
{
    mr_buf_printf(
        self->problem,
        "the database belongs to another application%s; set MILLRACE_APP to that one, or DB_DATABASE to another database",
        whose);
    return MR_CONFLICT;
}

/*
 * Where the application has left no record, the engine's says whose the database is. One that began with the first migration belongs
 * to who inherits, whether these have all run or not. One of the baseline is anybody's. Two applications that have records are told
 * apart by these (mr_app_ledger_check); one that has no migrations has nothing to be told apart by.
 */
static mr_status check_owner(struct migrator *self, const struct found *found)
{
    const struct mr_app_steps *steps = mr_app_steps_installed();
    bool is_of_baseline = mr_ledger_is_of_baseline(found->engine);

    if (rows_of(found->engine) == 0)
        return MR_OK;
    if ((rows_of(found->app) == 0 || steps->count == 0) && !is_of_baseline && !steps->inherits)
        return refuse_owner(self, ", whose tables the engine's migrations have made");
    return MR_OK;
}

static mr_status look(struct migrator *self, struct found *out)
{
    mr_status status = read_applied(self, &out->engine);

    if (status == MR_OK)
        status = read_app_applied(self, &out->app);
    if (status == MR_OK)
        status = check_owner(self, out);
    return status;
}

/* Behind a pooler that shares sessions the lock would stay behind in one of them, and others would wait for it for ever. */
static mr_status check_only(struct migrator *self)
{
    struct found found = {.engine = NULL};
    mr_status status = look(self, &found);

    if (status == MR_OK &&
        (rows_of(found.engine) < count(self->migrations) || rows_of(found.app) < mr_app_steps_installed()->count)) {
        mr_buf_text(self->problem,
                    "migrations are missing, and a pooler stands in front of the database that gives each transaction"
                    " another session; run `millrace migrate` with DB_HOST and DB_PORT of the database itself");
        status = MR_CONFLICT;
    }
    found_fini(&found);
    return status;
}

static mr_status apply_baseline(struct migrator *self, unsigned *applied)
{
    struct mr_buf sql = {0};
    mr_status status;

    mr_ledger_baseline_sql(&sql, self->baseline, self->migrations);
    status = apply_sql(self, &sql, mr_ledger_baseline_name);
    if (status == MR_OK) {
        ++*applied;
        mr_log(MR_LOG_INFO, "baseline applied", mr_log_int("version", self->baseline->version));
    }
    return status;
}

/* From what was found to the end. A new database whose application does not inherit begins with the baseline. */
static mr_status apply_all(struct migrator *self, const struct found *found, unsigned *applied)
{
    bool by_baseline = rows_of(found->engine) == 0 && self->baseline != NULL && !mr_app_steps_installed()->inherits;
    bool is_of_baseline = by_baseline || mr_ledger_is_of_baseline(found->engine);
    unsigned done = by_baseline ? (unsigned)self->baseline->version : rows_of(found->engine);
    mr_status status = MR_OK;

    if (by_baseline)
        status = apply_baseline(self, applied);
    else if (!is_of_baseline)
        status = run(self, mr_ledger_make_sql, NULL, "the table schema_migration cannot be created");
    if (status == MR_OK)
        status = apply_missing(self, done, applied);
    if (status == MR_OK)
        status = apply_app_missing(self, rows_of(found->app), is_of_baseline, applied);
    return status;
}

/* Whether nothing is left to do. What is applied stays applied, so nobody has to be kept out for this look. */
static bool is_whole(struct migrator *self)
{
    struct found found = {.engine = NULL};
    bool whole = look(self, &found) == MR_OK && rows_of(found.engine) == count(self->migrations) &&
                 rows_of(found.app) == mr_app_steps_installed()->count;

    found_fini(&found);
    return whole;
}

/* What the look without the lock has found in the way is left to the one with it: another process may be at it. */
static mr_status up_locked(struct migrator *self, unsigned *applied)
{
    struct found found = {.engine = NULL};
    mr_status status;

    self->untouched = is_whole(self);
    if (self->untouched)
        return MR_OK;
    mr_buf_clear(self->problem, SIZE_MAX);
    status = mr_db_connect(self->db);
    if (status != MR_OK)
        return refuse(self, status, "the database cannot be reached");
    status = mr_turn_setup(self->db, deadline(self));
    if (status != MR_OK)
        return refuse(self, status, "the session cannot be set up");
    status = run_in_turn(self, LOCK_SQL, "another process that migrates", "the lock for migrations cannot be taken");
    if (status == MR_OK)
        status = look(self, &found);
    if (status == MR_OK)
        status = apply_all(self, &found, applied);
    found_fini(&found);
    return status;
}

static mr_status up(struct migrator *self, const struct mr_config *config, int64_t patience_ms, unsigned *applied)
{
    mr_status status = connect(self, config, patience_ms);

    *applied = 0;
    if (status == MR_OK)
        status = mr_db_is_shared(self->db) ? check_only(self) : up_locked(self, applied);
    if (!self->untouched)
        mr_db_destroy(&self->db);
    return status;
}

mr_status mr_migrate_up_with(const struct mr_config *config, const struct mr_clock *clock, int64_t patience_ms,
                             const struct mr_migration *migrations, unsigned *applied, struct mr_buf *problem)
{
    struct migrator self = {.clock = clock, .migrations = migrations, .problem = problem};
    mr_status status = up(&self, config, patience_ms, applied);

    mr_db_destroy(&self.db);
    return status;
}

mr_status mr_migrate_up_on(mr_db **db, const struct mr_config *config, const struct mr_clock *clock, int64_t patience_ms,
                           unsigned *applied, struct mr_buf *problem)
{
    struct migrator self = {
        .db = *db, .clock = clock, .migrations = mr_migrations, .baseline = &mr_baseline, .problem = problem};
    mr_status status = up(&self, config, patience_ms, applied);

    *db = self.db;
    return status;
}

mr_status mr_migrate_up(const struct mr_config *config, const struct mr_clock *clock, int64_t patience_ms, unsigned *applied,
                        struct mr_buf *problem)
{
    mr_db *db = NULL;
    mr_status status = mr_migrate_up_on(&db, config, clock, patience_ms, applied, problem);

    mr_db_destroy(&db);
    return status;
}

/* ---- The list ---- */

/* The migrations that a baseline stands for are one line: its last one. */
static bool is_told_later(const mr_rows *rows, unsigned i)
{
    return i + 1 < mr_rows_count(rows) && mr_slice_is(mr_ledger_row(rows, i).name, mr_ledger_baseline_name) &&
           mr_slice_is(mr_ledger_row(rows, i + 1).name, mr_ledger_baseline_name);
}

static void list(struct mr_buf *out, const struct migrator *self, const mr_rows *rows)
{
    const struct mr_migration *migrations = self->migrations;
    unsigned applied = rows_of(rows);

    for (unsigned i = 0; i < applied; i++) {
        struct mr_applied row = mr_ledger_row(rows, i);

        if (!is_told_later(rows, i))
            mr_buf_printf(out, "%04d  %-40.*s  %.*s%s\n", row.version, (int)row.name.len, row.name.data, (int)row.when.len,
                          row.when.data, i < count(migrations) ? "" : "  newer than this binary");
    }
    if (applied == 0 && !mr_app_steps_installed()->inherits) {
        applied = (unsigned)self->baseline->version;
        mr_buf_printf(out, "%04u  %-40s  pending\n", applied, mr_ledger_baseline_name);
    }
    for (unsigned i = applied; i < count(migrations); i++)
        mr_buf_printf(out, "%04d  %-40s  pending\n", migrations[i].version, migrations[i].name);
}

static void list_app(struct mr_buf *out, const mr_rows *rows)
{
    const struct mr_app_steps *steps = mr_app_steps_installed();
    unsigned applied = rows != NULL ? mr_rows_count(rows) : 0;

    for (unsigned i = 0; i < applied; i++) {
        struct mr_slice name = mr_app_ledger_name(rows, i);
        struct mr_slice when = mr_app_ledger_when(rows, i);

        mr_buf_printf(out, "app   %-40.*s  %.*s%s\n", (int)name.len, name.data, (int)when.len, when.data,
                      i < steps->count ? "" : "  newer than this folder");
    }
    for (unsigned i = applied; i < steps->count; i++)
        mr_buf_printf(out, "app   %-40s  pending\n", steps->items[i].name);
}

mr_status mr_migrate_status(const struct mr_config *config, const struct mr_clock *clock, struct mr_buf *out,
                            struct mr_buf *problem)
{
    struct migrator self = {.clock = clock, .migrations = mr_migrations, .baseline = &mr_baseline, .problem = problem};
    struct found found = {.engine = NULL};
    mr_status status = connect(&self, config, 0);

    if (status == MR_OK)
        status = look(&self, &found);
    if (status == MR_OK) {
        list(out, &self, found.engine);
        list_app(out, found.app);
    }
    found_fini(&found);
    mr_db_destroy(&self.db);
    return status;
}
