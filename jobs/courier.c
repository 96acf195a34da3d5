#include "jobs/courier.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "jobs/push_guard.h"
#include "runtime/thread.h"
#include "runtime/url.h"

enum { EVENTS = 256, IDLE_CONNECTION_S = 60, SENT_MOST = 2 };

/* Which calls come back without having been sent, or to their end. Never lowered. */
enum recall { RECALL_NONE, RECALL_UNSENT, RECALL_ALL };

/* A call under way, or a handle that waits for one. */
struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct mr_call *call;
    struct mr_courier *courier;
    int64_t begun_us;
    unsigned sent; /* how often */
    size_t head_bytes;
    bool head_is_whole;
    bool was_forbidden; /* an address was refused */
    bool was_allowed;   /* a socket was opened */
    char error[CURL_ERROR_SIZE];
    struct transfer *previous;
    struct transfer *next;
};

struct mr_courier {
    const struct mr_clock *clock;
    bool allow_private;
    const char *certificate;
    struct curl_slist *resolve;
    mr_thread *thread; /* the owner's to know */
    int wake_fd;       /* the inbox, a recall or an unwanted call */
    int done_fd;       /* the outbox */

    pthread_mutex_t lock; /* of the two boxes */
    struct mr_call *inbox;
    struct mr_call **inbox_end;
    struct mr_call *outbox;
    _Atomic int recall;
    _Atomic bool has_unwanted;

    /* The thread's own. */
    CURLM *multi;
    int epoll_fd;
    int end_fd;
    int64_t timer_us; /* monotonic; INT64_MAX: libcurl waits for nothing but sockets */
    struct transfer *under_way;
    struct transfer *spare;
};

void mr_call_fini(struct mr_call *call)
{
    mr_buf_fini(&call->url);
    mr_buf_fini(&call->headers);
    mr_buf_fini(&call->body);
    mr_buf_fini(&call->answer);
}

static int64_t now_us(const struct mr_courier *self)
{
    return mr_mono_us(self->clock);
}

static void signal_fd(int fd)
{
    (void)!write(fd, &(uint64_t){1}, sizeof(uint64_t)); /* fails only when it is readable already */
}

static void calm_fd(int fd)
{
    uint64_t count;

    (void)!read(fd, &count, sizeof count);
}

/* ---- What libcurl asks ---- */

/* The body: its beginning is kept; who sends without an end is hung up on. */
static size_t take_body(char *data, size_t size, size_t count, void *argument)
{
    struct transfer *self = argument;
    struct mr_buf *answer = &self->call->answer;
    size_t len = size * count;
    size_t room = MR_CALL_ANSWER - answer->len;

    mr_buf_append(answer, data, len < room ? len : room);
    if (answer->failed || len > room) {
        self->call->is_cut = true;
        return 0;
    }
    return len;
}

/* A head without an end counts, too, and so do answers that announce another (1xx). */
static size_t take_head(const char *data, size_t size, size_t count, void *argument)
{
    struct transfer *self = argument;
    size_t len = size * count;
    long http = 0;

    self->head_bytes += len;
    if (len <= 2 && (data[0] == '\r' || data[0] == '\n')) {
        curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &http);
        self->head_is_whole = http >= 200;
    }
    return self->head_bytes <= MR_CALL_HEAD ? len : 0;
}

/*
 * When a kept connection ends before an answer, libcurl sends the request on another, up to five times. The receiver may have closed
 * the connection just as the call was sent, and then once more is right; or it broke down over the call, and then each time is one
 * too many.
 */
static int before_sending(void *argument, const char *to, const char *from, int to_port, int from_port)
{
    struct transfer *self = argument;

    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    return self->sent++ < SENT_MOST ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static curl_socket_t open_socket(void *argument, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *self = argument;

    if (purpose != CURLSOCKTYPE_IPCXN)
        return CURL_SOCKET_BAD;
    if (!self->courier->allow_private && !mr_push_is_public(&address->addr, address->addrlen)) {
        self->was_forbidden = true;
        return CURL_SOCKET_BAD;
    }
    self->was_allowed = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A descriptor may have been closed and given out anew before libcurl says so. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *argument, void *nothing)
{
    const struct mr_courier *self = argument;
    struct epoll_event event = {.data.fd = fd};

    (void)easy;
    (void)nothing;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what != CURL_POLL_OUT)
        event.events |= EPOLLIN;
    if (what != CURL_POLL_IN)
        event.events |= EPOLLOUT;
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
        return epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *argument)
{
    struct mr_courier *self = argument;

    (void)multi;
    self->timer_us = timeout_ms < 0 ? INT64_MAX : now_us(self) + (int64_t)timeout_ms * 1000;
    return 0;
}

/* ---- Handles ---- */

static void destroy_transfer(struct transfer *self)
{
    curl_easy_cleanup(self->easy);
    curl_slist_free_all(self->headers);
    free(self);
}

static bool set_options(struct transfer *self)
{
    CURL *easy = self->easy;
    const struct mr_courier *courier = self->courier;
    bool good = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_USERAGENT, "millrace") == CURLE_OK &&
                (courier->certificate[0] == '\0' || curl_easy_setopt(easy, CURLOPT_CAINFO, courier->certificate) == CURLE_OK);

    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* or the end of a call may wait for its name to be resolved */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_CONNECTION_S);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, courier->resolve);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, self);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, self);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, self);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, self);
    return good;
}

/* NULL: no memory. */
static struct transfer *new_transfer(struct mr_courier *self)
{
    struct transfer *transfer = self->spare;

    if (transfer != NULL) {
        self->spare = transfer->next;
        return transfer;
    }
    transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return NULL;
    transfer->courier = self;
    transfer->easy = curl_easy_init();
    if (transfer->easy != NULL)
        return transfer;
    destroy_transfer(transfer);
    return NULL;
}

static void keep_transfer(struct mr_courier *self, struct transfer *transfer)
{
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    transfer->call = NULL;
    transfer->next = self->spare;
    self->spare = transfer;
}

/* ---- The end of a call ---- */

static void hand_over(struct mr_courier *self, struct mr_call *call)
{
    bool was_empty;

    pthread_mutex_lock(&self->lock);
    was_empty = self->outbox == NULL;
    call->next = self->outbox;
    self->outbox = call;
    pthread_mutex_unlock(&self->lock);
    if (was_empty)
        signal_fd(self->done_fd);
}

static int64_t connect_ms(const struct mr_call *call)
{
    return call->timeout_ms < MR_CALL_CONNECT_MS ? call->timeout_ms : MR_CALL_CONNECT_MS;
}

/* In our words, because libcurl's may show what it was given; where its own say more, they name the host and no more. */
static void explain(const struct transfer *self, CURLcode code, struct mr_call *call)
{
    long os_error = 0;
    const char *more = "";
    char text[64];

    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: more = "the receiver's name cannot be resolved"; break;
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(self->easy, CURLINFO_OS_ERRNO, &os_error);
        more = os_error != 0 ? strerror_r((int)os_error, text, sizeof text) : "the connection to the receiver failed";
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION: more = self->error[0] != '\0' ? self->error : curl_easy_strerror(code); break;
    case CURLE_OPERATION_TIMEDOUT:
        snprintf(call->error, sizeof call->error,
                 call->has_connected ? "no answer within %lld ms" : "no connection within %lld ms",
                 (long long)(call->has_connected ? call->timeout_ms : connect_ms(call)));
        return;
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
    case CURLE_ABORTED_BY_CALLBACK: /* by before_sending; of a call that is broken off its end says why */
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: more = "the connection broke before there was an answer"; break;
    case CURLE_WRITE_ERROR: more = "the head of the answer is too long"; break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: more = "the answer is no HTTP"; break;
    default: more = curl_easy_strerror(code); break;
    }
    mr_slice_copy(call->error, sizeof call->error, mr_slice_of(more));
}

/* Anything of an answer with a whole head is an answer: the receiver has decided, even if the rest never comes. */
static void judge(struct transfer *self, CURLcode code)
{
    struct mr_call *call = self->call;
    curl_off_t connected_us = 0;
    long http = 0;

    call->took_us = now_us(self->courier) - self->begun_us;
    curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_getinfo(self->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    call->has_connected = connected_us > 0;
    if (self->head_is_whole) {
        call->end = MR_CALL_ANSWERED;
        call->http = (int)http;
        call->retry_after_s = mr_url_retry_after_s(self->easy);
        call->is_cut = call->is_cut || code != CURLE_OK;
    } else if (self->was_forbidden && !self->was_allowed) {
        call->end = MR_CALL_FORBIDDEN;
        snprintf(call->error, sizeof call->error, "the receiver's address is not a public one, see PUSH_ALLOW_PRIVATE");
    } else {
        call->end = MR_CALL_NO_ANSWER;
        explain(self, code, call);
    }
}

static void finish(struct transfer *self)
{
    struct mr_courier *courier = self->courier;
    struct mr_call *call = self->call;

    curl_multi_remove_handle(courier->multi, self->easy);
    if (self->previous != NULL)
        self->previous->next = self->next;
    else
        courier->under_way = self->next;
    if (self->next != NULL)
        self->next->previous = self->previous;
    keep_transfer(courier, self);
    hand_over(courier, call);
}

static void give_back(struct mr_courier *self, struct mr_call *call, const char *why)
{
    call->end = MR_CALL_NOT_SENT;
    snprintf(call->error, sizeof call->error, "%s", why);
    hand_over(self, call);
}

/* ---- The beginning of a call ---- */

static bool add_headers(struct transfer *self)
{
    const struct mr_buf *lines = &self->call->headers;
    bool good = !lines->failed;

    for (size_t at = 0; good && at < lines->len; at += strlen(lines->data + at) + 1) {
        struct curl_slist *longer = curl_slist_append(self->headers, lines->data + at);

        good = longer != NULL;
        if (good)
            self->headers = longer;
    }
    return good;
}

/*
 * A handle that is not reset keeps count of the kept connections that it found closed, over all of its calls, and fails the one
 * with the sixth.
 */
static bool prepare(struct transfer *self)
{
    const struct mr_call *call = self->call;
    bool is_https = call->url.len > 5 && call->url.data[4] == 's';
    bool is_set;

    self->sent = 0;
    self->head_bytes = 0;
    self->head_is_whole = self->was_forbidden = self->was_allowed = false;
    self->error[0] = '\0';
    curl_easy_reset(self->easy);
    is_set = set_options(self);
    curl_easy_setopt(self->easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(self->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms(call));
    curl_easy_setopt(self->easy, CURLOPT_PIPEWAIT, (long)is_https); /* rather a stream of a connection than one more */
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, call->body.data != NULL ? call->body.data : "");
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    return is_set && !call->url.failed && !call->body.failed && add_headers(self) &&
           curl_easy_setopt(self->easy, CURLOPT_URL, call->url.data) == CURLE_OK &&
           curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers) == CURLE_OK &&
           curl_multi_add_handle(self->courier->multi, self->easy) == CURLM_OK;
}

static void begin(struct mr_courier *self, struct mr_call *call)
{
    struct transfer *transfer = atomic_load(&self->recall) == RECALL_NONE ? new_transfer(self) : NULL;

    if (transfer == NULL) {
        give_back(self, call, "there was no time or no memory for the call");
        return;
    }
    transfer->call = call;
    transfer->begun_us = now_us(self);
    if (!prepare(transfer)) {
        keep_transfer(self, transfer);
        give_back(self, call, "there was no memory for it");
        return;
    }
    transfer->previous = NULL;
    transfer->next = self->under_way;
    if (self->under_way != NULL)
        self->under_way->previous = transfer;
    self->under_way = transfer;
}

static void take_inbox(struct mr_courier *self)
{
    struct mr_call *call;

    pthread_mutex_lock(&self->lock);
    call = self->inbox;
    self->inbox = NULL;
    self->inbox_end = &self->inbox;
    pthread_mutex_unlock(&self->lock);
    while (call != NULL) {
        struct mr_call *next = call->next;

        begin(self, call);
        call = next;
    }
}

/* ---- Calls that are called back ---- */

static bool is_sent(const struct transfer *self)
{
    curl_off_t connected_us = 0;

    curl_easy_getinfo(self->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    return connected_us > 0;
}

static void break_off(struct transfer *self, const char *why)
{
    struct mr_call *call = self->call;
    bool sent = is_sent(self);

    judge(self, CURLE_ABORTED_BY_CALLBACK);
    if (call->end != MR_CALL_ANSWERED) {
        call->end = sent ? MR_CALL_NO_ANSWER : MR_CALL_NOT_SENT;
        snprintf(call->error, sizeof call->error, "%s", why);
    }
    finish(self);
}

static void call_back(struct mr_courier *self)
{
    int recall = atomic_load(&self->recall);
    struct transfer *next;

    for (struct transfer *transfer = self->under_way; transfer != NULL; transfer = next) {
        next = transfer->next;
        if (atomic_load(&transfer->call->unwanted))
            break_off(transfer, "the call was cancelled");
        else if (recall == RECALL_ALL || (recall == RECALL_UNSENT && !is_sent(transfer)))
            break_off(transfer, "the process ended before there was an answer");
    }
}

/* ---- The loop ---- */

static void take_results(struct mr_courier *self)
{
    const CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        struct transfer *transfer = NULL;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        judge(transfer, code);
        finish(transfer);
    }
}

static int wait_ms(const struct mr_courier *self)
{
    int64_t left_us = self->timer_us - now_us(self);

    if (self->timer_us == INT64_MAX)
        return -1;
    return left_us <= 0 ? 0 : left_us > INT64_C(1000000) ? 1000 : (int)((left_us + 999) / 1000);
}

static void act(struct mr_courier *self, const struct epoll_event *event)
{
    int what = (event->events & (uint32_t)EPOLLIN ? CURL_CSELECT_IN : 0) |
               (event->events & (uint32_t)EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (event->events & (uint32_t)(EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    int running;

    if (event->data.fd == self->wake_fd)
        calm_fd(self->wake_fd);
    else if (event->data.fd != self->end_fd)
        curl_multi_socket_action(self->multi, event->data.fd, what, &running);
}

static void turn(struct mr_courier *self)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(self->epoll_fd, events, EVENTS, wait_ms(self));
    int running;

    for (int i = 0; i < count; i++)
        act(self, &events[i]);
    take_inbox(self);
    if (now_us(self) >= self->timer_us) {
        self->timer_us = INT64_MAX;
        curl_multi_socket_action(self->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    take_results(self);
    if (atomic_exchange(&self->has_unwanted, false))
        call_back(self);
}

static void work(mr_thread *thread, void *argument)
{
    struct mr_courier *self = argument;
    struct epoll_event end = {.events = EPOLLIN, .data.fd = mr_thread_end_fd(thread)};

    self->end_fd = end.data.fd;
    epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->end_fd, &end);
    mr_thread_ready(thread);
    while (!mr_thread_asked_to_end(thread, 0))
        turn(self);
    atomic_store(&self->recall, RECALL_ALL);
    take_inbox(self);
    call_back(self);
}

/* ---- For the owner ---- */

void mr_courier_send(struct mr_courier *self, struct mr_call *call)
{
    bool was_empty;

    call->next = NULL;
    pthread_mutex_lock(&self->lock);
    was_empty = self->inbox == NULL;
    *self->inbox_end = call;
    self->inbox_end = &call->next;
    pthread_mutex_unlock(&self->lock);
    if (was_empty)
        signal_fd(self->wake_fd);
}

void mr_courier_drop(struct mr_courier *self, struct mr_call *call)
{
    atomic_store(&call->unwanted, true);
    atomic_store(&self->has_unwanted, true);
    signal_fd(self->wake_fd);
}

void mr_courier_recall(struct mr_courier *self, bool all)
{
    atomic_store(&self->recall, all ? RECALL_ALL : RECALL_UNSENT);
    atomic_store(&self->has_unwanted, true);
    signal_fd(self->wake_fd);
}

int mr_courier_fd(const struct mr_courier *self)
{
    return self->done_fd;
}

struct mr_call *mr_courier_take(struct mr_courier *self)
{
    struct mr_call *call;

    calm_fd(self->done_fd);
    pthread_mutex_lock(&self->lock);
    call = self->outbox;
    self->outbox = NULL;
    pthread_mutex_unlock(&self->lock);
    return call;
}

/* ---- Life ---- */

static void destroy_transfers(struct transfer *first)
{
    while (first != NULL) {
        struct transfer *next = first->next;

        destroy_transfer(first);
        first = next;
    }
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void destroy(struct mr_courier *self)
{
    destroy_transfers(self->spare);
    curl_multi_cleanup(self->multi);
    curl_slist_free_all(self->resolve);
    close_fd(self->epoll_fd);
    close_fd(self->wake_fd);
    close_fd(self->done_fd);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static bool set_resolve(struct mr_courier *self, const char *const *entries)
{
    for (; entries != NULL && *entries != NULL; entries++) {
        struct curl_slist *longer = curl_slist_append(self->resolve, *entries);

        if (longer == NULL)
            return false;
        self->resolve = longer;
    }
    return true;
}

static bool set_up(struct mr_courier *self, const struct mr_courier_options *options)
{
    struct epoll_event wake = {.events = EPOLLIN};

    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->multi = curl_multi_init();
    wake.data.fd = self->wake_fd;
    if (self->epoll_fd < 0 || self->wake_fd < 0 || self->done_fd < 0 || self->multi == NULL ||
        epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->wake_fd, &wake) != 0 || !set_resolve(self, options->resolve))
        return false;
    curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self);
    curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self);
    curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)options->connections);
    curl_multi_setopt(self->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    return true;
}

mr_status mr_courier_start(struct mr_courier **out, const struct mr_courier_options *options)
{
    struct mr_courier *self = calloc(1, sizeof *self);

    if (self == NULL)
        return MR_NO_MEMORY;
    self->clock = options->clock;
    self->allow_private = options->allow_private;
    self->certificate = options->certificate;
    self->inbox_end = &self->inbox;
    self->timer_us = INT64_MAX;
    self->epoll_fd = self->wake_fd = self->done_fd = -1;
    pthread_mutex_init(&self->lock, NULL);
    if (set_up(self, options))
        self->thread = mr_thread_start("courier", work, self);
    if (self->thread == NULL) {
        destroy(self);
        return MR_NO_MEMORY;
    }
    *out = self;
    return MR_OK;
}

bool mr_courier_stop_by(struct mr_courier **self, int64_t deadline_ms)
{
    if (*self == NULL)
        return true;
    if (!mr_thread_stop_by(&(*self)->thread, deadline_ms))
        return false;
    destroy(*self);
    *self = NULL;
    return true;
}
