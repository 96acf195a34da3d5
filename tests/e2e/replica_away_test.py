"""A replica that comes and goes, against a streaming one: reads go on, and nothing of it is a failure of the process."""

import os
import time
import unittest

import support
from cluster import Server
from support import Process, patience, wait_for

ELSEWHERE = "127.0.0.2"  # the same port at another address


class ReplicaTest(unittest.TestCase):
    replica_settings = ""

    def setUp(self):
        self.primary = Server.migrated()
        self.addCleanup(self.primary.close)
        self.replica = self.primary.replica(self.replica_settings, host=ELSEWHERE, port=self.primary.port)
        self.addCleanup(self.replica.close)

    def start(self, **settings):
        process = Process("api", **{**self.primary.settings(), "DB_HOST_READ_ONLY": ELSEWHERE, "DB_READ_YOUR_WRITES": "0s", **settings})
        self.addCleanup(process.kill)
        return process

    def user_of(self, process):
        user = process.api().register()
        self.addCleanup(user.close)
        if self.replica.child is not None:
            self.replica.catch_up(self.primary)
        return user

    def readers(self, server):
        return int(server.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'data-reader/0'")[0][0])

    def scans(self, user):
        """Whether a read of theirs got to the replica: its counters come a moment late, so it is asked again and again."""
        sql = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_tables WHERE relname = 'app_user'"
        before = self.replica.query(sql)
        user.get("/v1/users/profile")
        return self.replica.query(sql) != before

    def assert_reads_from_the_replica(self, user=None):
        """And that user's reads do, who may have written: they go there once the replica is known to have the write."""
        wait_for(lambda: self.readers(self.replica) == 1, 5, "the reader is at the replica")
        wait_for(lambda: self.readers(self.primary) == 0, 5, "the reader has left the primary")
        if user is not None:
            wait_for(lambda: self.scans(user), 10, "the user's reads go to the replica")


class Away(ReplicaTest):
    def reads(self, user):
        answer = user.get("/v1/users/profile")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(user.get("/readyz").status, 200)
        self.assertEqual(user.get("/v1/health").status, 200)

    def assert_health_tells(self, user, status):
        """Health speaks of all readers together, each of which loses and finds the replica by itself."""
        wait_for(lambda: user.get("/v1/health").json()["info"]["replica"] == {"status": status}, 5, f"the replica is {status}")
        health = user.get("/v1/health").json()
        self.assertEqual((health["status"], health["info"]["replica"], health["details"]["replica"]),
                         ("ok", {"status": status}, {"status": status}))

    def test_killed__reads_fall_back_within_a_second_and_return_within_five(self):
        self.replica.start()
        process = self.start().ready()
        user = self.user_of(process)
        self.assert_reads_from_the_replica(user)
        self.reads(user)
        self.replica.kill()
        wait_for(lambda: user.get("/v1/users/profile").status == 200, 1, "reads fall back")
        for _ in range(50):
            self.reads(user)
        self.assert_health_tells(user, "down")
        wait_for(lambda: process.logs("replica is away: reading from the primary"), 5, "the log tells")
        self.replica.start()
        self.assert_reads_from_the_replica()
        self.reads(user)
        self.assert_health_tells(user, "up")
        self.assertLess(len(process.logs("replica cannot be reached")), 5)
        self.assertEqual(process.stop(), 0)

    def test_absent_at_the_start__the_process_serves_and_goes_there_when_it_comes(self):
        watch = support.Stopwatch()
        process = self.start().ready()
        self.assertLess(watch.seconds(), patience(8))
        user = self.user_of(process)
        self.reads(user)
        self.replica.start()
        self.replica.catch_up(self.primary)
        self.assert_reads_from_the_replica()
        self.reads(user)

    def test_password_that_the_replica_does_not_know_yet__is_a_replica_that_is_away(self):
        self.replica.start()
        self.primary.want_password("app", "a password")
        self.replica.catch_up(self.primary)
        with open(os.path.join(self.replica.data, "pg_hba.conf"), "w") as file:
            file.write("host all app all reject\nhost all all all trust\n")
        self.replica.reload()
        process = self.start(DB_USER="app", DB_PASS="a password").ready()
        user = self.user_of(process)
        for _ in range(20):
            self.reads(user)
            time.sleep(0.05)
        self.assertIsNone(process.child.poll())
        self.assertIn("28000", process.said("replica is away: reading from the primary")[0]["reason"])
        with open(os.path.join(self.replica.data, "pg_hba.conf"), "w") as file:
            file.write("host all all all trust\n")
        self.replica.reload()
        self.assert_reads_from_the_replica()

    def test_hangs__no_reader_waits_for_it_twice(self):
        self.replica.start()
        process = self.start(GATEWAY_REQUEST_TIMEOUT="2s").ready()
        user = self.user_of(process)
        self.assert_reads_from_the_replica(user)
        with support.Frozen.tree(self.replica.child.pid):
            self.assertIn(user.get("/v1/users/profile").status, (200, 504))
            wait_for(lambda: user.get("/v1/users/profile").status == 200, 3, "the next are answered")
            watch = support.Stopwatch()
            for _ in range(50):
                self.reads(user)
            self.assertLess(watch.seconds(), patience(2))
        self.assert_reads_from_the_replica()

    def test_shutdown__while_the_replica_is_away_is_quick(self):
        process = self.start().ready()
        watch = support.Stopwatch()
        self.assertEqual(process.stop(), 0)
        self.assertLess(watch.seconds(), patience(4))


class Conflict(ReplicaTest):
    replica_settings = "max_standby_streaming_delay = 0\nhot_standby_feedback = off\n"

    def test_read_cancelled_by_the_replicas_recovery__is_asked_of_the_primary(self):
        """40001: the replica cannot go on replaying while the statement holds what it wants to lock."""
        self.primary.query("ALTER TABLE task RENAME TO task_behind")
        self.primary.query("CREATE VIEW task AS SELECT * FROM task_behind WHERE CASE WHEN pg_is_in_recovery() THEN pg_sleep(5) IS NOT NULL ELSE true END")
        self.replica.start()
        process = self.start().ready()
        user = self.user_of(process)
        task = str(support.uuid.uuid4())
        self.primary.query("INSERT INTO task_behind (id, user_id, summary, priority_code) VALUES "
                           f"('{task}', '{user.user['id']}', 'there', 'LOW')")
        self.replica.catch_up(self.primary)
        self.assert_reads_from_the_replica(user)
        connection = process.connect()
        self.addCleanup(connection.close)
        connection.send(support.make_request("GET", "/v1/tasks/" + task, [("Authorization", f"Bearer {user.token}")]))
        at_work = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'data-reader/0' AND state = 'active'"
        wait_for(lambda: self.replica.query(at_work), 5, "the replica works on it")
        self.primary.query("ALTER TABLE task_behind ADD COLUMN in_the_way integer")
        answer = connection.response()
        self.assertEqual((answer.status, answer.json().get("summary")), (200, "there"))
        self.assert_reads_from_the_replica()
        self.assertEqual(process.logs("replica is away: reading from the primary"), [])


if __name__ == "__main__":
    unittest.main()
