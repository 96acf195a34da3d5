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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MR_REGEXEC_WANTS_NUL 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MR_REGEXEC_WANTS_NUL 1
#endif
#endif

/* The sanitizers' regexec looks for a NUL whatever REG_STARTEND says, and a text that came in a request has none. */
bool mr_pattern_matches(const struct mr_pattern *self, struct mr_slice text)
{
#ifdef MR_REGEXEC_WANTS_NUL
    char *copy = alloca(text.len + 1);

    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    text.data = copy;
#endif
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)text.len};

    return regexec(&self->regex, text.data, 1, &range, REG_STARTEND) == 0;
}

const char *mr_pattern_text(const struct mr_pattern *self)
{
    return self->text;
}
