/*
 * schema: the JSON Schema (2020-12) of an application's files, from the table of keys.
 *
 * Editors complete and check by it. It takes what the reader takes, but for what only code can see: whether a pattern compiles,
 * whether bounds and defaults fit, what files name in each other.
 */
#ifndef MR_APPLICATION_SCHEMA_H
#define MR_APPLICATION_SCHEMA_H

#include "application/load.h"

/* Appends the JSON schema of a kind of file, indented and with a final newline; MR_FILE_KIND_COUNT: a schema for any of them. */
void mr_schema_print(struct mr_buf *out, enum mr_file_kind kind);

/* Appends the table of keys as Markdown, a heading and a table for each section: the reference in docs/applications.md. */
void mr_reference_print(struct mr_buf *out);

#endif
