"""Work that programs queue and do: enqueue by HTTP and SQL, workers that ask over HTTP, pushes, fairness, limits, a million runs.

usage: python3 bench/workqueue.py build/release/millrace [--quick] [STEP ...]    (or: ./dev bench queue [...])

Starts a PostgreSQL of its own, which commits durably, an API and a scheduler, as they are deployed. Contestants of a row take
turns. Writes the report (Markdown) and CSV into bench/results/. Figures are ratios of one run, or bounds that docs/jobs.md names.
Exits 1 when a target is missed.
"""

import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from measure import (Cores, Nginx, Pgbench, batches, commit, end, keep, machine, own_server, rank, register, request, said, start, wait_for,
                     write, wrk)
from support import Database, DatabaseError
from report import AT_LEAST, AT_MOST, Row, as_csv, as_line, as_markdown

PORT = 13100
WORKERS, BATCH = 8, 50
TOGETHER = 100  # runs in an array
ENQUEUERS = {1: (64, 128, 256), TOGETHER: (8, 16, 32)}  # clients that are tried, by runs in a body
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, yes").decode()
OTHERS = 99  # receivers that are well, beside one that is dead
TARGETS = {
    "enqueue": (AT_LEAST, 2.5), "pull": (AT_LEAST, 10_000), "limits": (AT_LEAST, 0.8), "start p50": (AT_MOST, 5), "start p99": (AT_MOST, 25),
    "push": (AT_LEAST, 2_000), "first push": (AT_MOST, 50), "dead receiver": (AT_MOST, 2), "fair": (AT_MOST, 2), "list": (AT_MOST, 50),
    "claim": (AT_MOST, 50), "retry": (AT_MOST, 60), "connections": (AT_MOST, 0),
}


class Worker(threading.Thread):
    """Claims and tells outcomes over HTTP, one request at a time, until it is told to stop."""

    def __init__(self, port, token, job, wait="0s", most=BATCH):
        super().__init__(daemon=True)
        self.port, self.job, self.over, self.done = port, job, threading.Event(), 0
        self.headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self.asked = json.dumps({"max": most, "lease": "30s", "wait": wait, "worker": self.name})

    def post(self, connection, path, body):
        connection.request("POST", path, body, self.headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {text[:300]}")
        return json.loads(text)

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        while not self.over.is_set():
            runs = self.post(connection, f"/v1/jobs/{self.job}/claims", self.asked)["runs"]
            if runs:
                told = [{"id": run["id"], "claim": run["claim"], "outcome": "succeeded"} for run in runs]
                answered = self.post(connection, "/v1/job-runs/outcomes", json.dumps({"outcomes": told}))["outcomes"]
                self.done += sum(each["status"] == 200 for each in answered)
        connection.close()


@contextlib.contextmanager
def workers(bench, job, count=WORKERS, **more):
    crew = [Worker(PORT, bench.key, job, **more) for _ in range(count)]
    for each in crew:
        each.start()
    try:
        yield crew
    finally:
        for each in crew:
            each.over.set()
        for each in crew:
            each.join(90)


class Silent:
    """A receiver that takes connections and never answers."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port), backlog=1024)


class WorkQueue:
    def __init__(self, binary, server, directory, quick):
        self.binary, self.server, self.directory, self.quick = binary, server, directory, quick
        self.seconds, self.rounds = (1, 1) if quick else (3, 3)
        self.rows, self.commit, self.database = [], commit(), "queue"
        self.children = []

    def begin(self):
        binary, server = self.binary, self.server
        server.query(f'CREATE DATABASE "{self.database}"')
        settings = server.settings(self.database)
        self.base = f"http://127.0.0.1:{PORT}"
        self.api, _ = start(binary, "api", PORT, **settings, RATE_LIMIT_PER_MINUTE="0", ADMIN_PORT=str(PORT + 1))
        self.children.append(self.api)
        self.children.append(subprocess.Popen(
            [binary, "scheduler"], stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LOGGING_LEVEL": "error", "HEALTH_SOCKET": f"queue-{os.getpid()}", "PUSH_ALLOW_PRIVATE": "true",
                 **settings}))
        register(self.base, "boss")
        subprocess.run([binary, "user", "grant-admin", "boss"], env={"PATH": os.environ["PATH"], **settings}, capture_output=True, check=True)
        self.admin = request(self.base, "/v1/auth/signin", {"username": "boss", "password": "bench bench"})["accessToken"]
        self.key = request(self.base, "/v1/api-keys", {"name": "bench", "scopes": ["jobs:admin", "jobs:work", "jobs:enqueue"]},
                           self.admin)["key"]

    def stop(self):
        end(*reversed(self.children))

    # ---- What steps share ----

    def add(self, key, work, against, figure, reference, value, unit="", note="", profile=""):
        sense, target = TARGETS[key]
        row = Row(work, against, figure, reference, value, sense, target, unit, note, f"queue {key}", profile)
        self.rows.append(row)
        print(as_line(row), flush=True)

    def query(self, sql):
        return self.server.query(sql, self.database)

    def kind(self, name, **what):
        call = urllib.request.Request(f"{self.base}/v1/jobs/{name}", json.dumps(what).encode(), method="PUT",
                                      headers={"authorization": f"Bearer {self.admin}", "content-type": "application/json"})
        try:
            urllib.request.urlopen(call).close()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"PUT {name}: {error.read().decode()}") from error

    def empty(self):
        """No run is there, as if none had ever been. Who sweeps meanwhile locks tables in another order."""
        for left in reversed(range(20)):
            try:
                self.query("TRUNCATE millrace.later, millrace.ready, millrace.lease, millrace.stopped, millrace.run, millrace.run_attempt, millrace.run_unique")
                return
            except DatabaseError:
                if left == 0:
                    raise

    def queue(self, job, count, keys=("",)):
        """As many of each key, a thousand by a call at most."""
        each = count // len(keys)
        for key in keys:
            for first in range(0, each, 1000):
                self.query(f"""SELECT count(*) FROM millrace.enqueue_many('{job}', array_fill('{{"orderId": 7}}'::jsonb,
                    ARRAY[{min(1000, each - first)}]), key => '{key}')""")
        self.server.settle(self.database)

    def finished(self, job):
        return int(self.query(f"SELECT count(*) FROM millrace.run WHERE job = '{job}' AND finished_at IS NOT NULL")[0][0])

    def written(self):
        """Messages and batches of the writers so far."""
        writers = [found for actor, found in batches(f"http://127.0.0.1:{PORT + 1}").items() if "writer" in actor]
        return [sum(each[what] for each in writers) for what in ("sum", "count")]

    def waits(self, job, share, condition="true"):
        """Milliseconds from the transaction that queued a run to its start, at that rank."""
        return float(self.query(f"""SELECT 1000 * percentile_cont({share}) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - created_at))
            FROM millrace.run WHERE job = '{job}' AND {condition}""")[0][0])

    def posted(self, script, clients, seconds):
        """Requests a second into a queue that was empty."""
        self.empty()
        return wrk(f"{self.base}/v1/jobs/errand/runs", seconds, clients, self.key, script).rate

    # ---- Steps ----

    def enqueue(self):
        """POST of a run, beside the least that a queue of one's own costs: an INSERT of a row with a primary key. Each has the number of
        clients that serves it best, which is found once; Millrace has its one writer."""
        self.kind("errand", work="pull")
        self.query("CREATE TABLE plain (id uuid PRIMARY KEY, job text, args jsonb, state text, created_at timestamptz DEFAULT now())")
        insert = write(self.directory, "plain.sql", """INSERT INTO plain (id, job, args, state)
            VALUES (gen_random_uuid(), 'errand', '{"orderId": 7}', 'queued');""".replace("\n", " "))
        pgbench = Pgbench(self.server, self.database, insert, (16, 32, 64), 1)
        posts, clients = {}, {}
        for many in (1, TOGETHER):
            one = '{"args":{"orderId":7}}'
            posts[many] = write(self.directory, f"enqueue{many}.lua", f"""wrk.method = 'POST' wrk.headers['content-type'] = 'application/json'
                wrk.body = '{one if many == 1 else "[" + ",".join([one] * many) + "]"}'""")
            clients[many] = max(ENQUEUERS[many], key=lambda count, script=posts[many]: self.posted(script, count, 1))
        ours, theirs, profiles = {many: [] for many in posts}, [], {}
        for _ in range(self.rounds):
            theirs.append(pgbench.run(pgbench.clients, self.seconds))
            for many, script in posts.items():
                cores, before = Cores(self.seconds), self.written()
                ours[many].append(many * self.posted(script, clients[many], self.seconds))
                asked, together = (now - then for now, then in zip(self.written(), before))
                profiles[many] = f"{cores.finish().told}; {clients[many]} clients, {asked / max(1, together):.0f} requests a batch"
        plain = statistics.median(theirs)
        for many, rates in ours.items():
            value = statistics.median(rates)
            self.add("enqueue", "POST /v1/jobs/{job}/runs, " + ("one run each" if many == 1 else f"arrays of {many}"),
                     f"pgbench, INSERT, {pgbench.clients} clients", f"{value:.0f}/s", f"{plain:.0f}/s", value / plain, "x", profile=profiles[many])
        self.empty()

    def pulled(self, job):
        """Runs a second that the workers end, of a queue that does not run dry."""
        with workers(self, job) as crew:
            time.sleep(0.5)
            before, began = sum(each.done for each in crew), time.monotonic()
            time.sleep(self.seconds)
            return (sum(each.done for each in crew) - before) / (time.monotonic() - began)

    def pull(self):
        self.kind("errand", work="pull")
        self.kind("bounded", work="pull", concurrency=1000, perKey=100)
        rates = {"errand": [], "bounded": []}
        for _ in range(self.rounds):
            for job, taken in rates.items():
                self.empty()
                self.queue(job, 20_000 * self.seconds, [f"k{number}" for number in range(100)])
                taken.append(self.pulled(job))
        free, bounded = (statistics.median(each) for each in rates.values())
        self.add("pull", f"{WORKERS} workers of {BATCH} over HTTP, runs ended", "", f"{free:.0f}/s", "", free, "/s")
        self.add("limits", "with concurrency and perKey", "without", f"{bounded:.0f}/s", f"{free:.0f}/s", bounded / free, "x")
        connections = int(self.query("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = 'queue'")[0][0])
        for number in range(1 if self.quick else 40):
            self.kind(f"more{number}", work="pull")
        with workers(self, "errand", 10 if self.quick else 100, wait="5s"):
            time.sleep(2)
            now = int(self.query("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = 'queue'")[0][0])
        self.add("connections", "connections more for 40 kinds, 100 workers", "", f"{now}", f"{connections}", max(0, now - connections))
        self.empty()

    def started(self):
        """From the commit of 1,000 runs a second, each its own transaction, to their start at workers that wait."""
        self.kind("errand", work="pull")
        self.empty()
        script = write(self.directory, "queue.sql", "SELECT millrace.enqueue('errand', '{\"orderId\": 7}');")
        with workers(self, "errand", wait="20s", most=10):
            subprocess.run(["pgbench", "-h", self.server.home, "-U", "postgres", "-n", "-M", "prepared", "-f", script, "-c", "8", "-j", "1",
                            "-R", "1000", "-T", str(2 * self.seconds), self.database], capture_output=True, check=True)
            wait_for(lambda: self.query("SELECT count(*) FROM millrace.ready")[0][0] == "0", 30, "all are done")
        count = self.finished("errand")
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            value = self.waits("errand", share)
            self.add(f"start {name}", f"transaction to start, 1000/s, {name}", "", f"{value:.1f} ms", "", value, "ms", f"{count} runs")
        self.empty()

    def push(self):
        receiver = Nginx(self.directory, 13110, "server { listen 127.0.0.1:13110; location / { return 204; } }")
        try:
            self.kind("call", work="push", secrets=[SECRET], url=receiver.base + "/hook", concurrency=1000)
            rates = []
            for _ in range(self.rounds):
                self.empty()
                count = 4_000 * self.seconds
                self.query("UPDATE millrace.job SET paused_at = now() WHERE name = 'call'")
                self.queue("call", count)
                self.query("UPDATE millrace.job SET paused_at = NULL WHERE name = 'call'")
                wait_for(lambda expected=count: self.finished("call") == expected, 60, "all are delivered")
                rates.append(float(self.query("""SELECT count(*) / extract(epoch FROM max(finished_at) - min(started_at))
                                                   FROM millrace.run WHERE job = 'call'""")[0][0]))
            rate = statistics.median(rates)
            self.add("push", "pushes to a receiver on the machine", "nginx, return 204", f"{rate:.0f}/s", "", rate, "/s")
            self.empty()
            for _ in range(20 * self.seconds):
                self.query("SELECT millrace.enqueue('call', '{\"orderId\": 7}')")
                time.sleep(0.05)
            wait_for(lambda: self.finished("call") == 20 * self.seconds, 30, "all are delivered")
            first = self.waits("call", 0.99)
            self.add("first push", "transaction to the first attempt, p99", "", f"{first:.1f} ms", "", first, "ms")
        finally:
            receiver.stop()
        self.empty()

    def dead(self):
        """One of a hundred receivers is dead, with a queue of its own: what the others feel of it."""
        receiver = Nginx(self.directory, 13110, "server { listen 127.0.0.1:13110; location / { return 204; } }")
        silent = Silent(13111)
        took = {"well": [], "dead": []}
        try:
            for number in range(OTHERS):
                self.kind(f"well{number}", work="push", secrets=[SECRET], url=receiver.base + "/hook")
            self.kind("dead", work="push", secrets=[SECRET], url="http://127.0.0.1:13111/hook", timeout="5s")
            for _ in range(self.rounds):
                for what, taken in took.items():
                    self.empty()
                    if what == "dead":
                        self.queue("dead", 1000)
                        time.sleep(1)
                    for _ in range(10 * self.seconds):
                        self.query(f"SELECT millrace.enqueue('well' || n % {OTHERS}) FROM generate_series(1, 50) n")
                        time.sleep(0.1)
                    wait_for(lambda: int(self.query("""SELECT count(*) FROM millrace.run WHERE job <> 'dead' AND finished_at IS NULL""")[0][0]) == 0,
                             60, "all of the others are delivered")
                    taken.append(float(self.query("""SELECT 1000 * percentile_cont(0.99) WITHIN GROUP
                        (ORDER BY extract(epoch FROM finished_at - created_at)) FROM millrace.run WHERE job <> 'dead'""")[0][0]))
        finally:
            receiver.stop()
            silent.socket.close()
        a, b = statistics.median(took["dead"]), statistics.median(took["well"])
        self.add("dead receiver", "500/s to 99 receivers beside a dead one, p99", "without it", f"{a:.1f} ms", f"{b:.1f} ms", a / b, "x")
        self.empty()

    def fair(self):
        """Another tenant's runs, one at a time, beside a hundred thousand of one. Whoever queues keeps its connection, as programs do: the first
        statement of a session plans for longer than all else takes. Beside the other tenant both workers are busy, and a run starts when one
        of them asks again: the note has how long a worker takes from one claim to its next."""
        self.kind("errand", work="pull")
        took, rates = {"quiet": [], "beside": []}, []
        for _ in range(self.rounds):
            for what, taken in took.items():
                self.empty()
                if what == "beside":
                    self.queue("errand", 20_000 if self.quick else 100_000, ["big"])
                with workers(self, "errand", 2, wait="20s") as crew, Database(self.server.home, self.database) as session:
                    for key in 5 * ["first"] + 25 * ["small"]:
                        session.query(f"SELECT millrace.enqueue('errand', key => '{key}')")
                        time.sleep(0.1)
                        if key == "first":
                            before, began = sum(each.done for each in crew), time.monotonic()
                    rates.append((sum(each.done for each in crew) - before) / (time.monotonic() - began))
                    wait_for(lambda: int(self.query("SELECT count(*) FROM millrace.ready WHERE key = 'small'")[0][0]) == 0, 30, "they have begun")
                taken.append(self.waits("errand", 0.5, "key = 'small' AND started_at IS NOT NULL"))
        a, b = statistics.median(took["beside"]), statistics.median(took["quiet"])
        self.add("fair", "a tenant's run beside 100,000 of another, p50", "without them", f"{a:.1f} ms", f"{b:.1f} ms", a / b, "x",
                 f"a worker asks each {2 * BATCH * 1000 / statistics.median(rates[1::2]):.1f} ms")
        self.empty()

    def bulk(self, action, state, count):
        """All runs in that state, of which there are so many; the figure is for a million, at the same rate."""
        began = time.monotonic()
        request(self.base, f"/v1/job-runs/{action}", {"job": "errand", "state": state}, self.key)
        wait_for(lambda: self.query("SELECT state FROM millrace.job_run WHERE job = 'bulk' ORDER BY id DESC LIMIT 1")[0][0] == "succeeded", 180,
                 "it is done")
        done = int(self.query("SELECT done FROM millrace.job_run WHERE job = 'bulk' ORDER BY id DESC LIMIT 1")[0][0])
        if done != count:
            raise SystemExit(f"{action}: {done} of {count}")
        seconds = (time.monotonic() - began) * 1_000_000 / count
        self.add("retry", f"POST /v1/job-runs/{action} of a million", "", f"{seconds:.1f} s", "", seconds, "s", f"from {count} of {state}")

    def million(self):
        self.kind("errand", work="pull")
        self.empty()
        count = 50_000 if self.quick else 1_000_000
        self.query(f"""INSERT INTO millrace.run (id, job, key, args, trigger, created_at, due_at, attempt, max_attempts, outcome, started_at,
                                                 finished_at, dead_at, result)
            SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - {count} + n), 12, '0') || '7' || substr(replace(
                    gen_random_uuid()::text, '-', ''), 14))::uuid, 'errand', 'k' || n % 1000, '{{}}', 'manual', now(), now(), 10, 10,
                   CASE WHEN n % 5 = 0 THEN 'dead' ELSE 'succeeded' END, now(), now(), CASE WHEN n % 5 = 0 THEN now() END, NULL
              FROM generate_series(1, {count}) n""")
        self.query("INSERT INTO millrace.stopped (job, outcome, id) SELECT r.job, r.outcome, r.id FROM millrace.run r WHERE r.outcome = 'dead'")
        self.server.settle(self.database)
        for key, work, path in (("list", "GET /v1/job-runs", "/v1/job-runs?limit=50"), ("list", "  of a job", "/v1/job-runs?limit=50&job=errand"),
                                ("list", "  the dead", "/v1/job-runs?limit=50&state=dead"),
                                ("list", "  of a key", "/v1/job-runs?limit=50&job=errand&key=k7")):
            took = wrk(self.base + path, self.seconds, 4, self.key).p50
            self.add(key, f"{work}, {count} runs, p50", "", f"{took:.1f} ms", "", took, "ms")
        dead = count // 5
        self.bulk("retry", "dead", dead)
        took = []
        for _ in range(20):
            began = time.monotonic()
            request(self.base, "/v1/jobs/errand/claims", {"max": 50}, self.key)
            took.append((time.monotonic() - began) * 1000)
        self.add("claim", f"a claim of 50 beside {count} runs, p50", "", f"{rank(took, 0.5):.1f} ms", "", rank(took, 0.5), "ms")
        self.bulk("cancel", "queued", dead - 20 * 50)
        self.bulk("delete", "cancelled", dead - 20 * 50)

    STEPS = ("enqueue", "pull", "started", "push", "dead", "fair", "million")

    def run(self, steps):
        began = time.monotonic()
        for number, step in enumerate(steps, 1):
            print(f"[{time.monotonic() - began:4.0f} s] {number} of {len(steps)}: {step}", file=sys.stderr, flush=True)
            getattr(self, step)()
        self.took = time.monotonic() - began

    def report(self):
        head = [f"machine: {machine()}; client, servers and database share it", f"millrace {self.commit}",
                f"versions: {said(self.server.path('postgres'), '--version')}",
                f"took {self.took:.0f} s{', --quick' if self.quick else ''}; load average at the end: "
                f"{', '.join(f'{each:.1f}' for each in os.getloadavg())}"]
        keep("queue.md", as_markdown(self.rows, head, {}))
        keep("queue.csv", as_csv(self.rows, head))
        print("\n" + "\n".join(head) + "\nkept in bench/results/: queue.md, queue.csv")
        return not any(row.missed for row in self.rows)


def main(arguments):
    quick = "--quick" in arguments
    names = [each for each in arguments if each != "--quick"]
    binary = os.path.abspath(names.pop(0)) if names else ""
    missing = [tool for tool in ("wrk", "nginx", "pgbench") if not shutil.which(tool)]
    if not os.path.exists(binary) or set(names) - set(WorkQueue.STEPS) or missing:
        raise SystemExit(f"missing: {', '.join(missing)}" if missing else f"{__doc__}\nSTEP: {', '.join(WorkQueue.STEPS)}")
    with own_server() as (server, directory):
        bench = WorkQueue(binary, server, directory, quick)
        try:
            bench.begin()
            bench.run([each for each in WorkQueue.STEPS if not names or each in names])
            good = bench.report()
        finally:
            bench.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
