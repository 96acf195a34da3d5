/*
 * tracer: takes the spans that end, and sends them to a collector by OTLP (docs/tracing.md).
 *
 * The thread that ends a span puts it into a queue of MR_TRACER_QUEUE places and continues; when the queue is full the span is dropped
 * and counted (metrics: spans_dropped). A thread of its own encodes and sends in batches. So nobody waits for a collector that is
 * away, slow or lying, and what it costs in memory and in log lines is bounded.
 *
 * There is one in a process, as there is one log. Thread: any, between mr_tracer_start and the end of the process.
 */
#ifndef MR_RUNTIME_TRACER_H
#define MR_RUNTIME_TRACER_H

#include "runtime/config.h"
#include "runtime/sampler.h"
#include "runtime/span.h"

enum { MR_TRACER_QUEUE = 8192, MR_TRACER_BATCH = 512 };

/* Rules of settings that mr_config_read is to check. */
extern const struct mr_config_check mr_tracer_checks[];

/*
 * Begins to record if the settings name a collector; otherwise mr_tracer_is_on stays false. `role` and `version` have to be
 * literals. Call it before other threads exist. MR_NO_MEMORY.
 */
mr_status mr_tracer_start(const struct mr_config *config, const char *role, const char *version) MR_WARN_UNUSED;

/*
 * Sends the spans that have ended, briefly, and stops. Waits until `deadline_ms` (monotonic) at most. False: the thread still
 * runs. Spans that end later are dropped.
 */
bool mr_tracer_stop_by(int64_t deadline_ms);

/* Whether spans are recorded. Any thread. */
bool mr_tracer_is_on(void);

/* Whether to record a trace; `parent` is the caller's context, NULL: there is none. Any thread. */
bool mr_tracer_wants(const struct mr_context *parent, const uint8_t trace_id[16]);

/* Random bytes for an id. */
void mr_tracer_new_id(uint8_t *out, size_t len);

/* Takes over a span that has ended: the tracer frees it. Never waits. Any thread. */
void mr_tracer_take(struct mr_span *span);

/* Counts spans that were lost before the tracer took them. Any thread. */
void mr_tracer_note_dropped(uint64_t count);

#endif
