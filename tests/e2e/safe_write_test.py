"""Safe writes: PATCH, entity tags, If-Match, Idempotency-Key."""

import os
import signal
import threading
import unittest
import uuid

import support
from support import wait_for

module = support.ModuleServer(DB_LOCK_TIMEOUT="60s", GATEWAY_REQUEST_TIMEOUT="60s")
setUpModule, tearDownModule = module.start, module.stop


class WithUser(unittest.TestCase):
    def setUp(self):
        self.user = module.server.api().register()
        self.addCleanup(self.user.close)

    def change(self, task, body, verb="PATCH", **headers):
        return self.user.request(verb, "/v1/tasks/" + task["id"], body,
                                 headers=[(name.replace("_", "-"), value) for name, value in headers.items()])


class Patch(WithUser):
    def test_patch__does_what_put_does(self):
        task = self.user.create_task(description="long", dueAt="2027-01-01")
        for verb in ("PATCH", "PUT"):
            changed = self.change(task, {"summary": verb, "dueAt": None}, verb)
            self.assertEqual(changed.status, 200)
            self.assertEqual((changed.json()["summary"], changed.json()["description"]), (verb, "long"))
            self.assertNotIn("dueAt", changed.json())

    def test_patch__is_listed_where_methods_are(self):
        answer = self.user.request("POST", "/v1/tasks/" + str(uuid.uuid4()), {})
        self.assertEqual(answer.status, 405)
        self.assertLessEqual({"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}, set(answer.header("Allow").split(", ")))


class Tag(WithUser):
    def test_tag__rises_with_every_change_and_is_on_every_answer(self):
        created = self.user.post("/v1/tasks", {"summary": "s", "taskPriorityCode": "LOW"})
        task = created.json()
        self.assertEqual(created.header("ETag"), '"1"')
        self.assertEqual(self.user.get("/v1/tasks/" + task["id"]).header("ETag"), '"1"')
        self.assertEqual(self.change(task, {"summary": "t"}).header("ETag"), '"2"')
        self.assertEqual(self.user.get("/v1/tasks/" + task["id"]).header("ETag"), '"2"')

    def test_if_none_match__is_304_without_a_body_for_the_version_at_hand(self):
        task = self.user.create_task()
        path = "/v1/tasks/" + task["id"]
        for value in ('"1"', '"7", "1"', 'W/"1"', "*"):
            answer = self.user.get(path, headers=[("If-None-Match", value)])
            self.assertEqual((answer.status, answer.body, answer.header("ETag")), (304, b"", '"1"'), value)
        for value in ('"2"', '"11"', ""):
            self.assertEqual(self.user.get(path, headers=[("If-None-Match", value)]).status, 200, value)
        self.change(task, {"summary": "t"})
        self.assertEqual(self.user.get(path, headers=[("If-None-Match", '"1"')]).status, 200)

    def test_if_match__lets_only_the_stored_version_be_changed(self):
        task = self.user.create_task()
        self.assertEqual(self.change(task, {"summary": "a"}, If_Match='"1"').status, 200)
        stale = self.change(task, {"summary": "b"}, If_Match='"1"')
        self.assertEqual((stale.status, stale.header("Content-Type")), (412, "application/problem+json"))
        self.assertEqual(self.change(task, {"summary": "c"}, If_Match='"1", "2"').status, 200)
        self.assertEqual(self.change(task, {"summary": "d"}, If_Match="*").status, 200)
        for wrong in ('W/"4"', '"x"', "", '"99999999999999999999"', '"04"', '"14"', '"a,b"'):
            self.assertEqual(self.change(task, {"summary": "e"}, If_Match=wrong).status, 412, wrong)
        self.assertEqual(self.user.get("/v1/tasks/" + task["id"]).json()["summary"], "d")

    def test_guards__that_are_no_lists_of_tags_are_400_and_named(self):
        task = self.user.create_task()
        path = "/v1/tasks/" + task["id"]
        for name in ("If-Match", "If-None-Match"):
            for wrong in ("1", '"1', '"1" "2"', 'w/"1"', "W/1", '*, "1"', '"1", *', "**", '"a b"', "x=y"):
                for verb, body in (("GET", None), ("PUT", {"summary": "x"}), ("PATCH", {"summary": "x"}), ("DELETE", None)):
                    answer = self.user.request(verb, path, body, headers=[(name, wrong)])
                    self.assertEqual((answer.status, [error["field"] for error in answer.json()["errors"]]), (400, [name]), (verb, wrong))
        answer = self.user.request("PUT", path, {"summary": ""}, headers=[("If-Match", "1"), ("If-None-Match", "*, *")])
        self.assertEqual({error["field"] for error in answer.json()["errors"]}, {"summary", "If-Match", "If-None-Match"})
        answer = self.user.get("/v1/refdata/taskpriorities", headers=[("If-None-Match", "1")])
        self.assertEqual((answer.status, answer.json()["errors"][0]["field"]), (400, "If-None-Match"))
        self.assertEqual(self.user.get(path).header("ETag"), '"1"')

    def test_if_none_match__on_writes_is_412_for_the_version_at_hand(self):
        task = self.user.create_task()
        path = "/v1/tasks/" + task["id"]
        for verb, body in (("PUT", {"summary": "x"}), ("PATCH", {"summary": "x"}), ("DELETE", None)):
            for value in ("*", '"1"', 'W/"1"', '"7", "1"'):
                answer = self.user.request(verb, path, body, headers=[("If-None-Match", value)])
                self.assertEqual((answer.status, answer.header("Content-Type")), (412, "application/problem+json"), (verb, value))
        self.assertEqual(self.user.get(path).json(), task)
        self.assertEqual(self.change(task, {"summary": "a"}, If_None_Match='"2", "x"').status, 200)
        self.assertEqual(self.change(task, {"summary": "b"}, If_None_Match='"2"').status, 412)
        self.assertEqual(self.change(task, {"summary": "b"}, If_None_Match='"1"', If_Match='"2"').status, 200)
        self.assertEqual(self.change(task, {"summary": "c"}, If_None_Match='"3"', If_Match='"3"').status, 412)
        self.assertEqual(self.user.request("DELETE", path, headers=[("If-None-Match", '"2"')]).status, 204)

    def test_guards__do_not_hide_that_there_is_nothing(self):
        path = "/v1/tasks/" + str(uuid.uuid4())
        for guard in (("If-Match", "*"), ("If-Match", '"1"'), ("If-None-Match", "*"), ("If-None-Match", '"1"')):
            for verb, body in (("GET", None), ("PUT", {"summary": "x"}), ("PATCH", {"summary": "x"}), ("DELETE", None)):
                self.assertEqual(self.user.request(verb, path, body, headers=[guard]).status, 404, (verb, guard))

    def test_guards__come_on_as_many_lines_as_they_like(self):
        task = self.user.create_task()
        path = "/v1/tasks/" + task["id"]
        others = [("If-None-Match", f'"{number}"') for number in range(100, 140)]
        long = ", ".join(f'"{number}"' for number in range(1000, 1040))
        for headers in ([*others, ("If-None-Match", '"1"')], [("If-None-Match", long + ', "1"')], [("If-None-Match", long), ("If-None-Match", '"1"')]):
            self.assertEqual(self.user.get(path, headers=headers).status, 304)
            self.assertEqual(self.user.request("PUT", path, {"summary": "x"}, headers=headers).status, 412)
            matching = [(name.replace("None-", ""), value) for name, value in headers]
            self.assertEqual(self.user.get(path, headers=matching).status, 200)
            self.assertEqual(self.user.get(path, headers=matching[:-1] if len(headers) > 1 else [("If-Match", long)]).status, 412)
        self.assertEqual(self.user.request("PUT", path, {"summary": "x"}, headers=[("If-Match", '"7"'), ("If-Match", '"1"')]).status, 200)

    def test_if_match__guards_reads_too(self):
        task = self.user.create_task()
        path = "/v1/tasks/" + task["id"]
        for value, status in (('"1"', 200), ('"2"', 412), ('W/"1"', 412), ("*", 200), ("", 412)):
            self.assertEqual(self.user.get(path, headers=[("If-Match", value)]).status, status, value)
            self.assertEqual(self.user.request("HEAD", path, headers=[("If-Match", value)]).status, status, value)
        both = [("If-Match", '"2"'), ("If-None-Match", '"1"')]
        self.assertEqual(self.user.get(path, headers=both).status, 412, "If-Match comes first")
        tag = self.user.get("/v1/refdata/taskpriorities").header("ETag")
        for value, status in ((tag, 200), ("W/" + tag, 412), ('"x"', 412)):
            self.assertEqual(self.user.get("/v1/refdata/taskpriorities", headers=[("If-Match", value)]).status, status)
        self.assertEqual(self.user.get("/v1/tasks", headers=[("If-Match", '"1"')]).status, 412, "a list has no tag")
        self.assertEqual(self.user.get("/v1/tasks", headers=[("If-Match", "*")]).status, 200)

    def test_dates__guard_no_write(self):
        task = self.user.create_task()
        path = "/v1/tasks/" + task["id"]
        date = [("If-Unmodified-Since", "Fri, 31 Dec 2100 23:59:59 GMT")]
        for verb, body in (("PUT", {"summary": "x"}), ("PATCH", {"summary": "x"}), ("DELETE", None)):
            answer = self.user.request(verb, path, body, headers=date)
            self.assertEqual(answer.status, 412)
            self.assertIn("If-Unmodified-Since", answer.json()["detail"])
        self.assertEqual(self.user.get(path, headers=date).status, 200)
        self.assertEqual(self.user.request("PUT", path, {"summary": "x"}, headers=[*date, ("If-Match", '"1"')]).status, 200)
        self.assertEqual(self.user.get(path, headers=[("If-Modified-Since", date[0][1]), ("Range", "bytes=0-1")]).status, 200)

    def test_guards__on_what_has_no_version(self):
        body = {"summary": "s", "taskPriorityCode": "LOW"}
        for guard, status in ((("If-None-Match", "*"), 412), (("If-None-Match", '"1"'), 201), (("If-Match", '"1"'), 412),
                              (("If-Match", "*"), 201), (("If-Match", "1"), 400)):
            self.assertEqual(self.user.post("/v1/tasks", body, headers=[guard]).status, status, guard)
        for guard, status in ((("If-None-Match", "*"), 412), (("If-Match", '"1"'), 412), (("If-Match", "x"), 400)):
            self.assertEqual(self.user.request("DELETE", "/v1/users/profile", headers=[guard]).status, status, guard)
            self.assertEqual(self.user.get("/v1/users/profile").status, 200)
        csv = [("Content-Type", "text/csv"), ("If-Match", '"1"')]
        self.assertEqual(self.user.post("/v1/tasks/import", b"summary,taskPriorityCode\na,LOW\n", headers=csv).status, 412)

    def test_if_match__guards_deletes_too(self):
        task = self.user.create_task()
        path = "/v1/tasks/" + task["id"]
        self.assertEqual(self.user.request("DELETE", path, headers=[("If-Match", '"2"')]).status, 412)
        self.assertEqual(self.user.request("DELETE", path, headers=[("If-Match", '"1"')]).status, 204)
        self.assertEqual(self.user.request("DELETE", path, headers=[("If-Match", '"1"')]).status, 404)

    def test_if_match__one_of_many_at_once_wins(self):
        task = self.user.create_task()
        statuses = []

        def change():
            api = module.server.api()
            api.token = self.user.token
            statuses.append(api.request("PUT", "/v1/tasks/" + task["id"], {"summary": "mine"}, headers=[("If-Match", '"1"')]).status)
            api.close()

        run_all([change] * 12)
        self.assertEqual(sorted(statuses), [200] + [412] * 11)


def run_all(targets):
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Idempotency(WithUser):
    body = {"summary": "once", "description": "only", "taskPriorityCode": "HIGH", "dueAt": "2027-03-04T05:06:07.089Z"}

    def create(self, key, body=None, api=None):
        return (api or self.user).post("/v1/tasks", body or self.body, headers=[("Idempotency-Key", key)])

    def count(self):
        return self.user.get("/v1/tasks?page=1").json()["pagination"]["totalItems"]

    def test_key__repeats_the_first_answer(self):
        first = self.create("one")
        self.assertEqual(first.status, 201)
        for form in ("one", '"one"'):
            again = self.create(form)
            self.assertEqual((again.status, again.json()), (201, first.json()))
            self.assertEqual((again.header("Location"), again.header("ETag")), (first.header("Location"), '"1"'))
        self.assertEqual(self.count(), 1)

    def test_key__repeats_it_also_when_the_task_was_changed_or_deleted(self):
        first = self.create("one")
        self.change(first.json(), {"summary": "changed", "description": None})
        self.assertEqual(self.create("one").json(), first.json())
        self.user.request("DELETE", "/v1/tasks/" + first.json()["id"])
        self.assertEqual(self.create("one").json(), first.json())
        self.assertEqual(self.count(), 0)

    def test_key__with_another_payload_is_422(self):
        self.assertEqual(self.create("one").status, 201)
        for body in ({**self.body, "summary": "other"}, {"summary": "once", "taskPriorityCode": "HIGH"}, {**self.body, "isComplete": True}):
            answer = self.create("one", body)
            self.assertEqual((answer.status, answer.header("Content-Type")), (422, "application/problem+json"))
        self.assertEqual(self.create("one", {**self.body, "isComplete": False}).status, 201, "a default said aloud is the same")
        self.assertEqual(self.count(), 1)

    def test_key__belongs_to_its_user(self):
        other = module.server.api().register()
        self.addCleanup(other.close)
        first = self.create("one")
        self.assertNotEqual(self.create("one", api=other).json()["id"], first.json()["id"])

    def test_key__is_not_kept_for_what_failed(self):
        refused = self.create("one", {**self.body, "taskPriorityCode": "NONE"})
        self.assertEqual(refused.status, 400)
        self.assertEqual(self.create("one").status, 201)

    def test_key__has_1_to_255_characters(self):
        for key in ('""', "k" * 256):
            answer = self.create(key)
            self.assertEqual((answer.status, answer.json()["errors"][0]["field"]), (400, "Idempotency-Key"), key)
        self.assertEqual(self.create("k" * 255).status, 201)

    def test_key__that_is_none_is_400_and_named(self):
        for key in ('"one', 'one"', '"o"ne', '"one", "two"', "one, two", '"one";a=1', "\xe4", '"\xe4"', '"a\\b"'):
            answer = self.create(key)
            self.assertEqual((answer.status, answer.json()["errors"][0]["field"]), (400, "Idempotency-Key"), key)
        twice = self.user.post("/v1/tasks", self.body, headers=[("Idempotency-Key", "one"), ("Idempotency-Key", "one")])
        self.assertEqual(twice.status, 400)
        self.assertEqual(self.count(), 0)

    def test_key__is_refused_where_it_would_be_no_guard(self):
        key = [("Idempotency-Key", "one")]
        task = self.create("one").json()
        path = "/v1/tasks/" + task["id"]
        for method, target, body in (("PATCH", path, {"summary": "changed"}), ("POST", "/v1/auth/signout", {}),
                                     ("POST", "/v1/auth/signin", {"username": self.user.user["username"], "password": "wrong"})):
            answer = self.user.request(method, target, body, headers=key)
            self.assertEqual((answer.status, [error["field"] for error in answer.json().get("errors", [])]), (400, ["Idempotency-Key"]), answer)
        self.assertEqual(self.user.get(path).json(), task)
        for method, body in (("GET", None), ("PUT", self.body), ("DELETE", None)):
            self.assertLess(self.user.request(method, path, body, headers=key).status, 300, method)

    def test_key__is_forgotten_after_a_day(self):
        first = self.create("one")
        with module.server.database() as database:
            database.query("UPDATE millrace.idempotency_key SET created_at = now() - interval '25 hours' "
                           f"WHERE user_id = '{self.user.user['id']}'")
        second = self.create("one", {**self.body, "summary": "a new day"})
        self.assertEqual(second.status, 201)
        self.assertNotEqual(second.json()["id"], first.json()["id"])
        self.assertEqual(self.create("one", {**self.body, "summary": "a new day"}).json(), second.json())

    def test_key__twelve_at_once_make_one_row(self):
        answers = []

        def create(port):
            api = support.Api(port)
            api.token = self.user.token
            answers.append(self.create("race", api=api))
            api.close()

        other = module.server.api_process().ready()
        self.addCleanup(other.stop)
        run_all([lambda port=port: create(port) for port in (module.server.port, other.port) * 6])
        self.assertEqual([answer.status for answer in answers], [201] * 12)
        self.assertEqual(len({answer.json()["id"] for answer in answers}), 1)
        self.assertEqual(self.count(), 1)

    def test_key__twelve_in_one_batch_make_one_row(self):
        connections = [module.server.connect() for _ in range(12)]
        request = support.make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {self.user.token}"),
                                                             ("Idempotency-Key", "batch")], self.body)
        with module.server.database() as database, support.TaskLock(database) as lock:
            connections[0].send(request)
            lock.wait_for_waiters()
            for connection in connections[1:]:
                connection.send_and_wait(request)
        answers = [connection.response() for connection in connections]
        for connection in connections:
            connection.close()
        self.assertEqual({answer.status for answer in answers}, {201})
        self.assertEqual(len({answer.json()["id"] for answer in answers}), 1)
        self.assertEqual(self.count(), 1)

    def test_key__makes_one_row_also_when_the_process_is_killed_between(self):
        for turn in range(5):
            server = module.server.api_process().ready()
            request = support.make_request("POST", "/v1/tasks", [("Authorization", f"Bearer {self.user.token}"),
                                                                 ("Idempotency-Key", f"killed-{turn}")], self.body)
            connections = [server.connect() for _ in range(12)]
            before = self.count()
            for connection in connections:
                connection.send(request)
            if turn > 0:
                wait_for(lambda: self.count() > before, 10, "a row is committed")
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            for connection in connections:
                connection.close()
            answer = self.create(f"killed-{turn}")
            self.assertEqual(answer.status, 201)
            self.assertEqual(self.create(f"killed-{turn}").json(), answer.json())
            self.assertEqual(self.count(), before + 1)


if __name__ == "__main__":
    unittest.main()
