#include "jobs/records.h"

#include "tests/support/tasks.h"
#include "tests/support/test.h"

enum { RECORDS = 64 };

/* A record as it was found: its text, and the line it begins in. */
struct found {
    struct mr_slice text;
    int64_t line;
};

/* Takes the records that end in `text`, from a line on; returns the bytes that are done. */
static size_t find(struct found *out, unsigned *count, struct mr_slice text, bool is_csv, bool is_last, int64_t *line)
{
    size_t at = 0;

    while (at < text.len) {
        struct mr_slice rest = {text.data + at, text.len - at};

        rest.len = mr_record_length(rest, is_csv, is_last);
        if (rest.len == 0)
            break;
        assert_true(*count < RECORDS);
        out[(*count)++] = (struct found){rest, *line};
        *line += mr_record_lines(rest);
        at += rest.len;
    }
    return at;
}

/* All records of a body that comes in parts, which end at `cut` and `other_cut`: what has no end waits for the next part. */
static unsigned find_in_parts(struct found *out, struct mr_slice body, bool is_csv, size_t cut, size_t other_cut)
{
    size_t ends[] = {cut, other_cut, body.len};
    unsigned count = 0;
    int64_t line = 1;
    size_t at = 0;

    for (unsigned i = 0; i < 3; i++)
        at += find(out, &count, (struct mr_slice){body.data + at, ends[i] - at}, is_csv, i == 2, &line);
    assert_int_equal(at, body.len);
    return count;
}

static unsigned find_all(struct found *out, const char *body, bool is_csv)
{
    return find_in_parts(out, mr_slice_of(body), is_csv, 0, 0);
}

/* ---- Where a record ends ---- */

static void test_records__one_of_ndjson_is_a_line(void **state)
{
    struct found found[RECORDS];

    (void)state;
    assert_int_equal(find_all(found, "{\"a\":\"\\n\"}\n\n{\"b\":\"x\"}\r\n{}", false), 4);
    assert_slice_equal(found[0].text, "{\"a\":\"\\n\"}\n");
    assert_slice_equal(found[1].text, "\n");
    assert_slice_equal(found[2].text, "{\"b\":\"x\"}\r\n");
    assert_slice_equal(found[3].text, "{}");
    for (int i = 0; i < 4; i++)
        assert_int_equal(found[i].line, i + 1);
}

static void test_records__one_of_csv_may_hold_line_breaks_between_quotes(void **state)
{
    struct found found[RECORDS];

    (void)state;
    assert_int_equal(find_all(found, "a,b\n\"one\r\ntwo\",\"\"\"\n\"\n\"\",\"\"\nlast", true), 4);
    assert_slice_equal(found[0].text, "a,b\n");
    assert_slice_equal(found[1].text, "\"one\r\ntwo\",\"\"\"\n\"\n");
    assert_slice_equal(found[2].text, "\"\",\"\"\n");
    assert_slice_equal(found[3].text, "last");
    assert_int_equal(found[1].line, 2);
    assert_int_equal(found[2].line, 5);
    assert_int_equal(found[3].line, 6);
}

/* A quote is nothing special in NDJSON, where the line is a record whatever it holds. */
static void test_records__quotes_do_not_join_lines_of_ndjson(void **state)
{
    struct found found[RECORDS];

    (void)state;
    assert_int_equal(find_all(found, "{\"a\n\"b}\n", false), 2);
}

static void test_records__without_an_end_it_waits_unless_nothing_more_comes(void **state)
{
    (void)state;
    for (int is_csv = 0; is_csv < 2; is_csv++) {
        assert_int_equal(mr_record_length(MR_SLICE("a,b"), is_csv, false), 0);
        assert_int_equal(mr_record_length(MR_SLICE("a,b"), is_csv, true), 3);
        assert_int_equal(mr_record_length(MR_SLICE(""), is_csv, false), 0);
        assert_int_equal(mr_record_length(MR_SLICE(""), is_csv, true), 0);
        assert_int_equal(mr_record_length((struct mr_slice){NULL, 0}, is_csv, true), 0);
        assert_int_equal(mr_record_length(MR_SLICE("a,b\r"), is_csv, false), 0);
        assert_int_equal(mr_record_length(MR_SLICE("a,b\r\nc"), is_csv, false), 5);
    }
    assert_int_equal(mr_record_length(MR_SLICE("a,\"b\nc\n"), true, false), 0);
    assert_int_equal(mr_record_length(MR_SLICE("a,\"b\nc\n"), true, true), 7);
}

/* Longer than a record may be: as long as it has no end, it is known by its not having one. */
static void test_records__one_that_is_too_long_has_no_end_in_what_may_be_read(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    memset(mr_buf_reserve(&text, MR_RECORD_MAX + 1), 'x', MR_RECORD_MAX);
    text.len = MR_RECORD_MAX;
    for (int is_csv = 0; is_csv < 2; is_csv++) {
        assert_int_equal(mr_record_length(buf_slice(&text), is_csv, false), 0);
        text.data[text.len - 1] = '\n';
        assert_int_equal(mr_record_length(buf_slice(&text), is_csv, false), MR_RECORD_MAX);
        text.data[text.len - 1] = 'x';
    }
    mr_buf_fini(&text);
}

static const char *const bodies[] = {
    "summary,taskPriorityCode\r\nbuy milk,LOW\r\n\"say \"\"hi\"\"\",HIGH\r\n",
    "a,b\n\"x\ny\",\"\"\"\"\n\n\r\n\"\"\"\r\n\"\"\",z\n",
    "{\"summary\":\"caf\xc3\xa9\"}\n\n  \n{\"a\":\"\\\"\"}\r\n{}",
    "\n\n\r\n\r\n",
    "one",
    "\"never closed\nand on\nand on",
};

/* Where the parts of an upload end is chance. */
static void test_records__do_not_depend_on_where_the_parts_end(void **state)
{
    (void)state;
    for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++)
        for (int is_csv = 0; is_csv < 2; is_csv++) {
            struct mr_slice body = mr_slice_of(bodies[b]);
            struct found whole[RECORDS];
            unsigned count = find_all(whole, bodies[b], is_csv);

            for (size_t cut = 0; cut <= body.len; cut++)
                for (size_t other_cut = cut; other_cut <= body.len; other_cut++) {
                    struct found parts[RECORDS];

                    assert_int_equal(find_in_parts(parts, body, is_csv, cut, other_cut), count);
                    for (unsigned i = 0; i < count; i++) {
                        assert_ptr_equal(parts[i].text.data, whole[i].text.data);
                        assert_int_equal(parts[i].text.len, whole[i].text.len);
                        assert_int_equal(parts[i].line, whole[i].line);
                    }
                }
        }
}

static void test_records__are_blank_when_there_is_only_space_in_them(void **state)
{
    (void)state;
    assert_true(mr_record_is_blank(MR_SLICE("")));
    assert_true(mr_record_is_blank(MR_SLICE("\n")));
    assert_true(mr_record_is_blank(MR_SLICE(" \t \r\n")));
    assert_false(mr_record_is_blank(MR_SLICE("  x\n")));
    assert_false(mr_record_is_blank(MR_SLICE(",\n")));
    assert_false(mr_record_is_blank(MR_SLICE("\0\n"))); /* half a character of UTF-16, for one */
    assert_false(mr_record_is_blank(MR_SLICE("\v\n")));
}

/* ---- JSON ---- */

/* What a record comes to: its values, then what is wrong with them. */
static const char *read_as(struct mr_slice text, int64_t line, const struct mr_layout *layout)
{
    static char out[2048];
    const struct mr_field *fields = mr_op_info(op_named("task_create"))->traits->fields;
    struct mr_record record;
    size_t len = 0;

    assert_int_equal(mr_record_read(&record, text, mr_op_info(op_named("task_create"))->traits->fields, line, layout), MR_OK);
    out[0] = '\0';
    for (unsigned i = 0; fields[i].name != NULL; i++) {
        const struct mr_value *value = &record.values[i];

        if (!value->present)
            continue;
        len += (size_t)snprintf(out + len, sizeof out - len, "%s=", fields[i].name);
        if (fields[i].type == MR_TEXT)
            len += (size_t)snprintf(out + len, sizeof out - len, "<%.*s> ", (int)value->text.len, value->text.data);
        else if (fields[i].type == MR_BOOL)
            len += (size_t)snprintf(out + len, sizeof out - len, "%s ", value->boolean ? "true" : "false");
        else
            len += (size_t)snprintf(out + len, sizeof out - len, "%lld ", (long long)value->integer);
    }
    if (record.error_count > 0)
        snprintf(out + len, sizeof out - len, "! %.*s", (int)record.errors.len, record.errors.data);
    mr_record_fini(&record);
    return out;
}

static const char *read_json(const char *text)
{
    return read_as(mr_slice_of(text), 3, NULL);
}

static void test_records__json_gives_the_fields_of_a_body(void **state)
{
    (void)state;
    assert_string_equal(read_json("{\"summary\":\"buy milk\",\"taskPriorityCode\":\"LOW\",\"isComplete\":true,\"dueAt\":\"1970-01-02\"}"),
                        "summary=<buy milk> dueAt=86400000000 isComplete=true taskPriorityCode=<LOW> ");
    assert_string_equal(read_json("{\"summary\":\"x\",\"taskPriorityCode\":\"LOW\",\"description\":null}\r\n"),
                        "summary=<x> isComplete=false taskPriorityCode=<LOW> ");
}

/* What stands beside the fields of the body is not looked at: nobody makes a task of another user, or chooses an id. */
static void test_records__json_gives_no_other_fields(void **state)
{
    (void)state;
    assert_string_equal(read_json("{\"summary\":\"x\",\"taskPriorityCode\":\"LOW\",\"id\":\"no\",\"userId\":1,\"fingerprint\":\"f\",\"more\":[]}"),
                        "summary=<x> isComplete=false taskPriorityCode=<LOW> ");
}

static void test_records__json_is_named_by_every_problem_that_it_has(void **state)
{
    (void)state;
    assert_string_equal(read_json("{\"summary\":7,\"isComplete\":\"true\",\"dueAt\":\"1970-01-01\"}"),
                        "dueAt=0 "
                        "! {\"line\":3,\"field\":\"summary\",\"message\":\"must be a string\"}"
                        ",{\"line\":3,\"field\":\"isComplete\",\"message\":\"must be a boolean\"}"
                        ",{\"line\":3,\"field\":\"taskPriorityCode\",\"message\":\"is required\"}");
}

static void test_records__what_is_no_json_object_is_one_problem(void **state)
{
    static const char *const texts[] = {"{",        "[]",        "7",       "{} {}",          "\"text\"",
                                        "null",     "{'a':1}",   "{a:1}",   "{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xc3\"}",
                                        "{\"a\":1,}", "{\"a\":\"\xed\xa0\x80\"}", "// x"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(read_json(texts[i]),
                   "! {\"line\":3,\"field\":\"\",\"message\":\"is not a valid JSON object (RFC 8259, UTF-8)\"}") != 0)
            fail_test("%s: %s", texts[i], read_json(texts[i]));
    assert_string_equal(read_json("{\"a\":{\"b\":1,\"b\":2}}"), "! {\"line\":3,\"field\":\"a.b\",\"message\":\"must be given once\"}");
}

/* ---- CSV: the header ---- */

static struct mr_layout layout; /* of the last header */
static struct mr_buf said;      /* why it was refused, then what was ignored */

static void read_header(struct mr_slice text)
{
    struct mr_record refused = {0};
    struct mr_record ignored = {0};

    assert_int_equal(mr_record_header(&layout, text, mr_op_info(op_named("task_create"))->traits->fields, 1, &refused, &ignored), MR_OK);
    mr_buf_clear(&said, SIZE_MAX);
    mr_buf_slice(&said, buf_slice(&refused.errors));
    mr_buf_char(&said, '|');
    mr_buf_slice(&said, buf_slice(&ignored.errors));
    mr_record_fini(&refused);
    mr_record_fini(&ignored);
}

/* The fields that the columns of a header stand for, "-" for none of them. */
static const char *header(struct mr_slice text)
{
    static char out[1024];

    read_header(text);
    out[0] = '\0';
    for (unsigned i = 0; i < layout.count; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i > 0 ? "," : "",
                 layout.columns[i] < 0 ? "-" : mr_op_info(op_named("task_create"))->traits->fields[layout.columns[i]].name);
    return out;
}

static void assert_no_header(struct mr_slice text, const char *message)
{
    char expected[160];

    read_header(text);
    snprintf(expected, sizeof expected, "{\"line\":1,\"field\":\"\",\"message\":\"%s\"}|", message);
    assert_slice_equal(buf_slice(&said), expected);
}

static const char no_csv[] = "is not a CSV header (RFC 4180) of at most 128 columns";
static const char no_text[] = "is not UTF-8, nor UTF-16 with a byte order mark";

static void test_records__a_header_names_fields(void **state)
{
    (void)state;
    assert_string_equal(header(MR_SLICE("summary,taskPriorityCode\n")), "summary,taskPriorityCode");
    assert_string_equal(header(MR_SLICE("\"isComplete\",description\r\n")), "isComplete,description");
    assert_string_equal(header(MR_SLICE("summary")), "summary");
}

static void test_records__columns_of_a_header_that_are_no_fields_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(header(MR_SLICE("note,summary,,Summary, summary\n")), "-,summary,-,-,-");
    assert_string_equal(header(MR_SLICE("id,userId,fingerprint,Idempotency-Key\n")), "-,-,-,-");
}

static void test_records__a_header_of_another_encoding_is_refused(void **state)
{
    (void)state;
    assert_no_header(MR_SLICE("summary,taskPriorityCode,f\xe4llig\n"), no_text);
    assert_no_header(MR_SLICE("s\0u\0m\0,\0x\0\n"), no_text);
}

#define IGNORED(field, message) "{\"line\":1,\"field\":\"" field "\",\"message\":\"" message "\"}"

static void test_records__what_a_header_has_that_is_no_field_is_told(void **state)
{
    (void)state;
    read_header(MR_SLICE("summary,DueAt,taskPriorityCode, dueAt ,note,,description,description\n"));
    assert_slice_equal(buf_slice(&said),
                       "|" IGNORED("DueAt", "is not a field and was left out; did you mean dueAt?")
                       "," IGNORED(" dueAt ", "is not a field and was left out; did you mean dueAt?")
                       "," IGNORED("note", "is not a field and was left out") "," IGNORED("", "column 6 has no name and was left out")
                       "," IGNORED("description", "column 8 is a second one of that name and was left out"));
}

static void test_records__a_header_without_a_required_field_is_refused(void **state)
{
    (void)state;
    read_header(MR_SLICE("Summary,summary2\n"));
    assert_slice_equal(buf_slice(&said),
                       IGNORED("summary", "is required, and no column has that name; the column \\\"Summary\\\" has to be named so")
                       "," IGNORED("taskPriorityCode", "is required, and no column has that name")
                       "|" IGNORED("Summary", "is not a field and was left out; did you mean summary?")
                       "," IGNORED("summary2", "is not a field and was left out"));
    read_header(MR_SLICE("summary,taskPriorityCode,summary\n"));
    assert_slice_equal(buf_slice(&said), IGNORED("summary", "has more than one column")
                       "|" IGNORED("summary", "column 3 is a second one of that name and was left out"));
}

static void test_records__a_header_tells_its_delimiter(void **state)
{
    (void)state;
    assert_string_equal(header(MR_SLICE("summary;taskPriorityCode;\"a;b\"\r\n")), "summary,taskPriorityCode,-");
    assert_int_equal(layout.delimiter, ';');
    assert_string_equal(read_as(MR_SLICE("\"x;y\";LOW;z,\n"), 3, &layout), "summary=<x;y> isComplete=false taskPriorityCode=<LOW> ");
    assert_string_equal(header(MR_SLICE("Summary\ttaskPriorityCode\n")), "-,taskPriorityCode");
    assert_int_equal(layout.delimiter, '\t');
    assert_string_equal(header(MR_SLICE("a;b,summary\n")), "-,summary");
    assert_int_equal(layout.delimiter, ',');
    read_header(MR_SLICE("a;b\n"));
    assert_int_equal(layout.delimiter, ',');
    assert_true(mr_record_is_separator(MR_SLICE("sep=;\r\n")));
    assert_true(mr_record_is_separator(MR_SLICE("SEP=\t\n")));
    assert_false(mr_record_is_separator(MR_SLICE("sep=x\n")));
    assert_false(mr_record_is_separator(MR_SLICE("sep=;;\n")));
}

static void test_records__what_is_no_csv_is_no_header(void **state)
{
    (void)state;
    assert_no_header(MR_SLICE("summary,\"task\n"), no_csv);
    assert_no_header(MR_SLICE("\"summary\"x,a\n"), no_csv);
    assert_no_header(MR_SLICE("sum\"mary\n"), no_csv);
}

/* A bare CR ends no record of RFC 4180: lines that end so would be one long header, and no record at all. */
static void test_records__lines_that_end_with_cr_are_no_csv(void **state)
{
    const struct mr_layout two = {',', 2, {2, 6}};

    (void)state;
    assert_no_header(MR_SLICE("summary,taskPriorityCode\rbuy milk,LOW\r"), no_csv);
    assert_false(mr_record_is_csv(MR_SLICE("a\rb\n"), ','));
    assert_string_equal(read_as(MR_SLICE("buy milk\rLOW\n"), 2, &two),
                        "! {\"line\":2,\"field\":\"\",\"message\":\"is not valid CSV (RFC 4180)\"}");
}

static void read_header_of(unsigned count)
{
    struct mr_buf text = {0};

    for (unsigned i = 0; i < count; i++)
        mr_buf_text(&text, i > 0 ? ",x" : "x");
    mr_buf_char(&text, '\n');
    read_header(buf_slice(&text));
    mr_buf_fini(&text);
}

/* With fewer columns than it has, every record would seem to have too many cells. */
static void test_records__a_header_has_no_more_columns_than_are_kept(void **state)
{
    (void)state;
    read_header_of(MR_RECORD_COLUMNS);
    assert_int_equal(layout.count, MR_RECORD_COLUMNS);
    read_header_of(MR_RECORD_COLUMNS + 1);
    mr_buf_char(&said, '\0');
    assert_non_null(strstr(said.data, no_csv));
}

/* ---- CSV: the records ---- */

/* Reads a record below a header, as line 3. */
static const char *read_csv(const char *head, struct mr_slice text)
{
    read_header(mr_slice_of(head));
    return read_as(text, 3, &layout);
}

#define HEAD "summary,taskPriorityCode,description"

static void test_records__csv_gives_the_fields_of_a_body(void **state)
{
    (void)state;
    assert_string_equal(read_csv(HEAD, MR_SLICE("buy milk,LOW,two bottles\n")),
                        "summary=<buy milk> description=<two bottles> isComplete=false taskPriorityCode=<LOW> ");
    assert_string_equal(read_csv("isComplete,dueAt,taskPriorityCode,summary", MR_SLICE("true,1970-01-02,LOW,x\r\n")),
                        "summary=<x> dueAt=86400000000 isComplete=true taskPriorityCode=<LOW> ");
    assert_string_equal(read_csv(HEAD, MR_SLICE("x,LOW,y")), "summary=<x> description=<y> isComplete=false taskPriorityCode=<LOW> ");
}

static void test_records__spreadsheets_write_booleans_in_capitals(void **state)
{
    (void)state;
    assert_string_equal(read_csv("summary,taskPriorityCode,isComplete", MR_SLICE("x,LOW,TRUE\n")),
                        "summary=<x> isComplete=true taskPriorityCode=<LOW> ");
    assert_string_equal(read_csv("summary,taskPriorityCode,isComplete", MR_SLICE("TRUE,LOW,False\n")),
                        "summary=<TRUE> isComplete=false taskPriorityCode=<LOW> ");
}

static void test_records__a_cell_between_quotes_is_what_it_says(void **state)
{
    (void)state;
    assert_string_equal(read_csv(HEAD, MR_SLICE("\"say \"\"hi\"\"\",\"LOW\",\"one\r\ntwo, three\n\"\r\n")),
                        "summary=<say \"hi\"> description=<one\r\ntwo, three\n> isComplete=false taskPriorityCode=<LOW> ");
    assert_string_equal(read_csv(HEAD, MR_SLICE("\"\"\"\",LOW,\"\"\n")), "summary=<\"> isComplete=false taskPriorityCode=<LOW> ");
}

/* RFC 4180, 2.4. */
static void test_records__blanks_belong_to_their_cell(void **state)
{
    (void)state;
    assert_string_equal(read_csv(HEAD, MR_SLICE(" x ,LOW,\t\n")),
                        "summary=< x > description=<\t> isComplete=false taskPriorityCode=<LOW> ");
    assert_string_equal(read_csv(HEAD, MR_SLICE("x, \"LOW\",y\n")), "! {\"line\":3,\"field\":\"\",\"message\":\"is not valid CSV (RFC 4180)\"}");
}

static void test_records__an_empty_cell_is_a_value_left_out(void **state)
{
    (void)state;
    assert_string_equal(read_csv("isComplete,summary,taskPriorityCode", MR_SLICE(",x,LOW\n")),
                        "summary=<x> isComplete=false taskPriorityCode=<LOW> ");
    assert_string_equal(read_csv(HEAD, MR_SLICE(",\"\",\n")), "isComplete=false "
                                                                "! {\"line\":3,\"field\":\"summary\",\"message\":\"is required\"}"
                                                                ",{\"line\":3,\"field\":\"taskPriorityCode\",\"message\":\"is required\"}");
}

static void test_records__a_field_without_a_column_is_left_out(void **state)
{
    (void)state;
    assert_string_equal(read_csv("summary", MR_SLICE("x\n")),
                        "summary=<x> isComplete=false ! {\"line\":3,\"field\":\"taskPriorityCode\",\"message\":\"is required\"}");
}

static void test_records__cells_of_unknown_columns_are_ignored(void **state)
{
    (void)state;
    assert_string_equal(read_csv("note,summary,taskPriorityCode,", MR_SLICE("\xff,x,LOW,more\n")),
                        "summary=<x> isComplete=false taskPriorityCode=<LOW> ");
}

static void test_records__of_two_columns_for_a_field_the_first_counts(void **state)
{
    (void)state;
    assert_string_equal(read_csv("summary,summary,taskPriorityCode", MR_SLICE("one,two,LOW\n")),
                        "summary=<one> isComplete=false taskPriorityCode=<LOW> ");
    assert_string_equal(read_csv("summary,taskPriorityCode,description,description", MR_SLICE("one,LOW,,no\n")),
                        "summary=<one> isComplete=false taskPriorityCode=<LOW> ");
}

static void test_records__there_are_as_many_cells_as_columns(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    assert_string_equal(read_csv(HEAD, MR_SLICE("x,LOW\n")), "! {\"line\":3,\"field\":\"\",\"message\":\"has 2 cells where the header has 3\"}");
    assert_string_equal(read_csv(HEAD, MR_SLICE("x,LOW,y,\n")), "! {\"line\":3,\"field\":\"\",\"message\":\"has 4 cells where the header has 3\"}");
    for (unsigned i = 0; i < 3 * MR_RECORD_COLUMNS; i++)
        mr_buf_text(&text, i > 0 ? ",x" : "x");
    assert_string_equal(read_csv(HEAD, buf_slice(&text)),
                        "! {\"line\":3,\"field\":\"\",\"message\":\"has 384 cells where the header has 3\"}");
    mr_buf_fini(&text);
}

static void test_records__a_cell_that_does_not_fit_its_field_is_a_problem(void **state)
{
    (void)state;
    assert_string_equal(read_csv("summary,taskPriorityCode,isComplete,dueAt", MR_SLICE("caf\xe9,low,maybe,tomorrow\n")),
                        "! {\"line\":3,\"field\":\"summary\",\"message\":\"must be UTF-8 without U+0000\"}"
                        ",{\"line\":3,\"field\":\"taskPriorityCode\",\"message\":\"may hold only A-Z, 0-9, _ and -\"}"
                        ",{\"line\":3,\"field\":\"isComplete\",\"message\":\"must be a boolean\"}"
                        ",{\"line\":3,\"field\":\"dueAt\",\"message\":\"must be a date or date-time (RFC 3339, ISO 8601)\"}");
    assert_string_equal(read_csv("summary,taskPriorityCode", MR_SLICE("a\0b,LOW\n")),
                        "isComplete=false taskPriorityCode=<LOW> "
                        "! {\"line\":3,\"field\":\"summary\",\"message\":\"must be UTF-8 without U+0000\"}");
}

static void test_records__what_is_no_csv_is_one_problem(void **state)
{
    static const char *const texts[] = {"\"x,LOW,y\n", "x\",LOW,y\n", "\"x\"y,LOW,z\n", "\"a\nb,LOW,y", "\""};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(mr_record_is_csv(mr_slice_of(texts[i]), ','));
        assert_string_equal(read_csv(HEAD, mr_slice_of(texts[i])),
                            "! {\"line\":3,\"field\":\"\",\"message\":\"is not valid CSV (RFC 4180)\"}");
    }
    assert_true(mr_record_is_csv(MR_SLICE("x,\"a\n\"\"b\",\r\n"), ','));
    assert_true(mr_record_is_csv(MR_SLICE(""), ','));
}

/* ---- Problems ---- */

static void test_records__problems_are_members_of_an_array(void **state)
{
    struct mr_record record = {0};

    (void)state;
    mr_record_problem(&record, 1, "", "first");
    mr_record_problem(&record, INT64_C(5000000000), "a\"b", "second\n");
    assert_int_equal(record.error_count, 2);
    assert_slice_equal(buf_slice(&record.errors), "{\"line\":1,\"field\":\"\",\"message\":\"first\"},"
                                                  "{\"line\":5000000000,\"field\":\"a\\\"b\",\"message\":\"second\\n\"}");
    mr_record_fini(&record);
}

static int teardown(void **state)
{
    mr_buf_fini(&said);
    return tasks_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records__one_of_ndjson_is_a_line),
        cmocka_unit_test(test_records__one_of_csv_may_hold_line_breaks_between_quotes),
        cmocka_unit_test(test_records__quotes_do_not_join_lines_of_ndjson),
        cmocka_unit_test(test_records__without_an_end_it_waits_unless_nothing_more_comes),
        cmocka_unit_test(test_records__one_that_is_too_long_has_no_end_in_what_may_be_read),
        cmocka_unit_test(test_records__do_not_depend_on_where_the_parts_end),
        cmocka_unit_test(test_records__are_blank_when_there_is_only_space_in_them),
        cmocka_unit_test(test_records__json_gives_the_fields_of_a_body),
        cmocka_unit_test(test_records__json_gives_no_other_fields),
        cmocka_unit_test(test_records__json_is_named_by_every_problem_that_it_has),
        cmocka_unit_test(test_records__what_is_no_json_object_is_one_problem),
        cmocka_unit_test(test_records__a_header_names_fields),
        cmocka_unit_test(test_records__columns_of_a_header_that_are_no_fields_are_unknown),
        cmocka_unit_test(test_records__a_header_of_another_encoding_is_refused),
        cmocka_unit_test(test_records__what_a_header_has_that_is_no_field_is_told),
        cmocka_unit_test(test_records__a_header_without_a_required_field_is_refused),
        cmocka_unit_test(test_records__a_header_tells_its_delimiter),
        cmocka_unit_test(test_records__spreadsheets_write_booleans_in_capitals),
        cmocka_unit_test(test_records__what_is_no_csv_is_no_header),
        cmocka_unit_test(test_records__lines_that_end_with_cr_are_no_csv),
        cmocka_unit_test(test_records__a_header_has_no_more_columns_than_are_kept),
        cmocka_unit_test(test_records__csv_gives_the_fields_of_a_body),
        cmocka_unit_test(test_records__a_cell_between_quotes_is_what_it_says),
        cmocka_unit_test(test_records__blanks_belong_to_their_cell),
        cmocka_unit_test(test_records__an_empty_cell_is_a_value_left_out),
        cmocka_unit_test(test_records__a_field_without_a_column_is_left_out),
        cmocka_unit_test(test_records__cells_of_unknown_columns_are_ignored),
        cmocka_unit_test(test_records__of_two_columns_for_a_field_the_first_counts),
        cmocka_unit_test(test_records__there_are_as_many_cells_as_columns),
        cmocka_unit_test(test_records__a_cell_that_does_not_fit_its_field_is_a_problem),
        cmocka_unit_test(test_records__what_is_no_csv_is_one_problem),
        cmocka_unit_test(test_records__problems_are_members_of_an_array),
    };

    return cmocka_run_group_tests(tests, tasks_serve, teardown);
}
