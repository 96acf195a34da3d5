"""A release can be rolled back: the one before runs on a database that this one has migrated, beside it and after it."""

import glob
import io
import os
import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import support  # noqa: E402
from support import PASSWORD, SERVER_DATABASE, ModuleServer, Process, Scheduler, run  # noqa: E402

# The newest release; a new one puts itself here, CONTRIBUTING.md says when.
RELEASE = "e1c04f8ecc6e2a1a5eb9383180a3a2d0ddc7f2cc"
# In a container the tree may belong to somebody else.
GIT = ("git", "-c", "safe.directory=*", "-C", str(ROOT))

module = ModuleServer()
tree = None  # of that release
server = None


def output(*command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]!r}{done.stderr[-3000:]!r}"
    return done.stdout


def unpack(folder):
    """The files of the release, from the repository that this tree belongs to."""
    if subprocess.run([*GIT, "cat-file", "-e", RELEASE], capture_output=True).returncode != 0:
        raise unittest.SkipTest(f"the repository does not have the commit {RELEASE[:7]} of the release before; fetch the whole history")
    with tarfile.open(fileobj=io.BytesIO(output(*GIT, "archive", RELEASE))) as archive:
        archive.extractall(folder)


def build():
    """The release's tree with its binary in build/, kept below the folder of the build that is tested."""
    kept = Path(support.binary()).parent / "previous" / RELEASE
    if not (kept / "build" / "millrace").exists():
        unpack(kept)
        output("cmake", "-G", "Ninja", "-S", kept, "-B", kept / "build", "-D", "BUILD_TESTING=OFF", "-D", "CMAKE_BUILD_TYPE=Debug")
        output("cmake", "--build", kept / "build", "--target", "millrace")
    return kept


def setUpModule():
    global tree, server
    try:
        subprocess.run(["git", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise unittest.SkipTest("there is no git, so the release before cannot be had") from None
    tree = build()
    server = module.start()


def tearDownModule():
    module.stop()


def previous_binary():
    return str(tree / "build" / "millrace")


class Previous(Process):
    program = staticmethod(previous_binary)


class PreviousScheduler(Scheduler):
    program = staticmethod(previous_binary)


class OnADatabaseOfThisRelease(unittest.TestCase):
    """As the role that owns everything, and as the one of compose/ and of the package, whose name is that of the schema."""

    def setUp(self):
        with server.database("postgres") as database:
            database.query("DO $$ BEGIN CREATE ROLE millrace LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")

    def new_database(self, role):
        name = server.new_database()
        with server.database("postgres") as database:
            database.query(f'ALTER DATABASE "{name}" OWNER TO {role}')
        return {"DB_HOST": os.path.join(server.state_dir, SERVER_DATABASE), "DB_USER": role, "DB_DATABASE": name}

    def migrated(self, role):
        settings = self.new_database(role)
        done = run("migrate", **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        return settings

    def start(self, kind, settings):
        process = kind("api", **settings)
        self.addCleanup(process.kill)
        return process.ready()

    def assert_clean(self, process):
        self.assertEqual(process.stop(), 0, process.text()[-2000:])

    def assert_works(self, process):
        """Registers, signs in, makes a task and finds it again."""
        api = process.api().register()
        self.addCleanup(api.close)
        task = api.create_task(summary="roll back the release", description="see docs/operations.md")
        self.assertEqual(api.get(f"/v1/tasks/{task['id']}").json(), task)
        changed = api.request("PATCH", f"/v1/tasks/{task['id']}", {"isComplete": True}).json()
        self.assertTrue(changed["isComplete"])
        for words in ("release", "docs/operations.md"):
            self.assertEqual([found["id"] for found in api.get(f"/v1/tasks?q={words}").json()], [task["id"]], words)
        return api, task

    def sign_in(self, process, username):
        api = process.api()
        self.addCleanup(api.close)
        answer = api.post("/v1/auth/signin", {"username": username, "password": PASSWORD}, token=None)
        self.assertEqual(answer.status, 200, answer)
        api.token = answer.json()["accessToken"]
        return api

    def hand_over(self, first, second, settings):
        """What one release wrote the other finds, while both run."""
        first, second = self.start(first, settings), self.start(second, settings)
        for here, there in ((first, second), (second, first)):
            api, task = self.assert_works(here)
            other = self.sign_in(there, api.user["username"])
            self.assertEqual(other.get(f"/v1/tasks/{task['id']}").json()["summary"], task["summary"])
        self.assert_clean(first)
        self.assert_clean(second)

    def test_owner_of_the_database(self):
        self.hand_over(Process, Previous, self.migrated("millrace"))

    def test_superuser(self):
        self.hand_over(Process, Previous, self.migrated("postgres"))

    def test_database_that_the_previous_release_made(self):
        settings = self.new_database("millrace")
        previous = self.start(Previous, settings)
        api, task = self.assert_works(previous)
        self.assert_clean(previous)
        present = self.start(Process, settings)
        other = self.sign_in(present, api.user["username"])
        self.assertEqual(other.get(f"/v1/tasks/{task['id']}").json()["summary"], task["summary"])
        for words in ("operations", "docs/operations.md", "roll+operations.md"):
            self.assertEqual(len(other.get(f"/v1/tasks?q={words}").json()), 1, words)
        self.assert_clean(present)
        self.assert_works(self.start(Previous, settings))

    def test_it_runs_while_the_database_is_migrated(self):
        """As in a rolling update; and what it writes then, the new release finds by any spelling."""
        settings = self.new_database("millrace")
        previous = self.start(Previous, settings)
        self.assert_works(previous)
        present = self.start(Process, settings)
        self.assert_works(previous)
        previous.api().register(username="Straße").close()
        self.sign_in(present, "Straße")
        self.sign_in(present, "STRASSE")
        api = present.api()
        self.addCleanup(api.close)
        self.assertEqual(api.post("/v1/auth/register", {**support.new_user(), "username": "strasse"}).status, 409)

    def test_tables_are_there_once(self):
        settings = self.migrated("millrace")
        self.assert_works(self.start(Previous, settings))
        with server.database(settings["DB_DATABASE"]) as database:
            twice = database.query("SELECT tablename FROM pg_tables WHERE schemaname IN ('public', 'millrace') "
                                   "GROUP BY tablename HAVING count(*) > 1")
        self.assertEqual(twice, [])

    def test_scheduler(self):
        settings = self.migrated("millrace")
        process = PreviousScheduler(server, settings["DB_DATABASE"])
        self.addCleanup(process.kill)
        process.ready()
        with server.database(settings["DB_DATABASE"]) as database:
            for job in ("cleanup", "aggregate", "report", "maintenance"):
                database.wait_for_run(database.add_run(job))
        self.assert_clean(process)

    def remove(self, api):
        self.assertEqual(api.request("DELETE", "/v1/users/profile").status, 204)

    def assert_gone(self, process, api):
        """Nobody can sign in as that user, read who they were or add anything to what was theirs."""
        other = process.api()
        self.addCleanup(other.close)
        body = {"username": api.user["username"], "password": PASSWORD}
        self.assertEqual(other.post("/v1/auth/signin", body, token=None).status, 401)
        self.assertEqual(other.get("/v1/users/profile", token=api.token).status, 401)
        self.assertEqual(other.post("/v1/tasks", {"summary": "x", "taskPriorityCode": "LOW"}, token=api.token).status, 401)

    def test_user__who_is_removed_by_one_release_is_gone_for_the_other(self):
        settings = self.migrated("millrace")
        present, previous = self.start(Process, settings), self.start(Previous, settings)
        with server.database(settings["DB_DATABASE"]) as database:
            for one, other in ((present, previous), (previous, present)):
                api, _ = self.assert_works(one)
                self.remove(api)
                self.assert_gone(one, api)
                self.assert_gone(other, api)
                heir = other.api().register(username=api.user["username"])
                self.addCleanup(heir.close)
                self.assertEqual(heir.get("/v1/tasks").json(), [])
            self.assertEqual(database.count("millrace.account", "closed_at IS NOT NULL"), 2)
            process = Scheduler(server, settings["DB_DATABASE"])
            self.addCleanup(process.kill)
            process.ready()
            support.wait_for(lambda: not database.count("millrace.account", "closed_at IS NOT NULL"), 20, "all that was theirs goes")
            self.assertEqual(database.count("task"), 0)
        for each in (present, previous, process):
            self.assert_clean(each)

    def test_every_migration_since_says_so(self):
        known = len(glob.glob(str(tree / "sql" / "migrations" / "*.sql")))
        settings = self.migrated("postgres")
        with server.database(settings["DB_DATABASE"]) as database:
            if database.value("SELECT to_regclass('millrace.migration')"):
                refusing = database.query(f"SELECT name, runs_with FROM millrace.migration WHERE version > {known} AND runs_with > {known}")
                self.assertEqual(refusing, [])
            self.assertEqual(database.value("SELECT max(version) FROM public.schema_migration"), "7")


if __name__ == "__main__":
    unittest.main()
