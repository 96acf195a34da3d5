/*
 * fixture: what a test of data ops stands on: a fresh database, a user in it, and its actors under a driver.
 */
#ifndef MR_TESTS_SUPPORT_FIXTURE_H
#define MR_TESTS_SUPPORT_FIXTURE_H

#include "proto/uuid.h"
#include "tests/support/driver.h"

struct fixture {
    struct database *database;
    struct driver *driver;
    uint8_t user[16];
    char user_text[MR_UUID_TEXT + 1];
};

/* Group fixtures: the server, and tasks as the application of this process. */
int tasks_server_start(void **state);
int tasks_server_stop(void **state);

/* For cmocka_unit_test_setup_teardown; the state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

#endif
