"""Who answers requests: Millrace and its peers, on one database, and what is asked of them."""

import os
import shutil
import subprocess

from measure import PEERS, ROOT, SECRET, UUIDV7, batches, end, node_program, register, request, start, wait_ready, write

BUILT = os.path.join(ROOT, "build", "bench")
POOL = {"go": 8, "node": 4, "c": 8}  # connections; the best of 4, 8 and 16, of a Node process 2, 4 and 8, at 128 clients on two cores
WRITERS = 2                          # data-writer actors: one connection keeps one core of PostgreSQL busy, and there are two
TASKS = 100                          # of the user who reads
BODY = '{"summary":"Water the plants","taskPriorityCode":"HIGH"}'
PLAIN = """t.id, t.summary, t.description, t.due_at, t.is_complete, t.user_id, p.code, p.label, p.description, p.ordinal, t.created_at,
 t.updated_at FROM task t JOIN task_priority p ON p.code = t.priority_code"""


class Api:
    """`millrace api` on a database of its own, with two users: one reads, one writes."""

    name = "millrace"
    backends = "application_name LIKE 'data-%'"  # of pg_stat_activity

    def __init__(self, binary, server, directory, port=13000, database="served"):
        self.binary, self.server, self.database, self.port = binary, server, database, port
        server.query(f'CREATE DATABASE "{database}"')
        self.base, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
        self.child, _ = self.start_one(port, ADMIN_PORT=str(port + 1))
        self.token, self.writer = register(self.base, "reader"), register(self.base, "writer")
        user, writer = (server.query(f"SELECT id FROM millrace.app_user WHERE username = '{name}'", database)[0][0]
                        for name in ("reader", "writer"))
        rows = server.query(f"""INSERT INTO task (id, user_id, summary, priority_code)
            SELECT {UUIDV7}, '{user}', 'Water the plants', 'HIGH' FROM generate_series(1, {TASKS}) n RETURNING id""", database)
        server.settle(database)
        self.id = rows[0][0]
        self.make_scripts(directory, user, writer)

    def make_scripts(self, directory, user, writer):
        """For wrk and for pgbench."""
        one_line = str.maketrans("\n", " ")
        page = f"SELECT {PLAIN} WHERE t.user_id = '{user}' ORDER BY t.created_at DESC, t.id DESC LIMIT 10;"
        self.sql = {name: write(directory, f"{name}.sql", text.translate(one_line)) for name, text in {
            "one": f"SELECT {PLAIN} WHERE t.id = '{self.id}' AND t.user_id = '{user}';",
            "list": page,
            "create": f"INSERT INTO task (id, user_id, summary, priority_code) VALUES (gen_random_uuid(), '{writer}', "
                      "'Water the plants', 'HIGH');"}.items()}
        self.sql["page"] = write(directory, "page.sql", page.translate(one_line) + f"\nSELECT count(*) FROM task WHERE user_id = '{user}';")
        json_body = f"wrk.headers['content-type'] = 'application/json' wrk.body = '{BODY}'"
        self.post = write(directory, "post.lua", f"wrk.method = 'POST' {json_body}")
        self.mix = write(directory, "mix.lua", f"""wrk.headers['content-type'] = 'application/json'
local n = 0
request = function()
   n = n + 1
   local turn = n * 7 % 20
   if turn < 16 then return wrk.format('GET', '/v1/tasks/{self.id}') end
   if turn < 19 then return wrk.format('GET', '/v1/tasks?limit=10') end
   return wrk.format('POST', '/v1/tasks', wrk.headers, '{BODY}')
end
""")

    def start_one(self, port, **settings):
        """Another process on the same database; it and its seconds until ready."""
        return start(self.binary, "api", port, ACTOR_DATA_WRITER_COUNT=str(WRITERS), **self.server.settings(self.database), **settings)

    def batches(self):
        return batches(self.admin)

    def restart(self):
        self.stop()
        self.child, _ = self.start_one(self.port, ADMIN_PORT=str(self.port + 1))

    def stop(self):
        end(self.child)


def build_go(source, target):
    if not shutil.which("go") or not os.path.isdir("/usr/share/gocode/src/github.com/jackc/pgx/v4"):
        raise SystemExit("golang-go or golang-github-jackc-pgx-v4-dev is not installed")
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": os.path.join(BUILT, "go"), "GOFLAGS": ""}
    return ["go", "build", "-o", target, source], env


def build_c(source, target):
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libpq", "libcrypto"], text=True, capture_output=True, check=True).stdout
    return ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Werror", "-o", target, source, *flags.split(), "-lpthread"], None


def build(name, command_of):
    source, target = os.path.join(PEERS, f"server.{name}"), os.path.join(BUILT, f"server-{name}")
    os.makedirs(BUILT, exist_ok=True)
    if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
        command, env = command_of(source, target)
        told = subprocess.run(command, env=env, text=True, capture_output=True, check=False)
        if told.returncode != 0:
            raise SystemExit(f"{source} does not compile: {told.stderr[-500:]}")
    return [target]


class Peer:
    """Another server of the same operations on the same database."""

    commands = {
        "go": lambda: build("go", build_go),
        "node": lambda: [node_program(), os.path.join(PEERS, "server.mjs")],
        "c": lambda: build("c", build_c),
    }

    def __init__(self, name, api, port):
        self.name, self.base, self.backends = name, f"http://127.0.0.1:{port}", f"application_name = '{name}'"
        env = {"PATH": os.environ["PATH"], "PORT": str(port), "JWT_SECRET": SECRET, "NODE_ENV": "production", "POOL": str(POOL[name]),
               "DATABASE_URL": f"postgres://postgres@/{api.database}?host={api.server.home}&application_name={name}"}
        self.child = subprocess.Popen(self.commands[name](), env=env, stdin=subprocess.DEVNULL)
        try:
            wait_ready(f"{self.base}/v1/tasks", self.child)
            self.check(api)
        except BaseException:
            self.stop()
            raise

    def check(self, api):
        """It does the same work: the same task, the same page, and a new one that is there afterwards."""
        ours, theirs = (request(base, f"/v1/tasks/{api.id}", token=api.token) for base in (api.base, self.base))
        for name in ("id", "summary", "isComplete", "userId", "taskPriorityCode", "taskPriority"):
            if ours[name] != theirs[name]:
                raise SystemExit(f"{self.name} answers {name}: {theirs[name]}, not {ours[name]}")
        if len(request(self.base, "/v1/tasks?limit=10", token=api.token)) != 10:
            raise SystemExit(f"{self.name} answers another page")
        made = request(self.base, "/v1/tasks", {"summary": "made", "taskPriorityCode": "LOW"}, api.writer)
        if request(api.base, f"/v1/tasks/{made['id']}", token=api.writer)["summary"] != "made":
            raise SystemExit(f"{self.name} has made something else")

    def stop(self):
        end(self.child)
