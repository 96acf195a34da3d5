#include "runtime/replica.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/log.h"
#include "runtime/thread.h"

/* How soon a loss, and an attempt that is due, are noticed: attempts have pauses of their own, up to a second. */
enum { IDLE_LOOK_MS = 500, AWAY_LOOK_MS = 50 };

struct mr_replica {
    mr_db *db;
    const char *reader; /* for the log */
    const _Atomic bool *rests;
    mr_thread *thread;
    int back_fd;       /* an eventfd; -1 when the system has none to give: the reader looks when it has work */
    _Atomic bool away; /* the connection is the thread's */
};

/* A reason other than the loss itself, such as a password that the replica does not know yet, is logged once. */
static void note_reason(const struct mr_replica *self, bool *told)
{
    if (!*told)
        mr_log_bounded(MR_LOG_WARN, "replica cannot be reached", mr_log_text("actor", self->reader),
                       mr_log_text("reason", mr_db_last_error(self->db)->message));
    *told = true;
}

/* One look at a replica that is away. */
static void bring_back(struct mr_replica *self, bool *told)
{
    if (atomic_load(self->rests))
        return;
    if (mr_db_connect(self->db) != MR_OK) {
        note_reason(self, told);
        return;
    }
    if (atomic_load(self->rests)) /* meanwhile */
        mr_db_release(self->db);
    *told = false;
    mr_log_bounded(MR_LOG_INFO, "replica is back", mr_log_text("actor", self->reader));
    atomic_store(&self->away, false);
    (void)!write(self->back_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static void loop(mr_thread *thread, void *argument)
{
    struct mr_replica *self = argument;
    bool told = false;

    mr_thread_ready(thread);
    while (!mr_thread_asked_to_end(thread, atomic_load(&self->away) ? AWAY_LOOK_MS : IDLE_LOOK_MS))
        if (atomic_load(&self->away))
            bring_back(self, &told);
}

mr_status mr_replica_new(struct mr_replica **out, const struct mr_db_options *options,
                         const struct mr_statement *const *statements, const _Atomic bool *rests)
{
    struct mr_replica *self = calloc(1, sizeof *self);
    mr_status status = MR_NO_MEMORY;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->reader = options->application_name;
    self->rests = rests;
    self->back_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    status = mr_db_new(&self->db, options, statements);
    if (status == MR_OK) {
        self->thread = mr_thread_start("replica", loop, self);
        status = self->thread != NULL ? MR_OK : MR_NO_MEMORY;
    }
    if (status != MR_OK) {
        mr_replica_destroy(&self);
        return status;
    }
    *out = self;
    return MR_OK;
}

mr_db *mr_replica_db(struct mr_replica *self)
{
    return atomic_load(&self->away) ? NULL : self->db;
}

int mr_replica_fd(const struct mr_replica *self)
{
    return self->back_fd;
}

void mr_replica_welcome(struct mr_replica *self)
{
    uint64_t times;

    (void)!read(self->back_fd, &times, sizeof times);
}

void mr_replica_give_up(struct mr_replica *self)
{
    mr_log_bounded(MR_LOG_WARN, "replica is away: reading from the primary", mr_log_text("actor", self->reader),
                   mr_log_text("reason", mr_db_last_error(self->db)->message));
    mr_db_release(self->db);
    atomic_store(&self->away, true);
}

void mr_replica_ask_to_stop(struct mr_replica *self)
{
    mr_thread_ask_to_end(self->thread);
}

bool mr_replica_stop_by(struct mr_replica *self, int64_t deadline_ms)
{
    return mr_thread_stop_by(&self->thread, deadline_ms);
}

void mr_replica_destroy(struct mr_replica **self)
{
    if (*self == NULL)
        return;
    mr_thread_stop(&(*self)->thread);
    mr_db_destroy(&(*self)->db);
    if ((*self)->back_fd >= 0)
        close((*self)->back_fd);
    free(*self);
    *self = NULL;
}
