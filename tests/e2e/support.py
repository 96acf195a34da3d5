"""What every end-to-end test stands on: the binary as a process, HTTP by raw sockets, the database by its own wire.

Nothing here sleeps for luck: whoever waits polls a condition, bounded by patience(), which stretches under
the sanitizers (MILLRACE_SANITIZE), and by a Stopwatch, which does not count what other programs on the machine take.
"""

import atexit
import base64
import fcntl
import glob
import hashlib
import hmac
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import uuid

import contract

SANITIZE = os.environ.get("MILLRACE_SANITIZE", "")
SLOWNESS = 6 if "thread" in SANITIZE else 4 if SANITIZE else 1
SECRET = "a secret of the end-to-end tests, long enough"
PASSWORD = "correct horse battery"
SERVER_DATABASE = "postgres/run"  # below the state directory: where the embedded server has its socket


def binary():
    path = os.environ.get("MILLRACE_BIN")
    if not path:
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = os.path.join(root, "build", "dev", "millrace")
    if not os.access(path, os.X_OK):
        raise unittest.SkipTest(f"MILLRACE_BIN: there is no binary at {path}")
    return path


def patience(seconds):
    """The bound of a wait, longer where the binary is slower."""
    return seconds * SLOWNESS


def pressure():
    """Seconds since the machine started in which something was ready to run and waited for a core, or waited for a disk; 0 where the
    kernel does not tell."""
    total = 0
    for resource in ("cpu", "io"):
        try:
            with open(f"/proc/pressure/{resource}") as file:
                total += int(file.readline().rsplit("total=", 1)[1])
        except OSError:
            pass
    return total / 1e6


class Stopwatch:
    """Counts the seconds that a bound is about: those in which the machine was too busy do not count, for they say nothing of the program
    under test. So a bound may be as strict as the promise that it stands for. A fifth of the time always counts: every wait ends."""

    def __init__(self):
        self.begun, self.pressure = time.monotonic(), pressure()

    def passed(self):
        """By the clock."""
        return time.monotonic() - self.begun

    def seconds(self):
        return max(self.passed() - (pressure() - self.pressure), self.passed() / 5)

    def slowness(self):
        """How many times as long as on a machine of its own a program took since: for bounds on times that the program tells itself."""
        return self.passed() / self.seconds()

    def exceeds(self, seconds):
        return self.passed() > seconds and self.seconds() > seconds


def wait_for(condition, seconds, what):
    """Polls until `condition()` is true and returns its value; fails after patience(seconds)."""
    watch = Stopwatch()
    pause = 0.0002
    while True:
        value = condition()
        if value:
            return value
        if watch.exceeds(patience(seconds)):
            raise AssertionError(f"waited {patience(seconds)} s in vain: {what}")
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)


def assert_becomes(test, ask, expected, seconds=10):
    """What `ask()` says is as expected, soon: a line of the log, say, comes behind the change of a row that it tells of."""
    watch = Stopwatch()
    while (told := ask()) != expected and not watch.exceeds(patience(seconds)):
        time.sleep(0.01)
    test.assertEqual(told, expected)


reserved = []  # a socket for each port that free_port() gave, which holds its name until this program ends


def steadily(span, attempt):
    """Runs an attempt to keep within a timer of the server, of so many seconds, and gives it a function to call whenever it has. One that was
    late itself, because the machine was busy, says nothing of the server; then there is another."""
    for _ in range(20):
        times = [time.monotonic()]
        try:
            return attempt(lambda: times.append(time.monotonic()))
        except (AssertionError, NoAnswer, OSError):
            times.append(time.monotonic())
            if max(after - before for before, after in zip(times, times[1:])) < span * 0.9:
                raise
    raise AssertionError("the machine is too busy for any attempt")


def free_port():
    """A port that nobody takes before the server does: it is below the ephemeral ones, so no outgoing connection gets it, and no other
    test program, which may run beside this one, is given it while this one runs."""
    while True:
        port = random.randrange(15000, 32000)
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                name.bind(f"\0millrace-e2e-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                name.close()
                continue
        reserved.append(name)
        return port


def environment(**settings):
    """A clean environment: what a sanitizer or a loader needs, and the given settings. With MILLRACE_TEST_APP, a folder, it is that
    application which is served where a test names no other."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
    env = {name: value for name, value in os.environ.items()
           if name in kept or name.endswith("SAN_OPTIONS")}
    if os.environ.get("MILLRACE_TEST_APP"):
        env["MILLRACE_APP"] = os.environ["MILLRACE_TEST_APP"]
    env.update({name: str(value) for name, value in settings.items() if value is not None})
    return env


def ending_abruptly():
    """Settings of a process that a second signal ends at once: a thread that has ended, which nobody will join, is no leak there."""
    return {"TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"}


class Scratch:
    """A directory of the test's own, which the user of the embedded server may enter."""

    def __init__(self, mode=0o755):
        self.path = tempfile.mkdtemp(prefix="millrace-e2e-")
        os.chmod(self.path, mode)
        atexit.register(self.remove)

    def join(self, *names):
        return os.path.join(self.path, *names)

    def write(self, files):
        """Texts by their paths."""
        for name, text in files.items():
            os.makedirs(os.path.dirname(self.join(name)), exist_ok=True)
            with open(self.join(name), "w", encoding="utf-8") as file:
                file.write(text)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


# ---- Processes ----


def run(*arguments, cwd="/", seconds=30, **settings):
    """Runs a one-shot subcommand; returns its CompletedProcess with text output."""
    return subprocess.run([binary(), *arguments], env=environment(**settings), cwd=cwd, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=patience(seconds))


# Which folder the process of a port serves; None: the application that is built in.
applications = {}


class Process:
    """A running `millrace all` or `millrace api`."""

    program = staticmethod(binary)

    def __init__(self, command, cwd="/", **settings):
        self.port = int(settings.get("APP_PORT") or free_port())
        # Many users come from this one address; a test of the limit sets it, None for the default of the binary.
        settings = {"APP_PORT": self.port, "APP_HOST": "127.0.0.1", "JWT_SECRET": SECRET, "RATE_LIMIT_AUTH_PER_MINUTE": 0,
                    **settings}
        self.settings = settings
        applications[self.port] = settings.get("MILLRACE_APP") or os.environ.get("MILLRACE_TEST_APP")
        self.log = tempfile.TemporaryFile()
        self.whole, self.taken, self.unfinished, self.lock = [], 0, b"", threading.Lock()
        self.child = subprocess.Popen([self.program(), command], env=environment(**settings), cwd=cwd,
                                      stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        atexit.register(self.kill)

    @property
    def lines(self):
        """What the process has written, line by line. It writes to a file, so a line that it wrote before something else that a test sees
        is here: nothing is on its way through a pipe and a thread."""
        with self.lock:
            while data := os.pread(self.log.fileno(), 1 << 20, self.taken):
                self.taken += len(data)
                *lines, self.unfinished = (self.unfinished + data).split(b"\n")
                self.whole += [line.decode(errors="replace") for line in lines]
            return list(self.whole)

    @property
    def pid(self):
        return self.child.pid

    def logs(self, message=None):
        """The log lines, decoded; those with `message` when it is given."""
        found = []
        for line in self.lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and message in (None, entry.get("message")):
                found.append(entry)
        return found

    def said(self, message, count=1):
        """The log lines with `message`, once there are so many: whoever sees what they tell of may be earlier than they are."""
        return wait_for(lambda: len(found := self.logs(message)) >= count and found, 30, f"{count} lines say '{message}'")

    def text(self):
        return "\n".join(self.lines)

    def is_ready(self):
        if self.child.poll() is not None:
            raise AssertionError(f"the process ended with {self.child.returncode}:\n{self.text()}")
        try:
            with Connection(self.port, timeout=2) as connection:
                return connection.get("/readyz").status == 200
        except (OSError, NoAnswer):
            return False

    def ready(self, seconds=40):
        wait_for(self.is_ready, seconds, "the server is ready")
        return self

    def connect(self, **options):
        return Connection(self.port, **options)

    def api(self):
        return Api(self.port)

    def signal(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def wait(self, seconds=40):
        """The exit status; negative for the signal that ended the process."""
        wait_for(lambda: self.child.poll() is not None, seconds, "the process ends")
        return self.child.returncode

    def stop(self, seconds=40):
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self):
        """The most that was resident at any time."""
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


# Of clusters that the tests copy: nothing in them has to survive a power failure.
SEED_SETTINGS = "fsync = off\nfull_page_writes = off\n"


def seed_name():
    """A name for the cluster that changes with what makes it."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "..", "app", "embedded.c"), "rb") as file:
        made_by = file.read() + "".join(sorted(glob.glob("/usr/lib/postgresql/*/bin"))).encode()
    return "seed-" + hashlib.sha256(made_by + SEED_SETTINGS.encode()).hexdigest()[:16]


def make_seed(path):
    """A cluster as the binary makes it, for a database that no test uses."""
    with tempfile.TemporaryDirectory(prefix="millrace-seed-") as scratch:
        os.chmod(scratch, 0o755)
        state_dir = os.path.join(scratch, "state")
        process = Process("all", MILLRACE_STATE_DIR=state_dir, DB_DATABASE="seed", HOUSEKEEPING="false").ready(60)
        assert process.stop() == 0, process.text()
        with open(os.path.join(state_dir, "postgres", "data", "postgresql.conf"), "a") as file:
            file.write(SEED_SETTINGS)
        shutil.rmtree(os.path.join(state_dir, "postgres", "run"), ignore_errors=True)
        subprocess.run(["cp", "-a", os.path.join(state_dir, "postgres"), path + ".new"], check=True)
        os.rename(path + ".new", path)


def plant_seed(state_dir):
    """Puts a cluster where `millrace all` will look for it, so that not every server of a test runs initdb. The lock is for programs
    that run side by side."""
    cache = os.environ.get("MILLRACE_TEST_CACHE")
    if not cache:
        return
    os.makedirs(cache, exist_ok=True)
    path = os.path.join(cache, seed_name())
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            subprocess.run(["rm", "-rf", path + ".new"], check=True)
            make_seed(path)
    os.mkdir(state_dir, 0o755)
    subprocess.run(["cp", "-a", path, os.path.join(state_dir, "postgres")], check=True)


class Everything(Process):
    """`millrace all` in a state directory of its own, which other processes may use as their database too. One whose `state_dir` is
    said begins with what is there, or with nothing."""

    def __init__(self, state_dir=None, **settings):
        self.scratch = None if state_dir else Scratch()
        self.state_dir = state_dir or self.scratch.join("state")
        if not state_dir:
            plant_seed(self.state_dir)
        super().__init__("all", MILLRACE_STATE_DIR=self.state_dir, **{"HOUSEKEEPING": "false", **settings})

    def database(self, name="millrace"):
        return JobDatabase(os.path.join(self.state_dir, SERVER_DATABASE), name)

    def postmaster(self):
        """The process id of the embedded server, 0 while there is none."""
        try:
            with open(os.path.join(self.state_dir, "postgres", "data", "postmaster.pid")) as file:
                return int(file.readline())
        except (OSError, ValueError):
            return 0

    def api_process(self, database="millrace", **settings):
        """`millrace api` on this process's database server."""
        return Process("api", DB_HOST=os.path.join(self.state_dir, SERVER_DATABASE), DB_USER="postgres",
                       DB_DATABASE=database, **settings)

    def admin(self, database="millrace"):
        """An administrator, registered and signed in over HTTP."""
        return self.api().register(grant=lambda user: self.make_admin(user, database))

    def make_admin(self, user, database="millrace"):
        with self.database(database) as connection:
            connection.query(f"UPDATE millrace.app_user SET role = 'admin' WHERE id = '{user['id']}'")

    def new_database(self, locale=None):
        """An empty one; with a `locale` of its own, as "C", under which lower() knows A to Z only."""
        name = "db_" + uuid.uuid4().hex[:12]
        with self.database("postgres") as database:
            database.query(f'CREATE DATABASE "{name}"' + (f" TEMPLATE template0 LOCALE '{locale}'" if locale else ""))
        return name

    def job_database(self):
        """The name of a new database, migrated, which no scheduler looks after yet."""
        name = self.new_database()
        done = run("migrate", DB_HOST=os.path.join(self.state_dir, SERVER_DATABASE), DB_USER="postgres", DB_DATABASE=name)
        assert done.returncode == 0, done.stderr
        return name

    def close(self):
        try:
            return self.stop()
        finally:
            self.kill()
            if self.scratch:
                self.scratch.remove()


class Scheduler(Process):
    """`millrace scheduler` on a database of another process's server, with a name of its own for `millrace health`.

    The scheduler of `millrace all` looks after the database `millrace`: a test that wants to be the only one uses a
    new_database().
    """

    def __init__(self, server, database, **settings):
        self.name = "millrace-e2e-" + uuid.uuid4().hex
        # A run that comes at half past three in the night would be in the way of what a test counts.
        super().__init__("scheduler", APP_PORT=None, JWT_SECRET=None, HEALTH_SOCKET=self.name, DB_DATABASE=database, DB_USER="postgres",
                         DB_HOST=os.path.join(server.state_dir, SERVER_DATABASE), **{"HOUSEKEEPING": "false", **settings})

    def pulse(self):
        """What it answers to `millrace health`, decoded; None when nobody answers."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(patience(15))
            try:
                client.connect("\0" + self.name)
                return json.loads(client.recv(4096) or "null")
            except OSError:
                return None

    def is_ready(self):
        if self.child.poll() is not None:
            raise AssertionError(f"the process ended with {self.child.returncode}:\n{self.text()}")
        return (self.pulse() or {}).get("status") == "ok"

    def outcomes(self, run_id=None):
        """What its log says of runs: [(outcome, attempt)]."""
        return [(line["outcome"], line["attempt"]) for line in self.logs("job run") if run_id in (None, line["runId"])]


def process_tree(top):
    """A process and its children."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(top)], text=True, capture_output=True).stdout.split()
    return [top, *map(int, children)]


def postgres_pids(server):
    """The embedded server of an Everything, and its children."""
    return process_tree(server.postmaster())


def try_signal(pid, number):
    """False when the process has ended: a back end may do so between the moment it was listed and this."""
    assert pid > 0, "that would be a group of processes, our own among them"
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


class Frozen:
    """Processes that stand still until the end of the block, or thaw(); those that have ended already are left out."""

    def __init__(self, pids):
        self.pids = []
        try:
            for pid in pids:
                if try_signal(pid, signal.SIGSTOP):
                    self.pids.append(pid)
        except BaseException:
            self.thaw()
            raise

    @classmethod
    def tree(cls, top):
        """A process and its children; it stops first, so that it has no more of them afterwards."""
        self = cls([top])
        for pid in process_tree(top)[1:]:
            if try_signal(pid, signal.SIGSTOP):
                self.pids.append(pid)
        return self

    @classmethod
    def server(cls, server):
        """The embedded server of an Everything hangs."""
        return cls.tree(server.postmaster())

    def thaw(self):
        while self.pids:
            try_signal(self.pids.pop(), signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thaw()


class ModuleServer:
    """One `millrace all` for a whole test module, where `start` is or is called by setUpModule, and `stop` by tearDownModule."""

    def __init__(self, **settings):
        self.settings = settings
        self.server = None

    def start(self, **settings):
        self.server = Everything(**self.settings, **settings).ready()
        return self.server

    def stop(self):
        status = self.server.close()
        assert status == 0, f"exit status {status}\n{self.server.text()[-4000:]}"


# ---- HTTP ----


class NoAnswer(Exception):
    """The connection ended, or nothing came in time; `.how` is closed, reset or timeout, `.got` what had come."""

    def __init__(self, how, got):
        super().__init__(f"{how} after {got!r}")
        self.how = how
        self.got = got


class Response:
    def __init__(self, status, reason, headers, body, version):
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.version = version

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:500]!r}>"

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def closes(self):
        return (self.header("Connection") or "").lower() == "close"

    def json(self):
        return json.loads(self.body.decode("utf-8"))


def make_request(method, path, headers=(), body=None, host="localhost"):
    """The bytes of a request; `body` may be bytes, or anything else that becomes JSON."""
    lines = [f"{method} {path} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        if not any(name.lower() == "content-type" for name, _ in headers):
            lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


class Connection:
    """A client that sends what it is told, to the byte, and reads answers one by one."""

    def __init__(self, port, timeout=None, receive_buffer=None, segment=None):
        self.timeout = patience(timeout or 15)
        self.socket = socket.socket()
        if segment:  # as far away as clients are: the kernel holds less for them than for those on this machine
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(self.timeout)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.port = port
        self.buffer = b""
        self.asked = []  # (method, path) of requests without an answer; None: that cannot be told any more

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def abort(self):
        """Ends with a reset instead of an end of stream."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self._note(data)
        self.socket.sendall(data)

    def _note(self, data):
        """Remembers what was asked, where that can be told: a request that begins here, and is alone in the data."""
        begins = re.findall(rb"([A-Z]+) (/[^ ?]*)[^ ]* HTTP/1\.[01]\r\n", data)
        if self.asked is None or (self.asked and not begins):
            return  # nobody knows, or the request goes on
        if len(begins) == 1 and re.match(rb"[A-Z]+ /", data):
            self.asked.append(tuple(part.decode("latin-1") for part in begins[0]))
        else:
            self.asked = None

    def _check(self, response):
        """No test meets an answer that the API does not document."""
        if response.status >= 200 and self.asked:
            document = contract.of(binary(), applications.get(self.port))
            if document:
                document.check(*self.asked.pop(0), response)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def was_read(self):
        """Whether the server has taken everything sent so far out of its receive queue."""
        pair = f"0100007F:{self.port:04X} 0100007F:{self.socket.getsockname()[1]:04X} "
        with open("/proc/net/tcp") as file:
            _, found, rest = file.read().partition(pair)
        return bool(found) and int(rest.split()[1].split(":")[1], 16) == 0

    def send_and_wait(self, data):
        """Sends bytes that the server gets by themselves, apart from those before and after."""
        self.send(data)
        if not any(self.was_read() for _ in range(10)):  # nearly always within the time of a look or two, and never of a pause
            wait_for(self.was_read, 5, "the server reads what was sent")

    def _more(self, until=None):
        left = self.timeout if until is None else max(0.001, until - time.monotonic())
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            raise NoAnswer("timeout", self.buffer) from None
        except ConnectionResetError:
            raise NoAnswer("reset", self.buffer) from None
        finally:
            self.socket.settimeout(self.timeout)
        if not data:
            raise NoAnswer("closed", self.buffer)
        self.buffer += data

    def response(self, head=False):
        """Reads exactly one response; NoAnswer when there is none."""
        until = time.monotonic() + self.timeout
        while b"\r\n\r\n" not in self.buffer:
            self._more(until)
        top, rest = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = top.decode("latin-1").split("\r\n")
        version, status, reason = first.split(" ", 2)
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        response = Response(int(status), reason, headers, b"", version)
        length = response.header("Content-Length")
        if length is None and response.status >= 200 and response.status not in (204, 304):
            raise AssertionError(f"no Content-Length: {response}")
        wanted = 0 if head or response.status < 200 or response.status in (204, 304) else int(length)
        self.buffer = rest
        while len(self.buffer) < wanted:
            self._more(until)
        response.body, self.buffer = self.buffer[:wanted], self.buffer[wanted:]
        self._check(response)
        return response

    def request(self, method, path, headers=(), body=None, **options):
        self.send(make_request(method, path, headers, body, **options))
        return self.response(head=method == "HEAD")

    def get(self, path, headers=()):
        return self.request("GET", path, headers)

    def ended(self, seconds=5):
        """How the server ends the connection: closed or reset; `data` or `open` when it does not."""
        if self.buffer:
            return "data"
        try:
            self._more(time.monotonic() + patience(seconds))
        except NoAnswer as answer:
            return "open" if answer.how == "timeout" else answer.how
        return "data"

    def is_open(self):
        """Whether the connection still answers."""
        return self.get("/livez").status == 200


class Api:
    """JSON over one kept-alive connection, which is made again when the server has closed it."""

    def __init__(self, port):
        self.port = port
        self.connection = None
        self.token = None
        self.user = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def request(self, method, path, body=None, headers=(), token=True):
        headers = list(headers)
        token = self.token if token is True else token
        if token:
            headers.append(("Authorization", f"Bearer {token}"))
        if self.connection is None:
            self.connection = Connection(self.port)
        response = self.connection.request(method, path, headers, body)
        if response.closes:
            self.close()
        return response

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, **options):
        return self.request("POST", path, body, **options)

    def register(self, grant=None, **changes):
        """A new user, registered and signed in over HTTP; `grant` may give them a role in between."""
        fields = {**new_user(), **changes}
        response = self.post("/v1/auth/register", fields, token=None)
        assert response.status == 200, response
        self.user = response.json()
        if grant:
            grant(self.user)
        response = self.post("/v1/auth/signin", {"username": fields["username"], "password": fields["password"]},
                             token=None)
        assert response.status == 200, response
        self.token = response.json()["accessToken"]
        return self

    def run(self, location):
        """A job run as it is now."""
        response = self.get(location)
        assert response.status == 200, response
        return response.json()

    def run_job(self, job, seconds=20):
        """Starts a run of a job and waits for its end."""
        response = self.post(f"/v1/jobs/{job}/runs", None)
        assert response.status == 202, response
        return self.ended_run(response.header("Location"), seconds)

    def ended_run(self, location, seconds=20):
        ends = ("succeeded", "dead", "cancelled")
        return wait_for(lambda: (lambda run: run if run["state"] in ends else None)(self.run(location)), seconds, location)

    def create_task(self, **fields):
        body = {"summary": "a task", "taskPriorityCode": "MEDIUM", **fields}
        response = self.post("/v1/tasks", body)
        assert response.status == 201, response
        return response.json()


def new_user():
    name = "u" + uuid.uuid4().hex[:20]
    return {"firstName": "Ada", "lastName": "Lovelace", "email": f"{name}@example.org", "username": name,
            "password": PASSWORD}


# ---- Tokens ----


def _part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims, secret=SECRET, header=None, digest=hashlib.sha256):
    """A JSON Web Token, good or bad as the arguments say."""
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    text = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
    if digest is None:
        return text + "."
    return f"{text}.{_part(hmac.new(secret.encode(), text.encode(), digest).digest())}"


def claims_for(user_id, **changes):
    now = int(time.time())
    claims = {"sub": str(user_id), "id": str(user_id), "username": "somebody", "role": "user", "iss": "millrace",
              "iat": now, "exp": now + 3600}
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not None}


# ---- The database ----


DEADLOCK = "40P01"


class DatabaseError(Exception):
    def __init__(self, fields):
        super().__init__(fields.get("M", "?"))
        self.sqlstate = fields.get("C")


class Database:
    """A session of the test's own: the simple query protocol over the server's Unix socket."""

    def __init__(self, directory, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience(30))
        # By way of a descriptor, so that a long path fits the address.
        handle = os.open(directory, os.O_PATH)
        try:
            self.socket.connect(f"/proc/self/fd/{handle}/.s.PGSQL.5432")
        finally:
            os.close(handle)
        start = b"\0\3\0\0user\0postgres\0database\0" + name.encode() + b"\0\0"
        self.socket.sendall(struct.pack("!I", len(start) + 4) + start)
        self.pid = None
        self.in_transaction = False
        self._until_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the database closed the connection")
            data += piece
        return data

    def _until_ready(self):
        rows, error = [], None
        while True:
            kind, length = struct.unpack("!cI", self._exactly(5))
            data = self._exactly(length - 4)
            if kind == b"Z":
                self.in_transaction = data != b"I"
                break
            if kind == b"K":
                self.pid = struct.unpack("!I", data[:4])[0]
            elif kind == b"D":
                rows.append(self._row(data))
            elif kind == b"E":
                error = {part[:1].decode(): part[1:].decode() for part in data.split(b"\0") if part}
                if error.get("S") == "FATAL":
                    raise DatabaseError(error)
        if error:
            raise DatabaseError(error)
        return rows

    @staticmethod
    def _row(data):
        count, at, row = struct.unpack("!H", data[:2])[0], 2, []
        for _ in range(count):
            length = struct.unpack("!i", data[at:at + 4])[0]
            at += 4
            row.append(None if length < 0 else data[at:at + length].decode())
            at += max(0, length)
        return row

    def query(self, sql):
        """Rows of text values; None for NULL. A deadlock with a server under test undid all of it, so it is asked again."""
        for _ in range(10):
            try:
                return self._ask(sql)
            except DatabaseError as error:
                if error.sqlstate != DEADLOCK or self.in_transaction:
                    raise
        return self._ask(sql)

    def _ask(self, sql):
        data = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(data) + 4) + data)
        return self._until_ready()

    def value(self, sql):
        return self.query(sql)[0][0]

    def count(self, table, where="true"):
        return int(self.value(f"SELECT count(*) FROM {table} WHERE {where}"))


class JobDatabase(Database):
    """A session that knows what jobs and users look like."""

    def add_user(self, role="user"):
        """A user without the cost of hashing; returns id and token."""
        user = str(uuid.uuid4())
        self.query("INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash, role) VALUES "
                   f"('{user}', '{user}', 'a@b.co', 'a', 'b', 'x', '{role}')")
        return user, sign(claims_for(user, role=role))

    def add_tasks(self, user, count, days_old=0, complete=False):
        self.query(f"""INSERT INTO task (id, user_id, summary, priority_code, is_complete, created_at, updated_at)
            SELECT gen_random_uuid(), '{user}', 'task ' || i, 'LOW', {complete}, at, at
              FROM generate_series(1, {count}) i, (SELECT now() - interval '{days_old} days' AS at) t""")

    def add_run(self, job, trigger="manual", args="{}"):
        """Queues a run, as an administrator's request does; returns its id."""
        return self.value("INSERT INTO millrace.job_run (id, job, trigger, exclusive, args) "
                          f"SELECT gen_random_uuid(), name, '{trigger}', exclusive, '{args}' FROM millrace.job WHERE name = '{job}' RETURNING id")

    def slow_down(self, seconds=0.1, statement="DELETE"):
        """Each chunk of a clean-up (of an import: INSERT) takes that long, and its pause too, until hurry(): so that the middle of a run can
        be met, however fast the machine is, and however late the test."""
        self.query(f"""CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END';
            CREATE OR REPLACE TRIGGER dawdle BEFORE {statement} ON task FOR EACH STATEMENT EXECUTE FUNCTION dawdle()""")

    def hurry(self):
        self.query("CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")

    def run(self, run_id):
        """The row of a run as a dictionary."""
        return json.loads(self.value(f"SELECT to_json(r) FROM millrace.job_run r WHERE id = '{run_id}'"))

    def wait_for_run(self, run_id, seconds=30, state="succeeded", done=0):
        """Until the run is in that state, and so much of it is done; returns its row."""
        sql = f"SELECT 1 FROM millrace.job_run WHERE id = '{run_id}' AND state = '{state}' AND done >= {done}"
        try:
            wait_for(lambda: self.query(sql), seconds, "")
        except AssertionError:
            raise AssertionError(f"waited for {state}, {done} done: {self.run(run_id)}") from None
        return self.run(run_id)


class TaskLock:
    """While it is held, no statement that touches the table of tasks gets anywhere."""

    def __init__(self, database):
        self.database = database

    def __enter__(self):
        self.database.query("BEGIN; LOCK TABLE task IN ACCESS EXCLUSIVE MODE")
        return self

    def __exit__(self, *_):
        self.release()

    def release(self):
        self.database.query("ROLLBACK")

    def wait_for_waiters(self, count=1):
        """Until so many statements wait for the lock."""
        sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'task'::regclass"
        wait_for(lambda: int(self.database.value(sql)) >= count, 10, "a statement waits for the lock")


class SchedulersTest(unittest.TestCase):
    """Schedulers alone, on a database of the test's own. Subclasses say which ModuleServer has it."""

    module = None

    def setUp(self):
        self.name = self.module.server.job_database()
        self.database = self.module.server.database(self.name)
        self.addCleanup(self.database.close)

    def scheduler(self, ready=True, **settings):
        process = Scheduler(self.module.server, self.name, **settings)
        self.addCleanup(process.kill)
        return process.ready() if ready else process


class TiersTest(unittest.TestCase):
    """An API and, where a test starts one, a scheduler, apart from each other, on a database of the class's own. Subclasses
    say which ModuleServer has it."""

    module = None

    @classmethod
    def setUpClass(cls):
        server = cls.module.server
        cls.name = server.job_database()
        cls.database = server.database(cls.name)
        cls.addClassCleanup(cls.database.close)
        cls.api = server.api_process(cls.name)
        cls.addClassCleanup(cls.api.kill)
        cls.api.ready()

    @classmethod
    def start_class_scheduler(cls):
        """For all tests of the class."""
        process = Scheduler(cls.module.server, cls.name)
        cls.addClassCleanup(process.kill)
        process.ready()

    def scheduler(self, **settings):
        process = Scheduler(self.module.server, self.name, **settings)
        self.addCleanup(process.kill)
        return process.ready()

    def new_client(self, role="user"):
        """Of a new user, whose `id` it has."""
        client = self.api.api()
        client.id, client.token = self.database.add_user(role)
        self.addCleanup(client.close)
        return client
