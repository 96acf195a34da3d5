/*
 * fill: `${NAME}` and `${NAME:-default}` inside string values.
 *
 * They are filled in after parsing, so a value can never become YAML. A variable that is empty counts as not set. What was
 * filled in is not looked at again. `$${` stands for `${` itself. Keys and files of SQL are left as they are.
 */
#ifndef MR_APPLICATION_FILL_H
#define MR_APPLICATION_FILL_H

#include "application/model.h"

enum { MR_FILL_BYTES = 64 * 1024 };

/* Substitutes the variables in a tree, and notes each of them in `self`. */
void mr_fill(struct mr_application *self, struct mr_yaml *node, const char *(*lookup)(const char *name),
             struct mr_problems *problems);

#endif
