#include "tests/fuzz/tasks.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

void serve_tasks(void)
{
}

enum mr_op op_named(const char *name)
{
    unsigned op = 0;

    while (strcmp(mr_op_info((enum mr_op)op)->name, name) != 0 || !mr_op_is_served((enum mr_op)op)) {
        op++;
        must(op < mr_op_count());
    }
    return (enum mr_op)op;
}
