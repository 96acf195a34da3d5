"""Imports: uploads of any size in little memory, every bad line named, nothing half-done, whatever happens in the middle."""

import contextlib
import gzip
import json
import re
import threading
import unittest

import support
from support import make_request, patience, wait_for

module = support.ModuleServer()
server = None

NDJSON, CSV = "application/x-ndjson", "text/csv"
BODY_MAX = 16 << 20
PART = 256 << 10
RECORD_MAX = 512 << 10


def setUpModule():
    global server
    server = module.start()


def tearDownModule():
    module.stop()


class Peak:
    """The most memory that a process has resident while this is at work, and what it had before."""

    def __init__(self, *processes):
        self.processes = processes

    def __enter__(self):
        self.before = [process.resident_bytes() for process in self.processes]
        self.most = list(self.before)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.stopping.wait(0.005):
            self.most = [max(most, process.resident_bytes()) for most, process in zip(self.most, self.processes)]

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def grown_mib(self):
        return [round((most - before) / (1 << 20), 1) for most, before in zip(self.most, self.before)]


def line(summary, **fields):
    return json.dumps({"summary": summary, "taskPriorityCode": "LOW", **fields}).encode() + b"\n"


class ImportTest(support.TiersTest):
    """Each test has a user of its own."""

    module = module

    def setUp(self):
        wait_for(self.writers_are_idle, 10, "what an upload that broke off left under way is done")
        self.database.query("TRUNCATE millrace.account, millrace.app_user, millrace.job_run, millrace.import_part, task_count, task_change CASCADE")
        self.client = self.new_client()
        self.user = self.client.id

    def writers_are_idle(self):
        return self.database.count("pg_stat_activity", "datname = current_database() AND application_name LIKE 'data-writer%' "
                                   "AND state <> 'idle'") == 0

    def upload(self, body, kind=NDJSON, client=None):
        answer = (client or self.client).request("POST", "/v1/tasks/import", body, [("Content-Type", kind)])
        self.assertEqual(answer.status, 202, answer)
        run = answer.json()
        self.assertEqual(answer.header("Location"), "/v1/job-runs/" + run["id"])
        self.assertEqual((run["job"], run["trigger"], run["state"]), ("import", "user", "queued"))
        return run["id"]

    def imported(self, body, kind=NDJSON, seconds=30):
        """Uploads, waits for the end and returns the run as its owner sees it."""
        run_id = self.upload(body, kind)
        self.database.wait_for_run(run_id, seconds)
        self.client.close()  # a long run outlives the patience of the server with an idle connection
        return self.client.get("/v1/job-runs/" + run_id).json()

    def summaries(self, user=None):
        """Of the tasks of a user, as a list has them, the oldest first: that is the order of the lines."""
        return [row[0] for row in self.database.query(f"SELECT summary FROM task WHERE user_id = '{user or self.user}' ORDER BY created_at, id")]

    def assert_parts_are_gone(self):
        self.assertEqual(self.database.count("millrace.import_part"), 0)


class Lines(ImportTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_class_scheduler()

    def test_ndjson__every_bad_line_is_named_and_every_good_one_is_a_task(self):
        body = (b"\xef\xbb\xbf" + line("one", description="d", dueAt="2027-01-01", isComplete=True)
                + b'{"summary":"broken"\n'
                + line("two").replace(b"\n", b"\r\n")
                + b"\n   \n"
                + b'{"taskPriorityCode":"LOW"}\n'
                + line("three", taskPriorityCode="NOSUCH")
                + line("x" * 501)
                + line("")
                + b'["an array"]\n'
                + line("four", isComplete="yes", dueAt="soon")
                + b'{"summary":"bad \xff bytes","taskPriorityCode":"LOW"}\n'
                + line("five", unknown={"nested": [1]}, userId="00000000-0000-0000-0000-000000000001")
                + b'{"summary":"no break","taskPriorityCode":"HIGH"}')
        run = self.imported(body)
        named = [(error["line"], error["field"]) for error in run["result"]["errors"]]
        self.assertEqual(named, [(2, ""), (6, "summary"), (7, "taskPriorityCode"), (8, "summary"), (9, "summary"), (10, ""),
                                 (11, "dueAt"), (11, "isComplete"), (12, "")])
        self.assertTrue(all(error["message"] for error in run["result"]["errors"]))
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (4, 8))
        self.assertEqual(run["progress"], {"done": 14, "total": 14})
        self.assertEqual(self.summaries(), ["one", "two", "five", "no break"])
        self.assertEqual(self.database.query("SELECT description, due_at = '2027-01-01T00:00Z', is_complete, completed_at IS NOT NULL, priority_code "
                                             "FROM task WHERE summary = 'one'"), [["d", "t", "t", "t", "LOW"]])
        self.assert_parts_are_gone()

    def test_csv__cells_quotes_and_lines_are_as_rfc_4180_has_them(self):
        body = (b"summary,taskPriorityCode,ignored,description,dueAt,isComplete\r\n"
                b"plain,LOW,x,,,\r\n"
                b'"with, comma and ""quotes""",HIGH,,"two\r\nlines",2027-01-01T00:00:00Z,true\r\n'
                b"too few,LOW\r\n"
                b",LOW,,,,\r\n"
                b'"stray" quote,LOW,,,,\r\n'
                b"unknown,NOSUCH,,,,\r\n"
                b"\r\n"
                b" spaces ,LOW,,,,false")
        run = self.imported(body, "Text/CSV; charset=utf-8; header=present")
        self.assertEqual([(error["line"], error["field"]) for error in run["result"]["errors"]],
                         [(5, ""), (6, "summary"), (7, ""), (8, "taskPriorityCode")])
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (3, 4))
        self.assertEqual(run["progress"], {"done": 10, "total": 10})
        self.assertEqual(self.summaries(), ["plain", 'with, comma and "quotes"', " spaces "])
        self.assertEqual(self.database.value("SELECT description FROM task WHERE is_complete"), "two\r\nlines")

    def test_csv__without_a_good_header_says_so(self):
        run = self.imported(b'"summ"ary,taskPriorityCode\nplain,LOW\n', CSV)
        self.assertEqual((run["result"]["imported"], run["result"]["errors"][0]["line"], run["result"]["errors"][0]["field"]), (0, 1, ""))
        run = self.imported(b"title,taskPriorityCode\nplain,LOW\n", CSV)
        self.assertEqual([(e["line"], e["field"], e["message"]) for e in run["result"]["errors"]],
                         [(1, "summary", "is required, and no column has that name")])
        self.assertEqual(([e["field"] for e in run["result"]["ignored"]], run["result"]["rejected"]), (["title"], 1))
        self.assertEqual(self.summaries(), [])

    def test_csv__as_spreadsheets_save_it_is_read(self):
        rows = [("summary", "taskPriorityCode", "isComplete", "DueAt"), ("Käse \U0001f9c0", "LOW", "TRUE", "x"), ('a "b"; c', "HIGH", "FALSE", "")]
        for encoding, separator in (("utf-16", "\t"), ("utf-16", ";"), ("utf-8-sig", ";"), ("utf-8", ",")):
            with self.subTest(encoding=encoding, separator=separator):
                self.database.query("DELETE FROM task")
                text = "".join(separator.join('"%s"' % cell.replace('"', '""') for cell in row) + "\r\n" for row in rows)
                run = self.imported(text.encode(encoding), CSV)
                self.assertEqual((run["result"]["imported"], run["result"]["errors"]), (2, []))
                self.assertEqual(run["result"]["ignored"], [{"line": 1, "field": "DueAt", "message": "is not a field and was left out; did you mean dueAt?"}])
                self.assertEqual(run["progress"], {"done": 3, "total": 3})
                self.assertEqual(self.summaries(), [row[0] for row in rows[1:]])
                self.assertEqual(self.database.count("task", "is_complete"), 1)

    def test_too_long_line__is_named_and_those_behind_it_are_read(self):
        for kind, head in ((NDJSON, b""), (CSV, b"summary,taskPriorityCode\n")):
            def record(text):
                return line(text) if kind == NDJSON else text.encode() + b",LOW\n"

            for length in (RECORD_MAX - 100, RECORD_MAX + 100, RECORD_MAX + PART // 2, RECORD_MAX + 3 * PART):
                with self.subTest(kind=kind, length=length):
                    self.database.query("DELETE FROM task")
                    body = head + record("before") + record("x" * length) + b"".join(record(f"behind {i:04}") for i in range(1500))
                    run = self.imported(body, kind)
                    first = head.count(b"\n")
                    errors = run["result"]["errors"]
                    self.assertEqual([error["line"] for error in errors], [first + 2])
                    if length > RECORD_MAX:
                        self.assertRegex(errors[0]["message"], "^is longer than 512 KiB")
                    self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (1501, 1))
                    self.assertEqual(run["progress"], {"done": first + 1502, "total": first + 1502})
                    self.assertEqual(self.summaries(), ["before"] + [f"behind {i:04}" for i in range(1500)])

    def test_too_long_line__at_the_very_end(self):
        for tail in (b"", b"\n"):
            run = self.imported(line("before") + b"x" * (RECORD_MAX + 1000) + tail)
            self.assertEqual([error["line"] for error in run["result"]["errors"]], [2])
            self.assertEqual(run["progress"], {"done": 2, "total": 2})

    def test_csv__a_quote_that_is_never_closed_costs_its_line_only(self):
        body = b"summary,taskPriorityCode\nbefore,LOW\n\"open,LOW\n" + b"".join(b"behind %06d%s,LOW\n" % (i, b"." * 400) for i in range(2000))
        self.assertGreater(len(body), RECORD_MAX + PART)
        run = self.imported(body, CSV)
        self.assertEqual([error["line"] for error in run["result"]["errors"]], [3])
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (2001, 1))

    def test_parts__may_end_anywhere(self):
        for size in (PART - 1, PART, PART + 1, 2 * PART, 3 * PART):
            with self.subTest(size=size):
                self.database.query("DELETE FROM task")
                text = b"".join(line(f"task {i} ü", description="x" * 300) for i in range(size // 300))[:size - 200]
                text = text[:text.rindex(b"\n") + 1]
                body = text + line("fill", description="x" * (size - len(text) - 68))
                body += b" " * (size - len(body))
                self.assertEqual(len(body), size)
                run = self.imported(body)
                self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (text.count(b"\n") + 1, 0))
                self.assertEqual(len(self.summaries()), text.count(b"\n") + 1)

    def test_errors__are_listed_up_to_a_thousand_and_counted_beyond(self):
        run = self.imported(b"nonsense\n" * 3000 + line("good"))
        self.assertEqual([error["line"] for error in run["result"]["errors"]], list(range(1, 1001)))
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (1, 3000))

    def test_nothing__is_imported_of_nothing(self):
        for body in (b"", b"\n", b"\n\n  "):
            run = self.imported(body)
            self.assertEqual((run["result"]["imported"], run["result"]["rejected"], run["result"]["errors"]), (0, 0, []))


class Large(ImportTest):
    """The largest body. What memory it takes depends on its bytes: as many lines as fit would only take longer."""

    LINES = 5_000
    FILL = b"and something to say about it all, " * 90

    def bad(self, i):
        """One line in a hundred is bad, in turn in four ways."""
        if i % 100 != 50:
            return None
        return (i // 100) % 4

    def ndjson(self):
        ways = (b'{"summary":"broken %06d"\n', b'{"number":%06d,"taskPriorityCode":"LOW"}\n', b'{"summary":"%06d","taskPriorityCode":"NOSUCH"}\n',
                b'{"summary":"' + b"x" * 500 + b'%06d","taskPriorityCode":"LOW"}\n')
        return b"".join(b'{"summary":"number %06d of many","taskPriorityCode":"LOW","description":"%s"}\n' % (i, self.FILL)
                        if self.bad(i) is None else ways[self.bad(i)] % i for i in range(1, self.LINES + 1))

    def csv(self):
        ways = (b'broken "%06d",LOW\n', b",LOW,%06d\n", b"%06d,NOSUCH,\n", b"x" * 500 + b"%06d,LOW,\n")
        return b"summary,taskPriorityCode,description\n" + b"".join(
            b'number %06d of many,LOW,"%s"\n' % (i, self.FILL)
            if self.bad(i) is None else ways[self.bad(i)] % i for i in range(1, self.LINES + 1))

    def both(self, kind, body, first):
        process = self.scheduler()
        self.assertLess(BODY_MAX * 0.9, len(body))
        body += b"\n" * (BODY_MAX - len(body))
        lines = body.count(b"\n")
        grown = []
        self.imported(line("to warm up"))  # what any upload and import take
        self.database.query("DELETE FROM task")
        for _ in range(1 if support.SANITIZE else 2):  # the second is for the memory, which sanitizers change
            with Peak(self.api, process) as peak:
                run = self.imported(body, kind, seconds=150)
            grown.append(peak.grown_mib())
            took = self.database.value(f"SELECT round(extract(epoch FROM finished_at - started_at), 1) FROM millrace.job_run WHERE id = '{run['id']}'")
            print(f"{kind}, {len(body) >> 20} MiB: {took} s, MiB more in api, scheduler: {grown[-1]}")
            self.assertEqual([error["line"] for error in run["result"]["errors"]],
                             [i + first for i in range(1, self.LINES + 1) if self.bad(i) is not None])
            rejected = len(run["result"]["errors"])
            self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (self.LINES - rejected, rejected))
            self.assertEqual(run["progress"], {"done": lines, "total": lines})
            self.assertEqual(self.database.query("SELECT count(*), count(DISTINCT summary) FROM task"), [[str(self.LINES - rejected)] * 2])
            self.assert_parts_are_gone()
            self.database.query("TRUNCATE task, task_count, task_change")
        if not support.SANITIZE:
            self.assertLess(max(grown[0]), 24)
            self.assertLess(max(grown[1]), 4)
        self.assertEqual(process.stop(), 0)

    def test_ndjson__of_16_mib_takes_little_memory_and_names_every_bad_line(self):
        self.both(NDJSON, self.ndjson(), 0)

    def test_csv__of_16_mib_takes_little_memory_and_names_every_bad_line(self):
        self.both(CSV, self.csv(), 1)


class Interrupted(ImportTest):
    """Each chunk takes at least 10 ms, however fast the machine is: so that the middle of an import can be met."""

    LINES = 6_000
    CHUNK = {"JOB_CHUNK_ROWS": 100}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.database.query("""CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END';
            CREATE TRIGGER dawdle BEFORE INSERT ON task FOR EACH STATEMENT EXECUTE FUNCTION dawdle()""")

    def body(self):
        return b"".join(line(f"task {i:06}") if i % 100 else b"bad\n" for i in range(1, self.LINES + 1))

    def begin(self):
        """An import in its middle: its scheduler and run."""
        process = self.scheduler(**self.CHUNK)
        run_id = self.upload(self.body())
        self.database.wait_for_run(run_id, 20, "running", done=1000)
        return process, run_id

    def assert_whole(self, run_id, attempt):
        row = self.database.wait_for_run(run_id, 60)
        self.assertEqual(row["attempt"], attempt)
        self.assertEqual((row["result"]["imported"], row["result"]["rejected"]), (self.LINES - self.LINES // 100, self.LINES // 100))
        self.assertEqual([error["line"] for error in row["result"]["errors"]], list(range(100, self.LINES + 1, 100)))
        self.assertEqual(self.summaries(), [f"task {i:06}" for i in range(1, self.LINES + 1) if i % 100])
        self.assertEqual((row["done"], row["total"]), (self.LINES, self.LINES))
        self.assert_parts_are_gone()

    def put_back(self, run_id):
        """What a rescue does, without the wait for it."""
        self.database.query(f"UPDATE millrace.job_run SET state = 'queued', claim = NULL, run_after = now(), finished_at = NULL WHERE id = '{run_id}'")

    def test_sigkill__in_the_middle_and_resumed_imports_every_line_once(self):
        process, run_id = self.begin()
        for attempt in (2, 3):
            process.kill()
            done = self.database.run(run_id)["done"]
            self.put_back(run_id)
            process = self.scheduler(**self.CHUNK)
            if attempt == 2:
                self.database.wait_for_run(run_id, 20, "running", done=done + 1000)
        self.assert_whole(run_id, 3)

    def test_sigkill__between_the_last_chunk_and_the_end_of_the_run(self):
        for size in (3 * PART, 3 * PART + 17):
            body = line("only") + b" " * (size - len(line("only")))
            self.scheduler()
            run_id = self.upload(body)
            before = self.database.wait_for_run(run_id)
            self.put_back(run_id)
            after = self.database.wait_for_run(run_id, 10)
            self.assertEqual(after["attempt"], 2)
            self.assertEqual((before["result"], before["done"]), (after["result"], after["done"]))

    def test_sigterm__hands_it_over(self):
        process, run_id = self.begin()
        self.assertEqual(process.stop(), 0)
        support.assert_becomes(self, lambda: process.outcomes(run_id), [("released", 1)])
        self.scheduler(**self.CHUNK)
        self.assert_whole(run_id, 1)

    def test_connections_terminated__in_the_middle(self):
        _, run_id = self.begin()
        for _ in range(4):
            self.database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'job/%' AND datname = current_database()")
            done = self.database.run(run_id)["done"]
            wait_for(lambda: self.database.run(run_id)["done"] > done, 20, "it goes on")
        self.assert_whole(run_id, 1)

    def test_two__go_side_by_side_in_two_processes(self):
        for _ in range(2):
            self.scheduler(**self.CHUNK)
        other = self.new_client()
        runs = [self.upload(self.body()), self.upload(self.body(), client=other)]
        for run_id in runs:
            self.assertEqual(self.database.wait_for_run(run_id, 60)["result"]["imported"], self.LINES - self.LINES // 100)
        a, b = (self.database.run(run_id) for run_id in runs)
        self.assertLess(max(a["started_at"], b["started_at"]), min(a["finished_at"], b["finished_at"]))
        self.assertEqual(self.summaries(), self.summaries(other.id))

    def test_users__take_turns(self):
        """Who has one line does not wait for those of others, however many, in however many uploads."""
        self.scheduler(**self.CHUNK)
        runs = [self.upload(self.body()) for _ in range(5)]
        self.database.wait_for_run(runs[0], 20, "running", done=1000)
        for _ in range(2):
            other = self.new_client()
            run_id = self.upload(line("only"), client=other)
            self.database.wait_for_run(run_id, 4)
            self.assertEqual(self.summaries(other.id), ["only"])
        self.assertGreaterEqual(self.database.count("millrace.job_run", f"owner = '{self.user}' AND finished_at IS NULL"), 2)
        for run_id in runs:
            self.assertEqual(self.database.wait_for_run(run_id, 60)["attempt"], 1)
        self.assertEqual(self.database.query("SELECT count(*), count(DISTINCT id) FROM task WHERE summary <> 'only'"),
                         [[str(5 * (self.LINES - self.LINES // 100))] * 2])

    def test_cancel__stops_it_and_keeps_what_it_did(self):
        process, run_id = self.begin()
        self.assertEqual(self.new_client().post(f"/v1/job-runs/{run_id}/cancel", None).status, 404)
        answer = self.client.post(f"/v1/job-runs/{run_id}/cancel", None)
        self.assertEqual(answer.status, 202, answer)
        row = self.database.wait_for_run(run_id, 10, "cancelled")
        self.assertLess(row["done"], self.LINES)
        self.assertEqual(len(self.summaries()), row["result"]["imported"])
        self.assertIsNotNone(row["finished_at"])
        wait_for(lambda: process.outcomes(run_id) == [("cancelled", 1)], 5, "it is logged")
        self.assert_parts_are_gone()

    def test_owner__who_is_removed_takes_the_run_along(self):
        process, run_id = self.begin()
        # The removal meets a chunk that has begun: the request does not wait for it, the job does.
        with server.database(self.name) as holder, support.TaskLock(holder) as lock, self.api.connect() as connection:
            lock.wait_for_waiters()
            connection.send(make_request("DELETE", "/v1/users/profile", [("Authorization", f"Bearer {self.client.token}")]))
            self.assertEqual(connection.response().status, 204)
            wait_for(lambda: self.database.count("pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock'") == 2, 10,
                     "both jobs wait")
            lock.release()
        wait_for(lambda: process.outcomes(run_id), 20, "the run ends")
        support.assert_becomes(self, lambda: process.outcomes(run_id), [("lost", 1)])
        wait_for(lambda: not self.database.count("millrace.account", f"id = '{self.user}'"), 20, "nothing is left")
        self.assertEqual(self.database.count("task") + self.database.count("millrace.import_part"), 0)
        self.assertFalse([entry for entry in process.logs() if entry["level"] == "error" or entry["message"] == "job chunk is retried"])
        self.client = self.new_client()
        self.database.wait_for_run(self.upload(line("next")))

    def test_progress__is_seen_by_owner_and_admin_only(self):
        _, run_id = self.begin()
        seen = []
        wait_for(lambda: seen.append(self.client.get("/v1/job-runs/" + run_id).json()) or seen[-1]["state"] == "succeeded", 60, "it ends")
        done = [run["progress"]["done"] for run in seen]
        self.assertEqual(done, sorted(done))
        self.assertGreater(len(set(done)), 10)
        self.assertEqual({run["progress"]["total"] for run in seen}, {self.LINES})
        self.assertEqual(self.new_client("admin").get("/v1/job-runs/" + run_id).json(), seen[-1])
        self.assertEqual(self.new_client().get("/v1/job-runs/" + run_id).status, 404)
        self.assertEqual(self.client.get("/v1/job-runs/" + run_id, token=None).status, 401)


class Upload(ImportTest):
    """What the API itself refuses, and what it leaves behind; nobody works on the runs."""

    def head(self, length, token=True, kind=NDJSON, extra=()):
        headers = [("Content-Length", str(length)), *extra]
        if token:
            headers.append(("Authorization", f"Bearer {self.client.token}"))
        if kind:
            headers.append(("Content-Type", kind))
        return make_request("POST", "/v1/tasks/import", headers)

    def refused(self, head, body=b""):
        with self.api.connect() as connection:
            connection.send(head)
            answer = connection.response()
            try:
                connection.send(body)
            except OSError:
                pass
        self.assertEqual(self.database.count("millrace.import_part") + self.database.count("millrace.job_run"), 0)
        return answer

    def test_refusal__comes_before_the_body(self):
        self.assertEqual(self.refused(self.head(BODY_MAX, token=False)).status, 401)
        self.assertEqual(self.refused(self.head(BODY_MAX + 1)).status, 413)
        for kind in (None, "application/json", "text/csvx", "text", "application/x-ndjson|text/csv"):
            answer = self.refused(self.head(1000, kind=kind))
            self.assertEqual(answer.status, 415, kind)
            self.assertRegex(answer.json()["detail"], re.escape(NDJSON))

    def test_refusal__reaches_a_client_that_sends_all_of_its_body_first(self):
        for head, status in ((self.head(BODY_MAX, token=False), 401), (self.head(BODY_MAX, kind="text/plain"), 415),
                             (self.head(BODY_MAX + 1), 413)):
            with self.api.connect() as connection:
                sender = threading.Thread(target=lambda: self.pour(connection, head + b"\n" * BODY_MAX))
                sender.start()
                self.assertEqual(connection.response().status, status)
                sender.join()

    @staticmethod
    def pour(connection, data):
        try:
            connection.send(data)
        except OSError:
            pass

    def chunked_head(self):
        return make_request("POST", "/v1/tasks/import", [("Authorization", f"Bearer {self.client.token}"), ("Content-Type", NDJSON),
                                                         ("Transfer-Encoding", "chunked")])

    def test_length__has_to_be_told_or_the_body_comes_in_chunks(self):
        request = make_request("POST", "/v1/tasks/import", [("Authorization", f"Bearer {self.client.token}"), ("Content-Type", NDJSON)])
        self.assertEqual(self.refused(request + line("one")).status, 411)

    def test_chunks__are_taken(self):
        """As Node streams and `curl -T -` send them: nobody knows how long it will be."""
        body = line("one") * 20_000
        for size in (1000, 65536, len(body)):
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + size]), body[at:at + size]) for at in range(0, len(body), size))
            with self.api.connect() as connection:
                sender = threading.Thread(target=self.pour, args=(connection, self.chunked_head() + chunks + b"0\r\n\r\n"))
                sender.start()
                self.assertEqual(connection.response().status, 202)
                sender.join()
                self.assertTrue(connection.is_open())
        self.assertEqual(self.database.query("SELECT total FROM millrace.job_run"), [["20000"]] * 3)

    def test_chunks__over_the_limit_are_refused_while_they_come(self):
        with self.api.connect() as connection:
            connection.send(self.chunked_head())
            sender = threading.Thread(target=self.pour, args=(connection, (b"10000\r\n" + b"\n" * 65536 + b"\r\n") * 300))
            sender.start()
            self.assertEqual(connection.response().status, 413)
            sender.join()
        self.assertEqual(self.database.count("millrace.job_run"), 0)

    def gzip_head(self, length):
        framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
        return make_request("POST", "/v1/tasks/import", [("Authorization", f"Bearer {self.client.token}"), ("Content-Type", NDJSON),
                                                         ("Content-Encoding", "gzip"), framing])

    def send_gzip(self, body, chunked=False):
        with self.api.connect() as connection:
            data = self.gzip_head(None if chunked else len(body))
            data += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
            sender = threading.Thread(target=self.pour, args=(connection, data))
            sender.start()
            answer = connection.response()
            sender.join()
        return answer

    def test_total__of_an_upload_counts_the_lines_of_its_encoding(self):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            for text, lines in (("a\nb\n", 2), ("a\nb", 2), ("\u0a0a\u010a" * PART + "\n", 1)):
                body = ("\ufeff" + text).encode(encoding)
                run_id = self.upload(body)
                self.assertEqual(self.database.run(run_id)["total"], lines, (encoding, text[:4]))

    def test_gzip__is_decoded_while_it_comes(self):
        text = b"".join(line(f"number {i}", description="x" * (i % 500)) for i in range(8000))
        self.assertGreater(len(text), 8 * PART)  # many parts out of few bytes
        half = len(text) // 2
        for body in (gzip.compress(text), gzip.compress(text, 0), gzip.compress(text[:half]) + gzip.compress(text[half:])):
            for chunked in (False, True):
                answer = self.send_gzip(body, chunked)
                self.assertEqual(answer.status, 202, answer)
                parts = self.database.query(f"SELECT encode(string_agg(bytes, '' ORDER BY part), 'escape') FROM millrace.import_part WHERE run_id = '{answer.json()['id']}'")
                self.assertEqual(parts[0][0].encode(), text)
        self.assertEqual(self.database.query("SELECT DISTINCT total FROM millrace.job_run"), [["8000"]])

    def test_gzip__that_is_none_or_cut_off_is_400(self):
        text = line("one") * 20_000
        whole = gzip.compress(text, 0)
        for body in (text, whole[:-1], whole[:-8], whole[:100], whole[:len(whole) // 2], b"", whole + b"x", whole[:-4] + b"\0\0\0\0"):
            self.assertEqual(self.send_gzip(body).status, 400)
        self.assertEqual(self.database.count("millrace.job_run"), 0)

    def test_gzip__that_becomes_too_much_is_413_and_takes_little_memory(self):
        bomb = gzip.compress(b"\n" * (200 << 20))
        with Peak(self.api) as peak:
            self.assertEqual(self.send_gzip(bomb).status, 413)
        if not support.SANITIZE:
            self.assertLess(peak.grown_mib()[0], 8)
        self.assertEqual(self.database.count("millrace.job_run"), 0)

    def test_half_close__behind_the_body_is_answered(self):
        with self.api.connect() as connection:
            body = line("one") * 20_000
            connection.send(self.head(len(body)) + body)
            connection.half_close()
            self.assertEqual(connection.response().status, 202)
            self.assertEqual(connection.ended(), "closed")

    def test_half_close__within_the_body_is_refused(self):
        with self.api.connect() as connection:
            connection.send(self.head(4 * PART) + line("one") * 20_000)
            connection.half_close()
            self.assertEqual(connection.response().status, 400)
        self.assertEqual(self.database.count("millrace.job_run"), 0)

    def test_expect_continue__is_answered_once_the_head_is_good(self):
        with self.api.connect() as connection:
            connection.send(self.head(10, extra=[("Expect", "100-continue")]))
            self.assertEqual(connection.response().status, 100)
            connection.send(b"0123456789")
            self.assertEqual(connection.response().status, 202)
        with self.api.connect() as connection:
            connection.send(self.head(10, token=False, extra=[("Expect", "100-continue")]))
            self.assertEqual(connection.response().status, 401)

    def test_connection__is_kept_and_requests_behind_an_upload_are_answered_in_order(self):
        with self.api.connect() as connection:
            body = line("one") * 10_000
            get = make_request("GET", "/v1/tasks/" + "0" * 8 + "-0000-0000-0000-" + "0" * 12, [("Authorization", f"Bearer {self.client.token}")])
            sender = threading.Thread(target=lambda: connection.send((self.head(len(body)) + body + get) * 3))
            sender.start()
            self.assertEqual([connection.response().status for _ in range(6)], [202, 404] * 3)
            sender.join()
        self.assertEqual(self.database.query("SELECT total FROM millrace.job_run"), [["10000"]] * 3)

    def test_client__that_goes_away_in_the_middle_leaves_no_run(self):
        for abort in (True, False):
            connection = self.api.connect()
            connection.send(self.head(BODY_MAX) + b"\n" * (4 * PART + 100))
            wait_for(lambda: self.database.count("millrace.import_part") >= 4, 10, "parts are kept")
            if abort:
                connection.abort()
            else:
                connection.close()
            with self.api.connect() as other:
                self.assertTrue(other.is_open())
            wait_for(lambda: self.database.count("millrace.import_part") == 0, 5, "they are dropped")
        self.assertEqual(self.database.count("millrace.job_run", "job = 'import'"), 0)

    def test_client__that_is_too_slow_is_cut_off(self):
        slow = server.api_process(self.name, GATEWAY_BODY_TIMEOUT="1s", GATEWAY_BODY_MIN_RATE="1MiB")
        self.addCleanup(slow.kill)
        slow.ready()
        with slow.connect() as connection:
            connection.send(self.head(BODY_MAX) + b"\n" * PART)
            answer = connection.response()
            self.assertEqual(answer.status, 408)
            self.assertTrue(answer.closes)
        self.assertEqual(self.database.count("millrace.job_run"), 0)

    def test_database__that_goes_away_in_the_middle_of_an_upload(self):
        body = line("one") * 100_000
        statuses = set()
        for _ in range(3):
            with self.api.connect() as connection:
                connection.send(self.head(len(body)) + body[:5 * PART])
                self.database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                    f"WHERE datname = '{self.name}' AND application_name LIKE 'data-%'")
                self.pour(connection, body[5 * PART:])
                statuses.add(connection.response().status)
        self.assertLessEqual(statuses, {202, 503})
        self.assertEqual(self.database.count("millrace.job_run", "args ->> 'parts' <> (SELECT count(*)::text FROM millrace.import_part WHERE run_id = id)"), 0)

    def assert_error_of_a_part(self, api, status, spoil):
        """A part is answered with an error while the client goes on sending: that is the answer, and the end of it."""
        with api.connect() as connection:
            connection.send(self.head(2 * 1024 * 1024) + b"\n" * PART)
            wait_for(lambda: self.database.count("millrace.import_part") >= 1, 10, "the first part is kept")
            with spoil():
                self.pour(connection, b"\n" * (PART + 100))
                answer = connection.response()
                self.assertEqual((answer.status, answer.closes), (status, True))
                for _ in range(20):
                    self.pour(connection, b"\n" * 1000)
                self.assertIn(connection.ended(), ("closed", "reset"))
                with api.connect() as other:
                    self.assertTrue(other.is_open())
        self.assertIsNone(api.child.poll())
        if status == 504:  # the database that is away hears of nothing
            wait_for(lambda: self.database.count("millrace.import_part") == 0, 10, "the part that was refused in time and the one that came late are dropped")
        self.database.query("DELETE FROM millrace.import_part")

    def test_part__that_fails_ends_the_upload_and_nothing_else(self):
        hasty = server.api_process(self.name, GATEWAY_REQUEST_TIMEOUT="500ms", DB_LOCK_TIMEOUT="60s")
        self.addCleanup(hasty.kill)
        hasty.ready()

        @contextlib.contextmanager
        def locked():
            with server.database(self.name) as other:
                other.query("BEGIN; LOCK TABLE millrace.import_part")
                yield
                other.query("ROLLBACK")

        @contextlib.contextmanager
        def away():
            with server.database() as other:
                other.query(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
                other.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}' "
                            "AND application_name LIKE 'data-%'")
                yield
                other.query(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

        self.assert_error_of_a_part(hasty, 504, locked)
        self.assert_error_of_a_part(hasty, 503, away)
        self.assertEqual(hasty.stop(), 0)

    def send(self, body, *headers, kind=NDJSON, client=None):
        return (client or self.client).request("POST", "/v1/tasks/import", body, [("Content-Type", kind), *headers])

    def test_idempotency_key__gives_the_first_answer_again(self):
        body = line("one") * 20_000
        self.assertGreater(len(body), 2 * PART)
        for key in ('"a, \\"key\\""', "bare"):
            header = ("Idempotency-Key", key)
            first = self.send(body, header)
            again = [self.send(body, header), self.send(gzip.compress(body), header, ("Content-Encoding", "gzip"))]
            self.assertEqual(first.status, 202, first)
            for answer in again:
                self.assertEqual((answer.status, answer.json(), answer.header("Location")), (202, first.json(), first.header("Location")))
            for other in (self.send(body + b"\n", header), self.send(line("two") + body, header), self.send(body, header, kind=CSV)):
                self.assertEqual(other.status, 422, other)
            self.assertEqual(self.send(body, header, client=self.new_client()).status, 202)
            self.assertEqual(self.send(body).status, 202)
        self.assertEqual(self.database.count("millrace.job_run"), 6)
        # Only the parts of runs stay.
        self.assertEqual(self.database.count("millrace.import_part", "run_id NOT IN (SELECT id FROM millrace.job_run)"), 0)
        self.assertEqual(self.database.count("millrace.import_part"), 6 * -(-len(body) // PART))

    def test_idempotency_key__of_uploads_at_the_same_time_has_one_run(self):
        answers = []
        clients = [self.api.api() for _ in range(6)]
        for client in clients:
            client.token = self.client.token
            self.addCleanup(client.close)
        threads = [threading.Thread(target=lambda client=client: answers.append(
            self.send(line("one") * 10_000, ("Idempotency-Key", "k"), client=client))) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({answer.status for answer in answers}, {202})
        self.assertEqual(self.database.count("millrace.job_run"), 1)

    def test_idempotency_key__is_held_against_its_rules_before_the_body(self):
        for key in ("", "x" * 256, '"open', "a, b"):
            answer = self.refused(self.head(BODY_MAX, extra=[("Idempotency-Key", key)]))
            self.assertEqual((answer.status, [error["field"] for error in answer.json()["errors"]]), (400, ["Idempotency-Key"]), key)
        answer = self.refused(self.head(BODY_MAX, extra=[("Idempotency-Key", "a, b"), ("If-Match", "1")]))
        self.assertEqual((answer.status, {error["field"] for error in answer.json()["errors"]}), (400, {"Idempotency-Key", "If-Match"}))

    def test_user__who_is_gone_is_401(self):
        self.database.query(f"DELETE FROM millrace.app_user WHERE id = '{self.user}'")
        answer = self.client.request("POST", "/v1/tasks/import", line("one"), [("Content-Type", NDJSON)])
        self.assertEqual(answer.status, 401, answer)
        self.assertEqual(self.database.count("millrace.job_run", "job = 'import'"), 0)


if __name__ == "__main__":
    unittest.main()
