/*
 * database: a real PostgreSQL for a test program, and a fresh migrated database for each test.
 *
 * The server is started by app/embedded in a temporary directory, from a cluster that is made once for a build
 * (MILLRACE_TEST_CACHE), and ends with the program, however that ends.
 */
#ifndef MR_TESTS_SUPPORT_DATABASE_H
#define MR_TESTS_SUPPORT_DATABASE_H

#include "runtime/config.h"
#include "runtime/db.h"

/* A database, the settings that lead to it, and a connection of the test's own. */
struct database {
    struct mr_config config;
    char name[32];
    mr_db *db;
};

/* Group fixtures for cmocka_run_group_tests. */
int database_server_start(void **state);
int database_server_stop(void **state);

/* The settings' defaults for the role `api`, with DB_HOST and so on of the server. */
void database_config(struct mr_config *out, const char *database_name);

/* A fresh database: migrated, or empty. */
struct database *database_new(void);
struct database *database_new_empty(void);

/* A fresh migrated database with that locale, e.g. "C", under which lower() knows A to Z only. */
struct database *database_new_in(const char *locale);
void database_destroy(struct database **self);

/* Another connection to it; mr_db_destroy frees it. */
mr_db *database_connect(const struct database *self);

/* Runs SQL text on a connection and fails the test when it does not work. */
void sql_exec(mr_db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first value of the first row, as a number; 0 when there is none. */
int64_t sql_number(mr_db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same as text, in static storage; "" when there is none. */
const char *sql_text(mr_db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes a user; `index` decides id and name ("user<index>"). */
void make_user(mr_db *db, unsigned index, uint8_t out[16]);

/* An id made of a number. */
void make_id(uint8_t out[16], unsigned kind, uint64_t number);

/* Process id of the backend of that application name; 0 when there is none. `waiting`: only one that waits for a lock. */
int64_t backend_pid(mr_db *db, const char *application_name, bool waiting);

#endif
