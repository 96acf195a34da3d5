/*
 * failures: what a statement of an application may answer beside a success, for the document. A folder says it: by `RAISE SQLSTATE
 * 'MR409'` in its functions, and by what its statements give for "$status".
 */
#include "application/making.h"
#include "application/statement.h"

#include <ctype.h>
#include <stdlib.h>

/* Of those that SQL can answer with, as bits. */
#define NUMBER(http) http,
static const int statuses[] = {MR_RAISABLE(NUMBER)};
#undef NUMBER

enum { STATUS_COUNT = sizeof statuses / sizeof statuses[0], EVERY = (1 << STATUS_COUNT) - 1 };

static unsigned bit_of(int http)
{
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        if (statuses[i] == http)
            return 1U << i;
    return 0;
}

static bool is_in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Numbers of three digits that stand for themselves, or behind `before`: "409", "MR409". */
static unsigned numbers_in(const char *text, const char *before)
{
    size_t skipped = strlen(before);
    unsigned found = 0;

    for (const char *at = text; *at != '\0'; at++) {
        bool begins = (at == text || !is_in_word(at[-1])) && strncasecmp(at, before, skipped) == 0;

        if (begins && strspn(at + skipped, "0123456789") == 3 && !is_in_word(at[skipped + 3]))
            found |= bit_of((int)strtol(at + skipped, NULL, 10));
    }
    return found;
}

/* 'MR' alone: the rest is put together while it runs. */
static unsigned raised_in(const char *text)
{
    return strcasestr(text, "'MR'") != NULL ? EVERY : numbers_in(text, "MR");
}

/* By functions and triggers of the folder, wherever they are made. */
static unsigned raised_by(const struct mr_application *application)
{
    unsigned found = 0;

    for (unsigned i = 0; i < application->migration_count; i++)
        found |= raised_in(application->migrations[i].sql);
    return found;
}

static const char *before_name(const char *text, const char *at)
{
    while (at > text && (is_in_word(at[-1]) || at[-1] == '"' || at[-1] == '.'))
        at--;
    while (at > text && isspace((unsigned char)at[-1]))
        at--;
    return at;
}

/* Whether the word that ends there is one of those that a name of what can be called stands behind. */
static bool is_kind_of_routine(const char *text, const char *end)
{
    static const char *const kinds[] = {"function", "procedure", "aggregate"};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((size_t)(end - text) >= strlen(kinds[i]) && strncasecmp(end - strlen(kinds[i]), kinds[i], strlen(kinds[i])) == 0)
            return true;
    return false;
}

/* CREATE OR REPLACE FUNCTION shop.place_order(...) makes place_order. */
static bool makes(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = strcasestr(text, name); at != NULL; at = strcasestr(at + 1, name))
        if ((at == text || !is_in_word(at[-1])) && !is_in_word(at[len]) && is_kind_of_routine(text, before_name(text, at)))
            return true;
    return false;
}

/* Whether it calls what the folder makes: a function of PostgreSQL's own raises nothing of class MR, and breaks no constraint. */
static bool calls_own(const struct mr_application *application, const struct mr_sql *sql)
{
    for (unsigned i = 0; i < sql->functions.count; i++) {
        const struct mr_sql_name *name = &sql->functions.items[i];

        if (name->schema != NULL && strcmp(name->schema, "pg_catalog") != 0)
            return true;
        for (unsigned m = 0; m < application->migration_count; m++)
            if (makes(application->migrations[m].sql, name->name))
                return true;
    }
    return false;
}

static unsigned told_by(const struct mr_sql *sql)
{
    unsigned found = mr_sql_has(&sql->columns, "$status") ? numbers_in(sql->text, "") : 0;

    if (mr_sql_has(&sql->columns, "$status") && found == 0)
        return EVERY;
    return found;
}

const char *mr_failures_of(struct mr_making *self, const struct mr_sql *sql, enum mr_shape shape, bool idempotent)
{
    bool does_more = sql->changes || sql->kind == MR_SQL_CALL || calls_own(self->application, sql);
    unsigned found = told_by(sql) | (shape == MR_SHAPE_ONE ? bit_of(404) : 0);
    struct mr_buf out = {0};
    const char *text = NULL;

    if (does_more)
        found |= raised_by(self->application) | bit_of(409); /* a constraint, too */
    if (idempotent)
        found |= bit_of(409) | bit_of(422);
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        if (found & 1U << i)
            mr_buf_printf(&out, "%s%d", out.len > 0 ? "|" : "", statuses[i]);
    if (out.len > 0)
        text = mr_make_text(self, "%.*s", (int)out.len, out.data);
    self->arena->failed |= out.failed;
    mr_buf_fini(&out);
    return text;
}
