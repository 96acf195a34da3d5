"""A read replica, and a database that may sleep.

The replica is a second database that never hears of a write: a replica that lags for ever. What is found all the
same was read from the primary.
"""

import threading
import time
import unittest

import support
from cluster import Proxy, Server
from support import patience, wait_for

primary = support.ModuleServer()
replica = support.ModuleServer()


def setUpModule():
    primary.start()
    replica.start()


def tearDownModule():
    primary.stop()
    replica.stop()


def socket_of(module):
    return module.server.scratch.join("state", support.SERVER_DATABASE)


class WithApi(unittest.TestCase):
    def start(self, **settings):
        server = primary.server.api_process(**settings).ready()
        self.addCleanup(server.stop)
        return server

    def user_of(self, server):
        user = server.api().register()
        self.addCleanup(user.close)
        return user


class Replica(WithApi):
    def test_reads__go_to_the_replica_unless_the_user_has_just_written(self):
        server = self.start(DB_HOST_READ_ONLY=socket_of(replica), DB_READ_YOUR_WRITES="1s")
        user = self.user_of(server)
        with replica.server.database() as database:
            database.query("INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash) "
                           f"VALUES ('{user.user['id']}', '{user.user['username']}', 'o@example.org', 'O', 'H', '')")
        user.request("PATCH", "/v1/users/profile", {"firstName": "Grace"})
        watch = support.Stopwatch()
        task = user.create_task()
        path = "/v1/tasks/" + task["id"]
        # Each is read from the primary, or a second has passed.
        wait_for(lambda: user.get("/v1/users/profile").json()["firstName"] == "O" or user.get("/v1/tasks").json() == [], 5, "the reads go to the replica")
        self.assertGreaterEqual(watch.passed(), 1)
        self.assertEqual((user.get("/v1/tasks").json(), user.get("/v1/users/profile").json()["firstName"]), ([], "O"))

        def again():
            watch = support.Stopwatch()
            self.assertEqual(user.request("PUT", path, {"summary": "again"}).status, 200)
            answer = user.get(path)
            if watch.passed() >= 1:
                return None  # too late to tell
            self.assertEqual(answer.json()["summary"], "again")
            return answer

        wait_for(again, 20, "a read behind a write")

    def test_prefer_primary__finds_the_last_write_without_a_cookie_or_a_memory_of_it(self):
        server = self.start(DB_HOST_READ_ONLY=socket_of(replica), DB_READ_YOUR_WRITES="0s")
        user = self.user_of(server)
        task = user.create_task()
        with primary.server.database() as database:  # as another process would: this one does not know of it
            database.query(f"UPDATE public.task SET summary = 'elsewhere' WHERE id = '{task['id']}'")
        with replica.server.database() as database:
            database.query("INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash) "
                           f"VALUES ('{user.user['id']}', 'behind', 'o@example.org', 'O', 'H', '')")
        wait_for(lambda: user.get("/v1/users/profile").json()["username"] == "behind", 5, "the reads go to the replica")
        preferred = [("Prefer", "return=representation, primary")]
        self.assertEqual(user.get("/v1/users/profile", headers=preferred).json()["username"], user.user["username"])
        self.assertEqual(user.get("/v1/tasks", headers=preferred).json()[0]["summary"], "elsewhere")
        self.assertEqual(user.get("/v1/users/profile").json()["username"], "behind", "and only these")

    def test_reads__of_a_new_user_find_the_user(self):
        server = self.start(DB_HOST_READ_ONLY=socket_of(replica), DB_READ_YOUR_WRITES="1m")
        self.assertEqual(self.user_of(server).get("/v1/users/profile").status, 200)

    def test_other_users__read_from_the_replica_meanwhile(self):
        server = self.start(DB_HOST_READ_ONLY=socket_of(replica), DB_READ_YOUR_WRITES="1m")
        writer = self.user_of(server)
        writer.create_task()
        reader = server.api()
        self.addCleanup(reader.close)
        with replica.server.database() as database:
            known = "00000000-0000-0000-0000-00000000cafe"
            database.query(f"INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash) "
                           f"VALUES ('{known}', 'onlyhere', 'o@example.org', 'O', 'H', '') ON CONFLICT DO NOTHING")
        reader.token = support.sign(support.claims_for(known))
        self.assertEqual(reader.get("/v1/users/profile").json()["username"], "onlyhere")


class Sleep(WithApi):
    def connections(self):
        with primary.server.database() as database:
            return database.count("pg_stat_activity", "application_name ~ '^(auth|data-)' AND pid <> pg_backend_pid() AND datname = '"
                                  + self.database + "'")

    def setUp(self):
        self.database = primary.server.new_database()

    def test_idle__lets_every_connection_go_and_health_does_not_wake_the_database(self):
        server = self.start(database=self.database, DB_IDLE_RELEASE="300ms", DB_LOCK_TIMEOUT="60s")
        user = self.user_of(server)
        task = user.create_task()
        wait_for(lambda: self.connections() == 0, 10, "the connections are closed")
        wait_for(lambda: user.get("/v1/health").json()["info"]["database"].get("idle"), 10, "and the process says so")
        for _ in range(20):
            answer = user.get("/v1/health")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json()["info"]["database"], {"status": "up", "idle": True})
        self.assertEqual(user.get("/readyz").status, 200)
        self.assertEqual(self.connections(), 0)
        with primary.server.database(self.database) as holder, server.connect() as connection:
            with support.TaskLock(holder) as lock:  # the connection would be closed again before it is counted
                connection.send(support.make_request("GET", "/v1/tasks/" + task["id"], [("Authorization", f"Bearer {user.token}")]))
                lock.wait_for_waiters()
                self.assertEqual(self.connections(), 1)
            self.assertEqual(connection.response().json(), task)
        wait_for(lambda: self.connections() == 0, 10, "and closed again")

    def test_first_request__waits_for_a_database_that_is_being_woken(self):
        state = support.Scratch()
        whole = support.Everything(state_dir=state.join("state")).ready()
        server = whole.api_process(DB_IDLE_RELEASE="200ms", GATEWAY_REQUEST_TIMEOUT="60s").ready()
        self.addCleanup(server.stop)
        user = self.user_of(server)
        wait_for(lambda: user.get("/v1/health").json()["info"]["database"].get("idle"), 10, "the connections are let go")
        self.assertEqual(whole.close(), 0)
        connection = server.connect(timeout=60)
        connection.send(support.make_request("GET", "/v1/users/profile", [("Authorization", f"Bearer {user.token}")]))
        whole = support.Everything(state_dir=state.join("state"))
        self.addCleanup(whole.close)
        self.assertEqual(connection.response().status, 200)
        connection.close()

    def test_first_request__is_503_with_retry_after_when_the_database_does_not_wake_up(self):
        whole = support.Everything().ready()
        server = whole.api_process(DB_IDLE_RELEASE="200ms", GATEWAY_REQUEST_TIMEOUT="2s", DB_CONNECT_TIMEOUT="500ms").ready()
        self.addCleanup(server.stop)
        user = self.user_of(server)
        wait_for(lambda: user.get("/v1/health").json()["info"]["database"].get("idle"), 10, "the connections are let go")
        self.assertEqual(whole.close(), 0)
        watch = support.Stopwatch()
        answer = user.get("/v1/users/profile")
        self.assertEqual((answer.status, answer.header("Retry-After")), (503, "1"))
        self.assertGreater(watch.passed(), 0.7)
        self.assertLess(watch.seconds(), patience(2) + 1)


class Resume(unittest.TestCase):
    """A database that resumes takes connections and says nothing for a while."""

    def test_requests__wait_for_it_as_long_as_their_own_deadline_allows(self):
        server = Server.migrated()
        self.addCleanup(server.close)
        proxy = Proxy(server.port)
        self.addCleanup(proxy.close)
        process = support.Process("api", DB_IDLE_RELEASE="200ms", GATEWAY_REQUEST_TIMEOUT="4s", **server.settings(port=proxy.port))
        self.addCleanup(process.kill)
        process.ready()
        user = process.api().register()
        self.addCleanup(user.close)
        wait_for(lambda: user.get("/v1/health").json()["info"]["database"].get("idle"), 10, "the connections are let go")
        proxy.stalled = True
        ends = {}

        def ask(name):
            watch = support.Stopwatch()
            with process.connect(timeout=20) as connection:
                connection.send(support.make_request("GET", "/v1/users/profile", [("Authorization", f"Bearer {user.token}")]))
                ends[name] = (connection.response(), watch.passed(), watch.seconds())

        threads = {name: threading.Thread(target=ask, args=(name,)) for name in ("early", "later", "last")}
        for name, after in (("early", lambda: None), ("later", lambda: time.sleep(3)), ("last", lambda: threads["early"].join())):
            after()
            threads[name].start()
            self.assertEqual(user.get("/readyz").status, 200, "it sleeps; it is not away")
        proxy.stalled = False
        for thread in threads.values():
            thread.join()
        early, passed, seconds = ends["early"]
        self.assertEqual((early.status, early.header("Retry-After")), (503, "1"))
        self.assertGreater(passed, 3)
        self.assertLess(seconds, 4 + patience(0.5))
        for name in ("later", "last"):
            self.assertEqual(ends[name][0].status, 200, ends[name])


if __name__ == "__main__":
    unittest.main()
