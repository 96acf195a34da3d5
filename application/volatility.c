#include "application/volatility.h"

#include <stdio.h>

#include "application/making.h"
#include "application/tree.h"

enum { VIEWS_DEEP = 50 };

/* ---- Questions ---- */

static void merge(struct mr_volatility *self, struct mr_sql_names *out, const struct mr_sql_names *from)
{
    for (unsigned i = 0; i < from->count; i++)
        mr_sql_add(out, self->arena, from->items[i].schema, from->items[i].name, from->items[i].of_parameters);
}

void mr_volatility_add(struct mr_volatility *self, const struct mr_sql *sql)
{
    merge(self, &self->asked.functions, &sql->functions);
    merge(self, &self->asked.operators, &sql->operators);
    merge(self, &self->asked.relations, &sql->relations);
    merge(self, &self->asked.parts, &sql->parts);
}

/* Comparisons that no text shows: IN, BETWEEN, JOIN USING, ORDER BY, DISTINCT. */
static struct mr_sql_name comparisons[] = {{.name = "="},  {.name = "<>"}, {.name = "<"},
                                           {.name = "<="}, {.name = ">"},  {.name = ">="}};
static const struct mr_sql_names hidden = {comparisons, sizeof comparisons / sizeof comparisons[0]};

static void literal(struct mr_buf *out, const char *text)
{
    if (text == NULL)
        mr_buf_text(out, "NULL");
    else
        mr_sql_literal(out, text);
}

/* (VALUES (0, NULL, 'now'), ...) AS w (i, space, name): names from `from` on. */
static void values(struct mr_buf *out, const struct mr_sql_names *names, unsigned from)
{
    mr_buf_text(out, "(VALUES ");
    for (unsigned i = from; i < names->count; i++) {
        mr_buf_printf(out, "%s(%u, ", i > from ? ", " : "", i);
        literal(out, names->items[i].schema);
        mr_buf_text(out, i > from ? ", " : "::text, ");
        literal(out, names->items[i].name);
        mr_buf_char(out, ')');
    }
    mr_buf_text(out, ") AS w (i, space, name)");
}

static mr_status ask(struct mr_volatility *self, mr_db *db, int64_t deadline_ms, struct mr_buf *sql, mr_rows **out)
{
    mr_status status = MR_NO_MEMORY;

    mr_buf_char(sql, '\0');
    if (!sql->failed && !self->arena->failed)
        status = mr_db_exec(db, sql->data, deadline_ms, out);
    mr_buf_fini(sql);
    return status;
}

static unsigned number(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text;
    unsigned value = 0;

    if (mr_rows_get(rows, row, column, &text))
        for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
            value = 10 * value + (unsigned)(text.data[i] - '0');
    return value;
}

/* ---- Functions and operators ---- */

/* Rows of an index and its enum mr_verdict. */
static mr_status ask_verdicts(struct mr_volatility *self, mr_db *db, int64_t deadline_ms, const struct mr_sql_names *names,
                              const char *begin, const char *end, enum mr_verdict **out)
{
    enum mr_verdict *verdicts = mr_arena_take(self->arena, (names->count + 1) * sizeof *verdicts);
    struct mr_buf sql = {0};
    mr_rows *rows = NULL;
    mr_status status;

    *out = verdicts;
    if (names->count == 0 || verdicts == NULL)
        return verdicts != NULL ? MR_OK : MR_NO_MEMORY;
    mr_buf_text(&sql, begin);
    values(&sql, names, 0);
    mr_buf_text(&sql, end);
    status = ask(self, db, deadline_ms, &sql, &rows);
    if (status != MR_OK)
        return status;
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        if (number(rows, row, 0) < names->count)
            verdicts[number(rows, row, 0)] = (enum mr_verdict)number(rows, row, 1);
    mr_rows_free(&rows);
    return MR_OK;
}

static mr_status ask_functions(struct mr_volatility *self, mr_db *db, int64_t deadline_ms)
{
    return ask_verdicts(self, db, deadline_ms, &self->asked.functions,
                        "SELECT w.i, CASE WHEN count(p.oid) = 0 THEN 0"
                        " WHEN bool_or(p.provolatile = 'v' OR EXISTS (SELECT FROM pg_catalog.pg_aggregate a"
                        " JOIN pg_catalog.pg_proc f ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggminvtransfn,"
                        " a.aggmfinalfn) WHERE a.aggfnoid = p.oid AND f.provolatile = 'v')) THEN 3"
                        " WHEN bool_or(p.prokind = 'a') THEN 2 ELSE 1 END FROM ",
                        " LEFT JOIN (pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace)"
                        " ON p.proname = w.name AND CASE WHEN w.space IS NULL THEN pg_catalog.pg_function_is_visible(p.oid)"
                        " ELSE s.nspname = w.space END GROUP BY w.i",
                        &self->functions);
}

/* BETWEEN and the like are operators to the parser and not to the catalogue: what it does not know is harmless. */
static mr_status ask_operators(struct mr_volatility *self, mr_db *db, int64_t deadline_ms)
{
    return ask_verdicts(self, db, deadline_ms, &self->asked.operators,
                        "SELECT w.i, CASE WHEN bool_or(p.provolatile = 'v') THEN 3 ELSE 1 END FROM ",
                        " LEFT JOIN (pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode)"
                        " ON o.oprname = w.name GROUP BY w.i",
                        &self->operators);
}

static mr_status ask_casts(struct mr_volatility *self, mr_db *db, int64_t deadline_ms)
{
    struct mr_buf sql = {0};
    mr_rows *rows = NULL;
    mr_status status;

    mr_buf_text(&sql, "SELECT count(*) FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc"
                      " WHERE p.provolatile = 'v'");
    status = ask(self, db, deadline_ms, &sql, &rows);
    if (status != MR_OK)
        return status;
    self->casts = number(rows, 0, 0) > 0;
    mr_rows_free(&rows);
    return MR_OK;
}

/* ---- Relations ---- */

/* A row for each text that a relation runs: a view's query, the conditions of a table's policies. */
static void relations_sql(struct mr_buf *out, const struct mr_sql_names *names, unsigned from)
{
    mr_buf_text(out, "SELECT w.i, CASE c.relkind WHEN 'v' THEN pg_catalog.pg_get_viewdef(c.oid)"
                     " ELSE 'SELECT ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) END FROM ");
    values(out, names, from);
    mr_buf_text(out, " JOIN pg_catalog.pg_class c ON c.relname = w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
                     " JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace"
                     " AND CASE WHEN w.space IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE s.nspname = w.space END"
                     " LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polqual IS NOT NULL");
}

static void take_relation(struct mr_volatility *self, unsigned index, struct mr_slice text)
{
    struct mr_relation *relation = &self->relations[index];
    char *copy = mr_arena_text(self->arena, text);

    if (relation->verdict != MR_VOLATILE)
        relation->verdict = MR_STABLE;
    if (copy != NULL && text.len > 0 && !mr_sql_collect(&relation->uses, self->arena, copy))
        relation->verdict = MR_VOLATILE;
}

static mr_status ask_relations(struct mr_volatility *self, mr_db *db, int64_t deadline_ms, unsigned from)
{
    struct mr_buf sql = {0};
    mr_rows *rows = NULL;
    struct mr_slice text;
    mr_status status;

    relations_sql(&sql, &self->asked.relations, from);
    status = ask(self, db, deadline_ms, &sql, &rows);
    if (status != MR_OK)
        return status;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        text = (struct mr_slice){"", 0};
        (void)mr_rows_get(rows, row, 1, &text);
        take_relation(self, number(rows, row, 0), text);
    }
    mr_rows_free(&rows);
    return MR_OK;
}

/* Room for those that are asked for next; the old ones move. */
static bool grow_relations(struct mr_volatility *self, unsigned count)
{
    struct mr_relation *all = mr_arena_take(self->arena, self->asked.relations.count * sizeof *all);

    if (all != NULL && count > 0)
        memcpy(all, self->relations, count * sizeof *all);
    self->relations = all;
    return all != NULL;
}

/* Views show further relations, until none is new. */
static mr_status ask_all_relations(struct mr_volatility *self, mr_db *db, int64_t deadline_ms)
{
    unsigned known = 0;
    mr_status status;

    while (known < self->asked.relations.count) {
        unsigned count = self->asked.relations.count;

        if (!grow_relations(self, known))
            return MR_NO_MEMORY;
        status = ask_relations(self, db, deadline_ms, known);
        if (status != MR_OK)
            return status;
        for (; known < count; known++)
            mr_volatility_add(self, &self->relations[known].uses);
    }
    return MR_OK;
}

mr_status mr_volatility_ask(struct mr_volatility *self, mr_db *db, int64_t deadline_ms)
{
    mr_status status = ask_all_relations(self, db, deadline_ms);

    merge(self, &self->asked.operators, &hidden);
    if (status == MR_OK)
        status = ask_functions(self, db, deadline_ms);
    if (status == MR_OK)
        status = ask_operators(self, db, deadline_ms);
    if (status == MR_OK)
        status = ask_casts(self, db, deadline_ms);
    return self->arena->failed ? MR_NO_MEMORY : status;
}

/* ---- Answers ---- */

static bool refuse(const struct mr_volatility *self, struct mr_objection *why, const char *before, const char *name,
                   const char *behind)
{
    char text[160];

    snprintf(text, sizeof text, "%s%s%s", before, name, behind);
    for (char *at = text; *at != '\0'; at++) /* a comment of one line shows it */
        if ((unsigned char)*at < ' ')
            *at = ' ';
    why->text = mr_arena_text(self->arena, mr_slice_of(text));
    if (why->text == NULL)
        why->text = "";
    return false;
}

/* What is not there yet may come. */
static bool miss(const struct mr_volatility *self, struct mr_objection *why, const char *before, const char *name,
                 const char *behind)
{
    why->is_unknown = true;
    return refuse(self, why, before, name, behind);
}

/* Where a name stands among those asked for. */
static unsigned index_of(const struct mr_sql_names *asked, const struct mr_sql_name *name)
{
    unsigned i = 0;

    for (; i < asked->count; i++) {
        const struct mr_sql_name *item = &asked->items[i];
        bool same_schema = item->schema == NULL || name->schema == NULL ? item->schema == name->schema
                                                                        : strcmp(item->schema, name->schema) == 0;

        if (same_schema && strcmp(item->name, name->name) == 0)
            break;
    }
    return i;
}

static bool allows_functions(const struct mr_volatility *self, const struct mr_sql *sql, struct mr_objection *why)
{
    for (unsigned i = 0; i < sql->functions.count; i++) {
        const struct mr_sql_name *name = &sql->functions.items[i];
        unsigned at = index_of(&self->asked.functions, name);
        enum mr_verdict verdict = at < self->asked.functions.count ? self->functions[at] : MR_UNKNOWN;

        if (verdict == MR_UNKNOWN)
            return miss(self, why, "there is no function ", name->name, "()");
        if (verdict == MR_VOLATILE)
            return refuse(self, why, "", name->name, "() is volatile");
        if (verdict == MR_AGGREGATE && name->of_parameters)
            return refuse(self, why, "", name->name, "() is an aggregate of parameters alone");
    }
    return true;
}

static bool allows_operators(const struct mr_volatility *self, const struct mr_sql_names *names, struct mr_objection *why)
{
    for (unsigned i = 0; i < names->count; i++) {
        unsigned at = index_of(&self->asked.operators, &names->items[i]);

        if (at == self->asked.operators.count || self->operators[at] == MR_VOLATILE)
            return refuse(self, why, "the operator ", names->items[i].name, " is volatile");
    }
    return true;
}

static bool allows(const struct mr_volatility *self, const struct mr_sql *sql, unsigned depth, struct mr_objection *why);

/* A name of the query's own WITH list that the catalogue does not know is that of the list. */
static bool allows_relations(const struct mr_volatility *self, const struct mr_sql *sql, unsigned depth,
                             struct mr_objection *why)
{
    for (unsigned i = 0; i < sql->relations.count; i++) {
        const struct mr_sql_name *name = &sql->relations.items[i];
        unsigned at = index_of(&self->asked.relations, name);
        const struct mr_relation *relation = at < self->asked.relations.count ? &self->relations[at] : NULL;

        if (relation == NULL || relation->verdict == MR_UNKNOWN) {
            if (name->schema == NULL && mr_sql_has(&sql->parts, name->name))
                continue;
            return miss(self, why, "there is no relation ", name->name, "");
        }
        if (relation->verdict == MR_VOLATILE)
            return refuse(self, why, "what ", name->name, " does is not understood");
        if (!allows(self, &relation->uses, depth + 1, why))
            return false;
    }
    return true;
}

static bool allows(const struct mr_volatility *self, const struct mr_sql *sql, unsigned depth, struct mr_objection *why)
{
    if (depth > VIEWS_DEEP)
        return refuse(self, why, "views are nested more than ", "50", " deep");
    return allows_functions(self, sql, why) && allows_operators(self, &sql->operators, why) &&
           allows_relations(self, sql, depth, why);
}

bool mr_volatility_allows(const struct mr_volatility *self, const struct mr_sql *sql, struct mr_objection *why)
{
    if (self->casts)
        return refuse(self, why, "the function of a ", "cast", " is volatile");
    return allows_operators(self, &hidden, why) && allows(self, sql, 0, why);
}
