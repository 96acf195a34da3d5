#include "scheduler/scheduler.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/shutdown.h"
#include "scheduler/internal.h"
#include "scheduler/zone.h"
#include "scheduler/pulse.h"

/*
 * LOOK_MS bounds a sleep, so that a wall clock that jumps is noticed. A poll is the backstop for a notice that was lost.
 * Runs are not judged by a process that has itself been away from the database: their owners may have been, too.
 */
enum {
    LOOK_MS = 250,
    POLL_MS = 1000,
    BEAT_MS = 5000,
    COUNT_MS = 10000,
    STATEMENT_MS = 8000,
    LOCK_MS = 100, /* statements that pass held rows by may still meet a lock: of a table, or by a foreign key */
    AWAY_MS = 100,
    PING_AFTER_MS = 2000,
    LET_GO_MS = 1000,
    LOOK_LATER_MS = 1000,
    UNWELL_AFTER_MS = 10000 /* what has failed for so long does not pass by itself */
};

/* ---- The connection ---- */

/* A new connection may have missed anything. */
static void came_up(struct mr_scheduler *self)
{
    self->was_up = true;
    self->up_since_ms = self->answered_ms = scheduler_now_ms(self);
    if (!self->looking)
        self->busy_ms = self->up_since_ms;
    self->poll_ms = 0;
    self->has_unfinished = true;
    self->hold_ms = 0;
    self->beat_ms = 0;
    self->sweep_ms = 0;
    self->catching_up = false;
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
    mr_shutdown_request();
}

static void tell_trouble(struct mr_scheduler *self)
{
    int64_t attempts;

    if (mr_db_should_tell(self->db, &attempts))
        mr_log(MR_LOG_WARN, "database not reached yet", mr_log_text("actor", "scheduler"),
               mr_log_text("trouble", mr_db_trouble_word(mr_db_trouble(self->db))), mr_log_int("attempts", attempts),
               mr_log_text("reason", mr_db_last_error(self->db)->message));
}

static bool may_sync(const struct mr_scheduler *self)
{
    return !self->synced && !atomic_load(&self->refused) && scheduler_pause_ms(self, STEP_SYNC) == 0 &&
           (!self->waits || scheduler_now_ms(self) >= self->hold_ms);
}

static bool is_connected(struct mr_scheduler *self)
{
    if (self->was_up && !mr_db_is_up(self->db))
        went_down(self);
    if (mr_db_connect(self->db) != MR_OK) {
        note_refusal(self);
        tell_trouble(self);
        return false;
    }
    tell_trouble(self);
    if (!self->was_up)
        came_up(self);
    if (may_sync(self))
        self->synced = ticks_sync(self) == MR_OK;
    return self->synced && mr_db_is_up(self->db);
}

/*
 * ---- Rest: a database that may sleep (DB_IDLE_RELEASE) ----
 *
 * Who rests hears of no run that another scheduler takes, nor of that one's end. So while another is there it looks now and then:
 * the database is awake anyway, because of the other. A look takes no hold, or two that rest would wake each other for ever.
 */

static bool is_idle(const struct mr_scheduler *self)
{
    return self->config->db_idle_release > 0 && !self->has_unfinished &&
           scheduler_now_ms(self) - self->busy_ms >= self->config->db_idle_release;
}

static bool may_rest(const struct mr_scheduler *self)
{
    return is_idle(self) && self->waiting_until_ms - scheduler_now_ms(self) > self->config->db_idle_release &&
           mr_db_is_up(self->db) && self->troubles[STEP_POLL].failures == 0 &&
           ticks_next_ms(self) - mr_wall_ms(self->clock) > self->config->db_idle_release;
}

static void rest(struct mr_scheduler *self)
{
    int64_t now = scheduler_now_ms(self);
    int64_t others_ms;

    self->looking = false;
    if (holds_let_go(self, LET_GO_MS, &others_ms) != MR_OK) {
        self->busy_ms = now;
        return;
    }
    self->resting = true;
    self->was_up = false;
    self->poll_ms = self->config->schedule_idle_poll > 0 ? now + self->config->schedule_idle_poll : INT64_MAX;
    if (self->waiting_until_ms < self->poll_ms)
        self->poll_ms = self->waiting_until_ms;
    self->look_ms = others_ms > 0 ? now + others_ms + LOOK_LATER_MS : INT64_MAX;
    mr_db_release(self->db);
    mr_log(MR_LOG_DEBUG, "database connection closed while idle", mr_log_text("actor", "scheduler"));
}

static bool is_resting(struct mr_scheduler *self)
{
    bool has_work = ticks_next_ms(self) <= mr_wall_ms(self->clock) || scheduler_now_ms(self) >= self->poll_ms;

    if (self->resting && !has_work && scheduler_now_ms(self) < self->look_ms)
        return true;
    if (self->resting)
        self->looking = !has_work;
    self->resting = false;
    return false;
}

/* There is work after all. */
static void end_look(struct mr_scheduler *self)
{
    if ((self->has_unfinished && self->poll_ms != 0) || ticks_next_ms(self) <= mr_wall_ms(self->clock))
        self->looking = false;
}

/* ---- The loop ---- */

static void work(struct mr_scheduler *self)
{
    int64_t now;

    if (is_resting(self) || !is_connected(self))
        return;
    end_look(self);
    holds_keep(self);
    if (!self->synced)
        return;
    ticks_fire(self);
    now = scheduler_now_ms(self);
    if (scheduler_pause_ms(self, STEP_POLL) == 0 && (mr_db_notified(self->db) || now >= self->poll_ms)) {
        self->poll_ms = now + POLL_MS - POLL_MS / 10 + randombytes_uniform(POLL_MS / 5);
        runs_poll(self);
        follow_poll(self);
    }
    follow_sweep(self);
    if (now >= self->beat_ms) {
        self->beat_ms = now + BEAT_MS;
        runs_beat(self);
        if (now - self->up_since_ms >= MR_RUN_SILENT_MS)
            runs_rescue(self);
    }
    if (now >= self->uploads_ms && mr_db_is_up(self->db))
        uploads_sweep(self);
    if (now >= self->outgrown_ms && mr_db_is_up(self->db))
        outgrown_look(self);
    if (now >= self->count_ms) {
        self->count_ms = now + COUNT_MS;
        runs_count(self);
        queues_count(self);
    }
    if (may_rest(self))
        rest(self);
}

/* For how long something has failed here, or in an actor, while its connection stands. */
static int64_t failing_ms(const struct mr_scheduler *self)
{
    int64_t taking_ms = runs_failing_ms(self);
    int64_t longest = scheduler_failing_ms(self);

    if (taking_ms > longest)
        longest = taking_ms;
    for (unsigned i = 0; i < self->options->actor_count; i++) {
        int64_t since_ms = atomic_load(&self->options->actors[i]->stats.failing_since_ms);

        if (since_ms != 0 && scheduler_now_ms(self) - since_ms > longest)
            longest = scheduler_now_ms(self) - since_ms;
    }
    return longest;
}

/* Health: this answer is the proof that the loop goes round; whether the database answers was seen a moment ago, or is now. */
static void answer_pulse(struct mr_scheduler *self)
{
    char line[256];
    bool failing = failing_ms(self) >= UNWELL_AFTER_MS;
    bool up = self->resting || (mr_db_is_up(self->db) && (self->synced || self->waits));
    int64_t next_ms = ticks_next_ms(self);
    const char *trouble;

    if (up && !self->resting && scheduler_now_ms(self) - self->answered_ms > PING_AFTER_MS)
        up = mr_db_exec(self->db, "SELECT 1", scheduler_now_ms(self) + 1000, NULL) == MR_OK;
    if (up && !self->resting)
        self->answered_ms = scheduler_now_ms(self);
    trouble = self->resting ? "" : mr_db_trouble_word(mr_db_trouble(self->db));
    snprintf(
        line, sizeof line,
        "{\"status\":\"%s\",\"scheduler\":{\"status\":\"%s\",\"nextTickMs\":%lld},\"database\":{\"status\":\"%s\"%s%s%s%s}}\n",
        up && !failing ? "ok" : "error",
        failing       ? "failing"
        : self->waits ? "waiting"
                      : "up",
        next_ms == INT64_MAX ? -1LL : (long long)(next_ms - mr_wall_ms(self->clock)), up ? "up" : "down",
        self->resting ? ",\"idle\":true" : "", *trouble != '\0' ? ",\"reason\":\"" : "", trouble, *trouble != '\0' ? "\"" : "");
    mr_pulse_answer(self->options->pulse_fd, mr_slice_of(line));
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int sleep_ms(const struct mr_scheduler *self)
{
    int64_t now = scheduler_now_ms(self);
    int64_t sleep = least(LOOK_MS, ticks_idle_ms(self));

    if (!self->resting && !mr_db_is_up(self->db))
        return AWAY_MS;
    if (!self->resting && (self->waits || atomic_load(&self->refused)))
        return LOOK_MS;
    if (!self->resting && !self->synced)
        return (int)least(LOOK_MS, scheduler_pause_ms(self, STEP_SYNC));
    if (!self->resting && scheduler_pause_ms(self, STEP_POLL) == 0)
        sleep = least(sleep, self->poll_ms - now);
    if (!self->resting)
        sleep = least(sleep, least(self->sweep_ms, least(self->beat_ms, self->uploads_ms)) - now);
    return sleep > 0 ? (int)sleep : 0;
}

/* For other threads. */
static void show(struct mr_scheduler *self)
{
    bool up = mr_db_is_up(self->db);
    const char *trouble = NULL;

    if (!self->resting && !up)
        trouble = mr_db_trouble_text(mr_db_trouble(self->db));
    else if (!self->resting && !self->synced && !self->waits)
        trouble = "The schedules are not stored in the database yet.";
    else if (failing_ms(self) >= UNWELL_AFTER_MS)
        trouble = "The scheduler's statements have failed for some time; the log names them.";
    atomic_store(&self->connected, up || self->resting);
    atomic_store(&self->awake, up && !self->resting);
    atomic_store(&self->trouble, trouble);
    atomic_store(&self->turned_ms, scheduler_now_ms(self));
}

static void loop(mr_thread *thread, void *argument)
{
    struct mr_scheduler *self = argument;
    bool stop = false;
    int64_t others_ms;

    mr_thread_ready(thread);
    while (!stop) {
        struct mr_wake wake;

        work(self);
        runs_give_out(self);
        show(self);
        wake = mr_mailbox_wait(self->mailbox, thread, mr_db_fd(self->db), self->options->pulse_fd, sleep_ms(self));
        if (wake.fd)
            mr_db_consume_input(self->db);
        if (wake.other_fd)
            answer_pulse(self);
        mr_metrics_tick(self->clock);
        stop = wake.stop;
    }
    if (mr_db_is_up(self->db))
        (void)!holds_let_go(self, LET_GO_MS, &others_ms);
}

/* ---- Life ---- */

static enum mr_missed missed_of(const struct mr_config *config, enum mr_job job)
{
    const char *own = mr_job_info(job)->missed;

    return mr_missed_of(own != NULL ? own : config->schedule_missed);
}

static void read_schedules(struct mr_scheduler *self)
{
    for (unsigned job = 0; job < mr_job_count(); job++) {
        struct mr_schedule *schedule = &self->schedules[self->schedule_count];
        struct mr_cron_problem problem;

        *schedule = (struct mr_schedule){.job = (enum mr_job)job,
                                         .next_ms = INT64_MAX,
                                         .zone = mr_job_zone((enum mr_job)job, self->options->zone),
                                         .missed = missed_of(self->config, (enum mr_job)job)};
        if (!self->options->is_on[job])
            continue;
        schedule->text = ticks_expression(self->config, (enum mr_job)job);
        if (*schedule->text != '\0' && mr_cron_parse(&schedule->cron, mr_slice_of(schedule->text), &problem))
            self->schedule_count++;
    }
    if (self->schedule_count == (unsigned)self->config->housekeeping)
        mr_log(MR_LOG_INFO, "no job is scheduled: only runs started by hand and retries are worked on");
}

static mr_status open_all(struct mr_scheduler *self)
{
    struct mr_db_options options = {.config = self->config,
                                    .clock = self->clock,
                                    .host = self->config->db_host,
                                    .application_name = "scheduler",
                                    .channel = "millrace_jobs",
                                    .set_wise = true,
                                    .statement_timeout = STATEMENT_MS,
                                    .lock_timeout = LOCK_MS};
    mr_status status = MR_NO_MEMORY;

    self->statements = mr_statements_of("schedule__");
    if (self->statements != NULL)
        status = mr_db_new(&self->db, &options, self->statements);
    if (status == MR_OK)
        status = mr_mailbox_new(&self->mailbox, mr_actor_info(MR_ACTOR_SCHEDULER)->name);
    for (unsigned i = 0; i < self->options->actor_count && status == MR_OK; i++)
        status = mr_mailbox_connect(self->mailbox, self->options->actors[i]->name);
    return status;
}

static void destroy(struct mr_scheduler *self)
{
    follow_end(self);
    queues_end(self);
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
    self->wall_ms = mr_wall_ms(options->clock);
    holds_begin(self);
    self->turned_ms = mr_mono_ms(options->clock);
    self->trouble = mr_db_trouble_text(MR_DB_AWAY);
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

int64_t mr_scheduler_turned_ms(const struct mr_scheduler *self)
{
    return atomic_load(&self->turned_ms);
}

bool mr_scheduler_is_connected(const struct mr_scheduler *self)
{
    return atomic_load(&self->connected);
}

bool mr_scheduler_is_awake(const struct mr_scheduler *self)
{
    return atomic_load(&self->awake);
}

const char *mr_scheduler_trouble(const struct mr_scheduler *self)
{
    return atomic_load(&self->trouble);
}

bool mr_scheduler_is_refused(const struct mr_scheduler *self)
{
    return atomic_load(&self->refused);
}

void mr_scheduler_ask_to_stop(struct mr_scheduler *self)
{
    if (self->thread != NULL)
        mr_thread_ask_to_end(self->thread);
}

bool mr_scheduler_stop_by(struct mr_scheduler *self, int64_t deadline_ms)
{
    return self == NULL || mr_thread_stop_by(&self->thread, deadline_ms);
}

void mr_scheduler_destroy(struct mr_scheduler **self)
{
    if (*self == NULL)
        return;
    mr_thread_stop(&(*self)->thread);
    destroy(*self);
    *self = NULL;
}
