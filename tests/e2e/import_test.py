"""Imports: uploads of any size in little memory, and every bad line named."""

import unittest

import imports
import support
from imports import BODY_MAX, CSV, NDJSON, PART, RECORD_MAX, Peak, line

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class Lines(imports.ImportTest):
    module = module

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_class_scheduler()

    def test_ndjson__every_bad_line_is_named_and_every_good_one_is_a_task(self):
        body = (b"\xef\xbb\xbf" + line("one", description="d", dueAt="2027-01-01", isComplete=True)
                + b'{"summary":"broken"\n'
                + line("two").replace(b"\n", b"\r\n")
                + b"\n   \n"
                + b'{"taskPriorityCode":"LOW"}\n'
                + line("three", taskPriorityCode="NOSUCH")
                + line("x" * 501)
                + line("")
                + b'["an array"]\n'
                + line("four", isComplete="yes", dueAt="soon")
                + b'{"summary":"bad \xff bytes","taskPriorityCode":"LOW"}\n'
                + line("five", unknown={"nested": [1]}, userId="00000000-0000-0000-0000-000000000001")
                + b'{"summary":"no break","taskPriorityCode":"HIGH"}')
        run = self.imported(body)
        named = [(error["line"], error["field"]) for error in run["result"]["errors"]]
        self.assertEqual(named, [(2, ""), (6, "summary"), (7, "taskPriorityCode"), (8, "summary"), (9, "summary"), (10, ""),
                                 (11, "dueAt"), (11, "isComplete"), (12, "")])
        self.assertTrue(all(error["message"] for error in run["result"]["errors"]))
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (4, 8))
        self.assertEqual(run["progress"], {"done": 14, "total": 14})
        self.assertEqual(self.summaries(), ["one", "two", "five", "no break"])
        self.assertEqual(self.database.query("SELECT description, due_at = '2027-01-01T00:00Z', is_complete, completed_at IS NOT NULL, priority_code "
                                             "FROM task WHERE summary = 'one'"), [["d", "t", "t", "t", "LOW"]])
        self.assert_parts_are_gone()

    def test_csv__cells_quotes_and_lines_are_as_rfc_4180_has_them(self):
        body = (b"summary,taskPriorityCode,ignored,description,dueAt,isComplete\r\n"
                b"plain,LOW,x,,,\r\n"
                b'"with, comma and ""quotes""",HIGH,,"two\r\nlines",2027-01-01T00:00:00Z,true\r\n'
                b"too few,LOW\r\n"
                b",LOW,,,,\r\n"
                b'"stray" quote,LOW,,,,\r\n'
                b"unknown,NOSUCH,,,,\r\n"
                b"\r\n"
                b" spaces ,LOW,,,,false")
        run = self.imported(body, "Text/CSV; charset=utf-8; header=present")
        self.assertEqual([(error["line"], error["field"]) for error in run["result"]["errors"]],
                         [(5, ""), (6, "summary"), (7, ""), (8, "taskPriorityCode")])
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (3, 4))
        self.assertEqual(run["progress"], {"done": 10, "total": 10})
        self.assertEqual(self.summaries(), ["plain", 'with, comma and "quotes"', " spaces "])
        self.assertEqual(self.database.value("SELECT description FROM task WHERE is_complete"), "two\r\nlines")

    def test_csv__without_a_good_header_says_so(self):
        run = self.imported(b'"summ"ary,taskPriorityCode\nplain,LOW\n', CSV)
        self.assertEqual((run["result"]["imported"], run["result"]["errors"][0]["line"], run["result"]["errors"][0]["field"]), (0, 1, ""))
        run = self.imported(b"title,taskPriorityCode\nplain,LOW\n", CSV)
        self.assertEqual([(e["line"], e["field"], e["message"]) for e in run["result"]["errors"]],
                         [(1, "summary", "is required, and no column has that name")])
        self.assertEqual(([e["field"] for e in run["result"]["ignored"]], run["result"]["rejected"]), (["title"], 1))
        self.assertEqual(self.summaries(), [])

    def test_csv__as_spreadsheets_save_it_is_read(self):
        rows = [("summary", "taskPriorityCode", "isComplete", "DueAt"), ("Käse \U0001f9c0", "LOW", "TRUE", "x"), ('a "b"; c', "HIGH", "FALSE", "")]
        for encoding, separator in (("utf-16", "\t"), ("utf-16", ";"), ("utf-8-sig", ";"), ("utf-8", ",")):
            with self.subTest(encoding=encoding, separator=separator):
                self.database.query("DELETE FROM task")
                text = "".join(separator.join('"%s"' % cell.replace('"', '""') for cell in row) + "\r\n" for row in rows)
                run = self.imported(text.encode(encoding), CSV)
                self.assertEqual((run["result"]["imported"], run["result"]["errors"]), (2, []))
                self.assertEqual(run["result"]["ignored"], [{"line": 1, "field": "DueAt", "message": "is not a field and was left out; did you mean dueAt?"}])
                self.assertEqual(run["progress"], {"done": 3, "total": 3})
                self.assertEqual(self.summaries(), [row[0] for row in rows[1:]])
                self.assertEqual(self.database.count("task", "is_complete"), 1)

    def test_too_long_line__is_named_and_those_behind_it_are_read(self):
        for kind, head in ((NDJSON, b""), (CSV, b"summary,taskPriorityCode\n")):
            def record(text):
                return line(text) if kind == NDJSON else text.encode() + b",LOW\n"

            for length in (RECORD_MAX - 100, RECORD_MAX + 100, RECORD_MAX + PART // 2, RECORD_MAX + 3 * PART):
                with self.subTest(kind=kind, length=length):
                    self.database.query("DELETE FROM task")
                    body = head + record("before") + record("x" * length) + b"".join(record(f"behind {i:04}") for i in range(1500))
                    run = self.imported(body, kind)
                    first = head.count(b"\n")
                    errors = run["result"]["errors"]
                    self.assertEqual([error["line"] for error in errors], [first + 2])
                    if length > RECORD_MAX:
                        self.assertRegex(errors[0]["message"], "^is longer than 512 KiB")
                    self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (1501, 1))
                    self.assertEqual(run["progress"], {"done": first + 1502, "total": first + 1502})
                    self.assertEqual(self.summaries(), ["before"] + [f"behind {i:04}" for i in range(1500)])

    def test_too_long_line__at_the_very_end(self):
        for tail in (b"", b"\n"):
            run = self.imported(line("before") + b"x" * (RECORD_MAX + 1000) + tail)
            self.assertEqual([error["line"] for error in run["result"]["errors"]], [2])
            self.assertEqual(run["progress"], {"done": 2, "total": 2})

    def test_csv__a_quote_that_is_never_closed_costs_its_line_only(self):
        body = b"summary,taskPriorityCode\nbefore,LOW\n\"open,LOW\n" + b"".join(b"behind %06d%s,LOW\n" % (i, b"." * 400) for i in range(2000))
        self.assertGreater(len(body), RECORD_MAX + PART)
        run = self.imported(body, CSV)
        self.assertEqual([error["line"] for error in run["result"]["errors"]], [3])
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (2001, 1))

    def test_parts__may_end_anywhere(self):
        for size in (PART - 1, PART, PART + 1, 2 * PART, 3 * PART):
            with self.subTest(size=size):
                self.database.query("DELETE FROM task")
                text = b"".join(line(f"task {i} ü", description="x" * 300) for i in range(size // 300))[:size - 200]
                text = text[:text.rindex(b"\n") + 1]
                body = text + line("fill", description="x" * (size - len(text) - 68))
                body += b" " * (size - len(body))
                self.assertEqual(len(body), size)
                run = self.imported(body)
                self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (text.count(b"\n") + 1, 0))
                self.assertEqual(len(self.summaries()), text.count(b"\n") + 1)

    def test_errors__are_listed_up_to_a_thousand_and_counted_beyond(self):
        run = self.imported(b"nonsense\n" * 3000 + line("good"))
        self.assertEqual([error["line"] for error in run["result"]["errors"]], list(range(1, 1001)))
        self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (1, 3000))

    def test_nothing__is_imported_of_nothing(self):
        for body in (b"", b"\n", b"\n\n  "):
            run = self.imported(body)
            self.assertEqual((run["result"]["imported"], run["result"]["rejected"], run["result"]["errors"]), (0, 0, []))


class Large(imports.ImportTest):
    """The largest body. What memory it takes depends on its bytes: as many lines as fit would only take longer."""

    module = module

    LINES = 5_000
    FILL = b"and something to say about it all, " * 90

    def bad(self, i):
        """One line in a hundred is bad, in turn in four ways."""
        if i % 100 != 50:
            return None
        return (i // 100) % 4

    def ndjson(self):
        ways = (b'{"summary":"broken %06d"\n', b'{"number":%06d,"taskPriorityCode":"LOW"}\n', b'{"summary":"%06d","taskPriorityCode":"NOSUCH"}\n',
                b'{"summary":"' + b"x" * 500 + b'%06d","taskPriorityCode":"LOW"}\n')
        return b"".join(b'{"summary":"number %06d of many","taskPriorityCode":"LOW","description":"%s"}\n' % (i, self.FILL)
                        if self.bad(i) is None else ways[self.bad(i)] % i for i in range(1, self.LINES + 1))

    def csv(self):
        ways = (b'broken "%06d",LOW\n', b",LOW,%06d\n", b"%06d,NOSUCH,\n", b"x" * 500 + b"%06d,LOW,\n")
        return b"summary,taskPriorityCode,description\n" + b"".join(
            b'number %06d of many,LOW,"%s"\n' % (i, self.FILL)
            if self.bad(i) is None else ways[self.bad(i)] % i for i in range(1, self.LINES + 1))

    def both(self, kind, body, first):
        process = self.scheduler()
        self.assertLess(BODY_MAX * 0.9, len(body))
        body += b"\n" * (BODY_MAX - len(body))
        lines = body.count(b"\n")
        grown = []
        self.imported(line("to warm up"))  # what any upload and import take
        self.database.query("DELETE FROM task")
        for _ in range(1 if support.SANITIZE else 2):  # the second is for the memory, which sanitizers change
            with Peak(self.api, process) as peak:
                run = self.imported(body, kind, seconds=150)
            grown.append(peak.grown_mib())
            took = self.database.value(f"SELECT round(extract(epoch FROM finished_at - started_at), 1) FROM millrace.job_run WHERE id = '{run['id']}'")
            print(f"{kind}, {len(body) >> 20} MiB: {took} s, MiB more in api, scheduler: {grown[-1]}")
            self.assertEqual([error["line"] for error in run["result"]["errors"]],
                             [i + first for i in range(1, self.LINES + 1) if self.bad(i) is not None])
            rejected = len(run["result"]["errors"])
            self.assertEqual((run["result"]["imported"], run["result"]["rejected"]), (self.LINES - rejected, rejected))
            self.assertEqual(run["progress"], {"done": lines, "total": lines})
            self.assertEqual(self.database.query("SELECT count(*), count(DISTINCT summary) FROM task"), [[str(self.LINES - rejected)] * 2])
            self.assert_parts_are_gone()
            self.database.query("TRUNCATE task, task_count, task_change")
        if not support.SANITIZE:
            self.assertLess(max(grown[0]), 24)
            self.assertLess(max(grown[1]), 4)
        self.assertEqual(process.stop(), 0)

    def test_ndjson__of_16_mib_takes_little_memory_and_names_every_bad_line(self):
        self.both(NDJSON, self.ndjson(), 0)

    def test_csv__of_16_mib_takes_little_memory_and_names_every_bad_line(self):
        self.both(CSV, self.csv(), 1)


if __name__ == "__main__":
    unittest.main()
