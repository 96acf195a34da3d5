#include "tests/support/fixture.h"

#include "tests/support/test.h"

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
