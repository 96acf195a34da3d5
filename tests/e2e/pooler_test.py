"""Behind PgBouncer, with its own settings: it refuses start-up options that it does not know.

Debian's package is used where it is installed; PGBOUNCER may name another program.
"""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import unittest

import support
from application_test import SEATS
from cluster import Server, TcpDatabase, become_server_user, server_user
from support import Process, free_port, wait_for

PGBOUNCER = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


class Pooler:
    def __init__(self, server, pool_mode, size=30):
        self.scratch = support.Scratch()
        os.chown(self.scratch.path, *server_user())
        self.port = free_port()
        path = self.scratch.join("pgbouncer.ini")
        with open(path, "w") as file:
            file.write(f"[databases]\nmillrace = user=postgres host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                       f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\n"
                       f"default_pool_size = {size}\n")
        log = open(self.scratch.join("log"), "wb")
        self.child = subprocess.Popen([PGBOUNCER, path], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      preexec_fn=become_server_user)
        log.close()
        wait_for(self.answers, 10, "the pooler answers")

    def answers(self):
        assert self.child.poll() is None, open(self.scratch.join("log")).read()
        try:
            with TcpDatabase(self.port, "millrace"):
                return True
        except (OSError, support.DatabaseError):
            return False

    def knows(self, name):
        try:
            with TcpDatabase(self.port, name):
                return True
        except (OSError, support.DatabaseError):
            return False

    def set_mode(self, mode):
        """Without a restart: connections stay."""
        path = self.scratch.join("pgbouncer.ini")
        with open(path) as file:
            lines = [f"pool_mode = {mode}" if line.startswith("pool_mode") else line.rstrip("\n") for line in file]
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        self.child.send_signal(signal.SIGHUP)

    def close_servers(self, server):
        server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'millrace'")

    def close(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.scratch.remove()


@unittest.skipUnless(os.access(PGBOUNCER, os.X_OK), "PgBouncer is not installed")
class Session(unittest.TestCase):
    def test_session_pool__serves_with_the_settings_that_safety_needs(self):
        server = Server().start()
        self.addCleanup(server.close)
        server.query("CREATE DATABASE millrace", "postgres")
        server.query("ALTER ROLE postgres SET DateStyle = 'SQL, DMY'", "postgres")
        pooler = Pooler(server, "session")
        self.addCleanup(pooler.close)
        process = Process("all", **server.settings(port=pooler.port))
        self.addCleanup(process.kill)
        process.ready()
        user = process.api().register()
        self.addCleanup(user.close)
        task = user.create_task(dueAt="2027-01-02T03:04:05.000Z")
        self.assertEqual(user.get("/v1/tasks/" + task["id"]).json()["dueAt"], "2027-01-02T03:04:05.000Z")
        with server.database() as database:
            database.query(f"UPDATE millrace.app_user SET role = 'admin' WHERE id = '{user.user['id']}'")
            self.assertGreater(database.count("pg_stat_activity", "application_name = 'data-writer/0'"), 0)
        admin = process.api()
        self.addCleanup(admin.close)
        signed_in = admin.post("/v1/auth/signin", {"username": user.user["username"], "password": support.PASSWORD}, token=None)
        admin.token = signed_in.json()["accessToken"]
        self.assertEqual(admin.run_job("cleanup")["state"], "succeeded")
        with server.database() as database, support.TaskLock(database):
            answer = user.post("/v1/tasks", {"summary": "waits", "taskPriorityCode": "LOW"})
            self.assertEqual(answer.status, 503, "lock_timeout is set")
        self.assertEqual(process.stop(), 0)


SHARES = "a pooler shares its sessions"


@unittest.skipUnless(os.access(PGBOUNCER, os.X_OK), "PgBouncer is not installed")
class Transaction(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start().create()
        cls.addClassCleanup(cls.server.close)
        cls.server.query("ALTER ROLE postgres SET DateStyle = 'SQL, DMY'", "postgres")
        cls.server.query("ALTER ROLE postgres SET TimeZone = 'Asia/Kolkata'", "postgres")

    def pooler(self, **options):
        pooler = Pooler(self.server, "transaction", **options)
        self.addCleanup(pooler.close)
        return pooler

    def start(self, pooler, command="all", **settings):
        process = Process(command, **{**self.server.settings(port=pooler.port), **settings})
        self.addCleanup(process.kill)
        return process

    def test_everything_that_can_work__works_and_the_rest_is_said_once(self):
        """With three sessions for a dozen connections, so that nobody gets the same twice."""
        process = self.start(self.pooler(size=3), DB_LOCK_TIMEOUT="500ms", JOB_CHUNK_ROWS="5").ready()
        self.assertEqual(len(process.said(SHARES)), 1, process.text())
        self.assertIn("migrations are refused", process.logs(SHARES)[0]["effect"])
        user = process.api().register()
        self.addCleanup(user.close)
        tasks = [user.create_task(dueAt="2027-01-02T03:04:05.000Z") for _ in range(20)]
        self.assertEqual({task["dueAt"] for task in user.get("/v1/tasks").json()}, {"2027-01-02T03:04:05.000Z"})
        for task in tasks:
            self.assertEqual(user.request("PATCH", "/v1/tasks/" + task["id"], {"isComplete": True}).status, 200)
        with self.server.database() as database, support.TaskLock(database):
            answer = user.post("/v1/tasks", {"summary": "waits", "taskPriorityCode": "LOW"})
            self.assertEqual(answer.status, 503, "lock_timeout holds for every transaction")
        with self.server.database() as database:
            database.query("UPDATE task SET completed_at = timestamptz '2020-01-30Z' + n * interval '26 hours' FROM "
                           "(SELECT id, row_number() OVER (ORDER BY id) AS n FROM task) t WHERE t.id = task.id")
            for job, result in (("cleanup", {"tasks": 20}), ("aggregate", {}), ("report", {}), ("maintenance", {})):
                run = database.wait_for_run(database.add_run(job))
                self.assertEqual(run["attempt"], 1, run)
                self.assertLessEqual(result.items(), run["result"].items())
            self.assertEqual(database.count("pg_prepared_statements"), 0)
            self.assertEqual(database.count("pg_locks", "locktype = 'advisory'"), 0)
        self.assertEqual([line for line in process.logs() if line["level"] == "error" and line.get("sqlstate") != "55P03"], [])
        self.assertEqual(process.stop(), 0)

    def test_nothing_stays_behind_in_the_sessions_of_others(self):
        pooler = self.pooler(size=1)
        process = self.start(pooler, "api").ready()
        user = process.api().register()
        self.addCleanup(user.close)
        user.create_task()
        with TcpDatabase(pooler.port, "millrace") as other:
            self.assertEqual(other.value("SHOW DateStyle"), "SQL, DMY")
            self.assertEqual(other.value("SHOW enable_seqscan"), "on")
            self.assertEqual(other.value("SHOW statement_timeout"), "0")
            self.assertEqual(other.count("pg_prepared_statements"), 0)
            self.assertEqual(other.query("SELECT pg_listening_channels()"), [])

    def test_change_of_reference_data__is_seen_by_polling(self):
        process = self.start(self.pooler(), "api").ready()
        api = process.api()
        self.addCleanup(api.close)
        label = lambda: api.get("/v1/refdata/taskpriorities/LOW").json()["label"]
        before = label()
        self.addCleanup(self.server.query, f"UPDATE task_priority SET label = '{before}' WHERE code = 'LOW'")
        self.server.query("UPDATE task_priority SET label = 'seen' WHERE code = 'LOW'")
        wait_for(lambda: label() == "seen", 8, "the change is seen")

    def add_database(self, pooler, name):
        self.server.query(f"CREATE DATABASE {name}", "postgres")
        with open(pooler.scratch.join("pgbouncer.ini"), "r+") as file:
            text = file.read().replace("[pgbouncer]", f"{name} = user=postgres host=127.0.0.1 port={self.server.port}\n[pgbouncer]")
            file.seek(0)
            file.write(text)
        pooler.child.send_signal(signal.SIGHUP)
        wait_for(lambda: pooler.knows(name), 5, "the pooler has read its settings")

    def test_windows__are_transactions_whose_settings_come_along(self):
        """Statements that run message by message, each its own transaction or some together, with two sessions for all."""
        pooler = self.pooler(size=2)
        self.add_database(pooler, "seats")
        folder = support.Scratch()
        self.addCleanup(folder.remove)
        folder.write(SEATS)
        done = support.run("migrate", MILLRACE_APP=folder.path, **self.server.settings("seats"))
        self.assertEqual(done.returncode, 0, done.stderr)
        process = self.start(pooler, "api", MILLRACE_APP=folder.path, DB_DATABASE="seats").ready()
        self.assertEqual(len(process.said(SHARES)), 1)
        user = process.api().register()
        self.addCleanup(user.close)

        def take(row, number, **headers):
            api = process.api()
            api.token = user.token
            try:
                return api.post("/v1/seats", {"rowName": row, "number": number}, headers=list(headers.items()))
            finally:
                api.close()

        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            seats = list(pool.map(lambda n: take(f"R{n % 12}", 1 + n % 24 // 12), range(48)))
        self.assertEqual(sorted(answer.status for answer in seats), [200] * 24 + [409] * 24)
        key = {"Idempotency-Key": '"a"'}
        first = take("K", 1, **key)
        self.assertEqual(first.status, 200, first.body)
        self.assertEqual(take("K", 1, **key).json(), first.json())
        self.assertEqual([line for line in process.logs() if line["level"] == "error"], [])
        self.assertEqual(process.stop(), 0)

    def test_missing_migrations__are_refused_and_none_waits_for_a_lock(self):
        pooler = self.pooler()
        self.add_database(pooler, "empty")
        done = support.run("migrate", **self.server.settings("empty", port=pooler.port))
        self.assertEqual(done.returncode, 1)
        self.assertIn("DB_HOST and DB_PORT of the database itself", done.stderr)
        self.assertEqual(self.server.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), [["0"]])
        self.assertEqual(support.run("migrate", **self.server.settings("empty")).returncode, 0)
        done = support.run("migrate", **self.server.settings("empty", port=pooler.port))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_sessions_that_turn_out_to_be_shared__are_treated_so_from_then_on(self):
        """The pool has changed over, or the look at the start was misled."""
        pooler = self.pooler(size=20)
        pooler.set_mode("session")
        process = self.start(pooler).ready()
        user = process.api().register()
        self.addCleanup(user.close)
        self.assertEqual(process.logs(SHARES), [])
        process.said("a pooler keeps a session for each connection")
        pooler.set_mode("transaction")
        pooler.close_servers(self.server)
        wait_for(lambda: user.get("/v1/tasks").status == 200 and process.logs(SHARES), 15, "it is found out")
        wait_for(lambda: user.post("/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW"}).status == 201, 15, "writes")


@unittest.skipUnless(os.access(PGBOUNCER, os.X_OK), "PgBouncer is not installed")
class Statement(unittest.TestCase):
    def setUp(self):
        server = Server().start().create()
        self.addCleanup(server.close)
        self.pooler = Pooler(server, "statement")
        self.addCleanup(self.pooler.close)
        self.settings = server.settings(port=self.pooler.port)

    def test_start__is_refused_with_the_reason(self):
        for command in ("api", "scheduler"):
            process = Process(command, **self.settings)
            self.addCleanup(process.kill)
            self.assertEqual(process.wait(), 1, process.text())
            self.assertIn("pools statements", process.text())

    def test_without_migrations__it_waits_unready_and_serves_once_the_pool_is_another(self):
        process = Process("api", **self.settings, DB_MIGRATIONS_RUN="false")
        self.addCleanup(process.kill)
        wait_for(lambda: process.logs("listening"), 10, "it listens")
        api = process.api()
        self.addCleanup(api.close)
        support.assert_becomes(self, lambda: "allows no transactions" in api.get("/readyz").body.decode() or api.get("/readyz").body.decode(), True)
        self.pooler.set_mode("transaction")
        wait_for(lambda: api.get("/readyz").status == 200, 15, "it serves")


if __name__ == "__main__":
    unittest.main()
