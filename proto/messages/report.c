#include "proto/message.h"

static const struct mr_result day = {
    .name = "DayFigures",
    .about = "What became of the caller's tasks on a day",
    .members = MR_MEMBERS(
        {"date", MR_TEXT, .format = "date", .about = "the day, in UTC", .example = "2027-01-31"},
        {"created", MR_INT, .about = "tasks created", .example = "5"},
        {"completed", MR_INT, .about = "tasks completed", .example = "3"},
        {"overdue", MR_INT, .about = "tasks that fell due on the day, and were not completed in time", .example = "1"}),
};

static const struct mr_result counts = {
    .name = "TaskCounts",
    .about = "Numbers of tasks",
    .members = MR_MEMBERS(
        {"created", MR_INT, .about = "created in the period", .example = "5"},
        {"completed", MR_INT, .about = "completed in the period", .example = "3"},
        {"open", MR_INT, .about = "open at its end", .example = "4"},
        {"overdue", MR_INT, .about = "of those, overdue at its end", .example = "1"}),
};

static const struct mr_result figures = {
    .name = "ReportFigures",
    .about = "Numbers of tasks, in all and by priority",
    .members = MR_MEMBERS(
        {"created", MR_INT, .about = "created in the period", .example = "5"},
        {"completed", MR_INT, .about = "completed in the period", .example = "3"},
        {"open", MR_INT, .about = "open at its end", .example = "4"},
        {"overdue", MR_INT, .about = "of those, overdue at its end", .example = "1"},
        {"byPriority", .json = &counts, .keyed = true, .about = "the same for each priority, by its code"}),
};

static const struct mr_result period = {
    .name = "Period",
    .about = "A span of time",
    .members = MR_MEMBERS(
        {"from", MR_TIME, .about = "its begin", .example = "2027-01-04T00:00:00.000Z"},
        {"to", MR_TIME, .about = "its end, which is not in it", .example = "2027-01-11T00:00:00.000Z"}),
};

static const struct mr_result report = {
    .name = "Report",
    .about = "A week of the caller's tasks",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6072"},
        {"period", .columns = &period, .about = "the week"},
        {"createdAt", MR_TIME, .about = "when it was made", .example = "2027-01-11T03:00:00.000Z"},
        {"figures", .json = &figures, .about = "what became of the tasks"}),
};

MR_MESSAGE(task_stats) {
    .built_in = true,
    .summary = "Tasks created, completed and overdue by day (UTC), as the job `aggregate` has added them up",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .returns = &day,
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "their owner"},
        {"from", MR_TIME, MR_QUERY, .about = "the first day; 29 days before the last when it is left out", .example = "2027-01-01"},
        {"to", MR_TIME, MR_QUERY, .about = "the last day; today when it is left out", .example = "2027-01-31"}),
};

MR_MESSAGE(report_list) {
    .built_in = true,
    .summary = "The caller's weekly reports, newest first",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .returns = &report,
    .fields = MR_FIELDS({"userId", MR_UUID, MR_TOKEN_USER, true, .about = "whose reports"}),
};

MR_MESSAGE(report_get) {
    .built_in = true,
    .summary = "One report of the caller",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .returns = &report,
    .answers = "404",
    .fields = MR_FIELDS(
        {"reportId", MR_UUID, MR_PATH, true, .about = "the report", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6072"},
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "whose it is"}),
};
