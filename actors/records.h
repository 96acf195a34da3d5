/*
 * records: the records of an upload, NDJSON or CSV, found and read one at a time.
 *
 * A record of NDJSON is a line. One of CSV (RFC 4180) may hold line breaks between quotes. Thread: any.
 */
#ifndef MR_ACTORS_RECORDS_H
#define MR_ACTORS_RECORDS_H

#include "proto/message.h"
#include "proto/status.h"

enum { MR_RECORD_MAX = 512 * 1024, MR_RECORD_COLUMNS = 64 };

/* What a record comes to: the body's fields of an op, and what is wrong with them. */
struct mr_record {
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_buf errors; /* members of a JSON array, comma-separated: {line, field, message} */
    unsigned error_count;
    struct json_t *json;
    struct mr_buf cells; /* of CSV; the values borrow from it or from the JSON */
};

/*
 * Length of the record at the beginning of `text`, its line break included; 0 when it has no end there. `is_last`: no
 * more will come, so that the end of the text is one.
 */
size_t mr_record_length(struct mr_slice text, bool is_csv, bool is_last);

/* Line breaks in it. */
int64_t mr_record_lines(struct mr_slice text);

/* Whether there is nothing in it but space. */
bool mr_record_is_blank(struct mr_slice text);

/* Whether it can be read as CSV at all, as one record. */
bool mr_record_is_csv(struct mr_slice text);

/*
 * The columns of a CSV header: for each, the index of the body field of `op` with that name, or -1. MR_INVALID when it
 * is no CSV, or has more than MR_RECORD_COLUMNS.
 */
mr_status mr_record_header(struct mr_slice text, enum mr_op op, int columns[MR_RECORD_COLUMNS], unsigned *count) MR_WARN_UNUSED;

/*
 * Reads a record as the body of `op`: fallbacks filled in, every problem listed under `line`. `columns` NULL: it is a JSON
 * object. mr_record_fini frees what `out` holds. MR_NO_MEMORY is the only failure.
 */
mr_status mr_record_read(struct mr_record *out, struct mr_slice text, enum mr_op op, int64_t line, const int *columns,
                         unsigned count) MR_WARN_UNUSED;

/* Adds a problem of a line; `field` "" stands for the line as a whole. */
void mr_record_problem(struct mr_record *self, int64_t line, const char *field, const char *message);

void mr_record_fini(struct mr_record *self);

#endif
