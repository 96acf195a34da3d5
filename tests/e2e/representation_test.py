"""Representations: what is taken of a body, what a refusal says, and the grammar of every field that is sent."""

import gzip
import json
import re
import unittest

import support
from support import make_request

module = support.ModuleServer(RATE_LIMIT_PER_MINUTE=1000000)
setUpModule, tearDownModule = module.start, module.stop


class WithUser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = module.server.api().register()
        cls.addClassCleanup(cls.user.close)


TASK = b'{"summary":"s","taskPriorityCode":"LOW"}'


class Bodies(WithUser):
    def post(self, *headers, body=TASK, path="/v1/tasks", verb="POST"):
        return self.user.request(verb, path, body, headers=list(headers))

    def test_type__of_json(self):
        for value, status in (("application/json", 201), ("APPLICATION/JSON ;\tCharset=\"UTF-8\"", 201), ("application/json; x=\"a;b\"", 201),
                              ("application/json; charset=latin1", 415), ("application/json; charset=\"utf-16\"", 415),
                              ("application/json; charset=utf-8; charset=utf-8", 415), ("application/json; charset", 415),
                              ("application/json, application/json", 415), ("application/merge-patch+json", 415),
                              ("application/problem+json", 415), ("application/json-patch+json", 415), ("*/*", 415), ("", 415)):
            answer = self.post(("Content-Type", value))
            self.assertEqual(answer.status, status, value)
            if status == 415:
                self.assertIsNone(answer.header("Accept-Patch"), "POST does not patch")
                self.assertIsNone(answer.header("Accept-Encoding"), "the coding is not what was wrong (RFC 9110, 12.5.3)")

    def test_type__of_a_patch(self):
        path = "/v1/tasks/" + self.user.create_task(description="d")["id"]
        for value, verb, status in (("application/merge-patch+json", "PATCH", 200), ("application/json", "PATCH", 200),
                                    ("application/merge-patch+json;charset=utf-8", "PATCH", 200),
                                    ("application/merge-patch+json; charset=koi8-r", "PATCH", 415),
                                    ("application/json-patch+json", "PATCH", 415), ("application/merge-patch+json", "PUT", 415)):
            answer = self.post(("Content-Type", value), body=b'{"summary":"t"}', path=path, verb=verb)
            self.assertEqual(answer.status, status, value)
            if status == 415:
                self.assertEqual(answer.header("Accept-Patch"), "application/merge-patch+json, application/json")
        self.assertEqual(self.user.request("OPTIONS", path).header("Accept-Patch"), "application/merge-patch+json, application/json")
        self.assertIsNone(self.user.request("OPTIONS", "/v1/tasks").header("Accept-Patch"))

    def test_merge_patch__null_removes_what_can_be_removed(self):
        path = "/v1/tasks/" + self.user.create_task(description="d")["id"]
        kind = ("Content-Type", "application/merge-patch+json")
        answer = self.post(kind, body=b'{"summary":null,"isComplete":null,"description":null}', path=path, verb="PATCH")
        self.assertEqual((answer.status, {error["field"] for error in answer.json()["errors"]}), (400, {"summary", "isComplete"}))
        self.assertEqual(self.user.get(path).json()["description"], "d", "all or nothing")
        answer = self.post(kind, body=b'{"description":null}', path=path, verb="PATCH")
        self.assertEqual(answer.status, 200)
        self.assertNotIn("description", answer.json())

    def test_type__of_an_import(self):
        for value, status in (("text/csv", 202), ("Text/CSV; header=present; charset=utf-8", 202), ("text/csv;charset=\"UTF-8\"", 202),
                              ("text/csv; charset=windows-1252", 415), ("text/csv charset=utf-8", 415), ("text/csvx", 415),
                              ("application/json", 415), ("application/x-ndjson|text/csv", 415), ("", 415)):
            answer = self.post(("Content-Type", value), body=b"summary,taskPriorityCode\na,LOW\n", path="/v1/tasks/import")
            self.assertEqual(answer.status, status, value)
            if status == 415:
                self.assertRegex(answer.json()["detail"], "UTF-8" if "1252" in value else "application/x-ndjson.text/csv")
        self.assertEqual(self.post(("Content-Type", "text/csv; charset=latin1"), ("Content-Type", "text/csv"), body=b"x",
                                   path="/v1/tasks/import").status // 100, 4)

    def test_coding__of_json_is_identity(self):
        for values, status in ((["identity"], 201), ([""], 201), (["Identity"], 201), (["gzip"], 415), (["br"], 415), (["gzip, gzip"], 415),
                               (["identity", "gzip"], 415), (["", "gzip"], 415), (["deflate"], 415), (["\"gzip"], 415)):
            answer = self.post(*[("Content-Encoding", value) for value in values], body=gzip.compress(TASK) if "gzip" in values else TASK)
            self.assertEqual(answer.status, status, values)
            if status == 415:
                self.assertEqual(answer.header("Accept-Encoding"), "identity")

    def test_coding__of_an_import_is_one_that_is_taken(self):
        for value in ("br", "deflate", "gzip, gzip", "identity, gzip", "zstd", "gzip;q=1"):
            answer = self.post(("Content-Type", "text/csv"), ("Content-Encoding", value), body=b"summary,taskPriorityCode\na,LOW\n",
                               path="/v1/tasks/import")
            self.assertEqual(answer.status, 415, value)
            self.assertIn("identity", answer.header("Accept-Encoding").split(", "))
        answer = self.post(("Content-Type", "text/csv"), ("Content-Encoding", "identity"), body=b"summary,taskPriorityCode\na,LOW\n",
                           path="/v1/tasks/import")
        self.assertEqual(answer.status, 202)


class Cache(WithUser):
    def test_key__that_is_long_is_nobody_elses(self):
        """An escape for each letter makes a path parameter longer than a cached key; its beginning is another code's."""
        short, code = "A" * 21, "A" * 21 + "B"
        with module.server.database() as database:
            database.query(f"INSERT INTO task_priority (code, label, description, ordinal) VALUES ('{short}', 'short', 'd', 90), "
                           f"('{code}', 'long', 'd', 91)")
        self.addCleanup(self.forget, short, code)
        escaped = "".join(f"%{ord(letter):02x}" for letter in code)
        self.assertGreater(len(escaped), 63)
        for _ in range(2):
            self.assertEqual(self.user.get("/v1/refdata/taskpriorities/" + escaped).json()["label"], "long")
            self.assertEqual(self.user.get("/v1/refdata/taskpriorities/" + escaped[:63]).json()["label"], "short")

    @staticmethod
    def forget(*codes):
        with module.server.database() as database:
            database.query(f"DELETE FROM task_priority WHERE code IN {codes!r}")

    def test_tag__inside_of_another_is_another(self):
        tag = self.user.get("/v1/refdata/taskpriorities").header("ETag")
        for value, status in ((tag, 304), ("W/" + tag, 304), (f'"x", {tag}', 304), ("*", 304), (f'"x{tag[1:]}', 200), (f'{tag[:-1]}x"', 200)):
            self.assertEqual(self.user.get("/v1/refdata/taskpriorities", headers=[("If-None-Match", value)]).status, status, value)


# ---- Every kind of answer, and what its fields look like ----

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PATH = r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"  # RFC 3986, 3.3 and 3.4
DAY, MONTH = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)", "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
TOKENS = rf"{TOKEN}(, {TOKEN})*"
ETAG = r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"'
GRAMMAR = {
    "Date": rf"{DAY}, [0-9]{{2}} {MONTH} [0-9]{{4}} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT",  # RFC 9110, 5.6.7
    "Content-Type": r"application/(json|problem\+json)",
    "Content-Length": "[0-9]+",
    "X-Request-Id": r"[\x21-\x7e]{1,128}",
    "ETag": ETAG,                                                                           # RFC 9110, 8.8.3
    "Location": PATH,                                                                       # RFC 9110, 10.2.2
    "Link": rf'<{PATH}>; rel="next"',                                                       # RFC 8288, 3
    "Allow": TOKENS,                                                                        # RFC 9110, 10.2.1
    "Vary": TOKENS,
    "Connection": "close",
    "Retry-After": "[0-9]+",                                                                # RFC 9110, 10.2.3
    "RateLimit-Policy": r'"[a-z]+";q=[0-9]{1,15};w=[0-9]{1,15}',                            # RFC 8941, 3.1
    "RateLimit": r'"[a-z]+";r=[0-9]{1,15};t=[0-9]{1,15}',
    "WWW-Authenticate": rf'Bearer( {TOKEN}="[^"\\]*"(, {TOKEN}="[^"\\]*")*)?',              # RFC 9110, 11.6.1
    "Accept-Encoding": TOKENS,
    "Accept-Patch": rf"{TOKEN}/{TOKEN}(, {TOKEN}/{TOKEN})*",                                # RFC 5789, 3.1
    "Cache-Control": rf"{TOKEN}(=[0-9]+)?(, {TOKEN}(=[0-9]+)?)*",                           # RFC 9111, 5.2
    "Strict-Transport-Security": r"max-age=[0-9]+; includeSubDomains",                      # RFC 6797, 6.1
    "Content-Security-Policy": r"default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Access-Control-Allow-Origin": r"\*|https://app\.example",
    "Access-Control-Expose-Headers": TOKENS,
    "Access-Control-Allow-Headers": TOKENS,
    "Access-Control-Allow-Methods": TOKENS,
    "Access-Control-Max-Age": "[0-9]+",
}
SECURITY = ["Strict-Transport-Security", "Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
            "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Cache-Control", "X-Request-Id", "Date"]
ORIGIN = ("Origin", "https://app.example")


class Answers(WithUser):
    """One answer of every status that can be had without trouble behind the gateway."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.limited = module.server.api_process(RATE_LIMIT_PER_MINUTE=1, CORS_ALLOWED_ORIGIN="https://app.example")
        cls.addClassCleanup(cls.limited.kill)
        cls.limited.ready()
        cls.answers = list(cls.collect())

    @classmethod
    def collect(cls):
        user, task = cls.user, cls.user.create_task()
        path = "/v1/tasks/" + task["id"]
        origin = [ORIGIN]
        user.create_task()

        def ask(status, verb, target, body=None, *headers, token=True):
            return status, user.request(verb, target, body, headers=origin + list(headers), token=token)

        yield ask(200, "GET", path)
        yield ask(200, "GET", "/v1/tasks?limit=1&q=task%3E")
        yield ask(200, "GET", "/v1/tasks?limit=1")
        yield ask(200, "GET", "/v1/refdata/taskpriorities")
        yield ask(200, "GET", "/v1/health")
        yield ask(201, "POST", "/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW"})
        yield ask(202, "POST", "/v1/tasks/import", b"summary,taskPriorityCode\na,LOW\n", ("Content-Type", "text/csv"))
        yield ask(204, "OPTIONS", path, None, ("Access-Control-Request-Method", "PUT"))
        yield ask(304, "GET", path, None, ("If-None-Match", '"1"'))
        yield ask(400, "POST", "/v1/tasks", {})
        yield ask(400, "GET", path, None, ("If-Match", "1"))
        yield ask(401, "GET", "/v1/tasks", token=None)
        yield ask(401, "GET", "/v1/tasks", token="expired.or.worse")
        yield ask(403, "GET", "/v1/jobs")
        yield ask(404, "GET", "/nothing")
        yield ask(405, "DELETE", "/v1/health")
        yield ask(409, "POST", "/v1/auth/register", {**support.new_user(), "username": user.user["username"]})
        yield ask(412, "DELETE", path, None, ("If-Match", '"7"'))
        yield ask(415, "PATCH", path, b"x", ("Content-Type", "text/plain"))
        yield ask(415, "POST", "/v1/tasks", b"x", ("Content-Encoding", "br"))
        key = ("Idempotency-Key", "answers")
        yield ask(201, "POST", "/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW"}, key)
        yield ask(422, "POST", "/v1/tasks", {"summary": "t", "taskPriorityCode": "LOW"}, key)
        yield ask(204, "DELETE", path)
        yield from cls.refused_heads(module.server)
        other = cls.limited.api()
        other.token = user.token
        yield 200, other.get("/v1/tasks", headers=origin)
        yield 429, other.get("/v1/tasks", headers=origin)
        other.close()

    @staticmethod
    def refused_heads(server):
        for status, data in ((400, b"GET /livez HTTP/1.1\r\nOrigin: https://app.example\r\n\r\n"), (414, make_request("GET", "/" + "a" * 9000, [ORIGIN])),
                             (431, make_request("GET", "/livez", [ORIGIN, ("X", "a" * 20000)])),
                             (413, make_request("POST", "/v1/tasks", [ORIGIN, ("Content-Length", "100000000")]))):
            with server.connect() as connection:
                connection.send(data)
                yield status, connection.response()

    def test_statuses__are_those_that_were_asked_for(self):
        for status, answer in self.answers:
            self.assertEqual(answer.status, status, answer)

    def test_fields__have_their_grammar(self):
        for status, answer in self.answers:
            for name, value in answer.headers:
                self.assertIn(name, GRAMMAR, "a field of no known grammar")
                self.assertTrue(re.fullmatch(GRAMMAR[name], value), (status, name, value))
            names = [name for name, _ in answer.headers]
            self.assertEqual(len(names), len(set(names)), "no field comes twice")

    def test_fields__were_all_seen(self):
        seen = {name for _, answer in self.answers for name, _ in answer.headers}
        self.assertLessEqual({"ETag", "Location", "Link", "Allow", "RateLimit", "Retry-After", "WWW-Authenticate", "Accept-Encoding", "Accept-Patch",
                              "Vary", "Connection", "Access-Control-Allow-Methods"}, seen)

    def test_security_and_cors__are_on_every_answer(self):
        for status, answer in self.answers:
            for name in SECURITY:
                self.assertEqual(len(answer.all(name)), 1, (status, name))
            self.assertEqual(len(answer.all("Access-Control-Allow-Origin")), 1, status)
            exposed = answer.header("Access-Control-Expose-Headers").split(", ")
            for name in ("etag", "link", "location", "retry-after", "www-authenticate", "accept-patch"):
                self.assertIn(name, exposed)

    def test_cors__of_a_list_is_on_refused_heads_that_told_their_origin(self):
        for status, answer in self.refused_heads(self.limited):
            self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (status, ORIGIN[1]))

    def test_fields__that_a_status_must_have(self):
        for status, name in ((401, "WWW-Authenticate"), (405, "Allow"), (429, "Retry-After"), (304, "ETag"), (202, "Location")):
            self.assertTrue(all(answer.header(name) for other, answer in self.answers if other == status), status)

    def test_problems__are_problems(self):
        for status, answer in self.answers:
            if status >= 400:
                self.assertEqual(answer.header("Content-Type"), "application/problem+json")
                problem = json.loads(answer.body)
                self.assertEqual((problem["status"], problem["instance"]), (status, answer.header("X-Request-Id")))


class Away(unittest.TestCase):
    def test_503_and_504__look_like_every_other_answer(self):
        server = module.server.api_process(GATEWAY_REQUEST_TIMEOUT=f"{int(support.patience(3) * 1000)}ms", DB_LOCK_TIMEOUT="60s",
                                           MAILBOX_MAX_MESSAGES=1).ready()
        self.addCleanup(server.kill)
        user = module.server.api().register()  # which is patient
        self.addCleanup(user.close)
        waiting = server.connect()
        self.addCleanup(waiting.close)
        request = make_request("POST", "/v1/tasks", [ORIGIN, ("Authorization", f"Bearer {user.token}")],
                               {"summary": "s", "taskPriorityCode": "LOW"})
        with module.server.database() as database, support.TaskLock(database) as lock:
            waiting.send(request)
            lock.wait_for_waiters()
            with server.connect() as other:
                other.send(request)
                overloaded = other.response()
            late = waiting.response()
        self.assertEqual((overloaded.status, late.status), (503, 504))
        self.assertRegex(overloaded.header("Retry-After"), "^[0-9]+$")
        for answer in (overloaded, late):
            for name, value in answer.headers:
                self.assertTrue(re.fullmatch(GRAMMAR[name], value), (name, value))
            for name in [*SECURITY, "Access-Control-Allow-Origin"]:
                self.assertEqual(len(answer.all(name)), 1, name)


if __name__ == "__main__":
    unittest.main()
