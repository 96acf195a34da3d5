/*
 * tasks: the application that targets of the gateway serve, and its operations by name.
 */
#ifndef MR_TESTS_FUZZ_TASKS_H
#define MR_TESTS_FUZZ_TASKS_H

#include "proto/message.h"

/* Makes tasks the application of this process; a second call does nothing. */
void serve_tasks(void);

/* The operation of that name, which this process serves. */
enum mr_op op_named(const char *name);

#endif
