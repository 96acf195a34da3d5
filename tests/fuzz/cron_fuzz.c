/* Bytes as a cron expression; the ticks of one that is taken come in order, on whole seconds. */
#include <string.h>

#include "scheduler/cron.h"
#include "scheduler/zone.h"
#include "tests/fuzz/fuzz.h"

static const struct mr_zone *lord_howe(void)
{
    static struct mr_zone *zone;

    if (zone == NULL)
        must(mr_zone_new(&zone, "Australia/Lord_Howe") == MR_OK);
    return zone;
}

static void check_ticks(const struct mr_cron *cron)
{
    int64_t at = INT64_C(1728143999500); /* an hour and a half before a change of clocks */

    for (int i = 0; i < 4; i++) {
        int64_t after = at;

        if (!mr_cron_next(cron, lord_howe(), after, &at))
            return;
        must(at > after && at % 1000 == 0);
    }
}

static void check_problem(const struct mr_cron_problem *problem, size_t size)
{
    must(problem->position >= 1 && problem->position <= size + 1);
    must(memchr(problem->reason, '\0', sizeof problem->reason) != NULL && problem->reason[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_cron cron;
    struct mr_cron_problem problem;

    if (mr_cron_parse(&cron, (struct mr_slice){(const char *)data, size}, &problem))
        check_ticks(&cron);
    else
        check_problem(&problem, size);
    return 0;
}
