/*
 * db_tls: finds out why TLS to the database fails.
 *
 * libpq 15 says only "certificate verify failed". So after a failure, a handshake of our own with the same server, which sends
 * nothing else, reads the certificate.
 */
#ifndef MR_RUNTIME_DB_TLS_H
#define MR_RUNTIME_DB_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who was connected to, and what it was to prove. */
struct db_tls_peer {
    const char *address; /* IPv4 or IPv6, in numbers */
    const char *port;
    const char *name;        /* that the certificate should be for */
    const char *authorities; /* file in PEM form; NULL: the certificate is not verified */
};

/* Whether the file holds certificates of authorities. False: `reason` says what is wrong with it. */
bool db_tls_has_authorities(const char *path, char *reason, size_t room);

/*
 * Whether TLS with that server fails for a reason that waiting cannot heal; `reason` then says which, with the certificate's
 * name, authority or date. False: TLS works, or the server does not answer within `timeout_ms`.
 */
bool db_tls_explain(const struct db_tls_peer *peer, int64_t timeout_ms, char *reason, size_t room);

#endif
