#include "scheduler/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/tzif.h"

#define SECONDS_PER_DAY INT64_C(86400)

/* The Gregorian calendar, with its days of the week, and so a zone's last rules, come again after 400 years. */
#define CYCLE   (146097 * SECONDS_PER_DAY)
#define WRAP    INT64_C(16725225600)           /* 2500-01-01T00:00:00Z */
#define COVERED (WRAP + 366 * SECONDS_PER_DAY) /* past WRAP, so that the last span before it has its end */

/* Two changes of a zone are further apart: since 1970 there were never less than 6.9 days between them. */
#define STEP (5 * SECONDS_PER_DAY)

enum { FILE_MOST = 65536 }; /* the longest has 3.5 KiB */

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
static int64_t first_change(const struct mr_tzif *file, int64_t before, int64_t after)
{
    int64_t offset = mr_tzif_offset(file, before);

    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;

        if (mr_tzif_offset(file, middle) == offset)
            before = middle;
        else
            after = middle;
    }
    return after;
}

static bool read_changes(struct mr_zone **zone, const struct mr_tzif *file)
{
    int64_t at = 0;
    int64_t offset = mr_tzif_offset(file, at);

    if (!append(zone, INT64_MIN, offset))
        return false;
    while (at < COVERED) {
        if (mr_tzif_offset(file, at + STEP) == offset) {
            at += STEP;
            continue;
        }
        at = first_change(file, at, at + STEP);
        offset = mr_tzif_offset(file, at);
        if (!append(zone, at, offset))
            return false;
    }
    return true;
}

/* A path could leave the folder. */
static bool is_name(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+-");

    return len > 0 && name[len] == '\0' && name[0] != '/';
}

/* The length of what was read; 0: there is no such file. */
static size_t read_file(const char *name, uint8_t bytes[FILE_MOST])
{
    const char *folder = getenv("TZDIR");
    char path[512];
    size_t length;
    FILE *file;

    if (folder == NULL || folder[0] == '\0')
        folder = "/usr/share/zoneinfo";
    if (!is_name(name) || (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return 0;
    file = fopen(path, "rbe");
    if (file == NULL)
        return 0;
    length = fread(bytes, 1, FILE_MOST, file);
    (void)fclose(file);
    return length;
}

static mr_status open_file(struct mr_tzif **out, const char *name)
{
    uint8_t bytes[FILE_MOST];
    size_t length = read_file(name, bytes);
    mr_status status = length > 0 ? mr_tzif_new(out, bytes, length) : MR_NOT_FOUND;

    return status == MR_INVALID ? MR_NOT_FOUND : status;
}

static mr_status read_zone(struct mr_zone **zone, const char *name)
{
    struct mr_tzif *file = NULL;
    mr_status status = open_file(&file, name);

    if (status == MR_OK && !read_changes(zone, file))
        status = MR_NO_MEMORY;
    mr_tzif_destroy(&file);
    return status;
}

bool mr_zone_is_known(const char *name)
{
    struct mr_tzif *file = NULL;
    bool known = strcmp(name, "UTC") == 0 || open_file(&file, name) == MR_OK;

    mr_tzif_destroy(&file);
    return known;
}

mr_status mr_zone_new(struct mr_zone **out, const char *name)
{
    struct mr_zone *self = NULL;
    mr_status status = MR_NOT_FOUND;

    if (strcmp(name, "UTC") == 0)
        status = append(&self, INT64_MIN, 0) ? MR_OK : MR_NO_MEMORY;
    else
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
