"""The primary is demoted, promoted elsewhere, or not there yet: against a streaming replica that takes over."""

import unittest

import support
from cluster import Proxy, Server
from faults_test import Load
from support import Process, Scheduler, patience, wait_for

BACK = 5  # seconds from the promotion


def api_behind_proxy(test, **settings):
    """A migrated server, a proxy in front of it, and an API that reaches it through the proxy and is ready."""
    server = Server.migrated()
    test.addCleanup(server.close)
    proxy = Proxy(server.port)
    test.addCleanup(proxy.close)
    process = Process("api", **settings, **server.settings(port=proxy.port))
    test.addCleanup(process.kill)
    return server, proxy, process.ready()


class FailoverTest(unittest.TestCase):
    def setUp(self):
        self.old = Server.migrated()
        self.addCleanup(self.old.close)
        self.new = self.old.replica().start()
        self.addCleanup(self.new.close)
        self.proxy = Proxy(self.old.port)
        self.addCleanup(self.proxy.close)

    def start(self, command="api", port=None, **settings):
        process = Process(command, **{**self.old.settings(port=port or self.proxy.port), **settings})
        self.addCleanup(process.kill)
        return process

    def connections(self, server, name):
        return int(server.query(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'")[0][0])

    def assert_nothing_lost(self, load, user):
        there = {row[0] for row in self.new.query(f"SELECT id FROM task WHERE user_id = '{user.user['id']}'")}
        self.assertEqual(set(load.acknowledged) - there, set())


class Failover(FailoverTest):
    def test_demoted_with_sockets_that_stay__writes_are_back_within_five_seconds_of_the_promotion(self):
        server = self.start().ready()
        user = server.api().register()
        self.addCleanup(user.close)
        load = Load(server, user, clients=6)
        self.addCleanup(load.stop)
        load.flows()
        self.old.make_read_only()
        wait_for(lambda: load.count(503) > 10, 10, f"writes are refused: {load.statuses}")
        for name in ("data-writer/0", "data-reader/0"):  # each with its next statement
            wait_for(lambda name=name: user.get("/v1/users/profile") and self.connections(self.old, name) == 0, 5,
                     f"{name} gives the old primary up")
        self.new.catch_up(self.old)
        self.new.promote()
        watch = support.Stopwatch()
        self.proxy.target = self.new.port
        load.flows(1)
        self.assertLess(watch.seconds(), patience(BACK))
        load.flows()
        load.stop()
        self.assertLessEqual(set(load.statuses), {200, 201, 503})
        self.assertFalse(load.broken, load.broken[:3])
        self.assert_nothing_lost(load, user)
        wait_for(lambda: user.get("/v1/health").status == 200, BACK, "the actors that had nothing to do are back, too")
        self.assertIsNone(server.child.poll())

    def connected(self, server):
        """The names of Millrace's connections."""
        sql = "SELECT application_name FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> ''"
        return {row[0] for row in server.query(sql)}

    def test_one_sign__makes_idle_connections_leave_the_old_primary_unused(self):
        api = self.start().ready()
        user = api.api().register()
        self.addCleanup(user.close)
        self.start("scheduler", HEALTH_SOCKET="millrace-failover-" + str(self.proxy.port), JOB_CHUNK_ROWS="10", APP_PORT=None,
                   JWT_SECRET=None)
        idle = {"auth/0", "auth/slow", "data-reader/slow", "data-writer/slow", "job/1", "job/3"}
        wait_for(lambda: idle | {"data-writer/0", "scheduler", "job/0"} <= self.connected(self.old), 20, "all are connected")
        with self.old.database() as database:
            database.add_tasks(user.user["id"], 3000, days_old=90, complete=True)
            database.slow_down(0.02)
            database.wait_for_run(database.add_run("cleanup"), state="running", done=10)
        self.new.catch_up(self.old)
        self.proxy.target = self.new.port  # nobody who leaves comes back
        self.old.make_read_only()
        body = {"summary": "s", "taskPriorityCode": "LOW"}
        wait_for(lambda: user.post("/v1/tasks", body).status == 503, 10, "a write is refused")
        wait_for(lambda: not self.connected(self.old), 10, "every connection of both processes has left")
        self.new.promote()
        wait_for(lambda: idle <= self.connected(self.new), BACK, "idle ones are at the new primary")
        wait_for(lambda: user.get("/readyz").status == 200, BACK, "ready")

    def test_name_that_still_leads_to_a_standby__is_tried_until_it_is_a_writer(self):
        server = self.start().ready()
        user = server.api().register()
        self.addCleanup(user.close)
        self.new.catch_up(self.old)
        self.proxy.target = self.new.port
        self.old.kill()
        self.proxy.cut()
        body = {"summary": "s", "taskPriorityCode": "LOW"}
        support.assert_becomes(self, lambda: user.post("/v1/tasks", body).status, 503, 20)
        self.assertEqual(user.get("/readyz").status, 503)
        self.new.promote()
        watch = support.Stopwatch()
        wait_for(lambda: user.post("/v1/tasks", body).status == 201, BACK, "writes are back")
        self.assertLess(watch.seconds(), patience(BACK))
        wait_for(lambda: user.get("/readyz").status == 200, BACK, "ready")

    def test_job__goes_on_at_the_new_primary(self):
        with self.old.database() as database:
            user, _ = database.add_user()
            database.add_tasks(user, 3000, days_old=90, complete=True)
            database.slow_down(0.02)
        self.new.catch_up(self.old)
        scheduler = self.start("scheduler", HEALTH_SOCKET="millrace-failover-" + str(self.proxy.port), JOB_CHUNK_ROWS="10",
                               APP_PORT=None, JWT_SECRET=None)
        wait_for(lambda: scheduler.logs("database connected"), 20, "the scheduler is connected")
        with self.old.database() as database:
            run_id = database.add_run("cleanup")
            database.wait_for_run(run_id, state="running", done=100)
        self.old.make_read_only()
        wait_for(lambda: self.connections(self.old, "job/0") == 0, 10, "the old primary is given up")
        self.new.catch_up(self.old)
        self.new.promote()
        self.proxy.target = self.new.port
        with self.new.database() as database:
            database.hurry()
            run = database.wait_for_run(run_id)
            self.assertEqual((run["attempt"], database.count("task")), (1, 0))
        self.assertLess(len(scheduler.lines), 300, "the log is not flooded")


class Start(FailoverTest):
    def test_start_against_a_standby__waits_until_it_is_promoted(self):
        server = self.start(port=self.new.port)
        waiting = wait_for(lambda: server.logs("waiting for the database"), 20, "it waits")
        self.assertIn("standby", waiting[0]["reason"])
        self.assertIsNone(server.child.poll())
        self.new.promote()
        server.ready()


class Migrated(unittest.TestCase):
    def test_migration_that_changes_a_type__no_client_notices(self):
        """PostgreSQL refuses to run a prepared statement whose rows have changed: 0A000."""
        whole = support.Everything().ready()
        self.addCleanup(whole.close)
        user = whole.api().register()
        self.addCleanup(user.close)
        task = user.create_task()
        with whole.database() as database:
            database.query("ALTER TABLE task ALTER COLUMN summary TYPE varchar(600)")
        self.assertEqual(user.get("/v1/tasks/" + task["id"]).json(), task)
        self.assertEqual(user.create_task()["summary"], "a task")
        self.assertEqual(user.request("PATCH", "/v1/tasks/" + task["id"], {"summary": "other"}).status, 200)


class Environment(unittest.TestCase):
    def test_what_libpq_reads_from_its_surroundings__leads_nowhere(self):
        server = Server.migrated()
        self.addCleanup(server.close)
        home = support.Scratch()
        service = home.join("service.conf")
        with open(service, "w") as file:
            file.write("[elsewhere]\nhostaddr=192.0.2.1\n")
        process = Process("api", PGHOSTADDR="192.0.2.1", PGSERVICE="elsewhere", PGSERVICEFILE=service, PGOPTIONS="-c search_path=nowhere",
                          PGSSLMODE="verify-full", PGTARGETSESSIONATTRS="standby", PGCONNECT_TIMEOUT="1", PGREQUIREPEER="nobody",
                          PGCLIENTENCODING="LATIN1", PGDATABASE="nowhere", PGTZ="Asia/Kolkata", PGDATESTYLE="SQL, DMY", HOME=home.path,
                          **server.settings())
        self.addCleanup(process.kill)
        process.ready()
        self.assertEqual(process.stop(), 0)

    def test_start_up__asks_for_nothing_that_a_pooler_refuses(self):
        """PgBouncer knows user, database, application_name, client_encoding and a few more, and refuses `options`."""
        _, proxy, _ = api_behind_proxy(self)
        self.assertGreater(len(proxy.links), 3)
        for link in proxy.links:
            names = link.first[8:].split(b"\0")[0:-2:2]
            self.assertEqual(set(names), {b"user", b"database", b"application_name", b"client_encoding"})


class Silence(unittest.TestCase):
    def test_host_that_is_gone_without_a_word__is_noticed_within_the_limit(self):
        """Idle connections, and one with a statement at work whose question was still taken."""
        server, proxy, process = api_behind_proxy(self, DB_TCP_TIMEOUT="2s", GATEWAY_REQUEST_TIMEOUT="60s", DB_LOCK_TIMEOUT="60s")
        user = process.api().register()
        self.addCleanup(user.close)
        holder = server.database()
        self.addCleanup(holder.close)
        with support.TaskLock(holder) as lock, process.connect(timeout=30) as waiting:
            waiting.send(support.make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {user.token}")],
                                              {"summary": "waits", "taskPriorityCode": "LOW"}))
            lock.wait_for_waiters()
            proxy.fall_silent()
            wait_for(lambda: len(process.logs("database connection lost")) >= 3, 20, "the silence is noticed")  # TCP alone takes minutes
        self.assertEqual(waiting.buffer, b"")
        wait_for(lambda: user.get("/readyz").status == 200, 10, "ready again")

    def test_network_that_is_interrupted__leaves_no_session_behind(self):
        """The server hears nothing of the connections that the process gave up: each interruption would cost it as many sessions."""
        server, proxy, process = api_behind_proxy(self, DB_TCP_TIMEOUT="2s")
        database = server.database()
        self.addCleanup(database.close)
        ours = "SELECT pid FROM pg_stat_activity WHERE datname = 'millrace' AND pid <> pg_backend_pid()"
        before = {row[0] for row in database.query(ours)}
        self.assertGreater(len(before), 3)
        proxy.fall_silent()
        wait_for(lambda: before.isdisjoint(row[0] for row in database.query(ours)), 20, "the server notices, too")
        wait_for(lambda: process.is_ready(), 10, "ready again")


class LostAnswer(unittest.TestCase):
    def test_migrate__that_loses_its_connection_says_so(self):
        server = Server().start()
        self.addCleanup(server.close)
        proxy = Proxy(server.port)
        self.addCleanup(proxy.close)
        server.query("CREATE DATABASE fresh", "postgres")

        def lose(data):
            if not data.startswith(b"C\0\0\0\x08SET\0"):
                return data
            proxy.cut()
            return b""

        proxy.change = lose
        done = support.run("migrate", **server.settings("fresh", port=proxy.port))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^millrace migrate: the session cannot be set up: .+ \(SQLSTATE 08006\)\n$")

    def test_enqueue__whose_answer_is_lost_may_have_queued_its_run_unless_it_has_a_key(self):
        """The connection breaks between the commit and the answer: nobody but the client can know whether once more is too often."""
        server, proxy, process = api_behind_proxy(self)
        database = server.database()
        self.addCleanup(database.close)
        database.query("INSERT INTO millrace.job (name, exclusive, manual, work, origin) VALUES ('letters', false, false, 'pull', 'managed')")
        boss = process.api()
        self.addCleanup(boss.close)
        boss.id, boss.token = database.add_user("admin")

        def enqueue(**headers):
            """The answer to a request whose first statement's answer is lost, and how many runs there are then."""
            def lose(data):
                if b"queued" not in data:  # somebody else's
                    return data
                proxy.change = None
                proxy.cut()
                return b""

            self.assertEqual(boss.get("/v1/jobs/letters").status, 200)  # the connections stand
            proxy.change = lose
            answer = boss.post("/v1/jobs/letters/runs", {"args": {}}, headers=list(headers.items()))
            wait_for(lambda: boss.get("/readyz").status == 200, 10, "ready again")
            return answer, database.count("millrace.run")

        answer, runs = enqueue()
        self.assertEqual((answer.status, runs), (503, 1))
        self.assertIsNotNone(answer.header("Retry-After"))
        answer, runs = enqueue(**{"Idempotency-Key": "letter-1"})
        self.assertEqual((answer.status, runs), (503, 2))
        ids = {row[0] for row in database.query("SELECT id FROM millrace.run")}
        again = [boss.post("/v1/jobs/letters/runs", {"args": {}}, headers=[("Idempotency-Key", "letter-1")]) for _ in range(2)]
        self.assertEqual([one.status for one in again], [202, 202])
        self.assertEqual(len({one.json()["id"] for one in again} & ids), 1)
        self.assertEqual(database.count("millrace.run"), 2)


if __name__ == "__main__":
    unittest.main()
