/*
 * The statements of a list, by number: ((shape * orders) + order) * cases of one order + the case.
 */
#include "application/list.h"

static unsigned sets(const struct list *self)
{
    return 1 + self->filter_count + self->filter_count * (self->filter_count - 1) / 2;
}

static bool has_many(const struct list *self)
{
    return self->few < LIST_MOST;
}

static unsigned cases_of_order(const struct list *self)
{
    return sets(self) * (has_many(self) ? 2 : 1) + (self->words != 0 ? 1 : 0);
}

unsigned list_cases(const struct list *self)
{
    return 2 * self->order_count * cases_of_order(self);
}

/* None; one; and of the pairs those of the first filter first. */
static unsigned set_number(const struct list *self, const struct list_case *one)
{
    unsigned first = one->firm[0];

    if (one->firm_count == 0)
        return 0;
    if (one->firm_count == 1)
        return 1 + first;
    return 1 + self->filter_count + first * self->filter_count - first * (first + 1) / 2 + (one->firm[1] - first - 1);
}

static void read_set(const struct list *self, unsigned number, struct list_case *out)
{
    unsigned first = 0;

    out->firm_count = number == 0 ? 0 : number <= self->filter_count ? 1 : 2;
    if (out->firm_count == 0)
        return;
    out->firm[0] = number - 1;
    if (out->firm_count == 1)
        return;
    number -= 1 + self->filter_count;
    for (; number >= self->filter_count - first - 1; first++)
        number -= self->filter_count - first - 1;
    out->firm[0] = first;
    out->firm[1] = first + 1 + number;
}

unsigned list_case_number(const struct list *self, const struct list_case *one)
{
    unsigned of_order = cases_of_order(self);
    unsigned base = ((one->paged ? self->order_count : 0) + one->order) * of_order;

    if (one->searched)
        return base + of_order - 1;
    return base + (one->many ? sets(self) : 0) + set_number(self, one);
}

struct list_case list_case_at(const struct list *self, unsigned which)
{
    unsigned of_order = cases_of_order(self);
    unsigned order = which / of_order;
    unsigned rest = which % of_order;
    struct list_case out = {.paged = order >= self->order_count, .order = order % self->order_count};

    out.searched = self->words != 0 && rest == of_order - 1;
    out.many = !out.searched && rest >= sets(self);
    if (!out.searched)
        read_set(self, rest - (out.many ? sets(self) : 0), &out);
    out.many = out.many || (out.searched && has_many(self));
    return out;
}

/* One index has the order and a range of what it is in the order of; it may have one value of another column. */
unsigned list_batch(const struct list *self, const struct list_case *one)
{
    const struct list_filter *filter = one->firm_count > 0 ? &self->filters[one->firm[0]] : NULL;

    if (one->searched || one->firm_count > 1 || (one->paged && one->many))
        return 1;
    if (self->orders[one->order].through != NULL && filter != NULL)
        return 1;
    if (filter != NULL && filter->comparison == MR_APP_EQUAL)
        return LIST_BATCH_OF_SOME;
    if (filter != NULL &&
        (filter->comparison == MR_APP_UNEQUAL || strcmp(filter->of.column, self->orders[one->order].by.column) != 0))
        return 1;
    return one->many ? LIST_BATCH_OF_SOME : LIST_BATCH;
}
