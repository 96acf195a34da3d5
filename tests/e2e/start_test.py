"""What `millrace api` asks of its database before it is ready: numbers of connections, statements and round trips, which do not depend on how
fast the machine is. A process that starts waits for little else."""

import os
import socket
import struct
import threading
import time
import unittest
from datetime import datetime

from support import SERVER_DATABASE, ModuleServer, Process, Scratch, wait_for

# Of four actors with two lanes each, one connection for the migrations and the application's questions, and one for the declaration.
STATEMENTS_MOST = 48
FIRST_TRIPS_MOST = 10
OTHER_TRIPS_MOST = 6

everything = ModuleServer()


def setUpModule():
    everything.start()


def tearDownModule():
    everything.stop()


class Counted:
    """A connection through a Counter: whose it is, when statements were sent, and when the server had answered all that was asked."""

    def __init__(self, client, server):
        self.name, self.statements, self.trips = "?", [], []
        self.client, self.server = client, server
        self.threads = [threading.Thread(target=self.forth, daemon=True), threading.Thread(target=self.back, daemon=True)]
        for thread in self.threads:
            thread.start()

    def forth(self):
        """To the server: a packet without a type, and then messages."""
        data = b""
        is_first = True
        while chunk := self.read(self.client):
            data += chunk
            while len(data) >= (head := 4 if is_first else 5):
                size = head - 4 + struct.unpack(">I", data[head - 4:head])[0]
                if len(data) < size:
                    break
                self.sent(data[:1], data[head:size], is_first)
                data, is_first = data[size:], False
            self.server.sendall(chunk)
        self.close()

    def sent(self, kind, body, is_first):
        if is_first:
            words = body[4:].split(b"\0")
            self.name = dict(zip(words[::2], words[1::2])).get(b"application_name", b"?").decode()
        elif kind in (b"P", b"Q"):  # parsed, or a text of its own
            self.statements.append(time.time())

    def back(self):
        data = b""
        while chunk := self.read(self.server):
            data += chunk
            while len(data) >= 5 and len(data) >= (size := 1 + struct.unpack(">I", data[1:5])[0]):
                if data[:1] == b"Z":
                    self.trips.append(time.time())
                data = data[size:]
            try:
                self.client.sendall(chunk)
            except OSError:
                break
        self.close()

    @staticmethod
    def read(end):
        try:
            return end.recv(65536)
        except OSError:
            return b""

    def close(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Counter:
    """Stands in front of a server's socket, and counts."""

    def __init__(self, target):
        self.target, self.scratch, self.connections = target, Scratch(), []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.scratch.join(".s.PGSQL.5432"))
        os.chmod(self.scratch.join(".s.PGSQL.5432"), 0o777)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def directory(self):
        return self.scratch.join()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(os.path.join(self.target, ".s.PGSQL.5432"))
            self.connections.append(Counted(client, server))

    def close(self):
        self.listener.close()
        for each in self.connections:
            each.close()
        self.scratch.remove()


class Start(unittest.TestCase):
    """One start on a migrated database. What was sent after the process had said that it listens, was seen here later still; so on a machine
    that is busy these tests count less than there was, and never more."""

    @classmethod
    def setUpClass(cls):
        database = everything.server.job_database()
        cls.counter = Counter(os.path.join(everything.server.state_dir, SERVER_DATABASE))
        cls.addClassCleanup(cls.counter.close)
        cls.process = Process("api", DB_HOST=cls.counter.directory, DB_USER="postgres", DB_DATABASE=database)
        cls.addClassCleanup(cls.process.kill)
        cls.process.ready()
        wait_for(lambda: cls.process.logs("listening"), 10, "it says that it listens")
        cls.listening = datetime.fromisoformat(cls.process.logs("listening")[0]["time"].replace("Z", "+00:00")).timestamp() + 0.001
        cls.connections = list(cls.counter.connections)
        cls.told = "\n".join(f"{each.name}: {cls.trips(each)} round trips, {cls.statements(each)} statements" for each in cls.connections)

    @classmethod
    def trips(cls, connection):
        return sum(when <= cls.listening for when in list(connection.trips))

    @classmethod
    def statements(cls, connection):
        return sum(when <= cls.listening for when in list(connection.statements))

    def connection(self, name):
        found = [each for each in self.connections if each.name == name and each.statements]
        self.assertEqual(len(found), 1, self.told)
        return found[0]

    def test_start__connects_once_for_each_actor_and_twice_for_itself(self):
        lanes = [f"{actor}/{lane}" for actor in ("auth", "data-reader", "data-writer", "work") for lane in ("0", "slow")]
        for name in ("millrace migrate", "declare", *lanes):
            self.connection(name)
        early = [each for each in self.connections if self.statements(each)]
        self.assertLessEqual(len(early), 10, self.told)

    def test_start__asks_little_before_it_serves(self):
        self.assertLessEqual(sum(map(self.statements, self.connections)), STATEMENTS_MOST, self.told)

    def test_start__waits_for_few_round_trips_one_after_another(self):
        first = self.connection("millrace migrate")
        self.assertLessEqual(self.trips(first), FIRST_TRIPS_MOST, self.told)
        self.assertLessEqual(max(self.trips(each) for each in self.connections if each is not first), OTHER_TRIPS_MOST, self.told)

    def test_start__what_was_not_needed_is_prepared_when_there_is_time(self):
        for name in ("data-writer/0", "auth/slow"):
            connection = self.connection(name)
            wait_for(lambda: len(connection.statements) > 10, 20, "the rest is prepared")  # noqa: B023


if __name__ == "__main__":
    unittest.main()
