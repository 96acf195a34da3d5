/*
 * millrace key make NAME SCOPE ... | list | delete ID: API keys, for whoever has the database's password.
 *
 * `make` prints the key alone, so that a script can take it; what else there is to say goes to stderr. The audit has who did it as
 * "command".
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "actors/grant.h"
#include "app/application.h"
#include "app/commands.h"
#include "app/settings.h"
#include "proto/apikey.h"
#include "proto/literal.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"
#include "runtime/db.h"

enum { STATEMENT_MS = 10000, NAME_MAX_CHARACTERS = 100 };

/* The statement of POST /v1/api-keys. */
#define STORE "api_key_create__store"
enum { STORE_PARAMS = 8 };

/* What is printed goes to a terminal: a name is whatever an administrator wrote. */
static const struct mr_statement list_keys = {
    "key_list", "SELECT a.id::text, regexp_replace(a.name, '[[:cntrl:]]', '?', 'g'), array_to_string(a.scopes, ' '),"
                " to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
                " coalesce(to_char(a.last_used_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI\"Z\"'), 'never'),"
                " coalesce(to_char(a.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), 'never')"
                " FROM millrace.api_key a, unnest($1::boolean[]) AS k (on_purpose) ORDER BY a.id"};

static const struct mr_statement delete_key = {
    "key_delete",
    "WITH gone AS (DELETE FROM millrace.api_key a WHERE a.id = ($1::uuid[])[1] RETURNING a.id, a.name), noted AS ("
    "INSERT INTO millrace.audit (id, by, operation, subject_type, subject, detail)"
    " SELECT millrace.uuid_v7(), 'command', 'api_key_delete', 'apiKey', gone.id, jsonb_build_object('name', gone.name)"
    " FROM gone) SELECT regexp_replace(gone.name, '[[:cntrl:]]', '?', 'g') FROM gone"};

static void complain(const mr_db *db)
{
    const struct mr_db_error *error = mr_db_last_error(db);

    if (strncmp(error->sqlstate, "42P", 3) == 0 || strncmp(error->sqlstate, "3F", 2) == 0) /* no such table, no such schema */
        fputs("millrace key: the database has no keys yet; run `millrace migrate` first\n", stderr);
    else
        fprintf(stderr, "millrace key: %s%s\n", error->lost ? "the database cannot be reached: " : "", error->message);
}

/* Runs one statement on a connection of its own; the rows are the caller's. False: why not has been printed. */
static bool ask(const struct mr_config *config, const struct mr_statement *statement, struct mr_params *params, mr_rows **out)
{
    const struct mr_statement *const statements[] = {statement, NULL};
    struct mr_db_options options = {
        .config = config, .host = config->db_host, .clock = &mr_system_clock, .application_name = "millrace key"};
    mr_db *db = NULL;
    mr_status status = mr_params_end(params);

    if (status == MR_OK)
        status = mr_db_new(&db, &options, statements);
    if (status == MR_OK)
        status = mr_db_connect(db);
    if (status == MR_OK)
        status = mr_db_run(db, statement->name, params, mr_mono_ms(&mr_system_clock) + STATEMENT_MS, out);
    if (status != MR_OK && db != NULL)
        complain(db);
    else if (status != MR_OK)
        fputs("millrace key: out of memory\n", stderr);
    mr_db_destroy(&db);
    return status == MR_OK;
}

/* ---- make ---- */

struct wanted {
    const char *name;
    char *const *scopes;
    int scope_count;
    const char *expires; /* NULL: never */
    int64_t expires_us;
};

static int usage(void)
{
    fputs("millrace key: takes make NAME SCOPE ... [--expires 2028-01-01T00:00:00Z], list, or delete ID\n", stderr);
    return MR_EXIT_USAGE;
}

/* The same rules as for the body of POST /v1/api-keys; the statement checks the scopes. */
static const char *fault_of(const struct wanted *self)
{
    int64_t characters = 0;

    if (!mr_utf8_valid(mr_slice_of(self->name), &characters) || characters < 1 || characters > NAME_MAX_CHARACTERS)
        return "a name has 1 to 100 characters";
    if (self->scope_count < 1 || self->scope_count > MR_SCOPES_MAX)
        return "a key has 1 to 32 scopes; `millrace routes` prints those that there are";
    for (int i = 0; i < self->scope_count; i++)
        if (strlen(self->scopes[i]) > MR_SCOPE_MAX || !mr_utf8_valid(mr_slice_of(self->scopes[i]), NULL))
            return "a scope is words with colons between them, such as jobs:enqueue";
    return NULL;
}

/* False: the usage, or what is wrong, has been printed. */
static bool read_wanted(struct wanted *self, int argc, char **argv)
{
    const char *fault;

    if (argc >= 2 && strcmp(argv[argc - 2], "--expires") == 0) {
        self->expires = argv[argc - 1];
        argc -= 2;
    }
    if (argc < 2 || argv[0][0] == '-') {
        usage();
        return false;
    }
    self->name = argv[0];
    self->scopes = argv + 1;
    self->scope_count = argc - 1;
    fault = fault_of(self);
    if (fault == NULL && self->expires != NULL && !mr_timestamp_parse(&self->expires_us, self->expires, strlen(self->expires)))
        fault = "--expires takes an instant such as 2028-01-01T00:00:00Z";
    if (fault != NULL)
        fprintf(stderr, "millrace key make: %s\n", fault);
    return fault == NULL;
}

static void bind_scopes(struct mr_params *params, unsigned column, const struct wanted *wanted)
{
    struct mr_buf list = {0};

    mr_literal_begin(&list);
    for (int i = 0; i < wanted->scope_count; i++)
        mr_literal_add(&list, MR_TEXT, &(struct mr_value){.present = true, .text = mr_slice_of(wanted->scopes[i])});
    mr_literal_end(&list);
    mr_buf_char(&list, '\0');
    params->failed |= list.failed;
    mr_params_text(params, column, list.failed ? NULL : list.data);
    mr_buf_fini(&list);
}

static void bind_known(struct mr_params *params, unsigned column)
{
    struct mr_buf known = {0};

    mr_scopes_known(&known);
    mr_buf_char(&known, '\0');
    params->failed |= known.failed;
    mr_params_text(params, column, known.failed ? NULL : known.data);
    mr_buf_fini(&known);
}

static void draw(char key[MR_KEY_TEXT + 1], uint8_t id[16])
{
    uint8_t random[MR_KEY_BYTES];

    randombytes_buf(random, sizeof random);
    mr_uuid_next(id, mr_wall_ms(&mr_system_clock), random);
    randombytes_buf(random, sizeof random);
    memcpy(key, MR_KEY_PREFIX, sizeof MR_KEY_PREFIX - 1);
    sodium_bin2base64(key + sizeof MR_KEY_PREFIX - 1, MR_KEY_TEXT + 1 - (sizeof MR_KEY_PREFIX - 1), random, sizeof random,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(random, sizeof random);
}

static bool store(const struct mr_config *config, const struct wanted *wanted, const char *key, const uint8_t id[16],
                  mr_rows **out)
{
    const struct mr_statement *statement = mr_statement_find(STORE);
    struct mr_params params = {0};
    char hash[MR_TOKEN_HASH];
    bool good;

    mr_grant_hash(hash, mr_slice_of(key));
    mr_params_begin(&params, STORE_PARAMS);
    mr_params_id(&params, 0, id);
    mr_params_null(&params, 1, MR_UUID);
    mr_params_text(&params, 2, wanted->name);
    bind_scopes(&params, 3, wanted);
    if (wanted->expires != NULL)
        mr_params_time(&params, 4, wanted->expires_us);
    else
        mr_params_null(&params, 4, MR_TIME);
    mr_params_text(&params, 5, hash);
    bind_known(&params, 6);
    mr_params_text(&params, 7, "command");
    good = ask(config, statement, &params, out);
    mr_params_fini(&params);
    return good;
}

static int tell_made(const mr_rows *rows, const char *key, const uint8_t id[16])
{
    struct mr_slice unknown = {"", 0};
    char text[MR_UUID_TEXT];

    if (mr_rows_get(rows, 0, 2, &unknown) && unknown.len > 0) {
        fprintf(stderr, "millrace key make: no operation knows %.*s; `millrace routes` prints the scopes that there are\n",
                (int)unknown.len, unknown.data);
        return MR_EXIT_FAILED;
    }
    if (mr_rows_int(rows, 0, 3, 0) != 0) {
        fputs("millrace key make: --expires must be in the future\n", stderr);
        return MR_EXIT_FAILED;
    }
    mr_uuid_format(text, id);
    fprintf(stderr, "made the key %.*s; this is the only time it is shown:\n", MR_UUID_TEXT, text);
    printf("%s\n", key);
    return MR_EXIT_OK;
}

static int make(const struct mr_config *config, int argc, char **argv)
{
    struct wanted wanted = {.name = NULL};
    char key[MR_KEY_TEXT + 1];
    uint8_t id[16];
    mr_rows *rows = NULL;
    int exit_status = MR_EXIT_FAILED;

    if (!read_wanted(&wanted, argc, argv) || !mr_application_use_here(0, NULL))
        return MR_EXIT_USAGE;
    if (sodium_init() < 0)
        return MR_EXIT_FAILED;
    draw(key, id);
    if (store(config, &wanted, key, id, &rows))
        exit_status = tell_made(rows, key, id);
    sodium_memzero(key, sizeof key);
    mr_rows_free(&rows);
    return exit_status;
}

/* ---- list, delete ---- */

static void print_cell(const mr_rows *rows, unsigned row, unsigned column, int width)
{
    struct mr_slice text = {"", 0};

    mr_rows_get(rows, row, column, &text);
    printf("%-*.*s  ", width, (int)text.len, text.data);
}

static int list(const struct mr_config *config)
{
    static const char *const heads[] = {"ID", "NAME", "SCOPES", "MADE", "LAST USED", "ENDS"};
    static const int widths[] = {36, 20, 30, 20, 17, 20};
    enum { COLUMNS = sizeof heads / sizeof heads[0] };
    struct mr_params params = {0};
    mr_rows *rows = NULL;
    bool good;

    mr_params_begin(&params, 1);
    mr_params_bool(&params, 0, true);
    good = ask(config, &list_keys, &params, &rows);
    for (unsigned column = 0; good && column < COLUMNS; column++)
        printf("%-*s  ", widths[column], heads[column]);
    for (unsigned row = 0; good && row < mr_rows_count(rows); row++) {
        putchar('\n');
        for (unsigned column = 0; column < COLUMNS; column++)
            print_cell(rows, row, column, widths[column]);
    }
    if (good)
        putchar('\n');
    mr_params_fini(&params);
    mr_rows_free(&rows);
    return good ? MR_EXIT_OK : MR_EXIT_FAILED;
}

static int delete_one(const struct mr_config *config, const char *text)
{
    struct mr_params params = {0};
    struct mr_slice name;
    mr_rows *rows = NULL;
    uint8_t id[16];
    int exit_status = MR_EXIT_FAILED;

    if (!mr_uuid_parse(id, text, strlen(text))) {
        fputs("millrace key delete: takes the id of a key; `millrace key list` has them\n", stderr);
        return MR_EXIT_USAGE;
    }
    mr_params_begin(&params, 1);
    mr_params_id(&params, 0, id);
    if (!ask(config, &delete_key, &params, &rows)) {
        exit_status = MR_EXIT_FAILED;
    } else if (!mr_rows_get(rows, 0, 0, &name)) {
        fprintf(stderr, "millrace key delete: there is no key %s\n", text);
    } else {
        printf("the key '%.*s' is deleted; within 5 seconds no process takes it any more\n", (int)name.len, name.data);
        exit_status = MR_EXIT_OK;
    }
    mr_params_fini(&params);
    mr_rows_free(&rows);
    return exit_status;
}

int mr_command_key(int argc, char **argv)
{
    bool makes = argc >= 1 && strcmp(argv[0], "make") == 0;
    bool lists = argc == 1 && strcmp(argv[0], "list") == 0;
    bool deletes = argc == 2 && strcmp(argv[0], "delete") == 0;
    struct mr_config config;

    if (!makes && !lists && !deletes)
        return usage();
    if (!mr_load_settings(&config, MR_RUN_MIGRATE))
        return MR_EXIT_USAGE;
    return makes ? make(&config, argc - 1, argv + 1) : lists ? list(&config) : delete_one(&config, argv[1]);
}
