#include "proto/message.h"

MR_MESSAGE(task_priority_list) {
    .summary = "The priorities a task can have, by ordinal and code",
    .shape = MR_SHAPE_MANY,
    .rerun_safe = true,
    .cache_s = 300,
    .fields = MR_FIELDS({"id", MR_UUID, MR_NEW_ID, true, .about = "tells one question from the next"}),
};

MR_MESSAGE(task_priority_get) {
    .summary = "One task priority",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .cache_s = 300,
    .fields = MR_FIELDS({"code", MR_TEXT, MR_PATH, true, 1, 32, MR_FORMAT_CODE, .about = "its code"}),
};

MR_MESSAGE(refdata_changed) {
    .summary = "Reference data were changed in the database; told by a data-writer, whose connection listens",
    .shape = MR_SHAPE_NONE,
    .fields = MR_FIELDS({.name = NULL}),
};
