#include "sql/sql.h"

#include <stdlib.h>
#include <string.h>

static const struct mr_statement *installed;
static unsigned installed_count;

void mr_statements_install(const struct mr_statement *statements, unsigned count)
{
    installed = statements;
    installed_count = count;
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

const struct mr_statement *mr_statement_find(const char *name)
{
    const struct mr_statement *own =
        installed_count > 0 ? bsearch(name, installed, installed_count, sizeof *installed, by_name) : NULL;

    if (own != NULL)
        return own;
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}
