/*
 * The zones of jobs that name one for themselves.
 */
#include "scheduler/zone.h"

static struct mr_zone *zones[MR_JOBS_MAX];

mr_status mr_job_zones_open(struct mr_buf *problems)
{
    mr_status status = MR_OK;

    for (unsigned job = 0; job < mr_job_count(); job++) {
        const struct mr_job_info *info = mr_job_info((enum mr_job)job);
        mr_status opened;

        mr_zone_destroy(&zones[job]);
        if (info->timezone == NULL)
            continue;
        opened = mr_zone_new(&zones[job], info->timezone);
        if (opened == MR_NO_MEMORY)
            return opened;
        if (opened == MR_OK)
            continue;
        mr_buf_printf(problems,
                      "job %s: there is no time zone %s, expected one of the IANA database such as UTC or Europe/Berlin\n",
                      info->name, info->timezone);
        status = MR_INVALID;
    }
    return status;
}

const struct mr_zone *mr_job_zone(enum mr_job job, const struct mr_zone *usual)
{
    return zones[job] != NULL ? zones[job] : usual;
}
