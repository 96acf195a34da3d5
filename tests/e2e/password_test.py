"""The database's own password: wrong at the start, and rotated while the process runs."""

import os
import unittest

import support
from support import patience, wait_for

module = support.ModuleServer()
ROLE, FIRST, SECOND = "rotated", "the first password", "the second password"


def setUpModule():
    """A role that signs in by password, on a server that trusts everybody else."""
    module.start()
    data = os.path.join(module.server.state_dir, "postgres", "data")
    path = os.path.join(data, "pg_hba.conf")
    with open(path) as file:
        rules = file.read()
    with open(path, "w") as file:
        file.write(f"local all {ROLE} scram-sha-256\n" + rules)
    with module.server.database() as database:
        database.query(f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD '{FIRST}'")
        database.query("SELECT pg_reload_conf()")


def tearDownModule():
    module.stop()


class DatabasePassword(unittest.TestCase):
    def start(self, password):
        return support.Process("api", DB_HOST=os.path.join(module.server.state_dir, support.SERVER_DATABASE), DB_USER=ROLE,
                               DB_PASS=password)

    def test_wrong_password__ends_the_start_at_once_and_is_not_told(self):
        watch = support.Stopwatch()
        server = self.start("not the password")
        self.assertEqual(server.wait(), 1)
        self.assertLess(watch.seconds(), patience(5))
        self.assertIn("password authentication failed", server.text())
        self.assertNotIn("not the password", server.text())

    def test_rotated_password__ends_the_process_in_order_with_a_failure(self):
        server = self.start(FIRST).ready()
        self.addCleanup(server.kill)
        user = server.api().register()
        user.create_task()
        user.close()
        with module.server.database() as database:
            database.query(f"ALTER ROLE {ROLE} PASSWORD '{SECOND}'")
            self.addCleanup(self.restore)
            database.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
        self.assertEqual(server.wait(), 1)
        self.assertTrue(server.logs("the database refuses user or password"))
        self.assertTrue(server.logs("stopped"))
        again = self.start(SECOND).ready()
        self.assertEqual(again.stop(), 0)

    def restore(self):
        with module.server.database() as database:
            database.query(f"ALTER ROLE {ROLE} PASSWORD '{FIRST}'")


if __name__ == "__main__":
    unittest.main()
