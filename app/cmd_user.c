/*
 * millrace user grant-admin NAME: makes a user an administrator. The role is in the tokens that a sign-in or a refresh
 * hands out from then on.
 */
#include <stdio.h>
#include <string.h>

#include "actors/usernames.h"
#include "app/commands.h"
#include "app/settings.h"
#include "runtime/db.h"

enum { STATEMENT_MS = 10000 };

/* Finds the user of a name as a sign-in does: id and name as registered are the second and the third column. */
#define FIND "sign_in__find"

/* A row when that changed anything. Who did it is an operator: whoever can reach the database with its password. */
static const struct mr_statement grant_admin = {
    "user_grant_admin",
    "WITH changed AS ("
    "UPDATE millrace.app_user SET role = 'admin' WHERE id = ($1::uuid[])[1] AND role <> 'admin' RETURNING id"
    ") INSERT INTO millrace.audit (id, by, operation, subject_type, subject, detail)"
    " SELECT millrace.uuid_v7(), 'command', 'user grant-admin', 'user', changed.id, '{\"role\": \"admin\"}' FROM changed"
    " RETURNING id"};

static mr_status run(mr_db *db, const char *statement, struct mr_params *params, mr_rows **out)
{
    mr_status status = mr_params_end(params);

    return status == MR_OK ? mr_db_run(db, statement, params, mr_mono_ms(&mr_system_clock) + STATEMENT_MS, out) : status;
}

static mr_status find(mr_db *db, const char *name, mr_rows **out)
{
    struct mr_params params = {0};
    mr_status status = mr_db_connect(db);

    mr_params_begin(&params, 2);
    mr_params_text(&params, 0, name);
    mr_usernames_bind(&params, 1, mr_slice_of(name));
    if (status == MR_OK)
        status = run(db, FIND, &params, out);
    mr_params_fini(&params);
    return status;
}

static mr_status grant_to(mr_db *db, const mr_rows *found, mr_rows **out)
{
    struct mr_params params = {0};
    struct mr_slice id = {"", 0};
    mr_status status;

    mr_rows_get(found, 0, 1, &id);
    mr_params_begin(&params, 1);
    mr_params_id(&params, 0, (const uint8_t *)id.data);
    status = run(db, grant_admin.name, &params, out);
    mr_params_fini(&params);
    return status;
}

static void tell(const mr_rows *found, bool changed)
{
    struct mr_slice name = {"", 0};

    mr_rows_get(found, 0, 2, &name);
    printf("%.*s is an administrator %s\n", (int)name.len, name.data,
           changed ? "from the next sign-in or refresh on" : "already");
}

static void complain(const mr_db *db)
{
    const struct mr_db_error *error = mr_db_last_error(db);

    if (strcmp(error->sqlstate, "42P01") == 0 || strcmp(error->sqlstate, "42703") == 0) /* no such table, no such column */
        fputs("millrace user: the database has no users yet, or is of an older release; run `millrace migrate` first\n",
              stderr);
    else
        fprintf(stderr, "millrace user: %s%s\n", error->lost ? "the database cannot be reached: " : "", error->message);
}

static int find_and_grant(mr_db *db, const char *name)
{
    mr_rows *found = NULL;
    mr_rows *granted = NULL;
    mr_status status = find(db, name, &found);
    bool none = status == MR_OK && mr_rows_count(found) == 0;

    if (none)
        fprintf(stderr, "millrace user: there is no user '%s'\n", name);
    else if (status == MR_OK)
        status = grant_to(db, found, &granted);
    if (status != MR_OK)
        complain(db);
    else if (!none)
        tell(found, mr_rows_count(granted) > 0);
    mr_rows_free(&found);
    mr_rows_free(&granted);
    return status == MR_OK && !none ? MR_EXIT_OK : MR_EXIT_FAILED;
}

static int grant(const struct mr_config *config, const char *name)
{
    const struct mr_statement *const statements[] = {mr_statement_find(FIND), &grant_admin, NULL};
    struct mr_db_options options = {
        .config = config, .clock = &mr_system_clock, .host = config->db_host, .application_name = "millrace user"};
    mr_db *db = NULL;
    int exit_status;

    if (!mr_utf8_valid(mr_slice_of(name), NULL)) {
        fputs("millrace user: the name is not UTF-8\n", stderr);
        return MR_EXIT_USAGE;
    }
    if (mr_db_new(&db, &options, statements) != MR_OK)
        return MR_EXIT_FAILED;
    exit_status = find_and_grant(db, name);
    mr_db_destroy(&db);
    return exit_status;
}

int mr_command_user(int argc, char **argv)
{
    struct mr_config config;

    if (argc < 1 || strcmp(argv[0], "grant-admin") != 0) {
        fprintf(stderr, "millrace user: takes grant-admin NAME, got '%s'\n", argc > 0 ? argv[0] : "");
        return MR_EXIT_USAGE;
    }
    if (argc != 2 || argv[1][0] == '\0') {
        fputs("millrace user grant-admin: takes the name of one user\n", stderr);
        return MR_EXIT_USAGE;
    }
    if (!mr_load_settings(&config, MR_RUN_MIGRATE))
        return MR_EXIT_USAGE;
    return grant(&config, argv[1]);
}
