"""Rate limits: who is counted, what they are told, and that nobody talks themselves out of it.

A bucket of few tokens fills one in many seconds, so that a test which takes a moment sees none come back.
"""

import json
import re
import time
import unittest

import support

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
PRIORITIES = "/v1/refdata/taskpriorities"

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


def forwarded(*lines):
    return [("X-Forwarded-For", line) for line in lines]


class RateLimitTest(unittest.TestCase):
    def start(self, **settings):
        """An API of its own, whose buckets are full."""
        server = module.server.api_process(**settings)
        self.addCleanup(server.kill)
        return server.ready()

    def api(self, server):
        api = server.api()
        self.addCleanup(api.close)
        return api

    def user(self):
        """Registered where nothing is limited; the token is good everywhere."""
        user = self.api(module.server).register()
        user.close()
        return user

    def sign_in(self, api, headers=(), **body):
        return api.post("/v1/auth/signin", {"username": "nobody", "password": "wrong wrong", **body}, headers=headers, token=None)

    def statuses(self, ask, count):
        return [ask().status for _ in range(count)]

    def assert_quota(self, response, policy, limit, remaining):
        self.assertEqual(response.all("RateLimit-Policy"), [f'"{policy}";q={limit};w=60'], response)
        (text,) = response.all("RateLimit")
        found = re.fullmatch(rf'"{policy}";r=(\d+);t=(\d+)', text)
        self.assertTrue(found, text)
        self.assertEqual(int(found.group(1)), remaining)
        self.assertIn(int(found.group(2)), range(1, 61))
        return int(found.group(2))

    def assert_refused(self, response, policy, limit):
        self.assertEqual((response.status, response.reason, response.closes), (429, "Too Many Requests", False), response)
        reset = self.assert_quota(response, policy, limit, 0)
        self.assertEqual(response.all("Retry-After"), [str(reset)])
        self.assertEqual(response.header("Content-Type"), "application/problem+json")
        self.assertEqual(response.header("Cache-Control"), "no-store")
        problem = response.json()
        self.assertEqual((problem["type"], problem["title"], problem["status"]), (QUOTA_EXCEEDED, "Too Many Requests", 429))
        self.assertEqual(problem["violated-policies"], [policy])
        self.assertEqual(problem["instance"], response.header("X-Request-Id"))
        self.assertTrue(problem["detail"])

    def assert_unlimited(self, response):
        for name in ("RateLimit", "RateLimit-Policy", "Retry-After"):
            self.assertEqual(response.all(name), [], response)

    # ---- The auth routes ----

    def test_auth__is_limited_by_default(self):
        server = self.start(RATE_LIMIT_AUTH_PER_MINUTE=None)
        api = self.api(server)
        printed = json.loads(support.run("config", "--json").stdout)
        limit = int(next(row["default"] for row in printed if row["name"] == "RATE_LIMIT_AUTH_PER_MINUTE"))
        self.assertIn(limit, range(5, 61))
        begun = time.monotonic()
        answers = [self.sign_in(api) for _ in range(limit + 2)]
        if time.monotonic() - begun < 60 / limit:
            self.assertEqual([answer.status for answer in answers], [401] * limit + [429] * 2)
        self.assertEqual(answers[0].status, 401)
        while answers[-1].status != 429 and len(answers) < 100 * limit:  # a slow machine: tokens come back meanwhile
            answers.append(self.sign_in(api))
        self.assert_refused(answers[-1], "auth", limit)
        self.assertEqual(self.user().get("/v1/tasks").status, 200)

    def test_auth__counts_every_route_and_every_outcome(self):
        unknown = {"refreshToken": "unknown"}
        user = support.new_user()
        taken = (("register", user, 200), ("register", user, 409), ("signin", user, 200), ("signin", {}, 400), ("refresh", unknown, 401),
                 ("signout", unknown, 204), ("signout", {}, 401))
        refused = (("signin", user), ("register", support.new_user()), ("signout", unknown))

        def quickly():
            """All answers; None on a machine so slow that a token came back meanwhile."""
            user["username"] = support.new_user()["username"]
            api, watch = self.api(self.start(RATE_LIMIT_AUTH_PER_MINUTE=7)), support.Stopwatch()
            answers = [api.post("/v1/auth/" + path, body) for path, body, *_ in (*taken, *refused)]
            return answers if watch.passed() < 60 / 7 else None

        answers = support.wait_for(quickly, 60, "ten requests are quick")
        for remaining, (response, (_, _, status)) in enumerate(zip(answers[6::-1], taken[::-1])):
            self.assertEqual(response.status, status, response)
            self.assert_quota(response, "auth", 7, remaining)
        for response in answers[7:]:
            self.assert_refused(response, "auth", 7)

    def test_auth__a_refused_request_reaches_nobody(self):
        server = self.start(RATE_LIMIT_AUTH_PER_MINUTE=1)
        api = self.api(server)
        self.sign_in(api)
        user = support.new_user()
        begun = server.cpu_seconds()
        self.assert_refused(api.post("/v1/auth/register", user), "auth", 1)
        self.assert_refused(api.post("/v1/auth/register", b"{ no JSON"), "auth", 1)
        self.assertEqual(self.statuses(lambda: self.sign_in(api), 200), [429] * 200)
        self.assertLess(server.cpu_seconds() - begun, support.patience(1))  # 200 hashes take several seconds
        with module.server.database() as database:
            self.assertEqual(database.count("millrace.app_user", f"username = '{user['username']}'"), 0)

    def test_auth__the_kept_connection_goes_on(self):
        server = self.start(RATE_LIMIT_AUTH_PER_MINUTE=1)
        with server.connect() as connection:
            request = support.make_request("POST", "/v1/auth/signin", body={"username": "nobody", "password": "wrong wrong"})
            connection.send(request * 3 + support.make_request("GET", "/livez"))
            self.assertEqual([connection.response().status for _ in range(4)], [401, 429, 429, 200])
            self.assertTrue(connection.is_open())

    def test_auth__a_token_makes_no_difference(self):
        api = self.api(self.start(RATE_LIMIT_AUTH_PER_MINUTE=1, RATE_LIMIT_PER_MINUTE=100))
        self.sign_in(api)
        api.token = self.user().token
        self.assert_refused(api.post("/v1/auth/signin", {"username": "nobody", "password": "wrong wrong"}), "auth", 1)

    def test_auth__has_a_bucket_apart_from_the_rest(self):
        api = self.api(self.start(RATE_LIMIT_AUTH_PER_MINUTE=2, RATE_LIMIT_PER_MINUTE=3))
        self.assertEqual(self.statuses(lambda: self.sign_in(api), 3), [401, 401, 429])
        self.assertEqual(self.statuses(lambda: api.get(PRIORITIES), 4), [200, 200, 200, 429])

    def test_tokens__come_back(self):
        api = self.api(self.start(RATE_LIMIT_AUTH_PER_MINUTE=30))
        while self.sign_in(api).status != 429:
            pass
        support.wait_for(lambda: self.sign_in(api).status == 401, 10, "a token comes back")

    # ---- Elsewhere ----

    def test_elsewhere__is_off_by_default(self):
        api = self.api(self.start(RATE_LIMIT_AUTH_PER_MINUTE=None))
        api.token = self.user().token
        for _ in range(100):
            response = api.get("/v1/users/profile")
            self.assertEqual(response.status, 200)
        self.assert_unlimited(response)
        self.assert_unlimited(api.get(PRIORITIES, token=None))

    def test_elsewhere__counts_each_user(self):
        server = self.start(RATE_LIMIT_PER_MINUTE=3)
        one, other = self.user(), self.user()
        api, second = self.api(server), self.api(server)
        for remaining in (2, 1, 0):
            response = api.get("/v1/users/profile", token=one.token)
            self.assertEqual(response.status, 200)
            self.assert_quota(response, "default", 3, remaining)
        self.assert_refused(api.get("/v1/users/profile", token=one.token), "default", 3)
        self.assert_refused(second.get("/v1/tasks", token=one.token), "default", 3)
        self.assert_quota(api.get("/v1/users/profile", token=other.token), "default", 3, 2)

    def test_elsewhere__the_user_counts_wherever_they_come_from(self):
        server = self.start(RATE_LIMIT_PER_MINUTE=2, TRUST_PROXY_HOPS=1)
        user, api = self.user(), self.api(server)
        statuses = [api.get("/v1/tasks", token=user.token, headers=forwarded(f"192.0.2.{n}")).status for n in range(4)]
        self.assertEqual(statuses, [200, 200, 429, 429])

    def test_elsewhere__counts_the_address_of_who_is_not_signed_in(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=3))
        self.assert_quota(api.get("/v1/tasks"), "default", 3, 2)  # 401
        forged = support.sign(support.claims_for("018f0000-0000-7000-8000-000000000001"), "another secret that is long enough")
        response = api.get("/v1/tasks", token=forged)
        self.assertEqual((response.status, response.header("WWW-Authenticate")), (401, 'Bearer error="invalid_token"'))
        self.assert_quota(response, "default", 3, 1)
        self.assert_quota(api.get(PRIORITIES), "default", 3, 0)
        self.assert_refused(api.get(PRIORITIES), "default", 3)
        self.assert_refused(api.get("/v1/tasks", token=forged), "default", 3)
        self.assertEqual(api.get("/v1/tasks", token=self.user().token).status, 200)

    def test_elsewhere__every_kind_of_answer_tells(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=1000))
        api.token = self.user().token
        task = api.create_task()
        tag = api.get(PRIORITIES).header("ETag")
        for method, path, body, headers, status in (
                ("POST", "/v1/tasks", {"summary": "a", "taskPriorityCode": "LOW"}, (), 201), ("POST", "/v1/tasks", {}, (), 400),
                ("GET", f"/v1/tasks/{task['id']}", None, (), 200), ("HEAD", "/v1/tasks", None, (), 200),
                ("DELETE", f"/v1/tasks/{task['id']}", None, (), 204), ("GET", f"/v1/tasks/{task['id']}", None, (), 404),
                ("GET", PRIORITIES, None, [("If-None-Match", tag)], 304)):
            response = api.request(method, path, body, headers)
            self.assertEqual(response.status, status, response)
            self.assertEqual(response.all("RateLimit-Policy"), ['"default";q=1000;w=60'], response)
            self.assertEqual(len(response.all("RateLimit")), 1)
            self.assertEqual(response.all("Retry-After"), [])

    def test_head__of_a_refused_request_has_no_body(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=1))
        api.get(PRIORITIES)
        response = api.request("HEAD", PRIORITIES)
        self.assertEqual((response.status, response.body), (429, b""))
        self.assertEqual(api.get("/livez").status, 200)

    def test_browsers__may_read_the_headers(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=1))
        api.get(PRIORITIES)
        response = api.get(PRIORITIES, headers=[("Origin", "https://example.org")])
        self.assertEqual((response.status, response.header("Access-Control-Allow-Origin")), (429, "*"))
        exposed = response.header("Access-Control-Expose-Headers")
        for name in ("ratelimit", "ratelimit-policy", "retry-after"):
            self.assertIn(name, exposed.split(", "))

    # ---- What is never limited ----

    def test_health__is_never_limited(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=1, RATE_LIMIT_AUTH_PER_MINUTE=1))
        self.assertEqual(self.statuses(lambda: api.get(PRIORITIES), 2), [200, 429])
        for path in ("/livez", "/readyz", "/health", "/v1/health"):
            for _ in range(20):
                response = api.get(path)
                self.assertEqual(response.status, 200)
            self.assert_unlimited(response)

    def test_gateway__what_it_answers_itself_takes_no_token(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=2, RATE_LIMIT_AUTH_PER_MINUTE=1))
        for method, path, status in (("OPTIONS", "/v1/auth/signin", 204), ("GET", "/v1/auth/signin", 405), ("GET", "/nothing", 404)):
            for _ in range(3):
                response = api.request(method, path)
                self.assertEqual(response.status, status)
            self.assert_unlimited(response)
        self.assert_quota(api.get(PRIORITIES), "default", 2, 1)

    def test_off__says_nothing_and_limits_nothing(self):
        api = self.api(self.start(RATE_LIMIT_AUTH_PER_MINUTE=0, RATE_LIMIT_PER_MINUTE=0))
        for _ in range(40):
            response = self.sign_in(api)
            self.assertEqual(response.status, 401)
        self.assert_unlimited(response)

    # ---- Proxies ----

    def test_hops__0_believes_no_header(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=3, TRUST_PROXY_HOPS=None))
        statuses = [api.get(PRIORITIES, headers=forwarded(f"192.0.2.{n}")).status for n in range(5)]
        self.assertEqual(statuses, [200] * 3 + [429] * 2)

    def test_hops__1_takes_the_last_entry(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=2, TRUST_PROXY_HOPS=1))

        def ask(*lines):
            return api.get(PRIORITIES, headers=forwarded(*lines)).status

        self.assertEqual([ask("192.0.2.1") for _ in range(3)], [200, 200, 429])
        self.assertEqual(ask("192.0.2.2"), 200)
        # What a client writes in front does not help it, in whatever line and shape.
        self.assertEqual(ask("192.0.2.77, 192.0.2.1"), 429)
        self.assertEqual(ask("192.0.2.77", "192.0.2.1"), 429)
        self.assertEqual(ask("garbage, , 192.0.2.1:4711"), 429)
        self.assertEqual(ask("::ffff:192.0.2.1"), 429)
        self.assertEqual(ask("192.0.2.1, 192.0.2.2"), 200)
        self.assertEqual(ask("192.0.2.1, 192.0.2.2"), 429)

    def test_hops__2_takes_the_last_but_one(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=2, TRUST_PROXY_HOPS=2))

        def ask(*lines):
            return api.get(PRIORITIES, headers=forwarded(*lines)).status

        self.assertEqual([ask(f"192.0.2.1, 198.51.100.{n}") for n in range(3)], [200, 200, 429])
        self.assertEqual(ask("192.0.2.1", "198.51.100.9"), 429)
        self.assertEqual(ask("192.0.2.77, 192.0.2.1, 198.51.100.9"), 429)
        self.assertEqual(ask("192.0.2.77", "192.0.2.1", "198.51.100.9"), 429)
        self.assertEqual(ask("192.0.2.2, 198.51.100.9"), 200)

    def test_hops__without_a_good_entry_the_connection_counts(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=3, TRUST_PROXY_HOPS=2))
        shapes = ((), ("192.0.2.1",), ("unknown, 192.0.2.1",), (", 192.0.2.1",), ("127.0.0.1, 192.0.2.1",))
        statuses = [api.get(PRIORITIES, headers=forwarded(*lines)).status for lines in shapes]
        self.assertEqual(statuses, [200] * 3 + [429] * 2)

    def test_hops__ipv6_counts_by_network(self):
        api = self.api(self.start(RATE_LIMIT_PER_MINUTE=2, TRUST_PROXY_HOPS=1))

        def ask(address):
            return api.get(PRIORITIES, headers=forwarded(address)).status

        self.assertEqual([ask(f"2001:db8:0:1::{n}") for n in range(4)], [200, 200, 429, 429])
        self.assertEqual(ask("[2001:db8:0:1:ffff::]:443"), 429)
        self.assertEqual(ask("2001:db8:0:2::1"), 200)

    def test_hops__count_for_the_auth_routes_too(self):
        api = self.api(self.start(RATE_LIMIT_AUTH_PER_MINUTE=1, TRUST_PROXY_HOPS=1))
        answers = [self.sign_in(api, headers=forwarded(address)).status
                   for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.9, 192.0.2.1")]
        self.assertEqual(answers, [401, 429, 401, 429])

    # ---- Memory ----

    def test_addresses__by_the_thousand_leave_the_memory_as_it_is(self):
        server = self.start(RATE_LIMIT_PER_MINUTE=1, TRUST_PROXY_HOPS=1)
        with server.connect() as connection:
            def burst(first, count):
                for start in range(first, first + count, 100):
                    connection.send(b"".join(
                        support.make_request("GET", PRIORITIES, forwarded(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"))
                        for n in range(start, start + 100)))
                    for _ in range(100):
                        connection.response()

            burst(0, 10000)
            before = server.resident_bytes()
            burst(10000, 30000)
            self.assertLess(server.resident_bytes() - before, 6 << 20)  # the table's pages that were not touched yet: 4 MiB


class SettingsTest(unittest.TestCase):
    def test_settings__out_of_range_are_refused(self):
        for name, value in (("RATE_LIMIT_AUTH_PER_MINUTE", "-1"), ("RATE_LIMIT_PER_MINUTE", "1000001"),
                            ("TRUST_PROXY_HOPS", "17"), ("TRUST_PROXY_HOPS", "true")):
            result = support.run("api", DB_HOST="/nowhere", JWT_SECRET=support.SECRET, **{name: value})
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(name, result.stderr)


if __name__ == "__main__":
    unittest.main()
