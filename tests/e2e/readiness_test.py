"""What an application lacks in its database is said before a request fails for it: by readiness and by the log, with its name."""

import unittest

import support
from cluster import Server
from support import Process, wait_for

PENDING = "Migrations of the application have not run."
TABLES = "A table, column or function of the application is missing, or may not be used."
OTHER = "The database is that of another application, or of a newer release of this one."

FIRST = {
    "millrace.yaml": "title: Notes\n",
    "migrations/0001_note.sql": """\
CREATE TABLE note (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                   updated_at timestamptz NOT NULL DEFAULT now(), text text NOT NULL);
CREATE INDEX note_text ON note (text, id);
""",
    "resources/note.yaml": """\
path: /v1/notes
access: public
fields:
  text: {type: text, required: true, length: 1..100}
list: {sort: [text]}
operations: [create, get, list]
""",
}

# Names in a statement that are no tables: of its own WITH list, and of FOR UPDATE OF. What looks like a call and is no function: a
# cast, and a column of a row.
SECOND = {
    **FIRST,
    "migrations/0002_visit.sql": "CREATE TABLE visit (n bigint NOT NULL); INSERT INTO visit VALUES (0); CREATE TABLE swept (n bigint);"
                                 "CREATE FUNCTION tally() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT n FROM visit';"
                                 "CREATE FUNCTION is_old(n bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT n < 0'",

    "operations/visits.yaml": """\
visit_count:
  route: POST /v1/visits
  access: public
  returns: {n: {type: integer, required: true}}
visit_show:
  route: GET /v1/visits
  access: public
  returns: {n: {type: integer, required: true}, by: {type: text, required: true}}
visit_tally:
  route: GET /v1/tally
  access: public
  returns: {n: {type: integer, required: true}}
""",
    "queries/visits.sql": """\
-- name: visit_count
WITH mine AS (SELECT v.n FROM visit v FOR UPDATE OF v)
UPDATE visit SET n = visit.n + 1 FROM mine WHERE jsonb('true')::boolean RETURNING n(visit);

-- name: visit_show
SELECT n, current_setting('application_name') AS by FROM visit;

-- name: visit_tally
SELECT tally() AS n;

-- name: sweep
DELETE FROM swept WHERE is_old(n);
""",
    "jobs/sweep.yaml": "sweep: {work: sql, statements: [sweep]}\n",
}


class Readiness(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.addClassCleanup(cls.server.close)
        cls.scratch = support.Scratch()
        cls.folders = {}
        for name, files in (("first", FIRST), ("second", SECOND)):
            cls.folders[name] = cls.scratch.join(name)
            cls.scratch.write({f"{name}/{path}": text for path, text in files.items()})

    def migrate(self, name, folder):
        done = support.run("migrate", **self.server.settings(name), MILLRACE_APP=self.folders[folder])
        self.assertEqual(done.returncode, 0, done.stderr)

    def database(self, name, folder):
        self.server.query(f'CREATE DATABASE "{name}"', "postgres")
        self.migrate(name, folder)

    def start(self, name, command="api", folder="second", **settings):
        if command == "scheduler":
            settings = {"HEALTH_SOCKET": f"millrace-readiness-{self.server.port}-{name}", "JWT_SECRET": None, **settings}
        process = Process(command, **{**self.server.settings(name), "DB_MIGRATIONS_RUN": "false", "ADMIN_PORT": support.free_port(),
                                      "MILLRACE_APP": self.folders[folder], **settings})
        self.addCleanup(process.kill)
        return process

    def problem(self, process, port=None):
        """What readiness says, None when it is well; of the port of those who run the process unless another is said."""
        try:
            with support.Connection(port or int(process.settings["ADMIN_PORT"])) as connection:
                answer = connection.get("/readyz")
                return None if answer.status == 200 else answer.json()["detail"]
        except OSError:
            return "it does not listen yet"

    def assert_lacks(self, process, text, missing, trouble):
        wait_for(lambda: self.problem(process) == f"{text} ({missing})", 20, "readiness")
        told = wait_for(lambda: [line for line in process.logs("database not reached yet") if line["trouble"] == trouble], 10, trouble)
        self.assertIn(missing, told[0]["reason"])

    def assert_answers_batches(self, process, api):
        """Who answers a query message by message is a writer, and who answers a batch of it a reader: the name of its session tells."""
        wait_for(lambda: api.get("/v1/visits", token=None).json()["by"].startswith("data-reader"), 20, "a query that answers batches")
        wait_for(lambda: process.logs("queries answer batches"), 20, "the log to say so")

    def assert_ready(self, process):
        wait_for(lambda: self.problem(process) is None, 20, "readiness")

    def test_pending_migration__is_named_and_awaited(self):
        self.database("pending", "first")
        process = self.start("pending")
        self.assert_lacks(process, PENDING, "migrations of the application have not run: 0002_visit", "pending")
        self.assertEqual(self.problem(process, process.port), PENDING)
        api = process.api()
        self.addCleanup(api.close)
        self.assertEqual(api.post("/v1/visits", None, token=None).status, 503)
        warned = process.said("queries run one by one for now")
        self.assertEqual([line["reason"] for line in warned], ["migrations of the application have not run: 0002_visit"])
        self.migrate("pending", "second")
        self.assert_ready(process)
        self.assertEqual(api.post("/v1/visits", None, token=None).json(), {"n": 1})
        self.assert_answers_batches(process, api)

    def test_older_folder__runs_on_what_a_newer_one_made(self):
        self.database("newer", "second")
        self.assert_ready(self.start("newer", folder="first"))

    def test_database_of_another_application__is_refused(self):
        self.server.query("CREATE DATABASE other", "postgres")
        done = support.run("migrate", **self.server.settings("other"))
        self.assertEqual(done.returncode, 0, done.stderr)
        process = self.start("other")
        wait_for(lambda: (self.problem(process) or "").startswith(OTHER), 20, "it is refused")
        self.assertIn("its first migration is 0001_tasks, this folder's is 0001_note", self.problem(process))

    def test_table_that_is_gone__is_named(self):
        self.database("gone", "second")
        self.server.query("ALTER TABLE visit RENAME TO elsewhere", "gone")
        process = self.start("gone")
        self.assert_lacks(process, TABLES, "no table visit, or none that may be seen", "tables")
        self.assertEqual([line["reason"] for line in process.said("queries run one by one for now")], ["there is no relation visit"])
        self.server.query("ALTER TABLE elsewhere RENAME TO visit", "gone")
        self.assert_ready(process)
        api = process.api()
        self.addCleanup(api.close)
        self.assert_answers_batches(process, api)

    def test_column_that_is_gone__is_named(self):
        self.database("column", "second")
        self.server.query("ALTER TABLE note RENAME COLUMN text TO words; ALTER TABLE note DROP COLUMN version", "column")
        process = self.start("column")
        self.assert_lacks(process, TABLES, "no column text, version in note", "tables")
        self.server.query("ALTER TABLE note RENAME COLUMN words TO text; ALTER TABLE note ADD COLUMN version bigint NOT NULL DEFAULT 1", "column")
        self.assert_ready(process)
        api = process.api()
        self.addCleanup(api.close)
        self.assertEqual(api.post("/v1/notes", {"text": "a"}, token=None).status, 201)

    def test_function_that_is_gone__is_named(self):
        self.database("function", "second")
        self.server.query("ALTER FUNCTION tally RENAME TO reckon; REVOKE EXECUTE ON FUNCTION is_old FROM public; CREATE ROLE worker LOGIN;"
                          "GRANT ALL ON ALL TABLES IN SCHEMA millrace, public TO worker; GRANT USAGE ON SCHEMA millrace TO worker", "function")
        process = self.start("function")
        self.assert_lacks(process, TABLES, "no function tally, or none that may be called", "tables")
        scheduler = self.start("function", "scheduler", DB_USER="worker")
        self.assert_lacks(scheduler, TABLES, "no function is_old, or none that may be called", "tables")
        self.server.query("ALTER FUNCTION reckon RENAME TO tally; GRANT EXECUTE ON FUNCTION is_old TO worker", "function")
        self.assert_ready(process)
        self.assert_ready(scheduler)
        api = process.api()
        self.addCleanup(api.close)
        self.assertEqual(api.get("/v1/tally", token=None).json(), {"n": 0})
        self.assert_answers_batches(process, api)

    def test_right_that_is_missing__is_named(self):
        self.database("rights", "second")
        self.server.query("CREATE ROLE narrow LOGIN; GRANT USAGE ON SCHEMA millrace TO narrow;"
                          "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA millrace TO narrow; GRANT SELECT (text) ON note TO narrow",
                          "rights")
        process = self.start("rights", DB_USER="narrow")
        self.assert_lacks(process, TABLES, "no right to INSERT note; no right to use visit", "tables")
        self.server.query("GRANT INSERT, SELECT ON note TO narrow; GRANT UPDATE, SELECT ON visit TO narrow", "rights")
        self.assert_ready(process)
        api = process.api()
        self.addCleanup(api.close)
        self.assertEqual(api.post("/v1/notes", {"text": "a"}, token=None).status, 201)
        self.assertEqual(api.get("/v1/notes", token=None).status, 200)

    def test_record_that_may_not_be_read__is_not_held_against_it(self):
        self.database("record", "first")
        self.server.query("CREATE ROLE unlettered LOGIN; GRANT USAGE ON SCHEMA millrace TO unlettered;"
                          "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA millrace, public TO unlettered;"
                          "REVOKE ALL ON millrace.app_migration FROM unlettered", "record")
        process = self.start("record", folder="first", DB_USER="unlettered")
        self.assert_ready(process)
        told = process.logs("no right to read which migrations of the application have run")
        self.assertEqual(len(told), 1)
        self.assertIn("app_migration", told[0]["reason"])

    def test_table_of_a_job__is_missed_by_the_scheduler_alone(self):
        self.database("jobs", "second")
        self.server.query("ALTER TABLE swept RENAME TO elsewhere", "jobs")
        scheduler = self.start("jobs", "scheduler")
        self.assert_lacks(scheduler, TABLES, "no table swept, or none that may be seen", "tables")
        self.assert_ready(self.start("jobs"))
        self.server.query("ALTER TABLE elsewhere RENAME TO swept", "jobs")
        self.assert_ready(scheduler)


if __name__ == "__main__":
    unittest.main()
