"""Lists: orders, filters, words, walks and pages."""

import random
import re
import threading
import unittest

import support

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

PRIORITIES = ["URGENT", "HIGH", "MEDIUM", "LOW", "BACKLOG"]
SORTS = ["createdAt", "-createdAt", "dueAt", "-dueAt", "priority", "-priority"]


def walk(api, path):
    """Every page of a walk, by the Links alone."""
    pages = []
    while path:
        answer = api.get(path)
        assert answer.status == 200, answer
        pages.append(answer.json())
        link = answer.header("Link")
        path = link[1:link.index(">")] if link else None
        assert len(pages) < 1000, "the walk does not end"
    return pages


def flat(pages):
    return [task for page in pages for task in page]


class Lists(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = module.server.api().register()
        chance = random.Random(7)
        words = ["apple", "pear", "plum", "cherry", "Äpfel"]
        cls.tasks = []
        for number in range(60):
            due = None if number % 4 == 0 else f"20{chance.randrange(10, 40)}-0{chance.randrange(1, 9)}-11T00:00:00.000Z"
            if number % 7 == 1:
                due = "1955-05-05T05:05:05.005Z"
            cls.tasks.append(cls.user.create_task(summary=f"{chance.choice(words)} {chance.choice(words)} no{number}",
                                                  description=chance.choice(words) if number % 3 else None, dueAt=due,
                                                  isComplete=number % 2 == 0, taskPriorityCode=chance.choice(PRIORITIES)))

        with module.server.database() as database:  # answers round to milliseconds, the order does not
            cls.created = dict(database.query(f"SELECT id, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US') FROM task "
                                              f"WHERE user_id = '{cls.user.user['id']}'"))

    @classmethod
    def tearDownClass(cls):
        cls.user.close()

    def expected(self, sort, tasks=None):
        """The order, worked out here: the key, then the id; without a due date last in either direction."""
        name, descending = sort.lstrip("-"), sort.startswith("-")
        keys = {"createdAt": lambda task: self.created[task["id"]], "dueAt": lambda task: task.get("dueAt", ""),
                "priority": lambda task: task["taskPriority"]["ordinal"]}
        tasks = sorted(self.tasks if tasks is None else tasks, key=lambda task: (keys[name](task), task["id"]), reverse=descending)
        if name == "dueAt":
            with_due = [task for task in tasks if "dueAt" in task]
            return with_due + [task for task in tasks if "dueAt" not in task]
        return tasks

    def assert_ids(self, got, wanted, what):
        self.assertEqual([task["id"] for task in got], [task["id"] for task in wanted], what)

    def test_sort__is_the_same_by_array_walk_and_page(self):
        for sort in SORTS:
            wanted = self.expected(sort)
            self.assert_ids(self.user.get(f"/v1/tasks?sort={sort}").json(), wanted, sort)
            for limit in (1, 7, 60, 100):
                pages = walk(self.user, f"/v1/tasks?sort={sort}&limit={limit}")
                self.assert_ids(flat(pages), wanted, (sort, limit))
                self.assertTrue(all(len(page) == limit for page in pages[:-1]))
            paged = [self.user.get(f"/v1/tasks?sort={sort}&page={page}&pageSize=7").json() for page in range(1, 10)]
            self.assert_ids([task for page in paged for task in page["data"]], wanted, sort)
            self.assertEqual(paged[0]["pagination"], {"page": 1, "pageSize": 7, "totalPages": 9, "totalItems": 60})

    def test_sort__by_default_is_newest_first(self):
        self.assert_ids(self.user.get("/v1/tasks").json(), self.expected("-createdAt"), "default")

    def test_filters__narrow_every_order_and_the_total(self):
        cases = {
            "isComplete=true": lambda task: task["isComplete"],
            "isComplete=false&taskPriorityCode=HIGH": lambda task: not task["isComplete"] and task["taskPriorityCode"] == "HIGH",
            "dueBefore=2000-01-01": lambda task: task.get("dueAt", "9") < "2000",
            "dueAfter=2020-01-01T00:00:00Z&dueBefore=2030-01-01": lambda task: "2020" < task.get("dueAt", "") < "2030",
            "q=apple": lambda task: "apple" in self.words(task),
            "q=APPLE+pear&isComplete=true": lambda task: {"apple", "pear"} <= self.words(task) and task["isComplete"],
            "q=%C3%A4pfel": lambda task: "äpfel" in self.words(task),
            "q=nothing-like-it": lambda task: False,
        }
        for query, holds in cases.items():
            wanted = [task for task in self.tasks if holds(task)]
            for sort in SORTS:
                ordered = self.expected(sort, wanted)
                self.assert_ids(flat(walk(self.user, f"/v1/tasks?{query}&sort={sort}&limit=4")), ordered, (query, sort))
                page = self.user.get(f"/v1/tasks?{query}&sort={sort}&page=1&pageSize=5").json()
                self.assert_ids(page["data"], ordered[:5], (query, sort))
                self.assertEqual(page["pagination"]["totalItems"], len(wanted), query)

    @staticmethod
    def words(task):
        return set((task["summary"] + " " + task.get("description", "")).lower().split())

    def test_link__keeps_the_question(self):
        link = self.user.get("/v1/tasks?limit=3&sort=dueAt&isComplete=true&q=apple").header("Link")
        self.assertRegex(link, r'^</v1/tasks\?limit=3&isComplete=true&q=apple&sort=dueAt&cursor=dueAt\.[0-9a-f]{33,}>; rel="next"$')

    def test_link__holds_only_what_is_known_and_encodes_it(self):
        for query in ("x=%3E;rel=prev,%3C/evil&limit=2", "q=apple+pear%3E%3B%22&limit=1&x=y", "limit=%32&sort=%64ueAt", "&&limit=1&flag"):
            path = f"/v1/tasks?{query}"
            link = self.user.get(path).header("Link")
            if link:
                self.assertRegex(link, r'^</v1/tasks\?([A-Za-z]+=[A-Za-z0-9._~%-]*&)*cursor=-?[a-zA-Z]+\.[0-9a-f]{33,}>; rel="next"$')
                self.assertNotIn("evil", link)
                self.assertNotIn("x=", link)
        walked = flat(walk(self.user, "/v1/tasks?limit=%33&q=ap%70le&x=%3E"))
        self.assert_ids(walked, self.user.get("/v1/tasks?q=apple").json(), "the same question")

    def test_cursor__of_another_order_is_400_and_named(self):
        for sort in SORTS:
            link = self.user.get(f"/v1/tasks?limit=1&sort={sort}").header("Link")
            cursor = link[link.index("cursor=") + 7:link.index(">")]
            for other in SORTS:
                answer = self.user.get(f"/v1/tasks?limit=1&sort={other}&cursor={cursor}")
                self.assertEqual(answer.status, 200 if other == sort else 400, (sort, other))
                if other != sort:
                    self.assertEqual([error["field"] for error in answer.json()["errors"]], ["cursor"])
            answer = self.user.get(f"/v1/tasks?limit=1&cursor={cursor}")
            self.assertEqual(answer.status, 200 if sort == "-createdAt" else 400, "the order that is meant without one")
        self.assertEqual(self.user.get("/v1/tasks?cursor=" + "0" * 48).status, 400, "as the release before wrote it")

    def test_values__that_are_wrong_are_400_and_named(self):
        for query in ("sort=summary", "sort=-", "sort=createdat", "isComplete=yes", "taskPriorityCode=low", "dueBefore=soon", "dueAfter=",
                      "q=", "q=" + "x" * 201, "limit=0", "limit=101", "cursor=abc", "cursor=-createdAt." + "g" * 48, "cursor=-createdAt.", "page=0", "page=x", "pageSize=0",
                      "pageSize=101", "limit=1&limit=2"):
            answer = self.user.get("/v1/tasks?" + query)
            self.assertEqual(answer.status, 400, query)
            self.assertEqual([error["field"] for error in answer.json()["errors"]], [query.split("=")[0]], query)

    def test_cursor__made_up_is_some_place_and_never_an_error(self):
        for sort in SORTS:
            link = self.user.get(f"/v1/tasks?sort={sort}&limit=1").header("Link")
            key = re.search(r"cursor=[^.]*[.][0-9a-f]{32}([0-9a-f]+)>", link).group(1)
            for place in ("0" * 32, "f" * 32, "0" * 31 + "1"):
                self.assertEqual(self.user.get(f"/v1/tasks?sort={sort}&limit=5&cursor={sort}.{place}{key}").status, 200)

    def test_words__of_others_are_not_found(self):
        other = module.server.api().register()
        self.addCleanup(other.close)
        other.create_task(summary="apple of " + self.user.user["id"])
        self.assertEqual(len(other.get("/v1/tasks?q=apple").json()), 1)
        self.assertEqual(other.get("/v1/tasks?q=pear").json(), [])
        self.assertEqual(other.get("/v1/tasks?q=" + self.user.user["id"]).status, 200)


class Moving(unittest.TestCase):
    def test_walk__shows_what_was_there_throughout_exactly_once(self):
        user = module.server.api().register()
        self.addCleanup(user.close)
        stay, go = [], []
        for number in range(80):
            (go if number % 4 == 0 else stay).append(user.create_task(
                taskPriorityCode=PRIORITIES[number % 5], **({"dueAt": f"2030-01-{number % 28 + 1:02}"} if number % 3 else {})))
        stop = threading.Event()

        def churn():
            api = module.server.api()
            api.token = user.token
            number = 0
            while not stop.is_set():
                number += 1
                api.create_task(taskPriorityCode=PRIORITIES[number % 5], dueAt=f"2030-01-{number % 28 + 1:02}")
                if go:
                    api.request("DELETE", "/v1/tasks/" + go.pop()["id"])
            api.close()

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for sort in SORTS:
                seen = [task["id"] for task in flat(walk(user, f"/v1/tasks?sort={sort}&limit=7"))]
                self.assertEqual(len(seen), len(set(seen)), sort)
                self.assertLessEqual({task["id"] for task in stay}, set(seen), sort)
        finally:
            stop.set()
            thread.join()


if __name__ == "__main__":
    unittest.main()
