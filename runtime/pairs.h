/*
 * pairs: "name=value,name=value", as OpenTelemetry's settings give headers and attributes (W3C Baggage, 3.2.1).
 *
 * Values are percent-encoded; blanks around names, values and commas mean nothing.
 */
#ifndef MR_RUNTIME_PAIRS_H
#define MR_RUNTIME_PAIRS_H

#include <stdbool.h>

#include "proto/buffer.h"

enum mr_pair { MR_PAIR_END, MR_PAIR_FOUND, MR_PAIR_BROKEN };

/*
 * Takes the next pair off `rest`. FOUND: `name` borrows the text, and `value`, cleared before, holds the decoded value.
 * BROKEN: there is no "=", no name, a broken escape or an escaped control byte; or there is no memory (`value->failed`).
 */
enum mr_pair mr_pairs_next(struct mr_slice *rest, struct mr_slice *name, struct mr_buf *value);

#endif
