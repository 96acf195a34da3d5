#include "application/schema.h"

#include "application/keys.h"

/* "one|of|these": "one, of, these". */
static void words(struct mr_buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '|')
            mr_buf_text(out, ", ");
        else
            mr_buf_char(out, *text);
}

static void value(struct mr_buf *out, const struct mr_key *key)
{
    switch (key->kind) {
    case MR_KIND_WORD: words(out, key->allowed); return;
    case MR_KIND_WORDS:
        mr_buf_text(out, "a list of ");
        words(out, key->allowed);
        return;
    case MR_KIND_SECTION:
    case MR_KIND_FIELDS: mr_buf_printf(out, "%s: [%s](#%s)", mr_kind_info(key->kind)->told, key->allowed, key->allowed); return;
    default:
        mr_buf_text(out, mr_kind_info(key->kind)->told);
        if (key->allowed != NULL)
            mr_buf_printf(out, ", %s", key->allowed);
        return;
    }
}

/* What else the map has to say: "type=text !readonly". */
static void needs(struct mr_buf *out, const struct mr_key *key)
{
    const char *at = key->needs;
    struct mr_need need;
    bool is_first = true;

    while (mr_need_next(&at, &need)) {
        mr_buf_text(out, is_first ? "" : "; ");
        is_first = false;
        mr_buf_printf(out, need.negated ? "not with `%s`" : "with `%s`", need.key);
        if (need.words[0] != '\0') {
            mr_buf_text(out, ": ");
            words(out, need.words);
        }
    }
}

static void row(struct mr_buf *out, const struct mr_key *key)
{
    mr_buf_printf(out, "| `%s` | ", key->name);
    value(out, key);
    mr_buf_text(out, " | ");
    if (key->must)
        mr_buf_text(out, "*required*");
    else if (key->fallback != NULL)
        words(out, key->fallback);
    mr_buf_text(out, " | ");
    needs(out, key);
    mr_buf_printf(out, " | %s |\n", key->about);
}

void mr_reference_print(struct mr_buf *out)
{
    for (int i = 0; i < MR_SECTION_COUNT; i++) {
        enum mr_section section = (enum mr_section)i;
        const struct mr_section_info *info = mr_section_info(section);

        mr_buf_printf(out, "%s### %s\n\n%s.\n\n| key | value | default | condition | what it is for |\n|---|---|---|---|---|\n",
                      i > 0 ? "\n" : "", info->name, info->about);
        for (const struct mr_key *key = mr_key_next(section, NULL); key != NULL; key = mr_key_next(section, key))
            row(out, key);
    }
}
