/*
 * records: the records of an upload, NDJSON or CSV, found and read one at a time.
 *
 * A record of NDJSON is a line. One of CSV (RFC 4180) may hold line breaks between quotes. Thread: any.
 */
#ifndef MR_ACTORS_RECORDS_H
#define MR_ACTORS_RECORDS_H

#include "proto/message.h"
#include "proto/status.h"

enum { MR_RECORD_MAX = 512 * 1024, MR_RECORD_COLUMNS = 128, MR_RECORD_NAME = 64 };

/* What a record comes to: the body's fields of an fields, and what is wrong with them. */
struct mr_record {
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_buf errors; /* members of a JSON array, comma-separated: {line, field, message} */
    unsigned error_count;
    struct json_t *json;
    struct mr_buf cells;  /* of CSV; the values borrow from it, from the JSON or its text, */
    struct mr_buf *rooms; /* or from these: one for each field, when some of them are `many`; NULL: none is */
    unsigned room_count;
};

/* How a CSV is written, by its header. */
struct mr_layout {
    char delimiter;
    unsigned count;                 /* of columns; 0: not known yet */
    int columns[MR_RECORD_COLUMNS]; /* for each, the index of its body field; -1: it is none, or a second one of that name */
};

/*
 * The length of the first record of `text`, with its line break; 0: the record does not end in `text`. `is_last`: nothing
 * follows, so the end of the text ends the record.
 */
size_t mr_record_length(struct mr_slice text, bool is_csv, bool is_last);

/* The number of line breaks in the text. */
int64_t mr_record_lines(struct mr_slice text);

/* Whether the text is nothing but space. */
bool mr_record_is_blank(struct mr_slice text);

/* Whether the text can be read as one CSV record. */
bool mr_record_is_csv(struct mr_slice text, char delimiter);

/*
 * Reads a CSV header as body fields among `fields`, with the delimiter that finds most of them: comma, semicolon or tab.
 * `refused` gets the problems that make every record unreadable, such as a required field without a column. `ignored` gets the
 * columns that are left out, each with a sentence. Both have to be zeroed, and mr_record_fini frees them. MR_NO_MEMORY is the
 * only failure.
 */
mr_status mr_record_header(struct mr_layout *out, struct mr_slice text, const struct mr_field *fields, int64_t line,
                           struct mr_record *refused, struct mr_record *ignored) MR_WARN_UNUSED;

/* Whether this is a line `sep=;`, with which spreadsheets announce the delimiter. */
bool mr_record_is_separator(struct mr_slice text);

/*
 * Reads a record as a body of `fields`: fills in fallbacks and lists every problem under `line`. `layout` is the header of a CSV
 * file; NULL: the record is a JSON object. mr_record_fini frees what `out` holds. MR_NO_MEMORY is the only failure.
 */
mr_status mr_record_read(struct mr_record *out, struct mr_slice text, const struct mr_field *fields, int64_t line,
                         const struct mr_layout *layout) MR_WARN_UNUSED;

/* Lists each member of a JSON record that is not a body field among `fields`. */
void mr_record_strangers(const struct mr_record *self, const struct mr_field *fields,
                         void (*tell)(void *argument, struct mr_slice name), void *argument);

/* Copies a name for a message, cut between characters if it is long. Terminated. */
void mr_record_name(char out[MR_RECORD_NAME], struct mr_slice name);

/* Writes the sentence about a name that is not a body field among `fields`. Terminated. */
void mr_record_stranger(char *out, size_t room, const struct mr_field *fields, struct mr_slice name);

/*
 * The name of the body field that `name` probably means, because only case or surrounding space differ; NULL: there is none.
 * Borrowed.
 */
const char *mr_record_meant(const struct mr_field *fields, struct mr_slice name);

/* Adds a problem of a line; `field` "" stands for the line as a whole. */
void mr_record_problem(struct mr_record *self, int64_t line, const char *field, const char *message);

/* Frees what the record holds, not the struct itself. A zeroed struct is fine. */
void mr_record_fini(struct mr_record *self);

#endif
