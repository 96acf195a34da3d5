#include "tests/support/tasks.h"

#include "application/build.h"
#include "application/folder.h"
#include "application/load.h"
#include "tests/support/test.h"

static struct mr_application *application;
static struct mr_built *built;

int tasks_serve(void **state)
{
    struct mr_application_options options = {.packed = &mr_packed_application};
    struct mr_problems problems = {0};
    struct mr_buf text = {0};

    (void)state;
    if (mr_application_load(&application, "tasks:", &options, &problems) != MR_OK ||
        mr_application_build(&built, application, &problems) != MR_OK) {
        mr_problems_print(&problems, &text);
        print_error("tasks: %.*s\n", (int)text.len, text.len > 0 ? text.data : "no memory");
        mr_buf_fini(&text);
        mr_problems_fini(&problems);
        return -1;
    }
    mr_problems_fini(&problems);
    mr_built_install(built);
    return 0;
}

int tasks_end(void **state)
{
    (void)state;
    mr_built_install(NULL);
    mr_built_destroy(&built);
    mr_application_destroy(&application);
    return 0;
}

enum mr_op op_named(const char *name)
{
    for (unsigned op = 0; op < mr_op_count(); op++)
        if (strcmp(mr_op_info((enum mr_op)op)->name, name) == 0)
            return mr_op_answering((enum mr_op)op);
    fail_test("there is no operation %s", name);
    return MR_OP_NONE;
}

struct mr_value *value_of(struct mr_value *values, enum mr_op op, const char *name)
{
    int index = mr_field_index(op, name);

    if (index < 0)
        fail_test("%s has no field %s", mr_op_info(op)->name, name);
    return &values[index];
}

struct mr_value *value_from(struct mr_value *values, enum mr_op op, enum mr_source from)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == from)
            return &values[i];
    fail_test("%s has no field of source %d", mr_op_info(op)->name, (int)from);
    return NULL;
}

void set_slice(struct mr_value *value, struct mr_slice text)
{
    *value = (struct mr_value){.present = true, .text = text};
}

void set_text(struct mr_value *value, const char *text)
{
    set_slice(value, mr_slice_of(text));
}

void set_id(struct mr_value *value, const uint8_t id[16])
{
    *value = (struct mr_value){.present = true};
    memcpy(value->uuid, id, 16);
}

void set_int(struct mr_value *value, int64_t integer)
{
    *value = (struct mr_value){.present = true, .integer = integer};
}

/* ---- Its messages ---- */

/* A message of `op`, from that user; returns the op. */
static enum mr_op begin(struct mr_value *out, const char *name, const uint8_t user[16])
{
    enum mr_op op = op_named(name);

    memset(out, 0, MR_FIELDS_MAX * sizeof *out);
    set_id(value_from(out, op, MR_TOKEN_USER), user);
    return op;
}

void task_create_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16], const char *summary,
                        const char *priority)
{
    enum mr_op op = begin(out, "task_create", user);

    set_id(value_of(out, op, "id"), id);
    set_text(value_of(out, op, "summary"), summary);
    *value_of(out, op, "isComplete") = (struct mr_value){.present = true, .boolean = false};
    set_text(value_of(out, op, "taskPriorityCode"), priority);
}

/* One task's. */
static void begin_one(struct mr_value *out, const char *name, const uint8_t id[16], const uint8_t user[16])
{
    enum mr_op op = begin(out, name, user);

    set_id(value_from(out, op, MR_PATH), id);
}

void task_get_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16])
{
    begin_one(out, "task_get", id, user);
}

void task_update_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16])
{
    begin_one(out, "task_update", id, user);
}

void task_delete_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t id[16], const uint8_t user[16])
{
    begin_one(out, "task_delete", id, user);
}

void task_list_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t user[16])
{
    enum mr_op op = begin(out, "task_list", user);

    set_text(value_of(out, op, "sort"), "-createdAt");
}

void task_page_values(struct mr_value out[MR_FIELDS_MAX], const uint8_t user[16], int64_t page, int64_t size)
{
    enum mr_op op = op_named("task_list");

    task_list_values(out, user);
    set_int(value_of(out, op, "page"), page);
    set_int(value_of(out, op, "pageSize"), size);
}
