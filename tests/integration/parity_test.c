/*
 * Tasks answer as the release did that had them compiled in: tests/data/answers/tasks.txt has a line for each of these requests, as
 * it answered.
 */
#include "tests/support/folder.h"
#include "tests/support/served.h"
#include "tests/support/test.h"

/* A request. `%s` in a path or a body is the id of the task that the last 201 was about. */
struct step {
    enum mr_verb verb;
    const char *path;
    enum caller caller;
    headers given;
    const char *body;
};

#define POST   MR_VERB_POST, "/v1/tasks"
#define GET    MR_VERB_GET, "/v1/tasks/%s"
#define PUT    MR_VERB_PUT, "/v1/tasks/%s"
#define PATCH  MR_VERB_PATCH, "/v1/tasks/%s"
#define DELETE MR_VERB_DELETE, "/v1/tasks/%s"
#define SOMEBODYS "/v1/tasks/00000000-0000-7000-8000-000000000001"

static const struct step steps[] = {
    {POST, ANN, {NULL}, "{\"summary\":\"one\",\"taskPriorityCode\":\"LOW\"}"},
    {GET, ANN, {NULL}, ""},
    {GET, BOB, {NULL}, ""},
    {GET, ADMIN, {NULL}, ""},
    {POST, BOB, {NULL}, "{\"summary\":\"two\",\"description\":null,\"dueAt\":\"2027-01-31T12:00:00+01:00\",\"isComplete\":true,\"taskPriorityCode\":\"HIGH\"}"},
    {GET, BOB, {NULL}, ""},
    {PUT, ANN, {NULL}, "{\"summary\":\"mine\"}"},
    {PUT, BOB, {NULL}, "{\"id\":\"%s\",\"summary\":\"three\",\"description\":\"long\",\"isComplete\":false}"},
    {PATCH, BOB, {NULL}, "{\"dueAt\":null,\"taskPriorityCode\":\"URGENT\"}"},
    {PATCH, BOB, {NULL}, "{}"},
    {PATCH, BOB, {"If-Match", "\"4\""}, "{\"description\":null}"},
    {PATCH, BOB, {"If-Match", "\"4\""}, "{\"description\":\"late\"}"},
    {PATCH, BOB, {"If-Match", "\"4\", \"5\""}, "{\"summary\":null}"},
    {PATCH, BOB, {"If-None-Match", "*"}, "{\"summary\":\"never\"}"},
    {PATCH, BOB, {"If-None-Match", "\"6\""}, "{\"summary\":\"never\"}"},
    {PATCH, BOB, {"If-None-Match", "\"5\""}, "{\"summary\":\"unless\"}"},
    {PATCH, BOB, {"If-Match", "\"1\""}, "{\"taskPriorityCode\":\"NONE\"}"},
    {PATCH, BOB, {NULL}, "{\"summary\":\"never\",\"taskPriorityCode\":\"NONE\"}"},
    {GET, BOB, {NULL}, ""},
    {DELETE, ANN, {NULL}, ""},
    {DELETE, BOB, {"If-Match", "\"1\""}, ""},
    {DELETE, BOB, {"If-None-Match", "*"}, ""},
    {DELETE, BOB, {"If-Match", "\"7\""}, ""},
    {DELETE, BOB, {NULL}, ""},
    {GET, BOB, {NULL}, ""},
    {PUT, BOB, {NULL}, "{\"summary\":\"gone\"}"},
    {MR_VERB_PUT, SOMEBODYS, BOB, {"If-Match", "\"1\""}, "{\"taskPriorityCode\":\"NONE\"}"},
    {POST, ANN, {NULL}, "{\"summary\":\"four\",\"taskPriorityCode\":\"NONE\"}"},
    {POST, ANN, {"Idempotency-Key", "k"}, "{\"summary\":\"five\",\"taskPriorityCode\":\"LOW\",\"dueAt\":\"2027-01-31\"}"},
    {PATCH, ANN, {NULL}, "{\"summary\":\"changed\"}"},
    {POST, ANN, {"Idempotency-Key", "k"}, "{\"summary\":\"five\",\"taskPriorityCode\":\"LOW\",\"dueAt\":\"2027-01-31\"}"},
    {GET, ANN, {NULL}, ""},
    {POST, ANN, {"Idempotency-Key", "k"}, "{\"summary\":\"six\",\"taskPriorityCode\":\"LOW\",\"dueAt\":\"2027-01-31\"}"},
    {POST, BOB, {"Idempotency-Key", "k"}, "{\"summary\":\"six\",\"taskPriorityCode\":\"LOW\"}"},
    {POST, BOB, {"Idempotency-Key", "l"}, "{\"summary\":\"seven\",\"taskPriorityCode\":\"NONE\"}"},
    {POST, BOB, {"Idempotency-Key", "l"}, "{\"summary\":\"seven\",\"taskPriorityCode\":\"BACKLOG\"}"},
    {POST, GONE, {NULL}, "{\"summary\":\"eight\",\"taskPriorityCode\":\"LOW\"}"},
    {POST, GONE, {"Idempotency-Key", "k"}, "{\"summary\":\"eight\",\"taskPriorityCode\":\"NONE\"}"},
    {GET, GONE, {NULL}, ""},
    {PATCH, GONE, {"If-Match", "\"1\""}, "{\"taskPriorityCode\":\"NONE\"}"},
    {DELETE, GONE, {"If-Match", "\"1\""}, ""},
};

enum { STEPS = sizeof steps / sizeof steps[0] };

static bool is_of_the_moment(const char *name)
{
    return strcmp(name, "createdAt") == 0 || strcmp(name, "updatedAt") == 0;
}

/* What an answer says, without what differs from one run to the next. */
static char *told(const struct reply *reply, const char *id)
{
    struct mr_buf out = {0};
    const char *name;
    json_t *value;
    char *body;

    if (reply->kind != MR_REPLY) {
        mr_buf_printf(&out, "%s %s%c", mr_status_name(reply->status), reply->field, '\0');
        return out.data;
    }
    json_object_foreach(reply->body, name, value)
    {
        if (is_of_the_moment(name))
            json_object_set_new(reply->body, name, json_boolean(strlen(json_string_value(value)) == 24));
    }
    if (strcmp(reply_text(reply, NULL, "id"), id) == 0)
        json_object_set_new(reply->body, "id", json_string("the task's"));
    body = json_dumps(reply->body, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    mr_buf_printf(&out, "version %lld %s%c", (long long)reply->version, body, '\0');
    free(body);
    return out.data;
}

static void fill_in(char *out, size_t room, const char *text, const char *id)
{
    const char *gap = strstr(text, "%s");
    int before = gap != NULL ? (int)(gap - text) : (int)strlen(text);

    snprintf(out, room, "%.*s%s%s", before, text, gap != NULL ? id : "", gap != NULL ? gap + 2 : "");
}

static void play(struct served *self, char *answers[STEPS])
{
    char id[40] = "";
    char path[128];
    char body[512];

    for (unsigned i = 0; i < STEPS; i++) {
        const struct step *step = &steps[i];
        const struct reply *reply;

        fill_in(path, sizeof path, step->path, id);
        fill_in(body, sizeof body, step->body, id);
        reply = served_call(self, step->verb, path, step->caller, step->given, body);
        if (step->verb == MR_VERB_POST && reply->kind == MR_REPLY)
            snprintf(id, sizeof id, "%s", reply_text(reply, NULL, "id"));
        answers[i] = told(reply, id);
    }
}

/* A line of the record for each step; the line ends at `text`, which moves behind it. */
static struct mr_slice next_line(const char **text)
{
    size_t len = strcspn(*text, "\n");
    struct mr_slice line = {*text, len};

    *text += len + ((*text)[len] == '\n');
    return line;
}

static void test_parity__tasks_answer_as_they_did_when_they_were_compiled_in(void **state)
{
    struct served *self = served_new(MR_SOURCE_DIR "/apps/tasks");
    struct mr_buf record = {0};
    char *answers[STEPS];
    unsigned wrong = 0;
    const char *at;

    (void)state;
    served_actors(self);
    play(self, answers);
    read_file(MR_SOURCE_DIR "/tests/data/answers/tasks.txt", &record);
    mr_buf_char(&record, '\0');
    at = record.data;
    for (unsigned i = 0; i < STEPS; i++) {
        struct mr_slice expected = next_line(&at);

        if (!mr_slice_is(expected, answers[i])) {
            print_error("step %u, %s %s: %s\nnot %.*s\n", i, mr_verb_name(steps[i].verb), steps[i].body, answers[i], (int)expected.len,
                        expected.data);
            wrong++;
        }
        free(answers[i]);
    }
    assert_int_equal(strlen(at), 0);
    assert_int_equal(wrong, 0);
    mr_buf_fini(&record);
    served_destroy(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parity__tasks_answer_as_they_did_when_they_were_compiled_in),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
