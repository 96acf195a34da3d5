#include "runtime/db_tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "proto/buffer.h"
#include "runtime/dial.h"

/* ---- Authorities ---- */

bool db_tls_has_authorities(const char *path, char *reason, size_t room)
{
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL && X509_STORE_load_file(store, path) == 1;

    X509_STORE_free(store);
    ERR_clear_error();
    if (!good && access(path, R_OK) != 0)
        snprintf(reason, room, "the authorities' file %s cannot be read: %s", path, strerror(errno));
    else if (!good)
        snprintf(reason, room, "the authorities' file %s holds no certificate in PEM form", path);
    return good;
}

/* ---- The handshake ---- */

/* 'S': it does TLS; 'N': it does not; anything else is no answer to the question. */
static char ask_for_tls(int fd)
{
    static const unsigned char request[8] = {0, 0, 0, 8, 4, 210, 22, 47}; /* SSLRequest of the frontend/backend protocol */
    char answer = '\0';

    if (send(fd, request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request || recv(fd, &answer, 1, 0) != 1)
        return '\0';
    return answer;
}

/* ---- What is wrong with a certificate ---- */

static void put_date(struct mr_buf *out, const ASN1_TIME *time)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) == 1)
        mr_buf_printf(out, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
}

static void put_name(struct mr_buf *out, const X509_NAME *name)
{
    char text[160];

    mr_buf_text(out, X509_NAME_oneline(name, text, sizeof text) != NULL ? text : "?");
}

static void put_alternative(struct mr_buf *out, const GENERAL_NAME *name)
{
    const unsigned char *ip = name->type == GEN_IPADD ? ASN1_STRING_get0_data(name->d.iPAddress) : NULL;

    if (name->type == GEN_DNS)
        mr_buf_printf(out, " %.100s", (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    else if (ip != NULL && ASN1_STRING_length(name->d.iPAddress) == 4)
        mr_buf_printf(out, " %u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
}

static void put_names(struct mr_buf *out, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && out->len < 160; i++)
        put_alternative(out, sk_GENERAL_NAME_value(names, i));
    if (names == NULL) {
        mr_buf_char(out, ' ');
        put_name(out, X509_get_subject_name(certificate));
    }
    GENERAL_NAMES_free(names);
}

static bool is_for(X509 *certificate, const char *name)
{
    return X509_check_host(certificate, name, 0, 0, NULL) == 1 || X509_check_ip_asc(certificate, name, 0) == 1;
}

static void put_distrust(struct mr_buf *out, const struct db_tls_peer *peer, const X509 *certificate, long error)
{
    if (error == X509_V_ERR_CERT_HAS_EXPIRED && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        mr_buf_text(out, "the server's certificate expired on ");
        put_date(out, X509_get0_notAfter(certificate));
    } else if (error == X509_V_ERR_CERT_NOT_YET_VALID && X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
        mr_buf_text(out, "the server's certificate is not valid before ");
        put_date(out, X509_get0_notBefore(certificate));
    } else {
        mr_buf_printf(out, "the server's certificate is not trusted (%s): its authority ",
                      X509_verify_cert_error_string(error));
        put_name(out, X509_get_issuer_name(certificate));
        mr_buf_printf(out, " has to be in %s", peer->authorities);
    }
}

static void judge(struct mr_buf *out, const struct db_tls_peer *peer, const SSL *ssl)
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    long error = SSL_get_verify_result(ssl);

    if (certificate == NULL)
        mr_buf_text(out, "the server shows no certificate");
    else if (error != X509_V_OK)
        put_distrust(out, peer, certificate, error);
    else if (!is_for(certificate, peer->name)) {
        mr_buf_text(out, "the server's certificate is for");
        put_names(out, certificate);
        mr_buf_printf(out, ", not for %s", peer->name);
    }
    X509_free(certificate);
}

/* The handshake continues whatever is wrong with the certificate, so that all of it can be reported afterwards. */
static SSL *new_session(SSL_CTX *context, const struct db_tls_peer *peer, int fd)
{
    SSL *out = NULL;

    if (context == NULL || (peer->authorities != NULL && SSL_CTX_load_verify_file(context, peer->authorities) != 1))
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    out = SSL_new(context);
    if (out != NULL && SSL_set_fd(out, fd) != 1) {
        SSL_free(out);
        return NULL;
    }
    return out;
}

static void shake_hands(struct mr_buf *out, const struct db_tls_peer *peer, int fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = new_session(context, peer, fd);
    int done = ssl != NULL ? SSL_connect(ssl) : 1;

    if (ssl != NULL && done == 1 && peer->authorities != NULL)
        judge(out, peer, ssl);
    if (ssl != NULL && done != 1 && SSL_get_error(ssl, done) == SSL_ERROR_SSL) {
        const char *reason = ERR_reason_error_string(ERR_peek_error());

        mr_buf_printf(out, "the TLS handshake with the server fails: %s", reason != NULL ? reason : "no reason given");
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
}

bool db_tls_explain(const struct db_tls_peer *peer, int64_t timeout_ms, char *reason, size_t room)
{
    int fd = mr_dial(peer->address, peer->port, true, timeout_ms > 100 ? timeout_ms : 100);
    char answer = '\0';
    struct mr_buf out = {0};
    bool found;

    if (fd >= 0)
        answer = ask_for_tls(fd);
    if (answer == 'N')
        mr_buf_text(&out, "the server does not support TLS, which DB_SSL requires");
    if (answer == 'S')
        shake_hands(&out, peer, fd);
    found = out.len > 0 && !out.failed;
    if (found)
        snprintf(reason, room, "%.*s", (int)out.len, out.data);
    mr_buf_fini(&out);
    if (fd >= 0)
        close(fd);
    return found;
}
