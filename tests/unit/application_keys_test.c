/* The structural test of the table of keys: what its rows say of each other holds. */
#include "application/keys.h"

#include <regex.h>

#include "application/read.h"
#include "tests/support/test.h"

#define FOR_EACH_KEY(section, key)                                                         \
    for (int section = 0; section < MR_SECTION_COUNT; section++)                           \
        for (const struct mr_key *key = mr_key_next((enum mr_section)section, NULL); key != NULL; \
             key = mr_key_next((enum mr_section)section, key))

static void test_keys__are_unique_and_documented(void **state)
{
    unsigned count = 0;

    (void)state;
    FOR_EACH_KEY(section, key)
    {
        count++;
        assert_ptr_equal(mr_key_find((enum mr_section)section, key->name), key);
        assert_true(strlen(key->about) >= 8);
        assert_true(key->member < mr_section_info((enum mr_section)section)->size);
    }
    assert_true(count > 80);
}

static void test_keys__need_keys_and_words_that_are_there(void **state)
{
    (void)state;
    FOR_EACH_KEY(section, key)
    {
        const char *at = key->needs;
        struct mr_need need;

        while (mr_need_next(&at, &need)) {
            const struct mr_key *other = mr_key_find((enum mr_section)section, need.key);
            const char *words = need.words;
            char word[MR_WORD_ROOM];

            assert_non_null(other);
            assert_true(other->kind == MR_KIND_WORD || need.words[0] == '\0' || strcmp(need.words, "true") == 0);
            while (other->kind == MR_KIND_WORD && mr_word_next(&words, word))
                assert_true(mr_word_is_in(other->allowed, word, NULL));
        }
    }
}

/* An empty map has all the defaults, and no problem beside what is required. */
static void test_keys__have_defaults_that_they_allow(void **state)
{
    (void)state;
    for (int section = 0; section < MR_SECTION_COUNT; section++) {
        struct mr_arena arena = {0};
        struct mr_problems problems = {0};
        struct mr_reader *reader = mr_reader_new(&arena, &problems);
        struct mr_yaml map = {.kind = MR_YAML_MAP, .file = "f.yaml"};
        void *model = calloc(1, mr_section_info((enum mr_section)section)->size);
        unsigned required = 0;

        assert_non_null(reader);
        for (const struct mr_key *key = mr_key_next((enum mr_section)section, NULL); key != NULL;
             key = mr_key_next((enum mr_section)section, key))
            required += key->must;
        mr_read_section(reader, (enum mr_section)section, &map, model);
        assert_int_equal(problems.found, required);
        free(model);
        mr_reader_destroy(&reader);
        mr_problems_fini(&problems);
        mr_arena_fini(&arena);
    }
}

static void test_keys__name_sections_that_are_there(void **state)
{
    (void)state;
    FOR_EACH_KEY(section, key)
    {
        (void)section;
        if (key->kind == MR_KIND_SECTION || key->kind == MR_KIND_FIELDS)
            assert_string_equal(mr_section_info(mr_section_named(key->allowed))->name, key->allowed);
    }
}

static void test_keys__near_spellings_are_found(void **state)
{
    char room[MR_WORD_ROOM];

    (void)state;
    assert_string_equal(mr_key_near(MR_SECTION_field, "lenght"), "length");
    assert_string_equal(mr_key_near(MR_SECTION_field, "uniqe"), "unique");
    assert_string_equal(mr_key_near(MR_SECTION_resource, "operation"), "operations");
    assert_string_equal(mr_word_near("sql|push|pull", "pul", room), "pull");
    assert_null(mr_key_near(MR_SECTION_field, "colour"));
    assert_null(mr_key_near(MR_SECTION_field, ""));
    assert_null(mr_word_near("a|b", "c", room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__are_unique_and_documented),
        cmocka_unit_test(test_keys__need_keys_and_words_that_are_there),
        cmocka_unit_test(test_keys__have_defaults_that_they_allow),
        cmocka_unit_test(test_keys__name_sections_that_are_there),
        cmocka_unit_test(test_keys__near_spellings_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
