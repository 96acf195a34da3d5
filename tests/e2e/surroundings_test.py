"""What a role, a database, a server or the environment of libpq says, and Millrace does not listen to."""

import os
import unittest

import support
from cluster import Server
from support import Process, Scheduler

CONF = """
datestyle = 'SQL, DMY'
intervalstyle = 'sql_standard'
timezone = 'Asia/Kolkata'
bytea_output = 'escape'
standard_conforming_strings = off
backslash_quote = on
array_nulls = off
extra_float_digits = -10
default_transaction_isolation = 'serializable'
client_min_messages = 'debug5'
gin_fuzzy_search_limit = 1
"""
ROLE = {"statement_timeout": "'1ms'", "lock_timeout": "'1ms'", "idle_in_transaction_session_timeout": "'1ms'", "idle_session_timeout": "'1ms'",
        "search_path": "nowhere", "client_encoding": "'LATIN1'", "enable_indexscan": "off", "enable_nestloop": "off",
        "plan_cache_mode": "'force_custom_plan'"}
DATABASE = {"search_path": "elsewhere", "DateStyle": "German", "TimeZone": "'America/St_Johns'"}
NAME = "Zoë 🦉 \\' \\\\"


class HostileSettings(unittest.TestCase):
    """The role's, the database's and the server's settings, all of them against us, from before the first migration on."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(CONF).start()
        cls.addClassCleanup(cls.server.close)
        cls.server.query("CREATE ROLE app LOGIN", "postgres")
        cls.server.query("CREATE DATABASE millrace OWNER app", "postgres")
        for name, value in ROLE.items():
            cls.server.query(f"ALTER ROLE app SET {name} TO {value}", "postgres")
        for name, value in DATABASE.items():
            cls.server.query(f"ALTER DATABASE millrace SET {name} TO {value}", "postgres")
        cls.server.query("ALTER SCHEMA public OWNER TO app")
        cls.settings = {**cls.server.settings(), "DB_USER": "app"}
        done = support.run("migrate", **cls.settings)
        assert done.returncode == 0, done.stderr
        cls.database = cls.server.database()
        cls.addClassCleanup(cls.database.close)
        cls.database.query("SET search_path TO public; SET DateStyle TO ISO; SET TimeZone TO UTC; SET standard_conforming_strings TO on;"
                           "SET default_transaction_isolation TO 'read committed'; SET client_min_messages TO warning")
        cls.api = Process("api", **cls.settings).ready()
        cls.addClassCleanup(cls.api.kill)

    def start_scheduler(self, **settings):
        settings = {**self.settings, "HEALTH_SOCKET": f"millrace-surroundings-{self.server.port}", "APP_PORT": None, "JWT_SECRET": None, **settings}
        process = Process("scheduler", **settings)
        self.addCleanup(process.kill)
        return process

    def new_client(self):
        client = self.api.api().register()
        self.addCleanup(client.close)
        return client

    def test_migrate_status__answers(self):
        done = support.run("migrate", "status", **self.settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"0001 .*  20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n")

    def test_api__answers_what_it_was_given(self):
        client = self.new_client()
        self.assertEqual(client.request("PATCH", "/v1/users/profile", {"firstName": NAME}).json()["firstName"], NAME)
        task = client.create_task(summary=NAME, dueAt="2027-03-04T05:06:07.008Z")
        self.assertEqual((task["summary"], task["dueAt"]), (NAME, "2027-03-04T05:06:07.008Z"))
        self.assertEqual(client.get("/v1/tasks").json(), [task])
        found = client.get("/v1/tasks?q=zo%C3%AB&sort=dueAt&limit=1")
        self.assertEqual(found.json(), [task])
        key = [("Idempotency-Key", "once")]
        body = {"summary": "once", "taskPriorityCode": "LOW"}
        first = client.post("/v1/tasks", body, headers=key)
        self.assertEqual(first.status, 201)
        self.assertEqual(client.post("/v1/tasks", body, headers=key).json(), first.json())

    def test_jobs__clean_up_sum_up_and_report_what_there_is(self):
        """Clean-up goes on from an instant that it wrote down: read as another day, it would leave most behind, and succeed."""
        client = self.new_client()
        user = client.user["id"]
        tasks = [client.create_task() for _ in range(3)]
        self.assertEqual(client.request("PATCH", "/v1/tasks/" + tasks[0]["id"], {"isComplete": True}).status, 200)
        other, _ = self.database.add_user()
        self.database.add_tasks(other, 60)
        self.database.query("UPDATE task SET is_complete = true WHERE user_id = '%s'" % other)
        self.database.query("UPDATE task SET completed_at = timestamptz '2020-01-30 00:00:00.000001Z' + n * interval '26 hours 1 microsecond' FROM "
                            f"(SELECT id, row_number() OVER (ORDER BY id) AS n FROM task WHERE user_id = '{other}') t WHERE t.id = task.id")
        self.start_scheduler(JOB_CHUNK_ROWS="7")
        runs = {}
        for job in ("aggregate", "cleanup", "report"):
            runs[job] = self.database.wait_for_run(self.database.add_run(job))
            self.assertEqual(runs[job]["attempt"], 1, runs[job])
        self.assertEqual(runs["cleanup"]["result"]["tasks"], 60)
        self.assertEqual(self.database.count("task", f"user_id = '{other}'"), 0)
        self.assertEqual(self.database.count("task", f"user_id = '{user}'"), 3)
        day = self.database.value("SELECT (now() AT TIME ZONE 'UTC')::date")
        figures = [row for row in client.get("/v1/stats/tasks").json() if row["created"] or row["completed"]]
        self.assertEqual(figures, [{"date": day, "created": 3, "completed": 1, "overdue": 0}])
        report = client.get("/v1/reports").json()[0]
        self.assertTrue(report["period"]["from"].endswith("T00:00:00.000Z"), report)


if __name__ == "__main__":
    unittest.main()
