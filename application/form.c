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

static void add_choice(const struct mr_custom *custom, const char *name, struct mr_traits *traits)
{
    struct mr_making *making = custom->making;
    struct mr_choice *all = mr_arena_grow(making->arena, making->choices, making->choice_count, sizeof *all);
    struct mr_buf text = {0};

    if (all == NULL)
        return;
    mr_custom_wrapped(&text, custom);
    making->choices = all;
    all[making->choice_count++] = (struct mr_choice){.name = name,
                                                     .sql = *custom->sql,
                                                     .set_wise = text_of(making, &text),
                                                     .traits = traits,
                                                     .for_batches = for_batches(traits, false)};
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

static void make_row_wise(const struct mr_custom *custom, struct mr_op_info *op, struct mr_traits *traits)
{
    struct mr_buf text = {0};

    traits->row_wise = true;
    traits->rerun_safe = false;
    op->actor = MR_ACTOR_DATA_WRITER;
    mr_custom_row_wise(&text, custom);
    put_statement(custom->making, op->name, &text);
    if (custom->sql->kind == MR_SQL_READ && !traits->idempotent)
        add_choice(custom, op->name, traits);
}

void mr_make_form(const struct mr_custom *custom, struct mr_op_info *op, struct mr_traits *traits)
{
    if (custom->sql->kind == MR_SQL_SET_WISE)
        make_set_wise(custom, op, traits);
    else
        make_row_wise(custom, op, traits);
}
