#include "application/keys.h"

#include <stdio.h>
#include <string.h>

#include "application/model.h"

static const struct mr_kind_info kinds[] = {
#define KIND(name, pattern, told) {pattern, told},
    MR_KINDS(KIND)
#undef KIND
};

#define SECTION(name, model, about) typedef struct model section_##name;
MR_SECTIONS(SECTION)
#undef SECTION

/* In the order of the sections, as MR_KEYS has them. */
static const struct row {
    enum mr_section section;
    struct mr_key key;
} rows[] = {
#define KEY(section, name, member, kind, allowed, fallback, must, needs, about) \
    {MR_SECTION_##section, {name, MR_KIND_##kind, allowed, fallback, must, needs, about, offsetof(section_##section, member)}},
    MR_KEYS(KEY)
#undef KEY
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const struct mr_kind_info *mr_kind_info(enum mr_kind kind)
{
    return &kinds[kind];
}

const struct mr_section_info *mr_section_info(enum mr_section section)
{
    static const struct mr_section_info sections[] = {
#define SECTION(name, model, about) {#name, about, sizeof(struct model)},
        MR_SECTIONS(SECTION)
#undef SECTION
    };

    return &sections[section];
}

enum mr_section mr_section_named(const char *name)
{
    int section = 0;

    while (section < MR_SECTION_COUNT - 1 && strcmp(mr_section_info((enum mr_section)section)->name, name) != 0)
        section++;
    return (enum mr_section)section;
}

const struct mr_key *mr_key_next(enum mr_section section, const struct mr_key *key)
{
    int at = 0;

    while (at < ROW_COUNT && key != NULL && &rows[at].key != key)
        at++;
    for (at += key != NULL; at < ROW_COUNT; at++)
        if (rows[at].section == section)
            return &rows[at].key;
    return NULL;
}

const struct mr_key *mr_key_find(enum mr_section section, const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (rows[i].section == section && strcmp(rows[i].key.name, name) == 0)
            return &rows[i].key;
    return NULL;
}

/* ---- Needs and words ---- */

static void copy_text(char *out, size_t room, const char *text, size_t length)
{
    snprintf(out, room, "%.*s", (int)length, text);
}

bool mr_need_next(const char **at, struct mr_need *out)
{
    const char *begin = *at;
    size_t length;
    size_t key;

    if (begin == NULL || *begin == '\0')
        return false;
    out->negated = *begin == '!';
    begin += out->negated;
    length = strcspn(begin, " ");
    key = strcspn(begin, " =");
    copy_text(out->key, sizeof out->key, begin, key);
    copy_text(out->words, sizeof out->words, key < length ? begin + key + 1 : "", key < length ? length - key - 1 : 0);
    *at = begin + length + strspn(begin + length, " ");
    return true;
}

bool mr_word_next(const char **at, char out[MR_WORD_ROOM])
{
    size_t length;

    if (*at == NULL || **at == '\0')
        return false;
    length = strcspn(*at, "|");
    copy_text(out, MR_WORD_ROOM, *at, length);
    *at += length + ((*at)[length] == '|');
    return true;
}

bool mr_word_is_in(const char *words, const char *word, int *index)
{
    char next[MR_WORD_ROOM];

    for (int i = 0; mr_word_next(&words, next); i++)
        if (strcmp(next, word) == 0) {
            if (index != NULL)
                *index = i;
            return true;
        }
    return false;
}

/* ---- Near spellings ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that make `b` of `a` (optimal string alignment). */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows_of[3][MR_WORD_ROOM];
    size_t la = strlen(a);
    size_t lb = strlen(b);

    if (la >= MR_WORD_ROOM || lb >= MR_WORD_ROOM)
        return MR_WORD_ROOM;
    for (size_t j = 0; j <= lb; j++)
        rows_of[0][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned *now = rows_of[i % 3];
        const unsigned *before = rows_of[(i + 2) % 3];
        const unsigned *earlier = rows_of[(i + 1) % 3];

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows_of[la % 3][lb];
}

/* Whether `candidate` is nearer to `name` than what was nearest so far, and near enough to be meant. */
static bool is_nearer(const char *name, const char *candidate, unsigned *nearest)
{
    unsigned far = distance(name, candidate);

    if (far >= *nearest || (size_t)far * 2 >= strlen(name) + 1)
        return false;
    *nearest = far;
    return true;
}

const char *mr_word_near(const char *words, const char *name, char room[MR_WORD_ROOM])
{
    char next[MR_WORD_ROOM];
    unsigned nearest = 3;
    const char *found = NULL;

    while (mr_word_next(&words, next))
        if (is_nearer(name, next, &nearest)) {
            copy_text(room, MR_WORD_ROOM, next, strlen(next));
            found = room;
        }
    return found;
}

void mr_word_add(struct mr_buf *words, const char *word)
{
    if (words->len > 0)
        mr_buf_char(words, '|');
    mr_buf_text(words, word);
}

const char *mr_word_near_of(struct mr_buf *words, const char *name, char room[MR_WORD_ROOM])
{
    const char *found;

    mr_buf_char(words, '\0');
    found = words->failed ? NULL : mr_word_near(words->data, name, room);
    mr_buf_fini(words);
    return found;
}

const char *mr_key_near(enum mr_section section, const char *name)
{
    unsigned nearest = 3;
    const char *found = NULL;

    for (const struct mr_key *key = mr_key_next(section, NULL); key != NULL; key = mr_key_next(section, key))
        if (is_nearer(name, key->name, &nearest))
            found = key->name;
    return found;
}
