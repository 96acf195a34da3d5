"""`millrace check`: what it says and with which status, and that nothing of its scratch database is left behind."""

import glob
import os
import re
import shutil
import signal
import subprocess
import unittest

import support
from support import run, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(ROOT, "tests", "data")
SHOP = os.path.join(DATA, "applications", "shop")
MISTAKES = os.path.join(DATA, "mistakes")


def problems():
    with open(os.path.join(MISTAKES, "problems.txt"), encoding="utf-8") as file:
        return file.read()


def with_slow_migration(path):
    """A copy of the shop whose last migration takes an hour."""
    shutil.copytree(SHOP, path)
    with open(os.path.join(path, "migrations", "0003_slow.sql"), "w", encoding="utf-8") as file:
        file.write("SELECT pg_sleep(3600);\n")
    return path


class Started:
    """A check at work, and whether its slow migration is."""

    def __init__(self, *arguments, **settings):
        self.child = subprocess.Popen([support.binary(), "check", *arguments], env=support.environment(**settings), cwd="/",
                                      text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, number):
        self.child.send_signal(number)
        out, err = self.child.communicate(timeout=support.patience(60))
        return self.child.returncode, out, err


def sleeps(directory, name):
    """Whether a session of that server is in pg_sleep."""
    try:
        with support.JobDatabase(directory, name) as database:
            return database.query("SELECT datname FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'")
    except (OSError, support.DatabaseError):
        return []


class OnAServer(unittest.TestCase):
    """With DB_HOST."""

    @classmethod
    def setUpClass(cls):
        cls.server = support.Everything(SCHEDULE_TASK_CLEANUP_CRON=None).ready()
        cls.directory = os.path.join(cls.server.state_dir, support.SERVER_DATABASE)
        cls.settings = {"DB_HOST": cls.directory, "DB_USER": "postgres"}

    @classmethod
    def tearDownClass(cls):
        assert cls.server.close() == 0

    def setUp(self):
        self.scratch = support.Scratch()
        self.addCleanup(self.scratch.remove)

    def scratch_databases(self):
        with self.server.database("postgres") as database:
            return database.query("SELECT datname FROM pg_database WHERE datname LIKE 'millrace\\_scratch\\_%'")

    def check(self, *arguments, **settings):
        done = run("check", *arguments, seconds=60, **{**self.settings, **settings})
        self.assertEqual(self.scratch_databases(), [])
        return done

    def test_check__a_good_folder(self):
        done = self.check(SHOP)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "Shop: resources 4, operations 3, jobs 1, migrations 2: no problem\n")

    def test_check__every_problem_on_standard_output(self):
        done = self.check(MILLRACE_APP=MISTAKES)
        self.assertEqual((done.returncode, done.stderr), (2, ""))
        self.assertEqual(done.stdout, problems())
        self.assertGreaterEqual(len(done.stdout.splitlines()), 30)

    def test_check__the_folder_it_stands_in(self):
        done = run("check", cwd=SHOP, seconds=60, **self.settings)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_check__the_jobs_that_the_documentation_shows(self):
        with open(os.path.join(ROOT, "docs", "applications.md"), encoding="utf-8") as file:
            shown = re.search(r"```yaml\n# (jobs/receipts.yaml)\n(.*?)```", file.read(), re.S)
        self.scratch.write({"millrace.yaml": "title: Shown\n", shown.group(1): shown.group(2)})
        done = self.check(self.scratch.path, RECEIPTS_URL="https://hooks.example.org/", RECEIPTS_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        self.assertEqual(done.stdout, "Shown: resources 0, operations 0, jobs 2, migrations 0: no problem\n")

    def test_check__no_folder(self):
        for arguments, told in ((["/nonexistent"], "/nonexistent: No such file or directory"),
                                ([os.path.join(SHOP, "millrace.yaml")], "is not a folder"),
                                ([], "there is no millrace.yaml here; name a folder, or set MILLRACE_APP"),
                                (["--verbose"], "takes the folder of one application, got '--verbose'"),
                                ([SHOP, SHOP], "takes the folder of one application")):
            done = run("check", *arguments, cwd=self.scratch.path, **self.settings)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(told, done.stderr)

    def test_check__a_server_that_is_away(self):
        done = run("check", SHOP, DB_HOST=self.scratch.path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("the database server cannot be used", done.stderr)

    def test_check__problems_of_files_are_told_without_a_server(self):
        done = run("check", MISTAKES, DB_HOST=self.scratch.path)
        of_files = [line for line in problems().splitlines() if line.startswith(("millrace.yaml", "resources/product.yaml:20:70"))]
        self.assertEqual((done.returncode, done.stdout.splitlines()), (2, of_files))
        self.assertIn("the database server cannot be used", done.stderr)

    def test_check__a_signal_leaves_nothing_behind(self):
        folder = with_slow_migration(self.scratch.join("shop"))
        for number in (signal.SIGINT, signal.SIGTERM):
            started = Started(folder, **self.settings)
            self.addCleanup(started.child.kill)
            wait_for(lambda: sleeps(self.directory, "postgres"), 60, "the migration is at work")
            self.assertEqual(started.end(number), (-number, "", ""))
            self.assertEqual(self.scratch_databases(), [])


class WithAServerOfItsOwn(unittest.TestCase):
    """Without DB_HOST."""

    def setUp(self):
        self.scratch = support.Scratch()
        self.addCleanup(self.scratch.remove)
        self.temporary = self.scratch.join("tmp")
        os.mkdir(self.temporary, 0o755)

    def left_behind(self):
        return os.listdir(self.temporary)

    def test_check__a_good_folder(self):
        done = run("check", SHOP, seconds=90, TMPDIR=self.temporary)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "Shop: resources 4, operations 3, jobs 1, migrations 2: no problem\n", ""))
        self.assertEqual(self.left_behind(), [])

    def test_check__a_signal_and_a_kill_before_it_leave_nothing_behind(self):
        killed = os.path.join(self.temporary, "millrace-scratch-killed")
        os.mkdir(killed)
        with open(os.path.join(killed, "lock"), "w"):
            pass
        os.utime(killed, (0, 0))
        started = Started(with_slow_migration(self.scratch.join("shop")), TMPDIR=self.temporary)
        self.addCleanup(started.child.kill)
        at = os.path.join(self.temporary, "millrace-scratch-*", support.SERVER_DATABASE)
        wait_for(lambda: [name for name in glob.glob(at) if sleeps(name, "postgres")], 90, "the migration is at work")
        self.assertFalse(os.path.exists(killed))
        self.assertEqual(started.end(signal.SIGINT), (-signal.SIGINT, "", ""))
        self.assertEqual(self.left_behind(), [])


if __name__ == "__main__":
    unittest.main()
