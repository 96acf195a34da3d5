"""What administrators see and do about jobs, and users about their runs, figures and reports: operation by operation."""

import re
import threading
import unittest
import uuid
from datetime import datetime, timedelta, timezone

import support
from support import wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

TIME = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")
CLEANUP_ARGS = {"scope": {"type": "text", "pattern": "completed|all"}, "completedAfter": {"type": "text", "pattern": "[0-9]{1,7}(ms|s|m|h)|[0-9]{1,4}d"}}
JOBS = ["aggregate", "bulk", "cleanup", "housekeeping", "import", "maintenance", "removal", "report"]
PRIORITIES = {"URGENT", "HIGH", "MEDIUM", "LOW", "BACKLOG"}
INTERNALS = re.compile(rb"SELECT|INSERT|sqlstate|postgres|job_run\b|app_user|libpq|\.c:|/tmp|relation|syntax", re.I)


def day(days=0):
    """So many days from today, as UTC has it."""
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y-%m-%d")


class JobsApiTest(support.TiersTest):
    """An API on a database of the class's own. No scheduler looks after it unless the test starts one: runs stay as they are."""

    module = module

    def setUp(self):
        self.database.query("TRUNCATE millrace.account, millrace.app_user, millrace.job_run, task_count, task_change CASCADE")
        self.admin = self.new_client("admin")
        self.user = self.new_client()

    def add_run(self, job="cleanup", state="queued", owner=None, **columns):
        """A run in a state of its life, as the job side writes it."""
        ended = state in ("succeeded", "dead", "cancelled")
        columns = {"attempt": 0 if state == "queued" else 1, "started_at": None if state == "queued" else "now", "finished_at": "now" if ended else None,
                   "heartbeat_at": "now", "exclusive": "false", "owner": owner, **columns}
        given = {name: value for name, value in columns.items() if value is not None}
        run_id = str(uuid.uuid4())
        self.database.query(f"INSERT INTO millrace.job_run (id, job, trigger, state, {', '.join(given)}) VALUES ('{run_id}', '{job}', "
                            f"'{'user' if owner else 'manual'}', '{state}', " + ", ".join(f"'{value}'" for value in given.values()) + ")")
        return run_id

    def assert_problem(self, answer, status, *fields):
        """An RFC 9457 document that names exactly these fields, and nothing of what is behind the API."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        problem = answer.json()
        self.assertEqual((problem["status"], problem["title"], problem["instance"]), (status, answer.reason, answer.header("X-Request-Id")))
        self.assertTrue(problem["type"] and problem["detail"])
        self.assertEqual([error["field"] for error in problem.get("errors", [])], list(fields))
        self.assertTrue(all(error["code"] and error["message"] for error in problem.get("errors", [])))
        self.assertIsNone(INTERNALS.search(answer.body), answer)
        return problem

    def ok(self, answer):
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((answer.header("Content-Type"), answer.header("Cache-Control")), ("application/json", "no-store"))
        return answer.json()


class Access(JobsApiTest):
    def test_admin_operations__want_a_token_and_an_administrator(self):
        for method, path in (("GET", "/v1/jobs"), ("GET", "/v1/jobs/cleanup"), ("GET", "/v1/jobs/cleanup/runs"), ("POST", "/v1/jobs/cleanup/runs"),
                             ("GET", "/v1/jobs/nosuch"), ("POST", "/v1/jobs/import/runs")):
            with self.subTest(method=method, path=path):
                answer = self.user.request(method, path, token=None)
                self.assert_problem(answer, 401)
                self.assertRegex(answer.header("WWW-Authenticate"), "^Bearer")
                self.assert_problem(self.user.request(method, path), 403)
                if method == "GET":
                    self.assertEqual([self.user.request("HEAD", path, token=token).status for token in (None, True)], [401, 403])
        self.assertEqual(self.database.count("millrace.job_run"), 0)

    def test_user_operations__want_a_token(self):
        run_id = self.add_run("import", owner=self.user.id)
        for method, path in (("GET", f"/v1/job-runs/{run_id}"), ("POST", f"/v1/job-runs/{run_id}/cancel"), ("GET", "/v1/stats/tasks"),
                             ("GET", "/v1/reports"), ("GET", f"/v1/reports/{uuid.uuid4()}")):
            with self.subTest(path=path):
                self.assert_problem(self.user.request(method, path, token=None), 401)
        self.assertEqual(self.database.run(run_id)["state"], "queued")

    def test_caller__who_is_gone_is_401(self):
        run_id = self.add_run()
        self.database.query(f"DELETE FROM millrace.app_user WHERE id IN ('{self.user.id}', '{self.admin.id}')")
        for path in (f"/v1/job-runs/{run_id}", "/v1/stats/tasks", "/v1/reports", f"/v1/reports/{uuid.uuid4()}"):
            with self.subTest(path=path):
                self.assert_problem(self.user.get(path), 401)
        self.assert_problem(self.user.post(f"/v1/job-runs/{run_id}/cancel", None), 401)
        self.assert_problem(self.admin.post("/v1/jobs/cleanup/runs", None), 401)
        self.assertEqual(self.database.count("millrace.job_run", "job <> 'removal'"), 1)


class Jobs(JobsApiTest):
    def test_list__has_all_of_them_with_what_is_known_of_each(self):
        jobs = self.ok(self.admin.get("/v1/jobs"))
        self.assertEqual([job["name"] for job in jobs], JOBS)
        nothing = {"succeeded": 0, "failed": 0, "dead": 0}
        figures = {"work": "sql", "depth": {"ready": 0, "later": 0, "running": 0, "dead": 0}, "lastMinute": nothing, "lastHour": nothing}
        for job in jobs:
            args = {"cleanup": CLEANUP_ARGS, "housekeeping": {}, "maintenance": {}, "removal": {}}.get(job["name"])
            self.assertEqual(job, {"name": job["name"], "origin": job["origin"], "enabled": False, **({} if args is None else {"args": args}), **figures})
        self.database.query("UPDATE millrace.job SET schedule = '0 3 * * *', timezone = 'Europe/Berlin', next_at = '2027-01-02T02:00Z' WHERE name = 'cleanup'")
        self.addCleanup(self.database.query, "UPDATE millrace.job SET schedule = NULL, timezone = NULL, next_at = NULL")
        scheduled = {"name": "cleanup", "origin": "engine", "schedule": "0 3 * * *", "timezone": "Europe/Berlin", "enabled": True,
                     "nextAt": "2027-01-02T02:00:00.000Z", "args": CLEANUP_ARGS, **figures}
        self.assertEqual(self.ok(self.admin.get("/v1/jobs"))[2], scheduled)
        self.assertEqual(self.ok(self.admin.get("/v1/jobs/cleanup")), scheduled)

    def test_last_run__is_the_newest_without_its_result(self):
        self.assertEqual(self.admin.post("/v1/jobs/cleanup/runs", None).status, 202)
        run = self.admin.post("/v1/jobs/cleanup/runs", None).json()
        self.assertEqual(self.ok(self.admin.get("/v1/jobs/cleanup"))["lastRun"], run)
        del run["waitsFor"]
        self.database.query(f"""UPDATE millrace.job_run SET state = 'dead', attempt = 5, scheduled_for = '2027-01-01T00:00Z', started_at = '2027-01-01T00:00:01Z',
            finished_at = '2027-01-01T00:00:02.5Z', done = 7, total = 9, result = '{{"tasks": 7}}', error = 'it broke' WHERE id = '{run['id']}'""")
        ended = self.ok(self.admin.get("/v1/job-runs/" + run["id"]))
        self.assertEqual(ended, {**run, "state": "dead", "attempt": 5, "scheduledFor": "2027-01-01T00:00:00.000Z", "startedAt": "2027-01-01T00:00:01.000Z",
                                 "finishedAt": "2027-01-01T00:00:02.500Z", "progress": {"done": 7, "total": 9}, "result": {"tasks": 7}, "error": "it broke"})
        del ended["result"]
        self.assertEqual(self.ok(self.admin.get("/v1/jobs/cleanup"))["lastRun"], ended)
        self.assertEqual([job.get("lastRun") for job in self.ok(self.admin.get("/v1/jobs"))], [None, None, ended] + [None] * 5)

    def test_job__that_there_is_not_is_404_and_a_name_that_cannot_be_one_400(self):
        for name in ("nosuch", "Cleanup", "cleanup%20", "%27%3B%20DROP%20TABLE%20job%3B%20--", "x" * 64):
            with self.subTest(name=name):
                for answer in (self.admin.get(f"/v1/jobs/{name}"), self.admin.get(f"/v1/jobs/{name}/runs"), self.admin.post(f"/v1/jobs/{name}/runs", None)):
                    self.assert_problem(answer, 404)
        for answer in (self.admin.get("/v1/jobs/" + "x" * 65), self.admin.get(f"/v1/jobs/{'x' * 65}/runs"), self.admin.post(f"/v1/jobs/{'x' * 65}/runs", None)):
            self.assert_problem(answer, 400, "job")

    def test_head__is_a_get_without_its_body(self):
        run_id = self.add_run()
        for path in ("/v1/jobs", "/v1/jobs/cleanup", "/v1/jobs/cleanup/runs", f"/v1/job-runs/{run_id}", "/v1/stats/tasks", "/v1/reports"):
            with self.subTest(path=path):
                get, head = self.admin.get(path), self.admin.request("HEAD", path)
                self.assertEqual((head.status, head.body), (200, b""))
                self.assertEqual(head.header("Content-Length"), str(len(get.body)))
        self.assertEqual(self.admin.request("HEAD", "/v1/jobs/nosuch").status, 404)


class Start(JobsApiTest):
    def start(self, job="cleanup", key=None, client=None, headers=(), body=None):
        headers = [*headers, ("Idempotency-Key", key)] if key is not None else headers
        return (client or self.admin).post(f"/v1/jobs/{job}/runs", body, headers=headers)

    def test_start__queues_a_run_and_says_where_it_is(self):
        for job in sorted(set(JOBS) - {"import", "bulk"}):
            answer = self.start(job)
            self.assertEqual(answer.status, 202, answer)
            run = answer.json()
            self.assertEqual(answer.header("Location"), "/v1/job-runs/" + run["id"])
            self.assertEqual(answer.header("Cache-Control"), "no-store")
            self.assertRegex(run.pop("createdAt"), TIME)
            self.assertEqual(run, {"id": run["id"], "job": job, "trigger": "manual", "state": "queued", "attempt": 0, "maxAttempts": 5, "progress": {"done": 0},
                                   "waitsFor": "scheduler"})
            self.assertEqual(self.ok(self.admin.get(answer.header("Location"))), answer.json())
            self.assertEqual(self.database.run(run["id"])["exclusive"], job not in ("removal", "bulk"))
        self.assertEqual(self.start(body={}).status, 202)

    def test_start__waits_for_a_scheduler_until_one_is_there(self):
        run_id = self.start().json()["id"]
        self.database.query("UPDATE millrace.job SET holders = jsonb_build_object('gone', now() - interval '1 second') WHERE name = 'cleanup'")
        self.assertEqual(self.ok(self.admin.get("/v1/job-runs/" + run_id))["waitsFor"], "scheduler")
        self.database.query("UPDATE millrace.job SET holders = jsonb_build_object('there', now() + interval '1 minute') WHERE name = 'report'")
        self.addCleanup(self.database.query, "UPDATE millrace.job SET holders = '{}'")
        self.assertNotIn("waitsFor", self.ok(self.admin.get("/v1/job-runs/" + run_id)))
        self.assertNotIn("waitsFor", self.start("report").json())
        self.database.query("UPDATE millrace.job SET holders = '{}'")
        self.database.query(f"UPDATE millrace.job_run SET state = 'running', attempt = 1 WHERE id = '{run_id}'")
        self.assertNotIn("waitsFor", self.ok(self.admin.get("/v1/job-runs/" + run_id)), "somebody has taken it")

    def test_start__of_the_import_is_409_and_says_why(self):
        problem = self.assert_problem(self.start("import", key="k"), 409, "job")
        self.assertRegex(problem["errors"][0]["message"], "by an upload")
        self.assertEqual((self.database.count("millrace.job_run"), self.database.count("millrace.idempotency_key")), (0, 0))

    def test_start__carries_the_trace_of_the_request(self):
        trace = "0af7651916cd43dd8448eb211c80319c"
        run = self.start(headers=[("traceparent", f"00-{trace}-b7ad6b7169203331-01")]).json()
        self.assertIn(trace, self.database.run(run["id"])["traceparent"])

    def test_key__used_again_gives_the_first_answer_also_when_the_run_is_over(self):
        first = self.start(key="nightly")
        self.database.query("UPDATE millrace.job_run SET state = 'succeeded', attempt = 1, done = 5, started_at = now(), finished_at = now()")
        again = self.start(key="nightly")
        self.assertEqual((again.status, again.json(), again.header("Location")), (202, first.json(), first.header("Location")))
        self.database.query("DELETE FROM millrace.job_run")  # its retention was shorter than the key's day
        self.assertEqual(self.start(key="nightly").json(), first.json())
        self.assertEqual(self.database.count("millrace.job_run"), 0)

    def test_key__used_for_something_else_is_422(self):
        self.assertEqual(self.start("cleanup", key="k").status, 202)
        self.assert_problem(self.start("report", key="k"), 422)
        self.assert_problem(self.admin.post("/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW"}, headers=[("Idempotency-Key", "k")]), 422)
        self.assertEqual((self.database.count("millrace.job_run"), self.database.count("task")), (1, 0))

    def test_key__is_one_administrators_and_a_days(self):
        first = self.start(key="k").json()["id"]
        second = self.start(key="k", client=self.new_client("admin")).json()["id"]
        self.database.query("UPDATE millrace.idempotency_key SET created_at = now() - interval '25 hours'")
        third = self.start("report", key="k").json()["id"]
        self.assertEqual(len({first, second, third}), 3)

    def test_key__of_a_refusal_is_free(self):
        self.assert_problem(self.start("nosuch", key="k"), 404)
        self.assert_problem(self.start("import", key="k"), 409, "job")
        self.assertEqual(self.start("cleanup", key="k").status, 202)

    def test_key__of_a_bad_length_is_400_and_names_the_header(self):
        self.assertEqual(self.start(key="k" * 255).status, 202)
        for key in ("", "k" * 256):
            with self.subTest(length=len(key)):
                self.assert_problem(self.start(key=key), 400, "Idempotency-Key")
        self.assertEqual(self.database.count("millrace.job_run"), 1)

    def test_key__of_many_at_once_starts_one_run(self):
        clients = [self.api.api() for _ in range(8)]
        answers = []

        def start(client):
            client.token = self.admin.token
            answers.append(self.start(key="k", client=client))
            client.close()

        threads = [threading.Thread(target=start, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertLessEqual({answer.status for answer in answers}, {202, 409})
        self.assertEqual(len({answer.json()["id"] for answer in answers if answer.status == 202}), 1)
        self.assertEqual(self.database.count("millrace.job_run"), 1)


class Runs(JobsApiTest):
    def test_list__is_walked_by_link_to_the_end_newest_first(self):
        made = [self.admin.post("/v1/jobs/report/runs", None).json()["id"] for _ in range(7)]
        self.add_run("cleanup")
        seen, path, pages = [], "/v1/jobs/report/runs?limit=3", []
        while path:
            answer = self.admin.get(path)
            runs = self.ok(answer)
            pages.append(len(runs))
            seen += [run["id"] for run in runs]
            head = self.admin.request("HEAD", path)
            self.assertEqual((head.status, head.body, head.header("Link")), (200, b"", answer.header("Link")))
            link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.header("Link") or "")
            path = link and link.group(1)
        self.assertEqual((seen, pages), (made[::-1], [3, 3, 1]))

    def test_list__that_fills_its_last_page_has_no_link_behind_it(self):
        for _ in range(3):
            self.add_run("report")
        answer = self.admin.get("/v1/jobs/report/runs?limit=3")
        self.assertEqual((len(self.ok(answer)), answer.header("Link")), (3, None))
        self.assertEqual(self.ok(self.admin.get("/v1/jobs/aggregate/runs")), [])

    def test_list__has_fifty_unless_told_otherwise(self):
        for _ in range(51):
            self.add_run("report")
        self.assertEqual(len(self.ok(self.admin.get("/v1/jobs/report/runs"))), 50)
        self.assertEqual(len(self.ok(self.admin.get("/v1/jobs/report/runs?limit=100"))), 51)

    def test_list__bad_values_are_400_and_name_the_parameter(self):
        for query, *fields in (("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=", "limit"), ("cursor=x", "cursor"),
                               ("cursor=" + "g" * 32, "cursor"), ("limit=0&cursor=x", "limit", "cursor")):
            with self.subTest(query=query):
                self.assert_problem(self.admin.get("/v1/jobs/report/runs?" + query), 400, *fields)
        self.ok(self.admin.get("/v1/jobs/report/runs?unknown=1"))

    def test_run__is_its_owners_and_administrators(self):
        run_id = self.add_run("import", owner=self.user.id)
        mine = self.ok(self.user.get("/v1/job-runs/" + run_id))
        self.assertEqual((mine["id"], mine["job"], mine["trigger"]), (run_id, "import", "user"))
        self.assertEqual(self.ok(self.admin.get("/v1/job-runs/" + run_id)), mine)
        for path in (run_id, self.add_run("cleanup"), uuid.uuid4()):  # somebody else's, nobody's, none: all look alike
            self.assert_problem(self.new_client().get(f"/v1/job-runs/{path}"), 404)
        self.assert_problem(self.admin.get(f"/v1/job-runs/{uuid.uuid4()}"), 404)
        for path in ("x", run_id[:-1], run_id + "0", "'"):
            self.assert_problem(self.admin.get("/v1/job-runs/" + path), 400, "runId")

    def test_owner__never_shows(self):
        run_id = self.add_run("import", owner=self.user.id, args='{"format": "text/csv", "parts": 1}', claimed_by="host:1:2", claim=7)
        self.assertLessEqual(set(self.ok(self.admin.get("/v1/job-runs/" + run_id))), {
            "id", "job", "trigger", "state", "attempt", "maxAttempts", "scheduledFor", "createdAt", "startedAt", "finishedAt", "progress", "result", "error", "waitsFor"})


class Cancel(JobsApiTest):
    def cancel(self, run_id, client=None):
        return (client or self.admin).post(f"/v1/job-runs/{run_id}/cancel", None)

    def test_cancel__of_what_is_not_at_work_is_done_at_once(self):
        for state in ("queued", "failed"):
            run_id = self.add_run(state=state)
            answer = self.cancel(run_id)
            self.assertEqual(answer.status, 202, answer)
            self.assertEqual(answer.json()["state"], "cancelled")
            self.assertRegex(answer.json()["finishedAt"], TIME)
            self.assertEqual(self.ok(self.admin.get("/v1/job-runs/" + run_id)), answer.json())

    def test_cancel__of_what_is_over_is_409_and_changes_nothing(self):
        for state in ("succeeded", "dead", "cancelled"):
            run_id = self.add_run(state=state)
            before = self.database.run(run_id)
            self.assert_problem(self.cancel(run_id), 409, "state")
            self.assertEqual(self.database.run(run_id), before)

    def test_cancel__of_what_is_at_work_is_asked_for_and_may_be_asked_again(self):
        run_id = self.add_run(state="running")
        for _ in range(2):
            answer = self.cancel(run_id)
            self.assertEqual((answer.status, answer.json()["state"]), (202, "running"), answer)
            self.assertNotIn("finishedAt", answer.json())
        self.assertTrue(self.database.run(run_id)["cancel_requested"])

    def test_cancel__stops_a_run_after_the_chunk_in_hand_and_keeps_what_it_did(self):
        self.database.add_tasks(self.user.id, 3000, days_old=60, complete=True)
        self.database.slow_down()
        with module.server.database(self.name) as holder, support.TaskLock(holder) as lock:
            process = self.scheduler(JOB_CHUNK_ROWS=100)
            run_id = self.admin.post("/v1/jobs/cleanup/runs", None).json()["id"]
            lock.wait_for_waiters()
            lock.release()
            self.database.wait_for_run(run_id, 20, "running", done=100)
            lock.database.query("BEGIN; LOCK TABLE task IN ACCESS EXCLUSIVE MODE")
            wait_for(lambda: self.database.count("pg_locks", "NOT granted AND relation = 'task'::regclass"), 20, "a chunk is in hand")
            sender = threading.Thread(target=lambda: self.assertEqual(self.cancel(run_id).status, 202))
            sender.start()
            wait_for(lambda: self.database.count("pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock'") == 2, 20,
                     "the cancellation waits for the chunk")
            self.database.hurry()
            lock.release()
            sender.join()
        row = self.database.wait_for_run(run_id, 20, "cancelled")
        self.assertEqual(self.database.count("task"), 3000 - row["done"])
        self.assertGreater(self.database.count("task"), 0)
        wait_for(lambda: process.outcomes(run_id) == [("cancelled", 1)], 5, "it is logged")

    def test_cancelled__is_never_begun(self):
        run_id = self.add_run()
        self.cancel(run_id)
        process = self.scheduler()
        self.database.wait_for_run(self.database.add_run("cleanup"))
        self.assertEqual((self.database.run(run_id)["state"], process.outcomes(run_id)), ("cancelled", []))

    def test_cancel__is_the_owners_of_an_import_and_administrators(self):
        run_id = self.add_run("import", owner=self.user.id)
        for theirs in (run_id, self.add_run("cleanup"), uuid.uuid4()):
            self.assert_problem(self.cancel(theirs, self.new_client()), 404)
        self.assert_problem(self.cancel("x"), 400, "runId")
        self.assertEqual(self.database.run(run_id)["state"], "queued")
        self.assertEqual(self.cancel(run_id, self.user).json()["state"], "cancelled")
        self.assertEqual(self.cancel(self.add_run("import", owner=self.user.id)).status, 202)


class Made(JobsApiTest):
    """What jobs make for users: with a scheduler."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_class_scheduler()

    def work(self, job):
        return self.admin.run_job(job)


class Stats(Made):
    def stats(self, query="", client=None):
        return self.ok((client or self.user).get("/v1/stats/tasks" + query))

    def on(self, date, client=None):
        (only,) = self.stats(f"?from={date}&to={date}", client)
        self.assertEqual(only.pop("date"), date)
        return only

    def move(self, **columns):
        """As if the user's tasks were of another time."""
        self.database.query(f"UPDATE task SET {', '.join(f'{name} = {value}' for name, value in columns.items())} WHERE user_id = '{self.user.id}'")

    def test_stats__of_nothing_are_thirty_days_of_zeros_up_to_today(self):
        before = day()
        days = self.stats()
        self.assertIn(days[-1]["date"], (before, day()))
        last = datetime.strptime(days[-1]["date"], "%Y-%m-%d")
        self.assertEqual(days, [{"date": (last - timedelta(days=i)).strftime("%Y-%m-%d"), "created": 0, "completed": 0, "overdue": 0}
                                for i in reversed(range(30))])

    def test_span__has_both_its_ends_and_is_days_of_utc(self):
        for query, first, last, count in (("from=2026-02-27&to=2026-03-02", "2026-02-27", "2026-03-02", 4),
                                          ("from=2024-02-28&to=2024-03-01", "2024-02-28", "2024-03-01", 3),
                                          ("from=2026-05-05&to=2026-05-05", "2026-05-05", "2026-05-05", 1),
                                          ("to=2026-03-30", "2026-03-01", "2026-03-30", 30),
                                          ("from=2025-01-01&to=2026-01-02", "2025-01-01", "2026-01-02", 367),
                                          ("from=2026-01-01T23:30:00-02:00&to=2026-01-03T00:30:00%2B02:00", "2026-01-02", "2026-01-02", 1)):
            with self.subTest(query=query):
                days = self.stats("?" + query)
                self.assertEqual((days[0]["date"], days[-1]["date"], len(days)), (first, last, count))
        self.assertEqual(len(self.stats(f"?from={day(-3)}")), 4)

    def test_span__that_is_none_is_400_and_names_the_parameter(self):
        for query, *fields in (("from=2026-03-02&to=2026-03-01", "from"), ("from=2025-01-01&to=2026-01-03", "from"), (f"from={day(-400)}", "from"),
                               (f"from={day(2)}", "from"), ("from=x", "from"), ("to=2026-02-30", "to"), ("from=&to=", "from", "to"),
                               ("from=yesterday&to=today", "from", "to"), ("from=%27%3B--", "from"), ("from=0001-01-01&to=9999-12-31", "from"),
                               ("from=infinity", "from"), ("to=-infinity", "to")):
            with self.subTest(query=query):
                self.assert_problem(self.user.get("/v1/stats/tasks?" + query), 400, *fields)

    def test_span__that_is_refused_costs_nothing(self):
        self.user.get("/v1/stats/tasks")
        watch = support.Stopwatch()
        self.assert_problem(self.user.get("/v1/stats/tasks?from=0001-01-01&to=9999-12-31"), 400, "from")
        self.assertLess(watch.seconds(), support.patience(1))  # four million days took seconds

    def test_figures__are_those_of_the_day_and_of_the_user_once_the_job_has_run(self):
        self.user.create_task()
        self.user.create_task(isComplete=True)
        other = self.new_client()
        other.create_task()
        self.move(created_at="now() - interval '3 days'")
        self.work("aggregate")
        self.assertEqual(self.on(day(-3)), {"created": 2, "completed": 1, "overdue": 0})
        self.assertEqual(sum(entry["created"] + entry["completed"] for entry in self.stats()), 3)
        self.assertEqual(sum(entry["created"] for entry in self.stats(client=other)), 1)

    def test_figures__are_right_again_after_late_changes(self):
        self.user.create_task(dueAt=day(-2) + "T12:00:00Z")
        done = self.user.create_task(isComplete=True)
        self.move(created_at="now() - interval '5 days'")
        self.work("aggregate")
        self.assertEqual((self.on(day(-5)), self.on(day(-2))), ({"created": 2, "completed": 1, "overdue": 0}, {"created": 0, "completed": 0, "overdue": 1}))
        late = self.user.create_task(dueAt=day(-2))
        self.database.query(f"UPDATE task SET created_at = now() - interval '5 days' WHERE id = '{late['id']}'")
        self.user.request("PATCH", f"/v1/tasks/{done['id']}", {"isComplete": False})
        self.work("aggregate")
        self.assertEqual((self.on(day(-5)), self.on(day(-2))), ({"created": 3, "completed": 0, "overdue": 0}, {"created": 0, "completed": 0, "overdue": 2}))
        self.user.request("PATCH", f"/v1/tasks/{late['id']}", {"dueAt": day(-1)})
        self.work("aggregate")
        self.assertEqual([self.on(day(-days))["overdue"] for days in (2, 1)], [1, 1])
        before = self.stats()
        self.work("aggregate")
        self.assertEqual(self.stats(), before)

    def test_figures__of_a_user_who_is_removed_meanwhile_are_dropped_and_the_others_kept(self):
        other = self.new_client()
        for client in (self.user, other):
            client.create_task()
        with module.server.database(self.name) as holder:
            holder.query(f"BEGIN; DELETE FROM millrace.app_user WHERE id = '{self.user.id}'")
            run_id = self.admin.post("/v1/jobs/aggregate/runs", None).json()["id"]
            self.assertEqual(self.database.wait_for_run(run_id)["attempt"], 1)  # neither waits for the other
            holder.query("COMMIT")
        wait_for(lambda: not self.database.count("millrace.account", f"id = '{self.user.id}'"), 20, "all of it is gone")
        self.assertEqual(self.database.count("task_stat", f"user_id = '{self.user.id}'"), 0)
        self.assertEqual(sum(entry["created"] for entry in self.stats(client=other)), 1)

    def test_overdue__of_today_is_counted_when_asked(self):
        due = datetime.now(timezone.utc) - timedelta(milliseconds=1)
        date = due.strftime("%Y-%m-%d")
        task = self.user.create_task(dueAt=due.isoformat())
        self.work("aggregate")
        self.assertEqual(self.on(date)["overdue"], 1)
        self.user.request("PATCH", f"/v1/tasks/{task['id']}", {"isComplete": True})
        self.work("aggregate")
        self.assertEqual(self.on(date)["overdue"], 1)  # it was completed too late
        self.assertEqual(self.on(day(1))["overdue"], 0)

    def test_deletion_and_cleanup__never_lower_the_figures_of_days_that_are_over(self):
        self.user.create_task(dueAt=day(-38))
        for _ in range(2):
            self.user.create_task(isComplete=True, dueAt=day(-45))
        gone = self.user.create_task()
        self.move(created_at="now() - interval '40 days'")
        span = f"?from={day(-50)}&to={day(-30)}"
        self.work("aggregate")
        before = self.stats(span)
        self.assertEqual((self.on(day(-40)), self.on(day(-38))["overdue"], self.on(day(-45))["overdue"]), ({"created": 4, "completed": 2, "overdue": 0}, 1, 2))
        self.assertEqual(self.user.request("DELETE", f"/v1/tasks/{gone['id']}").status, 204)
        self.assertEqual(self.work("cleanup")["result"]["tasks"], 2)
        self.assertEqual(self.stats(span), before)
        self.work("aggregate")
        self.assertEqual(self.stats(span), before)
        self.assertEqual(self.database.count("task"), 1)

    def test_cleanup__before_the_figures_are_added_up_does_not_lower_them_either(self):
        self.user.create_task(isComplete=True)
        self.move(created_at="now() - interval '40 days'")
        self.assertEqual(self.work("cleanup")["result"]["tasks"], 1)
        self.work("aggregate")
        self.assertEqual(self.on(day(-40)), {"created": 1, "completed": 1, "overdue": 0})


class Reports(Made):
    def week(self):
        """The Monday that the week of now began with."""
        now = datetime.now(timezone.utc)
        return (now - timedelta(days=now.weekday())).strftime("%Y-%m-%dT00:00:00.000Z")

    def test_reports__of_somebody_who_has_none(self):
        self.assertEqual(self.ok(self.user.get("/v1/reports")), [])

    def test_report__by_hand_is_the_week_so_far_of_every_user_and_is_made_anew(self):
        self.user.create_task(taskPriorityCode="HIGH", isComplete=True)
        self.user.create_task(taskPriorityCode="LOW", dueAt="2020-01-01")
        began = self.week()
        self.assertEqual(self.work("report")["progress"]["done"], 2)
        (report,) = self.ok(self.user.get("/v1/reports"))
        self.assertEqual(set(report), {"id", "period", "createdAt", "figures"})
        self.assertEqual(set(report["period"]), {"from", "to"})
        self.assertIn(report["period"]["from"], (began, self.week()))
        self.assertLessEqual(report["period"]["to"], report["createdAt"])
        for text in (report["createdAt"], report["period"]["to"]):
            self.assertRegex(text, TIME)
        figures = report["figures"]
        self.assertEqual({name: figures[name] for name in ("created", "completed", "open", "overdue")}, {"created": 2, "completed": 1, "open": 1, "overdue": 1})
        nothing = {"created": 0, "completed": 0, "open": 0, "overdue": 0}
        self.assertEqual(figures["byPriority"], {**{code: nothing for code in PRIORITIES}, "HIGH": {"created": 1, "completed": 1, "open": 0, "overdue": 0},
                                                 "LOW": {"created": 1, "completed": 0, "open": 1, "overdue": 1}})
        self.assertEqual(self.ok(self.user.get("/v1/reports/" + report["id"])), report)
        self.assertEqual(self.ok(self.admin.get("/v1/reports"))[0]["figures"]["created"], 0)
        self.user.create_task()
        self.work("report")
        (again,) = self.ok(self.user.get("/v1/reports"))
        self.assertEqual((again["id"], again["figures"]["created"]), (report["id"], 3))

    def test_reports__of_a_schedule_are_of_the_week_before_and_listed_newest_first(self):
        for tick in ("2026-03-02T05:00Z", "2026-03-16T05:00Z", "2026-03-09T05:00Z"):
            run_id = self.add_run("report", scheduled_for=tick)
            self.database.query("NOTIFY millrace_jobs")
            self.database.wait_for_run(run_id)
        self.assertEqual([report["period"] for report in self.ok(self.user.get("/v1/reports"))],
                         [{"from": f"2026-{start}T00:00:00.000Z", "to": f"2026-{end}T00:00:00.000Z"}
                          for start, end in (("03-09", "03-16"), ("03-02", "03-09"), ("02-23", "03-02"))])

    def test_report__is_its_users_only(self):
        self.work("report")
        (report,) = self.ok(self.user.get("/v1/reports"))
        for client in (self.new_client(), self.admin):
            self.assert_problem(client.get("/v1/reports/" + report["id"]), 404)
        self.assert_problem(self.user.get(f"/v1/reports/{uuid.uuid4()}"), 404)
        for path in ("x", report["id"] + "0"):
            self.assert_problem(self.user.get("/v1/reports/" + path), 400, "reportId")


class Zones(JobsApiTest):
    """Each with a scheduler of its own zone."""

    def test_reports__have_the_week_of_the_zone_whatever_its_clocks_do(self):
        """The tick, and the bounds of its report, in UTC: Mondays at five in Tokyo, and at midnight where the clocks change."""
        for zone, tick, begin, end in (("Asia/Tokyo", "2026-03-01T20:00Z", "2026-02-22T15:00", "2026-03-01T15:00"),
                                       ("Asia/Tokyo", "2026-03-01T14:59Z", "2026-02-15T15:00", "2026-02-22T15:00"),
                                       ("America/Los_Angeles", "2026-06-08T06:30Z", "2026-05-25T07:00", "2026-06-01T07:00"),
                                       ("Europe/Berlin", "2026-03-29T22:00Z", "2026-03-22T23:00", "2026-03-29T22:00"),
                                       ("Europe/Berlin", "2026-10-26T04:00Z", "2026-10-18T22:00", "2026-10-25T23:00"),
                                       ("Europe/Berlin", "2026-10-25T22:59Z", "2026-10-11T22:00", "2026-10-18T22:00"),
                                       # A week of six days: there was no 30 December.
                                       ("Pacific/Apia", "2012-01-02T05:00Z", "2011-12-26T10:00", "2012-01-01T10:00")):
            with self.subTest(zone=zone, tick=tick):
                self.database.query("DELETE FROM report; DELETE FROM task")
                for at in (f"{begin}Z'::timestamptz - interval '1 ms", f"{begin}Z", f"{end}Z'::timestamptz - interval '1 ms", f"{end}Z"):
                    self.database.query("INSERT INTO task (id, user_id, summary, priority_code, created_at) "
                                        f"VALUES (gen_random_uuid(), '{self.user.id}', 'x', 'LOW', '{at}')")
                process = self.scheduler(SCHEDULE_TIMEZONE=zone)
                self.database.wait_for_run(self.add_run("report", scheduled_for=tick))
                process.kill()
                (report,) = self.ok(self.user.get("/v1/reports"))
                self.assertEqual(report["period"], {"from": begin + ":00.000Z", "to": end + ":00.000Z"})
                self.assertEqual((report["figures"]["created"], report["figures"]["open"]), (2, 3))

    def test_figures__of_a_day_are_those_of_utc_whatever_the_zone(self):
        self.database.query("DELETE FROM task")
        self.database.query("INSERT INTO task (id, user_id, summary, priority_code, created_at) "
                            f"VALUES (gen_random_uuid(), '{self.user.id}', 'x', 'LOW', '2026-03-01T23:30Z')")
        self.scheduler(SCHEDULE_TIMEZONE="Asia/Tokyo")
        self.database.wait_for_run(self.add_run("aggregate"))
        days = {day["date"]: day["created"] for day in self.ok(self.user.get("/v1/stats/tasks?from=2026-03-01&to=2026-03-02"))}
        self.assertEqual(days, {"2026-03-01": 1, "2026-03-02": 0})


class Errors(JobsApiTest):
    def test_methods__that_there_are_not_are_405(self):
        for method, path, allowed in (("DELETE", "/v1/jobs", {"GET", "HEAD"}), ("POST", "/v1/jobs/cleanup", {"DELETE", "GET", "HEAD", "PATCH", "PUT"}),
                                      ("DELETE", "/v1/jobs/cleanup/runs", {"GET", "HEAD", "POST"}), ("GET", f"/v1/job-runs/{uuid.uuid4()}/cancel", {"POST"}),
                                      ("POST", "/v1/stats/tasks", {"GET", "HEAD"}), ("DELETE", f"/v1/reports/{uuid.uuid4()}", {"GET", "HEAD"})):
            with self.subTest(method=method, path=path):
                answer = self.admin.request(method, path, {} if method in ("POST", "PUT") else None)
                self.assert_problem(answer, 405)
                self.assertEqual(set(answer.header("Allow").split(", ")), allowed | {"OPTIONS"})

    def without(self, *tables):
        """As if these tables were lost."""
        for table in tables:
            schema, dot, name = table.rpartition(".")
            self.database.query(f"ALTER TABLE {table} RENAME TO lost_{name}")
            self.addCleanup(self.database.query, f"ALTER TABLE {schema}{dot}lost_{name} RENAME TO {name}")

    def test_error_of_ours__is_500_and_tells_nothing_of_what_is_behind(self):
        run_id = self.add_run()
        self.without("millrace.job_run", "millrace.every_run", "report", "task_stat")
        for method, path in (("GET", "/v1/jobs"), ("GET", "/v1/jobs/cleanup"), ("GET", "/v1/jobs/cleanup/runs"), ("POST", "/v1/jobs/cleanup/runs"),
                             ("GET", f"/v1/job-runs/{run_id}"), ("POST", f"/v1/job-runs/{run_id}/cancel"), ("GET", "/v1/stats/tasks"),
                             ("GET", "/v1/reports"), ("GET", f"/v1/reports/{uuid.uuid4()}")):
            with self.subTest(method=method, path=path):
                self.assert_problem(self.admin.request(method, path), 500)

    def test_error_of_a_run__says_that_a_statement_was_refused_and_not_which(self):
        process = self.scheduler()
        self.without("task_stat")
        run_id = self.admin.post("/v1/jobs/aggregate/runs", None).json()["id"]
        wait_for(lambda: process.outcomes(run_id), 20, "it fails")
        self.assertEqual(self.ok(self.admin.get("/v1/job-runs/" + run_id))["error"], "a statement was refused (SQLSTATE 42P01)")


if __name__ == "__main__":
    unittest.main()
