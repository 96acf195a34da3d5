#include "gateway/client_address.h"

#include <arpa/inet.h>
#include <sodium.h>

#include "tests/support/test.h"

/* What two spellings are counted by; NULL: no address. */
static const struct {
    const char *text;
    const char *hex;
} addresses[] = {
    {"192.0.2.1", "00000000000000000000ffffc0000201"},
    {"192.0.2.1:443", "00000000000000000000ffffc0000201"},
    {"::ffff:192.0.2.1", "00000000000000000000ffffc0000201"},
    {"::FFFF:c000:201", "00000000000000000000ffffc0000201"},
    {"[::ffff:192.0.2.1]:80", "00000000000000000000ffffc0000201"},
    {"0.0.0.0", "00000000000000000000ffff00000000"},
    {"255.255.255.255", "00000000000000000000ffffffffffff"},
    {"2001:db8:1:2:3:4:5:6", "20010db8000100020000000000000000"},
    {"2001:DB8:1:2:ffff:ffff:ffff:ffff", "20010db8000100020000000000000000"},
    {"2001:db8:1:2::", "20010db8000100020000000000000000"},
    {"2001:db8:1:3::", "20010db8000100030000000000000000"},
    {"[2001:db8:1:2::9]", "20010db8000100020000000000000000"},
    {"[2001:db8:1:2::9]:65535", "20010db8000100020000000000000000"},
    {"::1", "00000000000000000000000000000000"},
    {"64:ff9b::192.0.2.1", "0064ff9b000000000000000000000000"},
    {"1111:2222:3333:4444:5555:6666:255.255.255.255", "11112222333344440000000000000000"},
    {"", NULL},
    {" ", NULL},
    {"unknown", NULL},
    {"_hidden", NULL},
    {"localhost", NULL},
    {"192.0.2", NULL},
    {"192.0.2.1.5", NULL},
    {"192.0.2.256", NULL},
    {"192.0.2.01", NULL},
    {"0xc0.0.2.1", NULL},
    {"3221225985", NULL},
    {"192.0.2.1:", NULL},
    {"192.0.2.1:http", NULL},
    {"192.0.2.1:123456", NULL},
    {"192.0.2.1 ", NULL},
    {"192.0.2.1,192.0.2.2", NULL},
    {"192.0.2.1/24", NULL},
    {"[192.0.2.1]", NULL},
    {"[192.0.2.1]:80", NULL},
    {":80", NULL},
    {":", NULL},
    {"[", NULL},
    {"[]", NULL},
    {"[::1", NULL},
    {"::1]", NULL},
    {"[::1]80", NULL},
    {"[::1]:", NULL},
    {"[::1]:8x", NULL},
    {"[[::1]]", NULL},
    {"fe80::1%eth0", NULL},
    {"2001:db8::1::2", NULL},
    {"2001:db8", NULL},
    {"12345::", NULL},
    {"\"192.0.2.1\"", NULL},
    {"for=192.0.2.1", NULL},
    {"0000000000000000000000000000000000000000000000000000000192.0.2.1", NULL},
};

static void assert_address(const uint8_t have[MR_CLIENT_ADDRESS], const char *hex, const char *what)
{
    char text[2 * MR_CLIENT_ADDRESS + 1];

    sodium_bin2hex(text, sizeof text, have, MR_CLIENT_ADDRESS);
    if (strcmp(text, hex) != 0)
        fail_test("%s: %s is not %s", what, text, hex);
}

static void test_client_address__reads_what_proxies_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        size_t len = strlen(addresses[i].text);
        char *exact = malloc(len + (len == 0)); /* so that a sanitizer sees a read past the end */
        uint8_t out[MR_CLIENT_ADDRESS];

        assert_non_null(exact);
        memcpy(exact, addresses[i].text, len);
        if (mr_client_address_parse(out, (struct mr_slice){exact, len}) != (addresses[i].hex != NULL))
            fail_test("%s", addresses[i].text);
        if (addresses[i].hex != NULL)
            assert_address(out, addresses[i].hex, addresses[i].text);
        free(exact);
    }
}

static void test_client_address__an_escaped_end_is_no_end(void **state)
{
    uint8_t out[MR_CLIENT_ADDRESS];

    (void)state;
    assert_false(mr_client_address_parse(out, MR_SLICE("192.0.2.1\0")));
    assert_false(mr_client_address_parse(out, MR_SLICE("::1\0:2")));
}

static void test_client_address__reads_sockets(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr other = {.sa_family = AF_UNIX};
    uint8_t out[MR_CLIENT_ADDRESS];

    (void)state;
    inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
    mr_client_address_of(out, (const struct sockaddr *)&v4);
    assert_address(out, "00000000000000000000ffffc0000201", "IPv4");
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr);
    mr_client_address_of(out, (const struct sockaddr *)&v6);
    assert_address(out, "00000000000000000000ffffc0000201", "mapped");
    inet_pton(AF_INET6, "2001:db8:1:2:3::4", &v6.sin6_addr);
    mr_client_address_of(out, (const struct sockaddr *)&v6);
    assert_address(out, "20010db8000100020000000000000000", "IPv6");
    mr_client_address_of(out, &other);
    assert_address(out, "00000000000000000000000000000000", "neither");
}

#define PEER "192.0.2.99"

/* The lines of X-Forwarded-For in order, up to a NULL. */
static const struct {
    unsigned hops;
    const char *address;
    const char *lines[4];
} forwarded[] = {
    {0, PEER, {NULL}},
    {0, PEER, {"192.0.2.1"}},
    {1, PEER, {NULL}},
    {1, "192.0.2.1", {"192.0.2.1"}},
    {1, "192.0.2.1", {" \t192.0.2.1\t "}},
    {1, "192.0.2.2", {"192.0.2.1, 192.0.2.2"}},
    {1, "192.0.2.2", {"192.0.2.1,192.0.2.2"}},
    {2, "192.0.2.1", {"192.0.2.1, 192.0.2.2"}},
    {2, "192.0.2.2", {"192.0.2.1, 192.0.2.2, 192.0.2.3"}},
    {1, "192.0.2.2", {"192.0.2.1", "192.0.2.2"}},
    {2, "192.0.2.1", {"192.0.2.1", "192.0.2.2"}},
    {3, "192.0.2.2", {"192.0.2.1, 192.0.2.2", "192.0.2.3", "192.0.2.4"}},
    {4, "192.0.2.1", {"192.0.2.1, 192.0.2.2", "192.0.2.3", "192.0.2.4"}},
    {5, PEER, {"192.0.2.1, 192.0.2.2", "192.0.2.3", "192.0.2.4"}},
    {2, PEER, {"192.0.2.1"}},
    {1, PEER, {""}},
    {1, PEER, {"192.0.2.1,"}},
    {2, "192.0.2.1", {"192.0.2.1,"}},
    {2, PEER, {",192.0.2.1"}},
    {2, PEER, {"192.0.2.1", "", "192.0.2.3"}},
    {1, PEER, {"192.0.2.1, unknown"}},
    {2, "192.0.2.1", {"192.0.2.1, unknown"}},
    {1, PEER, {"192.0.2.1 192.0.2.2"}},
    {1, "192.0.2.2", {"garbage\x01, '; --, 192.0.2.2:4711"}},
    {1, "2001:db8::1", {"192.0.2.1, [2001:db8::5]:4711"}},
    {1, "2001:db8::1", {"192.0.2.1, 2001:db8::5"}},
};

static void test_client_address__takes_the_entry_that_the_hops_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++) {
        struct mr_http_request request = {.header_count = 0};
        uint8_t peer[MR_CLIENT_ADDRESS];
        uint8_t wanted[MR_CLIENT_ADDRESS];
        uint8_t out[MR_CLIENT_ADDRESS];

        assert_true(mr_client_address_parse(peer, MR_SLICE(PEER)));
        assert_true(mr_client_address_parse(wanted, mr_slice_of(forwarded[i].address)));
        for (unsigned j = 0; forwarded[i].lines[j] != NULL; j++) {
            request.headers[request.header_count++] = (struct mr_http_header){MR_SLICE("X-Real-IP"), MR_SLICE("192.0.2.7")};
            request.headers[request.header_count++] = (struct mr_http_header){
                j % 2 == 0 ? MR_SLICE("X-Forwarded-For") : MR_SLICE("x-forwarded-FOR"), mr_slice_of(forwarded[i].lines[j])};
            request.headers[request.header_count++] = (struct mr_http_header){MR_SLICE("X-Forwarded"), MR_SLICE("192.0.2.8")};
        }
        mr_client_address(out, &request, forwarded[i].hops, peer);
        if (memcmp(out, wanted, sizeof out) != 0)
            fail_test("row %zu", i);
    }
}

/* As it comes out of the parser, an empty value included. */
static void test_client_address__reads_the_head_of_a_request(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For:\r\n\r\n";
    struct mr_http_request request;
    uint8_t peer[MR_CLIENT_ADDRESS] = {7};
    uint8_t out[MR_CLIENT_ADDRESS];

    (void)state;
    assert_int_equal(mr_http_parse(&request, head, sizeof head - 1), MR_OK);
    mr_client_address(out, &request, 1, peer);
    assert_memory_equal(out, peer, sizeof out);
    mr_client_address(out, &request, 2, peer);
    assert_address(out, "00000000000000000000ffffc0000201", "the line before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_address__reads_what_proxies_write),
        cmocka_unit_test(test_client_address__an_escaped_end_is_no_end),
        cmocka_unit_test(test_client_address__reads_sockets),
        cmocka_unit_test(test_client_address__takes_the_entry_that_the_hops_say),
        cmocka_unit_test(test_client_address__reads_the_head_of_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
