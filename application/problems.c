#include "application/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool make_room(struct mr_problems *self)
{
    struct mr_app_problem *items;

    if (self->count > 0 && (self->count & (self->count - 1)) != 0)
        return true;
    items = realloc(self->items, (self->count > 0 ? 2 * (size_t)self->count : 1) * sizeof *items);
    if (items == NULL)
        return false;
    self->items = items;
    return true;
}

static bool keep(struct mr_problems *self, struct mr_place place, const char *text)
{
    struct mr_app_problem problem = {.place = place, .order = self->count};
    char *file = strdup(place.file);

    problem.text = strdup(text);
    problem.place.file = file;
    if (file == NULL || problem.text == NULL || !make_room(self)) {
        free(file);
        free(problem.text);
        return false;
    }
    self->items[self->count++] = problem;
    return true;
}

static void add_variable(char text[MR_PROBLEM_TEXT], const char *variable)
{
    size_t length = strlen(text);

    snprintf(text + length, MR_PROBLEM_TEXT - length, " (the value is that of %s)", variable);
}

void mr_problems_add(struct mr_problems *self, struct mr_place place, const char *format, ...)
{
    char text[MR_PROBLEM_TEXT];
    va_list arguments;

    self->found++;
    if (self->count == MR_PROBLEMS_KEPT)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (place.variable != NULL)
        add_variable(text, place.variable);
    place.variable = NULL; /* it belongs to the application, which may be gone sooner */
    if (!keep(self, place, text))
        self->failed = true;
}

static int compare_numbers(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int compare(const void *left, const void *right)
{
    const struct mr_app_problem *a = left;
    const struct mr_app_problem *b = right;
    int order = strcmp(a->place.file, b->place.file);

    if (order == 0)
        order = compare_numbers(a->place.line, b->place.line);
    if (order == 0)
        order = compare_numbers(a->place.column, b->place.column);
    return order != 0 ? order : compare_numbers(a->order, b->order);
}

/* Whether one in the same place says the same; they are sorted by place. */
static bool is_told(const struct mr_problems *self, unsigned i)
{
    const struct mr_app_problem *problem = &self->items[i];

    while (i-- > 0) {
        const struct mr_app_problem *earlier = &self->items[i];

        if (strcmp(earlier->place.file, problem->place.file) != 0 || earlier->place.line != problem->place.line ||
            earlier->place.column != problem->place.column)
            return false;
        if (strcmp(earlier->text, problem->text) == 0)
            return true;
    }
    return false;
}

static void print(const struct mr_problems *self, const struct mr_app_problem *problem, struct mr_buf *out)
{
    if (self->of != NULL)
        mr_buf_printf(out, "%s: ", self->of);
    if (problem->place.line > 0)
        mr_buf_printf(out, "%s:%u:%u: %s\n", problem->place.file, problem->place.line, problem->place.column, problem->text);
    else
        mr_buf_printf(out, "%s: %s\n", problem->place.file, problem->text);
}

void mr_problems_print(struct mr_problems *self, struct mr_buf *out)
{
    unsigned left = self->found;
    unsigned told = 0;

    if (self->count > 0)
        qsort(self->items, self->count, sizeof *self->items, compare);
    for (unsigned i = 0; i < self->count && told < MR_PROBLEMS_TOLD; i++, left--) {
        if (is_told(self, i))
            continue;
        print(self, &self->items[i], out);
        told++;
    }
    if (left > 0)
        mr_buf_printf(out, "and %u more\n", left);
}

void mr_problems_fini(struct mr_problems *self)
{
    for (unsigned i = 0; i < self->count; i++) {
        free((char *)self->items[i].place.file); /* ours: see keep() */
        free(self->items[i].text);
    }
    free(self->items);
    *self = (struct mr_problems){0};
}

const char *mr_quote(char room[MR_QUOTE_ROOM], const char *text)
{
    enum { LONGEST = MR_QUOTE_ROOM - 8 }; /* quotation marks, three dots, the end */
    size_t length = strlen(text);
    size_t cut = length;

    if (length > LONGEST) {
        cut = LONGEST;
        while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
            cut--;
    }
    snprintf(room, MR_QUOTE_ROOM, "\"%.*s%s\"", (int)cut, text, cut < length ? "..." : "");
    for (char *c = room; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return room;
}
