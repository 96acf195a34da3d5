#include "tests/support/driver.h"

#include <poll.h>

#include "actors/auth.h"
#include "actors/data_reader.h"
#include "actors/data_writer.h"
#include "proto/uuid.h"
#include "tests/support/test.h"

/* A message lives longer than anybody waits for its answer: on a busy machine those behind thousands were dropped. */
enum { PATIENCE_MS = 15000, LIFE_MS = 5 * 2 * PATIENCE_MS + 1000, STOP_MS = 60000, PLUG_USER = 999999 };

struct driver *driver_new(const struct mr_config *config, const struct mr_clock *clock)
{
    struct driver *self = calloc(1, sizeof *self);

    assert_non_null(self);
    self->config = config;
    self->clock = clock;
    assert_int_equal(mr_mailbox_new(&self->mailbox, "driver"), MR_OK);
    return self;
}

void driver_destroy(struct driver **self)
{
    struct driver *driver = *self;

    if (driver == NULL)
        return;
    while (driver->actor_count > 0)
        assert_true(mr_actor_stop_by(&driver->actors[--driver->actor_count], mr_mono_ms(&mr_system_clock) + STOP_MS));
    mr_mailbox_destroy(&driver->mailbox);
    for (unsigned i = 0; i <= driver->sent; i++) {
        json_decref(driver->replies[i].body);
        free(driver->replies[i].json);
    }
    free(driver);
    *self = NULL;
}

struct mr_actor *driver_start(struct driver *self, const struct mr_actor_spec *spec, enum mr_lane lane, unsigned instance)
{
    struct mr_actor **slot = &self->actors[self->actor_count++];

    assert_true(self->actor_count <= DRIVER_ACTORS);
    assert_int_equal(mr_actor_start(slot, spec, lane, instance, self->config, self->clock), MR_OK);
    mr_actor_await(*slot);
    assert_int_equal(mr_mailbox_connect(self->mailbox, (*slot)->name), MR_OK);
    return *slot;
}

struct driver *driver_with_data(const struct mr_config *config)
{
    struct driver *self = driver_new(config, &mr_system_clock);

    driver_start(self, &mr_data_writer_spec, MR_LANE_QUICK, 0);
    if (mr_actor_has_lane(MR_ACTOR_DATA_WRITER, MR_LANE_SLOW))
        driver_start(self, &mr_data_writer_spec, MR_LANE_SLOW, 0);
    driver_start(self, &mr_data_reader_spec, MR_LANE_QUICK, 0);
    if (mr_actor_has_lane(MR_ACTOR_DATA_READER, MR_LANE_SLOW))
        driver_start(self, &mr_data_reader_spec, MR_LANE_SLOW, 0);
    return self;
}

struct mr_actor *driver_actor(const struct driver *self, enum mr_op op)
{
    for (unsigned i = 0; i < self->actor_count; i++)
        if (self->actors[i]->spec->id == mr_op_info(op)->actor && self->actors[i]->lane == mr_op_info(op)->traits->lane)
            return self->actors[i];
    fail_test("nobody here serves %s", mr_op_info(op)->name);
    return NULL;
}

void driver_send_raw(struct driver *self, const char *to, const void *data, size_t len)
{
    assert_int_equal(mr_mailbox_send(self->mailbox, to, data, len), MR_OK);
}

unsigned driver_send_until(struct driver *self, enum mr_op op, const struct mr_value *values, const uint8_t *user, int64_t deadline_ms)
{
    struct mr_envelope envelope = {.kind = MR_REQUEST, .op = op, .correlation = ++self->sent, .deadline_ms = deadline_ms};
    struct mr_buf payload = {0};
    struct mr_buf frame = {0};

    assert_true(self->sent < DRIVER_REPLIES);
    mr_payload_encode(&payload, op, values);
    envelope.payload = buf_slice(&payload);
    if (user != NULL) {
        envelope.has_principal = true;
        memcpy(envelope.principal.user_id, user, 16);
    }
    assert_int_equal(mr_envelope_encode(&frame, &envelope), MR_OK);
    driver_send_raw(self, driver_actor(self, op)->name, frame.data, frame.len);
    mr_buf_fini(&payload);
    mr_buf_fini(&frame);
    return self->sent;
}

unsigned driver_send(struct driver *self, enum mr_op op, const struct mr_value *values, const uint8_t *user)
{
    return driver_send_until(self, op, values, user, mr_wall_ms(self->clock) + LIFE_MS);
}

static void copy_text(char *out, size_t room, struct mr_slice text)
{
    snprintf(out, room, "%.*s", (int)text.len, text.len > 0 ? text.data : "");
}

static void read_body(struct reply *out, struct mr_slice payload)
{
    struct mr_reply_head head;
    struct mr_slice json;
    json_error_t error;

    assert_int_equal(mr_reply_decode(payload, &head, &json), MR_OK);
    copy_text(out->next, sizeof out->next, head.next);
    out->version = head.version;
    out->body = json_loadb(json.data, json.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (out->body == NULL)
        fail_test("a body is no JSON: %s: %.*s", error.text, (int)json.len, json.data);
    out->json = strndup(json.data, json.len);
}

static void deliver(struct driver *self, const struct mr_parcel *parcel)
{
    struct mr_envelope envelope;
    struct mr_fault fault;
    struct reply *reply;

    if (mr_envelope_decode(&envelope, parcel->data, parcel->len) != MR_OK || envelope.kind == MR_REQUEST ||
        envelope.correlation == 0 || envelope.correlation > self->sent) {
        self->strays++;
        return;
    }
    reply = &self->replies[envelope.correlation];
    if (reply->count++ > 0)
        return;
    reply->place = ++self->arrived;
    reply->kind = envelope.kind;
    reply->arrived_ms = mr_mono_ms(&mr_system_clock);
    if (envelope.kind == MR_REPLY) {
        read_body(reply, envelope.payload);
    } else {
        assert_int_equal(mr_fault_decode(&fault, envelope.payload), MR_OK);
        reply->status = fault.status;
        copy_text(reply->field, sizeof reply->field, fault.field);
        copy_text(reply->code, sizeof reply->code, fault.code);
        copy_text(reply->text, sizeof reply->text, fault.message);
    }
}

void driver_receive(struct driver *self, int timeout_ms)
{
    int64_t until_ms = mr_mono_ms(&mr_system_clock) + timeout_ms;
    struct mr_parcel parcel;
    bool any = false;

    for (;;) {
        struct pollfd item = {.fd = mr_mailbox_fd(self->mailbox), .events = POLLIN};

        while (mr_mailbox_take(self->mailbox, &parcel)) {
            deliver(self, &parcel);
            mr_parcel_release(&parcel);
            any = true;
        }
        if (any || mr_mono_ms(&mr_system_clock) >= until_ms)
            return;
        (void)poll(&item, 1, 20);
    }
}

const struct reply *driver_await(struct driver *self, unsigned id)
{
    struct stopwatch watch = stopwatch_start();

    while (self->replies[id].count == 0) {
        if (stopwatch_ms(&watch) > PATIENCE_MS)
            fail_test("message %u was not answered", id);
        driver_receive(self, 100);
    }
    return &self->replies[id];
}

void driver_await_all(struct driver *self, unsigned missing)
{
    struct stopwatch watch = stopwatch_start();

    while (self->arrived + missing < self->sent) {
        if (stopwatch_ms(&watch) > 2 * PATIENCE_MS)
            fail_test("%u of %u messages were answered", self->arrived, self->sent);
        driver_receive(self, 100);
    }
    driver_receive(self, 0);
    for (unsigned i = 1; i <= self->sent; i++)
        if (self->replies[i].count > 1)
            fail_test("message %u was answered %u times", i, self->replies[i].count);
    assert_int_equal(self->strays, 0);
}

uint64_t driver_batches(struct driver *self, enum mr_op op)
{
    return driver_actor(self, op)->stats.batches;
}

const char *reply_text(const struct reply *reply, const char *group, const char *name)
{
    const json_t *object = group != NULL ? json_object_get(reply->body, group) : reply->body;
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

unsigned send_create(struct driver *self, const uint8_t id[16], const uint8_t user[16], const char *summary, const char *priority)
{
    struct mr_value values[MR_FIELDS_MAX];

    task_create_values(values, id, user, summary, priority);
    return driver_send(self, op_named("task_create"), values, user);
}

unsigned send_get(struct driver *self, const uint8_t id[16], const uint8_t user[16])
{
    struct mr_value values[MR_FIELDS_MAX];

    task_get_values(values, id, user);
    return driver_send(self, op_named("task_get"), values, user);
}

struct plug plug_writer(struct driver *driver, const struct database *database)
{
    struct plug self = {.holder = database_connect(database)};
    const char *writer = driver_actor(driver, op_named("task_create"))->name;
    uint8_t user[16];
    uint8_t id[16];

    if (sql_number(database->db, "SELECT count(*) FROM millrace.app_user WHERE username = 'user%u'", PLUG_USER) == 0)
        make_user(database->db, PLUG_USER, user);
    make_id(user, 1, PLUG_USER);
    make_id(id, 7, driver->sent + 1);
    sql_exec(self.holder, "BEGIN; SELECT 1 FROM millrace.account a JOIN millrace.app_user u USING (id) WHERE u.username = 'user%u' FOR UPDATE OF a", PLUG_USER);
    self.id = send_create(driver, id, user, "plug", "LOW");
    eventually(backend_pid(database->db, writer, true) != 0);
    return self;
}

void plug_pull(struct plug *self)
{
    sql_exec(self->holder, "COMMIT");
    mr_db_destroy(&self->holder);
}
