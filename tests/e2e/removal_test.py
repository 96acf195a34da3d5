"""Removal of a user: gone at once, whatever is theirs in the background, and nothing of it left."""

import subprocess
import threading
import time
import unittest
import uuid

import support
from support import patience, wait_for
from session_test import claims_of, together

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

# What belongs to a user, and how it is found. Those with a foreign key to the account are looked up; these have none.
WITHOUT_KEY = {"task_count": "user_id = '{0}'", "task_change": "user_id = '{0}'",
               "millrace.refresh_token": "session_id IN (SELECT id FROM millrace.session WHERE user_id = '{0}')",
               "millrace.import_part": "run_id IN (SELECT id FROM millrace.job_run WHERE owner = '{0}')"}
BODIES = {"task_create": {"summary": "x", "taskPriorityCode": "LOW"},
          "password_change": {"currentPassword": support.PASSWORD, "newPassword": "12345678"},
          "api_key_create": {"name": "n", "scopes": ["jobs:admin"]},
          "job_put": {"work": "pull"},
          **{f"job_runs_{what}": {"job": "cleanup", "state": state} for what, state in (("retry", "dead"), ("cancel", "queued"), ("delete", "dead"))},
          "run_outcomes": {"outcomes": [{"id": str(uuid.UUID(int=7)), "claim": 1, "outcome": "succeeded"}]}}


class RemovalTest(support.TiersTest):
    module = module

    def register(self, admin=False, **changes):
        """A user who has signed in; `id`, `token` and `refresh_token` are theirs."""
        grant = (lambda user: module.server.make_admin(user, self.name)) if admin else None
        client = self.api.api().register(grant=grant, **changes)
        self.addCleanup(client.close)
        client.id = client.user["id"]
        client.grant = self.sign_in(client)
        return client

    def sign_in(self, client):
        body = {"username": client.user["username"], "password": support.PASSWORD}
        answer = client.post("/v1/auth/signin", body, token=None)
        return answer.json() if answer.status == 200 else answer.status

    def remove(self, client):
        answer = client.request("DELETE", "/v1/users/profile")
        self.assertEqual((answer.status, answer.body), (204, b""))

    def tables(self):
        """Where something of a user can be, and how it is found there."""
        keys = self.database.query("""SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            WHERE c.contype = 'f' AND c.confrelid = 'millrace.account'::regclass""")
        return {**WITHOUT_KEY, **{table: column + " = '{0}'" for table, column in keys}}

    def counts(self, user):
        return {table: self.database.count(table, where.format(user)) for table, where in self.tables().items()}

    def fill(self, client, tasks=20):
        """Something in every table."""
        self.database.add_tasks(client.id, tasks)
        client.post("/v1/tasks", BODIES["task_create"], headers=[("Idempotency-Key", "once")])
        run = str(uuid.uuid4())
        self.database.query(f"""INSERT INTO task_stat (user_id, day, created) VALUES ('{client.id}', '2026-01-01', 1);
            INSERT INTO report (user_id, period_from, period_to, figures) VALUES ('{client.id}', '2026-01-01', '2026-01-08', '{{}}');
            INSERT INTO millrace.job_run (id, job, trigger, exclusive, owner, run_after) VALUES ('{run}', 'import', 'user', false, '{client.id}', 'infinity');
            INSERT INTO millrace.import_part (run_id, part, bytes) VALUES ('{run}', 0, 'x')""")
        counts = self.counts(client.id)
        self.assertNotIn(0, counts.values(), f"say how to fill the new table: {counts}")
        self.task = self.database.value(f"SELECT id FROM task WHERE user_id = '{client.id}' LIMIT 1")
        self.run_id = run
        self.report = self.database.value(f"SELECT id FROM report WHERE user_id = '{client.id}' LIMIT 1")

    def wait_until_nothing_is_left(self, user, seconds=30):
        wait_for(lambda: not self.database.count("millrace.account", f"id = '{user}'"), seconds, f"the account goes; {self.counts(user)}")
        self.assertEqual(set(self.counts(user).values()), {0}, self.counts(user))


class AtOnce(RemovalTest):
    """No scheduler looks after this database: what belongs to the user stays, and must not be seen."""

    def routes(self):
        """Every operation that needs a token, from the binary itself: (message, verb, path)."""
        for line in subprocess.run([support.binary(), "routes"], text=True, capture_output=True, check=True).stdout.splitlines():
            verb, path, message, _, access = line.split()[:5]
            if access != "public":
                yield message, verb, path.replace(":taskId", self.task).replace(":runId", self.run_id).replace(":job", "cleanup").replace(
                    ":reportId", self.report).replace(":keyId", self.report)

    def call(self, client, message, verb, path):
        if message == "task_import":
            return client.request(verb, path, b'{"summary":"x","taskPriorityCode":"LOW"}\n', [("Content-Type", "application/x-ndjson")])
        return client.request(verb, path, BODIES.get(message, {} if verb in ("PUT", "PATCH", "POST") else None))

    def test_token__that_still_lives_opens_no_operation(self):
        client = self.register(admin=True)
        self.fill(client)
        before = self.counts(client.id)
        self.remove(client)
        routes = list(self.routes())
        self.assertGreater(len(routes), 18)
        lists = [("task_list", "GET", "/v1/tasks?" + query) for query in ("page=1", "limit=5", "q=task&sort=dueAt", "q=task&page=1", "sort=-priority")]
        for message, verb, path in routes + lists:
            with self.subTest(verb=verb, path=path):
                answer = self.call(client, message, verb, path)
                self.assertEqual(answer.status, 401, answer)
                self.assertRegex(answer.header("WWW-Authenticate"), "^Bearer")
        again = client.post("/v1/tasks", BODIES["task_create"], headers=[("Idempotency-Key", "once")])
        self.assertEqual(again.status, 401)
        self.database.query("DELETE FROM millrace.import_part WHERE NOT EXISTS (SELECT FROM millrace.job_run WHERE id = run_id)")
        after = self.counts(client.id)
        for counts in (before, after):  # the sign-out among the routes ends the session of the token
            del counts["millrace.session"], counts["millrace.refresh_token"]
        self.assertEqual(after, before)

    def test_sign_in_and_refresh__are_401(self):
        client = self.register()
        self.remove(client)
        self.assertEqual(self.sign_in(client), 401)
        answer = client.post("/v1/auth/refresh", {"refreshToken": client.grant["refreshToken"]}, token=None)
        self.assertEqual(answer.status, 401, answer)

    def test_name__is_free_at_once_and_its_new_owner_starts_with_nothing(self):
        client = self.register()
        self.fill(client)
        self.remove(client)
        heir = self.register(username=client.user["username"].upper())
        self.assertNotEqual(heir.id, client.id)
        self.assertEqual(heir.get("/v1/tasks?page=1").json()["pagination"]["totalItems"], 0)
        self.assertEqual((heir.get("/v1/tasks").json(), heir.get("/v1/reports").json()), ([], []))
        self.assertEqual(client.get("/v1/users/profile").status, 401)

    def test_request__touches_nothing_of_what_it_leaves_to_the_job(self):
        client = self.register()
        self.fill(client)
        with module.server.database(self.name) as holder:
            holder.query("BEGIN; LOCK TABLE " + ", ".join(table for table in self.tables() if table != "millrace.job_run") + " IN ACCESS EXCLUSIVE MODE")
            self.remove(client)
            holder.query("ROLLBACK")

    def test_request__does_not_wait_for_who_is_adding_something(self):
        client = self.register()
        with module.server.database(self.name) as holder:
            holder.query("BEGIN")
            holder.query(f"INSERT INTO task (id, user_id, summary, priority_code) VALUES (gen_random_uuid(), '{client.id}', 'x', 'LOW')")
            self.remove(client)
            holder.query("ROLLBACK")

    def test_twice_at_once__is_one_removal(self):
        client = self.register()

        def remove(_):
            api = self.api.api()
            api.token = client.token
            status = api.request("DELETE", "/v1/users/profile").status
            api.close()
            return status

        self.assertEqual(sorted(together(6, remove)), [204] + [401] * 5)
        self.assertEqual(self.database.count("millrace.job_run", f"job = 'removal' AND args ->> 'account' = '{client.id}'"), 1)

    def test_run__is_queued_by_whatever_deletes_the_user_and_by_nothing_that_is_rolled_back(self):
        queued = "job = 'removal' AND state = 'queued' AND args ->> 'account' = '{0}'"
        one, other = self.register(), self.register()
        self.database.query(f"BEGIN; DELETE FROM millrace.app_user WHERE id IN ('{one.id}', '{other.id}'); ROLLBACK")
        self.assertEqual(one.get("/v1/users/profile").status, 200)
        self.assertEqual(self.database.count("millrace.job_run", queued.format(one.id)), 0)
        self.database.query(f"DELETE FROM millrace.app_user WHERE id IN ('{one.id}', '{other.id}')")
        for client in (one, other):
            self.assertEqual(self.database.count("millrace.job_run", queued.format(client.id)), 1)
            self.assertEqual(client.get("/v1/users/profile").status, 401)

    def test_id__of_a_user_whose_account_is_being_cleared_cannot_come_back(self):
        client = self.register()
        self.fill(client)
        self.remove(client)
        with self.assertRaises(support.DatabaseError) as caught:
            self.database.query("INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash) "
                                f"VALUES ('{client.id}', 'again', 'a@b.co', 'a', 'b', 'x')")
        self.assertEqual(caught.exception.sqlstate, "23505")
        self.assertEqual(client.get("/v1/tasks").status, 401)


class InTheBackground(RemovalTest):
    def remove_alone(self, tasks=20):
        """A user who is removed while no scheduler runs."""
        client = self.register()
        self.fill(client, tasks)
        self.remove(client)
        return client

    def runs_of(self, user):
        return self.database.query(f"SELECT state, attempt, done FROM millrace.job_run WHERE job = 'removal' AND args ->> 'account' = '{user}' ORDER BY id")

    def test_everything__goes_and_nothing_of_others(self):
        neighbour = self.register()
        self.fill(neighbour)
        before = self.counts(neighbour.id)
        client = self.remove_alone(1500)
        process = self.scheduler(JOB_CHUNK_ROWS=100)
        self.wait_until_nothing_is_left(client.id)
        self.assertEqual(self.counts(neighbour.id), before)
        self.assertEqual(neighbour.get("/v1/tasks/" + self.database.value(
            f"SELECT id FROM task WHERE user_id = '{neighbour.id}' LIMIT 1")).status, 200)
        row = self.database.query(f"SELECT result FROM millrace.job_run WHERE job = 'removal' AND args ->> 'account' = '{client.id}'")
        wait_for(lambda: process.outcomes(), 5, "it is logged")
        self.assertEqual({outcome for outcome, _ in process.outcomes()}, {"succeeded"})
        self.assertIn('"tasks": 1501', row[0][0])
        self.assertEqual(process.stop(), 0)

    def test_end_of_the_process__in_the_middle_is_gone_on_from(self):
        client = self.remove_alone(5000)
        self.database.query("""CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;
            CREATE TRIGGER slow AFTER DELETE ON task FOR EACH STATEMENT EXECUTE FUNCTION slow()""")
        self.addCleanup(self.database.query, "DROP TRIGGER IF EXISTS slow ON task; DROP FUNCTION IF EXISTS slow()")
        first = self.scheduler(JOB_CHUNK_ROWS=100)
        wait_for(lambda: int(self.runs_of(client.id)[0][2]) > 500, 20, "it is at work")
        self.assertEqual(first.stop(), 0)
        left = self.counts(client.id)["task"]
        self.assertTrue(0 < left < 5001, left)
        self.database.query("DROP TRIGGER slow ON task")
        second = self.scheduler()
        self.wait_until_nothing_is_left(client.id)
        wait_for(lambda: self.runs_of(client.id)[0][0] == "succeeded", 5, "the run ends")
        state, attempt, done = self.runs_of(client.id)[0]
        self.assertEqual((attempt, int(done) >= 5001), ("1", True))
        self.assertEqual(second.stop(), 0)

    def test_row__that_comes_late_is_found_and_goes_too(self):
        client = self.remove_alone(0)
        process = self.scheduler()
        self.wait_until_nothing_is_left(client.id)
        client = self.register()
        with module.server.database(self.name) as holder:
            holder.query("BEGIN")
            holder.query(f"INSERT INTO task (id, user_id, summary, priority_code) VALUES (gen_random_uuid(), '{client.id}', 'late', 'LOW')")
            self.remove(client)
            wait_for(lambda: self.database.count("pg_stat_activity", "application_name LIKE 'job/%' AND wait_event_type = 'Lock' "
                                                 "AND datname = current_database()"), 20, "the last phase waits")
            holder.query("COMMIT")
        self.assertEqual(self.database.count("task", "summary = 'late'"), 1)
        self.wait_until_nothing_is_left(client.id)
        wait_for(lambda: [run[0] for run in self.runs_of(client.id)] == ["succeeded"] * 2, 10, "two runs")
        with self.assertRaises(support.DatabaseError) as caught:
            self.database.query(f"INSERT INTO task (id, user_id, summary, priority_code) VALUES (gen_random_uuid(), '{client.id}', 'x', 'LOW')")
        self.assertEqual(caught.exception.sqlstate, "23503")
        self.assertEqual(process.stop(), 0)

    def test_run__that_is_dead_is_queued_anew_by_hand(self):
        admin = self.register(admin=True)
        client = self.remove_alone()
        self.database.query("UPDATE millrace.job_run SET state = 'dead', attempt = 5, finished_at = now() WHERE job = 'removal'")
        process = self.scheduler()
        self.assertEqual(admin.run_job("removal")["result"]["overdue"], 1)
        self.wait_until_nothing_is_left(client.id)
        self.assertEqual(admin.run_job("removal")["result"]["overdue"], 0)
        self.assertEqual(process.stop(), 0)

    def test_name__taken_again_while_the_job_is_at_work(self):
        client = self.remove_alone(3000)
        heir = self.register(username=client.user["username"])
        made = {heir.create_task()["id"] for _ in range(3)}
        process = self.scheduler(JOB_CHUNK_ROWS=100)
        self.wait_until_nothing_is_left(client.id)
        self.assertEqual({task["id"] for task in heir.get("/v1/tasks").json()}, made)
        self.assertEqual(heir.get("/v1/tasks?page=1").json()["pagination"]["totalItems"], 3)
        self.assertEqual(process.stop(), 0)

    def test_removal__racing_with_everything_else_ends_in_order(self):
        process = self.scheduler()
        client = self.register()
        stopping = threading.Event()

        def work(number):
            api = self.api.api()
            api.token = client.token
            grant, statuses, watch = grants[number], set(), support.Stopwatch()
            while not (stopping.is_set() and 401 in statuses) and not watch.exceeds(patience(30)):
                statuses.add(api.post("/v1/tasks", BODIES["task_create"]).status)
                answer = api.post("/v1/auth/refresh", {"refreshToken": grant["refreshToken"]}, token=None)
                statuses.add(answer.status)
                grant = answer.json() if answer.status == 200 else grant
                if number == 0 and len(statuses) == 2:
                    time.sleep(patience(0.3))
                    statuses.add(api.request("DELETE", "/v1/users/profile").status)
                    threading.Timer(0.5, stopping.set).start()
            api.close()
            return statuses

        grants = [self.sign_in(client) for _ in range(4)]
        for statuses in together(4, work):
            self.assertLessEqual(statuses, {200, 201, 204, 401})
            self.assertIn(401, statuses)
        self.wait_until_nothing_is_left(client.id)
        self.assertEqual(self.database.count("millrace.refresh_token", f"session_id = '{claims_of(client.token)['sid']}'"), 0)
        self.assertFalse([line for line in process.logs() if line["level"] == "error"])
        self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
