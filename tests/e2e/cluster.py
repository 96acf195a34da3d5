"""PostgreSQL servers of the tests' own, as others would operate them: reached by TCP, replicated, promoted, cut off.

A Server is a cluster; Server.replica() a streaming replica of it. A Proxy stands in front of one and can be led to
another, delay, stall, cut and fall silent. All of it is on the loopback and ends with the test program.
"""

import atexit
import ctypes
import glob
import os
import pwd
import queue
import signal
import socket
import struct
import subprocess
import threading
import time

import support
from support import Scratch, free_port, patience, wait_for

SETTINGS = """
fsync = off
full_page_writes = off
autovacuum = off
shared_buffers = 32MB
max_connections = 60
hot_standby = on
wal_level = replica
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 200ms
logging_collector = off
"""


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return found[-1] if found else ""


def server_user():
    """Whom PostgreSQL runs as; it refuses to run as root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return user.pw_uid, user.pw_gid


def become_server_user():
    uid, gid = server_user()
    os.setsid()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: it does not outlive the tests


class TcpDatabase(support.JobDatabase):
    """A session by TCP."""

    def __init__(self, port, name, user="postgres", host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=patience(40))
        start = b"\0\3\0\0user\0" + user.encode() + b"\0database\0" + name.encode() + b"\0\0"
        self.socket.sendall(struct.pack("!I", len(start) + 4) + start)
        self.pid = None
        try:
            self._until_ready()
        except (OSError, support.DatabaseError):
            self.close()
            raise


class Server:
    """A cluster with a port. `settings` is more for its postgresql.conf; `port` and `host` may be said. It is new, a replica of
    `source`, or a copy of `template`, which has stopped."""

    made = None  # what migrated() copies

    def __init__(self, settings="", source=None, host="127.0.0.1", port=None, template=None):
        self.scratch = Scratch()
        os.chown(self.scratch.path, *server_user())
        self.data = self.scratch.join("data")
        self.host = host
        self.port = port or free_port()
        self.child = None
        if template is not None:
            subprocess.run(["cp", "-a", template.data, self.data], check=True, timeout=patience(60))
        elif source is None:
            self._run("initdb", "-D", self.data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
                      "--no-sync")
        else:
            self._run("pg_basebackup", "-D", self.data, "-h", source.host, "-p", str(source.port), "-U", "postgres", "-R", "-X",
                      "stream", "--checkpoint=fast", "--no-sync")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            file.write(SETTINGS + f"listen_addresses = '{host}'\nport = {self.port}\nunix_socket_directories = ''\n" + settings)
        if host != "127.0.0.1":
            with open(os.path.join(self.data, "pg_hba.conf"), "a") as file:
                file.write("host all all 127.0.0.0/8 trust\n")
        atexit.register(self.kill)

    @classmethod
    def migrated(cls, settings=""):
        """A new one, started, with a migrated database `millrace`. A program makes the first and copies it for the others."""
        if cls.made is None:
            first = cls().start().create()
            first.stop()
            cls.made = first
        return cls(settings, template=cls.made).start()

    def _run(self, program, *arguments):
        done = subprocess.run([os.path.join(programs(), program), *arguments], text=True, capture_output=True, cwd="/",
                              preexec_fn=become_server_user, timeout=patience(60))
        assert done.returncode == 0, done.stderr

    def start(self):
        log = open(self.scratch.join("log"), "ab")
        self.child = subprocess.Popen([os.path.join(programs(), "postgres"), "-D", self.data], cwd="/", stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log, preexec_fn=become_server_user)
        log.close()
        wait_for(self.answers, 30, "the server answers")
        return self

    def answers(self):
        assert self.child.poll() is None, open(self.scratch.join("log")).read()[-2000:]
        try:
            with self.database("postgres"):
                return True
        except (OSError, support.DatabaseError):
            return False

    def database(self, name="millrace", **options):
        return TcpDatabase(self.port, name, host=self.host, **options)

    def query(self, sql, name="millrace"):
        with self.database(name) as database:
            return database.query(sql)

    def create(self, name="millrace"):
        """A migrated database."""
        self.query(f'CREATE DATABASE "{name}"', "postgres")
        done = support.run("migrate", **self.settings(name))
        assert done.returncode == 0, done.stderr
        return self

    def settings(self, name="millrace", port=None):
        """The settings that lead to it."""
        return {"DB_HOST": self.host, "DB_PORT": port or self.port, "DB_USER": "postgres", "DB_DATABASE": name}

    def replica(self, settings="", **options):
        """Not started yet. With host="127.0.0.2" it can have the port of its source, as DB_HOST_READ_ONLY needs."""
        return Server(settings, source=self, **options)

    def promote(self):
        self.query("SELECT pg_promote(true, 30)", "postgres")

    def is_caught_up(self, source, name="postgres"):
        position = source.query("SELECT pg_current_wal_lsn()", name)[0][0]
        return self.query(f"SELECT pg_last_wal_replay_lsn() >= '{position}'", name)[0][0] == "t"

    def catch_up(self, source):
        wait_for(lambda: self.is_caught_up(source), 20, "the replica has everything")

    def want_password(self, user, password):
        """A user who owns the database `millrace` and has to show a password from now on."""
        self.query(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'", "postgres")
        self.query(f"GRANT ALL ON DATABASE millrace TO {user}", "postgres")
        self.query(f"GRANT ALL ON SCHEMA public TO {user}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {user};"
                   f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}")
        self.query(f"DO $$ BEGIN IF to_regnamespace('millrace') IS NOT NULL THEN GRANT ALL ON SCHEMA millrace TO {user};"
                   f"GRANT ALL ON ALL TABLES IN SCHEMA millrace TO {user}; GRANT ALL ON ALL SEQUENCES IN SCHEMA millrace TO {user}; END IF; END $$")
        self.write("pg_hba.conf", f"host all {user} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
                   "host replication all 127.0.0.1/32 trust\n")
        self.reload()

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.data, name)
        with open(path, "w") as file:
            file.write(text)
        os.chown(path, *server_user())
        os.chmod(path, mode)

    def reload(self):
        before = self.query("SELECT pg_conf_load_time()", "postgres")
        self.child.send_signal(signal.SIGHUP)
        wait_for(lambda: self.query("SELECT pg_conf_load_time()", "postgres") != before, 10, "the settings are read again")

    def end_connections(self):
        """All but ours, at once."""
        self.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL",
                   "postgres")

    def make_read_only(self):
        """What a demoted writer looks like: its sockets stay, and it refuses every write."""
        self.query("ALTER SYSTEM SET default_transaction_read_only = on", "postgres")
        self.query("SELECT pg_reload_conf()", "postgres")

    def stop(self, number=signal.SIGINT):
        """SIGINT: a fast shutdown; SIGKILL: a crash, and its back ends go with it."""
        if self.child is None or self.child.poll() is not None:
            return
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.child.pid)], text=True, capture_output=True).stdout.split()
        self.child.send_signal(number)
        if number == signal.SIGKILL:
            for child in children:
                try:
                    os.kill(int(child), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.child.wait(patience(20))

    def kill(self):
        self.stop(signal.SIGKILL)

    def close(self):
        self.kill()
        self.scratch.remove()


class Link:
    """Two sockets that the proxy joins."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.first = b""  # what the client said first

    def close(self):
        for end in (self.client, self.server):
            try:
                end.close()
            except OSError:
                pass


class Proxy:
    """Takes connections on a port of its own and passes them on to `target`, another port."""

    def __init__(self, target):
        self.target = target
        self.delay = 0.0  # seconds that bytes are held back, each way
        self.stalled = False  # bytes are kept until it ends
        self.refusing = False  # new connections are closed at once
        self.change = None  # what becomes of the server's bytes
        self.links = []
        self.silenced = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(client, server)
        with self.lock:
            self.links.append(link)
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(link, source, sink), daemon=True).start()

    def _pump(self, link, source, sink):
        """One direction. What comes in is queued with the time at which it is due, so that a delay costs no throughput."""
        line = queue.SimpleQueue()
        threading.Thread(target=self._deliver, args=(link, source, sink, line), daemon=True).start()
        data = b" "
        while data:
            try:
                data = source.recv(1 << 16)
            except (OSError, ValueError):
                data = b""
            if source is link.client and not link.first:
                link.first = data
            line.put((time.monotonic() + self.delay, data))

    def _deliver(self, link, source, sink, line):
        try:
            while True:
                due, data = line.get()
                while self.stalled and not self.closed:
                    time.sleep(0.01)
                if due > time.monotonic():
                    time.sleep(max(0, due - time.monotonic()))
                if not data:
                    break
                sink.sendall(self.change(data) if self.change and source is link.server else data)
        except (OSError, ValueError):
            pass
        with self.lock:
            if link in self.links:
                self.links.remove(link)
                link.close()

    def cut(self):
        """Ends every connection."""
        with self.lock:
            links, self.links = self.links, []
        for link in links:
            for end in (link.client, link.server):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            link.close()

    def fall_silent(self):
        """The network of every connection so far is gone without a word: neither end gets an answer to a packet any more."""
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0, drop everything
        program = struct.pack("HL", 1, ctypes.addressof(nothing))
        with self.lock:
            for link in self.links:
                for end in (link.client, link.server):
                    end.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER
            self.silenced += self.links  # kept, so that nothing is ever sent for them
            self.links = []

    def close(self):
        self.closed = True
        self.listener.close()
        self.cut()
