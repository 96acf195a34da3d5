#include "app/crew.h"

#include "actors/auth.h"
#include "actors/data_reader.h"
#include "actors/data_writer.h"
#include "actors/work.h"
#include "jobs/job.h"

static mr_status start(struct mr_crew *self, const struct mr_actor_spec *spec, enum mr_lane lane, unsigned instance,
                       const struct mr_config *config)
{
    mr_status status = mr_actor_start(&self->actors[self->count], spec, lane, instance, config, &mr_system_clock);

    self->count += status == MR_OK;
    return status;
}

/* Those that were started get ready side by side; also when others could not be started. */
static void await_all(const struct mr_crew *self)
{
    for (unsigned i = 0; i < self->count; i++)
        mr_actor_await(self->actors[i]);
}

mr_status mr_crew_start_api(struct mr_crew *self, const struct mr_config *config)
{
    static const struct mr_actor_spec *const specs[] = {&mr_auth_spec, &mr_data_reader_spec, &mr_data_writer_spec,
                                                        &mr_work_spec};
    mr_status status = MR_OK;

    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
        for (int lane = 0; lane < MR_LANE_COUNT; lane++) {
            unsigned instances = mr_actor_instances(config, specs[i]->id, (enum mr_lane)lane);

            for (unsigned instance = 0; instance < instances && status == MR_OK; instance++)
                status = start(self, specs[i], (enum mr_lane)lane, instance, config);
        }
    return status;
}

mr_status mr_crew_await_api(struct mr_crew *self, const struct mr_config *config, mr_status started)
{
    await_all(self);
    return started == MR_OK ? mr_usernames_start(&self->usernames, config, &mr_system_clock) : started;
}

mr_status mr_crew_start_jobs(struct mr_crew *self, const struct mr_config *config)
{
    mr_status status = MR_OK;

    for (unsigned i = 0; i < mr_actor_instances(config, MR_ACTOR_JOB, MR_LANE_QUICK) && status == MR_OK; i++)
        status = start(self, &mr_job_spec, MR_LANE_QUICK, i, config);
    await_all(self);
    return status;
}

void mr_crew_ask_to_stop(struct mr_crew *self)
{
    for (unsigned i = 0; i < self->count; i++)
        mr_actor_ask_to_stop(self->actors[i]);
}

bool mr_crew_stop_by(struct mr_crew *self, int64_t deadline_ms)
{
    mr_crew_ask_to_stop(self);
    while (self->count > 0 && mr_actor_stop_by(&self->actors[self->count - 1], deadline_ms))
        self->count--;
    return self->count == 0 && mr_usernames_stop_by(&self->usernames, deadline_ms);
}

bool mr_crew_is_refused(const struct mr_crew *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (atomic_load(&self->actors[i]->stats.refused))
            return true;
    return false;
}
