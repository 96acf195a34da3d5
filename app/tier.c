#include "app/tier.h"

#include <unistd.h>

#include "jobs/job.h"

static bool is_awake(void *scheduler)
{
    return mr_scheduler_is_awake(scheduler);
}

static mr_status start_push(struct mr_tier *self, const struct mr_config *config)
{
    struct mr_push_options options = {
        .config = config, .clock = &mr_system_clock, .is_awake = is_awake, .argument = self->scheduler};

    return mr_push_start(&self->push, &options);
}

mr_status mr_tier_start(struct mr_tier *self, const struct mr_config *config, const struct mr_zone *zone, int pulse_fd)
{
    mr_status status = mr_crew_start_jobs(&self->crew, config);

    if (status != MR_OK) {
        if (pulse_fd >= 0)
            close(pulse_fd);
        return status;
    }
    self->options = (struct mr_scheduler_options){
        .config = config,
        .clock = &mr_system_clock,
        .zone = zone,
        .actors = self->crew.actors,
        .actor_count = self->crew.count,
        .pulse_fd = pulse_fd,
    };
    for (unsigned job = 0; job < mr_job_count(); job++)
        self->options.is_on[job] = mr_job_is_on((enum mr_job)job, config);
    status = mr_scheduler_start(&self->scheduler, &self->options);
    return status == MR_OK ? start_push(self, config) : status;
}

void mr_tier_ask_to_stop(struct mr_tier *self)
{
    mr_crew_ask_to_stop(&self->crew);
    if (self->scheduler != NULL)
        mr_scheduler_ask_to_stop(self->scheduler);
    if (self->push != NULL)
        mr_push_ask_to_stop(self->push);
}

/* The scheduler reads the actors' figures, so it ends before they do; they may owe it an answer, so its mailbox outlives them. Push asks whether it is awake. */
bool mr_tier_stop_by(struct mr_tier *self, int64_t deadline_ms)
{
    mr_tier_ask_to_stop(self);
    if (!mr_scheduler_stop_by(self->scheduler, deadline_ms) || !mr_crew_stop_by(&self->crew, deadline_ms) ||
        !mr_push_stop_by(&self->push, deadline_ms))
        return false;
    mr_scheduler_destroy(&self->scheduler);
    return true;
}

bool mr_tier_is_refused(const struct mr_tier *self)
{
    return mr_crew_is_refused(&self->crew) || (self->scheduler != NULL && mr_scheduler_is_refused(self->scheduler)) ||
           (self->push != NULL && mr_push_is_refused(self->push));
}
