"""A role that may read and write rows and nothing else: what it cannot do is said, and is no success."""

import unittest

from cluster import Server
from support import Process


class Maintenance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start().create()
        cls.addClassCleanup(cls.server.close)
        cls.server.query("CREATE ROLE rows LOGIN; GRANT USAGE ON SCHEMA millrace TO rows;"
                         "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, millrace TO rows;"
                         "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public, millrace TO rows")
        cls.database = cls.server.database()
        cls.addClassCleanup(cls.database.close)

    def run_maintenance(self, user):
        scheduler = Process("scheduler", **{**self.server.settings(), "DB_USER": user}, DB_MIGRATIONS_RUN="false", APP_PORT=None, JWT_SECRET=None,
                            HEALTH_SOCKET=f"millrace-rights-{self.server.port}")
        self.addCleanup(scheduler.kill)
        run = self.database.wait_for_run(self.database.add_run("maintenance"))
        scheduler.stop()
        return run["result"], scheduler

    def test_vacuum_of_what_is_not_its_own__is_told(self):
        result, scheduler = self.run_maintenance("rows")
        for table in ("task", "app_user", "job_run"):
            self.assertRegex(result[table]["skipped"], "owner can vacuum it|permission denied")
            self.assertIn("deadRows", result[table])
        warnings = scheduler.said("the database warns")
        self.assertRegex(warnings[0]["actor"], "^job/")
        self.assertNotIn("VACUUM (", scheduler.text())

    def test_vacuum_that_was_done__says_nothing(self):
        result, scheduler = self.run_maintenance("postgres")
        self.assertEqual([table for table in result if "skipped" in result[table]], [])
        self.assertEqual(scheduler.logs("the database warns"), [])

    def test_table_that_is_held__is_told(self):
        with self.server.database() as holder:
            holder.query("BEGIN; LOCK TABLE task IN SHARE MODE")
            result, _ = self.run_maintenance("postgres")
        self.assertEqual([table for table in result if "skipped" in result[table]], ["task"])
        self.assertIn("lock not available", result["task"]["skipped"])


if __name__ == "__main__":
    unittest.main()
