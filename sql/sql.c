#include "sql/sql.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct mr_statement *installed;
static unsigned installed_count;
static mr_statement_writer *writer;
static const void *writer_context;

void mr_statements_install(const struct mr_statement *statements, unsigned count)
{
    installed = statements;
    installed_count = count;
    mr_statements_write_with(NULL, NULL);
}

void mr_statements_write_with(mr_statement_writer *write, const void *context)
{
    writer = write;
    writer_context = context;
}

static bool is_of(const struct mr_statement *statement, const char *prefix)
{
    return strncmp(statement->name, prefix, strlen(prefix)) == 0;
}

const struct mr_statement **mr_statements_of(const char *prefix)
{
    const struct mr_statement **out;
    size_t count = 0;

    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        count += is_of(s, prefix) ? 1 : 0;
    out = calloc(count + 1, sizeof *out);
    if (out == NULL)
        return NULL;
    count = 0;
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        if (is_of(s, prefix))
            out[count++] = s;
    return out;
}

char *mr_statement_text(const struct mr_statement *self)
{
    if (self->text != NULL)
        return strdup(self->text);
    assert(writer != NULL && self >= installed && self < installed + installed_count);
    return writer(writer_context, (unsigned)(self - installed));
}

const struct mr_statement *mr_statements_installed(unsigned *count)
{
    *count = installed_count;
    return installed;
}

static int by_name(const void *name, const void *statement)
{
    return strcmp(name, ((const struct mr_statement *)statement)->name);
}

int mr_statement_place(const char *name)
{
    const struct mr_statement *found =
        installed_count > 0 ? bsearch(name, installed, installed_count, sizeof *installed, by_name) : NULL;

    return found != NULL ? (int)(found - installed) : -1;
}

const struct mr_statement *mr_statement_find(const char *name)
{
    int place = mr_statement_place(name);

    if (place >= 0)
        return &installed[place];
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}
