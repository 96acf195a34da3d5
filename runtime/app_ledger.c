#include "runtime/app_ledger.h"

#include <stdlib.h>

#include "runtime/ledger.h"

/* Columns of the list. */
enum { NUMBER, NAME, CHECKSUM, BREAKING, WHEN };

static const struct mr_app_steps none = {.inherits = true};
static const struct mr_app_steps *installed = &none;

void mr_app_steps_install(const struct mr_app_steps *steps)
{
    installed = steps != NULL ? steps : &none;
}

const struct mr_app_steps *mr_app_steps_installed(void)
{
    return installed;
}

const char mr_app_ledger_exists_sql[] = "SELECT 1 WHERE to_regclass('millrace.app_migration') IS NOT NULL";

const char mr_app_ledger_make_sql[] =
    "DO $ledger$ BEGIN\n"
    "IF to_regnamespace('millrace') IS NULL THEN CREATE SCHEMA millrace; END IF;\n"
    "IF to_regclass('millrace.app_migration') IS NULL THEN\n"
    "CREATE TABLE millrace.app_migration (number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    " breaking boolean NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()); END IF;\n"
    "END $ledger$";

const char mr_app_ledger_list_sql[] =
    "SELECT number, name, checksum, breaking, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    " FROM millrace.app_migration ORDER BY number";

static struct mr_slice text_of(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = {"", 0};

    mr_rows_get(rows, row, column, &text);
    return text;
}

struct mr_slice mr_app_ledger_name(const mr_rows *applied, unsigned row)
{
    return text_of(applied, row, NAME);
}

struct mr_slice mr_app_ledger_when(const mr_rows *applied, unsigned row)
{
    return text_of(applied, row, WHEN);
}

/* What only the database knows. */
static mr_status check_newer(const mr_rows *applied, unsigned row, struct mr_buf *problem)
{
    struct mr_slice name = mr_app_ledger_name(applied, row);

    if (!mr_slice_is(text_of(applied, row, BREAKING), "t"))
        return MR_OK;
    mr_buf_printf(problem,
                  "the database has the breaking migration %.*s, which this folder does not know; deploy a newer folder",
                  (int)name.len, name.data);
    return MR_CONFLICT;
}

static mr_status check_known(const mr_rows *applied, unsigned row, const struct mr_app_step *known, struct mr_buf *problem)
{
    struct mr_slice name = mr_app_ledger_name(applied, row);
    char expected[MR_CHECKSUM_ROOM];

    mr_ledger_checksum(expected, known->text);
    if (mr_slice_is(text_of(applied, row, CHECKSUM), expected))
        return MR_OK;
    if (row == 0 && !mr_slice_is(name, known->name))
        mr_buf_printf(problem, "the database belongs to another application: its first migration is %.*s, this folder's is %s",
                      (int)name.len, name.data, known->name);
    else
        mr_buf_printf(problem,
                      "migration %.*s was applied with another text than %s has now; what has run stays as it is: add another",
                      (int)name.len, name.data, known->name);
    return MR_CONFLICT;
}

mr_status mr_app_ledger_check(const mr_rows *applied, const struct mr_app_steps *known, struct mr_buf *problem)
{
    mr_status status = MR_OK;

    for (unsigned row = 0; row < mr_rows_count(applied) && status == MR_OK; row++) {
        long number = strtol(text_of(applied, row, NUMBER).data, NULL, 10);

        if (number != (long)row + 1) {
            mr_buf_printf(problem, "millrace.app_migration has number %ld where %u belongs", number, row + 1);
            return MR_CONFLICT;
        }
        status =
            row < known->count ? check_known(applied, row, &known->items[row], problem) : check_newer(applied, row, problem);
    }
    return status;
}

static void record(struct mr_buf *out, unsigned number, const struct mr_app_step *step)
{
    char hash[MR_CHECKSUM_ROOM];

    mr_ledger_checksum(hash, step->text);
    mr_buf_printf(out, "INSERT INTO millrace.app_migration (number, name, checksum, breaking) VALUES (%u, '%s', '%s', %s)",
                  number, step->name, hash, step->breaking ? "true" : "false");
}

void mr_app_ledger_adopt_sql(struct mr_buf *out, const struct mr_app_step *step)
{
    record(out, 1, step);
}

void mr_app_ledger_apply_sql(struct mr_buf *out, unsigned number, const struct mr_app_step *step)
{
    mr_buf_printf(out, "BEGIN;\n%s\n;", step->text);
    record(out, number, step);
    mr_buf_text(out, ";COMMIT");
}
