#include "scheduler/scheduler.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "scheduler/pulse.h"
#include "scheduler/schedule.h"

/*
 * LOOK_MS bounds a sleep, so that a wall clock that jumps is noticed. A poll is the backstop for a notice that was lost.
 * Runs are not judged by a process that has itself been away from the database: their owners may have been, too.
 */
enum {
    LOOK_MS = 250,
    POLL_MS = 1000,
    BEAT_MS = 5000,
    SILENT_MS = 30000,
    WAIT_MS = 10000,
    STATEMENT_MS = 8000,
    AWAY_MS = 100,
    PROMPT_LIFE_MS = 60000,
    PING_AFTER_MS = 2000,
    BACKWARDS_MS = 500
};

struct mr_scheduler {
    const struct mr_scheduler_options *options;
    const struct mr_config *config;
    const struct mr_clock *clock;
    const struct mr_zone *zone;
    enum mr_missed missed;
    struct mr_schedule schedules[MR_JOB_COUNT];
    unsigned schedule_count;
    bool is_on[MR_JOB_COUNT];
    _Atomic bool refused;

    /* The thread's own. */
    mr_thread *thread;
    mr_mailbox *mailbox;
    mr_db *db;
    const struct mr_statement **statements;
    struct mr_params params;
    struct mr_buf payload;
    struct mr_buf frame;
    bool was_up;
    bool synced;                             /* the table of jobs knows our schedules */
    bool resting;                            /* the connection was let go for want of work */
    int64_t up_since_ms;                     /* monotonic, as all below unless they say otherwise */
    int64_t answered_ms;                     /* when the database did, last */
    int64_t busy_ms;                         /* when there was something to do, last */
    int64_t poll_ms;                         /* when to look next */
    int64_t beat_ms;                         /* when to beat next */
    int64_t wall_ms;                         /* wall clock: as it was in the last round */
    int64_t prompted_until_ms[MR_JOB_COUNT]; /* a prompt is on its way, or waits for its actor; 0: none */
    uint8_t random[10];
};

static int64_t now_ms(const struct mr_scheduler *self)
{
    return mr_mono_ms(self->clock);
}

/* ---- Statements ---- */

static mr_status query(struct mr_scheduler *self, const char *statement, mr_rows **out)
{
    mr_status status = mr_params_end(&self->params);

    if (status == MR_OK)
        status = mr_db_run(self->db, statement, &self->params, now_ms(self) + WAIT_MS, out);
    if (status == MR_OK) {
        self->answered_ms = now_ms(self);
        return MR_OK;
    }
    mr_log(MR_LOG_ERROR, "statement failed", mr_log_text("actor", "scheduler"), mr_log_text("statement", statement),
           mr_log_text("status", mr_status_name(status)), mr_log_text("sqlstate", mr_db_last_error(self->db)->sqlstate),
           mr_log_text("reason", mr_db_last_error(self->db)->message));
    return status;
}

/* Tells the table of jobs what is on and when, and learns up to where each schedule was seen to. */
static mr_status sync_jobs(struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 6);
    for (int job = 0; job < MR_JOB_COUNT; job++) {
        const struct mr_job_info *info = mr_job_info((enum mr_job)job);
        const char *cron = info->cron != NULL ? mr_config_text(self->config, info->cron) : "";

        if (!self->is_on[job])
            continue;
        mr_params_text(&self->params, 0, info->name);
        mr_params_bool(&self->params, 1, info->alone);
        mr_params_bool(&self->params, 2, info->starter == MR_STARTED_BY_ADMIN);
        mr_params_text(&self->params, 3, *cron != '\0' ? cron : NULL);
        mr_params_text(&self->params, 4, *cron != '\0' ? self->config->schedule_timezone : NULL);
        mr_params_time(&self->params, 5, wall_ms * 1000);
    }
    status = query(self, "schedule__sync", &rows);
    if (status != MR_OK)
        return status;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice name = {"", 0};

        mr_rows_get(rows, row, 0, &name);
        for (unsigned i = 0; i < self->schedule_count; i++)
            if (mr_slice_is(name, mr_job_info(self->schedules[i].job)->name))
                mr_schedule_move(&self->schedules[i], self->zone,
                                 (mr_rows_int(rows, row, 1, 0) + MR_POSTGRES_EPOCH_MICROS) / 1000);
    }
    mr_rows_free(&rows);
    return MR_OK;
}

/* ---- Prompts ---- */

static void send_prompt(struct mr_scheduler *self, enum mr_job job)
{
    struct mr_envelope prompt = {.kind = MR_REQUEST,
                                 .op = MR_OP_run_due,
                                 .correlation = (uint64_t)job,
                                 .deadline_ms = mr_wall_ms(self->clock) + PROMPT_LIFE_MS};

    mr_buf_clear(&self->payload, SIZE_MAX);
    mr_buf_clear(&self->frame, SIZE_MAX);
    mr_payload_encode(&self->payload, prompt.op, NULL);
    prompt.payload = (struct mr_slice){self->payload.data, self->payload.len};
    for (unsigned i = 0; i < self->options->actor_count; i++)
        if (self->options->actors[i]->instance == (unsigned)job && mr_envelope_encode(&self->frame, &prompt) == MR_OK &&
            mr_mailbox_send(self->mailbox, self->options->actors[i]->name, self->frame.data, self->frame.len) == MR_OK)
            self->prompted_until_ms[job] = now_ms(self) + PROMPT_LIFE_MS;
}

/* At most one waits at an actor: a run can take hours. */
static void prompt(struct mr_scheduler *self, enum mr_job job)
{
    if (self->prompted_until_ms[job] <= now_ms(self))
        send_prompt(self, job);
}

static void take_mail(struct mr_scheduler *self)
{
    struct mr_parcel parcel;
    struct mr_envelope reply;

    while (mr_mailbox_take(self->mailbox, &parcel)) {
        if (mr_envelope_decode(&reply, parcel.data, parcel.len) == MR_OK && reply.kind != MR_REQUEST &&
            reply.correlation < MR_JOB_COUNT)
            self->prompted_until_ms[reply.correlation] = 0;
        mr_parcel_release(&parcel);
    }
}

/* ---- Ticks ---- */

static void make_id(struct mr_scheduler *self, int64_t wall_ms)
{
    uint8_t random[10];
    struct mr_value id = {.present = true};

    randombytes_buf(random, sizeof random);
    mr_uuid_v7(id.uuid, wall_ms, random);
    mr_params_add(&self->params, 0, MR_UUID, &id);
}

static void add_tick(struct mr_scheduler *self, const struct mr_schedule *schedule, const int64_t *tick_ms, int64_t seen_to_ms,
                     int64_t next_ms)
{
    make_id(self, mr_wall_ms(self->clock));
    mr_params_text(&self->params, 1, mr_job_info(schedule->job)->name);
    mr_params_text(&self->params, 2, schedule->text);
    if (tick_ms != NULL)
        mr_params_time(&self->params, 3, *tick_ms * 1000);
    else
        mr_params_null(&self->params, 3, MR_TIME);
    mr_params_time(&self->params, 4, seen_to_ms * 1000);
    if (next_ms != INT64_MAX)
        mr_params_time(&self->params, 5, next_ms * 1000);
    else
        mr_params_null(&self->params, 5, MR_TIME);
}

static void note_ticks(const struct mr_schedule *schedule, const struct mr_ticks *ticks, unsigned made)
{
    const char *job = mr_job_info(schedule->job)->name;

    mr_metric_add(MR_METRIC_ticks, made);
    mr_metric_add(MR_METRIC_ticks_late, made > 0 ? ticks->late : 0);
    mr_metric_add(MR_METRIC_ticks_missed, ticks->missed);
    if (ticks->missed > 0)
        mr_log(MR_LOG_WARN, "ticks missed", mr_log_text("job", job), mr_log_int("ticks", ticks->missed));
    mr_log(MR_LOG_DEBUG, "tick", mr_log_text("job", job), mr_log_int("runs", made));
}

static unsigned count_made(const mr_rows *rows)
{
    unsigned made = 0;

    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        made += mr_rows_int(rows, row, 1, 0) != 0;
    return made;
}

/* A schedule moves when its runs are in the table: what fails here is due in the next round, too. */
static bool fire(struct mr_scheduler *self, struct mr_schedule *schedule, const struct mr_ticks *ticks)
{
    struct mr_schedule moved = *schedule;
    mr_rows *rows = NULL;
    unsigned made;

    mr_schedule_move(&moved, self->zone, ticks->seen_to_ms);
    mr_params_begin(&self->params, 6);
    for (unsigned i = 0; i < ticks->count; i++)
        add_tick(self, schedule, &ticks->tick_ms[i], ticks->seen_to_ms, moved.next_ms);
    if (ticks->count == 0)
        add_tick(self, schedule, NULL, ticks->seen_to_ms, moved.next_ms);
    if (query(self, "schedule__tick", &rows) != MR_OK)
        return false;
    made = count_made(rows);
    mr_rows_free(&rows);
    note_ticks(schedule, ticks, made);
    *schedule = moved;
    if (made > 0)
        prompt(self, schedule->job);
    return true;
}

static void fire_due(struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    struct mr_ticks ticks;

    for (unsigned i = 0; i < self->schedule_count; i++) {
        struct mr_schedule *schedule = &self->schedules[i];

        if (wall_ms < self->wall_ms - BACKWARDS_MS)
            mr_schedule_rewind(schedule, self->zone, wall_ms);
        while (mr_schedule_due(schedule, self->zone, wall_ms, self->missed, &ticks)) {
            self->busy_ms = now_ms(self);
            if (!fire(self, schedule, &ticks))
                return;
        }
    }
    self->wall_ms = wall_ms;
}

/* What the table says of the next tick is for people to see. */
static bool tell_next(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;

    if (self->schedule_count == 0)
        return true;
    mr_params_begin(&self->params, 6);
    for (unsigned i = 0; i < self->schedule_count; i++)
        add_tick(self, &self->schedules[i], NULL, self->schedules[i].seen_to_ms, self->schedules[i].next_ms);
    if (query(self, "schedule__tick", &rows) != MR_OK)
        return false;
    mr_rows_free(&rows);
    return true;
}

static int64_t next_tick_ms(const struct mr_scheduler *self)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < self->schedule_count; i++)
        if (self->schedules[i].next_ms < next)
            next = self->schedules[i].next_ms;
    return next;
}

/* ---- Runs ---- */

/* Looks which jobs have a run that could start, and prompts their actors. */
static void poll_runs(struct mr_scheduler *self)
{
    enum mr_job jobs[MR_JOB_COUNT];
    unsigned count = 0;
    int64_t oldest_ms = 0;
    mr_rows *rows = NULL;

    mr_params_begin(&self->params, 1);
    for (int job = 0; job < MR_JOB_COUNT; job++)
        if (self->is_on[job]) {
            jobs[count++] = (enum mr_job)job;
            mr_params_text(&self->params, 0, mr_job_info((enum mr_job)job)->name);
        }
    if (query(self, "schedule__due", &rows) != MR_OK)
        return;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        int64_t waited_ms = mr_rows_int(rows, row, 1, -1);

        if (waited_ms >= 0)
            prompt(self, jobs[mr_rows_int(rows, row, 0, 1) - 1]);
        if (waited_ms > oldest_ms)
            oldest_ms = waited_ms;
        if (mr_rows_int(rows, row, 2, 0) != 0 || mr_rows_int(rows, row, 3, 0) != 0)
            self->busy_ms = now_ms(self);
    }
    mr_metric_show(MR_METRIC_queue_age_ms, (uint64_t)oldest_ms);
    mr_rows_free(&rows);
}

/* For the runs in hand here, also while one statement of theirs takes long. */
static void beat(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;
    unsigned count = 0;

    mr_params_begin(&self->params, 1);
    for (unsigned i = 0; i < self->options->actor_count; i++) {
        int64_t claim = atomic_load(&self->options->actors[i]->stats.claim);

        if (claim != 0) {
            mr_params_int(&self->params, 0, claim);
            count++;
        }
    }
    if (count > 0 && query(self, "schedule__beat", &rows) == MR_OK)
        mr_rows_free(&rows);
}

static void note_rescue(const mr_rows *rows, unsigned row)
{
    struct mr_slice job = {"", 0}, id = {"", 0}, state = {"", 0}, owner = {"", 0};
    char text[MR_UUID_TEXT + 1] = "";
    const char *outcome = "rescued";

    mr_rows_get(rows, row, 0, &job);
    mr_rows_get(rows, row, 3, &state);
    mr_rows_get(rows, row, 5, &owner);
    if (mr_rows_get(rows, row, 1, &id))
        mr_uuid_format(text, (const uint8_t *)id.data);
    if (mr_slice_is(state, "dead"))
        outcome = "dead";
    else if (mr_slice_is(state, "cancelled"))
        outcome = "cancelled";
    mr_metric_add(*outcome == 'd'   ? MR_METRIC_runs_dead
                  : *outcome == 'c' ? MR_METRIC_runs_cancelled
                                    : MR_METRIC_runs_rescued,
                  1);
    mr_log(*outcome == 'd' ? MR_LOG_ERROR : MR_LOG_WARN, "job run", mr_log_slice("job", job), mr_log_text("runId", text),
           mr_log_int("attempt", mr_rows_int(rows, row, 2, 0)), mr_log_int("durationMs", mr_rows_int(rows, row, 4, 0)),
           mr_log_text("outcome", outcome), mr_log_slice("owner", owner), mr_log_text("reason", "its process went silent"));
}

static void rescue(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;

    mr_params_begin(&self->params, 1);
    mr_params_int(&self->params, 0, SILENT_MS);
    if (query(self, "schedule__rescue", &rows) != MR_OK)
        return;
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        note_rescue(rows, row);
    if (mr_rows_count(rows) > 0)
        self->poll_ms = 0;
    mr_rows_free(&rows);
}

/* ---- The connection ---- */

/* A new connection may have missed anything. */
static void came_up(struct mr_scheduler *self)
{
    self->was_up = true;
    self->up_since_ms = self->answered_ms = self->busy_ms = now_ms(self);
    self->poll_ms = 0;
    self->beat_ms = 0;
    mr_log(MR_LOG_INFO, "database connected", mr_log_text("actor", "scheduler"));
}

static void went_down(struct mr_scheduler *self)
{
    self->was_up = false;
    mr_metric_add(MR_METRIC_db_lost, 1);
    mr_log(MR_LOG_WARN, "database connection lost", mr_log_text("actor", "scheduler"),
           mr_log_text("reason", mr_db_last_error(self->db)->message));
}

static void note_refusal(struct mr_scheduler *self)
{
    if (!mr_db_is_refused(self->db) || atomic_exchange(&self->refused, true))
        return;
    mr_log(MR_LOG_ERROR, "the database refuses user or password", mr_log_text("actor", "scheduler"),
           mr_log_text("reason", mr_db_last_error(self->db)->message));
    kill(getpid(), SIGTERM);
}

static bool is_connected(struct mr_scheduler *self)
{
    if (self->was_up && !mr_db_is_up(self->db))
        went_down(self);
    if (mr_db_connect(self->db) != MR_OK) {
        note_refusal(self);
        return false;
    }
    if (!self->was_up)
        came_up(self);
    if (!self->synced)
        self->synced = sync_jobs(self) == MR_OK && tell_next(self);
    return self->synced && mr_db_is_up(self->db);
}

/* ---- Rest: a database that may sleep (DB_IDLE_RELEASE) ---- */

static bool may_rest(const struct mr_scheduler *self)
{
    return self->config->db_idle_release > 0 && mr_db_is_up(self->db) &&
           now_ms(self) - self->busy_ms >= self->config->db_idle_release &&
           next_tick_ms(self) - mr_wall_ms(self->clock) > self->config->db_idle_release;
}

static void rest(struct mr_scheduler *self)
{
    self->resting = true;
    self->was_up = false;
    self->poll_ms = self->config->schedule_idle_poll > 0 ? now_ms(self) + self->config->schedule_idle_poll : INT64_MAX;
    mr_db_release(self->db);
    mr_log(MR_LOG_DEBUG, "database connection let go", mr_log_text("actor", "scheduler"));
}

static bool is_resting(struct mr_scheduler *self)
{
    if (self->resting && next_tick_ms(self) > mr_wall_ms(self->clock) && now_ms(self) < self->poll_ms)
        return true;
    self->resting = false;
    return false;
}

/* ---- The loop ---- */

static void work(struct mr_scheduler *self)
{
    int64_t now;

    if (is_resting(self) || !is_connected(self))
        return;
    fire_due(self);
    now = now_ms(self);
    if (mr_db_notified(self->db) || now >= self->poll_ms) {
        self->poll_ms = now + POLL_MS - POLL_MS / 10 + randombytes_uniform(POLL_MS / 5);
        poll_runs(self);
    }
    if (now >= self->beat_ms) {
        self->beat_ms = now + BEAT_MS;
        beat(self);
        if (now - self->up_since_ms >= SILENT_MS)
            rescue(self);
    }
    if (may_rest(self))
        rest(self);
}

/* Health: this answer is the proof that the loop goes round; whether the database answers was seen a moment ago, or is now. */
static void answer_pulse(struct mr_scheduler *self)
{
    char line[256];
    bool up = self->resting || (mr_db_is_up(self->db) && self->synced);
    int64_t next_ms = next_tick_ms(self);

    if (up && !self->resting && now_ms(self) - self->answered_ms > PING_AFTER_MS)
        up = mr_db_exec(self->db, "SELECT 1", now_ms(self) + 1000, NULL) == MR_OK;
    if (up && !self->resting)
        self->answered_ms = now_ms(self);
    snprintf(line, sizeof line,
             "{\"status\":\"%s\",\"scheduler\":{\"status\":\"up\",\"nextTickMs\":%lld},\"database\":{\"status\":\"%s\"%s}}\n",
             up ? "ok" : "error", next_ms == INT64_MAX ? -1LL : (long long)(next_ms - mr_wall_ms(self->clock)),
             up ? "up" : "down", self->resting ? ",\"idle\":true" : "");
    mr_pulse_answer(self->options->pulse_fd, mr_slice_of(line));
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int sleep_ms(const struct mr_scheduler *self)
{
    int64_t next_ms = next_tick_ms(self);
    int64_t sleep = LOOK_MS;

    if (!self->resting && !mr_db_is_up(self->db))
        return AWAY_MS;
    if (next_ms != INT64_MAX)
        sleep = least(sleep, next_ms - mr_wall_ms(self->clock));
    if (!self->resting)
        sleep = least(sleep, least(self->poll_ms, self->beat_ms) - now_ms(self));
    return sleep > 0 ? (int)sleep : 0;
}

static void loop(mr_thread *thread, void *argument)
{
    struct mr_scheduler *self = argument;
    bool stop = false;

    mr_thread_ready(thread);
    while (!stop) {
        struct mr_wake wake;

        work(self);
        wake = mr_mailbox_wait(self->mailbox, thread, mr_db_fd(self->db), self->options->pulse_fd, sleep_ms(self));
        if (wake.fd)
            mr_db_listen(self->db);
        if (wake.other_fd)
            answer_pulse(self);
        take_mail(self);
        mr_metrics_tick(self->clock);
        stop = wake.stop;
    }
}

/* ---- Life ---- */

static void read_schedules(struct mr_scheduler *self)
{
    for (int job = 0; job < MR_JOB_COUNT; job++) {
        const struct mr_job_info *info = mr_job_info((enum mr_job)job);
        struct mr_schedule *schedule = &self->schedules[self->schedule_count];
        struct mr_cron_problem problem;

        *schedule = (struct mr_schedule){.job = (enum mr_job)job, .next_ms = INT64_MAX};
        if (!self->is_on[job] || info->cron == NULL)
            continue;
        schedule->text = mr_config_text(self->config, info->cron);
        if (*schedule->text != '\0' && mr_cron_parse(&schedule->cron, mr_slice_of(schedule->text), &problem))
            self->schedule_count++;
    }
    if (self->schedule_count == 0)
        mr_log(MR_LOG_INFO, "no job is scheduled: only runs that are started by hand, or tried again, are worked on");
}

static mr_status select_statements(struct mr_scheduler *self)
{
    size_t count = 0;

    self->statements = calloc(16, sizeof *self->statements);
    if (self->statements == NULL)
        return MR_NO_MEMORY;
    for (const struct mr_statement *s = mr_statements; s->name != NULL && count < 15; s++)
        if (strncmp(s->name, "schedule__", 10) == 0)
            self->statements[count++] = s;
    return MR_OK;
}

static mr_status open_all(struct mr_scheduler *self)
{
    struct mr_db_options options = {.config = self->config,
                                    .clock = self->clock,
                                    .host = self->config->db_host,
                                    .application_name = "scheduler",
                                    .channel = "millrace_jobs",
                                    .set_wise = true,
                                    .statement_timeout = STATEMENT_MS};
    mr_status status = select_statements(self);

    if (status == MR_OK)
        status = mr_db_new(&self->db, &options, self->statements);
    if (status == MR_OK)
        status = mr_mailbox_new(&self->mailbox, mr_actor_info(MR_ACTOR_SCHEDULER)->name);
    for (unsigned i = 0; i < self->options->actor_count && status == MR_OK; i++)
        status = mr_mailbox_connect(self->mailbox, self->options->actors[i]->name);
    return status;
}

static void destroy(struct mr_scheduler *self)
{
    mr_db_destroy(&self->db);
    mr_mailbox_destroy(&self->mailbox);
    mr_params_fini(&self->params);
    mr_buf_fini(&self->payload);
    mr_buf_fini(&self->frame);
    if (self->options->pulse_fd >= 0)
        close(self->options->pulse_fd);
    free(self->statements);
    free(self);
}

mr_status mr_scheduler_start(struct mr_scheduler **out, const struct mr_scheduler_options *options)
{
    struct mr_scheduler *self = calloc(1, sizeof *self);
    mr_status status;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->options = options;
    self->config = options->config;
    self->clock = options->clock;
    self->zone = options->zone;
    self->missed = mr_missed_of(options->config->schedule_missed);
    self->wall_ms = mr_wall_ms(options->clock);
    for (unsigned i = 0; i < options->actor_count; i++)
        self->is_on[options->actors[i]->instance] = true;
    status = open_all(self);
    if (status == MR_OK) {
        read_schedules(self);
        self->thread = mr_thread_start("scheduler", loop, self);
        status = self->thread != NULL ? MR_OK : MR_NO_MEMORY;
    }
    if (status != MR_OK) {
        destroy(self);
        return status;
    }
    *out = self;
    return MR_OK;
}

bool mr_scheduler_is_refused(const struct mr_scheduler *self)
{
    return atomic_load(&self->refused);
}

void mr_scheduler_stop(struct mr_scheduler **self)
{
    if (*self == NULL)
        return;
    mr_thread_stop(&(*self)->thread);
    destroy(*self);
    *self = NULL;
}
