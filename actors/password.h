/*
 * password: argon2id in PHC string form, 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet).
 *
 * Thread: any; a call takes some tens of milliseconds and 19 MiB.
 */
#ifndef MR_ACTORS_PASSWORD_H
#define MR_ACTORS_PASSWORD_H

#include "proto/buffer.h"
#include "proto/status.h"

enum { MR_PASSWORD_HASH = 128 };

/* Writes the terminated hash. MR_NO_MEMORY when the 19 MiB cannot be had. */
mr_status mr_password_hash(char out[MR_PASSWORD_HASH], struct mr_slice password) MR_WARN_UNUSED;

/* Whether `password` has this hash. An empty `hash` stands for an unknown user: as slow, never true. */
bool mr_password_matches(struct mr_slice hash, struct mr_slice password);

/* Whether the hash was made with less memory or fewer passes than mr_password_hash takes, or by another function. */
bool mr_password_is_outdated(struct mr_slice hash);

#endif
