/*
 * secret: the key of the access tokens that `millrace all` makes for itself.
 *
 * It is in the state directory, in a file that only its owner may read, written completely or not at all. If several processes
 * start at once, one makes it, and all of them use it.
 */
#ifndef MR_APP_SECRET_H
#define MR_APP_SECRET_H

#include "proto/buffer.h"
#include "proto/status.h"

enum { MR_SECRET_ROOM = 1024 };

/* Appends the path of the file: <state_dir>/jwt_secret, terminated. */
void mr_secret_path(struct mr_buf *out, const char *state_dir);

/*
 * Reads the secret. MR_NOT_FOUND: there is none yet. MR_INVALID: the file is damaged, as `problem` says, with its path. `out` may
 * change even on failure.
 */
mr_status mr_secret_read(char out[MR_SECRET_ROOM], const char *state_dir, struct mr_buf *problem) MR_WARN_UNUSED;

/* The same, and makes it, and the directory, when there is none. MR_UNAVAILABLE: that failed, as `problem` says. */
mr_status mr_secret_keep(char out[MR_SECRET_ROOM], const char *state_dir, struct mr_buf *problem) MR_WARN_UNUSED;

#endif
