"""What the other tests stand on, where it could fail them by itself."""

import re
import signal
import subprocess
import unittest
from pathlib import Path

import support

TESTS = Path(__file__).resolve().parents[1]


def state(pid):
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], text=True, capture_output=True).stdout[:1]


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


if __name__ == "__main__":
    unittest.main()
