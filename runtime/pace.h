/*
 * pace: when the next batch may be sent while others are in flight.
 *
 * Overlapping pays where the way to the server takes long. Where it does not, one batch at a time is better: what arrives
 * meanwhile becomes one statement. So the round trip is measured alone, without the statement's own time, by an empty
 * request that the server answers at once (a "probe"); and only when statements took long enough for it to matter.
 *
 * With a long way, batches leave at even intervals, `limit` to a round trip, but no faster than the server works them off:
 * more would only wait there, as smaller batches. None follows one that is stuck.
 *
 * Times are milliseconds of one monotonic clock. Thread: its owner's.
 */
#ifndef MR_RUNTIME_PACE_H
#define MR_RUNTIME_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* A round trip from MR_PACE_LEAST_MS on is a long way, when MR_PACE_PROBES in a row say so. */
enum { MR_PACE_LEAST_MS = 3, MR_PACE_PROBES = 4 };

struct mr_pace {
    unsigned limit; /* batches in flight at most; 1: they never overlap */
    int64_t trips_ms[MR_PACE_PROBES];
    unsigned probes;    /* in a row that were long */
    int64_t probed_ms;  /* when the last probe came back */
    bool suspicious;    /* the last batch that was alone took as long as a long way */
    int64_t service_16; /* what the server needs for a batch, a sixteenth of a millisecond; smoothed */
    int64_t sent_ms;
    int64_t landed_ms;
};

/* Begins without knowledge of the round trip. `limit`: most batches in flight. */
void mr_pace_init(struct mr_pace *self, unsigned limit);

/* Whether the round trip is long, so that batches may overlap. */
bool mr_pace_is_long(const struct mr_pace *self);

/* The shortest of the latest measured round trips, in milliseconds; 0 unless the round trip is long. */
int64_t mr_pace_trip_ms(const struct mr_pace *self);

/* Whether the next batch that is sent while none is in flight should be preceded by a probe. `now_ms`: monotonic. */
bool mr_pace_wants_probe(const struct mr_pace *self, int64_t now_ms);

/* Notes that a probe returned after `took_ms`. */
void mr_pace_note_probe(struct mr_pace *self, int64_t took_ms, int64_t now_ms);

/* Notes that a statement with nothing else in flight took `took_ms`. */
void mr_pace_note_alone(struct mr_pace *self, int64_t took_ms);

/* Notes that a batch was sent at `now_ms` (monotonic). */
void mr_pace_note_sent(struct mr_pace *self, int64_t now_ms);

/* Notes that the batch sent at `sent_ms` returned at `now_ms` (both monotonic). */
void mr_pace_note_landed(struct mr_pace *self, int64_t sent_ms, int64_t now_ms);

/*
 * Milliseconds until a batch may be sent, given that `in_flight` are under way, the oldest since `oldest_ms`; -1: not before one
 * returns.
 */
int64_t mr_pace_due_in_ms(const struct mr_pace *self, unsigned in_flight, int64_t oldest_ms, int64_t now_ms);

#endif
