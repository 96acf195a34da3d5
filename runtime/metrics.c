#include "runtime/metrics.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/json.h"
#include "proto/message.h"

enum { PERIOD_MS = 60000 };

#define COUNT MR_METRIC_IS_COUNT
#define LAST  MR_METRIC_IS_LAST
#define MOST  MR_METRIC_IS_MOST

static const struct mr_metric_info table[] = {
#define M(name, ...) [MR_METRIC_##name] = {__VA_ARGS__},
    MR_METRICS(M)
#undef M
};

const struct mr_metric_info *mr_metric_info(enum mr_metric metric)
{
    return &table[metric];
}

static _Atomic uint64_t values[MR_METRIC_COUNT];
static uint64_t told[MR_METRIC_COUNT]; /* as of the last line; whoever has the minute's turn */
static _Atomic int64_t next_ms;
static const char *shown_roles = "AS";
static const char *shown_role = "all";
static const char *shown_environment = "";
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

/* ---- Families ---- */

struct mr_families mr_families;

const struct mr_bounds mr_request_bounds = {
    {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000}, 13, 1000000};
const struct mr_bounds mr_database_bounds = {
    {250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000},
    15,
    1000000};
const struct mr_bounds mr_batch_bounds = {{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}, 11, 1};
const struct mr_bounds mr_run_bounds = {
    {10, 50, 100, 500, 1000, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000, 21600000}, 14, 1000};

static void observe(struct mr_histogram *self, const struct mr_bounds *kind, int64_t value)
{
    unsigned at = 0;

    while (at < kind->count && value > kind->bounds[at])
        at++;
    atomic_fetch_add_explicit(&self->buckets[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->sum, value > 0 ? (uint64_t)value : 0, memory_order_relaxed);
}

struct mr_op_family *mr_op_family(enum mr_op op)
{
    if (op < MR_OP_COUNT)
        return &mr_families.ops[op];
    return op != MR_OP_NONE && mr_families.more != NULL ? &mr_families.more[op - MR_OP_COUNT] : &mr_families.ops[MR_OP_COUNT];
}

/* What is left of a millisecond stays in `rest_us` for the next: many short times make a long one. */
static void add_time(enum mr_metric metric, int64_t took_us, uint64_t *rest_us)
{
    uint64_t sum_us = *rest_us + (took_us > 0 ? (uint64_t)took_us : 0);

    *rest_us = sum_us % 1000;
    if (sum_us >= 1000)
        mr_metric_add(metric, sum_us / 1000);
}

void mr_metric_request(enum mr_op op, int http, int64_t took_us)
{
    static _Thread_local uint64_t rest_us;
    struct mr_op_family *family = mr_op_family(op);
    int class = http / 100 - 2;

    mr_metric_add(MR_METRIC_requests, 1);
    if (http >= 400)
        mr_metric_add(http < 500 ? MR_METRIC_requests_4xx : MR_METRIC_requests_5xx, 1);
    add_time(MR_METRIC_request_ms_total, took_us, &rest_us);
    if (took_us >= 1000)
        mr_metric_show(MR_METRIC_request_ms_most, (uint64_t)took_us / 1000);
    if (class >= 0 && class < MR_STATUS_CLASSES)
        atomic_fetch_add_explicit(&family->requests[class], 1, memory_order_relaxed);
    observe(&family->request_us, &mr_request_bounds, took_us);
}

void mr_metric_batch(enum mr_actor_id actor, unsigned messages)
{
    mr_metric_add(MR_METRIC_messages, messages);
    mr_metric_add(MR_METRIC_batches, 1);
    observe(&mr_families.batch[actor], &mr_batch_bounds, messages);
}

void mr_metric_statement(enum mr_actor_id actor, int64_t took_us)
{
    mr_metric_add(MR_METRIC_db_us_total, took_us > 0 ? (uint64_t)took_us : 0);
    observe(&mr_families.database_us[actor], &mr_database_bounds, took_us);
}

void mr_metric_run(enum mr_job job, int64_t took_ms)
{
    mr_metric_add(MR_METRIC_run_ms_total, (uint64_t)took_ms);
    mr_metric_show(MR_METRIC_run_ms_most, (uint64_t)took_ms);
    observe(&mr_families.run_ms[job], &mr_run_bounds, took_ms);
}

void mr_metric_push(enum mr_push_end end, int http, int64_t took_us)
{
    static _Thread_local uint64_t rest_us;
    int class = http / 100 - 2;

    if (class >= 0 && class < MR_STATUS_CLASSES)
        atomic_fetch_add_explicit(&mr_families.push_answers[class], 1, memory_order_relaxed);
    mr_metric_add((enum mr_metric)(MR_METRIC_pushes_delivered + (int)end), 1);
    add_time(MR_METRIC_push_ms_total, took_us, &rest_us);
    mr_metric_show(MR_METRIC_push_ms_most, (uint64_t)took_us / 1000);
    observe(&mr_families.push_us[end], &mr_request_bounds, took_us);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : -1;
}

void mr_metric_sqlstate(const char *sqlstate)
{
    int first = digit(sqlstate[0]);
    int second = first >= 0 ? digit(sqlstate[1]) : -1;

    if (second < 0)
        return;
    mr_metric_add(MR_METRIC_db_errors, 1);
    atomic_fetch_add_explicit(&mr_families.database_errors[first * 36 + second], 1, memory_order_relaxed);
}

void mr_metric_job_waiting(enum mr_job job, uint64_t runs)
{
    atomic_store_explicit(&mr_families.jobs_waiting[job], runs, memory_order_relaxed);
}

void mr_metric_job_oldest(enum mr_job job, uint64_t ms)
{
    atomic_store_explicit(&mr_families.jobs_oldest_ms[job], ms, memory_order_relaxed);
}

/* ---- The line ---- */

void mr_metrics_setup(const char *roles, const char *role, bool emf)
{
    shown_roles = roles;
    shown_role = role;
    is_wanted = emf;
    free(mr_families.more);
    mr_families.more = mr_op_count() > MR_OP_COUNT ? calloc(mr_op_count() - MR_OP_COUNT, sizeof *mr_families.more) : NULL;
}

void mr_metrics_name_environment(const char *name)
{
    shown_environment = name;
}

bool mr_metrics_are_of(const char *roles)
{
    return strpbrk(roles, shown_roles) != NULL;
}

const char *mr_metrics_role(void)
{
    return shown_role;
}

static bool is_shown(int metric)
{
    return mr_metrics_are_of(table[metric].roles);
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

    mr_buf_printf(
        out,
        "{\"_aws\":{\"Timestamp\":%lld,\"CloudWatchMetrics\":[{\"Namespace\":\"Millrace\",\"Dimensions\":[[%s\"Role\"]]"
        ",\"Metrics\":",
        (long long)wall_ms, *shown_environment != '\0' ? "\"Environment\"," : "");
    for (int i = 0; i < MR_METRIC_COUNT; i++)
        if (is_shown(i)) {
            mr_buf_printf(out, "%c{\"Name\":\"%s\",\"Unit\":\"%s\"}", before, table[i].cloudwatch, table[i].unit);
            before = ',';
        }
    mr_buf_printf(out, "]}]},\"Role\":\"%s\"", shown_role);
    if (*shown_environment != '\0') {
        mr_buf_text(out, ",\"Environment\":");
        mr_json_string(out, mr_slice_of(shown_environment));
    }
    for (int i = 0; i < MR_METRIC_COUNT; i++)
        if (is_shown(i))
            mr_buf_printf(out, ",\"%s\":%llu", table[i].cloudwatch, (unsigned long long)take(i));
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
