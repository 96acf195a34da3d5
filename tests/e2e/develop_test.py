"""`millrace dev`: serves a folder, and again when its files change; what is broken keeps the old one serving, and nobody is refused."""

import os
import signal
import threading
import unittest

import support
from support import Process, free_port, patience, wait_for

CHANGED_S = 20  # a change is served within a second; a busy machine takes its time


class Dev(Process):
    """`millrace dev` on a folder of its own. Its children write to its output, too."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.state = support.Scratch()
        support.plant_seed(self.state.join("state"))
        super().__init__("dev", MILLRACE_APP=folder, MILLRACE_STATE_DIR=self.state.join("state"), HOUSEKEEPING="false",
                         LOGGING_FORMAT="json", **settings)

    def title(self):
        """Of the document that is served; None while nobody answers."""
        try:
            with self.connect(timeout=10) as connection:
                return connection.get("/openapi.json").json()["info"]["title"]
        except (OSError, support.NoAnswer):
            return None

    def postmaster(self):
        with open(os.path.join(self.state.path, "state", "postgres", "data", "postmaster.pid")) as file:
            return int(file.readline())

    def servers(self):
        """The process ids of its servers."""
        found = []
        for pid in support.process_tree(self.pid)[1:]:
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    if file.read().split("\0")[1:2] == ["all"]:
                        found.append(pid)
            except OSError:
                continue
        return found

    def server(self):
        """The process id of the one that serves, once those before it have ended."""
        return wait_for(lambda: (lambda pids: pids[0] if len(pids) == 1 else None)(self.servers()), 30, "the ones before have ended")

    def wait_for_title(self, title):
        wait_for(lambda: self.title() == title, CHANGED_S, f"{title} is served; {self.text()[-3000:]}")

    def wait_for_words(self, words, count=1):
        wait_for(lambda: self.text().count(words) >= count, CHANGED_S, f"{words!r} is printed")

    def close(self):
        try:
            return self.stop()
        finally:
            self.kill()
            self.state.remove()


scratch = support.Scratch()
dev = None


def setUpModule():
    global dev
    folder = scratch.join("shop")
    assert support.run("new", "app", folder).returncode == 0
    dev = Dev(folder, ADMIN_PORT=free_port())
    unittest.addModuleCleanup(dev.close)
    dev.wait_for_title("Shop")


def tearDownModule():
    """A signal ends all of it: servers, and the database."""
    pids = [*dev.servers(), *support.process_tree(dev.postmaster())]
    assert dev.stop() == 0, dev.text()[-3000:]
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 20, "servers and database are gone")


class DevTest(unittest.TestCase):
    def setUp(self):
        self.dev, self.folder = dev, dev.folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def replace(self, name, text):
        """As editors do it."""
        with open(self.path("." + name + ".swp"), "w") as file:
            file.write(text)
        os.rename(self.path("." + name + ".swp"), self.path(name))


class Changes(DevTest):
    def test_change__is_served_by_another_process_while_nobody_is_refused_and_the_database_stays(self):
        postmaster, before = self.dev.postmaster(), self.dev.server()
        stopping, refused, answered = threading.Event(), [], []

        def call():
            while not stopping.is_set():
                try:
                    with self.dev.connect(timeout=30) as connection:
                        answered.append(connection.request("GET", "/livez", [("Connection", "close")]).status)
                except (OSError, support.NoAnswer) as error:
                    refused.append(repr(error))

        thread = threading.Thread(target=call)
        thread.start()
        try:
            self.write("millrace.yaml", "title: Written\n")
            self.dev.wait_for_title("Written")
            self.replace("millrace.yaml", "title: Replaced\n")
            self.dev.wait_for_title("Replaced")
            for number in range(20):  # a burst
                self.write("millrace.yaml", f"title: Burst {number}\n")
            self.dev.wait_for_title("Burst 19")
        finally:
            stopping.set()
            thread.join(patience(40))
        self.assertEqual((refused, set(answered)), ([], {200}))
        self.assertNotEqual(self.dev.server(), before)
        self.assertEqual(self.dev.postmaster(), postmaster)
        with support.Connection(self.dev.settings["ADMIN_PORT"]) as admin:
            self.assertEqual(admin.get("/livez").status, 200)

    def test_folder__that_is_new_is_watched_too(self):
        os.mkdir(self.path("jobs"))
        os.mkdir(self.path("queries"))
        served = self.dev.text().count("serving the change")
        self.write("queries/nightly.sql", "-- name: nightly\nSELECT 1;\n")
        self.dev.wait_for_words("serving the change", served + 1)
        self.write("jobs/nightly.yaml", "nightly:\n  work: sq\n  statements: [nightly]\n")
        self.dev.wait_for_words("jobs/nightly.yaml:2:9: ")
        os.unlink(self.path("jobs/nightly.yaml"))

    def test_broken_change__keeps_the_old_one_and_tells_the_place(self):
        self.write("millrace.yaml", "title: Good\n")
        self.dev.wait_for_title("Good")
        before = self.dev.server()
        self.write("millrace.yaml", "title: Bad\nabuot: a typing error\n")
        self.dev.wait_for_words('millrace.yaml:2:1: unknown key "abuot", expected "about"')
        self.dev.wait_for_words("the version before it still is")
        self.assertEqual((self.dev.title(), self.dev.server()), ("Good", before))
        self.write("millrace.yaml", "title: Mended\n")
        self.dev.wait_for_title("Mended")

    def test_migration__that_has_no_sql_yet_or_was_edited_is_told(self):
        os.mkdir(self.path("migrations"))
        self.write("migrations/0001_note.sql", "-- to be written\n\n")
        self.dev.wait_for_words("migrations/0001_note.sql: there are only comments in it, expected SQL")
        served = self.dev.text().count("serving the change")
        self.write("migrations/0001_note.sql", "-- Notes.\nCREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.dev.wait_for_words("serving the change", served + 1)
        before = self.dev.server()
        self.write("migrations/0001_note.sql", "CREATE TABLE note (id uuid PRIMARY KEY, words text);\n")
        self.dev.wait_for_words("migrations/0001_note.sql: it has been applied and is another one now")
        self.assertEqual(self.dev.server(), before)
        self.write("migrations/0001_note.sql", "-- Notes.\nCREATE TABLE note (id uuid PRIMARY KEY);\n")
        self.dev.wait_for_words("serving the change", served + 2)

    def test_server__that_dies_is_started_again(self):
        server = self.dev.server()
        os.kill(server, signal.SIGKILL)
        self.dev.wait_for_words("the server ended by signal 9; starting it again in")
        wait_for(lambda: self.dev.title() and self.dev.servers() not in ([], [server]), CHANGED_S, "another serves")


class Starts(DevTest):
    def test_folder__that_is_none_is_refused(self):
        done = support.run("dev", "/nowhere", JWT_SECRET=support.SECRET)
        self.assertEqual(done.returncode, 2)
        self.assertIn("`millrace new app DIR` makes an application", done.stderr)

    def test_folder__without_an_application_is_left_alone(self):
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        done = support.run("dev", scratch.path, JWT_SECRET=support.SECRET)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"there is no millrace.yaml in {os.path.realpath(scratch.path)}; `millrace new app DIR` makes an application", done.stderr)
        self.assertEqual(os.listdir(scratch.path), [])

    def test_application__that_is_broken_from_the_start_is_told_and_waited_for(self):
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        with open(scratch.join("millrace.yaml"), "w") as file:
            file.write("titel: Shop\n")
        dev = Dev(scratch.path, DB_HOST=self.dev.state.join("state", support.SERVER_DATABASE), DB_USER="postgres")
        self.addCleanup(dev.close)
        dev.wait_for_words("nothing is served; waiting for a change")
        self.assertIsNone(dev.title())
        with open(scratch.join("millrace.yaml"), "w") as file:
            file.write("title: Mended\n")
        dev.wait_for_title("Mended")
        server = dev.server()
        self.assertEqual(dev.stop(), 0)
        self.assertFalse(os.path.exists(f"/proc/{server}"))


if __name__ == "__main__":
    unittest.main()
