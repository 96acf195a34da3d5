#include "tests/support/fixture.h"

#include "tests/support/test.h"

int tasks_server_start(void **state)
{
    int failed = tasks_serve(state);

    return failed != 0 ? failed : database_server_start(state);
}

int tasks_server_stop(void **state)
{
    int failed = database_server_stop(state);

    return tasks_end(state) != 0 || failed != 0 ? -1 : 0;
}

int fixture_setup(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);

    self->database = database_new();
    make_user(self->database->db, 1, self->user);
    mr_uuid_format(self->user_text, self->user);
    self->driver = driver_with_data(&self->database->config);
    *state = self;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *self = *state;

    driver_destroy(&self->driver);
    database_destroy(&self->database);
    free(self);
    return 0;
}
