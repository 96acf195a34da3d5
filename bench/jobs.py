"""The drain: 100,000 queued jobs that do nothing, through Millrace, graphile-worker and pg-boss on one server, in one run.

usage: python3 bench/jobs.py build/release/millrace [ROUNDS]    (or: ./dev bench jobs)

Starts a PostgreSQL of its own, which commits durably. Each contender gets an empty database, fills its queue, and only
then starts to work. A drain begins when the first job is claimed, as the claim itself is dated, and ends with the commit
of the last completion, as the server's log has it (pg_waldump): the same for all, and nobody is disturbed meanwhile. Of
each, several configurations are tried, and the fastest goes into the rounds, which take the contenders in turn. Millrace
writes its log line for every run, as it does by default, to a file; the peers are told to say nothing of jobs that succeed.
Figures are ratios of one run: never compare absolute ones between runs. Exits 1 when Millrace is slower than a peer.
"""

import contextlib
import csv
import glob
import json
import os
import platform
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from support import Database, wait_for  # noqa: E402

JOBS = 100_000
ROUNDS = 3
LAST_ROUND_STARTS_BY = 270  # seconds
DRAIN_SECONDS = 90          # the longest a drain may take
POLL_SECONDS = 0.25
PEERS = os.path.join(HERE, "peers")
RESULTS = os.path.join(HERE, "results")

# An id such as the API gives to a run: UUIDs of version 7 rise with time, here by a millisecond for every row `n`.
UUIDV7 = """(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + n), 12, '0') || '7'
              || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid"""


class Server:
    """A PostgreSQL with its default settings, run by somebody who is not root."""

    def __init__(self, directory):
        programs = [shutil.which("initdb"), *sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))]
        self.programs = os.path.dirname(programs[-1] or "")
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        self.home = os.path.join(directory, "server")
        self.data = os.path.join(self.home, "data")
        os.mkdir(self.home)
        if user:
            os.chown(self.home, user.pw_uid, user.pw_gid)
        self.run("initdb", "--pgdata", self.data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        with open(os.path.join(directory, "server.log"), "w") as log:
            self.child = subprocess.Popen([self.path("postgres"), "-D", self.data, "-k", self.home, "-c", "listen_addresses="],
                                          cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.who)
        wait_for(self.is_up, 30, "the server is up")

    def path(self, program):
        return os.path.join(self.programs, program)

    def run(self, program, *arguments, check=True):
        return subprocess.run([self.path(program), *arguments], cwd=self.home, env={"TZ": "UTC"}, text=True, capture_output=True,
                              check=check, **self.who).stdout

    def is_up(self):
        if self.child.poll() is not None:
            raise SystemExit("PostgreSQL does not start")
        try:
            self.query("SELECT 1")
            return True
        except Exception:
            return False

    def query(self, sql, database="postgres"):
        with Database(self.home, database) as session:
            return session.query(sql)

    def stop(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(60)

    def last_commit(self, begin, end, files):
        """When the last transaction was committed that changed a row of these files (database, file number)."""
        changes, last, commits = {f"/{database}/{file} " for database, file in files}, None, {}
        for line in self.run("pg_waldump", "--path", os.path.join(self.data, "pg_wal"), "--start", begin, "--end", end,
                             "--rmgr=Heap", "--rmgr=Transaction").splitlines():
            record = re.search(r"tx:\s+(\d+), .* desc: (COMMIT|DELETE|UPDATE|HOT_UPDATE) (\S+ \S+)", line)
            if record and record.group(2) == "COMMIT":
                commits[record.group(1)] = datetime.strptime(record.group(3), "%Y-%m-%d %H:%M:%S.%f")
            elif record and any(change in line for change in changes):
                last = record.group(1)
        return commits[last].replace(tzinfo=timezone.utc).timestamp()


@contextlib.contextmanager
def own_server():
    """A Server and a directory to write to; both are gone afterwards, also when the process is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = tempfile.mkdtemp(prefix="millrace-bench-")
    os.chmod(directory, 0o755)
    server = None
    try:
        server = Server(directory)
        yield server, directory
    finally:
        if server:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


class Contender:
    """Who is measured: a database named after it, and processes that are started and told to begin."""

    def __init__(self, server, directory):
        self.server, self.directory = server, directory

    def new_database(self):
        self.server.query(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
        self.server.query(f'CREATE DATABASE "{self.name}"')

    def drain(self, configuration):
        """Fills the queue and empties it; returns the seconds that each took."""
        self.new_database()
        filled = self.fill()
        self.server.query("VACUUM ANALYZE", self.name)
        self.server.query("CHECKPOINT")
        with open(os.path.join(self.directory, self.name + ".log"), "w") as log:
            children = self.start(configuration, log)
            try:
                end = self.wait_until_empty(children)
            finally:
                for child in children:
                    child.terminate()
                for child in children:
                    child.wait(30)
        return filled, end - self.first_claim(children)

    def wait_until_empty(self, children):
        marks, give_up = [], time.monotonic() + DRAIN_SECONDS
        with Database(self.server.home, self.name) as session:
            files = session.query(f"""SELECT d.oid, pg_relation_filenode(c.oid) FROM pg_database d, pg_class c
                                      WHERE d.datname = current_database() AND c.oid = '{self.table}'::regclass""")
            while True:
                at, busy = session.query(f"SELECT pg_current_wal_flush_lsn(), EXISTS (SELECT FROM {self.table} WHERE {self.unfinished})")[0]
                marks.append(at)
                if busy == "f":
                    break
                ended = [child.poll() for child in children if child.poll() is not None]
                if ended or time.monotonic() > give_up:
                    with open(os.path.join(self.directory, self.name + ".log")) as log:
                        raise SystemExit(f"{log.read()[-2000:]}\n{self.name} does not get through (exit status {ended})")
                time.sleep(POLL_SECONDS)
            done = int(session.value(self.finished))
            if done != JOBS:
                raise SystemExit(f"{self.name}: {done} of {JOBS} jobs were done")
            end = session.value("SELECT pg_current_wal_flush_lsn()")
        # A change is at most some polls older than its commit.
        return self.server.last_commit(marks[max(0, len(marks) - 6)], end, files)

    def first_claim(self, _children):
        return float(self.server.query(f"SELECT extract(epoch FROM min({self.claimed})) FROM {self.table}", self.name)[0][0])


class Millrace(Contender):
    name, table, unfinished, claimed = "millrace", "millrace.job_run", "finished_at IS NULL", "started_at"
    finished = "SELECT count(*) FROM millrace.job_run WHERE state = 'succeeded'"
    configurations = [{}, {"processes": 2}]

    def __init__(self, binary, *rest):
        super().__init__(*rest)
        self.binary = binary
        self.env = {"PATH": os.environ["PATH"], "DB_HOST": self.server.home, "DB_USER": "postgres", "DB_DATABASE": self.name,
                    "JOB_NOOP": "true"}

    def fill(self):
        subprocess.run([self.binary, "migrate"], env=self.env, capture_output=True, check=True)
        began = time.monotonic()
        self.server.query(f"""INSERT INTO millrace.job (name, exclusive, manual) VALUES ('noop', false, true);
            INSERT INTO millrace.job_run (id, job, trigger, exclusive)
            SELECT {UUIDV7}, 'noop', 'manual', false FROM generate_series(1, {JOBS}) n""", self.name)
        return time.monotonic() - began

    # The line about every run goes to a file, where a log driver would have put it.
    def start(self, configuration, log):
        return [subprocess.Popen([self.binary, "scheduler"], env={**self.env, "HEALTH_SOCKET": f"millrace-bench-{os.getpid()}-{number}"},
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log) for number in range(configuration.get("processes", 1))]


class Peer(Contender):
    def __init__(self, node, *rest):
        super().__init__(*rest)
        self.command = [node, os.path.join(PEERS, self.name + ".mjs")]
        self.env = {"PATH": os.environ["PATH"], "NODE_ENV": "production", "NO_LOG_SUCCESS": "1",
                    "DATABASE_URL": f"postgres://postgres@/{self.name}?host={self.server.home}"}

    def fill(self):
        text = subprocess.run([*self.command, "enqueue", str(JOBS)], env=self.env, text=True, stdout=subprocess.PIPE, check=True).stdout
        return float(re.search(r"enqueued ([\d.]+)", text).group(1))

    def start(self, configuration, log):
        options = {key: value for key, value in configuration.items() if key != "processes"}
        children = [subprocess.Popen([*self.command, "work", json.dumps(options)], env=self.env, text=True, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=log) for _ in range(configuration.get("processes", 1))]
        for child in children:
            if child.stdout.readline() != "ready\n":
                raise SystemExit(f"{self.name} does not start (exit status {child.wait()})")
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        return children


class GraphileWorker(Peer):
    name, table, unfinished = "graphile-worker", "graphile_worker._private_jobs", "true"
    finished = f"SELECT {JOBS}"  # finished rows are deleted, and failed ones are not
    batches = {"completeJobBatchDelay": 0, "failJobBatchDelay": 0}
    configurations = [
        {"concurrentJobs": 24, "localQueue": {"size": 500}, **batches},  # its documentation's
        {"concurrentJobs": 24, "localQueue": {"size": 2000}, **batches},
        {"concurrentJobs": 24, "localQueue": {"size": 1000}, **batches, "processes": 2},
    ]

    def first_claim(self, children):
        return min(float(line.split()[1]) for child in children for line in child.stdout if line.startswith("claimed"))


class PgBoss(Peer):
    name, table, unfinished, claimed = "pg-boss", "pgboss.job_common", "state < 'completed'", "started_on"
    finished = "SELECT count(*) FROM pgboss.job WHERE state = 'completed'"
    configurations = [
        {"batchSize": 1000, "localConcurrency": 2},
        {"batchSize": 5000, "localConcurrency": 2},
        {"batchSize": 1000, "loops": 2},
    ]


def node_program():
    for path in [*glob.glob(os.path.join(PEERS, "node_modules", "node-linux-*", "bin", "node")), shutil.which("node")]:
        if path and os.path.isdir(os.path.join(PEERS, "node_modules", "pg-boss")):
            return path
    raise SystemExit("missing: npm --prefix bench/peers ci")


def versions(binary, node, server):
    def said(*command):
        return subprocess.run(command, text=True, capture_output=True, check=False, cwd=ROOT).stdout.strip()

    def package(name):
        with open(os.path.join(PEERS, "node_modules", name, "package.json")) as file:
            return f"{name} {json.load(file)['version']}"

    processor = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    return [f"machine: {processor.group(1) if processor else platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            f"versions: {said(binary, '--version')} ({said('git', 'describe', '--always', '--dirty')}), "
            f"{said(server.path('postgres'), '--version')}, node {said(node, '--version')}, {package('graphile-worker')}, {package('pg-boss')}"]


def text_of(configuration):
    return re.sub(r'[{}"]', "", json.dumps(configuration)) or "as it comes"


class Report:
    """What is printed, row by row, and what is kept."""

    def __init__(self):
        self.rows = []

    def add(self, phase, contender, configuration, filled, drained):
        self.rows.append([phase, contender.name, text_of(configuration), JOBS, f"{filled:.3f}", f"{drained:.3f}", round(JOBS / drained)])
        print(f"{phase:9} {contender.name:16} {filled:9.2f} {drained:9.2f} {JOBS / drained:9.0f}   {text_of(configuration)}", flush=True)

    def keep(self, head):
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, datetime.now().strftime("jobs-%Y%m%d-%H%M%S.csv"))
        with open(path, "w", newline="") as file:
            file.writelines(f"# {line}\n" for line in head)
            csv.writer(file).writerows([["phase", "contender", "configuration", "jobs", "enqueue_s", "drain_s", "jobs_per_s"], *self.rows])
        print(f"kept in {os.path.relpath(path)}")


def best_configuration(contender, report):
    taken = []
    for configuration in contender.configurations:
        filled, drained = contender.drain(configuration)
        report.add("try", contender, configuration, filled, drained)
        taken.append(drained)
    return contender.configurations[taken.index(min(taken))]


def measure(contenders, rounds, report):
    """Seconds of every drain, by name; a round is whole or not begun."""
    began = time.monotonic()
    best = {contender.name: best_configuration(contender, report) for contender in contenders}
    taken = {contender.name: [] for contender in contenders}
    for number in range(1, rounds + 1):
        if number > 1 and time.monotonic() - began > LAST_ROUND_STARTS_BY:
            print(f"no time for round {number}")
            break
        for contender in contenders:
            filled, drained = contender.drain(best[contender.name])
            report.add(f"round {number}", contender, best[contender.name], filled, drained)
            taken[contender.name].append(drained)
    return taken


def compare(taken):
    """Prints the medians; whether Millrace is at least as fast as the faster peer."""
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    ours = medians.pop("millrace")
    print()
    print(f"{'median':26} {'':9} {ours:9.2f} {JOBS / ours:9.0f}   millrace")
    for name, theirs in medians.items():
        print(f"{'':26} {'':9} {theirs:9.2f} {JOBS / theirs:9.0f}   {name}: millrace is {theirs / ours:.2f} times as fast")
    faster = min(medians, key=medians.get)
    ratio = medians[faster] / ours
    rounds = ", ".join(f"{theirs / ours:.2f}" for ours, theirs in zip(taken["millrace"], taken[faster]))
    print(f"{'millrace : ' + faster + ', the faster':46} {ratio:9.2f}   >= 1.00  {'ok' if ratio >= 1 else 'UNDER'}   (by rounds: {rounds})")
    return ratio >= 1


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    binary, node = os.path.abspath(sys.argv[1]), node_program()
    rounds = int(sys.argv[2]) if len(sys.argv) == 3 else ROUNDS
    with own_server() as (server, directory):
        head, report = versions(binary, node, server), Report()
        print(*head, sep="\n")
        print(f"\n{'':26} {'enqueue s':>9} {'drain s':>9} {'jobs/s':>9}")
        contenders = [Millrace(binary, server, directory), GraphileWorker(node, server, directory), PgBoss(node, server, directory)]
        good = compare(measure(contenders, rounds, report))
        report.keep(head)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
