#include "actors/usernames.h"

#include <stdlib.h>

#include "proto/username.h"
#include "proto/uuid.h"
#include "runtime/log.h"

/* START_PAUSE_MS: while a process starts, its database has more urgent things to do for it. */
enum {
    STATEMENT_MS = 10000,
    START_PAUSE_MS = 300,
    CHUNK_PAUSE_MS = 20,
    RETRY_MS = 1000,
    RETRY_MOST_MS = 60000,
    TOLD_MOST = 20
};

struct mr_usernames {
    const struct mr_config *config;
    const struct mr_clock *clock;
    const struct mr_statement *statements[3];
    mr_thread *thread;
    mr_db *db;
    struct mr_params params;
    uint8_t last_id[16]; /* of the chunk that was done last */
    bool done;
    bool told; /* that it has to wait */
    int retry_ms;
    int64_t seen;
    int64_t colliding;
};

void mr_usernames_bind(struct mr_params *params, unsigned column, struct mr_slice name)
{
    struct mr_buf folded = {0};
    struct mr_value value = {.present = mr_username_fold(name, &folded) == MR_OK};

    value.text = (struct mr_slice){folded.data, folded.len};
    mr_params_add(params, column, MR_TEXT, &value);
    mr_buf_fini(&folded);
}

static mr_status run(struct mr_usernames *self, unsigned statement, mr_rows **out)
{
    mr_status status = mr_params_end(&self->params);

    if (status == MR_OK)
        status =
            mr_db_run(self->db, self->statements[statement]->name, &self->params, mr_mono_ms(self->clock) + STATEMENT_MS, out);
    return status;
}

static mr_status read_chunk(struct mr_usernames *self, mr_rows **out)
{
    mr_params_begin(&self->params, 1);
    mr_params_id(&self->params, 0, self->last_id);
    return run(self, 0, out);
}

static void tell_colliding(const mr_rows *rows, unsigned row)
{
    struct mr_slice id = {"", 0};
    struct mr_slice name = {"", 0};
    char text[MR_UUID_TEXT];

    mr_rows_get(rows, row, 0, &id);
    mr_rows_get(rows, row, 1, &name);
    mr_uuid_format(text, (const uint8_t *)id.data);
    mr_log(MR_LOG_WARN, "username collides with an older one: it is found by its exact spelling only",
           mr_log_slice("username", name), mr_log_slice("userId", ((struct mr_slice){text, sizeof text})));
}

static mr_status store_chunk(struct mr_usernames *self, const mr_rows *chunk)
{
    mr_rows *colliding = NULL;
    mr_status status;

    mr_params_begin(&self->params, 2);
    for (unsigned row = 0; row < mr_rows_count(chunk); row++) {
        struct mr_slice id = {"", 0};
        struct mr_slice name = {"", 0};

        mr_rows_get(chunk, row, 0, &id);
        mr_rows_get(chunk, row, 1, &name);
        mr_params_id(&self->params, 0, (const uint8_t *)id.data);
        mr_usernames_bind(&self->params, 1, name);
    }
    status = run(self, 1, &colliding);
    if (status != MR_OK)
        return status;
    for (unsigned row = 0; row < mr_rows_count(colliding); row++)
        if (self->colliding++ < TOLD_MOST)
            tell_colliding(colliding, row);
    mr_rows_free(&colliding);
    return MR_OK;
}

static mr_status next_chunk(struct mr_usernames *self)
{
    mr_rows *chunk = NULL;
    mr_status status = mr_db_connect(self->db);

    if (status == MR_OK)
        status = read_chunk(self, &chunk);
    if (status != MR_OK)
        return status;
    if (mr_rows_count(chunk) == 0) {
        self->done = true;
    } else if ((status = store_chunk(self, chunk)) == MR_OK) {
        struct mr_slice id = {"", 0};

        self->seen += mr_rows_count(chunk);
        mr_rows_get(chunk, mr_rows_count(chunk) - 1, 0, &id);
        memcpy(self->last_id, id.data, sizeof self->last_id);
    }
    mr_rows_free(&chunk);
    return status;
}

/* Milliseconds until the next attempt. What fails because another process was faster succeeds then. */
static int pause_after(struct mr_usernames *self, mr_status status)
{
    if (status == MR_OK) {
        self->retry_ms = RETRY_MS;
        return CHUNK_PAUSE_MS;
    }
    if (!self->told)
        mr_log(MR_LOG_WARN, "usernames cannot be folded yet", mr_log_text("reason", mr_db_last_error(self->db)->message));
    self->told = true;
    self->retry_ms = self->retry_ms < RETRY_MOST_MS / 2 ? self->retry_ms * 2 : RETRY_MOST_MS;
    return self->retry_ms;
}

static void work(mr_thread *thread, void *argument)
{
    struct mr_usernames *self = argument;
    int pause_ms = START_PAUSE_MS;

    mr_thread_ready(thread);
    while (!self->done && !mr_thread_asked_to_end(thread, pause_ms))
        pause_ms = pause_after(self, next_chunk(self));
    mr_db_release(self->db);
    if (self->seen > 0)
        mr_log(MR_LOG_INFO, "usernames folded", mr_log_int("users", self->seen - self->colliding),
               mr_log_int("colliding", self->colliding));
    while (!mr_thread_asked_to_end(thread, -1)) {
    }
}

static void destroy(struct mr_usernames *self)
{
    mr_db_destroy(&self->db);
    mr_params_fini(&self->params);
    free(self);
}

mr_status mr_usernames_start(struct mr_usernames **out, const struct mr_config *config, const struct mr_clock *clock)
{
    struct mr_db_options options = {
        .config = config, .clock = clock, .host = config->db_host, .application_name = "usernames", .set_wise = true};
    struct mr_usernames *self = calloc(1, sizeof *self);
    mr_status status = MR_NO_MEMORY;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->config = config;
    self->clock = clock;
    self->retry_ms = RETRY_MS;
    self->statements[0] = mr_statement_find("register__unfolded");
    self->statements[1] = mr_statement_find("register__fold");
    status = mr_db_new(&self->db, &options, self->statements);
    if (status == MR_OK) {
        self->thread = mr_thread_start("usernames", work, self);
        status = self->thread != NULL ? MR_OK : MR_NO_MEMORY;
    }
    if (status != MR_OK) {
        destroy(self);
        return status;
    }
    *out = self;
    return MR_OK;
}

bool mr_usernames_stop_by(struct mr_usernames **self, int64_t deadline_ms)
{
    if (*self == NULL)
        return true;
    if (!mr_thread_stop_by(&(*self)->thread, deadline_ms))
        return false;
    destroy(*self);
    *self = NULL;
    return true;
}
