#include "app/activation.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, MOST = 16 };

/* How many were brought, for this process and none that it comes from. */
static int count_of(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    long number = count != NULL ? strtol(count, NULL, 10) : 0;

    if (pid == NULL || strtol(pid, NULL, 10) != (long)getpid() || number < 0 || number > MOST)
        return 0;
    return (int)number;
}

/* The `index`th of "api:admin" is `name`. */
static bool is_named(int index, const char *name)
{
    const char *at = getenv("LISTEN_FDNAMES");

    if (at == NULL)
        return index == 0 && strcmp(name, "api") == 0;
    for (int i = 0; i < index && at != NULL; i++) {
        at = strchr(at, ':');
        at = at != NULL ? at + 1 : NULL;
    }
    return at != NULL && strcspn(at, ":") == strlen(name) && strncmp(at, name, strlen(name)) == 0;
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t length = sizeof listening;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

int mr_activation_take(const char *name)
{
    int count = count_of();

    for (int i = 0; i < count; i++)
        if (is_named(i, name) && is_listening(FIRST_FD + i)) {
            int fd = FIRST_FD + i;
            int flags = fcntl(fd, F_GETFL);

            fcntl(fd, F_SETFD, FD_CLOEXEC);
            fcntl(fd, F_SETFL, flags | O_NONBLOCK); /* another process may be quicker to accept */
            return fd;
        }
    return -1;
}

void mr_activation_ready(void)
{
    static const char word[] = "READY=1";
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path != NULL ? strlen(path) : 0;
    int fd;

    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '@' && path[0] != '/'))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, word, sizeof word - 1, MSG_NOSIGNAL, (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}
