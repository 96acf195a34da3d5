"""Every operation end to end, as docs and clients see it: bodies, statuses, headers."""

import base64
import hashlib
import json
import re
import time
import unittest
import uuid
from datetime import datetime, timedelta, timezone

from support import (PASSWORD, ModuleServer, claims_for, make_request, new_user, patience, sign, wait_for)

module = ModuleServer(APP_VERSION="3.4.5-rc.1")
setUpModule, tearDownModule = module.start, module.stop

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
TIME = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")
PRIORITIES = {"URGENT": 1, "HIGH": 2, "MEDIUM": 3, "LOW": 4, "BACKLOG": 5}


class ApiTest(unittest.TestCase):
    def setUp(self):
        self.api = module.server.api()
        self.addCleanup(self.api.close)

    def assert_problem(self, response, status, fields=None):
        """An RFC 9457 document; `fields` are those that `errors` has to name, with their codes."""
        self.assertEqual(response.status, status, response)
        self.assertEqual(response.header("Content-Type"), "application/problem+json")
        problem = response.json()
        self.assertEqual(problem["status"], status)
        self.assertEqual(problem["type"], "about:blank")
        self.assertEqual(problem["title"], response.reason)
        self.assertIsInstance(problem["detail"], str)
        self.assertGreater(len(problem["detail"]), 10)
        self.assertEqual(problem["instance"], response.header("X-Request-Id"))
        self.assertLessEqual(set(problem), {"type", "title", "status", "detail", "instance", "errors"})
        for error in problem.get("errors", []):
            self.assertEqual(set(error), {"field", "code", "message"})
            self.assertTrue(error["code"] and error["message"])
        if fields is not None:
            self.assertEqual({error["field"]: error["code"] for error in problem.get("errors", [])}, fields)
            self.assertEqual(len(problem.get("errors", [])), len(fields))
        return problem

    def assert_recent(self, text):
        self.assertRegex(text, TIME)
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
        self.assertLess(abs(datetime.now(timezone.utc) - when), timedelta(seconds=patience(60)))


class Register(ApiTest):
    def register(self, *removed, **changes):
        body = {**new_user(), **changes}
        for name in removed:
            del body[name]
        return self.api.post("/v1/auth/register", body)

    def test_success(self):
        body = new_user()
        response = self.api.post("/v1/auth/register", body)
        self.assertEqual(response.status, 200, response)
        self.assertEqual(response.header("Content-Type"), "application/json")
        user = response.json()
        self.assertEqual(set(user), {"id", "sub", "firstName", "lastName", "email", "username", "createdAt", "updatedAt"})
        self.assertRegex(user["id"], UUID)
        self.assertEqual(user["sub"], user["id"])
        for name in ("firstName", "lastName", "email", "username"):
            self.assertEqual(user[name], body[name])
        self.assert_recent(user["createdAt"])
        self.assertEqual(user["createdAt"], user["updatedAt"])
        self.assertNotIn(b"argon2", response.body)
        self.assertNotIn(body["password"].encode(), response.body)

    def test_password_is_stored_as_argon2id(self):
        user = self.register().json()
        with module.server.database() as database:
            stored = database.value(f"SELECT password_hash FROM millrace.app_user WHERE id = '{user['id']}'")
        self.assertRegex(stored, r"^\$argon2id\$v=19\$m=19456,t=2,p=1\$")

    def test_taken_username_without_regard_to_case(self):
        body = new_user()
        self.assertEqual(self.api.post("/v1/auth/register", body).status, 200)
        for username in (body["username"], body["username"].upper(), body["username"].capitalize()):
            response = self.api.post("/v1/auth/register", {**new_user(), "username": username})
            self.assert_problem(response, 409)
        self.assertEqual(self.api.post("/v1/auth/register", {**new_user(), "email": body["email"]}).status, 200)

    def test_taken_username_in_another_spelling(self):
        """Under a locale of UTF-8, and of the database "C"."""
        name = module.server.new_database(locale="C")
        other = module.server.api_process(name)
        self.addCleanup(other.kill)
        for api in (self.api, other.ready().api()):
            self.addCleanup(api.close)
            tail = uuid.uuid4().hex[:12]
            for first, second in (("Zoë", "Zoe\u0308"), ("Straße", "STRASSE"), ("Σίσυφος", "ΣΊΣΥΦΟΣ"), ("Ёж", "ёЖ"), ("Ａｄａ", "ada")):
                with self.subTest(first=first):
                    body = {**new_user(), "username": first + tail}
                    response = api.post("/v1/auth/register", body)
                    self.assertEqual((response.status, response.json()["username"]), (200, first + tail))
                    response = api.post("/v1/auth/register", {**new_user(), "username": second + tail})
                    self.assert_problem(response, 409, {"username": "taken"})
                    for spelling in (first, second):
                        response = api.post("/v1/auth/signin", {"username": spelling + tail, "password": body["password"]})
                        self.assertEqual(response.status, 200, spelling)

    def test_username_without_what_nobody_sees(self):
        for username, point in (("a\u200bda", "U+200B"), ("ada\u202e", "U+202E"), ("a\tda", "U+0009"), ("a\u00adda", "U+00AD"),
                                ("ada\ufe0f", "U+FE0F"), ("a\u3164da", "U+3164"), ("a\u2028da", "U+2028"), ("ada\ue000", "U+E000"),
                                ("ada\U000e0041", "U+E0041"), (" ada", "U+0020"), ("ada\u3000", "U+3000"), ("\x7fada", "U+007F")):
            with self.subTest(username=username):
                problem = self.assert_problem(self.register(username=username), 400, {"username": "invisible"})
                self.assertIn(point, problem["errors"][0]["message"])
        self.assert_problem(self.register(username="\u200b"), 400, {"username": "length"})

    def test_lengths_at_their_bounds(self):
        def text(length):  # a character of two bytes, one of four
            return ("é" + "😀") * (length // 2) + "x" * (length % 2)

        def name(length):
            return uuid.uuid4().hex[:8].ljust(8, "x") + text(length - 8) if length > 8 else text(length)

        for field, least, most in (("firstName", 1, 100), ("lastName", 1, 100), ("username", 3, 50), ("password", 8, 100)):
            make = name if field == "username" else text
            for length in (least, most):
                with self.subTest(field=field, length=length):
                    response = self.register(**{field: make(length)})
                    self.assertIn(response.status, (200, 409) if (field, length) == ("username", 3) else (200,), response)
            for length in (least - 1, most + 1):
                with self.subTest(field=field, length=length):
                    self.assert_problem(self.register(**{field: make(length)}), 400, {field: "length"})

    def test_long_password_is_not_cut(self):
        body = {**new_user(), "password": "p" * 99 + "a"}
        self.assertEqual(self.api.post("/v1/auth/register", body).status, 200)
        wrong = {"username": body["username"], "password": "p" * 99 + "b"}
        self.assertEqual(self.api.post("/v1/auth/signin", wrong).status, 401)
        right = {"username": body["username"], "password": body["password"]}
        self.assertEqual(self.api.post("/v1/auth/signin", right).status, 200)

    def test_email(self):
        for email in ("a@b.co", "first.last+tag@sub.example.org", "x" * 64 + "@example.org", "o'neil@example.org",
                      "a@" + ".".join(["d" * 60] * 4)[:240] + ".example.org", "1@2.3x"):
            with self.subTest(email=email):
                self.assertEqual(self.register(email=email).status, 200)
        longest = "a@" + ("d" * 60 + ".") * 4 + "e" * 9
        self.assertEqual(len(longest), 255)
        self.assertEqual(self.register(email=longest).status, 200)
        self.assert_problem(self.register(email=longest + "e"), 400, {"email": "length"})
        for email in ("plain", "@example.org", "ab@", "a@b", "a@@b.co", "a b@example.org", ".a@example.org", "a.@example.org",
                      "a..b@example.org", "x" * 65 + "@example.org", "a@-b.co", "a@b-.co", "a@b..co", "a@.b.co", "a@b.co.",
                      "a@b_c.co", "é@example.org", "a@b.co\n", "a@" + "d" * 64 + ".org", "a,b@example.org", "<a@b.co>"):
            with self.subTest(email=email):
                self.assert_problem(self.register(email=email), 400, {"email": "email"})

    def test_missing_null_and_mistyped_fields(self):
        for field in ("firstName", "lastName", "email", "username", "password"):
            with self.subTest(field=field):
                self.assert_problem(self.register(field), 400, {field: "required"})
                self.assert_problem(self.register(**{field: None}), 400, {field: "required"})
                for wrong in (7, True, ["x"], {"x": 1}, 1.5):
                    self.assert_problem(self.register(**{field: wrong}), 400, {field: "type"})

    def test_all_problems_at_once(self):
        response = self.api.post("/v1/auth/register", {"firstName": "", "lastName": 5, "email": "no", "password": "short"})
        self.assert_problem(response, 400, {"firstName": "length", "lastName": "type", "email": "length",
                                            "username": "required", "password": "length"})
        response = self.api.post("/v1/auth/register", {})
        self.assertEqual(len(self.assert_problem(response, 400)["errors"]), 5)

    def test_unknown_fields_are_ignored(self):
        response = self.register(role="admin", id=str(uuid.uuid4()), passwordHash="x", isAdmin=True, createdAt="2000-01-01")
        self.assertEqual(response.status, 200)
        user = response.json()
        self.assert_recent(user["createdAt"])
        with module.server.database() as database:
            self.assertEqual(database.query(f"SELECT role, password_hash LIKE '$argon2id$%' FROM millrace.app_user WHERE id = "
                                            f"'{user['id']}'"), [["user", "t"]])

    def test_text_comes_back_as_it_went_in(self):
        for first_name in ("Zoë", "李", "😀", "a\tb\n\"\\/", "'; DROP TABLE task; --", "\u2028", "{\"a\":1}", "%s%n"):
            with self.subTest(name=first_name):
                self.assertEqual(self.register(firstName=first_name).json()["firstName"], first_name)


class SignIn(ApiTest):
    def setUp(self):
        super().setUp()
        self.user = new_user()
        self.assertEqual(self.api.post("/v1/auth/register", self.user).status, 200)

    def sign_in(self, username, password):
        return self.api.post("/v1/auth/signin", {"username": username, "password": password})

    def test_success(self):
        response = self.sign_in(self.user["username"], PASSWORD)
        self.assertEqual(response.status, 200, response)
        grant = response.json()
        self.assertEqual(set(grant), {"accessToken", "refreshToken", "tokenType", "expiresIn"})
        self.assertEqual((grant["tokenType"], grant["expiresIn"]), ("Bearer", 3600))
        self.assertRegex(grant["refreshToken"], "^[A-Za-z0-9_-]{43}$")
        self.assertEqual(self.api.get("/v1/tasks", token=grant["accessToken"]).json(), [])
        self.assertEqual(response.header("Cache-Control"), "no-store")
        again = self.sign_in(self.user["username"], PASSWORD).json()
        self.assertNotEqual(again["refreshToken"], grant["refreshToken"])

    def test_refresh_token_is_stored_only_as_its_hash(self):
        token = self.sign_in(self.user["username"], PASSWORD).json()["refreshToken"]
        with module.server.database() as database:
            self.assertEqual(database.count("millrace.refresh_token", f"token_hash = sha256('{token}'::bytea)"), 1)

    def test_claims(self):
        token = self.sign_in(self.user["username"], PASSWORD).json()["accessToken"]
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        self.assertEqual(set(claims), {"sub", "id", "username", "role", "iss", "iat", "exp", "sid"})
        self.assertEqual(claims["sub"], claims["id"])
        self.assertEqual((claims["username"], claims["role"]), (self.user["username"], "user"))
        self.assertEqual(claims["exp"] - claims["iat"], 3600)

    def test_username_without_regard_to_case(self):
        self.assertEqual(self.sign_in(self.user["username"].upper(), PASSWORD).status, 200)

    def test_wrong_credentials_look_alike(self):
        wrong = self.sign_in(self.user["username"], PASSWORD + "x")
        unknown = self.sign_in("nobody" + uuid.uuid4().hex, PASSWORD)
        first, second = self.assert_problem(wrong, 401), self.assert_problem(unknown, 401)
        for problem in (first, second):
            del problem["instance"]
        self.assertEqual(first, second)
        ignored = ("date", "x-request-id")
        self.assertEqual([h for h in wrong.headers if h[0].lower() not in ignored],
                         [h for h in unknown.headers if h[0].lower() not in ignored])
        self.assertTrue(wrong.header("WWW-Authenticate").startswith("Bearer"))

    def test_wrong_credentials_take_alike(self):
        names = (self.user["username"], "nobody" + uuid.uuid4().hex)
        taken = {name: [] for name in names}
        for _ in range(9):
            for name in names:  # in turns, and the quickest of each: others are at work on this machine
                started = time.perf_counter()
                self.assertEqual(self.sign_in(name, PASSWORD + "x").status, 401)
                taken[name].append(time.perf_counter() - started)
        known, unknown = (min(taken[name]) for name in names)
        self.assertLess(max(known, unknown) / min(known, unknown), 2.5, (known, unknown))

    def test_odd_but_well_typed_credentials_are_401(self):
        for username, password in (("", ""), ("x", "y"), (self.user["username"], ""), ("x" * 5000, PASSWORD),
                                   (self.user["username"], "p" * 5000), ("' OR 1=1 --", "x"), ("\t", "\t")):
            self.assert_problem(self.sign_in(username, password), 401)

    def test_missing_and_mistyped_are_400(self):
        for body, fields in (({}, {"username": "required", "password": "required"}),
                             ({"username": "x"}, {"password": "required"}),
                             ({"password": "x"}, {"username": "required"}),
                             ({"username": None, "password": "x"}, {"username": "required"}),
                             ({"username": 1, "password": ["x"]}, {"username": "type", "password": "type"})):
            with self.subTest(body=body):
                self.assert_problem(self.api.post("/v1/auth/signin", body), 400, fields)


class Tasks(ApiTest):
    def setUp(self):
        super().setUp()
        self.api.register()

    def create(self, **fields):
        return self.api.post("/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW", **fields})

    def test_create_and_get(self):
        response = self.create(summary="Write tests", description="all of them", dueAt="2027-03-01T10:00:00+02:00",
                               taskPriorityCode="HIGH", isComplete=True)
        self.assertEqual(response.status, 201, response)
        task = response.json()
        self.assertRegex(task["id"], UUID)
        self.assertEqual(response.header("Location"), f"/v1/tasks/{task['id']}")
        self.assert_recent(task["createdAt"])
        priority = task.pop("taskPriority")
        self.assertEqual(set(priority), {"code", "label", "description", "ordinal"})
        self.assertEqual((priority["code"], priority["ordinal"]), ("HIGH", 2))
        self.assertTrue(priority["label"] and priority["description"])
        wanted = {"id": task["id"], "summary": "Write tests", "description": "all of them",
                  "dueAt": "2027-03-01T08:00:00.000Z", "isComplete": True, "userId": self.api.user["id"],
                  "taskPriorityCode": "HIGH", "createdAt": task["createdAt"], "updatedAt": task["createdAt"]}
        self.assertEqual(task, wanted)
        got = self.api.get(response.header("Location"))
        self.assertEqual((got.status, got.json()), (200, response.json()))
        self.assertEqual(self.api.get("/v1/tasks").json(), [response.json()])

    def test_least_task_leaves_out_what_is_null(self):
        for extra in ({}, {"description": None, "dueAt": None, "isComplete": None}):
            task = self.create(**extra).json()
            self.assertEqual(set(task), {"id", "summary", "isComplete", "userId", "taskPriorityCode", "taskPriority",
                                         "createdAt", "updatedAt"})
            self.assertIs(task["isComplete"], False)

    def test_every_priority(self):
        for code, ordinal in PRIORITIES.items():
            self.assertEqual(self.create(taskPriorityCode=code).json()["taskPriority"]["ordinal"], ordinal)

    def test_priority_code(self):
        for code in ("NOPE", "X" * 32, "_-_", "0"):
            with self.subTest(code=code):
                self.assert_problem(self.create(taskPriorityCode=code), 400, {"taskPriorityCode": "unknown"})
        for code, problem in (("", "length"), ("X" * 33, "length"), ("low", "format"), ("LO W", "format"), ("LÖW", "format"),
                              (None, "required"), (4, "type")):
            with self.subTest(code=code):
                self.assert_problem(self.create(taskPriorityCode=code), 400, {"taskPriorityCode": problem})

    def test_summary_and_description(self):
        self.assertEqual(self.create(summary="😀" * 500).json()["summary"], "😀" * 500)
        self.assert_problem(self.create(summary="é" * 501), 400, {"summary": "length"})
        self.assert_problem(self.create(summary=""), 400, {"summary": "length"})
        self.assert_problem(self.create(summary=None), 400, {"summary": "required"})
        self.assertEqual(self.create(description="").json()["description"], "")
        self.assertEqual(self.create(description="d" * 65536).json()["description"], "d" * 65536)
        self.assert_problem(self.create(description="d" * 65537), 400, {"description": "length"})
        self.assert_problem(self.create(description=False), 400, {"description": "type"})

    def test_due_at(self):
        for given, told in (("2027-01-01", "2027-01-01T00:00:00.000Z"), ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000Z"),
                            ("2027-01-01T00:00:00.1234567Z", "2027-01-01T00:00:00.123Z"), ("2027-06-30T23:59", "2027-06-30T23:59:00.000Z"),
                            ("2027-06-30t23:59:59z", "2027-06-30T23:59:59.000Z"), ("20270630T235959Z", "2027-06-30T23:59:59.000Z"),
                            ("2027-01-01T00:00:00-05:30", "2027-01-01T05:30:00.000Z"), ("2028-02-29", "2028-02-29T00:00:00.000Z"),
                            ("2027-W01-1", "2027-01-04T00:00:00.000Z"), ("2027-032", "2027-02-01T00:00:00.000Z"),
                            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"), ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
                            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"), ("2027-01-01T24:00:00Z", "2027-01-02T00:00:00.000Z")):
            with self.subTest(given=given):
                response = self.create(dueAt=given)
                self.assertEqual(response.status, 201, response)
                self.assertEqual(response.json()["dueAt"], told)
        for given in ("", "tomorrow", "2027-13-01", "2027-02-29", "2027-1-1", "2027-01-01T25:00:00Z", "2027-01-01T00:60Z",
                      "2027-01-01T00:00:00+24:00", "2027-01-01T00:00:00Zx", "01/02/2027", "1798761600", "2027-01-01T", "0000-01-01",
                      "2027-00-01", "2027-01-00", "2027-W54-1", "2027-366", " 2027-01-01", "9999-12-31T23:59:59-01:00",
                      "0001-01-01T00:00:00+01:00"):
            with self.subTest(given=given):
                self.assert_problem(self.create(dueAt=given), 400, {"dueAt": "type"})
        for given in (1798761600, True, {}):
            self.assert_problem(self.create(dueAt=given), 400, {"dueAt": "type"})

    def test_is_complete(self):
        self.assertIs(self.create(isComplete=False).json()["isComplete"], False)
        for wrong in ("true", 1, 0, "", []):
            self.assert_problem(self.create(isComplete=wrong), 400, {"isComplete": "type"})

    def test_all_problems_at_once(self):
        response = self.api.post("/v1/tasks", {"description": 1, "dueAt": "x", "isComplete": 2, "taskPriorityCode": "a"})
        self.assert_problem(response, 400, {"summary": "required", "description": "type", "dueAt": "type",
                                            "isComplete": "type", "taskPriorityCode": "format"})

    def test_unknown_fields_never_reach_the_row(self):
        other = str(uuid.uuid4())
        task = self.create(id=other, userId=other, version=9, createdAt="2000-01-01").json()
        self.assertNotEqual(task["id"], other)
        self.assertEqual(task["userId"], self.api.user["id"])
        self.assert_recent(task["createdAt"])

    def test_another_users_task_is_404(self):
        task = self.create().json()
        other = module.server.api().register()
        self.addCleanup(other.close)
        hidden = self.assert_problem(other.get(f"/v1/tasks/{task['id']}"), 404)
        absent = self.assert_problem(other.get(f"/v1/tasks/{uuid.uuid4()}"), 404)
        for problem in (hidden, absent):
            del problem["instance"]
        self.assertEqual(hidden, absent)
        self.assertEqual(other.get("/v1/tasks").json(), [])
        self.assertEqual(other.get("/v1/tasks?page=1").json()["pagination"]["totalItems"], 0)

    def test_ids(self):
        for given in ("x", "123", str(uuid.uuid4())[:-1], str(uuid.uuid4()) + "0", uuid.uuid4().hex, "%%7b%s%%7d" % uuid.uuid4(),
                      str(uuid.uuid4()).replace("-", "_"), "%20" + str(uuid.uuid4())):
            with self.subTest(given=given):
                self.assert_problem(self.api.get(f"/v1/tasks/{given}"), 400, {"taskId": "type"})
        for given in (uuid.uuid4(), uuid.uuid1(), "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"):
            with self.subTest(given=given):
                self.assert_problem(self.api.get(f"/v1/tasks/{given}"), 404)

    def test_token_of_a_user_who_is_gone(self):
        with module.server.database() as database:
            database.query(f"DELETE FROM millrace.app_user WHERE id = '{self.api.user['id']}'")
        self.assert_problem(self.create(), 401)


class Lists(ApiTest):
    @classmethod
    def setUpClass(cls):
        cls.owner = module.server.api().register()
        with module.server.database() as database:
            # Some share a moment, so that only the id makes the order total.
            database.query("INSERT INTO task (id, user_id, summary, priority_code, created_at) SELECT gen_random_uuid(), "
                           f"'{cls.owner.user['id']}', 'task ' || n, 'LOW', timestamptz '2026-01-01' + (n / 3) * interval "
                           "'1.000001 second' FROM generate_series(1, 2345) n")
            cls.ids = [row[0] for row in database.query(
                f"SELECT id FROM task WHERE user_id = '{cls.owner.user['id']}' ORDER BY created_at DESC, id DESC")]

    @classmethod
    def tearDownClass(cls):
        cls.owner.close()

    def get(self, query=""):
        return self.owner.get(f"/v1/tasks{query}")

    def next_of(self, response):
        link = response.header("Link")
        if link is None:
            return None
        found = re.fullmatch(r'<(/v1/tasks\?[^>]+)>; rel="next"', link)
        self.assertTrue(found, link)
        return found.group(1)

    def walk(self, target, least=1):
        seen, lengths = [], []
        while target:
            response = self.owner.get(target)
            self.assertEqual(response.status, 200, response)
            page = [task["id"] for task in response.json()]
            self.assertGreaterEqual(len(page), least)
            seen += page
            lengths.append(len(page))
            self.assertLess(len(lengths), 200)
            target = self.next_of(response)
        return seen, lengths

    def test_plain_array_is_newest_first_and_at_most_1000(self):
        seen, lengths = self.walk("/v1/tasks")
        self.assertEqual(lengths, [1000, 1000, 345])
        self.assertEqual(seen, self.ids)

    def test_limit_starts_a_walk(self):
        for limit in (100, 37):
            seen, lengths = self.walk(f"/v1/tasks?limit={limit}")
            self.assertEqual(set(lengths[:-1]), {limit})
            self.assertEqual(seen, self.ids)
        self.assertEqual([t["id"] for t in self.get("?limit=1").json()], self.ids[:1])

    def test_no_link_at_the_exact_end(self):
        few = module.server.api().register()
        self.addCleanup(few.close)
        self.assertEqual((few.get("/v1/tasks").json(), few.get("/v1/tasks").header("Link")), ([], None))
        for _ in range(4):
            few.create_task()
        self.assertIsNone(few.get("/v1/tasks").header("Link"))
        self.assertIsNone(few.get("/v1/tasks?limit=4").header("Link"))
        self.assertIsNotNone(few.get("/v1/tasks?limit=3").header("Link"))
        self.assertEqual(len(few.get("/v1/tasks?limit=5").json()), 4)

    def test_walk_is_stable_under_inserts(self):
        api = module.server.api().register()
        self.addCleanup(api.close)
        made = [api.create_task(summary=str(i))["id"] for i in range(6)]
        first = api.get("/v1/tasks?limit=3")
        api.create_task(summary="newer")
        second = api.get(self.next_of(first))
        self.assertEqual([t["id"] for t in first.json() + second.json()], made[::-1])

    def test_list_is_cut_by_bytes_and_continued(self):
        api = module.server.api().register()
        self.addCleanup(api.close)
        with module.server.database() as database:
            database.query("INSERT INTO task (id, user_id, summary, description, priority_code) SELECT gen_random_uuid(), "
                           f"'{api.user['id']}', 'big ' || n, repeat('x', 60000), 'LOW' FROM generate_series(1, 50) n")
        target, seen, parts = "/v1/tasks", set(), 0
        while target:
            response = api.get(target)
            self.assertLessEqual(len(response.body), 1 << 20)
            tasks = response.json()
            self.assertGreaterEqual(len(tasks), 1)
            self.assertFalse(seen & {t["id"] for t in tasks})
            seen |= {t["id"] for t in tasks}
            parts += 1
            target = self.next_of(response)
        self.assertEqual(len(seen), 50)
        self.assertIn(parts, (3, 4))

    def test_pages(self):
        for query, page, size in (("?page=1", 1, 10), ("?page=2&pageSize=100", 2, 100), ("?pageSize=7&page=335", 335, 7)):
            with self.subTest(query=query):
                body = self.get(query).json()
                self.assertEqual(set(body), {"data", "pagination"})
                self.assertEqual([t["id"] for t in body["data"]], self.ids[(page - 1) * size:page * size])
                self.assertEqual(body["pagination"], {"page": page, "pageSize": size, "totalPages": -(-2345 // size),
                                                      "totalItems": 2345})

    def test_an_empty_page_keeps_its_totals(self):
        for page in (236, 1000000, 2147483647):
            body = self.get(f"?page={page}").json()
            self.assertEqual(body, {"data": [], "pagination": {"page": page, "pageSize": 10, "totalPages": 235,
                                                               "totalItems": 2345}})
        nobody = module.server.api().register()
        self.addCleanup(nobody.close)
        self.assertEqual(nobody.get("/v1/tasks?page=1").json(),
                         {"data": [], "pagination": {"page": 1, "pageSize": 10, "totalPages": 0, "totalItems": 0}})

    def test_bad_values_name_the_parameter(self):
        for name, values in (("limit", ("0", "101", "-1", "x", "", "1.5", "1e2", "99999999999999999999", "%31%32x", "+5")),
                             ("page", ("0", "-1", "x", "", "2147483648", "1%2e0")),
                             ("pageSize", ("0", "101", "x", "")),
                             ("cursor", ("x", "", "g" * 48, *("-createdAt." + digits for digits in ("", "g" * 48, "A" * 48, "0" * 47, "0" * 49,
                                                                                                   "0" * 32 + "-" * 16))))):
            for value in values:
                with self.subTest(name=name, value=value):
                    problem = self.assert_problem(self.get(f"?{name}={value}"), 400)
                    self.assertEqual([error["field"] for error in problem["errors"]], [name])
        self.assert_problem(self.get("?limit=0&page=x&cursor=y&pageSize=1000"), 400,
                            {"limit": "range", "page": "type", "cursor": "format", "pageSize": "range"})
        self.assert_problem(self.get("?limit=1&limit=2"), 400, {"limit": "duplicate"})

    def test_cursors_of_nowhere_do_no_harm(self):
        key = re.search(r"cursor=-createdAt[.][0-9a-f]{32}([0-9a-f]+)>", self.get("?limit=1").header("Link")).group(1)
        for place in ("0" * 32, "f" * 32, "0" * 31 + "1"):
            with self.subTest(place=place):
                self.assertEqual(self.get(f"?cursor=-createdAt.{place}{key}&limit=3").status, 200)
                self.assertEqual(self.get("?limit=1").status, 200)

    def test_unknown_parameters_are_ignored(self):
        self.assertEqual(len(self.get("?limit=2&nothing=1&LIMIT=50&&=&=x&a=%20b+c").json()), 2)

    def test_escaped_parameters(self):
        self.assertEqual(len(self.get("?limit=%32").json()), 2)


class Json(ApiTest):
    def send(self, body, content_type="application/json"):
        headers = [("Content-Type", content_type)] if content_type else []
        return self.api.request("POST", "/v1/auth/signin", body if isinstance(body, bytes) else body.encode(), headers)

    def test_what_is_no_json_is_400(self):
        for body in (b"", b"{", b"nothing", b"{'a':1}", b'{"a":}', b'{"username":"a","password":"b"} x', b'{}{}', b'{},',
                     b'{"username":"a","password":NaN}', b'{"username":"a","password":Infinity}', b'{"a":01}', b'{"a":1,}',
                     b'{"username":"\xff","password":"b"}', b'{"username":"\xc0\x80","password":"b"}',
                     b'{"username":"\xed\xa0\x80","password":"b"}', b'{"username":"\xf4\x90\x80\x80","password":"b"}',
                     b'{"username":"\\ud800","password":"b"}', b'{"username":"a\\u0000b","password":"b"}',
                     b'{"a\\u0000":1,"username":"a","password":"b"}', b'{"username":"a\0b","password":"b"}',
                     b'{"username":"a\nb","password":"b"}', b'{"username":"a","password":"b"}\0',
                     b'{"username":"a","username":"a","password":"b"}', b'{"x":{"y":1,"y":2},"username":"a","password":"b"}',
                     b'\xef\xbb\xbf{"username":"a","password":"b"}', b'{"username":"a","password":"b","n":01e999}',
                     b'{"username":"a","password":"b","n":true\0}', b'{"username":"a","password":"b"\0,"n":1}',
                     '{"username":"a","password":"b"}'.encode("utf-16")):
            with self.subTest(body=body):
                self.assert_problem(self.send(body), 400)

    def test_what_is_no_object_is_400(self):
        for body in ("[]", '"text"', "1", "true", "null", '[{"username":"a","password":"b"}]'):
            with self.subTest(body=body):
                self.assert_problem(self.send(body), 400)

    def test_depth(self):
        def nested(depth, brackets):
            inner = depth - 1
            value = "[" * inner + "]" * inner if brackets else '{"a":' * inner + "1" + "}" * inner
            return '{"username":"a","password":"b","deep":%s}' % value

        for brackets in (True, False):
            self.assertEqual(self.send(nested(16, brackets)).status, 401)
            for depth in (17, 50, 3000, 10000):
                self.assert_problem(self.send(nested(depth, brackets)), 400)

    def test_well_formed_oddities_are_read(self):
        for body in ('{"username":"a","password":"b","big":123456789012345678}', ' \r\n\t{"username" : "a" , "password" : "b"}\n ',
                     '{"username":"\\ud83d\\ude00","password":"\\u00e9"}', '{"username":"a","password":"b","":0}',
                     '{"username":"a","password":"b","float":-1.5e-3}', '{"username":"a","password":"b","n":1e999}',
                     '{"username":"a","password":"b","n":-%s}' % ("9" * 400)):
            with self.subTest(body=body):
                self.assertEqual(self.send(body).status, 401)

    def test_content_types(self):
        good = '{"username":"a","password":"b"}'
        for content_type in ("application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8", None):
            with self.subTest(content_type=content_type):
                self.assertEqual(self.send(good, content_type).status, 401)
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/json-seq", "json",
                             "multipart/form-data; boundary=x", "text/json", "application/xml"):
            with self.subTest(content_type=content_type):
                self.assert_problem(self.send(good, content_type), 415)


class Authentication(ApiTest):
    @classmethod
    def setUpClass(cls):
        cls.user = module.server.api().register()

    @classmethod
    def tearDownClass(cls):
        cls.user.close()

    def status_of(self, authorization):
        response = self.api.get("/v1/tasks", headers=[("Authorization", authorization)] if authorization is not None else [])
        if response.status == 401:
            self.assert_problem(response, 401)
            self.assertTrue(response.header("WWW-Authenticate").startswith("Bearer"))
        return response.status

    def claims(self, **changes):
        return claims_for(self.user.user["id"], **changes)

    def test_a_good_token(self):
        good = sign(self.claims())
        for value in (f"Bearer {self.user.token}", f"bearer {good}", f"BEARER   {good}", f"Bearer {good} "):
            self.assertEqual(self.status_of(value), 200)

    def test_no_token_and_malformed_ones(self):
        good = self.user.token
        head, body, signature = good.split(".")
        for value in (None, "", "Bearer", "Bearer ", "Bearer x", "Bearer ..", "Bearer a.b.c", f"Basic {good}", good,
                      f"Bearer{good}", f"Token {good}", f"Bearer {head}.{body}", f"Bearer {head}.{body}.", f"Bearer {good}x",
                      f"Bearer {good}.{signature}", f"Bearer {head}.{body[:-2]}.{signature}", f"Bearer {good},{good}",
                      f"Bearer {good} {good}", "Bearer " + "a" * 5000, f"Bearer {body}.{head}.{signature}",
                      f"Bearer {good[:-6]}AAAAAA"):
            with self.subTest(value=value):
                self.assertEqual(self.status_of(value), 401)

    def test_other_keys_and_algorithms(self):
        for token in (sign(self.claims(), secret="another secret of the same sort of length"), sign(self.claims(), secret=""),
                      sign(self.claims(), header={"alg": "none"}, digest=None), sign(self.claims(), header={"alg": "none"}),
                      sign(self.claims(), header={"alg": "None"}, digest=None), sign(self.claims(), header={"typ": "JWT"}),
                      sign(self.claims(), header={"alg": "HS512", "typ": "JWT"}, digest=hashlib.sha512),
                      sign(self.claims(), header={"alg": "HS384", "typ": "JWT"}, digest=hashlib.sha384),
                      sign(self.claims(), header={"alg": "RS256", "typ": "JWT"}), sign(self.claims(), header={"alg": 1})):
            with self.subTest(token=token):
                self.assertEqual(self.status_of(f"Bearer {token}"), 401)

    def test_claims(self):
        now = int(time.time())
        for changes in ({"exp": now - 1}, {"exp": now - 3600}, {"exp": None}, {"exp": "never"}, {"exp": 0}, {"exp": -1},
                        {"iss": None}, {"iss": "somebody"}, {"id": None}, {"id": "x"}, {"id": 7}, {"role": None}, {"role": "king"},
                        {"nbf": now + 3600}):
            with self.subTest(changes=changes):
                self.assertEqual(self.status_of("Bearer " + sign(self.claims(**changes))), 401)
        self.assertEqual(self.status_of("Bearer " + sign(self.claims(nbf=now - 10))), 200)
        for claims in ([], "text", 7, None):
            self.assertEqual(self.status_of("Bearer " + sign(claims)), 401)

    def test_a_token_ends_although_it_was_remembered(self):
        def remembered():  # unless it has ended before it was seen
            token = sign(self.claims(exp=int(time.time()) + 2))
            return token if self.status_of(f"Bearer {token}") == 200 else None

        token = wait_for(remembered, 20, "a token is good")
        wait_for(lambda: self.status_of(f"Bearer {token}") != 200, 10, "it ends")
        self.assertEqual(self.status_of(f"Bearer {token}"), 401)

    def test_every_user_operation_wants_a_token(self):
        for method, path, body in (("POST", "/v1/tasks", {}), ("GET", "/v1/tasks", None), ("GET", f"/v1/tasks/{uuid.uuid4()}", None),
                                   ("GET", "/v1/tasks/x", None), ("HEAD", "/v1/tasks", None), ("POST", "/v1/tasks", b"no json")):
            response = self.api.request(method, path, body)
            self.assertEqual(response.status, 401)

    def test_public_operations_do_not_look_at_the_token(self):
        for path in ("/v1/health", "/livez", "/readyz"):
            self.assertEqual(self.api.get(path, token="rubbish").status, 200)


class Headers(ApiTest):
    SECURITY = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
                "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"}

    def every_kind(self):
        user = module.server.api().register()
        self.addCleanup(user.close)
        task = user.create_task()
        yield 200, user.get("/v1/tasks")
        yield 201, user.post("/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW"})
        yield 200, user.get(f"/v1/tasks/{task['id']}")
        yield 204, user.request("OPTIONS", "/v1/tasks")
        yield 200, user.request("HEAD", "/livez")
        yield 200, user.get("/v1/health")
        yield 400, user.post("/v1/tasks", {})
        yield 401, user.get("/v1/tasks", token=None)
        yield 404, user.get("/nothing")
        yield 405, user.request("DELETE", "/livez")
        yield 415, user.request("POST", "/v1/tasks", b"x", [("Content-Type", "text/plain")])
        for status, data in ((411, b"POST /v1/tasks HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
                             (400, b"GET /livez HTTP/1.1\r\n\r\n"), (414, make_request("GET", "/" + "a" * 9000)),
                             (431, make_request("GET", "/livez", [("X", "a" * 20000)])),
                             (413, make_request("POST", "/v1/tasks", [("Content-Length", "100000000")]))):
            with module.server.connect() as connection:
                connection.send(data)
                yield status, connection.response()

    def test_security_headers_on_every_kind_of_response(self):
        for status, response in self.every_kind():
            with self.subTest(status=status):
                self.assertEqual(response.status, status, response)
                for name, value in self.SECURITY.items():
                    self.assertEqual(response.all(name), [value])
                self.assertRegex(response.header("Strict-Transport-Security"), r"^max-age=[0-9]{7,}")
                self.assertEqual(response.all("Server") + response.all("X-Powered-By"), [])
                self.assertEqual(len(response.all("X-Request-Id")), 1)
                self.assertRegex(response.header("Date"), r"^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT$")
                self.assertEqual(len(response.all("Content-Length")), 0 if status == 204 else 1)
                self.assertEqual(response.version, "HTTP/1.1")

    def test_nothing_internal_goes_out(self):
        for status, response in self.every_kind():
            for word in (b"SELECT", b"sqlstate", b"postgres", b".c:", b"/tmp", b"libpq"):
                self.assertNotIn(word, response.body)

    def test_request_id(self):
        for given in ("abc", "a" * 128, "1.2-3_4:5/6", "~!"):
            self.assertEqual(self.api.get("/livez", headers=[("X-Request-Id", given)]).header("X-Request-Id"), given)
        made = {self.api.get("/livez").header("X-Request-Id") for _ in range(20)}
        self.assertEqual(len(made), 20)
        for given in ("", "a" * 129, "a b", 'a"b', "a\\b", "ä"):
            with self.subTest(given=given):
                response = self.api.get("/nothing", headers=[("X-Request-Id", given)])
                self.assertRegex(response.header("X-Request-Id"), UUID)
                self.assert_problem(response, 404)

    def test_request_id_is_in_the_problem(self):
        response = self.api.get("/nothing", headers=[("X-Request-Id", "find-me")])
        self.assertEqual(response.json()["instance"], "find-me")


class Methods(ApiTest):
    def test_not_found(self):
        for path in ("/", "/v1", "/v1/", "/v2/tasks", "/v1/task", "/v1/tasks/1/2", "/apidocs", "/favicon.ico", "/v1/auth", "/v1/db_ping"):
            with self.subTest(path=path):
                self.assert_problem(self.api.get(path), 404)
                self.assertEqual(self.api.request("HEAD", path).status, 404)
                self.assert_problem(self.api.post(path, {}), 404)

    def test_method_not_allowed(self):
        for method, path, allowed in (("DELETE", "/v1/tasks", {"GET", "HEAD", "POST"}), ("PUT", "/v1/tasks", {"GET", "HEAD", "POST"}),
                                      ("POST", "/livez", {"GET", "HEAD"}), ("POST", "/v1/health", {"GET", "HEAD"}),
                                      ("POST", "/health", {"GET", "HEAD"}), ("GET", "/v1/auth/signin", {"POST"}),
                                      ("HEAD", "/v1/auth/register", {"POST"}), ("TRACE", "/v1/tasks", {"GET", "HEAD", "POST"}),
                                      ("PATCH", "/v1/health", {"GET", "HEAD"})):
            with self.subTest(method=method, path=path):
                body = {} if method in ("POST", "PUT", "PATCH") else None
                response = self.api.request(method, path, body)
                self.assertEqual(response.status, 405, response)
                self.assertEqual(set(response.header("Allow").split(", ")), allowed | {"OPTIONS"})
                if method != "HEAD":
                    self.assert_problem(response, 405)

    def test_options(self):
        response = self.api.request("OPTIONS", "/v1/tasks")
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertEqual(set(response.header("Allow").split(", ")), {"OPTIONS", "GET", "HEAD", "POST"})
        self.assertIsNone(response.header("Access-Control-Allow-Methods"))
        self.assertEqual(self.api.request("OPTIONS", "/nothing").status, 404)


class Cors(ApiTest):
    ORIGIN = ("Origin", "https://app.example")
    PREFLIGHT = [ORIGIN, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization,content-type")]

    def test_star(self):
        for path, status in (("/livez", 200), ("/nothing", 404), ("/v1/tasks", 401)):
            response = self.api.get(path, headers=[self.ORIGIN])
            self.assertEqual(response.status, status)
            self.assertEqual(response.all("Access-Control-Allow-Origin"), ["*"])
            self.assertIn("x-request-id", response.header("Access-Control-Expose-Headers").lower())
            self.assertIsNone(response.header("Access-Control-Allow-Credentials"))
        # Also without an Origin: a cache may give the answer to somebody who has one.
        self.assertEqual(self.api.get("/v1/refdata/taskpriorities").all("Access-Control-Allow-Origin"), ["*"])

    def test_preflight(self):
        response = self.api.request("OPTIONS", "/v1/tasks", headers=self.PREFLIGHT)
        self.assertEqual(response.status, 204)
        self.assertEqual(response.header("Access-Control-Allow-Origin"), "*")
        self.assertIn("POST", response.header("Access-Control-Allow-Methods"))
        allowed = response.header("Access-Control-Allow-Headers").lower()
        for name in ("authorization", "content-type", "content-encoding", "idempotency-key", "if-match", "if-none-match", "traceparent",
                     "tracestate", "baggage", "x-request-id"):
            self.assertIn(name, allowed.split(", "))
        self.assertRegex(response.header("Access-Control-Max-Age"), "^[0-9]+$")

    def test_list(self):
        process = module.server.api_process(CORS_ALLOWED_ORIGIN="https://app.example, https://other.example:8443").ready()
        self.addCleanup(process.kill)
        api = process.api()
        for origin in ("https://app.example", "https://other.example:8443", "HTTPS://APP.EXAMPLE"):
            response = api.get("/livez", headers=[("Origin", origin)])
            self.assertEqual(response.all("Access-Control-Allow-Origin"), [origin])
            self.assertIn("Origin", response.all("Vary"))
        for origin in ("https://evil.example", "https://app.example.evil.example", "http://app.example", "https://app.example:443",
                       "null", "*", "", "https://app.example,https://evil.example", "https://app.example/", "app.example"):
            response = api.get("/livez", headers=[("Origin", origin)])
            with self.subTest(origin=origin):
                self.assertEqual(response.status, 200)
                self.assertEqual([name for name, _ in response.headers if name.lower().startswith("access-control-")], [])
                self.assertIn("Origin", response.all("Vary"))
        response = api.request("OPTIONS", "/v1/tasks", headers=[("Origin", "https://evil.example"), *self.PREFLIGHT[1:]])
        self.assertEqual(response.status, 204)
        self.assertEqual([name for name, _ in response.headers if name.lower().startswith("access-control-")], [])
        response = api.request("OPTIONS", "/v1/tasks", headers=self.PREFLIGHT)
        self.assertEqual(response.header("Access-Control-Allow-Origin"), "https://app.example")
        self.assertEqual(api.get("/livez").header("Vary"), "Origin")
        api.close()
        for place in (0, 98, 99, 100, 110):  # among 120 fields, which are too many
            fields = [("X-Field", "v")] * 118
            fields.insert(place, ("oRIGIN", "https://app.example"))
            with self.subTest(place=place), process.connect() as connection:
                connection.send(make_request("GET", "/livez", fields))
                response = connection.response()
                self.assertEqual((response.status, response.all("Access-Control-Allow-Origin")), (431, ["https://app.example"]))
        self.assertEqual(process.stop(), 0)


class SingleFields(ApiTest):
    def test_field__that_comes_twice_and_may_not_is_named(self):
        for name in ("Idempotency-Key", "Content-Type", "Authorization", "If-Unmodified-Since", "Origin", "Content-Length", "Range", "Host",
                     "Transfer-Encoding"):
            with self.subTest(name=name), module.server.connect() as connection:
                connection.send(make_request("POST", "/v1/tasks", [("Content-Length", "0")] * (name not in ("Content-Length", "Transfer-Encoding"))
                                                     + [(name, "chunked")] * 2))
                response = connection.response()
                self.assertEqual((response.status, response.closes), (400, True))
                self.assertIn({"field": name, "code": "duplicate", "message": "must come once"}, response.json()["errors"])

    def test_head__everything_that_is_wrong_is_named(self):
        heads = {
            "GET /livez HTTP/1.1\r\nContent-Length: 1x\r\nRange: a\r\nRange: b\r\n\r\n":
                [("Host", "required"), ("Content-Length", "format"), ("Range", "duplicate")],
            "GET /livez HTTP/1.1\r\nHost: a,b\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n":
                [("Host", "format"), ("Content-Length", "conflict")],
            "GET /livez HTTP/1.2\r\nHost: a\r\n\r\n": "request line",
            "GET /livez?a[]=1 HTTP/1.1\r\nHost: a\r\n\r\n": "request target",
            "GET /livez HTTP/1.1\r\nHost : a\r\n\r\n": "a name, a colon and a value",
            "GET /livez HTTP/1.1\nHost: a\r\n\r\n": "CR LF",
            "GET /livez HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n": "control byte",
            "POST /v1/tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n": "chunks",
        }
        for head, wrong in heads.items():
            with self.subTest(head=head), module.server.connect() as connection:
                connection.send(head.encode())
                response = connection.response()
                problem = response.json()
                self.assertEqual((response.status, response.closes), (400, True))
                if isinstance(wrong, str):
                    self.assertIn(wrong, problem["detail"])
                else:
                    self.assertEqual([(error["field"], error["code"]) for error in problem["errors"]], wrong)


class Health(ApiTest):
    def test_health(self):
        for path in ("/v1/health", "/health"):
            response = self.api.get(path)
            self.assertEqual((response.status, response.header("Content-Type")), (200, "application/json"))
            parts = {"database": {"status": "up"}, "version": {"status": "up", "value": "3.4.5-rc.1", "source": "env"}}
            self.assertEqual(response.json(), {"status": "ok", "info": parts, "error": {}, "details": parts})

    def test_version_of_the_build(self):
        for version in (None, "not.a.version", "1.2", "01.2.3", "v1.2.3"):
            process = module.server.api_process(APP_VERSION=version).ready()
            self.addCleanup(process.kill)
            with process.connect() as connection:
                told = connection.get("/v1/health").json()["info"]["version"]
            self.assertEqual(told["source"], "build")
            self.assertRegex(told["value"], r"^[0-9]+\.[0-9]+\.[0-9]+")
            process.kill()

    def test_probes(self):
        for path in ("/livez", "/readyz"):
            response = self.api.get(path)
            self.assertEqual((response.status, response.json()["status"]), (200, "ok"))


if __name__ == "__main__":
    unittest.main()
