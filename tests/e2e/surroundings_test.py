"""What a role, a database, a server or the environment of libpq says, and Millrace does not listen to."""

import ctypes
import ctypes.util
import os
import unittest

import support
from certificates import Authority, serve
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
ROLE = {"statement_timeout": "'1ms'", "lock_timeout": "'1ms'", "idle_in_transaction_session_timeout": "'1ms'", "idle_session_timeout": "'1s'",
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
        # It does not wait for a database, and the role's limit of 1 ms holds for the statement that lifts it.
        def answer():
            done = support.run("migrate", "status", **self.settings)
            return done if done.returncode == 0 else None

        done = support.wait_for(answer, 30, "the session is set up within the role's limit")
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


class Option(ctypes.Structure):
    """PQconninfoOption of libpq-fe.h."""

    _fields_ = [(name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "value", "label", "dispchar")] + [("dispsize", ctypes.c_int)]


def libpq_variables():
    """Every variable that this libpq reads; those two dozen that are options, it tells by itself."""
    libpq = ctypes.CDLL(ctypes.util.find_library("pq"))
    libpq.PQconndefaults.restype = ctypes.POINTER(Option)
    options, names, at = libpq.PQconndefaults(), [], 0
    while options[at].keyword:
        if options[at].envvar:
            names.append(options[at].envvar.decode())
        at += 1
    return names + ["PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGREQUIRESSL", "PGDATESTYLE", "PGTZ", "PGGEQO"]


class Environment(unittest.TestCase):
    """Everything that libpq would read, set so that a connection that heeds any of it fails or lands elsewhere."""

    USEFUL = {"PGHOSTADDR": "192.0.2.1", "PGSERVICE": "elsewhere", "PGOPTIONS": "-c search_path=nowhere", "PGSSLMODE": "verify-full",
              "PGTARGETSESSIONATTRS": "standby", "PGCONNECT_TIMEOUT": "1", "PGCLIENTENCODING": "LATIN1", "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
              "PGSSLMAXPROTOCOLVERSION": "TLSv1", "PGTZ": "Asia/Kolkata", "PGDATESTYLE": "SQL, DMY", "PGGSSENCMODE": "require",
              "PGCHANNELBINDING": "require"}

    @classmethod
    def setUpClass(cls):
        cls.server = Server().start().create()
        cls.addClassCleanup(cls.server.close)
        cls.home = support.Scratch()
        serve(cls.server, Authority(cls.home, "ours").issue())
        another = Authority(cls.home, "another")
        with open(another.certificate) as file:
            foreign = file.read()
        service = "[elsewhere]\nhostaddr=192.0.2.1\n"
        os.mkdir(cls.home.join(".postgresql"))
        for name, text in ((".pg_service.conf", service), ("pg_service.conf", service), (".pgpass", "*:*:*:*:secret\n"),
                           (".postgresql/root.crt", foreign), (".postgresql/root.crl", "nonsense"),
                           (".postgresql/postgresql.crt", "nonsense"), (".postgresql/postgresql.key", "nonsense")):
            with open(cls.home.join(name), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
        names = libpq_variables()
        assert len(names) > 30 and set(cls.USEFUL) <= set(names), names
        cls.hostile = {**{name: cls.USEFUL.get(name, "nowhere") for name in names}, "HOME": cls.home.path,
                       "PGSYSCONFDIR": cls.home.path, "PGSERVICEFILE": cls.home.join("pg_service.conf"),
                       "PGPASSFILE": cls.home.join(".pgpass"), "PGSSLROOTCERT": another.certificate}

    def settings(self, **changes):
        return {**self.hostile, **self.server.settings(), "DB_SSL": "require", **changes}

    def test_every_command_that_connects__goes_where_the_settings_say(self):
        api = Process("api", **self.settings())
        self.addCleanup(api.kill)
        api.ready()
        scheduler = Process("scheduler", **self.settings(HEALTH_SOCKET=f"millrace-environment-{self.server.port}", APP_PORT=None, JWT_SECRET=None))
        self.addCleanup(scheduler.kill)
        support.wait_for(lambda: scheduler.logs("scheduling"), 20, "the scheduler starts")
        user = api.api().register()
        self.addCleanup(user.close)
        user.create_task()
        done = support.run("migrate", "status", **self.settings())
        self.assertEqual(done.returncode, 0, done.stderr)
        done = support.run("user", "grant-admin", user.user["username"], **self.settings())
        self.assertEqual(done.returncode, 0, done.stderr)
        encrypted = self.server.query("SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
                                      "WHERE a.application_name ~ '/' AND a.datname = 'millrace'")
        self.assertEqual(encrypted, [["t"]])
        self.assertEqual((api.stop(), scheduler.stop()), (0, 0))

    def test_password_file__is_not_read(self):
        """The right password stands in ~/.pgpass and in PGPASSWORD; the settings have none."""
        self.server.query("DROP ROLE IF EXISTS asked; SET password_encryption = 'scram-sha-256'; CREATE ROLE asked LOGIN PASSWORD 'secret'")
        with open(os.path.join(self.server.data, "pg_hba.conf"), "r+") as file:
            rules = file.read()
            file.seek(0)
            file.write("host all asked all scram-sha-256\n" + rules)
        self.server.query("SELECT pg_reload_conf()")
        good = support.run("migrate", "status", **self.settings(DB_USER="asked", DB_PASS="secret"))
        self.assertNotIn("cannot be reached", good.stderr)
        done = support.run("migrate", "status", **self.settings(DB_USER="asked", PGPASSWORD="secret"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("no password", done.stderr)


if __name__ == "__main__":
    unittest.main()
