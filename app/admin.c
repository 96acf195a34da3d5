#include "app/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "app/activation.h"
#include "http/connection.h"
#include "http/solo.h"
#include "proto/json.h"
#include "runtime/exposition.h"
#include "runtime/log.h"
#include "runtime/needs.h"
#include "runtime/shutdown.h"

/* Few ask; what they send is a head. */
enum { CONNECTIONS = 64, IDLE_MS = 65000, HEAD_MS = 5000, BODY_MS = 5000, BODY_RATE = 16384, KEEP_BYTES = 256 * 1024 };

/* A loop of a scheduler that has not gone round for so long does not any more: no statement of its may take half of that. */
enum { SILENT_MS = 30000 };

struct mr_admin {
    struct mr_http_solo *server;
    const struct mr_crew *crew;
    const struct mr_tier *tier;
    int64_t started_ms;
    struct mr_buf body;
};

/* ---- Answers ---- */

struct asked {
    struct mr_admin *admin;
    struct mr_http_connection *connection;
};

static void respond(struct asked *self, int http, const char *type, struct mr_slice body, const char *headers)
{
    struct mr_buf *out = mr_http_respond(self->connection, http, type, body.len);

    mr_buf_text(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    mr_buf_text(out, headers);
    mr_http_respond_end(self->connection, body);
    free(self);
}

static void respond_problem(struct asked *self, mr_status status, const char *detail, const char *headers)
{
    int http = mr_status_http(status);
    struct mr_buf *body = &self->admin->body;

    mr_buf_clear(body, KEEP_BYTES);
    mr_buf_text(body, "{\"type\":\"about:blank\",\"title\":");
    mr_json_string(body, mr_slice_of(mr_http_reason(http)));
    mr_buf_printf(body, ",\"status\":%d,\"detail\":", http);
    mr_json_string(body, mr_slice_of(detail != NULL ? detail : mr_status_detail(status)));
    mr_buf_char(body, '}');
    respond(self, http, "application/problem+json", body->failed ? MR_SLICE("{}") : (struct mr_slice){body->data, body->len},
            headers);
}

static void respond_ok(struct asked *self)
{
    respond(self, 200, "application/json", MR_SLICE("{\"status\":\"ok\"}"), "");
}

/* ---- What is asked ---- */

static bool is_parameter(struct mr_slice item, const char *text)
{
    const char *found = memmem(item.data, item.len, text, strlen(text));

    return found != NULL && found > item.data && (found[-1] == ';' || found[-1] == ' ');
}

/* Version 1.0.0, or whichever we have, of a format that is not excluded by a weight of nothing (RFC 9110, 12.5.1). */
static bool takes_open_metrics(struct mr_slice item)
{
    static const char type[] = "application/openmetrics-text";

    if (item.len < sizeof type - 1 || strncasecmp(item.data, type, sizeof type - 1) != 0)
        return false;
    return !mr_http_is_unwanted(item) && (!is_parameter(item, "version=") || is_parameter(item, "version=1.0.0"));
}

static bool wants_open_metrics(const struct mr_http_request *request)
{
    struct mr_http_list list = {0};
    struct mr_slice item;

    while (mr_http_list_item(&list, request, "accept", &item))
        if (takes_open_metrics(item))
            return true;
    return false;
}

static void answer_metrics(struct asked *self, const struct mr_http_request *request)
{
    struct mr_admin *admin = self->admin;
    const struct mr_scheduler *scheduler = admin->tier->scheduler;
    struct mr_exposition facts = {
        .clock = &mr_system_clock,
        .crews = {{admin->crew->actors, admin->crew->count}, {admin->tier->crew.actors, admin->tier->crew.count}},
        .jobs_on = admin->tier->options.is_on,
        .has_scheduler = scheduler != NULL,
        .is_scheduler_connected = scheduler != NULL && mr_scheduler_is_connected(scheduler),
        .started_ms = admin->started_ms,
        .version = MR_VERSION,
        .revision = MR_REVISION,
    };
    bool open_metrics = wants_open_metrics(request);

    mr_buf_clear(&admin->body, KEEP_BYTES);
    mr_exposition_write(&admin->body, &facts, open_metrics);
    if (admin->body.failed)
        respond_problem(self, MR_NO_MEMORY, NULL, "");
    else
        respond(self, 200, open_metrics ? MR_EXPOSITION_OPENMETRICS : MR_EXPOSITION_TEXT,
                (struct mr_slice){admin->body.data, admin->body.len}, "Vary: Accept\r\n");
}

static void answer_live(struct asked *self, const struct mr_http_request *request)
{
    const struct mr_scheduler *scheduler = self->admin->tier->scheduler;

    (void)request;
    if (scheduler != NULL && mr_mono_ms(&mr_system_clock) - mr_scheduler_turned_ms(scheduler) > SILENT_MS)
        respond_problem(self, MR_UNAVAILABLE, "The scheduler's loop has not turned for 30 seconds.", "");
    else
        respond_ok(self);
}

/* What keeps the first of them without a connection from one; NULL: all have one. */
static const char *trouble_of(const struct mr_crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        const char *trouble = atomic_load(&crew->actors[i]->stats.trouble);

        if (!mr_actor_has_database(crew->actors[i]))
            return trouble != NULL ? trouble : "The database cannot be reached.";
    }
    return NULL;
}

/* Why this process should not be relied on now; NULL: it may. */
static const char *why_unready(const struct mr_admin *admin)
{
    const char *why = NULL;

    if (mr_shutdown_begun_ms() != INT64_MAX)
        return "The process is shutting down.";
    why = trouble_of(admin->crew);
    if (why == NULL && admin->tier->scheduler != NULL)
        why = mr_scheduler_trouble(admin->tier->scheduler);
    return why != NULL ? why : trouble_of(&admin->tier->crew);
}

static bool is_of_application(const char *why)
{
    return why == mr_db_trouble_text(MR_DB_PENDING) || why == mr_db_trouble_text(MR_DB_TABLES) ||
           why == mr_db_trouble_text(MR_DB_OTHER);
}

/* Whoever may use this port may also see what is missing. */
static void refuse_readiness(struct asked *self, const char *why)
{
    char missing[MR_NEEDS_ROOM];
    char detail[MR_NEEDS_ROOM + 160];

    mr_needs_missing(missing);
    snprintf(detail, sizeof detail, "%s (%s)", why, missing);
    respond_problem(self, MR_UNAVAILABLE, is_of_application(why) ? detail : why, "Retry-After: 1\r\n");
}

static void answer_ready(struct asked *self, const struct mr_http_request *request)
{
    const char *why = why_unready(self->admin);

    (void)request;
    if (why != NULL)
        refuse_readiness(self, why);
    else
        respond_ok(self);
}

/* All that is served here; each takes GET, and HEAD with it. */
static const struct page {
    const char *path;
    void (*answer)(struct asked *self, const struct mr_http_request *request);
} pages[] = {
    {"/metrics", answer_metrics},
    {"/livez", answer_live},
    {"/readyz", answer_ready},
};

/* NULL: there is none. */
static const struct page *page_of(const struct mr_http_request *request)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (mr_slice_is(request->path, pages[i].path))
            return &pages[i];
    return NULL;
}

/* ---- The handler ---- */

static void *begin(void *application, struct mr_http_connection *connection, const struct mr_http_request *request)
{
    struct asked *self = calloc(1, sizeof *self);

    (void)request;
    if (self != NULL)
        *self = (struct asked){application, connection};
    return self;
}

/* What is not here is said before a body is looked at, of which none is taken. */
static void on_head(void *exchange, const struct mr_http_request *request, struct mr_http_plan *plan)
{
    *plan = (struct mr_http_plan){.body_max = 0};
    if (page_of(request) == NULL)
        respond_problem(exchange, MR_NOT_FOUND, "This port serves /metrics, /livez and /readyz.", "");
    else if (request->verb != MR_VERB_GET)
        respond_problem(exchange, MR_METHOD, NULL, "Allow: GET, HEAD\r\n");
}

static void on_whole(void *exchange, const struct mr_http_request *request, struct mr_slice body)
{
    (void)body;
    page_of(request)->answer(exchange, request);
}

static void on_fail(void *exchange, mr_status fault)
{
    respond_problem(exchange, fault, NULL, "");
}

static void on_gone(void *exchange)
{
    free(exchange);
}

static const struct mr_http_handler handler = {
    .begin = begin,
    .head = on_head,
    .whole = on_whole,
    .fail = on_fail,
    .gone = on_gone,
};

/* ---- Life ---- */

bool mr_admin_listen(const struct mr_config *config, int *fd)
{
    struct mr_buf problem = {0};
    bool good;

    *fd = -1;
    if (config->admin_port == 0)
        return true;
    *fd = mr_activation_take("admin");
    good = *fd >= 0 || mr_http_listen(fd, config->admin_host, (int)config->admin_port, &problem) == MR_OK;
    if (!good)
        mr_log(MR_LOG_ERROR, "cannot open the port", mr_log_slice("reason", ((struct mr_slice){problem.data, problem.len})),
               mr_log_text("setting", "ADMIN_PORT"));
    mr_buf_fini(&problem);
    return good;
}

mr_status mr_admin_start(struct mr_admin **out, int fd, const struct mr_config *config, const struct mr_crew *crew,
                         const struct mr_tier *tier)
{
    struct mr_admin *self = NULL;
    struct mr_http_options options = {
        .clock = &mr_system_clock,
        .listen_fd = fd,
        .most = CONNECTIONS,
        .idle_ms = IDLE_MS,
        .head_ms = HEAD_MS,
        .body_ms = BODY_MS,
        .body_rate = BODY_RATE,
        .handler = &handler,
    };

    *out = NULL;
    if (fd < 0)
        return MR_OK;
    self = calloc(1, sizeof *self);
    if (self == NULL) {
        close(fd);
        return MR_NO_MEMORY;
    }
    self->crew = crew;
    self->tier = tier;
    self->started_ms = mr_mono_ms(&mr_system_clock);
    options.application = self;
    self->server = mr_http_solo_start("admin", &options);
    if (self->server == NULL) {
        free(self);
        return MR_NO_MEMORY;
    }
    mr_log(MR_LOG_INFO, "serving metrics", mr_log_text("host", config->admin_host), mr_log_int("port", config->admin_port));
    *out = self;
    return MR_OK;
}

void mr_admin_stop(struct mr_admin **self)
{
    if (*self == NULL)
        return;
    mr_http_solo_stop(&(*self)->server);
    mr_buf_fini(&(*self)->body);
    free(*self);
    *self = NULL;
}
