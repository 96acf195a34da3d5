/*
 * value: rules for values that a pattern cannot express.
 */
#ifndef MR_APPLICATION_VALUE_H
#define MR_APPLICATION_VALUE_H

#include "application/model.h"
#include "proto/decimal.h"

enum { MR_REGEX_BYTES = 500, MR_REGEX_DEPTH = 20, MR_REGEX_SIZE = 10000 };

/*
 * Whether a POSIX extended regular expression compiles, and needs little memory and time: at most MR_REGEX_BYTES, MR_REGEX_DEPTH
 * nested groups, MR_REGEX_SIZE characters with all repetitions written out, and no back-references. False: `reason` says why
 * not.
 */
bool mr_regex_check(const char *pattern, char *reason, size_t room);

/* The milliseconds of a valid duration such as "30s" or "5m". */
int64_t mr_duration_ms(const char *text);

/* Checks a field's default and its example against its type and bounds. Adds problems. */
void mr_check_default(const struct mr_app_field *field, struct mr_problems *problems);

/* The name of a type in declarations, e.g. "timestamp". Static. */
const char *mr_app_type_name(int type);

#endif
