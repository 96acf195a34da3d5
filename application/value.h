/*
 * value: rules for values that a pattern cannot express.
 */
#ifndef MR_APPLICATION_VALUE_H
#define MR_APPLICATION_VALUE_H

#include "application/model.h"
#include "proto/decimal.h"

enum { MR_REGEX_BYTES = 500, MR_REGEX_DEPTH = 20, MR_REGEX_SIZE = 10000 };

/*
 * Whether a regular expression (POSIX, extended) compiles, and does not take the C library much memory or time: MR_REGEX_BYTES,
 * MR_REGEX_DEPTH groups in each other, MR_REGEX_SIZE characters with all repetitions written out, no back-references. If not,
 * `reason` says why.
 */
bool mr_regex_check(const char *pattern, char *reason, size_t room);

/* Milliseconds of "30s", "5m", ...; of nothing else. */
int64_t mr_duration_ms(const char *text);

/* Holds a default, and an example, against their field's type and bounds; adds what does not fit. */
void mr_check_default(const struct mr_app_field *field, struct mr_problems *problems);

/* The words of the type's name, e.g. "timestamp". */
const char *mr_app_type_name(int type);

#endif
