"""Work by pull: claims that wait, outcomes, and what becomes of runs whose worker is gone."""

import email.utils
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
import uuid

import golang
import support
from support import patience, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


class WorkerTest(support.TiersTest):
    """An API on a database without a scheduler: what is due is seen to by the API alone."""

    module = module

    @classmethod
    def setUpClass(cls):
        server = cls.module.server
        cls.name = server.job_database()
        cls.database = server.database(cls.name)
        cls.addClassCleanup(cls.database.close)
        cls.api = cls.start_api()
        cls.boss = cls.api.api().register(
            grant=lambda user: cls.database.query(f"UPDATE millrace.app_user SET role = 'admin' WHERE id = '{user['id']}'"))
        cls.addClassCleanup(cls.boss.close)

    @classmethod
    def start_api(cls, **settings):
        admin_port = support.free_port()
        process = cls.module.server.api_process(cls.name, ADMIN_PORT=admin_port, **settings)
        process.admin_port = admin_port
        cls.addClassCleanup(process.kill)
        return process.ready()

    def setUp(self):
        self.job = self.kind()
        self.wait_until_nobody_waits()

    def wait_until_nobody_waits(self):
        """The gateway hears a moment later that a test before this one has closed a connection whose request waited."""
        wait_for(lambda: self.parked() == 0, 10, "nobody waits")

    def kind(self, **columns):
        name = "job_" + uuid.uuid4().hex[:10]
        columns = {"name": quoted(name), "work": "'pull'", "origin": "'managed'", "retry_first_ms": "100", **columns}
        self.database.query(f"INSERT INTO millrace.job ({', '.join(columns)}) VALUES ({', '.join(map(str, columns.values()))})")
        return name

    def enqueue(self, args=None, job=None, **options):
        named = "".join(f", {name} => {value}" for name, value in options.items())
        return self.database.value(f"SELECT millrace.enqueue({quoted(job or self.job)}, {quoted(json.dumps(args or {}))}{named})")

    def key(self, *scopes, api=None):
        made = self.boss.post("/v1/api-keys", {"name": "worker", "scopes": list(scopes)})
        self.assertEqual(made.status, 201, made)
        client = (api or self.api).api()
        self.addCleanup(client.close)
        client.token = made.json()["key"]
        client.key_id = made.json()["id"]
        return client

    def client(self, api=None):
        client = (api or self.api).api()
        self.addCleanup(client.close)
        client.token = self.boss.token
        return client

    def claim(self, client=None, job=None, status=200, **body):
        answer = (client or self.boss).post(f"/v1/jobs/{job or self.job}/claims", body)
        self.assertEqual(answer.status, status, answer)
        return answer.json()["runs"] if status == 200 else answer.json()

    def tell(self, *outcomes, client=None, status=200):
        answer = (client or self.boss).post("/v1/job-runs/outcomes", {"outcomes": list(outcomes)})
        self.assertEqual(answer.status, status, answer)
        return answer.json()["outcomes"] if status == 200 else answer.json()

    def outcome(self, run, outcome="succeeded", **more):
        return {"id": run["id"], "claim": run["claim"], "outcome": outcome, **more}

    def figure(self, name, process=None):
        with support.Connection((process or self.api).admin_port) as connection:
            text = connection.get("/metrics").body.decode()
        return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")))

    def parked(self, process=None):
        return self.figure("millrace_http_requests_waiting", process)

    def waiting(self, client=None, process=None, job=None, path=None, **body):
        """A connection whose request was sent, and waits."""
        process = process or self.api
        before = self.parked(process)
        connection = self.asking(client, process, job, path, **body)
        wait_for(lambda: self.parked(process) == before + 1, 10, "the request waits")
        return connection

    def asking(self, client=None, process=None, job=None, path=None, **body):
        """A connection whose request was sent, and waits if there is nothing for it yet."""
        connection = (process or self.api).connect(timeout=40)
        self.addCleanup(connection.close)
        headers = [("Authorization", f"Bearer {(client or self.boss).token}")]
        if path:
            connection.send(support.make_request("GET", path, headers))
        else:
            connection.send(support.make_request("POST", f"/v1/jobs/{job or self.job}/claims", headers, {"wait": "30s", **body}))
        return connection

    def state(self, run):
        return self.database.value(f"SELECT state FROM millrace.every_run WHERE id = '{run}'")

    def attempts(self, run):
        return int(self.database.value(f"SELECT attempt FROM millrace.run WHERE id = '{run}'"))


class Workers(WorkerTest):
    # ---- Claims and outcomes ----

    def test_claim__hands_out_runs_and_takes_their_outcomes(self):
        run = self.enqueue({"n": 1, "big": 12345678901234567890.5}, key="'tenant'")
        told, = self.claim(max=5, lease="30s", worker="w1")
        self.assertEqual((told["id"], told["attempt"], told["key"], told["maxAttempts"]), (run, 1, "tenant", 10))
        self.assertEqual(told["args"]["n"], 1)
        self.assertGreater(told["claim"], 0)
        self.assertEqual(self.claim(max=5), [], "it is in somebody's hands")
        self.assertEqual(self.boss.run(f"/v1/job-runs/{run}")["state"], "running")
        settled, = self.tell(self.outcome(told, result={"ok": True}))
        self.assertEqual(settled, {"id": run, "status": 200, "state": "succeeded"})
        self.assertEqual(self.database.value(f"SELECT result FROM millrace.run WHERE id = '{run}'"), '{"ok": true}')

    def test_claim__body_may_be_left_out(self):
        run = self.enqueue()
        answer = self.boss.post(f"/v1/jobs/{self.job}/claims", None)
        self.assertEqual([told["id"] for told in answer.json()["runs"]], [run])

    def test_claim__of_what_is_no_job_for_workers(self):
        self.assertEqual(self.claim(job="nothing", status=404)["status"], 404)
        other = self.kind(work="'push'")
        self.assertIn("not for workers", self.claim(job=other, status=409)["detail"])

    def test_claim__breaks_no_rule_unnoticed(self):
        problem = self.claim(max=0, lease="a while", wait="61s", worker="", status=400)
        self.assertEqual({error["field"] for error in problem["errors"]}, {"max", "lease", "wait", "worker"})

    def test_outcomes__are_held_to_their_rules_as_a_whole(self):
        run = self.enqueue()
        told, = self.claim()
        problem = self.tell(self.outcome(told), {"id": "x", "outcome": "done", "retryAfter": 5}, 7,
                            self.outcome(told, result="x" * 65536), status=400)
        self.assertEqual({error["field"] for error in problem["errors"]},
                         {"outcomes[1].id", "outcomes[1].claim", "outcomes[1].outcome", "outcomes[1].retryAfter", "outcomes[2]",
                          "outcomes[3].result"})
        self.assertEqual(self.state(run), "running", "the good one was not taken either")
        self.assertEqual(self.tell(self.outcome(told, result="x" * 65534))[0]["status"], 200)

    def test_outcomes__are_as_many_as_may_be(self):
        nobody = [{"id": str(uuid.uuid4()), "claim": 1, "outcome": "succeeded"} for _ in range(1001)]
        self.assertEqual(self.tell(*nobody, status=400)["errors"][0]["field"], "outcomes")
        self.assertEqual({settled["status"] for settled in self.tell(*nobody[:1000])}, {404})
        self.assertEqual(self.tell(status=400)["errors"][0]["code"], "items")

    def test_outcome__told_twice_holds_and_told_otherwise_does_not(self):
        self.enqueue()
        told, = self.claim()
        self.assertEqual(self.tell(self.outcome(told))[0]["status"], 200)
        self.assertEqual(self.tell(self.outcome(told))[0], {"id": told["id"], "status": 200, "state": "succeeded"})
        other = self.tell(self.outcome(told, "failed"))[0]
        self.assertEqual(other["status"], 409)
        self.assertEqual(self.state(told["id"]), "succeeded")

    def test_outcome__of_a_stale_claim_changes_nothing(self):
        self.enqueue()
        told, = self.claim()
        self.assertEqual(self.tell(self.outcome(told, "released"))[0]["state"], "queued")
        again, = self.claim()
        self.assertEqual((again["id"], again["attempt"]), (told["id"], 1), "what was given back was no attempt")
        self.assertEqual(self.tell(self.outcome(told))[0]["status"], 409)
        self.assertEqual(self.tell(self.outcome(again, claim=again["claim"] + 1))[0]["status"], 409)
        self.assertEqual(self.state(told["id"]), "running")
        self.assertEqual(self.tell(self.outcome(again))[0]["status"], 200)

    def test_outcome__of_every_kind(self):
        runs = [self.enqueue({"n": n}) for n in range(4)]
        told = {run["args"]["n"]: run for run in self.claim(max=4)}
        settled = self.tell(self.outcome(told[0], "failed", error="no luck", retryAfter="1h"),
                            self.outcome(told[1], "snoozed", retryAfter="1h"),
                            self.outcome(told[2], "working", lease="2h", progress={"done": 3, "total": 9}),
                            self.outcome(told[3], "failed", error="again", retryAfter="0s"))
        self.assertEqual([one["state"] for one in settled], ["failed", "queued", "running", "failed"])
        self.assertEqual(self.attempts(runs[0]), 1)
        self.assertEqual(self.attempts(runs[1]), 0, "to snooze is no attempt")
        self.assertEqual(self.database.value(f"SELECT until > now() + interval '1 h' FROM millrace.lease WHERE id = '{runs[2]}'"), "t")
        again, = self.claim(max=4)
        self.assertEqual((again["id"], again["attempt"]), (runs[3], 2))
        self.database.query(f"SELECT millrace.cancel_run('{runs[2]}')")
        self.assertEqual(self.tell(self.outcome(told[2], "working"))[0]["state"], "cancelling")
        self.assertEqual(self.tell(self.outcome(told[2], "failed"))[0]["state"], "cancelled")

    def test_key__is_for_its_jobs(self):
        other = self.kind()
        mine, theirs = self.enqueue(), self.enqueue(job=other)
        key = self.key(f"jobs:work:{self.job}")
        self.claim(key, job=other, status=403)
        told, = self.claim(key)
        foreign, = self.claim(job=other)
        settled = self.tell(self.outcome(told), self.outcome(foreign), client=key)
        self.assertEqual([one["status"] for one in settled], [200, 404])
        self.assertEqual((self.state(mine), self.state(theirs)), ("succeeded", "running"))
        self.claim(self.key("jobs:enqueue"), status=403)

    def test_claims__take_turns_among_keys(self):
        for n in range(20):
            self.enqueue({"n": n}, key="'many'")
        self.enqueue({}, key="'one'")
        keys = [run["key"] for _ in range(2) for run in self.claim()]
        self.assertEqual(sorted(keys), ["many", "one"])

    # ---- Waiting ----

    def test_claim__waits_for_a_run(self):
        connection = self.waiting(wait="30s")
        watch = support.Stopwatch()
        run = self.enqueue()
        told, = connection.response().json()["runs"]
        self.assertEqual(told["id"], run)
        self.assertLess(watch.seconds(), patience(5))

    def test_claim__ends_with_nothing_at_the_end_of_its_wait(self):
        begun = time.monotonic()
        self.assertEqual(self.claim(wait="1s"), [])
        self.assertGreaterEqual(time.monotonic() - begun, 0.99)  # a wait counts whole milliseconds, and a timer of them may be early by one

    def test_claim__that_waits_is_told_of_what_is_due_later(self):
        connection = self.waiting()
        run = self.enqueue(run_at="now() + interval '500 ms'")
        self.assertEqual([told["id"] for told in connection.response().json()["runs"]], [run])

    def test_claims__that_wait_share_what_comes(self):
        first, second, third = (self.waiting(max=2) for _ in range(3))
        runs = {self.enqueue() for _ in range(4)}
        told = [run["id"] for connection in (first, second, third) for run in (connection.response().json()["runs"] if connection is not third else [])]
        self.assertLessEqual(set(told), runs)
        self.assertEqual(len(set(told)), len(told))

    def test_run__is_awaited(self):
        run = self.enqueue()
        connection = self.waiting(path=f"/v1/job-runs/{run}?wait=30s")
        told, = self.claim()
        self.tell(self.outcome(told, result=[1]))
        answer = connection.response().json()
        self.assertEqual((answer["id"], answer["state"], answer["result"]), (run, "succeeded", [1]))

    def test_run__that_does_not_end_is_told_as_it_is(self):
        run = self.enqueue()
        answer = self.boss.get(f"/v1/job-runs/{run}?wait=300ms")
        self.assertEqual((answer.status, answer.json()["state"]), (200, "queued"))

    # ---- Faults ----

    def test_worker__that_hangs_up_gets_nothing(self):
        for way in ("close", "abort", "half_close"):
            with self.subTest(way):
                connection = self.waiting()
                getattr(connection, way)()
                wait_for(lambda: self.parked() == 0, 10, "nobody waits")
                if way == "half_close":
                    self.assertEqual(connection.response().json(), {"runs": []})
                run = self.enqueue()
                self.assertEqual([told["id"] for told in self.claim()], [run])

    def test_worker__that_goes_before_its_answer_gives_back(self):
        """Claims that nobody reads: each run comes back at once, and the attempt does not count. An answer that was on its way before
        the half of the connection ended is read, and its run is the worker's."""
        runs = {self.enqueue({"n": n}) for n in range(30)}
        headers = [("Authorization", f"Bearer {self.boss.token}")]
        kept = set()
        for n in range(30):
            connection = self.api.connect()
            connection.send(support.make_request("POST", f"/v1/jobs/{self.job}/claims", headers, {"lease": "1h"}))
            if n % 3 == 0:
                connection.abort()
            elif n % 3 == 1:
                connection.close()
            else:
                connection.half_close()
                kept |= {run["id"] for run in connection.response().json()["runs"]}
                connection.close()
        ready = lambda: self.database.count("millrace.ready", f"job = {quoted(self.job)}") == len(runs - kept)
        wait_for(ready, 10, "all are back")
        told = self.claim(max=50)
        self.assertEqual({run["id"] for run in told}, runs - kept)
        self.assertEqual({run["attempt"] for run in told}, {1})

    def test_worker__that_reads_its_answer_keeps_it(self):
        run = self.enqueue()
        with self.api.connect() as connection:
            connection.request("POST", f"/v1/jobs/{self.job}/claims", [("Authorization", f"Bearer {self.boss.token}")], {"lease": "1h"})
        self.claim()
        self.assertEqual(self.state(run), "running")

    def test_worker__that_dies_leaves_its_runs_to_another(self):
        run = self.enqueue()
        self.claim(lease="1s", worker="dead")
        watch = support.Stopwatch()
        connection = self.asking()
        told, = connection.response().json()["runs"]
        self.assertEqual((told["id"], told["attempt"]), (run, 2), "a lease that ran out was an attempt")
        self.assertLess(watch.seconds(), patience(4))

    def test_clock__of_a_worker_makes_no_difference(self):
        """A request has durations and no instants; what it says of its own time is not heard. Leases are the database's."""
        for off in (-3600, 3600):
            date = ("Date", email.utils.formatdate(time.time() + off, usegmt=True))
            run = self.enqueue()
            told, = self.boss.post(f"/v1/jobs/{self.job}/claims", {"lease": "60s"}, headers=[date]).json()["runs"]
            self.assertEqual(told["id"], run)
            left, same = self.database.query(f"SELECT extract(epoch FROM until - now()), date_trunc('milliseconds', until) = '{told['leaseUntil']}' "
                                             f"FROM millrace.lease WHERE id = '{run}'")[0]
            self.assertEqual(same, "t")
            self.assertTrue(0 < float(left) <= 60, left)
            outcome = {"id": run, "claim": told["claim"]}
            answer = self.boss.post("/v1/job-runs/outcomes", {"outcomes": [{**outcome, "outcome": "working", "lease": "120s"}]}, headers=[date])
            self.assertEqual(answer.json()["outcomes"][0]["status"], 200)
            left = float(self.database.value(f"SELECT extract(epoch FROM until - now()) FROM millrace.lease WHERE id = '{run}'"))
            self.assertTrue(60 < left <= 120, left)
            answer = self.boss.post("/v1/job-runs/outcomes", {"outcomes": [{**outcome, "outcome": "succeeded"}]}, headers=[date])
            self.assertEqual(answer.json()["outcomes"][0]["state"], "succeeded")

    def test_key__that_ends_while_it_waits(self):
        keys = self.key("jobs:work"), self.key("jobs:work")
        gone, stays = (self.waiting(client=key) for key in keys)
        self.assertEqual(self.boss.request("DELETE", f"/v1/api-keys/{keys[0].key_id}").status, 204)
        watch = support.Stopwatch()
        answer = gone.response()
        self.assertEqual((answer.status, answer.header("WWW-Authenticate")), (401, 'Bearer error="invalid_token"'))
        self.assertLess(watch.seconds(), patience(5))
        run = self.enqueue()
        self.assertEqual([told["id"] for told in stays.response().json()["runs"]], [run])


class Examples(WorkerTest):
    """The workers of docs/workers.md, as they stand there."""

    def setUp(self):
        self.job = "receipts"
        self.wait_until_nobody_waits()
        self.database.query("INSERT INTO millrace.job (name, work, origin, attempts) VALUES ('receipts', 'pull', 'managed', 1)"
                            " ON CONFLICT DO NOTHING")

    def start(self, name, *command):
        page = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "workers.md")
        with open(page, encoding="utf-8") as file:
            text = re.search(rf"^```\w+ file={re.escape(name)}\n(.*?)^```$", file.read(), re.M | re.S).group(1)
        scratch = support.Scratch()
        scratch.write({name: text})
        command = command or (golang.build(scratch, name, text),)
        key = self.key("jobs:work:receipts")
        child = subprocess.Popen([*command, scratch.join(name)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 start_new_session=True,
                                 env={**support.environment(), "MILLRACE_URL": f"http://127.0.0.1:{self.api.port}", "MILLRACE_KEY": key.token})
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        child.stdout.close()

    def follow(self, name, *command, result, error):
        """It does its work, says why it cannot, waits, and ends when it is asked to."""
        child = self.start(name, *command)
        good, bad = self.enqueue({"to": "ada"}), self.enqueue({"nobody": True})
        wait_for(lambda: (self.state(good), self.state(bad)) == ("succeeded", "dead"), 20, "both are settled")
        self.assertEqual(self.database.value(f"SELECT coalesce(result::text, '') FROM millrace.run WHERE id = '{good}'"), result)
        self.assertIn(error, self.database.value(f"SELECT error FROM millrace.run WHERE id = '{bad}'"))
        wait_for(lambda: self.parked() >= 1, 20, "it waits")
        later = self.enqueue({"to": "grace"})
        wait_for(lambda: self.state(later) == "succeeded", 20, "what comes while it waits is done")
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(patience(15))
        return child

    def test_python(self):
        child = self.follow("worker.py", sys.executable, result='{"sent": "to ada"}', error="'to'")
        self.assertEqual(child.returncode, 0, child.stdout.read())

    def test_node(self):
        if not shutil.which("node"):
            self.skipTest("there is no node")
        child = self.follow("worker.mjs", "node", result='{"sent": "to ada"}', error="nobody to send it to")
        self.assertEqual(child.returncode, 0, child.stdout.read())

    def test_go(self):
        child = self.follow("worker.go", result='{"sent": "to ada"}', error="nobody to send it to")
        self.assertEqual(child.returncode, 0, child.stdout.read())

    def test_sh(self):
        self.follow("worker.sh", "sh", result="", error="there is nobody to send it to")


if __name__ == "__main__":
    unittest.main()
