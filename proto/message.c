#include "proto/message.h"

#define OP(verb, path, message, actor, access, ok, handler) extern const struct mr_traits mr_traits_##message;
MR_OPS(OP)
#undef OP

static const struct mr_op_info ops[] = {
#define OP(verb, path, message, actor, access, ok, handler)                                                     \
    [MR_OP_##message] = {#message,        MR_VERB_##verb,       path, MR_ACTOR_##actor, MR_ACCESS_##access, ok, \
                         MR_BY_##handler, &mr_traits_##message, NULL},
    MR_OPS(OP)
#undef OP
};

static const struct mr_actor_info actors[] = {
#define ACTOR(name, thread, database) [MR_ACTOR_##name] = {thread, MR_DATABASE_##database},
    MR_ACTORS(ACTOR)
#undef ACTOR
};

static const struct mr_way ways[] = {
#define OP(verb, path, message, actor, access, ok, handler) {#message, MR_VERB_##verb, path, MR_OP_##message},
    MR_OPS(OP)
#undef OP
#define ALIAS(verb, path, message, name) {#name, MR_VERB_##verb, path, MR_OP_##message},
        MR_ALIASES(ALIAS)
#undef ALIAS
};

static const struct mr_group groups[] = {
#define GROUP(name, about) {name, about},
    MR_GROUPS(GROUP)
#undef GROUP
};

static const char *const verbs[] = {
#define VERB(name) [MR_VERB_##name] = #name,
    MR_VERBS(VERB)
#undef VERB
};

static const struct mr_op_table no_table;
static const struct mr_op_table *installed = &no_table;
static unsigned edition;

void mr_ops_install(const struct mr_op_table *table)
{
    installed = table != NULL ? table : &no_table;
    edition++;
}

unsigned mr_ops_edition(void)
{
    return edition;
}

const struct mr_op_table *mr_ops_installed(void)
{
    return installed;
}

unsigned mr_op_count(void)
{
    return MR_OP_COUNT + installed->op_count;
}

const struct mr_op_info *mr_op_info(enum mr_op op)
{
    return op < MR_OP_COUNT ? &ops[op] : &installed->ops[op - MR_OP_COUNT];
}

enum mr_op mr_op_answering(enum mr_op op)
{
    const struct mr_successor *successor = mr_op_info(op)->successor;

    return successor != NULL && atomic_load(&successor->is_ready) ? successor->op : op;
}

const struct mr_actor_info *mr_actor_info(enum mr_actor_id actor)
{
    return &actors[actor];
}

const struct mr_way *mr_way(unsigned i)
{
    const unsigned own = sizeof ways / sizeof ways[0];

    if (i < own)
        return &ways[i];
    return i - own < installed->way_count ? &installed->ways[i - own] : NULL;
}

const struct mr_group *mr_group(unsigned i)
{
    const unsigned own = sizeof groups / sizeof groups[0];

    if (i < own)
        return &groups[i];
    return i - own < installed->group_count ? &installed->groups[i - own] : NULL;
}

const char *mr_verb_name(enum mr_verb verb)
{
    return verbs[verb];
}

unsigned mr_fields_count(const struct mr_field *fields)
{
    unsigned count = 0;

    while (fields[count].name != NULL)
        count++;
    return count;
}

unsigned mr_field_count(enum mr_op op)
{
    return mr_fields_count(mr_op_info(op)->traits->fields);
}

unsigned mr_statement_params(enum mr_op op)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    unsigned count = 0;

    for (unsigned i = 0; fields[i].name != NULL; i++)
        count += fields[i].clearable ? 2 : 1;
    return count;
}

int mr_field_index(enum mr_op op, const char *name)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (int i = 0; fields[i].name != NULL; i++) /* few begin alike, and a call costs more than a look */
        if (fields[i].name[0] == name[0] && strcmp(fields[i].name, name) == 0)
            return i;
    return -1;
}
