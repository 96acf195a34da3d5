#include "sql/sql.h"

#include <string.h>

const struct mr_statement *mr_statement_find(const char *name)
{
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}
