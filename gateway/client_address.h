/*
 * client_address: the client's address, as 16 bytes to count by.
 *
 * An IPv4 address becomes its IPv4-mapped form. An IPv6 address becomes its /64: every customer gets at least that, and can
 * change between its 2^64 addresses.
 *
 * Thread: any; nothing is allocated.
 */
#ifndef MR_GATEWAY_CLIENT_ADDRESS_H
#define MR_GATEWAY_CLIENT_ADDRESS_H

#include "http/head.h"

enum { MR_CLIENT_ADDRESS = 16 };

struct sockaddr;

/* An address as proxies write it: 192.0.2.1, 2001:db8::1, [2001:db8::1], the first and last also with :port. */
bool mr_client_address_parse(uint8_t out[MR_CLIENT_ADDRESS], struct mr_slice text);

/* That of a socket; all zero for one that is neither IPv4 nor IPv6. */
void mr_client_address_of(uint8_t out[MR_CLIENT_ADDRESS], const struct sockaddr *peer);

/*
 * With `hops` trusted proxies in front, each of which appends its caller's address to X-Forwarded-For: the entry that many from
 * the right, of all lines joined in order. Anybody can have written the entries further left. `peer` with 0 hops, and if that
 * entry is missing or not an address.
 */
void mr_client_address(uint8_t out[MR_CLIENT_ADDRESS], const struct mr_http_request *request, unsigned hops,
                       const uint8_t peer[MR_CLIENT_ADDRESS]);

#endif
