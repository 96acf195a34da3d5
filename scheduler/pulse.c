#include "scheduler/pulse.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 8, NAME_MAX_BYTES = 100 };

/* An abstract name begins with a zero byte and has no terminator (unix(7)). */
static socklen_t address_of(struct sockaddr_un *out, const char *name)
{
    size_t len = strnlen(name, NAME_MAX_BYTES);

    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path + 1, name, len);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

mr_status mr_pulse_listen(int *out, const char *name)
{
    struct sockaddr_un address;
    socklen_t len = address_of(&address, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mr_status status;

    if (fd < 0)
        return MR_UNAVAILABLE;
    if (bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, BACKLOG) == 0) {
        *out = fd;
        return MR_OK;
    }
    status = errno == EADDRINUSE ? MR_CONFLICT : MR_UNAVAILABLE;
    close(fd);
    return status;
}

void mr_pulse_answer(int fd, struct mr_slice line)
{
    int client;

    while ((client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        (void)!send(client, line.data, line.len, MSG_NOSIGNAL);
        close(client);
    }
}

mr_status mr_pulse_ask(const char *name, int timeout_ms, char *out, size_t room)
{
    const struct timeval patience = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
    struct sockaddr_un address;
    socklen_t address_len = address_of(&address, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t got;

    if (fd < 0)
        return MR_UNAVAILABLE;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, address_len) != 0) {
        close(fd);
        return errno == EAGAIN ? MR_TIMEOUT : MR_NOT_FOUND;
    }
    while (len < room - 1 && (got = read(fd, out + len, room - 1 - len)) > 0)
        len += (size_t)got;
    close(fd);
    out[len] = '\0';
    return len > 0 ? MR_OK : MR_TIMEOUT;
}
