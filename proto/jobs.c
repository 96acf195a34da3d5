#include "proto/jobs.h"

enum { SQL, CODE };

static const struct mr_job_info jobs[] = {
#define JOB(name, cron, at_once, alone, starter, work, about) \
    [MR_JOB_##name] = {#name, cron, at_once, alone, MR_STARTED_BY_##starter, (work) == CODE, about, NULL, NULL, NULL, NULL},
    MR_JOBS(JOB)
#undef JOB
};

static const struct mr_job_info *installed;
static unsigned installed_count;

void mr_jobs_install(const struct mr_job_info *own, unsigned count)
{
    installed = own;
    installed_count = own != NULL ? count : 0;
}

unsigned mr_job_count(void)
{
    return MR_JOB_COUNT + installed_count;
}

bool mr_job_is_served(enum mr_job job)
{
    return installed == NULL || (job != MR_JOB_aggregate && job != MR_JOB_report);
}

const struct mr_job_info *mr_job_info(enum mr_job job)
{
    return job < MR_JOB_COUNT ? &jobs[job] : &installed[job - MR_JOB_COUNT];
}
