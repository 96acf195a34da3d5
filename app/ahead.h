/*
 * ahead: the process's first connection to its database, made while the application is read.
 *
 * Both take some milliseconds, the one of PostgreSQL and the other of this process. Whatever comes of the attempt is for who takes it: the
 * look at the migrations continues from there.
 *
 * Thread: its own for one attempt; the functions: the main thread.
 */
#ifndef MR_APP_AHEAD_H
#define MR_APP_AHEAD_H

#include "runtime/db.h"

/* Begins to connect. Without a database, migrations to look at, or a thread to be had it does nothing. `config` is borrowed. */
void mr_ahead_begin(const struct mr_config *config);

/* Waits until the attempt has come to its end, DB_CONNECT_TIMEOUT at most; its thread has ended then. */
void mr_ahead_await(void);

/* The object, connected or not, is the caller's; NULL: none was begun. Not before mr_ahead_await. */
mr_db *mr_ahead_take(void);

#endif
