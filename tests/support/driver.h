/*
 * driver: starts real actors and talks to them as the gateway does, through a mailbox of its own.
 *
 * Thread: the test's.
 */
#ifndef MR_TESTS_SUPPORT_DRIVER_H
#define MR_TESTS_SUPPORT_DRIVER_H

#include <jansson.h>

#include "runtime/actor.h"
#include "tests/support/database.h"
#include "tests/support/tasks.h"

enum { DRIVER_ACTORS = 8, DRIVER_REPLIES = 16384 };

/* What came back for a message. */
struct reply {
    unsigned count;     /* how often it was answered */
    unsigned place;     /* among all replies, from 1 */
    enum mr_kind kind;
    mr_status status;   /* of an error; MR_OK */
    char field[64];     /* of an error */
    char code[32];      /* of an error */
    char text[256];     /* of an error */
    char next[512];     /* of a list */
    int64_t version;    /* of a success that has one */
    json_t *body;       /* of a success */
    char *json;         /* the same as the text that a client reads */
    int64_t arrived_ms; /* monotonic */
};

struct driver {
    const struct mr_config *config;
    const struct mr_clock *clock;
    mr_mailbox *mailbox;
    struct mr_actor *actors[DRIVER_ACTORS];
    unsigned actor_count;
    unsigned sent;    /* correlation ids 1 to `sent` are used */
    unsigned arrived; /* replies */
    unsigned strays;  /* what came back and is no reply to a message of ours */
    struct reply replies[DRIVER_REPLIES];
};

/* Without actors yet. `config` and `clock` are borrowed. */
struct driver *driver_new(const struct mr_config *config, const struct mr_clock *clock);
void driver_destroy(struct driver **self);

struct mr_actor *driver_start(struct driver *self, const struct mr_actor_spec *spec, enum mr_lane lane, unsigned instance);

/* Starts data-reader and data-writer in the lanes they have, one each. */
struct driver *driver_with_data(const struct mr_config *config);

struct mr_actor *driver_actor(const struct driver *self, enum mr_op op);

/* Sends a message to the actor of its op with ten seconds to live; returns its correlation id. */
unsigned driver_send(struct driver *self, enum mr_op op, const struct mr_value *values, const uint8_t *user);
unsigned driver_send_until(struct driver *self, enum mr_op op, const struct mr_value *values, const uint8_t *user, int64_t deadline_ms);

/* Sends bytes as they are. */
void driver_send_raw(struct driver *self, const char *to, const void *data, size_t len);

/* Takes in what has arrived, waiting up to `timeout_ms` for the first. */
void driver_receive(struct driver *self, int timeout_ms);

/* Waits for the answer, 15 seconds at most; fails the test when none comes. */
const struct reply *driver_await(struct driver *self, unsigned id);

/* Waits until every message but `missing` of them has an answer; fails when one has two. */
void driver_await_all(struct driver *self, unsigned missing);

/* How many batches the actor of `op` has begun: whoever has an answer finds its batch counted. */
uint64_t driver_batches(struct driver *self, enum mr_op op);

/* An answer's text member, "" when it has none; `group` NULL: top level. */
const char *reply_text(const struct reply *reply, const char *group, const char *name);

/* Sends them in one go. */
unsigned send_create(struct driver *self, const uint8_t id[16], const uint8_t user[16], const char *summary, const char *priority);
unsigned send_get(struct driver *self, const uint8_t id[16], const uint8_t user[16]);

/*
 * Keeps the actor of `op` inside a statement, so that what is sent meanwhile waits and becomes one batch: the
 * plug is a message of user `plug_user` (one of its own), whose row another connection holds locked.
 */
struct plug {
    mr_db *holder;
    unsigned id; /* of the plug's message */
};

struct plug plug_writer(struct driver *driver, const struct database *database);
void plug_pull(struct plug *self);

#endif
