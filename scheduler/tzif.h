/*
 * tzif: a file of the time zone database (TZif, RFC 9636), read without the C library, whose zone is the process's: so that a zone can
 * be opened while other threads run.
 */
#ifndef MR_SCHEDULER_TZIF_H
#define MR_SCHEDULER_TZIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/status.h"

struct mr_tzif;

/* Reads the bytes of a file. MR_OK: `out` is the caller's, to destroy. MR_INVALID: they are none; MR_NO_MEMORY. */
mr_status mr_tzif_new(struct mr_tzif **out, const uint8_t *bytes, size_t length) __attribute__((warn_unused_result));

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_tzif_destroy(struct mr_tzif **self);

/* Local time minus UTC at a moment (Unix time), in seconds. */
int64_t mr_tzif_offset(const struct mr_tzif *self, int64_t second);

#endif
