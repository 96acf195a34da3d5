#include "runtime/log.h"

#include <errno.h>
#include <unistd.h>

#include "proto/field.h"
#include "proto/json.h"
#include "proto/timestamp.h"
#include "runtime/clock.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static enum mr_log_level least_level = MR_LOG_INFO;
static bool as_json = true;

void mr_log_setup(enum mr_log_level least, bool json)
{
    least_level = least;
    as_json = json;
}

bool mr_log_wants(enum mr_log_level level)
{
    return level >= least_level;
}

bool mr_log_level_parse(const char *word, enum mr_log_level *out)
{
    for (int level = MR_LOG_DEBUG; level <= MR_LOG_ERROR; level++)
        if (strcmp(word, level_names[level]) == 0) {
            *out = (enum mr_log_level)level;
            return true;
        }
    return false;
}

static struct mr_slice timestamp(char text[MR_TIMESTAMP_TEXT])
{
    mr_timestamp_format(text, mr_wall_ms(&mr_system_clock) * 1000);
    return (struct mr_slice){text, MR_TIMESTAMP_TEXT};
}

/* A JSON string; in what is not UTF-8 every byte beyond ASCII becomes a question mark, so that the line still parses. */
static void quoted(struct mr_buf *line, struct mr_slice text)
{
    size_t start = line->len;

    mr_json_string(line, text);
    if (mr_utf8_valid(text, NULL))
        return;
    for (size_t i = start; i < line->len; i++)
        if ((unsigned char)line->data[i] >= 0x80)
            line->data[i] = '?';
}

/* Whether a value can stand in a pretty line without quotes: nothing in it ends the line or moves the cursor. */
static bool is_plain(struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f)
            return false;
    return text.len > 0;
}

static void json_member(struct mr_buf *line, const char *name, struct mr_slice text)
{
    mr_buf_char(line, line->len == 0 ? '{' : ',');
    mr_json_string(line, mr_slice_of(name));
    mr_buf_char(line, ':');
    quoted(line, text);
}

static void json_line(struct mr_buf *line, enum mr_log_level level, const char *message, const struct mr_log_field *fields)
{
    char time[MR_TIMESTAMP_TEXT];

    json_member(line, "time", timestamp(time));
    json_member(line, "level", mr_slice_of(level_names[level]));
    json_member(line, "message", mr_slice_of(message));
    for (; fields->name != NULL; fields++) {
        if (fields->name[0] == '\0')
            continue;
        if (fields->text.data != NULL) {
            json_member(line, fields->name, fields->text);
            continue;
        }
        mr_buf_char(line, ',');
        mr_json_string(line, mr_slice_of(fields->name));
        mr_buf_char(line, ':');
        mr_buf_int(line, fields->integer);
    }
    mr_buf_text(line, "}\n");
}

static void pretty_line(struct mr_buf *line, enum mr_log_level level, const char *message, const struct mr_log_field *fields)
{
    char time[MR_TIMESTAMP_TEXT];

    mr_buf_append(line, timestamp(time).data + 11, 12);
    mr_buf_printf(line, "  %-5s  %s", level_names[level], message);
    for (; fields->name != NULL; fields++) {
        if (fields->name[0] == '\0')
            continue;
        mr_buf_printf(line, "  %s=", fields->name);
        if (fields->text.data == NULL)
            mr_buf_int(line, fields->integer);
        else if (is_plain(fields->text))
            mr_buf_slice(line, fields->text);
        else
            quoted(line, fields->text);
    }
    mr_buf_char(line, '\n');
}

/* 00-<32 digits>-<16 digits>-<2 digits> */
static struct mr_log_field part_of_trace(const char *name, struct mr_slice traceparent, size_t at, size_t len)
{
    enum { WHOLE = 55 };

    if (traceparent.len != WHOLE)
        return (struct mr_log_field){.name = ""};
    return (struct mr_log_field){.name = name, .text = {traceparent.data + at, len}};
}

struct mr_log_field mr_log_trace_id(struct mr_slice traceparent)
{
    return part_of_trace("traceId", traceparent, 3, 32);
}

struct mr_log_field mr_log_span_id(struct mr_slice traceparent)
{
    return part_of_trace("spanId", traceparent, 36, 16);
}

bool mr_log_passes(struct mr_log_bound *self, int64_t *left_out)
{
    int64_t second = mr_mono_ms(&mr_system_clock) / 1000 + 1; /* never that of a zeroed struct */

    if (atomic_exchange(&self->second, second) != second)
        atomic_store(&self->written, 0);
    if (atomic_fetch_add(&self->written, 1) >= MR_LOG_BURST) {
        atomic_fetch_add(&self->left_out, 1);
        return false;
    }
    *left_out = atomic_exchange(&self->left_out, 0);
    return true;
}

void mr_log_line(enum mr_log_level level, const char *message, const struct mr_log_field *fields)
{
    struct mr_buf line = {0};
    ssize_t written;

    if (as_json)
        json_line(&line, level, message, fields);
    else
        pretty_line(&line, level, message, fields);
    if (!line.failed)
        do
            written = write(STDERR_FILENO, line.data, line.len);
        while (written < 0 && errno == EINTR);
    mr_buf_fini(&line);
}
