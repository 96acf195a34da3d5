"""An application from a folder, served by all of it: `millrace all` with MILLRACE_APP."""

import json
import os
import unittest

import support

# Statements that run message by message.
SEATS = {
    "millrace.yaml": "title: Seats\n",
    "migrations/0001_seat.sql": """\
CREATE TABLE seat (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), row_name text NOT NULL, number bigint NOT NULL CHECK (number > 0),
                   UNIQUE (row_name, number));
CREATE FUNCTION take_seat(which text, place bigint) RETURNS SETOF seat LANGUAGE plpgsql AS $$
BEGIN
    IF place = 13 THEN
        RAISE SQLSTATE 'MR410' USING MESSAGE = 'There is no seat 13 any more.';
    END IF;
    IF place > 99 THEN
        RAISE SQLSTATE 'MR409' USING MESSAGE = 'is too far away', COLUMN = 'number';
    END IF;
    RETURN QUERY INSERT INTO seat (row_name, number) VALUES (which, place) RETURNING *;
END
$$;
""",
    "operations/seats.yaml": """\
seat_take:
  route: POST /v1/seats
  access: user
  key: rowName
  idempotent: true
  fields:
    rowName: {type: text, required: true, length: 1..10}
    number:  {type: integer, required: true}
  returns:
    id:     {type: uuid, required: true}
    number: {type: integer, required: true}
seat_swap:
  route: POST /v1/seats/swap
  access: user
  key: rowName
  idempotent: true
  statement: seat_take
  fields:
    rowName: {type: text, required: true, length: 1..10}
    number:  {type: integer, required: true}
  returns:
    id:     {type: uuid, required: true}
    number: {type: integer, required: true}
""",
    "queries/seats.sql": "-- name: seat_take\nSELECT id, number FROM take_seat(:rowName, :number)\n",
}

FILES = {
    **SEATS,
    "millrace.yaml": "title: Census\nversion: 1.2.3\nabout: Counts those who are here.\n",
    "jobs/census.yaml": """\
census:
  work: sql
  statements: [census_touch, census_walk]
  cron: 30 4 * * *
  timezone: Europe/Berlin
  exclusive: true
  about: Counts users
cleanup:
  work: sql
  statements: [cleanup__seats, cleanup__rows]
  args:
    row:   {type: text, default: '${CLEANED_ROW:-nowhere}', length: 1..10}
    above: {type: integer, default: 1}
""",
    "operations/rows.yaml": """\
row_list:
  route: GET /v1/rows
  access: public
  cache: 1m
  returns:
    - name: {type: text, required: true}
      size: {type: json, required: true, fields: {seats: {type: integer, required: true}}}
room_get:
  route: GET /v1/rooms/{name}
  access: public
  fields:
    name: {type: text}
  returns: room
""",
    "resources/room.yaml": """\
path: /v1/rooms
about: A room, which others name
access: public
fields:
  name:  {type: text, required: true}
  level: {type: integer}
operations: []
""",
    "migrations/0002_room.sql": """\
CREATE TABLE room (name text PRIMARY KEY, level integer);
INSERT INTO room VALUES ('hall', 1), ('attic', NULL);
""",
    "queries/census.sql": """\
-- name: cleanup__seats
DELETE FROM seat WHERE row_name = 'old';

-- name: cleanup__rows
WITH {{chunk}}, gone AS (
    DELETE FROM seat s USING k WHERE s.row_name = k.args ->> 'row' AND s.number > (k.args ->> 'above')::bigint RETURNING s.id
)
SELECT (SELECT count(*) FROM gone) AS rows, NULL::text AS cursor, false AS more, NULL::text AS unit FROM k;

-- name: row_list
SELECT v.name, jsonb_build_object('seats', v.seats) AS size FROM (VALUES ('A', 9), ('B', 11)) v (name, seats) ORDER BY v.name;

-- name: room_get
SELECT * FROM room WHERE name = :name;

-- name: census_touch
UPDATE millrace.app_user SET updated_at = updated_at;

-- name: census_walk
WITH {{chunk}}, seen AS (
    SELECT u.id
      FROM k
     CROSS JOIN LATERAL (SELECT u.id FROM millrace.app_user u WHERE u.id > coalesce(k.cursor::uuid, {{least_id}}) ORDER BY u.id LIMIT least(k.most, 2)) u
)
SELECT (SELECT count(*) FROM seen) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) = least(k.most, 2) AS more,
       NULL::text AS unit
  FROM k;
""",
}

COLUMNS = "id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()"

# What belongs to users: a table that refers to another, in front of it by its name, and a view of which nothing can be deleted.
FILES.update({
    "migrations/0003_note.sql": f"""\
CREATE TABLE note ({COLUMNS}, user_id uuid NOT NULL REFERENCES millrace.account, text text NOT NULL);
CREATE INDEX ON note (user_id, created_at, id);
CREATE TABLE remark ({COLUMNS}, user_id uuid NOT NULL REFERENCES millrace.account, note_id uuid NOT NULL REFERENCES note, text text);
CREATE INDEX ON remark (user_id, created_at, id);
CREATE INDEX ON remark (note_id);
CREATE VIEW first_note AS SELECT DISTINCT ON (user_id) * FROM note ORDER BY user_id, created_at, id;
""",
    "resources/note.yaml": "path: /v1/notes\nowner: user_id\nfields:\n  text: {type: text, required: true, length: 1..100}\n",
    "resources/remark.yaml": "path: /v1/remarks\nowner: user_id\nfields:\n  note: {type: uuid, required: true, column: note_id, references: note.id}\n"
                             "  text: {type: text, length: 0..100}\n",
    "resources/first_note.yaml": "path: /v1/first-notes\nowner: user_id\noperations: [list]\nfields:\n  text: {type: text, readonly: true}\n",
})

scratch = None
server = None


def setUpModule():
    global scratch, server
    scratch = support.Scratch()
    scratch.write(FILES)
    server = support.Everything(MILLRACE_APP=scratch.path, CLEANED_ROW="swept").ready()


def tearDownModule():
    server.close()
    scratch.remove()


class Application(unittest.TestCase):
    def test_application__takes_the_place_of_tasks(self):
        user = server.api().register()
        self.addCleanup(user.close)
        self.assertEqual(user.get("/v1/tasks").status, 404)
        self.assertEqual(user.get("/v1/users/profile").status, 200)

    def test_application__has_a_document_of_its_own(self):
        api = server.api()
        self.addCleanup(api.close)
        info = api.get("/openapi.json").json()["info"]
        self.assertEqual((info["title"], info["version"], "license" in info), ("Census", "1.2.3", False))
        self.assertTrue(info["description"].startswith("Counts those who are here."))

    def test_application__a_job_runs_its_statements_in_their_order(self):
        users = [server.api().register() for _ in range(5)]
        for user in users:
            self.addCleanup(user.close)
        admin = server.admin()
        self.addCleanup(admin.close)
        run = admin.run_job("census")
        self.assertEqual(run["state"], "succeeded")
        counted = run["result"]["census_walk"]
        self.assertGreaterEqual(counted, 6)
        self.assertEqual(run["result"], {"census_touch": counted, "census_walk": counted})

    def test_application__adds_to_a_job_of_the_engine(self):
        admin = server.admin()
        self.addCleanup(admin.close)
        with server.database() as connection:
            connection.query("INSERT INTO seat (row_name, number) VALUES ('old', 1), ('old', 2), ('new', 1)")
        run = admin.run_job("cleanup")
        self.assertEqual((run["state"], run["result"]["seats"]), ("succeeded", 2))
        self.assertIn("refreshTokens", run["result"])
        with server.database() as connection:
            self.assertEqual(connection.query("SELECT row_name FROM seat WHERE row_name IN ('old', 'new')"), [["new"]])

    def test_application__a_run_is_given_what_the_job_s_arguments_default_to(self):
        """A variable among them; what a run has of its own comes before."""
        with server.database() as connection:
            connection.query("INSERT INTO seat (row_name, number) SELECT 'swept', n FROM generate_series(1, 9) n")
            for args, left in (({"above": 5, "else": 1}, 5), ({}, 1)):
                run = connection.add_run("cleanup", args=json.dumps(args))
                connection.wait_for_run(run)
                self.assertEqual(connection.value("SELECT count(*) FROM seat WHERE row_name = 'swept'"), str(left))

    def test_application__a_list_of_a_map_is_kept_by_gateway_and_client(self):
        api = server.api()
        self.addCleanup(api.close)
        answer = api.get("/v1/rows")
        self.assertEqual(answer.json(), [{"name": "A", "size": {"seats": 9}}, {"name": "B", "size": {"seats": 11}}])
        self.assertEqual(answer.header("Cache-Control"), "public, max-age=60")
        self.assertEqual(api.get("/v1/rows", headers=[("If-None-Match", answer.header("ETag"))]).status, 304)
        members = api.get("/openapi.json").json()["components"]["schemas"]["RowList"]["properties"]
        self.assertEqual(members["size"]["$ref"], "#/components/schemas/Size")

    def test_application__a_table_that_is_not_served_needs_no_column_of_the_engine(self):
        api = server.api()
        self.addCleanup(api.close)
        self.assertEqual(api.get("/v1/rooms").status, 404)
        self.assertEqual(api.get("/v1/rooms/hall").json(), {"name": "hall", "level": 1})
        self.assertEqual(api.get("/v1/rooms/attic").json(), {"name": "attic"})
        self.assertEqual(api.get("/v1/rooms/cellar").status, 404)

    def test_application__a_job_is_scheduled_in_its_zone(self):
        admin = server.admin()
        self.addCleanup(admin.close)
        job = admin.get("/v1/jobs/census").json()
        self.assertEqual((job["schedule"], job["timezone"]), ("30 4 * * *", "Europe/Berlin"))
        self.assertRegex(job["nextAt"], "T0[23]:30:00")
        self.assertEqual(admin.get("/v1/jobs/report").status, 404)


class Removal(unittest.TestCase):
    def test_removal__deletes_the_rows_of_declared_owners_in_chunks(self):
        keeper, user = server.api().register(), server.api().register()
        self.addCleanup(keeper.close)
        self.addCleanup(user.close)
        for api in (keeper, user):
            note = api.post("/v1/notes", {"text": "mine"}).json()
            self.assertEqual(api.post("/v1/remarks", {"note": note["id"]}).status, 201)
        self.assertEqual([note["text"] for note in user.get("/v1/first-notes").json()], ["mine"])
        with server.database() as database:
            database.query(f"INSERT INTO note (id, user_id, text) SELECT gen_random_uuid(), '{user.user['id']}', 'x' FROM generate_series(1, 1500);"
                           f"INSERT INTO remark (id, user_id, note_id) SELECT gen_random_uuid(), user_id, id FROM note WHERE user_id = '{user.user['id']}'")
            self.assertEqual(user.request("DELETE", "/v1/users/profile").status, 204)
            self.assertEqual(user.get("/v1/notes").status, 401)
            support.wait_for(lambda: not database.count("millrace.account", f"id = '{user.user['id']}'"), 30, "the account goes, when its rows have")
            ended = support.wait_for(lambda: database.query("SELECT result FROM millrace.job_run WHERE job = 'removal' AND state = 'succeeded'"
                                                            f" AND args ->> 'account' = '{user.user['id']}'"), 10, "the run ends")
            self.assertEqual({name: json.loads(ended[0][0])[name] for name in ("notes", "remarks")}, {"notes": 1501, "remarks": 1502})
            self.assertEqual(database.query("SELECT count(*), count(DISTINCT user_id) FROM note"), [["1", "1"]])
        self.assertEqual(len(keeper.get("/v1/remarks").json()), 1)


class Maintenance(unittest.TestCase):
    def test_maintenance__looks_after_tables_and_rebuilds_what_a_migration_left_to_it(self):
        with server.database() as database:
            database.query("""CREATE TABLE "Odd ""name" (n integer); CREATE INDEX "odd index" ON "Odd ""name" (n);"""
                           """COMMENT ON INDEX "odd index" IS 'millrace: rebuild'; CREATE TABLE session (n integer)""")
            before = database.value("SELECT '\"odd index\"'::regclass::oid::text || pg_relation_filenode('\"odd index\"')")
            admin = server.admin()
            self.addCleanup(admin.close)
            result = admin.run_job("maintenance")["result"]
            self.assertLessEqual({"app_user", "job_run", "note", "millrace.session", "public.session", 'Odd "name'}, set(result))
            self.assertFalse({"first_note", "task"} & set(result))
            self.assertEqual([name for name in result if "skipped" in result[name]], [])
            self.assertIn("odd index", result['Odd "name']["indexes"])
            after = database.value("SELECT '\"odd index\"'::regclass::oid::text || pg_relation_filenode('\"odd index\"')")
            self.assertNotEqual(after, before)
            self.assertIsNone(database.value("SELECT obj_description('\"odd index\"'::regclass, 'pg_class')"))


class Seats(unittest.TestCase):
    """A statement that runs message by message: what it refuses, and a key that comes again."""

    def setUp(self):
        self.user = server.api().register()
        self.addCleanup(self.user.close)
        self.row = "R" + self.id()[-8:]

    def take(self, number, status=200, path="/v1/seats", **headers):
        answer = self.user.post(path, {"rowName": self.row, "number": number}, headers=list(headers.items()))
        self.assertEqual(answer.status, status, answer.body)
        return answer.json()

    def test_seats__a_refusal_of_the_request_is_its_detail(self):
        problem = self.take(13, 410)
        self.assertEqual((problem["title"], problem["detail"]), ("Gone", "There is no seat 13 any more."))
        self.assertNotIn("errors", problem)

    def test_seats__a_refusal_of_a_field_names_it(self):
        problem = self.take(100, 409)
        self.assertEqual(problem["errors"], [{"field": "number", "code": "state", "message": "is too far away"}])

    def test_seats__a_broken_constraint_names_each_of_its_fields(self):
        self.take(1)
        errors = self.take(1, 409)["errors"]
        self.assertEqual([(e["field"], e["code"]) for e in errors], [("rowName", "taken"), ("number", "taken")])
        self.assertEqual([e["field"] for e in self.take(-1, 400)["errors"]], ["number"])

    def test_seats__a_key_belongs_to_its_request(self):
        key = {"Idempotency-Key": '"%s"' % self.row}
        first = self.take(1, **key)
        self.assertEqual(self.take(1, **key), first)
        self.take(2, 422, **key)
        self.take(1, 422, path="/v1/seats/swap", **key)  # the same payload, and another operation
        self.assertNotEqual(self.take(2), first)


class Migrations(unittest.TestCase):
    """By `millrace migrate`, each on a database of its own."""

    def setUp(self):
        self.folder = support.Scratch()
        self.addCleanup(self.folder.remove)
        os.mkdir(self.folder.join("migrations"))
        self.write("millrace.yaml", "title: Notes\n")
        self.database = server.new_database()
        self.there = {"DB_DATABASE": self.database, "DB_USER": "postgres", "DB_HOST": os.path.join(server.state_dir, support.SERVER_DATABASE)}

    def write(self, name, text):
        with open(self.folder.join(name), "w", encoding="utf-8") as file:
            file.write(text)

    def migrate(self, what="up", status=0):
        done = support.run("migrate", what, MILLRACE_APP=self.folder.path, **self.there)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def query(self, sql):
        with server.database(self.database) as session:
            return session.query(sql)

    def test_migrations__run_once_behind_the_engine_s(self):
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY); -- the first\n-- and a comment at the end")
        self.migrate()
        self.write("migrations/0002_text.sql", "ALTER TABLE note ADD COLUMN text text;\n")
        self.assertIn("0002_text", [line.split()[1] for line in self.migrate("status").splitlines() if line.endswith("pending")])
        self.assertIn("applied 1", self.migrate())
        self.assertIn("nothing to apply", self.migrate())
        self.assertEqual(len(self.query("SELECT text FROM note")), 0)

    def test_migrations__one_that_fails_leaves_nothing(self):
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\nSELECT nonsense;\n")
        self.assertIn("nonsense", self.migrate(status=1))
        self.assertIn("0001_note", self.migrate("status"))
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.migrate()

    def test_migrations__what_has_run_stays_as_it_is(self):
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.migrate()
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY, text text);\n")
        self.assertIn("was applied with another text", self.migrate(status=1))

    def test_migrations__a_database_of_another_application_is_refused(self):
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.migrate()
        os.rename(self.folder.join("migrations/0001_note.sql"), self.folder.join("migrations/0001_shop.sql"))
        self.write("migrations/0001_shop.sql", "CREATE TABLE shop (id uuid PRIMARY KEY);\n")
        self.assertIn("belongs to another application", self.migrate(status=1))

    def test_migrations__nothing_is_in_public_but_the_application_s(self):
        """Names of tables of the engine and of tasks are as good as any."""
        names = ["account", "app_user", "job", "job_run", "report", "schema_migration", "session", "task", "task_priority"]
        self.write("migrations/0001_note.sql", "".join(f"CREATE TABLE {name} (id uuid PRIMARY KEY);\n" for name in names)
                   + "CREATE SEQUENCE job_claim;\nCREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';\n")
        self.assertEqual(self.migrate("status").split()[:3], ["0013", "baseline", "pending"])
        self.migrate()
        there = self.query("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i') ORDER BY 1")
        self.assertEqual([name for name, in there], sorted([*names, "job_claim"]))
        self.assertEqual(self.query("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"), [["uuid_v7"]])
        self.assertIn("nothing to apply", self.migrate())
        self.assertNotIn("pending", self.migrate("status"))

    def test_migrations__a_database_of_tasks_is_refused(self):
        """By a folder with migrations, and by one without."""
        support.run("migrate", **self.there)
        self.assertIn("belongs to another application", self.migrate(status=1))
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.assertIn("belongs to another application", self.migrate(status=1))
        self.assertEqual(self.query("SELECT to_regclass('note')"), [[None]])

    def test_migrations__tasks_refuse_the_database_of_an_application(self):
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.migrate()
        done = support.run("migrate", **self.there)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another application", done.stderr)
        self.assertEqual(self.query("SELECT to_regclass('task'), to_regclass('schema_migration')"), [[None, None]])

    def test_migrations__a_role_that_may_not_make_what_is_needed_is_told_what_to_grant(self):
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\n")
        role = "weak_" + self.database
        self.query(f'CREATE ROLE "{role}" LOGIN')
        self.there["DB_USER"] = role
        told = self.migrate(status=1)
        self.assertIn("permission denied for database", told)
        for advice in told.split("the role may not do that: ")[1].strip().split("; "):
            self.assertTrue(advice.startswith("GRANT "), advice)
            self.query(advice)
        self.migrate()

    def test_migrations__an_older_folder_is_served_unless_one_is_breaking(self):
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.write("migrations/0002_text.sql", "ALTER TABLE note ADD COLUMN text text;\n")
        self.migrate()
        os.remove(self.folder.join("migrations/0002_text.sql"))
        self.assertIn("newer than this folder", self.migrate("status"))
        self.migrate()
        self.write("migrations/0002_text.sql", "ALTER TABLE note ADD COLUMN text text;\n")
        self.write("migrations/0003_drop.sql", "-- breaking\nALTER TABLE note DROP COLUMN text;\n")
        self.migrate()
        os.remove(self.folder.join("migrations/0003_drop.sql"))
        self.assertIn("breaking migration 0003_drop", self.migrate(status=1))


class Packed(unittest.TestCase):
    """The application in the binary is read as a folder is, by every command."""

    FOLDER = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "apps", "tasks"))

    def ask(self, *arguments, application, status=0, **settings):
        done = support.run(*arguments, MILLRACE_APP=application, **settings)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_packed__is_the_folder_it_was_made_of(self):
        for command in ("routes", "openapi", "sql"):
            told = self.ask(command, application="tasks:")
            self.assertIn("task", told)
            self.assertEqual(told, self.ask(command, application=self.FOLDER), command)

    def test_packed__is_checked_with_its_name_before_the_places(self):
        there = {"DB_USER": "postgres", "DB_HOST": os.path.join(server.state_dir, support.SERVER_DATABASE)}
        self.assertIn("no problem", self.ask("check", application="tasks:", **there))
        self.assertRegex(self.ask("check", application="tasks:", status=2, SCHEDULE_TASK_REPORT_CRON="never", **there),
                         r"\Atasks: jobs/figures\.yaml:\d+:\d+: .*cron")

    def test_config__lists_the_variables_of_the_folder(self):
        """Names that deployments know are the folder's, and what is wrong with a value is told with its name."""
        told = json.loads(self.ask("config", "--json", application="tasks:", CLEANUP_SCOPE="all"))
        told = {setting["name"]: setting for setting in told if setting["name"].startswith(("CLEANUP_", "SCHEDULE_TASK_"))}
        self.assertEqual(sorted(told), ["CLEANUP_COMPLETED_AFTER", "CLEANUP_SCOPE", "SCHEDULE_TASK_AGGREGATE_CRON", "SCHEDULE_TASK_CLEANUP_CRON",
                                        "SCHEDULE_TASK_MAINTENANCE_CRON", "SCHEDULE_TASK_REPORT_CRON"])
        self.assertEqual([told["CLEANUP_SCOPE"][key] for key in ("type", "rule", "default", "value", "about")],
                         ["choice", "completed|all", "completed", "all",
                          "all deletes every task, for playgrounds; the application's `cleanup.args.scope.default` (jobs/cleanup.yaml)"])
        self.assertEqual([told["SCHEDULE_TASK_REPORT_CRON"][key] for key in ("type", "rule", "default")], ["text", "cron", ""])
        for name, value in (("CLEANUP_SCOPE", "some"), ("CLEANUP_COMPLETED_AFTER", "soon"), ("SCHEDULE_TASK_REPORT_CRON", "never")):
            done = support.run("migrate", MILLRACE_APP="tasks:", DB_HOST="/nowhere", **{name: value})
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, rf"tasks: jobs/\w+\.yaml:\d+:\d+: .*\(the value is that of {name}\)")

    def test_config__hides_a_secret_and_tells_of_a_folder_that_is_refused(self):
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        scratch.write({"millrace.yaml": "title: Calls\n", "jobs/call.yaml": "call: {work: push, url: '${CALL_URL}', secret: '${CALL_SECRET:-}'}\n"})
        done = support.run("config", MILLRACE_APP=scratch.path, CALL_SECRET="whsec_hush")
        self.assertEqual(done.returncode, 0)
        self.assertIn("CALL_SECRET=***\nCALL_URL=\n", done.stdout)
        self.assertIn("CALL_URL is not set", done.stderr)
        self.assertNotIn("hush", done.stdout + done.stderr)

    def test_packed__and_its_folder_have_one_database(self):
        """Whichever comes first; a database of an earlier release is theirs, too."""
        for first in ("tasks:", self.FOLDER, None):
            there = {"DB_DATABASE": server.new_database(), "DB_USER": "postgres", "DB_HOST": os.path.join(server.state_dir, support.SERVER_DATABASE)}
            self.assertRegex(self.ask("migrate", application=first, **there), r"^applied [1-9]")
            self.ask("migrate", application="tasks:", **there)
            self.assertEqual(self.ask("migrate", application=self.FOLDER, **there), "nothing to apply\n")
            with server.database(there["DB_DATABASE"]) as session:
                self.assertEqual(session.value("SELECT max(version) FROM public.schema_migration"), "7")
                self.assertEqual(session.value("SELECT count(*) FROM task_priority"), "5")

    def test_packed__has_no_files_to_change(self):
        done = support.run("dev", "tasks:", **{"DB_HOST": "/nowhere"})
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("no files to change", done.stderr)


class Refused(unittest.TestCase):
    def refuse(self, *arguments, **settings):
        done = support.run(*arguments, **settings)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_refused__a_folder_with_mistakes(self):
        bad = support.Scratch()
        self.addCleanup(bad.remove)
        with open(bad.join("millrace.yaml"), "w", encoding="utf-8") as file:
            file.write("titel: Bad\n")
        for command in ("all", "api", "routes", "openapi"):
            told = self.refuse(command, bad.path, JWT_SECRET="x" * 32, DB_HOST="/nowhere")
            self.assertIn('millrace.yaml:1:1: unknown key "titel"', told)

    def test_refused__a_zone_that_is_nowhere(self):
        bad = support.Scratch()
        self.addCleanup(bad.remove)
        os.mkdir(bad.join("jobs"))
        os.mkdir(bad.join("queries"))
        for name, text in (("millrace.yaml", "title: Bad\n"), ("queries/a.sql", "-- name: a\nSELECT 1;\n"),
                           ("jobs/a.yaml", "a:\n  work: sql\n  statements: [a]\n  cron: 0 3 * * *\n  timezone: Europe/Atlantis\n")):
            with open(bad.join(name), "w", encoding="utf-8") as file:
                file.write(text)
        self.assertIn("Europe/Atlantis", self.refuse("scheduler", bad.path, DB_HOST="/nowhere"))


if __name__ == "__main__":
    unittest.main()
