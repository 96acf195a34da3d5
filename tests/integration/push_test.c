/*
 * Runs of jobs that push, from a real database to receivers that are well or not.
 */
#include "jobs/push.h"

#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/webhook.h"
#include "tests/support/database.h"
#include "tests/support/receiver.h"

#define SECRET     "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define NEW_SECRET "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
#define OK         "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"n\": 1.50}"

/* Waits for what takes no time of its own, a minute at most: machines may be busy. */
#define becomes(condition)                                                           \
    do {                                                                             \
        int64_t until_ = mr_mono_ms(&mr_system_clock) + 60000;                       \
        while (!(condition)) {                                                       \
            if (mr_mono_ms(&mr_system_clock) > until_)                               \
                fail_test("%s:%d: never came true: %s", __FILE__, __LINE__, #condition); \
            pause_briefly();                                                         \
        }                                                                            \
    } while (0)

static struct database *database;
static struct receiver *receiver;
static struct mr_push *pushes[2];

static void start_another(unsigned index)
{
    struct mr_push_options options = {.config = &database->config, .clock = &mr_system_clock};

    assert_int_equal(mr_push_start(&pushes[index], &options), MR_OK);
}

static void start(void)
{
    start_another(0);
}

static void stop(void)
{
    for (int i = 0; i < 2; i++)
        assert_true(mr_push_stop_by(&pushes[i], INT64_MAX));
}

static int setup(void **state)
{
    (void)state;
    database = database_new();
    database->config.push_in_flight = 1000;
    database->config.push_per_host = 100;
    database->config.push_allow_private = true;
    database->config.push_certificate = "";
    database->config.shutdown_grace = 25000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop();
    receiver_destroy(&receiver);
    database_destroy(&database);
    return 0;
}

/* A job that pushes to a receiver; `more` sets columns of its row. */
static void make_job(const char *name, const struct receiver *to, const char *more)
{
    sql_exec(database->db,
             "INSERT INTO millrace.job (name, exclusive, manual, work, origin, url, secrets, retry_first_ms, retry_most_ms)"
             " VALUES ('%s', false, false, 'push', 'managed', 'http://127.0.0.1:%u/%s?token=hidden', ARRAY['" SECRET "'], 50, 200)",
             name, receiver_port(to), name);
    if (*more != '\0')
        sql_exec(database->db, "UPDATE millrace.job SET %s WHERE name = '%s'", more, name);
}

static void enqueue(const char *job, const char *args, unsigned count)
{
    sql_exec(database->db, "SELECT millrace.enqueue('%s', '%s') FROM generate_series(1, %u)", job, args, count);
}

static int64_t count_of(const char *where)
{
    return sql_number(database->db, "SELECT count(*) FROM millrace.every_run WHERE NOT is_sql AND %s", where);
}

/* A deterministic answer to the n-th request (from 1) of all. */
struct script {
    unsigned upto;      /* the last request it is for; 0: all that follow */
    const char *answer; /* NULL: hangs up */
};

static bool follow_script(struct receiver *self, int fd, const struct received *request)
{
    const struct script *line = receiver_argument(self);
    unsigned n = 1;

    while (n <= receiver_requests(self) && receiver_request(self, n - 1) != request)
        n++;
    while (line->upto != 0 && n > line->upto)
        line++;
    return line->answer != NULL && receiver_write(fd, line->answer, strlen(line->answer));
}

static bool never_answer(struct receiver *self, int fd, const struct received *request)
{
    char byte;

    (void)self;
    (void)request;
    return recv(fd, &byte, 1, 0) > 0;
}

static void assert_signed(const struct received *request, const char *secrets)
{
    struct mr_buf expected = {0};
    char id[64];
    char stamp[32];
    int64_t age_s;

    snprintf(id, sizeof id, "%s", received_header(request, "webhook-id"));
    snprintf(stamp, sizeof stamp, "%s", received_header(request, "webhook-timestamp"));
    assert_int_equal(mr_webhook_sign(&expected, mr_slice_of(secrets), mr_slice_of(id), strtoll(stamp, NULL, 10),
                                     (struct mr_slice){request->body, request->body_len}),
                     MR_OK);
    assert_slice_equal(buf_slice(&expected), received_header(request, "webhook-signature"));
    age_s = mr_wall_ms(&mr_system_clock) / 1000 - strtoll(stamp, NULL, 10);
    assert_true(age_s >= 0 && age_s < 60);
    mr_buf_fini(&expected);
}

/* ---- What is sent and kept ---- */

static void test_push__a_run_is_a_signed_call_and_its_answer_the_result(void **state)
{
    const struct received *request;
    json_t *body;

    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    make_job("greet", receiver, "");
    start();
    sql_exec(database->db, "SELECT millrace.enqueue('greet', '{\"name\": \"Ä\\\"da\", \"n\": [1, 2.5]}', key => 'tenant')");
    becomes(count_of("state = 'succeeded'") == 1);
    request = receiver_request(receiver, 0);
    assert_signed(request, SECRET);
    assert_int_equal(strncmp(request->text, "POST /greet?token=hidden HTTP/1.1\r\n", 35), 0);
    assert_string_equal(received_header(request, "content-type"), "application/json");
    assert_string_equal(received_header(request, "webhook-id"), sql_text(database->db, "SELECT id FROM millrace.run"));
    body = json_loads(request->body, 0, NULL);
    assert_non_null(body);
    assert_string_equal(json_string_value(json_object_get(body, "type")), "greet");
    assert_string_equal(json_string_value(json_object_get(json_object_get(body, "data"), "name")), "Ä\"da");
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.run WHERE abs(extract(epoch FROM created_at - '%s')) < 0.001",
                                json_string_value(json_object_get(body, "timestamp"))), 1);
    json_decref(body);
    assert_string_equal(sql_text(database->db, "SELECT result::text FROM millrace.run"), "{\"n\": 1.50}");
    assert_string_equal(sql_text(database->db, "SELECT concat_ws(' ', attempt, status, answer, error, worker LIKE '%%/push', took_ms >= 0)"
                                               " FROM millrace.run_attempt"), "1 200 {\"n\": 1.50} t t");
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.lease"), 0);
}

static void test_push__every_attempt_has_the_same_id_and_body_and_is_signed_anew(void **state)
{
    static const struct script script[] = {{1, "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nno\xff!"}, {2, "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n"}, {0, OK}};
    char id[64];

    (void)state;
    receiver = receiver_new(follow_script, script);
    make_job("again", receiver, "secrets = ARRAY['" NEW_SECRET "', '" SECRET "']");
    start();
    enqueue("again", "{}", 1);
    becomes(count_of("state = 'succeeded' AND attempt = 3 AND error IS NULL") == 1);
    assert_int_equal(receiver_requests(receiver), 3);
    snprintf(id, sizeof id, "%s", received_header(receiver_request(receiver, 0), "webhook-id"));
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(received_header(receiver_request(receiver, i), "webhook-id"), id);
        assert_string_equal(receiver_request(receiver, i)->body, receiver_request(receiver, 0)->body);
        assert_signed(receiver_request(receiver, i), NEW_SECRET " " SECRET);
    }
    assert_string_equal(sql_text(database->db, "SELECT string_agg(concat_ws(' ', attempt, status, answer, error), '; ' ORDER BY attempt)"
                                               " FROM millrace.run_attempt"),
                        "1 500 no?! the receiver answered 500; 2 503 the receiver answered 503; 3 200 {\"n\": 1.50}");
}

/* jsonb refuses one of the results: the others of its batch keep theirs. */
static bool answer_in_kind(struct receiver *self, int fd, const struct received *request)
{
    const char *answer = OK;

    (void)self;
    if (strstr(request->text, "POST /text") != NULL)
        answer = "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nthank";
    else if (strstr(request->text, "POST /odd") != NULL)
        answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1e-20000";
    else if (strstr(request->text, "POST /empty") != NULL)
        answer = "HTTP/1.1 204 No Content\r\n\r\n";
    return receiver_write(fd, answer, strlen(answer));
}

static void test_push__what_is_no_json_is_no_result(void **state)
{
    (void)state;
    receiver = receiver_new(answer_in_kind, NULL);
    make_job("text", receiver, "");
    make_job("odd", receiver, "");
    make_job("empty", receiver, "");
    make_job("json", receiver, "");
    sql_exec(database->db, "SELECT millrace.enqueue(j) FROM unnest(ARRAY['text', 'odd', 'empty', 'json']) j, generate_series(1, 20)");
    start();
    becomes(count_of("state = 'succeeded'") == 80);
    assert_int_equal(count_of("job <> 'json' AND result IS NOT NULL"), 0);
    assert_int_equal(count_of("job = 'json' AND result = '{\"n\": 1.5}'"), 20);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.run_attempt WHERE answer = 'thank' AND status = 202"), 20);
}

static void test_push__a_run_that_is_queued_is_sent_soon(void **state)
{
    struct stopwatch watch;

    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    make_job("soon", receiver, "");
    start();
    enqueue("soon", "{}", 1);
    becomes(receiver_requests(receiver) == 1); /* it listens by now */
    for (unsigned i = 2; i < 12; i++) {
        for (int pause = 0; pause < 20; pause++) /* past the looks behind the last one */
            pause_briefly();
        watch = stopwatch_start();
        enqueue("soon", "{}", 1);
        becomes(receiver_requests(receiver) == i);
        if (stopwatch_ms(&watch) < 500) /* the poll alone would take that long on average: it was woken */
            return;
    }
    fail_test("ten runs in a row waited for the poll");
}

/* The poll would find one, or two of two keys, a second. */
static void assert_limit_holds_up_nothing(const char *name, const char *limit)
{
    int64_t begun_ms = mr_mono_ms(&mr_system_clock);

    make_job(name, receiver, limit);
    sql_exec(database->db, "SELECT millrace.enqueue('%s', key => (i %% 2)::text) FROM generate_series(1, 40) i", name);
    becomes(sql_number(database->db, "SELECT count(*) FROM millrace.run WHERE job = '%s' AND outcome = 'succeeded'", name) == 40);
    if (mr_mono_ms(&mr_system_clock) - begun_ms > 10000)
        fail_test("%s: each waited for the poll", limit);
}

static void test_push__a_run_that_ends_makes_place_for_the_next_at_once(void **state)
{
    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    start();
    assert_limit_holds_up_nothing("one", "concurrency = 1");
    assert_limit_holds_up_nothing("each", "per_key = 1");
}

/* ---- Receivers that say no ---- */

static void test_push__one_that_is_gone_pauses_the_job(void **state)
{
    static const struct script script[] = {{1, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"}, {0, OK}};

    (void)state;
    receiver = receiver_new(follow_script, script);
    make_job("leave", receiver, "concurrency = 1");
    start();
    enqueue("leave", "{}", 5);
    becomes(sql_number(database->db, "SELECT count(*) FROM millrace.job WHERE name = 'leave' AND paused_at IS NOT NULL") == 1);
    becomes(count_of("state = 'failed' AND error LIKE 'the receiver answered 410: it wants no more%%'") == 1);
    assert_int_equal(count_of("state = 'queued'"), 4);
    assert_int_equal(receiver_requests(receiver), 1);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.audit WHERE by = 'system' AND operation = 'job_pause'"
                                              " AND subject_name = 'leave' AND caller IS NULL AND detail ->> 'reason' LIKE '%%410'"),
                     1);
    sql_exec(database->db, "UPDATE millrace.job SET paused_at = NULL");
    becomes(count_of("state = 'succeeded'") == 5);
}

static void test_push__one_that_asks_for_a_rest_gets_it(void **state)
{
    static const struct script script[] = {{1, "HTTP/1.1 429 Slow Down\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"}, {0, OK}};
    int64_t begun_ms = mr_mono_ms(&mr_system_clock);

    (void)state;
    receiver = receiver_new(follow_script, script);
    make_job("rest", receiver, "concurrency = 1");
    start();
    enqueue("rest", "{}", 3);
    becomes(count_of("state = 'succeeded'") == 3);
    assert_true(mr_mono_ms(&mr_system_clock) - begun_ms >= 2000); /* the others spent no attempt meanwhile */
    assert_int_equal(receiver_requests(receiver), 4);
    assert_int_equal(count_of("attempt = 2"), 1);
}

static void test_push__attempts_are_used_up(void **state)
{
    (void)state;
    receiver = receiver_new(receiver_answers, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n");
    make_job("die", receiver, "attempts = 3");
    start();
    enqueue("die", "{}", 2);
    becomes(count_of("state = 'dead' AND attempt = 3 AND error = 'the receiver answered 302: redirections are not followed'") == 2);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.run_attempt WHERE status = 302"), 6);
}

static void test_push__a_private_address_is_not_called_unless_that_is_allowed(void **state)
{
    (void)state;
    database->config.push_allow_private = false;
    receiver = receiver_new(receiver_answers, OK);
    make_job("inside", receiver, "attempts = 1");
    make_job("named", receiver, "attempts = 1, url = replace(url, '127.0.0.1', 'localhost')");
    start();
    enqueue("inside", "{}", 1);
    enqueue("named", "{}", 1);
    becomes(count_of("state = 'dead' AND error = 'the receiver''s address is not a public one, see PUSH_ALLOW_PRIVATE'") == 2);
    assert_int_equal(receiver_connections(receiver), 0);
}

static void test_push__nothing_is_sent_without_a_signature_or_to_what_is_no_url(void **state)
{
    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    make_job("none", receiver, "attempts = 1, secrets = NULL");
    make_job("bad", receiver, "attempts = 1, secrets = ARRAY['" SECRET "', 'hidden']");
    make_job("file", receiver, "attempts = 1, url = 'file:///etc/passwd'");
    start();
    sql_exec(database->db, "SELECT millrace.enqueue(j) FROM unnest(ARRAY['none', 'bad', 'file']) j");
    becomes(count_of("state = 'dead' AND error LIKE 'the job has no secret that can sign%%'") == 2);
    becomes(count_of("state = 'dead' AND error = 'the job''s URL is not an http or https URL'") == 1);
    assert_int_equal(count_of("error LIKE '%%hidden%%'"), 0);
    assert_int_equal(receiver_connections(receiver), 0);
}

/* ---- Several receivers ---- */

static void test_push__one_that_is_dead_holds_up_no_other(void **state)
{
    struct receiver *dead = receiver_new(never_answer, NULL);

    (void)state;
    database->config.push_in_flight = 40;
    database->config.push_per_host = 15;
    receiver = receiver_new(receiver_answers, OK);
    make_job("stuck", dead, "timeout_ms = 60000");
    make_job("well", receiver, "");
    enqueue("stuck", "{}", 200);
    start();
    becomes(receiver_requests(dead) == 15);
    enqueue("well", "{}", 300);
    becomes(count_of("job = 'well' AND state = 'succeeded'") == 300);
    assert_int_equal(receiver_requests(dead), 15);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.lease"), 15);
    database->config.shutdown_grace = 1000; /* they would be waited for */
    stop();
    receiver_destroy(&dead);
}

/* However many are slow, there is room for one more. */
static void test_push__many_that_are_dead_leave_room_for_another(void **state)
{
    enum { DEAD = 6 };
    struct receiver *dead[DEAD];
    unsigned taken = 0;

    (void)state;
    database->config.push_in_flight = 20;
    database->config.push_per_host = 15;
    receiver = receiver_new(receiver_answers, OK);
    for (unsigned i = 0; i < DEAD; i++) {
        char name[8];

        snprintf(name, sizeof name, "dead%u", i);
        dead[i] = receiver_new(never_answer, NULL);
        make_job(name, dead[i], "timeout_ms = 60000");
        enqueue(name, "{}", 50);
    }
    make_job("well", receiver, "");
    start();
    becomes(receiver_requests(dead[DEAD - 1]) > 0 || receiver_requests(dead[0]) > 0);
    enqueue("well", "{}", 50);
    becomes(count_of("job = 'well' AND state = 'succeeded'") == 50);
    for (unsigned i = 0; i < DEAD; i++)
        taken += receiver_requests(dead[i]);
    assert_true(taken < 20);
    database->config.shutdown_grace = 1000;
    stop();
    for (unsigned i = 0; i < DEAD; i++)
        receiver_destroy(&dead[i]);
}

/* ---- Trouble on our side ---- */

static void test_push__two_processes_send_each_run_once(void **state)
{
    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    make_job("share", receiver, "");
    start();
    start_another(1);
    for (int i = 0; i < 10; i++)
        enqueue("share", "{}", 100);
    becomes(count_of("state = 'succeeded' AND attempt = 1") == 1000);
    assert_int_equal(receiver_requests(receiver), 1000);
    assert_int_equal(sql_number(database->db, "SELECT count(DISTINCT run_id) FROM millrace.run_attempt"), 1000);
}

static void test_push__nothing_is_lost_while_sessions_are_terminated(void **state)
{
    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    make_job("broken", receiver, "");
    start();
    for (int i = 0; i < 20; i++) {
        enqueue("broken", "{}", 50);
        sql_exec(database->db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'push' AND datname = current_database()");
        for (int pause = 0; pause < 20; pause++)
            pause_briefly();
    }
    becomes(count_of("state = 'succeeded'") == 1000);
    assert_true(receiver_requests(receiver) >= 1000);
    assert_int_equal(count_of("attempt > 1"), 0); /* claims that were lost on the way went back uncounted */
}

/* A call that was answered while the database was away is told when it is back: not sent again. */
static bool answer_when_asked(struct receiver *self, int fd, const struct received *request)
{
    (void)request;
    while (!atomic_load((const _Atomic bool *)receiver_argument(self)))
        pause_briefly();
    return receiver_write(fd, OK, strlen(OK));
}

static void test_push__an_answer_is_told_when_the_database_is_back(void **state)
{
    static _Atomic bool may_answer;
    mr_db *other;

    (void)state;
    atomic_store(&may_answer, false);
    receiver = receiver_new(answer_when_asked, (const void *)&may_answer);
    make_job("patient", receiver, "");
    start();
    enqueue("patient", "{}", 1);
    becomes(receiver_requests(receiver) == 1);
    other = database_connect(database);
    sql_exec(other, "BEGIN; LOCK millrace.run, millrace.lease"); /* what it does there now has to wait, and fails */
    atomic_store(&may_answer, true);
    for (int pause = 0; pause < 300; pause++)
        pause_briefly();
    sql_exec(other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'push' AND datname = current_database()");
    sql_exec(other, "ROLLBACK");
    mr_db_destroy(&other);
    becomes(count_of("state = 'succeeded' AND attempt = 1") == 1);
    assert_int_equal(receiver_requests(receiver), 1);
}

static void test_push__a_call_is_broken_off_when_its_run_is_cancelled(void **state)
{
    (void)state;
    receiver = receiver_new(never_answer, NULL);
    make_job("cancel", receiver, "timeout_ms = 60000");
    start();
    enqueue("cancel", "{}", 1);
    becomes(receiver_requests(receiver) == 1);
    sql_exec(database->db, "SELECT millrace.cancel_runs(ARRAY(SELECT id FROM millrace.run))");
    becomes(count_of("state = 'cancelled'") == 1);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.run_attempt WHERE error = 'cancelled on request'"), 1);
}

static void test_push__a_long_call_keeps_its_lease(void **state)
{
    static _Atomic bool may_answer;

    (void)state;
    atomic_store(&may_answer, false);
    receiver = receiver_new(answer_when_asked, (const void *)&may_answer);
    make_job("long", receiver, "timeout_ms = 60000");
    start();
    enqueue("long", "{}", 1);
    becomes(receiver_requests(receiver) == 1);
    sql_exec(database->db, "CREATE TABLE seen AS SELECT until FROM millrace.lease");
    becomes(sql_number(database->db, "SELECT count(*) FROM millrace.lease l, seen s WHERE l.until > s.until") == 1);
    atomic_store(&may_answer, true);
    becomes(count_of("state = 'succeeded' AND attempt = 1") == 1);
}

/* ---- The end of the process ---- */

static int full_listener(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    for (int i = 0; i < 4; i++) {
        int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        (void)!connect(filler, (struct sockaddr *)&address, len); /* stays open until the program ends */
    }
    *port = ntohs(address.sin_port);
    return listener;
}

static void test_push__at_the_end_what_was_not_sent_goes_back_and_what_was_may_finish(void **state)
{
    static _Atomic bool may_answer;
    unsigned port;
    int listener = full_listener(&port);

    (void)state;
    atomic_store(&may_answer, false);
    receiver = receiver_new(answer_when_asked, (const void *)&may_answer);
    make_job("sent", receiver, "timeout_ms = 60000");
    make_job("unsent", receiver, "timeout_ms = 60000");
    sql_exec(database->db, "UPDATE millrace.job SET url = 'http://127.0.0.1:%u/' WHERE name = 'unsent'", port);
    start();
    enqueue("sent", "{}", 1);
    enqueue("unsent", "{}", 1);
    becomes(receiver_requests(receiver) == 1);
    becomes(count_of("job = 'unsent' AND state = 'running'") == 1);
    mr_push_ask_to_stop(pushes[0]);
    becomes(count_of("job = 'unsent' AND state = 'queued' AND attempt = 0") == 1);
    assert_int_equal(count_of("job = 'sent' AND state = 'running'"), 1);
    atomic_store(&may_answer, true);
    stop();
    assert_int_equal(count_of("job = 'sent' AND state = 'succeeded'"), 1);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.run_attempt"), 1);
    close(listener);
}

static void test_push__at_the_end_of_the_grace_a_call_is_broken_off(void **state)
{
    (void)state;
    database->config.shutdown_grace = 1000;
    receiver = receiver_new(never_answer, NULL);
    make_job("hang", receiver, "timeout_ms = 60000, retry_first_ms = 60000, retry_most_ms = 60000");
    start();
    enqueue("hang", "{}", 1);
    becomes(receiver_requests(receiver) == 1);
    stop();
    assert_int_equal(count_of("state = 'failed' AND attempt = 1 AND error = 'the process ended before there was an answer'"), 1);
}

/* ---- A database that may sleep ---- */

static int64_t connections(void)
{
    return sql_number(database->db,
                      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'push' AND datname = current_database()");
}

static void test_push__lets_the_database_sleep_and_is_back_for_what_is_due(void **state)
{
    (void)state;
    database->config.db_idle_release = 200;
    database->config.schedule_idle_poll = 0;
    receiver = receiver_new(receiver_answers, OK);
    make_job("later", receiver, "");
    sql_exec(database->db, "SELECT millrace.enqueue('later', '{}', run_at => now() + interval '3 seconds')");
    start();
    becomes(connections() == 1 || receiver_requests(receiver) > 0);
    becomes(connections() == 0);
    becomes(count_of("state = 'succeeded'") == 1);
    becomes(connections() == 0);
}

static void test_push__that_rests_finds_what_was_queued_with_its_next_look(void **state)
{
    (void)state;
    database->config.db_idle_release = 200;
    database->config.schedule_idle_poll = 1000;
    receiver = receiver_new(receiver_answers, OK);
    make_job("meanwhile", receiver, "");
    start();
    becomes(connections() == 1);
    for (int i = 1; i <= 2; i++) {
        becomes(connections() == 0);
        enqueue("meanwhile", "{}", 1);
        becomes(count_of("state = 'succeeded'") == i);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_push__a_run_is_a_signed_call_and_its_answer_the_result),
        TEST(test_push__every_attempt_has_the_same_id_and_body_and_is_signed_anew),
        TEST(test_push__what_is_no_json_is_no_result),
        TEST(test_push__a_run_that_is_queued_is_sent_soon),
        TEST(test_push__a_run_that_ends_makes_place_for_the_next_at_once),
        TEST(test_push__one_that_is_gone_pauses_the_job),
        TEST(test_push__one_that_asks_for_a_rest_gets_it),
        TEST(test_push__attempts_are_used_up),
        TEST(test_push__a_private_address_is_not_called_unless_that_is_allowed),
        TEST(test_push__nothing_is_sent_without_a_signature_or_to_what_is_no_url),
        TEST(test_push__one_that_is_dead_holds_up_no_other),
        TEST(test_push__many_that_are_dead_leave_room_for_another),
        TEST(test_push__two_processes_send_each_run_once),
        TEST(test_push__nothing_is_lost_while_sessions_are_terminated),
        TEST(test_push__an_answer_is_told_when_the_database_is_back),
        TEST(test_push__a_call_is_broken_off_when_its_run_is_cancelled),
        TEST(test_push__a_long_call_keeps_its_lease),
        TEST(test_push__at_the_end_what_was_not_sent_goes_back_and_what_was_may_finish),
        TEST(test_push__at_the_end_of_the_grace_a_call_is_broken_off),
        TEST(test_push__lets_the_database_sleep_and_is_back_for_what_is_due),
        TEST(test_push__that_rests_finds_what_was_queued_with_its_next_look),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
