#include "runtime/pace.h"

/*
 * SERIES_MS: pause between series of probes as long as the way turns out to be short. RENEW_MS: between probes of a long one.
 * SLACK_MS: what a batch may be late before it counts as stuck.
 */
enum { SERIES_MS = 1000, RENEW_MS = 100, SLACK_MS = 10 };

void mr_pace_init(struct mr_pace *self, unsigned limit)
{
    *self = (struct mr_pace){.limit = limit, .probed_ms = INT64_MIN / 2};
}

bool mr_pace_is_long(const struct mr_pace *self)
{
    return self->limit > 1 && self->probes >= MR_PACE_PROBES;
}

int64_t mr_pace_trip_ms(const struct mr_pace *self)
{
    int64_t least = self->trips_ms[0];

    if (!mr_pace_is_long(self))
        return 0;
    for (unsigned i = 1; i < MR_PACE_PROBES; i++)
        if (self->trips_ms[i] < least)
            least = self->trips_ms[i];
    return least;
}

bool mr_pace_wants_probe(const struct mr_pace *self, int64_t now_ms)
{
    int64_t since_ms = now_ms - self->probed_ms;

    if (self->limit <= 1)
        return false;
    if (mr_pace_is_long(self))
        return since_ms >= RENEW_MS;
    return self->probes > 0 || (self->suspicious && since_ms >= SERIES_MS);
}

/* One that is short decides: then the others were long for another reason. */
void mr_pace_note_probe(struct mr_pace *self, int64_t took_ms, int64_t now_ms)
{
    self->probed_ms = now_ms;
    if (took_ms < MR_PACE_LEAST_MS) {
        self->probes = 0;
        return;
    }
    self->trips_ms[self->probes % MR_PACE_PROBES] = took_ms;
    self->probes++;
}

void mr_pace_note_alone(struct mr_pace *self, int64_t took_ms)
{
    self->suspicious = took_ms >= MR_PACE_LEAST_MS;
}

void mr_pace_note_sent(struct mr_pace *self, int64_t now_ms)
{
    self->sent_ms = now_ms;
}

/* The server began with it when it arrived there, or when it was done with the one before. */
void mr_pace_note_landed(struct mr_pace *self, int64_t sent_ms, int64_t now_ms)
{
    int64_t begun_ms = sent_ms + mr_pace_trip_ms(self);
    int64_t service_ms;

    if (begun_ms < self->landed_ms)
        begun_ms = self->landed_ms;
    service_ms = now_ms > begun_ms ? now_ms - begun_ms : 0;
    self->service_16 += (service_ms * 16 - self->service_16) / 4;
    self->landed_ms = now_ms;
}

int64_t mr_pace_due_in_ms(const struct mr_pace *self, unsigned in_flight, int64_t oldest_ms, int64_t now_ms)
{
    int64_t service_ms = self->service_16 / 16;
    int64_t trip_ms = mr_pace_trip_ms(self);
    int64_t interval_ms;
    int64_t left_ms;

    if (in_flight == 0)
        return 0;
    if (trip_ms == 0 || in_flight >= self->limit || now_ms - oldest_ms > 2 * (trip_ms + service_ms) + SLACK_MS)
        return -1;
    interval_ms = trip_ms / self->limit;
    if (interval_ms < service_ms)
        interval_ms = service_ms;
    if (interval_ms < 1)
        interval_ms = 1;
    left_ms = self->sent_ms + interval_ms - now_ms;
    return left_ms > 0 ? left_ms : 0;
}
