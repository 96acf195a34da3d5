#include "app/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/embedded.h"
#include "runtime/db.h"
#include "runtime/log.h"

enum { STATEMENT_MS = 30000, STOP_MS = 10000, NAME_ROOM = 64, PATH_ROOM = 512, STALE_S = 3600, FRESH_S = 60, DEPTH = 32 };

#define PREFIX "millrace_scratch_"
#define FOLDER "millrace-scratch-"

/* Nothing here has to survive a power failure, and little is in it. */
#define SETTINGS                                                                                                  \
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=16MB -c max_connections=20" \
    " -c autovacuum=off"

struct mr_scratch {
    struct mr_config config; /* leads to it */
    char name[NAME_ROOM];
    struct mr_config maker_config;
    mr_db *maker; /* on another database of the server; of an embedded server NULL */
    struct mr_embedded *server;
    char folder[PATH_ROOM];
    char run[PATH_ROOM]; /* of the embedded server's socket, which may be elsewhere */
};

static int64_t deadline(void)
{
    return mr_mono_ms(&mr_system_clock) + STATEMENT_MS;
}

/* ---- On a server that is there ---- */

static mr_status fail(const struct mr_scratch *self, mr_status status, const char *what, struct mr_buf *problem)
{
    mr_buf_printf(problem, "%s: %s", what, mr_db_last_error(self->maker)->message);
    return status;
}

/* A database to be connected to while another is made: the configured one, which may not be there yet, or one that always is. */
static mr_status connect_maker(struct mr_scratch *self, const struct mr_config *config, struct mr_buf *problem)
{
    const char *const names[] = {config->db_database, "postgres", "template1"};
    struct mr_db_options options = {.config = &self->maker_config,
                                    .clock = &mr_system_clock,
                                    .host = config->db_host,
                                    .application_name = "millrace scratch"};
    mr_status status = mr_db_new(&self->maker, &options, NULL);

    if (status != MR_OK)
        return status;
    self->maker_config = *config;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        self->maker_config.db_database = names[i];
        status = mr_db_reconnect(self->maker);
        if (status == MR_OK || mr_db_trouble(self->maker) != MR_DB_MISSING)
            break;
    }
    if (status != MR_OK)
        return fail(self, status, "the database server cannot be used", problem);
    if (mr_db_is_shared(self->maker)) {
        mr_buf_text(problem, "a pooler stands in front of the database, and a new database cannot be reached through it; set"
                             " DB_HOST and DB_PORT to the server itself");
        return MR_UNAVAILABLE;
    }
    return MR_OK;
}

/* Its name says when it was made, so that one left behind can be told from one that is about to be used. */
static mr_status choose_name(struct mr_scratch *self)
{
    unsigned char bytes[8];
    char hex[2 * sizeof bytes + 1];

    if (sodium_init() < 0)
        return MR_INTERNAL;
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    snprintf(self->name, sizeof self->name, PREFIX "%lld_%s", (long long)time(NULL), hex);
    return MR_OK;
}

static mr_status drop(mr_db *db, const char *name)
{
    char sql[NAME_ROOM + 64];

    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", name);
    return mr_db_exec(db, sql, deadline(), NULL);
}

/* What processes that were killed have left; nobody has been in one of them for an hour. That it cannot be done is no failure. */
static void drop_stale(const struct mr_scratch *self)
{
    char sql[512];
    mr_rows *rows = NULL;

    snprintf(sql, sizeof sql,
             "SELECT d.datname FROM pg_catalog.pg_database d WHERE d.datname ~ '^" PREFIX "[0-9]{1,12}_[0-9a-f]{16}$'"
             " AND split_part(d.datname, '_', 3)::bigint < %lld AND pg_catalog.pg_has_role(d.datdba, 'USAGE')"
             " AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datname = d.datname)",
             (long long)time(NULL) - STALE_S);
    if (mr_db_exec(self->maker, sql, deadline(), &rows) != MR_OK)
        return;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice name = {"", 0};

        mr_rows_get(rows, row, 0, &name);
        (void)!drop(self->maker, name.data); /* libpq terminates its values */
    }
    mr_rows_free(&rows);
}

static mr_status create(struct mr_scratch *self, struct mr_buf *problem)
{
    char sql[NAME_ROOM + 64];
    mr_status status;

    snprintf(sql, sizeof sql, "CREATE DATABASE \"%s\" ENCODING 'UTF8'", self->name);
    status = mr_db_exec(self->maker, sql, deadline(), NULL);
    if (status == MR_OK)
        return MR_OK;
    if (strcmp(mr_db_last_error(self->maker)->sqlstate, "42501") != 0)
        return fail(self, status, "a scratch database cannot be made", problem);
    mr_buf_printf(
        problem, "the role %s may not make a scratch database; grant it CREATEDB, or leave DB_HOST out for a server of its own",
        self->config.db_user);
    return MR_FORBIDDEN;
}

static mr_status make_database(struct mr_scratch *self, const struct mr_config *config, struct mr_buf *problem)
{
    mr_status status = connect_maker(self, config, problem);

    if (status == MR_OK)
        drop_stale(self);
    if (status == MR_OK)
        status = choose_name(self);
    if (status == MR_OK)
        status = create(self, problem);
    return status;
}

/* ---- A server of its own ---- */

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

static bool remove_folder(const char *path)
{
    return nftw(path, remove_entry, DEPTH, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
}

static const char *temporary(void)
{
    const char *path = getenv("TMPDIR");

    return path != NULL && path[0] == '/' && strlen(path) < PATH_ROOM / 2 ? path : "/tmp";
}

/* Whether the process that made the folder has ended: the kernel has released its lock. */
static bool is_left_behind(const char *folder)
{
    char path[PATH_ROOM];
    struct stat about;
    bool left = false;
    int lock;

    if (lstat(folder, &about) != 0 || !S_ISDIR(about.st_mode) || about.st_uid != geteuid() ||
        about.st_mtime > time(NULL) - FRESH_S)
        return false;
    snprintf(path, sizeof path, "%s/lock", folder);
    lock = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0)
        return errno == ENOENT; /* killed before it had one */
    left = flock(lock, LOCK_EX | LOCK_NB) == 0;
    close(lock);
    return left;
}

static void remove_left_behind(void)
{
    char pattern[PATH_ROOM];
    glob_t found = {0};

    snprintf(pattern, sizeof pattern, "%s/" FOLDER "??????", temporary());
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (is_left_behind(found.gl_pathv[i]))
                (void)remove_folder(found.gl_pathv[i]);
    globfree(&found);
}

/* The server's user has to be able to enter it. */
static mr_status make_folder(struct mr_scratch *self, struct mr_buf *problem)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "%s/" FOLDER "XXXXXX", temporary());
    if (mkdtemp(path) == NULL || chmod(path, 0755) != 0) {
        mr_buf_printf(problem, "no temporary directory %s: %s", path, strerror(errno));
        return MR_UNAVAILABLE;
    }
    memcpy(self->folder, path, sizeof path);
    return MR_OK;
}

static mr_status make_server(struct mr_scratch *self, const struct mr_config *config, struct mr_buf *problem)
{
    struct mr_embedded_options options = {.state_dir = self->folder,
                                          .bin_dir = config->pg_bin_dir,
                                          .database = "scratch",
                                          .settings = SETTINGS,
                                          .short_lived = true};
    mr_status status;

    remove_left_behind();
    status = make_folder(self, problem);
    if (status == MR_OK)
        status = mr_embedded_start(&self->server, &options, problem);
    if (status != MR_OK)
        return status;
    snprintf(self->run, sizeof self->run, "%s", mr_embedded_host(self->server));
    self->config.db_host = self->run;
    self->config.db_port = 5432;
    self->config.db_user = "postgres";
    self->config.db_ssl = "false";
    snprintf(self->name, sizeof self->name, "scratch");
    return MR_OK;
}

/* ---- Either ---- */

mr_status mr_scratch_new(struct mr_scratch **out, const struct mr_config *config, struct mr_buf *problem)
{
    struct mr_scratch *self = calloc(1, sizeof *self);
    mr_status status;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->config = *config;
    self->config.db_host_read_only = "";
    status = config->db_host[0] != '\0' ? make_database(self, config, problem) : make_server(self, config, problem);
    if (status != MR_OK) {
        struct mr_buf ignored = {0};

        (void)mr_scratch_destroy(&self, &ignored);
        mr_buf_fini(&ignored);
        return status;
    }
    self->config.db_database = self->name;
    *out = self;
    return MR_OK;
}

const struct mr_config *mr_scratch_config(const struct mr_scratch *self)
{
    return &self->config;
}

static mr_status drop_database(const struct mr_scratch *self, struct mr_buf *problem)
{
    mr_status status = mr_db_reconnect(self->maker);

    if (status == MR_OK)
        status = drop(self->maker, self->name);
    if (status != MR_OK)
        mr_buf_printf(problem, "the database %s is left: %s", self->name, mr_db_last_error(self->maker)->message);
    return status;
}

static mr_status remove_server(struct mr_scratch *self, struct mr_buf *problem)
{
    mr_embedded_stop(&self->server, STOP_MS);
    if (self->run[0] != '\0')
        (void)remove_folder(self->run);
    if (remove_folder(self->folder))
        return MR_OK;
    mr_buf_printf(problem, "the directory %s is left: %s", self->folder, strerror(errno));
    return MR_UNAVAILABLE;
}

mr_status mr_scratch_destroy(struct mr_scratch **self, struct mr_buf *problem)
{
    struct mr_scratch *scratch = *self;
    mr_status status = MR_OK;

    if (scratch == NULL)
        return MR_OK;
    if (scratch->folder[0] != '\0')
        status = remove_server(scratch, problem);
    else if (scratch->name[0] != '\0') /* also when nobody knows whether it came to be */
        status = drop_database(scratch, problem);
    mr_db_destroy(&scratch->maker);
    free(scratch);
    *self = NULL;
    return status;
}
