"""The drain: 100,000 queued jobs that do nothing, through Millrace, graphile-worker and pg-boss on one server, in one run.

usage: python3 bench/jobs.py build/release/millrace [ROUNDS]    (or: ./dev bench jobs)

Starts a PostgreSQL of its own, which commits durably. Each contender gets an empty database, fills its queue, and only
then starts to work. A drain begins when the first job is claimed, as the claim itself is dated, and ends with the commit
of the last completion, as the server's log has it (pg_waldump): the same for all, and nobody is disturbed meanwhile. Of
each, several configurations are tried, and the fastest goes into the rounds, which take the contenders in turn. Millrace
writes its log line for every run, as it does by default, to a file; the peers are told to say nothing of jobs that succeed.
Figures are ratios of one run: never compare absolute ones between runs. Exits 1 when Millrace is slower than a peer.
"""

import csv
import io
import json
import os
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime

from measure import PEERS, POLL_SECONDS, UUIDV7, Database, commit, keep, machine, node_package, node_program, own_server, said

JOBS = 100_000
ROUNDS = 3
LAST_ROUND_STARTS_BY = 270  # seconds
DRAIN_SECONDS = 90          # the longest a drain may take


class Contender:
    """Who is measured: a database named after it, and processes that are started and told to begin."""

    jobs = JOBS

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
            if done not in (-1, self.jobs):
                raise SystemExit(f"{self.name}: {done} of {self.jobs} jobs were done")
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
            SELECT {UUIDV7}, 'noop', 'manual', false FROM generate_series(1, {self.jobs}) n""", self.name)
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
        text = subprocess.run([*self.command, "enqueue", str(self.jobs)], env=self.env, text=True, stdout=subprocess.PIPE, check=True).stdout
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
    finished = "SELECT -1"  # finished rows are deleted, and failed ones are not
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


def versions(binary, node, server):
    return [f"machine: {machine()}",
            f"versions: {said(binary, '--version')} ({commit()}), {said(server.path('postgres'), '--version')}, "
            f"node {said(node, '--version')}, {node_package('graphile-worker')}, {node_package('pg-boss')}"]


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
        text = io.StringIO()
        text.writelines(f"# {line}\n" for line in head)
        csv.writer(text).writerows([["phase", "contender", "configuration", "jobs", "enqueue_s", "drain_s", "jobs_per_s"], *self.rows])
        print(f"kept in {os.path.relpath(keep(datetime.now().strftime('jobs-%Y%m%d-%H%M%S.csv'), text.getvalue()))}")


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
