#include "scheduler/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_PER_DAY INT64_C(86400)

/* The Gregorian calendar, with its days of the week, and so a zone's last rules, come again after 400 years. */
#define CYCLE   (146097 * SECONDS_PER_DAY)
#define WRAP    INT64_C(16725225600)           /* 2500-01-01T00:00:00Z */
#define COVERED (WRAP + 366 * SECONDS_PER_DAY) /* past WRAP, so that the last span before it has its end */

/* Two changes of a zone are further apart: since 1970 there were never less than 6.9 days between them. */
#define STEP (5 * SECONDS_PER_DAY)

struct change {
    int64_t from;
    int64_t offset;
    int64_t fresh;
};

struct mr_zone {
    size_t count;
    size_t cap;
    struct change changes[]; /* by time; the first is from the beginning of time */
};

/* Offset of the zone that TZ names. */
static int64_t offset_now(int64_t second)
{
    time_t at = (time_t)second;
    struct tm tm;

    return localtime_r(&at, &tm) != NULL ? tm.tm_gmtoff : 0;
}

static bool append(struct mr_zone **zone, int64_t from, int64_t offset)
{
    struct mr_zone *self = *zone;
    int64_t fresh = from;

    if (self == NULL || self->count == self->cap) {
        size_t cap = self == NULL ? 64 : self->cap * 2;
        struct mr_zone *grown = realloc(self, sizeof *self + cap * sizeof self->changes[0]);

        if (grown == NULL)
            return false;
        if (self == NULL)
            grown->count = 0;
        grown->cap = cap;
        *zone = self = grown;
    }
    if (self->count > 0) {
        const struct change *last = &self->changes[self->count - 1];
        int64_t shown = (last->fresh > from ? last->fresh : from) + last->offset; /* the clocks were never past it */

        if (shown - offset > from)
            fresh = shown - offset;
    }
    self->changes[self->count++] = (struct change){from, offset, fresh};
    return true;
}

/* First second of (before, after] at which the offset is not that of `before` any more. */
static int64_t first_change(int64_t before, int64_t after)
{
    int64_t offset = offset_now(before);

    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;

        if (offset_now(middle) == offset)
            before = middle;
        else
            after = middle;
    }
    return after;
}

static bool read_changes(struct mr_zone **zone)
{
    int64_t at = 0;
    int64_t offset = offset_now(at);

    if (!append(zone, INT64_MIN, offset))
        return false;
    while (at < COVERED) {
        if (offset_now(at + STEP) == offset) {
            at += STEP;
            continue;
        }
        at = first_change(at, at + STEP);
        offset = offset_now(at);
        if (!append(zone, at, offset))
            return false;
    }
    return true;
}

/* Sets TZ, or takes it away. */
static bool use_zone(const char *name)
{
    if ((name != NULL ? setenv("TZ", name, 1) : unsetenv("TZ")) != 0)
        return false;
    tzset();
    return true;
}

static mr_status read_zone(struct mr_zone **zone, const char *name)
{
    const char *present = getenv("TZ");
    char *before = present != NULL ? strdup(present) : NULL;
    mr_status status = MR_NO_MEMORY;

    if (present != NULL && before == NULL)
        goto out;
    if (use_zone(name) && read_changes(zone))
        status = MR_OK;
    if (!use_zone(before))
        status = MR_NO_MEMORY;

out:
    free(before);
    return status;
}

/* The C library would take an unknown name for UTC, and a path for any file. */
static bool is_name(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+-");

    return len > 0 && name[len] == '\0' && name[0] != '/';
}

static bool has_file(const char *name)
{
    static const char magic[] = {'T', 'Z', 'i', 'f'};
    const char *folder = getenv("TZDIR");
    char path[512];
    char head[sizeof magic];
    FILE *file;
    bool found;

    if (folder == NULL || folder[0] == '\0')
        folder = "/usr/share/zoneinfo";
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return false;
    file = fopen(path, "rbe");
    if (file == NULL)
        return false;
    found = fread(head, sizeof head, 1, file) == 1 && memcmp(head, magic, sizeof magic) == 0;
    (void)fclose(file);
    return found;
}

bool mr_zone_is_known(const char *name)
{
    return strcmp(name, "UTC") == 0 || (is_name(name) && has_file(name));
}

mr_status mr_zone_new(struct mr_zone **out, const char *name)
{
    struct mr_zone *self = NULL;
    mr_status status = MR_NOT_FOUND;

    if (strcmp(name, "UTC") == 0)
        status = append(&self, INT64_MIN, 0) ? MR_OK : MR_NO_MEMORY;
    else if (mr_zone_is_known(name))
        status = read_zone(&self, name);
    if (status != MR_OK)
        goto out;

    *out = self;
    self = NULL; /* now the caller's */

out:
    mr_zone_destroy(&self);
    return status;
}

void mr_zone_destroy(struct mr_zone **self)
{
    free(*self);
    *self = NULL;
}

/* The last change that is not after `second`. */
static size_t find(const struct mr_zone *self, int64_t second)
{
    size_t low = 0;
    size_t high = self->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (self->changes[middle].from <= second)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct mr_zone_span mr_zone_at(const struct mr_zone *self, int64_t second)
{
    int64_t shift = second >= WRAP ? ((second - WRAP) / CYCLE + 1) * CYCLE : 0;
    size_t at = find(self, second - shift);
    const struct change *change = &self->changes[at];
    bool is_last = at + 1 == self->count;

    return (struct mr_zone_span){
        .offset = change->offset,
        .fresh = at == 0 ? INT64_MIN : change->fresh + shift,
        .until = is_last ? INT64_MAX : self->changes[at + 1].from + shift,
    };
}
