/*
 * activation: sockets that somebody else has opened for this process, and the word that it serves.
 *
 * systemd's two protocols: sd_listen_fds(3) and sd_notify(3). With them a process takes over a port on which nothing is refused
 * meanwhile, and who started it knows when it is there. `millrace dev` uses them to replace a server by the next; a .socket unit and
 * Type=notify work as well.
 */
#ifndef MR_APP_ACTIVATION_H
#define MR_APP_ACTIVATION_H

#include <stdbool.h>

/*
 * The listening socket of that name ("api", "admin") that LISTEN_FDS has brought for this process, which the caller owns; -1: there is
 * none. One without a name is "api".
 */
int mr_activation_take(const char *name);

/* Tells NOTIFY_SOCKET, if there is one, that this process serves. */
void mr_activation_ready(void);

#endif
