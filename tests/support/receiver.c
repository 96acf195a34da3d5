#include "tests/support/receiver.h"

#include <netinet/in.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 1024, REQUESTS = 8192, REQUEST_MAX = 1 << 20 };

struct connection {
    struct receiver *receiver;
    pthread_t thread;
    int fd;
    char *room;
    size_t len;
};

struct receiver {
    receiver_behaviour *behave;
    const void *argument;
    int listener;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    struct connection connections[CONNECTIONS];
    unsigned connection_count;
    struct received requests[REQUESTS];
    _Atomic unsigned request_count;
    _Atomic unsigned accepted;
};

bool receiver_write(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t written = send(fd, text, len, MSG_NOSIGNAL);

        if (written <= 0)
            return false;
        text += written;
        len -= (size_t)written;
    }
    return true;
}

bool receiver_answers(struct receiver *self, int fd, const struct received *request)
{
    (void)request;
    return receiver_write(fd, self->argument, strlen(self->argument));
}

const char *received_header(const struct received *request, const char *name)
{
    static _Thread_local char value[4096];
    size_t len = strlen(name);

    value[0] = '\0';
    for (const char *line = strstr(request->text, "\r\n"); line != NULL && line + 2 < request->body; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *from = line + 3 + len + strspn(line + 3 + len, " ");

            snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r"), from);
        }
    return value;
}

/* Bytes of the whole request at the beginning of the room; 0: it is not whole. */
static size_t request_len(const struct connection *self, size_t *head)
{
    const char *end = memmem(self->room, self->len, "\r\n\r\n", 4);
    struct received request = {.text = self->room};

    if (end == NULL)
        return 0;
    *head = (size_t)(end - self->room) + 4;
    request.body = self->room + *head;
    return *head + strtoull(received_header(&request, "content-length"), NULL, 10);
}

static const struct received *keep(struct connection *self, size_t head, size_t len)
{
    struct receiver *receiver = self->receiver;
    struct received *request;

    pthread_mutex_lock(&receiver->lock);
    assert_true(receiver->request_count < REQUESTS);
    request = &receiver->requests[receiver->request_count];
    request->text = malloc(len + 1);
    memcpy(request->text, self->room, len);
    request->text[len] = '\0';
    request->body = request->text + head;
    request->body_len = len - head;
    receiver->request_count++;
    pthread_mutex_unlock(&receiver->lock);
    memmove(self->room, self->room + len, self->len - len);
    self->len -= len;
    self->room[self->len] = '\0';
    return request;
}

static void *serve(void *argument)
{
    struct connection *self = argument;
    bool go_on = true;

    self->room = calloc(1, REQUEST_MAX + 1);
    while (go_on) {
        ssize_t count = recv(self->fd, self->room + self->len, REQUEST_MAX - self->len, 0);
        size_t head = 0;
        size_t len;

        if (count <= 0)
            break;
        self->len += (size_t)count;
        self->room[self->len] = '\0';
        while (go_on && (len = request_len(self, &head)) > 0 && len <= self->len)
            go_on = self->receiver->behave(self->receiver, self->fd, keep(self, head, len));
    }
    free(self->room);
    pthread_mutex_lock(&self->receiver->lock);
    close(self->fd);
    self->fd = -1;
    pthread_mutex_unlock(&self->receiver->lock);
    return NULL;
}

static void *accept_all(void *argument)
{
    struct receiver *self = argument;
    int fd;

    while ((fd = accept(self->listener, NULL, NULL)) >= 0) {
        struct connection *connection = &self->connections[self->connection_count];

        if (self->connection_count == CONNECTIONS) {
            close(fd);
            continue;
        }
        atomic_fetch_add(&self->accepted, 1);
        *connection = (struct connection){.receiver = self, .fd = fd};
        pthread_mutex_lock(&self->lock);
        self->connection_count += pthread_create(&connection->thread, NULL, serve, connection) == 0;
        pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

struct receiver *receiver_new(receiver_behaviour *behave, const void *argument)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    struct receiver *self = calloc(1, sizeof *self);

    assert_non_null(self);
    self->behave = behave;
    self->argument = argument;
    pthread_mutex_init(&self->lock, NULL);
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(self->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(self->listener, 1024), 0);
    assert_int_equal(getsockname(self->listener, (struct sockaddr *)&address, &len), 0);
    self->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&self->thread, NULL, accept_all, self), 0);
    return self;
}

void receiver_destroy(struct receiver **self)
{
    struct receiver *receiver = *self;

    if (receiver == NULL)
        return;
    shutdown(receiver->listener, SHUT_RDWR);
    pthread_join(receiver->thread, NULL);
    close(receiver->listener);
    pthread_mutex_lock(&receiver->lock);
    for (unsigned i = 0; i < receiver->connection_count; i++)
        if (receiver->connections[i].fd >= 0)
            shutdown(receiver->connections[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&receiver->lock);
    for (unsigned i = 0; i < receiver->connection_count; i++)
        pthread_join(receiver->connections[i].thread, NULL);
    for (unsigned i = 0; i < receiver->request_count; i++)
        free(receiver->requests[i].text);
    pthread_mutex_destroy(&receiver->lock);
    free(receiver);
    *self = NULL;
}

unsigned receiver_port(const struct receiver *self)
{
    return self->port;
}

const void *receiver_argument(const struct receiver *self)
{
    return self->argument;
}

unsigned receiver_connections(const struct receiver *self)
{
    return atomic_load(&self->accepted);
}

unsigned receiver_requests(const struct receiver *self)
{
    return atomic_load(&self->request_count);
}

const struct received *receiver_request(struct receiver *self, unsigned index)
{
    const struct received *request;

    pthread_mutex_lock(&self->lock);
    assert_true(index < self->request_count);
    request = &self->requests[index];
    pthread_mutex_unlock(&self->lock);
    return request;
}
