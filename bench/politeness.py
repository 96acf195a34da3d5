"""How much a job is felt: the p99 of reads while 1,000,000 tasks are deleted, and without that.

usage: python3 bench/politeness.py build/release/millrace [ROWS [cleanup|removal]]    (or: ./dev bench politeness)

Starts a PostgreSQL of its own, an API and a scheduler, as they are deployed, and fills the table. wrk reads single tasks of
one user: before, while the job is at work, from the moment its run is queued until it has ended, and after. `cleanup` deletes
the completed tasks of all others; `removal` deletes all tasks of one other user, who is removed over HTTP. Exits 1 when the p99
is more than twice the lower of the two without it, when the request takes 50 ms longer than that, or when anything is left.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request

from measure import POLL_SECONDS, UUIDV7, Database, Wrk, own_server, request, start, write
from measure import register as register

ROWS = 1_000_000
USERS = 1_000
KEPT = 1_000
CONNECTIONS = 128
SECONDS = 20       # without the job
JOB_SECONDS = 600  # the longest it may take
REQUEST_MS = 50    # how much longer than nearly every read the request may take that removes a user
PORT = 13000
BASE = f"http://127.0.0.1:{PORT}"

READ = """local ids = {%s}
request = function() return wrk.format("GET", "/v1/tasks/" .. ids[math.random(#ids)]) end
"""


def add_users(server, database="millrace"):
    server.query(f"""INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)
        SELECT gen_random_uuid(), 'user' || n, 'user' || n || '@example.com', 'F', 'L', '' FROM generate_series(1, {USERS}) n""",
                 database)


def fill(server, rows, users, database="millrace"):
    """Completed tasks of those who are called user1 and so on, in turn, 60 days old. Indexes are made when the rows are there."""
    indexes = server.query("""SELECT i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) FROM pg_index i
        WHERE i.indrelid = 'task'::regclass AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)""", database)
    for name, _ in indexes:
        server.query(f"DROP INDEX {name}", database)
    for first in range(1, rows + 1, 100_000):
        server.query(f"""INSERT INTO task (id, user_id, summary, priority_code, is_complete, created_at, updated_at)
            SELECT {UUIDV7}, u.id, 'task ' || n, 'LOW', true, at, at
              FROM generate_series({first}, {min(first + 99_999, rows)}) n
              JOIN (SELECT id, row_number() OVER () - 1 AS place FROM millrace.app_user WHERE username LIKE 'user%') u ON u.place = n % {users},
                   (SELECT now() - interval '60 days' AS at) t""", database)
    for _, definition in indexes:
        server.query(definition, database)
    server.settle(database)


def sign_up(server, base=BASE, database="millrace"):
    """A user with tasks that stay; the token, and the ids."""
    token = register(base, "bench")
    rows = server.query(f"""INSERT INTO task (id, user_id, summary, priority_code)
        SELECT {UUIDV7}, u.id, 'task ' || n, 'LOW' FROM millrace.app_user u, generate_series(1, {KEPT}) n WHERE u.username = 'bench'
        RETURNING id""", database)
    return token, [row[0] for row in rows]


def start_cleanup(server):
    server.query("INSERT INTO millrace.job_run (id, job, trigger) VALUES (gen_random_uuid(), 'cleanup', 'manual')", "millrace")


def remove(token):
    """Removes the user whose token that is; the milliseconds of the request."""
    began = time.monotonic()
    call = urllib.request.Request(BASE + "/v1/users/profile", method="DELETE", headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(call) as answer:
        if answer.status != 204:
            raise SystemExit(f"the removal is answered {answer.status}")
    return (time.monotonic() - began) * 1000


def wait_for_the_run(server, began):
    """The seconds it took, and how many rows it deleted."""
    with Database(server.home, "millrace") as session:
        while not session.query("SELECT 1 FROM millrace.job_run WHERE finished_at IS NOT NULL"):
            if time.monotonic() - began > JOB_SECONDS:
                raise SystemExit("the run does not end")
            time.sleep(POLL_SECONDS)
        state, done = session.query("SELECT state, done FROM millrace.job_run")[0]
    if state != "succeeded":
        raise SystemExit(f"the run is {state}")
    return time.monotonic() - began, int(done)


def check_removed(server):
    """Every task that is left is of the user who reads."""
    left = server.query("""SELECT count(*) FROM millrace.account WHERE closed_at IS NOT NULL UNION ALL
        SELECT count(*) FROM task t WHERE NOT EXISTS (SELECT FROM millrace.app_user u WHERE u.id = t.user_id)""", "millrace")
    if left != [["0"], ["0"]]:
        raise SystemExit(f"accounts and tasks are left: {left}")


def show(when, wrk):
    print(f"{when:24} {wrk.p50:9.2f} {wrk.p99:9.2f} {wrk.rate:9.0f}", flush=True)
    return wrk


def measure(server, binary, directory, rows, job):
    settings = server.settings("millrace")
    server.query("CREATE DATABASE millrace")
    api, _ = start(binary, "api", PORT, **settings)
    scheduler = subprocess.Popen([binary, "scheduler"], env={"PATH": os.environ["PATH"], "LOGGING_LEVEL": "error", **settings},
                                 stdin=subprocess.DEVNULL)
    try:
        victim = register(BASE, "user1") if job == "removal" else add_users(server)
        fill(server, rows, 1 if victim else USERS)
        token, ids = sign_up(server)
        script = write(directory, "read.lua", READ % ", ".join(f'"{each}"' for each in ids))
        Wrk(BASE, 3, CONNECTIONS, token, script).finish()
        print(f"{'':24} {'p50 ms':>9} {'p99 ms':>9} {'reads/s':>9}")
        before = show("before", Wrk(BASE, SECONDS, CONNECTIONS, token, script).finish())
        wrk = Wrk(BASE, JOB_SECONDS, CONNECTIONS, token, script)
        began = time.monotonic()
        request_ms = remove(victim) if victim else start_cleanup(server)
        took, done = wait_for_the_run(server, began)
        during = show(f"while {job} is at work", wrk.finish(at_once=True))
        after = show("after", Wrk(BASE, SECONDS, CONNECTIONS, token, script).finish())
    finally:
        for child in (api, scheduler):
            child.terminate()
            child.wait()
    if done < rows:
        raise SystemExit(f"{done} of {rows} rows were deleted")
    quick = True
    if victim:
        check_removed(server)
        most = before.p99 + REQUEST_MS
        quick = request_ms <= most
        print(f"{'the request':24} {request_ms:9.2f}   <= {most:.2f} ms  {'ok' if quick else 'OVER'}")
    ratio = during.p99 / min(before.p99, after.p99)
    print(f"\n{done} rows in {took:.1f} s, {done / took:.0f} a second")
    print(f"{'p99 : p99 without':24} {ratio:9.2f}   <= 2.00  {'ok' if ratio <= 2 else 'OVER'}")
    return ratio <= 2 and quick


def main():
    job = sys.argv[3] if len(sys.argv) == 4 else "cleanup"
    if len(sys.argv) not in (2, 3, 4) or job not in ("cleanup", "removal") or not shutil.which("wrk"):
        raise SystemExit(__doc__ if shutil.which("wrk") else "missing: wrk")
    binary, rows = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else ROWS
    with own_server() as (server, directory):
        good = measure(server, binary, directory, rows, job)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
