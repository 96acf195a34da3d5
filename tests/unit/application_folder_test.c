/* Folders: what a good one becomes, what files name in each other, and folders that mean harm. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "application/folder.h"
#include "application/load.h"
#include "proto/message.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

enum { PATH_ROOM = 512 };

static struct folder folder;
static struct mr_problems problems;

static void write_file(const char *name, const char *text)
{
    folder_write(&folder, name, text);
}

static int setup(void **state)
{
    (void)state;
    problems = (struct mr_problems){0};
    folder_make(&folder);
    write_file("resources/category.yaml", "path: /v1/categories\naccess: {read: public, write: admin}\n"
                                          "fields:\n  code: {type: text, required: true}\n  label: {type: text}\n");
    write_file("resources/product.yaml", "path: /v1/products\nfields:\n  name: {type: text}\n");
    write_file("operations/order.yaml", "order_place: {route: POST /v1/orders, fields: {note: {type: text}}}\n");
    write_file("queries/order.sql", "-- name: order_place\nSELECT 1;\n");
    write_file("migrations/0001_begin.sql", "SELECT 1;\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_problems_fini(&problems);
    folder_remove(&folder);
    return 0;
}

static struct mr_application *must_load(const char *path, const struct mr_application_options *options)
{
    struct mr_application *application = NULL;
    mr_status status = mr_application_load(&application, path, options, &problems);
    struct mr_buf told = {0};

    mr_problems_print(&problems, &told);
    if (status != MR_OK)
        fail_test("%s: %s\n%.*s", path, mr_status_name(status), (int)told.len, told.data);
    assert_int_equal(told.len, 0);
    mr_buf_fini(&told);
    return application;
}

/* Whether the folder is refused with these problems, in this order and no others; says what it is refused with if not. */
static bool is_refused(const char *expected)
{
    struct mr_application *application = NULL;
    struct mr_buf told = {0};
    mr_status status = mr_application_load(&application, folder.path, NULL, &problems);
    bool good;

    mr_problems_print(&problems, &told);
    good = status == MR_INVALID && application == NULL && mr_slice_is(buf_slice(&told), expected);
    if (!good)
        print_error("%s\n%.*sand not\n%s", mr_status_name(status), (int)told.len, told.len > 0 ? told.data : "", expected);
    mr_application_destroy(&application);
    mr_buf_fini(&told);
    mr_problems_fini(&problems);
    return good;
}

static void assert_refused(const char *expected)
{
    assert_true(is_refused(expected));
}

/* ---- Good ones ---- */

static void test_load__a_shop(void **state)
{
    struct mr_application *shop = must_load(MR_SOURCE_DIR "/tests/data/applications/shop", NULL);
    const struct mr_app_resource *product = mr_app_resource(shop, "product");
    const struct mr_app_field *category;
    const struct mr_app_operation *place = &shop->operations[1];

    (void)state;
    assert_string_equal(shop->title, "Shop");
    assert_int_equal(shop->resource_count, 4);
    assert_non_null(product);
    assert_string_equal(product->access.read, "public");
    assert_string_equal(product->access.write, "admin");
    assert_int_equal(product->operations, 0x1f);
    assert_int_equal(product->cache_ms.value, 60000);
    assert_string_equal(product->list.sort.items[1].field, "price");
    assert_true(product->list.sort.items[1].descending);
    assert_string_equal(product->list.filter.items[1].parameter, "priceUpTo");
    assert_string_equal(product->list.filter.items[1].field, "price");
    assert_int_equal(product->list.filter.items[1].comparison, MR_APP_LESS_EQUAL);
    category = mr_app_field(&product->fields, "category");
    assert_string_equal(category->column, "category_code");
    assert_string_equal(category->references.resource, "category");
    assert_string_equal(category->references.field, "code");
    assert_string_equal(category->embed.columns.items[1].name, "label");
    assert_string_equal(mr_app_field(&product->fields, "soldOut")->column, "sold_out");
    assert_string_equal(mr_app_field(&product->fields, "price")->range.max, "99999.99");
    assert_int_equal(mr_app_field(&product->fields, "price")->scale.value, 2);
    assert_string_equal(mr_app_field(&product->fields, "stock")->fallback->text, "0");
    assert_int_equal(mr_app_resource(shop, "basket")->operations, 0x1f); /* the default: all but import */
    assert_string_equal(mr_app_resource(shop, "order")->table, "purchase");
    assert_string_equal(mr_app_resource(shop, "basket")->table, "basket");
    assert_string_equal(mr_app_resource(shop, "basket")->owner, "user_id");

    assert_string_equal(place->name, "order_place");
    assert_int_equal(place->route.verb, MR_VERB_POST);
    assert_string_equal(place->route.path, "/v1/orders");
    assert_int_equal(place->status.value, 201);
    assert_string_equal(place->returns.resource, "order");
    assert_string_equal(mr_app_statement(shop, place->statement)->sql, "SELECT * FROM place_order(:caller, :basketId, :note)");
    assert_int_equal(mr_app_field(&place->fields, "note")->from.index, MR_APP_FROM_BODY);
    assert_int_equal(shop->operations[0].status.value, 204);
    assert_int_equal(mr_app_field(&shop->operations[0].fields, "orderId")->from.index, MR_APP_FROM_PATH);
    assert_true(mr_app_field(&shop->operations[0].fields, "orderId")->required);
    assert_int_equal(mr_app_field(&shop->operations[2].fields, "since")->from.index, MR_APP_FROM_QUERY);
    assert_int_equal(shop->operations[2].returns.fields.count, 2);

    assert_string_equal(shop->jobs[0].cron, "0 3 * * *");
    assert_int_equal(shop->jobs[0].started_by.index, MR_APP_BY_ADMIN);
    assert_int_equal(shop->variable_count, 1);
    assert_string_equal(shop->variables[0].name, "RESTOCK_CRON");
    assert_string_equal(shop->variables[0].place.file, "jobs/night.yaml");
    assert_int_equal(shop->migration_count, 2);
    assert_string_equal(shop->migrations[1].name, "0002_supply");
    mr_application_destroy(&shop);
}

static void test_load__work_of_others(void **state)
{
    struct mr_application *receipts = must_load(MR_SOURCE_DIR "/tests/data/receipts", NULL);
    const struct mr_app_job *receipt = &receipts->jobs[0];

    (void)state;
    assert_int_equal(receipt->work.index, MR_APP_BY_PUSH);
    assert_int_equal(receipt->retry.most_ms.value, 3600000);
    assert_int_equal(receipt->priority.value, -5);
    assert_string_equal(receipt->unique.by.items[0].name, "orderId");
    assert_int_equal(receipts->variable_count, 2);
    assert_string_equal(receipts->variables[0].name, "RECEIPTS_SECRET");
    mr_application_destroy(&receipts);
}

static void test_load__a_column_has_its_name_from_the_field(void **state)
{
    struct mr_application *tasks = must_load(MR_SOURCE_DIR "/apps/tasks", NULL);

    (void)state;
    assert_string_equal(mr_app_field(&mr_app_resource(tasks, "task")->fields, "dueAt")->column, "due_at");
    mr_application_destroy(&tasks);
}

/* ---- What is packed into the binary ---- */

/* Everything that a packed file has is what the file has: none is missing, none is another. */
static void test_packed__has_the_files_of_its_folder(void **state)
{
    struct mr_application_options from_folder = {.lookup = NULL};
    struct mr_application_options from_memory = {.packed = &mr_packed_application};
    struct mr_application *application = must_load(MR_SOURCE_DIR "/apps/tasks", &from_folder);
    struct mr_application *packed = must_load("", &from_memory);

    (void)state;
    assert_string_equal(mr_packed_application.name, "tasks");
    for (unsigned i = 0; i < mr_packed_application.count; i++) {
        char path[PATH_ROOM];
        struct mr_buf text = {0};

        snprintf(path, sizeof path, "%s/apps/tasks/%s", MR_SOURCE_DIR, mr_packed_application.files[i].name);
        read_file(path, &text);
        assert_true(mr_slice_is(buf_slice(&text), mr_packed_application.files[i].text));
        mr_buf_fini(&text);
    }
    assert_int_equal(packed->resource_count, application->resource_count);
    assert_int_equal(packed->operation_count, application->operation_count);
    assert_int_equal(packed->job_count, application->job_count);
    assert_int_equal(packed->statement_count, application->statement_count);
    assert_int_equal(packed->migration_count, application->migration_count);
    assert_int_equal(packed->variable_count, application->variable_count);
    mr_application_destroy(&packed);
    mr_application_destroy(&application);
}

/* As a folder's, with the name of the application before the place. */
static void test_packed__problems_are_those_of_a_folder(void **state)
{
    static const struct mr_packed_file files[] = {{"migrations/0001_begin.sql", " "},
                                                  {"millrace.yaml", "title: X\n"},
                                                  {"queries/order.txt", ""},
                                                  {"resources/category.yaml", "path: /v1/categories\nfields:\n  code: {type: text, lenght: 3}\n"},
                                                  {"resourcesque/a.yaml", "not looked at"}};
    static const struct mr_packed packed = {"tasks", files, 5};
    struct mr_application_options options = {.packed = &packed};
    struct mr_application *application = NULL;
    struct mr_buf told = {0};

    (void)state;
    assert_int_equal(mr_application_load(&application, "", &options, &problems), MR_INVALID);
    mr_problems_print(&problems, &told);
    assert_slice_equal(buf_slice(&told), "tasks: migrations/0001_begin.sql: the file is empty, expected SQL\n"
                                         "tasks: queries/order.txt: not a file of this folder, expected a name that ends in .sql\n"
                                         "tasks: resources/category.yaml:3:22: unknown key \"lenght\", expected \"length\"\n");
    mr_buf_fini(&told);
}

static void test_packed__without_millrace_yaml_is_refused(void **state)
{
    static const struct mr_packed packed = {"tasks", NULL, 0};
    struct mr_application_options options = {.packed = &packed};
    struct mr_application *application = NULL;
    struct mr_buf told = {0};

    (void)state;
    assert_int_equal(mr_application_load(&application, "", &options, &problems), MR_INVALID);
    mr_problems_print(&problems, &told);
    assert_slice_equal(buf_slice(&told), "tasks: millrace.yaml: there is no such file, expected a file that can be read\n");
    mr_buf_fini(&told);
}

static void test_load__folders_that_are_not_there_are_empty(void **state)
{
    char path[PATH_ROOM * 2];
    struct mr_application *application;

    (void)state;
    folder_add(&folder, "bare");
    write_file("bare/millrace.yaml", "title: Bare\n");
    snprintf(path, sizeof path, "%s/bare", folder.path);
    application = must_load(path, NULL);
    assert_int_equal(application->resource_count, 0);
    mr_application_destroy(&application);
}

static void test_load__statements_end_before_the_comments_of_the_next(void **state)
{
    struct mr_application *application;

    (void)state;
    write_file("queries/more.sql", "-- A file of statements.\n\n-- name: one\n-- why\nSELECT ';'; -- done\n  ;\r\n\n-- about two\n"
                                   "-- name: two/three-4\nSELECT\n 2\n");
    application = must_load(folder.path, NULL);
    assert_int_equal(application->statement_count, 3);
    assert_string_equal(mr_app_statement(application, "one")->sql, "-- why\nSELECT ';'; -- done");
    assert_string_equal(mr_app_statement(application, "two/three-4")->sql, "SELECT\n 2");
    assert_int_equal(mr_app_statement(application, "two/three-4")->place.line, 9);
    mr_application_destroy(&application);
}

static void test_load__hidden_files_copies_and_texts_for_people_are_left_alone(void **state)
{
    struct mr_application *application;

    (void)state;
    write_file("resources/.product.yaml.swp", "\xff");
    write_file("resources/product.yaml~", "\xff");
    write_file("migrations/README.md", "# Migrations\n");
    application = must_load(folder.path, NULL);
    assert_int_equal(application->resource_count, 2);
    mr_application_destroy(&application);
}

/* A configuration that is mounted is made of links. */
static void test_load__links_are_followed(void **state)
{
    char path[PATH_ROOM * 2];
    struct mr_application *application;

    (void)state;
    write_file("hidden", "path: /v1/things\nfields: {name: {type: text}}\n");
    snprintf(path, sizeof path, "%s/resources/thing.yaml", folder.path);
    assert_int_equal(symlink("../hidden", path), 0);
    application = must_load(folder.path, NULL);
    assert_non_null(mr_app_resource(application, "thing"));
    mr_application_destroy(&application);
}

/* ---- What files name in each other ---- */

#define PRODUCT(text) "resources/product.yaml", "path: /v1/products\nfields:\n  name: {type: text}\n" text "\n"
#define PLACE(text)   "operations/order.yaml", "order_place: {route: 'POST /v1/orders/{id}', fields: {id: {type: uuid}, note: {type: text}}, " text "}\n"
#define AT_PLACE      "operations/order.yaml:1:"

static const struct change {
    const char *file;
    const char *text;
    const char *problems;
} changes[] = {
    {PRODUCT("  kind: {type: text, references: categry.code}"),
     "resources/product.yaml:4:34: there is no resource \"categry\", expected one of resources/\n"},
    {PRODUCT("  kind: {type: text, references: category.cde}"),
     "resources/product.yaml:4:34: there is no field \"cde\", expected \"code\"\n"},
    {PRODUCT("  kind: {type: text, references: category.id}"),
     "resources/product.yaml:4:34: category.id is uuid, expected text as this field\n"},
    {PRODUCT("  kind: {type: text, references: category.code, embed: {as: name, columns: [label, colour]}}"),
     "resources/product.yaml:4:61: a field has the name \"name\" already, expected another\n"
     "resources/product.yaml:4:84: no field of \"category\" has the column \"colour\", expected one that has\n"},
    {PRODUCT("  kind: {type: text, column: name}"), "resources/product.yaml:4:30: the column \"name\" belongs to \"name\" already, expected another\n"},
    {PRODUCT("  created_at: {type: text}"), "resources/product.yaml:4:3: the column \"created_at\" is the engine's own, expected another\n"},
    {PRODUCT("  userId: {type: uuid}\nowner: user_id"),
     "resources/product.yaml:4:3: the column \"user_id\" is the owner, which the engine fills in, expected another, or readonly\n"},
    {PRODUCT("owner: id"), "resources/product.yaml:4:8: the column \"id\" is the engine's own, expected one for the caller\n"},
    {PRODUCT("owner: user_id\naccess: {read: public, write: products:write}"),
     "resources/product.yaml:5:9: read is \"public\" beside an owner, expected user or admin: nobody else owns rows\n"
     "resources/product.yaml:5:9: write is \"products:write\" beside an owner, expected user or admin: nobody else owns rows\n"},
    {PRODUCT("cache: 60s"), "resources/product.yaml:4:8: a cache where read access is \"user\", expected it only with public\n"},
    {PRODUCT("access: public\ncache: 60s\nowner: user_id"),
     "resources/product.yaml:4:9: read is \"public\" beside an owner, expected user or admin: nobody else owns rows\n"
     "resources/product.yaml:4:9: write is \"public\" beside an owner, expected user or admin: nobody else owns rows\n"
     "resources/product.yaml:5:1: \"cache\" beside \"owner\", expected one of the two\n"},
    {PRODUCT("  tags: {type: text, many: true}\n  more: {type: json}\n  done: {type: boolean}\n"
             "list:\n  sort: [nam, tags, more, -updatedAt]\n  filter: {tags: '=', limit: 'name =', done: '<', x: 'y ='}\n"
             "  search: [name, done, tgas]"),
     "resources/product.yaml:8:10: there is no field \"nam\", expected \"name\"\n"
     "resources/product.yaml:8:15: \"tags\" is an array, expected a field that can be compared\n"
     "resources/product.yaml:8:21: \"more\" is json, expected a field that can be compared\n"
     "resources/product.yaml:9:18: \"tags\" is an array, expected a field that can be compared\n"
     "resources/product.yaml:9:23: the parameter \"limit\" is the engine's own, expected another name\n"
     "resources/product.yaml:9:46: booleans have no order, expected = or !=\n"
     "resources/product.yaml:9:54: there is no field \"y\", expected one that is declared\n"
     "resources/product.yaml:10:18: \"done\" is boolean, expected a field of text or json\n"
     "resources/product.yaml:10:24: there is no field \"tgas\", expected \"tags\"\n"},
    {PRODUCT("list: {sort: [name]}\noperations: [get]"),
     "resources/product.yaml:4:1: \"list\" here, but \"operations\" has no list, expected both or neither\n"},
    {PRODUCT("  kind: {type: text, required: true, references: category.code}\nlist:\n"
             "  sort: [a: nam.b, b: name.b, c: kind.cod, d: kind.label, kind: kind.code]\n  total: totl"),
     "resources/product.yaml:6:13: there is no field \"nam\", expected \"name\"\n"
     "resources/product.yaml:6:23: \"name\" references nothing, expected a field that does\n"
     "resources/product.yaml:6:34: there is no field \"cod\", expected \"code\"\n"
     "resources/product.yaml:6:47: \"label\" is not required, expected an order by what every row has\n"
     "resources/product.yaml:6:59: a field has the name \"kind\" already, expected another\n"
     "resources/product.yaml:7:10: there is no statement \"totl\", expected -- name: totl in a file of queries/\n"},
    /* Who may read the one, but not the other, would see it embedded. */
    {"resources/category.yaml",
     "path: /v1/categories\naccess: public\nfields: {code: {type: uuid, references: product.id, embed: {as: p, columns: [name]}}}\n",
     "resources/category.yaml:3:60: who reads \"category\" (public) may not read \"product\" (user), expected no embed or another access\n"},

    {"resources/other.yaml", "path: /v1/products\noperations: [get, list]\nfields: {a: {type: text}}\n",
     "resources/product.yaml:1:7: the route GET /v1/products is that of a resource in resources/other.yaml:1 already, expected another\n"
     "resources/product.yaml:1:7: the route GET /v1/products/{} is that of a resource in resources/other.yaml:1 already, expected another\n"},
    {"resources/other.yaml", "path: /v1/jobs\noperations: [get, list]\nfields: {a: {type: text}}\n",
     "resources/other.yaml:1:7: the route GET /v1/jobs is the engine's own, expected another\n"
     "resources/other.yaml:1:7: the route GET /v1/jobs/{} is the engine's own, expected another\n"},
    {"resources/Other.yaml", "path: /v1/others\nfields: {a: {type: text}}\n",
     "resources/Other.yaml: not a name of a resource, expected one of a-z, 0-9 and _ that begins with a letter\n"},
    {"resources/other.yml", "path: /v1/others\n", "resources/other.yml: not a file of this folder, expected a name that ends in .yaml\n"},
    {"operations/a.yaml", "order_place: {route: POST /v1/places, statement: order_place}\nsign_in: {route: GET /health, statement: order_place}\n",
     "operations/a.yaml:2:1: the name sign_in is the engine's own, expected another\n"
     "operations/a.yaml:2:18: the route GET /health is the engine's own, expected another\n"
     "operations/order.yaml:1:1: the name order_place is that of an operation in operations/a.yaml:1 already, expected another\n"},
    {"operations/a.yaml", "product_list: {route: 'PATCH /v1/products/{x}', fields: {x: {type: uuid}}, statement: order_place}\n",
     "resources/product.yaml:1:7: the name product_list is that of an operation in operations/a.yaml:1 already, expected another\n"
     "resources/product.yaml:1:7: the route PATCH /v1/products/{} is that of an operation in operations/a.yaml:1 already, expected another\n"},

    {"operations/order.yaml", "order_place: {route: POST /v1/orders, statement: order_plac}\n",
     AT_PLACE "50: there is no statement \"order_plac\", expected \"order_place\"\n"},
    {"operations/order.yaml", "what: {route: POST /v1/orders}\n",
     AT_PLACE "1: there is no statement \"what\", expected -- name: what in a file of queries/\n"},
    {"operations/order.yaml", "order_place: {route: 'GET /v1/orders/{id}/{ids}/{id}', fields: {ids: {type: uuid, many: true}}}\n",
     AT_PLACE "22: there is no field \"id\", expected \"ids\"\n" AT_PLACE "22: the path has {id} twice, expected it once\n" AT_PLACE
              "65: \"ids\" is an array, expected it in the query or the body\n"},
    {"operations/order.yaml", "order_place: {route: 'GET /v1/orders', fields: {ids: {type: uuid, many: true}, filter: {type: json}}}\n",
     AT_PLACE "80: \"filter\" is json, expected it in the body\n"},
    {"operations/order.yaml",
     "order_place: {route: 'GET /v1/orders/{id}', fields: {id: {type: uuid, from: query}, a: {type: text, from: path}, b: {type: text, from: body}}}\n",
     AT_PLACE "77: the path has {id}, expected from: path\n" AT_PLACE "107: the path has no {a}, expected it in the path, or another \"from\"\n" AT_PLACE
              "136: \"b\" is in the body, but GET has none, expected from: query\n"},
    {PLACE("key: nte"), AT_PLACE "99: there is no field \"nte\", expected \"note\"\n"},
    {PLACE("returns: ordr"), AT_PLACE "103: there is no resource \"ordr\", expected one of resources/\n"},
    {PLACE("status: 204, returns: product"), AT_PLACE "102: 204 beside \"returns\", expected another status: 204 has no body\n"},
    {PLACE("status: 201"), AT_PLACE "102: 201 without one resource in \"returns\", expected one: it gives the Location\n"},
    {"operations/order.yaml", "order_place: {route: GET /v1/orders, idempotent: true}\n",
     AT_PLACE "50: \"idempotent\" on GET, expected it on POST or PATCH: the others are idempotent anyway\n"},

    {PLACE("cache: 5m"), AT_PLACE "101: \"cache\" on POST, expected it on GET\n" AT_PLACE "101: a cache where access is \"user\", expected it only with public\n"},

    {"jobs/a.yaml", "maintenance: {work: pull}\nb: {work: sql}\nc: {work: push}\nd: {work: sql, statements: [nope]}\n"
                    "e: {work: pull, unique: {by: [x]}, retry: {attempts: 2, first: 2h}}\n",
     "jobs/a.yaml:1:1: the job \"maintenance\" is the engine's own, expected another name\n"
     "jobs/a.yaml:2:1: \"statements\" is missing, expected a list: the work is sql\n"
     "jobs/a.yaml:3:1: \"url\" is missing, expected one: the work is push\n"
     "jobs/a.yaml:3:1: \"secret\" is missing, expected one: a call is signed\n"
     "jobs/a.yaml:4:29: there is no statement \"nope\", expected -- name: nope in a file of queries/\n"
     "jobs/a.yaml:5:31: there is no field \"x\", expected one that is declared\n"
     "jobs/a.yaml:5:43: \"first\" is longer than \"most\", expected it shorter\n"},

    {"jobs/a.yaml", "a: {work: push, url: https://x, secret: whsec_c2hvcnQ=}\n"
                    "b: {work: push, url: https://x, secrets: [whsec_c2hvcnQ=, whsec_not-at_all!]}\n"
                    "c: {work: pull, cron: '@daily', args: {x: {type: uuid, required: true}, y: {type: text, pattern: a+}}}\n"
                    "d: {work: pull, startedBy: user}\n"
                    "e: {work: pull, cron: '30 2 25-31 3 */7', timezone: Europe/Berlin}\n"
                    "f: {work: pull, args: {x: {type: timestamp, default: '2027-01-31'}, y: {type: timestamp, default: '2027-01-31T12:00:00Z'}}}\n",
     "jobs/a.yaml:1:41: the value is not valid, expected whsec_ and the base64 of 24 to 64 bytes\n"
     "jobs/a.yaml:2:43: the value is not valid, expected whsec_ and the base64 of 24 to 64 bytes\n"
     "jobs/a.yaml:2:59: the value is not valid, expected a secret, whsec_ and base64\n"
     "jobs/a.yaml:3:66: \"x\" is required, and a run that \"cron\" starts has no arguments, expected a default\n"
     "jobs/a.yaml:3:89: arguments of a run take no \"pattern\", expected it left out\n"
     "jobs/a.yaml:4:28: users start no jobs, expected \"admin\": a statement of an operation queues runs for them, by millrace.enqueue\n"
     "jobs/a.yaml:5:23: no tick of it ever comes in Europe/Berlin, expected one that does\n"
     "jobs/a.yaml:6:54: the default is not one that a run may have, expected one such as 2026-01-31T12:00:00Z\n"},

    {"queries/b.sql", "-- name: order_place\nSELECT 2\n-- name: two words\nSELECT 3\n-- name: empty\n-- nothing\n",
     "queries/b.sql:3:1: not a name of a statement, expected -- name: and letters, digits, _, / or -\n"
     "queries/b.sql:5:1: the statement empty is empty, expected SQL\n"
     "queries/order.sql:1:1: the statement order_place stands in queries/b.sql:1 already, expected it once\n"},
    {"queries/b.sql", "-- ours\n\nSELECT 1;\nSELECT 2;\n-- name: b\nSELECT 3;\n",
     "queries/b.sql:3:1: SQL before the first statement, expected a line -- name: NAME above it\n"},
    {"queries/b.sql", "-- name: b\nSELECT '\xff';\n", "queries/b.sql:2:9: the byte 0xff is not UTF-8, or is U+0000, expected UTF-8 text\n"},
    {"migrations/0003_c.sql", "SELECT 1;\n", "migrations/0003_c.sql: a gap in front of the number 0003, expected 0002\n"},
    {"migrations/0001_c.sql", "SELECT 1;\n", "migrations/0001_c.sql: the number 0001 is that of migrations/0001_begin.sql already, expected 0002\n"},
    {"migrations/2_c.sql", "SELECT 1;\n", "migrations/2_c.sql: not a name of a migration, expected one such as 0001_shop.sql: a-z, 0-9 and _\n"},
    {"migrations/0002_c.sql", " \n", "migrations/0002_c.sql: the file is empty, expected SQL\n"},
    {"millrace.yaml", "", "millrace.yaml: the file is empty, expected a map\n"},
};

static void test_check__what_files_name_in_each_other(void **state)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(setup(state), 0);
        write_file(changes[i].file, changes[i].text);
        wrong += !is_refused(changes[i].problems);
        assert_int_equal(teardown(state), 0);
    }
    assert_int_equal(wrong, 0);
}

/* ---- Folders that mean harm ---- */

static void path_to(const char *name, char path[2 * PATH_ROOM])
{
    snprintf(path, 2 * PATH_ROOM, "%s/%s", folder.path, name);
}

static void test_load__a_folder_that_is_not_there(void **state)
{
    (void)state;
    strcat(folder.path, "/nowhere");
    assert_refused("millrace.yaml: there is no such file, expected a file that can be read\n");
    folder.path[strlen(folder.path) - strlen("/nowhere")] = '\0';
}

static void test_load__what_is_no_file_is_refused_at_once(void **state)
{
    char path[2 * PATH_ROOM];

    (void)state;
    path_to("resources/pipe.yaml", path);
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it would wait for a writer */
    path_to("resources/loop.yaml", path);
    assert_int_equal(symlink("loop.yaml", path), 0);
    path_to("resources/zero.yaml", path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    folder_add(&folder, "resources/folder.yaml");
    path_to("jobs", path);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("jobs", path), 0);
    assert_refused("jobs: Too many levels of symbolic links, expected a folder that can be read\n"
                   "resources/folder.yaml: a folder, expected a file\n"
                   "resources/loop.yaml: Too many levels of symbolic links, expected a file that can be read\n"
                   "resources/pipe.yaml: neither a file nor a folder, expected a file\n"
                   "resources/zero.yaml: neither a file nor a folder, expected a file\n");
}

static void test_load__a_hundred_megabytes_are_not_read(void **state)
{
    char path[2 * PATH_ROOM];
    struct stopwatch watch = stopwatch_start();

    (void)state;
    write_file("resources/large.yaml", "");
    path_to("resources/large.yaml", path);
    assert_int_equal(truncate(path, 100 * 1000 * 1000), 0);
    assert_refused("resources/large.yaml: the file has 100000000 bytes, expected 1048576 at most\n");
    assert_took(&watch, 0, 5000);
}

static void test_load__many_large_files_end_at_the_bound(void **state)
{
    char name[64];
    char path[2 * PATH_ROOM];

    (void)state;
    for (int i = 0; i < 34; i++) {
        snprintf(name, sizeof name, "queries/x%02d.sql", i);
        write_file(name, "");
        path_to(name, path);
        assert_int_equal(truncate(path, 1024 * 1024), 0);
    }
    assert_int_equal(mr_application_load(&(struct mr_application *){NULL}, folder.path, NULL, &problems), MR_INVALID);
    assert_int_equal(problems.found, 34); /* of 31 the first byte is no text, three are not read */
}

static void test_load__too_many_files(void **state)
{
    char name[64];
    char first[2 * PATH_ROOM];
    char path[2 * PATH_ROOM];
    struct mr_buf told = {0};

    (void)state;
    write_file("jobs/first.yaml", "x\n");
    path_to("jobs/first.yaml", first);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "jobs/j%04d.yaml", i);
        path_to(name, path);
        assert_int_equal(link(first, path), 0);
    }
    assert_int_equal(mr_application_load(&(struct mr_application *){NULL}, folder.path, NULL, &problems), MR_INVALID);
    mr_problems_print(&problems, &told);
    mr_buf_char(&told, '\0');
    assert_non_null(strstr(told.data, "jobs: the application has more than 2000 files, expected fewer\n"));
    mr_buf_fini(&told);
}

/* ---- Speed ---- */

static void write_resource(int number)
{
    char name[64];
    struct mr_buf text = {0};

    mr_buf_printf(&text, "path: /v1/things%d\nabout: Things\nfields:\n", number);
    for (int i = 0; i < 10; i++)
        mr_buf_printf(&text, "  field%d: {type: text, required: true, length: 1..200, pattern: '[A-Z]+', about: a field}\n", i);
    mr_buf_printf(&text, "  other: {type: uuid, references: thing%d.id}\n", (number + 7) % 200);
    mr_buf_text(&text, "list: {sort: [field1, -field2], filter: {field3: '='}, search: [field4]}\n");
    mr_buf_char(&text, '\0');
    snprintf(name, sizeof name, "resources/thing%d.yaml", number);
    write_file(name, text.data);
    mr_buf_fini(&text);
}

/* Of CPU time, which others on the machine do not take. A sanitizer keeps the bound; something quadratic does not. */
static void test_load__two_hundred_resources_quickly(void **state)
{
    struct mr_application *application;
    clock_t began;
    long took_ms;

    (void)state;
    for (int i = 0; i < 200; i++)
        write_resource(i);
    began = clock();
    application = must_load(folder.path, NULL);
    took_ms = (long)((clock() - began) * 1000 / CLOCKS_PER_SEC);
    assert_int_equal(application->resource_count, 202);
    print_message("202 resources in %ld ms, %zu KiB\n", took_ms, application->arena.taken / 1024);
    assert_true(took_ms < 1000);
    mr_application_destroy(&application);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_load__a_shop),
        IN_A_FOLDER(test_load__work_of_others),
        IN_A_FOLDER(test_load__a_column_has_its_name_from_the_field),
        IN_A_FOLDER(test_packed__has_the_files_of_its_folder),
        IN_A_FOLDER(test_packed__problems_are_those_of_a_folder),
        IN_A_FOLDER(test_packed__without_millrace_yaml_is_refused),
        IN_A_FOLDER(test_load__folders_that_are_not_there_are_empty),
        IN_A_FOLDER(test_load__statements_end_before_the_comments_of_the_next),
        IN_A_FOLDER(test_load__hidden_files_copies_and_texts_for_people_are_left_alone),
        IN_A_FOLDER(test_load__links_are_followed),
        cmocka_unit_test(test_check__what_files_name_in_each_other),
        IN_A_FOLDER(test_load__a_folder_that_is_not_there),
        IN_A_FOLDER(test_load__what_is_no_file_is_refused_at_once),
        IN_A_FOLDER(test_load__a_hundred_megabytes_are_not_read),
        IN_A_FOLDER(test_load__many_large_files_end_at_the_bound),
        IN_A_FOLDER(test_load__too_many_files),
        IN_A_FOLDER(test_load__two_hundred_resources_quickly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
