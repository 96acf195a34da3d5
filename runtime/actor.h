/*
 * actor: a thread that owns a mailbox and a database connection, and answers the messages that arrive.
 *
 * The loop takes all waiting messages, drops those past their deadline, makes batches of the rest (runtime/plan.h) and answers
 * each with the op's set-wise statement (runtime/answer.h) or with C code of the actor's own.
 *
 * Promise: one message, exactly one reply, unless its deadline has passed; the asker has its own clock for that.
 */
#ifndef MR_RUNTIME_ACTOR_H
#define MR_RUNTIME_ACTOR_H

#include <stdatomic.h>

#include "proto/envelope.h"
#include "runtime/clock.h"
#include "runtime/config.h"
#include "runtime/db.h"
#include "runtime/lag.h"
#include "runtime/mailbox.h"
#include "runtime/rows.h"

enum { MR_PLAN_MAX = 1024 }; /* messages in a batch, and in flight, at most */

/* A request in an actor's hands. */
struct mr_message {
    struct mr_parcel parcel;
    struct mr_envelope envelope;
    struct mr_value *values;          /* of its op's fields */
    unsigned room;                    /* how many there is memory for */
    const struct mr_variant *variant; /* NULL: the op's own statement */
    uint64_t key;                     /* 0: independent of every other message */
    bool taken;                       /* is in the batch at hand */
    bool flying;                      /* is in a batch that was sent (runtime/flight.h) */
    bool answered;
    int64_t mailbox_us;      /* from its sending to the beginning of its batch */
    unsigned batch;          /* messages of that batch; 0: it has not come to one */
    unsigned runs;           /* how often a statement of its own was sent for it (runtime/rowwise.h) */
    bool lost_race;          /* broke an integrity rule that its statement had seen kept */
    struct mr_message *next; /* in the order of arrival */
};

/* What became of the first attempt at a batch, when that was not made by mr_answer_by_sql (runtime/flight.h). */
struct mr_outcome {
    mr_status status;
    mr_rows *rows;            /* of MR_OK; owned */
    struct mr_db_error error; /* otherwise */
    bool on_replica;          /* it was made there */
    bool follows;             /* another was in flight before it: when the connection broke, that one tries to connect */
};

/* A batch that was sent, and what came back. */
struct mr_flight {
    struct mr_message *messages[MR_PLAN_MAX];
    unsigned count;
    int64_t sent_us;     /* monotonic */
    int64_t database_us; /* until its answer came */
    bool landed;         /* there is an outcome */
    struct mr_outcome outcome;
};

/* Figures that other threads may read; the actor alone writes them. */
struct mr_actor_stats {
    _Atomic uint64_t messages;        /* answered by a statement or by code */
    _Atomic uint64_t batches;         /* statements or code calls that answered them */
    _Atomic uint64_t in_flight;       /* batches that were sent and not answered, now */
    _Atomic uint64_t overlaps;        /* batches that were sent while another was in flight */
    _Atomic uint64_t expired;         /* dropped past their deadline */
    _Atomic uint64_t queued;          /* in its hands: taken from the mailbox, not yet answered */
    _Atomic int64_t oldest_us;        /* wall clock: when the oldest of them was sent; 0: there is none, or it is not known */
    _Atomic uint64_t under_way;       /* of an API's: sent to it by the gateway, not yet answered. The gateway writes it */
    _Atomic uint64_t turned_away;     /* not sent, because its mailbox had its fill. The gateway writes it */
    _Atomic uint64_t malformed;       /* not an envelope, or a payload that does not fit its table */
    _Atomic unsigned job;             /* of a worker: 1 + the job (enum mr_job) that it was prompted for; 0: it is idle */
    _Atomic bool is_wanted;           /* ... another job waits for a worker: let this one pass. The scheduler writes it */
    _Atomic int64_t claim;            /* ... of the run in hand, for whoever keeps its heart beating; 0: none */
    _Atomic int64_t failing_since_ms; /* ... monotonic, since when the database refuses what the run asks; 0: it does not */
    _Atomic bool connected;           /* the database connection stands */
    _Atomic(const char *) trouble;    /* why it does not, in a sentence that anybody may see; NULL: it does, or is not missed */
    _Atomic bool refused;             /* the database refuses user or password: the process has been told to end */
    _Atomic bool replica_away;        /* of an actor on the replica: it reads from the primary until the replica is back */
    _Atomic bool replica_lags;        /* ... or until it is less behind than DB_REPLICA_MAX_LAG */
    _Atomic int64_t replica_lag_ms;   /* by how much it was behind when it was last asked */
    _Atomic int64_t replica_has_ms;   /* monotonic: it has all that was acknowledged by then; INT64_MAX: nobody can know */
    _Atomic bool resting;             /* closed because there was no work (DB_IDLE_RELEASE); the next message opens it again */
};

struct mr_actor;
struct mr_replica;
struct mr_constraints;

/* A C handler: answers every one of `count` messages of one op. */
typedef void mr_code_handler(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* What an actor is made of; one constant for each in actors/. */
struct mr_actor_spec {
    enum mr_actor_id id;
    mr_code_handler *const *handlers;       /* by op, for the ops whose handler is CODE; NULL: none */
    bool (*owns)(const char *statement);    /* whether it runs the statement, beside those of its messages; NULL: none */
    int64_t statement_timeout;              /* milliseconds; 0: the deadline of a request */
    int64_t idle_timeout;                   /* for a transaction that is left open, milliseconds; 0: a minute */
    const char *channel;                    /* the first instance listens to it; NULL: none */
    enum mr_op tells;                       /* the message without fields that the gateway gets when the channel was notified */
    void (*noticed)(struct mr_actor *self); /* what is done instead of that; NULL: nothing else is */

    /*
     * Work without a message: `turn` runs, with the connection to itself, when `due_in_ms` returns 0 (-1: not before something
     * happens). If the database is away, the actor reconnects first; a resting connection is opened for it. Quick lane only.
     * NULL: nothing.
     */
    int64_t (*due_in_ms)(const struct mr_actor *self);
    void (*turn)(struct mr_actor *self);
    size_t own_bytes;            /* of mr_actor.own */
    void (*own_fini)(void *own); /* NULL: it owns nothing */
};

struct mr_actor {
    const struct mr_actor_spec *spec;
    const struct mr_config *config;
    const struct mr_clock *clock;
    char name[MR_MAILBOX_NAME]; /* of its thread and mailbox: "data-reader/0", "data-reader/slow" */
    enum mr_lane lane;
    unsigned instance;
    bool on_replica; /* it reads from DB_HOST_READ_ONLY, as long as that is there */
    int64_t born_ms; /* wall clock; with the process id it tells this actor from every other */
    struct mr_actor_stats stats;

    /* The actor thread's own. */
    mr_thread *thread;
    mr_thread *inside; /* the same, as the thread knows it */
    mr_mailbox *mailbox;
    mr_db *db; /* the one in use: `primary`, or that of `replica` */
    mr_db *primary;
    struct mr_replica *replica; /* NULL unless on_replica */
    struct mr_lag lag;
    const struct mr_statement **statements;
    struct mr_message *first; /* the queue, oldest first */
    struct mr_message **last;
    unsigned waiting;          /* in the queue, also those in flight */
    unsigned answered;         /* messages that are answered and not yet freed */
    int64_t earliest_ms;       /* no message in the queue has an earlier deadline; wall clock */
    struct mr_flight *flights; /* a ring of `flights_most`, oldest first */
    unsigned flights_most;     /* DB_IN_FLIGHT; 0: batches never overlap */
    unsigned first_flight;
    unsigned flight_count;
    unsigned flying; /* messages in flight */
    bool held;       /* all that wait are of a key that is in flight */
    struct mr_message *spare;
    int64_t last_work_ms;              /* monotonic */
    int64_t database_us;               /* of the statements that the batch at hand has run */
    struct mr_message *const *in_hand; /* whom the statement at hand answers, for its span; borrowed */
    unsigned in_hand_count;
    int64_t waking_until_ms; /* monotonic; until then messages wait for a database that resumes; 0: it does not */
    struct mr_params params;
    struct mr_params other_params;      /* of a statement beside the one at hand */
    struct mr_constraints *constraints; /* what is known of those that were broken */
    struct mr_row_plans plans;          /* of the results of its statements */
    struct mr_buf body;
    struct mr_buf frame;
    void *own; /* what the handlers of an instance keep from one batch to the next; zeroed at first */
};

/*
 * Starts an actor, which connects on its own thread. Call mr_actor_await before anything else; several actors may start side by
 * side in between. `config` and `clock` are borrowed until the actor is freed. On failure nothing runs.
 */
mr_status mr_actor_start(struct mr_actor **out, const struct mr_actor_spec *spec, enum mr_lane lane, unsigned instance,
                         const struct mr_config *config, const struct mr_clock *clock) MR_WARN_UNUSED;

/* Returns when the actor takes messages. Its database may still be away. */
void mr_actor_await(struct mr_actor *self);

/*
 * Says that the process serves: idle actors may now prepare the statements that nobody has needed yet (mr_db_owes). Before, that
 * would take processor time from the start. Any thread.
 */
void mr_actors_note_serving(void);

/* Asks the actor's thread to end after the present batch, and does not wait. Async-signal-safe. */
void mr_actor_ask_to_stop(struct mr_actor *self);

/*
 * Asks the actor's thread to end, waits until `deadline_ms` (monotonic) at most, frees the actor and sets the caller's pointer
 * to NULL. False: the thread still runs, and nothing is freed. Accepts NULL.
 */
bool mr_actor_stop_by(struct mr_actor **self, int64_t deadline_ms) MR_WARN_UNUSED;

/*
 * For an actor on the replica whose statement failed there with `error`: switches to the primary if that may help, because the
 * replica is away or cancelled the statement to continue its recovery. True: `db` is now the primary, which may not be
 * connected. The actor's thread.
 */
bool mr_actor_fall_back(struct mr_actor *self, const struct mr_db_error *error);

/*
 * Whether the actor can use its database: it is connected, or closed an idle connection (DB_IDLE_RELEASE) and opens it again
 * with the next message. Any thread.
 */
bool mr_actor_has_database(const struct mr_actor *self);

/* Whether some op of the map belongs to this actor and lane. */
bool mr_actor_has_lane(enum mr_actor_id id, enum mr_lane lane);

/* Name of an actor's mailbox, e.g. "data-reader/0"; in the slow lane "data-reader/slow", "data-reader/slow/1". */
void mr_actor_mailbox_name(char out[MR_MAILBOX_NAME], enum mr_actor_id id, enum mr_lane lane, unsigned instance);

/*
 * How many instances the settings ask for in a lane. With a replica there are twice as many readers: the first half
 * reads from it, the second from the primary, for users who have just written.
 */
unsigned mr_actor_instances(const struct mr_config *config, enum mr_actor_id id, enum mr_lane lane);

/* Sends the gateway a message that nobody asked for. The message is lost if there is no gateway or no memory. The actor's thread. */
void mr_actor_tell_gateway(struct mr_actor *self, enum mr_op op, const struct mr_value *values);

/*
 * For handlers that take long: sleeps for `ms` (0: not at all), or until the actor is asked to stop, whichever comes first. True: it
 * was asked, and the handler should finish soon.
 */
bool mr_actor_pause(struct mr_actor *self, int ms);

/* Hash of a message's resource and key, never 0; 0 when the op has no key. Used to keep the order of a key. */
uint64_t mr_message_key(enum mr_op op, const struct mr_value *values);

/* The variant of the op whose statement answers these values; NULL: the op's own statement does. */
const struct mr_variant *mr_message_variant(enum mr_op op, const struct mr_value *values);

#endif
