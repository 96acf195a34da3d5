#include "application/making.h"

void mr_make_operation(struct mr_making *self, const struct mr_app_operation *operation)
{
    (void)self;
    (void)operation;
}
