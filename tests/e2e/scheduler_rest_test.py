"""A scheduler that lets the database sleep while another is there, which is killed or stops."""

import unittest

import scheduler_hold_test
import support
from support import TaskLock, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class Resting(scheduler_hold_test.HoldTest):
    module = module

    def connections(self):
        return self.database.count("pg_stat_activity", "application_name = 'scheduler' AND datname = current_database()")

    def rests(self, process):
        """How often it has begun to rest."""
        return len([line for line in process.logs("database connection closed while idle") if line["actor"] == "scheduler"])

    def resting(self):
        """One that rests while another is there, which does not."""
        process = self.scheduler(DB_IDLE_RELEASE="1s", LOGGING_LEVEL="debug")
        wait_for(lambda: self.rests(process), 30, "it rests")
        return process

    def test_run__whose_owner_is_killed_is_rescued_by_one_that_rests(self):
        owner = self.scheduler()
        rester = self.resting()
        holder = module.server.database(self.name)
        self.addCleanup(holder.close)
        with TaskLock(holder) as lock:
            run_id = self.database.add_run("cleanup")
            self.database.wait_for_run(run_id, 30, state="running")
            lock.wait_for_waiters()
            owner.kill()
            self.assertTrue(rester.pulse()["database"].get("idle"))
        row = self.database.wait_for_run(run_id, scheduler_hold_test.HOLD_S + 35 + 20)
        self.assertEqual(row["attempt"], 2)
        support.assert_becomes(self, lambda: [outcome for outcome, _ in rester.outcomes(run_id)], ["rescued", "succeeded"])

    def test_look__finds_nothing_and_the_last_one_lets_the_database_sleep(self):
        other = self.scheduler()
        rester = self.resting()
        wait_for(lambda: self.rests(rester) >= 2, scheduler_hold_test.HOLD_S + 30, "it has looked, and rests again")
        self.assertEqual(self.holders(), {other.pid})  # whoever only looks is in nobody's way
        self.assertEqual(other.stop(), 0)
        wait_for(lambda: self.rests(rester) >= 3 and self.connections() == 0, scheduler_hold_test.HOLD_S + 30, "its last look")
        support.assert_becomes(self, lambda: rester.pulse()["database"].get("idle"), True)
        self.assertEqual(self.holders(), set())


if __name__ == "__main__":
    unittest.main()
