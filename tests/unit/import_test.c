/*
 * The job `import`, chunk by chunk. The test plays the database: it hands out the parts of an upload and keeps the tasks.
 * What is defined here takes the place of the functions of the same names in the libraries.
 */
#include "jobs/run.h"

#include <jansson.h>
#include <sodium.h>

#include "jobs/records.h"
#include "runtime/constraints.h"
#include "tests/support/test.h"

enum { TASKS = 8192, HEAD = 20 };

/* What the records of the test are: one of two operations that import. */
static const struct mr_import notes = {
    .fields = MR_FIELDS({"id", MR_UUID, MR_NEW_ID, true, .about = ""}, {"userId", MR_UUID, MR_TOKEN_USER, true, .about = ""},
                        {"summary", MR_TEXT, MR_BODY, true, 1, 500, .about = ""}, {"description", MR_TEXT, MR_BODY, false, 0, 65536, .about = ""},
                        {"dueAt", MR_TIME, MR_BODY, .about = ""}, {"isComplete", MR_BOOL, MR_BODY, .fallback = "false", .about = ""},
                        {"taskPriorityCode", MR_TEXT, MR_BODY, true, 1, 32, MR_FORMAT_CODE, .about = ""}, {"isAdmin", MR_BOOL, MR_TOKEN_ADMIN, true, .about = ""}),
    .statement = "note_import/rows",
    .reason = "note_import/reason",
};
static const struct mr_import others = {.fields = MR_FIELDS({"name", MR_TEXT, MR_BODY, true, .about = ""}), .statement = "other_import/rows"};
static const struct mr_op_info operations[] = {
    {.name = "note_import", .traits = &(const struct mr_traits){.import = &notes, .fields = mr_import_fields}},
    {.name = "other_import", .traits = &(const struct mr_traits){.import = &others, .fields = mr_import_fields}},
};

/* The rows of an answer: a part of the upload each, or the ordinal of a record, what stands against it and its field. */
struct mr_rows {
    unsigned count;
    struct mr_slice parts[8];
    int64_t ordinals[TASKS];
    int64_t statuses[TASKS];
    struct mr_slice fields[TASKS];
};

static struct mr_rows answer;
static struct mr_slice body;
static struct mr_buf tasks; /* the summaries of the tasks that were made, a line each */
static unsigned task_count;
static unsigned chunks;
static unsigned reasons; /* how often they were asked for */

static uint64_t be(const char *bytes, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | (uint8_t)bytes[i];
    return value;
}

/* The element of an array of parameters at `*at`, which moves behind it. */
static struct mr_slice element(const struct mr_params *params, unsigned column, size_t *at)
{
    const struct mr_buf *bytes = &params->arrays[column].bytes;
    struct mr_slice value = {bytes->data + *at + 4, (size_t)be(bytes->data + *at, 4)};

    *at += 4 + value.len;
    return value;
}

static int64_t only_int(const struct mr_params *params, unsigned column)
{
    size_t at = HEAD;

    return (int64_t)be(element(params, column, &at).data, 8);
}

static void hand_out_parts(int64_t first, int64_t last)
{
    for (int64_t part = first; part <= last && part * MR_UPLOAD_PART < (int64_t)body.len; part++) {
        size_t from = (size_t)part * MR_UPLOAD_PART;

        assert_true(answer.count < 8);
        answer.parts[answer.count++] =
            (struct mr_slice){body.data + from, body.len - from < MR_UPLOAD_PART ? body.len - from : MR_UPLOAD_PART};
    }
}

static void answer_with(int64_t n, int64_t status, struct mr_slice field)
{
    answer.ordinals[answer.count] = n;
    answer.statuses[answer.count] = status;
    answer.fields[answer.count++] = field;
}

/* There is every priority but MISSING; of TAKEN and CLASH it is not known why there is no task. */
static void make_tasks(const struct mr_params *params)
{
    size_t at = HEAD;
    size_t priority_at = HEAD;

    for (unsigned i = 0; i < params->arrays[2].elements; i++) {
        struct mr_slice summary = element(params, 2, &at);
        struct mr_slice priority = element(params, 6, &priority_at);

        if (mr_slice_is(priority, "MISSING")) {
            answer_with(i + 1, 400, MR_SLICE("taskPriorityCode"));
            continue;
        }
        if (mr_slice_is(priority, "TAKEN") || mr_slice_is(priority, "CLASH")) {
            answer_with(i + 1, 0, MR_SLICE(""));
            continue;
        }
        mr_buf_slice(&tasks, summary);
        mr_buf_char(&tasks, '\n');
        task_count++;
    }
}

/* Why there is none: of MISSING, too, which was told before. */
static void give_reasons(const struct mr_params *params)
{
    size_t at = HEAD;

    reasons++;
    for (unsigned i = 0; i < params->arrays[6].elements; i++) {
        struct mr_slice priority = element(params, 6, &at);

        if (mr_slice_is(priority, "MISSING"))
            answer_with(i + 1, 400, MR_SLICE("taskPriorityCode"));
        else if (mr_slice_is(priority, "TAKEN"))
            answer_with(i + 1, 409, MR_SLICE("summary"));
        else if (mr_slice_is(priority, "CLASH"))
            answer_with(i + 1, 0, MR_SLICE(""));
    }
}

/* A check constraint of two fields, an application's own word, or nothing that could be explained. */
bool mr_constraints_explain_record(struct mr_actor *self, enum mr_op op, const struct mr_db_error *error, struct mr_refusal *out)
{
    (void)self;
    assert_string_equal(mr_op_info(op)->name, "note_import");
    *out = (struct mr_refusal){.status = MR_INVALID};
    if (strcmp(error->sqlstate, "23514") == 0)
        *out = (struct mr_refusal){MR_INVALID, "summary|dueAt", "range", "breaks a rule of what is stored"};
    else if (strcmp(error->sqlstate, "MR409") == 0)
        *out = (struct mr_refusal){MR_CONFLICT, "", "state", "there are enough of them"};
    return strcmp(error->sqlstate, "P0001") != 0;
}

mr_status mr_job_query(struct mr_actor *self, const char *statement, mr_rows **out)
{
    assert_int_equal(mr_params_end(&self->params), MR_OK);
    answer.count = 0;
    if (strcmp(statement, "import__parts") == 0)
        hand_out_parts(only_int(&self->params, 1), only_int(&self->params, 2));
    else if (strcmp(statement, notes.statement) == 0)
        make_tasks(&self->params);
    else if (strcmp(statement, notes.reason) == 0)
        give_reasons(&self->params);
    else
        fail_test("%s", statement);
    *out = &answer;
    return MR_OK;
}

unsigned mr_rows_count(const mr_rows *self)
{
    return self->count;
}

bool mr_rows_get(const mr_rows *self, unsigned row, unsigned column, struct mr_slice *out)
{
    *out = column == 2 ? self->fields[row] : self->parts[row];
    return true;
}

int64_t mr_rows_int(const mr_rows *self, unsigned row, unsigned column, int64_t otherwise)
{
    (void)otherwise;
    return column == 1 ? self->statuses[row] : self->ordinals[row];
}

void mr_rows_free(mr_rows **self)
{
    *self = NULL;
}

/* ---- A run ---- */

static json_t *result; /* of the last import */

static void set_text(struct mr_buf *out, struct mr_slice text)
{
    mr_buf_clear(out, SIZE_MAX);
    mr_buf_slice(out, text);
    mr_buf_char(out, '\0');
}

static void import_in_chunks(struct mr_slice text, bool is_csv, int64_t chunk_rows)
{
    static struct mr_actor actor = {.clock = &mr_system_clock};
    struct mr_run run = {.chunk_rows = chunk_rows};
    struct mr_chunk chunk = {.more = true};

    body = text;
    mr_buf_clear(&tasks, SIZE_MAX);
    task_count = chunks = reasons = 0;
    mr_buf_printf(&run.args, "{\"operation\":\"note_import\",\"format\":\"%s\",\"parts\":%zu}", is_csv ? "text/csv" : "application/x-ndjson",
                  (body.len + MR_UPLOAD_PART - 1) / MR_UPLOAD_PART);
    mr_buf_char(&run.args, '\0');
    set_text(&run.cursor, MR_SLICE(""));
    set_text(&run.result, MR_SLICE(""));
    while (chunk.more) {
        chunk = (struct mr_chunk){0};
        assert_int_equal(mr_job_import.chunk(&actor, &run, &chunk), MR_OK);
        assert_true(chunks++ < 10000);
        set_text(&run.cursor, buf_slice(&chunk.cursor));
        set_text(&run.result, buf_slice(&chunk.result));
        run.done += chunk.rows;
        mr_buf_fini(&chunk.cursor);
        mr_buf_fini(&chunk.result);
    }
    json_decref(result);
    result = json_loads(run.result.data, 0, NULL);
    json_object_set_new(result, "lines", json_integer(run.done));
    assert_int_equal(json_integer_value(json_object_get(result, "imported")), task_count);
    mr_buf_fini(&run.args);
    mr_buf_fini(&run.cursor);
    mr_buf_fini(&run.result);
    mr_params_fini(&actor.params);
}

static void import(struct mr_slice text, bool is_csv)
{
    import_in_chunks(text, is_csv, 500);
}

static void assert_tasks(const char *summaries)
{
    assert_slice_equal(buf_slice(&tasks), summaries);
}

/* "line field message", one after the other. */
static void assert_list(const char *name, const char *entries)
{
    struct mr_buf text = {0};
    const json_t *error;
    size_t i;

    json_array_foreach(json_object_get(result, name), i, error)
        mr_buf_printf(&text, "%lld %s %s\n", (long long)json_integer_value(json_object_get(error, "line")),
                      json_string_value(json_object_get(error, "field")), json_string_value(json_object_get(error, "message")));
    assert_slice_equal(buf_slice(&text), entries);
    mr_buf_fini(&text);
}

static void assert_errors(const char *errors)
{
    assert_list("errors", errors);
}

static void assert_ignored(const char *ignored)
{
    assert_list("ignored", ignored);
}

static void assert_lines(int64_t lines)
{
    assert_int_equal(json_integer_value(json_object_get(result, "lines")), lines);
}

static int setup(void **state)
{
    static const struct mr_op_table table = {.ops = operations, .op_count = 2};

    (void)state;
    mr_ops_install(&table);
    return sodium_init() < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(result);
    mr_buf_fini(&tasks);
    return 0;
}

/* ---- Lines ---- */

#define TASK(summary) "{\"summary\":\"" summary "\",\"taskPriorityCode\":\"LOW\"}"

static void test_import__names_the_lines_of_ndjson_that_are_wrong(void **state)
{
    (void)state;
    import(MR_SLICE(TASK("one") "\n\n{\n" TASK("two") "\r\n \r\n{\"summary\":\"x\"}\n" TASK("three")), false);
    assert_tasks("one\ntwo\nthree\n");
    assert_errors("3  is not a valid JSON object (RFC 8259, UTF-8)\n6 taskPriorityCode is required\n");
    assert_lines(7);
}

/* One that spans lines is named by its first. */
static void test_import__names_the_lines_of_csv_that_are_wrong(void **state)
{
    (void)state;
    import(MR_SLICE("\nsummary,taskPriorityCode\r\none,LOW\r\n\"two\nand a half\",low\n\nthree,LOW,x\n\"four\n\",LOW"), true);
    assert_tasks("one\nfour\n\n");
    assert_errors("4 taskPriorityCode may hold only A-Z, 0-9, _ and -\n7  has 3 cells where the header has 2\n");
    assert_lines(9);
}

static void test_import__of_nothing_is_nothing(void **state)
{
    (void)state;
    for (int is_csv = 0; is_csv < 2; is_csv++) {
        import(MR_SLICE(""), is_csv);
        assert_tasks("");
        assert_errors("");
        assert_lines(0);
        import(MR_SLICE("\n \r\n"), is_csv);
        assert_errors("");
        assert_lines(2);
    }
}

static void test_import__a_mark_of_the_byte_order_is_no_text(void **state)
{
    (void)state;
    import(MR_SLICE("\xef\xbb\xbf" TASK("one")), false);
    assert_tasks("one\n");
    import(MR_SLICE("\xef\xbb\xbfsummary,taskPriorityCode\none,LOW\n"), true);
    assert_tasks("one\n");
    assert_lines(2);
    for (int most = 1; most < 3; most++) {
        import_in_chunks(MR_SLICE("\xef\xbb\xbf" TASK("one") "\n" TASK("two") "\n"), false, most);
        assert_tasks("one\ntwo\n");
        assert_errors("");
        import_in_chunks(MR_SLICE(TASK("one") "\n\xef\xbb\xbf" TASK("two")), false, most); /* the text does not begin here */
        assert_tasks("one\n");
        assert_errors("2  is not a valid JSON object (RFC 8259, UTF-8)\n");
    }
}

/* Its last chunk was committed, and nobody heard of it: the parts are gone, and the run ends. */
static void test_import__whose_parts_are_gone_is_over(void **state)
{
    static struct mr_actor actor = {.clock = &mr_system_clock};
    struct mr_run run = {.chunk_rows = 500};
    struct mr_chunk chunk = {0};

    (void)state;
    body = MR_SLICE("");
    set_text(&run.args, MR_SLICE("{\"operation\":\"note_import\",\"format\":\"text/csv\",\"parts\":2}"));
    set_text(&run.cursor, MR_SLICE("1000 20 0 2 6"));
    set_text(&run.result, MR_SLICE("{\"imported\":7,\"rejected\":1,\"errors\":[]}"));
    assert_int_equal(mr_job_import.chunk(&actor, &run, &chunk), MR_OK);
    assert_false(chunk.more);
    assert_int_equal(chunk.rows, 0);
    assert_slice_equal(buf_slice(&chunk.result), "{\"imported\":7,\"rejected\":1,\"errors\":[],\"ignored\":[]}");
    mr_buf_fini(&chunk.cursor);
    mr_buf_fini(&chunk.result);
    mr_buf_fini(&run.args);
    mr_buf_fini(&run.cursor);
    mr_buf_fini(&run.result);
    mr_params_fini(&actor.params);
}

static void test_import__a_stray_quote_takes_no_other_lines_along(void **state)
{
    (void)state;
    import(MR_SLICE("summary,taskPriorityCode\n1\" nail,LOW\ntwo,LOW\n\"three,LOW\nfour,LOW\n"), true);
    assert_tasks("two\nfour\n");
    assert_errors("2  is not valid CSV (RFC 4180)\n4  is not valid CSV (RFC 4180)\n");
    assert_lines(5);
}

static void test_import__what_is_no_header_is_told(void **state)
{
    (void)state;
    import(MR_SLICE("sum\"mary\none,LOW\n"), true);
    assert_tasks("");
    assert_errors("1  is not a CSV header (RFC 4180) of at most 128 columns\n");
    import(MR_SLICE("summary,taskPriorityCode\rone,LOW\rtwo,LOW\r"), true);
    assert_errors("1  is not a CSV header (RFC 4180) of at most 128 columns\n");
}

/* Once, and not again for each line; the lines are counted. */
static void test_import__a_header_without_a_required_field_is_refused_once(void **state)
{
    (void)state;
    for (int most = 1; most < 5; most++) {
        import_in_chunks(MR_SLICE("Summary,taskPriorityCode\none,LOW\n\n\"two\n\",LOW\nthree,LOW"), true, most);
        assert_tasks("");
        assert_errors("1 summary is required, and no column has that name; the column \"Summary\" has to be named so\n");
        assert_int_equal(json_integer_value(json_object_get(result, "rejected")), 3);
        assert_lines(6);
    }
}

/* ---- What is not understood ---- */

static void test_import__members_that_are_no_fields_are_told_once(void **state)
{
    (void)state;
    for (int most = 1; most < 4; most++) {
        import_in_chunks(MR_SLICE("{\"summary\":\"one\",\"taskPriorityCode\":\"LOW\",\"DueAt\":\"2027-01-01\"}\n"
                                  "{\"summary\":\"two\",\"taskPriorityCode\":\"LOW\",\"DueAt\":null,\"id\":1}\n"
                                  "{\"DueAt\":1}\n"),
                         false, most);
        assert_tasks("one\ntwo\n");
        assert_ignored("1 DueAt is not a field and was left out; did you mean dueAt?\n2 id is not a field and was left out\n");
    }
}

static void test_import__as_many_names_are_told_as_a_header_may_have(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        mr_buf_printf(&text, "{\"summary\":\"x\",\"taskPriorityCode\":\"LOW\",\"%u%080u\":1}\n", i, i);
    import(buf_slice(&text), false);
    assert_int_equal(task_count, 200);
    assert_int_equal(json_array_size(json_object_get(result, "ignored")), MR_RECORD_COLUMNS);
    mr_buf_fini(&text);
}

static void test_import__columns_that_are_no_fields_are_told_once(void **state)
{
    (void)state;
    import_in_chunks(MR_SLICE("summary,note,taskPriorityCode\none,x,LOW\ntwo,y,LOW\n"), true, 1);
    assert_tasks("one\ntwo\n");
    assert_errors("");
    assert_ignored("1 note is not a field and was left out\n");
}

/* ---- Spreadsheets ---- */

static void test_import__semicolons_and_tabs_of_spreadsheets_are_read(void **state)
{
    (void)state;
    for (int most = 1; most < 4; most++) {
        import_in_chunks(MR_SLICE("summary;taskPriorityCode\r\n\"a;\r\nb\";LOW\r\n1\";LOW\r\nc,;LOW\r\n"), true, most);
        assert_tasks("a;\r\nb\nc,\n");
        assert_errors("4  is not valid CSV (RFC 4180)\n");
        import_in_chunks(MR_SLICE("sep=\t\r\nsummary\ttaskPriorityCode\r\na\tLOW\r\n"), true, most);
        assert_tasks("a\n");
        assert_errors("");
    }
}

/* `text`, which is ASCII but for `\x01`, an emoji, and `\x02`, half of one. */
static void append_utf16(struct mr_buf *out, const char *text, bool big_endian)
{
    for (; *text != '\0'; text++) {
        const unsigned units[2] = {*text == 1 ? 0xd83d : *text == 2 ? 0xdc00 : (unsigned)*text, 0xde00};

        for (int i = 0; i < (*text == 1 ? 2 : 1); i++) {
            mr_buf_char(out, (char)(big_endian ? units[i] >> 8 : units[i] & 0xff));
            mr_buf_char(out, (char)(big_endian ? units[i] & 0xff : units[i] >> 8));
        }
    }
}

static void test_import__utf16_with_a_mark_of_the_byte_order_is_read(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    for (int big_endian = 0; big_endian < 2; big_endian++)
        for (int most = 1; most < 5; most++) {
            mr_buf_clear(&text, SIZE_MAX);
            mr_buf_text(&text, big_endian ? "\xfe\xff" : "\xff\xfe");
            append_utf16(&text, "summary\ttaskPriorityCode\r\n\x01 one\tLOW\r\n\x02\tLOW\r\ntwo\tLOW", big_endian);
            import_in_chunks(buf_slice(&text), true, most);
            assert_tasks("\xf0\x9f\x98\x80 one\ntwo\n");
            assert_errors("3 summary must be UTF-8 without U+0000\n");
            assert_lines(4);
        }
    mr_buf_clear(&text, SIZE_MAX);
    append_utf16(&text, "summary,taskPriorityCode\none,LOW\n", false);
    import(buf_slice(&text), true);
    assert_errors("1  is not UTF-8, nor UTF-16 with a byte order mark\n");
    mr_buf_fini(&text);
}

/* A character, and a record, may go on in the next part; a record has the same bound. */
static void test_import__utf16_does_not_depend_on_where_the_parts_end(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    for (unsigned before = 0; before < 12; before++) {
        mr_buf_clear(&text, SIZE_MAX);
        mr_buf_text(&text, "\xff\xfe");
        append_utf16(&text, "summary,taskPriorityCode,note\n", false);
        while (text.len < MR_UPLOAD_PART - 2 * before)
            append_utf16(&text, "\n", false);
        append_utf16(&text, "\x01\x01,LOW,\n", false);
        for (unsigned i = 0; i < 400000; i++)
            append_utf16(&text, i == 0 ? "b,LOW,x" : i == 399999 ? "\n" : "x", false);
        append_utf16(&text, "last,LOW,\n", false);
        import_in_chunks(buf_slice(&text), true, 3);
        assert_tasks("\xf0\x9f\x98\x80\xf0\x9f\x98\x80\nb\nlast\n");
        assert_errors("");
    }
    mr_buf_fini(&text);
}

/* A run in the middle, of one chunk that is asked for by hand. */
static struct chunk_of {
    struct mr_actor actor;
    struct mr_run run;
    struct mr_chunk chunk;
} one;

static mr_status one_chunk(const char *args, const char *cursor)
{
    one = (struct chunk_of){.actor.clock = &mr_system_clock, .run = {.chunk_rows = 500, .skip = one.run.skip, .owner = {7}}};
    mr_buf_clear(&tasks, SIZE_MAX);
    task_count = 0;
    set_text(&one.run.args, mr_slice_of(args));
    set_text(&one.run.cursor, mr_slice_of(cursor));
    set_text(&one.run.result, MR_SLICE(""));
    return mr_job_import.chunk(&one.actor, &one.run, &one.chunk);
}

static void end_one(void)
{
    json_decref(result);
    result = one.chunk.result.len > 0 ? json_loadb(one.chunk.result.data, one.chunk.result.len, 0, NULL) : NULL;
    mr_buf_fini(&one.chunk.cursor);
    mr_buf_fini(&one.chunk.result);
    mr_buf_fini(&one.run.args);
    mr_buf_fini(&one.run.cursor);
    mr_buf_fini(&one.run.result);
    mr_params_fini(&one.actor.params);
    one.run.skip = (struct mr_skip){0};
}

#define OF_RELEASE_7 "{\"format\":\"text/csv\",\"parts\":1}"
#define OF(operation) "{\"operation\":\"" operation "\",\"format\":\"text/csv\",\"parts\":1,\"admin\":true}"

/* It named no operation, because there was one. */
static void test_import__goes_on_where_release_7_stopped(void **state)
{
    static const struct mr_op_table only = {.ops = operations, .op_count = 1};

    body = MR_SLICE("summary,taskPriorityCode\none,LOW\n");
    mr_ops_install(&only);
    assert_int_equal(one_chunk(OF_RELEASE_7, "25 2 0 2 6"), MR_OK);
    assert_tasks("one\n");
    end_one();
    assert_int_equal(setup(state), 0);
}

/* Whoever finds it tries again later; there is nothing to be taken for what was meant. */
static void test_import__of_an_operation_that_is_gone_says_so(void **state)
{
    (void)state;
    body = MR_SLICE("summary,taskPriorityCode\none,LOW\n");
    assert_int_equal(one_chunk(OF("gone_import"), ""), MR_NOT_FOUND);
    assert_string_equal(one.chunk.error, "the served application has no operation gone_import any more");
    end_one();
    assert_int_equal(one_chunk(OF("import_part"), ""), MR_NOT_FOUND);
    end_one();
    assert_int_equal(one_chunk(OF_RELEASE_7, ""), MR_NOT_FOUND);
    end_one();
    assert_int_equal(task_count, 0);
}

static const struct mr_import grown = {
    .fields = MR_FIELDS({"id", MR_UUID, MR_NEW_ID, true, .about = ""}, {"userId", MR_UUID, MR_TOKEN_USER, true, .about = ""}, {"note", MR_TEXT, MR_BODY, .about = ""},
                        {"summary", MR_TEXT, MR_BODY, .about = ""}, {"a", MR_TEXT, MR_BODY, .about = ""}, {"b", MR_TEXT, MR_BODY, .about = ""}, {"taskPriorityCode", MR_TEXT, MR_BODY, .about = ""}),
    .statement = "note_import/rows"};
static const struct mr_op_info changed = {.name = "note_import",
                                          .traits = &(const struct mr_traits){.import = &grown, .fields = mr_import_fields}};

/* A column of the cursor is a place among fields. */
static void test_import__whose_fields_have_changed_says_so(void **state)
{
    static const struct mr_op_table table = {.ops = &changed, .op_count = 1};
    char cursor[200];

    body = MR_SLICE("summary,taskPriorityCode\none,LOW\ntwo,LOW\n");
    assert_int_equal(one_chunk(OF("note_import"), ""), MR_OK);
    snprintf(cursor, sizeof cursor, "%.*s", (int)one.chunk.cursor.len, one.chunk.cursor.data);
    end_one();
    assert_int_equal(one_chunk(OF("note_import"), cursor), MR_OK);
    end_one();
    mr_ops_install(&table);
    assert_int_equal(one_chunk(OF("note_import"), cursor), MR_CONFLICT);
    assert_string_equal(one.chunk.error, "the fields of note_import have changed, expected the lines that are left in a new upload");
    end_one();
    assert_int_equal(setup(state), 0);
}

/* What a record cannot say: whose it is, and what they may. */
static void test_import__who_uploaded_is_who_calls(void **state)
{
    static const uint8_t owner[16] = {7};
    size_t user_at = HEAD;
    size_t admin_at = HEAD;

    (void)state;
    body = MR_SLICE("summary,taskPriorityCode,userId,isAdmin\none,LOW,00000000-0000-0000-0000-000000000001,false\n");
    assert_int_equal(one_chunk(OF("note_import"), ""), MR_OK);
    assert_memory_equal(element(&one.actor.params, 1, &user_at).data, owner, 16);
    assert_int_equal(*element(&one.actor.params, 7, &admin_at).data, 1);
    end_one();
    assert_ignored("1 userId is not a field and was left out\n1 isAdmin is not a field and was left out\n");
}

/* What the first statement could not see is asked for once, and told by the line. */
static void test_import__a_value_that_is_taken_names_its_field(void **state)
{
    (void)state;
    import(MR_SLICE("summary,taskPriorityCode\none,LOW\ntwo,MISSING\nthree,TAKEN\nfour,CLASH\n"), true);
    assert_tasks("one\n");
    assert_errors("3 taskPriorityCode must name something that exists\n4 summary is taken already\n5  collides with what is stored\n");
    assert_int_equal(json_integer_value(json_object_get(result, "rejected")), 3);
    assert_int_equal(reasons, 1);
    import(MR_SLICE("summary,taskPriorityCode\none,LOW\ntwo,MISSING\n"), true);
    assert_int_equal(reasons, 0);
}

static void refuse_one(const char *sqlstate, const char *errors)
{
    one.run.skip = (struct mr_skip){.now = true};
    snprintf(one.run.skip.error.sqlstate, sizeof one.run.skip.error.sqlstate, "%s", sqlstate);
    body = MR_SLICE("summary,taskPriorityCode\none,LOW\n");
    assert_int_equal(one_chunk(OF("note_import"), ""), MR_OK);
    end_one();
    assert_errors(errors);
    assert_int_equal(json_integer_value(json_object_get(result, "rejected")), 1);
    assert_int_equal(task_count, 0);
}

static void test_import__a_record_that_the_database_refuses_is_told_by_its_fields(void **state)
{
    (void)state;
    refuse_one("23514", "2 summary breaks a rule of what is stored\n2 dueAt breaks a rule of what is stored\n");
    refuse_one("MR409", "2  there are enough of them\n");
    refuse_one("22003", "2  was refused by the database: data exception\n");
    refuse_one("P0001", "2  was refused by the database: raised by a function\n");
}

/* The database says so, and after those that were found before. */
static void test_import__a_priority_that_there_is_not_is_told_in_the_order_of_lines(void **state)
{
    (void)state;
    import(MR_SLICE("summary,taskPriorityCode\none,LOW\ntwo,MISSING\nthree,x\nfour,MISSING\n"), true);
    assert_tasks("one\n");
    assert_errors("3 taskPriorityCode must name something that exists\n"
                  "4 taskPriorityCode may hold only A-Z, 0-9, _ and -\n"
                  "5 taskPriorityCode must name something that exists\n");
    assert_int_equal(json_integer_value(json_object_get(result, "rejected")), 3);
}

static void test_import__no_more_than_a_thousand_errors_are_told(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    for (unsigned i = 0; i < 1500; i++)
        mr_buf_text(&text, "x\n");
    import(buf_slice(&text), false);
    assert_int_equal(json_array_size(json_object_get(result, "errors")), 1000);
    assert_int_equal(json_integer_value(json_object_get(result, "rejected")), 1500);
    assert_lines(1500);
    mr_buf_fini(&text);
}

/* ---- Parts and chunks ---- */

static void fill(struct mr_buf *out, char c, size_t count)
{
    memset(mr_buf_reserve(out, count), c, count);
    out->len += count;
}

/* `text` behind as many blank lines as it takes for a part to end `cut` bytes into it. Returns the lines before it. */
static unsigned import_cut(const char *text, size_t cut, bool is_csv)
{
    struct mr_buf out = {0};
    unsigned lines;

    mr_buf_text(&out, is_csv ? "summary,taskPriorityCode,more\n" : "");
    fill(&out, '\n', MR_UPLOAD_PART - cut - out.len);
    lines = (unsigned)mr_record_lines(buf_slice(&out));
    mr_buf_text(&out, text);
    import(buf_slice(&out), is_csv);
    mr_buf_fini(&out);
    return lines;
}

static void test_import__does_not_depend_on_where_the_parts_end(void **state)
{
    static const char json[] = TASK("caf\xc3\xa9") "\r\n\n{\n" TASK("two");
    static const char csv[] = "\"ca\"\"f\xc3\xa9\n\",LOW,\r\n\n1\",LOW,\r\ntwo,LOW,\"\"\n";
    char error[80];

    (void)state;
    for (size_t cut = 0; cut < sizeof json; cut++) {
        unsigned before = import_cut(json, cut, false);

        snprintf(error, sizeof error, "%u  is not a valid JSON object (RFC 8259, UTF-8)\n", before + 3);
        assert_tasks("caf\xc3\xa9\ntwo\n");
        assert_errors(error);
        assert_lines(before + 4);
    }
    for (size_t cut = 0; cut < sizeof csv; cut++) {
        unsigned before = import_cut(csv, cut, true);

        snprintf(error, sizeof error, "%u  is not valid CSV (RFC 4180)\n", before + 4);
        assert_tasks("ca\"f\xc3\xa9\n\ntwo\n");
        assert_errors(error);
        assert_lines(before + 5);
    }
}

static void test_import__does_not_depend_on_where_the_chunks_end(void **state)
{
    struct mr_buf text = {0};
    struct mr_buf whole = {0};

    (void)state;
    mr_buf_text(&text, "note,taskPriorityCode,summary\n");
    for (unsigned i = 0; i < 300; i++)
        mr_buf_printf(&text, i % 7 == 3 ? "%u,low,wrong\n" : i % 5 == 0 ? "%u,LOW,\"a\nb\"\n" : "%u,LOW,c\n\n", i);
    import_in_chunks(buf_slice(&text), true, 100000);
    assert_int_equal(chunks, 1);
    mr_buf_slice(&whole, buf_slice(&tasks));
    mr_buf_char(&whole, '\0');
    for (unsigned most = 1; most < 40; most++) {
        json_t *before = json_incref(result);

        import_in_chunks(buf_slice(&text), true, most);
        assert_true(chunks >= task_count / most);
        assert_tasks(whole.data);
        assert_true(json_equal(before, result));
        json_decref(before);
    }
    mr_buf_fini(&whole);
    mr_buf_fini(&text);
}

/* ---- Lines that are too long ---- */

/* A line of `len` bytes, its line break included, between two tasks. */
static void import_with_line_of(size_t len, bool is_last, bool is_csv)
{
    struct mr_buf text = {0};

    mr_buf_text(&text, is_csv ? "summary,taskPriorityCode,more\none,LOW,\ntwo,LOW," : TASK("one") "\n\n" TASK("two"));
    fill(&text, is_csv ? 'x' : ' ', len - strlen(is_csv ? "two,LOW,\n" : TASK("two") "\n"));
    if (is_last)
        fill(&text, is_csv ? 'x' : ' ', 1);
    else
        mr_buf_text(&text, is_csv ? "\nthree,LOW,\nx\n" : "\n" TASK("three") "\nx\n");
    import(buf_slice(&text), is_csv);
    mr_buf_fini(&text);
}

static void test_import__a_line_may_be_512_kib_long(void **state)
{
    (void)state;
    for (int is_csv = 0; is_csv < 2; is_csv++) {
        import_with_line_of(MR_RECORD_MAX, false, is_csv);
        assert_tasks("one\ntwo\nthree\n");
        assert_lines(5);
        import_with_line_of(MR_RECORD_MAX, true, is_csv);
        assert_tasks("one\ntwo\n");
        assert_errors("");
        assert_lines(3);
    }
}

static void test_import__a_longer_line_is_given_up_and_no_other(void **state)
{
    static const size_t lengths[] = {MR_RECORD_MAX + 1,           MR_RECORD_MAX + MR_UPLOAD_PART - 100, MR_RECORD_MAX + MR_UPLOAD_PART,
                                     3 * MR_UPLOAD_PART - 70, 3 * MR_UPLOAD_PART,                   5 * MR_RECORD_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        import_with_line_of(lengths[i], false, false);
        assert_tasks("one\nthree\n");
        assert_errors("3  is longer than 512 KiB\n5  is not a valid JSON object (RFC 8259, UTF-8)\n");
        assert_lines(5);
        import_with_line_of(lengths[i], false, true);
        assert_tasks("one\nthree\n");
        assert_errors("3  is longer than 512 KiB, or has a quote that is not closed\n5  has 1 cells where the header has 3\n");
        assert_lines(5);
        import_with_line_of(lengths[i], true, false);
        assert_tasks("one\n");
        assert_errors("3  is longer than 512 KiB\n");
        assert_lines(3);
    }
}

/* Wherever the parts end: the line begins at any place of one. */
static void test_import__a_longer_line_may_begin_anywhere(void **state)
{
    (void)state;
    for (size_t pad = MR_UPLOAD_PART - 64; pad <= MR_UPLOAD_PART + 4; pad += 4) {
        struct mr_buf text = {0};

        mr_buf_text(&text, TASK("one"));
        fill(&text, ' ', pad - text.len);
        mr_buf_char(&text, '\n');
        fill(&text, 'x', 2 * MR_RECORD_MAX);
        mr_buf_text(&text, "\n" TASK("two") "\n");
        import(buf_slice(&text), false);
        assert_tasks("one\ntwo\n");
        assert_errors("2  is longer than 512 KiB\n");
        assert_lines(3);
        mr_buf_fini(&text);
    }
}

/* Its line is given up; those behind it are records of their own. */
static void test_import__a_quote_that_is_never_closed_costs_its_line(void **state)
{
    struct mr_buf text = {0};
    unsigned lines = 2;

    (void)state;
    mr_buf_text(&text, "summary,taskPriorityCode\n\"one,LOW\n");
    for (; text.len < 3 * MR_RECORD_MAX; lines++)
        mr_buf_printf(&text, "task %0200u,LOW\n", lines + 1);
    import(buf_slice(&text), true);
    assert_int_equal(task_count, lines - 2);
    assert_errors("2  is longer than 512 KiB, or has a quote that is not closed\n");
    assert_lines(lines);
    mr_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import__names_the_lines_of_ndjson_that_are_wrong),
        cmocka_unit_test(test_import__names_the_lines_of_csv_that_are_wrong),
        cmocka_unit_test(test_import__of_nothing_is_nothing),
        cmocka_unit_test(test_import__a_mark_of_the_byte_order_is_no_text),
        cmocka_unit_test(test_import__whose_parts_are_gone_is_over),
        cmocka_unit_test(test_import__a_stray_quote_takes_no_other_lines_along),
        cmocka_unit_test(test_import__what_is_no_header_is_told),
        cmocka_unit_test(test_import__a_priority_that_there_is_not_is_told_in_the_order_of_lines),
        cmocka_unit_test(test_import__no_more_than_a_thousand_errors_are_told),
        cmocka_unit_test(test_import__does_not_depend_on_where_the_parts_end),
        cmocka_unit_test(test_import__does_not_depend_on_where_the_chunks_end),
        cmocka_unit_test(test_import__a_line_may_be_512_kib_long),
        cmocka_unit_test(test_import__a_longer_line_is_given_up_and_no_other),
        cmocka_unit_test(test_import__a_longer_line_may_begin_anywhere),
        cmocka_unit_test(test_import__a_quote_that_is_never_closed_costs_its_line),
        cmocka_unit_test(test_import__a_header_without_a_required_field_is_refused_once),
        cmocka_unit_test(test_import__members_that_are_no_fields_are_told_once),
        cmocka_unit_test(test_import__as_many_names_are_told_as_a_header_may_have),
        cmocka_unit_test(test_import__columns_that_are_no_fields_are_told_once),
        cmocka_unit_test(test_import__semicolons_and_tabs_of_spreadsheets_are_read),
        cmocka_unit_test(test_import__utf16_with_a_mark_of_the_byte_order_is_read),
        cmocka_unit_test(test_import__utf16_does_not_depend_on_where_the_parts_end),
        cmocka_unit_test(test_import__goes_on_where_release_7_stopped),
        cmocka_unit_test(test_import__of_an_operation_that_is_gone_says_so),
        cmocka_unit_test(test_import__whose_fields_have_changed_says_so),
        cmocka_unit_test(test_import__who_uploaded_is_who_calls),
        cmocka_unit_test(test_import__a_value_that_is_taken_names_its_field),
        cmocka_unit_test(test_import__a_record_that_the_database_refuses_is_told_by_its_fields),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
