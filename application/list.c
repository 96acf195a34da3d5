#include "application/making.h"

void mr_make_list(struct mr_making *self, const struct mr_app_resource *resource)
{
    (void)self;
    (void)resource;
}
