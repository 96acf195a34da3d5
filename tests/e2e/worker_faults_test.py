"""Workers while the database crashes, and while an API ends or is killed."""

import os
import select
import signal
import threading
import time
import unittest
import uuid

import support
from cluster import Proxy
from support import patience, wait_for


class WorkerFaults(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = support.Everything().ready()
        cls.addClassCleanup(cls.server.kill)
        cls.boss = cls.server.admin()
        cls.addClassCleanup(cls.boss.close)

    def setUp(self):
        self.job = "job_" + uuid.uuid4().hex[:10]
        with self.server.database() as database:
            database.query(f"INSERT INTO millrace.job (name, work, origin, retry_first_ms) VALUES ('{self.job}', 'pull', 'managed', 50)")

    def enqueue(self, count=1):
        database = self.server.database()
        try:
            return {row[0] for row in database.query(
                f"SELECT millrace.enqueue_many('{self.job}', array_fill('{{}}'::jsonb, ARRAY[{count}]))")}
        finally:
            database.close()

    def send_claim(self, process, **body):
        connection = process.connect(timeout=60)
        self.addCleanup(connection.close)
        connection.send(support.make_request("POST", f"/v1/jobs/{self.job}/claims", [("Authorization", f"Bearer {self.boss.token}")],
                                             {"wait": "40s", "lease": "2s", **body}))
        return connection

    def crash(self):
        old = self.server.postmaster()
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: self.server.postmaster() not in (0, old), 40, "the database is back")

    def test_database__crashes_while_workers_wait(self):
        """They wait on, and have the run that is queued when it is back."""
        waiting = [self.send_claim(self.server) for _ in range(3)]
        wait_for(lambda: self.is_listened(), 20, "somebody waits")
        self.crash()
        runs = wait_for(self.try_enqueue, 40, "the database takes a run")
        answered, _, _ = select.select([connection.socket for connection in waiting], [], [], patience(40))
        self.assertTrue(answered, "one of them has it")
        answer = next(connection for connection in waiting if connection.socket in answered).response()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual({run["id"] for run in answer.json()["runs"]}, runs)

    def is_listened(self):
        """The actor is told what is waited for a moment after the request came; then it looks for it each second."""
        with self.server.database() as database:
            return database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'work/0' AND query ~ 'w.job|sweep_runs'") != "0"

    def try_enqueue(self):
        try:
            return self.enqueue()
        except Exception:  # it is not back yet
            return None

    def test_database__crashes_during_claims_and_outcomes(self):
        """Workers that try again come to the end of all runs, whatever was lost with an answer; each is settled once."""
        runs = self.enqueue(300)
        stop = time.monotonic() + patience(60)
        settled, problems = [], []

        def work(n):
            client = self.server.api()
            client.token = self.boss.token
            while time.monotonic() < stop and len(settled) < 300:
                try:
                    told = client.post(f"/v1/jobs/{self.job}/claims", {"max": 5, "lease": "1s", "wait": "1s", "worker": f"w{n}"})
                    if told.status != 200 or not told.json()["runs"]:
                        time.sleep(0.05)
                        continue
                    outcomes = [{"id": run["id"], "claim": run["claim"], "outcome": "succeeded"} for run in told.json()["runs"]]
                    answer = client.post("/v1/job-runs/outcomes", {"outcomes": outcomes})
                    if answer.status == 200:
                        settled.extend(one["id"] for one in answer.json()["outcomes"] if one["status"] == 200)
                    elif answer.status not in (503, 504):
                        problems.append(answer)
                except (OSError, support.NoAnswer):
                    client.close()
            client.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(settled) >= 20, 30, "they are at work")
        self.crash()
        for thread in threads:
            thread.join(patience(70))
        self.assertEqual(problems, [])
        with self.server.database() as database:
            self.assertEqual(database.value(f"SELECT count(*) FROM millrace.run WHERE job = '{self.job}' AND outcome = 'succeeded'"), "300")
            self.assertEqual(database.value(f"SELECT count(*) FROM millrace.lease WHERE job = '{self.job}'"), "0")
        self.assertEqual(set(settled) - runs, set())

    def test_worker__whose_host_is_gone_without_a_word_keeps_no_run(self):
        """The answer to its claim is acknowledged by nobody: another worker has the run long before the lease would end."""
        proxy = Proxy(self.server.port)
        self.addCleanup(proxy.close)
        with support.Connection(proxy.port) as gone:
            gone.send(support.make_request("POST", f"/v1/jobs/{self.job}/claims", [("Authorization", f"Bearer {self.boss.token}")],
                                           {"wait": "40s", "lease": "1h"}))
            wait_for(self.is_listened, 20, "it waits")
            proxy.fall_silent()
            runs = self.enqueue()
            with self.server.database() as database:
                wait_for(lambda: database.count("millrace.lease", f"job = '{self.job}'") == 1, 10, "its claim has the run")
            answer = self.send_claim(self.server).response()
            self.assertEqual({run["id"] for run in answer.json()["runs"]}, runs)

    def test_sigterm__answers_those_who_wait_at_once(self):
        api = self.server.api_process(ADMIN_PORT=support.free_port()).ready()
        self.addCleanup(api.kill)
        claim = self.send_claim(api)
        run, = self.enqueue()
        with api.connect() as other:
            taken = other.request("POST", f"/v1/jobs/{self.job}/claims", [("Authorization", f"Bearer {self.boss.token}")], {"lease": "1h"}).json()["runs"]
        taken += claim.response().json()["runs"]
        self.assertEqual([told["id"] for told in taken], [run])
        waits = [self.send_claim(api), api.connect(timeout=60)]
        self.addCleanup(waits[1].close)
        waits[1].send(support.make_request("GET", f"/v1/job-runs/{run}?wait=50s", [("Authorization", f"Bearer {self.boss.token}")]))
        wait_for(lambda: self.parked(api) == 2, 10, "both wait")
        watch = support.Stopwatch()
        api.signal(signal.SIGTERM)
        self.assertEqual(waits[0].response().json(), {"runs": []})
        self.assertEqual(waits[1].response().json()["state"], "running")
        self.assertEqual(api.wait(), 0)
        self.assertLess(watch.seconds(), patience(10))

    def parked(self, process):
        with support.Connection(int(process.settings["ADMIN_PORT"])) as connection:
            text = connection.get("/metrics").body.decode()
        return float(next(line.split()[-1] for line in text.splitlines() if line.startswith("millrace_http_requests_waiting ")))

    def test_sigkill__of_an_api_leaves_nothing_claimed(self):
        api = self.server.api_process(ADMIN_PORT=support.free_port()).ready()
        self.addCleanup(api.kill)
        claim = self.send_claim(api)
        wait_for(lambda: self.parked(api) == 1, 10, "it waits")
        api.kill()
        self.assertIn(claim.ended(), ("closed", "reset"))
        run, = self.enqueue()
        told = self.send_claim(self.server).response().json()["runs"]
        self.assertEqual([one["id"] for one in told], [run])


if __name__ == "__main__":
    unittest.main()
