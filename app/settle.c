#include "app/settle.h"

#include <stdlib.h>

#include "app/application.h"
#include "runtime/backoff.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/needs.h"
#include "runtime/thread.h"

enum { LOOK_MS = 500 };

struct mr_settle {
    const struct mr_config *config;
    struct mr_backoff backoff;
    mr_thread *thread;
};

/* Milliseconds until the next look; less than 0: it is settled. */
static int64_t look(struct mr_settle *self)
{
    mr_status status;

    if (!mr_needs_were_met())
        return LOOK_MS;
    status = mr_application_settle_late(self->config);
    if (status == MR_OK)
        mr_log(MR_LOG_INFO, "queries answer batches");
    if (status == MR_OK || status == MR_NOT_FOUND)
        return -1;
    return mr_backoff_fail(&self->backoff, mr_mono_ms(&mr_system_clock));
}

static void work(mr_thread *thread, void *argument)
{
    struct mr_settle *self = argument;
    int64_t pause_ms = 0;

    mr_thread_ready(thread);
    while (pause_ms >= 0 && !mr_thread_asked_to_end(thread, (int)pause_ms))
        pause_ms = look(self);
}

mr_status mr_settle_start(struct mr_settle **out, const struct mr_config *config)
{
    struct mr_settle *self = calloc(1, sizeof *self);

    if (self == NULL)
        return MR_NO_MEMORY;
    self->config = config;
    self->thread = mr_thread_start("settle", work, self);
    if (self->thread == NULL) {
        free(self);
        return MR_NO_MEMORY;
    }
    *out = self;
    return MR_OK;
}

void mr_settle_ask_to_stop(struct mr_settle *self)
{
    if (self != NULL)
        mr_thread_ask_to_end(self->thread);
}

bool mr_settle_stop_by(struct mr_settle **self, int64_t deadline_ms)
{
    if (*self == NULL)
        return true;
    if (!mr_thread_stop_by(&(*self)->thread, deadline_ms))
        return false;
    free(*self);
    *self = NULL;
    return true;
}
