#include "proto/message.h"

MR_MESSAGE(task_stats) {
    .summary = "Tasks created, completed and overdue by day (UTC), as the job `aggregate` has added them up",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "their owner"},
        {"from", MR_TIME, MR_QUERY, .about = "the first day; 29 days before the last when it is left out"},
        {"to", MR_TIME, MR_QUERY, .about = "the last day; today when it is left out"}),
};

MR_MESSAGE(report_list) {
    .summary = "The caller's weekly reports, newest first",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .fields = MR_FIELDS({"userId", MR_UUID, MR_TOKEN_USER, true, .about = "whose reports"}),
};

MR_MESSAGE(report_get) {
    .summary = "One report of the caller",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .fields = MR_FIELDS(
        {"reportId", MR_UUID, MR_PATH, true, .about = "the report"},
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "whose it is"}),
};
