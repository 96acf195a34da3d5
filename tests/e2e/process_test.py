"""The process as a whole: starting, stopping, being killed, what survives, and the subcommands."""

import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
import unittest
import uuid

from support import (SECRET, Connection, Everything, ModuleServer, NoAnswer, Process, Scratch, Stopwatch, TaskLock, binary, claims_for,
                     ending_abruptly, environment, free_port, make_request, patience, run, sign, wait_for)

MIGRATION_LOCK = 7883960444165051237
SHOP = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples", "shop")

module = ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


def migrations(status):
    """The lines of `migrate status`: the engine's, and the application's behind them."""
    lines = [line for line in status.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("app ")]
    return lines[:len(lines) - len(own)], own


def count_migrations():
    return len(migrations(run("migrate", "status", **on_database("millrace")).stdout)[0])


def on_database(name):
    """Settings that lead to a database of the module's server."""
    return {"DB_HOST": os.path.join(module.server.state_dir, "postgres", "run"), "DB_USER": "postgres", "DB_DATABASE": name}


class ProcessTest(unittest.TestCase):
    def everything(self, state_dir=None, **settings):
        process = Everything(state_dir, **settings)
        self.addCleanup(process.kill)
        return process

    def api_process(self, database=None, **settings):
        process = module.server.api_process(database or module.server.new_database(), **settings)
        self.addCleanup(process.kill)
        return process

    def scratch(self, **options):
        scratch = Scratch(**options)
        self.addCleanup(scratch.remove)
        return scratch

    def assert_clean(self, process):
        """Ended well: status 0, and every line of the log is a JSON object of the same form."""
        self.assertEqual(process.stop(), 0, process.text()[-2000:])
        for line in process.lines:
            entry = json.loads(line)
            self.assertLessEqual({"time", "level", "message"}, set(entry))

    def connect(self, process, **options):
        connection = process.connect(**options)
        self.addCleanup(connection.close)
        return connection


class Load:
    """Clients that create tasks one after the other, and remember what they sent, what was acknowledged and how it ended."""

    def __init__(self, process, token, clients=8):
        self.process = process
        self.token = token
        self.sent = set()
        self.acknowledged = {}  # summary -> id
        self.faults = []  # answers cut short, or missing where one was due
        self.unanswered = set()  # summaries on new connections that ended without a byte
        self.lock = threading.Lock()
        self.stopping = False
        self.patient = False  # whether to go on when the server is away
        self.threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(patience(60))
        return self

    def wait_for(self, count):
        wait_for(lambda: len(self.acknowledged) >= count, 30, f"{count} tasks are acknowledged")
        return self

    def _work(self):
        while not self.stopping:
            try:
                connection = Connection(self.process.port, timeout=20)
            except OSError:
                if not self.patient:
                    return
                time.sleep(0.01)
                continue
            with connection:
                self._converse(connection)

    def _converse(self, connection):
        answers = 0
        while not self.stopping:
            summary = uuid.uuid4().hex
            with self.lock:
                self.sent.add(summary)
            try:
                connection.send(make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {self.token}")],
                                             {"summary": summary, "taskPriorityCode": "LOW"}))
                response = connection.response()
            except (OSError, NoAnswer) as end:
                got = getattr(end, "got", b"")
                with self.lock:
                    if answers or got:
                        self.faults.append((answers, end))
                    else:
                        self.unanswered.add(summary)
                return
            answers += 1
            if response.status == 201:
                with self.lock:
                    self.acknowledged[summary] = response.json()["id"]
            elif response.status not in (503, 504):
                self.faults.append((answers, response))
            if response.closes:
                return


def user_by_sql(process):
    """A user and a token for them, without the cost of hashing."""
    user = str(uuid.uuid4())
    with process.database() as database:
        database.query("INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash) VALUES "
                       f"('{user}', '{user}', 'a@b.co', 'a', 'b', 'x')")
    return user, sign(claims_for(user))


def assert_all_there(test, process, load):
    """Each acknowledged task is stored once, under the id that was told."""
    with process.database() as database:
        stored = dict(database.query("SELECT summary, id FROM task"))
        test.assertEqual(database.count("task"), len(stored))
    test.assertEqual({s: i for s, i in load.acknowledged.items() if stored.get(s) != i}, {})
    return stored


class Survival(ProcessTest):
    def test_restart_keeps_what_was_acknowledged(self):
        scratch = self.scratch()
        process = self.everything(scratch.join("state")).ready()
        api = process.api().register()
        task = api.create_task(summary="kept")
        api.close()
        self.assert_clean(process)
        self.assertEqual(process.postmaster(), 0)
        process = self.everything(scratch.join("state")).ready()
        self.assertEqual(process.logs("making a PostgreSQL cluster"), [])
        self.assertEqual(process.logs("migration applied"), [])
        again = process.api()
        again.token = api.token
        self.assertEqual(again.get(f"/v1/tasks/{task['id']}").json(), task)
        again.close()
        self.assert_clean(process)

    def test_sigkill_under_load_loses_nothing_acknowledged(self):
        scratch = self.scratch()
        process = self.everything(scratch.join("state")).ready()
        _, token = user_by_sql(process)
        load = Load(process, token).start().wait_for(300)
        process.kill()
        load.stop()
        # At once: the server that was left behind may still be at its end.
        process = self.everything(scratch.join("state")).ready()
        assert_all_there(self, process, load)
        with process.connect() as connection:
            self.assertTrue(connection.is_open())
        self.assert_clean(process)

    def test_sigkill_of_everything_leaves_stale_locks_that_are_overcome(self):
        scratch = self.scratch()
        process = self.everything(scratch.join("state")).ready()
        _, token = user_by_sql(process)
        load = Load(process, token, clients=2).start().wait_for(20)
        postmaster = process.postmaster()
        os.kill(postmaster, signal.SIGKILL)
        process.kill()
        load.stop()
        self.assertNotEqual(process.postmaster(), 0)
        # The recorded process id may by now be somebody else's, even the same user's: here that of another cluster.
        pid_file = scratch.join("state", "postgres", "data", "postmaster.pid")
        with open(pid_file, "r+") as file:
            lines = file.read().splitlines()
            lines[0] = str(module.server.postmaster())
            file.seek(0)
            file.truncate()
            file.write("\n".join(lines) + "\n")
        process = self.everything(scratch.join("state")).ready()
        assert_all_there(self, process, load)
        self.assert_clean(process)

    def test_sigkill_during_the_first_start(self):
        scratch = self.scratch()
        process = self.everything(scratch.join("state"))
        wait_for(lambda: glob.glob(scratch.join("state", "postgres", "data.new*", "base")) or os.path.exists(scratch.join("state", "postgres", "data")), 20,
                 "initdb is at work, or was when nobody looked")
        process.kill()
        process = self.everything(scratch.join("state")).ready()
        self.assert_clean(process)

    def interrupted(self, kill):
        process = self.everything().ready()
        _, token = user_by_sql(process)
        load = Load(process, token)
        load.patient = True
        load.start().wait_for(100)
        kill(process)
        seen = len(load.acknowledged)
        load.wait_for(seen + 100)
        load.stop()
        wait_for(process.is_ready, 30, "ready again")
        self.assertEqual(load.faults, [])
        assert_all_there(self, process, load)
        with process.connect() as connection:
            wait_for(lambda: connection.get("/v1/health").status == 200, 20, "well again")
        self.assert_clean(process)

    def test_sigkill_of_the_embedded_server(self):
        self.interrupted(lambda process: os.kill(process.postmaster(), signal.SIGKILL))

    def test_sigkill_of_a_backend(self):
        def kill(process):
            with process.database() as database:
                pid = database.value("SELECT pid FROM pg_stat_activity WHERE application_name = 'data-writer/0'")
                os.kill(int(pid), signal.SIGKILL)

        self.interrupted(kill)

    def test_connections_ended_by_the_server(self):
        def kill(process):
            with process.database() as database:
                database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'data-%'")

        self.interrupted(kill)

    def test_database_away_and_back(self):
        scratch = self.scratch()
        owner = self.everything(scratch.join("state")).ready()
        process = owner.api_process()
        self.addCleanup(process.kill)
        process.ready()
        user, token = user_by_sql(owner)
        self.assertEqual(owner.stop(), 0)
        connection = self.connect(process)
        wait_for(lambda: connection.get("/readyz").status == 503, 10, "not ready")
        self.assertEqual(connection.get("/livez").status, 200)
        health = connection.get("/v1/health")
        self.assertEqual((health.status, health.json()["status"]), (503, "error"))
        watch = Stopwatch()
        response = connection.get("/v1/tasks", [("Authorization", f"Bearer {token}")])
        self.assertEqual(response.status, 503)
        self.assertRegex(response.header("Retry-After"), "^[0-9]+$")
        self.assertLess(watch.seconds(), patience(3))
        self.assertEqual(run("health", APP_PORT=process.port).returncode, 1)
        owner = self.everything(scratch.join("state")).ready()
        wait_for(process.is_ready, 15, "ready again")
        wait_for(lambda: connection.get("/v1/health").status == 200, 15, "well again")
        self.assertEqual(connection.get("/v1/tasks", [("Authorization", f"Bearer {token}")]).json(), [])
        connection.close()
        self.assert_clean(process)
        self.assert_clean(owner)


class Starting(ProcessTest):
    def test_listens_only_after_the_migrations(self):
        name = module.server.new_database()
        with module.server.database(name) as database:
            database.query(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
            process = self.api_process(name)
            wait_for(lambda: database.count("pg_locks", "locktype = 'advisory' AND NOT granted"), 10, "the process waits")
            with self.assertRaises(ConnectionRefusedError):
                Connection(process.port)
            self.assertEqual(process.logs("listening"), [])
            waiting = wait_for(lambda: process.logs("waiting for a lock"), 5, "the log says whom it waits for")[0]
            self.assertEqual((waiting["for"], waiting["pid"]), ("another process that migrates", database.pid))
            database.query(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})")
            process.ready()
        wait_for(lambda: process.logs("listening"), 5, "the log says that it listens")
        messages = [entry["message"] for entry in process.logs()]
        self.assertEqual(messages.count("migration applied"), count_migrations())
        self.assertLess(messages.index("migration applied"), messages.index("listening"))
        self.assert_clean(process)

    def test_two_at_once_on_an_empty_database(self):
        name = module.server.new_database()
        processes = [self.api_process(name) for _ in range(3)]
        for process in processes:
            process.ready()
        versions = [entry["version"] for process in processes for entry in process.logs("migration applied")]
        self.assertEqual(sorted(versions), list(range(1, count_migrations() + 1)))
        for process in processes:
            api = process.api().register()
            self.assertEqual(len(api.get("/v1/tasks").json()), 0)
            api.close()
        for process in processes:
            self.assert_clean(process)

    def test_migrations_left_to_somebody_else(self):
        name = module.server.new_database()
        process = self.api_process(name, DB_MIGRATIONS_RUN="false")
        wait_for(lambda: process.logs("listening"), 10, "the process listens")
        connection = self.connect(process)
        self.assertEqual(connection.get("/livez").status, 200)
        self.assertEqual(connection.get("/readyz").status, 503)
        with module.server.database(name) as database:
            self.assertIsNone(database.value("SELECT to_regclass('schema_migration')"))
        self.assertEqual(run("migrate", "up", **on_database(name)).returncode, 0)
        wait_for(lambda: connection.get("/readyz").status == 200, 10, "ready")
        connection.close()
        self.assert_clean(process)

    def test_second_one_in_the_same_state_directory(self):
        second = self.everything(module.server.state_dir)
        self.assertEqual(second.wait(20), 1)
        self.assertIn(module.server.state_dir, second.text())
        self.assertIn("another `millrace all` uses", second.text())
        self.assertTrue(self.connect(module.server).is_open())

    def test_port_in_use(self):
        process = self.api_process("millrace", APP_PORT=module.server.port)
        self.assertEqual(process.wait(20), 1)
        self.assertRegex(process.text(), f"cannot listen on 127.0.0.1 port {module.server.port}: Address already in use")
        self.assertTrue(self.connect(module.server).is_open())

    @unittest.skipUnless(os.geteuid() == 0, "only root can become a user who may have few threads")
    def test_no_thread_to_give(self):
        """A user who may have fewer threads than there are actors: the process says so and ends, and does not hang."""
        def become_poor():
            resource.setrlimit(resource.RLIMIT_NPROC, (6, 6))
            os.setresgid(54321, 54321, 54321)
            os.setresuid(54321, 54321, 54321)

        scratch = self.scratch()
        command = scratch.join("millrace")
        shutil.copy(binary(), command)
        os.chmod(command, 0o755)
        result = subprocess.run([command, "api"], cwd="/", text=True, capture_output=True, timeout=patience(20), preexec_fn=become_poor,
                                env=environment(DB_HOST="/nonexistent", DB_MIGRATIONS_RUN="false", JWT_SECRET=SECRET, APP_PORT=free_port(),
                                                APP_HOST="127.0.0.1", ACTOR_AUTH_COUNT=8, ACTOR_DATA_READER_COUNT=8))
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertRegex(result.stderr, "cannot serve.*NO_MEMORY.*threads")

    def test_no_database_program(self):
        scratch = self.scratch()
        process = self.everything(scratch.join("state"), MILLRACE_PG_BIN="/nonexistent")
        self.assertEqual(process.wait(20), 1)
        self.assertIn("MILLRACE_PG_BIN", process.text())

    def test_database_of_a_newer_version(self):
        name = module.server.new_database()
        self.assertEqual(run("migrate", **on_database(name)).returncode, 0)
        with module.server.database(name) as database:
            database.query("INSERT INTO schema_migration (version, name, checksum) SELECT max(version) + 1, 'x', 'x' FROM schema_migration")
        process = self.api_process(name)
        self.assertEqual(process.wait(20), 1)
        self.assertIn("run a newer release", process.text())

    def test_database_of_a_newer_version_that_allows_it(self):
        name = module.server.new_database()
        self.assertEqual(run("migrate", **on_database(name)).returncode, 0)
        version = count_migrations() + 1
        with module.server.database(name) as database:
            database.query("CREATE SCHEMA IF NOT EXISTS millrace")
            database.query("CREATE TABLE IF NOT EXISTS millrace.migration (version integer, name text, checksum text, "
                           "applied_at timestamptz DEFAULT now(), runs_with integer)")
            database.query("INSERT INTO millrace.migration (version, name, checksum, runs_with) "
                           f"VALUES ({version}, 'of_tomorrow', 'x', {version - 1})")
            process = self.api_process(name).ready()
            process.api().register()
            said = process.logs("the database is newer than this binary, which still runs on it")
            self.assertEqual([(line["level"], line["version"], line["known"]) for line in said], [("info", version, version - 1)])
            self.assertRegex(run("migrate", "status", **on_database(name)).stdout, r"(?m)^\d+  of_tomorrow +20\S+Z  newer than this binary$")
            self.assert_clean(process)
            database.query(f"DELETE FROM millrace.migration WHERE version = {version}")
            database.query("ALTER TABLE millrace.migration DROP CONSTRAINT IF EXISTS migration_runs_with_check, "
                           "DROP CONSTRAINT IF EXISTS migration_check")
            database.query("INSERT INTO millrace.migration (version, name, checksum, runs_with) "
                           f"VALUES ({version}, 'of_tomorrow', 'x', {version})")
        process = self.api_process(name)
        self.assertEqual(process.wait(20), 1)
        self.assertIn("run a newer release", process.text())

    def test_migration_with_another_text(self):
        name = module.server.new_database()
        self.assertEqual(run("migrate", **on_database(name)).returncode, 0)
        with module.server.database(name) as database:
            database.query("UPDATE schema_migration SET checksum = 'x' WHERE version = 1")
        process = self.api_process(name)
        self.assertEqual(process.wait(20), 1)
        self.assertIn("another text", process.text())
        self.assertEqual(run("migrate", "status", **on_database(name)).returncode, 1)

    def start_in(self, state_dir):
        process = self.everything(state_dir).ready()
        api = process.api().register()
        task = api.create_task()
        api.close()
        self.assert_clean(process)
        process = self.everything(state_dir).ready()
        api.port = process.port
        self.assertEqual(api.get(f"/v1/tasks/{task['id']}").json(), task)
        api.close()
        self.assert_clean(process)

    def test_state_directory_behind_one_that_the_servers_user_cannot_enter(self):
        scratch = self.scratch(mode=0o700)
        self.start_in(scratch.join("state"))

    def test_very_long_state_directory(self):
        scratch = self.scratch()
        parent = scratch.join("d" * 100, "e" * 100)
        os.makedirs(parent, 0o755)
        before = set(glob.glob("/tmp/millrace-" + "[0-9a-f]" * 16))
        self.start_in(os.path.join(parent, "state"))
        with open(os.path.join(parent, "state", "postgres", "data", "postmaster.opts")) as file:
            directory = re.search("unix_socket_directories=([^\"]+)", file.read()).group(1)
        self.assertNotIn(directory, before)
        self.assertLess(len(directory), 60)
        os.rmdir(directory)

    def test_relative_state_directory(self):
        scratch = self.scratch()
        process = Process("all", cwd=scratch.path, MILLRACE_STATE_DIR="here")
        self.addCleanup(process.kill)
        process.ready()
        self.assertTrue(os.path.isdir(scratch.join("here", "postgres", "data")))
        self.assert_clean(process)

    def test_embedded_server_has_no_port_and_no_open_door(self):
        with module.server.database() as database:
            self.assertEqual(database.value("SHOW listen_addresses"), "")
        mode = os.stat(os.path.join(module.server.state_dir, "postgres", "run")).st_mode & 0o777
        self.assertEqual(mode, 0o700)

    def test_pretty_log(self):
        process = self.api_process("millrace", LOGGING_FORMAT="pretty").ready()
        self.assertEqual(process.stop(), 0)
        self.assertRegex(process.text(), r"(?m)^[0-9:.]{12}  info   listening  port=[0-9]+")

    def test_secrets_are_not_logged(self):
        process = self.api_process("millrace", LOGGING_LEVEL="debug", DB_PASS="a password of the database").ready()
        api = process.api().register()
        api.create_task()
        api.get("/v1/tasks", token="rubbish.token.here")
        api.close()
        self.assert_clean(process)
        self.assertGreater(len(process.logs("request")), 3)
        for secret in (SECRET, api.token, "correct horse battery", "a password of the database", "rubbish.token"):
            self.assertNotIn(secret, process.text())

    def test_request_ids_are_logged(self):
        process = self.api_process("millrace", LOGGING_LEVEL="debug").ready()
        with process.connect() as connection:
            connection.get("/v1/tasks", [("X-Request-Id", "trace-me")])
        self.assert_clean(process)
        entries = [entry for entry in process.logs("request") if entry["requestId"] == "trace-me"]
        self.assertEqual([(entry["op"], entry["status"]) for entry in entries], [("task_list", 401)])


class Stopping(ProcessTest):
    def test_sigterm_under_load_cuts_no_request(self):
        """
        On a connection that has carried an answer without `Connection: close`, every further request is answered
        whole. On a new one the request is answered whole too, or the connection ends without a byte and the request
        has not been carried out.
        """
        for _ in range(3):
            name = module.server.new_database()
            process = self.api_process(name).ready()
            process.database = lambda name=name: module.server.database(name)
            _, token = user_by_sql(process)
            load = Load(process, token, clients=12).start().wait_for(200)
            status = process.stop()
            load.stop()
            self.assertEqual(status, 0)
            self.assertEqual(load.faults, [])
            stored = assert_all_there(self, process, load)
            self.assertEqual(load.unanswered & set(stored), set())
            self.assertLessEqual(set(stored), load.sent)

    def test_requests_under_way_are_answered(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.api_process("millrace", DB_LOCK_TIMEOUT="60s").ready()
            user, token = user_by_sql(module.server)
            connections = [self.connect(process) for _ in range(5)]
            with module.server.database() as database:
                with TaskLock(database) as lock:
                    for connection in connections:
                        connection.send_and_wait(make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {token}")],
                                                              {"summary": "under way", "taskPriorityCode": "LOW"}))
                    lock.wait_for_waiters()
                    process.signal(number)
                    wait_for(lambda: process.logs("draining"), 5, "draining")
                for connection in connections:
                    response = connection.response()
                    self.assertEqual((response.status, response.closes), (201, True))
                    self.assertEqual(connection.ended(), "closed")
            self.assertEqual(process.wait(), 0)

    def test_half_a_request_at_the_signal_can_be_finished(self):
        process = self.api_process("millrace").ready()
        connection = self.connect(process)
        data = make_request("GET", "/livez")
        connection.send_and_wait(data[:10])
        process.signal(signal.SIGTERM)
        wait_for(lambda: process.logs("draining"), 5, "draining")
        connection.send(data[10:])
        response = connection.response()
        self.assertEqual((response.status, response.closes), (200, True))
        connection.close()
        self.assertEqual(process.wait(), 0)

    def test_idle_connection_may_ask_once_more(self):
        def asked():
            """The answer; None when we came too late for it."""
            process = self.api_process("millrace").ready()
            idle, silent = self.connect(process), self.connect(process)
            self.assertTrue(idle.is_open() and silent.is_open())
            watch = Stopwatch()
            process.signal(signal.SIGTERM)
            wait_for(lambda: process.logs("draining"), 5, "draining")
            try:
                self.assertEqual(idle.ended(0.5), "open")
                response = idle.get("/readyz")
            except (AssertionError, OSError, NoAnswer):
                if watch.passed() < 1.8:  # LAST_REQUEST_MS is 2000
                    raise
                return None
            self.assertEqual(idle.ended(), "closed")
            self.assertEqual(silent.ended(5), "closed")
            self.assertEqual(process.wait(), 0)
            return response

        response = wait_for(asked, 60, "a request in time")
        self.assertEqual((response.status, response.closes), (503, True))
        self.assertRegex(response.header("Retry-After"), "^[0-9]+$")

    def test_port_stays_open_for_the_delay(self):
        delay = patience(1)

        def open_for_so_long():
            process = self.api_process("millrace", SHUTDOWN_DELAY=f"{int(delay * 1000)}ms").ready()
            watch = Stopwatch()
            process.signal(signal.SIGTERM)
            try:
                wait_for(lambda: process.logs("draining"), 5, "draining")
                with process.connect() as connection:
                    response = connection.get("/readyz")
                    self.assertEqual((response.status, response.closes), (503, True))
                with process.connect() as connection:
                    self.assertEqual(connection.get("/livez").status, 200)
            except (OSError, NoAnswer):
                if watch.passed() < delay * 0.9:
                    raise
                return None  # we came too late
            self.assertEqual(process.wait(), 0)
            self.assertGreater(watch.passed(), delay * 0.9)
            return process

        process = wait_for(open_for_so_long, 60, "a look within the delay")
        with self.assertRaises(ConnectionRefusedError):
            Connection(process.port)

    def test_second_signal_ends_at_once(self):
        process = self.api_process("millrace", **ending_abruptly()).ready()
        connection = self.connect(process)
        self.assertTrue(connection.is_open())
        process.signal(signal.SIGTERM)
        wait_for(lambda: process.logs("draining"), 5, "draining")
        watch = Stopwatch()
        process.signal(signal.SIGTERM)
        self.assertIn(process.wait(5), (128 + signal.SIGTERM, -signal.SIGTERM))
        self.assertLess(watch.seconds(), patience(1))

    def test_idle_process_stops_quickly(self):
        process = self.api_process("millrace").ready()
        watch = Stopwatch()
        self.assert_clean(process)
        self.assertLess(watch.seconds(), patience(1.5))

    def test_nothing_of_the_embedded_server_is_left(self):
        scratch = self.scratch()
        process = self.everything(scratch.join("state")).ready()
        postmaster = process.postmaster()
        self.assertTrue(os.path.exists(f"/proc/{postmaster}"))
        self.assert_clean(process)
        self.assertFalse(os.path.exists(f"/proc/{postmaster}"))
        process = self.everything(scratch.join("state")).ready()
        postmaster = process.postmaster()
        process.kill()
        wait_for(lambda: not os.path.exists(f"/proc/{postmaster}"), 15, "the server ends after its owner was killed")


class Commands(ProcessTest):
    def test_unknown_command(self):
        for arguments in (["fly"], ["All"], ["--verbose"], [""]):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertIn("--help", result.stderr)
            self.assertIn(f"'{arguments[0]}'", result.stderr)
            self.assertEqual(result.stdout, "")

    def test_help(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for word in ("all", "api", "migrate", "config", "routes", "health", "--version"):
            self.assertRegex(result.stdout, rf"(?m)^  {word}\b")
        bare = run()
        self.assertEqual((bare.returncode, bare.stdout), (2, result.stdout))

    def test_help_of_each_command(self):
        for command in re.findall(r"(?m)^  (\w+)\b", run("--help").stdout):
            for word in ("--help", "-h"):
                result = run(command, word, DB_HOST="/nonexistent", MILLRACE_APP="/nonexistent")
                self.assertEqual((result.returncode, result.stderr), (0, ""), command)
                self.assertTrue(result.stdout.startswith(f"usage: millrace {command}"), result.stdout)
        self.assertIn("migration NAME", run("new", "--help").stdout)

    def test_output_that_cannot_be_written_is_a_failure(self):
        for arguments in (["--help"], ["--version"], ["config"], ["config", "--json"], ["routes"], ["openapi"], ["sql"], ["schema"]):
            with self.subTest(arguments=arguments), open("/dev/full", "w") as full:
                done = subprocess.run([binary(), *arguments], env=environment(), stdin=subprocess.DEVNULL, stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=patience(30))
                self.assertEqual(done.returncode, 1)
                self.assertTrue(done.stderr.endswith("millrace: the output could not be written: No space left on device\n"), done.stderr)

    def test_version(self):
        result = run("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"^millrace [0-9]+\.[0-9]+\.[0-9]+\S* \(.+\)\n$")

    def test_arguments_that_are_not_taken(self):
        for arguments in (["all", "x"], ["api", "--port=1"], ["routes", "x"], ["health", "x"], ["config", "--xml"], ["config", "--json", "x"],
                          ["migrate", "down"], ["migrate", "up", "x"]):
            with self.subTest(arguments=arguments):
                result = run(*arguments, DB_HOST="/nonexistent")
                self.assertEqual(result.returncode, 2)
                self.assertIn(f"'{arguments[-1]}'", result.stderr)

    def test_bad_configuration_lists_every_problem(self):
        bad = {"APP_PORT": "abc", "LOGGING_LEVEL": "loud", "DB_PORT": "0", "GATEWAY_BODY_TIMEOUT": "1 year", "MAILBOX_MAX_BYTES": "lots",
               "DB_MIGRATIONS_RUN": "perhaps", "NODE_ENV": "production", "JWT_SECRET": "a short secret", "ACTOR_AUTH_COUNT": "65",
               "DB_PASS": "do not show me"}
        scratch = self.scratch()
        for command in ("all", "api"):
            result = run(command, MILLRACE_STATE_DIR=scratch.join("state"), **bad)
            self.assertEqual(result.returncode, 2, result)
            for name, value in bad.items():
                if name in ("NODE_ENV", "DB_PASS"):
                    continue
                self.assertRegex(result.stderr, rf"(?m)^{name}={'[*]+' if name == 'JWT_SECRET' else re.escape(value)}: expected ")
            self.assertNotIn("a short secret", result.stdout + result.stderr)
            self.assertNotIn("do not show me", result.stdout + result.stderr)
        self.assertFalse(os.path.exists(scratch.join("state")))

    def test_weak_secrets_in_production(self):
        for secret in (None, "", "short", "x" * 31, "development-only-secret-do-not-use-in-production"):
            result = run("api", NODE_ENV="production", JWT_SECRET=secret, DB_HOST="/nonexistent")
            self.assertEqual(result.returncode, 2)
            self.assertIn("JWT_SECRET", result.stderr)
        result = run("migrate", "status", NODE_ENV="production", DB_HOST="/nonexistent")
        self.assertEqual(result.returncode, 1)

    def test_api_needs_a_database(self):
        result = run("api")
        self.assertEqual(result.returncode, 2)
        self.assertIn("DB_HOST", result.stderr)

    def test_config(self):
        settings = {"JWT_SECRET": "hide this secret", "DB_PASSWORD": "and this password", "APP_PORT": "4321", "DB_USERNAME": "somebody"}
        result = run("config", **settings)
        self.assertEqual(result.returncode, 0)
        lines = dict(line.split("=", 1) for line in result.stdout.splitlines())
        self.assertEqual((lines["APP_PORT"], lines["DB_USER"], lines["JWT_SECRET"], lines["DB_PASS"]), ("4321", "somebody", "***", "***"))
        self.assertEqual(lines["GATEWAY_REQUEST_TIMEOUT"], "10s")
        as_json = run("config", "--json", **settings)
        self.assertEqual(as_json.returncode, 0)
        entries = {entry["name"]: entry for entry in json.loads(as_json.stdout)}
        self.assertEqual(set(entries), set(lines))
        self.assertEqual(entries["APP_PORT"]["value"], "4321")
        self.assertEqual(entries["DB_USER"]["aliases"], ["DB_USERNAME"])
        self.assertTrue(entries["JWT_SECRET"]["secret"])
        self.assertNotIn("scheduler", entries["JWT_SECRET"]["roles"])
        for output in (result.stdout, as_json.stdout):
            self.assertNotIn("hide this", output)
            self.assertNotIn("and this", output)

    def test_config__says_what_a_process_would_refuse(self):
        result = run("config", APP_PORT="abc", LOGGING_LEVEL="loud", SCHEDULE_TIMEZONE="Nowhere", JWT_SECRET="hide this secret")
        self.assertEqual(result.returncode, 0)
        self.assertIn("APP_PORT=abc\n", result.stdout)
        told = result.stderr.splitlines()
        self.assertEqual(told[0], "millrace config: a process would refuse to start:")
        self.assertEqual(sorted(line.split(": expected ")[0] for line in told[1:]),
                         ["APP_PORT=abc", "LOGGING_LEVEL=loud", "SCHEDULE_TIMEZONE=Nowhere"])
        self.assertEqual(run("config", JWT_SECRET="hide this secret").stderr, "")

    def test_configuration_that_is_refused_ends_every_command_with_2(self):
        for arguments in (["migrate"], ["migrate", "status"], ["user", "grant-admin", "x"], ["key", "list"], ["key", "make", "x", "jobs:enqueue"],
                          ["key", "delete", str(uuid.uuid4())], ["scheduler"], ["api"], ["check", SHOP]):
            with self.subTest(arguments=arguments):
                result = run(*arguments, DB_HOST="/nonexistent", DB_PORT="abc")
                self.assertEqual(result.returncode, 2, result)
                self.assertIn("DB_PORT=abc: expected ", result.stderr)

    def test_dotenv(self):
        scratch = self.scratch()
        with open(scratch.join(".env"), "w") as file:
            file.write("# comment\nAPP_PORT=5555\nJWT_SECRET='quoted secret'\nLOGGING_LEVEL=loud\n")
        result = run("api", cwd=scratch.path, DB_HOST="/nonexistent")
        self.assertEqual(result.returncode, 2)
        self.assertIn("LOGGING_LEVEL=loud", result.stderr)
        result = run("api", cwd=scratch.path, DB_HOST="/nonexistent", NODE_ENV="production")
        self.assertNotIn("LOGGING_LEVEL", result.stderr)
        self.assertIn("JWT_SECRET", result.stderr)

    def test_routes(self):
        result = run("routes")
        self.assertEqual(result.returncode, 0)
        for row in (r"POST +/v1/auth/register +register +auth +public", r"GET +/v1/tasks/:taskId +task_get +data-reader +user",
                    r"GET +/livez"):
            self.assertRegex(result.stdout, rf"(?m)^{row}\b")
        self.assertNotIn("db_ping", result.stdout)

    def test_migrate(self):
        name = module.server.new_database()
        settings = on_database(name)
        result = run("migrate", "status", **settings)
        self.assertEqual(result.returncode, 0, result)
        pending, own = migrations(result.stdout)
        self.assertGreaterEqual(len(pending), 1)
        for number, line in enumerate(pending, 1):
            self.assertRegex(line, rf"^{number:04d}  \S+ +pending$")
        for number, line in enumerate(own, 1):
            self.assertRegex(line, rf"^app   {number:04d}_\S+ +pending$")
        with module.server.database(name) as database:
            self.assertIsNone(database.value("SELECT to_regclass('schema_migration')"), "status changes nothing")
        result = run("migrate", "up", **settings)
        # The tables that the first of tasks' own makes come from the engine's: it is recorded, and not applied.
        self.assertEqual((result.returncode, result.stdout), (0, f"applied {len(pending) + max(len(own) - 1, 0)}\n"))
        result = run("migrate", **settings)
        self.assertEqual((result.returncode, result.stdout), (0, "nothing to apply\n"))
        applied, own = migrations(run("migrate", "status", **settings).stdout)
        for number, line in enumerate(applied, 1):
            self.assertRegex(line, rf"^{number:04d}  \S+ +20[0-9-]+T[0-9:]+Z$")
        for number, line in enumerate(own, 1):
            self.assertRegex(line, rf"^app   {number:04d}_\S+ +20[0-9-]+T[0-9:]+Z$")

    def test_migrate_without_a_database(self):
        for what in ("up", "status"):
            result = run("migrate", what, DB_HOST="/nonexistent", DB_PASS="hide this")
            self.assertEqual(result.returncode, 1)
            self.assertIn("cannot be reached", result.stderr)
            self.assertNotIn("hide this", result.stderr)

    def test_health(self):
        result = run("health", APP_PORT=module.server.port)
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(json.loads(result.stdout)["status"], "ok")
        result = run("health", APP_PORT=free_port())
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("no API answers", result.stderr)


if __name__ == "__main__":
    unittest.main()
