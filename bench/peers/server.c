/*
 * The three operations on tasks as a plain C server would offer them: a thread for each connection, a pool of libpq connections, one
 * prepared statement a request, and PostgreSQL makes the JSON. Driven by ../contest.py: PORT, DATABASE_URL and JWT_SECRET say where; POOL
 * is the number of connections.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TASK                                                                                                       \
    "json_strip_nulls(json_build_object('id', t.id, 'summary', t.summary, 'description', t.description, 'dueAt', " \
    "t.due_at, 'isComplete', t.is_complete, 'userId', t.user_id, 'taskPriorityCode', p.code, 'taskPriority', "     \
    "json_build_object('code', p.code, 'label', p.label, 'description', p.description, 'ordinal', p.ordinal), "    \
    "'createdAt', t.created_at, 'updatedAt', t.updated_at))"
#define WITH_PRIORITY " JOIN task_priority p ON p.code = t.priority_code"

enum { REQUEST_MAX = 16384, POOL_MAX = 64, STACK = 128 * 1024 };

static const struct {
    const char *name;
    const char *sql;
} statements[] = {
    {"one", "SELECT " TASK " FROM task t" WITH_PRIORITY " WHERE t.id = $1::uuid AND t.user_id = $2::uuid"},
    {"page", "SELECT coalesce(json_agg(j), '[]') FROM (SELECT " TASK " AS j FROM task t" WITH_PRIORITY
             " WHERE t.user_id = $2::uuid ORDER BY t.created_at DESC, t.id DESC LIMIT $1::int) page"},
    {"insert", "WITH t AS (INSERT INTO task (id, user_id, summary, description, due_at, is_complete, priority_code) "
               "SELECT gen_random_uuid(), $2::uuid, b->>'summary', b->>'description', (b->>'dueAt')::timestamptz, "
               "coalesce((b->>'isComplete')::boolean, false), b->>'taskPriorityCode' FROM (SELECT $1::jsonb AS b) body "
               "RETURNING *) SELECT " TASK ", t.id FROM t" WITH_PRIORITY},
};

/* ---- The pool ---- */

static PGconn *idle[POOL_MAX];
static int idle_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given_back = PTHREAD_COND_INITIALIZER;

static PGconn *take(void)
{
    PGconn *connection;

    pthread_mutex_lock(&lock);
    while (idle_count == 0)
        pthread_cond_wait(&given_back, &lock);
    connection = idle[--idle_count];
    pthread_mutex_unlock(&lock);
    return connection;
}

static void give_back(PGconn *connection)
{
    pthread_mutex_lock(&lock);
    idle[idle_count++] = connection;
    pthread_cond_signal(&given_back);
    pthread_mutex_unlock(&lock);
}

static void fill_pool(int count)
{
    for (int i = 0; i < count; i++) {
        PGconn *connection = PQconnectdb(getenv("DATABASE_URL"));

        for (size_t s = 0; s < sizeof statements / sizeof *statements; s++)
            PQclear(PQprepare(connection, statements[s].name, statements[s].sql, 0, NULL));
        if (PQstatus(connection) != CONNECTION_OK) {
            fprintf(stderr, "%s", PQerrorMessage(connection));
            exit(1);
        }
        give_back(connection);
    }
}

/* ---- Tokens ---- */

/* Base64url without padding; the number of bytes, or -1. `out` has room for three quarters of the text and three more. */
static int decode(unsigned char *out, const char *text, size_t len)
{
    char padded[REQUEST_MAX];
    size_t whole = (len + 3) / 4 * 4;
    int decoded;

    if (whole >= sizeof padded)
        return -1;
    memset(padded, '=', whole);
    for (size_t i = 0; i < len; i++)
        padded[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    decoded = EVP_DecodeBlock(out, (const unsigned char *)padded, (int)whole);
    return decoded < 0 ? -1 : decoded - (int)(whole - len);
}

/* The user of a token that is ours and lives. */
static bool user_of(char user[37], const char *token, size_t len)
{
    static const char head[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."; /* {"alg":"HS256","typ":"JWT"} */
    const char *secret = getenv("JWT_SECRET");
    const char *last = memrchr(token, '.', len);
    unsigned char claims[REQUEST_MAX];
    unsigned char signature[REQUEST_MAX];
    unsigned char wanted[EVP_MAX_MD_SIZE];
    unsigned wanted_len = 0;
    const char *sub;
    const char *exp;
    int count;

    if (len < sizeof head || memcmp(token, head, sizeof head - 1) != 0 || last < token + sizeof head)
        return false;
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)token, (size_t)(last - token), wanted, &wanted_len);
    count = decode(signature, last + 1, len - (size_t)(last + 1 - token));
    if (count != (int)wanted_len || CRYPTO_memcmp(signature, wanted, wanted_len) != 0)
        return false;
    count = decode(claims, token + sizeof head - 1, (size_t)(last - token) - (sizeof head - 1));
    if (count < 0)
        return false;
    claims[count] = '\0';
    sub = strstr((char *)claims, "\"sub\":\"");
    exp = strstr((char *)claims, "\"exp\":");
    if (sub == NULL || exp == NULL || strtoll(exp + 6, NULL, 10) <= time(NULL))
        return false;
    snprintf(user, 37, "%.36s", sub + 7);
    return true;
}

/* ---- Requests ---- */

struct request {
    char bytes[REQUEST_MAX + 1];
    size_t len;      /* of what has arrived */
    size_t head_len; /* of the present request */
    size_t body_len;
};

static const char *header(const struct request *r, const char *name, size_t *len)
{
    const char *at = strcasestr(r->bytes, name);

    if (at == NULL || at >= r->bytes + r->head_len)
        return NULL;
    at += strlen(name);
    *len = strcspn(at, "\r\n");
    return at;
}

/* Until a whole request is there. */
static bool read_request(struct request *r, int fd)
{
    for (;;) {
        const char *end;
        ssize_t got;

        r->bytes[r->len] = '\0';
        end = strstr(r->bytes, "\r\n\r\n");
        if (end != NULL) {
            size_t len;
            const char *value;

            r->head_len = (size_t)(end + 4 - r->bytes);
            value = header(r, "\r\nContent-Length: ", &len);
            r->body_len = value != NULL ? strtoul(value, NULL, 10) : 0;
            if (r->len >= r->head_len + r->body_len)
                return true;
        }
        if (r->len == REQUEST_MAX)
            return false;
        got = recv(fd, r->bytes + r->len, REQUEST_MAX - r->len, 0);
        if (got <= 0)
            return false;
        r->len += (size_t)got;
    }
}

static bool respond(int fd, int status, const char *location, const char *body, size_t len)
{
    char small[4096];
    char *whole = len + 512 <= sizeof small ? small : malloc(len + 512);
    int head = snprintf(whole, 512, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s%s%s\r\n",
                        status, status < 300 ? "OK" : "Error", len, location ? "Location: /v1/tasks/" : "",
                        location ? location : "", location ? "\r\n" : "");
    bool sent;

    memcpy(whole + head, body, len);
    sent = send(fd, whole, (size_t)head + len, MSG_NOSIGNAL) == (ssize_t)((size_t)head + len);
    if (whole != small)
        free(whole);
    return sent;
}

static bool fail(int fd, int status)
{
    char body[32];

    return respond(fd, status, NULL, body, (size_t)snprintf(body, sizeof body, "{\"status\":%d}", status));
}

/* One row with a column of JSON, and for what was made its id. */
static bool ask(int fd, int status, const char *statement, const char *first, const char *user)
{
    const char *values[] = {first, user};
    PGconn *connection = take();
    PGresult *result = PQexecPrepared(connection, statement, 2, values, NULL, NULL, 0);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    bool sent;

    give_back(connection);
    if (good && PQntuples(result) == 1)
        sent = respond(fd, status, status == 201 ? PQgetvalue(result, 0, 1) : NULL, PQgetvalue(result, 0, 0),
                       (size_t)PQgetlength(result, 0, 0));
    else
        sent = fail(fd, good ? 404 : 500);
    PQclear(result);
    return sent;
}

static bool answer(int fd, struct request *r)
{
    static const char one[] = "GET /v1/tasks/";
    static const char page[] = "GET /v1/tasks?limit=";
    static const char create[] = "POST /v1/tasks ";
    size_t len;
    const char *token = header(r, "\r\nAuthorization: Bearer ", &len);
    char user[37];
    char value[40];

    if (token == NULL || !user_of(user, token, len))
        return fail(fd, 401);
    if (strncmp(r->bytes, one, sizeof one - 1) == 0) {
        snprintf(value, sizeof value, "%.*s", (int)strcspn(r->bytes + sizeof one - 1, " ?"), r->bytes + sizeof one - 1);
        return ask(fd, 200, "one", value, user);
    }
    if (strncmp(r->bytes, page, sizeof page - 1) == 0) {
        snprintf(value, sizeof value, "%d", atoi(r->bytes + sizeof page - 1));
        return ask(fd, 200, "page", value, user);
    }
    if (strncmp(r->bytes, create, sizeof create - 1) == 0) {
        char kept = r->bytes[r->head_len + r->body_len];
        bool sent;

        r->bytes[r->head_len + r->body_len] = '\0';
        sent = ask(fd, 201, "insert", r->bytes + r->head_len, user);
        r->bytes[r->head_len + r->body_len] = kept;
        return sent;
    }
    return fail(fd, 404);
}

static void *serve(void *argument)
{
    int fd = (int)(long)argument;
    struct request *r = calloc(1, sizeof *r);

    while (read_request(r, fd) && answer(fd, r)) {
        r->len -= r->head_len + r->body_len;
        memmove(r->bytes, r->bytes + r->head_len + r->body_len, r->len);
    }
    free(r);
    close(fd);
    return NULL;
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(getenv("PORT"))),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_attr_t attributes;

    signal(SIGPIPE, SIG_IGN);
    fill_pool(getenv("POOL") != NULL ? atoi(getenv("POOL")) : 8);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) {
        perror("listen");
        return 1;
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;

        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (pthread_create(&thread, &attributes, serve, (void *)(long)fd) != 0)
            close(fd);
    }
}
