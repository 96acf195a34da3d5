"""One row that the database refuses to change, for every kind of work that a job does: it is left out, counted and named, and the rest is done."""

import json
import unittest

import support
from support import wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

REASON = "raised by a function (SQLSTATE P0001)"


class PoisonTest(support.SchedulersTest):
    """A database of the test's own with one scheduler, and users whose rows are made by SQL."""

    module = module

    def setUp(self):
        super().setUp()
        # A row whose name stands here is refused, whatever is to become of it.
        self.database.query("""CREATE TABLE poison (name text PRIMARY KEY);
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE
                touched jsonb := coalesce(to_jsonb(OLD), to_jsonb(NEW));
            BEGIN
                IF EXISTS (SELECT FROM public.poison WHERE name = touched ->> TG_ARGV[0]) THEN
                    RAISE 'hush: %', touched;
                END IF;
                RETURN coalesce(NEW, OLD);
            END $$""")

    def poison(self, table, name, column="id", event="DELETE"):
        self.database.query(f"""CREATE OR REPLACE TRIGGER refuse BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse('{column}');
            INSERT INTO poison VALUES ('{name}') ON CONFLICT DO NOTHING""")

    def middle(self, table, column="id", order="id", where="true"):
        return self.database.value(f"SELECT {column} FROM {table} WHERE {where} ORDER BY {order} OFFSET (SELECT count(*) / 2 FROM {table} WHERE {where}) LIMIT 1")

    def run_job(self, process, job, **args):
        """A run of it; its result. Also: it says what it left out, at its first attempt, and tells nobody what the row holds."""
        run_id = self.database.value("INSERT INTO millrace.job_run (id, job, trigger, exclusive, args) SELECT gen_random_uuid(), name, 'manual', exclusive, "
                                     f"'{json.dumps(args)}' FROM millrace.job WHERE name = '{job}' RETURNING id")
        row = self.database.wait_for_run(run_id, 60)
        self.assertEqual((row["attempt"], row["error"]), (1, None))
        self.assertNotIn("hush", json.dumps(row))
        line = wait_for(lambda: [line for line in process.logs("job run") if line["runId"] == run_id], 10, "the run's line")[0]
        skipped = row["result"].get("skipped", {}).get("count", 0)
        self.assertEqual((line["level"], line.get("skipped", 0), line["outcome"]), ("warn" if skipped else "info", skipped, "succeeded"))
        return row["result"]

    def assert_skipped(self, result, *units):
        """[(of, id)], in the order in which the job comes to them."""
        self.assertEqual([(unit["of"], unit["id"], unit["reason"]) for unit in result["skipped"]["units"]], [(of, name, REASON) for of, name in units])
        self.assertEqual(result["skipped"]["count"], len(units))

    def fill_leftovers(self, count):
        """Of all that is cleaned up there are `count`; returns the user."""
        user, _ = self.database.add_user()
        self.database.query(f"""INSERT INTO millrace.session (id, user_id, password_version, created_at)
                SELECT gen_random_uuid(), '{user}', 1, now() - interval '40 days' FROM generate_series(1, {count});
            INSERT INTO millrace.session (id, user_id, password_version) VALUES ('{user}', '{user}', 1);
            INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at)
                SELECT gen_random_uuid(), '{user}', ('{user}' || i)::bytea, now() - i / 3 * interval '1 day' FROM generate_series(3, {count + 2}) i;
            INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at) VALUES (gen_random_uuid(), '{user}', '{user}', now() + interval '1 day');
            INSERT INTO millrace.idempotency_key (user_id, key, fingerprint, answer, created_at)
                SELECT '{user}', 'key/' || i, '', '{{}}', now() - (1 + i) / 3 * interval '1 day' - interval '1 day' FROM generate_series(1, {count}) i;
            INSERT INTO millrace.job_run (id, job, trigger, state, finished_at)
                SELECT gen_random_uuid(), 'report', 'manual', 'succeeded', now() - interval '20 days' FROM generate_series(1, {count});
            INSERT INTO millrace.job_run (id, job, trigger, state, finished_at)
                SELECT gen_random_uuid(), 'import', 'user', 'succeeded', now() FROM generate_series(1, {count});
            INSERT INTO millrace.import_part (run_id, part, bytes, created_at)
                SELECT id, 0, 'x', now() - interval '2 hours' FROM millrace.job_run WHERE state = 'succeeded' AND job = 'import'
                    ON CONFLICT DO NOTHING;
            INSERT INTO millrace.audit (id, at, by, operation, subject_type, subject)
                SELECT gen_random_uuid(), now() - interval '400 days', 'command', 'grant-admin', 'user', gen_random_uuid() FROM generate_series(1, {count});
            INSERT INTO millrace.job (name, work, manual) VALUES ('deliver', 'pull', false) ON CONFLICT DO NOTHING;
            INSERT INTO millrace.run (id, job, outcome, finished_at)
                SELECT ('00' || substr(gen_random_uuid()::text, 3))::uuid, 'deliver', 'succeeded', now() - interval '20 days' FROM generate_series(1, {count});
            INSERT INTO millrace.run_unique (job, unique_key, run_id)
                SELECT 'deliver', 'order/' || i, gen_random_uuid() FROM generate_series(1, {count}) i ON CONFLICT DO NOTHING;
            INSERT INTO millrace.run_tally (job, minute, backend)
                SELECT 'deliver', date_trunc('minute', now()) - interval '2 days' - i / 3 * interval '1 minute', i FROM generate_series(1, {count}) i ON CONFLICT DO NOTHING""")
        self.database.add_tasks(user, count, days_old=60, complete=True)
        return user


class Clean(PoisonTest):
    LEFT = {"refreshTokens": "millrace.refresh_token", "sessions": "millrace.session", "idempotencyKeys": "millrace.idempotency_key", "runs": "millrace.job_run", "importParts": "millrace.import_part", "audit": "millrace.audit",
            "workerRuns": "millrace.run", "uniqueKeys": "millrace.run_unique", "tallies": "millrace.run_tally"}

    def poison_leftovers(self):
        """One row in the middle of each; what names them, in the order of the statements."""
        token = self.middle("millrace.refresh_token", order="expires_at, id")
        session = self.middle("millrace.session", where="created_at < now() - interval '1 day'")
        key = self.middle("millrace.idempotency_key", column="key", order="created_at")
        run = self.middle("millrace.job_run", where="job = 'report'")
        part = self.middle("millrace.import_part", column="run_id", order="run_id")
        entry = self.middle("millrace.audit")
        worker_run = self.middle("millrace.run")
        unique = self.middle("millrace.run_unique", column="run_id", order="unique_key COLLATE \"C\"")
        tally = self.middle("millrace.run_tally", column="backend", order="minute, backend")
        for table, name, column in (("millrace.audit", entry, "id"), ("millrace.refresh_token", token, "id"), ("millrace.session", session, "id"), ("millrace.idempotency_key", key, "key"),
                                    ("millrace.job_run", run, "id"), ("millrace.import_part", part, "run_id"), ("millrace.run", worker_run, "id"),
                                    ("millrace.run_unique", unique, "run_id"), ("millrace.run_tally", tally, "backend")):
            self.poison(table, name, column)
        named = self.database.value("SELECT user_id || '/' || to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
                                    f"FROM millrace.idempotency_key WHERE key = '{key}'")
        minute = self.database.value("SELECT to_char(minute AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
                                     f"FROM millrace.run_tally WHERE backend = {tally}")
        return [("refreshTokens", token), ("sessions", session), ("idempotencyKeys", named), ("runs", run), ("importParts", part + "/0"), ("audit", entry),
                ("workerRuns", worker_run), ("uniqueKeys", unique), ("tallies", f"deliver/{minute}/{tally}")]

    def assert_only_poison_is_left(self):
        self.assertEqual([self.database.count(table, where) for table, where in (
            ("millrace.refresh_token", "expires_at < now()"), ("millrace.session", "created_at < now() - interval '1 day'"), ("millrace.idempotency_key", "true"),
            ("millrace.job_run", "job = 'report'"), ("millrace.import_part", "true"), ("millrace.audit", "true"),
            ("millrace.run", "true"), ("millrace.run_unique", "true"), ("millrace.run_tally", "true"))], [1] * 9)

    def test_cleanup__leaves_out_one_row_of_each_kind(self):
        self.fill_leftovers(700)
        units = self.poison_leftovers()
        task = self.middle("task", order="completed_at, id")
        self.poison("task", task)
        process = self.scheduler()
        result = self.run_job(process, "cleanup")
        self.assert_skipped(result, ("tasks", task), *units)
        self.assertEqual([result[name] for name in ("tasks", *self.LEFT)], [699] * (1 + len(self.LEFT)))
        self.assertEqual(self.database.query("SELECT id FROM task"), [[task]])
        self.assert_only_poison_is_left()
        told = process.logs("job unit skipped")
        self.assertEqual([(line["job"], line["of"], line["unit"], line["sqlstate"]) for line in told[:1]], [("cleanup", "tasks", task, "P0001")])
        # Once the cause is gone, the next run takes what was left.
        self.database.query("TRUNCATE poison")
        result = self.run_job(process, "cleanup")
        self.assertEqual([result[name] for name in ("tasks", *self.LEFT)], [1] * (1 + len(self.LEFT)))
        self.assertNotIn("skipped", result)
        self.assertEqual(process.stop(), 0)

    def test_cleanup__of_everything_leaves_out_several_tasks_side_by_side_and_apart(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 1000)
        ids = [row[0] for row in self.database.query("SELECT id FROM task ORDER BY id")]
        bad = [ids[0], ids[400], ids[401], ids[402], ids[-1]]
        for task in bad:
            self.poison("task", task)
        process = self.scheduler(CLEANUP_SCOPE="all")
        result = self.run_job(process, "cleanup")
        self.assert_skipped(result, *[("tasks", task) for task in bad])
        self.assertEqual((result["tasks"], self.database.count("task")), (995, 5))
        self.assertEqual(process.stop(), 0)

    def test_housekeeping__leaves_out_one_row_of_each_kind(self):
        self.fill_leftovers(40)
        units = self.poison_leftovers()
        gone = [self.database.add_user()[0] for _ in range(5)]
        self.database.query(f"""DELETE FROM millrace.app_user WHERE id IN ('{"','".join(gone)}');
            UPDATE millrace.job_run SET state = 'dead', finished_at = now() WHERE job = 'removal';
            CREATE FUNCTION refuse_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.args ->> 'account' = '{gone[2]}' THEN RAISE 'hush'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER refuse_run BEFORE INSERT ON millrace.job_run FOR EACH ROW EXECUTE FUNCTION refuse_run()""")
        process = self.scheduler()
        result = self.run_job(process, "housekeeping")
        self.assert_skipped(result, *units, ("overdue", gone[2]))
        self.assertEqual(([result[name] for name in self.LEFT], result["overdue"]), ([39] * len(self.LEFT), 4))
        self.assert_only_poison_is_left()
        self.assertEqual(process.stop(), 0)

    def test_result__names_a_hundred_and_counts_all(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 300, days_old=60, complete=True)
        self.poison("task", user, column="user_id")
        process = self.scheduler()
        result = self.run_job(process, "cleanup")
        self.assertEqual((result["skipped"]["count"], len(result["skipped"]["units"]), result["tasks"]), (300, 100, 0))
        self.assertEqual(process.stop(), 0)

    def test_rule__that_refuses_every_row_fails_the_run(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 1500, days_old=60, complete=True)
        self.poison("task", user, column="user_id")
        process = self.scheduler()
        run_id = self.database.add_run("cleanup")
        wait_for(lambda: process.outcomes(run_id), 60, "it fails")
        self.assertEqual(process.outcomes(run_id)[0], ("failed", 1))
        self.assertEqual(process.stop(), 0)


class Add(PoisonTest):
    def test_aggregate__leaves_out_the_changes_of_one_day_and_keeps_them(self):
        users = sorted(self.database.add_user()[0] for _ in range(30))
        for user in users:
            self.database.add_tasks(user, 3)
        self.poison("task_stat", users[11], "user_id", "INSERT OR UPDATE")
        changes = [row[0] for row in self.database.query(f"SELECT id FROM task_change WHERE user_id = '{users[11]}' ORDER BY id")]
        total = self.database.count("task_change")
        process = self.scheduler()
        result = self.run_job(process, "aggregate")
        self.assert_skipped(result, *[("changes", change) for change in changes])
        self.assertEqual(result["changes"], total - len(changes))
        self.assertEqual(self.database.query("SELECT count(DISTINCT user_id), sum(created) FROM task_stat"), [["29", "87"]])
        self.database.query("TRUNCATE poison")
        self.assertEqual(self.run_job(process, "aggregate")["changes"], len(changes))
        self.assertEqual(self.database.query("SELECT count(DISTINCT user_id), sum(created) FROM task_stat"), [["30", "90"]])
        self.assertEqual(process.stop(), 0)

    def test_report__leaves_out_one_user_whether_counted_at_once_or_in_pieces(self):
        users = sorted(self.database.add_user()[0] for _ in range(120))
        for number, user in enumerate(users):
            self.database.add_tasks(user, 3000 if number in (50, 51) else number % 5)
        self.poison("report", users[20], "user_id", "INSERT OR UPDATE")
        self.poison("report", users[50], "user_id", "INSERT OR UPDATE")
        process = self.scheduler(JOB_CHUNK_ROWS=1000)
        result = self.run_job(process, "report")
        self.assert_skipped(result, ("users", users[20]), ("users", users[50]))
        self.assertEqual((result["users"], self.database.count("report")), (118, 118))
        self.assertEqual(self.database.value(f"SELECT figures ->> 'open' FROM report WHERE user_id = '{users[51]}'"), "3000")
        self.assertEqual(process.stop(), 0)


class Remove(PoisonTest):
    def test_removal__leaves_out_one_row_of_each_kind_and_keeps_the_account_for_another_time(self):
        user = self.fill_leftovers(60)
        other = self.fill_leftovers(5)
        self.database.query(f"""UPDATE millrace.job_run SET job = 'import', owner = '{user}', exclusive = false WHERE id IN (SELECT id FROM millrace.job_run WHERE job = 'report' LIMIT 40);
            INSERT INTO task_stat (user_id, day) SELECT '{user}', current_date - i FROM generate_series(1, 60) i;
            INSERT INTO task_count (user_id, items) SELECT '{user}', 1000 FROM generate_series(1, 30) i;
            INSERT INTO task_change (user_id, day, created, completed, due, in_time) SELECT '{user}', current_date, 1, 0, 0, 0 FROM generate_series(1, 60) i;
            INSERT INTO report (user_id, period_from, period_to, figures)
                SELECT '{user}', now() - i * interval '7 days', now(), '{{}}' FROM generate_series(1, 60) i""")
        mine = f"user_id = '{user}'"
        run = self.middle("millrace.job_run", where=f"owner = '{user}'")
        task = self.middle("task", order="created_at, id", where=mine)
        token = self.middle("millrace.refresh_token", where=f"session_id = '{user}'")
        session = self.middle("millrace.session", where=f"{mine} AND id <> '{user}'")
        day = self.middle("task_stat", column="day", order="day", where=mine)
        report = self.middle("report", where=mine)
        change = self.middle("task_change", where=mine)
        key = self.database.query(f"SELECT key, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
                                  f"FROM millrace.idempotency_key WHERE {mine} ORDER BY key OFFSET 30 LIMIT 1")[0]
        for table, name, column in (("millrace.job_run", run, "id"), ("task", task, "id"), ("millrace.refresh_token", token, "id"), ("millrace.session", session, "id"),
                                    ("millrace.idempotency_key", key[0], "key"), ("task_stat", day, "day"), ("report", report, "id"), ("task_change", change, "id")):
            self.poison(table, name, column)
        self.database.query(f"UPDATE task_count SET items = 7777 WHERE ctid = (SELECT ctid FROM task_count WHERE {mine} ORDER BY ctid OFFSET 10 LIMIT 1)")
        self.poison("task_count", "7777", "items")
        place = self.database.value("SELECT ctid FROM task_count WHERE items = 7777")
        self.database.query(f"DELETE FROM millrace.app_user WHERE id = '{user}'")
        queued = self.database.value(f"DELETE FROM millrace.job_run WHERE job = 'removal' RETURNING args ->> 'account'")
        self.assertEqual(queued, user)
        process = self.scheduler()
        result = self.run_job(process, "removal", account=user)
        # What is skipped of a session's tokens keeps the session as well; and all of it keeps the account, with the last of its figures.
        self.assertEqual({(unit["of"], unit["id"]) for unit in result["skipped"]["units"]} - {("sessions", user)},
                         {("runs", run), ("tasks", task), ("refreshTokens", token), ("sessions", session), ("idempotencyKeys", f"{user}/{key[1]}"),
                          ("days", f"{user}/{day}"), ("reports", report), ("figures", change), ("figures", f"{user}/{place}")})
        self.assertEqual([self.database.count(table, where) for table, where in (
            ("millrace.job_run", f"owner = '{user}'"), ("task", mine), ("millrace.refresh_token", f"session_id = '{user}'"), ("millrace.session", mine), ("millrace.idempotency_key", mine),
            ("task_stat", mine), ("report", mine), ("task_change", mine), ("task_count", mine), ("millrace.account", f"id = '{user}'"))],
            [1, 1, 1, 2, 1, 1, 1, 1, 1, 1])
        self.assertEqual(self.database.count("task", f"user_id = '{other}'"), 5)
        # It would be refused again and again: nothing is queued until the daily look, or an administrator's.
        self.assertEqual(self.database.count("millrace.job_run", "job = 'removal' AND state = 'queued'"), 0)
        self.database.query("TRUNCATE poison")
        self.assertEqual(self.run_job(process, "removal")["overdue"], 1)
        wait_for(lambda: not self.database.count("millrace.account", f"id = '{user}'"), 30, "the account is gone")
        self.assertEqual(process.stop(), 0)

    def test_removal__that_left_a_row_out_is_not_queued_again_and_again(self):
        user, _ = self.database.add_user()
        self.database.add_tasks(user, 100)
        task = self.middle("task")
        self.poison("task", task)
        self.database.query(f"DELETE FROM millrace.app_user WHERE id = '{user}'")
        process = self.scheduler()
        row = self.database.wait_for_run(self.database.value("SELECT id FROM millrace.job_run WHERE job = 'removal'"), 30)
        self.assert_skipped(row["result"], ("tasks", task))
        self.assertEqual((self.database.count("millrace.job_run", "job = 'removal'"), self.database.count("millrace.account")), (1, 1))
        self.assertEqual(process.stop(), 0)

    def test_removal__of_an_account_that_is_refused_is_named(self):
        user, _ = self.database.add_user()
        self.poison("millrace.account", user)
        process = self.scheduler()
        self.database.query(f"DELETE FROM millrace.app_user WHERE id = '{user}'")
        run_id = self.database.value("SELECT id FROM millrace.job_run WHERE job = 'removal'")
        self.assert_skipped(self.database.wait_for_run(run_id, 30)["result"], ("accounts", user))
        self.assertEqual(process.stop(), 0)


class Maintain(PoisonTest):
    def test_maintenance__leaves_out_one_table(self):
        self.database.add_user()
        self.database.query("""CREATE FUNCTION word(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$;
            CREATE INDEX word ON millrace.app_user (word(username));
            CREATE OR REPLACE FUNCTION word(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'hush'; END $$""")
        process = self.scheduler()
        result = self.run_job(process, "maintenance")
        self.assert_skipped(result, ("tables", "app_user"))
        self.assertNotIn("app_user", result)
        self.assertTrue({"task", "session", "refresh_token", "idempotency_key", "task_count", "task_change", "task_stat", "job_run", "import_part",
                         "report"} < set(result), result)
        self.assertEqual(process.stop(), 0)


class Import(PoisonTest):
    def test_import__makes_a_line_that_is_refused_an_error_of_the_line(self):
        user, _ = self.database.add_user()
        lines = "".join(json.dumps({"summary": f"line {i}", "taskPriorityCode": "LOW"}) + "\n" for i in range(1, 601))
        run_id = self.database.value(f"""WITH run AS (
                INSERT INTO millrace.job_run (id, job, trigger, exclusive, owner, args)
                VALUES (gen_random_uuid(), 'import', 'user', false, '{user}', '{{"format": "application/x-ndjson", "parts": 1}}') RETURNING id
            ), part AS (INSERT INTO millrace.import_part (run_id, part, bytes) SELECT id, 0, convert_to('{lines}', 'UTF8') FROM run)
            SELECT id FROM run""")
        for number in (1, 333, 334, 600):
            self.poison("task", f"line {number}", "summary", "INSERT")
        process = self.scheduler()
        row = self.database.wait_for_run(run_id, 60)
        refused = {"field": "", "message": "was refused by the database: raised by a function"}
        self.assertEqual(row["result"]["errors"], [{"line": number, **refused} for number in (1, 333, 334, 600)])
        self.assertEqual((row["result"]["imported"], row["result"]["rejected"], row["attempt"]), (596, 4, 1))
        self.assertEqual(self.database.count("task"), 596)
        self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
