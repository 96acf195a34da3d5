"""A replica that is behind: what it does not know yet, and when it is passed over; against a streaming one whose replay is paused."""

import time
import unittest

import support
import replica_away_test
from support import patience, wait_for


class LagTest(replica_away_test.ReplicaTest):
    def setUp(self):
        super().setUp()
        self.replica.start()

    def pause(self):
        """The replica replays nothing from here on."""
        self.replica.catch_up(self.primary)
        self.replica.query("SELECT pg_wal_replay_pause()")
        paused = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
        wait_for(lambda: self.replica.query(paused)[0][0] == "t", 10, "the replay is paused")

    def resume(self):
        self.replica.query("SELECT pg_wal_replay_resume()")
        self.replica.catch_up(self.primary)

    def stranger(self, process, user):
        """The same user at a process that has not seen their writes."""
        other = process.api()
        self.addCleanup(other.close)
        other.token, other.user = user.token, user.user
        return other

    def messages(self, process, actor):
        """What an actor has answered, as the process says at its end."""
        self.assertEqual(process.stop(), 0)
        stopped = wait_for(lambda: [line for line in process.logs("actor stopped") if line["actor"] == actor], 5, "it tells")
        return stopped[0]["messages"]


class Doubt(LagTest):
    """What a replica refuses because it is behind is asked of the primary: 401, 404, and the 412 of a read."""

    def setUp(self):
        super().setUp()
        self.writer = self.start().ready()

    def reader(self, **settings):
        reader = self.start(**settings).ready()
        wait_for(lambda: self.readers(self.replica) == 2, 10, "both processes read from the replica")
        return reader

    def test_user_and_task_that_the_replica_does_not_have_yet__are_found(self):
        reader = self.reader()
        self.pause()
        user = self.writer.api().register()
        self.addCleanup(user.close)
        task = user.create_task()
        other = self.stranger(reader, user)
        self.assertEqual(other.get("/v1/users/profile").json()["username"], user.user["username"])
        self.assertEqual(other.get("/v1/tasks/" + task["id"]).json(), task)
        self.assertEqual(other.get("/v1/tasks").json(), [task])
        self.assertEqual(other.get("/v1/stats/tasks").status, 200)
        self.assertEqual(self.replica.query(f"SELECT 1 FROM app_user WHERE id = '{user.user['id']}'"), [])
        self.assertEqual(self.messages(reader, "data-reader/1"), 2, "the profile and the task")

    def test_what_the_replica_has__is_not_asked_of_the_primary(self):
        reader = self.reader()
        user = self.user_of(self.writer)
        task = user.create_task()
        self.pause()
        user.request("PATCH", "/v1/tasks/" + task["id"], {"summary": "changed"})
        later = user.create_task()
        other = self.stranger(reader, user)
        self.assertEqual(other.get("/v1/tasks/" + task["id"]).json(), task)
        self.assertEqual(other.get("/v1/tasks").json(), [task], "a list is what the replica has")
        self.assertEqual(other.get("/v1/tasks/" + later["id"]).json(), later)
        self.assertEqual(self.messages(reader, "data-reader/1"), 1)

    def test_precondition_that_the_replica_does_not_meet_yet__is_judged_by_the_primary(self):
        reader = self.reader()
        user = self.user_of(self.writer)
        path = "/v1/tasks/" + user.create_task()["id"]
        self.pause()
        old = user.get(path).header("ETag")
        new = user.request("PATCH", path, {"summary": "changed"}).header("ETag")
        self.assertNotEqual(old, new)
        other = self.stranger(reader, user)
        self.assertEqual(other.get(path).header("ETag"), old)
        met = other.get(path, headers=[("If-Match", new)])
        self.assertEqual((met.status, met.header("ETag"), met.json()["summary"]), (200, new, "changed"))
        self.assertEqual(other.get(path, headers=[("If-Match", '"77"')]).status, 412)

    def test_nowhere__is_404_and_asked_once(self):
        reader = self.reader()
        user = self.user_of(self.writer)
        self.replica.catch_up(self.primary)
        other = self.stranger(reader, user)
        for _ in range(5):
            self.assertEqual(other.get("/v1/tasks/" + str(support.uuid.uuid4())).status, 404)
        self.assertEqual(self.messages(reader, "data-reader/1"), 5)

    def test_primary_that_does_not_answer__is_waited_for_until_the_deadline_of_the_request(self):
        reader = self.reader(GATEWAY_REQUEST_TIMEOUT="1500ms")
        user = self.user_of(self.writer)
        self.pause()
        task = user.create_task()
        other = self.stranger(reader, user)
        with self.primary.database() as holder, support.TaskLock(holder):
            begun = time.monotonic()
            answer = other.get("/v1/tasks/" + task["id"])
            took = time.monotonic() - begun
        self.assertEqual(answer.status, 504)
        self.assertTrue(1.4 < took < patience(4), took)
        self.assertEqual(other.get("/v1/tasks/" + task["id"]).json(), task)

    def test_primary_that_is_away__is_no_reason_to_tell_what_the_replica_does_not_know(self):
        reader = self.reader()
        user = self.user_of(self.writer)
        task = user.create_task()
        self.replica.catch_up(self.primary)
        other = self.stranger(reader, user)
        self.primary.kill()
        self.assertEqual(other.get("/v1/tasks/" + task["id"]).json(), task)
        self.assertEqual(other.get("/v1/tasks/" + str(support.uuid.uuid4())).status, 503)


if __name__ == "__main__":
    unittest.main()
