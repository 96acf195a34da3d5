/* What `millrace new` writes loads, says what was asked for, and never takes the place of something. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "application/scaffold.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

enum { PATH_ROOM = 512 };

static struct folder folder;
static struct mr_buf told;
static struct mr_buf problem;
static struct mr_scaffold scaffold;

static int setup(void **state)
{
    (void)state;
    folder_make_bare(&folder);
    told = problem = (struct mr_buf){0};
    scaffold = (struct mr_scaffold){folder.path, NULL, &told, &problem};
    return mr_scaffold_application(&scaffold) == MR_OK ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    mr_buf_fini(&told);
    mr_buf_fini(&problem);
    folder_remove(&folder);
    return 0;
}

static struct mr_application *must_load(void)
{
    struct mr_application *application = NULL;
    struct mr_problems problems = {0};
    struct mr_buf text = {0};
    mr_status status = mr_application_load(&application, folder.path, NULL, &problems);

    mr_problems_print(&problems, &text);
    if (status != MR_OK)
        fail_test("%.*s", (int)text.len, text.data);
    mr_buf_fini(&text);
    mr_problems_fini(&problems);
    return application;
}

static bool is_in(const struct mr_buf *buf, const char *text)
{
    return buf->len > 0 && memmem(buf->data, buf->len, text, strlen(text)) != NULL;
}

static bool is_there(const char *name)
{
    char path[2 * PATH_ROOM];

    snprintf(path, sizeof path, "%s/%s", folder.path, name);
    return access(path, F_OK) == 0;
}

static mr_status add_resource(const char *name, unsigned count, const char *const *fields)
{
    mr_buf_clear(&problem, 0);
    return mr_scaffold_resource(&scaffold, name, fields, count);
}

#define RESOURCE(name, ...)                                                                          \
    add_resource(name, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void test_application__loads_and_has_a_title(void **state)
{
    struct mr_application *application = must_load();

    (void)state;
    assert_memory_equal(application->title, "Millrace folder ", 16);
    assert_true(is_in(&told, "wrote /tmp/millrace-folder-"));
    assert_true(is_in(&told, "next: "));
    mr_application_destroy(&application);
}

static void test_application__is_not_made_over_another(void **state)
{
    (void)state;
    assert_int_equal(mr_scaffold_application(&scaffold), MR_INVALID);
    assert_true(is_in(&problem, "millrace.yaml: it is there already"));
}

static void test_resource__has_the_fields_that_were_asked_for(void **state)
{
    struct mr_application *application;
    const struct mr_app_resource *product;

    (void)state;
    assert_int_equal(RESOURCE("product", "sku:text:unique", "price:decimal", "tags:text:many", "releasedAt:timestamp:clearable",
                              "inStock:boolean"),
                     MR_OK);
    application = must_load();
    product = mr_app_resource(application, "product");
    assert_string_equal(product->path, "/v1/products");
    assert_string_equal(product->table, "product");
    assert_int_equal(product->fields.count, 5);
    assert_true(product->fields.items[0].unique && product->fields.items[0].required);
    assert_int_equal(product->fields.items[1].scale.value, 2);
    assert_true(product->fields.items[2].many && !product->fields.items[2].required);
    assert_true(product->fields.items[3].clearable);
    assert_string_equal(product->fields.items[3].column, "released_at");
    assert_non_null(product->fields.items[4].fallback);
    assert_true(product->list.sort.items[0].descending);
    assert_int_equal(application->migration_count, 1);
    assert_string_equal(application->migrations[0].name, "0001_product");
    assert_non_null(strstr(application->migrations[0].sql, "sku text NOT NULL UNIQUE CHECK (length(sku) BETWEEN 1 AND 200)"));
    assert_non_null(strstr(application->migrations[0].sql, "released_at timestamptz,"));
    assert_non_null(strstr(application->migrations[0].sql, "CREATE INDEX ON product (created_at, id);"));
    mr_application_destroy(&application);
}

static void test_resources__of_every_type_load_and_number_their_migrations(void **state)
{
    static const char *const types[] = {"text", "uuid", "integer", "decimal", "number", "boolean", "date", "timestamp", "json"};
    static const char *const flags[] = {"", ":many", ":clearable", ":unique"};
    struct mr_application *application;

    (void)state;
    for (unsigned flag = 0; flag < 4; flag++) {
        char texts[9][64];
        const char *fields[9];
        unsigned count = 0;
        char name[16];

        for (unsigned type = 0; type < 9; type++) {
            if (flag == 3 && strcmp(types[type], "json") == 0)
                continue;
            snprintf(texts[count], sizeof texts[count], "%sValue:%s%s", types[type], types[type], flags[flag]);
            fields[count] = texts[count];
            count++;
        }
        snprintf(name, sizeof name, "kind_%u", flag);
        if (add_resource(name, count, fields) != MR_OK)
            fail_test("%.*s", (int)problem.len, problem.data);
    }
    application = must_load();
    assert_int_equal(application->resource_count, 4);
    assert_string_equal(application->migrations[3].name, "0004_kind_3");
    mr_application_destroy(&application);
}

static void test_resource__that_is_there_is_left_alone(void **state)
{
    struct mr_application *application;

    (void)state;
    assert_int_equal(RESOURCE("product", "sku:text"), MR_OK);
    assert_int_equal(RESOURCE("product", "other:text"), MR_INVALID);
    assert_true(is_in(&problem, "resources/product.yaml: it is there already"));
    assert_false(is_there("migrations/0002_product.sql"));
    application = must_load();
    assert_string_equal(mr_app_resource(application, "product")->fields.items[0].name, "sku");
    mr_application_destroy(&application);
}

static void test_resource__whose_route_is_taken_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_int_equal(RESOURCE("category", "code:text"), MR_OK);
    assert_int_equal(RESOURCE("categorie", "code:text"), MR_INVALID);
    assert_true(is_in(&problem, "resources/categor"));
    assert_false(is_there("resources/categorie.yaml"));
    assert_false(is_there("migrations/0002_categorie.sql"));
}

static void test_fields__that_are_wrong_are_all_told(void **state)
{
    (void)state;
    assert_int_equal(RESOURCE("product", "sku", "name:txt", "id:text", "caller:uuid", "a:text:uniqe", "b:json:unique",
                              "c:text:many:clearable", "fooBar:text", "foo_bar:text", "d:unknowable", "1x:text"),
                     MR_INVALID);
    assert_true(is_in(&problem, "\"sku\": expected NAME:TYPE"));
    assert_true(is_in(&problem, "there is no type \"txt\", expected \"text\""));
    assert_true(is_in(&problem, "\"id:text\": expected another name"));
    assert_true(is_in(&problem, "\"caller:uuid\": expected another name"));
    assert_true(is_in(&problem, "\"a:text:uniqe\": expected many, clearable or unique"));
    assert_true(is_in(&problem, "\"b:json:unique\": expected unique with another type"));
    assert_true(is_in(&problem, "\"c:text:many:clearable\": expected many without"));
    assert_true(is_in(&problem, "\"foo_bar:text\": expected another name: a field before it has the same column"));
    assert_true(is_in(&problem, "\"d:unknowable\": expected NAME:TYPE, of a type"));
    assert_true(is_in(&problem, "\"1x:text\": expected NAME:TYPE"));
    assert_false(is_there("migrations"));
    assert_int_equal(add_resource("product", 0, NULL), MR_INVALID);
    assert_int_equal(RESOURCE("Product", "sku:text"), MR_INVALID);
}

static void test_paths__are_plural(void **state)
{
    static const struct {
        const char *name;
        const char *path;
    } cases[] = {{"box", "/v1/boxes"}, {"day", "/v1/days"}, {"order_line", "/v1/order-lines"}, {"dish", "/v1/dishes"}, {"y", "/v1/ys"}};
    struct mr_application *application;

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(RESOURCE(cases[i].name, "sku:text"), MR_OK);
    application = must_load();
    for (unsigned i = 0; i < 5; i++)
        assert_string_equal(mr_app_resource(application, cases[i].name)->path, cases[i].path);
    mr_application_destroy(&application);
}

static void test_names__that_sql_reserves_are_quoted(void **state)
{
    struct mr_application *application;

    (void)state;
    assert_int_equal(RESOURCE("order", "user:uuid", "username:text"), MR_OK);
    application = must_load();
    assert_non_null(strstr(application->migrations[0].sql, "CREATE TABLE \"order\" ("));
    assert_non_null(strstr(application->migrations[0].sql, "    \"user\" uuid NOT NULL"));
    assert_non_null(strstr(application->migrations[0].sql, "    username text NOT NULL"));
    mr_application_destroy(&application);
}

static void test_migration_and_job__load(void **state)
{
    struct mr_application *application;

    (void)state;
    assert_int_equal(RESOURCE("product", "sku:text"), MR_OK);
    assert_int_equal(mr_scaffold_migration(&scaffold, "more"), MR_OK);
    assert_int_equal(mr_scaffold_job(&scaffold, "nightly"), MR_OK);
    assert_int_equal(mr_scaffold_job(&scaffold, "nightly"), MR_INVALID);
    application = must_load();
    assert_string_equal(application->migrations[1].name, "0002_more");
    assert_string_equal(application->jobs[0].statements.items[0].name, "nightly");
    assert_non_null(mr_app_statement(application, "nightly"));
    mr_application_destroy(&application);
}

static void test_long_name__fits_into_that_of_its_migration(void **state)
{
    static const char name[] = "a_resource_whose_name_is_as_long_as_one_may_be_which_is_63_byte";
    struct mr_application *application;

    (void)state;
    assert_int_equal(strlen(name), 63);
    if (RESOURCE(name, "sku:text") != MR_OK)
        fail_test("%.*s", (int)problem.len, problem.data);
    application = must_load();
    assert_int_equal(strlen(application->migrations[0].name), 63);
    mr_application_destroy(&application);
}

static void test_application__that_does_not_load_gets_nothing_more(void **state)
{
    char path[2 * PATH_ROOM];
    FILE *file;

    (void)state;
    snprintf(path, sizeof path, "%s/millrace.yaml", folder.path);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("titel: Shop\n", file);
    fclose(file);
    assert_int_equal(RESOURCE("product", "sku:text"), MR_INVALID);
    assert_true(is_in(&problem, "millrace.yaml:1:1: unknown key \"titel\""));
    assert_true(is_in(&problem, "nothing was written"));
    assert_false(is_there("resources"));
    unlink(path);
    mr_buf_clear(&problem, 0);
    assert_int_equal(mr_scaffold_job(&scaffold, "nightly"), MR_INVALID);
    assert_true(is_in(&problem, "`millrace new app DIR` makes one"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_application__loads_and_has_a_title),
        TEST(test_application__is_not_made_over_another),
        TEST(test_resource__has_the_fields_that_were_asked_for),
        TEST(test_resources__of_every_type_load_and_number_their_migrations),
        TEST(test_resource__that_is_there_is_left_alone),
        TEST(test_resource__whose_route_is_taken_leaves_nothing_behind),
        TEST(test_fields__that_are_wrong_are_all_told),
        TEST(test_paths__are_plural),
        TEST(test_names__that_sql_reserves_are_quoted),
        TEST(test_migration_and_job__load),
        TEST(test_long_name__fits_into_that_of_its_migration),
        TEST(test_application__that_does_not_load_gets_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
