#include "proto/jobs.h"

enum { SQL, CODE };

static const struct mr_job_info jobs[] = {
#define JOB(name, cron, at_once, alone, starter, work, about) \
    [MR_JOB_##name] = {#name, cron, at_once, alone, MR_STARTED_BY_##starter, (work) == CODE, about},
    MR_JOBS(JOB)
#undef JOB
};

const struct mr_job_info *mr_job_info(enum mr_job job)
{
    return &jobs[job];
}
