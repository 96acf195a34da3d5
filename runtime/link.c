#include "runtime/link.h"

#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/replica.h"
#include "runtime/shutdown.h"

/* A database that has not come back after RESUME_MS does not sleep, it is away. */
enum { RESUME_MS = 60000 };

bool mr_link_is_waking(const struct mr_actor *self)
{
    return self->waking_until_ms != 0;
}

/*
 * A process gets its password once, at its start; when that is refused now, it was rotated. To end in order is the way
 * to a new one: whoever runs the process starts it again.
 */
static void note_refusal(struct mr_actor *self)
{
    if (!mr_db_is_refused(self->db) || atomic_exchange(&self->stats.refused, true))
        return;
    mr_log(MR_LOG_ERROR, "the database refuses user or password", mr_log_text("actor", self->name),
           mr_log_text("reason", mr_db_last_error(self->db)->message));
    mr_shutdown_request();
}

/* Whoever looks at the log at any time finds out what keeps the connection from coming back, without a line an attempt. */
static void note_absence(struct mr_actor *self)
{
    int64_t attempts;

    if (mr_db_should_tell(self->db, &attempts))
        mr_log_bounded(MR_LOG_WARN, "database not reached yet", mr_log_text("actor", self->name),
                       mr_log_text("trouble", mr_db_trouble_word(mr_db_trouble(self->db))), mr_log_int("attempts", attempts),
                       mr_log_text("reason", mr_db_last_error(self->db)->message));
}

void mr_link_note(struct mr_actor *self)
{
    bool up = mr_db_is_up(self->db);

    note_refusal(self);
    atomic_store(&self->stats.trouble, up || mr_link_is_waking(self) ? NULL : mr_db_trouble_text(mr_db_trouble(self->db)));
    if (up != atomic_exchange(&self->stats.connected, up)) {
        if (up)
            mr_log_bounded(MR_LOG_INFO, "database connected", mr_log_text("actor", self->name));
        else
            mr_log_bounded(MR_LOG_WARN, "database connection lost", mr_log_text("actor", self->name),
                           mr_log_text("reason", mr_db_last_error(self->db)->message));
        mr_metric_add(MR_METRIC_db_lost, !up);
    }
    if (!mr_link_is_waking(self))
        note_absence(self);
}

/* ---- A reader whose replica comes and goes ---- */

static void give_up_replica(struct mr_actor *self)
{
    mr_replica_give_up(self->replica);
    atomic_store(&self->stats.replica_away, true);
    atomic_store(&self->stats.replica_lags, false);
    self->db = self->primary;
}

static void return_to_replica(struct mr_actor *self, mr_db *replica)
{
    atomic_store(&self->stats.replica_away, false);
    if (atomic_exchange(&self->stats.replica_lags, false))
        mr_log_bounded(MR_LOG_INFO, "replica has caught up", mr_log_text("actor", self->name),
                       mr_log_int("lagMs", atomic_load(&self->stats.replica_lag_ms)));
    mr_db_release(self->primary);
    self->db = replica;
}

/* Its connection stays, to be asked when it has caught up. */
static void pass_over_replica(struct mr_actor *self)
{
    atomic_store(&self->stats.replica_away, false);
    if (!atomic_exchange(&self->stats.replica_lags, true))
        mr_log_bounded(MR_LOG_WARN, "replica lags: reading from the primary", mr_log_text("actor", self->name),
                       mr_log_int("lagMs", atomic_load(&self->stats.replica_lag_ms)));
    self->db = self->primary;
}

/* An actor that wakes up, or starts, tries the replica first; one that has lost it does not wait for it. */
void mr_link_choose(struct mr_actor *self, bool first_time)
{
    mr_db *replica = self->replica != NULL ? mr_replica_db(self->replica) : NULL;

    if (replica == NULL)
        return;
    if (first_time && mr_db_connect(replica) == MR_OK)
        mr_lag_look(self);
    if (!mr_db_is_up(replica))
        give_up_replica(self);
    else if (mr_lag_is_beyond(self))
        pass_over_replica(self);
    else if (self->db != replica)
        return_to_replica(self, replica);
}

bool mr_actor_fall_back(struct mr_actor *self, const struct mr_db_error *error)
{
    if (!(error->lost || strcmp(error->sqlstate, "40001") == 0))
        return false;
    if (error->lost && self->db != self->primary)
        give_up_replica(self);
    self->db = self->primary; /* until the next batch */
    return true;
}

bool mr_link_has_way_back(const struct mr_actor *self)
{
    const mr_db *replica = self->replica != NULL ? mr_replica_db(self->replica) : NULL;

    if (mr_lag_due_in_ms(self) == 0)
        return true;
    return replica != NULL && self->db != replica && mr_db_is_up(replica) && !mr_lag_is_beyond(self);
}

/* Milliseconds until the connection may be let go; -1: never, or not now. */
int64_t mr_link_rest_due_in(const struct mr_actor *self)
{
    int64_t left_ms = self->last_work_ms + self->config->db_idle_release - mr_mono_ms(self->clock);

    if (self->config->db_idle_release == 0 || self->first != NULL || !mr_db_is_up(self->db))
        return -1;
    return left_ms > 0 ? left_ms : 0;
}

void mr_link_rest(struct mr_actor *self)
{
    mr_db *replica = self->replica != NULL ? mr_replica_db(self->replica) : NULL;

    atomic_store(&self->stats.resting, true);
    atomic_store(&self->stats.connected, false);
    mr_db_release(self->primary);
    if (replica != NULL)
        mr_db_release(replica);
    mr_log(MR_LOG_DEBUG, "database connection closed while idle", mr_log_text("actor", self->name));
}

void mr_link_begin_waking(struct mr_actor *self)
{
    if (!atomic_load(&self->stats.resting) || mr_link_is_waking(self))
        return;
    mr_link_choose(self, true);
    self->last_work_ms = mr_mono_ms(self->clock);
    self->waking_until_ms = self->last_work_ms + RESUME_MS;
}

/* It rests, for whoever looks on, until it is awake; or until it has been away for so long that it is no sleep any more. */
void mr_link_end_waking(struct mr_actor *self)
{
    if (!mr_link_is_waking(self) || (!mr_db_is_up(self->db) && mr_mono_ms(self->clock) < self->waking_until_ms))
        return;
    self->waking_until_ms = 0;
    atomic_store(&self->stats.resting, false);
}

/* False while there is nothing to wake up for. */
bool mr_link_wake_up(struct mr_actor *self)
{
    if (!atomic_load(&self->stats.resting) || mr_link_is_waking(self))
        return true;
    if (self->first == NULL)
        return false;
    mr_link_begin_waking(self);
    return true;
}
