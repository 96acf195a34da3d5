/*
 * What is asked unasked.
 *
 * While clients wait, the gateway says each second what for. Meanwhile the actor looks for it: each second, and after a wake on
 * `millrace_ready` at once and 5, 20 and 80 ms later, because a transaction may commit behind the wake that it was heard by. What is
 * over (leases, delays) is swept when it is due, by the word of the last sweep, and each second while clients wait, for others may make
 * something due that nobody tells. When nobody waits and nothing is known to become due, nothing is asked at all.
 */
#include "actors/work_internal.h"
#include "proto/literal.h"
#include "proto/uuid.h"
#include "runtime/answer.h"

enum { BELIEVE_MS = 2500, LOOK_MS = 1000, SWEEP_MS = 1000, SWEEP_MOST = 500, RETRY_MS = 1000, STATEMENT_MS = 5000 };

static const int after_wake_ms[] = {0, 5, 20, 80};

enum { AFTER_WAKE = sizeof after_wake_ms / sizeof after_wake_ms[0] };

/* Columns. */
enum { JOB, RUNS, ENDED, PROMOTED = 0, EXPIRED, NEXT };

static struct watch *watch_of(const struct mr_actor *self)
{
    return &work_own(self)->watch;
}

static int64_t now_ms(const struct mr_actor *self)
{
    return mr_mono_ms(self->clock);
}

static bool anybody_waits(const struct mr_actor *self)
{
    return watch_of(self)->believed_until_ms > now_ms(self);
}

/* The earlier of two moments, where 0 is never. */
static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* ---- When ---- */

int64_t work_due_in_ms(const struct mr_actor *self)
{
    const struct watch *watch = watch_of(self);
    int64_t next_ms = earlier(anybody_waits(self) ? watch->look_ms : 0, watch->sweep_ms);
    int64_t left_ms = next_ms - now_ms(self);

    if (next_ms == 0)
        return -1;
    return left_ms > 0 ? left_ms : 0;
}

void work_look_soon(struct mr_actor *self)
{
    watch_of(self)->look_ms = now_ms(self);
}

void work_noticed(struct mr_actor *self)
{
    struct watch *watch = watch_of(self);

    watch->notified_ms = watch->look_ms = now_ms(self);
    watch->looks = 0;
}

void work_note_claim(struct mr_actor *self, bool any)
{
    struct watch *watch = watch_of(self);
    int64_t at_ms = now_ms(self);

    if (any)
        watch->sweep_ms = earlier(watch->sweep_ms, at_ms + SWEEP_MS);
    else if (at_ms - watch->swept_ms >= SWEEP_MS)
        watch->sweep_ms = at_ms;
}

static bool is_same(const struct mr_buf *kept, struct mr_slice told)
{
    return kept->len == told.len && memcmp(kept->data, told.data, told.len) == 0;
}

static void keep(struct mr_buf *out, struct mr_slice told)
{
    mr_buf_clear(out, SIZE_MAX);
    mr_buf_slice(out, told);
}

/* Of several messages the last holds. */
void work_on_watch(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    const struct mr_value *values = messages[count - 1]->values;
    struct mr_slice jobs = values[mr_field_index(MR_OP_run_watch, "jobs")].text;
    struct mr_slice runs = values[mr_field_index(MR_OP_run_watch, "runs")].text;
    struct watch *watch = watch_of(self);
    bool is_new = !anybody_waits(self) || !is_same(&watch->jobs, jobs) || !is_same(&watch->runs, runs);
    bool nobody = mr_slice_is(jobs, "{}") && mr_slice_is(runs, "{}");

    for (unsigned i = 0; i < count; i++)
        is_new |= messages[i]->values[mr_field_index(MR_OP_run_watch, "look")].boolean;
    keep(&watch->jobs, jobs);
    keep(&watch->runs, runs);
    watch->believed_until_ms = nobody || watch->jobs.failed || watch->runs.failed ? 0 : now_ms(self) + BELIEVE_MS;
    if (is_new)
        work_look_soon(self);
    if (!nobody && now_ms(self) - watch->swept_ms >= SWEEP_MS)
        watch->sweep_ms = now_ms(self);
    for (unsigned i = 0; i < count; i++)
        mr_answer_nothing(self, messages[i]);
}

/* ---- Looking ---- */

/* A statement of the actor's own. */
static mr_status ask(struct mr_actor *self, const char *statement, mr_rows **out)
{
    mr_status status = mr_params_end(&self->params);

    self->in_hand_count = 0;
    if (status == MR_OK)
        status = mr_answer_query(self, statement, true, now_ms(self) + STATEMENT_MS, out);
    if (status != MR_OK)
        mr_answer_log(self, statement, status, 0);
    return status;
}

static void tell_ready(struct mr_actor *self, const mr_rows *rows, unsigned row)
{
    struct mr_value values[2] = {{.present = true}, {.present = true, .integer = mr_rows_int(rows, row, RUNS, 1)}};

    if (mr_rows_get(rows, row, JOB, &values[0].text))
        mr_actor_tell_gateway(self, MR_OP_work_ready, values);
}

static void tell_ended(struct mr_actor *self, const mr_rows *rows)
{
    struct mr_buf ids = {0};
    unsigned count = 0;

    mr_literal_begin(&ids);
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_value id = {.present = true};
        struct mr_slice bytes;

        if (!mr_rows_get(rows, row, ENDED, &bytes) || bytes.len != sizeof id.uuid)
            continue;
        memcpy(id.uuid, bytes.data, sizeof id.uuid);
        mr_literal_add(&ids, MR_UUID, &id);
        count++;
    }
    mr_literal_end(&ids);
    if (count > 0 && !ids.failed)
        mr_actor_tell_gateway(self, MR_OP_runs_ended, &(struct mr_value){.present = true, .text = {ids.data, ids.len}});
    mr_buf_fini(&ids);
}

/* When after this look, which was due: the next of those behind a wake, or in a second. */
static void plan_look(struct mr_actor *self)
{
    struct watch *watch = watch_of(self);
    int64_t at_ms = now_ms(self);

    while (watch->looks < AFTER_WAKE && watch->notified_ms + after_wake_ms[watch->looks] <= at_ms)
        watch->looks++;
    watch->look_ms = at_ms + LOOK_MS;
    if (watch->looks < AFTER_WAKE && watch->notified_ms != 0)
        watch->look_ms = watch->notified_ms + after_wake_ms[watch->looks];
}

/* The elements of a literal as those of a parameter; NULL where there is none, which nothing is equal to. */
static void add_elements(struct mr_actor *self, unsigned column, enum mr_type type, const struct mr_buf *literal)
{
    struct mr_slice rest = {literal->data, literal->len};
    struct mr_buf text = {0};
    bool any = false;

    while (mr_literal_next(&rest, &text)) {
        struct mr_value value = {.present = true, .text = {text.len > 0 ? text.data : "", text.len}};

        if (type != MR_UUID || mr_uuid_parse(value.uuid, text.data, text.len))
            mr_params_add(&self->params, column, type, &value);
        any = true;
        mr_buf_clear(&text, SIZE_MAX);
    }
    if (!any)
        mr_params_null(&self->params, column, type);
    mr_buf_fini(&text);
}

static void look(struct mr_actor *self)
{
    const struct watch *watch = watch_of(self);
    mr_rows *rows = NULL;

    plan_look(self);
    mr_params_begin(&self->params, 2);
    add_elements(self, 0, MR_TEXT, &watch->jobs);
    add_elements(self, 1, MR_UUID, &watch->runs);
    if (ask(self, "run_watch__look", &rows) == MR_OK) {
        for (unsigned row = 0; row < mr_rows_count(rows); row++)
            tell_ready(self, rows, row);
        tell_ended(self, rows);
    }
    mr_rows_free(&rows);
}

/* ---- Sweeping ---- */

static void plan_sweep(struct mr_actor *self, int64_t next_ms)
{
    struct watch *watch = watch_of(self);
    int64_t at_ms = now_ms(self);

    watch->swept_ms = at_ms;
    watch->sweep_ms = next_ms >= 0 ? at_ms + next_ms : 0;
    if (anybody_waits(self))
        watch->sweep_ms = earlier(watch->sweep_ms, at_ms + SWEEP_MS);
}

static void sweep(struct mr_actor *self)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 1);
    mr_params_int(&self->params, 0, SWEEP_MOST);
    status = ask(self, "run_watch__sweep", &rows);
    if (status != MR_OK || mr_rows_count(rows) == 0) {
        plan_sweep(self, RETRY_MS);
    } else {
        plan_sweep(self, mr_rows_int(rows, 0, NEXT, -1));
        if (mr_rows_int(rows, 0, PROMOTED, 0) + mr_rows_int(rows, 0, EXPIRED, 0) > 0)
            work_look_soon(self);
    }
    mr_rows_free(&rows);
}

void work_turn(struct mr_actor *self)
{
    const struct watch *watch = watch_of(self);

    if (watch->sweep_ms != 0 && watch->sweep_ms <= now_ms(self))
        sweep(self);
    if (anybody_waits(self) && watch->look_ms != 0 && watch->look_ms <= now_ms(self))
        look(self);
}
