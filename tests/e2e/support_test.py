"""What the other tests stand on, where it could fail them by itself."""

import json
import os
import re
import signal
import subprocess
import threading
import unittest
import unittest.mock
from pathlib import Path

import support

TESTS = Path(__file__).resolve().parents[1]


def state(pid):
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], text=True, capture_output=True).stdout[:1]


module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class DatabaseTest(unittest.TestCase):
    """Tests empty tables beside servers that are at work on them, in whichever order these lock them."""

    def session(self):
        session = module.server.database("postgres")
        self.addCleanup(session.close)
        return session

    def in_background(self, session, sql):
        thread = threading.Thread(target=session.query, args=(sql,))
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def wait_until_it_waits(self, watcher, session, kind):
        support.wait_for(lambda: watcher.count("pg_locks", f"pid = {session.pid} AND NOT granted AND locktype = '{kind}'") == 1, 10,
                         "it waits")

    def test_query__the_victim_of_a_deadlock_asks_again(self):
        victim, other, gate = self.session(), self.session(), self.session()
        gate.query("CREATE TABLE knot (id int, n int); INSERT INTO knot VALUES (1, 0), (2, 0); SELECT pg_advisory_lock(1)")
        victim.query("SET deadlock_timeout = '10ms'")
        other.query("SET deadlock_timeout = '1h'")  # so it is never the one that gives way
        first = self.in_background(victim, "UPDATE knot SET n = n + 1 WHERE id = 1; SELECT pg_advisory_lock(1);"
                                           "UPDATE knot SET n = n + 1 WHERE id = 2")
        self.wait_until_it_waits(gate, victim, "advisory")
        second = self.in_background(other, "UPDATE knot SET n = n + 10 WHERE id = 2; UPDATE knot SET n = n + 10 WHERE id = 1")
        self.wait_until_it_waits(gate, other, "transactionid")
        gate.query("SELECT pg_advisory_unlock(1)")
        first.join()
        second.join()
        self.assertEqual(gate.query("SELECT n FROM knot ORDER BY id"), [["11"], ["11"]])

    def test_query__within_a_transaction_is_not_repeated(self):
        session = self.session()
        session.query("BEGIN")
        with self.assertRaises(support.DatabaseError) as raised:
            session.query("DO $$ BEGIN RAISE deadlock_detected; END $$")
        self.assertEqual((raised.exception.sqlstate, session.in_transaction), (support.DEADLOCK, True))


class PortTest(unittest.TestCase):
    def test_port__is_given_once_though_nobody_listens_yet(self):
        """To no other program either: one name in the kernel stands for it."""
        first = support.free_port()
        with unittest.mock.patch("random.randrange", side_effect=[first, first, *range(15000, 32000)]):
            self.assertNotEqual(support.free_port(), first)


class StopwatchTest(unittest.TestCase):
    @unittest.skipUnless(support.pressure(), "the kernel does not tell what waits for a core")
    def test_seconds__in_which_the_machine_was_busy_do_not_count(self):
        busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(3 * os.cpu_count())]
        for process in busy:
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        watch = support.Stopwatch()
        support.wait_for(lambda: watch.passed() > 2, 10, "two seconds have passed")
        self.assertLess(watch.seconds(), 1)

    def test_bounds_of_time__are_taken_by_it(self):
        """By the clock they would say of a busy machine what they are to say of the program."""
        by_clock = [f"{path.name}: {line.strip()}" for path in sorted(TESTS.rglob("*.py")) if path.name != "support_test.py"
                    for line in path.read_text().splitlines() if re.search(r"assertLess(Equal)?\(.*(time\.monotonic|perf_counter)\(\) -", line)]
        self.assertEqual(by_clock, [])


class Writer(support.Process):
    program = staticmethod(lambda: "/bin/sh")


class LinesTest(unittest.TestCase):
    def test_lines__are_there_with_what_the_process_does_after_them(self):
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        scratch.write({"script": "seq 500000; mkdir done; exec sleep 600\n"})
        process = Writer("script", cwd=scratch.path)
        self.addCleanup(process.kill)
        support.wait_for(lambda: os.path.exists(scratch.join("done")), 30, "it has written all")
        self.assertEqual(len(process.lines), 500000)


class FrozenTest(unittest.TestCase):
    def sleeper(self):
        process = subprocess.Popen(["sleep", "600"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_frozen__stand_still_until_the_end_and_one_that_is_gone_is_left_out(self):
        living, gone = self.sleeper(), self.sleeper()
        gone.kill()
        gone.wait()
        with support.Frozen([gone.pid, living.pid]) as frozen:
            self.assertEqual(frozen.pids, [living.pid])
            support.wait_for(lambda: state(living.pid) == "T", 10, "it stands still")
        support.wait_for(lambda: state(living.pid) == "S", 10, "it goes on")

    def test_frozen__one_that_ends_meanwhile_keeps_no_other_from_going_on(self):
        first, second = self.sleeper(), self.sleeper()
        with support.Frozen([first.pid, second.pid]):
            second.kill()
            second.wait()
        support.wait_for(lambda: state(first.pid) == "S", 10, "it goes on")

    def test_tree__is_a_process_and_its_children(self):
        shell = subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600 & wait"], stdin=subprocess.DEVNULL)
        self.addCleanup(shell.wait)
        support.wait_for(lambda: len(support.process_tree(shell.pid)) == 3, 10, "it has its children")
        frozen = support.Frozen.tree(shell.pid)
        self.assertEqual(len(frozen.pids), 3)
        pids = list(frozen.pids)
        for pid in pids:
            support.wait_for(lambda: state(pid) == "T", 10, "it stands still")
        frozen.thaw()
        for pid in reversed(pids):
            support.try_signal(pid, signal.SIGKILL)

    def test_nobody_stops_processes_by_a_list_of_their_own(self):
        """A back end may end between being listed and being stopped: what freezes several has to expect that."""
        by_hand = [f"{path.name}: {line.strip()}" for path in sorted(TESTS.rglob("*.py")) if path.name not in ("support.py", "support_test.py")
                   for line in path.read_text().splitlines() if re.search(r"os\.kill\(.*SIG(STOP|CONT)", line)]
        self.assertEqual(by_hand, [])


class SkippedTest(unittest.TestCase):
    """ctest takes a test for skipped by what it prints; one that fails may print that word as well."""

    def expressions(self):
        build = os.environ.get("MILLRACE_BUILD")
        if build is None:
            self.skipTest("MILLRACE_BUILD names no build folder; ctest does")
        shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, text=True, check=True).stdout
        properties = [one for test in json.loads(shown)["tests"] for one in test.get("properties", [])]
        return {each for one in properties if one["name"] == "SKIP_REGULAR_EXPRESSION" for each in one["value"]}

    def test_skipped__is_what_says_so_of_its_module_and_no_failure(self):
        for expression in self.expressions():
            self.assertRegex("setUpModule (image_test) ... skipped 'no Docker engine answers'\n", expression)
            self.assertNotRegex("setUpModule (previous_release_test) ... ERROR\n-- Check for working C compiler: /usr/bin/cc - skipped\n",
                                re.compile(expression, re.DOTALL))


if __name__ == "__main__":
    unittest.main()
