"""Tables that grow, and are emptied, faster than anybody has statistics of them: what is asked of them costs no more for that."""

import time
import unittest

import support
from support import wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

MANY = 30_000


class Growth(support.TiersTest):
    module = module

    def make(self, count):
        """Finished runs of one job of each store, with ids that rise, as those of version 7 do."""
        self.database.query(f"""INSERT INTO millrace.run (id, job, key, outcome, finished_at)
                SELECT lpad(to_hex(n), 32, '0')::uuid, 'busy', '', 'succeeded', now() FROM generate_series(1, {count}) n;
            INSERT INTO millrace.job_run (id, job, trigger, state, finished_at)
                SELECT lpad(to_hex(n), 32, '0')::uuid, 'report', 'manual', 'succeeded', now() FROM generate_series(1, {count}) n""")


class Figures(Growth):
    def entries_read(self):
        time.sleep(1.5)  # the server counts once a second
        return int(self.database.value("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('run', 'job_run')"))

    def test_jobs__without_runs_do_not_walk_past_those_of_a_job_that_has_many(self):
        self.database.query("""INSERT INTO millrace.job (name, work, origin, manual, exclusive)
            SELECT name, 'pull', 'managed', false, false FROM unnest(ARRAY['busy', 'rare', 'seldom']) name""")
        self.make(MANY)
        self.database.query("VACUUM ANALYZE")
        admin = self.new_client("admin")
        self.assertEqual(admin.get("/v1/jobs/rare").status, 200)
        before = self.entries_read()
        self.assertEqual(admin.get("/v1/jobs").status, 200)
        self.assertLess(self.entries_read() - before, MANY)


class Statistics(Growth):
    def rows(self, table):
        return float(self.database.value(f"SELECT reltuples FROM pg_class WHERE oid = '{table}'::regclass"))

    def test_statistics__of_an_emptied_table_that_fills_again_are_made_at_once(self):
        tables = ("millrace.run", "millrace.job_run")
        for table in (*tables, "millrace.lease"):
            self.database.query(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        self.make(MANY)
        for table in (*tables, "millrace.lease"):
            self.database.query(f"DELETE FROM {table}")
        time.sleep(1.5)
        self.database.query("SELECT 1")  # with which the session tells what it deleted: as a rule once a second
        for table in (*tables, "millrace.lease"):
            self.database.query(f"VACUUM (TRUNCATE off, ANALYZE) {table}")
        self.make(MANY)
        self.assertEqual([self.rows(table) for table in tables], [0, 0])
        process = self.scheduler()
        wait_for(lambda: min(self.rows(table) for table in tables) > MANY / 2, 20, "there are new statistics")
        self.assertEqual(self.database.value("SELECT min(n_mod_since_analyze) > 0 FROM pg_stat_user_tables WHERE relname IN ('run', 'job_run')"), "t",
                         "autovacuum has to do the rest")
        self.assertEqual(self.database.value("SELECT analyze_count FROM pg_stat_user_tables WHERE relname = 'lease'"), "1")
        self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
