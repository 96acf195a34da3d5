#include "runtime/exposition.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/metrics.h"
#include "runtime/queues.h"

enum type { COUNTER, GAUGE, HISTOGRAM, INFO };

struct family {
    const char *name;
    enum type type;
    const char *roles;
    const char *about;
};

enum {
#define F(id, ...) FAMILY_##id,
    MR_METRIC_FAMILIES(F)
#undef F
        FAMILY_COUNT
};

static const struct family families[] = {
#define F(id, prometheus, type, labels, roles, about) [FAMILY_##id] = {prometheus, type, roles, about},
    MR_METRIC_FAMILIES(F)
#undef F
};

/* What is being written. */
struct page {
    struct mr_buf *out;
    const struct mr_exposition *facts;
    bool open_metrics;
};

/* ---- Lines ---- */

static const char *suffix_of(enum type type)
{
    return type == COUNTER ? "_total" : type == INFO ? "_info" : "";
}

/* OpenMetrics names the family without the suffix of its samples, and knows a type for what only informs. */
static void write_head(const struct page *page, const char *name, enum type type, const char *about)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "info"};
    const char *suffix = page->open_metrics ? "" : suffix_of(type);
    const char *unit = strrchr(name, '_') + 1;

    mr_buf_printf(page->out, "# HELP %s%s %c%s.\n", name, suffix, about[0] >= 'a' && about[0] <= 'z' ? about[0] - 32 : about[0],
                  about + 1);
    mr_buf_printf(page->out, "# TYPE %s%s %s\n", name, suffix, type == INFO && !page->open_metrics ? "gauge" : types[type]);
    if (page->open_metrics && (strcmp(unit, "seconds") == 0 || strcmp(unit, "bytes") == 0))
        mr_buf_printf(page->out, "# UNIT %s %s\n", name, unit);
}

/* `value` of which `unit` make one; whole numbers without a fraction. */
static void write_number(struct mr_buf *out, uint64_t value, uint64_t unit)
{
    if (unit == 1)
        mr_buf_printf(out, "%llu", (unsigned long long)value);
    else
        mr_buf_printf(out, "%.9g", (double)value / (double)unit);
}

static void write_sample(const struct page *page, const char *name, const char *suffix, const char *labels, uint64_t value,
                         uint64_t unit)
{
    mr_buf_printf(page->out, labels[0] != '\0' ? "%s%s{%s} " : "%s%s%s ", name, suffix, labels);
    write_number(page->out, value, unit);
    mr_buf_char(page->out, '\n');
}

static bool begin(const struct page *page, int family)
{
    if (!mr_metrics_are_of(families[family].roles))
        return false;
    write_head(page, families[family].name, families[family].type, families[family].about);
    return true;
}

static void put(const struct page *page, int family, const char *label, const char *value, uint64_t number, uint64_t unit)
{
    char labels[160] = "";

    if (label != NULL)
        snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    write_sample(page, families[family].name, suffix_of(families[family].type), labels, number, unit);
}

/* The count is that of the buckets, so that the lines agree with each other whatever is added meanwhile. */
static void put_histogram(const struct page *page, int family, const char *label, const char *value,
                          const struct mr_histogram *histogram, const struct mr_bounds *kind)
{
    const char *name = families[family].name;
    uint64_t seen = 0;

    for (unsigned i = 0; i <= kind->count; i++) {
        seen += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        mr_buf_printf(page->out, "%s_bucket{%s=\"%s\",le=\"", name, label, value);
        if (i == kind->count)
            mr_buf_text(page->out, "+Inf");
        else if (kind->bounds[i] % kind->unit == 0) /* OpenMetrics: 1.0, not 1 */
            mr_buf_printf(page->out, "%lld.0", (long long)(kind->bounds[i] / kind->unit));
        else
            write_number(page->out, (uint64_t)kind->bounds[i], (uint64_t)kind->unit);
        mr_buf_printf(page->out, "\"} %llu\n", (unsigned long long)seen);
    }
    mr_buf_printf(page->out, "%s_count{%s=\"%s\"} %llu\n", name, label, value, (unsigned long long)seen);
    mr_buf_printf(page->out, "%s_sum{%s=\"%s\"} ", name, label, value);
    write_number(page->out, atomic_load_explicit(&histogram->sum, memory_order_relaxed), (uint64_t)kind->unit);
    mr_buf_char(page->out, '\n');
}

/* Nothing was ever observed: its sixteen lines of zeros would say no more than their absence. */
static bool is_empty(const struct mr_histogram *histogram)
{
    for (unsigned i = 0; i < MR_BUCKETS; i++)
        if (atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed) > 0)
            return false;
    return true;
}

/* ---- Single figures ---- */

static uint64_t unit_of(const char *unit)
{
    return strcmp(unit, "Microseconds") == 0 ? 1000000 : strcmp(unit, "Milliseconds") == 0 ? 1000 : 1;
}

static void write_singles(const struct page *page)
{
    const char *last = "";

    for (int i = 0; i < MR_METRIC_COUNT; i++) {
        const struct mr_metric_info *info = mr_metric_info((enum mr_metric)i);
        enum type type = info->kind == MR_METRIC_IS_COUNT ? COUNTER : GAUGE;

        if (info->prometheus[0] == '\0' || !mr_metrics_are_of(info->roles))
            continue;
        if (strcmp(info->prometheus, last) != 0)
            write_head(page, info->prometheus, type, info->about);
        last = info->prometheus;
        write_sample(page, info->prometheus, suffix_of(type), info->label, mr_metric_value((enum mr_metric)i),
                     unit_of(info->unit));
    }
}

/* ---- Requests, batches, statements ---- */

static const char *const classes[MR_STATUS_CLASSES] = {"2xx", "3xx", "4xx", "5xx"};

/* The i-th operation whose requests are exported; the last one stands for none. */
static enum mr_op op_at(unsigned i)
{
    return i < mr_op_count() ? (enum mr_op)i : MR_OP_NONE;
}

static const char *op_name(enum mr_op op)
{
    return op != MR_OP_NONE ? mr_op_info(op)->name : "none";
}

/* Requests are those of what has a route. */
static bool is_told(enum mr_op op)
{
    return op == MR_OP_NONE || mr_op_info(op)->path != NULL;
}

static void write_requests(const struct page *page)
{
    if (!begin(page, FAMILY_http_requests))
        return;
    for (unsigned i = 0; i <= mr_op_count(); i++)
        for (unsigned c = 0; c < MR_STATUS_CLASSES && is_told(op_at(i)); c++) {
            char labels[160];

            snprintf(labels, sizeof labels, "op=\"%s\",class=\"%s\"", op_name(op_at(i)), classes[c]);
            write_sample(page, families[FAMILY_http_requests].name, "_total", labels,
                         atomic_load_explicit(&mr_op_family(op_at(i))->requests[c], memory_order_relaxed), 1);
        }
    begin(page, FAMILY_http_duration);
    for (unsigned i = 0; i <= mr_op_count(); i++)
        if (!is_empty(&mr_op_family(op_at(i))->request_us))
            put_histogram(page, FAMILY_http_duration, "op", op_name(op_at(i)), &mr_op_family(op_at(i))->request_us,
                          &mr_request_bounds);
}

static void write_actors(const struct page *page, int family, const struct mr_histogram *histograms,
                         const struct mr_bounds *kind)
{
    begin(page, family);
    for (int actor = 0; actor < MR_ACTOR_COUNT; actor++)
        if (!is_empty(&histograms[actor]))
            put_histogram(page, family, "actor", mr_actor_info((enum mr_actor_id)actor)->name, &histograms[actor], kind);
}

/* Some classes are exported before they occur: a counter that begins at one has no rise that an alert could see. */
static void write_errors(const struct page *page)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char told[] = "08 22 23 25 26 28 40 42 53 54 55 57 58 XX ";

    begin(page, FAMILY_database_errors);
    for (unsigned i = 0; i < MR_SQLSTATE_CLASSES; i++) {
        uint64_t count = atomic_load_explicit(&mr_families.database_errors[i], memory_order_relaxed);
        const char class[] = {digits[i / 36], digits[i % 36], '\0'};

        if (count > 0 || strstr(told, class) != NULL)
            put(page, FAMILY_database_errors, "class", class, count, 1);
    }
}

/* ---- Mailboxes ---- */

static uint64_t messages_of(const struct mr_exposition *facts, const struct mr_actor *actor)
{
    uint64_t under_way = atomic_load(&actor->stats.under_way);
    uint64_t queued = atomic_load(&actor->stats.queued);

    (void)facts;
    return under_way > queued ? under_way : queued;
}

static uint64_t age_us_of(const struct mr_exposition *facts, const struct mr_actor *actor)
{
    int64_t oldest_us = atomic_load(&actor->stats.oldest_us);
    int64_t now_us = mr_wall_us(facts->clock);

    return oldest_us > 0 && oldest_us < now_us ? (uint64_t)(now_us - oldest_us) : 0;
}

static uint64_t refused_of(const struct mr_exposition *facts, const struct mr_actor *actor)
{
    (void)facts;
    return atomic_load(&actor->stats.turned_away);
}

static uint64_t expired_of(const struct mr_exposition *facts, const struct mr_actor *actor)
{
    (void)facts;
    return atomic_load(&actor->stats.expired);
}

static uint64_t connected_of(const struct mr_exposition *facts, const struct mr_actor *actor)
{
    (void)facts;
    return mr_actor_has_database(actor);
}

static void write_mailboxes(const struct page *page, int family,
                            uint64_t (*of)(const struct mr_exposition *facts, const struct mr_actor *actor), uint64_t unit)
{
    begin(page, family);
    for (unsigned crew = 0; crew < 2; crew++)
        for (unsigned i = 0; i < page->facts->crews[crew].count; i++) {
            const struct mr_actor *actor = page->facts->crews[crew].actors[i];

            put(page, family, "mailbox", actor->name, of(page->facts, actor), unit);
        }
}

static void write_connections(const struct page *page)
{
    write_mailboxes(page, FAMILY_database_connected, connected_of, 1);
    if (page->facts->has_scheduler)
        put(page, FAMILY_database_connected, "mailbox", mr_actor_info(MR_ACTOR_SCHEDULER)->name,
            page->facts->is_scheduler_connected, 1);
}

/* ---- Jobs ---- */

static bool is_on(const struct page *page, unsigned job)
{
    return page->facts->jobs_on != NULL && page->facts->jobs_on[job];
}

static void write_job_gauge(const struct page *page, int family, const _Atomic uint64_t *values, uint64_t unit)
{
    begin(page, family);
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (is_on(page, job))
            put(page, family, "job_name", mr_job_info((enum mr_job)job)->name, atomic_load(&values[job]), unit);
}

/* Whether a worker has a run of the job in hand. */
static bool is_running(const struct page *page, unsigned job)
{
    for (unsigned i = 0; i < page->facts->crews[1].count; i++) {
        const struct mr_actor_stats *stats = &page->facts->crews[1].actors[i]->stats;

        if (atomic_load(&stats->job) == job + 1 && atomic_load(&stats->claim) != 0)
            return true;
    }
    return false;
}

static void write_jobs(const struct page *page)
{
    if (!mr_metrics_are_of(families[FAMILY_job_waiting].roles))
        return;
    write_job_gauge(page, FAMILY_job_waiting, mr_families.jobs_waiting, 1);
    write_job_gauge(page, FAMILY_job_oldest, mr_families.jobs_oldest_ms, 1000);
    begin(page, FAMILY_job_running);
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (is_on(page, job))
            put(page, FAMILY_job_running, "job_name", mr_job_info((enum mr_job)job)->name, is_running(page, job), 1);
    begin(page, FAMILY_job_duration);
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (!is_empty(&mr_families.run_ms[job]))
            put_histogram(page, FAMILY_job_duration, "job_name", mr_job_info((enum mr_job)job)->name, &mr_families.run_ms[job],
                          &mr_run_bounds);
}

static void write_push_answers(const struct page *page)
{
    begin(page, FAMILY_push_answers);
    for (int class = 0; class < MR_STATUS_CLASSES; class ++)
        put(page, FAMILY_push_answers, "class", classes[class],
            atomic_load_explicit(&mr_families.push_answers[class], memory_order_relaxed), 1);
}

static void write_pushes(const struct page *page)
{
    static const char *const ends[MR_PUSH_END_COUNT] = {"delivered", "refused", "unanswered", "forbidden"};

    if (!begin(page, FAMILY_push_duration))
        return;
    for (int end = 0; end < MR_PUSH_END_COUNT; end++)
        if (!is_empty(&mr_families.push_us[end]))
            put_histogram(page, FAMILY_push_duration, "outcome", ends[end], &mr_families.push_us[end], &mr_request_bounds);
    write_push_answers(page);
}

/* ---- Queues ---- */

/* Figures of a job that `words` tell apart, by the label of that name. */
static void put_each(const struct page *page, int family, const char *job, const char *label, const char *const *words,
                     const uint64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char labels[160];

        snprintf(labels, sizeof labels, "job_name=\"%s\",%s=\"%s\"", job, label, words[i]);
        write_sample(page, families[family].name, suffix_of(families[family].type), labels, values[i], 1);
    }
}

static void write_queues(const struct page *page)
{
    static const char *const states[MR_QUEUE_STATES] = {"ready", "later", "leased", "dead"};
    static const char *const outcomes[MR_QUEUE_OUTCOMES] = {"succeeded", "failed", "dead", "cancelled"};
    unsigned count;
    struct mr_queue *queues;

    if (!begin(page, FAMILY_queue_runs))
        return;
    queues = mr_queues_copy(&count);
    for (unsigned i = 0; i < count; i++)
        put_each(page, FAMILY_queue_runs, queues[i].name, "state", states, queues[i].runs, MR_QUEUE_STATES);
    begin(page, FAMILY_queue_oldest);
    for (unsigned i = 0; i < count; i++)
        put(page, FAMILY_queue_oldest, "job_name", queues[i].name, queues[i].oldest_ms, 1000);
    begin(page, FAMILY_queue_paused);
    for (unsigned i = 0; i < count; i++)
        put(page, FAMILY_queue_paused, "job_name", queues[i].name, queues[i].paused, 1);
    begin(page, FAMILY_queue_outcomes);
    for (unsigned i = 0; i < count; i++)
        put_each(page, FAMILY_queue_outcomes, queues[i].name, "outcome", outcomes, queues[i].outcomes, MR_QUEUE_OUTCOMES);
    free(queues);
}

/* ---- The process ---- */

/* The second field of statm(5), in pages; 0 where it cannot be read. */
static uint64_t resident_bytes(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    const char *second;

    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    second = strchr(line, ' ');
    return second != NULL ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (dir == NULL)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* that of the directory */
}

static uint64_t used_us(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void put_process(const struct page *page, int family, uint64_t value, uint64_t unit)
{
    begin(page, family);
    put(page, family, NULL, NULL, value, unit);
}

static void write_process(const struct page *page)
{
    struct rusage usage = {0};
    struct rlimit limit = {0};
    char labels[160];

    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &limit);
    put_process(page, FAMILY_process_memory, resident_bytes(), 1);
    put_process(page, FAMILY_process_cpu, used_us(usage.ru_utime) + used_us(usage.ru_stime), 1000000);
    put_process(page, FAMILY_process_files, open_files(), 1);
    put_process(page, FAMILY_process_files_max, limit.rlim_cur, 1);
    put_process(page, FAMILY_process_uptime, (uint64_t)(mr_mono_ms(page->facts->clock) - page->facts->started_ms), 1000);
    begin(page, FAMILY_build);
    snprintf(labels, sizeof labels, "version=\"%s\",revision=\"%s\",role=\"%s\"", page->facts->version, page->facts->revision,
             mr_metrics_role());
    write_sample(page, families[FAMILY_build].name, "_info", labels, 1, 1);
}

void mr_exposition_write(struct mr_buf *out, const struct mr_exposition *facts, bool open_metrics)
{
    const struct page page = {out, facts, open_metrics};

    write_requests(&page);
    write_singles(&page);
    write_mailboxes(&page, FAMILY_mailbox_messages, messages_of, 1);
    write_mailboxes(&page, FAMILY_mailbox_oldest, age_us_of, 1000000);
    write_mailboxes(&page, FAMILY_mailbox_refused, refused_of, 1);
    write_mailboxes(&page, FAMILY_mailbox_expired, expired_of, 1);
    write_actors(&page, FAMILY_batch_messages, mr_families.batch, &mr_batch_bounds);
    write_actors(&page, FAMILY_database_duration, mr_families.database_us, &mr_database_bounds);
    write_connections(&page);
    write_errors(&page);
    write_jobs(&page);
    write_pushes(&page);
    write_queues(&page);
    write_process(&page);
    if (open_metrics)
        mr_buf_text(out, "# EOF\n");
}
