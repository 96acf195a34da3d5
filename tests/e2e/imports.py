"""What the tests of imports share."""

import json
import threading

import support
from support import wait_for

NDJSON, CSV = "application/x-ndjson", "text/csv"
BODY_MAX = 16 << 20
PART = 256 << 10
RECORD_MAX = 512 << 10


class Peak:
    """The most memory that a process has resident while this is at work, and what it had before."""

    def __init__(self, *processes):
        self.processes = processes

    def __enter__(self):
        self.before = [process.resident_bytes() for process in self.processes]
        self.most = list(self.before)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.stopping.wait(0.005):
            self.most = [max(most, process.resident_bytes()) for most, process in zip(self.most, self.processes)]

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def grown_mib(self):
        return [round((most - before) / (1 << 20), 1) for most, before in zip(self.most, self.before)]


def line(summary, **fields):
    return json.dumps({"summary": summary, "taskPriorityCode": "LOW", **fields}).encode() + b"\n"


class ImportTest(support.TiersTest):
    """Each test has a user of its own. Subclasses say which ModuleServer has the database."""

    def setUp(self):
        wait_for(self.writers_are_idle, 10, "what an upload that broke off left under way is done")
        self.database.query("TRUNCATE millrace.account, millrace.app_user, millrace.job_run, millrace.import_part, task_count, task_change CASCADE")
        self.client = self.new_client()
        self.user = self.client.id

    def writers_are_idle(self):
        return self.database.count("pg_stat_activity", "datname = current_database() AND application_name LIKE 'data-writer%' "
                                   "AND state <> 'idle'") == 0

    def upload(self, body, kind=NDJSON, client=None):
        answer = (client or self.client).request("POST", "/v1/tasks/import", body, [("Content-Type", kind)])
        self.assertEqual(answer.status, 202, answer)
        run = answer.json()
        self.assertEqual(answer.header("Location"), "/v1/job-runs/" + run["id"])
        self.assertEqual((run["job"], run["trigger"], run["state"]), ("import", "user", "queued"))
        return run["id"]

    def imported(self, body, kind=NDJSON, seconds=30):
        """Uploads, waits for the end and returns the run as its owner sees it."""
        run_id = self.upload(body, kind)
        self.database.wait_for_run(run_id, seconds)
        self.client.close()  # a long run outlives the patience of the server with an idle connection
        return self.client.get("/v1/job-runs/" + run_id).json()

    def summaries(self, user=None):
        """Of the tasks of a user, as a list has them, the oldest first: that is the order of the lines."""
        return [row[0] for row in self.database.query(f"SELECT summary FROM task WHERE user_id = '{user or self.user}' ORDER BY created_at, id")]

    def assert_parts_are_gone(self):
        self.assertEqual(self.database.count("millrace.import_part"), 0)
