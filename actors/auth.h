/*
 * auth: hashes and checks passwords and issues tokens. Hashing is slow on purpose, so it has threads of its own.
 *
 * Thread:  one for refreshes, and ACTOR_AUTH_COUNT in the slow lane, which hash one password at a time, each with
 *          19 MiB of memory. Each owns its mailbox and its database connection.
 * Input:   every op in proto/ops.h whose actor column says AUTH.
 * Promise: one message, exactly one reply; an unknown user costs as much time as a wrong password.
 */
#ifndef MR_ACTORS_AUTH_H
#define MR_ACTORS_AUTH_H

struct mr_actor_spec;
extern const struct mr_actor_spec mr_auth_spec;

#endif
