"""A database that cannot be had for a reason that does not heal: said at once at the start, waited for afterwards."""

import os
import re
import time
import unittest

import support
from certificates import Authority, serve
from cluster import Server
from support import Process, Scheduler, patience, wait_for


class Translated(Server):
    """A server whose messages are not English, so that nobody can know a refusal by its words."""

    def start(self):
        os.environ["LANGUAGE"] = "de"
        try:
            return super().start()
        finally:
            del os.environ["LANGUAGE"]


class RefusalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start().create()
        cls.addClassCleanup(cls.server.close)
        cls.scratch = support.Scratch()
        cls.authority, cls.other = Authority(cls.scratch, "ours"), Authority(cls.scratch, "another")
        serve(cls.server, cls.authority.issue())

    def api(self, port=None, **settings):
        process = Process("api", **{**self.server.settings(port=port), **settings})
        self.addCleanup(process.kill)
        return process

    def verified(self, **settings):
        return {"DB_SSL": "verify-full", "DB_SSL_ROOT_CERT": self.authority.certificate, **settings}

    def assert_refused(self, reason, **settings):
        """At once, by every command that needs the database."""
        watch = support.Stopwatch()
        server = self.api(**settings)
        self.assertEqual(server.wait(), 1, server.text())
        self.assertLess(watch.seconds(), patience(5))
        told = server.logs("migrations failed")
        self.assertEqual(len(told), 1, server.text())
        self.assertRegex(told[0]["reason"], reason)
        done = support.run("migrate", **{**self.server.settings(), **settings})
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, reason)


class AtStart(RefusalTest):
    def test_no_such_database(self):
        self.assert_refused(r"3D000", DB_DATABASE="nowhere")

    def test_no_such_user(self):
        self.assert_refused(r"28000", DB_USER="nobody")

    def test_no_right_to_connect(self):
        self.server.query("CREATE ROLE stranger LOGIN")
        self.server.query("CREATE DATABASE closed")
        self.server.query("REVOKE CONNECT ON DATABASE closed FROM public")
        self.assert_refused(r"42501", DB_USER="stranger", DB_DATABASE="closed")

    def test_authorities_missing(self):
        self.assert_refused(r"/nowhere/ca\.crt cannot be read: No such file", **self.verified(DB_SSL_ROOT_CERT="/nowhere/ca.crt"))

    def test_authorities_that_are_none(self):
        path = self.scratch.join("garbage.crt")
        with open(path, "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
        self.assert_refused(r"garbage\.crt holds no certificate", **self.verified(DB_SSL_ROOT_CERT=path))

    def test_another_authority(self):
        self.assert_refused(r"not trusted .*: its authority /CN=ours has to be in .*another\.crt",
                            **self.verified(DB_SSL_ROOT_CERT=self.other.certificate))

    def test_another_name(self):
        serve(self.server, self.authority.issue("DNS:db.example,DNS:reader.example,IP:192.0.2.7"))
        self.addCleanup(serve, self.server, self.authority.issue())
        self.assert_refused(r"is for db\.example reader\.example 192\.0\.2\.7, not for 127\.0\.0\.1", **self.verified())

    def test_expired(self):
        serve(self.server, self.authority.issue(days=-1))
        self.addCleanup(serve, self.server, self.authority.issue())
        self.assert_refused(r"expired on 20\d\d-\d\d-\d\d \d\d:\d\d UTC", **self.verified())

    def test_server_without_tls(self):
        serve(self.server, None)
        self.addCleanup(serve, self.server, self.authority.issue())
        self.assert_refused(r"does not support TLS", DB_SSL="require")

    def test_right_certificate__serves(self):
        self.api(**self.verified()).ready()


class InAnotherLanguage(unittest.TestCase):
    def test_refusals__are_known_by_their_code(self):
        server = Translated().start()
        self.addCleanup(server.close)
        for settings, code in (({"DB_DATABASE": "nowhere"}, "3D000"), ({"DB_USER": "nobody"}, "28000")):
            process = Process("api", **{**server.settings("postgres"), **settings})
            self.addCleanup(process.kill)
            watch = support.Stopwatch()
            self.assertEqual(process.wait(), 1)
            self.assertLess(watch.seconds(), patience(5))
            reason = process.logs("migrations failed")[0]["reason"]
            self.assertIn(code, reason)
            self.assertRegex(reason, "existiert nicht", "the server speaks German")


class WhileRunning(RefusalTest):
    """What heals only by somebody's hand, in a process that serves: it waits, says why, and is back when that is done."""

    def ready_problem(self, server):
        try:
            with server.connect() as connection:
                answer = connection.get("/readyz")
                return None if answer.status == 200 else answer.json()["detail"]
        except OSError:
            return "it does not listen yet"

    def assert_waits(self, server, text, trouble):
        wait_for(lambda: self.ready_problem(server) == text, 15, text)
        told = wait_for(lambda: [line for line in server.logs("database not reached yet") if line["trouble"] == trouble], 5, trouble)
        self.assertGreaterEqual(told[0]["attempts"], 1)
        lines = len(server.lines)
        time.sleep(2)  # what a busy loop would have filled
        self.assertLess(len(server.lines) - lines, 25)
        self.assertIsNone(server.child.poll())

    def test_certificate_that_expires__is_waited_for(self):
        server = self.api(**self.verified()).ready()
        serve(self.server, self.authority.issue(days=-1))
        self.addCleanup(serve, self.server, self.authority.issue())
        self.server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '/'")
        self.assert_waits(server, "TLS to the database cannot be set up.", "tls")
        serve(self.server, self.authority.issue())
        wait_for(lambda: self.ready_problem(server) is None, 10, "ready again")

    def test_database_that_is_renamed__is_waited_for(self):
        self.server.query("CREATE DATABASE there")
        server = self.api(DB_DATABASE="there").ready()
        self.rename("there", "gone")
        self.assert_waits(server, "There is no such database.", "noDatabase")
        self.rename("gone", "there")
        wait_for(lambda: self.ready_problem(server) is None, 10, "ready again")

    def rename(self, old, new):
        self.server.query(f"ALTER DATABASE {old} ALLOW_CONNECTIONS false")
        self.server.query(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{old}'")
        self.server.query(f"ALTER DATABASE {old} RENAME TO {new}")
        self.server.query(f"ALTER DATABASE {new} ALLOW_CONNECTIONS true")


LACKS = "The schema is not the one that is needed, or may not be seen: have the migrations run?"


class WithoutMigrations(RefusalTest):
    """DB_MIGRATIONS_RUN=false: nobody connects before the actors do, and they wait for whoever is to do something."""

    def start(self, text, **settings):
        server = self.api(DB_MIGRATIONS_RUN="false", METRICS_EMF="true", **settings)
        WhileRunning.assert_waits(self, server, *text)
        return server

    ready_problem = WhileRunning.ready_problem

    def test_not_migrated(self):
        self.server.query("CREATE DATABASE empty")
        server = self.start((LACKS, "schema"), DB_DATABASE="empty")
        done = support.run("migrate", **self.server.settings("empty"))
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_for(lambda: self.ready_problem(server) is None, 10, "ready")

    def test_no_right_to_connect(self):
        self.server.query("CREATE ROLE outside LOGIN; REVOKE CONNECT ON DATABASE millrace FROM public")
        self.addCleanup(self.server.query, "GRANT CONNECT ON DATABASE millrace TO public")
        server = self.start(("The user lacks a right to the database.", "noRight"), DB_USER="outside")
        self.server.query("GRANT CONNECT ON DATABASE millrace TO outside; GRANT USAGE ON SCHEMA millrace TO outside;"
                          "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, millrace TO outside")
        wait_for(lambda: self.ready_problem(server) is None, 10, "ready")

    def test_no_right_to_the_schema(self):
        """The engine has its own schema; of the application's tables PostgreSQL says that there are none."""
        self.server.query("CREATE ROLE weak LOGIN; REVOKE USAGE ON SCHEMA public FROM public")
        self.addCleanup(self.server.query, "GRANT USAGE ON SCHEMA public TO public")
        server = self.start(("The user lacks a right to the database.", "noRight"), DB_USER="weak")
        self.server.query("GRANT USAGE ON SCHEMA millrace TO weak;"
                          "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, millrace TO weak")
        WhileRunning.assert_waits(self, server, "A table, column or function of the application is missing, or may not be used.", "tables")
        self.server.query("GRANT USAGE ON SCHEMA public TO weak")
        wait_for(lambda: self.ready_problem(server) is None, 15, "ready")
        api = server.api()
        self.addCleanup(api.close)
        self.assertEqual(api.get("/v1/refdata/taskpriorities").status, 200)

    def test_tls_that_cannot_be_had(self):
        self.start(("TLS to the database cannot be set up.", "tls"), **self.verified(DB_SSL_ROOT_CERT=self.other.certificate))

    def test_scheduler__says_so_in_its_pulse(self):
        name = f"millrace-refusal-{self.server.port}"
        scheduler = Process("scheduler", **self.server.settings("nowhere"), DB_MIGRATIONS_RUN="false", HEALTH_SOCKET=name, APP_PORT=None, JWT_SECRET=None)
        self.addCleanup(scheduler.kill)
        scheduler.name = name
        wait_for(lambda: (Scheduler.pulse(scheduler) or {}).get("database") == {"status": "down", "reason": "noDatabase"}, 15, "the pulse tells")
        told = wait_for(lambda: scheduler.logs("database not reached yet"), 5, "the log tells")
        self.assertTrue(re.search("3D000|does not exist", told[0]["reason"]))


if __name__ == "__main__":
    unittest.main()
