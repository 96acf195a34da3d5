"""Work by push, from outside: the receivers that docs/webhooks.md shows verify what they get, and what a whole process does when it, its
database or a receiver fails."""

import glob
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import unittest
import urllib.error
import urllib.request

import certificates
import golang
import pages
import support
from support import wait_for

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
CLIENT = os.path.join(pages.DOCS, "tests", "client")

module = support.ModuleServer(PUSH_ALLOW_PRIVATE="true", SHUTDOWN_GRACE="5s")
setUpModule, tearDownModule = module.start, module.stop


def example(name):
    """The file of that name as the page has it."""
    return next(text for _, kind, text in pages.blocks(pages.read("docs", "webhooks.md")) if kind == f" file={name}")


class Receiver:
    """Answers 200 and {}, or as `behave(handler, n)` does for the n-th request, from 1."""

    def __init__(self, behave=None, pair=None):
        self.ids = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.ids.append(self.headers["webhook-id"])
                if behave is None or not behave(self, len(outer.ids)):
                    self.answer(200, b"{}")

            def answer(self, status, body=b""):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if pair else ''}://127.0.0.1:{self.server.server_port}/hook?token=hidden-token"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class PushTest(unittest.TestCase):
    def setUp(self):
        self.database = module.server.database()
        self.addCleanup(self.database.close)

    def receiver(self, *arguments, **options):
        receiver = Receiver(*arguments, **options)
        self.addCleanup(receiver.close)
        return receiver

    def job(self, name, url, secrets=(OLD,), database=None, **columns):
        columns = {"attempts": 10, "retry_first_ms": 100, "retry_most_ms": 300, "timeout_ms": 30000, **columns}
        (database or self.database).query(
            f"INSERT INTO millrace.job (name, exclusive, manual, work, origin, url, secrets, {', '.join(columns)}) VALUES ('{name}', false, "
            f"false, 'push', 'managed', '{url}', ARRAY[{', '.join(repr(secret) for secret in secrets)}], "
            f"{', '.join(map(str, columns.values()))})")

    def enqueue(self, name, args="{}", count=1, database=None):
        (database or self.database).query(f"SELECT millrace.enqueue('{name}', '{args}') FROM generate_series(1, {count})")

    def states(self, name, database=None):
        rows = (database or self.database).query(
            f"SELECT state, count(*) FROM millrace.every_run WHERE job = '{name}' GROUP BY state")
        return {state: int(count) for state, count in rows}

    def wait_for_states(self, name, expected, seconds=30, database=None):
        wait_for(lambda: self.states(name, database) == expected, seconds, f"{name}: {expected}")


class Examples(PushTest):
    def start(self, command, cwd, **settings):
        port = support.free_port()
        child = subprocess.Popen(command, cwd=cwd, env=support.environment(PORT=port, **settings), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)

        def answers():
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            except urllib.error.HTTPError:
                return True
            except OSError:
                return False
            return True

        wait_for(answers, 30, "the receiver listens")
        return f"http://127.0.0.1:{port}/"

    def check(self, name, url, secrets):
        """Runs that are signed come through; those that are signed by somebody else do not."""
        self.job(name, url, secrets)
        self.enqueue(name, '{"greeting": "Grüße, \\"Ada\\"", "n": 1.50}')
        self.wait_for_states(name, {"succeeded": 1})
        result = json.loads(self.database.value(f"SELECT result FROM millrace.run WHERE job = '{name}'"))
        self.assertEqual(result, {"received": {"greeting": 'Grüße, "Ada"', "n": 1.5}})
        self.job(name + "_forged", url, ("whsec_" + "A" * 32,), attempts=1)
        self.enqueue(name + "_forged")
        self.wait_for_states(name + "_forged", {"dead": 1})
        self.assertEqual(self.database.value(f"SELECT error FROM millrace.run WHERE job = '{name}_forged'"), "the receiver answered 401")

    def folder(self, name):
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        scratch.write({name: example(name)})
        return scratch

    def test_python__verifies_with_either_secret(self):
        folder = self.folder("receive.py")
        url = self.start([sys.executable, "receive.py"], folder.path, SECRETS=f"{NEW} {OLD}")
        self.check("python", url, (OLD,))
        self.check("rotated", url, (NEW,))
        url = self.start([sys.executable, "receive.py"], folder.path, SECRETS=OLD)
        self.check("rotating", url, (NEW, OLD))

    def test_go__verifies_with_the_standard_library(self):
        folder = self.folder("receive.go")
        program = golang.build(folder, "receive.go", example("receive.go"))
        url = self.start([program], folder.path, SECRETS=f"{NEW} {OLD}")
        self.check("go", url, (OLD,))

    def test_node__verifies_with_the_library_of_npm(self):
        modules = os.path.join(CLIENT, "node_modules")
        node = next(iter(glob.glob(os.path.join(modules, "node-linux-*", "bin", "node"))), None) or shutil.which("node")
        if node is None or not os.path.isdir(os.path.join(modules, "standardwebhooks")):
            self.skipTest("the npm packages of tests/client are not installed")
        folder = self.folder("receive.mjs")
        os.symlink(modules, folder.join("node_modules"))
        self.check("node", self.start([node, "receive.mjs"], folder.path, SECRET=OLD), (NEW, OLD))


class Faults(PushTest):
    def answers(self, database):
        try:
            return database.value("SELECT 1") == "1"
        except Exception:  # it has gone, in one of many ways
            return False

    def connect_again(self):
        self.database.close()
        try:
            self.database = module.server.database()
        except Exception:  # it does not take anybody yet
            return False
        self.addCleanup(self.database.close)
        return self.answers(self.database)

    def test_database__that_crashes_while_calls_are_under_way_loses_none(self):
        receiver = self.receiver()
        self.job("crash", receiver.url)
        self.enqueue("crash", count=400)
        wait_for(lambda: len(receiver.ids) >= 50, 30, "calls are made")
        (pid,) = self.database.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'push' AND datname = current_database()")[0]
        support.try_signal(int(pid), signal.SIGKILL)  # of one session: the server ends all, and recovers
        wait_for(lambda: not self.answers(self.database), 30, "the server ends our session, too")
        wait_for(self.connect_again, 30, "the server recovers")
        # A lease whose claim was lost on the way is one that ran out: the wait for that is not what is tested here.
        self.database.query("UPDATE millrace.lease SET until = now() WHERE job = 'crash' AND started_at < now() - interval '3 s'")
        self.wait_for_states("crash", {"succeeded": 400}, 60)
        self.assertEqual(len(set(receiver.ids)), 400)

    def test_scheduler__that_is_killed_leaves_its_runs_to_another(self):
        name = module.server.job_database()
        hold = threading.Event()
        self.addCleanup(hold.set)
        receiver = self.receiver(lambda handler, n: hold.wait(60) and False)
        with module.server.database(name) as database:
            self.job("killed", receiver.url, database=database)
            first = support.Scheduler(module.server, name, PUSH_ALLOW_PRIVATE="true").ready()
            self.enqueue("killed", count=20, database=database)
            wait_for(lambda: len(receiver.ids) == 20, 30, "the calls are under way")
            first.kill()
            hold.set()
            second = support.Scheduler(module.server, name, PUSH_ALLOW_PRIVATE="true").ready()
            self.assertEqual(self.states("killed", database), {"running": 20})
            database.query("UPDATE millrace.lease SET until = now()")  # half a minute later
            self.wait_for_states("killed", {"succeeded": 20}, database=database)
            self.assertEqual(database.count("millrace.run", "attempt = 2"), 20)
            self.assertEqual(sorted(receiver.ids[:20]), sorted(receiver.ids[20:]))  # each again, under its id
            self.assertEqual(second.stop(), 0)

    def test_scheduler__that_cannot_tell_an_outcome_ends_in_its_time(self):
        name = module.server.job_database()
        scheduler = support.Scheduler(module.server, name, PUSH_ALLOW_PRIVATE="true", SHUTDOWN_GRACE="5s", DB_LOCK_TIMEOUT="60s")
        self.addCleanup(scheduler.kill)
        scheduler.ready()
        with module.server.database(name) as holder, module.server.database(name) as database:
            holder.query("BEGIN")
            receiver = self.receiver(lambda *_: holder.query("LOCK TABLE millrace.run") and False)
            self.job("locked", receiver.url, database=database)
            self.enqueue("locked", database=database)
            wait_for(lambda: database.count("pg_locks l JOIN pg_stat_activity a USING (pid)", "NOT l.granted AND a.application_name = 'push'"), 30,
                     "the outcome waits for the lock")
            self.assertEqual(scheduler.stop(), 1)
        self.assertEqual(len(scheduler.logs("SHUTDOWN_GRACE is nearly over: cancelling running statements")), 1)
        self.assertFalse(scheduler.logs("SHUTDOWN_GRACE is nearly over: abandoning threads that do not end"))

    def test_log__is_bounded_and_tells_neither_url_nor_secret(self):
        receiver = self.receiver(lambda handler, n: handler.answer(500, b"hidden-answer") or True)
        self.job("noisy", receiver.url, attempts=3)
        self.enqueue("noisy", count=200)
        self.wait_for_states("noisy", {"dead": 200}, 60)
        lines = [line for line in module.server.said("push") if line["job"] == "noisy"]
        self.assertIn(len(lines), (1, 2, 3))  # of 600 attempts
        self.assertEqual((lines[0]["outcome"], lines[0]["status"], lines[0]["reason"], lines[0]["receiver"]),
                         ("failed", 500, "the receiver answered 500", receiver.url.split("/hook")[0]))
        for hidden in ("hidden-token", "hidden-answer", OLD[6:], NEW[6:]):
            self.assertNotIn(hidden, module.server.text())
        self.assertEqual(self.database.count("millrace.run", "error LIKE '%hidden%'"), 0)

    def test_tls__is_verified(self):
        name = module.server.job_database()
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        ours, theirs = certificates.Authority(scratch, "ours"), certificates.Authority(scratch, "theirs")
        good = self.receiver(pair=ours.issue())
        bad = {"strange": self.receiver(pair=theirs.issue()), "misnamed": self.receiver(pair=ours.issue("DNS:example.org")),
               "expired": self.receiver(pair=ours.issue(days=-1))}
        with module.server.database(name) as database:
            scheduler = support.Scheduler(module.server, name, PUSH_ALLOW_PRIVATE="true", PUSH_CERTIFICATE=ours.certificate).ready()
            self.job("good", good.url, database=database)
            self.enqueue("good", count=5, database=database)
            for job, receiver in bad.items():
                self.job(job, receiver.url, attempts=1, database=database)
                self.enqueue(job, database=database)
            self.wait_for_states("good", {"succeeded": 5}, database=database)
            for job, receiver in bad.items():
                self.wait_for_states(job, {"dead": 1}, database=database)
                self.assertRegex(database.value(f"SELECT error FROM millrace.run WHERE job = '{job}'"), "(?i)certificate")
                self.assertEqual(receiver.ids, [])
            self.assertEqual(scheduler.stop(), 0)


class Http2(PushTest):
    SERVER = """
const fs = require('fs');
const server = require('http2').createSecureServer({ key: fs.readFileSync(process.env.CERT_KEY), cert: fs.readFileSync(process.env.CERT), allowHTTP1: false });
server.on('stream', (stream, headers) => {
  let length = 0;
  stream.on('data', (part) => { length += part.length; });
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(JSON.stringify({ protocol: stream.session.alpnProtocol, bytes: length, signed: 'webhook-signature' in headers }));
  });
});
server.listen(process.env.PORT, '127.0.0.1', () => console.log('listens'));
"""

    def test_receiver__that_speaks_nothing_else(self):
        node = shutil.which("node")
        if node is None:
            self.skipTest("there is no node")
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        authority = certificates.Authority(scratch, "ours")
        certificate, key = authority.issue()
        port = support.free_port()
        child = subprocess.Popen([node, "-e", self.SERVER], env=support.environment(PORT=port, CERT=certificate, CERT_KEY=key), text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertEqual(child.stdout.readline(), "listens\n")
        name = module.server.job_database()
        with module.server.database(name) as database:
            scheduler = support.Scheduler(module.server, name, PUSH_ALLOW_PRIVATE="true", PUSH_CERTIFICATE=authority.certificate)
            self.addCleanup(scheduler.kill)
            scheduler.ready()
            self.job("modern", f"https://127.0.0.1:{port}/hook", database=database)
            self.enqueue("modern", '{"n": 1}', count=20, database=database)
            self.wait_for_states("modern", {"succeeded": 20}, database=database)
            results = {(result["protocol"], result["signed"], result["bytes"] > 50) for result, in
                       ([json.loads(row[0])] for row in database.query("SELECT result FROM millrace.run"))}
            self.assertEqual(results, {("h2", True, True)})
            self.assertEqual(scheduler.stop(), 0)


if __name__ == "__main__":
    unittest.main()
