/*
 * A whole gateway whose clock the test moves, and actors that the test plays: what becomes of requests that wait.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "runtime/metrics.h"
#include "proto/literal.h"
#include "proto/uuid.h"
#include "runtime/token.h"
#include "tests/support/test.h"

enum { PATIENCE_MS = 10000, ROOM = 3, ANSWER_BYTES = 16384 };

static const char secret[] = "a secret of this test, long enough for HS256";
static const char key[] = "mk_K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols";

/* ---- Time ---- */

static _Atomic int64_t now_ms = 1000000;

static int64_t mono_ms(const struct mr_clock *self)
{
    (void)self;
    return atomic_load(&now_ms);
}

static int64_t wall_ms(const struct mr_clock *self)
{
    (void)self;
    return INT64_C(1800000000000) + atomic_load(&now_ms);
}

static const struct mr_clock moved_clock = {.wall_ms = wall_ms, .mono_ms = mono_ms};

/* The gateway sees it at its next tick. */
static void pass(int64_t ms)
{
    atomic_fetch_add(&now_ms, ms);
}

/* ---- The gateway, and the actors ---- */

static const struct mr_actor_spec specs[] = {{.id = MR_ACTOR_AUTH}, {.id = MR_ACTOR_WORK}, {.id = MR_ACTOR_DATA_READER}};

enum { AUTH, WORK, READER, ACTORS };

static struct mr_config config;
static struct mr_actor actors[ACTORS] = {{.spec = &specs[0]}, {.spec = &specs[1]}, {.spec = &specs[2]}};
static mr_mailbox *mailboxes[ACTORS];
static struct mr_buf token;
static pthread_t thread;
static sem_t listens;
static int listen_fd;
static uint16_t port;

static const char *get(const char *name)
{
    static const char *const environment[][2] = {{"NODE_ENV", "test"}, {"DB_HOST", "primary.invalid"}, {"JWT_SECRET", secret},
                                                 {"GATEWAY_MAX_WAITING", "3"}, {"GATEWAY_REQUEST_TIMEOUT", "2s"},
                                                 {"SHUTDOWN_GRACE", "10m"}, {"LOGGING_LEVEL", "error"}};

    for (size_t i = 0; i < sizeof environment / sizeof environment[0]; i++)
        if (strcmp(environment[i][0], name) == 0)
            return environment[i][1];
    return NULL;
}

static void on_listening(void *argument)
{
    (void)argument;
    sem_post(&listens);
}

static void *run(void *argument)
{
    static struct mr_actor *const all[ACTORS] = {&actors[AUTH], &actors[WORK], &actors[READER]};
    const struct mr_gateway_options options = {.config = &config, .clock = &moved_clock, .actors = all, .actor_count = ACTORS,
                                               .version = "1.2.3", .listen_fd = listen_fd, .on_listening = on_listening};

    (void)argument;
    assert_int_equal(mr_gateway_run(&options), MR_OK);
    return NULL;
}

static void open_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(bind(listen_fd, (struct sockaddr *)&address, len) == 0 && listen(listen_fd, 64) == 0);
    assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &len), 0);
    port = ntohs(address.sin_port);
}

static int set_up(void **state)
{
    struct mr_principal admin = {.role = MR_ROLE_ADMIN, .user_id = {1}};
    struct mr_buf problems = {0};

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_true(sodium_init() >= 0);
    mr_mailbox_setup();
    assert_int_equal(mr_config_read(&config, MR_RUN_API, get, NULL, &problems), MR_OK);
    assert_int_equal(mr_token_issue(&token, &admin, MR_SLICE("jo"), secret, wall_ms(NULL) / 1000, 1000000), MR_OK);
    for (unsigned i = 0; i < ACTORS; i++) {
        mr_actor_mailbox_name(actors[i].name, specs[i].id, MR_LANE_QUICK, 0);
        assert_int_equal(mr_mailbox_new(&mailboxes[i], actors[i].name), MR_OK);
    }
    open_socket();
    sem_init(&listens, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    sem_wait(&listens);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ACTORS; i++)
        mr_mailbox_destroy(&mailboxes[i]);
    mr_buf_fini(&token);
    return 0;
}

/* ---- A client ---- */

static int client(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void send_request(int fd, const char *first, struct mr_slice credential, const char *body)
{
    struct mr_buf request = {0};

    mr_buf_printf(&request, "%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %.*s\r\nContent-Length: %zu\r\n\r\n%s", first,
                  (int)credential.len, credential.data, strlen(body), body);
    assert_int_equal(send(fd, request.data, request.len, MSG_NOSIGNAL), request.len);
    mr_buf_fini(&request);
}

/* A connection that claims a run of the job, and waits for it. */
static int claim_as(struct mr_slice credential, const char *job, const char *body)
{
    char first[128];
    int fd = client();

    snprintf(first, sizeof first, "POST /v1/jobs/%s/claims", job);
    send_request(fd, first, credential, body);
    return fd;
}

static int claim(const char *job, const char *body)
{
    return claim_as(buf_slice(&token), job, body);
}

/* The status; `body` gets the rest behind the head. */
static int answer(int fd, char body[ANSWER_BYTES])
{
    static char bytes[ANSWER_BYTES];
    size_t len = 0;
    char *end = NULL;
    size_t wanted = 0;

    while (end == NULL || len < (size_t)(end + 4 - bytes) + wanted) {
        ssize_t got = recv(fd, bytes + len, sizeof bytes - 1 - len, 0);

        assert_true(got > 0);
        len += (size_t)got;
        bytes[len] = '\0';
        if (end == NULL && (end = strstr(bytes, "\r\n\r\n")) != NULL)
            wanted = (size_t)strtol(strstr(bytes, "Content-Length: ") + strlen("Content-Length: "), NULL, 10);
    }
    strcpy(body, end + 4);
    return (int)strtol(bytes + strlen("HTTP/1.1 "), NULL, 10);
}

static void assert_answer(int fd, int status, const char *body)
{
    char got[ANSWER_BYTES];

    assert_int_equal(answer(fd, got), status);
    if (body != NULL)
        assert_string_equal(got, body);
    close(fd);
}

/* ---- The actors ---- */

/* A message that an actor was sent. */
struct asked {
    struct mr_parcel parcel;
    struct mr_envelope envelope;
    struct mr_value values[MR_FIELDS_MAX];
};

/* Time goes on a little meanwhile: the gateway tells what is waited for at most every few milliseconds. */
static bool take_within(unsigned actor, struct asked *out, int patience_ms)
{
    for (int waited = 0; waited < patience_ms; waited += 10) {
        struct pollfd ready = {.fd = mr_mailbox_fd(mailboxes[actor]), .events = POLLIN};

        if (mr_mailbox_take(mailboxes[actor], &out->parcel)) {
            assert_int_equal(mr_envelope_decode(&out->envelope, out->parcel.data, out->parcel.len), MR_OK);
            assert_int_equal(mr_payload_decode(out->values, out->envelope.op, out->envelope.payload), MR_OK);
            return true;
        }
        if (poll(&ready, 1, 10) == 0)
            pass(1);
    }
    return false;
}

/* The next message of that op; what is waited for is told in between, and not asked for here. */
static void take_op(unsigned actor, enum mr_op op, struct asked *out)
{
    while (take_within(actor, out, PATIENCE_MS)) {
        if (out->envelope.op == op)
            return;
        assert_int_equal(out->envelope.op, MR_OP_run_watch);
        mr_parcel_release(&out->parcel);
    }
    fail_test("nobody asked for %s", mr_op_info(op)->name);
}

/* Until the actor was told that these jobs, and no others, are waited for. */
static void take_watch(const char *jobs)
{
    struct asked watch;
    bool same;

    do {
        take_op(WORK, MR_OP_run_watch, &watch);
        same = mr_slice_is(watch.values[0].text, jobs);
        mr_parcel_release(&watch.parcel);
    } while (!same);
}

static void send_to_gateway(unsigned actor, const struct mr_envelope *envelope)
{
    struct mr_buf frame = {0};

    assert_int_equal(mr_envelope_encode(&frame, envelope), MR_OK);
    assert_int_equal(mr_mailbox_send(mailboxes[actor], mr_actor_info(MR_ACTOR_GATEWAY)->name, frame.data, frame.len), MR_OK);
    mr_buf_fini(&frame);
}

static void reply(unsigned actor, struct asked *asked, const struct mr_reply_head *head, const char *json)
{
    struct mr_buf payload = {0};
    size_t begun = mr_reply_begin(&payload);

    mr_buf_text(&payload, json);
    mr_reply_end(&payload, begun, head);
    send_to_gateway(actor, &(struct mr_envelope){.kind = MR_REPLY, .op = asked->envelope.op, .correlation = asked->envelope.correlation,
                                                 .payload = {payload.data, payload.len}});
    mr_parcel_release(&asked->parcel);
    mr_buf_fini(&payload);
}

static void reply_fault(unsigned actor, struct asked *asked, mr_status status)
{
    struct mr_fault fault = {.status = status, .field = {"", 0}, .code = {"", 0}, .message = {"", 0}, .errors = {"", 0}};
    struct mr_buf payload = {0};

    mr_fault_encode(&payload, &fault);
    send_to_gateway(actor, &(struct mr_envelope){.kind = MR_ERROR, .op = asked->envelope.op, .correlation = asked->envelope.correlation,
                                                 .payload = {payload.data, payload.len}});
    mr_parcel_release(&asked->parcel);
    mr_buf_fini(&payload);
}

static const struct mr_reply_head nothing_yet = {{"", 0}, 0, {"", 0}, {"", 0}, true};
static const struct mr_reply_head one_run = {{"", 0}, 0, {"", 0}, {"0123456789abcdef01234567", MR_CLAIM_BYTES}, false};
static const char run_json[] = "{\"runs\":[{\"id\":\"x\"}]}";

static void tell_nothing(void)
{
    struct asked asked;

    take_op(WORK, MR_OP_run_claim, &asked);
    reply(WORK, &asked, &nothing_yet, "{\"runs\":[]}");
}

static void hand_out(void)
{
    struct asked asked;

    take_op(WORK, MR_OP_run_claim, &asked);
    reply(WORK, &asked, &one_run, run_json);
}

static void news(enum mr_op op, const struct mr_value *values)
{
    struct mr_buf payload = {0};

    mr_payload_encode(&payload, op, values);
    send_to_gateway(WORK, &(struct mr_envelope){.kind = MR_REQUEST, .op = op, .payload = {payload.data, payload.len}});
    mr_buf_fini(&payload);
}

static void ready(const char *job, int64_t runs)
{
    news(MR_OP_work_ready, (struct mr_value[]){{.present = true, .text = mr_slice_of(job)}, {.present = true, .integer = runs}});
}

static uint64_t count_parked(void)
{
    return mr_metric_value(MR_METRIC_waiting);
}

/* A claim that has been told that there is nothing, and waits. */
static int parked(const char *job, const char *body)
{
    uint64_t before = count_parked();
    int fd = claim(job, body);

    tell_nothing();
    eventually(count_parked() == before + 1);
    return fd;
}

/* ---- Tests ---- */

static void test_waiting__ends_with_nothing_at_its_end(void **state)
{
    int fd = parked("a", "{\"wait\":\"30s\"}");

    (void)state;
    take_watch("{\"a\"}");
    pass(30000);
    assert_answer(fd, 200, "{\"runs\":[]}");
    take_watch("{}");
}

/* Far past the deadline of a request. */
static void test_waiting__is_called_when_something_came(void **state)
{
    int first = parked("b", "{\"wait\":\"60s\"}");
    int second = parked("b", "{\"wait\":\"60s\"}");

    (void)state;
    pass(20000);
    ready("other", 9);
    ready("b", 1);
    hand_out();
    assert_answer(first, 200, run_json);
    ready("b", 1);
    hand_out(); /* would be asked for by now if one run had called both */
    assert_answer(second, 200, run_json);
}

static void test_waiting__goes_behind_the_others_when_it_came_too_late(void **state)
{
    int first = parked("c", "{\"wait\":\"60s\",\"worker\":\"first\"}");
    int second = parked("c", "{\"wait\":\"60s\",\"worker\":\"second\"}");
    struct asked asked;

    (void)state;
    ready("c", 1);
    tell_nothing();
    eventually(count_parked() == 2);
    ready("c", 1);
    take_op(WORK, MR_OP_run_claim, &asked);
    assert_slice_equal(asked.values[mr_field_index(MR_OP_run_claim, "worker")].text, "second");
    reply(WORK, &asked, &one_run, run_json);
    assert_answer(second, 200, run_json);
    ready("c", 5);
    hand_out();
    assert_answer(first, 200, run_json);
}

static void test_waiting__asks_nothing_for_a_client_that_hung_up(void **state)
{
    int gone = parked("d", "{\"wait\":\"60s\"}");
    int stays;
    struct asked asked;

    (void)state;
    take_watch("{\"d\"}");
    close(gone);
    take_watch("{}");
    stays = parked("d", "{\"wait\":\"60s\",\"worker\":\"stays\"}");
    ready("d", 9);
    take_op(WORK, MR_OP_run_claim, &asked);
    assert_slice_equal(asked.values[mr_field_index(MR_OP_run_claim, "worker")].text, "stays");
    reply(WORK, &asked, &one_run, run_json);
    assert_answer(stays, 200, run_json);
}

static void test_waiting__answers_one_that_shut_its_side_down(void **state)
{
    int fd = parked("e", "{\"wait\":\"60s\"}");

    (void)state;
    shutdown(fd, SHUT_WR);
    assert_answer(fd, 200, "{\"runs\":[]}");
}

static void assert_given_back(void)
{
    struct asked asked;

    take_op(WORK, MR_OP_run_release, &asked);
    assert_slice_equal(asked.values[0].text, "0123456789abcdef01234567");
    mr_parcel_release(&asked.parcel);
}

static void ask_livez(void)
{
    int fd = client();

    send_request(fd, "GET /livez", buf_slice(&token), "");
    assert_answer(fd, 200, NULL);
}

static void test_claims__come_back_from_a_client_that_went(void **state)
{
    struct asked asked;
    int fd = claim("f", "{}");

    (void)state;
    take_op(WORK, MR_OP_run_claim, &asked);
    close(fd);
    reply(WORK, &asked, &one_run, run_json);
    assert_given_back();
    fd = claim("f", "{}");
    take_op(WORK, MR_OP_run_claim, &asked);
    shutdown(fd, SHUT_WR);
    ask_livez(); /* what came to the gateway before that was seen by it */
    reply(WORK, &asked, &one_run, run_json);
    assert_answer(fd, 200, "{\"runs\":[]}");
    assert_given_back();
}

/* A deadline counts from when the message is on its way, which may be a moment after it came. */
static void pass_until_answered(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    for (int i = 0; i < 20; i++) {
        pass(2000);
        if (poll(&readable, 1, 500) == 1)
            return;
    }
}

static void test_claims__come_back_when_they_come_past_the_deadline(void **state)
{
    struct asked asked;
    int fd = claim("g", "{}");

    (void)state;
    take_op(WORK, MR_OP_run_claim, &asked);
    pass_until_answered(fd);
    assert_answer(fd, 504, NULL);
    reply(WORK, &asked, &one_run, run_json);
    assert_given_back();
}

static void test_claims__come_back_when_the_answer_was_not_read(void **state)
{
    const struct linger at_once = {.l_onoff = 1};
    struct asked asked;
    int fd = claim("h", "{}");
    char byte;

    (void)state;
    take_op(WORK, MR_OP_run_claim, &asked);
    reply(WORK, &asked, &one_run, run_json);
    assert_int_equal(recv(fd, &byte, 1, MSG_PEEK), 1); /* it is there, and unread */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    assert_given_back();
}

static void ask_again_for(const char *job, struct asked *asked)
{
    for (int i = 0; i < 20; i++) {
        pass(2000);
        ready(job, 1);
        while (take_within(WORK, asked, 300)) {
            if (asked->envelope.op == MR_OP_run_claim)
                return;
            mr_parcel_release(&asked->parcel);
        }
    }
    fail_test("nobody asked again");
}

static void test_waiting__outlasts_a_database_that_is_away(void **state)
{
    int fd = claim("i", "{\"wait\":\"60s\"}");
    int other = claim("j", "{\"wait\":\"10s\"}");
    struct asked asked;

    (void)state;
    for (int i = 0; i < 2; i++) {
        take_op(WORK, MR_OP_run_claim, &asked);
        reply_fault(WORK, &asked, MR_UNAVAILABLE);
    }
    eventually(count_parked() == 2);
    pass(10000);
    assert_answer(other, 503, NULL);
    ready("i", 1);
    take_op(WORK, MR_OP_run_claim, &asked);
    mr_parcel_release(&asked.parcel);
    ask_again_for("i", &asked); /* nobody answered: that attempt is over, the wait is not */
    reply(WORK, &asked, &one_run, run_json);
    assert_answer(fd, 200, run_json);
}

static void test_waiting__is_bounded(void **state)
{
    int fds[ROOM];
    int one_more;

    (void)state;
    for (int i = 0; i < ROOM; i++)
        fds[i] = parked("k", "{\"wait\":\"30s\"}");
    one_more = claim("k", "{\"wait\":\"30s\"}");
    assert_answer(one_more, 503, NULL);
    one_more = claim("k", "{}"); /* who does not wait needs no room */
    tell_nothing();
    assert_answer(one_more, 200, "{\"runs\":[]}");
    pass(30000);
    for (int i = 0; i < ROOM; i++)
        assert_answer(fds[i], 200, "{\"runs\":[]}");
}

/* A key is believed for 4 s. */
static void verify_key(bool good)
{
    static const struct mr_reply_head of_key = {{"", 0}, 0, {"0123456789abcdef", 16}, {"", 0}, false};
    struct asked asked;

    take_op(AUTH, MR_OP_key_verify, &asked);
    if (good)
        reply(AUTH, &asked, &of_key, "{\"scopes\":\"jobs:work\",\"life\":60000}");
    else
        reply_fault(AUTH, &asked, MR_INVALID_KEY);
}

static void test_waiting__ends_with_its_key(void **state)
{
    int first = claim_as(mr_slice_of(key), "l", "{\"wait\":\"60s\"}");
    int second;

    (void)state;
    verify_key(true);
    tell_nothing();
    eventually(count_parked() == 1);
    second = claim_as(mr_slice_of(key), "l", "{\"wait\":\"60s\"}");
    tell_nothing();
    eventually(count_parked() == 2);
    pass(4000);
    verify_key(true); /* one asks for both */
    eventually(count_parked() == 2);
    pass(4000);
    ready("l", 1);
    verify_key(true); /* nothing is asked for a key that nobody has seen for so long */
    hand_out();
    assert_answer(first, 200, run_json);
    eventually(count_parked() == 1);
    pass(4000);
    verify_key(false);
    assert_answer(second, 401, NULL);
}

static const char some_run[] = "01980000-0000-7000-8000-000000000001";

static int await_run(const char *wait)
{
    char first[128];
    int fd = client();

    snprintf(first, sizeof first, "GET /v1/job-runs/%s?wait=%s", some_run, wait);
    send_request(fd, first, buf_slice(&token), "");
    return fd;
}

static void tell_run(const struct mr_reply_head *head, const char *json)
{
    struct asked asked;

    take_op(READER, MR_OP_job_run_get, &asked);
    reply(READER, &asked, head, json);
}

static void test_run__is_told_when_it_ends(void **state)
{
    static const struct mr_reply_head ended = {{"", 0}, 0, {"", 0}, {"", 0}, false};
    struct mr_value id = {.present = true};
    struct mr_buf ids = {0};
    int fd = await_run("60s");

    (void)state;
    tell_run(&nothing_yet, "{\"state\":\"running\"}");
    assert_true(mr_uuid_parse(id.uuid, some_run, strlen(some_run)));
    mr_literal_begin(&ids);
    mr_literal_add(&ids, MR_UUID, &id);
    mr_literal_end(&ids);
    news(MR_OP_runs_ended, &(struct mr_value){.present = true, .text = buf_slice(&ids)});
    tell_run(&ended, "{\"state\":\"succeeded\"}");
    assert_answer(fd, 200, "{\"state\":\"succeeded\"}");
    mr_buf_fini(&ids);
}

static void test_run__is_told_as_it_is_at_the_end_of_the_wait(void **state)
{
    int fd = await_run("5s");

    (void)state;
    tell_run(&nothing_yet, "{\"done\":1}");
    eventually(count_parked() == 1);
    pass(5000);
    tell_run(&nothing_yet, "{\"done\":2}");
    assert_answer(fd, 200, "{\"done\":2}");
}

/* The last of all. */
static void test_waiting__is_answered_at_sigterm(void **state)
{
    int one = parked("z", "{\"wait\":\"60s\"}");
    int run_of = await_run("60s");
    int asking = claim("z", "{\"wait\":\"60s\"}");
    struct asked asked;

    (void)state;
    tell_run(&nothing_yet, "{\"state\":\"running\"}");
    take_op(WORK, MR_OP_run_claim, &asked);
    eventually(count_parked() == 2);
    kill(getpid(), SIGTERM);
    assert_answer(one, 200, "{\"runs\":[]}");
    assert_answer(run_of, 200, "{\"state\":\"running\"}");
    reply(WORK, &asked, &nothing_yet, "{\"runs\":[]}");
    assert_answer(asking, 200, "{\"runs\":[]}");
    pass(1000000);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting__ends_with_nothing_at_its_end),
        cmocka_unit_test(test_waiting__is_called_when_something_came),
        cmocka_unit_test(test_waiting__goes_behind_the_others_when_it_came_too_late),
        cmocka_unit_test(test_waiting__asks_nothing_for_a_client_that_hung_up),
        cmocka_unit_test(test_waiting__answers_one_that_shut_its_side_down),
        cmocka_unit_test(test_claims__come_back_from_a_client_that_went),
        cmocka_unit_test(test_claims__come_back_when_they_come_past_the_deadline),
        cmocka_unit_test(test_claims__come_back_when_the_answer_was_not_read),
        cmocka_unit_test(test_waiting__outlasts_a_database_that_is_away),
        cmocka_unit_test(test_waiting__is_bounded),
        cmocka_unit_test(test_waiting__ends_with_its_key),
        cmocka_unit_test(test_run__is_told_when_it_ends),
        cmocka_unit_test(test_run__is_told_as_it_is_at_the_end_of_the_wait),
        cmocka_unit_test(test_waiting__is_answered_at_sigterm),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
