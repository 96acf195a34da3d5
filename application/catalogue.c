#include "application/catalogue.h"

#include <stdlib.h>

/* What a statement finds by its bare name, but for what PostgreSQL has of its own. */
#define OURS                                                                             \
    "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace"     \
    " AND s.nspname NOT IN ('pg_catalog', 'information_schema') AND s.nspname !~ '^pg_'" \
    " AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.pg_table_is_visible(c.oid)"

static const char tables_sql[] =
    "SELECT c.oid, c.relname, c.relkind, EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid"
    " AND NOT t.tgisinternal AND t.tgtype & 7 = 7), pg_catalog.quote_ident(c.relname)" /* FOR EACH ROW, BEFORE, INSERT */
    " FROM " OURS " ORDER BY c.relname COLLATE \"C\"";

/*
 * A domain is taken apart down to what it is made of; an array's element is not, so that an array of a domain has a type that fits
 * nothing.
 */
static const char columns_sql[] =
    "WITH RECURSIVE base (oid, type, modifier, domain, checked) AS ("
    "SELECT DISTINCT a.atttypid, a.atttypid, -1, NULL::name, false FROM " OURS
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " UNION ALL SELECT b.oid, t.typbasetype, CASE WHEN b.modifier <> -1 THEN b.modifier ELSE t.typtypmod END,"
    " coalesce(b.domain, t.typname), b.checked OR t.typnotnull"
    " OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid)"
    " FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype = 'd')"
    " SELECT c.oid, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),"
    " CASE WHEN n.nspname = 'pg_catalog' OR e.typname = 'citext' THEN '' ELSE n.nspname || '.' END || e.typname,"
    " CASE WHEN b.domain IS NULL THEN a.atttypmod ELSE b.modifier END, b.domain, b.checked, e.oid <> t.oid, e.typtype = 'e',"
    " a.attnotnull, a.atthasdef AND a.attgenerated = '' OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', "
    "pg_catalog.quote_ident(a.attname)"
    " FROM " OURS " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " JOIN base b ON b.oid = a.atttypid"
    " JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd'"
    " JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END"
    " JOIN pg_catalog.pg_namespace n ON n.oid = e.typnamespace"
    " ORDER BY c.relname COLLATE \"C\", a.attnum";

/* Of an index with further columns that are only included, the key's. */
static const char uniques_sql[] =
    "SELECT c.oid, (SELECT string_agg(k.number::text, ' ' ORDER BY k.place) FROM unnest(i.indkey::int2[])"
    " WITH ORDINALITY AS k (number, place) WHERE k.place <= i.indnkeyatts)"
    " FROM " OURS " JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate"
    " AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY c.relname COLLATE \"C\"";

/* A table of the engine with its schema: the application may have one of the same name. */
static const char references_sql[] = "SELECT c.oid, array_to_string(k.conkey, ' '), array_to_string(k.confkey, ' '),"
                                     " CASE WHEN f.relnamespace = to_regnamespace('millrace') THEN 'millrace.' || f.relname "
                                     "ELSE f.relname END, f.oid, k.confdeltype"
                                     " FROM " OURS " JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f'"
                                     " JOIN pg_catalog.pg_class f ON f.oid = k.confrelid ORDER BY c.relname COLLATE \"C\"";

/* ---- Values of rows, all of them text ---- */

static const char *text_at(struct mr_arena *arena, const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text;

    return mr_rows_get(rows, row, column, &text) ? mr_arena_text(arena, text) : NULL;
}

static long number_at(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = {"0", 1};

    mr_rows_get(rows, row, column, &text);
    return strtol(text.data, NULL, 10); /* libpq terminates its values */
}

static bool flag_at(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = {"", 0};

    return mr_rows_get(rows, row, column, &text) && mr_slice_is(text, "t");
}

static char letter_at(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = {"", 0};

    mr_rows_get(rows, row, column, &text);
    return text.data[0]; /* the end of an empty one */
}

/* "1 3 2" */
static const int *numbers_at(struct mr_arena *arena, const mr_rows *rows, unsigned row, unsigned column, unsigned *count)
{
    struct mr_slice text = {"", 0};
    char *end;
    int *out;

    mr_rows_get(rows, row, column, &text);
    out = mr_arena_take(arena, (text.len / 2 + 1) * sizeof *out);
    *count = 0;
    if (out == NULL)
        return NULL;
    for (const char *at = text.data; *at != '\0'; at = end)
        out[(*count)++] = (int)strtol(at, &end, 10);
    return out;
}

/* ---- Rows, each of a table; rows come in the tables' order ---- */

static void add_table(struct mr_catalogue *self, const mr_rows *rows, unsigned row)
{
    struct mr_sql_table *all = mr_arena_grow(&self->arena, self->tables, self->table_count, sizeof *all);

    if (all == NULL)
        return;
    self->tables = all;
    all[self->table_count++] = (struct mr_sql_table){.id = (unsigned)number_at(rows, row, 0),
                                                     .name = text_at(&self->arena, rows, row, 1),
                                                     .kind = letter_at(rows, row, 2),
                                                     .has_insert_trigger = flag_at(rows, row, 3),
                                                     .quoted = text_at(&self->arena, rows, row, 4)};
}

static void add_column(struct mr_arena *arena, struct mr_sql_table *table, const mr_rows *rows, unsigned row)
{
    struct mr_sql_column *all = mr_arena_grow(arena, table->columns, table->column_count, sizeof *all);

    if (all == NULL)
        return;
    table->columns = all;
    all[table->column_count++] = (struct mr_sql_column){.number = (int)number_at(rows, row, 1),
                                                        .name = text_at(arena, rows, row, 2),
                                                        .told = text_at(arena, rows, row, 3),
                                                        .type = text_at(arena, rows, row, 4),
                                                        .modifier = (int)number_at(rows, row, 5),
                                                        .domain = text_at(arena, rows, row, 6),
                                                        .is_domain_checked = flag_at(rows, row, 7),
                                                        .is_many = flag_at(rows, row, 8),
                                                        .is_enum = flag_at(rows, row, 9),
                                                        .is_not_null = flag_at(rows, row, 10),
                                                        .has_default = flag_at(rows, row, 11),
                                                        .is_generated = flag_at(rows, row, 12),
                                                        .may_be_filled = table->has_insert_trigger,
                                                        .quoted = text_at(arena, rows, row, 13)};
}

static void add_unique(struct mr_arena *arena, struct mr_sql_table *table, const mr_rows *rows, unsigned row)
{
    struct mr_sql_unique *all = mr_arena_grow(arena, table->uniques, table->unique_count, sizeof *all);
    struct mr_sql_unique *unique;

    if (all == NULL)
        return;
    table->uniques = all;
    unique = &all[table->unique_count++];
    unique->numbers = numbers_at(arena, rows, row, 1, &unique->count);
}

static void add_reference(struct mr_arena *arena, struct mr_sql_table *table, const mr_rows *rows, unsigned row)
{
    struct mr_sql_reference *all = mr_arena_grow(arena, table->references, table->reference_count, sizeof *all);
    struct mr_sql_reference *reference;

    if (all == NULL)
        return;
    table->references = all;
    reference = &all[table->reference_count++];
    *reference = (struct mr_sql_reference){.table = text_at(arena, rows, row, 3),
                                           .table_id = (unsigned)number_at(rows, row, 4),
                                           .on_delete = letter_at(rows, row, 5)};
    reference->numbers = numbers_at(arena, rows, row, 1, &reference->count);
    reference->targets = numbers_at(arena, rows, row, 2, &reference->count);
}

static mr_status read_tables(struct mr_catalogue *self, mr_db *db, int64_t deadline_ms)
{
    mr_rows *rows = NULL;
    mr_status status = mr_db_exec(db, tables_sql, deadline_ms, &rows);

    for (unsigned row = 0; status == MR_OK && row < mr_rows_count(rows); row++)
        add_table(self, rows, row);
    mr_rows_free(&rows);
    return status;
}

static mr_status read_of_tables(struct mr_catalogue *self, mr_db *db, const char *sql, int64_t deadline_ms,
                                void (*add)(struct mr_arena *, struct mr_sql_table *, const mr_rows *, unsigned))
{
    mr_rows *rows = NULL;
    mr_status status = mr_db_exec(db, sql, deadline_ms, &rows);
    unsigned table = 0;

    for (unsigned row = 0; status == MR_OK && row < mr_rows_count(rows); row++) {
        unsigned id = (unsigned)number_at(rows, row, 0);

        while (table < self->table_count && self->tables[table].id != id)
            table++;
        if (table == self->table_count)
            status = MR_CONFLICT; /* somebody changed tables meanwhile */
        else
            add(&self->arena, &self->tables[table], rows, row);
    }
    mr_rows_free(&rows);
    return status;
}

mr_status mr_catalogue_read(struct mr_catalogue *out, mr_db *db, int64_t deadline_ms)
{
    mr_status status;

    *out = (struct mr_catalogue){.table_count = 0};
    status = read_tables(out, db, deadline_ms);
    if (status == MR_OK)
        status = read_of_tables(out, db, columns_sql, deadline_ms, add_column);
    if (status == MR_OK)
        status = read_of_tables(out, db, uniques_sql, deadline_ms, add_unique);
    if (status == MR_OK)
        status = read_of_tables(out, db, references_sql, deadline_ms, add_reference);
    if (status == MR_OK && out->arena.failed)
        status = MR_NO_MEMORY;
    if (status != MR_OK)
        mr_catalogue_fini(out);
    return status;
}

void mr_catalogue_fini(struct mr_catalogue *self)
{
    mr_arena_fini(&self->arena);
    *self = (struct mr_catalogue){.table_count = 0};
}

/* ---- Look-ups ---- */

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct mr_sql_table *)left)->name, ((const struct mr_sql_table *)right)->name);
}

const struct mr_sql_table *mr_catalogue_table(const struct mr_catalogue *self, const char *name)
{
    struct mr_sql_table wanted = {.name = name};

    return self->table_count == 0 ? NULL : bsearch(&wanted, self->tables, self->table_count, sizeof wanted, compare_names);
}

const struct mr_sql_column *mr_catalogue_column(const struct mr_sql_table *self, const char *name)
{
    for (unsigned i = 0; i < self->column_count; i++)
        if (strcmp(self->columns[i].name, name) == 0)
            return &self->columns[i];
    return NULL;
}

static bool has_number(const struct mr_sql_unique *unique, int number)
{
    for (unsigned i = 0; i < unique->count; i++)
        if (unique->numbers[i] == number)
            return true;
    return false;
}

/* An index has each column once, so as many columns that are all in it are all of them. */
static bool is_on(const struct mr_sql_unique *unique, const struct mr_sql_column *const *columns, unsigned count)
{
    unsigned wanted = 0;

    for (unsigned i = 0; i < count; i++) {
        if (columns[i] == NULL)
            continue;
        wanted++;
        if (!has_number(unique, columns[i]->number))
            return false;
    }
    return wanted == unique->count;
}

bool mr_catalogue_is_unique(const struct mr_sql_table *self, const struct mr_sql_column *const *columns, unsigned count)
{
    for (unsigned i = 0; i < self->unique_count; i++)
        if (is_on(&self->uniques[i], columns, count))
            return true;
    return false;
}
