"""What the benchmarks share: servers that they start, clients that load them, and what those print."""

import contextlib
import glob
import json
import os
import platform
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import datetime, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RESULTS = os.path.join(HERE, "results")
PEERS = os.path.join(HERE, "peers")
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from support import Database, wait_for  # noqa: E402

SECRET = "a secret of the benchmarks, long enough"
POLL_SECONDS = 0.25
UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}

# An id such as the API gives to a run: UUIDs of version 7 rise with time, here by a millisecond for every row `n`.
UUIDV7 = """(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + n), 12, '0') || '7'
              || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid"""


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise SystemExit(f"no figure in:\n{text}")
    return float(found.group(1))


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


# ---- What is started ----


class Server:
    """A PostgreSQL with its default settings, which commits durably, run by somebody who is not root."""

    def __init__(self, directory):
        programs = [shutil.which("initdb"), *sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))]
        self.programs = os.path.dirname(programs[-1] or "")
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        self.home = os.path.join(directory, "server")
        self.data = os.path.join(self.home, "data")
        os.mkdir(self.home)
        if user:
            os.chown(self.home, user.pw_uid, user.pw_gid)
        self.run("initdb", "--pgdata", self.data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        with open(os.path.join(directory, "server.log"), "w") as log:
            self.child = subprocess.Popen([self.path("postgres"), "-D", self.data, "-k", self.home, "-c", "listen_addresses="],
                                          cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.who)
        wait_for(self.is_up, 30, "the server is up")

    def path(self, program):
        return os.path.join(self.programs, program)

    def run(self, program, *arguments, check=True):
        return subprocess.run([self.path(program), *arguments], cwd=self.home, env={"TZ": "UTC"}, text=True, capture_output=True,
                              check=check, **self.who).stdout

    def is_up(self):
        if self.child.poll() is not None:
            raise SystemExit("PostgreSQL does not start")
        try:
            self.query("SELECT 1")
            return True
        except Exception:
            return False

    def query(self, sql, database="postgres"):
        with Database(self.home, database) as session:
            return session.query(sql)

    def settle(self, database):
        """Statistics are there and no checkpoint is due, so that one measurement is like the next."""
        self.query("VACUUM ANALYZE", database)
        self.query("CHECKPOINT")

    def settings(self, database):
        return {"DB_HOST": self.home, "DB_USER": "postgres", "DB_DATABASE": database}

    def stop(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(60)

    def last_commit(self, begin, end, files):
        """When the last transaction was committed that changed a row of these files (database, file number)."""
        changes, last, commits = {f"/{database}/{file} " for database, file in files}, None, {}
        for line in self.run("pg_waldump", "--path", os.path.join(self.data, "pg_wal"), "--start", begin, "--end", end,
                             "--rmgr=Heap", "--rmgr=Transaction").splitlines():
            record = re.search(r"tx:\s+(\d+), .* desc: (COMMIT|DELETE|UPDATE|HOT_UPDATE) (\S+ \S+)", line)
            if record and record.group(2) == "COMMIT":
                commits[record.group(1)] = datetime.strptime(record.group(3), "%Y-%m-%d %H:%M:%S.%f")
            elif record and any(change in line for change in changes):
                last = record.group(1)
        return commits[last].replace(tzinfo=timezone.utc).timestamp()


@contextlib.contextmanager
def own_server():
    """A Server and a directory to write to; both are gone afterwards, also when the process is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = tempfile.mkdtemp(prefix="millrace-bench-")
    os.chmod(directory, 0o755)
    server = None
    try:
        server = Server(directory)
        yield server, directory
    finally:
        if server:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def end(*children):
    for child in children:
        child.terminate()
    for child in children:
        child.wait(60)


def wait_ready(url, child, seconds=60):
    """The seconds until it answers; any status but 503 will do."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return time.monotonic() - begun
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return time.monotonic() - begun
        except OSError:
            pass
        if child.poll() is not None:
            raise SystemExit(f"{child.args[0]} ended")
        time.sleep(0.001)
    raise SystemExit(f"{child.args[0]} is not ready")


def start(binary, command, port, **settings):
    """The process, and the seconds until it was ready."""
    env = {"PATH": os.environ["PATH"], "APP_PORT": str(port), "LOGGING_LEVEL": "error", "JWT_EXPIRES_IN": "1d", "JWT_SECRET": SECRET,
           "RATE_LIMIT_AUTH_PER_MINUTE": "0", **settings}
    child = subprocess.Popen([binary, command], env=env, stdin=subprocess.DEVNULL)
    return child, wait_ready(f"http://127.0.0.1:{port}/readyz", child)


class Nginx:
    """nginx with the server blocks of `servers`; whoever made it stops it."""

    def __init__(self, directory, port, servers, workers=1):
        path = write(directory, f"nginx-{port}.conf", f"""daemon off; worker_processes {workers}; pid {directory}/nginx-{port}.pid;
error_log {directory}/nginx.log; worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{ access_log off; keepalive_requests 100000000; default_type application/json;
    {servers} }}
""")
        self.base = f"http://127.0.0.1:{port}"
        self.child = subprocess.Popen(["nginx", "-c", path, "-e", os.path.join(directory, "nginx.log")])
        wait_ready(self.base, self.child)

    @classmethod
    def saying(cls, directory, port, body):
        """One worker that answers `return 200` with that body."""
        return cls(directory, port, f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{body}'; }} }}")

    @classmethod
    def balancing(cls, directory, port, ports):
        """In front of servers on those ports, with connections to them that stay."""
        backends = " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in ports)
        return cls(directory, port, f"""upstream api {{ {backends} keepalive 256; keepalive_requests 100000000; }}
    server {{ listen 127.0.0.1:{port};
        location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}""")

    def stop(self):
        end(self.child)


class Limited:
    """A control group that holds a process to a share of a core and to so much memory. SystemExit says why there can be none."""

    def __init__(self, name, cpu, memory_mib):
        quota, period, memory = round(cpu * 100000), 100000, memory_mib << 20
        root = "/sys/fs/cgroup"
        if os.path.exists(f"{root}/cgroup.controllers"):
            self.folders = [f"{root}/{name}"]
            values = {f"{root}/{name}/cpu.max": f"{quota} {period}", f"{root}/{name}/memory.max": memory}
        else:
            self.folders = [f"{root}/cpu/{name}", f"{root}/memory/{name}"]
            values = {f"{root}/cpu/{name}/cpu.cfs_period_us": period, f"{root}/cpu/{name}/cpu.cfs_quota_us": quota,
                      f"{root}/memory/{name}/memory.limit_in_bytes": memory}
        try:
            for folder in self.folders:
                os.makedirs(folder, exist_ok=True)
            for path, value in values.items():
                with open(path, "w") as file:
                    file.write(str(value))
        except OSError as error:
            self.remove()
            raise SystemExit(f"no control group can be made: {error.strerror}")

    def take(self, pid):
        for folder in self.folders:
            with open(f"{folder}/cgroup.procs", "w") as file:
                file.write(str(pid))

    def remove(self):
        """After the process has ended."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return number(r"VmRSS:\s+(\d+) kB", file.read()) / 1024


def cpu_seconds(pid):
    """Of user and kernel, all threads."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_cores():
    """By process: its name and the seconds of a core it has taken; and the seconds that all cores were idle."""
    tick, found = os.sysconf("SC_CLK_TCK"), {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path) as file:
            pid, name, rest = re.match(r"(\d+) \((.*)\) (.*)", file.read(), re.S).groups()
            fields = rest.split()
            found[pid] = (name, (int(fields[11]) + int(fields[12])) / tick)
    with open("/proc/stat") as file:
        fields = file.readline().split()
    return found, (int(fields[4]) + int(fields[5])) / tick


def shares(before, after, seconds, count):
    """What each program took of that many cores between two looks, the most first; one that has ended meanwhile is among the others."""
    (then, idle_then), (now, idle_now) = before, after
    taken = {}
    for pid, (name, used) in now.items():
        taken[name] = taken.get(name, 0) + used - then.get(pid, (name, 0))[1]
    idle = (idle_now - idle_then) / seconds
    programs = {name: used / seconds for name, used in sorted(taken.items(), key=lambda pair: -pair[1]) if used / seconds >= 0.05}
    others = max(0.0, count - idle - sum(programs.values()))
    told = ", ".join(f"{name} {used:.2f}" for name, used in {**programs, "others": others, "idle": idle}.items())
    return f"of {count} cores {told}", idle


class Cores:
    """Who uses the machine's cores while something runs for `seconds`: looked at well within them. Then `told`, and `idle` cores."""

    def __init__(self, seconds):
        self.looks = []
        self.timers = [threading.Timer(share * seconds, self.look) for share in (0.2, 0.9)]
        for timer in self.timers:
            timer.start()

    def look(self):
        self.looks.append((time.monotonic(), used_cores()))

    def finish(self):
        for timer in self.timers:
            timer.join()
        (then, before), (now, after) = self.looks
        self.told, self.idle = shares(before, after, now - then, os.cpu_count())
        return self


def perf_lines(text):
    """Of `perf report`: (share of the samples, thread, program or library, whether it is the kernel, function)."""
    for line in text.splitlines():
        if line.count("|") == 3:
            share, thread, place, symbol = (each.strip() for each in line.split("|"))
            kind, _, function = symbol.partition("] ")
            yield float(share.rstrip("%")) / 100, thread, os.path.basename(place), kind == "[k", function


def hot_threads(lines, count):
    """Rows of (thread, cores of `count`, share of it that is the kernel's, its three functions that take most); idle cores are left out.
    Functions of a program whose names are stripped off are not told apart, and are not among the three."""
    threads = {}
    for share, thread, _, is_kernel, function in lines:
        if not thread.startswith("swapper"):
            found = threads.setdefault(thread, {"all": 0.0, "kernel": 0.0, "functions": {}})
            found["all"] += share
            found["kernel"] += share if is_kernel else 0
            if not function.startswith("0x"):
                found["functions"][function] = found["functions"].get(function, 0) + share
    told = []
    for thread, found in sorted(threads.items(), key=lambda pair: -pair[1]["all"]):
        if found["all"] * count >= 0.05:
            most = sorted(found["functions"].items(), key=lambda pair: -pair[1])[:3]
            told.append((thread, found["all"] * count, found["kernel"] / found["all"],
                         ", ".join(f"`{name}` {share / found['all']:.0%}" for name, share in most)))
    return told


def sampled(directory, measure, seconds):
    """The rows of hot_threads() while `measure(seconds)` runs; [] where there is no perf, or it may not look."""
    path = os.path.join(directory, "perf.data")
    if not shutil.which("perf"):
        return []
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    look = threading.Timer(0.2 * seconds, subprocess.run, (["perf", "record", "-q", "-a", "-F", "499", "-e", "cpu-clock", "-o", path, "--",
                                                            "sleep", str(0.7 * seconds)],), {"capture_output": True, "check": False})
    look.start()
    measure(seconds)
    look.join()
    told = subprocess.run(["perf", "report", "-i", path, "--stdio", "-q", "--no-children", "-t", "|", "--sort", "comm,dso,sym"],
                          text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return hot_threads(perf_lines(told.stdout), os.cpu_count())


def thread_ms(pid):
    """Milliseconds of a core that each thread of a process has taken, by its name; {} where the kernel does not count them."""
    found = {}
    for task in glob.glob(f"/proc/{pid}/task/*"):
        with contextlib.suppress(OSError):
            with open(f"{task}/comm") as comm, open(f"{task}/schedstat") as stat:
                name = comm.read().strip()
                found[name] = found.get(name, 0) + int(stat.read().split()[0]) / 1e6
    return found


def batches(admin):
    """Messages ("sum") and batches ("count") so far, by actor."""
    with urllib.request.urlopen(admin + "/metrics") as answer:
        text = answer.read().decode()
    found = {}
    for what, actor, value in re.findall(r'^millrace_batch_messages_(sum|count)\{actor="([^"]+)"\} (\S+)$', text, re.M):
        found.setdefault(actor, {})[what] = float(value)
    return found


def switches(pid):
    """How often the threads of a process have gone to sleep to wait for something."""
    count = 0
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with contextlib.suppress(OSError), open(path) as file:
            count += int(number(r"\nvoluntary_ctxt_switches:\s+(\d+)", file.read()))
    return count


def with_children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [pid, *map(int, file.read().split())]


# ---- Clients ----


def request(base, path, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers)) as answer:
        return json.load(answer)


def register(base, name):
    """A user who has signed in; the token."""
    request(base, "/v1/auth/register", {"firstName": "B", "lastName": "B", "email": "b@example.com", "username": name,
                                        "password": "bench bench"})
    return request(base, "/v1/auth/signin", {"username": name, "password": "bench bench"})["accessToken"]


class Wrk:
    """Loads a URL until its time is up or it is told to stop; then `rate` a second, `p50` and `p99` in milliseconds."""

    def __init__(self, url, seconds, connections=128, token=None, script=None):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
        if token:
            command += ["-H", f"authorization: Bearer {token}"]
        if script:
            command += ["-s", script]
        self.child = subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True)

    def finish(self, at_once=False):
        if at_once:
            self.child.send_signal(signal.SIGINT)
        text, _ = self.child.communicate()
        if self.child.returncode != 0 or "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"errors under load:\n{text}")
        self.p50, self.p99 = wrk_latency("50%", text), wrk_latency("99%", text)
        self.rate = number(r"Requests/sec:\s+([\d.]+)", text)
        return self


def wrk_latency(rank, text):
    value, unit = re.search(rank + r"\s+([\d.]+)(us|ms|s|m)\b", text).groups()
    return float(value) * UNITS[unit]


def wrk(url, seconds, connections=128, token=None, script=None):
    return Wrk(url, seconds, connections, token, script).finish()


def rank(values, share):
    """The value that so large a share of them do not exceed; 0 when there is none."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Paced:
    """What h2load saw that sends at a rate, whatever comes back, or without one as quick as answers come. Of those after the first second:
    `served` and `refused` (503) a second, the rank 99% of their latencies in ms, and how many were `other`."""

    def __init__(self, directory, url, seconds, connections, rate, token):
        path = os.path.join(directory, "h2load.log")
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        paced = [f"--rps={max(rate / connections, 0.01):.4f}"] if rate is not None else []
        told = subprocess.run(["h2load", "--h1", "-t1", f"-c{connections}", f"-D{seconds}", *paced,
                               "-H", f"authorization: Bearer {token}", f"--log-file={path}", url],
                              text=True, capture_output=True, check=False)
        if told.returncode != 0:
            raise SystemExit(f"h2load fails:\n{told.stdout[-1000:]}{told.stderr[-1000:]}")
        with open(path) as file:
            self.read(file, seconds)

    def read(self, lines, seconds):
        """Lines of start (us), status and duration (us)."""
        answers = [(int(start), int(status), int(took)) for start, status, took in (line.split() for line in lines)]
        begin = min((start for start, _, _ in answers), default=0) + 1_000_000
        end_at = begin + (seconds - 1) * 1_000_000
        kept = [(status, took / 1000) for start, status, took in answers if begin <= start + took < end_at]
        good = [took for status, took in kept if 200 <= status < 300]
        refused = [took for status, took in kept if status == 503]
        self.served, self.refused = len(good) / (seconds - 1), len(refused) / (seconds - 1)
        self.p99, self.refused_p99 = rank(good, 0.99), rank(refused, 0.99)
        self.other = len(kept) - len(good) - len(refused)


class Pgbench:
    """One SQL script on a database; the client count that serves it best is found once."""

    def __init__(self, server, database, script, counts, seconds=2):
        self.server, self.database, self.script = server, database, script
        self.clients = max(counts, key=lambda count: self.run(count, seconds)) if len(counts) > 1 else counts[0]

    def command(self, clients, seconds):
        return ["pgbench", "-h", self.server.home, "-U", "postgres", "-n", "-M", "prepared", "-f", self.script, "-c", str(clients),
                "-j", "1", "-T", str(seconds)]

    def run(self, clients, seconds):
        """Transactions a second."""
        command = [*self.command(clients, seconds), self.database]
        return number(r"tps = ([\d.]+)", subprocess.run(command, text=True, capture_output=True, check=True).stdout)

    def p50(self, directory, seconds):
        """The median latency in milliseconds; of the average, which it prints, a few long ones are a part."""
        prefix = os.path.join(directory, "pgbench")
        subprocess.run([*self.command(self.clients, seconds), "--log", f"--log-prefix={prefix}", self.database], capture_output=True,
                       check=True)
        took = []
        for path in glob.glob(prefix + ".*"):
            with open(path) as file:
                took += [int(line.split()[2]) / 1000 for line in file]
            os.remove(path)
        return rank(took, 0.5)


# ---- What is measured where ----


def said(*command):
    with contextlib.suppress(OSError):
        return (subprocess.run(command, text=True, capture_output=True, check=False, cwd=ROOT).stdout.strip() or "").splitlines()[0]
    return ""


def machine():
    with open("/proc/cpuinfo") as file:
        processor = re.search(r"model name\s*: (.*)", file.read())
    return (f"{processor.group(1) if processor else platform.machine()}, {os.cpu_count()} cores, "
            f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB, {platform.system()} {platform.release()}")


def commit():
    return said("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*")


def node_package(name):
    with open(os.path.join(PEERS, "node_modules", name, "package.json")) as file:
        return f"{name} {json.load(file)['version']}"


def node_program():
    """The Node that the lock file brings, else the machine's; SystemExit where the packages are missing."""
    for path in [*glob.glob(os.path.join(PEERS, "node_modules", "node-linux-*", "bin", "node")), shutil.which("node")]:
        if path and os.path.isdir(os.path.join(PEERS, "node_modules", "pg-boss")):
            return path
    raise SystemExit("missing: npm --prefix bench/peers ci")


def keep(name, text):
    os.makedirs(RESULTS, exist_ok=True)
    return write(RESULTS, name, text)
