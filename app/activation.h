/*
 * activation: listening sockets that another process has opened for this one, and the report that it serves.
 *
 * systemd's two protocols: sd_listen_fds(3) and sd_notify(3). With them a process takes over a port without refusing a client in
 * between, and its parent knows when it serves. `millrace dev` uses them to replace a server by the next; a .socket unit and
 * Type=notify work as well.
 */
#ifndef MR_APP_ACTIVATION_H
#define MR_APP_ACTIVATION_H

#include <stdbool.h>

/*
 * The listening socket of that name ("api", "admin") that LISTEN_FDS passes to this process; the caller owns it. -1: there is
 * none. A socket without a name is "api".
 */
int mr_activation_take(const char *name);

/* Reports to NOTIFY_SOCKET, if it is set, that this process serves. */
void mr_activation_ready(void);

#endif
