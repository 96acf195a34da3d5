/*
 * served: a folder of tests/data/applications as a process serves it: loaded, built and installed, a fresh database, and the actors of its data under a driver. Requests are read as the gateway reads them.
 *
 * Thread: the test's. One at a time: the operations that are installed are those of the process.
 */
#ifndef MR_TESTS_SUPPORT_SERVED_H
#define MR_TESTS_SUPPORT_SERVED_H

#include "application/build.h"
#include "tests/support/driver.h"


struct served {
    struct database *database;
    struct driver *driver; /* NULL until served_actors */
    struct mr_application *application; /* NULL: tasks, as they are compiled in */
    struct mr_built *built;
    uint8_t users[4][16];
};

/* Who calls: a user, an administrator, who is gone but has a token still, or nobody. */
enum caller { ANN, BOB, ADMIN, GONE, NOBODY };

/* Headers of a request, `name: value` by turns, ended by NULL; at most four. NULL: none. */
typedef const char *const headers[9];

#define APPLICATION(name) MR_SOURCE_DIR "/tests/data/applications/" name

/* Loads and installs `folder`, APPLICATION("name"), NULL for what is compiled in; fails the test with the problems. */
struct served *served_new(const char *folder);

/* Makes its tables. */
void served_migrate(struct served *self);

/* Starts data-reader and data-writer. */
void served_actors(struct served *self);
void served_destroy(struct served **self);

/* Sends a request to the actor of its operation; returns its number for driver_await. It has to be one that the gateway takes. */
unsigned served_send(struct served *self, enum mr_verb verb, const char *path, enum caller caller, headers given, const char *body);

/* The same, and waits for the answer. */
const struct reply *served_call(struct served *self, enum mr_verb verb, const char *path, enum caller caller, headers given,
                                const char *body);

/* Starts a worker, which served_imported needs. */
void served_importer(struct served *self);

/* Tells it to look for imports. */
void served_prompt_importer(struct served *self);

/* Uploads `text` to the operation of that name, as an API does, and returns the answer. `key`: Idempotency-Key; NULL: none. */
const struct reply *served_upload(struct served *self, const char *op, enum caller caller, const char *key, bool is_csv, const char *text);

/* Prompts the job until the run is over, and returns what it says of it: "succeeded 2 1", the state and how many lines were imported and
   rejected, then "; LINE FIELD MESSAGE" for each of these. In static storage. */
const char *served_outcome(struct served *self, const char *run);

/* Both. */
const char *served_imported(struct served *self, const char *op, enum caller caller, bool is_csv, const char *text);

/* What an answer says of itself: 200 for every success, else the status; 0 when `field` (NULL: none) is not the one it names. */
int reply_http(const struct reply *reply, const char *field);

#endif
