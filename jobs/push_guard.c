#include "jobs/push_guard.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range {
    uint8_t prefix[16];
    unsigned bits;
};

/* clang-format off */
static const struct range not_public_4[] = {
    {{0}, 8},               /* this network, and the unspecified address */
    {{10}, 8},              /* private */
    {{100, 64}, 10},        /* shared: behind a carrier's or a cloud's NAT */
    {{127}, 8},             /* loopback */
    {{169, 254}, 16},       /* link-local: metadata services of clouds */
    {{172, 16}, 12},        /* private */
    {{192, 0, 0}, 24},      /* IETF protocol assignments */
    {{192, 0, 2}, 24},      /* documentation */
    {{192, 88, 99}, 24},    /* relays of 6to4 */
    {{192, 168}, 16},       /* private */
    {{198, 18}, 15},        /* benchmarks */
    {{198, 51, 100}, 24},   /* documentation */
    {{203, 0, 113}, 24},    /* documentation */
    {{224}, 4},             /* multicast */
    {{240}, 4},             /* reserved, and broadcast */
};

/*
 * Global unicast is 2000::/3. Outside of it are the unspecified address, loopback, mapped and compatible IPv4, NAT64 (64:ff9b::/96,
 * 64:ff9b:1::/48), discard-only, unique-local, link-local, site-local and multicast.
 */
static const struct range global_6 = {{0x20}, 3};

static const struct range not_public_6[] = {
    {{0x20, 0x01, 0x00}, 23},         /* IETF protocol assignments: Teredo, benchmarks, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},   /* documentation */
    {{0x20, 0x02}, 16},               /* 6to4: leads to an IPv4 address */
    {{0x3f, 0xff, 0x00}, 20},         /* documentation */
};
/* clang-format on */

static bool is_in(const uint8_t *address, const struct range *range)
{
    unsigned bytes = range->bits / 8;
    unsigned rest = range->bits % 8;
    uint8_t mask = (uint8_t)(0xff00U >> rest);

    return memcmp(address, range->prefix, bytes) == 0 && (rest == 0 || ((address[bytes] ^ range->prefix[bytes]) & mask) == 0);
}

static bool is_in_any(const uint8_t *address, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_in(address, &ranges[i]))
            return true;
    return false;
}

/* What a tunnel of ISATAP ends at (RFC 5214, 6.1) stands in the last four bytes, whatever the prefix. */
static bool is_isatap(const uint8_t *address)
{
    return (address[8] & 0xfd) == 0 && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe;
}

bool mr_push_is_public(const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (len >= sizeof v4 && address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return !is_in_any((const uint8_t *)&v4.sin_addr, not_public_4, sizeof not_public_4 / sizeof not_public_4[0]);
    }
    if (len >= sizeof v6 && address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        return is_in(v6.sin6_addr.s6_addr, &global_6) && !is_isatap(v6.sin6_addr.s6_addr) &&
               !is_in_any(v6.sin6_addr.s6_addr, not_public_6, sizeof not_public_6 / sizeof not_public_6[0]);
    }
    return false;
}
