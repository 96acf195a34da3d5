"""Imports that are interrupted: nothing is lost, and nothing is imported twice."""

import unittest

import imports
import support
from imports import PART, line
from support import make_request, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class Interrupted(imports.ImportTest):
    module = module

    LINES = 6_000
    CHUNK = {"JOB_CHUNK_ROWS": 100, "DB_LOCK_TIMEOUT": "60s"}  # a test holds a lock for longer than a statement waits for one by default

    def body(self):
        return b"".join(line(f"task {i:06}") if i % 100 else b"bad\n" for i in range(1, self.LINES + 1))

    def begin(self):
        """An import in its middle, which takes some seconds: its scheduler and run."""
        self.database.slow_down(0.05, "INSERT")
        process = self.scheduler(**self.CHUNK)
        run_id = self.upload(self.body())
        self.database.wait_for_run(run_id, 20, "running", done=1000)
        return process, run_id

    def assert_whole(self, run_id, attempt):
        self.database.hurry()
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
        self.database.slow_down(0.05, "INSERT")
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
        self.database.slow_down(0.05, "INSERT")
        self.scheduler(**self.CHUNK)
        runs = [self.upload(self.body()) for _ in range(5)]
        self.database.wait_for_run(runs[0], 20, "running", done=1000)
        for _ in range(2):
            other = self.new_client()
            run_id = self.upload(line("only"), client=other)
            self.database.wait_for_run(run_id, 4)
            self.assertEqual(self.summaries(other.id), ["only"])
        self.assertGreaterEqual(self.database.count("millrace.job_run", f"owner = '{self.user}' AND finished_at IS NULL"), 2)
        self.database.hurry()
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
        with module.server.database(self.name) as holder, support.TaskLock(holder) as lock, self.api.connect() as connection:
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


if __name__ == "__main__":
    unittest.main()
