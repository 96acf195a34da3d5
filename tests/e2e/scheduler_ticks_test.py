"""Ticks of `millrace scheduler` at one a second: each has its run, once, and in time."""

import statistics
import unittest

import scheduler_test
import support
from support import patience, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class Ticks(scheduler_test.SchedulerTest):
    module = module

    def test_ticks__two_schedulers_at_a_tick_a_second_run_each_once_miss_none_and_are_punctual(self):
        seconds = 20 if support.SANITIZE else 60
        watch = support.Stopwatch()
        two = [self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=scheduler_test.EVERY_SECOND) for _ in range(2)]
        wait_for(lambda: len(self.ticks()) >= seconds, seconds + 10, "so many ticks")
        before_the_signals = self.database.value("SELECT now() - interval '2 seconds'")
        for process in two:
            self.assert_stops(process)
        ticks = self.ticks()
        self.assertEqual(ticks, list(range(ticks[0], ticks[-1] + 1)))
        self.assertGreaterEqual(len(ticks), seconds)
        runs = self.database.query(f"SELECT state, attempt, scheduled_for < '{before_the_signals}' FROM millrace.job_run")
        self.assertEqual({(state, attempt) for state, attempt, is_before in runs if is_before == "t"}, {("succeeded", "1")})
        self.assertLessEqual({state for state, _, _ in runs}, {"succeeded", "queued"})  # queued: the signals met them
        late = sorted(float(row[0]) for row in self.database.query(
            "SELECT extract(epoch FROM started_at - scheduled_for) * 1000 FROM millrace.job_run WHERE started_at IS NOT NULL"))
        p95 = late[int(len(late) * 0.95)]
        print(f"start after the tick: median {statistics.median(late):.1f} ms, p95 {p95:.1f} ms, most {late[-1]:.1f} ms")
        self.assertGreaterEqual(late[0], 0)
        self.assertLess(statistics.median(late), patience(100) * watch.slowness())
        self.assertLess(p95, patience(1000) * watch.slowness())
        worked = [len([line for line in process.logs("job run") if line["outcome"] == "succeeded"]) for process in two]
        self.assertEqual(sum(worked), sum(row[0] == "succeeded" for row in runs))
        self.assertFalse([line for process in two for line in process.logs() if line["level"] in ("warn", "error")])

    def test_tick__of_a_job_that_is_still_at_work_waits_for_it(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 20000, days_old=60, complete=True)
        process = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=scheduler_test.EVERY_SECOND, JOB_CHUNK_ROWS=100)
        wait_for(lambda: len(self.ticks()) >= 3, 20, "three ticks")
        self.assert_stops(process)
        overlapping = self.database.count("millrace.job_run a JOIN millrace.job_run b ON a.id < b.id AND a.started_at < b.finished_at "
                                          "AND b.started_at < a.finished_at")
        self.assertEqual(overlapping, 0)


if __name__ == "__main__":
    unittest.main()
