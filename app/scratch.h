/*
 * scratch: a database that nobody else uses, made for an answer and gone after it.
 *
 * With DB_HOST it is a new database of that server, whose role has to be allowed to make one; without, a PostgreSQL of its own in
 * a temporary directory. Whoever made it destroys it, also when a signal ends the process: what a kill leaves behind, a later
 * scratch removes.
 */
#ifndef MR_APP_SCRATCH_H
#define MR_APP_SCRATCH_H

#include "proto/buffer.h"
#include "runtime/config.h"

struct mr_scratch;

/*
 * Makes one, empty. `config` is copied; of it DB_* and MILLRACE_PG_BIN count. On failure `problem` says in one line what was in
 * the way: MR_FORBIDDEN: the role may not make a database; MR_UNAVAILABLE: the server cannot be reached, or does not start.
 */
mr_status mr_scratch_new(struct mr_scratch **out, const struct mr_config *config, struct mr_buf *problem) MR_WARN_UNUSED;

/* The settings that lead to it; borrowed. */
const struct mr_config *mr_scratch_config(const struct mr_scratch *self);

/*
 * Ends every connection to it and removes it. MR_OK: nothing of it is left; otherwise `problem` says what is, and the rest is gone
 * all the same; it is freed either way. Accepts NULL.
 */
mr_status mr_scratch_destroy(struct mr_scratch **self, struct mr_buf *problem);

#endif
