#include "proto/message.h"

static const struct mr_result task = {
    .name = "Task",
    .about = "A task of the caller",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6071"},
        {"summary", MR_TEXT, .about = "what is to be done", .example = "Write the report"},
        {"description", MR_TEXT, .optional = true, .about = "the details", .example = "Two pages, with figures"},
        {"dueAt", MR_TIME, .optional = true, .about = "when it is due", .example = "2027-01-31T12:00:00.000Z"},
        {"isComplete", MR_BOOL, .about = "whether it is done", .example = "false"},
        {"userId", MR_UUID, .about = "its owner", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f60a1"},
        {"taskPriorityCode", MR_TEXT, .about = "code of its priority", .example = "HIGH"},
        {"taskPriority", .columns = &mr_result_priority, .about = "its priority"},
        {"createdAt", MR_TIME, .about = "when it was created", .example = "2027-01-01T08:00:00.000Z"},
        {"updatedAt", MR_TIME, .about = "when it last changed", .example = "2027-01-01T08:00:00.000Z"}),
};

/* What makes a task, from a body and from a record of an upload. */
#define NEW_TASK \
    {"id", MR_UUID, MR_NEW_ID, true, .about = "the new task"}, \
    {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "its owner"}, \
    {"summary", MR_TEXT, MR_BODY, true, 1, 500, .about = "what is to be done", .example = "Write the report"}, \
    {"description", MR_TEXT, MR_BODY, false, 0, 65536, .about = "the details", .example = "Two pages, with figures"}, \
    {"dueAt", MR_TIME, MR_BODY, .about = "when it is due", .example = "2027-01-31T12:00:00Z"}, \
    {"isComplete", MR_BOOL, MR_BODY, .fallback = "false", .about = "whether it is done", .example = "false"}, \
    {"taskPriorityCode", MR_TEXT, MR_BODY, true, 1, 32, MR_FORMAT_CODE, .about = "code of a task priority", .example = "HIGH"}

MR_MESSAGE(task_create) {
    .built_in = true,
    .summary = "Create a task",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .resource = "task",
    .key = "id",
    .location = "/v1/tasks/:id",
    .idempotent = true,
    .returns = &task,
    .answers = "422",
    .versioned = true,
    .fields = MR_FIELDS(
        NEW_TASK,
        {"Idempotency-Key", MR_TEXT, MR_HEADER, false, 1, 255, .about = "the same key for a day: the first answer again", .example = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""},
        {"fingerprint", MR_TEXT, MR_FINGERPRINT, .about = "tells whether the payload is the same, too"}),
};

MR_MESSAGE(task_import) {
    .built_in = true,
    .summary = "Import tasks: NDJSON, or CSV with a header row; a run says how far it is and which lines are wrong",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .location = "/v1/job-runs/:id",
    .idempotent = true,
    .resource = "task_import",
    .key = "id",
    .upload = &mr_import_upload,
    .import = &(const struct mr_import){.fields = MR_FIELDS(NEW_TASK), .statement = "import__tasks"},
    .returns = &mr_result_job_run,
    .answers = "422|503",
    .fields = mr_import_fields,
};

MR_MESSAGE(task_get) {
    .built_in = true,
    .summary = "One task of the caller",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .returns = &task,
    .answers = "404",
    .versioned = true,
    .fields = MR_FIELDS(
        {"taskId", MR_UUID, MR_PATH, true, .about = "the task", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6071"},
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "its owner"}),
};

MR_MESSAGE(task_update) {
    .built_in = true,
    .summary = "Change a task: fields left out stay as they are, null clears description and dueAt",
    .shape = MR_SHAPE_ONE,
    .resource = "task",
    .key = "taskId",
    .returns = &task,
    .answers = "404|412",
    .versioned = true,
    .fields = MR_FIELDS(
        {"taskId", MR_UUID, MR_PATH, true, .about = "the task", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6071"},
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "its owner"},
        {"id", MR_UUID, MR_BODY, .same_as = "taskId", .about = "may be repeated in the body"},
        {"summary", MR_TEXT, MR_BODY, false, 1, 500, .about = "what is to be done", .example = "Write the report"},
        {"description", MR_TEXT, MR_BODY, false, 0, 65536, .clearable = true, .about = "the details", .example = "Two pages, with figures"},
        {"dueAt", MR_TIME, MR_BODY, .clearable = true, .about = "when it is due", .example = "2027-01-31T12:00:00Z"},
        {"isComplete", MR_BOOL, MR_BODY, .about = "whether it is done", .example = "false"},
        {"taskPriorityCode", MR_TEXT, MR_BODY, false, 1, 32, MR_FORMAT_CODE, .about = "code of a task priority", .example = "HIGH"},
        {"If-Match", MR_TEXT, MR_IF_MATCH, .about = "only if this is the stored version", .example = "\"3\""},
        {"If-None-Match", MR_TEXT, MR_IF_NONE_MATCH, .about = "only if this is not the stored version", .example = "\"3\""}),
};

MR_MESSAGE(task_delete) {
    .built_in = true,
    .summary = "Delete a task",
    .shape = MR_SHAPE_NONE,
    .resource = "task",
    .key = "taskId",
    .answers = "404|412",
    .fields = MR_FIELDS(
        {"taskId", MR_UUID, MR_PATH, true, .about = "the task", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6071"},
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "its owner"},
        {"If-Match", MR_TEXT, MR_IF_MATCH, .about = "only if this is the stored version", .example = "\"3\""},
        {"If-None-Match", MR_TEXT, MR_IF_NONE_MATCH, .about = "only if this is not the stored version", .example = "\"3\""}),
};

/* An order of the list, when its conditions hold: walked or by pages, of all tasks or of those with some words. */
#define ORDER(sort, ...)                                                                    \
    {"task_list/page/" sort "/some", MR_SHAPE_PAGE, .when = {{"page", NULL}, {"q", NULL}, __VA_ARGS__}}, \
    {"task_list/page/" sort "/all", MR_SHAPE_PAGE, .when = {{"page", NULL}, __VA_ARGS__}},               \
    {"task_list/walk/" sort "/some", MR_SHAPE_MANY, .when = {{"q", NULL}, __VA_ARGS__}},                 \
    {"task_list/walk/" sort "/all", MR_SHAPE_MANY, .when = {__VA_ARGS__}}
#define SORTED(sort) ORDER(sort, {"sort", sort})

MR_MESSAGE(task_list) {
    .built_in = true,
    .summary = "The caller's tasks: a plain array, a walk by limit and cursor, or a page",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .returns = &task,
    .continued = true,
    .variants = MR_VARIANTS(SORTED("createdAt"), SORTED("-dueAt"), SORTED("dueAt"), SORTED("-priority"), SORTED("priority"),
                            ORDER("-createdAt", {NULL, NULL})),
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "their owner"},
        {"limit", MR_INT, MR_QUERY, false, 1, 100, .about = "at most so many; the Link header leads to the rest", .example = "20"},
        {"cursor", MR_TEXT, MR_QUERY, false, 48, 48, MR_FORMAT_CURSOR, .belongs_to = "sort",
         .about = "where a Link header goes on, in the same order"},
        {"page", MR_INT, MR_QUERY, false, 1, 2147483647, .about = "which page, from 1", .example = "1"},
        {"pageSize", MR_INT, MR_QUERY, false, 1, 100, .fallback = "10", .about = "tasks on a page", .example = "10"},
        {"isComplete", MR_BOOL, MR_QUERY, .about = "only those that are done, or are not", .example = "false"},
        {"taskPriorityCode", MR_TEXT, MR_QUERY, false, 1, 32, MR_FORMAT_CODE, .about = "only those of this priority", .example = "HIGH"},
        {"dueBefore", MR_TIME, MR_QUERY, .about = "only those due before", .example = "2027-02-01"},
        {"dueAfter", MR_TIME, MR_QUERY, .about = "only those due after", .example = "2027-01-01"},
        {"q", MR_TEXT, MR_QUERY, false, 1, 200, MR_FORMAT_WORDS,
         .about = "only those with all these words in summary or description; punctuation parts words", .example = "report"},
        {"sort", MR_TEXT, MR_QUERY, .format = MR_FORMAT_CHOICE, .fallback = "-createdAt",
         .choices = "createdAt|-createdAt|dueAt|-dueAt|priority|-priority",
         .about = "the order; with - descending. Tasks without a due date come last in either direction", .example = "dueAt"}),
};
