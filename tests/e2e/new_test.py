"""`millrace new`: its files, its words and its exit status."""

import os
import unittest

import support


class New(unittest.TestCase):
    def setUp(self):
        self.scratch = support.Scratch()
        self.addCleanup(self.scratch.remove)
        self.assertEqual(self.new("app", "shop", cwd=self.scratch.path).returncode, 0)
        self.folder = self.scratch.join("shop")

    def new(self, *arguments, cwd=None, **settings):
        return support.run("new", *arguments, cwd=cwd or self.folder, **settings)

    def files(self):
        return sorted(os.path.relpath(os.path.join(top, name), self.folder) for top, _, names in os.walk(self.folder) for name in names)

    def test_new__writes_below_this_folder_and_says_what(self):
        done = self.new("resource", "product", "sku:text:unique", "price:decimal")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.splitlines()[:2], ["wrote ./migrations/0001_product.sql", "wrote ./resources/product.yaml"])
        self.assertIn("next: ", done.stdout)
        for what in (("migration", "more"), ("job", "nightly")):
            self.assertEqual(self.new(*what).returncode, 0)
        self.assertEqual(self.files(), [".gitignore", "jobs/nightly.yaml", "migrations/0001_product.sql", "migrations/0002_more.sql",
                                        "millrace.yaml", "queries/nightly.sql", "resources/product.yaml"])

    def test_new__writes_what_check_has_nothing_to_say_of(self):
        types = ("text", "uuid", "integer", "decimal", "number", "boolean", "date", "timestamp", "json")
        fields = [f"{word}{name}:{name}{flag}" for word, flag in (("a", ""), ("many", ":many"), ("no", ":clearable")) for name in types]
        self.assertEqual(self.new("resource", "order", *fields, "user:text:unique").returncode, 0)
        self.assertEqual(self.new("job", "nightly").returncode, 0)
        done = support.run("check", self.folder, cwd=self.scratch.path, seconds=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def test_new__writes_to_the_application_that_is_named(self):
        done = self.new("job", "nightly", cwd="/", MILLRACE_APP=self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("jobs/nightly.yaml", self.files())

    def test_new__that_is_refused_says_why_on_stderr_and_ends_with_2(self):
        before = self.files()
        for arguments, told in ((("resource", "product", "sku:txt"), 'there is no type "txt"'), (("app", "."), "it is there already"),
                                (("job", "../x"), "is not a name of a job"), ((), "usage: millrace new"), (("table", "x"), "'table' is none of app, resource, migration and job"),
                                (("migration", "a", "b"), "usage: millrace new")):
            done = self.new(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(told, done.stderr)
        self.assertEqual(self.files(), before)
        done = self.new("job", "nightly", cwd="/")
        self.assertEqual(done.returncode, 2)
        self.assertIn("`millrace new app DIR` makes one", done.stderr)

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_new__that_may_not_write_ends_with_1(self):
        os.chmod(self.folder, 0o555)
        self.addCleanup(os.chmod, self.folder, 0o755)
        self.assertEqual(self.new("job", "nightly").returncode, 1)


if __name__ == "__main__":
    unittest.main()
