"""Task priorities: read by everybody, kept for five minutes, forgotten at once when the database says so."""

import unittest

import support

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

SEED = ["URGENT", "HIGH", "MEDIUM", "LOW", "BACKLOG"]


class TaskPriorities(unittest.TestCase):
    def setUp(self):
        self.api = module.server.api()
        self.addCleanup(self.api.close)
        self.database = module.server.database()
        self.addCleanup(self.database.close)

    def labels(self):
        return {row["code"]: row["label"] for row in self.api.get("/v1/refdata/taskpriorities").json()}

    def statements(self):
        """How many statements the data-readers have run."""
        return int(self.database.value("SELECT coalesce(sum(idx_scan + seq_scan), 0) FROM pg_stat_user_tables "
                                       "WHERE relname = 'task_priority'"))

    def test_list__is_sorted_by_ordinal_and_complete(self):
        answer = self.api.get("/v1/refdata/taskpriorities")
        self.assertEqual(answer.status, 200)
        self.assertEqual([row["code"] for row in answer.json()], SEED)
        for ordinal, row in enumerate(answer.json(), 1):
            self.assertEqual(set(row), {"code", "label", "description", "ordinal"})
            self.assertEqual(row["ordinal"], ordinal)

    def test_one__is_found_or_404_or_400(self):
        self.assertEqual(self.api.get("/v1/refdata/taskpriorities/HIGH").json()["label"], "High")
        self.assertEqual(self.api.get("/v1/refdata/taskpriorities/NONE").status, 404)
        answer = self.api.get("/v1/refdata/taskpriorities/high")
        self.assertEqual((answer.status, answer.json()["errors"][0]["field"]), (400, "code"))

    def test_both__may_be_kept_by_anybody_and_have_a_tag(self):
        for path in ("/v1/refdata/taskpriorities", "/v1/refdata/taskpriorities/LOW"):
            answer = self.api.get(path)
            self.assertEqual(answer.header("Cache-Control"), "public, max-age=300")
            tag = answer.header("ETag")
            self.assertRegex(tag, r'^"[0-9a-f]{32}"$')
            self.assertEqual(self.api.get(path).header("ETag"), tag)
            for value in (tag, f'"other", {tag}', "W/" + tag, "*"):
                again = self.api.get(path, headers=[("If-None-Match", value)])
                self.assertEqual((again.status, again.body, again.header("ETag")), (304, b"", tag), value)
            self.assertEqual(self.api.get(path, headers=[("If-None-Match", '"other"')]).status, 200)

    def test_answers__come_from_memory(self):
        self.labels()
        support.wait_for(lambda: self.statements() == self.statements(), 5, "the statistics settle")
        before = self.statements()
        for _ in range(200):
            self.labels()
        self.database.query("SELECT pg_stat_force_next_flush()")
        self.assertLess(self.statements() - before, 5)

    def test_change__is_seen_at_once_whoever_makes_it(self):
        self.assertEqual(self.labels()["LOW"], "Low")
        self.assertEqual(self.api.get("/v1/refdata/taskpriorities/LOW").json()["label"], "Low")
        self.database.query("UPDATE task_priority SET label = 'Lowest' WHERE code = 'LOW'")
        self.addCleanup(lambda: self.database.query("UPDATE task_priority SET label = 'Low' WHERE code = 'LOW'"))
        support.wait_for(lambda: self.labels()["LOW"] == "Lowest", 2, "the list shows the change")
        self.assertEqual(self.api.get("/v1/refdata/taskpriorities/LOW").json()["label"], "Lowest")

    def test_change__is_seen_although_the_listening_connection_was_lost_meanwhile(self):
        self.assertEqual(self.labels()["HIGH"], "High")
        self.database.query("BEGIN; UPDATE task_priority SET label = 'Higher' WHERE code = 'HIGH'; "
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'data-writer/%'; COMMIT")
        self.addCleanup(lambda: self.database.query("UPDATE task_priority SET label = 'High' WHERE code = 'HIGH'"))
        support.wait_for(lambda: self.labels()["HIGH"] == "Higher", 5, "the list shows the change")


if __name__ == "__main__":
    unittest.main()
