/*
 * auth: makes and checks passwords and issues tokens. Slow on purpose, therefore apart from the rest.
 *
 * Thread:  one per instance; owns its mailbox and its database connection. One password is hashed at a time,
 *          with 19 MiB of memory, so ACTOR_AUTH_COUNT bounds both.
 * Input:   every op in proto/ops.h whose actor column says AUTH.
 * Promise: one message, exactly one reply; an unknown user costs as much time as a wrong password.
 */
#ifndef MR_ACTORS_AUTH_H
#define MR_ACTORS_AUTH_H

struct mr_actor_spec;
extern const struct mr_actor_spec mr_auth_spec;

#endif
