/*
 * dev: `millrace all` on an application's folder, and again whenever its files change.
 *
 * This process serves nothing. It keeps what has to outlive a change: the listening socket, the embedded PostgreSQL and the watch. The
 * server is a child, which gets the socket (app/activation.h). With a change the next child is started beside it; when that
 * says that it serves, the previous one is asked to end, and answers what it has begun. Until then, and if the next one never gets
 * there, everything stays as it was. Nobody is refused: the socket is always open, and whoever connects waits for one of the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/admin.h"
#include "app/application.h"
#include "app/commands.h"
#include "app/embedded.h"
#include "app/settings.h"
#include "app/watch.h"
#include "application/load.h"
#include "application/sqlfiles.h"
#include "http/server.h"
#include "runtime/clock.h"

enum {
    DRAINING_MAX = 16,
    BACKOFF_LEAST_MS = 1000,
    BACKOFF_MOST_MS = 30000,
    HEALTHY_MS = 10000, /* who has served for so long has not ended because of its start */
    STOP_ROOM_MS = 5000 /* a child ends by itself within SHUTDOWN_GRACE; past this it is killed */
};

struct dev {
    struct mr_config config;
    const char *folder;
    struct mr_watch *watch;
    struct mr_embedded *database;
    struct mr_application *served; /* as it was when the last child got ready */
    struct mr_application *next;   /* of the child that is coming */
    int listen_fd;                 /* -1: nothing has been served yet */
    int admin_fd;
    int signal_fd;
    int notify_fd;
    char notify_name[64];
    pid_t coming;
    pid_t serving;
    pid_t draining[DRAINING_MAX];
    int64_t ready_ms;   /* when `serving` was ready */
    int64_t restart_ms; /* when one that has ended is started again; -1: none has */
    int64_t backoff_ms;
    bool stopping; /* a signal came */
    bool ending;   /* children that end are expected to */
    bool failed;
};

static int64_t now_ms(void)
{
    return mr_mono_ms(&mr_system_clock);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("millrace dev: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- The application ---- */

/*
 * What would be refused by the database, or would be applied too early, told in the words of somebody who writes files: a migration
 * that has been applied stays as it is, and one that `millrace new` has just made has no SQL yet.
 */
static bool are_migrations_good(const struct dev *self, const struct mr_application *next)
{
    bool good = true;

    for (unsigned i = 0; self->served != NULL && i < self->served->migration_count; i++) {
        const struct mr_app_migration *applied = &self->served->migrations[i];

        if (i < next->migration_count && strcmp(applied->name, next->migrations[i].name) == 0 &&
            strcmp(applied->sql, next->migrations[i].sql) == 0)
            continue;
        good = false;
        fprintf(stderr,
                "migrations/%s.sql: it has been applied and is another one now, expected what it was; `millrace new migration "
                "NAME` "
                "begins one for the change\n",
                applied->name);
    }
    for (unsigned i = 0; i < next->migration_count; i++)
        if (!mr_app_has_sql(next->migrations[i].sql)) {
            good = false;
            fprintf(stderr, "migrations/%s.sql: there are only comments in it, expected SQL\n", next->migrations[i].name);
        }
    return good;
}

/* The application as its files are now; NULL: why not has been printed. */
static struct mr_application *load(const struct dev *self)
{
    struct mr_application *application = mr_application_try(self->folder);

    if (application != NULL && !are_migrations_good(self, application))
        mr_application_destroy(&application);
    return application;
}

/* ---- Children ---- */

static void set(const char *name, const char *value)
{
    setenv(name, value, 1);
}

static void set_number(const char *name, long long value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", value);
    setenv(name, text, 1);
}

/* In the child: the sockets are 3 and 4, whatever their numbers were. */
static void hand_over_sockets(const struct dev *self)
{
    int api = fcntl(self->listen_fd, F_DUPFD, 10);
    int admin = self->admin_fd >= 0 ? fcntl(self->admin_fd, F_DUPFD, 10) : -1;

    dup2(api, 3);
    if (admin >= 0)
        dup2(admin, 4);
    close(api);
    if (admin >= 0)
        close(admin);
    set_number("LISTEN_PID", getpid());
    set("LISTEN_FDS", admin >= 0 ? "2" : "1");
    set("LISTEN_FDNAMES", admin >= 0 ? "api:admin" : "api");
    set("NOTIFY_SOCKET", self->notify_name);
}

static _Noreturn void become_server(const struct dev *self, pid_t parent)
{
    sigset_t none;

    setpgid(0, 0); /* Ctrl-C is for the parent, which tells the children once */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(MR_EXIT_FAILED);
    hand_over_sockets(self);
    set("MILLRACE_APP", self->folder);
    if (self->database != NULL) {
        set("DB_HOST", mr_embedded_host(self->database));
        set("DB_PORT", "5432");
        set("DB_USER", "postgres");
        set("DB_SSL", "false");
        unsetenv("DB_USERNAME");
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execl("/proc/self/exe", "millrace", "all", (char *)NULL);
    fprintf(stderr, "millrace dev: cannot start the server: %s\n", strerror(errno));
    _exit(MR_EXIT_FAILED);
}

static pid_t start_server(struct dev *self)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0)
        become_server(self, parent);
    if (pid < 0)
        say("cannot start the server: %s", strerror(errno));
    return pid > 0 ? pid : 0;
}

/* The port is opened with the first application that can be served: until then connections are refused. */
static bool open_ports(struct dev *self)
{
    struct mr_buf problem = {0};
    bool good = true;

    if (self->listen_fd >= 0)
        return true;
    if (mr_http_listen(&self->listen_fd, self->config.app_host, (int)self->config.app_port, &problem) != MR_OK) {
        say("%.*s", (int)problem.len, problem.data);
        self->listen_fd = -1;
        good = false;
    } else if (!mr_admin_listen(&self->config, &self->admin_fd)) {
        self->admin_fd = -1;
        good = false;
    }
    mr_buf_fini(&problem);
    return good;
}

static void begin(struct dev *self)
{
    self->next = load(self);
    self->restart_ms = -1;
    if (self->next == NULL) {
        say(self->serving != 0 ? "the change is not served; the version before it still is"
                               : "nothing is served; waiting for a change");
        return;
    }
    if (!open_ports(self)) {
        self->failed = self->stopping = true;
        return;
    }
    self->coming = start_server(self);
}

static void drain(struct dev *self, pid_t pid)
{
    if (pid == 0)
        return;
    kill(pid, SIGTERM);
    for (int i = 0; i < DRAINING_MAX; i++)
        if (self->draining[i] == 0) {
            self->draining[i] = pid;
            return;
        }
    kill(pid, SIGKILL); /* so many changes within one SHUTDOWN_GRACE */
    waitpid(pid, NULL, 0);
}

static void on_ready(struct dev *self)
{
    if (self->serving == 0 && self->served == NULL)
        say("serving %s on http://localhost:%d; Ctrl-C ends it", self->folder, (int)self->config.app_port);
    else
        say("serving the change");
    drain(self, self->serving);
    self->serving = self->coming;
    self->coming = 0;
    self->ready_ms = now_ms();
    mr_application_destroy(&self->served);
    self->served = self->next;
    self->next = NULL;
}

/* ---- What happens ---- */

static const char *how_it_ended(char room[64], int status)
{
    if (WIFSIGNALED(status))
        snprintf(room, 64, "by signal %d", WTERMSIG(status));
    else
        snprintf(room, 64, "with status %d", WEXITSTATUS(status));
    return room;
}

static void on_coming_ended(struct dev *self, int status)
{
    char room[64];

    self->coming = 0;
    mr_application_destroy(&self->next);
    if (self->ending)
        return;
    if (self->serving != 0)
        say("the server with the change ended %s, its lines above say why; the version before it is still served",
            how_it_ended(room, status));
    else
        say("the server ended %s, its lines above say why; waiting for a change", how_it_ended(room, status));
}

static void on_serving_ended(struct dev *self, int status)
{
    char room[64];
    int64_t now = now_ms();

    self->serving = 0;
    self->backoff_ms = now - self->ready_ms > HEALTHY_MS || self->backoff_ms == 0 ? BACKOFF_LEAST_MS : 2 * self->backoff_ms;
    if (self->backoff_ms > BACKOFF_MOST_MS)
        self->backoff_ms = BACKOFF_MOST_MS;
    self->restart_ms = now + self->backoff_ms;
    if (!self->ending)
        say("the server ended %s; starting it again in %lld s", how_it_ended(room, status), (long long)self->backoff_ms / 1000);
}

static bool has_ended(pid_t pid, int *status)
{
    return pid != 0 && waitpid(pid, status, WNOHANG) == pid;
}

static void reap(struct dev *self)
{
    int status = 0;

    if (has_ended(self->coming, &status))
        on_coming_ended(self, status);
    if (has_ended(self->serving, &status))
        on_serving_ended(self, status);
    for (int i = 0; i < DRAINING_MAX; i++)
        if (has_ended(self->draining[i], &status))
            self->draining[i] = 0;
}

static void on_signals(struct dev *self)
{
    struct signalfd_siginfo info;

    while (read(self->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            self->stopping = true;
    reap(self);
}

/* Whose word it is, the kernel says. */
static void on_notified(struct dev *self)
{
    char word[64];
    union {
        char room[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr header;
    } control;
    struct iovec data = {word, sizeof word};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};

    while (recvmsg(self->notify_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) > 0) {
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        struct ucred who = {.pid = 0};

        if (header != NULL && header->cmsg_type == SCM_CREDENTIALS)
            memcpy(&who, CMSG_DATA(header), sizeof who);
        if (who.pid != 0 && who.pid == self->coming)
            on_ready(self);
        message.msg_controllen = sizeof control;
    }
}

/* While one is coming, a further change waits for its end: it may be in the middle of a migration. */
static void look(struct dev *self)
{
    int64_t now = now_ms();

    if (self->coming != 0)
        return;
    if (mr_watch_look(self->watch, now) || (self->restart_ms >= 0 && now >= self->restart_ms))
        begin(self);
}

static int timeout_ms(const struct dev *self)
{
    return self->coming != 0 ? 1000 : mr_watch_timeout_ms(self->watch, now_ms());
}

static void turn(struct dev *self)
{
    /* Events wait, too, while a change has to. */
    struct pollfd fds[] = {{self->signal_fd, POLLIN, 0},
                           {self->notify_fd, POLLIN, 0},
                           {self->coming != 0 ? -1 : mr_watch_fd(self->watch), POLLIN, 0}};

    (void)poll(fds, 3, timeout_ms(self));
    on_notified(self); /* first, so that one that was ready before it ended counts as such */
    on_signals(self);
    if (!self->stopping)
        look(self);
}

/* ---- Begin and end ---- */

static bool open_signals(struct dev *self)
{
    sigset_t taken;

    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGCHLD);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    signal(SIGPIPE, SIG_IGN);
    self->signal_fd = signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
    return self->signal_fd >= 0;
}

/* The kernel chooses a name in the abstract name space. */
static bool open_notify(struct dev *self)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;

    self->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->notify_fd < 0 || setsockopt(self->notify_fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) != 0 ||
        bind(self->notify_fd, (const struct sockaddr *)&address, sizeof(sa_family_t)) != 0 ||
        getsockname(self->notify_fd, (struct sockaddr *)&address, &length) != 0)
        return false;
    snprintf(self->notify_name, sizeof self->notify_name, "@%.*s", (int)(length - offsetof(struct sockaddr_un, sun_path) - 1),
             address.sun_path + 1);
    return true;
}

static bool start_database(struct dev *self)
{
    struct mr_embedded_options options = {
        .state_dir = self->config.state_dir, .bin_dir = self->config.pg_bin_dir, .database = self->config.db_database};
    struct mr_buf problem = {0};
    bool good = true;

    if (self->config.db_host[0] == '\0')
        good = mr_embedded_start(&self->database, &options, &problem) == MR_OK;
    if (!good)
        say("cannot start PostgreSQL: %.*s", (int)problem.len, problem.data);
    mr_buf_fini(&problem);
    return good;
}

static bool are_gone(const struct dev *self)
{
    bool gone = self->coming == 0 && self->serving == 0;

    for (int i = 0; i < DRAINING_MAX; i++)
        gone = gone && self->draining[i] == 0;
    return gone;
}

static void signal_one(pid_t pid, int number)
{
    if (pid != 0)
        kill(pid, number);
}

static void signal_all(const struct dev *self, int number)
{
    signal_one(self->coming, number);
    signal_one(self->serving, number);
    for (int i = 0; i < DRAINING_MAX; i++)
        signal_one(self->draining[i], number);
}

/* Those that drain have been told already. A second signal is passed on to all: it ends them at once. */
static void stop_children(struct dev *self)
{
    int64_t deadline_ms = now_ms() + self->config.shutdown_delay + self->config.shutdown_grace + STOP_ROOM_MS;

    self->ending = true;
    signal_one(self->coming, SIGTERM);
    signal_one(self->serving, SIGTERM);
    while (!are_gone(self) && now_ms() < deadline_ms) {
        struct pollfd fd = {self->signal_fd, POLLIN, 0};

        self->stopping = false;
        (void)poll(&fd, 1, 100);
        on_signals(self);
        if (self->stopping)
            signal_all(self, SIGTERM);
    }
    signal_all(self, SIGKILL);
}

static int run(struct dev *self)
{
    if (!open_signals(self) || !open_notify(self) || mr_watch_new(&self->watch, self->folder) != MR_OK) {
        say("cannot watch %s: %s", self->folder, strerror(errno));
        return MR_EXIT_FAILED;
    }
    if (!start_database(self))
        return MR_EXIT_FAILED;
    while (!self->stopping)
        turn(self);
    stop_children(self);
    mr_embedded_stop(&self->database, self->config.shutdown_grace);
    return self->failed ? MR_EXIT_FAILED : MR_EXIT_OK;
}

/* One without it is another folder than was meant: nothing that could be waited for will come of it. */
static bool has_application(const char *folder)
{
    char name[PATH_MAX + sizeof "/millrace.yaml"];

    snprintf(name, sizeof name, "%s/millrace.yaml", folder);
    return access(name, F_OK) == 0;
}

/* The folder that was named, as a path that does not change with the current folder. */
static bool find_folder(char out[PATH_MAX], int argc, char **argv, const struct mr_config *config)
{
    const char *folder = argc > 0 ? argv[0] : config->app_folder[0] != '\0' ? config->app_folder : ".";

    if (mr_application_packed(folder) != NULL) {
        fputs("millrace dev: the application in the binary has no files to change; `millrace all` serves it\n", stderr);
        return false;
    }
    if (realpath(folder, out) == NULL)
        fprintf(stderr, "millrace dev: %s: %s; `millrace new app DIR` makes an application\n", folder, strerror(errno));
    else if (!has_application(out))
        fprintf(stderr, "millrace dev: there is no millrace.yaml in %s; `millrace new app DIR` makes an application\n", out);
    else
        return true;
    return false;
}

int mr_command_dev(int argc, char **argv)
{
    static struct dev self = {.listen_fd = -1, .admin_fd = -1, .signal_fd = -1, .notify_fd = -1, .restart_ms = -1};
    char folder[PATH_MAX];
    int exit_status;

    mr_load_dotenv();
    if (mr_environment("LOGGING_FORMAT") == NULL)
        set("LOGGING_FORMAT", "pretty"); /* people read it */
    if (!mr_application_arguments("dev", argc, argv) || !mr_load_settings(&self.config, MR_RUN_ALL) ||
        !find_folder(folder, argc, argv, &self.config))
        return MR_EXIT_USAGE;
    self.folder = folder;
    exit_status = run(&self);
    mr_watch_destroy(&self.watch);
    mr_application_destroy(&self.served);
    mr_application_destroy(&self.next);
    return exit_status;
}
