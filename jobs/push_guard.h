/*
 * push_guard: which addresses a push may be sent to.
 *
 * A URL is given by whoever makes a kind, and its name resolves to whatever its owner says at that moment. So it is the address of
 * the socket that is judged, just before it is connected, and only addresses of the public internet are let through: those of
 * IANA's special-purpose registries (RFC 6890) are not, nor those of transition mechanisms that lead to another address.
 *
 * Thread: any; a pure function.
 */
#ifndef MR_JOBS_PUSH_GUARD_H
#define MR_JOBS_PUSH_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

/* Whether it is an address of the public internet. False for every family but IPv4 and IPv6, and when `len` is too short for it. */
bool mr_push_is_public(const struct sockaddr *address, socklen_t len);

#endif
