"""Two schedulers of one database, whose schedules differ."""

import json
import signal
import unittest

import support
from support import patience, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

EVERY_SECOND = "* * * * * *"
OTHER_SECOND = "*/2 * * * * *"
PATIENCE_S = 75  # for how long a scheduler waits for another to go
HOLD_S = 60  # for how long one that says nothing is taken to be there
WAITING = "another scheduler has a different schedule: waiting for it to stop"
REFUSED = "another scheduler has a different schedule: give both the same, or run one"
REPLACED = "another scheduler has replaced the schedule"


class HoldTest(support.SchedulersTest):
    module = module

    def setUp(self):
        super().setUp()
        self.database.socket.settimeout(patience(120))

    def schedule(self, job="cleanup"):
        return self.database.value(f"SELECT schedule FROM millrace.job WHERE name = '{job}'")

    def holders(self, job="cleanup"):
        """The process ids of those that stand behind a job's schedule."""
        holders = json.loads(self.database.value(f"SELECT holders FROM millrace.job WHERE name = '{job}'"))
        return {int(holder.split(":")[1]) for holder in holders}

    def ticks(self, job="cleanup"):
        return self.database.count("millrace.job_run", f"job = '{job}' AND trigger = 'cron'")

    def assert_goes_on(self, job="cleanup"):
        made = self.ticks(job)
        wait_for(lambda: self.ticks(job) > made, 20, "ticks have runs")

    def waiting(self, **settings):
        """One that waits for another to go, and is well."""
        process = self.scheduler(**settings)
        wait_for(lambda: process.logs(WAITING), 20, "it says that it waits")
        support.assert_becomes(self, lambda: (process.pulse()["status"], process.pulse()["scheduler"]["status"]), ("ok", "waiting"))
        return process

    def wait_for_up(self, process, seconds):
        wait_for(lambda: process.pulse()["scheduler"]["status"] == "up", seconds, "its schedules are in the table")


class Differing(HoldTest):
    def test_second__that_differs_waits_and_is_refused(self):
        first = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND)
        second = self.waiting(SCHEDULE_TASK_CLEANUP_CRON=OTHER_SECOND, SCHEDULE_TASK_REPORT_CRON=EVERY_SECOND,
                              SCHEDULE_TIMEZONE="Europe/Berlin")
        self.assertEqual(second.wait(PATIENCE_S + 30), 1)
        lines = second.logs(REFUSED)
        self.assertEqual({(line["level"], line["job"], line["schedule"], line["otherSchedule"], line["timezone"], line["otherTimezone"])
                          for line in lines}, {("error", "cleanup", OTHER_SECOND, EVERY_SECOND, "Europe/Berlin", "UTC"),
                                               ("error", "report", EVERY_SECOND, "", "Europe/Berlin", "")})
        self.assertEqual({line["heldBy"].split(":")[1] for line in lines}, {str(first.pid)})
        self.assertRegex(lines[0]["heldUntil"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(len(second.logs(WAITING)), 2)
        self.assertEqual((self.schedule(), self.schedule("report"), self.ticks("report")), (EVERY_SECOND, None, 0))
        self.assertEqual(first.pulse()["scheduler"]["status"], "up")
        self.assert_goes_on()

    def test_second__that_is_the_same_shares_and_a_third_that_differs_waits_for_both(self):
        same = [self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND) for _ in range(2)]
        self.assertEqual(self.holders(), {process.pid for process in same})
        third = self.waiting(SCHEDULE_TASK_CLEANUP_CRON=OTHER_SECOND)
        self.assertEqual(same[0].stop(), 0)
        wait_for(lambda: self.holders() == {same[1].pid}, 10, "the first is gone")
        self.assertEqual((third.pulse()["scheduler"]["status"], self.schedule()), ("waiting", EVERY_SECOND))
        self.assertEqual(same[1].stop(), 0)
        self.wait_for_up(third, 15)  # long before a hold would have run out
        self.assertEqual((self.schedule(), self.holders()), (OTHER_SECOND, {third.pid}))
        self.assert_goes_on()
        self.assertEqual((third.logs(REFUSED), third.stop(), self.holders()), ([], 0, set()))

    def test_one_that_was_killed__is_in_the_way_for_a_minute(self):
        first = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND)
        first.kill()
        left = float(self.database.value("SELECT extract(epoch FROM max(h.value::timestamptz) - now()) FROM millrace.job, jsonb_each_text(holders) h"))
        self.assertTrue(0 < left <= HOLD_S, left)
        second = self.waiting(SCHEDULE_TASK_CLEANUP_CRON=OTHER_SECOND)
        self.database.query("UPDATE millrace.job SET holders = (SELECT jsonb_object_agg(h.key, now()) FROM jsonb_each_text(holders) h)")
        self.wait_for_up(second, 15)
        self.assertEqual((self.schedule(), self.holders()), (OTHER_SECOND, {second.pid}))
        self.assert_goes_on()

    def test_hold__is_kept_while_the_process_lives(self):
        self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND)
        self.database.query("UPDATE millrace.job SET holders = '{\"gone:1:1\": \"2020-01-01T00:00:00Z\"}'")
        wait_for(lambda: self.database.count("job, jsonb_each_text(holders) h", "h.value::timestamptz > now() + interval '30 seconds'") >= 7,
                 patience(40), "it says that it is there")
        self.assertEqual(self.database.count("millrace.job", "holders ? 'gone:1:1'"), 0)

    def test_process__whose_schedule_was_replaced_ends(self):
        """By a release that knows of no holds; or while it was frozen for longer than its hold."""
        process = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND)
        self.assert_goes_on()
        process.signal(signal.SIGSTOP)
        self.database.query(f"UPDATE millrace.job SET schedule = '0 0 1 1 *', holders = '{{}}' WHERE name = 'cleanup'")
        process.signal(signal.SIGCONT)
        self.assertEqual(process.wait(60), 1)
        (line,) = process.logs(REPLACED)
        self.assertEqual((line["level"], line["job"], line["schedule"], line["otherSchedule"]), ("error", "cleanup", EVERY_SECOND, "0 0 1 1 *"))
        self.assertEqual((self.schedule(), self.holders()), ("0 0 1 1 *", set()))


if __name__ == "__main__":
    unittest.main()
