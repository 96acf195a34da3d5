"""The admin port: the figures of every role in both formats, and whether a process lives and is ready."""

import re
import signal
import unittest
from concurrent import futures

import metrics
import support

module = support.ModuleServer(DB_LOCK_TIMEOUT="60s", GATEWAY_REQUEST_TIMEOUT="60s")


def setUpModule():
    module.start(ADMIN_PORT=support.free_port())


def tearDownModule():
    module.stop()


def admin_port(process):
    return int(process.settings["ADMIN_PORT"])


def scrape(process):
    return metrics.samples(metrics.ask(admin_port(process)).body)


class Format(unittest.TestCase):
    def setUp(self):
        self.port = admin_port(module.server)

    def test_metrics__are_text_unless_open_metrics_is_asked_for(self):
        for accept, kind in ((None, "text/plain; version=0.0.4"), ("*/*", "text/plain; version=0.0.4"),
                             ("application/openmetrics-text; version=1.0.0; q=0, text/plain", "text/plain; version=0.0.4"),
                             ("application/openmetrics-text; version=1.0.0;Q=0.00", "text/plain; version=0.0.4"),
                             ("application/openmetrics-text; version=0.0.1", "text/plain; version=0.0.4"),
                             ("application/openmetrics-text", metrics.OPEN_METRICS),
                             ("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.8", metrics.OPEN_METRICS)):
            answer = metrics.ask(self.port, accept=accept)
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, kind + "; charset=utf-8"), accept)
            self.assertEqual(answer.body.endswith("# EOF\n"), kind == metrics.OPEN_METRICS)

    def test_open_metrics__names_families_without_the_suffix_of_their_samples(self):
        body = metrics.ask(self.port, accept=metrics.OPEN_METRICS).body
        self.assertIn("# TYPE millrace_http_requests counter\n", body)
        self.assertIn("# TYPE millrace_build info\n", body)
        self.assertIn("# UNIT millrace_http_sent_bytes bytes\n", body)
        self.assertIn('\nmillrace_http_requests_total{op="task_get",class="5xx"} 0\n', body)
        text = metrics.ask(self.port).body
        self.assertIn("# TYPE millrace_http_requests_total counter\n", text)
        self.assertIn("# TYPE millrace_build_info gauge\n", text)
        self.assertNotIn("# UNIT", text)

    def test_families__are_those_of_the_table_and_stand_together(self):
        body = metrics.ask(self.port).body
        table = metrics.tables(metrics.header())["prometheus"]
        documented = set(re.findall(r"^\| `(\w+)`", table, re.M))
        heads = re.findall(r"^# TYPE (\w+) ", body, re.M)
        self.assertEqual(sorted(heads), sorted(documented))
        family = None
        for line in body.splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ")[2]
            elif not line.startswith("#"):
                name = re.match(r"\w+", line)[0]
                self.assertIn(name, (family, family + "_bucket", family + "_sum", family + "_count"))

    def test_port__knows_three_paths_and_two_methods(self):
        for path, method, status in (("/", "GET", 404), ("/v1/health", "POST", 404), ("/metrics", "POST", 405), ("/metrics", "HEAD", 200),
                                     ("/livez", "GET", 200), ("/readyz", "GET", 200)):
            answer = metrics.ask(self.port, path, method=method, body=b"x" * 5000 if status in (404, 405) else None)
            self.assertEqual(answer.status, status, path)
            if status == 405:
                self.assertEqual(answer.headers["Allow"], "GET, HEAD")
            if method == "HEAD":
                self.assertEqual(answer.body, "")

    def test_metrics__are_not_on_the_port_of_the_api(self):
        api = module.server.api()
        self.addCleanup(api.close)
        self.assertEqual(api.get("/metrics").status, 404)


class Figures(unittest.TestCase):
    def test_requests__are_counted_by_operation_and_class(self):
        before = scrape(module.server)
        user = module.server.api().register()
        self.addCleanup(user.close)
        user.create_task()
        user.get("/no-such-path")
        user.get("/v1/tasks/no-id")
        user.post("/v1/auth/signin", {"username": user.user["username"], "password": "not the password"}, token=None)
        expected = [f'millrace_http_requests_total{{op="{op}",class="{kind}"}}' for op, kind in (
            ("register", "2xx"), ("task_create", "2xx"), ("none", "4xx"), ("task_get", "4xx"), ("sign_in", "4xx"))]
        expected += ['millrace_http_request_duration_seconds_count{op="task_create"}', "millrace_sign_ins_refused_total",
                     'millrace_batch_messages_sum{actor="data-writer"}',
                     'millrace_database_statement_duration_seconds_count{actor="data-writer"}']

        def more():
            after = scrape(module.server)
            return {sample: after.get(sample, 0) - before.get(sample, 0) for sample in expected}

        # An answer is with its client a moment before it is counted, and another thread tells the figures.
        support.wait_for(lambda: all(more().values()), 5, "everything is counted")
        self.assertEqual(more(), dict.fromkeys(expected, 1))

    def test_bytes__are_those_that_went_over_the_wire(self):
        before = scrape(module.server)
        user = module.server.api()
        self.addCleanup(user.close)
        answer = user.get("/v1/refdata/taskpriorities", headers=[("X-Padding", "x" * 4000)])

        def grown():
            after = scrape(module.server)
            return (after["millrace_http_received_bytes_total"] - before["millrace_http_received_bytes_total"] > 4000 and
                    after["millrace_http_sent_bytes_total"] - before["millrace_http_sent_bytes_total"] > len(answer.body))

        support.wait_for(grown, 5, "the bytes are counted")

    def test_mailbox__tells_what_waits_and_since_when(self):
        user = module.server.api().register()
        self.addCleanup(user.close)
        with module.server.database() as database, futures.ThreadPoolExecutor(1) as pool:
            with support.TaskLock(database) as lock:
                waiting = pool.submit(user.create_task)
                lock.wait_for_waiters()
                figures = support.wait_for(
                    lambda: (found := scrape(module.server))['millrace_mailbox_oldest_seconds{mailbox="data-writer/0"}'] > 0.2 and found,
                    5, "the message's age")
                self.assertEqual(figures['millrace_mailbox_messages{mailbox="data-writer/0"}'], 1)
                self.assertEqual(figures['millrace_mailbox_messages{mailbox="data-reader/0"}'], 0)
                self.assertGreaterEqual(figures["millrace_http_requests_in_flight"], 1)
            waiting.result()
        support.wait_for(lambda: scrape(module.server)['millrace_mailbox_oldest_seconds{mailbox="data-writer/0"}'] == 0, 5, "nothing waits")

    def test_errors__are_counted_by_class(self):
        name = module.server.job_database()
        process = module.server.api_process(name, ADMIN_PORT=support.free_port()).ready()
        self.addCleanup(process.kill)
        user = process.api().register()
        self.addCleanup(user.close)
        with module.server.database(name) as database:
            database.query("ALTER TABLE task RENAME TO elsewhere")
        self.assertEqual(user.post("/v1/tasks", {"summary": "nowhere", "taskPriorityCode": "LOW"}).status, 500)
        support.wait_for(lambda: scrape(process)['millrace_database_errors_total{class="42"}'] >= 1, 5, "it is counted")


class Roles(unittest.TestCase):
    def test_scheduler__serves_its_own_figures(self):
        name = module.server.job_database()
        process = support.Scheduler(module.server, name, ADMIN_PORT=support.free_port())
        self.addCleanup(process.kill)
        support.wait_for(lambda: is_ready(process), 40, "the scheduler is ready")
        self.assertEqual(metrics.ask(admin_port(process), "/livez").status, 200)
        figures = scrape(process)
        self.assertEqual(figures['millrace_database_connected{mailbox="scheduler"}'], 1)
        figures = support.wait_for(lambda: 'millrace_job_runs_waiting{job_name="cleanup"}' in (found := scrape(process)) and found, 30, "the jobs are counted")
        self.assertIn('millrace_job_runs_total{outcome="dead"}', figures)
        self.assertFalse([sample for sample in figures if sample.startswith("millrace_http")])
        with module.server.database(name) as database:
            database.query("INSERT INTO millrace.job_run (id, job, trigger, exclusive) VALUES (gen_random_uuid(), 'housekeeping', 'manual', true)")
            database.query("NOTIFY millrace_jobs")
        support.wait_for(lambda: scrape(process).get('millrace_job_run_duration_seconds_count{job_name="housekeeping"}'), 20, "a run ends")
        support.wait_for(lambda: scrape(process)['millrace_job_runs_total{outcome="succeeded"}'] == 1, 5, "and is counted")

    def test_queues__are_told_by_job(self):
        """What stands in the queues before the first look, and what comes of it by the next, ten seconds later."""
        name = module.server.job_database()
        database = self.enterContext(module.server.database(name))
        database.query("INSERT INTO millrace.job (name, exclusive, manual, work, origin, attempts, paused_at, removed_at) VALUES "
                       "('parcels', false, false, 'pull', 'managed', 1, NULL, NULL), ('rests', false, false, 'pull', 'managed', 1, now(), NULL), "
                       "('gone', false, false, 'pull', 'managed', 1, NULL, now()), (E'odd\"\\n', false, false, 'pull', 'managed', 1, NULL, NULL)")
        database.query("SELECT millrace.enqueue('parcels', run_at => now() + t) FROM unnest(ARRAY['0', '0', '0', '1 day']::interval[]) t")
        database.query("SELECT millrace.enqueue('rests'), millrace.enqueue(E'odd\"\\n')")
        database.query("UPDATE millrace.run SET due_at = now() - interval '1 day' WHERE job = 'rests'")
        claims = database.query("SELECT c.id, c.claim FROM millrace.claim_runs('parcels', 2, 3600000, 'test', '') c")
        process = support.Scheduler(module.server, name, ADMIN_PORT=support.free_port())
        self.addCleanup(process.kill)

        def figures(job):
            return {sample.replace(f'job_name="{job}",', "").replace(f'{{job_name="{job}"}}', ""): value
                    for sample, value in scrape(process).items() if sample.startswith("millrace_queue_") and f'job_name="{job}"' in sample}

        support.wait_for(lambda: is_ready(process) and figures("parcels"), 40, "the queues are shown")
        seen = figures("parcels")
        self.assertEqual([seen[f'millrace_queue_runs{{state="{state}"}}'] for state in ("ready", "later", "leased", "dead")], [1, 1, 2, 0])
        self.assertEqual(seen["millrace_queue_paused"], 0)
        rests = figures("rests")
        self.assertEqual(rests["millrace_queue_paused"], 1)
        self.assertGreaterEqual(rests["millrace_queue_oldest_seconds"], 86400)
        self.assertFalse(figures("gone"))  # removed, and nothing of it waits
        self.assertEqual(figures("")['millrace_queue_runs{state="ready"}'], 1)  # a name that no label can have

        for (run, claim), outcome in zip(claims, ("succeeded", "failed")):
            database.query(f"SELECT * FROM millrace.settle_runs(ARRAY['{run}'::uuid], ARRAY[{claim}::bigint], ARRAY['{outcome}'], NULL, NULL, NULL, NULL, NULL)")
        outcomes = support.wait_for(lambda: (found := figures("parcels"))['millrace_queue_outcomes_total{outcome="dead"}'] and found, 40, "the next look")
        self.assertEqual([outcomes[f'millrace_queue_outcomes_total{{outcome="{outcome}"}}'] for outcome in ("succeeded", "failed", "dead", "cancelled")],
                         [1, 1, 1, 0])
        self.assertEqual([(line["job"], line["runs"], line["level"]) for line in process.said("runs are dead")], [("parcels", 1, "error")])

    def test_api__has_no_figures_of_jobs(self):
        name = module.server.job_database()
        process = module.server.api_process(name, ADMIN_PORT=support.free_port(), DB_LOCK_TIMEOUT="60s", GATEWAY_REQUEST_TIMEOUT="60s",
                                            SHUTDOWN_GRACE="60s").ready()
        self.addCleanup(process.kill)
        self.assertFalse([sample for sample in scrape(process) if sample.startswith(("millrace_job_", "millrace_schedule_"))])
        with module.server.database(name) as database, process.connect() as connection:
            _, token = database.add_user()
            with support.TaskLock(database) as lock:  # a request that is not answered keeps it from its end
                connection.send(support.make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {token}")],
                                                     {"summary": "waits", "taskPriorityCode": "LOW"}))
                lock.wait_for_waiters()
                process.signal(signal.SIGTERM)
                support.wait_for(lambda: metrics.ask(admin_port(process), "/readyz").status == 503, 5, "it is not ready any more")
                self.assertEqual(metrics.ask(admin_port(process), "/livez").status, 200)  # but lives, and tells its figures to the end
                self.assertIn('millrace_build_info{', metrics.ask(admin_port(process)).body)
            self.assertEqual(connection.response().status, 201)
        self.assertEqual(process.wait(), 0)

    def test_database__that_is_away_is_told_on_readyz(self):
        name = module.server.job_database()
        process = module.server.api_process(name, ADMIN_PORT=support.free_port()).ready()
        self.addCleanup(process.kill)
        with module.server.database("postgres") as database:
            database.query(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            database.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            answer = support.wait_for(lambda: (got := metrics.ask(admin_port(process), "/readyz")).status == 503 and got, 10, "unready")
            self.assertIn("database", answer.body.lower())
            self.assertEqual(metrics.ask(admin_port(process), "/livez").status, 200)
            support.wait_for(lambda: scrape(process)['millrace_database_connected{mailbox="data-reader/0"}'] == 0, 10, "it is noticed")
            database.query(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        support.wait_for(lambda: is_ready(process), 20, "ready again")
        self.assertGreaterEqual(scrape(process)["millrace_database_reconnects_total"], 1)

    def test_connection__that_breaks_in_a_statement_is_told_as_one_that_breaks_between(self):
        """Not only the metric counts it: operators look for the line when requests are 503."""
        name = module.server.job_database()
        process = module.server.api_process(name, ADMIN_PORT=support.free_port(), DB_LOCK_TIMEOUT="60s").ready()
        self.addCleanup(process.kill)
        with module.server.database("postgres") as other, module.server.database(name) as database, process.connect() as connection:
            _, token = database.add_user()
            with support.TaskLock(database) as lock:
                connection.send(support.make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {token}")],
                                                     {"summary": "waits", "taskPriorityCode": "LOW"}))
                lock.wait_for_waiters()
                other.query(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
                other.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'")
                self.assertEqual(connection.response().status, 503)
            (line,) = process.said("database connection lost", 1)
            self.assertRegex(line["actor"], "^data-writer")
            self.assertEqual(metrics.ask(admin_port(process), "/readyz").status, 503)
            self.assertEqual(scrape(process)["millrace_database_connections_lost_total"], 1)
            other.query(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        support.wait_for(lambda: is_ready(process), 20, "ready again")

    def test_port__that_is_taken_ends_the_start(self):
        name = module.server.job_database()
        process = module.server.api_process(name, ADMIN_PORT=admin_port(module.server))
        self.addCleanup(process.kill)
        self.assertEqual(process.wait(), 1)
        self.assertEqual([line["setting"] for line in process.logs("cannot open the port")], ["ADMIN_PORT"])


def is_ready(process):
    try:
        return metrics.ask(admin_port(process), "/readyz").status == 200
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
