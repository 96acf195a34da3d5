/*
 * What is wrong with a server's certificate. libpq says only that it "verify failed": this looks at it once more, for the
 * reason. The only file that knows OpenSSL.
 */
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/db_internal.h"

/* PostgreSQL manual, 55.2.10: a length of 8 and the code of an SSLRequest; the answer is one byte. */
static const unsigned char ssl_request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

static int connect_to(const struct addrinfo *address, int64_t timeout_ms)
{
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* of connect, too */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    close(fd);
    return -1;
}

static int open_socket(const char *host, int64_t port, int64_t timeout_ms)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char service[8];
    int fd = -1;

    snprintf(service, sizeof service, "%d", (int)port);
    if (getaddrinfo(host, service, &hints, &addresses) != 0)
        return -1;
    for (const struct addrinfo *a = addresses; a != NULL && fd < 0; a = a->ai_next)
        fd = connect_to(a, timeout_ms);
    freeaddrinfo(addresses);
    return fd;
}

static bool takes_tls(int fd)
{
    char answer = 0;

    return send(fd, ssl_request, sizeof ssl_request, MSG_NOSIGNAL) == (ssize_t)sizeof ssl_request &&
           recv(fd, &answer, 1, 0) == 1 && answer == 'S';
}

/* X509_V_OK when nothing is wrong, or when there was no certificate to look at. */
static long verify(int fd, const char *authorities)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    long result = X509_V_OK;

    if (context == NULL)
        return X509_V_OK;
    if (SSL_CTX_load_verify_locations(context, authorities, NULL) == 1)
        ssl = SSL_new(context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1)
        result = SSL_get_verify_result(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return result;
}

bool db_tls_problem(const struct mr_db_options *options, const char *authorities, char *out, size_t room)
{
    int fd = open_socket(options->host, options->config->db_port, options->config->db_connect_timeout);
    long result = X509_V_OK;

    if (fd < 0)
        return false;
    if (takes_tls(fd))
        result = verify(fd, authorities);
    close(fd);
    if (result != X509_V_OK)
        snprintf(out, room, "the certificate of %s is not trusted: %s (authorities: %s)", options->host,
                 X509_verify_cert_error_string(result), authorities);
    return result != X509_V_OK;
}
