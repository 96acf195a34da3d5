"""The benchmark: every row of the table below, beside its references and peers, in one run on one machine.

usage: python3 bench/bench.py build/release/millrace [--quick | --publish] [floor | STEP ...]    (or: ./dev bench [...])

Starts what it measures itself, takes the contestants of a row in turn, several rounds, and compares medians. `--quick` has one
short round, a large table that is small, no charts of concurrency and no row of scaling. `floor` is short: requests beside nginx and
pgbench, and the start. STEP names single steps. Writes the report (Markdown), CSV, SVG charts and the costs for bench/scaling.py into
bench/results/. Figures are ratios of one run: never compare absolute ones between runs. Exits 1 when a target is missed. `--publish`, for
a whole run on a quiet machine, puts report and charts into docs/performance.md as well.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

import jobs
import politeness
import scaling
from charts import line_chart
from contest import Api, Peer
from measure import (RESULTS, ROOT, Cores, Database, Limited, Nginx, Paced, Pgbench, commit, cpu_seconds, end, keep, machine, node_package,
                     node_program, own_server, request, rss_mib, said, sampled, start, switches, thread_ms,
                     wait_for, with_children, wrk)
from report import AT_LEAST, AT_MOST, Row, as_csv, as_line, as_markdown, between

CONNECTIONS = 128
IDLE = 10_000
OVERLOAD = 3
MIB_LEAST = 512          # of the small machine, with SMALL_CPU of a core
SMALL_CPU = 0.25
HELD_MS = 50
SCALED_CPU = 0.025       # of a core for each process behind the balancer
SCALED_CLIENTS = 32      # for each of them
FULL = 0.1               # idle cores: with fewer, what a number of processes answers is the machine's affair
TARGETS = {
    "health": (AT_LEAST, 0.9), "refdata": (AT_LEAST, 0.9), "one": (AT_LEAST, 1.2), "list": (AT_LEAST, 0.7), "page": (AT_LEAST, 0.7),
    "create": (AT_LEAST, 3.5), "list : best of go, node": (AT_LEAST, 3), "one : best of go, node": (AT_LEAST, 4),
    "create : best of go, node": (AT_LEAST, 4), "one : c": (AT_LEAST, 1.5), "create : c": (AT_LEAST, 1.5), "mix": (AT_MOST, 3),
    "latency": (AT_MOST, 2), "overload": (AT_LEAST, 0.9), "overload client": (None, None), "overload connections": (AT_MOST, 0), "memory": (AT_MOST, 32),
    "start": (AT_MOST, 60), "idle memory": (AT_MOST, 8), "idle rate": (AT_LEAST, 0.9), "idle answered": (AT_LEAST, IDLE),
    "jobs": (AT_LEAST, 1), "large list": (AT_MOST, 1.3), "large cleanup": (AT_LEAST, 0.5), "small": (None, None), "cost": (None, None),
    "scaling": (AT_LEAST, 0.8),
}


class Skipped(Exception):
    """Why something cannot be measured here."""


class Memory(threading.Thread):
    """Looks at a process twice a second."""

    def __init__(self, api):
        super().__init__(daemon=True)
        self.api, self.began, self.seen, self.over = api, time.monotonic(), [], threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            try:
                self.seen.append((time.monotonic() - self.began, rss_mib(self.api.child.pid)))
            except (OSError, SystemExit):  # it is being started again
                continue


class Bench:
    def __init__(self, binary, server, directory, quick, publishes=False):
        self.binary, self.server, self.directory, self.quick, self.publishes = binary, server, directory, quick, publishes
        self.seconds, self.rounds = (1, 1) if quick else (2, 3)
        self.rows, self.charts, self.costs, self.notes, self.profiles = [], {}, {}, [], {}
        self.again = {}  # by key: what measures a row, for a closer look where it misses its target
        self.commit = commit()  # of what is measured, whatever is edited meanwhile
        self.api = Api(binary, server, directory)
        self.peers = {}
        self.memory = Memory(self.api)
        self.memory.start()

    # ---- Rows ----

    def add(self, key, work, against, figure, reference, value, unit="", note=""):
        sense, target = TARGETS[key]
        row = Row(work, against, figure, reference, value, sense, target, unit, note, key.partition(" :")[0],
                  self.profiles.get(key.partition(" :")[0], ""))
        if row.missed and row.key in self.again:
            row.hot = sampled(self.directory, self.again.pop(row.key), max(2, self.seconds))  # an open loop needs more than one
        self.rows.append(row)
        print(as_line(row), flush=True)

    def rates(self, contestants):
        """Medians of requests a second, by name; the contestants take turns."""
        taken = {name: [] for name in contestants}
        for measure in contestants.values() if not self.quick else ():
            measure(1)
        for _ in range(self.rounds):
            for name, measure in contestants.items():
                taken[name].append(measure(self.seconds))
        return {name: statistics.median(values) for name, values in taken.items()}

    def watched(self, key, measure):
        """Measures, and keeps who used the cores meanwhile, for the report; where the row is missed, it is measured once more, by samples."""
        self.again[key] = measure

        def measured(seconds):
            cores = Cores(seconds)
            value = measure(seconds)
            self.profiles[key] = cores.finish().told
            return value

        return measured

    def ratio(self, key, work, against, ours, theirs):
        self.add(key, work, against, f"{ours:.0f}/s", f"{theirs:.0f}/s", ours / theirs, "x")

    def rate(self, base, path, token=None, script=None):
        return lambda seconds: wrk(base + path, seconds, CONNECTIONS, token, script).rate

    def beside_peers(self, key, work, path, token, script, counts):
        """A row against pgbench and, where there are peers, rows against them, by rate and by what a request costs."""
        api = self.api
        pgbench = Pgbench(self.server, api.database, api.sql[key], counts, 1)
        servers = {"millrace": api, **self.peers}
        rates = self.rates({**{name: self.costing(key, server, self.rate(server.base, path, token, script))
                               for name, server in servers.items()},
                            "pgbench": lambda seconds: pgbench.run(pgbench.clients, seconds)})
        self.ratio(key, work, f"pgbench, {pgbench.clients} clients", rates["millrace"], rates["pgbench"])
        best = max((name for name in ("go", "node") if name in rates), key=rates.get, default=None)
        if best:
            self.ratio(f"{key} : best of go, node", work, f"{best}, the better of Go, Node", rates["millrace"], rates[best])
        if "c" in rates and f"{key} : c" in TARGETS:
            self.ratio(f"{key} : c", work, "C, libpq, threads", rates["millrace"], rates["c"])
        for name in self.peers:
            ours, theirs = (self.median_costs(each)[key] for each in ("millrace", name))
            self.add("cost", f"{work}, CPU a request", name, "{api:.0f} + {database:.0f} us".format(**ours),
                     "{api:.0f} + {database:.0f} us".format(**theirs), sum(theirs.values()) / sum(ours.values()), "x",
                     "server + PostgreSQL")

    def cpu(self, server):
        """Seconds of a core by process: of the server, and of what PostgreSQL has to serve it, or to write for everybody."""
        pids = self.server.query(f"""SELECT pid FROM pg_stat_activity WHERE {server.backends}
            OR backend_type IN ('walwriter', 'checkpointer', 'background writer')""")
        return [seconds_of(with_children(server.child.pid)), seconds_of(int(pid) for pid, in pids)]

    def costing(self, key, server, measure):
        """Measures, and keeps what a request cost in the server and in the database, in microseconds of a core."""

        def measured(seconds):
            seen = []

            def look():
                seen.append((time.monotonic(), self.cpu(server)))

            # Well within the load: some servers close connections to the database when their clients leave.
            looks = [threading.Timer(share * seconds, look) for share in (0.2, 0.9)]
            for each in looks:
                each.start()
            rate = (self.watched(key, measure) if server is self.api else measure)(seconds)
            for each in looks:
                each.join()
            (then, before), (now, after) = seen
            self.costs.setdefault(server.name, {}).setdefault(key, []).append(
                [1e6 * grown(*each) / (rate * (now - then)) for each in zip(before, after)])
            return rate

        return measured

    def median_costs(self, name="millrace"):
        return {key: dict(zip(("api", "database"), (round(statistics.median(each), 1) for each in zip(*taken))))
                for key, taken in self.costs.get(name, {}).items()}

    # ---- Steps, in the order of the report ----

    def start_peers(self):
        for number, name in enumerate(("go", "node", "c")):
            try:
                self.peers[name] = Peer(name, self.api, 13010 + number)
            except SystemExit as error:
                self.notes.append(f"{name} is left out: {error}")
                print(self.notes[-1], flush=True)

    def stop_peers(self):
        for peer in self.peers.values():
            peer.stop()
        self.peers = {}

    def without_sql(self):
        for key, path in (("health", "/v1/health"), ("refdata", "/v1/refdata/taskpriorities")):
            body = json.dumps(request(self.api.base, path), separators=(",", ":"))
            nginx = Nginx.saying(self.directory, 13020, body.replace("'", " "))
            try:
                rates = self.rates({"millrace": self.watched(key, self.rate(self.api.base, path)), "nginx": self.rate(nginx.base, "/")})
            finally:
                nginx.stop()
            self.ratio(key, f"GET {path}", "nginx, return 200", rates["millrace"], rates["nginx"])

    def one(self):
        self.beside_peers("one", "GET /v1/tasks/{id}", f"/v1/tasks/{self.api.id}", self.api.token, None, (2, 4, 8))

    def list(self):
        self.beside_peers("list", "GET /v1/tasks?limit=10", "/v1/tasks?limit=10", self.api.token, None, (2, 4, 8))

    def page(self):
        pgbench = Pgbench(self.server, self.api.database, self.api.sql["page"], (4,))
        rates = self.rates({"millrace": self.watched("page", self.rate(self.api.base, "/v1/tasks?page=1&pageSize=10", self.api.token)),
                            "pgbench": lambda seconds: pgbench.run(pgbench.clients, seconds)})
        self.ratio("page", "GET /v1/tasks?page=1&pageSize=10", f"pgbench, {pgbench.clients} clients", rates["millrace"], rates["pgbench"])

    def create(self):
        self.beside_peers("create", "POST /v1/tasks", "/v1/tasks", self.api.writer, self.api.post, (16, 32, 64))

    def latency(self):
        pgbench = Pgbench(self.server, self.api.database, self.api.sql["one"], (1,))
        one = self.watched("latency", lambda seconds: wrk(f"{self.api.base}/v1/tasks/{self.api.id}", seconds, 1, self.api.token))
        ours, theirs = [], []
        for _ in range(self.rounds):
            slept = switches(self.api.child.pid)
            load = one(self.seconds)
            slept = (switches(self.api.child.pid) - slept) / (load.rate * self.seconds)
            ours.append(load.p50)
            theirs.append(pgbench.p50(self.directory, self.seconds))
        a, b = statistics.median(ours), statistics.median(theirs)
        self.profiles["latency"] += f"; threads of the API went to sleep {slept:.1f} times a request"
        self.add("latency", "GET /v1/tasks/{id}, one client, p50", "pgbench, one client, p50", f"{a:.3f} ms", f"{b:.3f} ms", a / b, "x")

    def concurrency(self):
        """The charts of throughput, latency and batch size; no row."""
        counts = (1, 4, 16, 64, 256)
        seconds = 2
        path = f"/v1/tasks/{self.api.id}"
        throughput, latency, batches = {}, {}, {}
        for name, base in {"millrace": self.api.base, **{name: peer.base for name, peer in self.peers.items()}}.items():
            for count in counts:
                before = self.api.batches()
                load = wrk(base + path, seconds, count, self.api.token)
                throughput.setdefault(name, []).append((count, load.rate))
                latency.setdefault(f"{name}, p99", []).append((count, load.p99))
                if name == "millrace":
                    batches.setdefault("reads of one", []).append((count, self.batch_size(before)))
        for count in counts:
            for label, script, token, path in (("lists", None, self.api.token, "/v1/tasks?limit=10"),
                                               ("creates", self.api.post, self.api.writer, "/v1/tasks")):
                before = self.api.batches()
                wrk(self.api.base + path, 1, count, token, script)
                batches.setdefault(label, []).append((count, self.batch_size(before)))
        self.chart("throughput", "GET /v1/tasks/{id}: requests a second", "connections", "requests/s", throughput, True)
        self.chart("latency", "GET /v1/tasks/{id}: latency", "connections", "ms", latency, True)
        self.chart("batches", "Messages that one statement answers", "connections", "messages", batches, True)

    def batch_size(self, before):
        """Of the actor that had most to do since then."""
        after = self.api.batches()
        grown = {actor: {what: now[what] - before.get(actor, {}).get(what, 0) for what in now} for actor, now in after.items()}
        most = max(grown.values(), key=lambda each: each["sum"])
        return most["sum"] / max(1, most["count"])

    def chart(self, name, title, x, y, series, log_x=False):
        self.charts[name + ".svg"] = title
        keep(name + ".svg", line_chart(title, x, y, series, log_x))

    def mix(self):
        """80% single reads, 15% lists, 5% writes. It answers, or wrk ends the run."""
        few, many = [], []
        full = self.watched("mix", lambda seconds: wrk(self.api.base, seconds, 256, self.api.token, self.api.mix))
        for _ in range(self.rounds):
            few.append(wrk(self.api.base, self.seconds, 32, self.api.token, self.api.mix).p99)
            many.append(full(self.seconds).p99)
        a, b = statistics.median(many), statistics.median(few)
        self.add("mix", "mix, 256 connections, p99", "itself, 32 connections", f"{a:.1f} ms", f"{b:.1f} ms", a / b, "x")
        memory = rss_mib(self.api.child.pid)
        self.add("memory", "memory of millrace api after the mix", "", f"{memory:.1f} MiB", "", memory, "MiB")

    def overload(self):
        """An open loop offers three times the peak of lists, which cost most; the peak is taken before and after. The client that can do so
        takes more of the cores than the one that takes the peak, so its own peak is reported as well."""
        url = self.api.base + "/v1/tasks?limit=10"
        connections = 5000  # more than MAILBOX_MAX_MESSAGES
        pids = "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE application_name LIKE 'data-%'"
        kept = self.server.query(pids, self.api.database)
        before = wrk(url, self.seconds, CONNECTIONS, self.api.token).rate
        load = self.watched("overload", lambda seconds: Paced(self.directory, url, seconds, connections, OVERLOAD * before, self.api.token))(
            4 if self.quick else 7)
        peak = (before + wrk(url, self.seconds, CONNECTIONS, self.api.token).rate) / 2
        same = Paced(self.directory, url, max(2, self.seconds), CONNECTIONS, None, self.api.token).served
        lost = int(self.server.query(pids, self.api.database) != kept)
        offered = load.served + load.refused
        self.add("overload", f"lists, offered {offered / peak:.1f} x the peak: served", "the peak, 128 connections",
                 f"{load.served:.0f}/s", f"{peak:.0f}/s", load.served / peak, "x",
                 f"{load.refused:.0f}/s refused by 503 (p99 {load.refused_p99:.0f} ms), {load.other} others")
        self.add("overload client", "the same, by the client that overloads", "its own peak, 128 connections", f"{load.served:.0f}/s", f"{same:.0f}/s",
                 load.served / same, "x", "h2load takes more of the cores for a request than wrk")
        self.add("overload connections", "database connections lost meanwhile", "", str(lost), "", lost)

    def idle(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.api.restart()
        answered = 0
        asking = b"GET /v1/health HTTP/1.1\r\nHost: bench\r\n\r\n"
        others = lambda: wrk(f"{self.api.base}/v1/tasks/{self.api.id}", self.seconds, 64, self.api.token).rate  # noqa: E731
        clients = []
        try:
            for _ in range(100):
                clients.append(ask(self.api.port, asking))
            before = [others() for _ in range(self.rounds)]
            first = rss_mib(self.api.child.pid)
            for _ in range(IDLE - 100):
                clients.append(ask(self.api.port, asking))
            each = (rss_mib(self.api.child.pid) - first) * 1024 / (IDLE - 100)
            during = [others() for _ in range(self.rounds)]
            for client in clients:
                client.sendall(asking)
                answered += client.recv(4096).startswith(b"HTTP/1.1 200 ")
        finally:
            for client in clients:
                client.close()
        a, b = statistics.median(during), statistics.median(before)
        self.add("idle memory", f"{IDLE} idle connections, each beyond 100", "", f"{each:.2f} KiB", "", each, "KiB")
        self.add("idle answered", "answered afterwards", "", str(answered), str(IDLE), answered)
        self.add("idle rate", "GET /v1/tasks/{id} beside them, 64 clients", "without them", f"{a:.0f}/s", f"{b:.0f}/s", a / b, "x")

    def start(self):
        took = []
        for _ in range(5):
            child, seconds = self.api.start_one(13002)
            end(child)
            took.append(seconds * 1000)
        ready = statistics.median(took)
        self.profiles["start"] = self.profile_of_start()
        self.add("start", "ready after start, database up", "", f"{ready:.0f} ms", "", ready, "ms")

    def clients(self):
        """The processes of the database that serve connections with a name."""
        return {pid for pid, in self.server.query("SELECT pid FROM pg_stat_activity WHERE application_name <> ''")}

    def profile_of_start(self):
        """Of one more start: the time of a core that it takes until it is ready, and what it asks of the database."""
        server, log = self.server, os.path.join(self.directory, "server.log")
        server.query("ALTER SYSTEM SET log_statement = 'all'")
        server.query("ALTER SYSTEM SET log_connections = on")
        server.query("SELECT pg_reload_conf()")
        try:
            wait_for(lambda: server.query("SHOW log_statement")[0][0] == "all", 10, "the server logs statements")
            begin, others = os.path.getsize(log), self.clients()
            child, _ = self.api.start_one(13002)
            threads = thread_ms(child.pid)
            with open(log) as file:
                file.seek(begin)
                text = file.read()
            backends = [thread_ms(pid) for pid in self.clients() - others]
            end(child)
        finally:
            server.query("ALTER SYSTEM RESET ALL")
            server.query("SELECT pg_reload_conf()")
        main = threads.pop(os.path.basename(self.binary)[:15], 0)
        return (f"{main:.0f} ms of a core for the first thread of the process, {sum(threads.values()):.0f} for its others, "
                f"{sum(sum(each.values()) for each in backends):.0f} for PostgreSQL's of the {len(backends)} connections that stay; "
                f"{text.count('application_name=')} connections were made, and {len(re.findall('LOG:  (?:statement|execute)', text))} "
                "statements run")

    def jobs(self):
        jobs.Contender.jobs = 3_000 if self.quick else 30_000
        contenders = [jobs.Millrace(self.binary, self.server, self.directory)]
        try:
            node = node_program()
            contenders += [jobs.GraphileWorker(node, self.server, self.directory), jobs.PgBoss(node, self.server, self.directory)]
        except SystemExit as error:
            raise Skipped(str(error)) from error
        # The configurations that `./dev bench jobs` finds the fastest on two cores.
        taken = {each.name: [] for each in contenders}
        for _ in range(1 if self.quick else 2):
            for each in contenders:
                taken[each.name].append(each.jobs / each.drain(each.configurations[0])[1])
        rates = {name: statistics.median(values) for name, values in taken.items()}
        ours = rates.pop("millrace")
        best = max(rates, key=rates.get)
        self.ratio("jobs", f"{jobs.Contender.jobs} jobs that do nothing", f"{best}, the faster", ours, rates[best])

    def large(self):
        """A list and a clean-up on a table of a million, beside ten thousand."""
        rows = 20_000 if self.quick else 1_000_000
        small, big = self.clean_up("small", 10_000), self.clean_up("large", rows)
        self.add("large list", f"GET /v1/tasks?limit=10, {rows} tasks, p50", "10000 tasks", f"{big[0]:.2f} ms", f"{small[0]:.2f} ms",
                 big[0] / small[0], "x")
        self.add("large cleanup", f"clean-up, {rows} tasks", "10000 tasks", f"{big[1]:.0f} rows/s", f"{small[1]:.0f} rows/s",
                 big[1] / small[1], "x")

    def clean_up(self, database, rows):
        """The p50 of lists in ms with 32 clients, and the rows a second that a clean-up deletes in its first ten seconds."""
        server, base = self.server, "http://127.0.0.1:13030"
        server.query(f'CREATE DATABASE "{database}"')
        api, _ = start(self.binary, "api", 13030, **server.settings(database))
        try:
            politeness.add_users(server, database)
            politeness.fill(server, rows, politeness.USERS, database)
            token, _ = politeness.sign_up(server, base, database)
            server.settle(database)
            wrk(base + "/v1/tasks?limit=10", 1, 32, token)
            p50 = statistics.median(wrk(base + "/v1/tasks?limit=10", self.seconds, 32, token).p50 for _ in range(self.rounds))
        finally:
            end(api)
        return p50, self.deleted_a_second(database)

    def deleted_a_second(self, database):
        server = self.server
        server.query("INSERT INTO millrace.job_run (id, job, trigger) VALUES (gen_random_uuid(), 'cleanup', 'manual')", database)
        scheduler = subprocess.Popen([self.binary, "scheduler"], stdin=subprocess.DEVNULL,
                                     env={"PATH": os.environ["PATH"], "LOGGING_LEVEL": "error", "HEALTH_SOCKET": f"bench-{os.getpid()}",
                                          **server.settings(database)})
        try:
            with Database(server.home, database) as session:
                give_up = time.monotonic() + 10
                while True:
                    state, done, seconds = session.query("""SELECT state, done, extract(epoch FROM coalesce(finished_at,
                        clock_timestamp()) - started_at) FROM millrace.job_run WHERE job = 'cleanup'""")[0]
                    if state != "queued" and (state != "running" or time.monotonic() > give_up):
                        return int(done) / float(seconds)
                    time.sleep(0.02)
        finally:
            end(scheduler)

    def small(self):
        """What a small machine holds: the API in a control group; the database has what is left."""
        try:
            group = Limited("millrace-bench", SMALL_CPU, MIB_LEAST)
        except SystemExit as error:
            raise Skipped(str(error)) from error
        url = f"{self.api.base}/v1/tasks/{self.api.id}"
        held = (0, 0.0)
        try:
            group.take(self.api.child.pid)
            for rate in (1000, 4000) if self.quick else (1000, 2000, 4000, 6000, 8000, 10000):
                load = Paced(self.directory, url, 3, 64, rate, self.api.token)
                if load.other or load.refused or load.p99 >= HELD_MS or load.served < 0.95 * rate:
                    break
                held = (load.served, load.p99)
        finally:
            self.api.stop()
            group.remove()
            self.api.child, _ = self.api.start_one(self.api.port, ADMIN_PORT=str(self.api.port + 1))
        self.add("small", f"GET /v1/tasks/{{id}}, {SMALL_CPU} CPU, {MIB_LEAST} MiB", f"p99 under {HELD_MS} ms", f"{held[0]:.0f}/s",
                 f"{held[1]:.1f} ms", held[0], "/s")

    def scaling(self):
        """Processes with a share of a core each behind a balancer: as many times one as there are. The share is so small that balancer,
        database and client have room beside four of them, and each has as many clients as the one has."""
        rates, idle = {}, {}
        for count in (1, 2, 4):
            rates[count], idle[count] = self.balanced(count)
        told = ", ".join(f"{count}: {rate:.0f}/s" for count, rate in rates.items())
        if "one" in self.median_costs():
            one = scaling.holds(self.median_costs(), {"one": 1}, scaling.Shape(SCALED_CPU, 1, use=1))["API"]
            told += f"; the model says {one:.0f}/s for each"
        value = rates[4] / (4 * rates[1])
        if idle[4] < FULL:
            value, told = None, f"{told}; the machine was full, so that this says nothing of the processes"
        self.add("scaling", f"4 processes of {SCALED_CPU} CPU behind nginx", "4 x one of them", f"{rates[4]:.0f}/s",
                 f"{4 * rates[1]:.0f}/s", value, "x", told)

    def balanced(self, count):
        """What that many answer a second, and how many cores were idle meanwhile."""
        ports = [13040 + number for number in range(count)]
        children, groups, nginx = [], [], None
        try:
            for port in ports:
                child, _ = self.api.start_one(port)
                children.append(child)
                groups.append(Limited(f"millrace-bench-{port}", SCALED_CPU, MIB_LEAST))
                groups[-1].take(child.pid)
            nginx = Nginx.balancing(self.directory, 13050, ports)
            url = f"{nginx.base}/v1/tasks/{self.api.id}"
            clients = SCALED_CLIENTS * count
            wrk(url, 1, clients, self.api.token)
            cores = Cores(2 * self.seconds)
            rate = wrk(url, 2 * self.seconds, clients, self.api.token).rate
            self.profiles["scaling"] = cores.finish().told
            return rate, cores.idle
        except SystemExit as error:
            raise Skipped(str(error)) from error
        finally:
            end(*children)
            for group in groups:
                group.remove()
            if nginx:
                nginx.stop()

    # ---- The whole ----

    STEPS = ("start_peers", "without_sql", "one", "latency", "list", "page", "concurrency", "mix", "overload", "create", "stop_peers",
             "start", "idle", "jobs", "large", "small", "scaling")
    LONG = ("concurrency", "scaling")  # what a quick run leaves out: charts of many points, and processes that are each held back
    FLOOR = ("without_sql", "one", "list", "create", "start")

    def run(self, steps):
        began = time.monotonic()
        for number, step in enumerate(steps, 1):
            print(f"[{time.monotonic() - began:4.0f} s] {number} of {len(steps)}: {step}", file=sys.stderr, flush=True)
            try:
                getattr(self, step)()
            except Skipped as reason:
                self.add(step if step in TARGETS else "small", step, "", "", "", None, note=str(reason))
        self.took = time.monotonic() - began

    def stop(self):
        self.memory.over.set()
        self.memory.join()
        self.stop_peers()
        self.api.stop()

    def report(self):
        if len(self.memory.seen) > 1:
            self.chart("memory", "Memory of millrace api during the run (it is started again for some steps)", "seconds", "MiB",
                       {"RSS": self.memory.seen})
        head = [f"machine: {machine()}; client, servers and database share it", f"millrace {self.commit}", *versions(self.server),
                f"took {self.took:.0f} s{', --quick' if self.quick else ''}; load average at the end: "
                f"{', '.join(f'{each:.1f}' for each in os.getloadavg())}", *self.notes]
        keep("report.md", as_markdown(self.rows, head, self.charts))
        if self.publishes:
            publish(self.rows, head, self.charts)
        keep("report.csv", as_csv(self.rows, head))
        if set(scaling.MIX) <= set(self.median_costs()):
            keep("costs.json", json.dumps({"head": head, "costs": self.median_costs()}, indent=2) + "\n")
        print("\n" + "\n".join(head))
        print("kept in bench/results/: report.md, report.csv, charts")
        return not any(row.missed for row in self.rows)


def publish(rows, head, charts, docs=os.path.join(ROOT, "docs")):
    """The page shows the run between two comments; what else it says is written by hand."""
    page = os.path.join(docs, "performance.md")
    part = as_markdown(rows, head, charts, "## The run", "performance/")
    with open(page) as file:
        text = between(file.read(), "<!-- run -->", "<!-- end of run -->", part)
    with open(page, "w") as file:
        file.write(text)
    for name in charts:
        shutil.copyfile(os.path.join(RESULTS, name), os.path.join(docs, "performance", name))


def seconds_of(pids):
    """By process; one that has ended meanwhile is left out."""
    found = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            found[pid] = cpu_seconds(pid)
    return found


def grown(before, after):
    """What the processes that are there in the end have taken since; a new one began at nothing."""
    return sum(seconds - before.get(pid, 0) for pid, seconds in after.items())


def ask(port, what):
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(what)
    client.recv(4096)
    return client


def versions(server):
    found = [said(server.path("postgres"), "--version"), said("go", "version").removeprefix("go version "), said("gcc", "--version"),
             said("sh", "-c", "wrk -v; true"), said("h2load", "--version")]
    nginx = subprocess.run(["nginx", "-v"], text=True, capture_output=True, check=False).stderr.strip()
    try:
        found += [f"node {said(node_program(), '--version')}", *(node_package(each) for each in ("fastify", "pg", "graphile-worker", "pg-boss"))]
    except (SystemExit, OSError):
        pass
    return ["versions: " + ", ".join(re.sub(r" Copyright.*| \[.*", "", each) for each in [*found, nginx] if each)]


def main(arguments):
    quick, publishes = "--quick" in arguments, "--publish" in arguments
    names = [each for each in arguments if each not in ("--quick", "--publish")]
    binary = os.path.abspath(names.pop(0)) if names else ""
    steps = Bench.FLOOR if names == ["floor"] else [each for each in Bench.STEPS if each in names or not (names or quick and each in Bench.LONG)]
    missing = [tool for tool in ("wrk", "nginx", "pgbench", "h2load") if not shutil.which(tool)]
    if publishes and (quick or names):
        raise SystemExit("--publish is for a whole run")
    if not os.path.exists(binary) or (names != ["floor"] and set(names) - set(Bench.STEPS)) or missing:
        raise SystemExit(f"missing: {', '.join(missing)}" if missing else f"{__doc__}\nSTEP: {', '.join(Bench.STEPS)}")
    with own_server() as (server, directory):
        bench = Bench(binary, server, directory, quick, publishes)
        try:
            bench.run(steps)
            good = bench.report()
        finally:
            bench.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
