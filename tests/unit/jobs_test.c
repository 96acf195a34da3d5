/*
 * A structural test: every row of the table of jobs is complete, and whatever is named after a job belongs to one.
 */
#include "proto/jobs.h"

#include "jobs/job.h"
#include "jobs/run.h"
#include "application/folder.h"
#include "runtime/config.h"
#include "runtime/settings.h"
#include "sql/sql.h"
#include "tests/support/test.h"

#define FOR_EACH_JOB(info) for (const struct mr_job_info *info = mr_job_info((enum mr_job)0); info < mr_job_info((enum mr_job)0) + MR_JOB_COUNT; info++)

/* ---- Names ---- */

static void test_jobs__names_are_unique_words(void **state)
{
    (void)state;
    FOR_EACH_JOB(a)
    {
        assert_true(strlen(a->name) > 0);
        assert_int_equal(strspn(a->name, "abcdefghijklmnopqrstuvwxyz"), strlen(a->name)); /* "__" ends it in a statement's name */
        assert_true(strlen(a->about) >= 8);
        for (const struct mr_job_info *b = mr_job_info((enum mr_job)0); b < a; b++)
            assert_string_not_equal(a->name, b->name);
    }
}

/* The statements of an op are named after it, too. */
static void test_jobs__none_has_the_name_of_an_operation(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
    {
        assert_string_not_equal(info->name, "schedule"); /* the scheduler's */
        for (int op = 0; op < MR_OP_COUNT; op++)
            assert_string_not_equal(info->name, mr_op_info((enum mr_op)op)->name);
    }
}

static void test_jobs__workers_have_the_statements_of_each_and_no_others(void **state)
{
    (void)state;
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++) {
        bool is_of_job = false;

        FOR_EACH_JOB(info)
            is_of_job = is_of_job || mr_job_does(info, s->name);
        assert_int_equal(mr_job_spec.owns(s->name), is_of_job);
    }
}

static void test_jobs__each_is_found_by_its_name(void **state)
{
    enum mr_job job = MR_JOB_COUNT;

    (void)state;
    FOR_EACH_JOB(info)
    {
        assert_true(mr_job_find(mr_slice_of(info->name), &job));
        assert_ptr_equal(mr_job_info(job), info);
    }
    assert_false(mr_job_find(mr_slice_of("nothing"), &job));
}

/* What a user uploads may be wrong from end to end; what a job finds in the database is not. */
static void test_jobs__only_imports_are_of_what_comes_from_outside(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
    {
        const struct mr_job_code *own = mr_job_code_of((enum mr_job)(info - mr_job_info((enum mr_job)0)));

        assert_int_equal(own != NULL && own->is_input, strcmp(info->name, "import") == 0);
    }
}

/* ---- Work ---- */

static unsigned statements_of(const struct mr_job_info *info)
{
    unsigned count = 0;

    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        count += mr_job_does(info, s->name);
    return count;
}

/* What the engine leaves behind is deleted where nothing is scheduled, and only that: cleanup has no other statement of the engine's. */
static void test_jobs__housekeeping_does_what_cleanup_and_removal_have_for_it(void **state)
{
    (void)state;
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        assert_int_equal(mr_job_does(mr_job_info(MR_JOB_housekeeping), s->name),
                         mr_job_does(mr_job_info(MR_JOB_cleanup), s->name) || strcmp(s->name, "removal__overdue") == 0);
    assert_int_equal(statements_of(mr_job_info(MR_JOB_housekeeping)), statements_of(mr_job_info(MR_JOB_cleanup)) + 1);
    assert_false(mr_job_does(mr_job_info(MR_JOB_cleanup), "removal__overdue"));
    assert_false(mr_job_does(mr_job_info(MR_JOB_cleanup), "cleanups__sessions"));
}

/* Runs that are taken together have no chunks: nothing is done for them (jobs/job.c). */
static void test_jobs__work_of_sql_has_statements(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
        if (!info->by_code && (statements_of(info) > 0) != (info->at_once == 1))
            fail_test("%s has %u statements, and %u runs at once", info->name, statements_of(info), info->at_once);
}

static void test_jobs__work_of_code_has_a_function(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
    {
        const struct mr_job_code *own = mr_job_code_of((enum mr_job)(info - mr_job_info((enum mr_job)0)));

        assert_int_equal(own != NULL, info->by_code);
        if (own != NULL) {
            assert_non_null(own->chunk);
            assert_int_equal(info->at_once, 1);
        }
    }
}

/* Statements of the chunks of a job, and of no other: sql/queries/jobs.sql, and what examples bring along. */
static void test_jobs__every_chunk_is_of_a_job(void **state)
{
    (void)state;
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++) {
        bool is_chunk = strstr(s->text, "(most, cursor, scheduled_for, settings, args, skip, skipped)") != NULL;
        bool is_of_sql = false;

        FOR_EACH_JOB(info)
            is_of_sql = is_of_sql || (!info->by_code && mr_job_does(info, s->name));
        if (is_chunk != is_of_sql)
            fail_test("%s %s", s->name, is_chunk ? "is a chunk of no job" : "does not take what a chunk is given");
    }
}

/* What stands between "__" and "/" counts rows in the run's result. */
static void test_jobs__counters_are_names(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
        for (const struct mr_statement *s = mr_statements; s->name != NULL; s++) {
            size_t len = strlen(info->name);

            if (info->by_code || strncmp(s->name, info->name, len) != 0 || strncmp(s->name + len, "__", 2) != 0)
                continue;
            assert_in_range(strcspn(s->name + len + 2, "/"), 1, 63);
            assert_int_equal(strspn(s->name + len + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                             strcspn(s->name + len + 2, "/"));
        }
}

static void test_jobs__runs_that_are_taken_together_need_not_be_alone(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
    {
        assert_true(info->at_once >= 1);
        assert_false(info->exclusive && info->at_once > 1);
    }
}

/* ---- Settings ---- */

static const struct setting {
    const char *name, *fallback, *rule, *roles, *about;
} settings[] = {
#define SET(member, name, alias, type, fallback, rule, roles, about) {name, fallback, rule, roles, about},
    MR_SETTINGS(SET)
#undef SET
};

enum { SETTINGS = sizeof settings / sizeof settings[0] };

static void test_jobs__each_schedule_is_a_setting_of_the_scheduler(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
    {
        const struct setting *setting = settings;

        if (info->cron == NULL)
            continue;
        while (setting < settings + SETTINGS && strcmp(setting->name, info->cron) != 0)
            setting++;
        if (setting == settings + SETTINGS)
            fail_test("%s is no setting", info->cron);
        assert_string_equal(setting->rule, "cron");
        assert_string_equal(setting->fallback, ""); /* unset: not scheduled */
        assert_string_equal(setting->roles, "S");
        if (strstr(setting->about, info->name) == NULL)
            fail_test("%s does not say that it is of %s", info->cron, info->name);
    }
}

/* Whether a schedule of the application in the binary is that variable's. */
static bool is_of_the_packed(const char *setting)
{
    char variable[64];

    snprintf(variable, sizeof variable, "${%s:-}", setting);
    for (unsigned i = 0; i < mr_packed_application.count; i++)
        if (strncmp(mr_packed_application.files[i].name, "jobs/", 5) == 0 && strstr(mr_packed_application.files[i].text, variable) != NULL)
            return true;
    return false;
}

static void test_jobs__each_setting_of_a_schedule_is_of_one_job(void **state)
{
    (void)state;
    for (const struct setting *setting = settings; setting < settings + SETTINGS; setting++) {
        unsigned jobs = 0;

        FOR_EACH_JOB(info)
            jobs += info->cron != NULL && strcmp(info->cron, setting->name) == 0;
        jobs += is_of_the_packed(setting->name);
        if (jobs != (strcmp(setting->rule, "cron") == 0))
            fail_test("%u jobs have the setting %s", jobs, setting->name);
    }
}

/* A schedule has no owner whose run it could be. */
static void test_jobs__what_users_start_has_no_schedule(void **state)
{
    (void)state;
    FOR_EACH_JOB(info)
        assert_false(info->starter == MR_STARTED_BY_USER && info->cron != NULL);
}

static void test_jobs__all_are_on_but_the_one_for_measuring(void **state)
{
    struct mr_config config = {.job_noop = false};

    (void)state;
    for (int job = 0; job < MR_JOB_COUNT; job++)
        assert_int_equal(mr_job_is_on((enum mr_job)job, &config), job != MR_JOB_noop);
    config.job_noop = true;
    assert_true(mr_job_is_on(MR_JOB_noop, &config));
}

/* ---- Documentation ---- */

/* "| `report` | … | `SCHEDULE_TASK_REPORT_CRON` |", of a job of the application in the binary. */
static bool is_row_of_the_packed(const char *row)
{
    char entry[64];

    snprintf(entry, sizeof entry, "%.*s:\n", (int)strcspn(row + 3, "`"), row + 3);
    for (unsigned i = 0; i < mr_packed_application.count; i++)
        if (strncmp(mr_packed_application.files[i].name, "jobs/", 5) == 0 && strstr(mr_packed_application.files[i].text, entry) != NULL)
            return true;
    return false;
}

/* The row of the documentation is of a job, and names its setting, or none where it has none. */
static void check_row(const char *row)
{
    FOR_EACH_JOB(info)
    {
        size_t len = strlen(info->name);

        if (strncmp(row + 3, info->name, len) != 0 || row[3 + len] != '`')
            continue;
        if (info->cron != NULL ? strstr(row, info->cron) == NULL : strstr(row, "_CRON`") != NULL)
            fail_test("docs/jobs.md has another setting for %s", info->name);
        return;
    }
    if (!is_row_of_the_packed(row))
        fail_test("docs/jobs.md has a job that there is not: %s", row);
}

static void test_jobs__the_documentation_has_the_same(void **state)
{
    FILE *file = fopen(MR_SOURCE_DIR "/docs/jobs.md", "r");
    char line[1024];
    bool is_there = false;
    bool is_past = false;
    unsigned rows = 0;

    (void)state;
    assert_non_null(file);
    while (!is_past && fgets(line, sizeof line, file) != NULL) {
        is_there = is_there || strcmp(line, "## Millrace's own jobs\n") == 0;
        if (is_there && strncmp(line, "| `", 3) == 0) {
            check_row(line);
            rows++;
        }
        is_past = rows > 0 && line[0] != '|'; /* other tables follow */
    }
    fclose(file);
    assert_true(rows >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs__names_are_unique_words),
        cmocka_unit_test(test_jobs__none_has_the_name_of_an_operation),
        cmocka_unit_test(test_jobs__workers_have_the_statements_of_each_and_no_others),
        cmocka_unit_test(test_jobs__each_is_found_by_its_name),
        cmocka_unit_test(test_jobs__only_imports_are_of_what_comes_from_outside),
        cmocka_unit_test(test_jobs__housekeeping_does_what_cleanup_and_removal_have_for_it),
        cmocka_unit_test(test_jobs__work_of_sql_has_statements),
        cmocka_unit_test(test_jobs__work_of_code_has_a_function),
        cmocka_unit_test(test_jobs__every_chunk_is_of_a_job),
        cmocka_unit_test(test_jobs__counters_are_names),
        cmocka_unit_test(test_jobs__runs_that_are_taken_together_need_not_be_alone),
        cmocka_unit_test(test_jobs__each_schedule_is_a_setting_of_the_scheduler),
        cmocka_unit_test(test_jobs__each_setting_of_a_schedule_is_of_one_job),
        cmocka_unit_test(test_jobs__what_users_start_has_no_schedule),
        cmocka_unit_test(test_jobs__all_are_on_but_the_one_for_measuring),
        cmocka_unit_test(test_jobs__the_documentation_has_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
