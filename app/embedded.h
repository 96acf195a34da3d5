/*
 * embedded: a private PostgreSQL for `millrace all`.
 *
 * A real cluster under the state directory: made once, reachable only through a Unix socket in a directory
 * that only its owner may enter, kept between runs. A thread starts the server, starts it again should it
 * die, and stops it; the server also ends by itself when Millrace is killed. As root it runs as the user
 * postgres, or nobody, because PostgreSQL refuses to run as root.
 */
#ifndef MR_APP_EMBEDDED_H
#define MR_APP_EMBEDDED_H

#include <stdint.h>

#include "proto/buffer.h"
#include "proto/status.h"

struct mr_embedded;

struct mr_embedded_options {
    const char *state_dir;
    const char *bin_dir;  /* of initdb and postgres; "": searched for */
    const char *database; /* made when it is not there */
    const char *settings; /* more for the server, as "-c name=value ..."; NULL: none */
    bool short_lived;     /* nothing of it has to survive a power failure */
};

/*
 * Makes the cluster if there is none, starts the server, and returns when it answers. The caller stops it with mr_embedded_stop.
 * On failure `problem` says why.
 */
mr_status mr_embedded_start(struct mr_embedded **out, const struct mr_embedded_options *options,
                            struct mr_buf *problem) MR_WARN_UNUSED;

/* The value for DB_HOST: the directory of the socket. Borrowed. DB_USER is "postgres". */
const char *mr_embedded_host(const struct mr_embedded *self);

/*
 * Stops the server within `limit_ms`: by a fast shutdown; when that takes more than half of the time, by an immediate one,
 * which costs a recovery at the next start; and when it hangs, by a kill. Frees it. Accepts NULL.
 */
void mr_embedded_stop(struct mr_embedded **self, int64_t limit_ms);

#endif
