/*
 * Jobs whose work is statements: in chunks, as the engine's own, or each once.
 */
#include "application/keys.h"
#include "application/making.h"
#include "proto/json.h"

bool mr_fill_parts(struct mr_making *self, const struct mr_app_statement *statement, struct mr_buf *out)
{
    const char *at = statement->sql;
    const char *open;

    while ((open = strstr(at, "{{")) != NULL) {
        const char *close = strstr(open, "}}");
        const struct mr_statement *part = mr_parts;
        size_t len = close != NULL ? (size_t)(close - open) - 2 : 0;

        while (part->name != NULL && (strlen(part->name) != len || memcmp(part->name, open + 2, len) != 0))
            part++;
        if (close == NULL || part->name == NULL) {
            mr_problems_add(self->problems, statement->place,
                            "unknown {{%.*s}} in a job's statement, expected {{chunk}} or its like", (int)(len < 40 ? len : 40),
                            open + 2);
            return false;
        }
        mr_buf_append(out, at, (size_t)(open - at));
        mr_buf_text(out, part->text);
        at = close + 2;
    }
    mr_buf_text(out, at);
    return true;
}

static const struct mr_job_statement *statements_of(struct mr_making *self, const struct mr_app_job *job)
{
    struct mr_job_statement *out = mr_arena_take(self->arena, (job->statements.count + 1) * sizeof *out);
    unsigned count = 0;

    for (unsigned i = 0; out != NULL && i < job->statements.count; i++) {
        const struct mr_app_statement *statement = mr_app_statement(self->application, job->statements.items[i].name);
        struct mr_buf text = {0};

        if (statement == NULL)
            continue;
        out[count++] =
            (struct mr_job_statement){.name = statement->name, .in_chunks = strstr(statement->sql, "{{chunk}}") != NULL};
        if (!mr_has_statement(self, statement->name) && mr_fill_parts(self, statement, &text))
            mr_make_job_statement(self, statement->name, &text);
        mr_buf_fini(&text);
    }
    return out;
}

/*
 * What a run has that says nothing else: the defaults. A statement needs {{chunk}} to see what a run was given. NULL: nothing.
 */
static const char *args_of(struct mr_making *self, const struct mr_app_job *job, const struct mr_job_statement *statements)
{
    struct mr_buf json = {0};
    const char *out;
    bool is_seen = false;

    if (job->args.count == 0)
        return NULL;
    for (; statements != NULL && statements->name != NULL; statements++)
        is_seen = is_seen || statements->in_chunks;
    if (!is_seen)
        mr_problems_add(self->problems, mr_yaml_place_of(job->node, "args"),
                        "no statement of the job sees them, expected one with {{chunk}}");
    for (unsigned i = 0; i < job->args.count; i++) {
        const struct mr_app_field *arg = &job->args.items[i];

        if (arg->fallback == NULL)
            continue;
        mr_buf_text(&json, json.len == 0 ? "{" : ",");
        mr_json_string(&json, mr_slice_of(arg->name));
        mr_buf_char(&json, ':');
        if (arg->type.index == MR_APP_TEXT)
            mr_json_string(&json, mr_slice_of(arg->fallback->text));
        else
            (void)!mr_yaml_json(arg->fallback, &json); /* what JSON cannot say has been refused */
    }
    mr_buf_char(&json, '}');
    self->arena->failed |= json.failed;
    out = json.len > 1 ? mr_arena_text(self->arena, (struct mr_slice){json.data, json.len}) : NULL;
    mr_buf_fini(&json);
    return out;
}

/* The engine's job of that name; MR_JOB_COUNT when there is none beside an application. */
static enum mr_job engine_job(const char *name)
{
    int job = 0;

    while (job < MR_JOB_COUNT &&
           !(mr_job_takes_more((enum mr_job)job) && strcmp(mr_job_info((enum mr_job)job)->name, name) == 0))
        job++;
    return (enum mr_job)job;
}

/* Of a job of the engine's an application says what it does in its runs, and nothing else. */
static void add_to_engine(struct mr_making *self, enum mr_job job, const struct mr_app_job *declared)
{
    struct mr_job_addition *all = mr_arena_grow(self->arena, self->additions, self->addition_count, sizeof *all);

    for (const struct mr_yaml *value = declared->node->first; value != NULL; value = value->next)
        if (!mr_word_is_in("work|statements|args|about", value->key->text, NULL))
            mr_problems_add(
                self->problems, mr_yaml_place(value->key),
                "\"%s\" of the engine's job \"%s\", expected nothing but the statements that are added to it, and their args",
                value->key->text, declared->name);
    if (all == NULL)
        return;
    self->additions = all;
    all[self->addition_count] = (struct mr_job_addition){.job = job, .statements = statements_of(self, declared)};
    all[self->addition_count].args = args_of(self, declared, all[self->addition_count].statements);
    all[self->addition_count].rules = declared->args.count > 0 ? mr_make_rules(self, declared) : NULL;
    self->addition_count++;
}

void mr_make_job(struct mr_making *self, const struct mr_app_job *job)
{
    static const char *const missed[] = {"once", "skip", "all"};
    enum mr_job engine = engine_job(job->name);
    const struct mr_job_statement *statements;
    struct mr_job_info *jobs;

    if (engine != MR_JOB_COUNT && job->work.index != MR_APP_BY_SQL) {
        mr_problems_add(self->problems, mr_yaml_place(mr_yaml_get(job->node, "work")),
                        "the job \"%s\" is the engine's own, expected \"sql\", or another name", job->name);
        return;
    }
    if (engine != MR_JOB_COUNT) {
        add_to_engine(self, engine, job);
        return;
    }
    if (self->kind_count == MR_KINDS_MAX) {
        mr_problems_add(self->problems, mr_yaml_place(job->node->key), "one job too many, expected at most %d", MR_KINDS_MAX);
        return;
    }
    mr_make_kind(self, job);
    if (job->work.index != MR_APP_BY_SQL)
        return;
    if (MR_JOB_COUNT + self->job_count >= MR_JOBS_MAX) {
        mr_problems_add(self->problems, mr_yaml_place(job->node->key), "one job of statements too many, expected at most %d",
                        MR_JOBS_MAX - MR_JOB_COUNT);
        return;
    }
    statements = statements_of(self, job);
    jobs = mr_arena_grow(self->arena, self->jobs, self->job_count, sizeof *jobs);
    if (jobs == NULL)
        return;
    self->jobs = jobs;
    jobs[self->job_count++] = (struct mr_job_info){
        .name = job->name,
        .at_once = 1,
        .exclusive = job->exclusive,
        .starter = MR_STARTED_BY_ADMIN,
        .about = job->about != NULL ? job->about : job->name,
        .statements = statements,
        .args = args_of(self, job, statements),
        .schedule = job->cron,
        .timezone = job->timezone,
        .missed = job->missed.is_set ? missed[job->missed.index] : NULL,
    };
}
