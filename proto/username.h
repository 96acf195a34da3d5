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
 * Appends the folded form of a name. MR_INVALID: the name is longer than any name, is not UTF-8, or folds to nothing; nothing is
 * appended, and such a name is found by its exact spelling only. MR_NO_MEMORY.
 */
mr_status mr_username_fold(struct mr_slice name, struct mr_buf *out) MR_WARN_UNUSED;

/*
 * The first character that a new name may not contain; 0: there is none. `name` has to be UTF-8. Refused are characters that a
 * reader cannot see or that change how the rest is displayed: control and format characters, default ignorable ones (fillers,
 * joiners, variation selectors), line and paragraph separators, the blank Braille pattern, and space at either end. So are
 * characters without a meaning that is the same everywhere: surrogates, private use, unassigned.
 */
uint32_t mr_username_refused(struct mr_slice name);

#endif
