/* One file of each kind: what is taken, what is refused with which words, and that the JSON Schema says the same. */
#include <sys/wait.h>
#include <unistd.h>

#include "application/schema.h"
#include "tests/support/test.h"

#define FIELD(text)    "path: /v1/a\nfields:\n  b: " text "\n"
#define RESOURCE(text) "path: /v1/a\nfields: {b: {type: text}}\n" text "\n"
#define OPERATION(text) "a_b:\n  route: POST /v1/a\n" text "\n"
#define JOB(text)      "a_b:\n  work: pull\n" text "\n"

static const struct example {
    enum mr_file_kind kind;
    const char *text;
    const char *problem;   /* how the first line goes on behind "f.yaml:"; NULL: it is taken */
    bool beyond_the_schema; /* only code sees the problem */
} examples[] = {
    {MR_FILE_APPLICATION, "title: Shop\nversion: '1.0'\nabout: x\n", NULL, false},
    {MR_FILE_APPLICATION, "title: Shop\nversion: 1.0\n", "2:10: \"1.0\" without quotes is not text, expected text", false},
    {MR_FILE_APPLICATION, "title: on\n", NULL, false},
    {MR_FILE_APPLICATION, "title: ''\n", "1:8: \"\", expected text", false},
    {MR_FILE_APPLICATION, "title:\n", "1:7: nothing, expected text", false},
    {MR_FILE_APPLICATION, "version: '1'\n", "1:1: \"title\" is missing, expected text", false},
    {MR_FILE_APPLICATION, "titel: Shop\ntitle: a\n", "1:1: unknown key \"titel\", expected \"title\"", false},
    {MR_FILE_APPLICATION, "title: a\ncolour: red\n", "2:1: unknown key \"colour\", expected one of title, version, about, license, groups", false},
    {MR_FILE_APPLICATION, "title: a\ngroups: {products: What is sold, job-runs: 'x'}\n", NULL, false},
    {MR_FILE_APPLICATION, "title: a\ngroups: [products]\n", "2:9: a list, expected a map of a name to a text", false},
    {MR_FILE_APPLICATION, "title: a\ngroups: {products: 5}\n", "2:20: \"5\" without quotes is not text, expected text", false},
    {MR_FILE_APPLICATION, "- title\n", "1:1: a list, expected a map", false},
    {MR_FILE_APPLICATION, "Shop\n", "1:1: \"Shop\", expected a map", false},
    {MR_FILE_APPLICATION, "title: ${SET}\n", NULL, false},
    {MR_FILE_APPLICATION, "title: ${UNSET:-Shop}\n", NULL, false},
    {MR_FILE_APPLICATION, "title: ${UNSET}\n", "1:8: UNSET is not set, expected a value in the environment, or ${UNSET:-default}", true},
    {MR_FILE_APPLICATION, "title: ${not a name}\n",
     "1:8: ${ does not begin a variable, expected ${NAME} or ${NAME:-default}, or $${ for ${", true},
    {MR_FILE_APPLICATION, "title: ${SET\n", "1:8: ${ does not begin a variable, expected ${NAME} or ${NAME:-default}, or $${ for ${", true},
    {MR_FILE_APPLICATION, "title: $${SET} costs $5\n", NULL, false},

    {MR_FILE_RESOURCE, RESOURCE(""), NULL, false},
    {MR_FILE_RESOURCE, "fields: {b: {type: text}}\n", "1:1: \"path\" is missing, expected a path such as /v1/products", false},
    {MR_FILE_RESOURCE, "path: v1/a\nfields: {b: {type: text}}\n", "1:7: \"v1/a\", expected a path such as /v1/products", false},
    {MR_FILE_RESOURCE, "path: /v1/{a}\nfields: {b: {type: text}}\n", "1:7: \"/v1/{a}\", expected a path such as /v1/products", false},
    {MR_FILE_RESOURCE, "path: /v1/a/\nfields: {b: {type: text}}\n", "1:7: \"/v1/a/\", expected a path such as /v1/products", false},
    {MR_FILE_RESOURCE, "path: /v1/a\nfields: {}\n", "2:9: it is empty, expected at least one entry", false},
    {MR_FILE_RESOURCE, RESOURCE("table: Product"), "3:8: \"Product\", expected a name in SQL: a-z, 0-9 and _", false},
    {MR_FILE_RESOURCE, RESOURCE("access: admin"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("access: {read: public, write: products:write}"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("access: a:b:c:d"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("access: a:b:c:d:e"), "3:9: \"a:b:c:d:e\", expected public, user, admin or a scope such as products:write", false},
    {MR_FILE_RESOURCE, RESOURCE("access: products:Write"), "3:9: \"products:Write\", expected public, user, admin or a scope such as products:write", false},
    {MR_FILE_RESOURCE, RESOURCE("access: a:b123456789012345678901234567890"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("access: a:b1234567890123456789012345678901"),
     "3:9: \"a:b1234567890123456789012345678901\", expected public, user, admin or a scope such as products:write", false},
    {MR_FILE_RESOURCE, RESOURCE("access: amdin"), "3:9: \"amdin\", expected public, user, admin or a scope such as products:write", false},
    {MR_FILE_RESOURCE, RESOURCE("access: {read: public, writes: admin}"), "3:24: unknown key \"writes\", expected read or write", false},
    {MR_FILE_RESOURCE, RESOURCE("access: [public]"),
     "3:9: a list, expected public, user, admin or a scope such as products:write", false},
    {MR_FILE_RESOURCE, RESOURCE("operations: [create, get]"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("operations: []"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("operations: [create, creat]"), "3:22: \"creat\", expected \"create\"", false},
    {MR_FILE_RESOURCE, RESOURCE("operations: [get, get]"), "3:19: \"get\" occurs here twice, expected it once", false},
    {MR_FILE_RESOURCE, RESOURCE("operations: get"), "3:13: \"get\", expected a list of words", false},
    {MR_FILE_RESOURCE, RESOURCE("cache: 60s"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("cache: 60"), "3:8: \"60\" without quotes is not text, expected a duration such as 30s, 5m, 1h or 7d", false},
    {MR_FILE_RESOURCE, RESOURCE("cache: 2d"), "3:8: \"2d\", expected 1s to 1d", true},
    {MR_FILE_RESOURCE, RESOURCE("cache: 60s\nowner: user_id"), "3:1: \"cache\" beside \"owner\", expected one of the two", false},
    {MR_FILE_RESOURCE, RESOURCE("list: {sort: [b, -createdAt], filter: {b: '=', from: 'b >='}, search: [b]}"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("list: {sort: b}"), "3:14: \"b\", expected a list of fields to sort by", false},
    {MR_FILE_RESOURCE, RESOURCE("list: {sort: [b, c: b.d, '-c': b.d], total: b_total}"), NULL, false},
    {MR_FILE_RESOURCE, RESOURCE("list: {sort: [c: b.d, c: b.e]}"), "3:26: \"c\" occurs here twice, expected it once", true},
    {MR_FILE_RESOURCE, RESOURCE("list: {sort: [c: d]}"),
     "3:18: \"d\", expected a field that references a row, and a field of that, such as categoryCode.label", false},
    {MR_FILE_RESOURCE, RESOURCE("list: {sort: [{c: b.d, e: b.d}]}"),
     "3:15: a map, expected one entry in it, such as label: categoryCode.label", false},
    {MR_FILE_RESOURCE, RESOURCE("list: {sort: [+b]}"), "3:15: \"+b\", expected a field, with - in front for descending", false},
    {MR_FILE_RESOURCE, RESOURCE("list: {filter: {b: '=='}}"), "3:20: \"==\", expected a comparison such as '=' or 'price <='", false},
    {MR_FILE_RESOURCE, RESOURCE("list: {filter: {b: 'a; DROP TABLE b'}}"),
     "3:20: \"a; DROP TABLE b\", expected a comparison such as '=' or 'price <='", false},
    {MR_FILE_RESOURCE, RESOURCE("list: [b]"), "3:7: a list, expected a map", false},

    {MR_FILE_RESOURCE, FIELD("{type: text, required: true, length: 1..32, pattern: '[A-Z]+', unique: true, about: x}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: decimal, scale: 2, range: 0..99999.99, default: 0.5}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: text, many: true, items: 0..20, length: 1..40, default: [a, b]}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: json, clearable: true, default: {a: [1, null]}}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: uuid, references: c.id, embed: {as: cInfo, columns: [name]}}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: integer, range: -5..}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: integer, range: ..99}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: boolean, readonly: true}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: text, required: false, clearable: true}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{required: true}"), "3:3: \"type\" is missing, expected text, uuid, integer, decimal", false},
    {MR_FILE_RESOURCE, FIELD("{type: string}"),
     "3:13: \"string\", expected text, uuid, integer, decimal, number, boolean, date, timestamp or json", false},
    {MR_FILE_RESOURCE, FIELD("{type: timestmp}"), "3:13: \"timestmp\", expected \"timestamp\"", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, lenght: 1..2}"), "3:19: unknown key \"lenght\", expected \"length\"", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, required: yes}"), "3:29: \"yes\", expected true or false", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, required: true, clearable: true}"),
     "3:19: \"required\" beside \"clearable\", expected one of the two", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, readonly: true, default: x}"), "3:35: \"default\" beside \"readonly\", expected one of the two", false},
    {MR_FILE_RESOURCE, FIELD("{type: integer, length: 1..2}"), "3:22: \"length\" does not go here, expected it only with \"type\": text", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, range: 1..2}"),
     "3:19: \"range\" does not go here, expected it only with \"type\": integer, decimal or number", false},
    {MR_FILE_RESOURCE, FIELD("{type: number, scale: 2}"), "3:21: \"scale\" does not go here, expected it only with \"type\": decimal", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, items: 1..2}"), "3:19: \"items\" does not go here, expected it only with \"many\": true", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, many: false, items: 1..2}"), "3:32: \"items\" does not go here, expected it only with \"many\": true",
     false},
    {MR_FILE_RESOURCE, FIELD("{type: uuid, embed: {as: x, columns: [a]}}"), "3:19: \"embed\" does not go here, expected it only with \"references\"",
     false},
    {MR_FILE_RESOURCE, FIELD("{type: text, length: 5}"), "3:27: \"5\" without quotes is not text, expected a length such as 1..200", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, length: 5..1}"), "3:27: \"5..1\", expected the smaller bound first", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, length: -1..2}"), "3:27: \"-1..2\", expected a length such as 1..200", false},
    {MR_FILE_RESOURCE, FIELD("{type: number, range: ..}"), "3:28: \"..\", expected one bound at least", true},
    {MR_FILE_RESOURCE, FIELD("{type: number, range: 10..9.99}"), "3:28: \"10..9.99\", expected the smaller bound first", true},
    {MR_FILE_RESOURCE, FIELD("{type: number, range: -1..-2}"), "3:28: \"-1..-2\", expected the smaller bound first", true},
    {MR_FILE_RESOURCE, FIELD("{type: number, range: 1e3..2e3}"), "3:28: \"1e3..2e3\", expected a range such as 0..99", false},
    {MR_FILE_RESOURCE, FIELD("{type: integer, range: 0..1.5}"), "3:29: 1.5 in the range of an integer, expected integers", true},
    {MR_FILE_RESOURCE, FIELD("{type: integer, range: 0..0}"), "3:29: a range of 0 alone, expected one of more than one integer", true},
    {MR_FILE_RESOURCE, FIELD("{type: integer, range: -5..0}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: integer, range: 0..9223372036854775808}"), "3:29: 9223372036854775808 is not a 64-bit integer, expected one",
     true},
    {MR_FILE_RESOURCE, FIELD("{type: decimal, scale: 2, range: 0..0.999}"),
     "3:39: 0.999 has more digits after the point than \"scale\" says, expected at most 2", true},
    {MR_FILE_RESOURCE, FIELD("{type: decimal, scale: 31}"), "3:29: \"31\", expected an integer from 0 to 30", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, pattern: '[A-Z'}"), "3:28: Unmatched [, [^, [:, [., or [=, expected a regular expression (POSIX, extended)",
     true},
    {MR_FILE_RESOURCE, FIELD("{type: text, pattern: '(a)\\1'}"), "3:28: a back-reference, expected a regular expression (POSIX, extended)", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, pattern: '((a{999}){999}){999}'}"),
     "3:28: its repetitions come to more than 10000 characters, expected a regular expression (POSIX, extended)", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, pattern: '[a-z]{1,255}@[]x{9}]{1,255}[.][[:alpha:]]{2}'}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: text, references: category}"),
     "3:31: \"category\", expected a resource and its field, such as category.code", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, many: true, references: c.d}"), "3:31: \"references\" beside \"many\", expected one of the two", false},
    {MR_FILE_RESOURCE, FIELD("{type: text, column: userId}"), "3:27: \"userId\", expected a name in SQL: a-z, 0-9 and _", false},
    {MR_FILE_RESOURCE, "path: /v1/a\nfields: {caller: {type: text}}\n",
     "2:10: the name \"caller\" is the engine's own, expected another", false},
    {MR_FILE_RESOURCE, "path: /v1/a\nfields: {createdAt: {type: text}}\n",
     "2:10: the name \"createdAt\" is the engine's own, expected another", false},
    {MR_FILE_RESOURCE, "path: /v1/a\nfields: {a-b: {type: text}}\n", "2:10: \"a-b\", expected a name of letters, digits and _", false},
    {MR_FILE_RESOURCE, FIELD("{type: integer, default: x}"), "3:31: the default is \"x\", expected integer", true},
    {MR_FILE_RESOURCE, FIELD("{type: integer, default: 0x10}"), "3:31: the default is \"0x10\", expected integer", true},
    {MR_FILE_RESOURCE, FIELD("{type: integer, default: 5, range: 6..7}"), "3:31: the default is 5, expected it in 6..7", true},
    {MR_FILE_RESOURCE, FIELD("{type: number, default: 1e2, range: 6..7}"), "3:30: the default is 1e2, expected it in 6..7", true},
    {MR_FILE_RESOURCE, FIELD("{type: decimal, scale: 1, default: 0.25}"),
     "3:41: the default is 0.25, expected at most 1 digits after the point", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, pattern: '[a-c]+', hint: a to c only, example: abc}"), NULL, false},
    {MR_FILE_RESOURCE, FIELD("{type: text, hint: a to c only}"), "3:19: \"hint\" does not go here, expected it only with \"pattern\"", false},
    {MR_FILE_RESOURCE, FIELD("{type: integer, default: 5, example: x}"), "3:43: the example is \"x\", expected integer", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, length: 1..2, example: abc}"), "3:42: the example has 3 characters, expected 1 to 2", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, default: 5}"), "3:28: the default is \"5\", expected text", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, default: \xc3\xa4\xc3\xa4, length: 1..1}"), "3:28: the default has 2 characters, expected 1 to 1", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, default: abc1, pattern: 'b|[a-c]+'}"),
     "3:28: the default \"abc1\" does not match, expected the field's pattern", true},
    {MR_FILE_RESOURCE, FIELD("{type: date, default: 2026-02-30}"), "3:28: the default is \"2026-02-30\", expected date", true},
    {MR_FILE_RESOURCE, FIELD("{type: uuid, default: abc}"), "3:28: the default is \"abc\", expected uuid", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, many: true, default: a}"), "3:40: the default is text, expected a list", true},
    {MR_FILE_RESOURCE, FIELD("{type: text, many: true, items: 0..1, default: [a, b]}"), "3:53: the default has 2 items, expected 0 to 1", true},
    {MR_FILE_RESOURCE, FIELD("{type: json, default: [.inf]}"),
     "3:28: the default contains a number that JSON does not have, expected one such as 31 or 0.5", true},
    {MR_FILE_RESOURCE, FIELD("{type: json, default: null}"), "3:28: nothing, expected a value of the field's type", false},

    {MR_FILE_OPERATIONS, OPERATION(""), NULL, false},
    {MR_FILE_OPERATIONS,
     OPERATION("  status: 201\n  access: user\n  about: x\n  key: c\n  idempotent: true\n  fields: {c: {type: uuid, from: body}}\n"
               "  returns: order\n  statement: x/y"),
     NULL, false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: [order]"), NULL, false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: {c: {type: decimal, required: true}}"), NULL, false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: [a, b]"), "3:12: a list of 2, expected one resource or one map in it", false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: []"), "3:12: a list of 0, expected one resource or one map in it", false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: 5"),
     "3:12: \"5\" without quotes is not text, expected a resource or a map of fields, or a list of one of these", false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: {c: {type: text, length: 1..2}}"),
     "3:29: unknown key \"length\", expected one of type, many, required, fields, keyed, example, about", false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: [{c: {type: json, fields: {d: {type: json, fields: {e: {type: date}}, keyed: true}}}}]"), NULL, false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: {c: {type: text, fields: {d: {type: text}}}}"),
     "3:29: \"fields\" does not go here, expected it only with \"type\": json", false},
    {MR_FILE_OPERATIONS, OPERATION("  returns: {c: {type: json, keyed: true}}"),
     "3:29: \"keyed\" does not go here, expected it only with \"fields\"", false},
    {MR_FILE_OPERATIONS, OPERATION("  access: public\n  cache: 5m"), NULL, false},
    {MR_FILE_OPERATIONS, OPERATION("  status: 404"), "3:11: \"404\", expected an integer from 200 to 299", false},
    {MR_FILE_OPERATIONS, OPERATION("  status: '201'"), "3:11: \"201\", expected an integer from 200 to 299", false},
    {MR_FILE_OPERATIONS, OPERATION("  fields: {newId: {type: uuid}}"), "3:12: the name \"newId\" is the engine's own, expected another", false},
    {MR_FILE_OPERATIONS, OPERATION("  fields: {id: {type: uuid, from: header}}"), "3:35: \"header\", expected path, query or body", false},
    {MR_FILE_OPERATIONS, "a_b: {route: /v1/a}\n", "1:14: \"/v1/a\", expected a method and a path such as POST /v1/orders/{id}", false},
    {MR_FILE_OPERATIONS, "a_b: {route: post /v1/a}\n", "1:14: \"post /v1/a\", expected a method and a path such as POST /v1/orders/{id}", false},
    {MR_FILE_OPERATIONS, "a_b: {route: 'GET /v1/a/{x}b'}\n",
     "1:14: \"GET /v1/a/{x}b\", expected a method and a path such as POST /v1/orders/{id}", false},
    {MR_FILE_OPERATIONS, "a_b: {}\n", "1:1: \"route\" is missing, expected a method and a path such as POST /v1/orders/{id}", false},
    {MR_FILE_OPERATIONS, "a-b: {route: GET /v1/a}\n", "1:1: \"a-b\", expected a name of a-z, 0-9 and _", false},
    {MR_FILE_OPERATIONS, "{}\n", "1:1: nothing, expected a map of a name to an operation of operations/*.yaml", false},
    {MR_FILE_OPERATIONS, "a_b: GET /v1/a\n", "1:6: \"GET /v1/a\", expected a map", false},

    {MR_FILE_JOBS, JOB("  cron: '0 5 * * MON'\n  timezone: Europe/Berlin\n  missed: skip\n  startedBy: user\n  about: x"), NULL,
     false},
    {MR_FILE_JOBS,
     "a_b:\n  work: push\n  url: ${URL:-https://example.org/x}\n  secrets: [whsec_YQ==, whsec_Yg==]\n"
     "  args: {c: {type: uuid, required: true}, d: {type: text, default: en}}\n  retry: {attempts: 10, first: 2s, most: 1h}\n"
     "  timeout: 30s\n  concurrency: 20\n  perKey: 1\n  priority: -100\n  unique: {by: [c], for: 1h}\n  keep: 14d\n",
     NULL, false},
    {MR_FILE_JOBS, "a_b: {work: sql, statements: [x, y]}\n", NULL, false},
    {MR_FILE_JOBS, JOB("  statements: [x]"), "3:3: \"statements\" does not go here, expected it only with \"work\": sql", false},
    {MR_FILE_JOBS, "a_b: {work: push, url: 'ftp://x', secret: whsec_a}\n", "1:24: \"ftp://x\", expected a URL, http or https", false},
    {MR_FILE_JOBS, "a_b: {work: push, url: 'http://x', secret: hush}\n", "1:44: the value is not valid, expected a secret, whsec_ and base64", false},
    {MR_FILE_JOBS, "a_b: {work: push, url: 'http://x', secrets: [whsec_a, hush, whsec_a]}\n",
     "1:55: the value is not valid, expected a secret, whsec_ and base64\nf.yaml:1:61: a secret occurs here twice, expected it once", false},
    {MR_FILE_JOBS, "a_b: {work: sql, statements: [x], retry: {attempts: 3}}\n",
     "1:35: \"retry\" does not go here, expected it only with \"work\": push or pull", false},
    {MR_FILE_JOBS, "a_b: {work: sql, statements: [x], concurrency: 3}\n",
     "1:35: \"concurrency\" does not go here, expected it only with \"work\": push or pull", false},
    {MR_FILE_JOBS, JOB("  exclusive: true"), "3:3: \"exclusive\" does not go here, expected it only with \"work\": sql", false},
    {MR_FILE_JOBS, "a_b: {work: push, url: 'http://x', secret: whsec_a, secrets: [whsec_b]}\n",
     "1:36: \"secret\" beside \"secrets\", expected one of the two", false},
    {MR_FILE_JOBS, JOB("  cron: '61 * * * *'"), "3:9: at position 1 of the cron expression:", true},
    {MR_FILE_JOBS, JOB("  timezone: UTC"), "3:3: \"timezone\" does not go here, expected it only with \"cron\"", false},
    {MR_FILE_JOBS, JOB("  priority: 101"), "3:13: \"101\", expected an integer from -100 to 100", false},
    {MR_FILE_JOBS, JOB("  retry: {first: 2s}"), NULL, false},
    {MR_FILE_JOBS, JOB("  args: {c: {type: text, clearable: true}}"),
     "3:26: unknown key \"clearable\", expected one of type, required, default, length, pattern, range, about", false},
};

enum { EXAMPLE_COUNT = sizeof examples / sizeof examples[0] };

static const char *lookup(const char *name)
{
    return strcmp(name, "SET") == 0 ? "hush-hush" : NULL;
}

static const struct mr_application_options options = {.lookup = lookup};

static void check_example(const struct example *example)
{
    struct mr_problems problems = {0};
    struct mr_buf told = {0};
    mr_status status = mr_application_read_file(example->kind, "f.yaml", mr_slice_of(example->text), &options, &problems);

    mr_problems_print(&problems, &told);
    mr_buf_char(&told, '\0');
    if (status != (example->problem == NULL ? MR_OK : MR_INVALID))
        fail_test("%s\n%s: %s", example->text, mr_status_name(status), told.data);
    if (example->problem != NULL &&
        (strncmp(told.data, "f.yaml:", 7) != 0 || strncmp(told.data + 7, example->problem, strlen(example->problem)) != 0))
        fail_test("%s\nhas the problem\n%sand not\nf.yaml:%s", example->text, told.data, example->problem);
    assert_null(strstr(told.data, "hush-hush")); /* what was filled in may be a secret */
    mr_buf_fini(&told);
    mr_problems_fini(&problems);
}

static void test_file__is_taken_or_refused_with_its_place(void **state)
{
    (void)state;
    for (int i = 0; i < EXAMPLE_COUNT; i++)
        check_example(&examples[i]);
}

static void write_schema(FILE *file, enum mr_file_kind kind)
{
    struct mr_buf schema = {0};

    mr_schema_print(&schema, kind);
    assert_false(schema.failed);
    for (size_t i = 0; i < schema.len; i++)
        if (schema.data[i] == '\n')
            schema.data[i] = ' ';
    fprintf(file, "{\"kind\": %d, \"schema\": %.*s}\n", (int)kind, (int)schema.len, schema.data);
    mr_buf_fini(&schema);
}

static void write_line(FILE *file, const struct example *example)
{
    struct mr_arena arena = {0};
    struct mr_problems problems = {0};
    struct mr_buf document = {0};
    const struct mr_yaml *root = mr_yaml_read(&arena, "f.yaml", mr_slice_of(example->text), &problems);
    bool taken = example->problem == NULL || example->beyond_the_schema;

    assert_non_null(root);
    if (mr_yaml_json(root, &document)) /* else the number is one that JSON does not have */
        fprintf(file, "{\"kind\": %d, \"name\": \"example %u\", \"document\": %.*s, \"taken\": %s}\n", (int)example->kind,
                (unsigned)(example - examples) + 1, (int)document.len, document.data, taken ? "true" : "false");
    mr_buf_fini(&document);
    mr_problems_fini(&problems);
    mr_arena_fini(&arena);
}

static void test_schema__says_what_the_loader_says(void **state)
{
    char path[] = "/tmp/millrace-schema-XXXXXX";
    char command[256];
    int descriptor = mkstemp(path);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    int status;

    (void)state;
    assert_non_null(file);
    for (int kind = 0; kind < MR_FILE_KIND_COUNT; kind++)
        write_schema(file, (enum mr_file_kind)kind);
    for (int i = 0; i < EXAMPLE_COUNT; i++)
        write_line(file, &examples[i]);
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof command, "python3 -B %s/tests/support/validate_schema.py %s >&2", MR_SOURCE_DIR, path);
    status = system(command);
    unlink(path);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_file__tells_all_problems_at_once(void **state)
{
    struct mr_problems problems = {0};
    struct mr_buf told = {0};

    (void)state;
    assert_int_equal(mr_application_read_file(MR_FILE_RESOURCE, "f.yaml",
                                              MR_SLICE("pth: /v1/a\nfields:\n  a: {type: txt, length: 2..1}\n  b: {typ: text}\n"), NULL, &problems),
                     MR_INVALID);
    mr_problems_print(&problems, &told);
    assert_slice_equal(buf_slice(&told), "f.yaml:1:1: unknown key \"pth\", expected \"path\"\n"
                                         "f.yaml:1:1: \"path\" is missing, expected a path such as /v1/products\n"
                                         "f.yaml:3:13: \"txt\", expected \"text\"\n"
                                         "f.yaml:3:26: \"2..1\", expected the smaller bound first\n"
                                         "f.yaml:4:3: \"type\" is missing, expected text, uuid, integer, decimal, number, boolean, date, "
                                         "timestamp or json\n"
                                         "f.yaml:4:7: unknown key \"typ\", expected \"type\"\n");
    mr_buf_fini(&told);
    mr_problems_fini(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file__is_taken_or_refused_with_its_place),
        cmocka_unit_test(test_file__tells_all_problems_at_once),
        cmocka_unit_test(test_schema__says_what_the_loader_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
