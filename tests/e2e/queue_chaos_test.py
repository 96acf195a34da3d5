"""A queue in bad company: whatever is done to database, API and workers, every run whose transaction was committed is done, and
none is handed out again whose success was acknowledged."""

import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from cluster import Server
from support import Api, DatabaseError, NoAnswer, Process, wait_for

JOB = "errand"
FAILURES = (DatabaseError, NoAnswer, OSError, AssertionError, EOFError)  # what a client sees of a server in trouble


class Producer(threading.Thread):
    """Queues runs, each in one transaction with a row of its own, which says that it was committed."""

    def __init__(self, server, pause):
        super().__init__(daemon=True)
        self.server, self.pause, self.over, self.number = server, pause, threading.Event(), 0

    def run(self):
        database = None
        while not self.over.wait(self.pause):
            self.number += 1
            try:
                database = database or self.server.database()
                database.query(f"INSERT INTO wanted SELECT millrace.enqueue('{JOB}', '{{\"n\": {self.number}}}', key => 'k{self.number % 7}')")
            except FAILURES:
                if database:
                    database.close()
                database = None
        if database:
            database.close()

    def stop(self):
        self.over.set()
        self.join(30)


class Ledger:
    """What workers were handed, and what was acknowledged to them."""

    def __init__(self):
        self.lock, self.acknowledged, self.again = threading.Lock(), {}, []

    def note_claim(self, run):
        with self.lock:
            if int(run["claim"]) > self.acknowledged.get(run["id"], int(run["claim"])):
                self.again.append(run)

    def note_success(self, run):
        with self.lock:
            self.acknowledged[run["id"]] = int(run["claim"])


class Worker(threading.Thread):
    """Asks over HTTP; tells an outcome until it is heard, or told that the claim is not its own any more."""

    def __init__(self, port, key, ledger):
        super().__init__(daemon=True)
        self.port, self.key, self.ledger = port, key, ledger
        self.over, self.dies = threading.Event(), threading.Event()

    def call(self, path, body):
        """What the answer says; None when there is none, or not now."""
        try:
            if self.api is None:
                self.api = Api(self.port)
                self.api.token = self.key
            answer = self.api.post(path, body)
            if answer.status == 200:
                return answer.json()
            if answer.status not in (429, 500, 503, 504):
                raise SystemExit(f"{path}: {answer}")
        except FAILURES:
            if self.api:
                self.api.close()
            self.api = None
        self.over.wait(0.02)
        return None

    def run(self):
        self.api = None
        while not self.over.is_set():
            told = self.call(f"/v1/jobs/{JOB}/claims", {"max": 20, "lease": "2s", "wait": "1s"})
            runs = told["runs"] if told else []
            for each in runs:
                self.ledger.note_claim(each)
            if self.dies.is_set():
                self.dies.clear()  # with its runs in hand
                continue
            if runs:
                self.tell(runs)
        if self.api:
            self.api.close()

    def tell(self, runs):
        body = {"outcomes": [{"id": each["id"], "claim": each["claim"], "outcome": "succeeded"} for each in runs]}
        for _ in range(500):
            told = self.call("/v1/job-runs/outcomes", body)
            if told:
                for run, each in zip(runs, told["outcomes"]):
                    if each["status"] == 200:
                        self.ledger.note_success(run)
                return


class QueueChaos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server.migrated()
        cls.addClassCleanup(cls.server.close)
        cls.api = cls.start_api()
        cls.boss = cls.api.api().register(grant=lambda user: cls.server.query(
            f"UPDATE millrace.app_user SET role = 'admin' WHERE id = '{user['id']}'"))
        made = cls.boss.post("/v1/api-keys", {"name": "workers", "scopes": ["jobs:work"]})
        assert made.status == 201, made
        cls.key = made.json()["key"]
        cls.boss.close()
        cls.server.query(f"""INSERT INTO millrace.job (name, exclusive, manual, work, origin, attempts)
            VALUES ('{JOB}', false, false, 'pull', 'managed', 1000);
            CREATE TABLE wanted (id uuid PRIMARY KEY)""")

    @classmethod
    def start_api(cls, **settings):
        api = Process("api", **{**cls.server.settings(), "RATE_LIMIT_PER_MINUTE": "0", **settings})
        cls.addClassCleanup(api.kill)
        return api.ready()

    def setUp(self):
        self.server.query("TRUNCATE wanted, millrace.run, millrace.ready, millrace.later, millrace.lease, millrace.run_attempt")
        self.ledger = Ledger()
        self.workers = [Worker(self.api.port, self.key, self.ledger) for _ in range(4)]
        self.producers = [Producer(self.server, 0.01)]
        for each in self.workers + self.producers:
            each.start()
        self.addCleanup(self.stop)
        self.flows()

    def stop(self):
        for each in self.workers + self.producers:
            each.over.set()
        for each in self.workers + self.producers:
            each.join(60)

    def flows(self, more=40):
        """Runs are queued and done, now."""
        goal = len(self.ledger.acknowledged) + more
        wait_for(lambda: len(self.ledger.acknowledged) >= goal, 60, "runs are done")

    def assert_all_done(self):
        for each in self.producers:
            each.stop()
        left = "SELECT (SELECT count(*) FROM millrace.run WHERE outcome IS NULL)"
        wait_for(lambda: self.server.query(left)[0][0] == "0", 90, "every run comes to its end")
        for each in self.workers:
            each.over.set()
        for each in self.workers:
            each.join(60)
        wanted = {row[0] for row in self.server.query("SELECT id FROM wanted")}
        done = {row[0] for row in self.server.query("SELECT id FROM millrace.run WHERE outcome = 'succeeded'")}
        self.assertEqual(wanted, done)
        self.assertLessEqual(set(self.ledger.acknowledged), done)
        self.assertEqual(self.ledger.again, [], "handed out although its success was acknowledged")
        for table in ("ready", "later", "lease"):
            self.assertEqual(self.server.query(f"SELECT count(*) FROM millrace.{table}")[0][0], "0", table)

    # ---- What is done to them ----

    def test_database_killed_and_started_again(self):
        for _ in range(2):
            self.server.kill()
            time.sleep(0.2)  # how long it is away: no condition tells that from outside
            self.server.start()
            self.flows()
        self.assert_all_done()

    def test_sessions_terminated_over_and_over(self):
        for _ in range(8):
            self.server.end_connections()
            self.flows(5)
        self.flows()
        self.assert_all_done()

    def test_connections_exhausted(self):
        taken = []
        self.addCleanup(lambda: [each.close() for each in taken])

        def take_all():
            for _ in range(100):
                try:
                    taken.append(self.server.database())
                except FAILURES:
                    return

        take_all()
        for _ in range(5):  # Millrace's sessions end, and what they leave free is taken
            taken[0].query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> '' AND pid <> pg_backend_pid()")
            take_all()
        for each in taken:
            each.close()
        taken.clear()
        self.flows()
        self.assert_all_done()

    def test_workers_die_with_runs_in_hand_once_and_again(self):
        for number in range(6):
            self.workers[number % 4].dies.set()
            self.flows(20)
        wait_for(lambda: not any(each.dies.is_set() for each in self.workers), 30, "each has died")
        self.assert_all_done()
        self.assertTrue(self.server.query("SELECT count(*) FROM millrace.run_attempt")[0][0] != "0", "a lease that ran out is an attempt")

    def test_api_killed(self):
        port = self.api.port
        for _ in range(2):
            self.api.kill()
            type(self).api = self.start_api(APP_PORT=str(port))
            self.flows()
        self.assert_all_done()

    def test_horizon_held_and_repeatable_read_readers(self):
        with self.server.database() as holder, ThreadPoolExecutor(2) as readers:
            holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM millrace.run; SELECT txid_current()")
            over = threading.Event()

            def read():
                with self.server.database() as database:
                    while not over.is_set():
                        database.query("""BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM millrace.every_run;
                                          SELECT pg_sleep(0.02); SELECT count(*) FROM millrace.ready; COMMIT""")

            reading = [readers.submit(read) for _ in range(2)]
            self.flows(300)
            over.set()
            for each in reading:
                each.result(60)
            holder.query("ROLLBACK")
        self.assert_all_done()

    def test_bursts_and_more_than_they_can_do(self):
        for each in self.workers[1:]:
            each.over.set()  # one is left, and it has more to do than it can
        for burst in range(3):
            self.server.query(f"""INSERT INTO wanted SELECT millrace.enqueue_many('{JOB}', array_fill('{{"burst": {burst}}}'::jsonb, ARRAY[700]))""")
            self.producers += [Producer(self.server, 0)]
            self.producers[-1].start()
            self.flows(100)
        for each in self.producers[1:]:
            each.stop()
        self.workers += [Worker(self.api.port, self.key, self.ledger) for _ in range(3)]
        for each in self.workers[4:]:
            each.start()
        self.assert_all_done()

    def test_enqueue_in_a_transaction_that_stays_open__no_run_before_its_commit(self):
        with self.server.database() as database:
            database.query("BEGIN")
            run = database.query(f"""WITH made AS (INSERT INTO wanted SELECT millrace.enqueue('{JOB}', '{{"late": true}}') RETURNING id)
                                     SELECT id FROM made""")[0][0]
            self.flows(100)  # others are not held up
            self.assertNotIn(run, self.ledger.acknowledged)
            database.query("COMMIT")
        wait_for(lambda: run in self.ledger.acknowledged, 30, "it is done after its commit")
        self.assert_all_done()


if __name__ == "__main__":
    unittest.main()
