/*
 * millrace user grant-admin NAME: makes a user an administrator. The role is in the tokens that a sign-in or a refresh
 * hands out from then on.
 */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/settings.h"
#include "runtime/db.h"

enum { STATEMENT_MS = 10000 };

/* One row when there is such a user: the name as registered, and whether anything was changed. */
static const struct mr_statement grant_admin = {
    "user_grant_admin",
    "WITH found AS ("
    "    SELECT id, username, role FROM app_user WHERE lower(username) = lower(($1::text[])[1]) FOR NO KEY UPDATE"
    "), granted AS ("
    "    UPDATE app_user u SET role = 'admin' FROM found WHERE u.id = found.id AND found.role <> 'admin' RETURNING u.id"
    ")"
    " SELECT found.username, (granted.id IS NOT NULL)::int AS granted FROM found LEFT JOIN granted ON granted.id = found.id",
};

static mr_status run(mr_db *db, const char *name, mr_rows **out)
{
    struct mr_params params = {0};
    mr_status status = mr_db_connect(db);

    mr_params_begin(&params, 1);
    mr_params_add(&params, 0, MR_TEXT, &(struct mr_value){.present = true, .text = mr_slice_of(name)});
    if (status == MR_OK)
        status = mr_params_end(&params);
    if (status == MR_OK)
        status = mr_db_run(db, grant_admin.name, &params, mr_mono_ms(&mr_system_clock) + STATEMENT_MS, out);
    mr_params_fini(&params);
    return status;
}

static int tell(const char *name, const mr_rows *rows)
{
    struct mr_slice found = {"", 0};

    if (mr_rows_count(rows) == 0) {
        fprintf(stderr, "millrace user: there is no user '%s'\n", name);
        return MR_EXIT_FAILED;
    }
    mr_rows_get(rows, 0, 0, &found);
    if (mr_rows_int(rows, 0, 1, 0) != 0)
        printf("%.*s is an administrator from the next sign-in or refresh on\n", (int)found.len, found.data);
    else
        printf("%.*s is an administrator already\n", (int)found.len, found.data);
    return MR_EXIT_OK;
}

static void complain(const mr_db *db)
{
    const struct mr_db_error *error = mr_db_last_error(db);

    if (strcmp(error->sqlstate, "42P01") == 0)
        fputs("millrace user: the database has no users yet; run `millrace migrate` first\n", stderr);
    else
        fprintf(stderr, "millrace user: %s%s\n", error->lost ? "the database cannot be reached: " : "", error->message);
}

static int grant(const struct mr_config *config, const char *name)
{
    static const struct mr_statement *const statements[] = {&grant_admin, NULL};
    struct mr_db_options options = {
        .config = config, .clock = &mr_system_clock, .host = config->db_host, .application_name = "millrace user"};
    mr_db *db = NULL;
    mr_rows *rows = NULL;
    int exit_status = MR_EXIT_FAILED;

    if (!mr_utf8_valid(mr_slice_of(name), NULL)) {
        fputs("millrace user: the name is not UTF-8\n", stderr);
        return MR_EXIT_USAGE;
    }
    if (mr_db_new(&db, &options, statements) != MR_OK)
        return MR_EXIT_FAILED;
    if (run(db, name, &rows) == MR_OK)
        exit_status = tell(name, rows);
    else
        complain(db);
    mr_rows_free(&rows);
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
