#include "gateway/client_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "http/grammar.h"

enum { NETWORK = 8 /* bytes of a /64 */, MAPPED = 12 /* bytes before an IPv4 address in its mapped form */ };

static const uint8_t mapped[MAPPED] = {[10] = 0xff, [11] = 0xff};

static void from_v4(uint8_t out[MR_CLIENT_ADDRESS], const struct in_addr *address)
{
    memcpy(out, mapped, MAPPED);
    memcpy(out + MAPPED, &address->s_addr, sizeof address->s_addr);
}

static void from_v6(uint8_t out[MR_CLIENT_ADDRESS], const struct in6_addr *address)
{
    bool is_v4 = memcmp(address->s6_addr, mapped, MAPPED) == 0;

    memset(out, 0, MR_CLIENT_ADDRESS);
    memcpy(out, address->s6_addr, is_v4 ? MR_CLIENT_ADDRESS : NETWORK);
}

static bool parse_v4(uint8_t out[MR_CLIENT_ADDRESS], struct mr_slice text)
{
    char copy[INET_ADDRSTRLEN] = {0};
    struct in_addr address;

    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    if (inet_pton(AF_INET, copy, &address) != 1)
        return false;
    from_v4(out, &address);
    return true;
}

static bool parse_v6(uint8_t out[MR_CLIENT_ADDRESS], struct mr_slice text)
{
    char copy[INET6_ADDRSTRLEN] = {0};
    struct in6_addr address;

    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    if (inet_pton(AF_INET6, copy, &address) != 1)
        return false;
    from_v6(out, &address);
    return true;
}

/* Nothing, or a colon and one to five digits. */
static bool is_port(const char *at, const char *end)
{
    if (at == end)
        return true;
    if (*at != ':' || end - at < 2 || end - at > 6)
        return false;
    while (++at < end)
        if (*at < '0' || *at > '9')
            return false;
    return true;
}

bool mr_client_address_parse(uint8_t out[MR_CLIENT_ADDRESS], struct mr_slice text)
{
    const char *end = text.data + text.len;
    const char *stop;

    if (text.len == 0 || memchr(text.data, '\0', text.len) != NULL)
        return false;
    if (*text.data == '[') {
        stop = memchr(text.data, ']', text.len);
        return stop != NULL && is_port(stop + 1, end) &&
               parse_v6(out, (struct mr_slice){text.data + 1, (size_t)(stop - text.data) - 1});
    }
    stop = memchr(text.data, ':', text.len);
    if (stop == NULL || (memchr(text.data, '.', (size_t)(stop - text.data)) != NULL && is_port(stop, end)))
        return parse_v4(out, (struct mr_slice){text.data, stop != NULL ? (size_t)(stop - text.data) : text.len});
    return parse_v6(out, text);
}

void mr_client_address_of(uint8_t out[MR_CLIENT_ADDRESS], const struct sockaddr *peer)
{
    memset(out, 0, MR_CLIENT_ADDRESS);
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, peer, sizeof v4);
        from_v4(out, &v4.sin_addr);
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, peer, sizeof v6);
        from_v6(out, &v6.sin6_addr);
    }
}

/* Takes the entry behind the last comma off `list`; with no comma left the list is used up, and its data NULL. */
static struct mr_slice take_last(struct mr_slice *list)
{
    const char *comma = list->len > 0 ? memrchr(list->data, ',', list->len) : NULL;
    struct mr_slice entry = *list;

    if (comma == NULL) {
        *list = (struct mr_slice){NULL, 0};
    } else {
        entry = (struct mr_slice){comma + 1, (size_t)(list->data + list->len - comma) - 1};
        list->len = (size_t)(comma - list->data);
    }
    return mr_http_trim(entry);
}

/* The entry that stands `nth` from the right, from 1. */
static bool find_entry(const struct mr_http_request *request, unsigned nth, struct mr_slice *entry)
{
    for (unsigned i = request->header_count; i-- > 0;) {
        struct mr_slice list = request->headers[i].value;

        if (!mr_http_same_word(request->headers[i].name, "x-forwarded-for"))
            continue;
        if (list.data == NULL)
            list = (struct mr_slice){"", 0};
        while (list.data != NULL) {
            *entry = take_last(&list);
            if (--nth == 0)
                return true;
        }
    }
    return false;
}

void mr_client_address(uint8_t out[MR_CLIENT_ADDRESS], const struct mr_http_request *request, unsigned hops,
                       const uint8_t peer[MR_CLIENT_ADDRESS])
{
    struct mr_slice entry;

    if (hops == 0 || !find_entry(request, hops, &entry) || !mr_client_address_parse(out, entry))
        memcpy(out, peer, MR_CLIENT_ADDRESS);
}
