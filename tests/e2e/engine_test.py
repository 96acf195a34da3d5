"""The engine knows no application's words: tasks are a folder, apps/tasks."""

import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("proto", "runtime", "http", "gateway", "actors", "jobs", "scheduler", "application", "openapi", "sql")
WORDS = re.compile(r"\btask_|_tasks?\b|\btaskId\b|\btask_?priorit|\bMR_OP_task|\bMR_JOB_report|\bSCHEDULE_TASK_|\bCLEANUP_(SCOPE|COMPLETED)|\breport_(list|get)\b|"
                   r"\b(FROM|INTO|UPDATE|JOIN|TABLE) (task|report)s?\b", re.I)
# Names of settings that deployments know, and whose jobs are the engine's.
OF_THE_ENGINE = re.compile(r"\bSCHEDULE_TASK_(CLEANUP|MAINTENANCE)_CRON\b")
# Migrations of earlier releases, which databases have.
FROZEN = re.compile(r"sql/migrations/00(0[1-9]|1[0-3])_")


def sources():
    for folder in FOLDERS:
        for path, names, files in os.walk(os.path.join(ROOT, folder)):
            names[:] = [name for name in names if name != "page"]
            for name in files:
                place = os.path.relpath(os.path.join(path, name), ROOT)
                if name.endswith((".c", ".h", ".sql")) and not FROZEN.match(place):
                    yield place


class Engine(unittest.TestCase):
    def test_engine__names_no_table_and_no_operation_of_tasks(self):
        found = []
        for place in sources():
            with open(os.path.join(ROOT, place), encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    match = WORDS.search(OF_THE_ENGINE.sub("", line))
                    if match:
                        found.append(f"{place}:{number}: {match.group()}")
        self.assertEqual(found, [])

    def test_engine__has_more_sources_than_this_test_could_miss(self):
        self.assertGreater(len(list(sources())), 300)


if __name__ == "__main__":
    unittest.main()
