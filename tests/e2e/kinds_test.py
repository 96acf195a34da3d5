"""What folders declare of their jobs is in the database before a process is ready; of two folders side by side the newer one stands."""

import json
import os
import unittest

import support


SECRET = "whsec_bm90IGEgc2VjcmV0LCBidXQgbG9uZyBlbm91Z2g="
OLDER = {
    "millrace.yaml": "title: Shop\n",
    "jobs/work.yaml": """\
receipt:
  work: push
  url: ${HOOK}
  secret: ${HOOK_SECRET}
  args:
    orderId: {type: uuid, required: true}
    locale: {type: text, default: en, length: 2..5}
    copies: {type: integer, default: 1, range: 1..9}
  retry: {attempts: 3, first: 1s}
  timeout: 5s
  concurrency: 20
  perKey: 1
  priority: -5
  unique: {by: [orderId], for: 1h}
  keep: 7d
resize:
  work: pull
sweep:
  work: sql
  statements: [sweep]
  exclusive: true
""",
    "queries/work.sql": "-- name: sweep\nSELECT 1;\n",
}
NEWER = {**OLDER, "jobs/work.yaml": """\
receipt:
  work: push
  url: https://example.org/newer
  secrets: ['${HOOK_SECRET}', whsec_YW5vdGhlciBzZWNyZXQsIGxvbmcgZW5vdWdo]
  cron: '0 5 * * MON'
  timezone: Europe/Berlin
  missed: skip
ship:
  work: pull
sweep:
  work: sql
  statements: [sweep]
"""}

server = None
folders = {}


def setUpModule():
    global server
    server = support.Everything().ready()
    for name, files in (("older", OLDER), ("newer", NEWER)):
        folders[name] = support.Scratch()
        folders[name].write(files)


def tearDownModule():
    status = server.close()
    assert status == 0, f"exit status {status}\n{server.text()[-4000:]}"


class Declared(unittest.TestCase):
    def setUp(self):
        self.name = server.new_database()
        self.there = {"DB_HOST": os.path.join(server.state_dir, support.SERVER_DATABASE), "DB_USER": "postgres", "DB_DATABASE": self.name}
        self.database = server.database(self.name)
        self.addCleanup(self.database.close)

    def api(self, folder, ready=True):
        process = server.api_process(self.name, MILLRACE_APP=folders[folder].path, HOOK="https://example.org/hook", HOOK_SECRET=SECRET)
        self.addCleanup(process.kill)
        return process.ready() if ready else process

    def job(self, name):
        return json.loads(self.database.value(f"SELECT to_jsonb(j) FROM millrace.job j WHERE name = '{name}'"))

    def standing(self):
        return {row[0] for row in self.database.query("SELECT name FROM millrace.job WHERE origin = 'folder' AND removed_at IS NULL")}

    def assert_older(self):
        self.assertEqual((self.standing(), self.job("receipt")["url"]), ({"receipt", "resize", "sweep"}, "https://example.org/hook"))

    def assert_newer(self):
        self.assertEqual((self.standing(), self.job("receipt")["url"]), ({"receipt", "ship", "sweep"}, "https://example.org/newer"))

    def test_kinds__are_there_when_an_api_is_ready(self):
        process = self.api("older")
        receipt = self.job("receipt")
        said = {name: receipt[name] for name in ("work", "origin", "url", "secrets", "attempts", "retry_first_ms", "retry_most_ms", "timeout_ms",
                                                 "concurrency", "per_key", "priority", "unique_by", "unique_for_ms", "keep_ms", "manual")}
        self.assertEqual(said, {"work": "push", "origin": "folder", "url": "https://example.org/hook", "secrets": [SECRET], "attempts": 3,
                                "retry_first_ms": 1000, "retry_most_ms": 3600000, "timeout_ms": 5000, "concurrency": 20, "per_key": 1,
                                "priority": -5, "unique_by": ["orderId"], "unique_for_ms": 3600000, "keep_ms": 604800000, "manual": False})
        self.assertEqual(receipt["args"], {"orderId": {"type": "uuid", "required": True}, "locale": {"type": "text", "default": "en", "length": [2, 5]},
                                           "copies": {"type": "integer", "default": 1, "min": 1, "max": 9}})
        self.assertEqual((receipt["declared"]["url"], receipt["declared"]["retry"]), ("${HOOK}", {"attempts": 3, "first": "1s"}))
        sweep = self.job("sweep")
        self.assertEqual((sweep["work"], sweep["origin"], sweep["exclusive"], sweep["manual"]), ("sql", "folder", True, True))
        self.assertEqual(self.job("cleanup")["origin"], "engine")
        self.assertNotIn(SECRET, json.dumps(receipt["declared"]) + process.text())

    def test_kinds__a_run_is_held_to_what_is_declared(self):
        self.api("older")
        for args, problem in (("{}", "orderId"), ('{"orderId": "x"}', "orderId"), ('{"orderId": "01a2131e-87e5-759e-96e9-286004c1547a", "copies": 10}', "copies"),
                              ('{"orderId": "01a2131e-87e5-759e-96e9-286004c1547a", "locale": "x"}', "locale")):
            with self.assertRaises(support.DatabaseError) as caught:
                self.database.query(f"SELECT millrace.enqueue('receipt', '{args}')")
            self.assertIn(problem, str(caught.exception))
        run = self.database.value("SELECT millrace.enqueue('receipt', '{\"orderId\": \"01a2131e-87e5-759e-96e9-286004c1547a\"}')")
        kept = json.loads(self.database.value(f"SELECT to_jsonb(r) FROM millrace.run r WHERE id = '{run}'"))
        self.assertEqual((kept["args"]["locale"], kept["args"]["copies"], kept["priority"], kept["max_attempts"]), ("en", 1, -5, 3))

    def test_newer_folder__stands_beside_an_older_one_that_is_started_again(self):
        first = self.api("older")
        waiting = self.database.value("SELECT millrace.enqueue('resize')")
        newer = self.api("newer")
        self.assert_newer()
        receipt = self.job("receipt")
        self.assertEqual((receipt["schedule"], receipt["timezone"], receipt["missed"], len(receipt["secrets"]), receipt["concurrency"], receipt["attempts"]),
                         ("0 5 * * MON", "Europe/Berlin", "skip", 2, None, 10))
        # What left the folder: its waiting run is worked on, another is refused.
        with self.assertRaises(support.DatabaseError) as caught:
            self.database.query("SELECT millrace.enqueue('resize')")
        self.assertIn("removed", str(caught.exception))
        claimed = self.database.query("SELECT id FROM millrace.claim_runs('resize', 10, 1000, 'w', '')")
        self.assertEqual(claimed, [[waiting]])
        self.assertEqual(first.stop(), 0)
        again = self.api("older")
        self.assert_newer()
        self.assertEqual(len(again.said("jobs stay as a newer folder declares them")), 1)
        # A roll-back: nobody serves the newer one any more.
        self.assertEqual((newer.stop(), again.stop()), (0, 0))
        self.api("older")
        self.assert_older()
        self.assertIsNone(self.job("resize")["removed_at"])
        self.database.query("SELECT millrace.enqueue('resize')")
        # ... and forward again, to what was there before.
        self.api("newer")
        self.assert_newer()

    def test_newer_folder__that_was_killed_stands_until_its_hold_is_over(self):
        self.api("newer").kill()
        self.database.query("UPDATE millrace.declaration SET seen_at = seen_at + interval '1 hour'")
        older = self.api("older")
        self.assert_newer()
        self.assertEqual(older.stop(), 0)
        self.database.query("UPDATE millrace.declaration d SET holders = (SELECT jsonb_object_agg(key, now()) FROM jsonb_each(d.holders)) WHERE holders <> '{}'")
        self.api("older")
        self.assert_older()

    def test_two_folders__that_start_at_once_leave_one_declaration(self):
        for _ in range(2):
            two = [self.api(name, ready=False) for name in ("older", "newer")]
            for process in two:
                process.ready()
            self.assertIn(self.standing(), ({"receipt", "resize", "sweep"}, {"receipt", "ship", "sweep"}))
            (self.assert_newer if "ship" in self.standing() else self.assert_older)()
            for process in two:
                self.assertEqual(process.stop(), 0)

    def test_managed_kind__that_a_folder_declares_is_the_folder_s_and_others_stay(self):
        self.assertEqual(support.run("migrate", MILLRACE_APP=folders["older"].path, HOOK="https://x.example", HOOK_SECRET=SECRET, **self.there).returncode, 0)
        self.database.query("INSERT INTO millrace.job (name, origin, work, manual, paused_at, concurrency) VALUES "
                            "('resize', 'managed', 'push', false, now(), 7), ('mine', 'managed', 'pull', false, NULL, 7)")
        self.api("older")
        resize, mine = self.job("resize"), self.job("mine")
        self.assertEqual((resize["origin"], resize["work"], resize["concurrency"], resize["paused_at"] is not None), ("folder", "pull", None, True))
        self.assertEqual((mine["origin"], mine["concurrency"], mine["removed_at"]), ("managed", 7, None))

    def test_start__of_the_same_folder_writes_nothing(self):
        self.api("older")
        before = self.database.query("SELECT name, xmin FROM millrace.job ORDER BY name")
        process = self.api("older")
        self.assertEqual(self.database.query("SELECT name, xmin FROM millrace.job ORDER BY name"), before)
        self.assertEqual(process.logs("jobs declared"), [])


if __name__ == "__main__":
    unittest.main()
