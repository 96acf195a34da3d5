"""API keys: what they may do, how they end, and that their changes are in the audit."""

import re
import threading
import time
import unittest
import uuid
from datetime import datetime, timedelta, timezone

import support
from support import wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

INTERNALS = re.compile(rb"SELECT|INSERT|sqlstate|postgres|api_key\b|app_user|libpq|relation|syntax", re.I)
KEY = re.compile(r"^mk_[A-Za-z0-9_-]{43}$")
ENDS_WITHIN = 5
KNOWN_FOR = 4  # KEY_LIFE_MS of gateway/keys.c


class ApiKeys(support.TiersTest):
    """An API, another beside it, and a scheduler, which makes the jobs known."""

    module = module

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_class_scheduler()
        cls.other = module.server.api_process(cls.name)  # beside the first, on the same database
        cls.addClassCleanup(cls.other.kill)
        cls.other.ready()
        cls.boss = cls.api.api().register(grant=lambda user: cls.database.query(f"UPDATE millrace.app_user SET role = 'admin' WHERE id = '{user['id']}'"))
        cls.addClassCleanup(cls.boss.close)

    def make(self, *scopes, **body):
        answer = self.boss.post("/v1/api-keys", {"name": "a program", "scopes": list(scopes) or ["jobs:admin"], **body})
        self.assertEqual(answer.status, 201, answer)
        return answer.json()

    def program(self, *scopes, server=None, **body):
        """A client that calls with a new key, and the key's id."""
        made = self.make(*scopes, **body)
        api = (server or self.api).api()
        self.addCleanup(api.close)
        api.token = made["key"]
        return api, made["id"]

    def refused(self, answer, status, challenge=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        self.assertEqual(answer.header("WWW-Authenticate"), challenge)
        self.assertIsNone(INTERNALS.search(answer.body), answer)
        return answer.json()

    def away(self):
        """Nobody reaches the database any more, until the test ends."""
        name, ours = self.name, self.database.value("SELECT pg_backend_pid()")
        with module.server.database("postgres") as other:
            other.query(f"UPDATE pg_database SET datallowconn = false WHERE datname = '{name}'")
            other.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> {ours}")
        self.addCleanup(self.back, name)

    def back(self, name):
        with module.server.database("postgres") as other:
            other.query(f"UPDATE pg_database SET datallowconn = true WHERE datname = '{name}'")
        for process in (self.api, self.other):
            with process.connect() as connection:
                wait_for(lambda: connection.get("/readyz").status == 200, 30, "connections to the database")

    # ---- Making ----

    def test_key__is_told_once_and_kept_as_a_hash(self):
        answer = self.boss.post("/v1/api-keys", {"name": "nightly", "scopes": ["jobs:enqueue:cleanup", "jobs:admin", "jobs:admin"],
                                                 "expiresAt": "2099-01-01T00:00:00Z"})
        made = answer.json()
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(answer.header("Location"), "/v1/api-keys/" + made["id"])
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertRegex(made.pop("key"), KEY)
        self.assertRegex(made.pop("createdAt"), r"^20[0-9-]+T[0-9:.]+Z$")
        self.assertEqual(made, {"id": made["id"], "name": "nightly", "scopes": ["jobs:admin", "jobs:enqueue:cleanup"],
                                "expiresAt": "2099-01-01T00:00:00.000Z"})
        told = self.boss.get(answer.header("Location")).json()
        self.assertEqual({name: told[name] for name in made}, made)
        self.assertEqual((told["createdBy"], "key" in told, "lastUsedAt" in told), (self.boss.user["id"], False, False))
        self.assertEqual(self.database.value(f"SELECT length(secret_hash) FROM millrace.api_key WHERE id = '{made['id']}'"), "32")

    def test_key__is_in_no_log_and_in_no_row(self):
        program, _ = self.program()
        self.assertEqual(program.get("/v1/jobs").status, 200)
        self.assertEqual(program.get("/v1/users/profile").status, 403)
        self.assertNotIn(program.token[3:], self.api.text())
        self.assertNotIn(program.token[3:], self.database.value("SELECT string_agg(a::text, '') FROM millrace.api_key a"))
        self.assertNotIn(program.token[3:], self.database.value("SELECT string_agg(a::text, '') FROM millrace.audit a"))

    def test_scopes__that_no_operation_knows_are_named(self):
        for scopes, unknown in ((["jobs:admin", "jobs:sleep", "moon:write"], "jobs:sleep, moon:write"), (["jobs:admin:a b"], "jobs:admin:a b"),
                                (["jobs:admin:a:b"], "jobs:admin:a:b"), (["jobs"], "jobs"), (["jobs:admin:*"], "jobs:admin:*"), (["jobs:admin:"], "jobs:admin:"), (["*"], "*"), (["user"], "user")):
            with self.subTest(scopes=scopes):
                problem = self.refused(self.boss.post("/v1/api-keys", {"name": "n", "scopes": scopes}), 400)
                self.assertEqual([(error["field"], error["message"]) for error in problem["errors"]], [("scopes", "no operation knows " + unknown)])

    def test_body__breaks_rules_by_name(self):
        for change, field in (({"name": ""}, "name"), ({"scopes": []}, "scopes"), ({"scopes": "jobs:admin"}, "scopes"), ({"scopes": ["x" * 129]}, "scopes[0]"),
                              ({"expiresAt": "soon"}, "expiresAt"), ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"), ({"scopes": None}, "scopes"),
                              ({"expires_at": "2099-01-01T00:00:00Z"}, "expires_at")):
            with self.subTest(change=change):
                problem = self.refused(self.boss.post("/v1/api-keys", {"name": "n", "scopes": ["jobs:admin"], **change}), 400)
                self.assertEqual([error["field"] for error in problem["errors"]], [field])

    def test_keys__are_for_administrators_and_no_key_makes_one(self):
        user = self.new_client()
        program, key = self.program()
        for method, path, body in (("POST", "/v1/api-keys", {"name": "n", "scopes": ["jobs:admin"]}), ("GET", "/v1/api-keys", None),
                                   ("GET", f"/v1/api-keys/{key}", None), ("DELETE", f"/v1/api-keys/{key}", None), ("GET", "/v1/audit", None)):
            with self.subTest(method=method, path=path):
                self.refused(user.request(method, path, body), 403)
                self.refused(user.request(method, path, body, token=None), 401, "Bearer")
                told = self.refused(program.request(method, path, body), 403, 'Bearer error="insufficient_scope"')
                self.assertIn("API key may not", told["detail"])
        self.assertEqual(program.get("/v1/jobs").status, 200)

    def test_list__goes_on_by_its_link(self):
        made = [self.make()["id"] for _ in range(3)]
        first = self.boss.get("/v1/api-keys?limit=2")
        self.assertEqual([key["id"] for key in first.json()], made[:0:-1])
        rest = self.boss.get(re.search(r"<(.*)>", first.header("Link")).group(1)).json()
        self.assertEqual(rest[0]["id"], made[0])

    def test_get_and_delete__of_what_is_not_there(self):
        for method in ("GET", "DELETE"):
            self.refused(self.boss.request(method, f"/v1/api-keys/{uuid.uuid4()}"), 404)

    # ---- Scopes ----

    def test_admin__sees_and_starts_and_cancels_every_job(self):
        program, _ = self.program("jobs:admin")
        self.assertIn("cleanup", [job["name"] for job in program.get("/v1/jobs").json()])
        self.assertEqual(program.get("/v1/jobs/cleanup").status, 200)
        self.assertEqual(program.get("/v1/jobs/cleanup/runs").status, 200)
        run = program.post("/v1/jobs/report/runs", None)
        self.assertEqual(run.status, 202, run)
        self.assertEqual(program.get(run.header("Location")).json()["job"], "report")
        later = self.database.value("INSERT INTO millrace.job_run (id, job, trigger, exclusive, run_after) VALUES "
                                    "(gen_random_uuid(), 'report', 'manual', false, now() + interval '1 day') RETURNING id")
        self.assertEqual(program.post(f"/v1/job-runs/{later}/cancel", None).json()["state"], "cancelled")

    def test_enqueue__starts_runs_and_looks_after_them_and_no_more(self):
        program, _ = self.program("jobs:enqueue")
        run = program.post("/v1/jobs/cleanup/runs", None)
        self.assertEqual(run.status, 202, run)
        self.assertEqual(program.get(run.header("Location")).status, 200)
        for method, path, scope in (("GET", "/v1/jobs", "jobs:admin"), ("GET", "/v1/jobs/cleanup/runs", "jobs:admin"),
                                    ("POST", run.header("Location") + "/cancel", "jobs:admin")):
            with self.subTest(path=path):
                problem = self.refused(program.request(method, path), 403, f'Bearer error="insufficient_scope", scope="{scope}"')
                self.assertIn(scope, problem["detail"])

    def test_narrowed__is_for_its_jobs_alone(self):
        program, _ = self.program("jobs:admin:cleanup", "jobs:enqueue:report")
        self.assertEqual([job["name"] for job in program.get("/v1/jobs").json()], ["cleanup"])
        self.assertEqual(self.program("jobs:admin:nosuch")[0].get("/v1/jobs").json(), [])
        self.assertEqual(program.get("/v1/jobs/%63leanup").status, 200)
        self.refused(program.get("/v1/jobs/report"), 403, 'Bearer error="insufficient_scope", scope="jobs:admin"')
        self.refused(program.get("/v1/jobs/cleanup%3Ax"), 403, 'Bearer error="insufficient_scope", scope="jobs:admin"')
        self.refused(program.post("/v1/jobs/removal/runs", None), 403, 'Bearer error="insufficient_scope", scope="jobs:enqueue"')
        run = program.post("/v1/jobs/report/runs", None).header("Location")
        self.assertEqual(program.get(run).status, 200)
        other = self.boss.post("/v1/jobs/removal/runs", None).header("Location")
        self.refused(program.get(other), 404)
        self.refused(program.post(run + "/cancel", None), 404)

    def test_operations_of_users__take_no_key(self):
        program, _ = self.program("jobs:admin", "jobs:enqueue", "jobs:work")
        for method, path, body in (("GET", "/v1/tasks", None), ("POST", "/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW"}),
                                   ("GET", "/v1/users/profile", None), ("DELETE", "/v1/users/profile", None),
                                   ("POST", "/v1/users/password", {"currentPassword": "x", "newPassword": "correct horse"})):
            with self.subTest(method=method, path=path):
                problem = self.refused(program.request(method, path, body), 403, 'Bearer error="insufficient_scope"')
                self.assertEqual(problem["detail"], "An API key may not do this; use a user's access token.")
        self.refused(program.post("/v1/tasks/import", b"summary\n", headers=[("Content-Type", "text/csv")]), 403, 'Bearer error="insufficient_scope"')
        self.assertEqual(program.get("/v1/refdata/taskpriorities").status, 200)  # everybody's
        self.refused(program.post("/v1/auth/signout", None), 401, 'Bearer error="invalid_token"')

    def test_idempotency_key__is_the_api_keys_own(self):
        header = [("Idempotency-Key", '"once"')]
        one, key = self.program("jobs:enqueue")
        two, _ = self.program("jobs:enqueue")
        first, again, other = (api.post("/v1/jobs/report/runs", None, headers=header) for api in (one, one, two))
        self.assertEqual([answer.status for answer in (first, again, other)], [202, 202, 202], (first, again, other))
        self.assertEqual(first.json()["id"], again.json()["id"])
        self.assertNotEqual(first.json()["id"], other.json()["id"])
        self.refused(one.post("/v1/jobs/cleanup/runs", None, headers=header), 422)
        # What it leaves goes with it.
        self.assertEqual(self.boss.request("DELETE", f"/v1/api-keys/{key}").status, 204)
        wait_for(lambda: self.database.count("millrace.account", f"id = '{key}'") == 0, 30, "the end of the key's account")
        self.assertEqual(self.database.count("millrace.idempotency_key", f"user_id = '{key}'"), 0)
        # A process that takes the key for some seconds still has nobody to keep an answer for.
        self.refused(one.post("/v1/jobs/report/runs", None, headers=[("Idempotency-Key", '"late"')]), 401, 'Bearer error="invalid_token"')
        self.refused(one.post("/v1/jobs/report/runs", [{}, {}], headers=[("Idempotency-Key", '"late, many"')]), 401, 'Bearer error="invalid_token"')

    # ---- Ending ----

    def test_deleted__ends_in_every_process(self):
        here, key = self.program()
        there = self.other.api()
        self.addCleanup(there.close)
        there.token = here.token
        self.assertEqual([here.get("/v1/jobs").status, there.get("/v1/jobs").status], [200, 200])
        self.assertEqual(self.boss.request("DELETE", f"/v1/api-keys/{key}").status, 204)
        deleted = time.monotonic()
        for api in (here, there):
            last_good = deleted
            while True:
                asked = time.monotonic()
                answer = api.get("/v1/jobs")
                if answer.status != 200:
                    break
                last_good = asked
                self.assertLess(asked - deleted, 30)
                time.sleep(0.05)
            self.assertLess(last_good - deleted, ENDS_WITHIN)
            problem = self.refused(answer, 401, 'Bearer error="invalid_token"')
            self.assertIn("API key", problem["detail"])
        self.refused(self.boss.get(f"/v1/api-keys/{key}"), 404)

    def test_expired__ends_by_the_time_of_the_database(self):
        now = datetime.fromisoformat(self.database.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')")).replace(tzinfo=timezone.utc)
        program, key = self.program(expiresAt=(now + timedelta(hours=1)).isoformat())
        self.assertEqual(program.get("/v1/jobs").status, 200)
        # One that ends in a second is believed for no longer than that.
        program, key = self.program(expiresAt=(now + timedelta(hours=1)).isoformat())
        self.database.query(f"UPDATE millrace.api_key SET expires_at = now() + interval '1 second' WHERE id = '{key}'")
        program.get("/v1/jobs")
        wait_for(lambda: self.database.value(f"SELECT expires_at < now() FROM millrace.api_key WHERE id = '{key}'") == "t", 10, "its end")
        self.refused(program.get("/v1/jobs"), 401, 'Bearer error="invalid_token"')

    def test_unknown__is_401(self):
        api = self.api.api()
        self.addCleanup(api.close)
        good = self.make()["key"]
        for key in ("mk_" + "A" * 43, good[:-1], good + "A", "mk_", "mk_" + "!" * 43, good.upper(), good.replace("mk_", "mk-")):
            with self.subTest(key=key):
                self.refused(api.get("/v1/jobs", token=key), 401, 'Bearer error="invalid_token"')

    def test_last_use__is_noted_once_a_minute(self):
        program, key = self.program()
        for _ in range(5):
            self.assertEqual(program.get("/v1/jobs").status, 200)
        first = self.boss.get(f"/v1/api-keys/{key}").json()["lastUsedAt"]
        self.database.query(f"UPDATE millrace.api_key SET last_used_at = now() - interval '30 seconds' WHERE id = '{key}'")
        half = self.boss.get(f"/v1/api-keys/{key}").json()["lastUsedAt"]
        self.assertLess(half, first)
        there = self.other.api()  # which does not know the key
        self.addCleanup(there.close)
        self.assertEqual(there.get("/v1/jobs", token=program.token).status, 200)
        self.assertEqual(self.boss.get(f"/v1/api-keys/{key}").json()["lastUsedAt"], half)

    # ---- Away ----

    def test_database_away__a_known_key_goes_on_and_an_unknown_one_is_503(self):
        known, _ = self.program()
        new, _ = self.program()
        watch = support.Stopwatch()
        self.assertEqual(known.get("/v1/jobs").status, 200)
        self.away()
        # Known: the statement behind it is what fails, or a scope; not the key.
        answer = known.get("/v1/users/profile")
        if watch.passed() < KNOWN_FOR:
            self.refused(answer, 403, 'Bearer error="insufficient_scope"')
        answer = new.get("/v1/jobs")
        self.assertEqual(answer.status, 503, answer)
        self.assertTrue(answer.header("Retry-After"))

    # ---- Guessing ----

    def test_unknown_keys__count_as_attempts_at_a_password(self):
        server = module.server.api_process(self.name, RATE_LIMIT_AUTH_PER_MINUTE="3")
        self.addCleanup(server.kill)
        api = server.ready().api()
        self.addCleanup(api.close)
        made = self.make()
        good = made["key"]
        self.assertEqual(api.get("/v1/jobs", token=good).status, 200)
        statuses = [api.get("/v1/jobs", token=f"mk_{i:043d}").status for i in range(5)]
        self.assertEqual(statuses, [401, 401, 401, 429, 429])
        # It is known, and when it has to be asked for again, it is no guess: others at its address guess.
        self.database.query(f"UPDATE millrace.api_key SET last_used_at = NULL WHERE id = '{made['id']}'")
        unused = f"SELECT last_used_at IS NULL FROM millrace.api_key WHERE id = '{made['id']}'"

        def asked_again():
            wait_for(lambda: api.get("/v1/jobs", token=f"mk_{9:043d}").status == 429, 10, "no guess is left")
            self.assertEqual(api.get("/v1/jobs", token=good).status, 200)
            return self.database.value(unused) == "f"

        wait_for(asked_again, 30, "the key is verified again")

    # ---- Audit ----

    def test_audit__says_who_did_what(self):
        made = self.make("jobs:work")
        self.boss.request("DELETE", f"/v1/api-keys/{made['id']}")
        user = self.new_client()
        done = support.run("user", "grant-admin", self.database.value(f"SELECT username FROM millrace.app_user WHERE id = '{user.id}'"), DB_HOST=f"{module.server.state_dir}/{support.SERVER_DATABASE}",
                           DB_USER="postgres", DB_DATABASE=self.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        entries = self.boss.get("/v1/audit?limit=3").json()
        for entry in entries:
            self.assertRegex(entry.pop("at"), r"^20[0-9-]+T[0-9:.]+Z$")
        boss = {"by": "user", "callerId": self.boss.user["id"], "caller": self.boss.user["username"], "subjectType": "apiKey", "subjectId": made["id"]}
        self.assertEqual([{name: value for name, value in entry.items() if name != "id"} for entry in entries], [
            {"by": "command", "operation": "user grant-admin", "subjectType": "user", "subjectId": user.id, "detail": {"role": "admin"}},
            {**boss, "operation": "api_key_delete", "detail": {"name": "a program"}},
            {**boss, "operation": "api_key_create", "detail": {"name": "a program", "scopes": ["jobs:work"]}}])

    # ---- The command line ----

    def command(self, *arguments, **settings):
        return support.run("key", *arguments, **{"DB_HOST": f"{module.server.state_dir}/{support.SERVER_DATABASE}", "DB_USER": "postgres",
                                                 "DB_DATABASE": self.name, **settings})

    def test_command__takes_the_application_that_the_environment_file_names(self):
        folder = support.Scratch()
        folder.write({".env": "MILLRACE_APP=/nowhere/at/all\n"})
        done = self.command("make", "of a script", "jobs:work", cwd=folder.path)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("the application in '/nowhere/at/all' is refused", done.stderr)

    def test_command__makes_lists_and_deletes(self):
        done = self.command("make", "of a script\033[31m", "jobs:enqueue:report", "jobs:work", "jobs:work", "--expires", "2099-01-01T00:00:00Z")
        self.assertEqual(done.returncode, 0, done.stderr)
        key = done.stdout.rstrip("\n")
        self.assertRegex(key, KEY)
        self.assertNotIn(key, done.stderr)
        id = re.search(r"made the key ([0-9a-f-]{36});", done.stderr).group(1)
        program = self.api.api()
        self.addCleanup(program.close)
        self.assertEqual(program.get("/v1/jobs", token=key).status, 200)
        self.assertEqual(program.post("/v1/jobs/cleanup/runs", None, token=key).status, 403)
        told = self.boss.get(f"/v1/api-keys/{id}").json()
        self.assertEqual((told["name"], told["scopes"], told["expiresAt"], "createdBy" in told),
                         ("of a script\033[31m", ["jobs:enqueue:report", "jobs:work"], "2099-01-01T00:00:00.000Z", False))
        listed = self.command("list")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertRegex(listed.stdout, rf"{id} +of a script\?\[31m +jobs:enqueue:report jobs:work +20.* 2099-01-01T00:00:00Z")
        self.assertNotIn(key[3:], listed.stdout)
        gone = self.command("delete", id)
        self.assertEqual((gone.returncode, gone.stderr), (0, ""))
        wait_for(lambda: program.get("/v1/jobs", token=key).status == 401, 20, "nobody takes it")
        again = self.command("delete", id)
        self.assertEqual((again.returncode, again.stderr), (1, f"millrace key delete: there is no key {id}\n"))
        entries = [entry for entry in self.boss.get("/v1/audit?limit=20").json() if entry["subjectId"] == id]
        self.assertEqual([(entry["by"], entry["operation"], "callerId" in entry) for entry in entries],
                         [("command", "api_key_delete", False), ("command", "api_key_create", False)])

    def test_command__says_what_is_wrong(self):
        before = self.database.count("millrace.api_key")
        for arguments, status, text in ((("make", "n", "jobs:sleep", "jobs:work", "moon:write"), 1, "no operation knows jobs:sleep, moon:write"),
                                        (("make", "n", "jobs:work", "--expires", "2020-01-01T00:00:00Z"), 1, "must be in the future"),
                                        (("make", "n", "jobs:work", "--expires", "soon"), 2, "takes an instant"), (("make", "n"), 2, "takes make"),
                                        (("make", "n" * 101, "jobs:work"), 2, "1 to 100 characters"), (("make", "", "jobs:work"), 2, "1 to 100 characters"),
                                        (("make", "n", *["jobs:work"] * 33), 2, "1 to 32 scopes"), (("delete", "n"), 2, "takes the id"),
                                        ((), 2, "takes make"), (("list", "all"), 2, "takes make")):
            with self.subTest(arguments=arguments):
                done = self.command(*arguments)
                self.assertEqual((done.returncode, done.stdout), (status, ""))
                self.assertIn(text, done.stderr)
        self.assertEqual(self.database.count("millrace.api_key"), before)
        self.assertIn("cannot be reached", self.command("list", DB_HOST="/nowhere").stderr)

    def test_change_that_fails__leaves_no_entry(self):
        before = self.database.count("millrace.audit")
        self.boss.post("/v1/api-keys", {"name": "n", "scopes": ["nobody:knows"]})
        self.boss.request("DELETE", f"/v1/api-keys/{uuid.uuid4()}")
        self.assertEqual(self.database.count("millrace.audit"), before)

    # ---- Crowd ----

    def test_first_requests_at_once__all_wait_for_the_key(self):
        """Bodies and paths are held meanwhile, and each has its own answer."""
        self.database.query("INSERT INTO millrace.job (name, exclusive, manual) VALUES ('one', false, true), ('two', false, true) ON CONFLICT DO NOTHING")
        program, _ = self.program("jobs:admin")
        answers = {}

        def call(i):
            api = self.api.api()
            job = ("one", "two")[i % 2]
            answers[i] = (job, api.post(f"/v1/jobs/{job}/runs?x={'y' * 2000}", None, token=program.token))
            api.close()

        threads = [threading.Thread(target=call, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([(answer.status, answer.json()["job"]) for job, answer in answers.values()], [(202, job) for job, _ in answers.values()])


if __name__ == "__main__":
    unittest.main()
