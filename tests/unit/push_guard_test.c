/*
 * Which addresses a push may be sent to: for each range its first and last address, and their neighbours outside.
 */
#include "jobs/push_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "tests/support/test.h"

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(443)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return mr_push_is_public((const struct sockaddr *)&v4, sizeof v4);
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
        fail_test("no address: %s", text);
    return mr_push_is_public((const struct sockaddr *)&v6, sizeof v6);
}

/* Addresses one after the other, ended by NULL. */
static void assert_all(const char *const *addresses, bool expected)
{
    for (; *addresses != NULL; addresses++)
        if (is_public(*addresses) != expected)
            fail_test("%s is %sto be let through", *addresses, expected ? "" : "not ");
}

static void test_push_guard__ranges_of_ipv4(void **state)
{
    static const char *const refused[] = {
        "0.0.0.0",      "0.255.255.255",   "10.0.0.0",     "10.255.255.255",  "100.64.0.0",    "100.127.255.255",
        "127.0.0.0",    "127.0.0.1",       "127.255.255.255", "169.254.0.0",  "169.254.169.254", "169.254.255.255",
        "172.16.0.0",   "172.31.255.255",  "192.0.0.0",    "192.0.0.255",     "192.0.2.0",     "192.0.2.255",
        "192.88.99.0",  "192.88.99.255",   "192.168.0.0",  "192.168.255.255", "198.18.0.0",    "198.19.255.255",
        "198.51.100.0", "198.51.100.255",  "203.0.113.0",  "203.0.113.255",   "224.0.0.0",     "239.255.255.255",
        "240.0.0.0",    "255.255.255.254", "255.255.255.255", NULL};
    static const char *const let_through[] = {
        "1.0.0.0",        "9.255.255.255",  "11.0.0.0",       "100.63.255.255", "100.128.0.0",    "126.255.255.255",
        "128.0.0.0",      "169.253.255.255", "169.255.0.0",   "172.15.255.255", "172.32.0.0",     "191.255.255.255",
        "192.0.1.0",      "192.0.1.255",    "192.0.3.0",      "192.88.98.255",  "192.88.100.0",   "192.167.255.255",
        "192.169.0.0",    "198.17.255.255", "198.20.0.0",     "198.51.99.255",  "198.51.101.0",   "203.0.112.255",
        "203.0.114.0",    "223.255.255.255", "8.8.8.8",       NULL};

    (void)state;
    assert_all(refused, false);
    assert_all(let_through, true);
}

static void test_push_guard__ranges_of_ipv6(void **state)
{
    static const char *const refused[] = {"::",
                                          "::1",
                                          "::8.8.8.8",
                                          "::ffff:0.0.0.0",
                                          "::ffff:8.8.8.8",
                                          "::ffff:127.0.0.1",
                                          "::ffff:255.255.255.255",
                                          "64:ff9b::",
                                          "64:ff9b::8.8.8.8",
                                          "64:ff9b::ffff:ffff",
                                          "64:ff9b:1::",
                                          "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
                                          "100::",
                                          "100::ffff:ffff:ffff:ffff",
                                          "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "2001::",
                                          "2001:0:808:808::1",
                                          "2001:2::1",
                                          "2001:10::1",
                                          "2001:20::1",
                                          "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "2001:db8::",
                                          "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "2002::",
                                          "2002:7f00:1::",
                                          "2002:a00:1::",
                                          "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "2600::5efe:a00:1",
                                          "2600::200:5efe:a00:1",
                                          "3fff::",
                                          "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "4000::",
                                          "5f00::1",
                                          "fc00::",
                                          "fd00:ec2::254",
                                          "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "fe80::1",
                                          "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "fec0::1",
                                          "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "ff00::",
                                          "ff02::1",
                                          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          NULL};
    static const char *const let_through[] = {"2000::",
                                              "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                              "2001:200::",
                                              "2001:4860:4860::8888",
                                              "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
                                              "2001:db9::",
                                              "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                              "2003::",
                                              "2600:1f00::1",
                                              "2600::100:5efe:a00:1",
                                              "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                              "3fff:1000::",
                                              "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                              NULL};

    (void)state;
    assert_all(refused, false);
    assert_all(let_through, true);
}

static void test_push_guard__nothing_but_whole_internet_addresses(void **state)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/postgresql/.s.PGSQL.5432"};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    (void)state;
    inet_pton(AF_INET, "8.8.8.8", &v4.sin_addr);
    inet_pton(AF_INET6, "2600::1", &v6.sin6_addr);
    assert_false(mr_push_is_public((const struct sockaddr *)&local, sizeof local));
    assert_true(mr_push_is_public((const struct sockaddr *)&v4, sizeof v4));
    assert_false(mr_push_is_public((const struct sockaddr *)&v4, sizeof v4 - 1));
    assert_true(mr_push_is_public((const struct sockaddr *)&v6, sizeof v6));
    assert_false(mr_push_is_public((const struct sockaddr *)&v6, sizeof v4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_guard__ranges_of_ipv4),
        cmocka_unit_test(test_push_guard__ranges_of_ipv6),
        cmocka_unit_test(test_push_guard__nothing_but_whole_internet_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
