#include "application/form.h"

/* Of those that may walk far: so many answers are in memory at once. */
enum { MANY_MAX = 16 };

/* Reads have no key, and may run again. */
static struct mr_traits for_batches(const struct mr_traits *traits, bool changes)
{
    struct mr_traits out = *traits;

    out.row_wise = false;
    out.rerun_safe = !changes;
    if (!changes)
        out.key = out.resource = NULL;
    if (out.shape == MR_SHAPE_MANY)
        out.batch_max = MANY_MAX;
    return out;
}

static const char *text_of(struct mr_making *making, struct mr_buf *text)
{
    const char *out = text->failed ? NULL : mr_arena_text(making->arena, (struct mr_slice){text->data, text->len});

    making->arena->failed |= out == NULL;
    mr_buf_fini(text);
    return out != NULL ? out : "";
}

static void put_statement(struct mr_making *making, const char *name, struct mr_buf *text)
{
    for (unsigned i = 0; i < making->statement_count; i++)
        if (strcmp(making->statements[i].statement.name, name) == 0) {
            making->statements[i] = (struct mr_made){.statement = {name, text_of(making, text)}};
            return;
        }
    mr_make_statement(making, name, text);
}

/* The operation that answers batches: of the readers, for what only reads may go to a replica. */
static struct mr_successor *add_successor(struct mr_making *making, unsigned at, const struct mr_traits *traits)
{
    struct mr_successor *out = mr_arena_take(making->arena, sizeof *out);
    struct mr_traits *own = mr_arena_take(making->arena, sizeof *own);
    struct mr_op_info info = making->ops[at];

    if (out == NULL || own == NULL)
        return NULL;
    *own = for_batches(traits, false);
    info.path = NULL;
    info.actor = MR_ACTOR_DATA_READER;
    info.traits = own;
    out->op = (enum mr_op)(MR_OP_COUNT + making->op_count);
    return mr_make_row(making, &info) ? out : NULL;
}

static const struct mr_variant *one_statement(struct mr_making *making, const char *name, enum mr_shape shape)
{
    struct mr_variant *out = mr_arena_take(making->arena, 2 * sizeof *out);

    if (out != NULL)
        out[0] = (struct mr_variant){.statement = name, .shape = shape};
    return out;
}

/* The statement of its name is that for a batch. */
static void make_choice(const struct mr_custom *custom, unsigned at, struct mr_traits *traits)
{
    struct mr_making *making = custom->making;
    const char *name = making->ops[at].name;
    struct mr_choice *all = mr_arena_grow(making->arena, making->choices, making->choice_count, sizeof *all);
    struct mr_successor *successor = add_successor(making, at, traits);
    struct mr_choice choice = {.name = name, .sql = *custom->sql, .successor = successor};
    struct mr_buf text = {0};

    choice.each = mr_make_text(making, "%s" MR_EACH, name);
    traits->variants = one_statement(making, choice.each, traits->shape);
    mr_custom_row_wise(&text, custom);
    put_statement(making, choice.each, &text);
    mr_custom_wrapped(&text, custom);
    put_statement(making, name, &text);
    if (all == NULL || successor == NULL)
        return;
    making->choices = all;
    all[making->choice_count++] = choice;
    making->ops[at].successor = successor;
}

static void make_set_wise(const struct mr_custom *custom, struct mr_op_info *op, struct mr_traits *traits)
{
    bool reads = !custom->sql->changes && op->verb == MR_VERB_GET;
    struct mr_buf text = {0};

    *traits = for_batches(traits, !reads);
    op->actor = reads ? MR_ACTOR_DATA_READER : MR_ACTOR_DATA_WRITER;
    mr_custom_set_wise(&text, custom);
    put_statement(custom->making, op->name, &text);
}

static void make_row_wise(const struct mr_custom *custom, unsigned at, struct mr_traits *traits)
{
    struct mr_op_info *op = &custom->making->ops[at];
    struct mr_buf text = {0};

    traits->row_wise = true;
    traits->rerun_safe = false;
    op->actor = MR_ACTOR_DATA_WRITER;
    if (custom->sql->kind == MR_SQL_READ && !traits->idempotent) {
        make_choice(custom, at, traits);
        return;
    }
    mr_custom_row_wise(&text, custom);
    put_statement(custom->making, op->name, &text);
}

void mr_make_form(const struct mr_custom *custom, unsigned at, struct mr_traits *traits)
{
    if (custom->sql->kind == MR_SQL_SET_WISE)
        make_set_wise(custom, &custom->making->ops[at], traits);
    else
        make_row_wise(custom, at, traits);
}
