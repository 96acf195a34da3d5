#include "gateway/inflate.h"

#include <zlib.h>

#include "tests/support/test.h"

enum { PLENTY = 1 << 20 };

/* Appends `text` as one gzip member. */
static void add_member(struct mr_buf *out, struct mr_slice text)
{
    z_stream zlib = {0};
    uLong bound;

    assert_int_equal(deflateInit2(&zlib, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    bound = deflateBound(&zlib, text.len);
    assert_non_null(mr_buf_reserve(out, bound));
    zlib.next_in = (unsigned char *)text.data;
    zlib.avail_in = (unsigned)text.len;
    zlib.next_out = (unsigned char *)out->data + out->len;
    zlib.avail_out = (unsigned)bound;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    out->len += zlib.total_out;
    deflateEnd(&zlib);
}

/* All of `in`, `step` bytes at a time, into `room` bytes at a time. */
static mr_status inflate_in_steps(struct mr_slice in, size_t step, size_t room, uint64_t max, struct mr_buf *out, bool *whole)
{
    struct mr_inflate *inflate;
    mr_status status = mr_inflate_new(&inflate, max, NULL);
    size_t made;

    assert_int_equal(status, MR_OK);
    while (status == MR_OK && in.len > 0) {
        struct mr_slice piece = {in.data, in.len < step ? in.len : step};

        in = (struct mr_slice){in.data + piece.len, in.len - piece.len};
        do {
            char *end = mr_buf_reserve(out, room);

            status = mr_inflate_take(inflate, &piece, end, room, &made);
            out->len += status == MR_OK ? made : 0;
        } while (status == MR_OK && (piece.len > 0 || made == room));
    }
    *whole = status == MR_OK && mr_inflate_is_whole(inflate);
    mr_inflate_destroy(&inflate);
    assert_null(inflate);
    return status;
}

static mr_status inflate_all(struct mr_buf *in, uint64_t max, struct mr_buf *out, bool *whole)
{
    return inflate_in_steps(buf_slice(in), SIZE_MAX, 4096, max, out, whole);
}

static void fill(struct mr_buf *out, size_t size)
{
    uint64_t seed = 5;

    while (out->len < size)
        mr_buf_char(out, (char)('a' + random_below(&seed, 9)));
}

static void test_inflate__every_split_gives_the_same_text(void **state)
{
    static const size_t steps[] = {1, 2, 7, 1000, SIZE_MAX};
    struct mr_buf text = {0};
    struct mr_buf gzip = {0};

    (void)state;
    fill(&text, 100000);
    add_member(&gzip, buf_slice(&text));
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 1; j < 5; j++) {
            struct mr_buf out = {0};
            bool whole;

            assert_int_equal(inflate_in_steps(buf_slice(&gzip), steps[i], j == 4 ? PLENTY : steps[j], PLENTY, &out, &whole), MR_OK);
            assert_true(whole);
            assert_int_equal(out.len, text.len);
            assert_memory_equal(out.data, text.data, text.len);
            mr_buf_fini(&out);
        }
    mr_buf_fini(&text);
    mr_buf_fini(&gzip);
}

static void test_inflate__members_follow_each_other(void **state)
{
    struct mr_buf gzip = {0};

    (void)state;
    add_member(&gzip, MR_SLICE("one,"));
    add_member(&gzip, MR_SLICE(""));
    add_member(&gzip, MR_SLICE("two"));
    for (size_t step = 1; step <= gzip.len; step++) {
        struct mr_buf out = {0};
        bool whole;

        assert_int_equal(inflate_in_steps(buf_slice(&gzip), step, 1 + step % 3, PLENTY, &out, &whole), MR_OK);
        assert_true(whole);
        assert_slice_equal(buf_slice(&out), "one,two");
        mr_buf_fini(&out);
    }
    mr_buf_fini(&gzip);
}

/* A text may end behind a member and nowhere else: what is cut is told, wherever the cut is. */
static void test_inflate__a_cut_is_noticed_everywhere(void **state)
{
    struct mr_buf gzip = {0};
    size_t first;

    (void)state;
    add_member(&gzip, MR_SLICE("some text, some text"));
    first = gzip.len;
    add_member(&gzip, MR_SLICE("and more"));
    for (size_t len = 0; len <= gzip.len; len++) {
        struct mr_buf out = {0};
        bool whole;

        assert_int_equal(inflate_in_steps((struct mr_slice){gzip.data, len}, SIZE_MAX, 4096, PLENTY, &out, &whole), MR_OK);
        if (whole != (len == first || len == gzip.len))
            fail_test("%zu of %zu bytes", len, gzip.len);
        mr_buf_fini(&out);
    }
    mr_buf_fini(&gzip);
}

static void test_inflate__what_is_no_gzip_is_invalid(void **state)
{
    static const char *const bad[] = {"plain text, not compressed", "\x78\x9c zlib's own form", "\x1f\x8b\x07 another method",
                                      "\x1f\x8b\x08\xff reserved flags"};
    struct mr_buf out = {0};
    bool whole;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(inflate_in_steps(mr_slice_of(bad[i]), 1, 16, PLENTY, &out, &whole), MR_INVALID);
    mr_buf_fini(&out);
}

static void test_inflate__garbage_behind_a_member_is_invalid(void **state)
{
    static const char *const tails[] = {"x", "garbage", "\x1f\x8c"};

    (void)state;
    for (size_t i = 0; i <= sizeof tails / sizeof tails[0]; i++) {
        struct mr_buf gzip = {0};
        struct mr_buf out = {0};
        bool whole;

        add_member(&gzip, MR_SLICE("text"));
        if (i < sizeof tails / sizeof tails[0])
            mr_buf_text(&gzip, tails[i]);
        else
            mr_buf_append(&gzip, "\0\0\0", 3);
        if (inflate_all(&gzip, PLENTY, &out, &whole) == MR_OK)
            assert_false(whole);
        mr_buf_fini(&gzip);
        mr_buf_fini(&out);
    }
}

static void test_inflate__a_changed_byte_is_noticed(void **state)
{
    struct mr_buf gzip = {0};

    (void)state;
    add_member(&gzip, MR_SLICE("the sum at the end is over the text"));
    for (size_t i = gzip.len - 8; i < gzip.len; i++) {
        struct mr_buf out = {0};
        bool whole;

        gzip.data[i] ^= 1;
        assert_int_equal(inflate_all(&gzip, PLENTY, &out, &whole), MR_INVALID);
        gzip.data[i] ^= 1;
        mr_buf_fini(&out);
    }
    mr_buf_fini(&gzip);
}

/* To the byte: what is at the bound passes, one more does not, and a bomb is stopped while it goes off. */
static void test_inflate__the_bound_holds_while_it_comes(void **state)
{
    struct mr_buf text = {0};
    struct mr_buf gzip = {0};

    (void)state;
    assert_non_null(mr_buf_reserve(&text, 64 << 20));
    memset(text.data, 'x', 64 << 20);
    text.len = 64 << 20;
    add_member(&gzip, buf_slice(&text));
    assert_true(gzip.len < 80000);
    for (size_t room = 1000; room <= PLENTY; room *= 10) {
        struct mr_buf out = {0};
        bool whole;

        assert_int_equal(inflate_in_steps(buf_slice(&gzip), SIZE_MAX, room, 100000, &out, &whole), MR_TOO_LARGE);
        assert_true(out.len <= 100000);
        mr_buf_fini(&out);
    }
    for (uint64_t max = 4; max <= 6; max++) {
        struct mr_buf small = {0};
        struct mr_buf out = {0};
        bool whole;

        add_member(&small, MR_SLICE("fi"));
        add_member(&small, MR_SLICE("ve!"));
        assert_int_equal(inflate_all(&small, max, &out, &whole), max < 5 ? MR_TOO_LARGE : MR_OK);
        assert_int_equal(whole, max >= 5);
        mr_buf_fini(&small);
        mr_buf_fini(&out);
    }
    mr_buf_fini(&text);
    mr_buf_fini(&gzip);
}

/* Gives memory so many times. */
static void *take(void *left, unsigned count, unsigned size)
{
    return (*(int *)left)-- > 0 ? calloc(count, size) : NULL;
}

static void give(void *left, void *memory)
{
    (void)left;
    free(memory);
}

static void test_inflate__memory_ends(void **state)
{
    struct mr_buf text = {0};
    struct mr_buf gzip = {0};
    unsigned failures = 0;

    (void)state;
    fill(&text, 100000);
    add_member(&gzip, buf_slice(&text));
    for (int allowed = 0; failures == (unsigned)allowed; allowed++) {
        int left = allowed;
        struct mr_inflate_memory memory = {take, give, &left};
        struct mr_inflate *inflate = NULL;
        struct mr_slice in = buf_slice(&gzip);
        mr_status status = mr_inflate_new(&inflate, PLENTY, &memory);
        char out[512];
        size_t made;

        while (status == MR_OK && (in.len > 0 || !mr_inflate_is_whole(inflate)))
            status = mr_inflate_take(inflate, &in, out, sizeof out, &made);
        failures += status == MR_NO_MEMORY;
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        mr_inflate_destroy(&inflate);
    }
    assert_in_range(failures, 2, 10); /* at the beginning, and for the window */
    mr_buf_fini(&text);
    mr_buf_fini(&gzip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inflate__every_split_gives_the_same_text),
        cmocka_unit_test(test_inflate__members_follow_each_other),
        cmocka_unit_test(test_inflate__a_cut_is_noticed_everywhere),
        cmocka_unit_test(test_inflate__what_is_no_gzip_is_invalid),
        cmocka_unit_test(test_inflate__garbage_behind_a_member_is_invalid),
        cmocka_unit_test(test_inflate__a_changed_byte_is_noticed),
        cmocka_unit_test(test_inflate__the_bound_holds_while_it_comes),
        cmocka_unit_test(test_inflate__memory_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
