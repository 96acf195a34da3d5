"""A million tasks, of one user and of many: getting one, walking and paging keep their speed."""

import statistics
import time
import unittest
import uuid

import support

module = support.ModuleServer()

SMALL, LARGE, OTHERS = 10_000, 1_000_000, 1_000


def setUpModule():
    if support.SANITIZE:
        raise unittest.SkipTest("measures the plain build")
    module.start(JWT_EXPIRES_IN="1d")
    with module.server.database() as database:
        database.socket.settimeout(300)
        database.query("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
        make(database, 1, SMALL)
        make(database, 2, LARGE)
        for start in range(100, 100 + OTHERS, 500):
            database.query(f"""INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)
                SELECT lpad(to_hex(n), 32, '0')::uuid, 'other' || n, 'o@example.org', 'O', 'O', '' FROM generate_series({start}, {start + 499}) n;
                INSERT INTO task (id, user_id, summary, priority_code, created_at)
                SELECT gen_random_uuid(), lpad(to_hex(n), 32, '0')::uuid, 'task ' || i, 'LOW', now() - i * interval '1 second'
                  FROM generate_series({start}, {start + 499}) n, generate_series(1, 200) i""")
        database.query("ANALYZE")


def tearDownModule():
    module.stop()


def user_id(number):
    return str(uuid.UUID(int=number))


def make(database, number, tasks):
    database.query(f"""INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)
        VALUES ('{user_id(number)}', 'user{number}', 'u@example.org', 'U', 'U', '');
        INSERT INTO task (id, user_id, summary, priority_code, due_at, created_at)
        SELECT gen_random_uuid(), '{user_id(number)}', 'task ' || i, (ARRAY['URGENT', 'HIGH', 'MEDIUM', 'LOW', 'BACKLOG'])[i % 5 + 1],
               CASE WHEN i % 3 > 0 THEN now() + i * interval '1 minute' END, now() - i * interval '1 second'
          FROM generate_series(1, {tasks}) i""")


class Scale(unittest.TestCase):
    def api(self, number):
        api = module.server.api()
        api.token = support.sign(support.claims_for(user_id(number)))
        self.addCleanup(api.close)
        return api

    def compare(self, what, small, large, bound=1.5):
        """Ratio of the quicker quarters of the two, asked in turn; a busy machine slows both."""
        times = ([], [])
        for turn in range(110):
            for ask, taken in zip((small, large), times):
                begun = time.perf_counter()
                answer = ask()
                taken.append(time.perf_counter() - begun)
                self.assertEqual(answer.status, 200)
        first, second = (statistics.quantiles(taken[10:], n=4)[0] for taken in times)
        ratio = second / first
        print(f"{what}: {ratio:.2f} x")
        self.assertLess(ratio, bound, what)

    def test_list__page_and_get_of_a_million_tasks_cost_what_they_cost_of_ten_thousand(self):
        small, large = self.api(1), self.api(2)
        for what, path in (("page", "/v1/tasks?page=1&pageSize=10"), ("walk", "/v1/tasks?limit=10"), ("plain list", "/v1/tasks")):
            self.compare(what, lambda: small.get(path), lambda: large.get(path))
        one, other = (api.get("/v1/tasks?limit=1").json()[0]["id"] for api in (small, large))
        self.compare("get", lambda: small.get("/v1/tasks/" + one), lambda: large.get("/v1/tasks/" + other))

    def deep_cursor(self, sort):
        """A cursor 900,000 tasks into a walk of the large list."""
        key, order = {
            "createdAt": ("(extract(epoch FROM created_at) * 1000000)::bigint", "created_at"),
            "dueAt": ("(extract(epoch FROM due_at) * 1000000)::bigint", "due_at"),
            "priority": ("(SELECT ordinal FROM task_priority WHERE code = priority_code)",
                         "(SELECT ordinal FROM task_priority WHERE code = priority_code)"),
        }[sort.lstrip("-")]
        turn = "DESC" if sort.startswith("-") else "ASC"
        with module.server.database() as database:
            database.socket.settimeout(120)
            return sort + "." + database.value(f"""SELECT replace(id::text, '-', '') || coalesce('1' || encode(({key})::text::bytea, 'hex'), '0')
                FROM task WHERE user_id = '{user_id(2)}' ORDER BY {order} {turn} NULLS LAST, id {turn} OFFSET 900000 LIMIT 1""")

    def test_walk__costs_the_same_in_the_depth(self):
        large = self.api(2)
        for sort in ("createdAt", "-createdAt", "dueAt", "-dueAt", "priority", "-priority"):
            first = f"/v1/tasks?limit=10&sort={sort}"
            deep = f"{first}&cursor={self.deep_cursor(sort)}"
            self.assertEqual(len(large.get(deep).json()), 10)
            self.compare(f"{sort} at depth 900,000", lambda first=first: large.get(first), lambda deep=deep: large.get(deep), 1.3)

    def test_page__knows_the_total(self):
        for number, tasks in ((1, SMALL), (2, LARGE), (100, 200)):
            self.assertEqual(self.api(number).get("/v1/tasks?page=1").json()["pagination"]["totalItems"], tasks)


if __name__ == "__main__":
    unittest.main()
