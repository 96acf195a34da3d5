"""The speed floor: Millrace beside nginx and pgbench, on one machine, in one run.

usage: python3 bench/floor.py build/release/millrace    (after ./dev build)

Starts what it measures itself, warms up, then takes the contestants in turn, several rounds, and compares medians.
Needs wrk, nginx and pgbench. Exits 1 when a ratio is under its floor. Figures are ratios of one run: never compare
absolute ones between runs.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROUNDS = 3
SECONDS = 4
CONNECTIONS = 128


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise SystemExit(f"no figure in:\n{text}")
    return float(found.group(1))


def wrk(url, token=None, script=None):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
    if token:
        command += ["-H", f"authorization: Bearer {token}"]
    if script:
        command += ["-s", script]
    text = subprocess.run(command + [url], text=True, capture_output=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"errors under load:\n{text}")
    return number(r"Requests/sec:\s+([\d.]+)", text)


class Pgbench:
    """One SQL script on the embedded server; the client count that serves it best is found once."""

    def __init__(self, socket_dir, script, counts):
        self.socket_dir, self.script = socket_dir, script
        self.clients = max(counts, key=lambda count: self.run(count, 2))

    def run(self, clients, seconds):
        command = ["pgbench", "-h", self.socket_dir, "-U", "postgres", "-n", "-M", "prepared", "-f", self.script,
                   "-c", str(clients), "-j", "1", "-T", str(seconds), "millrace"]
        return number(r"tps = ([\d.]+)", subprocess.run(command, text=True, capture_output=True, check=True).stdout)

    def __call__(self):
        return self.run(self.clients, SECONDS)


class Nginx:
    """One worker that answers `return 200` with a body of the same size."""

    def __init__(self, directory, body):
        self.port = 18080
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w") as file:
            file.write(f"""daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; default_type application/json;
    server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 '{body}'; }} }} }}
""")
        self.process = subprocess.Popen(["nginx", "-c", path, "-e", os.path.join(directory, "nginx.log")])

    def __call__(self):
        return wrk(f"http://127.0.0.1:{self.port}/")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def request(base, path, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers)) as answer:
        return json.load(answer)


def wait_ready(base, child):
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        try:
            urllib.request.urlopen(base + "/readyz", timeout=1).close()
            return time.monotonic() - begun
        except OSError:
            if child.poll() is not None:
                raise SystemExit("millrace ended")
            time.sleep(0.001)
    raise SystemExit("millrace is not ready")


def start(binary, command, port, **settings):
    env = {"PATH": os.environ["PATH"], "APP_PORT": str(port), "LOGGING_LEVEL": "error", "JWT_EXPIRES_IN": "1d",
           "JWT_SECRET": "a secret of the benchmarks, long enough", **settings}
    child = subprocess.Popen([binary, command], env=env, stdin=subprocess.DEVNULL)
    return child, wait_ready(f"http://127.0.0.1:{port}", child)


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return number(r"VmRSS:\s+(\d+) kB", file.read()) / 1024


def compare(name, floor, ours, theirs):
    """Ours and theirs in turn; prints and returns the ratio of the medians."""
    a, b = [], []
    ours(), theirs()
    for _ in range(ROUNDS):
        a.append(ours())
        b.append(theirs())
    ratio = statistics.median(a) / statistics.median(b)
    verdict = "ok" if ratio >= floor else "UNDER"
    print(f"{name:44} {statistics.median(a):9.0f} {statistics.median(b):9.0f} {ratio:6.2f}  >= {floor:4.2f}  {verdict}", flush=True)
    return ratio >= floor


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


def measure(binary, directory):
    state = os.path.join(directory, "state")
    whole, _ = start(binary, "all", 13001, MILLRACE_STATE_DIR=state)
    socket_dir = os.path.join(state, "postgres", "run")
    good = True
    try:
        api, ready = start(binary, "api", 13000, DB_HOST=socket_dir)
        base = "http://127.0.0.1:13000"
        request(base, "/v1/auth/register", {"firstName": "B", "lastName": "B", "email": "b@example.com",
                                            "username": "bench", "password": "bench bench"})
        token = request(base, "/v1/auth/signin", {"username": "bench", "password": "bench bench"})["accessToken"]
        task = request(base, "/v1/tasks", {"summary": "Water the plants", "taskPriorityCode": "HIGH"}, token)
        post = write(directory, "post.lua", 'wrk.method="POST" wrk.headers["content-type"]="application/json" '
                     'wrk.body=\'{"summary":"Water the plants","taskPriorityCode":"HIGH"}\'')
        select = write(directory, "select.sql", f"""SELECT t.id, t.summary, t.description, t.due_at, t.is_complete, t.user_id,
 p.code, p.label, p.description, p.ordinal, t.created_at, t.updated_at FROM task t JOIN task_priority p ON p.code = t.priority_code
 WHERE t.id = '{task["id"]}' AND t.user_id = '{task["userId"]}';""".replace("\n", " "))
        insert = write(directory, "insert.sql", "INSERT INTO task (id, user_id, summary, priority_code) VALUES "
                       f"(gen_random_uuid(), '{task['userId']}', 'Water the plants', 'HIGH');")
        with urllib.request.urlopen(base + "/v1/health") as answer:
            nginx = Nginx(directory, answer.read().decode())
        print(f"{'':44} {'millrace':>9} {'reference':>9} {'ratio':>6}  floor")
        one = Pgbench(socket_dir, select, (2, 4, 8, 16))
        row = Pgbench(socket_dir, insert, (16, 32, 64))
        good &= compare("GET /v1/health : nginx return 200", 0.6, lambda: wrk(base + "/v1/health"), nginx)
        good &= compare(f"GET /v1/tasks/{{id}} : SELECT, {one.clients} clients", 0.9,
                        lambda: wrk(f"{base}/v1/tasks/{task['id']}", token), one)
        good &= compare(f"POST /v1/tasks : INSERT, {row.clients} clients", 1.5,
                        lambda: wrk(base + "/v1/tasks", token, post), row)
        nginx.stop()
        memory = rss_mib(api.pid)
        good &= memory < 40
        print(f"{'RSS of millrace api after the load, MiB':44} {memory:9.1f} {'':9} {'':6}  <  40    {'ok' if memory < 40 else 'OVER'}")
        api.terminate()
        api.wait()
        waits = []
        for _ in range(5):
            api, ready = start(binary, "api", 13000, DB_HOST=socket_dir)
            waits.append(ready * 1000)
            api.terminate()
            api.wait()
        ready = statistics.median(waits)
        good &= ready < 150
        print(f"{'start to ready on a migrated database, ms':44} {ready:9.0f} {'':9} {'':6}  <  150   {'ok' if ready < 150 else 'OVER'}")
    finally:
        whole.terminate()
        whole.wait()
    return good


def main():
    missing = [tool for tool in ("wrk", "nginx", "pgbench") if not shutil.which(tool)]
    if missing or len(sys.argv) != 2:
        raise SystemExit(f"missing: {', '.join(missing)}" if missing else __doc__)
    directory = tempfile.mkdtemp(prefix="millrace-bench-")
    os.chmod(directory, 0o755)
    try:
        sys.exit(0 if measure(os.path.abspath(sys.argv[1]), directory) else 1)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
