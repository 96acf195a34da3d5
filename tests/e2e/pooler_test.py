"""Behind PgBouncer in session mode, with its own settings: it refuses start-up options that it does not know.

Debian's package is used where it is installed; PGBOUNCER may name another program.
"""

import os
import shutil
import signal
import subprocess
import unittest

import support
from cluster import Server, TcpDatabase, become_server_user, server_user
from support import Process, free_port, wait_for

PGBOUNCER = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


class Pooler:
    def __init__(self, server, pool_mode):
        self.scratch = support.Scratch()
        os.chown(self.scratch.path, *server_user())
        self.port = free_port()
        path = self.scratch.join("pgbouncer.ini")
        with open(path, "w") as file:
            file.write(f"[databases]\nmillrace = user=postgres host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                       f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\n"
                       "default_pool_size = 30\n")
        log = open(self.scratch.join("log"), "wb")
        self.child = subprocess.Popen([PGBOUNCER, path], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      preexec_fn=become_server_user)
        log.close()
        wait_for(self.answers, 10, "the pooler answers")

    def answers(self):
        assert self.child.poll() is None, open(self.scratch.join("log")).read()
        try:
            with TcpDatabase(self.port, "millrace"):
                return True
        except (OSError, support.DatabaseError):
            return False

    def close(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.scratch.remove()


@unittest.skipUnless(os.access(PGBOUNCER, os.X_OK), "PgBouncer is not installed")
class Session(unittest.TestCase):
    def test_session_pool__serves_with_the_settings_that_safety_needs(self):
        server = Server().start()
        self.addCleanup(server.close)
        server.query("CREATE DATABASE millrace", "postgres")
        server.query("ALTER ROLE postgres SET DateStyle = 'SQL, DMY'", "postgres")
        pooler = Pooler(server, "session")
        self.addCleanup(pooler.close)
        process = Process("all", **server.settings(port=pooler.port))
        self.addCleanup(process.kill)
        process.ready()
        user = process.api().register()
        self.addCleanup(user.close)
        task = user.create_task(dueAt="2027-01-02T03:04:05.000Z")
        self.assertEqual(user.get("/v1/tasks/" + task["id"]).json()["dueAt"], "2027-01-02T03:04:05.000Z")
        with server.database() as database:
            database.query(f"UPDATE app_user SET role = 'admin' WHERE id = '{user.user['id']}'")
            self.assertGreater(database.count("pg_stat_activity", "application_name = 'data-writer/0'"), 0)
        admin = process.api()
        self.addCleanup(admin.close)
        signed_in = admin.post("/v1/auth/signin", {"username": user.user["username"], "password": support.PASSWORD}, token=None)
        admin.token = signed_in.json()["accessToken"]
        self.assertEqual(admin.run_job("cleanup")["state"], "succeeded")
        with server.database() as database, support.TaskLock(database):
            answer = user.post("/v1/tasks", {"summary": "waits", "taskPriorityCode": "LOW"})
            self.assertEqual(answer.status, 503, "lock_timeout is set")
        self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
