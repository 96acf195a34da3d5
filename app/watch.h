/*
 * watch: notices that the files of an application's folder have changed.
 *
 * inotify says when to look; what has changed is decided by a look at the files themselves, so that no event is missed that came
 * before its folder was watched, and none is needed where the file system sends none (network, mounts into containers). Editors
 * that write another file and rename it, and bursts of any length, are one change.
 *
 * Thread: one.
 */
#ifndef MR_APP_WATCH_H
#define MR_APP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/status.h"

/* How long files have to be still before they are read, and the longest that is waited for it. */
enum { MR_WATCH_QUIET_MS = 100, MR_WATCH_LONGEST_MS = 500 };

struct mr_watch;

/*
 * Begins to watch a folder, which is borrowed; the caller destroys it. MR_UNAVAILABLE: the system gives no inotify, and errno
 * says why.
 */
mr_status mr_watch_new(struct mr_watch **out, const char *folder) MR_WARN_UNUSED;

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_watch_destroy(struct mr_watch **self);

/* A descriptor that becomes readable when mr_watch_look should be called. Borrowed. */
int mr_watch_fd(const struct mr_watch *self);

/*
 * Checks the folder at `now_ms` (monotonic). True: the files differ from those when it last returned true, and have not changed
 * for MR_WATCH_QUIET_MS, or have kept changing for MR_WATCH_LONGEST_MS. The first call returns true.
 */
bool mr_watch_look(struct mr_watch *self, int64_t now_ms);

/* Milliseconds until mr_watch_look has to be called even if nothing changes. */
int mr_watch_timeout_ms(const struct mr_watch *self, int64_t now_ms);

#endif
