"""Changing and deleting tasks; the caller's profile."""

import threading
import unittest
import uuid

import support

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class WithUser(unittest.TestCase):
    def setUp(self):
        self.user = module.server.api().register()
        self.addCleanup(self.user.close)

    def other(self):
        other = module.server.api().register()
        self.addCleanup(other.close)
        return other

    def assert_problem(self, answer, status, *fields):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        self.assertEqual([error["field"] for error in answer.json().get("errors", [])], list(fields))


class Put(WithUser):
    def put(self, task, body):
        return self.user.request("PUT", "/v1/tasks/" + task["id"], body)

    def test_put__changes_what_is_given_and_keeps_the_rest(self):
        task = self.user.create_task(summary="old", description="long", dueAt="2027-01-01")
        answer = self.put(task, {"summary": "new", "isComplete": True, "taskPriorityCode": "LOW"})
        self.assertEqual(answer.status, 200)
        changed = answer.json()
        self.assertEqual((changed["summary"], changed["isComplete"], changed["taskPriority"]["code"]), ("new", True, "LOW"))
        self.assertEqual((changed["description"], changed["dueAt"]), ("long", "2027-01-01T00:00:00.000Z"))
        self.assertEqual(changed["createdAt"], task["createdAt"])
        self.assertGreaterEqual(changed["updatedAt"], task["updatedAt"])
        self.assertEqual(self.user.get("/v1/tasks/" + task["id"]).json(), changed)

    def test_put__null_clears_description_and_due_at_and_nothing_else(self):
        task = self.user.create_task(description="long", dueAt="2027-01-01")
        changed = self.put(task, {"description": None, "dueAt": None, "summary": None, "isComplete": None,
                                  "taskPriorityCode": None}).json()
        self.assertNotIn("description", changed)
        self.assertNotIn("dueAt", changed)
        self.assertEqual((changed["summary"], changed["taskPriorityCode"]), (task["summary"], task["taskPriorityCode"]))

    def test_put__with_an_empty_body_changes_nothing_but_the_time(self):
        task = self.user.create_task(description="long")
        changed = self.put(task, {}).json()
        self.assertEqual({**changed, "updatedAt": ""}, {**task, "updatedAt": ""})

    def test_put__id_in_the_body_has_to_be_the_path_s(self):
        task = self.user.create_task()
        self.assertEqual(self.put(task, {"id": task["id"].upper()}).status, 200)
        self.assert_problem(self.put(task, {"id": str(uuid.uuid4())}), 400, "id")
        self.assert_problem(self.put(task, {"id": "nonsense"}), 400, "id")

    def test_put__names_every_broken_field(self):
        task = self.user.create_task()
        self.assert_problem(self.put(task, {"summary": "", "dueAt": "soon", "isComplete": "yes", "taskPriorityCode": "low"}),
                            400, "summary", "dueAt", "isComplete", "taskPriorityCode")
        self.assert_problem(self.put(task, {"taskPriorityCode": "NO-SUCH"}), 400, "taskPriorityCode")
        self.assertEqual(self.user.get("/v1/tasks/" + task["id"]).json(), task)

    def test_put__of_somebody_else_s_or_no_task_is_404(self):
        task = self.other().create_task()
        self.assert_problem(self.put(task, {"summary": "mine now"}), 404)
        self.assert_problem(self.put({"id": str(uuid.uuid4())}, {"summary": "x"}), 404)
        self.assert_problem(self.put({"id": "1"}, {"summary": "x"}), 400, "taskId")

    def test_put__many_at_once_on_one_task_all_count(self):
        task = self.user.create_task()
        tokens = self.user.token

        def change(number):
            api = module.server.api()
            api.token = tokens
            for turn in range(10):
                assert api.request("PUT", "/v1/tasks/" + task["id"], {"summary": f"{number}-{turn}"}).status == 200
            api.close()

        threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with module.server.database() as database:
            self.assertEqual(database.value(f"SELECT version FROM task WHERE id = '{task['id']}'"), "81")


class Delete(WithUser):
    def test_delete__removes_the_task_once(self):
        path = "/v1/tasks/" + self.user.create_task()["id"]
        answer = self.user.request("DELETE", path)
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assert_problem(self.user.get(path), 404)
        self.assert_problem(self.user.request("DELETE", path), 404)

    def test_delete__of_somebody_else_s_task_is_404_and_leaves_it(self):
        other = self.other()
        task = other.create_task()
        self.assert_problem(self.user.request("DELETE", "/v1/tasks/" + task["id"]), 404)
        self.assertEqual(other.get("/v1/tasks/" + task["id"]).json(), task)

    def test_delete__racing_requests_have_one_winner(self):
        task = self.user.create_task()
        statuses = []

        def delete():
            api = module.server.api()
            api.token = self.user.token
            statuses.append(api.request("DELETE", "/v1/tasks/" + task["id"]).status)
            api.close()

        threads = [threading.Thread(target=delete) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [204] + [404] * 11)


class Count(WithUser):
    def total(self):
        return self.user.get("/v1/tasks?page=1").json()["pagination"]["totalItems"]

    def test_total__stays_right_while_tasks_come_and_go(self):
        made = [self.user.create_task()["id"] for _ in range(40)]
        for task in made[:15]:
            self.user.request("DELETE", "/v1/tasks/" + task)
        self.assertEqual(self.total(), 25)
        with module.server.database() as database:
            for _ in range(20):  # folding happens now and then; here it is made to
                database.query(f"SELECT fold_task_count('{self.user.user['id']}')")
            self.assertEqual(database.count("task_count", f"user_id = '{self.user.user['id']}'"), 1)
            self.assertEqual(self.total(), 25)
            database.query(f"DELETE FROM millrace.app_user WHERE id = '{self.user.user['id']}'")
            support.wait_for(lambda: not database.count("task_count", f"user_id = '{self.user.user['id']}'"), 20, "it goes with the user")

    def test_total__is_right_when_folds_and_changes_race(self):
        def churn():
            api = module.server.api()
            api.token = self.user.token
            for turn in range(60):
                task = api.create_task()
                if turn % 3 == 0:
                    api.request("DELETE", "/v1/tasks/" + task["id"])
            api.close()

        def fold(stop):
            with module.server.database() as database:
                while not stop.is_set():
                    database.query(f"SELECT fold_task_count('{self.user.user['id']}')")

        stop = threading.Event()
        folders = [threading.Thread(target=fold, args=(stop,)) for _ in range(2)]
        workers = [threading.Thread(target=churn) for _ in range(4)]
        for thread in folders + workers:
            thread.start()
        for thread in workers:
            thread.join()
        stop.set()
        for thread in folders:
            thread.join()
        self.assertEqual(self.total(), 160)


class Profile(WithUser):
    def test_profile__is_the_caller_as_registered(self):
        answer = self.user.get("/v1/users/profile")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json(), self.user.user)
        self.assertEqual(set(answer.json()), {"id", "sub", "firstName", "lastName", "email", "username", "createdAt", "updatedAt"})

    def test_profile__of_a_user_who_is_gone_is_401(self):
        with module.server.database() as database:
            database.query(f"DELETE FROM millrace.app_user WHERE id = '{self.user.user['id']}'")
        self.assert_problem(self.user.get("/v1/users/profile"), 401)
        self.assert_problem(self.user.post("/v1/tasks", {"summary": "x", "taskPriorityCode": "LOW"}), 401)

    def test_profile__needs_a_token(self):
        self.assert_problem(self.user.get("/v1/users/profile", token=None), 401)


if __name__ == "__main__":
    unittest.main()
