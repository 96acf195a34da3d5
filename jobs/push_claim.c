#include <sodium.h>
#include <stdlib.h>

#include "jobs/push_internal.h"
#include "proto/json.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"
#include "runtime/webhook.h"

enum { KEEP_BYTES = 256 * 1024 };

/* Columns of push__claim. */
enum { C_JOB, C_ID, C_CLAIM, C_ATTEMPT, C_KEY, C_ARGS, C_CREATED, C_TRACEPARENT };

/* ---- The call ---- */

static void add_line(struct mr_buf *out, const char *name, struct mr_slice value)
{
    mr_buf_text(out, name);
    mr_buf_text(out, ": ");
    mr_buf_slice(out, value);
    mr_buf_char(out, '\0');
}

/* The same for every attempt: the time is that at which the run was queued. */
static void write_body(struct errand *errand, struct mr_slice args, int64_t created_us)
{
    struct mr_buf *out = &errand->call.body;
    char time[MR_TIMESTAMP_TEXT];

    mr_timestamp_format(time, created_us);
    mr_buf_text(out, "{\"type\":");
    mr_json_string(out, mr_slice_of(errand->kind->name));
    mr_buf_text(out, ",\"timestamp\":\"");
    mr_buf_append(out, time, sizeof time);
    mr_buf_text(out, "\",\"data\":");
    mr_buf_slice(out, args);
    mr_buf_char(out, '}');
}

/* Why the call cannot be made; NULL: it can. */
static const char *write_headers(struct mr_push *self, struct errand *errand)
{
    struct mr_buf *out = &errand->call.headers;
    char id[MR_UUID_TEXT];
    int64_t now_s = mr_wall_ms(self->clock) / 1000;
    mr_status status;

    mr_uuid_format(id, errand->id);
    mr_buf_clear(&self->text, KEEP_BYTES);
    status = mr_webhook_sign(&self->text, mr_slice_of(errand->kind->secrets.data), (struct mr_slice){id, sizeof id}, now_s,
                             (struct mr_slice){errand->call.body.data, errand->call.body.len});
    if (status == MR_INVALID)
        return "the job has no secret that can sign: expected whsec_ and base64";
    if (status != MR_OK)
        return "there was no memory for it";
    add_line(out, "Content-Type", MR_SLICE("application/json"));
    add_line(out, "webhook-id", (struct mr_slice){id, sizeof id});
    add_line(out, "webhook-signature", (struct mr_slice){self->text.data, self->text.len});
    mr_buf_printf(out, "webhook-timestamp: %lld", (long long)now_s);
    mr_buf_char(out, '\0');
    mr_buf_append(out, "Expect:", sizeof "Expect:"); /* or a large body waits a second for leave to be sent */
    if (errand->traceparent[0] != '\0')
        add_line(out, "traceparent", mr_slice_of(errand->traceparent));
    return NULL;
}

static void fail_at_once(struct mr_push *self, struct errand *errand, const char *why)
{
    errand->verdict = (struct mr_push_verdict){.outcome = MR_PUSH_FAILED, .retry_after_ms = -1};
    mr_slice_copy(errand->verdict.error, sizeof errand->verdict.error, mr_slice_of(why));
    push_end(self, errand);
}

static void send(struct mr_push *self, struct errand *errand)
{
    struct push_host *host = errand->kind->host;
    const char *why = host == NULL ? "the job's URL is not an http or https URL" : write_headers(self, errand);

    if (why != NULL) {
        fail_at_once(self, errand, why);
        return;
    }
    mr_buf_append(&errand->call.url, errand->kind->url.data, errand->kind->url.len);
    errand->call.timeout_ms = errand->kind->timeout_ms;
    errand->host = host;
    host->in_flight++;
    push_errands_add(&self->sent, errand);
    mr_courier_send(self->courier, &errand->call);
}

/* ---- Runs that were claimed ---- */

static struct push_kind *find(struct push_kind *const *ready, unsigned count, struct mr_slice name)
{
    for (unsigned i = 0; i < count; i++)
        if (mr_slice_is(name, ready[i]->name))
            return ready[i];
    return NULL;
}

static int64_t read_time(const mr_rows *rows, unsigned row, unsigned column)
{
    return mr_rows_int(rows, row, column, 0) + MR_POSTGRES_EPOCH_MICROS;
}

static void take(struct mr_push *self, struct push_kind *kind, const mr_rows *rows, unsigned row)
{
    struct mr_slice id = {NULL, 0};
    struct mr_slice args = MR_SLICE("{}");
    struct mr_slice trace = MR_SLICE("");
    struct errand *errand = calloc(1, sizeof *errand);

    if (errand == NULL || !mr_rows_get(rows, row, C_ID, &id)) {
        free(errand); /* its lease runs out */
        return;
    }
    mr_rows_get(rows, row, C_ARGS, &args);
    mr_rows_get(rows, row, C_TRACEPARENT, &trace);
    memcpy(errand->id, id.data, sizeof errand->id);
    errand->call.owner = errand;
    errand->kind = kind;
    errand->claim = mr_rows_int(rows, row, C_CLAIM, 0);
    errand->attempt = mr_rows_int(rows, row, C_ATTEMPT, 0);
    errand->until_ms = push_now_ms(self) + PUSH_LEASE_MS;
    errand->begun_us = mr_mono_us(self->clock);
    errand->begun_wall_us = mr_wall_us(self->clock);
    mr_slice_copy(errand->traceparent, sizeof errand->traceparent, trace);
    kind->in_hand++;
    self->in_hand++;
    push_trace_begin(errand);
    write_body(errand, args, read_time(rows, row, C_CREATED));
    send(self, errand);
}

static void note_key(struct push_kind *kind, const mr_rows *rows, unsigned row)
{
    struct mr_slice key;

    if (!mr_rows_get(rows, row, C_KEY, &key))
        return;
    mr_buf_clear(&kind->after_key, SIZE_MAX);
    mr_buf_slice(&kind->after_key, key);
    mr_buf_char(&kind->after_key, '\0');
}

static void take_all(struct mr_push *self, struct push_kind *const *ready, unsigned count, const mr_rows *rows)
{
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice name = MR_SLICE("");
        struct push_kind *kind;

        mr_rows_get(rows, row, C_JOB, &name);
        kind = find(ready, count, name);
        if (kind == NULL)
            continue;
        kind->asked = kind->asked > 0 ? kind->asked - 1 : 0;
        note_key(kind, rows, row);
        take(self, kind, rows, row);
    }
    for (unsigned i = 0; i < count; i++)
        ready[i]->has_more = ready[i]->asked == 0;
}

/* ---- Claims ---- */

/* Who calls one receiver share its room; the first of them is another one each time. Returns those that have room, in `ready`. */
static unsigned share_room(struct mr_push *self, struct push_kind **ready, unsigned count)
{
    unsigned reserved = 0;
    unsigned with_room = 0;

    for (unsigned i = 0; i < count; i++)
        if (ready[i]->host != NULL)
            ready[i]->host->ready++;
    for (unsigned i = 0; i < count; i++) {
        struct push_kind *kind = ready[(i + self->turn) % count];
        unsigned room = push_kind_room(self, kind, reserved);

        if (kind->host != NULL && room > 0)
            room = (room + kind->host->ready - 1) / kind->host->ready;
        kind->asked = room;
        reserved += room;
        if (kind->host == NULL)
            continue;
        kind->host->in_flight += room; /* until the claims are made */
        kind->host->ready--;
    }
    self->turn++;
    for (unsigned i = 0; i < count; i++) {
        if (ready[i]->host != NULL)
            ready[i]->host->in_flight -= ready[i]->asked;
        ready[i]->has_more = ready[i]->asked == 0; /* it waits for room */
        if (ready[i]->asked > 0)
            ready[with_room++] = ready[i];
    }
    return with_room;
}

static void claim(struct mr_push *self, struct push_kind *const *ready, unsigned count)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 5);
    for (unsigned i = 0; i < count; i++) {
        mr_params_text(&self->params, 0, ready[i]->name);
        mr_params_int(&self->params, 1, ready[i]->asked);
        mr_params_text(&self->params, 2, ready[i]->after_key.len > 0 ? ready[i]->after_key.data : NULL);
    }
    mr_params_int(&self->params, 3, PUSH_LEASE_MS);
    mr_params_text(&self->params, 4, self->worker);
    status = push_run(self, "push__claim", &rows);
    if (status != MR_OK) {
        push_note_failure(self, &self->claiming, "push__claim", status);
        return;
    }
    mr_backoff_succeed(&self->claiming);
    if (mr_rows_count(rows) > 0)
        self->busy_ms = push_now_ms(self);
    take_all(self, ready, count, rows);
    mr_rows_free(&rows);
}

static void copy_text(struct mr_buf *out, const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = MR_SLICE("");

    mr_rows_get(rows, row, column, &text);
    mr_buf_slice(out, text);
    mr_buf_char(out, '\0');
}

/* The secrets do not stay in the room that they are copied in. */
static struct push_kind *see(struct mr_push *self, const mr_rows *rows, unsigned row)
{
    struct mr_buf name = {0};
    struct mr_buf url = {0};
    struct mr_buf *secrets = &self->body;
    struct push_kind *kind = NULL;

    mr_buf_clear(secrets, KEEP_BYTES);
    copy_text(&name, rows, row, 0);
    copy_text(&url, rows, row, 1);
    copy_text(secrets, rows, row, 2);
    if (!name.failed && !url.failed && !secrets->failed)
        kind = push_kind_seen(self, name.data, url.data, secrets->data, mr_rows_int(rows, row, 3, PUSH_LEASE_MS));
    if (kind != NULL)
        kind->is_limited = mr_rows_int(rows, row, 4, 0) > 0;
    if (secrets->data != NULL)
        sodium_memzero(secrets->data, secrets->len);
    mr_buf_fini(&name);
    mr_buf_fini(&url);
    return kind;
}

/* The rows as kinds; those behind PUSH_KINDS_MOST have their turn later. */
static unsigned see_all(struct mr_push *self, struct push_kind **ready, const mr_rows *rows)
{
    unsigned all = mr_rows_count(rows);
    unsigned count = 0;

    if (all > PUSH_KINDS_MOST)
        self->poll_ms = push_now_ms(self) + PUSH_POLL_MS / 10;
    for (unsigned i = 0; i < self->kind_count; i++)
        self->kinds[i]->has_more = false;
    for (unsigned i = 0; i < all && count < PUSH_KINDS_MOST; i++) {
        struct push_kind *kind = see(self, rows, all > PUSH_KINDS_MOST ? (i + self->turn) % all : i);

        if (kind != NULL)
            ready[count++] = kind;
    }
    return count;
}

void push_look(struct mr_push *self)
{
    struct push_kind *ready[PUSH_KINDS_MOST];
    unsigned count;
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 0);
    status = push_run(self, "push__look", &rows);
    if (status != MR_OK) {
        push_note_failure(self, &self->claiming, "push__look", status);
        return;
    }
    count = see_all(self, ready, rows);
    mr_rows_free(&rows);
    if (count > 0)
        count = share_room(self, ready, count);
    if (count > 0)
        claim(self, ready, count);
    else
        mr_backoff_succeed(&self->claiming);
}
