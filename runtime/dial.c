#include "runtime/dial.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The limit of sending is that of connecting, too (socket(7)). */
static int dial_address(const struct addrinfo *address, const struct timeval *limit)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, limit, sizeof *limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, limit, sizeof *limit);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    close(fd);
    return -1;
}

int mr_dial(const char *host, const char *port, bool numeric, int64_t timeout_ms)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0)};
    const struct timeval limit = {.tv_sec = (time_t)(timeout_ms / 1000), .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    struct addrinfo *addresses = NULL;
    int fd = -1;

    if (getaddrinfo(host, port, &hints, &addresses) != 0)
        return -1;
    for (struct addrinfo *a = addresses; a != NULL && fd < 0; a = a->ai_next)
        fd = dial_address(a, &limit);
    freeaddrinfo(addresses);
    return fd;
}
