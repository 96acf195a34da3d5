/*
 * utf16: text in UTF-16, as spreadsheets save it, turned into UTF-8 (RFC 3629) and counted back.
 *
 * The C library's iconv needs a module in a file for it, which the image does not have. Thread: any.
 */
#ifndef MR_ACTORS_UTF16_H
#define MR_ACTORS_UTF16_H

#include "proto/buffer.h"

enum mr_encoding { MR_ENCODING_UTF8, MR_ENCODING_UTF16_LE, MR_ENCODING_UTF16_BE };

/*
 * The encoding that a byte order mark at the beginning of `bytes` announces; `len` is the mark's length. Without a mark: UTF-8,
 * and `len` is 0.
 */
enum mr_encoding mr_utf16_mark(struct mr_slice bytes, size_t *len);

/*
 * Appends `bytes` as UTF-8. Half of a surrogate pair becomes three bytes that are not valid UTF-8 (its code point, encoded), so
 * that its record is refused and lengths can be computed backwards. A character that may continue after `bytes` is left out,
 * unless `is_last`.
 */
void mr_utf16_decode(struct mr_buf *out, struct mr_slice bytes, enum mr_encoding encoding, bool is_last);

/* How many bytes of UTF-16 whole characters of the result came from. */
size_t mr_utf16_length(struct mr_slice text);

#endif
