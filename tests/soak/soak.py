"""Jobs under every trouble at once, at random, for as long as you like.

usage: python3 tests/soak/soak.py build/dev/millrace [SECONDS [SEED]]    (or: ./dev soak [SECONDS [SEED]]; 600 s unless said)

Two schedulers on one database tick every second, while runs and removals are queued and, one after another, processes are killed,
frozen and ended, connections cut, rows and tables locked, writes refused. Then the troubles end, and it is checked that each tick
has one run, each run ended once, nothing is stuck or left, the log was bounded and health told the truth. The seed is printed: the
same one causes the same troubles in the same order. Exits 1 when something does not hold.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import support  # noqa: E402
from support import Scheduler, wait_for  # noqa: E402

OURS = "application_name ~ '^(scheduler|job/)' AND datname = current_database()"
SETTINGS = {"SCHEDULE_TASK_AGGREGATE_CRON": "* * * * * *", "SCHEDULE_TASK_CLEANUP_CRON": "*/3 * * * * *", "SCHEDULE_TASK_REPORT_CRON": "*/5 * * * * *",
            "SCHEDULE_MISSED": "all", "DB_LOCK_TIMEOUT": "300ms", "JOB_CHUNK_ROWS": "200"}
PERIODS = {"aggregate": 1, "cleanup": 3, "report": 5}  # as the settings above say, in seconds
FINAL = ("succeeded", "dead", "cancelled")
LINES_A_SECOND = 50
DRAIN_SECONDS = 240


class Soak:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.server = support.Everything().ready()
        self.name = self.server.job_database()
        self.database = self.server.database(self.name)
        self.database.socket.settimeout(60)
        self.ended, self.alive = [], []
        self.unanswered = 0
        self.troubles = {}
        for _ in range(2):
            self.start()

    def start(self):
        process = Scheduler(self.server, self.name, **SETTINGS)
        process.began = time.monotonic()
        self.alive.append(process.ready(60))

    def replace(self, process):
        process.took = time.monotonic() - process.began
        self.alive.remove(process)
        self.ended.append(process)
        self.start()

    # ---- Troubles: each takes a few seconds at most ----

    def kill(self):
        process = self.random.choice(self.alive)
        process.kill()
        self.replace(process)

    def end(self):
        process = self.random.choice(self.alive)
        if process.stop() != 0:
            raise SystemExit(f"did not end in order:\n{process.text()[-3000:]}")
        self.replace(process)

    def freeze(self):
        process = self.random.choice(self.alive)
        process.signal(signal.SIGSTOP)
        time.sleep(self.random.choice((1, 5, 35)))
        process.signal(signal.SIGCONT)

    def cut(self):
        self.database.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")

    def hold(self, statement):
        with self.server.database(self.name) as holder:
            holder.query("BEGIN")
            holder.query(statement)
            self.ask(self.random.uniform(1, 5))
            holder.query("ROLLBACK")

    def lock_runs(self):
        self.hold("SELECT FROM millrace.job_run WHERE state = 'running' FOR UPDATE SKIP LOCKED")

    def lock_jobs(self):
        self.hold("SELECT FROM millrace.job FOR UPDATE SKIP LOCKED")

    def lock_tasks(self):
        self.hold("LOCK TABLE task IN ACCESS EXCLUSIVE MODE")

    def refuse(self):
        """As a server that is read-only, but for this connection."""
        self.database.query("ALTER TABLE millrace.job_run ENABLE TRIGGER refuse")
        self.ask(self.random.uniform(1, 12))
        self.database.query("ALTER TABLE millrace.job_run DISABLE TRIGGER refuse")

    def queue(self):
        for job in self.random.choices(("cleanup", "aggregate", "report", "maintenance", "removal", "housekeeping"), k=20):
            self.database.add_run(job)

    def cancel(self):
        self.database.query("UPDATE millrace.job_run SET cancel_requested = true WHERE state = 'running' AND random() < 0.5")

    def remove(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, self.random.randrange(2000), days_old=self.random.choice((1, 60)), complete=self.random.random() < 0.5)
        self.database.query(f"DELETE FROM millrace.app_user WHERE id = '{user}'")

    # ---- What is asked meanwhile ----

    def ask(self, seconds):
        """Health, over and over: whatever the database does, an answer comes within a moment."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for process in self.alive:
                began = time.monotonic()
                if process.pulse() is None or time.monotonic() - began > 2:
                    self.unanswered += 1
            time.sleep(0.2)

    def rage(self, seconds):
        acts = [self.kill, self.end, self.freeze, self.cut, self.lock_runs, self.lock_jobs, self.lock_tasks, self.refuse, self.queue,
                self.cancel, self.remove]
        self.database.query("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE 'refused' USING ERRCODE = '25006'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON millrace.job_run FOR EACH ROW EXECUTE FUNCTION refuse();
            ALTER TABLE millrace.job_run DISABLE TRIGGER refuse""")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            act = self.random.choice(acts)
            self.troubles[act.__name__] = self.troubles.get(act.__name__, 0) + 1
            print(f"{time.strftime('%H:%M:%S')} {act.__name__}", flush=True)
            act()
            self.ask(self.random.uniform(0.2, 3))

    # ---- What has to hold ----

    def settle(self):
        """Without troubles everything comes to its end; the time it took."""
        began = time.monotonic()
        self.last_tick = int(self.database.value("SELECT extract(epoch FROM now())::bigint")) - 1
        self.database.query("UPDATE millrace.job_run SET run_after = now() WHERE state = 'failed'")
        wait_for(lambda: not self.database.count("millrace.job_run", f"finished_at IS NULL AND created_at <= to_timestamp({self.last_tick})"), DRAIN_SECONDS,
                 "every run has ended")
        wait_for(lambda: not self.database.count("millrace.account", "closed_at IS NOT NULL"), DRAIN_SECONDS, "every removed user is gone")
        wait_for(lambda: all((process.pulse() or {}).get("status") == "ok" for process in self.alive), 60, "every scheduler is well")
        return time.monotonic() - began

    def missing_ticks(self, job, period):
        return self.database.query(f"""SELECT t FROM (SELECT extract(epoch FROM min(scheduled_for))::bigint AS first FROM millrace.job_run WHERE job = '{job}') b
            CROSS JOIN LATERAL generate_series(b.first, {self.last_tick} - 15, {period}) t
             WHERE NOT EXISTS (SELECT FROM millrace.job_run r WHERE r.job = '{job}' AND r.scheduled_for = to_timestamp(t))""")

    def ends_by_log(self):
        """How often the logs say that a run came to its end, by run."""
        ends = {}
        for process in self.ended + self.alive:
            for line in process.logs("job run"):
                if line["outcome"] in FINAL:
                    ends[line["runId"]] = ends.get(line["runId"], 0) + 1
        return ends

    def most_lines(self):
        """A second, of the process that wrote most."""
        now = time.monotonic()
        return max(len(process.lines) / max(getattr(process, "took", now - process.began), 5) for process in self.ended + self.alive)

    def check(self):
        ends = self.ends_by_log()
        yield "each tick has its run", not any(self.missing_ticks(job, period) for job, period in PERIODS.items())
        yield "no tick has two", not self.database.query("SELECT 1 FROM millrace.job_run WHERE scheduled_for IS NOT NULL GROUP BY job, scheduled_for HAVING count(*) > 1")
        yield "each run ended once", all(count == 1 for count in ends.values())
        yield "no run is between states", not self.database.count(
            "millrace.job_run", f"(state IN {FINAL}) <> (finished_at IS NOT NULL) OR (state <> 'running' AND slot IS NOT NULL)")
        yield "no run is dead of a trouble that passes", not self.database.count("millrace.job_run", "state = 'dead' AND error NOT LIKE '%silent%'")
        yield "nothing of removed users is left", not self.database.count("task", "user_id NOT IN (SELECT id FROM millrace.app_user)")
        yield f"the log is bounded ({self.most_lines():.1f} lines a second)", self.most_lines() < LINES_A_SECOND
        yield f"health answered ({self.unanswered} times it did not)", self.unanswered == 0

    def close(self):
        for process in self.alive:
            process.signal(signal.SIGCONT)
            process.kill()
        self.database.close()
        self.server.close()


def main():
    if len(sys.argv) not in (2, 3, 4):
        raise SystemExit(__doc__)
    os.environ["MILLRACE_BIN"] = os.path.abspath(sys.argv[1])
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    soak = Soak(seed)
    try:
        soak.rage(seconds)
        took = soak.settle()
        runs = dict(soak.database.query("SELECT state, count(*) FROM millrace.job_run GROUP BY 1"))
        print(f"troubles {soak.troubles}\nruns {runs}\nsettled in {took:.0f} s")
        results = list(soak.check())
    finally:
        soak.close()
    for what, holds in results:
        print(f"{'ok  ' if holds else 'FAIL'} {what}")
    print(f"seed {seed}")
    sys.exit(0 if all(holds for _, holds in results) else 1)


if __name__ == "__main__":
    main()
