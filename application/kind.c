/*
 * What the table of jobs is to have of a declared job: its columns as a JSON object, by their names.
 */
#include "application/keys.h"
#include "application/making.h"
#include "application/value.h"
#include "proto/json.h"

/* ---- JSON, member by member ---- */

static void begin_member(struct mr_buf *out, const char *name)
{
    if (out->len > 0 && out->data[out->len - 1] != '{')
        mr_buf_char(out, ',');
    mr_json_string(out, mr_slice_of(name));
    mr_buf_char(out, ':');
}

static void put_text(struct mr_buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    begin_member(out, name);
    mr_json_string(out, mr_slice_of(value));
}

static void put_integer(struct mr_buf *out, const char *name, struct mr_app_integer value)
{
    if (!value.is_set)
        return;
    begin_member(out, name);
    mr_buf_printf(out, "%lld", (long long)value.value);
}

static void put_number_or(struct mr_buf *out, const char *name, struct mr_app_integer value, int64_t usual)
{
    put_integer(out, name, value.is_set ? value : (struct mr_app_integer){true, usual});
}

static void put_flag(struct mr_buf *out, const char *name, bool value)
{
    begin_member(out, name);
    mr_buf_text(out, value ? "true" : "false");
}

static void put_names(struct mr_buf *out, const char *name, const struct mr_app_names *names)
{
    if (names->count == 0)
        return;
    begin_member(out, name);
    for (unsigned i = 0; i < names->count; i++) {
        mr_buf_char(out, i == 0 ? '[' : ',');
        mr_json_string(out, mr_slice_of(names->items[i].name));
    }
    mr_buf_char(out, ']');
}

/* ---- Arguments ---- */

/* A decimal is a number where a run is queued: JSON knows one kind of them. */
static const char *type_of(const struct mr_app_field *arg)
{
    return mr_app_type_name(arg->type.index == MR_APP_DECIMAL ? MR_APP_NUMBER : arg->type.index);
}

static void put_default(struct mr_buf *out, const struct mr_app_field *arg)
{
    begin_member(out, "default");
    if (arg->fallback->kind == MR_YAML_TEXT)
        mr_json_string(out, mr_slice_of(arg->fallback->text));
    else
        (void)!mr_yaml_json(arg->fallback, out); /* what JSON cannot say has been refused */
}

static void put_bound(struct mr_buf *out, const char *name, const char *bound)
{
    if (bound == NULL)
        return;
    begin_member(out, name);
    mr_buf_text(out, bound);
}

/*
 * What a job of statements is given by default is the worker's to say, as its process has it: a variable need not be the same in a process
 * that only queues.
 */
static void put_arg(struct mr_buf *out, const struct mr_app_field *arg, bool with_default)
{
    begin_member(out, arg->name);
    mr_buf_char(out, '{');
    put_text(out, "type", type_of(arg));
    if (arg->required)
        put_flag(out, "required", true);
    if (arg->fallback != NULL && with_default)
        put_default(out, arg);
    put_bound(out, "min", arg->range.min);
    put_bound(out, "max", arg->range.max);
    put_text(out, "pattern", arg->pattern);
    if (arg->length.is_set) {
        begin_member(out, "length");
        mr_buf_printf(out, "[%lld,%lld]", (long long)arg->length.min, (long long)arg->length.max);
    }
    mr_buf_char(out, '}');
}

static void put_rules(struct mr_buf *out, const struct mr_app_job *job)
{
    mr_buf_char(out, '{');
    for (unsigned i = 0; i < job->args.count; i++)
        put_arg(out, &job->args.items[i], job->work.index != MR_APP_BY_SQL);
    mr_buf_char(out, '}');
}

static void put_args(struct mr_buf *out, const struct mr_app_job *job)
{
    if (job->args.count == 0)
        return;
    begin_member(out, "args");
    put_rules(out, job);
}

const char *mr_make_rules(struct mr_making *self, const struct mr_app_job *job)
{
    struct mr_buf rules = {0};
    const char *out;

    put_rules(&rules, job);
    self->arena->failed |= rules.failed;
    out = rules.failed ? NULL : mr_arena_text(self->arena, (struct mr_slice){rules.data, rules.len});
    mr_buf_fini(&rules);
    return out;
}

/* ---- The job ---- */

/* A value as it stands in the file, before variables are filled in: these may be secrets, and differ between processes. */
static void put_source(struct mr_buf *out, const struct mr_yaml *node)
{
    char before = node->kind == MR_YAML_MAP ? '{' : '[';

    if (node->kind != MR_YAML_MAP && node->kind != MR_YAML_LIST) {
        if (node->kind == MR_YAML_TEXT && node->source != NULL)
            mr_json_string(out, mr_slice_of(node->source));
        else if (!mr_yaml_json(node, out))
            mr_buf_text(out, "null"); /* no reader takes such a number */
        return;
    }
    if (node->first == NULL)
        mr_buf_char(out, before);
    for (const struct mr_yaml *item = node->first; item != NULL; item = item->next) {
        mr_buf_char(out, before);
        before = ',';
        if (node->kind == MR_YAML_MAP) {
            mr_json_string(out, mr_slice_of(item->key->text));
            mr_buf_char(out, ':');
        }
        put_source(out, item);
    }
    mr_buf_char(out, node->kind == MR_YAML_MAP ? '}' : ']');
}

/* What the file says. Secrets stay out of what may be shown. */
static void put_declared(struct mr_buf *out, const struct mr_app_job *job)
{
    begin_member(out, "declared");
    mr_buf_char(out, '{');
    for (const struct mr_yaml *value = job->node->first; value != NULL; value = value->next) {
        if (mr_word_is_in("secret|secrets", value->key->text, NULL))
            continue;
        begin_member(out, value->key->text);
        put_source(out, value);
    }
    mr_buf_char(out, '}');
}

static void put_secrets(struct mr_buf *out, const struct mr_app_job *job)
{
    struct mr_app_name one = {.name = job->secret};

    if (job->secret != NULL)
        put_names(out, "secrets", &(struct mr_app_names){&one, 1});
    else
        put_names(out, "secrets", &job->secrets);
}

/* When it runs is written by the scheduler, as for the jobs of the engine (decision 0037). */
static void put_of_sql(struct mr_buf *out, const struct mr_app_job *job)
{
    put_flag(out, "exclusive", job->exclusive);
    put_flag(out, "manual", true);
}

/* `manual` is what a release without such work goes by: it starts none. */
static void put_of_others(struct mr_buf *out, const struct mr_app_job *job)
{
    static const char *const missed[] = {"once", "skip", "all"};

    put_flag(out, "exclusive", false);
    put_flag(out, "manual", false);
    put_text(out, "url", job->url);
    put_secrets(out, job);
    put_number_or(out, "attempts", job->retry.attempts, MR_KIND_ATTEMPTS);
    put_number_or(out, "retry_first_ms", job->retry.first_ms, MR_KIND_RETRY_FIRST_MS);
    put_number_or(out, "retry_most_ms", job->retry.most_ms, MR_KIND_RETRY_MOST_MS);
    put_number_or(out, "timeout_ms", job->timeout_ms, MR_KIND_TIMEOUT_MS);
    put_integer(out, "concurrency", job->concurrency);
    put_integer(out, "per_key", job->per_key);
    put_number_or(out, "priority", job->priority, 0);
    put_names(out, "unique_by", &job->unique.by);
    put_integer(out, "unique_for_ms", job->unique.for_ms);
    put_text(out, "schedule", job->cron);
    put_text(out, "timezone", job->timezone);
    if (job->missed.is_set)
        put_text(out, "missed", missed[job->missed.index]);
    put_integer(out, "keep_ms", job->keep_ms);
}

void mr_make_kind(struct mr_making *self, const struct mr_app_job *job)
{
    static const char *const works[] = {"sql", "push", "pull"};
    struct mr_job_kind *kinds = mr_arena_grow(self->arena, self->kinds, self->kind_count, sizeof *kinds);
    struct mr_buf columns = {0};

    if (kinds == NULL)
        return;
    self->kinds = kinds;
    mr_buf_char(&columns, '{');
    put_text(&columns, "work", works[job->work.index]);
    put_args(&columns, job);
    if (job->work.index == MR_APP_BY_SQL)
        put_of_sql(&columns, job);
    else
        put_of_others(&columns, job);
    put_declared(&columns, job);
    mr_buf_char(&columns, '}');
    self->arena->failed |= columns.failed;
    kinds[self->kind_count++] = (struct mr_job_kind){
        .name = job->name,
        .columns = columns.failed ? NULL : mr_arena_text(self->arena, (struct mr_slice){columns.data, columns.len}),
    };
    mr_buf_fini(&columns);
}
