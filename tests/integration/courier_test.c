/*
 * HTTP calls to receivers that are slow, dead, endless, hostile, or well.
 */
#include "jobs/courier.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/receiver.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

enum { LONG_MS = 60000 };

static struct mr_courier *courier;
static struct receiver *receiver;

static void start(bool allow_private, const char *const *resolve)
{
    struct mr_courier_options options = {.clock = &mr_system_clock,
                                         .connections = 1024,
                                         .allow_private = allow_private,
                                         .certificate = "",
                                         .resolve = resolve};

    assert_int_equal(mr_courier_start(&courier, &options), MR_OK);
}

static int teardown(void **state)
{
    (void)state;
    assert_true(mr_courier_stop_by(&courier, INT64_MAX));
    receiver_destroy(&receiver);
    return 0;
}

static struct mr_call *call_url(const char *url, int64_t timeout_ms)
{
    static const char headers[] = "Content-Type: application/json\0Expect:\0webhook-id: 17";
    struct mr_call *call = calloc(1, sizeof *call);

    assert_non_null(call);
    mr_buf_printf(&call->url, "%s", url);
    mr_buf_char(&call->url, '\0');
    mr_buf_append(&call->headers, headers, sizeof headers);
    mr_buf_text(&call->body, "{\"type\":\"test\"}");
    call->timeout_ms = timeout_ms;
    mr_courier_send(courier, call);
    return call;
}

static struct mr_call *call(int64_t timeout_ms)
{
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%u/hook?token=1", receiver_port(receiver));
    return call_url(url, timeout_ms);
}

/* The next that ends; several that ended together come one by one. */
static struct mr_call *await(void)
{
    static struct mr_call *more;
    struct pollfd done = {.fd = mr_courier_fd(courier), .events = POLLIN};
    struct mr_call *first;

    while (more == NULL) {
        if (poll(&done, 1, LONG_MS) != 1)
            fail_test("no call has come back");
        more = mr_courier_take(courier);
    }
    first = more;
    more = first->next;
    return first;
}

static void forget(struct mr_call *ended)
{
    mr_call_fini(ended);
    free(ended);
}

/* Nothing else ends meanwhile. */
static struct mr_call *await_this(struct mr_call *expected)
{
    struct mr_call *ended = await();

    assert_ptr_equal(ended, expected);
    return ended;
}

static void assert_answered(struct mr_call *ended, int http)
{
    if (ended->end != MR_CALL_ANSWERED || ended->http != http)
        fail_test("end %d, status %d, \"%s\"", ended->end, ended->http, ended->error);
}

static void assert_no_answer(struct mr_call *ended, const char *error)
{
    if (ended->end != MR_CALL_NO_ANSWER || strcmp(ended->error, error) != 0)
        fail_test("end %d, status %d, \"%s\"", ended->end, ended->http, ended->error);
}

/* ---- What is sent, and what comes back ---- */

static void test_courier__sends_what_it_is_given_and_brings_the_answer(void **state)
{
    const struct received *request;
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(receiver_answers, "HTTP/1.1 201 Created\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n{\"a\": 17}");
    start(true, NULL);
    ended = await_this(call(LONG_MS));
    assert_answered(ended, 201);
    assert_slice_equal(buf_slice(&ended->answer), "{\"a\": 17}");
    assert_false(ended->is_cut);
    assert_int_equal(ended->retry_after_s, 7);
    assert_true(ended->took_us > 0);
    request = receiver_request(receiver, 0);
    assert_int_equal(strncmp(request->text, "POST /hook?token=1 HTTP/1.1\r\n", 29), 0);
    assert_string_equal(received_header(request, "content-type"), "application/json");
    assert_string_equal(received_header(request, "webhook-id"), "17");
    assert_string_equal(received_header(request, "user-agent"), "millrace");
    assert_string_equal(received_header(request, "expect"), "");
    assert_string_equal(request->body, "{\"type\":\"test\"}");
    forget(ended);
}

static void test_courier__a_date_of_retry_after_is_made_a_duration(void **state)
{
    char answer[256];
    char date[64];
    time_t then = time(NULL) + 3600;
    struct tm parts;
    struct mr_call *ended;

    (void)state;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &parts));
    snprintf(answer, sizeof answer, "HTTP/1.1 503 Away\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    receiver = receiver_new(receiver_answers, answer);
    start(true, NULL);
    ended = await_this(call(LONG_MS));
    assert_answered(ended, 503);
    assert_true(ended->retry_after_s > 3500 && ended->retry_after_s <= 3600);
    forget(ended);
}

static void assert_retry_after(const char *text, int64_t expected)
{
    char answer[256];
    struct mr_call *ended;

    snprintf(answer, sizeof answer, "HTTP/1.1 503 Away\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", text);
    receiver = receiver_new(receiver_answers, answer);
    ended = await_this(call(LONG_MS));
    if (ended->retry_after_s != expected)
        fail_test("%s: %lld", text, (long long)ended->retry_after_s);
    forget(ended);
    receiver_destroy(&receiver);
}

/* Eight digits may look like a date. */
static void test_courier__a_number_of_retry_after_is_one_whatever_its_size(void **state)
{
    (void)state;
    start(true, NULL);
    assert_retry_after("120", 120);
    assert_retry_after("20200101", 20200101);
    assert_retry_after("99999999999999999999", INT64_MAX);
    assert_retry_after("-5", 0);
    assert_retry_after("soon", 0);
    assert_retry_after("", 0);
}

static void test_courier__connections_are_kept(void **state)
{
    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    start(true, NULL);
    for (int i = 0; i < 50; i++) {
        struct mr_call *ended = await_this(call(LONG_MS));

        assert_answered(ended, 200);
        forget(ended);
    }
    assert_int_equal(receiver_connections(receiver), 1);
    assert_int_equal(receiver_requests(receiver), 50);
}

/* A connection that the receiver closed while it was idle is no failure: the call is sent on a new one. */
static bool answer_and_close(struct receiver *self, int fd, const struct received *request)
{
    (void)self;
    (void)request;
    receiver_write(fd, OK, strlen(OK));
    return false;
}

static void test_courier__a_kept_connection_that_was_closed_fails_no_call(void **state)
{
    (void)state;
    receiver = receiver_new(answer_and_close, NULL);
    start(true, NULL);
    for (int i = 0; i < 20; i++) {
        struct mr_call *ended = await_this(call(LONG_MS));

        assert_answered(ended, 200);
        forget(ended);
    }
}

enum { TOGETHER = 300 };

static bool answer_when_all_are_there(struct receiver *self, int fd, const struct received *request)
{
    (void)request;
    while (receiver_requests(self) < TOGETHER)
        pause_briefly();
    return receiver_write(fd, OK, strlen(OK));
}

static void test_courier__hundreds_are_under_way_at_once(void **state)
{
    (void)state;
    receiver = receiver_new(answer_when_all_are_there, NULL);
    start(true, NULL);
    for (int i = 0; i < TOGETHER; i++)
        call(LONG_MS);
    for (int i = 0; i < TOGETHER; i++) {
        struct mr_call *ended = await();

        assert_answered(ended, 200);
        forget(ended);
    }
}

/* ---- Receivers that misbehave ---- */

/* Says nothing until the other side has gone. */
static bool never_answer(struct receiver *self, int fd, const struct received *request)
{
    char byte;

    (void)self;
    (void)request;
    return recv(fd, &byte, 1, 0) > 0;
}

static void test_courier__one_that_never_answers_ends_by_its_time_out(void **state)
{
    struct receiver *dead = receiver_new(never_answer, NULL);
    struct mr_call *stuck;
    char url[64];

    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    start(true, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", receiver_port(dead));
    stuck = call_url(url, 1000);
    for (int i = 0; i < 20; i++) { /* others go on meanwhile */
        struct mr_call *ended = await_this(call(LONG_MS));

        assert_answered(ended, 200);
        forget(ended);
    }
    assert_no_answer(await_this(stuck), "no answer within 1000 ms");
    assert_true(stuck->has_connected);
    assert_true(stuck->took_us >= 990000);
    forget(stuck);
    receiver_destroy(&dead);
}

static void test_courier__one_that_is_not_there_is_told_at_once(void **state)
{
    struct mr_call *ended;
    char url[64];

    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", receiver_port(receiver));
    receiver_destroy(&receiver);
    start(true, NULL);
    ended = await_this(call_url(url, LONG_MS));
    assert_no_answer(ended, "Connection refused");
    assert_false(ended->has_connected);
    forget(ended);
}

static bool reset(struct receiver *self, int fd, const struct received *request)
{
    struct linger at_once = {.l_onoff = 1};

    (void)self;
    (void)request;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return false;
}

static bool hang_up(struct receiver *self, int fd, const struct received *request)
{
    (void)self;
    (void)fd;
    (void)request;
    return false;
}

static void test_courier__one_that_hangs_up_has_not_answered(void **state)
{
    receiver_behaviour *const behaviours[] = {reset, hang_up};

    (void)state;
    start(true, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct mr_call *ended;

        receiver = receiver_new(behaviours[i], NULL);
        ended = await_this(call(LONG_MS));
        assert_no_answer(ended, "the connection broke before there was an answer");
        forget(ended);
        receiver_destroy(&receiver);
    }
}

enum { KEPT = 8 };

/* The first calls are answered together, each on a connection of its own; then each breaks down. */
static bool answer_some_and_hang_up(struct receiver *self, int fd, const struct received *request)
{
    (void)request;
    if (receiver_connections(self) > KEPT || receiver_requests(self) > KEPT)
        return false;
    while (receiver_requests(self) < KEPT)
        pause_briefly();
    return receiver_write(fd, OK, strlen(OK));
}

/* libcurl would try each of the kept connections. */
static void test_courier__one_that_hangs_up_on_kept_connections_is_called_twice_at_most(void **state)
{
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(answer_some_and_hang_up, NULL);
    start(true, NULL);
    for (int i = 0; i < KEPT; i++)
        call(LONG_MS);
    for (int i = 0; i < KEPT; i++) {
        ended = await();
        assert_answered(ended, 200);
        forget(ended);
    }
    ended = await_this(call(LONG_MS));
    assert_no_answer(ended, "the connection broke before there was an answer");
    assert_true(ended->has_connected);
    assert_int_equal(receiver_requests(receiver), KEPT + 2);
    forget(ended);
}

static void test_courier__a_redirection_is_not_followed(void **state)
{
    char answer[256];
    struct receiver *other = receiver_new(receiver_answers, OK);
    struct mr_call *ended;

    (void)state;
    snprintf(answer, sizeof answer, "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:%u/\r\nContent-Length: 0\r\n\r\n",
             receiver_port(other));
    receiver = receiver_new(receiver_answers, answer);
    start(true, NULL);
    ended = await_this(call(LONG_MS));
    assert_answered(ended, 307);
    forget(ended);
    assert_int_equal(receiver_requests(receiver), 1);
    assert_int_equal(receiver_connections(other), 0);
    receiver_destroy(&other);
}

static _Atomic size_t poured; /* bytes that pour() got rid of */

/* A body of 10 MB. */
static bool pour(struct receiver *self, int fd, const struct received *request)
{
    static char block[65536];
    const char *head = receiver_argument(self);

    (void)request;
    memset(block, 'x', sizeof block);
    if (!receiver_write(fd, head, strlen(head)))
        return false;
    for (size_t sent = 0; sent < 10000000 && receiver_write(fd, block, sizeof block); sent += sizeof block)
        atomic_fetch_add(&poured, sizeof block);
    return false;
}

static void test_courier__of_a_long_answer_the_beginning_is_read(void **state)
{
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(pour, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
    start(true, NULL);
    ended = await_this(call(LONG_MS));
    assert_answered(ended, 200);
    assert_true(ended->is_cut);
    assert_int_equal(ended->answer.len, MR_CALL_ANSWER);
    forget(ended);
    receiver_destroy(&receiver); /* it has come to its end: the rest went nowhere */
    assert_true(atomic_load(&poured) < 10000000);
}

static void test_courier__a_head_that_is_too_long_is_no_answer(void **state)
{
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(pour, "HTTP/1.1 200 OK\r\nX-Long: ");
    start(true, NULL);
    ended = await_this(call(LONG_MS));
    assert_int_equal(ended->end, MR_CALL_NO_ANSWER);
    forget(ended);
}

static bool repeat_header(struct receiver *self, int fd, const struct received *request)
{
    const char *line = receiver_argument(self);

    (void)request;
    receiver_write(fd, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; i < 1000000 && receiver_write(fd, line, strlen(line)); i++) {
    }
    return false;
}

static void test_courier__headers_without_an_end_are_no_answer(void **state)
{
    static const char *const lines[] = {"X-A: b\r\n", "\r\nHTTP/1.1 103 Early Hints\r\n"};

    (void)state;
    start(true, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct mr_call *ended;

        receiver = receiver_new(repeat_header, lines[i]);
        ended = await_this(call(LONG_MS));
        if (i == 0)
            assert_no_answer(ended, "the head of the answer is too long");
        forget(ended);
        receiver_destroy(&receiver);
    }
}

/* The argument, then a byte now and then, for ever. */
static bool dribble(struct receiver *self, int fd, const struct received *request)
{
    const char *beginning = receiver_argument(self);

    (void)request;
    if (!receiver_write(fd, beginning, strlen(beginning)))
        return false;
    while (receiver_write(fd, "x", 1))
        for (int i = 0; i < 10; i++)
            pause_briefly();
    return false;
}

/* It has said what it wanted to: once more would be twice. */
static void test_courier__an_answer_without_an_end_is_one(void **state)
{
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(dribble, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
    start(true, NULL);
    ended = await_this(call(1000));
    assert_answered(ended, 200);
    assert_true(ended->is_cut);
    assert_true(ended->took_us >= 990000);
    forget(ended);
}

static void test_courier__a_head_without_an_end_is_none(void **state)
{
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(dribble, "HTTP/1.1 200 OK\r\nX-Slow: ");
    start(true, NULL);
    ended = await_this(call(1000));
    assert_no_answer(ended, "no answer within 1000 ms");
    forget(ended);
}

static void test_courier__what_is_no_http_is_no_answer(void **state)
{
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(receiver_answers, "SSH-2.0-OpenSSH_9.2\r\n");
    start(true, NULL);
    ended = await_this(call(LONG_MS));
    assert_no_answer(ended, "the answer is no HTTP");
    forget(ended);
}

static void test_courier__a_name_that_is_not_there(void **state)
{
    struct mr_call *ended;

    (void)state;
    start(true, NULL);
    ended = await_this(call_url("http://millrace.invalid/", LONG_MS));
    assert_int_equal(ended->end, MR_CALL_NO_ANSWER);
    assert_false(ended->has_connected);
    forget(ended);
}

/* ---- Where a call may go ---- */

static void assert_forbidden(const char *host)
{
    char url[128];
    struct mr_call *ended;

    snprintf(url, sizeof url, "http://%s:%u/", host, receiver_port(receiver));
    ended = await_this(call_url(url, LONG_MS));
    if (ended->end != MR_CALL_FORBIDDEN)
        fail_test("%s: end %d, status %d, \"%s\"", host, ended->end, ended->http, ended->error);
    forget(ended);
}

static void test_courier__no_form_of_a_private_address_is_connected_to(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",      "127.1",         "2130706433",       "0x7f000001", "0177.0.0.1",
                                        "localhost",      "[::1]",         "[::ffff:127.0.0.1]", "[::]",     "0.0.0.0",
                                        "10.1.2.3",       "169.254.169.254", "[fe80::1%25lo]", "[fd00:ec2::254]", NULL};

    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    start(false, NULL);
    for (const char *const *host = hosts; *host != NULL; host++)
        assert_forbidden(*host);
    assert_int_equal(receiver_connections(receiver), 0);
}

/* Whatever was looked up before, it is the address of the socket that counts. */
static void test_courier__a_name_that_leads_to_private_addresses_is_not_connected_to(void **state)
{
    char entry[128];
    char url[64];
    const char *resolve[] = {entry, NULL};
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    snprintf(entry, sizeof entry, "rebind.example:%u:10.0.0.1,[::1],127.0.0.1", receiver_port(receiver));
    start(false, resolve);
    assert_forbidden("rebind.example");
    assert_int_equal(receiver_connections(receiver), 0);
    assert_true(mr_courier_stop_by(&courier, INT64_MAX));
    snprintf(entry, sizeof entry, "rebind.example:%u:127.0.0.1", receiver_port(receiver));
    start(true, resolve);
    snprintf(url, sizeof url, "http://rebind.example:%u/", receiver_port(receiver));
    ended = await_this(call_url(url, LONG_MS));
    assert_answered(ended, 200); /* so the name did lead there */
    forget(ended);
}

static void test_courier__no_proxy_of_the_environment_is_asked(void **state)
{
    char proxy[64];
    struct receiver *other = receiver_new(receiver_answers, OK);
    struct mr_call *ended;

    (void)state;
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", receiver_port(other));
    setenv("http_proxy", proxy, 1);
    setenv("ALL_PROXY", proxy, 1);
    receiver = receiver_new(receiver_answers, OK);
    start(true, NULL);
    ended = await_this(call(LONG_MS));
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_answered(ended, 200);
    assert_int_equal(receiver_requests(receiver), 1);
    assert_int_equal(receiver_connections(other), 0);
    forget(ended);
    receiver_destroy(&other);
}

static void test_courier__a_password_in_the_url_is_not_sent(void **state)
{
    char url[64];
    struct mr_call *ended;

    (void)state;
    receiver = receiver_new(receiver_answers, OK);
    start(true, NULL);
    snprintf(url, sizeof url, "http://user:pass@127.0.0.1:%u/", receiver_port(receiver));
    ended = await_this(call_url(url, LONG_MS));
    assert_int_equal(ended->end, MR_CALL_NO_ANSWER);
    assert_null(strstr(ended->error, "pass"));
    forget(ended);
    assert_int_equal(receiver_connections(receiver), 0);
}

/* ---- Calls that are called back ---- */

static void test_courier__a_call_that_is_dropped_comes_back(void **state)
{
    struct mr_call *stuck;

    (void)state;
    receiver = receiver_new(never_answer, NULL);
    start(true, NULL);
    stuck = call(LONG_MS);
    eventually(receiver_requests(receiver) == 1);
    mr_courier_drop(courier, stuck);
    assert_no_answer(await_this(stuck), "the call was cancelled");
    forget(stuck);
}

/* A socket whose queue is full: the kernel answers no further connection. */
static int full_listener(char url[64])
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
    snprintf(url, 64, "http://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    return listener;
}

static void test_courier__one_that_cannot_be_connected_to_ends_by_its_time_out(void **state)
{
    char url[64];
    int listener = full_listener(url);
    struct mr_call *stuck;

    (void)state;
    start(true, NULL);
    stuck = call_url(url, 500);
    assert_no_answer(await_this(stuck), "no connection within 500 ms");
    assert_false(stuck->has_connected);
    forget(stuck);
    close(listener);
}

/* First what was not sent, and what comes later; then everything. */
static void test_courier__calls_are_recalled_at_the_end(void **state)
{
    char url[64];
    int listener = full_listener(url);
    struct mr_call *sent;
    struct mr_call *unsent;
    struct mr_call *late;

    (void)state;
    receiver = receiver_new(never_answer, NULL);
    start(true, NULL);
    sent = call(LONG_MS);
    eventually(receiver_requests(receiver) == 1);
    unsent = call_url(url, LONG_MS);
    mr_courier_recall(courier, false);
    assert_int_equal(await_this(unsent)->end, MR_CALL_NOT_SENT);
    late = call(LONG_MS);
    assert_int_equal(await_this(late)->end, MR_CALL_NOT_SENT);
    mr_courier_recall(courier, true);
    assert_no_answer(await_this(sent), "the process ended before there was an answer");
    assert_int_equal(receiver_requests(receiver), 1);
    forget(sent);
    forget(unsent);
    forget(late);
    close(listener);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_courier__sends_what_it_is_given_and_brings_the_answer),
        TEST(test_courier__a_date_of_retry_after_is_made_a_duration),
        TEST(test_courier__a_number_of_retry_after_is_one_whatever_its_size),
        TEST(test_courier__connections_are_kept),
        TEST(test_courier__a_kept_connection_that_was_closed_fails_no_call),
        TEST(test_courier__hundreds_are_under_way_at_once),
        TEST(test_courier__one_that_never_answers_ends_by_its_time_out),
        TEST(test_courier__one_that_is_not_there_is_told_at_once),
        TEST(test_courier__one_that_hangs_up_has_not_answered),
        TEST(test_courier__one_that_hangs_up_on_kept_connections_is_called_twice_at_most),
        TEST(test_courier__a_redirection_is_not_followed),
        TEST(test_courier__of_a_long_answer_the_beginning_is_read),
        TEST(test_courier__a_head_that_is_too_long_is_no_answer),
        TEST(test_courier__headers_without_an_end_are_no_answer),
        TEST(test_courier__an_answer_without_an_end_is_one),
        TEST(test_courier__a_head_without_an_end_is_none),
        TEST(test_courier__what_is_no_http_is_no_answer),
        TEST(test_courier__a_name_that_is_not_there),
        TEST(test_courier__no_form_of_a_private_address_is_connected_to),
        TEST(test_courier__a_name_that_leads_to_private_addresses_is_not_connected_to),
        TEST(test_courier__no_proxy_of_the_environment_is_asked),
        TEST(test_courier__a_password_in_the_url_is_not_sent),
        TEST(test_courier__a_call_that_is_dropped_comes_back),
        TEST(test_courier__one_that_cannot_be_connected_to_ends_by_its_time_out),
        TEST(test_courier__calls_are_recalled_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
