#include "tests/support/distance.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "tests/support/test.h"

enum { PAIRS = 32, PIECE = 16384, LOOK_MS = 2 };

struct piece {
    struct piece *next;
    int64_t due_ms;
    size_t len;
    char data[PIECE];
};

/* Of a client, and of the server behind it; -1: the pair is free. */
struct pair {
    int fds[2];
    struct piece *first[2]; /* what has come from that end */
    struct piece **last[2];
};

struct distance {
    char directory[64];
    struct sockaddr_un ours;
    struct sockaddr_un theirs;
    int listener;
    int64_t delay_ms;
    struct pair pairs[PAIRS];
    pthread_t thread;
    _Atomic bool hold[2];
    _Atomic bool cut;
    _Atomic bool ended;
};

static void close_pair(struct pair *self)
{
    for (int end = 0; end < 2; end++) {
        struct piece *next;

        for (struct piece *p = self->first[end]; p != NULL; p = next) {
            next = p->next;
            free(p);
        }
        if (self->fds[end] >= 0)
            close(self->fds[end]);
        self->fds[end] = -1;
        self->first[end] = NULL;
        self->last[end] = &self->first[end];
    }
}

static void accept_one(struct distance *self)
{
    struct pair *pair = self->pairs;
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = accept(self->listener, NULL, NULL);

    while (pair < self->pairs + PAIRS && pair->fds[0] >= 0)
        pair++;
    if (client < 0 || server < 0 || pair == self->pairs + PAIRS ||
        connect(server, (struct sockaddr *)&self->theirs, sizeof self->theirs) != 0) {
        close(client);
        close(server);
        return;
    }
    pair->fds[0] = client;
    pair->fds[1] = server;
}

/* False at the end of the stream. */
static bool take_in(const struct distance *self, struct pair *pair, int end)
{
    struct piece *piece = malloc(sizeof *piece);
    ssize_t got = piece != NULL ? recv(pair->fds[end], piece->data, PIECE, MSG_DONTWAIT) : 0;

    if (got <= 0) {
        free(piece);
        return false;
    }
    piece->next = NULL;
    piece->due_ms = mr_mono_ms(&mr_system_clock) + self->delay_ms;
    piece->len = (size_t)got;
    *pair->last[end] = piece;
    pair->last[end] = &piece->next;
    return true;
}

static bool pass_on(struct distance *self, struct pair *pair, int end)
{
    int64_t now_ms = mr_mono_ms(&mr_system_clock);
    struct piece *piece;

    while ((piece = pair->first[end]) != NULL && piece->due_ms <= now_ms && !atomic_load(&self->hold[end])) {
        if (send(pair->fds[1 - end], piece->data, piece->len, MSG_NOSIGNAL) != (ssize_t)piece->len)
            return false;
        pair->first[end] = piece->next;
        if (piece->next == NULL)
            pair->last[end] = &pair->first[end];
        free(piece);
    }
    return true;
}

static void turn(struct distance *self)
{
    struct pollfd items[1 + 2 * PAIRS] = {{.fd = self->listener, .events = POLLIN}};
    bool cut = atomic_load(&self->cut);

    for (int i = 0; i < PAIRS; i++)
        for (int end = 0; end < 2; end++)
            items[1 + 2 * i + end] = (struct pollfd){.fd = self->pairs[i].fds[end], .events = POLLIN};
    (void)poll(items, 1 + 2 * PAIRS, LOOK_MS);
    for (int i = 0; i < PAIRS; i++) {
        struct pair *pair = &self->pairs[i];
        bool good = pair->fds[0] >= 0 && !cut;

        for (int end = 0; end < 2 && good; end++)
            good = (items[1 + 2 * i + end].revents == 0 || take_in(self, pair, end)) && pass_on(self, pair, end);
        if (!good)
            close_pair(pair);
    }
    if (cut)
        atomic_store(&self->cut, false);
    else if (items[0].revents != 0)
        accept_one(self);
}

static void *run(void *argument)
{
    struct distance *self = argument;

    while (!atomic_load(&self->ended))
        turn(self);
    for (int i = 0; i < PAIRS; i++)
        close_pair(&self->pairs[i]);
    return NULL;
}

static void set_address(struct sockaddr_un *out, const char *directory, int port)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_true(snprintf(out->sun_path, sizeof out->sun_path, "%s/.s.PGSQL.%d", directory, port) < (int)sizeof out->sun_path);
}

struct distance *distance_new(struct mr_config *config, int64_t delay_ms)
{
    struct distance *self = calloc(1, sizeof *self);

    assert_non_null(self);
    for (int i = 0; i < PAIRS; i++) {
        self->pairs[i].fds[0] = self->pairs[i].fds[1] = -1;
        close_pair(&self->pairs[i]);
    }
    self->delay_ms = delay_ms;
    snprintf(self->directory, sizeof self->directory, "/tmp/millrace-distance-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    set_address(&self->theirs, config->db_host, (int)config->db_port);
    set_address(&self->ours, self->directory, (int)config->db_port);
    self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(self->listener, (struct sockaddr *)&self->ours, sizeof self->ours), 0);
    assert_int_equal(listen(self->listener, PAIRS), 0);
    assert_int_equal(pthread_create(&self->thread, NULL, run, self), 0);
    config->db_host = self->directory;
    return self;
}

void distance_end(struct distance *self)
{
    if (atomic_exchange(&self->ended, true))
        return;
    pthread_join(self->thread, NULL);
    close(self->listener);
    unlink(self->ours.sun_path);
    rmdir(self->directory);
}

void distance_destroy(struct distance **self)
{
    if (*self != NULL)
        distance_end(*self);
    free(*self);
    *self = NULL;
}

void distance_hold_requests(struct distance *self, bool hold)
{
    atomic_store(&self->hold[0], hold);
}

void distance_hold_answers(struct distance *self, bool hold)
{
    atomic_store(&self->hold[1], hold);
}

void distance_cut(struct distance *self)
{
    atomic_store(&self->cut, true);
    eventually(!atomic_load(&self->cut));
}
