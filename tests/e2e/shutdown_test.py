"""SHUTDOWN_GRACE bounds the end of the process, whatever a statement, a lock or a server that hangs does."""

import signal
import subprocess
import unittest

import support
from support import Everything, Frozen, Scheduler, TaskLock, make_request, patience, postgres_pids, wait_for

GRACE = 3 * support.SLOWNESS
LATER = 0.3 * support.SLOWNESS  # what a test needs to notice
STUCK = {"SHUTDOWN_GRACE": f"{GRACE}s", "DB_LOCK_TIMEOUT": "60s", "GATEWAY_REQUEST_TIMEOUT": "60s"}


class ShutdownTest(unittest.TestCase):
    def setUp(self):
        self.server = Everything(**STUCK).ready()
        self.addCleanup(self.server.close)
        self.name = "millrace"

    def ends_within_the_grace(self, process):
        """The exit status."""
        watch = support.Stopwatch()
        process.signal(signal.SIGTERM)
        status = process.wait(GRACE + 20)
        self.assertLess(watch.seconds(), GRACE + LATER, process.text()[-2000:])
        return status

    def hold_statement(self, process, lock):
        """A request of a new user whose statement waits for the lock."""
        with self.server.database(self.name) as database:
            _, token = database.add_user()
        connection = process.connect()
        self.addCleanup(connection.close)
        connection.send(make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {token}")],
                                     {"summary": "stuck", "taskPriorityCode": "LOW"}))
        lock.wait_for_waiters()
        return connection

    def lock(self):
        """Held until the test ends; of a server that hangs it is not given back, only left."""
        holder = self.server.database(self.name)
        self.addCleanup(holder.close)
        return TaskLock(holder).__enter__()

    def hold_run(self, database, lock):
        """A run whose chunk waits for the lock."""
        run_id = database.add_run("cleanup")
        lock.wait_for_waiters()
        return run_id

    def stop_server(self):
        """The database server hangs from here on."""
        frozen = Frozen.server(self.server)
        self.addCleanup(frozen.thaw)
        return list(frozen.pids)

    def assert_given_back(self, run_id):
        with self.server.database(self.name) as database:
            self.assertEqual((database.run(run_id)["state"], database.run(run_id)["attempt"]), ("queued", 1))


class Api(ShutdownTest):
    def start(self):
        process = self.server.api_process(**STUCK).ready()
        self.addCleanup(process.kill)
        return process

    def test_lock_in_the_way__the_statement_is_cancelled(self):
        process = self.start()
        self.hold_statement(process, self.lock())
        self.assertEqual(self.ends_within_the_grace(process), 1)
        with self.server.database() as database:
            self.assertEqual(database.count("pg_locks", "NOT granted"), 0)
        self.assertTrue(process.logs("shut down before everything was answered"))

    def test_server_hangs(self):
        process = self.start()
        self.hold_statement(process, self.lock())
        self.stop_server()
        self.assertEqual(self.ends_within_the_grace(process), 1)

    def test_idle_client__is_no_reason_for_a_short_grace_to_be_too_short(self):
        process = self.server.api_process(**{**STUCK, "SHUTDOWN_GRACE": f"{2400 * support.SLOWNESS}ms"}).ready()
        self.addCleanup(process.kill)
        with process.connect() as connection:
            self.assertEqual(connection.get("/livez").status, 200)
            self.assertEqual(process.stop(), 0)
        self.assertFalse(process.logs("shut down before everything was answered"))

    def test_delay_longer_than_the_grace__is_part_of_it(self):
        process = self.server.api_process(**{**STUCK, "SHUTDOWN_DELAY": "10m"}).ready()
        self.addCleanup(process.kill)
        self.assertEqual(self.ends_within_the_grace(process), 0)

    def test_everything_answered__is_0(self):
        process = self.start()
        lock = self.lock()
        connection = self.hold_statement(process, lock)
        process.signal(signal.SIGTERM)
        wait_for(lambda: process.logs("draining"), 5, "draining")
        lock.release()
        self.assertEqual(connection.response().status, 201)
        connection.close()
        self.assertEqual(process.wait(), 0)


class Tier(ShutdownTest):
    def setUp(self):
        super().setUp()
        self.name = self.server.job_database()
        self.database = self.server.database(self.name)
        self.addCleanup(self.database.close)

    def start(self):
        process = Scheduler(self.server, self.name, **STUCK)
        self.addCleanup(process.kill)
        return process.ready()

    def test_lock_in_the_way__the_run_is_given_back(self):
        process = self.start()
        run_id = self.hold_run(self.database, self.lock())
        self.assertEqual(self.ends_within_the_grace(process), 1)
        self.assertEqual(self.database.count("pg_locks", "NOT granted"), 0)
        self.assertEqual(self.database.run(run_id)["state"], "queued")
        support.assert_becomes(self, lambda: process.outcomes(run_id), [("released", 1)])

    def test_server_hangs(self):
        process = self.start()
        self.hold_run(self.database, self.lock())
        self.stop_server()
        self.assertEqual(self.ends_within_the_grace(process), 1)

    def test_idle__is_0_at_once(self):
        process = self.start()
        watch = support.Stopwatch()
        self.assertEqual(process.stop(), 0)
        self.assertLess(watch.seconds(), patience(1))


class All(ShutdownTest):
    def alive(self, pids):
        states = subprocess.run(["ps", "-o", "stat=", "-p", ",".join(map(str, pids))], text=True, capture_output=True).stdout
        return [state for state in states.split() if not state.startswith("Z")]

    def test_lock_in_the_way__the_embedded_server_stops_in_order(self):
        lock = self.lock()
        self.hold_statement(self.server, lock)
        with self.server.database() as database:
            self.hold_run(database, lock)
        pids = postgres_pids(self.server)
        self.assertEqual(self.ends_within_the_grace(self.server), 1)
        self.assertEqual(self.alive(pids), [])
        self.assertEqual(self.server.postmaster(), 0, "postmaster.pid is left")
        self.assertFalse(self.server.logs("the embedded PostgreSQL does not stop, and is killed"))

    def test_server_hangs__nothing_of_it_is_left(self):
        self.hold_statement(self.server, self.lock())
        pids = self.stop_server()
        self.assertEqual(self.ends_within_the_grace(self.server), 1)
        wait_for(lambda: not self.alive(pids), 2, "the server is gone")

    def test_jobs_are_given_back_with_the_signal_not_after_the_gateway(self):
        server = Everything(SHUTDOWN_DELAY=f"{patience(4)}s", JOB_CHUNK_ROWS="10").ready()
        self.addCleanup(server.close)
        with server.database() as database:
            user, _ = database.add_user()
            database.add_tasks(user, 20000, days_old=90, complete=True)
            database.slow_down(0.02)
            run_id = database.add_run("cleanup")
            database.wait_for_run(run_id, state="running", done=10)
            watch = support.Stopwatch()
            server.signal(signal.SIGTERM)
            database.wait_for_run(run_id, seconds=2, state="queued")
            self.assertLess(watch.seconds(), patience(2))
            self.assertIsNone(server.child.poll())
        self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main()
