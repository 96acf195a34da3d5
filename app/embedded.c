#include "app/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/db.h"
#include "runtime/log.h"

enum { START_MS = 30000, STOP_MS = 10000, PAUSE_MS = 20, PATH_ROOM = 4096 };

struct mr_embedded {
    struct mr_embedded_options options;
    char bin[PATH_ROOM];  /* of PostgreSQL's programs */
    char root[PATH_ROOM]; /* <state>/postgres, absolute; data, log and run are in it */
    char run[PATH_ROOM];  /* of the socket: <root>/run, or in /tmp when that is too long for a socket's address */
    int lock_fd;
    uid_t uid; /* whom the server runs as */
    gid_t gid;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex; /* guards pid and stopping */
    pid_t pid;             /* of the server, 0 when there is none */
    bool stopping;
};

static mr_status fail(struct mr_buf *problem, const char *what, const char *path)
{
    mr_buf_printf(problem, "embedded PostgreSQL: %s %s: %s", what, path, strerror(errno));
    return MR_UNAVAILABLE;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void join(char out[PATH_ROOM], const char *directory, const char *name)
{
    snprintf(out, PATH_ROOM, "%s/%s", directory, name);
}

/* ---- Where things are ---- */

static bool has_programs(const char *directory)
{
    char path[PATH_ROOM];

    join(path, directory, "initdb");
    if (access(path, X_OK) != 0)
        return false;
    join(path, directory, "postgres");
    return access(path, X_OK) == 0;
}

/* The newest under Debian's layout, else wherever PATH leads. */
static bool find_programs(struct mr_embedded *self)
{
    const char *path = getenv("PATH");
    glob_t found = {0};
    bool good = false;

    if (self->options.bin_dir[0] != '\0') {
        snprintf(self->bin, sizeof self->bin, "%s", self->options.bin_dir);
        return has_programs(self->bin);
    }
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0)
        for (size_t i = found.gl_pathc; i-- > 0 && !good;) {
            snprintf(self->bin, sizeof self->bin, "%s", found.gl_pathv[i]);
            good = has_programs(self->bin);
        }
    globfree(&found);
    while (!good && path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");

        snprintf(self->bin, sizeof self->bin, "%.*s", (int)len, path);
        good = has_programs(self->bin);
        path += len + (path[len] == ':');
    }
    return good;
}

static bool make_directory(const char *path, mode_t mode)
{
    return mkdir(path, mode) == 0 || errno == EEXIST;
}

/* A socket's address holds 107 bytes; a path that leaves no room for its name gets a short one in /tmp. */
static mr_status choose_run_directory(struct mr_embedded *self, struct mr_buf *problem)
{
    static const char socket_name[] = "/.s.PGSQL.5432";
    uint64_t hash = UINT64_C(14695981039346656037);
    struct stat info;

    join(self->run, self->root, "run");
    if (strlen(self->run) + sizeof socket_name > sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        for (const char *c = self->root; *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
        snprintf(self->run, sizeof self->run, "/tmp/millrace-%016llx", (unsigned long long)hash);
    }
    if (!make_directory(self->run, 0700) || lstat(self->run, &info) != 0)
        return fail(problem, "cannot make", self->run);
    if (!S_ISDIR(info.st_mode) || (info.st_uid != geteuid() && info.st_uid != self->uid)) {
        errno = EEXIST;
        return fail(problem, "somebody else's", self->run);
    }
    return MR_OK;
}

static void choose_user(struct mr_embedded *self)
{
    const struct passwd *user = getpwnam("postgres");

    self->uid = geteuid();
    self->gid = getegid();
    if (self->uid != 0)
        return;
    if (user == NULL)
        user = getpwnam("nobody");
    self->uid = user != NULL ? user->pw_uid : 65534;
    self->gid = user != NULL ? user->pw_gid : 65534;
}

static mr_status make_directories(struct mr_embedded *self, struct mr_buf *problem)
{
    char absolute[PATH_ROOM];

    if (!make_directory(self->options.state_dir, 0755) || realpath(self->options.state_dir, absolute) == NULL)
        return fail(problem, "cannot make", self->options.state_dir);
    if (snprintf(self->root, sizeof self->root, "%s/postgres", absolute) >= PATH_ROOM - 64) {
        errno = ENAMETOOLONG;
        return fail(problem, "cannot make", absolute);
    }
    if (!make_directory(self->root, 0700) || chown(self->root, self->uid, self->gid) != 0)
        return fail(problem, "cannot make", self->root);
    if (choose_run_directory(self, problem) != MR_OK)
        return MR_UNAVAILABLE;
    return chown(self->run, self->uid, self->gid) == 0 ? MR_OK : fail(problem, "cannot own", self->run);
}

/* One `millrace all` for a state directory; the kernel lets go of the lock however the process ends. */
static mr_status take_lock(struct mr_embedded *self, struct mr_buf *problem)
{
    char path[PATH_ROOM];

    join(path, self->options.state_dir, "lock");
    self->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock_fd < 0)
        return fail(problem, "cannot open", path);
    if (flock(self->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return MR_OK;
    mr_buf_printf(problem, "embedded PostgreSQL: another `millrace all` uses %s; stop it, or set MILLRACE_STATE_DIR",
                  self->options.state_dir);
    return MR_UNAVAILABLE;
}

/* ---- Running its programs ---- */

static bool keep_capability(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uint32_t bit = UINT32_C(1) << capability;

    if (syscall(SYS_capget, &header, data) != 0 || !(data[0].permitted & bit))
        return false;
    data[0] = (struct __user_cap_data_struct){.effective = bit, .permitted = bit, .inheritable = bit};
    data[1] = (struct __user_cap_data_struct){0};
    return syscall(SYS_capset, &header, data) == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0;
}

/*
 * Becomes the server's user. Where that user may not pass a directory on the way to the cluster (a clone under
 * /root, say), it keeps the one capability that lets it pass, and none else.
 */
static bool become_user(const struct mr_embedded *self)
{
    if (geteuid() != 0)
        return true;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 || setresgid(self->gid, self->gid, self->gid) != 0 ||
        setresuid(self->uid, self->uid, self->uid) != 0)
        return false;
    if (access(self->root, X_OK) != 0 && !keep_capability(CAP_DAC_READ_SEARCH))
        (void)keep_capability(CAP_DAC_OVERRIDE);
    return true;
}

static void redirect_output(const struct mr_embedded *self)
{
    char path[PATH_ROOM];
    int null_fd = open("/dev/null", O_RDONLY);
    int log_fd;

    join(path, self->root, "log");
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (null_fd >= 0)
        dup2(null_fd, STDIN_FILENO);
    if (log_fd >= 0) {
        dup2(log_fd, STDOUT_FILENO);
        dup2(log_fd, STDERR_FILENO);
    }
}

/* In a session of its own, so that Ctrl-C reaches Millrace alone, and never longer than the thread that made it. */
static pid_t spawn(const struct mr_embedded *self, const char *program, const char *argv[])
{
    char path[PATH_ROOM];
    sigset_t none;
    pid_t pid;

    join(path, self->bin, program);
    pid = fork();
    if (pid != 0)
        return pid;
    argv[0] = path; /* initdb looks for postgres beside it */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (!become_user(self))
        _exit(126);
    redirect_output(self);
    prctl(PR_SET_PDEATHSIG, SIGINT, 0, 0, 0);
    if (chdir(self->root) == 0)
        execv(path, (char *const *)argv); /* POSIX promises that it changes nothing */
    _exit(127);
}

static bool run_to_end(const struct mr_embedded *self, const char *program, const char *argv[])
{
    pid_t pid = spawn(self, program, argv);
    int status = -1;

    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What starts that were killed have left. */
static void remove_half_clusters(const struct mr_embedded *self)
{
    struct mr_embedded coreutils = *self;
    char pattern[PATH_ROOM];
    glob_t found = {0};

    snprintf(coreutils.bin, sizeof coreutils.bin, "/bin");
    join(pattern, self->root, "data.new*");
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            (void)run_to_end(&coreutils, "rm", (const char *[]){"rm", "-rf", found.gl_pathv[i], NULL});
    globfree(&found);
}

/*
 * Made beside its place and moved there when it is complete: a kill in the middle leaves no half cluster. The
 * place has our process id in its name, because the initdb of a start that was killed may still be at its end.
 */
static mr_status make_cluster(const struct mr_embedded *self, struct mr_buf *problem)
{
    char data[PATH_ROOM];
    char from[PATH_ROOM];
    char name[64];
    char pgdata[128];
    /* clang-format off */
    const char *initdb[] = {"initdb",           pgdata,               "--username=postgres", "--auth=trust",
                            "--encoding=UTF8", "--locale=C.UTF-8",   "--no-instructions",
                            self->options.short_lived ? "--no-sync" : NULL, NULL};
    /* clang-format on */

    join(data, self->root, "data");
    if (access(data, F_OK) == 0)
        return MR_OK;
    mr_log(MR_LOG_INFO, "making a PostgreSQL cluster", mr_log_text("directory", data));
    remove_half_clusters(self);
    snprintf(name, sizeof name, "data.new.%d", (int)getpid());
    snprintf(pgdata, sizeof pgdata, "--pgdata=%s", name);
    join(from, self->root, name);
    if (run_to_end(self, "initdb", initdb) && rename(from, data) == 0)
        return MR_OK;
    mr_buf_printf(problem, "embedded PostgreSQL: initdb failed, see %s/log", self->root);
    return MR_UNAVAILABLE;
}

/* ---- A server left behind ---- */

/* The process id in postmaster.pid; 0 when there is no such file. */
static pid_t recorded_pid(const struct mr_embedded *self)
{
    char path[PATH_ROOM];
    char line[32];
    long pid = 0;
    FILE *file;

    join(path, self->root, "data/postmaster.pid");
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) != NULL)
        pid = strtol(line, NULL, 10);
    fclose(file);
    return (pid_t)pid;
}

/* Whether that process is a server of this cluster: it works in the cluster's directory. */
static bool serves_here(const struct mr_embedded *self, pid_t pid)
{
    char link[64];
    char directory[PATH_ROOM];
    char data[PATH_ROOM];
    ssize_t len;

    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    len = readlink(link, directory, sizeof directory - 1);
    if (len < 0)
        return false;
    directory[len] = '\0';
    join(data, self->root, "data");
    return strcmp(directory, data) == 0;
}

static bool await_end(pid_t pid, int64_t limit_ms)
{
    int64_t until_ms = mr_mono_ms(&mr_system_clock) + limit_ms;

    while (kill(pid, 0) == 0 && mr_mono_ms(&mr_system_clock) < until_ms)
        pause_ms(PAUSE_MS);
    return kill(pid, 0) != 0;
}

/*
 * We hold the lock, so a server that still runs here belongs to a Millrace that is no more: stop it. A pid file
 * of a process that is something else by now would keep PostgreSQL from starting: remove it.
 */
static void clear_leftovers(const struct mr_embedded *self)
{
    pid_t pid = recorded_pid(self);
    char path[PATH_ROOM];

    if (pid <= 0)
        return;
    if (serves_here(self, pid)) {
        mr_log(MR_LOG_WARN, "stopping a PostgreSQL that an earlier process left running", mr_log_int("pid", pid));
        kill(pid, SIGINT);
        if (!await_end(pid, STOP_MS)) {
            kill(pid, SIGQUIT);
            await_end(pid, STOP_MS);
        }
        return;
    }
    join(path, self->root, "data/postmaster.pid");
    unlink(path);
    join(path, self->run, ".s.PGSQL.5432.lock");
    unlink(path);
}

/* ---- The server ---- */

enum { SERVER_ARGS = 64 };

static pid_t spawn_server(struct mr_embedded *self)
{
    char data[PATH_ROOM];
    char socket[PATH_ROOM + 32];
    char more[1024];
    /* clang-format off */
    const char *argv[SERVER_ARGS] = {"postgres", "-D", data, "-c", "listen_addresses=", "-c", socket, "-c", "port=5432",
                               "-c",       "logging_collector=off", "-c", "log_destination=stderr"};
    /* clang-format on */
    int argc = 13;
    char *rest = NULL;

    join(data, self->root, "data");
    snprintf(socket, sizeof socket, "unix_socket_directories=%s", self->run);
    snprintf(more, sizeof more, "%s", self->options.settings != NULL ? self->options.settings : "");
    for (char *word = strtok_r(more, " ", &rest); word != NULL && argc < SERVER_ARGS - 1; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    return spawn(self, "postgres", argv);
}

/* Starts the server unless it is to stop; the lock makes a stop see either no server or its pid. */
static pid_t start_server(struct mr_embedded *self)
{
    pthread_mutex_lock(&self->mutex);
    self->pid = self->stopping ? 0 : spawn_server(self);
    pthread_mutex_unlock(&self->mutex);
    return self->pid;
}

static void *supervise(void *argument)
{
    struct mr_embedded *self = argument;
    sigset_t all;
    pid_t pid;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while ((pid = start_server(self)) > 0) {
        int status = 0;
        bool stopping;

        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        pthread_mutex_lock(&self->mutex);
        self->pid = 0;
        stopping = self->stopping;
        pthread_mutex_unlock(&self->mutex);
        if (stopping)
            break;
        mr_log(MR_LOG_ERROR, "PostgreSQL ended and is restarted", mr_log_int("waitStatus", status));
        pause_ms(200);
    }
    return NULL;
}

static mr_status ensure_database(struct mr_embedded *self, mr_db *db)
{
    struct mr_buf sql = {0};
    mr_status status = MR_NO_MEMORY;

    mr_buf_printf(&sql, "CREATE DATABASE \"%s\"", self->options.database);
    mr_buf_char(&sql, '\0');
    if (!sql.failed)
        status = mr_db_exec(db, sql.data, mr_mono_ms(&mr_system_clock) + START_MS, NULL);
    if (status != MR_OK && strcmp(mr_db_last_error(db)->sqlstate, "42P04") == 0)
        status = MR_OK; /* it is there already */
    mr_buf_fini(&sql);
    return status;
}

static mr_status await_server(struct mr_embedded *self, struct mr_buf *problem)
{
    struct mr_config config = {.db_port = 5432,
                               .db_user = "postgres",
                               .db_pass = "",
                               .db_database = "postgres",
                               .db_ssl = "false",
                               .db_ssl_root_cert = "",
                               .db_connect_timeout = 1000};
    struct mr_db_options options = {
        .config = &config, .clock = &mr_system_clock, .host = self->run, .application_name = "millrace embedded"};
    int64_t until_ms = mr_mono_ms(&mr_system_clock) + START_MS;
    mr_db *db = NULL;
    mr_status status = mr_db_new(&db, &options, NULL);

    if (status != MR_OK)
        return status;
    while ((status = mr_db_reconnect(db)) != MR_OK && mr_mono_ms(&mr_system_clock) < until_ms)
        pause_ms(PAUSE_MS);
    if (status == MR_OK)
        status = ensure_database(self, db);
    if (status != MR_OK)
        mr_buf_printf(problem, "embedded PostgreSQL: does not answer: %s; see %s/log", mr_db_last_error(db)->message,
                      self->root);
    mr_db_destroy(&db);
    return status;
}

mr_status mr_embedded_start(struct mr_embedded **out, const struct mr_embedded_options *options, struct mr_buf *problem)
{
    struct mr_embedded *self = calloc(1, sizeof *self);
    mr_status status = MR_OK;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->options = *options;
    self->lock_fd = -1;
    pthread_mutex_init(&self->mutex, NULL);
    choose_user(self);
    if (!find_programs(self)) {
        mr_buf_text(
            problem,
            "embedded PostgreSQL: initdb and postgres are not found; install postgresql, or set MILLRACE_PG_BIN or DB_HOST");
        status = MR_UNAVAILABLE;
    }
    if (status == MR_OK)
        status = make_directories(self, problem);
    if (status == MR_OK)
        status = take_lock(self, problem);
    if (status == MR_OK)
        status = make_cluster(self, problem);
    if (status == MR_OK) {
        clear_leftovers(self);
        self->has_thread = pthread_create(&self->thread, NULL, supervise, self) == 0;
        if (!self->has_thread)
            mr_buf_text(problem, "embedded PostgreSQL: the system allows no more threads");
        status = self->has_thread ? await_server(self, problem) : MR_NO_MEMORY;
    }
    if (status != MR_OK) {
        mr_embedded_stop(&self, STOP_MS);
        return status;
    }
    *out = self;
    return MR_OK;
}

const char *mr_embedded_host(const struct mr_embedded *self)
{
    return self->run;
}

static void signal_server(struct mr_embedded *self, int signal)
{
    pthread_mutex_lock(&self->mutex);
    self->stopping = true;
    if (self->pid > 0)
        kill(self->pid, signal);
    pthread_mutex_unlock(&self->mutex);
}

static bool has_ended(struct mr_embedded *self)
{
    bool ended;

    pthread_mutex_lock(&self->mutex);
    ended = self->pid == 0;
    pthread_mutex_unlock(&self->mutex);
    return ended;
}

/* Whether it ended by then. */
static bool end_by(struct mr_embedded *self, int signal, int64_t deadline_ms)
{
    signal_server(self, signal);
    while (!has_ended(self) && mr_mono_ms(&mr_system_clock) < deadline_ms)
        pause_ms(PAUSE_MS);
    return has_ended(self);
}

/* Of a server that is killed nobody tells the backends; they hold its memory, and keep the next one from starting. */
static void kill_server(struct mr_embedded *self)
{
    char path[64];
    char child[16]; /* digits and a blank */
    FILE *children;

    pthread_mutex_lock(&self->mutex);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)self->pid, (int)self->pid);
    children = self->pid > 0 ? fopen(path, "re") : NULL;
    while (children != NULL && fscanf(children, "%15s", child) == 1)
        kill((pid_t)strtol(child, NULL, 10), SIGKILL);
    if (children != NULL)
        fclose(children);
    pthread_mutex_unlock(&self->mutex);
    signal_server(self, SIGKILL);
}

static void stop_server(struct mr_embedded *self, int64_t limit_ms)
{
    int64_t now_ms = mr_mono_ms(&mr_system_clock);

    if (end_by(self, SIGINT, now_ms + limit_ms / 2) || end_by(self, SIGQUIT, now_ms + limit_ms * 3 / 4))
        return;
    mr_log(MR_LOG_ERROR, "the embedded PostgreSQL does not stop, and is killed");
    kill_server(self);
}

void mr_embedded_stop(struct mr_embedded **self, int64_t limit_ms)
{
    struct mr_embedded *embedded = *self;

    if (embedded == NULL)
        return;
    if (embedded->has_thread) {
        stop_server(embedded, limit_ms);
        pthread_join(embedded->thread, NULL);
    }
    if (embedded->lock_fd >= 0)
        close(embedded->lock_fd);
    pthread_mutex_destroy(&embedded->mutex);
    free(embedded);
    *self = NULL;
}
