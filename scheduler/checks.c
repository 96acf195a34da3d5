#include "proto/jobs.h"
#include "runtime/clock.h"
#include "runtime/config.h"
#include "scheduler/cron.h"
#include "scheduler/internal.h"
#include "scheduler/zone.h"

static bool is_cron(const char *value, struct mr_buf *reason)
{
    struct mr_cron_problem problem;
    struct mr_cron cron;

    if (mr_cron_parse(&cron, mr_slice_of(value), &problem))
        return true;
    mr_buf_printf(reason, "at character %zu: %s", problem.position, problem.reason);
    return false;
}

static bool is_zone(const char *value, struct mr_buf *reason)
{
    struct mr_zone *zone = NULL;
    bool good = mr_zone_new(&zone, value) == MR_OK;

    if (!good)
        mr_buf_text(reason, "expected the name of a time zone in the IANA database, such as UTC or Europe/Berlin");
    mr_zone_destroy(&zone);
    return good;
}

/* Says so when no tick of the job can come in the zone that it follows. */
static void check_ticks(const struct mr_config *config, enum mr_job job, const struct mr_zone *usual, int64_t now_ms,
                        struct mr_buf *problems)
{
    const struct mr_job_info *info = mr_job_info(job);
    const char *text = ticks_expression(config, job);
    struct mr_cron_problem ignored;
    struct mr_cron cron;
    int64_t next_ms;

    if (*text == '\0' || !mr_cron_parse(&cron, mr_slice_of(text), &ignored) ||
        mr_cron_next(&cron, mr_job_zone(job, usual), now_ms, &next_ms))
        return;
    if (info->schedule == NULL && info->cron != NULL)
        mr_buf_printf(problems, "%s=%s", info->cron, text);
    else
        mr_buf_printf(problems, "job %s: cron %s", info->name, text);
    mr_buf_printf(problems, ": expected a tick that can come in the zone %s\n", ticks_zone(config, job));
}

bool mr_scheduler_check(const struct mr_config *config, const struct mr_zone *zone, struct mr_buf *problems)
{
    size_t before = problems->len;
    mr_status opened = mr_job_zones_open(problems);
    int64_t now_ms = mr_wall_ms(&mr_system_clock); /* a tick of the past, before the zone had its rules of today, is none */

    for (unsigned job = 0; opened == MR_OK && job < mr_job_count(); job++)
        check_ticks(config, (enum mr_job)job, zone, now_ms, problems);
    return opened == MR_OK && problems->len == before;
}

const struct mr_config_check mr_scheduler_checks[] = {{"cron", is_cron}, {"timezone", is_zone}, {NULL, NULL}};
