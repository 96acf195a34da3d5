/*
 * serve: puts the parts of the API together, runs them, and takes them apart.
 */
#ifndef MR_APP_SERVE_H
#define MR_APP_SERVE_H

#include "runtime/config.h"

/* Migrates unless DB_MIGRATIONS_RUN=false, listens, and serves until it is told to end. Returns the exit status. */
int mr_serve_api(const struct mr_config *config);

#endif
