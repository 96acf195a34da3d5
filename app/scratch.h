/*
 * scratch: a database that nobody else uses, made for one question and removed afterwards.
 *
 * With DB_HOST it is a new database on that server, whose role needs CREATEDB; without, a PostgreSQL of its own in a temporary
 * directory. Whoever made it destroys it, also when a signal ends the process. If a kill leaves one behind, a later scratch
 * removes it.
 */
#ifndef MR_APP_SCRATCH_H
#define MR_APP_SCRATCH_H

#include "proto/buffer.h"
#include "runtime/config.h"

struct mr_scratch;

/*
 * Makes an empty database on the server that DB_* names, or on a server of its own. Copies `config`, of which DB_* and
 * MILLRACE_PG_BIN count. On failure `problem` says why in one line. MR_FORBIDDEN: the role may not make a database.
 * MR_UNAVAILABLE: the server cannot be reached or does not start.
 */
mr_status mr_scratch_new(struct mr_scratch **out, const struct mr_config *config, struct mr_buf *problem) MR_WARN_UNUSED;

/* The settings for connecting to it; borrowed. */
const struct mr_config *mr_scratch_config(const struct mr_scratch *self);

/*
 * Ends every connection to it, removes it and frees it. MR_OK: nothing of it is left; otherwise `problem` says what is. Accepts
 * NULL.
 */
mr_status mr_scratch_destroy(struct mr_scratch **self, struct mr_buf *problem);

#endif
