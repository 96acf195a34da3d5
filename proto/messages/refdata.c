#include "proto/message.h"

const struct mr_result mr_result_priority = {
    .name = "TaskPriority",
    .about = "How urgent a task is",
    .members = MR_MEMBERS(
        {"code", MR_TEXT, .about = "its code", .example = "HIGH"},
        {"label", MR_TEXT, .about = "its name for people", .example = "High"},
        {"description", MR_TEXT, .optional = true, .about = "one line on when to use it", .example = "Next in line, today if possible."},
        {"ordinal", MR_INT, .about = "its place; the lowest is the most urgent", .example = "2"}),
};

MR_MESSAGE(task_priority_list) {
    .built_in = true,
    .summary = "The priorities a task can have, by ordinal and code",
    .shape = MR_SHAPE_MANY,
    .rerun_safe = true,
    .cache_s = 300,
    .returns = &mr_result_priority,
    .fields = MR_FIELDS({"id", MR_UUID, MR_NEW_ID, true, .about = "tells one question from the next"}),
};

MR_MESSAGE(task_priority_get) {
    .built_in = true,
    .summary = "One task priority",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .cache_s = 300,
    .returns = &mr_result_priority,
    .answers = "404",
    .fields = MR_FIELDS({"code", MR_TEXT, MR_PATH, true, 1, 32, MR_FORMAT_CODE, .about = "its code", .example = "HIGH"}),
};

MR_MESSAGE(refdata_changed) {
    .summary = "Reference data were changed in the database; told by a data-writer, whose connection listens",
    .shape = MR_SHAPE_NONE,
    .fields = MR_FIELDS({.name = NULL}),
};
