/*
 * client_address: who is at the other end, as 16 bytes to count by.
 *
 * An IPv4 address is its IPv4-mapped form, however it came. An IPv6 address is its /64 alone: that is what one
 * customer is given at the least, and whoever has one has 2^64 addresses to change between.
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
 * With `hops` trusted proxies in front, each of which appends to X-Forwarded-For the address it was called from: the
 * entry that many from the right, of all its lines joined in order. What stands further left anybody can
 * have written. `peer` with 0 hops, and when that entry is missing or is no address.
 */
void mr_client_address(uint8_t out[MR_CLIENT_ADDRESS], const struct mr_http_request *request, unsigned hops,
                       const uint8_t peer[MR_CLIENT_ADDRESS]);

#endif
