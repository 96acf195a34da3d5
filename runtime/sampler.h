/*
 * sampler: whether a trace is recorded (OpenTelemetry SDK specification, "Sampling").
 *
 * The ratio looks at the 56 random bits at the end of the trace id, as "Probability Sampling" has it: whoever uses the same
 * ratio, or a larger one, records the same traces.
 *
 * Thread: any; a sampler does not change.
 */
#ifndef MR_RUNTIME_SAMPLER_H
#define MR_RUNTIME_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

struct mr_sampler {
    bool follows_parent; /* who has a parent does as the parent did */
    uint64_t threshold;  /* of 2^56: what is at or above it is recorded */
};

/*
 * The sampler of a standard name, e.g. "parentbased_traceidratio". `arg` is a ratio from 0 to 1 for those that take one; "" is
 * 1. Both have to be valid: see mr_sampler_is_ratio.
 */
struct mr_sampler mr_sampler_of(const char *name, const char *arg);

/* Whether to record a trace. `parent_sampled` matters only if there is a parent. */
bool mr_sampler_wants(const struct mr_sampler *self, bool has_parent, bool parent_sampled, const uint8_t trace_id[16]);

/* Whether the text is a number from 0 to 1; false: `reason` says what is expected. */
bool mr_sampler_is_ratio(const char *text, struct mr_buf *reason);

#endif
