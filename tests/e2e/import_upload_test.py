"""Uploads of imports: what the API refuses, and what it leaves behind."""

import contextlib
import gzip
import re
import threading
import unittest

import imports
import support
from imports import BODY_MAX, CSV, NDJSON, PART, Peak, line
from support import make_request, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class Upload(imports.ImportTest):
    """What the API itself refuses, and what it leaves behind; nobody works on the runs."""

    module = module

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
        slow = module.server.api_process(self.name, GATEWAY_BODY_TIMEOUT="1s", GATEWAY_BODY_MIN_RATE="1MiB")
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
        hasty = module.server.api_process(self.name, GATEWAY_REQUEST_TIMEOUT="2s", DB_LOCK_TIMEOUT="60s")
        self.addCleanup(hasty.kill)
        hasty.ready()

        @contextlib.contextmanager
        def locked():
            with module.server.database(self.name) as other:
                other.query("BEGIN; LOCK TABLE millrace.import_part")
                yield
                other.query("ROLLBACK")

        @contextlib.contextmanager
        def away():
            with module.server.database() as other:
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
