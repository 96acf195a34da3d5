#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "jobs/push_internal.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/shutdown.h"

enum {
    LOOKS = 4,
    AWAY_MS = 100,     /* between two looks at whether the database is back */
    RESTING_MS = 1000, /* between two looks at whether to wake up */
    SETTLE_RESERVE_MS = 1000,
    FILES_BESIDE = 256
};

/* After somebody was woken: others may have queued runs whose transactions are a little later. Milliseconds. */
static const int64_t looks_ms[LOOKS] = {0, 5, 20, 80};

int64_t push_now_ms(const struct mr_push *self)
{
    return mr_mono_ms(self->clock);
}

void push_errands_add(struct errands *self, struct errand *errand)
{
    errand->previous = NULL;
    errand->next = self->first;
    if (self->first != NULL)
        self->first->previous = errand;
    self->first = errand;
    self->count++;
}

void push_errands_remove(struct errands *self, struct errand *errand)
{
    if (errand->previous != NULL)
        errand->previous->next = errand->next;
    else
        self->first = errand->next;
    if (errand->next != NULL)
        errand->next->previous = errand->previous;
    self->count--;
}

/* ---- The database ---- */

mr_status push_run(struct mr_push *self, const char *statement, mr_rows **out)
{
    int64_t begun_us = mr_mono_us(self->clock);
    mr_status status = mr_params_end(&self->params);

    if (status != MR_OK)
        return status;
    status = mr_db_run(self->db, statement, &self->params, push_now_ms(self) + PUSH_STATEMENT_MS, out);
    mr_metric_statement(MR_ACTOR_JOB, mr_mono_us(self->clock) - begun_us);
    return status;
}

void push_note_failure(struct mr_push *self, struct mr_backoff *backoff, const char *statement, mr_status status)
{
    const struct mr_db_error *error = mr_db_last_error(self->db);
    bool is_told = mr_backoff_is_over(backoff, push_now_ms(self)) && !error->lost;

    mr_backoff_fail(backoff, push_now_ms(self));
    if (is_told)
        mr_log_bounded(MR_LOG_ERROR, "statement failed", mr_log_text("actor", "push"), mr_log_text("statement", statement),
                       mr_log_text("status", mr_status_name(status)), mr_log_text("sqlstate", error->sqlstate),
                       mr_log_text("reason", error->message));
}

static void note_refusal(struct mr_push *self)
{
    if (!mr_db_is_refused(self->db) || atomic_exchange(&self->refused, true))
        return;
    mr_log(MR_LOG_ERROR, "the database refuses user or password", mr_log_text("actor", "push"),
           mr_log_text("reason", mr_db_last_error(self->db)->message));
    mr_shutdown_request();
}

static void note_absence(struct mr_push *self)
{
    int64_t attempts;

    if (mr_db_should_tell(self->db, &attempts))
        mr_log(MR_LOG_WARN, "database not reached yet", mr_log_text("actor", "push"),
               mr_log_text("trouble", mr_db_trouble_word(mr_db_trouble(self->db))), mr_log_int("attempts", attempts),
               mr_log_text("reason", mr_db_last_error(self->db)->message));
}

/* Whether there is a connection on which nothing is left of an earlier one. */
static bool is_connected(struct mr_push *self)
{
    bool was_up = self->was_up;

    self->was_up = mr_db_connect(self->db) == MR_OK;
    if (was_up && !self->was_up)
        mr_metric_add(MR_METRIC_db_lost, 1);
    note_absence(self);
    if (!self->was_up) {
        note_refusal(self);
        return false;
    }
    if (self->serial != mr_db_serial(self->db) && mr_backoff_is_over(&self->claiming, push_now_ms(self)))
        push_disown(self);
    return mr_db_is_up(self->db);
}

/* ---- Rest: a database that may sleep (DB_IDLE_RELEASE) ---- */

static bool is_kept_awake(const struct mr_push *self)
{
    return self->options.is_awake != NULL && self->options.is_awake(self->options.argument);
}

/* Not while something becomes due before long. */
static void rest(struct mr_push *self)
{
    int64_t now = push_now_ms(self);
    int64_t release_ms = self->config->db_idle_release;
    int64_t poll_ms = self->config->schedule_idle_poll;

    if (release_ms == 0 || self->is_stopping || self->in_hand > 0 || now - self->busy_ms < release_ms ||
        self->next_due_ms - now < release_ms || is_kept_awake(self))
        return;
    mr_db_release(self->db);
    mr_log(MR_LOG_DEBUG, "database connection closed while idle", mr_log_text("actor", "push"));
    self->was_up = false;
    self->is_resting = true;
    self->rest_until_ms = self->next_due_ms;
    if (poll_ms > 0 && now + poll_ms < self->rest_until_ms)
        self->rest_until_ms = now + poll_ms;
}

static bool is_resting(struct mr_push *self)
{
    if (self->is_resting && (push_now_ms(self) >= self->rest_until_ms || self->is_stopping || is_kept_awake(self))) {
        self->is_resting = false;
        self->busy_ms = push_now_ms(self);
        self->poll_ms = self->sweep_ms = 0;
    }
    return self->is_resting;
}

/* ---- Looking for work ---- */

static int64_t next_look_ms(const struct mr_push *self)
{
    int64_t next = self->is_freed ? 0 : self->poll_ms;

    if (self->wake_looks < LOOKS && self->wake_ms + looks_ms[self->wake_looks] < next)
        next = self->wake_ms + looks_ms[self->wake_looks];
    return next;
}

static void look(struct mr_push *self)
{
    int64_t now = push_now_ms(self);

    if (mr_db_notified(self->db)) {
        self->wake_ms = now;
        self->wake_looks = 0;
    }
    if (!mr_backoff_is_over(&self->claiming, now) || (now < next_look_ms(self) && !push_kinds_have_work(self)))
        return;
    self->is_freed = false;
    while (self->wake_looks < LOOKS && now >= self->wake_ms + looks_ms[self->wake_looks])
        self->wake_looks++;
    if (now >= self->poll_ms) {
        self->poll_ms = now + PUSH_POLL_MS;
        push_kinds_prune(self);
        mr_metric_show(MR_METRIC_held_back, push_hosts_held_back(self));
    }
    push_look(self);
}

/* What is due by now becomes ready, also where nobody else sees to it. */
static void sweep(struct mr_push *self)
{
    mr_rows *rows = NULL;
    int64_t now = push_now_ms(self);
    int64_t next_ms;
    mr_status status;

    if (now < self->sweep_ms || !mr_backoff_is_over(&self->claiming, now))
        return;
    mr_params_begin(&self->params, 0);
    status = push_run(self, "push__sweep", &rows);
    if (status != MR_OK) {
        push_note_failure(self, &self->claiming, "push__sweep", status);
        return;
    }
    next_ms = mr_rows_int(rows, 0, 1, INT64_MAX / 2);
    if (mr_rows_int(rows, 0, 0, 0) > 0) {
        self->poll_ms = now;
        self->busy_ms = now;
    }
    mr_rows_free(&rows);
    self->next_due_ms = next_ms > INT64_MAX / 4 ? INT64_MAX : now + next_ms;
    self->sweep_ms = self->next_due_ms < now + PUSH_POLL_MS ? self->next_due_ms : now + PUSH_POLL_MS;
}

/* ---- The loop ---- */

/* A statement that has been cancelled because the process ends has no successor, which would only wait for the same lock. */
static bool may_ask(const struct mr_push *self)
{
    return mr_db_is_up(self->db) && !mr_shutdown_is_cut();
}

static void work_with_database(struct mr_push *self)
{
    if (!is_connected(self))
        return;
    push_settle(self);
    if (push_now_ms(self) >= self->beat_ms && may_ask(self))
        push_beat(self);
    if (!self->is_stopping && may_ask(self))
        sweep(self);
    if (!self->is_stopping && may_ask(self))
        look(self);
    push_settle(self); /* of what failed at once */
    rest(self);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* To look and to sweep wait for the backoff of both, however long they have been due. */
static int64_t next_claim_ms(const struct mr_push *self)
{
    int64_t next = least(next_look_ms(self), self->sweep_ms);

    return mr_backoff_is_over(&self->claiming, push_now_ms(self)) || next > self->claiming.until_ms ? next
                                                                                                    : self->claiming.until_ms;
}

static int wait_ms(const struct mr_push *self)
{
    int64_t now = push_now_ms(self);
    int64_t until = least(self->beat_ms, self->is_stopping ? self->stop_ms : next_claim_ms(self));

    if (self->is_resting)
        return RESTING_MS;
    if (!mr_db_is_up(self->db))
        return AWAY_MS;
    if (self->done.count > 0)
        until = least(until, self->settling.until_ms);
    if (mr_db_poll_in_ms(self->db) >= 0)
        until = least(until, now + mr_db_poll_in_ms(self->db));
    return until <= now ? 0 : (int)least(until - now, PUSH_POLL_MS);
}

static void wait(struct mr_push *self)
{
    struct pollfd items[] = {
        {.fd = mr_courier_fd(self->courier), .events = POLLIN},
        {.fd = self->is_stopping ? -1 : mr_thread_end_fd(self->inside), .events = POLLIN},
        {.fd = self->is_resting ? -1 : mr_db_fd(self->db), .events = POLLIN},
        {.fd = self->is_resting ? -1 : mr_db_demoted_fd(self->db), .events = POLLIN},
    };

    poll(items, sizeof items / sizeof items[0], wait_ms(self));
    if (items[2].revents != 0)
        mr_db_consume_input(self->db);
}

/*
 * What is not sent goes back; what is under way has the grace, but for the time that it takes to tell its outcome. The grace began with
 * the process's end, which a statement that waited for a lock may have kept from this thread.
 */
static void begin_to_stop(struct mr_push *self)
{
    int64_t cut_ms = mr_shutdown_plan(self->config->shutdown_grace).cut_ms;

    self->is_stopping = true;
    self->stop_ms = least(push_now_ms(self), mr_shutdown_begun_ms()) + cut_ms - least(cut_ms / 4, SETTLE_RESERVE_MS);
    mr_courier_recall(self->courier, false);
}

/* Whether it is time to go. */
static bool stop(struct mr_push *self)
{
    bool is_late = push_now_ms(self) >= self->stop_ms || mr_shutdown_is_cut();

    if (is_late && !self->is_cut) {
        self->is_cut = true;
        mr_courier_recall(self->courier, true);
    }
    if (self->sent.count == 0 && self->done.count == 0)
        return true;
    return is_late && self->sent.count == 0 && push_now_ms(self) >= self->stop_ms + SETTLE_RESERVE_MS;
}

static void work(mr_thread *thread, void *argument)
{
    struct mr_push *self = argument;
    bool is_over = false;

    self->inside = thread;
    mr_thread_ready(thread);
    while (!is_over) {
        push_take_calls(self);
        if (!is_resting(self))
            work_with_database(self);
        if (!self->is_stopping && mr_thread_asked_to_end(thread, 0))
            begin_to_stop(self);
        is_over = self->is_stopping && stop(self);
        if (!is_over)
            wait(self);
    }
    mr_db_release(self->db);
}

/* ---- Life ---- */

/* A descriptor for each call, and one for its name. */
static void allow_files(const struct mr_config *config)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->push_in_flight * 2 + FILES_BESIDE;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Who has a run: unique to this thread, so that a restarted process never takes the runs of its forerunner for its own. */
static void name_worker(struct mr_push *self)
{
    char host[64] = "";

    gethostname(host, sizeof host - 1);
    snprintf(self->worker, sizeof self->worker, "%s:%d:%lld/push", host, (int)getpid(), (long long)mr_wall_us(self->clock));
}

static mr_status open_all(struct mr_push *self)
{
    struct mr_db_options database = {.config = self->config,
                                     .clock = self->clock,
                                     .host = self->config->db_host,
                                     .application_name = "push",
                                     .channel = "millrace_ready",
                                     .set_wise = true,
                                     .statement_timeout = PUSH_STATEMENT_MS};
    struct mr_courier_options courier = {.clock = self->clock,
                                         .connections = (unsigned)self->config->push_in_flight,
                                         .allow_private = self->config->push_allow_private,
                                         .certificate = self->config->push_certificate,
                                         .resolve = self->options.resolve};
    mr_status status = MR_NO_MEMORY;

    self->statements = mr_statements_of("push__");
    if (self->statements != NULL)
        status = mr_db_new(&self->db, &database, self->statements);
    if (status == MR_OK)
        status = mr_courier_start(&self->courier, &courier);
    return status;
}

static void destroy_errands(struct errands *list)
{
    while (list->first != NULL) {
        struct errand *errand = list->first;

        push_errands_remove(list, errand);
        push_errand_destroy(errand);
    }
}

/* False: the courier still runs. */
static bool destroy(struct mr_push *self, int64_t deadline_ms)
{
    if (self->courier != NULL && !mr_courier_stop_by(&self->courier, deadline_ms))
        return false;
    destroy_errands(&self->sent);
    destroy_errands(&self->done);
    push_kinds_fini(self);
    mr_db_destroy(&self->db);
    mr_params_fini(&self->params);
    mr_buf_fini(&self->body);
    mr_buf_fini(&self->text);
    free(self->statements);
    free(self);
    return true;
}

mr_status mr_push_start(struct mr_push **out, const struct mr_push_options *options)
{
    struct mr_push *self = calloc(1, sizeof *self);
    mr_status status;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->options = *options;
    self->config = options->config;
    self->clock = options->clock;
    self->busy_ms = push_now_ms(self);
    self->wake_looks = LOOKS;
    name_worker(self);
    allow_files(self->config);
    status = open_all(self);
    if (status == MR_OK) {
        self->thread = mr_thread_start("push", work, self);
        status = self->thread != NULL ? MR_OK : MR_NO_MEMORY;
    }
    if (status != MR_OK) {
        destroy(self, INT64_MAX);
        return status;
    }
    *out = self;
    return MR_OK;
}

void mr_push_ask_to_stop(struct mr_push *self)
{
    if (self->thread != NULL)
        mr_thread_ask_to_end(self->thread);
}

bool mr_push_stop_by(struct mr_push **self, int64_t deadline_ms)
{
    if (*self == NULL)
        return true;
    if (!mr_thread_stop_by(&(*self)->thread, deadline_ms) || !destroy(*self, deadline_ms))
        return false;
    *self = NULL;
    return true;
}

bool mr_push_is_refused(const struct mr_push *self)
{
    return atomic_load(&self->refused);
}
