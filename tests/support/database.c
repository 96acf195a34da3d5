#include "tests/support/database.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/embedded.h"
#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/mailbox.h"
#include "runtime/migrate.h"
#include "tests/support/test.h"

#define TEMPLATE "template_millrace"

/* Nothing here has to survive a power failure. */
#define SETTINGS                                                                                          \
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=64MB -c max_connections=60" \
    " -c autovacuum=off -c max_wal_size=4GB"

enum { STATEMENT_MS = 30000, PATH_ROOM = 512 };

static struct mr_embedded *server;
static char state_dir[PATH_ROOM];
static unsigned made;

static const char *nothing_set(const char *name)
{
    (void)name;
    return NULL;
}

__attribute__((format(printf, 1, 2))) static void run_command(const char *format, ...)
{
    char command[3 * PATH_ROOM];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_test("%s: failed", command);
}

static struct mr_embedded *start(const char *directory)
{
    struct mr_embedded_options options = {.state_dir = directory, .bin_dir = "", .database = TEMPLATE, .settings = SETTINGS};
    struct mr_buf problem = {0};
    struct mr_embedded *out = NULL;

    if (mr_embedded_start(&out, &options, &problem) != MR_OK)
        fail_test("%.*s", (int)problem.len, problem.data);
    return out;
}

static void stop_at_exit(void)
{
    char run_dir[PATH_ROOM];

    if (state_dir[0] == '\0')
        return;
    snprintf(run_dir, sizeof run_dir, "%s", server != NULL ? mr_embedded_host(server) : state_dir);
    mr_embedded_stop(&server, 10000);
    run_command("rm -rf '%s' '%s'", state_dir, run_dir);
    state_dir[0] = '\0';
}

static mr_db *connect_to(const struct mr_config *config);

/* The views for the release before stand in for tables of the engine: a statement of ours that needs one has to fail here. */
static void drop_stand_ins(const struct mr_config *config)
{
    mr_db *db = connect_to(config);

    sql_exec(db, "DO $$ DECLARE view name; BEGIN"
                 " FOR view IN SELECT viewname FROM pg_views WHERE schemaname = 'public' AND viewname <> 'schema_migration' LOOP"
                 " EXECUTE format('DROP VIEW public.%%I', view); END LOOP; END $$");
    mr_db_destroy(&db);
}

static void migrate(const char *database_name)
{
    struct mr_buf problem = {0};
    struct mr_config config;
    unsigned applied;

    database_config(&config, database_name);
    if (mr_migrate_up(&config, &mr_system_clock, 0, &applied, &problem) != MR_OK)
        fail_test("%.*s", (int)problem.len, problem.data);
    drop_stand_ins(&config);
}

/* A name for the cluster that changes with the migrations. */
static void cache_name(char out[PATH_ROOM], const char *cache)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (const struct mr_migration *m = mr_migrations; m->name != NULL; m++)
        for (const char *c = m->text; *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    snprintf(out, PATH_ROOM, "%s/%016llx", cache, (unsigned long long)hash);
}

/* Makes the cluster of the build unless another test program has; the lock is for programs that run side by side. */
static void make_cached(const char *cache, char cached[PATH_ROOM])
{
    char path[PATH_ROOM + 16];
    int lock;

    mkdir(cache, 0755);
    cache_name(cached, cache);
    snprintf(path, sizeof path, "%s.lock", cached);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        fail_test("%s: cannot be locked", path);
    snprintf(path, sizeof path, "%s/ready", cached);
    if (access(path, F_OK) != 0) {
        run_command("rm -rf '%s'", cached);
        server = start(cached);
        migrate(TEMPLATE);
        mr_embedded_stop(&server, 10000);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    close(lock);
}

int database_server_start(void **state)
{
    const char *cache = getenv("MILLRACE_TEST_CACHE");
    char cached[PATH_ROOM];

    (void)state;
    if (server != NULL)
        return 0;
    if (sodium_init() < 0)
        return -1;
    mr_mailbox_setup();
    mr_log_setup(getenv("MILLRACE_TEST_LOG") != NULL ? MR_LOG_DEBUG : (enum mr_log_level)(MR_LOG_ERROR + 1), false);
    snprintf(state_dir, sizeof state_dir, "/tmp/millrace-test-XXXXXX");
    if (mkdtemp(state_dir) == NULL || chmod(state_dir, 0755) != 0)
        return -1;
    atexit(stop_at_exit); /* also after a setup that failed halfway */
    if (cache != NULL && *cache != '\0') {
        make_cached(cache, cached);
        run_command("cp -a '%s/postgres' '%s/postgres'", cached, state_dir);
    }
    server = start(state_dir);
    if (cache == NULL || *cache == '\0')
        migrate(TEMPLATE);
    return 0;
}

int database_server_stop(void **state)
{
    (void)state;
    stop_at_exit();
    return 0;
}

void database_config(struct mr_config *out, const char *database_name)
{
    struct mr_buf problems = {0};
    mr_status status = mr_config_read(out, MR_RUN_ALL, nothing_set, NULL, &problems);

    mr_buf_fini(&problems);
    assert_int_equal(status, MR_OK);
    out->db_host = server != NULL ? mr_embedded_host(server) : "";
    out->db_database = database_name;
    out->jwt_secret = "a secret of the tests, long enough";
}

static mr_db *connect_to(const struct mr_config *config)
{
    struct mr_db_options options = {
        .config = config, .clock = &mr_system_clock, .host = config->db_host, .application_name = "test"};
    mr_db *db = NULL;

    assert_int_equal(mr_db_new(&db, &options, NULL), MR_OK);
    if (mr_db_connect(db) != MR_OK)
        fail_test("%s: %s", config->db_database, mr_db_last_error(db)->message);
    return db;
}

static struct database *new_database(const char *template)
{
    struct database *self = calloc(1, sizeof *self);
    struct mr_config admin;
    mr_db *db;

    assert_non_null(self);
    database_config(&admin, "postgres");
    db = connect_to(&admin);
    snprintf(self->name, sizeof self->name, "test_%u", ++made);
    sql_exec(db, "CREATE DATABASE %s TEMPLATE %s", self->name, template);
    mr_db_destroy(&db);
    database_config(&self->config, self->name);
    self->db = connect_to(&self->config);
    return self;
}

struct database *database_new(void)
{
    return new_database(TEMPLATE);
}

struct database *database_new_empty(void)
{
    return new_database("template0");
}

struct database *database_new_in(const char *locale)
{
    char template[64];
    struct database *self;

    snprintf(template, sizeof template, "template0 LOCALE '%s'", locale);
    self = new_database(template);
    migrate(self->name);
    return self;
}

/* The database itself stays behind: its server is going to be thrown away. */
void database_destroy(struct database **self)
{
    if (*self == NULL)
        return;
    mr_db_destroy(&(*self)->db);
    free(*self);
    *self = NULL;
}

mr_db *database_connect(const struct database *self)
{
    return connect_to(&self->config);
}

__attribute__((format(printf, 2, 0))) static mr_rows *run(mr_db *db, const char *format, va_list args)
{
    mr_rows *rows = NULL;
    char *sql = NULL;

    if (vasprintf(&sql, format, args) < 0)
        fail_test("out of memory");
    if (mr_db_exec(db, sql, mr_mono_ms(&mr_system_clock) + STATEMENT_MS, &rows) != MR_OK)
        fail_test("%.200s: %s", sql, mr_db_last_error(db)->message);
    free(sql);
    return rows;
}

void sql_exec(mr_db *db, const char *format, ...)
{
    va_list args;
    mr_rows *rows;

    va_start(args, format);
    rows = run(db, format, args);
    va_end(args);
    mr_rows_free(&rows);
}

static const char *first_value(mr_rows *rows)
{
    static char text[4096];
    struct mr_slice value = {"", 0};

    if (mr_rows_count(rows) > 0)
        mr_rows_get(rows, 0, 0, &value);
    snprintf(text, sizeof text, "%.*s", (int)value.len, value.data);
    mr_rows_free(&rows);
    return text;
}

int64_t sql_number(mr_db *db, const char *format, ...)
{
    va_list args;
    mr_rows *rows;

    va_start(args, format);
    rows = run(db, format, args);
    va_end(args);
    return strtoll(first_value(rows), NULL, 10);
}

const char *sql_text(mr_db *db, const char *format, ...)
{
    va_list args;
    mr_rows *rows;

    va_start(args, format);
    rows = run(db, format, args);
    va_end(args);
    return first_value(rows);
}

void make_id(uint8_t out[16], unsigned kind, uint64_t number)
{
    uint8_t random[10] = {0};

    for (int i = 0; i < 8; i++)
        random[9 - i] = (uint8_t)(number >> 8 * i);
    mr_uuid_v7(out, 1700000000000 + kind, random);
}

void make_user(mr_db *db, unsigned index, uint8_t out[16])
{
    char id[MR_UUID_TEXT];

    make_id(out, 1, index);
    mr_uuid_format(id, out);
    sql_exec(db,
             "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
             " VALUES ('%.36s', 'user%u', 'user%u@example.org', 'First', 'Last', '')",
             id, index, index);
}

int64_t backend_pid(mr_db *db, const char *application_name, bool waiting)
{
    return sql_number(db,
                      "SELECT pid FROM pg_stat_activity WHERE application_name = '%s' AND datname = current_database()%s",
                      application_name, waiting ? " AND wait_event_type = 'Lock'" : "");
}
