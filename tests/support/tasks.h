/*
 * tasks: the application that tests serve when they need one, and what its messages are made of. Operations and fields are known
 * by their names.
 */
#ifndef MR_TESTS_SUPPORT_TASKS_H
#define MR_TESTS_SUPPORT_TASKS_H

#include "proto/message.h"

/* Group fixtures for cmocka_run_group_tests: make tasks the application of this process, and end that. */
int tasks_serve(void **state);
int tasks_end(void **state);

/* The operation of that name that answers now (mr_op_answering); fails when there is none. */
enum mr_op op_named(const char *name);

/* Among the values of a message of `op`, the one of the field of that name; fails when there is none. */
struct mr_value *value_of(struct mr_value *values, enum mr_op op, const char *name);

/* The same of the field that comes from there: MR_TOKEN_USER is the caller, MR_PATH the row that is meant. */
struct mr_value *value_from(struct mr_value *values, enum mr_op op, enum mr_source from);

/* ---- Values ---- */

void set_text(struct mr_value *value, const char *text);
void set_slice(struct mr_value *value, struct mr_slice text);
void set_id(struct mr_value *value, const uint8_t id[16]);
void set_int(struct mr_value *value, int64_t integer);

/* A whole message, of one field or none beside what it has to have. */
void task_create_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16], const char *summary,
                        const char *priority);
void task_get_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16]);
void task_update_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16]);
void task_delete_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16]);
void task_list_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t user[16]);
void task_page_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t user[16], int64_t page, int64_t size);

#endif
