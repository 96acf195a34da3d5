#include "gateway/prefer.h"

#include "tests/support/test.h"

/* RFC 7240, 2: a list of preferences over one or more lines, each a token with an optional value and parameters. */
static void test_prefer__finds_the_token_and_nothing_else(void **state)
{
    static const struct {
        const char *lines[2];
        bool wanted;
    } rows[] = {
        {{NULL}, false},
        {{""}, false},
        {{"primary"}, true},
        {{"PRIMARY"}, true},
        {{"return=minimal, primary"}, true},
        {{"return=minimal", "primary"}, true},
        {{"primary; wait=3"}, true},
        {{"primary=yes"}, true},
        {{"primary = yes"}, true},
        {{"primaryish"}, false},
        {{"not-primary"}, false},
        {{"return=primary"}, false},
        {{"respond-async; primary"}, false},
        {{"note=\"a, primary, b\""}, false},
        {{"note=\"a, \\\", primary\", wait=3"}, false},
        {{"note=\"a\", primary"}, true},
        {{"note=\"open, primary"}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr_http_request request = {.verb = MR_VERB_GET};

        for (unsigned line = 0; line < 2 && rows[i].lines[line] != NULL; line++)
            request.headers[request.header_count++] =
                (struct mr_http_header){mr_slice_of("Prefer"), mr_slice_of(rows[i].lines[line])};
        if (mr_prefers(&request, "primary") != rows[i].wanted)
            fail_test("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefer__finds_the_token_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
