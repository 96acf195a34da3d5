/*
 * push_guard: the addresses that a push may go to.
 *
 * Whoever makes a kind chooses the URL, and the owner of its name decides at any moment where it resolves to. So the address of
 * the socket is checked, just before it connects. Only public addresses are allowed: not those in IANA's special-purpose
 * registries (RFC 6890), nor those of transition mechanisms that lead to another address.
 *
 * Thread: any; a pure function.
 */
#ifndef MR_JOBS_PUSH_GUARD_H
#define MR_JOBS_PUSH_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

/* Whether this is an address of the public internet. False for every family but IPv4 and IPv6, and if `len` is too short. */
bool mr_push_is_public(const struct sockaddr *address, socklen_t len);

#endif
