/*
 * log: one line an event on standard error, JSON for machines or pretty for people.
 *
 * The format and the least level are set once, before any thread starts; a line is one write, so that lines
 * of several threads never mix. Never hand it a password, a token, a hash or a whole request.
 */
#ifndef MR_RUNTIME_LOG_H
#define MR_RUNTIME_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

enum mr_log_level { MR_LOG_DEBUG, MR_LOG_INFO, MR_LOG_WARN, MR_LOG_ERROR };

/* A named value of a line: text when `text.data` is set, else the integer. With the name "" it is left out. */
struct mr_log_field {
    const char *name;
    struct mr_slice text;
    int64_t integer;
};

#define mr_log_text(field, value)  ((struct mr_log_field){.name = (field), .text = mr_slice_of(value)})
#define mr_log_slice(field, value) ((struct mr_log_field){.name = (field), .text = (value)})
#define mr_log_int(field, value)   ((struct mr_log_field){.name = (field), .integer = (int64_t)(value)})

/* mr_log(MR_LOG_INFO, "listening", mr_log_int("port", 3000)); */
/* clang-format off */
#define mr_log(level, ...)                                                                            \
    do {                                                                                              \
        if (mr_log_wants(level))                                                                      \
            mr_log_line(level, MR_LOG_FIRST(__VA_ARGS__, 0), (const struct mr_log_field[]){MR_LOG_REST(__VA_ARGS__)}); \
    } while (0)
#define MR_LOG_FIRST(message, ...) message
#define MR_LOG_REST(message, ...)  __VA_ARGS__ __VA_OPT__(, ){.name = NULL}
/* clang-format on */

/* Sets level and format; call once, before other threads exist. */
void mr_log_setup(enum mr_log_level least, bool json);

bool mr_log_wants(enum mr_log_level level);

/* Writes one line; `fields` ends at a NULL name. Use the macro above. */
void mr_log_line(enum mr_log_level level, const char *message, const struct mr_log_field *fields);

/* "debug", "info", "warn" or "error" to a level; false for any other word. */
bool mr_log_level_parse(const char *word, enum mr_log_level *out);

#endif
