"""docs/adding-a-resource.md and docs/adding-a-job.md do what they say: their blocks are applied to a copy of the tree,
built and called."""

import glob
import os
import re
import shutil
import subprocess
import sys
import unittest

import support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEFT_OUT = shutil.ignore_patterns("build", ".git", ".millrace", "node_modules", "infrastructure", "__pycache__")
# The row of each table that those of a page go behind.
LAST_ROW = {"proto/ops.h": '"/v1/tasks', "proto/jobs.h": "JOB(import,", "runtime/settings.h": "SET(cron_maintenance,"}


def blocks(page):
    """The page's blocks as (kind, path, text); kind is file or rows."""
    with open(os.path.join(ROOT, "docs", page)) as file:
        return re.findall(r"^```\w+ (file|rows)=(\S+)\n(.*?)^```$", file.read(), re.M | re.S)


def add_rows(path, rows, behind):
    with open(path) as file:
        lines = file.readlines()
    last = max(i for i, line in enumerate(lines) if re.match(r"    (OP|JOB|SET)\(", line) and behind in line)
    lines.insert(last + 1, rows)
    with open(path, "w") as file:
        file.writelines(lines)


def next_number(tree):
    return len(glob.glob(os.path.join(tree, "sql", "migrations", "*.sql"))) + 1


def apply(page, tree):
    for kind, name, text in blocks(page):
        path = os.path.join(tree, name.replace("NEXT", f"{next_number(tree):04d}"))
        if kind == "rows":
            add_rows(path, text, LAST_ROW[name])
            continue
        assert not os.path.exists(path), path
        with open(path, "w") as file:
            file.write(text)


@unittest.skipIf(support.SANITIZE, "builds a second binary, which the plain presets have proved already")
class Adding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One tree with both, built once."""
        cls.tree = support.Scratch().join("tree")
        shutil.copytree(ROOT, cls.tree, ignore=LEFT_OUT)
        for page in ("adding-a-resource.md", "adding-a-job.md"):
            apply(page, cls.tree)
        for command in (["cmake", "--preset", "dev", "-D", "BUILD_TESTING=OFF"], ["cmake", "--build", "--preset", "dev"]):
            done = subprocess.run(command, cwd=cls.tree, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert done.returncode == 0, done.stdout[-4000:]
        cls.binary = os.path.join(cls.tree, "build", "dev", "millrace")

    def assert_page_has(self, page, names):
        self.assertEqual([name for _, name, _ in blocks(page)], names)

    def assert_its_test_passes(self, module, count):
        done = subprocess.run([sys.executable, "-B", "-m", "unittest", "-v", module], cwd=os.path.join(self.tree, "tests", "e2e"),
                              env={**os.environ, "MILLRACE_BIN": self.binary}, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertIn(f"Ran {count} test", done.stdout)

    def test_resource__needs_the_map_one_message_file_one_migration_one_query_file_and_one_test(self):
        self.assert_page_has("adding-a-resource.md", ["proto/ops.h", "proto/messages/note.c", "sql/migrations/NEXT_note.sql",
                                                      "sql/queries/note.sql", "tests/e2e/note_test.py"])

    def test_resource__works_as_written(self):
        routes = subprocess.run([self.binary, "routes"], text=True, capture_output=True).stdout
        self.assertEqual(len(re.findall(r" /v1/notes", routes)), 4, routes)
        self.assert_its_test_passes("note_test", 4)

    def test_job__needs_the_table_one_setting_one_query_file_and_one_test(self):
        self.assert_page_has("adding-a-job.md", ["proto/jobs.h", "runtime/settings.h", "sql/queries/escalate.sql",
                                                 "tests/e2e/escalate_test.py"])

    def test_job__works_as_written(self):
        self.assert_its_test_passes("escalate_test", 1)


if __name__ == "__main__":
    unittest.main()
