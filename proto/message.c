#include "proto/message.h"

#define OP(verb, path, message, actor, access, ok, handler) extern const struct mr_traits mr_traits_##message;
MR_OPS(OP)
#undef OP

static const struct mr_op_info ops[] = {
#define OP(verb, path, message, actor, access, ok, handler)                                                    \
    [MR_OP_##message] = {#message,        MR_VERB_##verb,      path, MR_ACTOR_##actor, MR_ACCESS_##access, ok, \
                         MR_BY_##handler, &mr_traits_##message},
    MR_OPS(OP)
#undef OP
};

static const struct mr_actor_info actors[] = {
#define ACTOR(name, thread, database) [MR_ACTOR_##name] = {thread, MR_DATABASE_##database},
    MR_ACTORS(ACTOR)
#undef ACTOR
};

static const char *const verbs[] = {
#define VERB(name) [MR_VERB_##name] = #name,
    MR_VERBS(VERB)
#undef VERB
};

const struct mr_op_info *mr_op_info(enum mr_op op)
{
    return &ops[op];
}

const struct mr_actor_info *mr_actor_info(enum mr_actor_id actor)
{
    return &actors[actor];
}

const char *mr_verb_name(enum mr_verb verb)
{
    return verbs[verb];
}

unsigned mr_field_count(enum mr_op op)
{
    unsigned count = 0;

    while (ops[op].traits->fields[count].name != NULL)
        count++;
    return count;
}

unsigned mr_statement_params(enum mr_op op)
{
    const struct mr_field *fields = ops[op].traits->fields;
    unsigned count = 0;

    for (unsigned i = 0; fields[i].name != NULL; i++)
        count += fields[i].clearable ? 2 : 1;
    return count;
}

int mr_field_index(enum mr_op op, const char *name)
{
    const struct mr_field *fields = ops[op].traits->fields;

    for (int i = 0; fields[i].name != NULL; i++)
        if (strcmp(fields[i].name, name) == 0)
            return i;
    return -1;
}
