#include "proto/pattern.h"

#include <regex.h>
#include <stdlib.h>

struct mr_pattern {
    regex_t regex;
    char text[];
};

/* Anchored: a match somewhere inside of the text is none. */
static int compile(regex_t *out, const char *text)
{
    struct mr_buf whole = {0};
    int code = REG_ESPACE;

    mr_buf_printf(&whole, "^(%s)$", text);
    mr_buf_char(&whole, '\0');
    if (!whole.failed)
        code = regcomp(out, whole.data, REG_EXTENDED | REG_NOSUB);
    mr_buf_fini(&whole);
    return code;
}

mr_status mr_pattern_new(struct mr_pattern **out, const char *text)
{
    size_t len = strlen(text) + 1;
    struct mr_pattern *self = malloc(sizeof *self + len);
    int code;

    if (self == NULL)
        return MR_NO_MEMORY;
    memcpy(self->text, text, len);
    code = compile(&self->regex, text);
    if (code == 0) {
        *out = self;
        return MR_OK;
    }
    free(self);
    return code == REG_ESPACE ? MR_NO_MEMORY : MR_INVALID;
}

void mr_pattern_destroy(struct mr_pattern **self)
{
    if (*self != NULL)
        regfree(&(*self)->regex);
    free(*self);
    *self = NULL;
}

bool mr_pattern_matches(const struct mr_pattern *self, struct mr_slice text)
{
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)text.len};

    return regexec(&self->regex, text.data, 1, &range, REG_STARTEND) == 0;
}

const char *mr_pattern_text(const struct mr_pattern *self)
{
    return self->text;
}
