#include "runtime/backoff.h"

#include <sodium.h>

static int64_t jittered(int64_t pause_ms)
{
    int64_t quarter = pause_ms / 4;

    return pause_ms - quarter + randombytes_uniform((uint32_t)(2 * quarter + 1));
}

int64_t mr_backoff_fail(struct mr_backoff *self, int64_t now_ms)
{
    if (self->pause_ms == 0) {
        self->since_ms = now_ms;
        self->pause_ms = MR_BACKOFF_LEAST_MS;
    } else if (self->pause_ms < MR_BACKOFF_MOST_MS / 2) {
        self->pause_ms *= 2;
    } else {
        self->pause_ms = MR_BACKOFF_MOST_MS;
    }
    self->until_ms = now_ms + jittered(self->pause_ms);
    return self->until_ms - now_ms;
}

void mr_backoff_succeed(struct mr_backoff *self)
{
    *self = (struct mr_backoff){0};
}

bool mr_backoff_is_over(const struct mr_backoff *self, int64_t now_ms)
{
    return self->pause_ms == 0 || now_ms >= self->until_ms;
}

int64_t mr_backoff_failing_ms(const struct mr_backoff *self, int64_t now_ms)
{
    if (self->pause_ms == 0)
        return 0;
    return now_ms > self->since_ms ? now_ms - self->since_ms : 1;
}
