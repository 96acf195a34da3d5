"""Debian's Prometheus scrapes an API and schedulers: the formats are clean, each alert rule fires when it is caused, and every
query of the dashboard has data."""

import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import unittest
import urllib.parse
import urllib.request
from concurrent import futures

import metrics
import support

RULES = os.path.join(metrics.ROOT, "docs", "prometheus", "rules.yml")
DASHBOARD = os.path.join(metrics.ROOT, "docs", "grafana", "millrace.json")
module = support.ModuleServer()


def setUpModule():
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        raise unittest.SkipTest("Prometheus is not installed (Debian: prometheus)")
    module.start()


def tearDownModule():
    module.stop()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Prometheus:
    """A server of the test's own. Alerts fire as soon as their expression holds; which have is remembered."""

    def __init__(self, targets):
        self.scratch = support.Scratch()
        self.port = support.free_port()
        self.fired = set()
        with open(self.scratch.join("rules.yml"), "w", encoding="utf-8") as file:
            file.write(re.sub(r"^( +)for: .*$", r"\1for: 0s", read(RULES), flags=re.M))
        jobs = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in targets.items()]
        with open(self.scratch.join("prometheus.yml"), "w", encoding="utf-8") as file:  # JSON is YAML, too
            json.dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
                       "rule_files": ["rules.yml"], "scrape_configs": jobs}, file)
        with open(self.scratch.join("log"), "w", encoding="utf-8") as log:
            self.child = subprocess.Popen(
                ["prometheus", "--config.file=" + self.scratch.join("prometheus.yml"), "--storage.tsdb.path=" + self.scratch.join("data"),
                 f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], stdout=log, stderr=subprocess.STDOUT)

    def ask(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(url, timeout=support.patience(30)) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """[(labels, value)]"""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=expression)["result"]]

    def firing(self):
        try:
            alerts = self.ask("alerts")["alerts"]
        except OSError:
            return self.fired
        self.fired.update(alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing")
        return self.fired

    def wait_for(self, *names):
        try:
            support.wait_for(lambda: self.firing().issuperset(names), 30, "alerts fire")
        except AssertionError as error:
            raise AssertionError(f"did not fire: {set(names) - self.fired}") from error

    def scraped(self, times):
        """Until each target was scraped so often."""
        support.wait_for(lambda: self.has(times), 30, "the targets are scraped")

    def has(self, times):
        try:
            rows = self.query("sum_over_time(up[10m])")
        except OSError:
            assert self.child.poll() is None, read(self.scratch.join("log"))
            return False
        return bool(rows) and all(value >= times for _, value in rows)

    def stop(self):
        self.child.terminate()
        self.child.wait(support.patience(20))
        self.scratch.remove()


class Formats(unittest.TestCase):
    def test_rules__and_figures_are_clean(self):
        checked = subprocess.run(["promtool", "check", "rules", RULES], text=True, capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        port = support.free_port()
        process = module.server.api_process(module.server.job_database(), ADMIN_PORT=port).ready()
        self.addCleanup(process.kill)
        scheduler = support.Scheduler(module.server, module.server.job_database(), ADMIN_PORT=support.free_port())
        self.addCleanup(scheduler.kill)
        scheduler.ready()
        for one in (process, scheduler):
            text = metrics.ask(one.settings["ADMIN_PORT"]).body
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_rules__wait_before_they_cry(self):
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        for path in (RULES, os.path.join(metrics.ROOT, "tests", "e2e", "rules_test.yml")):
            shutil.copy(path, scratch.path)
        checked = subprocess.run(["promtool", "test", "rules", scratch.join("rules_test.yml")], text=True, capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_documentation__says_of_every_alert_what_to_do(self):
        page = read(os.path.join(metrics.ROOT, "docs", "metrics.md"))
        self.assertEqual(sorted(re.findall(r"^\| `(Millrace\w+)`", page, re.M)), sorted(re.findall(r"alert: (\w+)", read(RULES))))


class Scraped(unittest.TestCase):
    """One Prometheus for all that happens; each method of trouble_* causes what its alerts are about."""

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.api_database, self.job_database, late = (module.server.job_database() for _ in range(3))
        port = support.free_port()
        self.api = self.start(module.server.api_process(
            self.api_database, ADMIN_PORT=port, MAILBOX_MAX_MESSAGES=4, GATEWAY_MAX_CONNECTIONS=20, RATE_LIMIT_PER_MINUTE=100,
            GATEWAY_REQUEST_TIMEOUT="60s", DB_LOCK_TIMEOUT="60s", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}"))  # which is no collector
        self.database = self.stack.enter_context(module.server.database(self.api_database))
        self.jobs = self.stack.enter_context(module.server.database(self.job_database))
        targets = {"millrace-api": self.api.settings["ADMIN_PORT"]}
        for name, missed, database in (("skips", "skip", self.job_database), ("late", "once", late)):
            self.run_late(database)
            process = self.start(support.Scheduler(module.server, database, ADMIN_PORT=support.free_port(), SCHEDULE_MISSED=missed, PUSH_ALLOW_PRIVATE="true",
                                                   SCHEDULE_TASK_CLEANUP_CRON="0 * * * *"))
            targets[f"millrace-scheduler-{name}"] = process.settings["ADMIN_PORT"]
        self.last_scheduler = process
        self.prometheus = Prometheus(targets)
        self.stack.callback(self.prometheus.stop)

    def start(self, process):
        self.stack.callback(process.kill)
        return process.ready()

    def run_late(self, database):
        """Ticks of some hours have nobody who made their runs when the next scheduler comes."""
        process = support.Scheduler(module.server, database, SCHEDULE_TASK_CLEANUP_CRON="0 * * * *")
        process.ready()
        self.assertEqual(process.stop(), 0)
        with module.server.database(database) as session:
            session.query("UPDATE millrace.job SET ticked_at = now() - interval '3 hours' WHERE name = 'cleanup'")

    def user(self):
        user = self.api.api().register()
        self.stack.callback(user.close)
        return user

    def post_tasks(self, users):
        return [users.submit(lambda: self.one_off("POST", "/v1/tasks", {"summary": "a task", "taskPriorityCode": "LOW"}))
                for _ in range(8)]

    def one_off(self, method, path, body=None, **options):
        client = self.api.api()
        client.token = self.writer.token
        try:
            return client.request(method, path, body, **options)
        finally:
            client.close()

    # ---- Trouble ----

    def trouble_lock(self):
        """Requests wait for a lock, more than the mailbox may hold."""
        with futures.ThreadPoolExecutor(8) as pool, support.TaskLock(self.database) as lock:
            waiting = self.post_tasks(pool)
            lock.wait_for_waiters()
            self.prometheus.wait_for("MillraceMailboxStuck", "MillraceOverloaded", "MillraceErrors")
            lock.release()
            statuses = [one.result().status for one in waiting]
        self.assertEqual((statuses.count(201), statuses.count(503)), (4, 4))
        self.prometheus.wait_for("MillraceSlow")

    def trouble_connections(self):
        with contextlib.ExitStack() as held:
            for _ in range(19):
                held.enter_context(self.api.connect())
            self.prometheus.wait_for("MillraceConnectionsFull")

    def trouble_callers(self):
        for _ in range(300):
            self.greedy.get("/v1/tasks/" + self.greedy.user["id"])
        guess = {"username": "nobody-of-that-name", "password": "not the password"}
        for _ in range(90):
            self.assertEqual(self.greedy.post("/v1/auth/signin", guess, token=None).status, 401)
        self.prometheus.wait_for("MillraceRateLimited", "MillraceSignInsRefused")

    def trouble_schema(self):
        self.database.query("ALTER TABLE task RENAME TO elsewhere")
        self.assertEqual(self.one_off("POST", "/v1/tasks", {"summary": "lost", "taskPriorityCode": "LOW"}).status, 500)
        self.database.query("ALTER TABLE elsewhere RENAME TO task")
        self.prometheus.wait_for("MillraceDatabaseErrors")

    def trouble_jobs(self):
        """A run fails for the last time; another waits behind one that is at work elsewhere."""
        self.jobs.query("ALTER TABLE task_change RENAME TO elsewhere")
        run = self.jobs.value("INSERT INTO millrace.job_run (id, job, trigger, exclusive, max_attempts) "
                              "VALUES (gen_random_uuid(), 'aggregate', 'manual', true, 1) RETURNING id")
        self.jobs.wait_for_run(run, state="dead")
        self.jobs.query("ALTER TABLE elsewhere RENAME TO task_change")
        self.jobs.query("INSERT INTO millrace.job_run (id, job, trigger, state, exclusive, slot, claimed_by, claim, attempt, started_at, heartbeat_at) "
                        "VALUES (gen_random_uuid(), 'report', 'manual', 'running', true, 'report', 'elsewhere', 1, 1, now(), now() + interval '1 hour')")
        self.jobs.query("INSERT INTO millrace.job_run (id, job, trigger, exclusive, run_after) "
                        "VALUES (gen_random_uuid(), 'report', 'manual', true, now() - interval '1 hour')")
        self.prometheus.wait_for("MillraceJobDead", "MillraceJobWaiting")

    def trouble_queues(self):
        """A receiver that nobody has; runs that nobody takes, that die, and that wait for a job that rests. What is seen of queues comes ten
        seconds later: that passes meanwhile."""
        self.jobs.query("INSERT INTO millrace.job (name, exclusive, manual, work, origin, url, secrets, attempts, retry_first_ms, retry_most_ms) VALUES "
                        "('call', false, false, 'push', 'managed', 'http://127.0.0.1:9/', ARRAY['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], 1000, 500, 500)")
        self.jobs.query("INSERT INTO millrace.job (name, exclusive, manual, work, origin, attempts, paused_at) VALUES ('aging', false, false, 'pull', 'managed', 10, NULL), "
                        "('dying', false, false, 'pull', 'managed', 1, NULL), ('resting', false, false, 'pull', 'managed', 10, now())")
        self.jobs.query("SELECT millrace.enqueue('call'), millrace.enqueue('aging'), millrace.enqueue('dying'), millrace.enqueue('resting')")
        self.jobs.query("UPDATE millrace.run SET due_at = now() - interval '1 hour' WHERE job IN ('aging', 'resting')")
        self.jobs.query("SELECT s.state FROM millrace.claim_runs('dying', 1, 60000, 'test', '') c "
                        "CROSS JOIN LATERAL millrace.settle_runs(ARRAY[c.id], ARRAY[c.claim], ARRAY['failed'], NULL, ARRAY['why'], NULL, NULL, NULL) s")

    def trouble_database(self):
        with module.server.database("postgres") as database:
            database.query(f'ALTER DATABASE "{self.api_database}" ALLOW_CONNECTIONS false')
            database.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.api_database}' "
                           "AND application_name ~ '^(auth|data-)'")
            self.prometheus.wait_for("MillraceDatabaseAway", "MillraceDatabaseUnsteady")
            database.query(f'ALTER DATABASE "{self.api_database}" ALLOW_CONNECTIONS true')
        self.api.ready()

    # ---- The test ----

    def test_prometheus__sees_what_happens(self):
        self.writer, self.greedy = self.user(), self.user()
        self.writer.create_task()
        self.writer.get("/v1/tasks")
        self.jobs.wait_for_run(self.jobs.add_run("cleanup"))
        self.prometheus.scraped(3)  # what is seen to rise has been seen before
        self.trouble_queues()
        self.trouble_lock()
        self.trouble_connections()
        self.trouble_callers()
        self.trouble_schema()
        self.jobs.wait_for_run(self.jobs.add_run("cleanup"))
        self.trouble_jobs()
        self.trouble_database()
        self.last_scheduler.kill()
        self.prometheus.wait_for(*re.findall(r"alert: (\w+)", read(RULES)))
        self.check_dashboard()

    def check_dashboard(self):
        """A rate needs two scrapes, and an alert may fire at the first."""
        queries = {target["expr"]: panel["title"] for panel in json.loads(read(DASHBOARD))["panels"] for target in panel.get("targets", ())}
        self.assertGreater(len(queries), 30)
        for expression, title in queries.items():
            asked = expression.replace("$__rate_interval", "10m").replace("$job", ".*")
            support.wait_for(lambda: any(math.isfinite(value) for _, value in self.prometheus.query(asked)), 30, f"{title}: {asked} gives values")
        known = set(re.findall(r"millrace_\w+", " ".join(queries)))
        for name in re.findall(r"^\| `(\w+)`", metrics.tables(metrics.header())["prometheus"], re.M):
            self.assertTrue(known & {name, name + "_bucket", name + "_sum", name + "_count"} or name in read(RULES), f"nobody looks at {name}")


if __name__ == "__main__":
    unittest.main()
