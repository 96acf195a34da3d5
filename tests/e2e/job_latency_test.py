"""Jobs while rows are locked, ticks refused or a backlog waits: ticks of others come in time, and health answers at once."""

import time
import unittest

import job_trouble_test
import support
from job_trouble_test import EVERY_SECOND
from support import patience, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class LatencyTest(job_trouble_test.TroubleTest):
    module = module

    def slowest_answer(self, process, seconds):
        """Asks for the pulse over and over; the seconds that the slowest answer took, and every status."""
        slowest, statuses, until = 0.0, set(), time.monotonic() + seconds
        while time.monotonic() < until:
            watch = support.Stopwatch()
            statuses.add((process.pulse() or {}).get("status"))
            slowest = max(slowest, watch.seconds())
            time.sleep(0.02)
        return slowest, statuses

    def lateness(self, job, since):
        """How late the ticks of a job were made, of those since a moment; the worst, in seconds."""
        return float(self.database.value("SELECT coalesce(max(extract(epoch FROM created_at - scheduled_for)), 99) FROM millrace.job_run "
                                         f"WHERE job = '{job}' AND trigger = 'cron' AND scheduled_for > '{since}'"))


class Refused(LatencyTest):
    def test_tick__of_one_job_that_is_refused_does_not_stop_the_others(self):
        self.database.query("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON millrace.job_run FOR EACH ROW WHEN (NEW.job = 'aggregate') EXECUTE FUNCTION refuse()""")
        process = self.scheduler(SCHEDULE_TASK_AGGREGATE_CRON=EVERY_SECOND, SCHEDULE_TASK_REPORT_CRON=EVERY_SECOND)
        since, watch = self.now(), support.Stopwatch()
        wait_for(lambda: self.database.count("millrace.job_run", "job = 'report'") >= 5, 7, "the others tick")
        self.assertLess(self.lateness("report", since), patience(1) * watch.slowness())
        self.assertEqual(self.database.count("millrace.job_run", "job = 'aggregate'"), 0)
        self.database.query("DROP TRIGGER refuse ON millrace.job_run")
        wait_for(lambda: self.database.count("millrace.job_run", "job = 'aggregate'"), 40, "it goes on by itself")
        self.assertEqual(process.stop(), 0)


class Locks(LatencyTest):
    def assert_nobody_waits(self, process, lock, seconds=7):
        """While a row is held ticks of another job come in time, and health answers at once."""
        with module.server.database(self.name) as holder:
            holder.query("BEGIN")
            holder.query(lock)
            since, watch = self.now(), support.Stopwatch()
            slowest, statuses = self.slowest_answer(process, seconds)
            late, slowness = self.lateness("aggregate", since), watch.slowness()
            holder.query("ROLLBACK")
        print(f"slowest answer {slowest * 1000:.0f} ms, latest tick {late * 1000:.0f} ms")
        self.assertEqual(statuses, {"ok"})
        self.assertLess(slowest, patience(0.7))
        self.assertLess(late, patience(0.7) * slowness)

    def test_row_of_a_run_at_work__keeps_no_tick_waiting(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 20_000, days_old=60, complete=True)
        process = self.scheduler(SCHEDULE_TASK_AGGREGATE_CRON=EVERY_SECOND, JOB_CHUNK_ROWS=50)
        run_id = self.database.add_run("cleanup")
        self.database.wait_for_run(run_id, 20, "running", done=50)
        self.assert_nobody_waits(process, f"SELECT FROM millrace.job_run WHERE id = '{run_id}' FOR UPDATE")
        self.assertEqual(self.database.run(run_id)["state"], "running")
        self.assertEqual(self.database.wait_for_run(run_id, 90)["attempt"], 1)
        self.assertEqual(process.stop(), 0)

    def test_row_of_a_job__keeps_no_tick_of_another_waiting(self):
        process = self.scheduler(SCHEDULE_TASK_AGGREGATE_CRON=EVERY_SECOND, SCHEDULE_TASK_REPORT_CRON=EVERY_SECOND)
        self.assert_nobody_waits(process, "SELECT FROM millrace.job WHERE name = 'report' FOR UPDATE")
        since = self.now()
        wait_for(lambda: self.database.count("millrace.job_run", f"job = 'report' AND scheduled_for > '{since}'"), 40, "its own ticks go on")
        self.assertEqual(process.stop(), 0)


class Backlog(LatencyTest):
    def test_backlog__behind_a_run_at_work_costs_nothing_and_has_an_age(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 50_000, days_old=60, complete=True)
        self.database.query("""CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
            CREATE TRIGGER dawdle AFTER DELETE ON task FOR EACH STATEMENT EXECUTE FUNCTION dawdle()""")
        process = self.scheduler(SCHEDULE_TASK_AGGREGATE_CRON=EVERY_SECOND, METRICS_EMF="true", JOB_CHUNK_ROWS=50)
        self.database.wait_for_run(self.database.add_run("cleanup"), 20, "running", done=50)
        self.database.query("""INSERT INTO millrace.job_run (id, job, trigger, run_after)
            SELECT gen_random_uuid(), 'cleanup', 'manual', now() - interval '100 seconds' FROM generate_series(1, 200000);
            INSERT INTO millrace.job_run (id, job, trigger, run_after) VALUES (gen_random_uuid(), 'report', 'manual', now() + interval '1 hour');
            ANALYZE millrace.job_run""")
        queued = support.Stopwatch()
        read = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'job_run'"
        time.sleep(31)  # from then on it looks for runs to rescue, too
        before, since, watch = int(self.database.value(read)), self.now(), support.Stopwatch()
        slowest, statuses = self.slowest_answer(process, 8)
        time.sleep(1.2)
        rows = int(self.database.value(read)) - before
        print(f"{rows} index entries read in 8 s, slowest answer {slowest * 1000:.0f} ms")
        self.assertEqual(statuses, {"ok"})
        self.assertLess(rows, 20_000)
        self.assertLess(self.lateness("aggregate", since), patience(0.9) * watch.slowness())
        ages = wait_for(lambda: [line["JobQueueAge"] for line in process.logs() if line.get("JobQueueAge", 0) >= 100_000], 125, "figures")
        self.assertLess(ages[0], 1000 * queued.passed() + 160_000)
        self.assertEqual(process.stop(), 0)

    def test_avalanche__of_missed_ticks_comes_in_portions(self):
        self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND).stop()
        self.database.query("TRUNCATE millrace.job_run; UPDATE millrace.job SET ticked_at = now() - interval '6 hours' WHERE name = 'cleanup'")
        process = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND, SCHEDULE_TASK_REPORT_CRON=EVERY_SECOND, SCHEDULE_MISSED="all")
        slowest, statuses = self.slowest_answer(process, 6)
        print(f"slowest answer {slowest * 1000:.0f} ms")
        self.assertEqual(statuses, {"ok"})
        self.assertLess(slowest, patience(0.7))
        wait_for(lambda: self.database.count("millrace.job_run", "job = 'cleanup'") >= 21600, 60, "all of them are there")
        self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
