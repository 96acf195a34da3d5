/*
 * username: which names are one name, and which characters a new one may hold.
 *
 * Two names are one if they are equal under NFKC case folding (The Unicode Standard, 3.13, D147, identifier caseless match:
 * compatible forms, case and default ignorable characters do not matter). It is computed here and stored, because what the database
 * makes of case depends on its locale: under "C" it knows A to Z only.
 *
 * Unicode's version is libunistring's. A name of assigned characters folds alike in every later version.
 */
#ifndef MR_PROTO_USERNAME_H
#define MR_PROTO_USERNAME_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/status.h"

/* The longest name there can be: 50 characters. */
enum { MR_USERNAME_BYTES = 200 };

/*
 * Appends the folded form. MR_INVALID, and nothing appended: it is longer than any name, not UTF-8, or nothing is left of
 * it; such a name is only its own spelling. MR_NO_MEMORY.
 */
mr_status mr_username_fold(struct mr_slice name, struct mr_buf *out) MR_WARN_UNUSED;

/*
 * The first character that a new name may not hold, 0 when there is none. Refused is what a reader cannot see or what
 * changes how the rest is shown: control and format characters, default ignorable ones (fillers, joiners, variation
 * selectors), line and paragraph separators, the blank Braille pattern, space at either end; and what has no meaning, or
 * not the same everywhere: surrogates, private use, unassigned. `name` is UTF-8.
 */
uint32_t mr_username_refused(struct mr_slice name);

#endif
