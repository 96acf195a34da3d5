/*
 * check: what only several values together can get wrong, and needs no database.
 */
#ifndef MR_APPLICATION_CHECK_H
#define MR_APPLICATION_CHECK_H

#include "application/load.h"

/* Each field against itself: its range and its default against its type. Also names the columns of those that say none. */
void mr_check_fields(struct mr_application *self, struct mr_problems *problems);

/* What files name in each other: resources, fields, statements; routes and names that are there twice. */
void mr_check_application(struct mr_application *self, const struct mr_application_options *options,
                          struct mr_problems *problems);

/* "categoryCode": "category_code". NULL: out of memory. */
const char *mr_column_of(struct mr_arena *arena, const char *name);

#endif
