"""docs/adding-a-resource.md and docs/adding-a-job.md do what they say: the files of both are one folder, which is checked and served."""

import os
import re
import unittest

import support

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")


def files(page):
    """What stands in the page's blocks, by the name of the file."""
    with open(os.path.join(DOCS, page), encoding="utf-8") as file:
        return dict(re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", file.read(), re.M | re.S))


CHUNK = 2
RESOURCE = files("adding-a-resource.md")
JOB = files("adding-a-job.md")


class Adding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = support.Scratch()
        cls.addClassCleanup(scratch.remove)
        cls.folder = scratch.join("notes")
        scratch.write({"notes/millrace.yaml": "title: Notes\n"})
        scratch.write({os.path.join("notes", name): text for name, text in {**RESOURCE, **JOB}.items() if not name.endswith(".py")})
        cls.server = support.Everything(MILLRACE_APP=cls.folder, JOB_CHUNK_ROWS=CHUNK).ready()
        cls.addClassCleanup(cls.server.close)
        cls.user = cls.server.api().register()
        cls.other = cls.server.api().register()
        cls.admin = cls.server.admin()
        for api in (cls.user, cls.other, cls.admin):
            cls.addClassCleanup(api.close)

    def test_adding__a_resource_is_two_files_and_a_job_three(self):
        self.assertEqual(list(RESOURCE), ["migrations/0001_note.sql", "resources/note.yaml", "test_note.py"])
        self.assertEqual(list(JOB), ["jobs/night.yaml", "migrations/0002_unpin.sql", "queries/night.sql", "test_unpin.py"])

    def test_adding__the_folder_has_no_problem(self):
        done = support.run("check", self.folder, DB_HOST=self.server.scratch.join("state", support.SERVER_DATABASE), DB_USER="postgres")
        self.assertEqual((done.returncode, done.stdout), (0, "Notes: resources 1, operations 0, jobs 1, migrations 2: no problem\n"), done)

    def test_adding__a_chunk_changes_at_most_as_many_rows_as_the_page_says(self):
        for i in range(2 * CHUNK + 1):
            self.user.post("/v1/notes", {"text": f"chunk {i}", "pinned": True})
        with self.server.database() as database:
            database.query("UPDATE note SET updated_at = now() - interval '31 days' WHERE text LIKE 'chunk %'")
        self.assertEqual(self.admin.run_job("unpin")["result"], {"unpin_notes": 2 * CHUNK + 1})
        with self.server.database() as database:  # now() is that of the transaction, and a chunk is one
            chunks = database.query("SELECT count(*) FROM note WHERE text LIKE 'chunk %' GROUP BY updated_at ORDER BY 1")
        self.assertEqual([int(row[0]) for row in chunks], [1, CHUNK, CHUNK])


# The tests of the pages are tests of this class.
for page in (RESOURCE, JOB):
    for name, text in page.items():
        if name.endswith(".py"):
            found = {}
            exec(compile(text, name, "exec"), {}, found)
            for test, function in found.items():
                setattr(Adding, test, function)


if __name__ == "__main__":
    unittest.main()
