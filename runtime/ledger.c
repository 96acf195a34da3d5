#include "runtime/ledger.h"

#include <sodium.h>
#include <stdlib.h>

_Static_assert(MR_CHECKSUM_ROOM == 2 * crypto_hash_sha256_BYTES + 1, "two digits a byte");

#define WHEN "to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* A release that knows only the older record runs on no newer one: each of its rows needs a binary that knows it. */
#define OLDER "SELECT version, version AS runs_with, 0 AS in_ledger, name, checksum, " WHEN " FROM schema_migration"
#define LATER "SELECT version, runs_with, 1 AS in_ledger, name, checksum, " WHEN " FROM millrace.migration"
#define ORDER " ORDER BY in_ledger, version"

/*
 * The constraint tells where a database began: a relation schema_migration in one of the baseline is the application's, or of an older
 * release that was started there by mistake.
 */
#define OF_BASELINE "migration_of_baseline"

const char mr_ledger_exists_sql[] = "SELECT to_regclass('schema_migration'), to_regclass('millrace.migration'),"
                                    " (SELECT conname FROM pg_constraint WHERE conrelid = to_regclass('millrace.migration')"
                                    " AND conname = '" OF_BASELINE "')";

const char mr_ledger_make_sql[] =
    "CREATE TABLE IF NOT EXISTS schema_migration (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now())";

static const char make_later[] =
    "DO $ledger$ BEGIN\n"
    "IF to_regnamespace('millrace') IS NULL THEN CREATE SCHEMA millrace; END IF;\n"
    "IF to_regclass('millrace.migration') IS NULL THEN\n"
    "CREATE TABLE millrace.migration (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now(), runs_with integer NOT NULL CHECK (runs_with < version)); END IF;\n"
    "IF to_regclass('millrace.schema_migration') IS NULL AND NOT EXISTS (SELECT FROM millrace.migration WHERE version = 1) "
    "THEN\n"
    "CREATE VIEW millrace.schema_migration AS SELECT * FROM schema_migration; END IF;\n"
    "END $ledger$;\n";

const char *mr_ledger_list_sql(const mr_rows *exists)
{
    struct mr_slice name;
    bool is_of_baseline = mr_rows_get(exists, 0, 2, &name);

    if (is_of_baseline)
        return LATER ORDER;
    if (!mr_rows_get(exists, 0, 0, &name))
        return NULL;
    return mr_rows_get(exists, 0, 1, &name) ? OLDER " UNION ALL " LATER ORDER : OLDER ORDER;
}

const char mr_ledger_baseline_name[] = "baseline";

bool mr_ledger_is_of_baseline(const mr_rows *applied)
{
    struct mr_applied first;

    if (applied == NULL || mr_rows_count(applied) == 0)
        return false;
    first = mr_ledger_row(applied, 0);
    return first.version == 1 && first.in_ledger;
}

static int integer(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = {"0", 1};

    mr_rows_get(rows, row, column, &text);
    return (int)strtol(text.data, NULL, 10); /* libpq terminates its values */
}

struct mr_applied mr_ledger_row(const mr_rows *applied, unsigned row)
{
    struct mr_applied out = {
        .version = integer(applied, row, 0), .runs_with = integer(applied, row, 1), .in_ledger = integer(applied, row, 2) != 0};

    mr_rows_get(applied, row, 3, &out.name);
    mr_rows_get(applied, row, 4, &out.checksum);
    mr_rows_get(applied, row, 5, &out.when);
    return out;
}

void mr_ledger_checksum(char out[MR_CHECKSUM_ROOM], const char *text)
{
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
    sodium_bin2hex(out, MR_CHECKSUM_ROOM, hash, sizeof hash);
}

static int count(const struct mr_migration *migrations)
{
    int found = 0;

    while (migrations[found].name != NULL)
        found++;
    return found;
}

static bool is_same(const struct mr_applied *applied, const struct mr_migration *known)
{
    char expected[MR_CHECKSUM_ROOM];

    mr_ledger_checksum(expected, known->text);
    return mr_slice_is(applied->checksum, expected);
}

/* The first row that forbids this binary decides: nothing behind it can allow it again. */
static mr_status refuse_newer(const mr_rows *applied, const struct mr_applied *row, int known, struct mr_buf *problem)
{
    int last = mr_ledger_row(applied, mr_rows_count(applied) - 1).version;

    mr_buf_printf(problem, "the database is at version %d, this binary knows versions up to %d", last, known);
    if (row->in_ledger)
        mr_buf_printf(problem, " and %04d needs one that knows %d", row->version, row->runs_with);
    mr_buf_printf(problem, "; run a newer release");
    return MR_CONFLICT;
}

static mr_status check_row(const mr_rows *applied, unsigned at, const struct mr_migration *migrations, struct mr_buf *problem)
{
    struct mr_applied row = mr_ledger_row(applied, at);
    int known = count(migrations);
    bool misplaced = row.version >= MR_LEDGER_FIRST && !row.in_ledger;

    if (misplaced || (row.version > known && row.runs_with > known))
        return refuse_newer(applied, &row, known, problem);
    if (row.version != (int)at + 1) {
        mr_buf_printf(problem, "%s has version %d where %u belongs", row.in_ledger ? "millrace.migration" : "schema_migration",
                      row.version, at + 1);
        return MR_CONFLICT;
    }
    if (row.version <= known && !is_same(&row, &migrations[row.version - 1])) {
        mr_buf_printf(problem, "migration %d was applied with another text than this binary's %s", row.version,
                      migrations[row.version - 1].name);
        return MR_CONFLICT;
    }
    return MR_OK;
}

mr_status mr_ledger_check(const mr_rows *applied, const struct mr_migration *known, struct mr_buf *problem)
{
    mr_status status = MR_OK;

    for (unsigned row = 0; row < mr_rows_count(applied) && status == MR_OK; row++)
        status = check_row(applied, row, known, problem);
    return status;
}

/* One that needs a binary that knows it is its own `runs_with`. */
void mr_ledger_baseline_sql(struct mr_buf *out, const struct mr_baseline *baseline, const struct mr_migration *migrations)
{
    char hash[MR_CHECKSUM_ROOM];

    mr_buf_printf(out,
                  "BEGIN;\n%s\n;CREATE TABLE millrace.migration (version integer PRIMARY KEY, name text NOT NULL,"
                  " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),"
                  " runs_with integer NOT NULL CONSTRAINT " OF_BASELINE " CHECK (runs_with <= version));\n"
                  "INSERT INTO millrace.migration (version, name, checksum, runs_with) VALUES",
                  baseline->text);
    for (int i = 0; i < baseline->version; i++) {
        const struct mr_migration *each = &migrations[i];

        mr_ledger_checksum(hash, each->text);
        mr_buf_printf(out, "%s (%d, '%s', '%s', %d)", i > 0 ? "," : "", each->version, mr_ledger_baseline_name, hash,
                      each->runs_with > 0 ? each->runs_with : each->version);
    }
    mr_buf_text(out, ";COMMIT");
}

void mr_ledger_apply_sql(struct mr_buf *out, const struct mr_migration *migration)
{
    bool later = migration->version >= MR_LEDGER_FIRST;
    char hash[MR_CHECKSUM_ROOM];

    mr_ledger_checksum(hash, migration->text);
    mr_buf_printf(out, "BEGIN;\n%s%s\n;", later ? make_later : "", migration->text);
    if (later)
        mr_buf_printf(out, "INSERT INTO millrace.migration (version, name, checksum, runs_with) VALUES (%d, '%s', '%s', %d)",
                      migration->version, migration->name, hash, migration->runs_with);
    else
        mr_buf_printf(out, "INSERT INTO schema_migration (version, name, checksum) VALUES (%d, '%s', '%s')", migration->version,
                      migration->name, hash);
    mr_buf_printf(out, ";COMMIT");
}
