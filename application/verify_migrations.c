/*
 * Migrations, one transaction each as they will run, and where one went wrong.
 */
#include <stdio.h>

#include "application/verify_internal.h"

/* Where a character is, counted from 1. */
static struct mr_place place_at(const char *file, const char *text, unsigned position)
{
    struct mr_place place = {file, 1, 1};

    for (; *text != '\0' && position > 1; text++) {
        if (((unsigned char)text[1] & 0xc0) != 0x80)
            position--; /* the last byte of a character */
        if (*text == '\n')
            place = (struct mr_place){file, place.line + 1, 1};
        else if (((unsigned char)text[1] & 0xc0) != 0x80)
            place.column++;
    }
    return place;
}

static void tell(struct verifying *self, const struct mr_app_migration *migration)
{
    const struct mr_db_error *error = mr_db_last_error(self->options->db);
    char file[128];
    struct mr_place place = {.file = file};

    snprintf(file, sizeof file, "migrations/%s.sql", migration->name);
    if (error->position > 0)
        place = place_at(file, migration->sql, error->position);
    complain(self, place, "%s (SQLSTATE %s), expected SQL that runs", error->message, error->sqlstate);
}

/*
 * Whether the server has read the text and refused it. Otherwise it is in trouble itself, or gone; or somebody wants to stop. A
 * connection that was dropped on the way (0A000, see db_io.c) says nothing else: no further migration is to run.
 */
static bool is_of_the_text(const struct verifying *self)
{
    static const char *const trouble[] = {"08", "53", "57", "58", "XX"};
    const struct mr_db_error *error = mr_db_last_error(self->options->db);

    if (error->sqlstate[0] == '\0' || self->options->is_over(self->options->argument))
        return false;
    for (size_t i = 0; i < sizeof trouble / sizeof trouble[0]; i++)
        if (strncmp(error->sqlstate, trouble[i], 2) == 0)
            return false;
    return true;
}

/* What a constraint that is deferred has to say comes with the COMMIT. */
static mr_status apply(struct verifying *self, const struct mr_app_migration *migration)
{
    const struct mr_verify_options *options = self->options;
    mr_status status = mr_db_exec(options->db, "BEGIN", verify_deadline(), NULL);

    if (status != MR_OK)
        return status;
    status = mr_db_exec_unless(options->db, migration->sql, options->is_over, options->argument);
    if (status == MR_OK)
        status = mr_db_exec_unless(options->db, "COMMIT", options->is_over, options->argument);
    if (status == MR_OK || !is_of_the_text(self))
        return status;
    tell(self, migration);
    if (mr_db_is_up(options->db))
        (void)!mr_db_exec(options->db, "ROLLBACK", verify_deadline(), NULL);
    return MR_INVALID;
}

mr_status verify_migrations(struct verifying *self)
{
    mr_status status = MR_OK;

    for (unsigned i = 0; i < self->application->migration_count && status == MR_OK; i++)
        status = apply(self, &self->application->migrations[i]);
    return status;
}
