/*
 * otlp: spans as the bytes of an ExportTraceServiceRequest, in the JSON mapping of OTLP 1.x: ids in hexadecimal, 64-bit
 * integers as strings, enums as numbers.
 */
#ifndef MR_RUNTIME_OTLP_H
#define MR_RUNTIME_OTLP_H

#include "runtime/span.h"

/* Appends one attribute of the process to the list `resource`, with a comma in front unless it is the first. */
void mr_otlp_attribute(struct mr_buf *out, struct mr_slice key, struct mr_slice value);

/* Begins a request. `resource` has the attributes that mr_otlp_attribute appended; `version` is the version of Millrace. */
void mr_otlp_begin(struct mr_buf *out, const struct mr_buf *resource, const char *version);

/*
 * Appends a span; `first` for the first one after mr_otlp_begin. `epoch_us` is the Unix time, in microseconds, of the moment 0
 * of the span's clock.
 */
void mr_otlp_span(struct mr_buf *out, const struct mr_span *span, bool first, int64_t epoch_us);

/* Ends the request. Out of memory, here or earlier: `out->failed`. */
void mr_otlp_end(struct mr_buf *out);

#endif
