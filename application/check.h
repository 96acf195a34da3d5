/*
 * check: what only several values together can get wrong, and needs no database.
 */
#ifndef MR_APPLICATION_CHECK_H
#define MR_APPLICATION_CHECK_H

#include "application/load.h"

/* Checks each field by itself: its range and its default against its type. Also names the column of each field that names none. */
void mr_check_fields(struct mr_application *self, struct mr_problems *problems);

/* Checks what files name in each other: resources, fields and statements, and routes and names that occur twice. */
void mr_check_application(struct mr_application *self, const struct mr_application_options *options,
                          struct mr_problems *problems);

/* The column for a field's name: "category_code" for "categoryCode". NULL: out of memory. */
const char *mr_column_of(struct mr_arena *arena, const char *name);

#endif
