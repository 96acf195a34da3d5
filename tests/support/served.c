#include "tests/support/served.h"

#include "jobs/job.h"
#include "gateway/request.h"
#include "proto/uuid.h"
#include "tests/support/test.h"

enum { RUN_MS = 60000, PROMPT_MS = 500 };

static void load(struct served *self, const char *folder)
{
    struct mr_application_options options = {.lookup = NULL};
    struct mr_problems problems = {0};
    struct mr_buf text = {0};

    if (mr_application_load(&self->application, folder, &options, &problems) != MR_OK ||
        mr_application_build(&self->built, self->application, &problems) != MR_OK) {
        mr_problems_print(&problems, &text);
        fail_test("%s: %.*s", folder, (int)text.len, text.len > 0 ? text.data : "no memory");
    }
    mr_problems_fini(&problems);
}

struct served *served_new(const char *folder)
{
    struct served *self = calloc(1, sizeof *self);

    assert_non_null(self);
    if (folder != NULL)
        load(self, folder);
    mr_built_install(self->built);
    self->database = database_new();
    for (enum caller caller = ANN; caller <= ADMIN; caller++)
        make_user(self->database->db, caller + 1, self->users[caller]);
    make_id(self->users[GONE], 4, 1);
    return self;
}

void served_migrate(struct served *self)
{
    for (unsigned i = 0; i < self->application->migration_count; i++)
        sql_exec(self->database->db, "%s", self->application->migrations[i].sql);
}

void served_actors(struct served *self)
{
    self->driver = driver_with_data(&self->database->config);
}

void served_destroy(struct served **self)
{
    struct served *served = *self;

    driver_destroy(&served->driver);
    database_destroy(&served->database);
    mr_built_install(NULL);
    mr_built_destroy(&served->built);
    mr_application_destroy(&served->application);
    free(served);
    *self = NULL;
}

static void next_id(uint8_t out[16])
{
    static uint64_t made;

    make_id(out, 9, ++made);
}

unsigned served_send(struct served *self, enum mr_verb verb, const char *path, enum caller caller, headers given, const char *body)
{
    struct mr_http_request http = {.verb = verb, .path = mr_slice_of(path), .query = {"", 0}};
    struct mr_principal principal = {.role = caller == ADMIN ? MR_ROLE_ADMIN : MR_ROLE_USER};
    struct mr_preconditions conditions = {.if_unmodified_since = false};
    uint8_t id[16];
    struct mr_request_facts facts = {.conditions = &conditions, .new_id = id, .traceparent = ""};
    struct mr_request request;
    struct mr_route route;
    const char *detail = "";
    unsigned sent;

    next_id(id);
    if (caller != NOBODY) {
        memcpy(principal.user_id, self->users[caller], 16);
        facts.principal = &principal;
    }
    for (unsigned i = 0; given != NULL && given[i] != NULL; i += 2)
        http.headers[http.header_count++] = (struct mr_http_header){mr_slice_of(given[i]), mr_slice_of(given[i + 1])};
    if (mr_route_find(&route, verb, http.path, NULL) != MR_OK)
        fail_test("there is no %s %s", mr_verb_name(verb), path);
    assert_int_equal(mr_preconditions_read(&conditions, &http), MR_OK);
    if (mr_request_read(&request, &route, &http, mr_slice_of(body), &facts, &detail) != MR_OK)
        fail_test("%s %s: %s %.*s", mr_verb_name(verb), path, detail != NULL ? detail : "", (int)request.errors.len,
                  request.errors.len > 0 ? request.errors.data : "");
    sent = driver_send(self->driver, route.op, request.values, caller != NOBODY ? principal.user_id : NULL);
    mr_request_fini(&request);
    mr_preconditions_fini(&conditions);
    return sent;
}

const struct reply *served_call(struct served *self, enum mr_verb verb, const char *path, enum caller caller, headers given,
                                const char *body)
{
    return driver_await(self->driver, served_send(self, verb, path, caller, given, body));
}

/* ---- Imports ---- */

void served_importer(struct served *self)
{
    driver_start(self->driver, &mr_job_spec, MR_LANE_QUICK, 0);
}

static void set_upload_field(const struct served *self, struct mr_value *value, const struct mr_field *field, const uint8_t id[16],
                             const char *op, enum caller caller, bool is_csv)
{
    switch (field->from) {
    case MR_NEW_ID: set_id(value, id); break;
    case MR_TOKEN_USER: set_id(value, self->users[caller]); break;
    case MR_TOKEN_ADMIN: *value = (struct mr_value){.present = true, .boolean = caller == ADMIN}; break;
    case MR_OPERATION: set_text(value, op); break;
    case MR_UPLOAD_TYPE: set_text(value, is_csv ? "text/csv" : "application/x-ndjson"); break;
    default: break;
    }
}

const struct reply *served_upload(struct served *self, const char *op, enum caller caller, const char *key, bool is_csv, const char *text)
{
    struct mr_value values[MR_FIELDS_MAX] = {{.present = false}};
    unsigned parts = (unsigned)((strlen(text) + MR_UPLOAD_PART - 1) / MR_UPLOAD_PART);
    char run[MR_UUID_TEXT + 1] = "";
    uint8_t id[16];

    next_id(id);
    mr_uuid_format(run, id);
    for (unsigned part = 0; part < parts; part++)
        sql_exec(self->database->db, "INSERT INTO millrace.import_part (run_id, part, bytes) VALUES ('%s', %u, convert_to($import$%.*s$import$, 'UTF8'))",
                 run, part, MR_UPLOAD_PART, text + (size_t)part * MR_UPLOAD_PART);
    for (unsigned i = 0; mr_import_fields[i].name != NULL; i++)
        set_upload_field(self, &values[i], &mr_import_fields[i], id, op, caller, is_csv);
    set_int(&values[mr_field_index(op_named(op), "parts")], parts);
    set_int(&values[mr_field_index(op_named(op), "lines")], 0);
    if (key != NULL) {
        set_text(&values[mr_field_index(op_named(op), "Idempotency-Key")], key);
        set_text(&values[mr_field_index(op_named(op), "fingerprint")], text);
    }
    return driver_await(self->driver, driver_send(self->driver, op_named(op), values, self->users[caller]));
}

void served_prompt_importer(struct served *self)
{
    const struct mr_value job = {.present = true, .text = MR_SLICE("import")};

    driver_send(self->driver, MR_OP_run_due, &job, NULL);
}

static bool is_over(struct served *self, const char *run)
{
    return sql_number(self->database->db, "SELECT count(*) FROM millrace.job_run WHERE id = '%s' AND finished_at IS NOT NULL", run) == 1;
}

const char *served_outcome(struct served *self, const char *run)
{
    int64_t until_ms = mr_mono_ms(&mr_system_clock) + RUN_MS;
    int64_t prompts_ms = 0;

    while (!is_over(self, run)) {
        int64_t now_ms = mr_mono_ms(&mr_system_clock);

        assert_true(now_ms < until_ms);
        if (now_ms >= prompts_ms) {
            prompts_ms = now_ms + PROMPT_MS;
            served_prompt_importer(self); /* it may be at work already */
        }
        pause_briefly();
    }
    return sql_text(self->database->db,
                    "SELECT concat_ws(' ', r.state, r.result ->> 'imported', r.result ->> 'rejected', r.error)"
                    "       || coalesce((SELECT string_agg(format('; %%s %%s %%s', e.one ->> 'line', e.one ->> 'field', e.one ->> 'message'), '' ORDER BY e.n)"
                    "                      FROM jsonb_array_elements(r.result -> 'errors') WITH ORDINALITY AS e (one, n)), '')"
                    "  FROM millrace.job_run r WHERE r.id = '%s'",
                    run);
}

const char *served_imported(struct served *self, const char *op, enum caller caller, bool is_csv, const char *text)
{
    const struct reply *reply = served_upload(self, op, caller, NULL, is_csv, text);

    assert_int_equal(reply_http(reply, NULL), 200);
    return served_outcome(self, reply_text(reply, NULL, "id"));
}

int reply_http(const struct reply *reply, const char *field)
{
    if (reply->kind == MR_REPLY)
        return 200;
    return strcmp(reply->field, field != NULL ? field : "") == 0 ? mr_status_http(reply->status) : 0;
}
