"""Workers: a few connections for however many jobs there are, and a turn for each of them."""

import unittest

import support
from support import wait_for

JOBS = 40
WORKERS = 3

# A job whose run goes on, chunk by chunk, until somebody closes the gate; and many that do a little.
FILES = {
    "millrace.yaml": "title: Many jobs\n",
    "migrations/0001_gate.sql": "CREATE TABLE gate (name text PRIMARY KEY, open boolean NOT NULL DEFAULT false);\n"
                                "INSERT INTO gate SELECT 'long_' || i FROM generate_series(1, 4) i;\n"
                                "CREATE TABLE held (id int PRIMARY KEY);\nINSERT INTO held VALUES (1);\n",
    "jobs/many.yaml": "".join(f"small_{i}:\n  work: sql\n  statements: [little]\n" for i in range(JOBS))
                      + "".join(f"long_{i}:\n  work: sql\n  exclusive: true\n  statements: [go_on_{i}]\n" for i in range(1, 5))
                      + "stuck:\n  work: sql\n  exclusive: true\n  statements: [touch]\n",
    "queries/many.sql": "-- name: little\nSELECT 1;\n-- name: touch\nUPDATE held SET id = id;\n" + "".join(f"""-- name: go_on_{i}
WITH {{{{chunk}}}}
SELECT 1 AS rows, (coalesce(k.cursor, '0')::int + 1)::text AS cursor, NOT g.open AS more, NULL AS unit
  FROM k, gate g, pg_sleep(0.01)
 WHERE g.name = 'long_{i}';
""" for i in range(1, 5)),
}

OURS = "application_name ~ '^job/' AND datname = current_database()"

server = None
folder = None


def setUpModule():
    global server, folder
    folder = support.Scratch()
    folder.write(FILES)
    server = support.Everything(MILLRACE_APP=folder.path, JOB_WORKERS=WORKERS, DB_LOCK_TIMEOUT="100ms").ready()
    with server.database() as database:
        wait_for(lambda: database.count("millrace.job") > JOBS, 20, "the table of jobs has them")


def tearDownModule():
    status = server.close()
    assert status == 0, f"exit status {status}\n{server.text()[-4000:]}"


class Workers(unittest.TestCase):
    def setUp(self):
        self.database = server.database()
        self.addCleanup(self.database.close)
        self.database.query("UPDATE gate SET open = false")

    def open(self, *names):
        self.database.query("UPDATE gate SET open = true WHERE name IN (%s)" % ", ".join(f"'{name}'" for name in names))

    def test_connections__are_as_many_as_workers_whatever_jobs_there_are(self):
        runs = [self.database.add_run(f"small_{i}") for i in range(JOBS)]
        most = 0
        for run in runs:
            self.database.wait_for_run(run)
            most = max(most, self.database.count("pg_stat_activity", OURS))
        self.assertEqual(most, WORKERS)

    def test_long_runs__of_more_jobs_than_there_are_workers_let_others_pass(self):
        long = [self.database.add_run(f"long_{i}") for i in range(1, 5)]
        for run in long:  # also the one that no worker was left for
            wait_for(lambda: self.database.run(run)["done"] > 5, 30, "each of them has a turn")
        small = self.database.wait_for_run(self.database.add_run("small_1"))
        self.assertEqual(small["attempt"], 1)
        for run in long:
            done = self.database.run(run)["done"]
            wait_for(lambda: self.database.run(run)["done"] > done, 30, "each goes on")
        self.open("long_1", "long_2", "long_3", "long_4")
        for run in long:
            row = self.database.wait_for_run(run)
            self.assertEqual((row["attempt"], row["result"].popitem()[1], row["cursor"]), (1, row["done"], None))

    def test_run__that_lets_others_pass_stays_the_first_of_its_job(self):
        first = self.database.add_run("long_1")
        self.database.wait_for_run(first, 30, "running", done=1)
        second = self.database.add_run("long_1")
        others = [self.database.add_run(f"long_{i}") for i in range(2, 5)]
        wait_for(lambda: self.database.run(first)["state"] == "queued", 30, "it lets others pass")
        wait_for(lambda: self.database.run(first)["state"] == "running", 30, "its next turn")
        self.assertEqual(self.database.run(second)["attempt"], 0)
        self.open("long_1", "long_2", "long_3", "long_4")
        for run in (first, second, *others):
            self.assertEqual(self.database.wait_for_run(run)["attempt"], 1)

    def test_run__that_waits_for_a_lock_lets_others_pass_and_spends_no_attempt(self):
        with server.database() as holder:
            holder.query("BEGIN; SELECT FROM held FOR UPDATE")
            stuck = self.database.add_run("stuck")
            wait_for(lambda: "waits for a lock" in (self.database.run(stuck)["error"] or ""), 30, "it says so")
            long = [self.database.add_run(f"long_{i}") for i in range(1, 5)]
            for run in long:
                wait_for(lambda: self.database.run(run)["done"] > 5, 30, "each of them has a turn")
            self.open("long_1", "long_2", "long_3", "long_4")
            for run in long:
                self.database.wait_for_run(run)
            self.assertIn("waits for a lock", self.database.run(stuck)["error"])
        row = self.database.wait_for_run(stuck, 60)
        self.assertEqual((row["attempt"], row["error"]), (1, None))

    def test_run__says_which_worker_has_it(self):
        run = self.database.add_run("long_2")
        self.database.wait_for_run(run, 30, "running", done=1)
        self.assertRegex(self.database.run(run)["claimed_by"], "/job/[0-2]$")
        self.open("long_2")
        self.database.wait_for_run(run)


if __name__ == "__main__":
    unittest.main()
