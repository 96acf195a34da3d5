/*
 * distance: puts a database far away: a socket of its own in front of the server's, which delays what passes, holds it back
 * or breaks.
 *
 * Thread: one of its own passes the bytes on; any may call.
 */
#ifndef MR_TESTS_SUPPORT_DISTANCE_H
#define MR_TESTS_SUPPORT_DISTANCE_H

#include "runtime/config.h"

struct distance;

/* Leads `config` through a distance of `delay_ms` each way. */
struct distance *distance_new(struct mr_config *config, int64_t delay_ms);
void distance_destroy(struct distance **self);

/* Nobody gets through any more. What `config` names lasts until it is destroyed. */
void distance_end(struct distance *self);

/* Keeps what is under way to the server, or from it, until told otherwise. */
void distance_hold_requests(struct distance *self, bool hold);
void distance_hold_answers(struct distance *self, bool hold);

/* Breaks every connection; what is on its way is lost. Returns when that is done. */
void distance_cut(struct distance *self);

#endif
