"""Schedulers follow kinds of push and pull while they run: ticks, pauses, changes, and what time does to their runs."""

import time
import unittest

import support
from support import wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

EVERY_SECOND = "* * * * * *"


class KindTest(support.SchedulersTest):
    module = module

    def kind(self, name="poke", schedule=EVERY_SECOND, work="pull", **columns):
        columns = {"schedule": f"'{schedule}'" if schedule else "NULL", "ticked_at": "now()", "manual": "false", "work": f"'{work}'",
                   "origin": "'managed'", **columns}
        self.database.query(f"INSERT INTO millrace.job (name, {', '.join(columns)}) VALUES ('{name}', {', '.join(columns.values())})")

    def ticks(self, job="poke"):
        return [int(row[0]) for row in self.database.query(
            f"SELECT extract(epoch FROM scheduled_for)::bigint FROM millrace.run WHERE job = '{job}' AND trigger = 'cron' ORDER BY 1")]

    def assert_no_ticks_from_now_on(self):
        """A second passes, in which there would be one. One that was being made when this began does not count."""
        since = self.database.value("SELECT clock_timestamp()")
        time.sleep(1.5)
        self.assertEqual(self.database.count("millrace.run", f"trigger = 'cron' AND created_at > '{since}'"), 0)

    def wait_for_ticks(self, more=2, job="poke", seconds=10):
        before = len(self.ticks(job))
        return wait_for(lambda: len(self.ticks(job)) >= before + more and self.ticks(job), seconds, "ticks")


class Ticks(KindTest):
    def test_kind_made_while_it_runs__ticks_once_however_many_schedulers(self):
        two = [self.scheduler() for _ in range(2)]
        self.kind()
        self.wait_for_ticks(2)
        two[0].kill()
        self.wait_for_ticks(2)
        ticks = self.ticks()
        self.assertEqual(ticks, list(range(ticks[0], ticks[-1] + 1)))
        row = self.database.query("SELECT next_at IS NOT NULL, ticked_at > now() - interval '5 seconds' FROM millrace.job WHERE name = 'poke'")
        self.assertEqual(row, [["t", "t"]])
        self.assertEqual(two[1].stop(), 0)
        self.assertEqual(self.database.count("millrace.job_run", "job = 'poke'"), 0)

    def test_schedule__that_is_changed_is_followed_within_moments(self):
        process = self.scheduler()
        self.kind(schedule="0 0 1 1 *")
        wait_for(lambda: self.database.value("SELECT next_at FROM millrace.job WHERE name = 'poke'"), 5, "its next tick is told")
        self.database.query(f"UPDATE millrace.job SET schedule = '{EVERY_SECOND}', timezone = 'Asia/Kathmandu', ticked_at = now() WHERE name = 'poke'")
        self.wait_for_ticks(2)
        self.database.query("UPDATE millrace.job SET schedule = '30 2 * * *', timezone = 'Europe/Berlin', ticked_at = now() WHERE name = 'poke'")
        told = "SELECT to_char(next_at AT TIME ZONE 'Europe/Berlin', 'HH24:MI:SS') FROM millrace.job WHERE name = 'poke'"
        wait_for(lambda: self.database.value(told) == "02:30:00", 5, "it follows the new zone")
        self.database.query("UPDATE millrace.job SET removed_at = now(), schedule = '* * * * * *', ticked_at = now() WHERE name = 'poke'")
        self.assert_no_ticks_from_now_on()
        self.assertEqual(process.stop(), 0)

    def test_paused__ticks_are_missed_and_treated_so_when_it_goes_on(self):
        self.kind("all", missed="'all'")
        self.kind("once", missed="'once'")
        self.kind("skip", missed="'skip'")
        process = self.scheduler()
        for job in ("all", "once", "skip"):
            self.wait_for_ticks(1, job)
        self.database.query("UPDATE millrace.job SET paused_at = now() WHERE origin = 'managed'")
        self.assert_no_ticks_from_now_on()
        process.kill()
        # A minute passes.
        self.database.query("UPDATE millrace.run SET scheduled_for = scheduled_for - interval '1 minute'; "
                            "UPDATE millrace.job SET ticked_at = now() - interval '1 minute' WHERE origin = 'managed'")
        self.database.query("UPDATE millrace.job SET paused_at = NULL WHERE origin = 'managed'")
        resumed = int(float(self.database.value("SELECT extract(epoch FROM now())")))
        self.scheduler()
        self.wait_for_ticks(2, "skip")
        count = {job: len([tick for tick in self.ticks(job) if resumed - 58 <= tick < resumed - 12]) for job in ("all", "once", "skip")}
        self.assertGreater(count["all"], 40)
        self.assertLessEqual(count["once"], 1)
        self.assertEqual(count["skip"], 0)

    def test_schedule__that_cannot_be_followed_or_is_refused_is_told_and_stops_no_other(self):
        self.kind("wrong", schedule="61 * * * *")
        self.kind("nowhere", timezone="'Europe/Nowhere'")
        self.kind("never", schedule="30 2 25-31 3 */7", timezone="'Europe/Berlin'")  # where the clocks skip that hour on just this day
        self.kind("needs", args="""'{"id": {"type": "uuid", "required": true}}'""")
        self.kind()
        process = self.scheduler()
        self.wait_for_ticks(2)
        self.assertEqual({line["job"] for line in process.said("schedule cannot be followed", 3)}, {"wrong", "nowhere", "never"})
        self.assertEqual(len(process.logs("schedule cannot be followed")), 3)
        self.assertEqual(process.said("tick refused")[0]["job"], "needs")
        self.assertEqual(self.ticks("needs"), [])
        self.assertEqual(process.stop(), 0)


class Time(KindTest):
    def test_runs__are_made_ready_when_they_are_due_and_leases_end(self):
        self.kind(schedule=None, timeout_ms="1000")
        process = self.scheduler()
        queued = time.monotonic()
        self.database.query("SELECT millrace.enqueue('poke', run_at => now() + interval '1 second')")
        claimed = wait_for(lambda: self.database.query("SELECT id FROM millrace.claim_runs('poke', 1, 300, 'w', '')"), 10, "it is ready")
        self.assertGreater(time.monotonic() - queued, 0.5)
        # Nobody tells what came of it: the lease runs out, the attempt has failed, and it waits for the next.
        state = f"SELECT state FROM millrace.every_run WHERE id = '{claimed[0][0]}'"
        wait_for(lambda: self.database.value(state) == "failed", 10, "the lease runs out")

        # Those whose lease lasts are nobody's to rescue, however old they are.
        self.kind("other", schedule=None)
        self.database.query("SELECT millrace.enqueue('other')")
        claimed = self.database.query("SELECT id, claim FROM millrace.claim_runs('other', 1, 600000, 'w', '')")
        self.database.query("UPDATE millrace.lease SET started_at = now() - interval '1 hour'; UPDATE millrace.run SET created_at = now() - interval '1 hour'")
        self.database.wait_for_run(self.database.add_run("aggregate"))
        told = self.database.query(f"SELECT status, state FROM millrace.settle_runs(ARRAY['{claimed[0][0]}']::uuid[], ARRAY[{claimed[0][1]}]::bigint[], "
                                   "ARRAY['succeeded'], NULL, NULL, NULL, NULL, NULL)")
        self.assertEqual(told, [["200", "succeeded"]])
        self.assertEqual(process.stop(), 0)

    def test_idle_release__rests_and_wakes_up_for_a_run_that_becomes_due(self):
        self.kind(schedule=None)
        self.database.query("SELECT millrace.enqueue('poke', run_at => now() + interval '30 seconds')")
        self.scheduler(DB_IDLE_RELEASE="1s")
        self.database.query("UPDATE millrace.later SET at = now() + interval '3 seconds'")  # soon, but not before it has begun to rest
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^(scheduler|job/|declare)' AND datname = current_database()"
        wait_for(lambda: self.database.value(ours) == "0", 30, "the connections are closed")
        wait_for(lambda: self.database.count("millrace.ready") == 1, 60, "it is ready when it is due")
        wait_for(lambda: self.database.value(ours) == "0", 30, "the connections are closed again")


if __name__ == "__main__":
    unittest.main()
