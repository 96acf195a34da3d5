#include "runtime/metrics.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "proto/json.h"

enum { PERIOD_MS = 60000 };

enum kind { COUNT, LAST, MOST };

static const struct {
    const char *name;
    enum kind kind;
    const char *unit;
    const char *roles;
} table[] = {
#define M(name, cloudwatch, kind, unit, roles, about) [MR_METRIC_##name] = {cloudwatch, kind, unit, roles},
    MR_METRICS(M)
#undef M
};

static _Atomic uint64_t values[MR_METRIC_COUNT];
static uint64_t told[MR_METRIC_COUNT]; /* as of the last line; whoever has the minute's turn */
static _Atomic int64_t next_ms;
static const char *shown_roles = "AS";
static const char *shown_role = "all";
static bool is_wanted;

void mr_metric_add(enum mr_metric metric, uint64_t more)
{
    atomic_fetch_add_explicit(&values[metric], more, memory_order_relaxed);
}

void mr_metric_show(enum mr_metric metric, uint64_t value)
{
    uint64_t seen = atomic_load_explicit(&values[metric], memory_order_relaxed);

    if (table[metric].kind == LAST)
        atomic_store_explicit(&values[metric], value, memory_order_relaxed);
    else
        while (value > seen && !atomic_compare_exchange_weak(&values[metric], &seen, value)) {
        }
}

uint64_t mr_metric_value(enum mr_metric metric)
{
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

void mr_metrics_setup(const char *roles, const char *role, bool emf)
{
    shown_roles = roles;
    shown_role = role;
    is_wanted = emf;
}

static bool is_shown(int metric)
{
    return strpbrk(table[metric].roles, shown_roles) != NULL;
}

/* What there is to say of a metric; a maximum begins anew. */
static uint64_t take(int metric)
{
    uint64_t value = table[metric].kind == MOST ? atomic_exchange(&values[metric], 0) : atomic_load(&values[metric]);
    uint64_t before = told[metric];

    told[metric] = value;
    return table[metric].kind == COUNT ? value - before : value;
}

void mr_metrics_emf(struct mr_buf *out, int64_t wall_ms)
{
    char before = '[';

    mr_buf_printf(out,
                  "{\"_aws\":{\"Timestamp\":%lld,\"CloudWatchMetrics\":[{\"Namespace\":\"Millrace\",\"Dimensions\":[[\"Role\"]]"
                  ",\"Metrics\":",
                  (long long)wall_ms);
    for (int i = 0; i < MR_METRIC_COUNT; i++)
        if (is_shown(i)) {
            mr_buf_printf(out, "%c{\"Name\":\"%s\",\"Unit\":\"%s\"}", before, table[i].name, table[i].unit);
            before = ',';
        }
    mr_buf_printf(out, "]}]},\"Role\":\"%s\"", shown_role);
    for (int i = 0; i < MR_METRIC_COUNT; i++)
        if (is_shown(i))
            mr_buf_printf(out, ",\"%s\":%llu", table[i].name, (unsigned long long)take(i));
    mr_buf_text(out, "}\n");
}

void mr_metrics_tick(const struct mr_clock *clock)
{
    int64_t now_ms = mr_mono_ms(clock);
    int64_t due_ms = atomic_load(&next_ms);
    struct mr_buf line = {0};
    ssize_t written = 0;

    if (!is_wanted || now_ms < due_ms || !atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + PERIOD_MS) || due_ms == 0)
        return; /* the first call begins the first minute */
    mr_metrics_emf(&line, mr_wall_ms(clock));
    if (!line.failed)
        do
            written = write(STDERR_FILENO, line.data, line.len);
        while (written < 0 && errno == EINTR);
    mr_buf_fini(&line);
}
