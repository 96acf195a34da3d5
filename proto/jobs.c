#include "proto/jobs.h"

#include <string.h>

enum { SQL, CODE };

/* Housekeeping is for where nothing is scheduled: it deletes what cleanup does of the engine, and sees to what removal left behind. */
static const char *const by_housekeeping[] = {"cleanup__", "removal__overdue", NULL};

/* clang-format off */
static const struct mr_job_info jobs[] = {
#define JOB(job, cron_setting, together, is_alone, who, by, how, what) \
    [MR_JOB_##job] = {.name = #job,                                    \
                      .cron = (cron_setting),                          \
                      .at_once = (together),                           \
                      .exclusive = (is_alone),                         \
                      .starter = MR_STARTED_BY_##who,                  \
                      .pace = MR_PACE_##how,                           \
                      .by_code = (by) == CODE,                         \
                      .about = (what)},
    MR_JOBS(JOB)
#undef JOB
    /* Traits of few. Imports of a removed user end before their rows are looked for. */
    [MR_JOB_cleanup].takes_more = true,
    [MR_JOB_removal].takes_more = true,
    [MR_JOB_removal].added_behind = "removal__runs",
    [MR_JOB_housekeeping].takes_more = true,
    [MR_JOB_housekeeping].also = by_housekeeping,
};
/* clang-format on */

/* The rows with what an application has added. */
static struct mr_job_info extended[MR_JOB_COUNT];
static bool is_extended[MR_JOB_COUNT];

static const struct mr_job_info *installed;
static unsigned installed_count;

void mr_jobs_install(const struct mr_job_info *own, unsigned count)
{
    installed = own;
    installed_count = own != NULL ? count : 0;
}

static const struct mr_job_kind *installed_kinds;
static unsigned installed_kind_count;

void mr_job_kinds_install(const struct mr_job_kind *kinds, unsigned count)
{
    installed_kinds = kinds;
    installed_kind_count = kinds != NULL ? count : 0;
}

const struct mr_job_kind *mr_job_kinds(unsigned *count)
{
    *count = installed_kind_count;
    return installed_kinds;
}

void mr_jobs_add_to(const struct mr_job_addition *additions, unsigned count)
{
    for (int job = 0; job < MR_JOB_COUNT; job++)
        is_extended[job] = false;
    for (unsigned i = 0; i < count; i++) {
        enum mr_job job = additions[i].job;

        extended[job] = jobs[job];
        extended[job].added = additions[i].statements;
        extended[job].args = additions[i].args;
        extended[job].rules = additions[i].rules;
        is_extended[job] = true;
    }
}

bool mr_job_does(const struct mr_job_info *job, const char *statement)
{
    size_t len = strlen(job->name);

    if (strncmp(statement, job->name, len) == 0 && strncmp(statement + len, "__", 2) == 0)
        return true;
    for (const char *const *also = job->also; also != NULL && *also != NULL; also++)
        if (strncmp(statement, *also, strlen(*also)) == 0)
            return true;
    return false;
}

bool mr_job_takes_more(enum mr_job job)
{
    return mr_job_info(job)->takes_more;
}

unsigned mr_job_count(void)
{
    return MR_JOB_COUNT + installed_count;
}

bool mr_job_find(struct mr_slice name, enum mr_job *out)
{
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (mr_slice_is(name, mr_job_info((enum mr_job)job)->name)) {
            *out = (enum mr_job)job;
            return true;
        }
    return false;
}

const struct mr_job_info *mr_job_info(enum mr_job job)
{
    if (job >= MR_JOB_COUNT)
        return &installed[job - MR_JOB_COUNT];
    return is_extended[job] ? &extended[job] : &jobs[job];
}
