#include "runtime/sampler.h"

#include <stdlib.h>

#define ALL (UINT64_C(1) << 56)

static bool parse_ratio(const char *text, double *out)
{
    char *end;

    if (*text == '\0' || strspn(text, "0123456789.eE-") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && *out >= 0 && *out <= 1;
}

bool mr_sampler_is_ratio(const char *text, struct mr_buf *reason)
{
    double ignored;
    bool good = parse_ratio(text, &ignored);

    if (!good)
        mr_buf_text(reason, "expected a ratio from 0 to 1, such as 0.01");
    return good;
}

struct mr_sampler mr_sampler_of(const char *name, const char *arg)
{
    static const char parent[] = "parentbased_";
    struct mr_sampler self = {.follows_parent = strncmp(name, parent, strlen(parent)) == 0};
    double ratio = 1;

    if (self.follows_parent)
        name += strlen(parent);
    if (strcmp(name, "always_off") == 0)
        ratio = 0;
    else if (strcmp(name, "traceidratio") == 0)
        (void)parse_ratio(arg, &ratio);
    self.threshold = ALL - (uint64_t)(ratio * (double)ALL);
    return self;
}

bool mr_sampler_wants(const struct mr_sampler *self, bool has_parent, bool parent_sampled, const uint8_t trace_id[16])
{
    uint64_t random = 0;

    if (self->follows_parent && has_parent)
        return parent_sampled;
    for (int i = 9; i < 16; i++)
        random = random << 8 | trace_id[i];
    return random >= self->threshold;
}
