"""Every command that a page shows is run by a test, or stands in commands.py with the reason why it cannot be."""

import json
import os
import re
import subprocess
import sys
import unittest

import commands


def read(path):
    with open(os.path.join(commands.ROOT, path), encoding="utf-8") as file:
        return file.read()


def covered(command):
    """The entries that are about the command; a page that is followed covers what it does not skip."""
    if command.page in commands.FOLLOWED and not command.skipped:
        return [command.page]
    return [entry[0] for entry in commands.ELSEWHERE + commands.NOT_HERE if re.search(entry[0], command.text)]


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shown = list(commands.shown())

    def test_commands__are_run_or_excused(self):
        self.assertGreater(len(self.shown), 100)
        self.assertEqual([f"{one.page}:{one.line}: {one.text}" for one in self.shown if not covered(one)], [])

    def test_entries__are_about_a_command_that_is_shown(self):
        used = {entry for one in self.shown for entry in covered(one)}
        self.assertEqual([entry[0] for entry in commands.ELSEWHERE + commands.NOT_HERE if entry[0] not in used], [])

    def test_tests__that_run_them_are_there(self):
        for page, test in commands.FOLLOWED.items():
            self.assertTrue(os.path.basename(page) in read(test), f"{test} does not name {page}")
        for pattern, test, words in commands.ELSEWHERE:
            self.assertTrue(words in read(test), f"{test} does not say {words!r}, and is to run {pattern}")

    def test_files__are_named_before_their_blocks(self):
        """What stands behind a fence's language shows nowhere, so the text has to say which file a block is."""
        for page in commands.pages():
            text = read(page)
            for match in re.finditer(r"^```\w+ file=(\S+)$", text, re.M):
                before = text[max(0, match.start() - 600):match.start()]
                self.assertIn(f"`{match.group(1)}`", before, f"{page}:{text.count(chr(10), 0, match.start()) + 1}")

    def test_dev__knows_its_commands(self):
        known = re.findall(r"^(\w+)\) ", read("dev"), re.M)
        for one in self.shown:
            for word in re.findall(r"\./dev (\w+)", one.text):
                self.assertIn(word, known, f"{one.page}:{one.line}")

    def test_npm__knows_its_scripts(self):
        known = json.loads(read("infrastructure/package.json"))["scripts"]
        for one in self.shown:
            for word in re.findall(r"npm run ([\w:]+)", one.text):
                self.assertIn(word, known, f"{one.page}:{one.line}")

    def test_scaling__prints_what_its_page_shows(self):
        shown = re.search(r"^    \$ (python3 bench/scaling\.py .*)\n((?:    .*\n)+)", read("docs/scaling.md"), re.M)
        printed = subprocess.run([sys.executable, *shown.group(1).split()[1:]], cwd=commands.ROOT, check=True, capture_output=True, text=True).stdout
        self.assertEqual("".join("    " + line + "\n" for line in printed.splitlines()), shown.group(2))


class Reader(unittest.TestCase):
    """What counts as a command."""

    def read(self, text):
        return [(one.line, one.text) for one in commands.of_page("page.md", text)]

    def test_reader__takes_lines_of_a_shell_s_block(self):
        self.assertEqual(self.read("Do:\n\n```sh\none a \\\n  b   # said of it\n# a remark\ntwo\n```\n\n```text\nthree\n```\n"), [(4, "one a b"), (7, "two")])

    def test_reader__takes_commands_among_what_they_print(self):
        self.assertEqual(self.read("Do:\n\n    $ anything x\n    {\"printed\": 1}\n    A=1 millrace api\n"), [(3, "anything x"), (5, "A=1 millrace api")])

    def test_reader__joins_an_open_quote(self):
        self.assertEqual(self.read("```sh\ncurl -d '{\n\"a\": 1}'\n```\n"), [(2, "curl -d '{ \"a\": 1}'")])


if __name__ == "__main__":
    unittest.main()
