#include "jobs/skip.h"

#include <stdio.h>
#include <string.h>

#include "proto/json.h"

enum { IN_A_ROW_MOST = 1000 };

/* Classes of errors that one row can cause (PostgreSQL manual, Appendix A). */
static const struct {
    const char *class;
    const char *reason;
} refusals[] = {
    {"09", "triggered action exception"},
    {"21", "cardinality violation"},
    {"22", "data exception"},
    {"23", "integrity constraint violation"},
    {"27", "triggered data change violation"},
    {"38", "external routine exception"},
    {"39", "external routine invocation exception"},
    {"44", "check option violation"},
    {"54", "program limit exceeded"},
    {"MR", "refused by the application"},
    {"P0", "raised by a function"},
    {"XX", "internal error"},
};

static const char *find_reason(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strncmp(sqlstate, refusals[i].class, 2) == 0)
            return refusals[i].reason;
    return NULL;
}

/* What only the values of a unit can be to blame for. */
static bool is_of_data(const char *sqlstate)
{
    return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 || strncmp(sqlstate, "MR", 2) == 0;
}

const char *mr_skip_reason(const char *sqlstate)
{
    const char *reason = find_reason(sqlstate);

    return reason != NULL ? reason : "refused";
}

bool mr_skip_find(struct mr_skip *self, const struct mr_db_error *error, bool divides, int64_t *most)
{
    if (self->now || error->lost || find_reason(error->sqlstate) == NULL)
        return false;
    if (self->in_a_row >= IN_A_ROW_MOST && !(self->is_input && is_of_data(error->sqlstate)))
        return false;
    if (divides && *most > 1) {
        self->suspects = *most;
        *most /= 2;
        return true;
    }
    self->now = true;
    self->error = *error;
    return true;
}

/* The refused unit is among those that are left of the suspects: half of them next. */
bool mr_skip_passed(struct mr_skip *self, int64_t rows, int64_t *most)
{
    bool was_looking = self->suspects > 0 || self->now;

    if (self->now)
        self->in_a_row++;
    else if (rows > 0)
        self->in_a_row = 0;
    self->suspects = self->now || self->suspects <= *most ? 0 : self->suspects - *most;
    self->now = false;
    if (self->suspects > 0)
        *most = self->suspects > 1 ? self->suspects / 2 : 1;
    return was_looking;
}

void mr_skip_name(const struct mr_skip *self, struct mr_buf *out, const char *of, struct mr_slice unit)
{
    mr_buf_text(out, "{\"of\":");
    mr_json_string(out, mr_slice_of(of));
    mr_buf_text(out, ",\"id\":");
    mr_json_string(out, unit);
    mr_buf_printf(out, ",\"reason\":\"%s (SQLSTATE %s)\"}", mr_skip_reason(self->error.sqlstate), self->error.sqlstate);
}
