#include "scheduler/schedule.h"

enum { LATE_MS = 1000 };

static const int64_t day_ms = INT64_C(86400000);

enum mr_missed mr_missed_of(const char *word)
{
    return strcmp(word, "skip") == 0 ? MR_MISSED_SKIP : strcmp(word, "all") == 0 ? MR_MISSED_ALL : MR_MISSED_ONCE;
}

static int64_t next_after(const struct mr_schedule *self, const struct mr_zone *zone, int64_t after_ms)
{
    int64_t next_ms;

    return mr_cron_next(&self->cron, zone, after_ms, &next_ms) ? next_ms : INT64_MAX;
}

void mr_schedule_move(struct mr_schedule *self, const struct mr_zone *zone, int64_t seen_to_ms)
{
    self->seen_to_ms = seen_to_ms;
    self->next_ms = next_after(self, zone, seen_to_ms);
}

void mr_schedule_rewind(struct mr_schedule *self, const struct mr_zone *zone, int64_t now_ms)
{
    if (self->next_ms != INT64_MAX && now_ms < self->seen_to_ms)
        mr_schedule_move(self, zone, now_ms);
}

static void add(struct mr_ticks *out, int64_t tick_ms, int64_t now_ms)
{
    out->tick_ms[out->count++] = tick_ms;
    out->late += now_ms - tick_ms > LATE_MS;
    out->seen_to_ms = tick_ms;
}

/* The last tick in (from, to], looked for backwards in growing strides; 0 when there is none. */
static int64_t last_tick(const struct mr_schedule *self, const struct mr_zone *zone, int64_t from_ms, int64_t to_ms)
{
    for (int64_t stride_ms = 60000;; stride_ms *= 8) {
        int64_t begin_ms = to_ms - from_ms > stride_ms ? to_ms - stride_ms : from_ms;
        int64_t last_ms = 0;

        for (int64_t t = next_after(self, zone, begin_ms); t <= to_ms; t = next_after(self, zone, t))
            last_ms = t;
        if (last_ms != 0 || begin_ms == from_ms)
            return last_ms;
    }
}

static unsigned count_ticks(const struct mr_schedule *self, const struct mr_zone *zone, int64_t from_ms, int64_t to_ms)
{
    unsigned count = 0;

    for (int64_t t = from_ms; t <= to_ms && count < MR_TICKS_MOST; t = next_after(self, zone, t))
        count++;
    return count;
}

/* Returns the moment behind which ticks are no longer missed. */
static int64_t see_to_missed(const struct mr_schedule *self, const struct mr_zone *zone, int64_t now_ms, enum mr_missed policy,
                             struct mr_ticks *out)
{
    int64_t cut_ms = now_ms - MR_TICK_LATE_MS - 1;
    int64_t first_ms = self->next_ms;
    int64_t last_ms;

    if (policy == MR_MISSED_ALL && first_ms > now_ms - day_ms)
        return self->seen_to_ms;
    if (policy == MR_MISSED_ALL)
        cut_ms = now_ms - day_ms;
    out->missed = count_ticks(self, zone, first_ms, cut_ms);
    out->seen_to_ms = cut_ms;
    last_ms = policy == MR_MISSED_ONCE ? last_tick(self, zone, self->seen_to_ms, cut_ms) : 0;
    if (last_ms != 0) {
        out->missed--;
        add(out, last_ms, now_ms);
    }
    return cut_ms;
}

bool mr_schedule_due(const struct mr_schedule *self, const struct mr_zone *zone, int64_t now_ms, enum mr_missed policy,
                     struct mr_ticks *out)
{
    int64_t from_ms = self->seen_to_ms;

    out->count = out->late = out->missed = 0;
    out->seen_to_ms = self->seen_to_ms;
    if (self->next_ms > now_ms)
        return false;
    if (self->next_ms < now_ms - MR_TICK_LATE_MS)
        from_ms = see_to_missed(self, zone, now_ms, policy, out);
    for (int64_t t = next_after(self, zone, from_ms); t <= now_ms && out->count < MR_TICKS_MOST; t = next_after(self, zone, t))
        add(out, t, now_ms);
    return true;
}
