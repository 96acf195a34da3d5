"""Uploads that break off where nobody can say so: their parts are gone within a minute, and those of an upload under way never are."""

import os
import signal
import time
import unittest

import support
from support import Scheduler, make_request, wait_for

PART = 256 << 10
LINE = b'{"summary":"one","taskPriorityCode":"LOW"}\n'
NDJSON = ("Content-Type", "application/x-ndjson")


class BrokenTest(unittest.TestCase):
    """A server of its own, which may be killed, and a database on it."""

    def setUp(self):
        self.owner = support.Everything().ready()
        self.addCleanup(self.owner.close)
        self.name = self.owner.job_database()
        self.connect()

    def connect(self):
        try:
            self.database = self.owner.database(self.name)
        except (OSError, support.DatabaseError):
            return False  # it is starting
        self.addCleanup(self.database.close)
        return True

    def api(self, **settings):
        process = self.owner.api_process(self.name, **{"GATEWAY_BODY_TIMEOUT": "10m", **settings})
        self.addCleanup(process.kill)
        return process.ready()

    def scheduler(self, **settings):
        process = Scheduler(self.owner, self.name, **settings)
        self.addCleanup(process.kill)
        return process.ready()

    def uploads(self):
        return {row[0] for row in self.database.query("SELECT DISTINCT run_id FROM millrace.import_part")}

    def begin(self, api, length, parts, *headers):
        """An upload of so many bytes, of which so many parts are kept; its connection and id."""
        _, token = self.database.add_user()
        before = self.uploads()
        connection = api.connect(timeout=60)
        self.addCleanup(connection.close)
        connection.send(make_request("POST", "/v1/tasks/import", [("Content-Length", str(length)), ("Authorization", f"Bearer {token}"), NDJSON, *headers]))
        connection.send((LINE * (length // len(LINE) + 1))[:parts * PART])
        upload = wait_for(lambda: self.uploads() - before, 20, "a part is kept").pop()
        wait_for(lambda: self.database.count("millrace.import_part", f"run_id = '{upload}'") == parts, 20, "all of them are")
        return connection, upload

    def restart_database(self):
        old = self.owner.postmaster()
        os.kill(old, signal.SIGKILL)
        return lambda: wait_for(lambda: self.owner.postmaster() not in (0, old) and self.connect(), 40, "the database is back")


class Parts(BrokenTest):
    def test_parts__of_uploads_that_broke_off_without_a_word_go_within_a_minute_and_a_slow_one_stays(self):
        scheduler = self.scheduler()
        api, doomed, hasty = self.api(), self.api(), self.api(GATEWAY_REQUEST_TIMEOUT="3s", DB_LOCK_TIMEOUT="60s")
        whole = LINE * (2 * PART // len(LINE))
        slow, slow_id = self.begin(api, len(whole), 1)  # and then says nothing for as long as the others take

        # The last message waits, in a server that is silent beyond the deadline: nobody learns whether there is a run.
        connection, late_id = self.begin(hasty, 3 * PART, 2)
        waiting = ("SELECT a.pid FROM pg_stat_activity a WHERE a.wait_event_type = 'Lock' AND a.application_name LIKE 'data-writer%' "
                   f"AND a.datname = '{self.name}'")
        with self.owner.database(self.name) as holder:
            holder.query("BEGIN; LOCK TABLE millrace.idempotency_key")
            connection.send(LINE[:1] * PART)
            backend = int(wait_for(lambda: self.database.query(waiting), 20, "the last message waits")[0][0])
            with support.Frozen([backend]):
                self.assertEqual(connection.response().status, 504)
                time.sleep(1)
            # This one: the writer's next connections wait for the lock, too, to prepare their statements.
            wait_for(lambda: not self.database.query(f"{waiting} AND a.pid = {backend}"), 20, "it is given up")

        _, killed_id = self.begin(doomed, 16 * PART, 3)
        doomed.kill()

        connection, lost_id = self.begin(api, 16 * PART, 3)
        is_back = self.restart_database()
        connection.abort()
        is_back()
        began = time.monotonic()
        wait_for(lambda: self.uploads() == {slow_id}, 60 / support.SLOWNESS, "the parts of the broken ones are gone")
        print(f"gone after {time.monotonic() - began:.1f} s")
        self.assertEqual(self.database.count("millrace.job_run"), 0)
        told = wait_for(lambda: {late_id, killed_id} <= set(found := {line["runId"]: line["parts"] for line in scheduler.logs("broken upload deleted")}) and found,
                        30, "the log tells of them")
        self.assertEqual({**told, lost_id: 3}, {late_id: 3, killed_id: 3, lost_id: 3})  # whose drop may have been in time

        slow.send(whole[PART:])
        answer = slow.response()
        self.assertEqual((answer.status, answer.json()["id"]), (202, slow_id))
        self.assertEqual(self.database.wait_for_run(slow_id, 60)["result"]["imported"], len(whole) // len(LINE))
        for process in (api, hasty, scheduler):
            self.assertEqual(process.stop(), 0)


class Races(BrokenTest):
    def test_last_message__of_an_upload_that_is_being_deleted_makes_no_run(self):
        api = self.api()
        connection, upload = self.begin(api, 2 * PART, 1)
        self.database.query(f"BEGIN; SELECT FROM millrace.import_part WHERE run_id = '{upload}' AND part = 0 FOR UPDATE")
        connection.send(LINE[:1] * PART)
        with self.owner.database(self.name) as other:
            wait_for(lambda: int(other.value("SELECT count(*) FROM pg_locks WHERE NOT granted")), 20, "the last message waits")
            self.database.query(f"DELETE FROM millrace.import_part WHERE run_id = '{upload}' AND part = 0; COMMIT")
            self.assertEqual(connection.response().status, 503)
            self.assertEqual(other.count("millrace.job_run"), 0)
        self.assertEqual(api.stop(), 0)

    def test_clean_up__passes_an_upload_that_has_been_under_way_for_hours(self):
        api, scheduler = self.api(), self.scheduler()
        body = LINE * (3 * PART // len(LINE))
        connection, upload = self.begin(api, len(body), 2)
        self.database.query("UPDATE millrace.import_part SET created_at = now() - interval '3 hours' WHERE part > 0")
        self.assertEqual(self.database.wait_for_run(self.database.add_run("housekeeping"), 30)["result"]["importParts"], 0)
        connection.send(body[2 * PART:])
        self.assertEqual(connection.response().status, 202)
        self.assertEqual(self.database.wait_for_run(upload, 60)["result"]["rejected"], 0)
        for process in (api, scheduler):
            self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
