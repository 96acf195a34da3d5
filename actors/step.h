/*
 * step: a statement for a whole batch, and what its row means for each message.
 *
 * C code that needs more than one statement goes from step to step. A message that has its answer takes part no more;
 * mr_step_left() removes it. A batch that the server refuses is halved, so that only the message to blame fails.
 *
 * Thread: the actor's.
 */
#ifndef MR_ACTORS_STEP_H
#define MR_ACTORS_STEP_H

#include "actors/password.h"
#include "runtime/actor.h"

enum { MR_TOKEN_TEXT = 44, MR_TOKEN_HASH = 65, MR_USERNAME_ROOM = 256 };

/* A message on its way, with what the steps behind it have found. Text is terminated. */
struct mr_attempt {
    struct mr_message *message;
    struct mr_principal principal;
    char username[MR_USERNAME_ROOM];
    bool is_unfolded;                     /* release 7 wrote the user, see actors/usernames.h */
    int64_t password_version;             /* of the password that was checked */
    char password_hash[MR_PASSWORD_HASH]; /* to be stored; empty: none */
    uint8_t token_id[16];                 /* of the refresh token to be handed out */
    char refresh_token[MR_TOKEN_TEXT];    /* and itself */
    char refresh_hash[MR_TOKEN_HASH];     /* and its SHA-256, in hexadecimal */
    char spent_hash[MR_TOKEN_HASH];       /* of the refresh token that was given for it */
};

struct mr_step {
    const char *statement;
    bool rerun_safe; /* as the trait of that name */
    unsigned params;
    void (*bind)(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt);
    void (*take)(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row); /* -1: no row is its */
};

/* Makes an attempt for each message, which the caller frees. NULL: no memory, and every message was answered with that error. */
struct mr_attempt *mr_step_begin(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Runs the statement and takes its rows; on failure the messages have been answered. */
void mr_step_run(struct mr_actor *self, const struct mr_step *step, struct mr_attempt *attempts, unsigned count,
                 int64_t deadline_ms);

/* Moves those without an answer to the front; returns how many. */
unsigned mr_step_left(struct mr_attempt *attempts, unsigned count);

/* Answers the attempt's message with an error. */
void mr_step_fail(struct mr_actor *self, struct mr_attempt *attempt, mr_status status);

#endif
