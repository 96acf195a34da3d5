"""`millrace scheduler`: missed ticks, how it starts and stops, what it answers, and when it lets the database sleep."""

import glob
import json
import os
import signal
import statistics
import time
import unittest

import support
from support import Scheduler, patience, run, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

EVERY_SECOND = "* * * * * *"
ACTORS = "application_name ~ '^(scheduler|job/)' AND datname = current_database()"


class SchedulerTest(support.SchedulersTest):
    module = module

    def ticks(self, job="cleanup"):
        """Seconds since 1970 of the ticks that have a run, in order."""
        return [int(row[0]) for row in self.database.query(
            f"SELECT extract(epoch FROM scheduled_for)::bigint FROM millrace.job_run WHERE job = '{job}' AND trigger = 'cron' ORDER BY 1")]

    def assert_stops(self, process):
        self.assertEqual(process.stop(), 0, process.text()[-3000:])


class Missed(SchedulerTest):
    """A scheduler that was away: the moment up to which ticks were seen to is set back while none runs."""

    def setUp(self):
        super().setUp()
        # Once an hour, and half an hour from now: no tick comes while a test is at work, and the last is older than what is merely late.
        self.last = (int(time.time()) - 1800) // 60 * 60
        self.minute = self.last // 60 % 60
        self.assert_stops(self.scheduler(**self.settings("once")))
        self.database.query("DELETE FROM millrace.job_run")

    def settings(self, policy, cron=None):
        return {"SCHEDULE_TASK_CLEANUP_CRON": cron or f"0 {self.minute} * * * *", "SCHEDULE_MISSED": policy}

    def away(self, hours):
        """As if the last scheduler had ended so many hours before the last tick, which is returned: that many were missed."""
        self.database.query(f"UPDATE millrace.job SET ticked_at = to_timestamp({self.last}) - interval '{hours} hours' + interval '5 seconds', "
                            "next_at = NULL WHERE name = 'cleanup'")
        return self.last

    def test_missed__once_is_one_run_for_all(self):
        hour = self.away(30)
        process = self.scheduler(**self.settings("once"))
        wait_for(lambda: self.ticks(), 5, "a run")
        wait_for(lambda: process.outcomes(), 5, "it ends")
        self.assertEqual(self.ticks(), [hour])
        self.assertEqual([line["ticks"] for line in process.said("ticks missed")], [29])
        self.assert_stops(process)
        again = self.scheduler(**self.settings("once"))
        self.assertEqual((self.ticks(), again.logs("ticks missed")), ([hour], []))

    def test_missed__skip_makes_none(self):
        hour = self.away(30)
        process = self.scheduler(**self.settings("skip"))
        self.assertEqual([line["ticks"] for line in process.said("ticks missed")], [30])
        self.assertEqual(self.ticks(), [])
        seen_to = float(self.database.value("SELECT extract(epoch FROM ticked_at) FROM millrace.job WHERE name = 'cleanup'"))
        self.assertGreater(seen_to, hour)

    def test_missed__all_makes_one_each_of_the_last_day(self):
        hour = self.away(30)
        process = self.scheduler(**self.settings("all"))
        wait_for(lambda: len(self.ticks()) >= 24, 30, "the runs")
        wait_for(lambda: len(process.outcomes()) >= 24, 60, "they end")
        self.assertEqual(self.ticks(), [hour - i * 3600 for i in reversed(range(24))])
        self.assertEqual([line["ticks"] for line in process.said("ticks missed")], [6])

    def test_missed__a_schedule_that_is_new_begins_now(self):
        self.away(30)
        process = self.scheduler(**self.settings("all", f"0 {(self.minute + 1) % 60} * * * *"))
        wait_for(lambda: self.database.value("SELECT next_at FROM millrace.job WHERE name = 'cleanup'"), 5, "it is in the table")
        self.assertEqual((self.ticks(), process.logs("ticks missed")), ([], []))

    def test_missed__a_process_that_was_frozen_does_not_take_for_missed_what_another_saw_to(self):
        two = [self.scheduler(**self.settings("once", EVERY_SECOND)) for _ in range(2)]
        two[0].signal(signal.SIGSTOP)
        frozen = len(self.ticks())
        wait_for(lambda: len(self.ticks()) >= frozen + 13, 25, "more than ten seconds")
        two[0].signal(signal.SIGCONT)
        thawed = len(self.ticks())
        wait_for(lambda: len(self.ticks()) >= thawed + 3, 10, "both go on")
        for process in two:
            self.assertEqual(process.logs("ticks missed"), [])
            self.assert_stops(process)
        ticks = self.ticks()
        self.assertEqual(ticks, list(range(ticks[0], ticks[-1] + 1)))

    def test_missed__a_clock_that_was_ahead_does_not_silence_the_schedule(self):
        self.database.query("UPDATE millrace.job SET ticked_at = now() + interval '1 hour', schedule = '* * * * * *' WHERE name = 'cleanup'")
        self.scheduler(**self.settings("once", EVERY_SECOND))
        wait_for(lambda: len(self.ticks()) >= 2, 5, "ticks have runs")


class Prompt(SchedulerTest):
    def test_manual_run__starts_at_once_across_processes(self):
        api = module.server.api_process(self.name)
        self.addCleanup(api.kill)
        process = self.scheduler()
        client = api.ready().api()
        self.addCleanup(client.close)
        client.token = self.database.add_user("admin")[1]
        runs, watch = [], support.Stopwatch()
        for _ in range(25):
            answer = client.post("/v1/jobs/aggregate/runs", None)
            self.assertEqual(answer.status, 202, answer)
            runs.append(answer.json()["id"])
            self.database.wait_for_run(runs[-1], 10)
        waited = [float(row[0]) for row in self.database.query(
            "SELECT extract(epoch FROM started_at - created_at) * 1000 FROM millrace.job_run WHERE job = 'aggregate'")]
        print(f"start of a manual run: median {statistics.median(waited):.1f} ms, most {max(waited):.1f} ms")
        self.assertLess(statistics.median(waited), patience(100) * watch.slowness())
        support.assert_becomes(self, lambda: [outcome for run_id in runs for outcome in process.outcomes(run_id)], [("succeeded", 1)] * 25)

    def test_run__is_found_without_a_notice(self):
        self.scheduler()
        self.database.query("ALTER TABLE millrace.job_run DISABLE TRIGGER job_run_queued")
        watch = support.Stopwatch()
        self.database.wait_for_run(self.database.add_run("aggregate"), 10)
        self.assertLess(watch.seconds(), patience(2.5))


class Stopping(SchedulerTest):
    def test_sigterm__in_the_middle_gives_the_run_back_and_the_next_process_finishes_it(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 40000, days_old=60, complete=True)
        self.database.slow_down()
        first = self.scheduler(JOB_CHUNK_ROWS=1000)
        run_id = self.database.add_run("cleanup")
        self.database.wait_for_run(run_id, 20, "running", done=5000)
        watch = support.Stopwatch()
        first.signal(signal.SIGTERM)
        self.assertEqual(first.wait(), 0)
        print(f"SIGTERM in the middle of a run: {watch.passed() * 1000:.0f} ms")
        self.assertLess(watch.seconds(), patience(5))
        row = self.database.run(run_id)
        self.assertEqual((row["state"], row["attempt"], row["finished_at"], row["error"]), ("queued", 0, None, None))
        support.assert_becomes(self, lambda: first.outcomes(run_id), [("released", 1)])
        self.assertEqual(row["done"], 40000 - self.database.count("task"))
        self.database.hurry()
        second = self.scheduler()
        row = self.database.wait_for_run(run_id, 60)
        self.assertEqual((row["attempt"], row["result"]["tasks"]), (1, 40000))
        self.assertEqual(self.database.count("task"), 0)
        support.assert_becomes(self, lambda: second.outcomes(run_id), [("succeeded", 1)])

    def test_sigterm__to_one_of_two_hands_the_run_over_without_waiting_for_a_poll(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 20000, days_old=60, complete=True)
        self.database.slow_down()
        two = [self.scheduler(JOB_CHUNK_ROWS=500) for _ in range(2)]
        run_id = self.database.add_run("cleanup")
        self.database.wait_for_run(run_id, 20, "running", done=1000)
        pid = self.database.run(run_id)["claimed_by"].split(":")[1]
        owner, other = sorted(two, key=lambda process: str(process.pid) != pid)
        watch = support.Stopwatch()
        self.assert_stops(owner)
        self.database.hurry()
        self.database.wait_for_run(run_id, 60)
        support.assert_becomes(self, lambda: owner.outcomes(run_id) + other.outcomes(run_id), [("released", 1), ("succeeded", 1)])
        self.assertLess(other.logs("job run")[0]["waitedMs"], patience(800) * watch.slowness())

    def test_sigterm__while_a_statement_of_a_run_waits_for_a_lock(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 10, days_old=60, complete=True)
        process = self.scheduler()
        with module.server.database(self.name) as holder, support.TaskLock(holder) as lock:
            run_id = self.database.add_run("cleanup")
            lock.wait_for_waiters()
            watch = support.Stopwatch()
            self.assert_stops(process)
            self.assertLess(watch.seconds(), patience(5))
        row = self.database.run(run_id)
        self.assertEqual((row["state"], row["attempt"]), ("queued", 0))

    def test_sigterm__while_a_table_is_vacuumed(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 1000)
        process = self.scheduler()
        self.database.query(f"ALTER DATABASE {self.name} SET vacuum_cost_delay = 100; ALTER DATABASE {self.name} SET vacuum_cost_limit = 1")
        slow = self.scheduler()
        self.assert_stops(process)
        run_id = self.database.add_run("maintenance")
        wait_for(lambda: self.database.count("pg_stat_progress_vacuum"), 20, "a table is vacuumed")
        watch = support.Stopwatch()
        self.assert_stops(slow)
        self.assertLess(watch.seconds(), patience(5))
        row = self.database.run(run_id)
        self.assertEqual((row["state"], row["attempt"]), ("queued", 0))
        self.database.query(f"ALTER DATABASE {self.name} RESET ALL")
        self.scheduler()
        row = self.database.wait_for_run(run_id, 30)
        self.assertEqual(row["done"], len(row["result"]))
        self.assertIn("bloatPercent", row["result"]["task"])

    def test_second_signal__ends_at_once(self):
        process = self.scheduler(**support.ending_abruptly())
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 10, days_old=60, complete=True)
        with module.server.database(self.name) as holder, support.TaskLock(holder) as lock:
            self.database.add_run("cleanup")
            lock.wait_for_waiters()
            process.signal(signal.SIGTERM)
            wait_for(lambda: process.logs("draining"), 5, "it says so")
            process.signal(signal.SIGTERM)
            self.assertIn(process.wait(5), (0, 128 + signal.SIGTERM))


class Starting(SchedulerTest):
    def refused(self, **settings):
        done = run("scheduler", DB_HOST=os.path.join(module.server.state_dir, support.SERVER_DATABASE), **settings)
        self.assertEqual(done.returncode, 2, done)
        return done.stderr

    def test_settings__that_are_wrong_are_all_told_at_once(self):
        text = self.refused(SCHEDULE_TASK_CLEANUP_CRON="61 * * * *", SCHEDULE_TASK_REPORT_CRON="0 0 30 2 *",
                            SCHEDULE_TIMEZONE="Europe/Nowhere", SCHEDULE_MISSED="maybe", JOB_CHUNK_ROWS="0")
        for name in ("SCHEDULE_TASK_CLEANUP_CRON=61 * * * *: ", "(the value is that of SCHEDULE_TASK_REPORT_CRON)",
                     "SCHEDULE_TIMEZONE=Europe/Nowhere: ", "SCHEDULE_MISSED=maybe: ", "JOB_CHUNK_ROWS=0: "):
            self.assertIn(name, text)
        self.assertRegex(text, "SCHEDULE_TASK_CLEANUP_CRON=.*at character 1: ")

    def test_tick__that_the_zone_never_has_is_refused(self):
        text = self.refused(SCHEDULE_TASK_CLEANUP_CRON="30 2 L 3 *", SCHEDULE_TASK_REPORT_CRON="30 2 25-31 3 SUN",
                            SCHEDULE_TIMEZONE="Nowhere/AtAll")
        self.assertIn("SCHEDULE_TIMEZONE=Nowhere/AtAll", text)

    def test_nothing_scheduled__is_said_and_manual_runs_are_served(self):
        process = self.scheduler()
        process.said("no job is scheduled: only runs started by hand and retries are worked on")
        self.assertEqual(process.pulse()["scheduler"], {"status": "up", "nextTickMs": -1})
        self.database.wait_for_run(self.database.add_run("aggregate"))
        self.assertEqual(self.database.query("SELECT name FROM millrace.job WHERE schedule IS NOT NULL OR next_at IS NOT NULL"), [])
        self.assert_stops(process)
        for line in process.lines:
            self.assertLessEqual({"time", "level", "message"}, set(json.loads(line)))

    def held_jobs(self):
        """A session that holds every row of the table of jobs until it ends its transaction."""
        holder = module.server.database(self.name)
        self.addCleanup(holder.close)
        holder.query("BEGIN")
        holder.query("SELECT FROM millrace.job FOR UPDATE")
        return holder

    def test_jobs__that_somebody_holds_are_waited_for_and_told_at_the_pace_of_the_backoff(self):
        self.assert_stops(self.scheduler())  # the table has its rows
        holder = self.held_jobs()
        process = self.scheduler(ready=False)
        wait_for(lambda: any(line["failures"] > 3 for line in process.logs("statement failed")), 30, "it has asked over and over")
        told = [line["failures"] for line in process.logs("statement failed")]
        self.assertEqual(told, sorted(set(told)), "each line tells more failures than the one before")
        self.assertGreater(told[0], 1, "the first is no trouble yet: two that start at once meet for a moment")
        holder.query("COMMIT")
        process.ready()
        self.assertEqual(len(process.logs("statement succeeds again")), 1)

    def test_schedule__is_told_to_the_table_and_taken_back(self):
        process = self.scheduler(SCHEDULE_TASK_REPORT_CRON="0 5 * * MON", SCHEDULE_TIMEZONE="Europe/Berlin")
        row = wait_for(lambda: self.database.query("SELECT schedule, timezone, to_char(next_at AT TIME ZONE 'Europe/Berlin', 'FMDay HH24:MI:SS'), "
                                                   "next_at > now() FROM millrace.job WHERE next_at IS NOT NULL"), 5, "the schedule")
        self.assertEqual(row, [["0 5 * * MON", "Europe/Berlin", "Monday 05:00:00", "t"]])
        self.assert_stops(process)
        self.scheduler()
        self.assertEqual(self.database.count("millrace.job", "schedule IS NOT NULL OR next_at IS NOT NULL"), 0)

    def test_port__there_is_none(self):
        process = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON=EVERY_SECOND)
        wait_for(lambda: process.outcomes(), 10, "a run")
        sockets = set()
        for path in glob.glob(f"/proc/{process.pid}/fd/*"):
            try:
                sockets.add(os.readlink(path))
            except OSError:
                continue
        listening = []
        for table in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"/proc/{process.pid}/net/{table}") as file:
                rows = [line.split() for line in file.read().splitlines()[1:]]
            listening += [row[1] for row in rows if f"socket:[{row[9]}]" in sockets and (row[3] == "0A" or table.startswith("udp"))]
        self.assertEqual(listening, [])
        self.assertTrue(any(name.startswith("socket:") for name in sockets))

    def test_production__needs_no_secret_for_tokens(self):
        process = self.scheduler(NODE_ENV="production")
        done = run("health", NODE_ENV="production", HEALTH_SOCKET=process.name)
        self.assertEqual((done.returncode, json.loads(done.stdout)["status"]), (0, "ok"), done)

    def test_health_socket__that_is_taken_is_told_and_no_reason_not_to_work(self):
        first = self.scheduler()
        second = Scheduler(module.server, self.name)
        second.kill()
        second = support.Process("scheduler", **{**second.settings, "HEALTH_SOCKET": first.name})
        self.addCleanup(second.kill)
        wait_for(lambda: second.logs("scheduling"), 10, "it runs")
        self.assertEqual(len([line for line in second.logs() if line["level"] == "warn" and line.get("name") == first.name]), 1)
        self.assert_stops(first)
        self.database.wait_for_run(self.database.add_run("aggregate"))
        self.assertEqual(second.stop(), 0)


class Health(SchedulerTest):
    def health(self, process, **settings):
        watch = support.Stopwatch()
        done = run("health", HEALTH_SOCKET=process.name, APP_PORT=settings.pop("APP_PORT", None), **settings)
        self.assertLess(watch.seconds(), patience(4))
        return done

    def test_health__is_well_while_the_loop_goes_round_and_the_database_answers(self):
        process = self.scheduler(SCHEDULE_TASK_CLEANUP_CRON="@yearly")
        done = self.health(process)
        self.assertEqual(done.returncode, 0, done)
        said = json.loads(done.stdout)
        self.assertEqual((said["status"], said["database"]), ("ok", {"status": "up"}))
        self.assertGreater(said["scheduler"]["nextTickMs"], 0)
        # APP_PORT names an API that is not there: then the scheduler is asked.
        self.assertEqual(self.health(process, APP_PORT=support.free_port()).returncode, 0)
        process.signal(signal.SIGSTOP)
        done = self.health(process)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("does not answer", done.stderr)
        process.signal(signal.SIGCONT)
        wait_for(lambda: self.health(process).returncode == 0, 10, "well again")
        self.assert_stops(process)
        done = self.health(process, APP_PORT=support.free_port())
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"@{process.name}", done.stderr)

    def test_health__without_the_database_is_not_well(self):
        owner = support.Everything().ready()
        self.addCleanup(owner.close)
        process = Scheduler(owner, owner.job_database()).ready()
        self.addCleanup(process.kill)
        with support.Frozen.server(owner):  # a server that hangs
            wait_for(lambda: self.health(process).returncode == 1, 15, "not well")
        wait_for(lambda: self.health(process).returncode == 0, 15, "well again")
        self.assertEqual(owner.stop(), 0)  # one that is gone
        wait_for(lambda: self.health(process).returncode == 1, 15, "not well")
        self.assertEqual(process.stop(), 0)


class Sleep(SchedulerTest):
    def connections(self):
        return self.database.count("pg_stat_activity", ACTORS)

    def sleeper(self, **settings):
        process = self.scheduler(DB_IDLE_RELEASE="1s", **settings)
        wait_for(lambda: self.connections() == 0, 30, "the connections are closed")
        return process

    def test_idle_release__closes_the_connections_and_stays_well(self):
        process = self.sleeper()
        support.assert_becomes(self, lambda: [process.pulse()[name] for name in ("status", "database")], ["ok", {"status": "up", "idle": True}])
        self.assertEqual(run("health", HEALTH_SOCKET=process.name).returncode, 0)
        self.assertEqual(self.connections(), 0)  # asking does not wake it
        self.assert_stops(process)

    def test_idle_release__a_run_that_is_queued_meanwhile_starts_at_the_next_poll(self):
        self.sleeper(SCHEDULE_IDLE_POLL="5s")
        run_id = self.database.add_run("aggregate")
        self.database.wait_for_run(run_id, 10)
        wait_for(lambda: self.connections() == 0, 30, "it sleeps again")

    def test_idle_release__a_run_that_is_queued_meanwhile_starts_at_the_next_tick(self):
        self.sleeper(SCHEDULE_TASK_REPORT_CRON="*/15 * * * * *")
        watch = support.Stopwatch()
        run_id = self.database.add_run("aggregate")
        self.database.wait_for_run(run_id, 25)
        started = float(self.database.value(f"SELECT extract(epoch FROM started_at) FROM millrace.job_run WHERE id = '{run_id}'"))
        tick = max(wait_for(lambda: [tick for tick in self.ticks("report") if tick <= started], 5, "the tick before it has a run"))
        self.assertLess(started, tick + patience(2) * watch.slowness())
        wait_for(lambda: self.connections() == 0, 30, "it sleeps between ticks")


if __name__ == "__main__":
    unittest.main()
