"""Faults in the middle of a run, each of them caused: it is finished all the same, by one process at a time, and nothing else is touched."""

import os
import signal
import threading
import time
import unittest

import support
from support import Scheduler, patience, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

OURS = "application_name ~ '^(scheduler|job/)' AND datname = current_database() AND pid <> pg_backend_pid()"


class Fleet:
    """A database of its own, with completed tasks that are due for clean-up and some that are not, and its schedulers."""

    def __init__(self, old, owner=None):
        self.server = owner or module.server
        self.name = self.server.job_database()
        self.database = self.server.database(self.name)
        self.database.socket.settimeout(patience(120))
        self.user, _ = self.database.add_user()
        self.other, _ = self.database.add_user()
        self.database.add_tasks(self.user, 500, days_old=60)  # not complete
        self.database.add_tasks(self.user, 500, days_old=29, complete=True)  # not old enough
        self.database.add_tasks(self.other, 500, days_old=60)
        self.kept = self.database.query("SELECT id FROM task ORDER BY id")
        self.old = old
        self.database.add_tasks(self.user, old, days_old=60, complete=True)
        self.processes = []

    def scheduler(self, **settings):
        self.processes.append(Scheduler(self.server, self.name, **settings).ready())
        return self.processes[-1]

    def start_run(self, done=1, job="cleanup"):
        """Queues a run, and waits until so much of it is done."""
        run_id = self.database.add_run(job)
        self.database.wait_for_run(run_id, 30, "running", done=done)
        return run_id

    def owner_of(self, run_id):
        pid = self.database.run(run_id)["claimed_by"].split(":")[1]
        return next(process for process in self.processes if str(process.pid) == pid)

    def assert_finished(self, test, run_id, seconds, attempt=1):
        """The run has succeeded; what was to be deleted is, each counted once, and nothing else."""
        row = self.database.wait_for_run(run_id, seconds)
        test.assertEqual(row["attempt"], attempt)
        test.assertEqual(row["result"]["tasks"], self.old)
        test.assertEqual(self.database.query("SELECT id FROM task ORDER BY id"), self.kept)
        test.assertEqual(int(self.database.value("SELECT sum(items) FROM task_count")), len(self.kept))
        return row

    def outcomes(self, run_id):
        """Of all processes, as their logs have it, in order of time."""
        lines = [line for process in self.processes for line in process.logs("job run") if line["runId"] == run_id]
        return [(line["outcome"], line["attempt"]) for line in sorted(lines, key=lambda line: line["time"])]

    def close(self):
        for process in self.processes:
            process.kill()
        self.database.close()


class FaultTest(unittest.TestCase):
    def fleet(self, old, owner=None):
        fleet = Fleet(old, owner)
        self.addCleanup(fleet.close)
        return fleet

    def assert_end(self, fleet):
        for process in fleet.processes:
            self.assertEqual(process.stop(), 0, process.text()[-3000:])


class Silent(FaultTest):
    def test_sigkill__in_the_middle_of_300000_deletions_is_rescued_within_a_minute_and_finished(self):
        fleet = self.fleet(60_000 if support.SANITIZE else 300_000)
        for _ in range(2):
            fleet.scheduler()
        run_id = fleet.start_run(done=fleet.old // 10)
        owner = fleet.owner_of(run_id)
        watch = support.Stopwatch()
        owner.kill()
        rescuer = next(process for process in fleet.processes if process is not owner)
        wait_for(lambda: rescuer.outcomes(run_id), 60 / support.SLOWNESS, "the run is rescued")
        print(f"SIGKILL: rescued after {watch.passed():.1f} s")
        self.assertLess(watch.seconds(), 60)
        row = fleet.assert_finished(self, run_id, 120, attempt=2)
        self.assertIsNone(row["error"])
        support.assert_becomes(self, lambda: fleet.outcomes(run_id), [("rescued", 1), ("succeeded", 2)])
        self.assertEqual(rescuer.stop(), 0)

    def test_sigstop__the_late_writes_of_the_old_owner_change_nothing(self):
        fleet = self.fleet(20_000)
        fleet.database.slow_down()
        for _ in range(2):
            fleet.scheduler(JOB_CHUNK_ROWS=500)
        run_id = fleet.start_run(done=2000)
        owner = fleet.owner_of(run_id)
        owner.signal(signal.SIGSTOP)
        fleet.database.hurry()
        fleet.assert_finished(self, run_id, 120, attempt=2)
        before = fleet.database.value(f"SELECT r::text || xmin || ctid FROM millrace.job_run r WHERE id = '{run_id}'")
        owner.signal(signal.SIGCONT)
        wait_for(lambda: owner.outcomes(run_id), 30, "the old owner notices")
        support.assert_becomes(self, lambda: owner.outcomes(run_id), [("lost", 1)])
        support.assert_becomes(self, lambda: fleet.outcomes(run_id), [("rescued", 1), ("succeeded", 2), ("lost", 1)])
        # It lives on: while the other is gone, it takes the next one.
        next(process for process in fleet.processes if process is not owner).kill()
        again = fleet.database.add_run("cleanup")
        fleet.database.wait_for_run(again, 30)
        support.assert_becomes(self, lambda: owner.outcomes(again), [("succeeded", 1)])
        self.assertEqual(fleet.database.value(f"SELECT r::text || xmin || ctid FROM millrace.job_run r WHERE id = '{run_id}'"), before)
        self.assertEqual(fleet.database.query("SELECT id FROM task ORDER BY id"), fleet.kept)
        self.assertEqual(owner.stop(), 0)


class OwnServer(FaultTest):
    """Faults that concern the whole database server."""

    def setUp(self):
        self.owner = support.Everything().ready()
        self.addCleanup(self.owner.close)

    def test_postgres_crash__in_the_middle_of_a_run(self):
        fleet = self.fleet(20_000, self.owner)
        fleet.scheduler(JOB_CHUNK_ROWS=500)
        for _ in range(2):
            fleet.database.slow_down()
            run_id = fleet.start_run(done=3000)
            old = self.owner.postmaster()
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: self.owner.postmaster() not in (0, old), 20, "the server is started again")

            def connects():
                try:
                    fleet.database = self.owner.database(fleet.name)
                    return True
                except (OSError, support.DatabaseError):
                    return False

            wait_for(connects, 30, "the database is back")
            fleet.database.hurry()
            fleet.assert_finished(self, run_id, 90)
            support.assert_becomes(self, lambda: fleet.outcomes(run_id), [("succeeded", 1)])
            fleet.database.add_tasks(fleet.user, fleet.old, days_old=60, complete=True)
        self.assert_end(fleet)

    def test_connections_exhausted__those_that_it_lost_come_back(self):
        fleet = self.fleet(20_000, self.owner)
        fleet.database.slow_down()
        process = fleet.scheduler(JOB_CHUNK_ROWS=100)
        run_id = fleet.start_run(done=1000)
        held = []

        def hold_all():
            while True:
                try:
                    held.append(self.owner.database())
                except support.DatabaseError as error:
                    self.assertEqual(error.sqlstate, "53300")
                    return

        hold_all()
        done = fleet.database.run(run_id)["done"]
        wait_for(lambda: fleet.database.run(run_id)["done"] > done, 20, "it goes on")  # who is connected is not concerned

        def away():  # the scheduler may be quicker to the place it lost than we are
            fleet.database.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
            hold_all()
            return fleet.database.count("pg_stat_activity", OURS) == 0

        wait_for(away, 20, "the scheduler has no connection")
        wait_for(lambda: process.pulse()["status"] == "error", 10, "it says so")
        while held:
            held.pop().close()
        fleet.database.hurry()
        fleet.assert_finished(self, run_id, 90)
        wait_for(lambda: process.pulse()["status"] == "ok", 10, "it is well again")
        support.assert_becomes(self, lambda: fleet.outcomes(run_id), [("succeeded", 1)])
        self.assert_end(fleet)


class Connections(FaultTest):
    def test_connections_terminated__over_and_over(self):
        fleet = self.fleet(20_000)
        fleet.database.slow_down()
        for _ in range(2):
            fleet.scheduler(JOB_CHUNK_ROWS=200)
        run_id = fleet.start_run(done=1000)
        for _ in range(25):
            fleet.database.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
            wait_for(lambda: fleet.database.count("pg_stat_activity", OURS + " AND application_name = 'scheduler'") == 2, 10, "they come back")
        fleet.database.hurry()
        fleet.assert_finished(self, run_id, 90)
        support.assert_becomes(self, lambda: fleet.outcomes(run_id), [("succeeded", 1)])
        for job in ("aggregate", "report", "cleanup"):
            fleet.database.wait_for_run(fleet.database.add_run(job), 20)
        self.assert_end(fleet)

    def test_connections_terminated__while_runs_are_claimed_and_finished(self):
        fleet = self.fleet(0)
        for _ in range(2):
            fleet.scheduler(JOB_NOOP="true")
        stopping = threading.Event()

        def terminate():
            with module.server.database(fleet.name) as database:
                while not stopping.is_set():
                    database.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS} AND application_name LIKE 'job/%'")

        thread = threading.Thread(target=terminate)
        thread.start()
        try:
            for i in range(20):
                fleet.database.query("INSERT INTO millrace.job_run (id, job, trigger, exclusive) "
                                     "SELECT gen_random_uuid(), 'noop', 'manual', false FROM generate_series(1, 500)")
                fleet.database.add_run("aggregate")
        finally:
            stopping.set()
            thread.join(patience(10))
        wait_for(lambda: not fleet.database.count("millrace.job_run", "state <> 'succeeded'"), 60, "all are finished")
        self.assertEqual(fleet.database.query("SELECT count(*), min(attempt), max(attempt) FROM millrace.job_run"), [["10020", "1", "1"]])
        self.assert_end(fleet)

    def test_horizon__held_by_an_idle_transaction_for_the_whole_run(self):
        fleet = self.fleet(60_000)
        process = fleet.scheduler()
        with module.server.database(fleet.name) as holder:
            holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM task")
            begun = time.monotonic()
            run_id = fleet.database.add_run("cleanup")
            fleet.assert_finished(self, run_id, 90)
            print(f"cleanup of {fleet.old} under a held horizon: {time.monotonic() - begun:.1f} s")
            for job in ("aggregate", "report", "maintenance"):
                fleet.database.wait_for_run(fleet.database.add_run(job), 60)
            self.assertEqual(int(holder.value("SELECT count(*) FROM task")), fleet.old + len(fleet.kept))
        support.assert_becomes(self, lambda: process.outcomes(run_id), [("succeeded", 1)])
        self.assert_end(fleet)

    def test_lock__that_somebody_holds_for_long_is_waited_for(self):
        fleet = self.fleet(3000)
        process = fleet.scheduler(DB_LOCK_TIMEOUT="200ms")
        with module.server.database(fleet.name) as holder, support.TaskLock(holder):
            run_id = fleet.database.add_run("cleanup")
            wait_for(lambda: len(process.logs("job chunk is retried")) >= 2, 20, "it tries again")
        fleet.assert_finished(self, run_id, 30)
        self.assert_end(fleet)


class Failing(FaultTest):
    def failing(self):
        fleet = self.fleet(10)
        # Without migrations of its own it prepares all at connect; a table missed by one that is prepared later takes the connection down.
        process = fleet.scheduler(DB_MIGRATIONS_RUN="false")
        fleet.database.query("ALTER TABLE millrace.refresh_token RENAME TO hidden")
        run_id = fleet.database.add_run("cleanup")
        return fleet, process, run_id

    def assert_failed(self, fleet, process, run_id, attempt, state):
        row = wait_for(lambda: [row for row in [fleet.database.run(run_id)] if (row["attempt"], row["state"]) == (attempt, state)], 20,
                       f"attempt {attempt} is {state}")[0]
        self.assertEqual(row["error"], "a statement was refused (SQLSTATE 42P01)")
        line = wait_for(lambda: [line for line in process.logs("job run") if line["attempt"] == attempt], 5, "it is logged")[-1]
        self.assertEqual((line["outcome"], line["level"]), (state, {"failed": "warn", "dead": "error"}[state]))
        self.assertIn("refresh_token", line["reason"])
        return row

    def test_failure__is_tried_again_later_each_time_and_dead_in_the_end(self):
        fleet, process, run_id = self.failing()
        for attempt in range(1, 5):
            row = self.assert_failed(fleet, process, run_id, attempt, "failed")
            self.assertIsNone(row["finished_at"])
            waits = float(fleet.database.value(f"SELECT extract(epoch FROM run_after - now()) FROM millrace.job_run WHERE id = '{run_id}'"))
            self.assertLessEqual(waits, 1.1 * 2 ** attempt)
            if attempt > 1:
                self.assertGreater(waits, 0.9 * 2 ** attempt - patience(2))
            fleet.database.query(f"UPDATE millrace.job_run SET run_after = now() WHERE id = '{run_id}'")
        row = self.assert_failed(fleet, process, run_id, 5, "dead")
        self.assertIsNotNone(row["finished_at"])
        self.assertEqual(row["result"]["tasks"], 10)  # the phases before it had been done once
        # The next run goes on as if nothing had been.
        fleet.database.query("ALTER TABLE millrace.hidden RENAME TO refresh_token")
        fleet.database.wait_for_run(fleet.database.add_run("cleanup"))
        self.assertEqual(fleet.database.run(run_id)["state"], "dead")
        self.assert_end(fleet)

    def test_failure__that_is_mended_goes_on_where_it_was_by_itself(self):
        fleet, process, run_id = self.failing()
        self.assert_failed(fleet, process, run_id, 1, "failed")
        fleet.database.query("ALTER TABLE millrace.hidden RENAME TO refresh_token")
        fleet.assert_finished(self, run_id, 10, attempt=2)
        self.assertIsNone(fleet.database.run(run_id)["error"])
        support.assert_becomes(self, lambda: process.outcomes(run_id), [("failed", 1), ("succeeded", 2)])

    def test_failure__does_not_keep_other_runs_of_the_job_from_starting(self):
        fleet, process, run_id = self.failing()
        self.assert_failed(fleet, process, run_id, 1, "failed")
        fleet.database.query(f"UPDATE millrace.job_run SET run_after = now() + interval '1 hour' WHERE id = '{run_id}'; "
                             "ALTER TABLE millrace.hidden RENAME TO refresh_token")
        fleet.database.wait_for_run(fleet.database.add_run("cleanup"))


if __name__ == "__main__":
    unittest.main()
