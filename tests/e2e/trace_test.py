"""Traces: what a collector gets to see of requests, statements and runs, and what one that misbehaves costs.

The design asks for four things (design/observability.md): one request through mailbox and statement to its answer is one
trace; a batch's statement links to all its requests; a run is a child of the request that queued it; a dead collector costs
nothing.
"""

import os
import re
import threading
import time
import unittest

import support
from collector import CLIENT, CONSUMER, INTERNAL, SERVER, Collector, silent_port
from support import Connection, Everything, make_request, patience, wait_for

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
BATCH = 6

collector = None
server = None


def setUpModule():
    global collector, server
    collector = Collector()
    server = Everything(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY=50,
                        OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20secret,x-other=1",
                        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,service.name=loses",
                        OTEL_SERVICE_NAME="under test", DB_LOCK_TIMEOUT="60s", SCHEDULE_TASK_AGGREGATE_CRON="* * * * * *").ready()


def tearDownModule():
    server.close()
    collector.close()


def traceparent(trace, parent=PARENT, sampled=True):
    return [("traceparent", f"00-{trace}-{parent}-{'01' if sampled else '00'}")]


def new_trace():
    return os.urandom(16).hex()


def wait_for_spans(trace, names, where=None):
    """The spans of a trace by name, once all of `names` are there."""
    def look():
        found = {span.name: span for span in (where or collector).of_trace(trace)}
        return found if set(names) <= set(found) else None
    return wait_for(look, 15, f"spans {names} of {trace}")


def ask_for_livez(test, api):
    """A request of a trace of its own; the trace."""
    trace = new_trace()
    with api.connect() as connection:
        test.assertEqual(connection.get("/livez", traceparent(trace)).status, 200)
    return trace


class TraceTest(unittest.TestCase):
    def setUp(self):
        self.api = server.api()
        self.addCleanup(self.api.close)
        self.addCleanup(lambda: self.assertEqual(collector.faults, []))

    def test_trace__one_request_is_one_trace_from_its_head_to_its_answer(self):
        self.api.register()
        task = self.api.create_task()
        trace = new_trace()
        answer = self.api.get(f"/v1/tasks/{task['id']}", headers=[*traceparent(trace), ("User-Agent", "a test/1"),
                                                                  ("tracestate", "rojo=1,congo=2")])
        self.assertEqual(answer.status, 200)
        spans = wait_for_spans(trace, ["GET /v1/tasks/:taskId", "receive data-reader/0", "task_get"])
        self.assertEqual(len(collector.of_trace(trace)), 3)
        request, mailbox, statement = (spans[name] for name in ("GET /v1/tasks/:taskId", "receive data-reader/0", "task_get"))

        self.assertEqual((request.kind, request.parent), (SERVER, PARENT))
        self.assertEqual(request.raw["traceState"], "rojo=1,congo=2")
        self.assertEqual(request.attributes, {
            "http.request.method": "GET", "http.route": "/v1/tasks/:taskId", "http.response.status_code": 200,
            "url.scheme": "http", "url.path": f"/v1/tasks/{task['id']}", "server.address": "localhost",
            "user_agent.original": "a test/1"})
        self.assertFalse(request.failed)

        self.assertEqual((mailbox.kind, mailbox.parent), (INTERNAL, request.id))
        self.assertEqual(mailbox.attributes, {
            "messaging.system": "zeromq", "messaging.operation.name": "receive", "messaging.operation.type": "receive",
            "messaging.destination.name": "data-reader/0", "messaging.message.type": "task_get", "batch.size": 1})

        self.assertEqual((statement.kind, statement.parent), (CLIENT, request.id))
        self.assertEqual(statement.links, [(trace, request.id)])
        self.assertEqual(statement.attributes, {
            "db.system.name": "postgresql", "db.namespace": "millrace", "db.operation.name": "task_get",
            "db.query.summary": "task_get", "batch.size": 1,
            "server.address": os.path.join(server.state_dir, support.SERVER_DATABASE)})

        slack = 100_000_000  # the wall clock may be set between two batches
        self.assertLessEqual(request.start, mailbox.start + slack)
        self.assertLessEqual(mailbox.end, statement.start + slack)
        self.assertLessEqual(statement.end, request.end + slack)

    def test_trace__who_sends_them_is_told_and_asked_as_the_settings_say(self):
        self.assertEqual(self.api.get("/livez").status, 200)
        span = wait_for(lambda: collector.named("GET /livez"), 15, "a span")[0]
        self.assertEqual(span.resource["service.name"], "under test")
        self.assertEqual(span.resource["deployment.environment.name"], "test")
        self.assertEqual(span.resource["millrace.role"], "all")
        self.assertEqual(span.resource["telemetry.sdk.name"], "millrace")
        self.assertRegex(span.resource["service.instance.id"], "^[0-9a-f]{32}$")
        path, headers = collector.requests[0]
        self.assertEqual((path, headers["x-key"], headers["x-other"]), ("/v1/traces", "a secret", "1"))

    def test_trace__without_a_parent_it_is_a_root_and_a_failure_says_of_what(self):
        before = len(collector.spans)
        self.assertEqual(self.api.get("/nowhere").status, 404)
        found = wait_for(lambda: [span for span in collector.spans[before:]
                                  if span.attributes.get("url.path") == "/nowhere" and span.name == "GET"], 15, "a span")
        self.assertIsNone(found[0].parent)
        self.assertEqual(found[0].attributes["http.response.status_code"], 404)
        self.assertNotIn("http.route", found[0].attributes)
        self.assertFalse(found[0].failed, "what a client does wrong is no failure of the server")

    def test_trace__what_the_caller_does_not_record_is_not_recorded(self):
        unseen, seen = new_trace(), new_trace()
        self.assertEqual(self.api.get("/livez", headers=traceparent(unseen, sampled=False)).status, 200)
        self.assertEqual(self.api.get("/livez", headers=traceparent(seen)).status, 200)
        wait_for_spans(seen, ["GET /livez"])
        self.assertEqual(collector.of_trace(unseen), [])

    def test_trace__the_statement_of_a_batch_is_one_and_links_to_all_its_requests(self):
        self.api.register()
        task = self.api.create_task()
        auth = ("Authorization", f"Bearer {self.api.token}")
        traces = [new_trace() for _ in range(BATCH)]
        connections = [Connection(server.port) for _ in range(BATCH)]
        for connection in connections:
            self.addCleanup(connection.close)
        holder = server.database()
        self.addCleanup(holder.close)
        holder.query("BEGIN")
        holder.query(f"SELECT FROM task WHERE id = '{task['id']}' FOR UPDATE")
        # The writer waits for the row; what comes meanwhile is one batch then.
        held = Connection(server.port)
        self.addCleanup(held.close)
        held.send(make_request("PATCH", f"/v1/tasks/{task['id']}", [auth], {"summary": "held"}))
        with server.database() as watcher:
            pid = holder.value("SELECT pg_backend_pid()")
            blocked = f"SELECT count(*) FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid))"
            wait_for(lambda: int(watcher.value(blocked)), 10, "the writer waits for the row")
        for connection, trace in zip(connections, traces):
            connection.send_and_wait(make_request("POST", "/v1/tasks", [auth, *traceparent(trace)],
                                                  {"summary": "one of many", "taskPriorityCode": "LOW"}))
        self.assertEqual(self.api.get("/livez").status, 200)  # the gateway has done with what it had read before
        holder.query("COMMIT")
        self.assertEqual([connection.response().status for connection in connections], [201] * BATCH)
        of_traces = [wait_for_spans(trace, ["POST /v1/tasks", "receive data-writer/0", "task_create"]) for trace in traces]
        self.assertEqual([len(collector.of_trace(trace)) for trace in traces], [3] * BATCH)

        statements = [spans["task_create"] for spans in of_traces]
        shared = [span for span in statements if span.kind == CLIENT]
        self.assertEqual(len(shared), 1, "a statement is one span of the database, however many requests it answers")
        self.assertEqual(shared[0].attributes["batch.size"], BATCH)
        self.assertEqual(shared[0].attributes["db.operation.batch.size"], BATCH)
        self.assertEqual(sorted(shared[0].links), sorted((span.trace, span.id) for span in
                                                         (spans["POST /v1/tasks"] for spans in of_traces)))
        for spans in of_traces:
            statement = spans["task_create"]
            self.assertEqual(statement.parent, spans["POST /v1/tasks"].id)
            if statement is not shared[0]:
                self.assertEqual((statement.kind, statement.links), (INTERNAL, [(shared[0].trace, shared[0].id)]))

    def test_trace__a_run_is_a_child_of_the_request_that_queued_it(self):
        admin = server.admin()
        self.addCleanup(admin.close)
        trace = new_trace()
        answer = admin.request("POST", "/v1/jobs/cleanup/runs", headers=traceparent(trace))
        self.assertEqual(answer.status, 202)
        run = admin.ended_run(answer.header("Location"))
        spans = wait_for_spans(trace, ["POST /v1/jobs/:job/runs", "process cleanup"])
        process = spans["process cleanup"]
        self.assertEqual((process.kind, process.parent), (CONSUMER, spans["POST /v1/jobs/:job/runs"].id))
        self.assertEqual(process.attributes["messaging.message.id"], run["id"])
        self.assertEqual(process.attributes["millrace.run.outcome"], "succeeded")
        self.assertEqual(process.attributes["millrace.run.attempt"], 1)
        line = wait_for(lambda: [line for line in server.logs("job run") if line["runId"] == run["id"]], 5, "the log line")[0]
        self.assertEqual((line["traceId"], line["spanId"]), (trace, process.id))

    def test_trace__a_run_of_a_request_that_is_not_recorded_is_not_either(self):
        admin = server.admin()
        self.addCleanup(admin.close)
        unseen, seen = new_trace(), new_trace()
        for trace, sampled in ((unseen, False), (seen, True)):
            answer = admin.request("POST", "/v1/jobs/cleanup/runs", headers=traceparent(trace, sampled=sampled))
            admin.ended_run(answer.header("Location"))
        wait_for_spans(seen, ["process cleanup"])
        self.assertEqual(collector.of_trace(unseen), [])

    def test_trace__the_run_of_a_tick_is_a_root(self):
        span = wait_for(lambda: collector.named("process aggregate"), 15, "a tick's run")[0]
        self.assertIsNone(span.parent)
        self.assertEqual([found.name for found in collector.of_trace(span.trace)], ["process aggregate"])


class LogTest(unittest.TestCase):
    def test_log__a_request_has_its_trace_and_span_also_where_nothing_is_recorded(self):
        api = server.api_process(LOGGING_LEVEL="debug").ready()
        self.addCleanup(api.stop)
        with api.connect() as connection:
            self.assertEqual(connection.get("/livez", traceparent(TRACE)).status, 200)
        line = wait_for(lambda: [line for line in api.logs("request") if line.get("traceId") == TRACE], 10, "the line")[0]
        self.assertEqual((line["spanId"], line["op"]), (PARENT, "livez"))

    def test_log__the_span_is_the_one_that_is_recorded(self):
        own = Collector()
        self.addCleanup(own.close)
        api = server.api_process(LOGGING_LEVEL="debug", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=own.url + "/here",
                                 OTEL_BSP_SCHEDULE_DELAY=50).ready()
        self.addCleanup(api.stop)
        trace = ask_for_livez(self, api)
        span = wait_for_spans(trace, ["GET /livez"], own)["GET /livez"]
        line = wait_for(lambda: [line for line in api.logs("request") if line.get("traceId") == trace], 10, "the line")[0]
        self.assertEqual(line["spanId"], span.id)
        self.assertEqual(span.resource["service.name"], "millrace")
        self.assertEqual({path for path, _ in own.requests}, {"/here"}, "the URL for traces is taken as it is")


class TroubleTest(unittest.TestCase):
    """A collector that is away, slow, full or lying. Each process is one of its own on the module's database."""

    def start(self, url, **settings):
        api = server.api_process(**{"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": 20,
                                    "OTEL_EXPORTER_OTLP_TIMEOUT": 3000, **settings}).ready()
        self.addCleanup(api.kill)
        return api

    def serve(self, api, requests):
        """Sends requests one after another; the longest that one of them took, in seconds."""
        longest = 0
        with api.connect() as connection:
            for _ in range(requests):
                watch = support.Stopwatch()
                self.assertEqual(connection.get("/livez").status, 200)
                longest = max(longest, watch.seconds())
        return longest

    def end_in_order(self, api):
        """Its end is not held up either: the flush has a bound."""
        watch = support.Stopwatch()
        self.assertEqual(api.stop(), 0, api.text())
        self.assertLess(watch.seconds(), patience(15))

    def check(self, url, requests=1500, **settings):
        api = self.start(url, **settings)
        # Who waits for a collector waits for 3 s; a loaded machine costs less.
        self.assertLess(self.serve(api, requests), 2.5)
        wait_for(lambda: api.logs("the collector does not take spans"), 10, "the log says so")
        self.serve(api, requests)
        self.end_in_order(api)
        told = api.logs("the collector does not take spans")
        self.assertLessEqual(len(told), 3, "a line at first and one a minute")
        return api

    def test_trouble__nobody_listens(self):
        api = self.check(f"http://127.0.0.1:{support.free_port()}")
        self.assertIn("connect", api.logs("the collector does not take spans")[0]["reason"].lower())
        self.assertGreater(api.logs("spans were lost")[0]["dropped"], 0)

    def test_trouble__it_takes_the_connection_and_says_nothing(self):
        listener = silent_port()
        self.addCleanup(listener.close)
        self.check(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def misbehaving(self, behave):
        bad = Collector(behave)
        self.addCleanup(bad.close)
        return bad

    def test_trouble__it_never_ends_its_head(self):
        over = threading.Event()
        self.addCleanup(over.set)

        def drip(handler):
            while not over.wait(0.02):
                handler.wfile.write(b"H")
            return True
        self.check(self.misbehaving(drip).url)

    def test_trouble__it_never_ends_its_answer(self):
        def flood(handler):
            handler.send_response(503)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for _ in range(100_000):
                handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            return True
        self.check(self.misbehaving(flood).url)

    def test_trouble__it_refuses_and_is_not_asked_about_the_same_again(self):
        bad = self.misbehaving(lambda handler: handler.answer(400, b"no") or True)
        api = self.check(bad.url)
        said = api.logs("the collector does not take spans")[0]
        self.assertIn("400", said["reason"])
        self.assertGreater(said["dropped"], 0)

    def test_trouble__it_goes_away_after_an_interim_answer(self):
        def go_on(handler):
            if len(bad.requests) > 0:
                return False
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            handler.close_connection = True
            return True
        bad = self.misbehaving(go_on)
        api = self.start(bad.url)
        trace = ask_for_livez(self, api)
        wait_for(lambda: bad.of_trace(trace), 20, "what got no answer is sent again")
        self.end_in_order(api)

    def test_trouble__it_takes_a_part_and_says_so(self):
        answer = b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "one too many"}}'
        bad = self.misbehaving(lambda handler: handler.answer(200, answer) or True)
        self.assertEqual(self.check(bad.url).logs("the collector does not take spans")[0]["reason"], "one too many")

    def test_trouble__it_is_not_asked_before_the_time_it_names(self):
        times = []

        def later(handler):
            times.append(time.monotonic())
            if len(times) > 2:
                return False
            handler.answer(429 if len(times) == 1 else 503, b"", [("Retry-After", "2")])
            return True
        bad = self.misbehaving(later)
        api = self.start(bad.url)
        trace = ask_for_livez(self, api)
        wait_for(lambda: bad.of_trace(trace), 20, "what was refused for a time is sent in the end")
        self.assertGreaterEqual(times[1] - times[0], 2)
        wait_for(lambda: api.logs("the collector takes spans again"), 10, "the log takes it back")
        self.end_in_order(api)

    def test_trouble__it_is_left_alone_for_the_hour_that_it_names(self):
        bad = self.misbehaving(lambda handler: handler.answer(429, b"", [("Retry-After", "3600")]) or True)
        api = self.start(bad.url)
        self.serve(api, 10)
        wait_for(lambda: api.logs("the collector does not take spans"), 10, "the log says so")
        self.serve(api, 1500)  # more than a batch
        self.end_in_order(api)
        self.assertEqual(len(bad.requests), 1)

    def test_trouble__it_comes_back(self):
        port = support.free_port()
        api = self.start(f"http://127.0.0.1:{port}")
        self.serve(api, 10)
        wait_for(lambda: api.logs("the collector does not take spans"), 10, "the log says so")
        back = Collector(port=port)
        self.addCleanup(back.close)
        trace = ask_for_livez(self, api)
        wait_for(lambda: back.of_trace(trace), 40, "spans arrive again")
        self.assertEqual(back.faults, [])
        self.end_in_order(api)

    def test_trouble__memory_is_bounded(self):
        listener = silent_port()
        self.addCleanup(listener.close)
        api = self.start(f"http://127.0.0.1:{listener.getsockname()[1]}", OTEL_EXPORTER_OTLP_TIMEOUT=600_000)
        self.pipeline(api, 12_000)  # more than the queue holds
        before = api.resident_bytes()
        self.pipeline(api, 24_000)
        if not support.SANITIZE:  # they keep what was freed
            self.assertLess(api.resident_bytes() - before, 12 << 20)
        self.end_in_order(api)
        dropped = sum(line.get("dropped", 0) for line in api.logs())
        self.assertGreaterEqual(dropped, 36_000, "what was not sent is counted, each once")

    def pipeline(self, api, requests):
        with api.connect() as connection:
            for _ in range(requests // 50):
                connection.send(make_request("GET", "/livez") * 50)
                for _ in range(50):
                    self.assertEqual(connection.response().status, 200)

    def test_trouble__what_has_ended_is_sent_at_the_end(self):
        last = Collector()
        self.addCleanup(last.close)
        api = self.start(last.url, OTEL_BSP_SCHEDULE_DELAY=600_000)
        trace = ask_for_livez(self, api)
        self.assertEqual(last.spans, [])
        self.end_in_order(api)
        self.assertEqual(len(last.of_trace(trace)), 1)


class SettingsTest(unittest.TestCase):
    def refused(self, **settings):
        done = support.run("scheduler", DB_HOST="/nowhere", **settings)
        self.assertEqual(done.returncode, 2, done.stderr)
        for name in settings:
            self.assertRegex(done.stderr, f"(?m)^{name}=.*expected")
        return done.stderr

    def test_settings__what_is_wrong_is_refused_at_the_start(self):
        for url in ("localhost:4318", "ftp://localhost/", "http://", "http://u:p@localhost", "http://localhost/?a=b", "4318"):
            self.refused(OTEL_EXPORTER_OTLP_ENDPOINT=url)
            self.refused(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=url)
        for name, value in (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_SAMPLER", "sometimes"),
                            ("OTEL_TRACES_SAMPLER_ARG", "1.5"), ("OTEL_TRACES_SAMPLER_ARG", "half"),
                            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"), ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
                            ("OTEL_RESOURCE_ATTRIBUTES", "a"), ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c")):
            self.refused(**{name: value})

    def test_settings__headers_are_never_printed(self):
        self.assertNotIn("hush", self.refused(OTEL_EXPORTER_OTLP_HEADERS="hush"))
        shown = support.run("config", OTEL_EXPORTER_OTLP_HEADERS="authorization=hush").stdout
        self.assertRegex(shown, re.compile(r"^OTEL_EXPORTER_OTLP_HEADERS=\*\*\*$", re.M))


if __name__ == "__main__":
    unittest.main()
