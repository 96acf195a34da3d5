"""The contract: every operation of the OpenAPI document is called, and does what is written there. Statuses, headers, bodies."""

import unittest
import uuid

import contract
import support
from support import make_request, wait_for

module = support.ModuleServer()
document = None
validator = None


def setUpModule():
    global document, validator
    document = contract.of(support.binary())
    validator = contract.Validator(document)
    module.start(LOGGING_LEVEL="error")


def tearDownModule():
    module.stop()


class Request:
    """What to send, and to which path: the template's names are filled in."""

    def __init__(self, body=None, headers=(), path=None, query="", client=None):
        self.body, self.headers, self.path, self.query, self.client = body, headers, path or {}, query, client


class World:
    """A user and an administrator, and what there is to ask for."""

    def __init__(self, server):
        self.server = server
        self.clients = []
        self.user = self.new_user()
        self.admin = server.admin()
        self.clients.append(self.admin)
        self.program = server.api()
        self.clients.append(self.program)
        self.program.token = self.admin.post("/v1/api-keys", {"name": "a program", "scopes": ["jobs:work"]}).json()["key"]
        with server.database() as database:  # a scope that nothing takes is not given out
            database.query("UPDATE millrace.api_key SET scopes = '{moon:read}'")
        self.admin.post("/v1/jobs/report/runs", None)
        self.run = self.admin.run_job("cleanup", 60)
        wait_for(lambda: self.user.get("/v1/reports").json() or self.admin.run_job("report", 60) is None, 60, "a report")
        self.report = self.user.get("/v1/reports").json()[0]

    def close(self):
        for client in self.clients:
            client.close()

    def new_user(self):
        self.clients.append(self.server.api().register())
        return self.clients[-1]

    def task(self):
        return self.user.create_task(description="more", dueAt="2027-01-01")["id"]

    def tokens(self):
        fields = support.new_user()
        assert self.user.post("/v1/auth/register", fields, token=None).status == 200
        response = self.user.post("/v1/auth/signin", {name: fields[name] for name in ("username", "password")}, token=None)
        return fields, response.json()

    def import_run(self):
        response = self.user.post("/v1/tasks/import", b'{"summary": "s", "taskPriorityCode": "LOW"}\n',
                                  headers=[("Content-Type", "application/x-ndjson")])
        assert response.status == 202, response
        return response.json()["id"]

    def queued_run(self):
        """One that nobody takes: its job is not this scheduler's to start before the one in front of it ends."""
        with self.server.database() as database:
            return database.value("INSERT INTO millrace.job_run (id, job, trigger, exclusive, run_after) VALUES "
                                  "(gen_random_uuid(), 'cleanup', 'manual', true, now() + interval '1 day') RETURNING id")

    def pull_job(self):
        with self.server.database() as database:
            return database.value("INSERT INTO millrace.job (name, work, origin) VALUES ('contract', 'pull', 'managed')"
                                  " ON CONFLICT (name) DO UPDATE SET changed_at = now() RETURNING name")

    def example(self, name):
        """The body that the document shows."""
        return dict(document.named(name).item["requestBody"]["content"]["application/json"]["example"])

    # ---- A request of each operation that succeeds ----

    def register(self):
        return Request({**self.example("register"), "username": support.new_user()["username"]}, client=None)

    def sign_in(self):
        fields, _ = self.tokens()
        return Request({name: fields[name] for name in ("username", "password")})

    def refresh(self):
        return Request({"refreshToken": self.tokens()[1]["refreshToken"]})

    def sign_out(self):
        return Request({"refreshToken": self.tokens()[1]["refreshToken"]})

    def profile_get(self):
        return Request(client=self.user)

    def profile_update(self):
        return Request(self.example("profile_update"), client=self.user)

    def profile_delete(self):
        return Request(client=self.new_user())

    def password_change(self):
        return Request({"currentPassword": support.PASSWORD, "newPassword": "battery horse correct"},
                       client=self.new_user())

    def task_create(self):
        return Request(self.example("task_create"), [("Idempotency-Key", f'"{uuid.uuid4()}"')], client=self.user)

    def task_list(self):
        return Request(client=self.user)

    def task_get(self):
        return Request(path={"taskId": self.task()}, client=self.user)

    def task_update(self):
        return Request(self.example("task_update"), path={"taskId": self.task()}, client=self.user)

    def task_patch(self):
        return Request({"description": None, "dueAt": None, "isComplete": True}, path={"taskId": self.task()}, client=self.user)

    def task_delete(self):
        return Request(path={"taskId": self.task()}, client=self.user)

    def task_import(self):
        return Request(b'{"summary": "s", "taskPriorityCode": "LOW"}\n', [("Content-Type", "application/x-ndjson")], client=self.user)

    def task_stats(self):
        return Request(client=self.user, query="?from=2027-01-01&to=2027-01-31")

    def report_list(self):
        return Request(client=self.user)

    def report_get(self):
        return Request(path={"reportId": self.report["id"]}, client=self.user)

    def key(self):
        response = self.admin.post("/v1/api-keys", {"name": "a program", "scopes": ["jobs:admin"]})
        assert response.status == 201, response
        return response.json()["id"]

    def api_key_create(self):
        return Request(self.example("api_key_create"), client=self.admin)

    def api_key_list(self):
        self.key()
        return Request(client=self.admin)

    def api_key_get(self):
        return Request(path={"keyId": self.key()}, client=self.admin)

    def api_key_delete(self):
        return Request(path={"keyId": self.key()}, client=self.admin)

    def audit_list(self):
        self.key()
        return Request(client=self.admin)

    def job_list(self):
        return Request(client=self.admin)

    def job_get(self):
        return Request(path={"job": "cleanup"}, client=self.admin)

    def job_run_list(self):
        return Request(path={"job": "cleanup"}, client=self.admin)

    def kind(self):
        name = "k" + uuid.uuid4().hex[:12]
        response = self.admin.request("PUT", "/v1/jobs/" + name, {"work": "pull"})
        assert response.status == 200, response
        return name

    def job_put(self):
        return Request({name: value for name, value in self.example("job_put").items() if name not in ("secrets",)}, path={"job": "k" + uuid.uuid4().hex[:12]}, client=self.admin)

    def job_update(self):
        return Request({"priority": 5, "cron": None}, path={"job": self.kind()}, client=self.admin)

    def job_delete(self):
        return Request(path={"job": self.kind()}, client=self.admin)

    def job_pause(self):
        return Request(path={"job": self.kind()}, client=self.admin)

    job_resume = job_pause

    def job_run_create(self):
        return Request({"args": {}}, path={"job": "maintenance"}, client=self.admin)

    def job_run_search(self):
        return Request(client=self.admin)

    def job_run_attempts(self):
        return Request(path={"runId": self.run["id"]}, client=self.admin)

    def job_run_retry(self):
        with self.server.database() as database:
            run = database.value("INSERT INTO millrace.job_run (id, job, trigger, exclusive, state, finished_at) VALUES (gen_random_uuid(), 'maintenance', 'manual', "
                                 "false, 'dead', now()) RETURNING id")
        return Request(path={"runId": run}, client=self.admin)

    def job_runs_retry(self):
        return Request({"job": self.kind()}, client=self.admin)

    job_runs_cancel = job_runs_delete = job_runs_retry

    def job_run_get(self):
        return Request(path={"runId": self.run["id"]}, client=self.admin)

    def job_run_cancel(self):
        return Request(path={"runId": self.queued_run()}, client=self.admin)

    def run_claim(self):
        return Request({"max": 1, "lease": "30s", "worker": "a test"}, path={"job": self.pull_job()}, client=self.admin)

    def run_outcomes(self):
        return Request({"outcomes": [{"id": str(uuid.uuid4()), "claim": 1, "outcome": "succeeded", "result": {}}]}, client=self.admin)

    def task_priority_list(self):
        return Request()

    def task_priority_get(self):
        return Request(path={"code": "HIGH"})

    def health(self):
        return Request()

    livez = readyz = health_short = openapi = openapi_alias = apidoc = health

    def apidoc_file(self):
        return Request(path={"file": "apidoc.js"})


def fill(operation, names):
    path = operation.path
    for name, value in names.items():
        path = path.replace("{" + name + "}", value)
    return path


class ContractTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(module.server)
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        self.anybody = module.server.api()
        self.addCleanup(self.anybody.close)

    def send(self, operation, request, *headers, method=None, query=None, **options):
        path = fill(operation, request.path) + (request.query if query is None else query)
        return (request.client or self.anybody).request(method or operation.method.upper(), path, request.body,
                                                        headers=[*request.headers, *headers], **options)

    def check(self, operation, response):
        """The answer is one of the document's, with its headers and its body."""
        document.check(operation.method.upper(), operation.path, response)
        answer = document.answers(operation)[response.status]
        for name, header in answer.get("headers", {}).items():
            header = document.follow(header)
            value = response.header(name)
            if header["required"]:
                self.assertIsNotNone(value, f"{operation.id} {response.status}: {name} is missing in {response}")
            if value is not None and header["schema"]["type"] == "integer":
                self.assertRegex(value, r"^\d+$")
        content = answer.get("content")
        if not content:
            self.assertEqual(response.body, b"", operation.id)
            return
        media = response.header("Content-Type").split(";")[0]
        if media.endswith("json"):
            errors = validator.errors(content[media]["schema"], response.json())
            self.assertEqual(errors, [], f"{operation.id} {response.status}: {response}")

    @staticmethod
    def each(*names, when=lambda operation: True):
        for operation in document.operations:
            if (not names or operation.id in names) and when(operation):
                yield operation

    def answer(self, operation, status, *headers, request=None, **options):
        """Sends it, checks the answer against the document, and that it is this one."""
        response = self.send(operation, request or getattr(self.world, operation.id)(), *headers, **options)
        self.assertEqual(response.status, status, f"{operation.id}: {response}")
        self.check(operation, response)
        return response


def success_of(operation):
    return next(status for status in document.answers(operation) if status < 300)


def documents(status):
    return lambda operation: status in document.answers(operation)


def passed_on(operation):
    return documents(504)(operation)


class Document(unittest.TestCase):
    def test_document__its_schemas_are_schemas(self):
        validator.check_schemas()

    def test_document__its_examples_are_good(self):
        for operation in document.operations:
            for parameter in operation.item.get("parameters", ()):
                for value in parameter["schema"].get("examples", ()):
                    self.assertEqual(validator.errors(parameter["schema"], value), [], f"{operation.id}: {parameter['name']}")
            for media in operation.item.get("requestBody", {}).get("content", {}).values():
                if "example" in media:
                    self.assertEqual(validator.errors(media["schema"], media["example"]), [], operation.id)

    def test_validator__tells_what_is_wrong(self):
        """Else the tests below could not fail."""
        schema = {"$ref": "#/components/schemas/TaskPriority"}
        good = {"code": "HIGH", "label": "High", "ordinal": 2}
        self.assertEqual(validator.errors(schema, good), [])
        self.assertTrue(validator.errors(schema, {**good, "ordinal": "2"}))
        self.assertTrue(validator.errors(schema, {**good, "more": 1}))
        self.assertTrue(validator.errors(schema, {"code": "HIGH"}))
        self.assertTrue(validator.errors({"$ref": "#/components/schemas/User"}, {"id": "no uuid"}))

    def test_connection__refuses_what_is_not_documented(self):
        answer = support.Response(418, "", [("Content-Type", "application/problem+json")], b"", "HTTP/1.1")
        with self.assertRaisesRegex(AssertionError, "task_list answers 418"):
            document.check("GET", "/v1/tasks", answer)
        answer = support.Response(200, "", [("Content-Type", "text/plain")], b"", "HTTP/1.1")
        with self.assertRaisesRegex(AssertionError, "text/plain"):
            document.check("HEAD", "/v1/tasks/1", answer)


class Operations(ContractTest):
    def test_success__is_as_documented(self):
        for operation in self.each():
            request = getattr(self.world, operation.id)()
            self.answer(operation, success_of(operation), request=request)
            body = operation.item.get("requestBody")
            if body and not isinstance(request.body, bytes):
                self.assertEqual(validator.errors(body["content"]["application/json"]["schema"], request.body), [])

    def test_head__is_the_head_of_get(self):
        for operation in self.each(when=lambda o: o.method == "get"):
            response = self.send(operation, getattr(self.world, operation.id)(), method="HEAD")
            self.assertEqual((response.status, response.body), (200, b""))
            for name, header in document.answers(operation)[200]["headers"].items():
                self.assertTrue(not document.follow(header)["required"] or response.header(name), name)

    def test_lists__go_on_and_have_pages(self):
        for _ in range(3):
            self.world.task()
        walk = self.answer(document.named("task_list"), 200, query="?limit=1")
        self.assertIn('rel="next"', walk.header("Link"))
        page = self.answer(document.named("task_list"), 200, query="?page=1&pageSize=2")
        self.assertEqual(len(page.json()["data"]), 2)

    def test_results__of_jobs_are_as_documented(self):
        """Runs in every state, one with a result among them, and jobs with their last run."""
        run = self.world.user.ended_run("/v1/job-runs/" + self.world.import_run(), 60)
        self.assertEqual(run["result"]["imported"], 1)
        self.answer(document.named("job_run_get"), 200, request=Request(path={"runId": run["id"]}, client=self.world.user))
        self.assertIn("lastRun", self.answer(document.named("job_get"), 200).json())

    def test_results__of_workers_are_any_json(self):
        job, admin = self.world.kind(), self.world.admin
        for result in ({"a": 1}, [1, "b"], "sent", 1.5, True):
            run = admin.post(f"/v1/jobs/{job}/runs", {}).json()["id"]
            claim = admin.post(f"/v1/jobs/{job}/claims", {}).json()["runs"][0]["claim"]
            told = {"outcomes": [{"id": run, "claim": claim, "outcome": "succeeded", "result": result}]}
            self.answer(document.named("run_outcomes"), 200, request=Request(told, client=admin))
            response = self.answer(document.named("job_run_get"), 200, request=Request(path={"runId": run}, client=admin))
            self.assertEqual(response.json()["result"], result)

    def test_304__is_as_documented(self):
        for operation in self.each(when=documents(304)):
            request = getattr(self.world, operation.id)()
            tag = self.send(operation, request).header("ETag") or "*"
            self.answer(operation, 304, ("If-None-Match", tag), request=request)

    def test_400__is_as_documented(self):
        for operation in self.each(when=passed_on):
            self.assertEqual(self.answer(operation, 400, query="?broken=%zz").json()["title"], "Bad Request")
            if operation.id != "sign_out":
                problem = self.answer(operation, 400, ("If-Match", "no tag")).json()
                self.assertIn("If-Match", [error["field"] for error in problem["errors"]])

    def test_400__names_every_field_that_is_required(self):
        for operation in self.each(when=lambda o: o.item.get("requestBody", {}).get("required") and o.id != "task_import"):
            request = getattr(self.world, operation.id)()
            schema = document.follow(operation.item["requestBody"]["content"]["application/json"]["schema"])
            request.body = {}
            if "required" in schema:
                problem = self.answer(operation, 400, request=request).json()
                self.assertEqual(sorted(error["field"] for error in problem["errors"]), sorted(schema["required"]))

    def test_401__is_as_documented(self):
        for operation in self.each(when=lambda o: o.item["security"] and {} not in o.item["security"]):
            request = getattr(self.world, operation.id)()
            self.answer(operation, 401, request=request, token=None)
            self.answer(operation, 401, request=request, token=support.sign(support.claims_for(uuid.uuid4(), role="admin")))
        self.answer(document.named("sign_in"), 401, request=Request({"username": "nobody", "password": "nobody's"}))
        self.answer(document.named("refresh"), 401, request=Request({"refreshToken": "unknown"}))
        self.answer(document.named("sign_out"), 401, request=Request())

    def test_403__is_as_documented(self):
        for operation in self.each(when=documents(403)):
            request = getattr(self.world, operation.id)()
            request.client = self.world.program  # whose scope is another's
            self.answer(operation, 403, request=request)

    def test_refusal_of_users__is_as_documented(self):
        for path in ("/v1/jobs", "/v1/api-keys", "/v1/audit"):
            self.assertEqual(self.world.user.get(path).status, 403, path)

    def test_404__is_as_documented(self):
        for operation in self.each(when=lambda o: documents(404)(o) and "{" in o.path):
            request = getattr(self.world, operation.id)()
            request.path = {name: str(uuid.uuid4()) if name.endswith("Id") else "NOBODY" for name in request.path}
            self.answer(operation, 404, request=request)

    def test_409__is_as_documented(self):
        taken = {**support.new_user(), "username": self.world.user.user["username"]}
        self.answer(document.named("register"), 409, request=Request(taken))
        self.answer(document.named("job_run_create"), 409, request=Request(path={"job": "import"}, client=self.world.admin))
        self.answer(document.named("job_run_cancel"), 409, request=Request(path={"runId": self.world.run["id"]}, client=self.world.admin))

    def test_412__is_as_documented(self):
        for operation in self.each(when=documents(412)):
            self.answer(operation, 412, ("If-Match", '"never"'))

    def test_415__is_as_documented(self):
        for operation in self.each(when=documents(415)):
            request = getattr(self.world, operation.id)()
            request.headers, request.body = [("Content-Type", "text/plain")], b"text"
            self.answer(operation, 415, request=request)
            request.headers = [("Content-Type", "application/json"), ("Content-Encoding", "br")]
            self.assertTrue(self.answer(operation, 415, request=request).header("Accept-Encoding"))

    def test_422__is_as_documented(self):
        key = ("Idempotency-Key", f'"{uuid.uuid4()}"')
        for operation in self.each("task_create", "task_import"):
            first, second = getattr(self.world, operation.id)(), getattr(self.world, operation.id)()
            second.body = {**second.body, "summary": "other"} if isinstance(second.body, dict) else second.body * 2
            for request in (first, second):
                request.headers = [header for header in request.headers if header[0] != "Idempotency-Key"]
            key = ("Idempotency-Key", f'"{uuid.uuid4()}"')
            self.answer(operation, success_of(operation), key, request=first)
            self.answer(operation, 422, key, request=second)
        key = ("Idempotency-Key", f'"{uuid.uuid4()}"')
        operation = document.named("job_run_create")
        self.answer(operation, 202, key, request=Request(path={"job": "aggregate"}, client=self.world.admin))
        self.answer(operation, 422, key, request=Request(path={"job": "cleanup"}, client=self.world.admin))


class FrontDoor(ContractTest):
    """What is refused before an operation is known: by each of them, to the byte."""

    def refused(self, status, *lines, version="1.1", query=""):
        for operation in self.each(when=documents(status)):
            request = getattr(self.world, operation.id)()
            lines_of = [f"{operation.method.upper()} {fill(operation, request.path)}{query} HTTP/{version}", "Host: localhost", *lines]
            if request.client:
                lines_of.append(f"Authorization: Bearer {request.client.token}")
            if operation.id == "task_import":
                lines_of.append("Content-Type: text/csv")
            with module.server.connect() as connection:
                connection.send(("\r\n".join(lines_of) + "\r\n\r\n").encode())
                response = connection.response()
            self.assertEqual(response.status, status, f"{operation.id}: {response}")
            self.check(operation, response)

    def test_411__is_as_documented(self):
        self.refused(411, "Transfer-Encoding: chunked", version="1.0")

    def test_413__is_as_documented(self):
        self.refused(413, f"Content-Length: {1 << 30}")

    def test_414__is_as_documented(self):
        self.refused(414, query="?q=" + "x" * 9000)

    def test_417__is_as_documented(self):
        self.refused(417, "Expect: the-unexpected")

    def test_431__is_as_documented(self):
        self.refused(431, "X-Large: " + "x" * 17000)

    def test_501__is_as_documented(self):
        self.refused(501, "Transfer-Encoding: gzip, chunked")


class Trouble(ContractTest):
    """With a gateway of its own, whose patience is short."""

    def start(self, **settings):
        process = module.server.api_process(LOGGING_LEVEL="error", **settings)
        self.addCleanup(process.kill)
        return process.ready()

    def through(self, process, operation, *statuses):
        """The request of the operation, to another process."""
        request = getattr(self.world, operation.id)()
        client = process.api()
        client.token = request.client.token if request.client else None
        try:
            response = client.request(operation.method.upper(), fill(operation, request.path), request.body, headers=request.headers)
        finally:
            client.close()
        self.assertIn(response.status, statuses, f"{operation.id}: {response}")
        self.check(operation, response)
        return response.status

    def test_408__is_as_documented(self):
        process = self.start(GATEWAY_BODY_TIMEOUT="200ms")
        for operation in self.each(when=documents(408)):
            request = getattr(self.world, operation.id)()
            headers = [("Content-Length", "5"), *request.headers]
            if request.client:
                headers.append(("Authorization", f"Bearer {request.client.token}"))
            with process.connect() as connection:
                connection.send(make_request(operation.method.upper(), fill(operation, request.path), headers))
                response = connection.response()
            self.assertEqual(response.status, 408, f"{operation.id}: {response}")
            self.check(operation, response)

    def test_429__is_as_documented(self):
        process = self.start(RATE_LIMIT_AUTH_PER_MINUTE=1, RATE_LIMIT_PER_MINUTE=1)
        for operation in self.each(when=documents(429)):
            request = getattr(self.world, operation.id)()
            client = process.api()
            client.token = request.client.token if request.client else None
            self.addCleanup(client.close)
            ask = lambda: client.request(operation.method.upper(), fill(operation, request.path), request.body, headers=request.headers)
            response = wait_for(lambda: (lambda r: r if r.status == 429 else None)(ask()), 10, "the limit is reached")
            self.check(operation, response)

    def test_503_504__are_as_documented(self):
        """While the database does not answer, and when it is gone."""
        server = support.Everything(LOGGING_LEVEL="error").ready()
        self.addCleanup(server.close)
        frozen = server.api_process(LOGGING_LEVEL="error", GATEWAY_REQUEST_TIMEOUT="300ms")
        self.addCleanup(frozen.kill)
        frozen.ready()
        with support.Frozen.server(server):
            seen = [self.through(frozen, operation, 503, 504) for operation in self.each(when=passed_on)]
            self.assertIn(504, seen)
        server.stop()
        client = frozen.api()
        self.addCleanup(client.close)
        wait_for(lambda: client.get("/readyz").status == 503, 20, "the process notices")
        seen = [self.through(frozen, operation, 503, 504) for operation in self.each(when=passed_on)]
        self.assertIn(503, seen)
        for operation in self.each("readyz", "health", "health_short"):
            self.through(frozen, operation, 503)


del ContractTest
