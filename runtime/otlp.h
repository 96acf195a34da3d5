/*
 * otlp: spans as the bytes of an ExportTraceServiceRequest, in the JSON mapping of OTLP 1.x: ids in hexadecimal, 64-bit
 * integers as strings, enums as numbers.
 */
#ifndef MR_RUNTIME_OTLP_H
#define MR_RUNTIME_OTLP_H

#include "runtime/span.h"

/* Appends ,-separated attributes of the process to the list `resource`: a member of the resource. */
void mr_otlp_attribute(struct mr_buf *out, struct mr_slice key, struct mr_slice value);

/* Begins the request. `resource`: attributes, as mr_otlp_attribute appended them; `version`: of what records. */
void mr_otlp_begin(struct mr_buf *out, const struct mr_buf *resource, const char *version);

/* Adds a span; `first` after mr_otlp_begin. `epoch_us`: Unix time, in microseconds, of the moment 0 of the span's clock. */
void mr_otlp_span(struct mr_buf *out, const struct mr_span *span, bool first, int64_t epoch_us);

/* Ends the request. Out of memory, here or earlier: `out->failed`. */
void mr_otlp_end(struct mr_buf *out);

#endif
