#include "application/making.h"

void mr_make_delete(struct mr_making *self, const struct mr_app_resource *resource)
{
    (void)self;
    (void)resource;
}
