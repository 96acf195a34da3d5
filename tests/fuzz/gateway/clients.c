#include "tests/fuzz/gateway/clients.h"

#include <errno.h>
#include <jansson.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/field.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/gateway/answers.h"
#include "tests/fuzz/gateway/front.h"
#include "tests/fuzz/gateway/memory.h"

enum { REQUESTS_MAX = 64, READ_AT_A_TIME = 64 * 1024 };

/* A request that was sent whole, or is being sent. */
struct expected {
    bool to_head;
    bool closes;
    bool invites;
};

struct client {
    int fd; /* -1: not open */
    unsigned serial;
    struct mr_buf out; /* waits to be sent */
    size_t sent;       /* of it */
    size_t at_a_time;
    struct mr_buf in; /* all that has come */
    bool is_held;
    bool shuts;    /* the sending side, when everything is sent */
    bool has_shut;
    bool ended; /* the gateway has closed, or reset */

    bool is_exact; /* it has sent nothing but the requests below */
    struct expected requests[REQUESTS_MAX];
    unsigned request_count;
    size_t body_left;   /* of the last of them */
    size_t body_at;
    struct mr_slice pattern;
    bool is_chunked;
    bool is_excused;    /* it need not get its answers */
    unsigned heads_max; /* how many requests its bytes can hold: by empty lines, since it is not exact */
    char tail[2];       /* the last bytes it sent */
};

static struct client clients[CLIENT_COUNT] = {{.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}};

static struct client *client_of(unsigned client)
{
    return &clients[client % CLIENT_COUNT];
}

/* ---- Sending ---- */

/* What an empty line ends may be a request. `tail`: the bytes in front of these. */
static unsigned count_heads(const char tail[2], const char *data, size_t len)
{
    unsigned count = 0;

    for (const char *at = data; (at = memchr(at, '\n', len - (size_t)(at - data))) != NULL; at++) {
        char before = *(at > data ? at - 1 : &tail[1]);
        char before_that = *(at > data + 1 ? at - 2 : &tail[at > data]);

        count += before == '\n' || (before == '\r' && before_that == '\n');
    }
    return count;
}

static void note_tail(char tail[2], const char *data, size_t len)
{
    if (len > 1)
        tail[0] = data[len - 2];
    else if (len == 1)
        tail[0] = tail[1];
    if (len > 0)
        tail[1] = data[len - 1];
}

/* Not once it has shut its side or has seen the end of the other. */
static bool can_send(const struct client *self)
{
    return self->fd >= 0 && !self->shuts && !self->ended;
}

static void queue_bytes(struct client *self, const void *data, size_t len)
{
    if (!can_send(self))
        return;
    self->heads_max += self->is_exact ? 0 : count_heads(self->tail, data, len);
    note_tail(self->tail, data, len);
    mr_buf_append(&self->out, data, len);
    must(!self->out.failed);
}

void client_send(unsigned client, const void *data, size_t len)
{
    struct client *self = client_of(client);

    self->is_exact = false;
    queue_bytes(self, data, len);
}

static void write_id(char out[CLIENT_ID], const struct client *self, unsigned number)
{
    snprintf(out, CLIENT_ID, "driver-%u-%u", self->serial, number);
}

void client_request(unsigned client, const struct request *request)
{
    struct client *self = client_of(client);

    if (self->body_left > 0 || self->request_count == REQUESTS_MAX)
        self->is_exact = false;
    queue_bytes(self, request->bytes.data, request->bytes.len);
    if (!self->is_exact || !can_send(self))
        return;
    self->requests[self->request_count++] =
        (struct expected){.to_head = request->to_head, .closes = request->closes, .invites = request->invites};
    self->body_left = request->goes_on;
    self->body_at = 0;
    self->pattern = request->pattern;
    self->is_chunked = request->chunked;
}

void client_next_id(unsigned client, char out[CLIENT_ID])
{
    struct client *self = client_of(client);

    write_id(out, self, self->request_count);
}

static void queue_pattern(struct client *self, struct mr_slice pattern, size_t from, size_t len)
{
    while (len > 0) {
        size_t at = from % pattern.len;
        size_t now = pattern.len - at < len ? pattern.len - at : len;

        queue_bytes(self, pattern.data + at, now);
        from += now;
        len -= now;
    }
}

/* The next `len` bytes of the body that the last request announced. */
static void continue_body(struct client *self, size_t len)
{
    char line[24];

    if (len > self->body_left)
        len = self->body_left;
    if (len == 0)
        return;
    snprintf(line, sizeof line, "%zx\r\n", len);
    if (self->is_chunked)
        queue_bytes(self, line, strlen(line));
    queue_pattern(self, self->pattern, self->body_at, len);
    self->body_at += len;
    self->body_left -= len;
    if (self->is_chunked)
        queue_bytes(self, self->body_left > 0 ? "\r\n" : "\r\n0\r\n\r\n", self->body_left > 0 ? 2 : 7);
}

void client_send_body(unsigned client, uint8_t fill, size_t len)
{
    struct client *self = client_of(client);

    if (self->is_exact)
        continue_body(self, len);
    else
        queue_pattern(self, fill % 2 == 0 ? request_lines() : (struct mr_slice){(const char *)&fill, 1}, 0, len);
}

void client_dribble(unsigned client, size_t at_a_time)
{
    client_of(client)->at_a_time = at_a_time;
}

static bool flush_out(struct client *self)
{
    size_t len = self->out.len - self->sent;
    ssize_t written;

    if (self->at_a_time > 0 && len > self->at_a_time)
        len = self->at_a_time;
    written = len > 0 ? send(self->fd, self->out.data + self->sent, len, MSG_NOSIGNAL) : 0;
    if (written < 0 && errno != EAGAIN) { /* the gateway has closed: nobody will read the rest */
        self->sent = self->out.len;
        return false;
    }
    self->sent += written > 0 ? (size_t)written : 0;
    if (self->sent == self->out.len) {
        mr_buf_clear(&self->out, SIZE_MAX);
        self->sent = 0;
    }
    if (self->shuts && !self->has_shut && self->out.len == 0) {
        self->has_shut = true;
        shutdown(self->fd, SHUT_WR);
        return true;
    }
    return written > 0;
}

void client_shut(unsigned client)
{
    client_of(client)->shuts = true;
}

/* ---- Receiving ---- */

static bool read_in(struct client *self, size_t most)
{
    char *room = mr_buf_reserve(&self->in, READ_AT_A_TIME);
    ssize_t got;

    must(room != NULL);
    got = recv(self->fd, room, most < READ_AT_A_TIME ? most : READ_AT_A_TIME, 0);
    if (got > 0)
        self->in.len += (size_t)got;
    else if (got == 0 || errno != EAGAIN)
        self->ended = true;
    return got > 0;
}

void client_hold(unsigned client, bool on)
{
    client_of(client)->is_held = on;
}

void client_read(unsigned client, size_t most)
{
    struct client *self = client_of(client);

    if (self->fd >= 0 && self->is_held && !self->ended)
        (void)read_in(self, most);
}

bool clients_work(void)
{
    bool any = false;

    for (unsigned i = 0; i < CLIENT_COUNT; i++) {
        struct client *self = &clients[i];

        if (self->fd < 0 || self->ended)
            continue;
        any |= flush_out(self);
        while (!self->is_held && !self->ended && read_in(self, READ_AT_A_TIME))
            any = true;
    }
    return any;
}

/* ---- What has to come of it ---- */

void clients_aged(void)
{
    for (unsigned i = 0; i < CLIENT_COUNT; i++)
        if (clients[i].out.len > 0 || clients[i].is_held)
            clients[i].is_excused = true;
}

void clients_finish(void)
{
    for (unsigned i = 0; i < CLIENT_COUNT; i++) {
        clients[i].is_held = false;
        clients[i].at_a_time = 0;
    }
}

bool clients_all_ended(void)
{
    for (unsigned i = 0; i < CLIENT_COUNT; i++)
        if (clients[i].fd >= 0 && !clients[i].ended)
            return false;
    return true;
}

static void complain(const struct client *self, const char *why, size_t at)
{
    fprintf(stderr, "client %td: %s, at byte %zu of:\n%.*s\n", self - clients, why, at, (int)self->in.len,
            self->in.data != NULL ? self->in.data : "");
    abort();
}

/* A stub that garbles its answers may send text that is not UTF-8, which travels on as it is. */
static void check_json(const struct client *self, const struct answer *answer, size_t at)
{
    json_error_t error;
    json_t *json;

    if (answer->is_page || answer->body.len == 0 || answer->body.len > 4096 || !mr_utf8_valid(answer->body, NULL))
        return;
    json = json_loadb(answer->body.data, answer->body.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (json == NULL && json_error_code(&error) != json_error_null_byte_in_key &&
        json_error_code(&error) != json_error_numeric_overflow)
        complain(self, "a body that is not JSON", at);
    json_decref(json);
}

/* An answer to one of the requests that the client knows of. */
static void check_expected(const struct client *self, const struct answer *answer, unsigned number, size_t at)
{
    char id[CLIENT_ID];

    if (number >= self->request_count)
        complain(self, "more answers than requests", at);
    if (answer->interim) {
        if (!self->requests[number].invites)
            complain(self, "an interim answer that nobody asked for", at);
        return;
    }
    write_id(id, self, number);
    if (!mr_slice_is(answer->id, id))
        complain(self, "the answer to another request", at);
    if (self->requests[number].closes && !answer->closes)
        complain(self, "no Connection: close although the client asked for it", at);
}

static int to_head(const struct client *self, unsigned number)
{
    if (!self->is_exact)
        return -1;
    return number < self->request_count && self->requests[number].to_head;
}

/*
 * Nothing comes behind an answer that says it is the last. Who was slow, or met a gateway without memory, may have been cut off;
 * everybody else has got all.
 */
static void check_rest(const struct client *self, size_t at, bool closed, unsigned answers)
{
    bool excused = self->is_excused || memory_has_failed();

    if (at < self->in.len && closed)
        complain(self, "bytes after the last answer", at);
    if (at < self->in.len && !excused)
        complain(self, "an answer that is cut short", at);
    if (self->is_exact && !excused && !closed && answers < self->request_count)
        complain(self, "a request without an answer", at);
}

/* The next answer. The last of a client that may have sent a HEAD can be without its body. */
static enum answer_progress next_answer(const struct client *self, struct answer *out, size_t at, unsigned number, size_t *used)
{
    const char *data = self->in.data + at;
    size_t len = self->in.len - at;
    const char *why;
    enum answer_progress progress = answer_read(out, data, len, to_head(self, number), used, &why);

    if (progress == ANSWER_MORE && !self->is_exact) {
        progress = answer_read(out, data, len, 1, used, &why);
        if (progress == ANSWER_COMPLETE && *used < len)
            progress = ANSWER_MORE;
    }
    if (progress == ANSWER_BROKEN)
        complain(self, why, at);
    return progress;
}

static void check(const struct client *self)
{
    size_t at = 0;
    size_t used = 0;
    unsigned answers = 0;
    bool closed = false;
    struct answer answer;

    while (at < self->in.len && !closed && next_answer(self, &answer, at, answers, &used) == ANSWER_COMPLETE) {
        if (self->is_exact)
            check_expected(self, &answer, answers, at);
        check_json(self, &answer, at);
        answers += !answer.interim;
        closed = answer.closes;
        at += used;
        if (getenv("FUZZ_TRACE") != NULL)
            fprintf(stderr, "  client %td: answer %d%s\n", self - clients, answer.status, answer.closes ? ", the last" : "");
    }
    if (!self->is_exact && answers > self->request_count * 2 + self->heads_max + 1)
        complain(self, "more answers than there can be requests", at);
    check_rest(self, at, closed, answers);
}

int client_status(unsigned client)
{
    const struct client *self = client_of(client);
    struct answer answer = {.status = 0};
    size_t used = 0;

    if (self->in.len > 0)
        (void)next_answer(self, &answer, 0, 0, &used);
    return answer.status;
}

static void forget(struct client *self)
{
    if (self->fd >= 0)
        close(self->fd);
    mr_buf_fini(&self->out);
    mr_buf_fini(&self->in);
    *self = (struct client){.fd = -1};
}

void client_open(unsigned client)
{
    static unsigned serial;
    struct client *self = client_of(client);

    if (self->fd >= 0 && !self->ended)
        return;
    check(self);
    forget(self);
    *self = (struct client){.fd = front_connect(), .serial = ++serial, .is_exact = true};
}

void client_close(unsigned client)
{
    struct client *self = client_of(client);

    if (self->fd < 0)
        return;
    self->is_excused = true;
    check(self);
    forget(self);
}

void clients_check(void)
{
    for (unsigned i = 0; i < CLIENT_COUNT; i++) {
        if (clients[i].fd >= 0)
            check(&clients[i]);
        forget(&clients[i]);
    }
}
