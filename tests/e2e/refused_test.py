"""What waiting does not heal: it is told with its reason, at once at a start, and in order when it comes later."""

import time
import unittest

import support
from cluster import Proxy, Server
from support import Process, patience, wait_for

PASSWORD = "a first password"


class RefusedTest(unittest.TestCase):
    def server(self, settings=""):
        server = Server.migrated(settings)
        self.addCleanup(server.close)
        return server

    def assert_refused_at_once(self, words, server, **settings):
        watch = support.Stopwatch()
        process = Process("api", **{**server.settings(), **settings})
        self.addCleanup(process.kill)
        self.assertEqual(process.wait(20), 1, process.text())
        self.assertLess(watch.seconds(), patience(4))
        reason = process.logs("migrations failed")[-1]["reason"]
        for word in words:
            self.assertIn(word, reason)
        return reason


class AtStart(RefusedTest):
    def test_what_does_not_heal__ends_the_start_with_its_reason(self):
        server = self.server()
        server.want_password("app", PASSWORD)
        server.query("CREATE ROLE stranger LOGIN", "postgres")
        server.query("CREATE DATABASE closed", "postgres")
        server.query("REVOKE CONNECT ON DATABASE closed FROM PUBLIC", "postgres")
        self.assert_refused_at_once(["3D000", "nowhere"], server, DB_DATABASE="nowhere")
        self.assert_refused_at_once(["28P01", "app"], server, DB_USER="app", DB_PASS="wrong")
        self.assert_refused_at_once(["28000", "nobody"], server, DB_USER="nobody")
        self.assert_refused_at_once(["42501", "closed"], server, DB_USER="stranger", DB_DATABASE="closed")
        self.assert_refused_at_once(["does not support TLS"], server, DB_SSL="require")

    def test_server_that_speaks_another_language__is_understood(self):
        """The severity is translated and so is the message; the SQLSTATE is not."""
        server = self.server()
        server.want_password("app", PASSWORD)
        proxy = Proxy(server.port)
        self.addCleanup(proxy.close)
        proxy.change = translate
        self.assert_refused_at_once(["28P01", "KATASTROPHE"], server, DB_PORT=proxy.port, DB_USER="app", DB_PASS="wrong")

    def test_database_that_is_away__is_waited_for(self):
        server = self.server()
        server.stop()
        process = Process("api", **server.settings())
        self.addCleanup(process.kill)
        wait_for(lambda: process.logs("waiting for the database"), 10, "it waits")
        self.assertIsNone(process.child.poll())
        server.start()
        process.ready()


def translate(data):
    """Of an ErrorResponse: the field S, the severity as it is shown. V, which is never translated, goes: old servers have none."""
    if not data.startswith(b"E"):
        return data
    fields = [field for field in data[5:].split(b"\0") if field and not field.startswith(b"V")]
    fields = [b"SKATASTROPHE" if field == b"SFATAL" else field for field in fields]
    body = b"\0".join(fields) + b"\0\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


class Rotated(RefusedTest):
    def start(self, command, server, **settings):
        process = Process(command, **{**server.settings(), "DB_USER": "app", "DB_PASS": PASSWORD, **settings})
        self.addCleanup(process.kill)
        return process

    def rotate(self, server):
        server.query("ALTER ROLE app PASSWORD 'another password'", "postgres")
        server.end_connections()

    def assert_ended_in_order(self, process):
        self.assertEqual(process.wait(30), 1, process.text()[-3000:])
        self.assertTrue(process.logs("stopped"), process.text()[-3000:])
        self.assertTrue(process.logs("the database refuses user or password"))
        self.assertEqual(len(process.logs("draining")), 1)

    def test_password_rotated_and_all_sockets_cut__ends_in_order_with_1(self):
        server = self.server()
        server.want_password("app", PASSWORD)
        for command in ("all", "scheduler", "api"):
            with self.subTest(command=command):
                server.query(f"ALTER ROLE app PASSWORD '{PASSWORD}'", "postgres")
                process = self.start(command, server, SHUTDOWN_DELAY=f"{patience(1)}s", HEALTH_SOCKET="millrace-rotated-" + command)
                ready = "scheduling" if command == "scheduler" else "listening"
                wait_for(lambda: process.logs(ready), 20, ready)
                if command != "scheduler":
                    process.ready()
                begun = time.monotonic()
                self.rotate(server)
                self.assert_ended_in_order(process)
                if command != "scheduler":
                    self.assertGreater(time.monotonic() - begun, patience(1) * 0.9, "SHUTDOWN_DELAY is kept")

    def test_refused_from_the_start_without_migrations__ends_in_order(self):
        """Every actor finds out before the process listens to signals."""
        server = self.server()
        server.want_password("app", PASSWORD)
        for command in ("api", "scheduler", "all"):
            with self.subTest(command=command):
                process = self.start(command, server, DB_PASS="wrong", DB_MIGRATIONS_RUN="false",
                                     HEALTH_SOCKET="millrace-refused-" + command)
                self.assert_ended_in_order(process)


if __name__ == "__main__":
    unittest.main()
