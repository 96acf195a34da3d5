"""Faults, each of them caused: what a client sees meanwhile, and that what was acknowledged is there afterwards."""

import os
import signal
import subprocess
import threading
import time
import unittest

import support
from support import patience, wait_for


class Load:
    """Clients that create tasks and read them back, one request after the other, until they are told to stop."""

    def __init__(self, server, user, clients=12):
        self.server, self.user = server, user
        self.stopping = threading.Event()
        self.acknowledged, self.statuses, self.broken, self.slowest = [], {}, [], 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, api, method, path, body=None):
        watch = support.Stopwatch()
        answer = api.request(method, path, body)
        with self.lock:
            self.slowest = max(self.slowest, watch.seconds())
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        return answer

    def _run(self):
        api = self.server.api()
        api.token = self.user.token
        while not self.stopping.is_set():
            try:
                answer = self._ask(api, "POST", "/v1/tasks", {"summary": "load", "taskPriorityCode": "LOW"})
                if answer.status == 201:
                    with self.lock:
                        self.acknowledged.append(answer.json()["id"])
                    self._ask(api, "GET", "/v1/tasks/" + answer.json()["id"])
            except (OSError, support.NoAnswer) as error:
                with self.lock:
                    self.broken.append(repr(error))
                api.close()
        api.close()

    def count(self, status):
        with self.lock:
            return self.statuses.get(status, 0)

    def flows(self, more=50):
        """Until so many more creations were acknowledged."""
        before = self.count(201)
        wait_for(lambda: self.count(201) >= before + more, 20, f"creations are acknowledged: {self.statuses} {self.broken[:3]}")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(patience(60))
        return self


class WithServer(unittest.TestCase):
    settings = {}

    def setUp(self):
        self.server = support.Everything(**self.settings).ready()
        self.addCleanup(self.server.close)
        self.user = self.server.api().register()
        self.addCleanup(self.user.close)

    def start_load(self, **options):
        load = Load(self.server, self.user, **options)
        self.addCleanup(load.stop)
        load.flows()
        return load

    def assert_nothing_lost(self, load):
        """Every task whose creation was acknowledged is there, once; and nothing is there twice."""
        with self.server.database() as database:
            there = {row[0] for row in database.query(f"SELECT id FROM task WHERE user_id = '{self.user.user['id']}'")}
        lost = set(load.acknowledged) - there
        self.assertFalse(lost, f"{len(lost)} of {len(load.acknowledged)} acknowledged tasks are lost")
        self.assertEqual(len(set(load.acknowledged)), len(load.acknowledged))


class Crash(WithServer):
    def test_postgres_crash__under_load_loses_nothing_and_is_over_within_two_seconds_of_its_return(self):
        load = self.start_load()
        old = self.server.postmaster()
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: self.server.postmaster() not in (0, old), 20, "the server is started again")

        def connects():
            try:
                self.server.database().close()
                return True
            except (OSError, support.DatabaseError):
                return False

        wait_for(connects, 30, "the database is back")
        watch = support.Stopwatch()
        load.flows(1)
        self.assertLess(watch.seconds(), patience(2))
        load.flows()
        load.stop()
        self.assertFalse(load.broken, load.broken[:3])
        self.assertLessEqual(set(load.statuses), {200, 201, 503})
        self.assertIsNone(self.server.child.poll())
        self.assert_nothing_lost(load)


class Terminated(WithServer):
    def test_connections_terminated__over_and_over_lose_nothing(self):
        load = self.start_load()
        with self.server.database() as database:
            for _ in range(20):
                database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                               "WHERE application_name ~ '^(auth|data-)' AND pid <> pg_backend_pid()")
                load.flows(5)
        load.flows()
        load.stop()
        self.assertFalse(load.broken, load.broken[:3])
        self.assertLessEqual(set(load.statuses), {200, 201, 503})
        self.assert_nothing_lost(load)


class Exhausted(WithServer):
    def test_connections_exhausted__the_process_keeps_its_own_and_gets_them_back(self):
        held = []

        def hold_all():
            while True:
                try:
                    held.append(self.server.database())
                except support.DatabaseError as error:
                    self.assertEqual(error.sqlstate, "53300")
                    return

        load = self.start_load(clients=4)
        hold_all()
        load.flows()  # who is connected is not concerned

        def refused():  # an actor may be quicker to the place it lost than we are
            held[0].query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^(auth|data-)'")
            hold_all()
            return load.count(503) > 0

        wait_for(refused, 10, "requests are refused while there is no connection to be had")
        while held:
            held.pop().close()
        load.flows()
        load.stop()
        self.assertLessEqual(set(load.statuses), {200, 201, 503})
        self.assert_nothing_lost(load)


class Hung(WithServer):
    settings = {"GATEWAY_REQUEST_TIMEOUT": "2s", "DB_CONNECT_TIMEOUT": "1s"}

    def test_hung_database__every_request_is_answered_by_its_deadline_and_all_is_well_soon_after(self):
        load = self.start_load(clients=8)
        with support.Frozen.server(self.server):
            hung = time.monotonic()
            wait_for(lambda: load.count(503) + load.count(504) >= 16, 30, f"requests are answered: {load.statuses}")
            api = self.server.api()
            self.assertEqual(api.get("/livez").status, 200)
            wait_for(lambda: api.get("/v1/health").status == 503, 10, "health says so")
            health = api.get("/v1/health")
            self.assertEqual(health.json()["error"], {"database": {"status": "down"}})
            api.close()
            self.assertGreater(time.monotonic() - hung, 1)
        watch = support.Stopwatch()
        load.flows(1)
        self.assertLess(watch.seconds(), patience(3))
        load.flows()
        load.stop()
        self.assertFalse(load.broken, load.broken[:3])
        self.assertLess(load.slowest, patience(2) + 1)
        self.assertLessEqual(set(load.statuses), {200, 201, 503, 504})
        self.assert_nothing_lost(load)


class FullMailbox(WithServer):
    settings = {"MAILBOX_MAX_MESSAGES": "8", "DB_LOCK_TIMEOUT": "60s", "GATEWAY_REQUEST_TIMEOUT": "60s"}

    def test_full_mailbox__is_refused_at_once_while_others_are_served(self):
        with self.server.database() as database, support.TaskLock(database) as lock:
            waiting = []

            def ask():
                connection = self.server.connect(timeout=0.5)
                connection.send(support.make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {self.user.token}")],
                                                     {"summary": "waits", "taskPriorityCode": "LOW"}))
                return connection

            def refused():
                """The answer of one more. One that the mailbox still had room for waits, as those before it."""
                connection = ask()
                try:
                    answer = connection.response()
                except support.NoAnswer as nothing:
                    self.assertEqual(nothing.how, "timeout")
                    waiting.append(connection)
                    return None
                connection.close()
                self.assertEqual(answer.status, 503)
                return answer

            waiting += [ask() for _ in range(8)]
            lock.wait_for_waiters()
            answer = wait_for(refused, 10, "what the mailbox has no room for is refused at once")
            self.assertEqual(answer.header("Retry-After"), "1")
            self.assertEqual(self.user.get("/v1/users/profile").status, 200)
            lock.release()
        for connection in waiting:
            connection.timeout = patience(15)
            self.assertEqual(connection.response().status, 201)
            connection.close()

    def test_overload__serves_as_many_as_before(self):
        few = Load(self.server, self.user, clients=4)
        few.flows()
        few.flows(200)
        few.stop()
        many = Load(self.server, self.user, clients=40)
        many.flows(400)
        many.stop()
        self.assertFalse(few.broken + many.broken)
        self.assertLessEqual(set(many.statuses), {200, 201, 503})
        self.assert_nothing_lost(many)


@unittest.skipUnless(os.geteuid() == 0, "a small file system can be mounted by root only")
class DiskFull(unittest.TestCase):
    def setUp(self):
        self.scratch = support.Scratch()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m,mode=755", "tmpfs", self.scratch.path],
                              text=True, capture_output=True)
        if done.returncode != 0:
            self.skipTest("no small file system here: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", self.scratch.path])

    def test_disk_full__is_503_reads_go_on_and_room_heals_it(self):
        server = support.Everything(state_dir=self.scratch.join("state")).ready()
        self.addCleanup(server.close)
        user = server.api().register()
        self.addCleanup(user.close)
        first = user.create_task()
        filler = self.scratch.join("filler")
        made = [first["id"]]
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
                    file.flush()
            except OSError:
                pass

        def fails():
            answer = user.post("/v1/tasks", {"summary": "s", "description": "d" * 60000, "taskPriorityCode": "LOW"})
            if answer.status == 201:
                made.append(answer.json()["id"])
            return answer if answer.status != 201 else None

        answer = wait_for(fails, 30, "there is no room left")
        self.assertEqual(answer.status, 503, answer)
        self.assertIsNotNone(answer.header("Retry-After"))
        os.unlink(filler)
        wait_for(lambda: user.post("/v1/tasks", {"summary": "again", "taskPriorityCode": "LOW"}).status == 201, 30,
                 "there is room again")
        for task in made:
            self.assertEqual(user.get("/v1/tasks/" + task).status, 200, "acknowledged and lost")
        self.assertIsNone(server.child.poll())


if __name__ == "__main__":
    unittest.main()
