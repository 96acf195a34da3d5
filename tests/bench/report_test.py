"""What the benchmark makes of its figures: verdicts, tables, charts, and the model of docs/scaling.md."""

import contextlib
import csv
import io
import os
import re
import sys
import tempfile
import time
import unittest
from xml.etree import ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import bench  # noqa: E402
import charts  # noqa: E402
import measure  # noqa: E402
import memory  # noqa: E402
import scaling  # noqa: E402
import workqueue  # noqa: E402
from report import AT_LEAST, AT_MOST, Row, as_csv, as_line, as_markdown, between, held_back, reasons  # noqa: E402


def row(value, sense=AT_LEAST, target=0.9, note=""):
    return Row("GET /a|b", "nginx", "10/s", "9/s", value, sense, target, "x", note)


class Verdict(unittest.TestCase):
    def test_verdict__is_the_target_s(self):
        for value, sense, target, verdict in ((0.9, AT_LEAST, 0.9, "ok"), (0.89, AT_LEAST, 0.9, "UNDER"), (3, AT_MOST, 3, "ok"),
                                              (3.1, AT_MOST, 3, "OVER"), (5, None, None, "reported"), (None, AT_LEAST, 1, "skipped")):
            self.assertEqual(row(value, sense, target).verdict, verdict)

    def test_missed__is_what_fails_the_run(self):
        self.assertEqual([row(value).missed for value in (1, 0.1, None)], [False, True, False])

    def test_every_step__is_there_and_every_target_has_a_sense(self):
        for step in {*bench.Bench.STEPS, *bench.Bench.FLOOR}:
            self.assertTrue(callable(getattr(bench.Bench, step)), step)
        for key, (sense, target) in bench.TARGETS.items():
            self.assertEqual(sense is None, target is None, key)
            self.assertIn(sense, (AT_LEAST, AT_MOST, None))


class Tables(unittest.TestCase):
    def test_csv__has_the_machine_and_a_line_each(self):
        lines = as_csv([row(1), row(None, note="no Go\nand more")], ["machine: one"]).splitlines()
        self.assertEqual(lines[0], "# machine: one")
        cells = list(csv.reader(lines[1:]))
        self.assertEqual(cells[1], ["GET /a|b", "nginx", "10/s", "9/s", "1.00 x", ">= 0.9 x", "ok", ""])
        self.assertEqual(cells[2][4:], ["", ">= 0.9 x", "skipped", "no Go"])

    def test_markdown__tells_of_what_is_missed(self):
        text = as_markdown([row(1), row(0.5), row(None)], ["machine: one"], {"a.svg": "A"})
        self.assertIn("- machine: one\n", text)
        self.assertIn("missed: 1", text)
        self.assertIn("not measured: 1", text)
        self.assertIn("| GET /a\\|b | nginx | 10/s | 9/s | 0.50 x | ≥ 0.9 x | UNDER |  |", text)
        self.assertIn("![A](a.svg)", text)

    def test_publish__replaces_what_the_page_says_of_the_last_run_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as docs:
            os.mkdir(os.path.join(docs, "performance"))
            page = os.path.join(docs, "performance.md")
            with open(page, "w") as file:
                file.write("# By hand\n\n<!-- run -->\n\n## The run\n\nold\n\n<!-- end of run -->\n\nalso by hand\n")
            for value in (1, 0.5):
                bench.publish([row(value)], ["machine: one"], {}, docs)
            with open(page) as file:
                text = file.read()
        self.assertTrue(text.startswith("# By hand\n\n<!-- run -->\n\n## The run\n\n- machine: one\n"))
        self.assertTrue(text.endswith(".\n\n<!-- end of run -->\n\nalso by hand\n"))
        self.assertEqual(text.count("What holds back"), 1)
        self.assertEqual((text.count("| 0.50 x |"), text.count("| 1.00 x |"), text.count("\nold\n")), (1, 0, 0))

    def test_missed__is_followed_by_what_holds_it(self):
        known = {"start": "It waits."}
        rows = [Row("ready", "", "70 ms", "", 70, AT_MOST, 60, "ms", "", "start", "2 cores busy"),
                Row("p50", "", "3", "1", 3, AT_MOST, 2, "x", "", "latency"),
                Row("rate", "", "1", "1", 1, AT_LEAST, 1, "x", "", "one", "all is well")]
        lines = held_back(rows, known)
        self.assertIn("- **ready**, 70.00 ms (<= 60 ms). In this run: 2 cores busy. It waits.", lines)
        self.assertTrue(any("`bench/why.md` has no part `latency`" in line for line in lines), lines)
        self.assertFalse(any("all is well" in line for line in lines))
        self.assertEqual(held_back(rows[2:], known), [])
        self.assertIn("- **GET /a|b**, 0.50 x (≥ 0.9 x).", as_markdown([row(0.5)], [], {}))

    def test_missed__has_a_table_of_who_had_the_cores(self):
        rows = [row(0.5), row(1)]
        for each in rows:
            each.hot = [("postgres", 1.25, 0.4, "`ExecScan` 9%, `memcpy` 2%")]
        lines = held_back(rows, {})
        self.assertEqual([line for line in lines if "postgres" in line], ["| GET /a|b | `postgres` | 1.25 | 40% | `ExecScan` 9%, `memcpy` 2% |"])
        self.assertIn("|---|---|---|---|---|", lines)
        self.assertFalse(any("Who had" in line for line in held_back([row(0.5)], {})))

    def test_reasons__are_of_rows_that_have_a_target(self):
        targets = {**bench.TARGETS, **{f"queue {key}": target for key, target in workqueue.TARGETS.items()}}
        for key, text in reasons().items():
            self.assertIsNotNone(targets[key][1], key)
            self.assertGreater(len(text), 40, key)

    def test_publish__the_page_has_a_place_for_it(self):
        with open(os.path.join(ROOT, "docs", "performance.md")) as file:
            self.assertIn("kept", between(file.read(), "<!-- run -->", "<!-- end of run -->", "kept"))
        with self.assertRaises(SystemExit):
            between("nothing\n", "<!-- run -->", "<!-- end of run -->", "lost")

    def test_soak__growth_is_held_against_what_it_was_when_warm(self):
        seen = [(second, 20 if second < 10 else 24 if second < 90 else 25.5) for second in range(100)]
        self.assertEqual(memory.growth(seen, 100), (25.5, 1.5))

    def test_line__has_figure_target_and_verdict(self):
        self.assertRegex(as_line(row(0.5)), r"^GET /a\|b +nginx +10/s +9/s +0\.50 x +>= 0\.9 x  UNDER$")


class Charts(unittest.TestCase):
    def test_steps__are_round_and_reach_the_most(self):
        for most in (0.003, 0.7, 1, 9, 10, 37, 128, 30793, 0):
            marks = charts.steps(most)
            self.assertGreaterEqual(marks[-1], most)
            self.assertEqual(marks[0], 0)
            self.assertLessEqual(len(marks), 8)

    def test_chart__is_xml_and_keeps_within_its_frame(self):
        svg = charts.line_chart("A < B", "connections", "ms", {"a & b": [(1, 5), (16, 40), (256, 37)], "one": [(1, 0)]}, log_x=True)
        tree = ElementTree.fromstring(svg)
        name = "{http://www.w3.org/2000/svg}"
        lines = [each.get("points").split() for each in tree.iter(name + "polyline")]
        self.assertEqual([len(line) for line in lines], [3, 1])
        for x, y in (map(float, point.split(",")) for line in lines for point in line):
            self.assertTrue(0 <= x <= charts.WIDTH and 0 <= y <= charts.HEIGHT)
        xs = [float(point.split(",")[0]) for point in lines[0]]
        self.assertAlmostEqual(xs[1], (xs[0] + xs[2]) / 2, 1)  # 16 is halfway from 1 to 256
        self.assertIn("A < B", [each.text for each in tree.iter(name + "text")])


class Measures(unittest.TestCase):
    def test_paced__leaves_out_the_first_second_and_tells_refusals_apart(self):
        load = measure.Paced.__new__(measure.Paced)
        lines = ["0 200 1000", "900000 200 50000"]
        lines += [f"{1_000_000 + 1000 * n} 200 {1000 * (n + 1)}" for n in range(100)]
        lines += ["1500000 503 200", "1600000 503 400", "1700000 500 100", "5900000 200 9000000"]
        load.read(lines, 3)
        self.assertEqual((load.served, load.refused, load.other), (50, 1, 1))
        self.assertEqual((load.p99, load.refused_p99), (100, 0.4))

    def test_wrk_latency__knows_its_units(self):
        text = "  Latency Distribution\n     50%  850.00us\n     75%    1.10ms\n     99%    1.20s\n"
        self.assertEqual((measure.wrk_latency("50%", text), measure.wrk_latency("99%", text)), (0.85, 1200))

    def test_grown__counts_new_processes_and_leaves_out_those_that_ended(self):
        self.assertEqual(bench.grown({1: 5.0, 2: 7.0}, {1: 6.5, 3: 0.25}), 1.75)

    def test_shares__are_of_what_was_used_between_two_looks(self):
        before = {"1": ("postgres", 4.0), "2": ("wrk", 1.0), "9": ("gone", 1.0)}, 10.0
        after = {"1": ("postgres", 5.0), "2": ("wrk", 1.5), "3": ("postgres", 0.5), "4": ("idler", 0.01)}, 11.0
        told, idle = measure.shares(before, after, 2.0, 2)
        self.assertEqual((told, idle), ("of 2 cores postgres 0.75, wrk 0.25, others 0.50, idle 0.50", 0.5))

    def test_hot__threads_are_in_cores_and_have_their_functions(self):
        text = """ 30.00%|postgres  |postgres              |[.] ExecScan
 10.00%|postgres  |[kernel.kallsyms]     |[k] tcp_sendmsg
  5.00%|postgres  |postgres              |[.] 0x00000000001234
  1.00%|wrk       |wrk                   |[.] main
 20.00%|swapper/0 |[kernel.kallsyms]     |[k] idle
 34.00%|data-writer/0|libpq.so.5         |[.] operator[] (int)
"""
        self.assertEqual([(thread, round(cores, 2), round(kernel, 2), functions)
                          for thread, cores, kernel, functions in measure.hot_threads(measure.perf_lines(text), 2)],
                         [("postgres", 0.9, 0.22, "`ExecScan` 67%, `tcp_sendmsg` 22%"), ("data-writer/0", 0.68, 0.0, "`operator[] (int)` 100%")])

    def test_sampled__measures_once_and_tells_what_can_be_told_here(self):
        asked = []

        def busy(seconds):
            asked.append(seconds)
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass

        with tempfile.TemporaryDirectory() as directory:
            for thread, cores, kernel, functions in measure.sampled(directory, busy, 0.5):
                self.assertTrue(thread and 0 < cores <= os.cpu_count() and 0 <= kernel <= 1, functions)
        self.assertEqual(asked, [0.5])

    def test_cores__tells_of_this_machine(self):
        cores = measure.Cores(0.05).finish()
        self.assertRegex(cores.told, r"^of \d+ cores .*others \d+\.\d\d, idle \d+\.\d\d$")
        self.assertGreaterEqual(measure.switches(os.getpid()), 0)
        self.assertGreaterEqual(sum(measure.thread_ms(os.getpid()).values()), 0)

    def test_rank__of_nothing_is_nothing(self):
        self.assertEqual((measure.rank([], 0.5), measure.rank([3, 1, 2], 0.5), measure.rank([1], 0.99)), (0, 2, 1))


class Model(unittest.TestCase):
    costs = {"one": {"api": 20, "database": 10}, "list": {"api": 100, "database": 50}, "create": {"api": 40, "database": 100}}

    def test_tasks__share_the_load_until_the_database_is_full(self):
        mix = {"one": 1}
        shape = scaling.Shape(cpu=0.25, tasks=2, db_cores=2, use=0.5)
        self.assertEqual(scaling.holds(self.costs, mix, shape), {"API": 12500, "database": 100000})
        self.assertEqual(scaling.least(scaling.holds(self.costs, mix, shape)), ("API", 12500))
        self.assertEqual(scaling.tasks_until_database(self.costs, mix, shape), 16)
        shape.tasks = 17
        self.assertEqual(scaling.least(scaling.holds(self.costs, mix, shape))[0], "database")

    def test_replica__takes_the_reads(self):
        mix = {"one": 0.5, "create": 0.5}
        limits = scaling.holds(self.costs, mix, scaling.Shape(cpu=1, tasks=1, db_cores=1, replica_cores=1, use=1))
        self.assertEqual((limits["primary"], limits["replica"]), (20000, 200000))
        limits = scaling.holds(self.costs, {"one": 1}, scaling.Shape(replica_cores=1))
        self.assertIsNone(limits["primary"])

    def test_command__prints_what_it_holds_and_refuses_a_mix_of_nothing(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            scaling.main(["--cpu", "0.5", "--tasks", "4", "--mix", "one=3,create=1"])
        self.assertRegex(out.getvalue(), r"holds +\d+ requests/s: the (API|database) is full first")
        for wrong in ("one=0", "two=1", "one", "one=-1"):
            with self.assertRaises(ValueError):
                scaling.parse_mix(wrong)

    def test_costs__are_those_of_the_page(self):
        with open(os.path.join(ROOT, "docs", "scaling.md")) as file:
            text = file.read()
        for kind, label in (("one", "GET one"), ("list", "list of ten"), ("create", "POST")):
            found = re.search(rf"^\| {label} \| ([\d.]+) \| ([\d.]+) \|", text, re.M)
            self.assertIsNotNone(found, label)
            self.assertEqual({"api": float(found[1]), "database": float(found[2])}, scaling.COSTS[kind])


if __name__ == "__main__":
    unittest.main()
