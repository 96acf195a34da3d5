"""Jobs while something is wrong that a restart does not mend: refusals, locks, clocks. Loops pause, and nothing is lost."""

import time
import unittest

import support
from support import patience, run, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

EVERY_SECOND = "* * * * * *"


class TroubleTest(support.SchedulersTest):
    module = module

    def setUp(self):
        super().setUp()
        self.database.socket.settimeout(patience(120))

    def failed_statements(self):
        """How many transactions have failed in this database so far; the server's figures come within a second."""
        time.sleep(1.2)
        return int(self.database.value("SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"))

    def now(self):
        return self.database.value("SELECT clock_timestamp()")


class Refused(TroubleTest):
    """The connection stands, and the database refuses what is asked."""

    def assert_calm(self, process, seconds=12):
        before = self.failed_statements()
        time.sleep(seconds)
        failures = self.failed_statements() - before
        lines = len([line for line in process.logs() if line["level"] in ("warn", "error")])
        print(f"{failures} statements failed in {seconds} s, {lines} lines")
        self.assertLess(failures, 200)
        self.assertLess(lines, 100)

    def test_runs__that_cannot_be_written_are_tried_at_a_growing_pace_and_health_says_so(self):
        process = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND)
        wait_for(lambda: self.database.count("millrace.job_run", "state = 'succeeded'"), 10, "it works")
        self.database.query("ALTER TABLE millrace.job_run RENAME TO hidden")
        self.assert_calm(process)
        pulse = process.pulse()
        self.assertEqual((pulse["status"], pulse["scheduler"]["status"], pulse["database"]["status"]), ("error", "failing", "up"))
        self.database.query("ALTER TABLE millrace.hidden RENAME TO job_run")
        wait_for(lambda: process.pulse()["status"] == "ok", 60, "it is well again")
        mended = self.now()
        wait_for(lambda: self.database.count("millrace.job_run", f"scheduled_for > '{mended}' AND state = 'succeeded'"), 40, "ticks and runs go on")
        process.said("statement succeeds again")
        self.assertEqual(process.stop(), 0)

    def test_schedules__that_cannot_be_told_are_tried_at_a_growing_pace(self):
        self.database.query("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
            CREATE TRIGGER refuse BEFORE UPDATE ON millrace.job FOR EACH ROW EXECUTE FUNCTION refuse()""")
        process = self.scheduler(ready=False, SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND)
        wait_for(lambda: process.logs("database connected"), 20, "it connects")
        self.assert_calm(process)
        self.assertEqual(process.pulse()["status"], "error")
        self.database.query("DROP TRIGGER refuse ON millrace.job")
        process.ready(60)
        self.assertEqual(process.stop(), 0)


class Locks(TroubleTest):
    def test_heart__beats_at_the_end_of_a_chunk_not_at_its_beginning(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 3, days_old=60, complete=True)
        self.database.query("""CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(4); RETURN NULL; END $$;
            CREATE TRIGGER dawdle AFTER DELETE ON task FOR EACH STATEMENT EXECUTE FUNCTION dawdle()""")
        self.scheduler(JOB_CHUNK_ROWS=1)
        run_id = self.database.add_run("cleanup")
        seen = wait_for(lambda: self.database.query(f"SELECT extract(epoch FROM heartbeat_at - started_at) FROM millrace.job_run "
                                                    f"WHERE id = '{run_id}' AND done = 1"), 20, "a chunk is done")
        self.assertGreater(float(seen[0][0]), 3.9)

    def test_table_lock__spends_no_attempt_and_the_run_says_what_it_waits_for(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 10, days_old=60, complete=True)
        process = self.scheduler(DB_LOCK_TIMEOUT="100ms")
        with module.server.database(self.name) as holder, support.TaskLock(holder):
            run_id = self.database.add_run("cleanup")
            wait_for(lambda: self.database.run(run_id)["error"], 10, "it says so")
            time.sleep(9)
            row = self.database.run(run_id)
            self.assertEqual((row["state"], row["attempt"]), ("running", 1))
            self.assertEqual(row["error"], "waits for a lock that somebody else holds (SQLSTATE 55P03)")
            self.assertLess(len(process.logs("job chunk is retried")), 15)
            self.assertEqual(process.pulse()["status"], "ok")
        row = self.database.wait_for_run(run_id, 40)
        self.assertEqual((row["attempt"], row["error"], row["result"]["tasks"]), (1, None, 10))
        self.assertEqual(process.stop(), 0)

    def test_table_lock__that_outlasts_the_setting_is_a_failure(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 10, days_old=60, complete=True)
        self.scheduler(DB_LOCK_TIMEOUT="100ms", JOB_BLOCKED_MAX="1s")
        with module.server.database(self.name) as holder, support.TaskLock(holder):
            run_id = self.database.add_run("cleanup")
            wait_for(lambda: self.database.run(run_id)["state"] == "failed", 20, "it fails")
            self.assertEqual(self.database.run(run_id)["error"], "a statement was refused (SQLSTATE 55P03)")
        self.assertEqual(self.database.wait_for_run(run_id, 40)["attempt"], 2)


class Clocks(TroubleTest):
    def test_mark__that_is_ahead_of_the_clock_is_set_back_and_the_log_says_so(self):
        self.scheduler(SCHEDULE_TASK_CLEANUP_CRON="0 3 * * *").stop()
        self.database.query("UPDATE millrace.job SET ticked_at = now() + interval '1 day' WHERE name = 'cleanup'")
        process = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON="0 3 * * *")
        self.assertEqual(self.database.count("millrace.job", "name = 'cleanup' AND ticked_at <= now()"), 1)
        lines = process.said("ticks were handled ahead of time, by a process whose clock was fast")
        self.assertEqual([line["job"] for line in lines], ["cleanup"])
        self.assertEqual(process.stop(), 0)
        # What is missed from now on is caught up.
        self.database.query("UPDATE millrace.job SET ticked_at = now() - interval '2 days' WHERE name = 'cleanup'")
        self.scheduler(SCHEDULE_TASK_CLEANUP_CRON="0 3 * * *")
        wait_for(lambda: self.database.count("millrace.job_run", "job = 'cleanup' AND trigger = 'cron'") == 1, 10, "it is caught up")

    def test_tick__that_falls_into_a_gap_for_ever_is_refused(self):
        for job, setting, place in (("cleanup", "SCHEDULE_TASK_CLEANUP_CRON", "SCHEDULE_TASK_CLEANUP_CRON="),
                                    ("report", "SCHEDULE_TASK_REPORT_CRON", "job report: cron ")):  # the application's
            with self.subTest(job=job):
                done = run("scheduler", DB_HOST="nowhere.invalid", SCHEDULE_TIMEZONE="Europe/Berlin", **{setting: "30 2 25-31 3 */7"})
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(place + "30 2 25-31 3 */7: expected a tick that can come in the zone Europe/Berlin", done.stderr)


class Calendar(TroubleTest):
    def test_week__of_a_report_is_that_of_the_zone_its_tick_follows(self):
        for zone, tick, first, last in (("Asia/Tokyo", "2026-01-04T20:00Z", "2025-12-28T15:00Z", "2026-01-04T15:00Z"),
                                        ("Europe/Berlin", "2026-03-30T03:00Z", "2026-03-22T23:00Z", "2026-03-29T22:00Z"),  # 167 hours
                                        ("Europe/Berlin", "2026-10-25T23:30Z", "2026-10-18T22:00Z", "2026-10-25T23:00Z"),  # 169 hours
                                        ("UTC", "2026-01-05T00:00Z", "2025-12-29T00:00Z", "2026-01-05T00:00Z")):
            with self.subTest(zone=zone, tick=tick):
                user, _ = self.database.add_user()
                process = self.scheduler(SCHEDULE_TIMEZONE=zone)
                run_id = self.database.value("INSERT INTO millrace.job_run (id, job, trigger, scheduled_for) "
                                             f"VALUES (gen_random_uuid(), 'report', 'cron', '{tick}') RETURNING id")
                self.database.wait_for_run(run_id, 20)
                self.assertEqual(self.database.count("report", f"user_id = '{user}' AND period_from = '{first}' AND period_to = '{last}'"), 1,
                                 self.database.query("SELECT period_from, period_to FROM report"))
                self.assertEqual(process.stop(), 0)
                self.database.query("TRUNCATE report, millrace.job_run")


class Large(TroubleTest):
    """No unit of a job's work is larger than a chunk."""

    def test_report__of_a_user_with_very_many_tasks_is_counted_in_pieces(self):
        users = sorted(self.database.add_user()[0] for _ in range(9))
        for number, user in enumerate(users):
            self.database.add_tasks(user, 60_000 if number in (3, 4) else 30)
            self.database.add_tasks(user, 20, days_old=60, complete=True)
        self.database.query("UPDATE task SET priority_code = (ARRAY['URGENT', 'HIGH', 'LOW'])[get_byte(uuid_send(id), 0) % 3 + 1], "
                            "due_at = CASE WHEN get_byte(uuid_send(id), 1) % 2 = 0 THEN now() - interval '1 hour' END")
        self.database.query("""CREATE TABLE seen (cursor text);
            CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (NEW.cursor); RETURN NULL; END';
            CREATE TRIGGER see AFTER UPDATE OF cursor ON millrace.job_run FOR EACH ROW EXECUTE FUNCTION see()""")
        process = self.scheduler(JOB_CHUNK_ROWS=1000)
        run_id = self.database.add_run("report")
        self.database.wait_for_run(run_id, 60)
        self.assertGreater(int(self.database.value("SELECT count(DISTINCT cursor) FROM seen WHERE cursor LIKE '%{%'")), 10)
        self.assertEqual(self.database.run(run_id)["done"], 9)
        wrong = self.database.query("""SELECT r.user_id, r.figures, c.*
              FROM report r
             CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE created_at >= r.period_from) AS created, count(*) FILTER (WHERE NOT is_complete) AS open,
                                        count(*) FILTER (WHERE NOT is_complete AND due_at < r.period_to) AS overdue,
                                        count(*) FILTER (WHERE NOT is_complete AND priority_code = 'HIGH') AS high
                                   FROM task t WHERE t.user_id = r.user_id) c
             WHERE (r.figures ->> 'created', r.figures ->> 'open', r.figures ->> 'overdue', r.figures -> 'byPriority' -> 'HIGH' ->> 'open')
                   IS DISTINCT FROM (c.created::text, c.open::text, c.overdue::text, c.high::text)""")
        self.assertEqual((wrong, self.database.count("report")), ([], 9))
        self.assertEqual(process.stop(), 0)


class Housekeeping(TroubleTest):
    def fill(self):
        """Something of everything that is left behind."""
        self.user, _ = self.database.add_user()
        self.database.query(f"""INSERT INTO millrace.session (id, user_id, password_version, created_at)
                VALUES ('{self.user}', '{self.user}', 1, now() - interval '40 days');
            INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at) VALUES (gen_random_uuid(), '{self.user}', 'x', now() - interval '1 day');
            INSERT INTO millrace.idempotency_key (user_id, key, fingerprint, answer, created_at) VALUES ('{self.user}', 'k', '', '{{}}', now() - interval '2 days');
            INSERT INTO millrace.job_run (id, job, trigger, state, finished_at) VALUES (gen_random_uuid(), 'report', 'manual', 'succeeded', now() - interval '20 days');
            INSERT INTO millrace.job_run (id, job, trigger, state, finished_at) VALUES ('{self.user}', 'import', 'user', 'succeeded', now());
            INSERT INTO millrace.import_part (run_id, part, bytes, created_at) VALUES ('{self.user}', 0, 'x', now() - interval '2 hours')""")
        self.database.add_tasks(self.user, 3, days_old=60, complete=True)

    def left(self):
        return sum(self.database.count(table, where) for table, where in (
            ("millrace.session", "true"), ("millrace.refresh_token", "true"), ("millrace.idempotency_key", "true"), ("millrace.import_part", "true"), ("millrace.job_run", "job = 'report'")))

    def test_housekeeping__runs_daily_without_any_cron_and_deletes_no_task(self):
        process = self.scheduler(HOUSEKEEPING="true")
        self.assertEqual(self.database.query("SELECT name FROM millrace.job WHERE schedule IS NOT NULL"), [["housekeeping"]])
        process.said("no job is scheduled: only runs started by hand and retries are worked on")
        self.assertEqual(process.stop(), 0)
        self.fill()
        self.assertEqual(self.left(), 5)
        self.database.query("UPDATE millrace.job SET ticked_at = now() - interval '25 hours' WHERE name = 'housekeeping'")
        process = self.scheduler(HOUSEKEEPING="true")
        wait_for(lambda: self.left() == 0, 20, "all of it is gone")
        self.assertEqual(self.database.count("task"), 3)
        self.assertEqual(process.stop(), 0)

    def test_housekeeping__can_be_turned_off(self):
        process = self.scheduler(HOUSEKEEPING="false")
        self.assertEqual(self.database.query("SELECT name FROM millrace.job WHERE schedule IS NOT NULL"), [])
        self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
