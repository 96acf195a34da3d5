"""docs/adding-a-resource.md does what it says: its blocks are applied to a copy of the tree, built and called."""

import glob
import os
import re
import shutil
import subprocess
import sys
import unittest

import support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "adding-a-resource.md")
LEFT_OUT = shutil.ignore_patterns("build", ".git", ".millrace", "node_modules", "infrastructure", "__pycache__")


def blocks():
    """The page's blocks as (kind, path, text); kind is file or rows."""
    with open(PAGE) as page:
        return re.findall(r"^```\w+ (file|rows)=(\S+)\n(.*?)^```$", page.read(), re.M | re.S)


def add_rows(path, rows):
    """Behind the last row of the map that is about tasks."""
    with open(path) as file:
        lines = file.readlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("    OP(") and '"/v1/tasks' in line)
    lines.insert(last + 1, rows)
    with open(path, "w") as file:
        file.writelines(lines)


def next_number(tree):
    return len(glob.glob(os.path.join(tree, "sql", "migrations", "*.sql"))) + 1


def apply(tree):
    for kind, path, text in blocks():
        path = os.path.join(tree, path.replace("NEXT", f"{next_number(tree):04d}"))
        if kind == "rows":
            add_rows(path, text)
            continue
        assert not os.path.exists(path), path
        with open(path, "w") as file:
            file.write(text)


@unittest.skipIf(support.SANITIZE, "builds a second binary, which the plain presets have proved already")
class AddingAResource(unittest.TestCase):
    def build(self, tree):
        for command in (["cmake", "--preset", "dev", "-D", "BUILD_TESTING=OFF"], ["cmake", "--build", "--preset", "dev"]):
            done = subprocess.run(command, cwd=tree, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        return os.path.join(tree, "build", "dev", "millrace")

    def test_page__needs_the_map_one_message_file_one_migration_one_query_file_and_one_test(self):
        self.assertEqual([path for _, path, _ in blocks()],
                         ["proto/ops.h", "proto/messages/note.c", "sql/migrations/NEXT_note.sql", "sql/queries/note.sql",
                          "tests/e2e/note_test.py"])

    def test_page__works_as_written(self):
        tree = support.Scratch().join("tree")
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        apply(tree)
        binary = self.build(tree)
        routes = subprocess.run([binary, "routes"], text=True, capture_output=True).stdout
        self.assertEqual(len(re.findall(r" /v1/notes", routes)), 4, routes)
        done = subprocess.run([sys.executable, "-B", "-m", "unittest", "-v", "note_test"], cwd=os.path.join(tree, "tests", "e2e"),
                              env={**os.environ, "MILLRACE_BIN": binary}, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertIn("Ran 3 tests", done.stdout)


if __name__ == "__main__":
    unittest.main()
