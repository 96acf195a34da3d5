#include "app/declare.h"

#include <errno.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proto/jobs.h"
#include "runtime/backoff.h"
#include "runtime/clock.h"
#include "runtime/db.h"
#include "runtime/log.h"
#include "runtime/thread.h"
#include "sql/sql.h"

/* A hold lasts 60 s (sql/queries/declaration.sql). */
enum { PATIENCE_MS = 3000, KEEP_MS = 20000, LET_GO_MS = 1000, STATEMENT_MS = 8000 };

static const char *const names[] = {"declaration__hold", "declaration__write", "declaration__let_go"};

enum { STATEMENTS = sizeof names / sizeof names[0] };

struct mr_declare {
    const struct mr_config *config;
    bool (*is_awake)(void);
    const struct mr_statement *statements[STATEMENTS + 1];
    mr_db *db;
    struct mr_params params;
    mr_thread *thread;
    sem_t said; /* for the first time, or that was tried */
    struct mr_backoff backoff;
    char digest[2 * crypto_hash_sha256_BYTES + 1];
    char holder[128];
    bool is_held;   /* it was said that we are here */
    bool is_passed; /* another folder's declaration stands, and the log says so */
};

static int64_t now_ms(void)
{
    return mr_mono_ms(&mr_system_clock);
}

/* ---- What is declared ---- */

static void add(struct mr_declare *self, const char *name, const char *origin, const char *columns)
{
    mr_params_text(&self->params, 0, name);
    mr_params_text(&self->params, 1, origin);
    mr_params_text(&self->params, 2, columns);
}

/* What can be given to a run by hand is what statements of the application read, if there are some: the engine's own read nothing of it. */
static void put_columns(struct mr_buf *out, const struct mr_job_info *info)
{
    bool by_hand = info->starter == MR_STARTED_BY_ADMIN;

    mr_buf_printf(out, "{\"work\":\"sql\",\"exclusive\":%s,\"manual\":%s", info->exclusive ? "true" : "false",
                  by_hand ? "true" : "false");
    if (by_hand && info != mr_job_info(MR_JOB_bulk)) /* for whose runs there are operations */
        mr_buf_printf(out, ",\"args\":%s", info->rules != NULL ? info->rules : "{}");
    mr_buf_text(out, "}");
    mr_buf_char(out, '\0');
}

/* The job that is there to be measured has its row from the scheduler that works on it. */
static void add_engine(struct mr_declare *self, enum mr_job job)
{
    const struct mr_job_info *info = mr_job_info(job);
    struct mr_buf columns = {0};

    put_columns(&columns, info);
    add(self, info->name, "engine", job == MR_JOB_noop || columns.failed ? NULL : columns.data);
    mr_buf_fini(&columns);
}

static void bind(struct mr_declare *self)
{
    unsigned count;
    const struct mr_job_kind *kinds = mr_job_kinds(&count);

    mr_params_begin(&self->params, 3);
    for (int job = 0; job < MR_JOB_COUNT; job++)
        add_engine(self, (enum mr_job)job);
    for (unsigned i = 0; i < count; i++)
        add(self, kinds[i].name, "folder", kinds[i].columns);
}

/* Two folders that say the same of their jobs are one, in processes of a release that say the same of the engine's. */
static void digest(char out[2 * crypto_hash_sha256_BYTES + 1])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    unsigned count;
    const struct mr_job_kind *kinds = mr_job_kinds(&count);
    struct mr_buf engine = {0};

    crypto_hash_sha256_init(&state);
    for (int job = 0; job < MR_JOB_COUNT; job++)
        put_columns(&engine, mr_job_info((enum mr_job)job));
    crypto_hash_sha256_update(&state, (const unsigned char *)engine.data, engine.len);
    mr_buf_fini(&engine);
    for (unsigned i = 0; i < count; i++) {
        crypto_hash_sha256_update(&state, (const unsigned char *)kinds[i].name, strlen(kinds[i].name) + 1);
        crypto_hash_sha256_update(&state, (const unsigned char *)kinds[i].columns, strlen(kinds[i].columns) + 1);
    }
    crypto_hash_sha256_final(&state, hash);
    sodium_bin2hex(out, 2 * crypto_hash_sha256_BYTES + 1, hash, sizeof hash);
}

/* ---- Saying it ---- */

static mr_status run(struct mr_declare *self, const char *statement, mr_rows **out)
{
    mr_status status = mr_params_end(&self->params);

    return status == MR_OK ? mr_db_run(self->db, statement, &self->params, now_ms() + STATEMENT_MS, out) : status;
}

static mr_status exec(struct mr_declare *self, const char *sql)
{
    return mr_db_exec(self->db, sql, now_ms() + STATEMENT_MS, NULL);
}

static mr_status hold(struct mr_declare *self, bool *stands)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 2);
    mr_params_text(&self->params, 0, self->digest);
    mr_params_text(&self->params, 1, self->holder);
    status = run(self, "declaration__hold", &rows);
    *stands = status == MR_OK && mr_rows_int(rows, 0, 0, 0) != 0;
    mr_rows_free(&rows);
    return status;
}

/* The log says it when it is committed. */
static void note(struct mr_declare *self, bool stands, const mr_rows *written)
{
    unsigned changed = written != NULL ? mr_rows_count(written) : 0;
    int64_t removed = 0;

    for (unsigned row = 0; row < changed; row++)
        removed += mr_rows_int(written, row, 1, 0);
    if (!stands && !self->is_passed)
        mr_log(MR_LOG_WARN, "jobs stay as a newer folder declares them");
    if (changed > 0)
        mr_log(MR_LOG_INFO, "jobs declared", mr_log_int("written", changed - removed), mr_log_int("removed", removed));
    self->is_passed = !stands;
}

static mr_status declare_once(struct mr_declare *self)
{
    mr_rows *written = NULL;
    bool stands = false;
    mr_status status = exec(self, "BEGIN; SELECT pg_advisory_xact_lock(hashtext('millrace.declaration'))");

    if (status == MR_OK)
        status = hold(self, &stands);
    if (status == MR_OK && stands) {
        bind(self);
        status = run(self, "declaration__write", &written);
    }
    if (status == MR_OK)
        status = exec(self, "COMMIT");
    else if (mr_db_is_up(self->db))
        (void)!exec(self, "ROLLBACK");
    if (status == MR_OK) {
        self->is_held = true;
        note(self, stands, written);
    }
    mr_rows_free(&written);
    return status;
}

static mr_status declare(struct mr_declare *self)
{
    mr_status status = mr_db_connect(self->db);

    if (status == MR_OK)
        status = declare_once(self);
    return status;
}

static void let_go(struct mr_declare *self)
{
    mr_rows *rows = NULL;

    if (!self->is_held || mr_db_connect(self->db) != MR_OK)
        return; /* it runs out by itself */
    mr_params_begin(&self->params, 2);
    mr_params_text(&self->params, 0, self->digest);
    mr_params_text(&self->params, 1, self->holder);
    if (mr_params_end(&self->params) == MR_OK)
        (void)!mr_db_run(self->db, "declaration__let_go", &self->params, now_ms() + LET_GO_MS, &rows);
    mr_rows_free(&rows);
}

/* ---- The thread ---- */

static void note_failure(struct mr_declare *self)
{
    if (mr_backoff_failing_ms(&self->backoff, now_ms()) == 0)
        mr_log(MR_LOG_WARN, "jobs are not declared yet", mr_log_text("reason", mr_db_last_error(self->db)->message));
}

/* Milliseconds until it is to be said again. At first it is said whether the process is awake or not, which nobody can tell yet. */
static int64_t say(struct mr_declare *self, bool first)
{
    mr_status status = first || self->is_awake() ? declare(self) : MR_OK;

    mr_db_release(self->db);
    if (status == MR_OK) {
        mr_backoff_succeed(&self->backoff);
        return KEEP_MS;
    }
    note_failure(self);
    return mr_backoff_fail(&self->backoff, now_ms());
}

static void work(mr_thread *thread, void *argument)
{
    struct mr_declare *self = argument;
    int64_t pause_ms;

    mr_thread_ready(thread);
    pause_ms = say(self, true);
    sem_post(&self->said);
    while (!mr_thread_asked_to_end(thread, (int)pause_ms))
        pause_ms = say(self, false);
    let_go(self);
    mr_db_release(self->db);
}

/* ---- Life ---- */

static void destroy(struct mr_declare *self)
{
    mr_db_destroy(&self->db);
    mr_params_fini(&self->params);
    sem_destroy(&self->said);
    free(self);
}

mr_status mr_declare_start(struct mr_declare **out, const struct mr_config *config, bool (*is_awake)(void))
{
    struct mr_db_options options = {
        .config = config, .clock = &mr_system_clock, .host = config->db_host, .application_name = "declare", .set_wise = true};
    struct mr_declare *self = calloc(1, sizeof *self);
    char host[64] = "";
    mr_status status;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->config = config;
    self->is_awake = is_awake;
    sem_init(&self->said, 0, 0);
    for (size_t i = 0; i < STATEMENTS; i++)
        self->statements[i] = mr_statement_find(names[i]);
    digest(self->digest);
    gethostname(host, sizeof host - 1);
    snprintf(self->holder, sizeof self->holder, "%s:%d:%lld", host, (int)getpid(), (long long)mr_wall_ms(&mr_system_clock));
    status = mr_db_new(&self->db, &options, self->statements);
    if (status == MR_OK) {
        self->thread = mr_thread_start("declare", work, self);
        status = self->thread != NULL ? MR_OK : MR_NO_MEMORY;
    }
    if (status != MR_OK) {
        destroy(self);
        return status;
    }
    *out = self;
    return MR_OK;
}

void mr_declare_await(struct mr_declare *self)
{
    struct timespec give_up;

    if (self == NULL || clock_gettime(CLOCK_REALTIME, &give_up) != 0)
        return;
    give_up.tv_sec += PATIENCE_MS / 1000;
    while (sem_timedwait(&self->said, &give_up) != 0 && errno == EINTR)
        ;
}

void mr_declare_ask_to_stop(struct mr_declare *self)
{
    if (self != NULL)
        mr_thread_ask_to_end(self->thread);
}

bool mr_declare_stop_by(struct mr_declare **self, int64_t deadline_ms)
{
    if (*self == NULL)
        return true;
    if (!mr_thread_stop_by(&(*self)->thread, deadline_ms))
        return false;
    destroy(*self);
    *self = NULL;
    return true;
}
