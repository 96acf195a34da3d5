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
        self.assertEqual(self.replica.query(f"SELECT 1 FROM millrace.app_user WHERE id = '{user.user['id']}'"), [])
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
            watch = support.Stopwatch()
            answer = other.get("/v1/tasks/" + task["id"])
            self.assertGreater(watch.passed(), 1.4)
            self.assertLess(watch.seconds(), patience(4))
        self.assertEqual(answer.status, 504)
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


class OneProcessTest(LagTest):

    def begin(self, **settings):
        self.process = self.start(**{"DB_REPLICA_MAX_LAG": "1s", **settings}).ready()
        self.user = self.user_of(self.process)
        self.assert_reads_from_the_replica(self.user)

    def rename(self, name):
        """A write that the process knows nothing of."""
        self.primary.query(f"UPDATE millrace.app_user SET first_name = '{name}' WHERE id = '{self.user.user['id']}'")

    def name(self):
        answer = self.user.get("/v1/users/profile")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["firstName"]

    def health(self):
        answer = self.user.get("/v1/health")
        self.assertEqual((answer.status, answer.json()["status"]), (200, "ok"), answer)
        return answer.json()["info"]["replica"]

    def assert_passed_over(self):
        wait_for(lambda: self.health()["status"] == "lagging", 10, "health tells")
        self.assertGreaterEqual(self.health()["lagMs"], 500)
        self.assertEqual(self.user.get("/readyz").status, 200)

    def assert_comes_back(self):
        wait_for(lambda: self.health() == {"status": "up"}, 10, "health tells that it has caught up")
        self.assert_reads_from_the_replica(self.user)

class Bound(OneProcessTest):
    """DB_REPLICA_MAX_LAG."""

    def test_behind_by_more__is_passed_over_and_comes_back(self):
        self.begin()
        self.pause()
        self.rename("Later")
        wait_for(lambda: self.name() == "Later", 10, "reads go to the primary")
        self.assert_passed_over()
        for round in range(20):
            self.rename(f"Later {round}")
            self.assertEqual(self.name(), f"Later {round}")
        self.resume()
        self.assert_comes_back()
        wait_for(lambda: self.process.logs("replica has caught up"), 5, "the log tells")
        lines = self.process.logs("replica lags: reading from the primary") + self.process.logs("replica has caught up")
        self.assertLessEqual(len(lines), 4, "a line for each reader and change")
        self.assertEqual(self.process.stop(), 0)

    def test_receives_nothing_more__is_behind_though_it_has_replayed_what_it_received(self):
        self.begin()
        source = self.replica.query("SELECT quote_literal(current_setting('primary_conninfo'))")[0][0]
        self.replica.query("ALTER SYSTEM SET primary_conninfo = ''")
        self.replica.reload()
        wait_for(lambda: self.replica.query("SELECT count(*) FROM pg_stat_wal_receiver")[0][0] == "0", 10, "it is cut off")
        self.rename("Later")
        wait_for(lambda: self.name() == "Later", 10, "reads go to the primary")
        self.assert_passed_over()
        self.replica.query(f"ALTER SYSTEM SET primary_conninfo = {source}")
        self.replica.reload()
        self.assert_comes_back()

    def test_nobody_writes__is_no_lag(self):
        self.begin(DB_REPLICA_MAX_LAG="500ms")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            self.assertEqual(self.health(), {"status": "up"})
            time.sleep(0.1)
        self.assertEqual(self.process.logs("replica lags: reading from the primary"), [])

    def test_bound_of_zero__is_none(self):
        self.begin(DB_REPLICA_MAX_LAG="0s")
        self.pause()
        before = self.name()
        self.rename("Later")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            self.assertEqual((self.name(), self.health()), (before, {"status": "up"}))
            time.sleep(0.1)

    def test_primary_is_away__is_no_lag(self):
        self.begin()
        self.replica.catch_up(self.primary)
        self.primary.kill()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            self.assertEqual(self.user.get("/v1/users/profile").status, 200)
            time.sleep(0.1)


class Writer(OneProcessTest):
    """Read your writes: a replica without the user's last write is passed over, however short DB_READ_YOUR_WRITES is."""

    def test_user_who_wrote__reads_from_the_primary_until_the_replica_has_it(self):
        self.begin(DB_REPLICA_MAX_LAG="1h")
        reader = self.user_of(self.process)
        wait_for(lambda: self.scans(reader), 10, "the reader's reads go to the replica")
        self.pause()
        self.assertEqual(self.user.request("PATCH", "/v1/users/profile", {"firstName": "Grace"}).status, 200)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            self.assertEqual(self.name(), "Grace")
            time.sleep(0.05)
        wait_for(lambda: self.scans(reader), 10, "others still read from the replica")
        self.assertEqual(self.health(), {"status": "up"})
        self.resume()
        wait_for(lambda: self.scans(self.user), 10, "so does the user again")
        self.assertEqual(self.name(), "Grace")


class Delayed(OneProcessTest):
    replica_settings = "recovery_min_apply_delay = 1s\n"


    def test_replica_that_is_always_behind__never_hides_a_write(self):
        self.begin(DB_REPLICA_MAX_LAG="1h")
        for round in range(6):
            self.assertEqual(self.user.request("PATCH", "/v1/users/profile", {"firstName": f"Grace {round}"}).status, 200)
            written = time.monotonic()
            while time.monotonic() - written < 0.4:
                self.assertEqual(self.name(), f"Grace {round}")
        wait_for(lambda: self.scans(self.user), 15, "the reads come back to the replica")
        self.assertEqual(self.name(), "Grace 5")


class Aurora(OneProcessTest):
    """Its readers have no log to replay: the functions that tell of it are missing, or raise."""


    no_figure = "the replica does not report its lag"

    def take_away(self, *functions):
        for function in functions:
            self.primary.query(f"REVOKE EXECUTE ON FUNCTION {function}() FROM PUBLIC")

    def make_unsupported(self, *functions):
        """0A000, which of any other statement says that the connection is of no more use."""
        for function, type in functions:
            self.primary.query(f"SET allow_system_table_mods = on; ALTER FUNCTION pg_catalog.{function}() RENAME TO {function}_of_theirs;"
                               f"CREATE FUNCTION pg_catalog.{function}() RETURNS {type} LANGUAGE plpgsql"
                               " AS $$ BEGIN RAISE feature_not_supported; END $$")

    def begin_as_app(self, **settings):
        self.primary.want_password("app", "a password")
        self.replica.catch_up(self.primary)
        self.begin(DB_USER="app", DB_PASS="a password", **settings)

    def assert_no_figure(self):
        wait_for(lambda: self.process.logs(self.no_figure), 10, "the log says so")
        self.pause()
        before = self.name()
        self.rename("Later")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            self.assertEqual((self.name(), self.health()), (before, {"status": "up"}))
            time.sleep(0.1)
        self.assertEqual(len(self.process.logs(self.no_figure)), 1)
        self.assertEqual(self.process.logs("replica is away: reading from the primary"), [])

    def test_functions_that_may_not_be_called__bound_nothing(self):
        self.take_away("pg_last_xact_replay_timestamp")
        self.begin_as_app()
        self.assert_no_figure()

    def test_functions_that_are_not_supported__bound_nothing_and_cost_no_connection(self):
        self.make_unsupported(("pg_last_wal_replay_lsn", "pg_lsn"), ("pg_current_wal_flush_lsn", "pg_lsn"))
        self.begin_as_app()
        self.assert_no_figure()

    def say(self, *rows):
        values = ", ".join(f"('{name}', {lag})" for name, lag in rows)
        self.primary.query(f"TRUNCATE aurora_lag; INSERT INTO aurora_lag VALUES {values}")

    def create_status(self):
        self.primary.query("CREATE TABLE aurora_lag (server_id text, replica_lag_in_msec double precision);"
                           "CREATE FUNCTION aurora_replica_status() RETURNS SETOF aurora_lag LANGUAGE sql AS 'SELECT * FROM aurora_lag'")

    def test_aurora_replica_status__is_asked_instead(self):
        self.create_status()
        self.take_away("pg_last_wal_replay_lsn")
        self.say(("writer", "NULL"), ("reader", 20))
        self.begin_as_app()
        self.assertEqual(self.health(), {"status": "up"})
        self.say(("writer", "NULL"), ("reader", 60000))
        wait_for(lambda: self.health() == {"status": "lagging", "lagMs": 60000}, 10, "health tells")
        self.rename("Later")
        wait_for(lambda: self.name() == "Later", 10, "reads go to the primary, once each reader has asked")
        self.say(("writer", "NULL"), ("reader", 15.5))
        self.assert_comes_back()
        self.assertEqual(self.process.logs(self.no_figure), [])

    def test_aurora_with_several_readers__looks_at_its_own(self):
        self.create_status()
        self.primary.query("CREATE FUNCTION aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$")
        self.take_away("pg_last_wal_replay_lsn")
        self.say(("mine", 20), ("other", 60000))
        self.begin_as_app()
        self.assertEqual(self.health(), {"status": "up"})
        self.say(("mine", 70000), ("other", 20))
        wait_for(lambda: self.health() == {"status": "lagging", "lagMs": 70000}, 10, "health tells")


if __name__ == "__main__":
    unittest.main()
