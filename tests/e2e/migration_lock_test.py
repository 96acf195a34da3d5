"""A migration that somebody's lock is in the way of says whose."""

import unittest

from cluster import Server
from support import Process, wait_for

LOCK = 7883960444165051237  # of runtime/migrate.c


class Holder(unittest.TestCase):
    def test_waiting__names_who_is_waited_for_and_nobody_else(self):
        server = Server().start()
        self.addCleanup(server.close)
        server.query("CREATE DATABASE millrace", "postgres")
        server.query("CREATE TABLE bystander (n integer)")
        with server.database() as innocent, server.database() as holder:
            innocent.query("SET application_name = 'older, and innocent'; BEGIN; LOCK TABLE bystander; SELECT pg_advisory_xact_lock(1)")
            holder.query(f"SET application_name = 'deploy by hand'; BEGIN; SELECT pg_advisory_xact_lock({LOCK}) AS secret")
            migrate = Process("migrate", **server.settings())
            self.addCleanup(migrate.kill)
            told = wait_for(lambda: len(migrate.logs("waiting for a lock")) > 1 and migrate.logs("waiting for a lock"), 15, "it is said, again and again")
            for line in told:
                self.assertEqual((line["holder"], line["pid"], line["holders"]), ("deploy by hand", holder.pid, 1))
                self.assertEqual(line["for"], "another process that migrates")
            self.assertNotIn("secret", migrate.text())
            holder.query("COMMIT")
            self.assertEqual(migrate.wait(), 0, migrate.text())


if __name__ == "__main__":
    unittest.main()
