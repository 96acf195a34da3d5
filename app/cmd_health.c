#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/settings.h"
#include "runtime/dial.h"
#include "scheduler/pulse.h"

enum { PATIENCE_MS = 3000 };

/* The whole answer; the server closes after it. */
static size_t ask(int fd, char *answer, size_t room)
{
    static const char request[] = "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    size_t len = 0;
    ssize_t got;

    if (write(fd, request, sizeof request - 1) != (ssize_t)sizeof request - 1)
        return 0;
    while (len < room - 1 && (got = read(fd, answer + len, room - 1 - len)) > 0)
        len += (size_t)got;
    answer[len] = '\0';
    return len;
}

/* Every address of this machine is reached by way of loopback; another one only when APP_HOST names it. */
static const char *host_of(const struct mr_config *config)
{
    if (strcmp(config->app_host, "::") == 0 || strcmp(config->app_host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return config->app_host;
}

/* What came of asking. */
enum { WELL, UNWELL, NOBODY };

static int ask_api(const struct mr_config *config)
{
    char answer[8192];
    char port[8];
    const char *body;
    size_t len;
    int fd;

    snprintf(port, sizeof port, "%d", (int)config->app_port);
    fd = mr_dial(host_of(config), port, false, PATIENCE_MS);
    if (fd < 0)
        return NOBODY;
    len = ask(fd, answer, sizeof answer);
    close(fd);
    if (len == 0) {
        fprintf(stderr, "millrace health: no answer on %s port %s\n", host_of(config), port);
        return UNWELL;
    }
    body = strstr(answer, "\r\n\r\n");
    puts(body != NULL ? body + 4 : answer);
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 ? WELL : UNWELL;
}

static int ask_scheduler(const struct mr_config *config)
{
    char answer[512];
    mr_status status = mr_pulse_ask(config->health_socket, PATIENCE_MS, answer, sizeof answer);

    if (status == MR_OK) {
        fputs(answer, stdout);
        return strstr(answer, "\"status\":\"ok\"") != NULL ? WELL : UNWELL;
    }
    if (status != MR_TIMEOUT)
        return NOBODY;
    fputs("millrace health: the scheduler does not answer\n", stderr);
    return UNWELL;
}

/* A process with a port is an API, one without a scheduler; who has set APP_PORT most likely means the former. */
int mr_command_health(int argc, char **argv)
{
    struct mr_config config;
    const char *port = mr_environment("APP_PORT");
    bool api_first;
    int result;

    if (!mr_no_arguments("health", argc, argv) || !mr_load_settings(&config, MR_RUN_HEALTH))
        return MR_EXIT_USAGE;
    api_first = port != NULL && *port != '\0';
    result = api_first ? ask_api(&config) : ask_scheduler(&config);
    if (result == NOBODY)
        result = api_first ? ask_scheduler(&config) : ask_api(&config);
    if (result == NOBODY)
        fprintf(stderr, "millrace health: no API answers on %s port %d, and no scheduler on the socket @%s\n", host_of(&config),
                (int)config.app_port, config.health_socket);
    return result == WELL ? MR_EXIT_OK : MR_EXIT_FAILED;
}
