"""What the log tells, and what it never tells."""

import json
import time
import unittest
import uuid

import support

SLOW_MS = 200
ROOM = 1024  # bytes of requests under way at one actor
BURST = 20   # MR_LOG_BURST
module = support.ModuleServer(LOGGING_LEVEL="debug", GATEWAY_REQUEST_TIMEOUT="5s", DB_LOCK_TIMEOUT="60s", LOG_SLOW_MS=SLOW_MS, MAILBOX_MAX_BYTES=ROOM)
setUpModule, tearDownModule = module.start, module.stop


class Log(unittest.TestCase):
    def setUp(self):
        self.user = module.server.api().register()
        self.addCleanup(self.user.close)

    def lines_of(self, request_id):
        return support.wait_for(lambda: [line for line in module.server.logs("request") if line["requestId"] == request_id],
                                5, "the request's line")

    def quick_line(self, method, path, status):
        """The one line of a request that is quick, as most are; on a busy machine one may have to be asked again."""
        def ask():
            request_id = "id-" + uuid.uuid4().hex
            self.assertEqual(self.user.request(method, path, headers=[("X-Request-Id", request_id)]).status, status)
            (line,) = self.lines_of(request_id)
            return line if line["durationMs"] < SLOW_MS else None

        return support.wait_for(ask, 20, "a request is quick")

    def test_request__has_one_line_with_its_id(self):
        for method, path, status in (("GET", "/v1/users/profile", 200), ("GET", "/nowhere", 404), ("DELETE", "/v1/tasks", 405)):
            line = self.quick_line(method, path, status)
            self.assertEqual((line["status"], line["level"]), (status, "debug"))
            self.assertGreaterEqual(line["durationMs"], 0)

    def test_failure__is_louder_and_carries_the_id_of_the_answer(self):
        with module.server.database() as database, support.TaskLock(database):
            answer = self.user.post("/v1/tasks", {"summary": "waits", "taskPriorityCode": "LOW"})
        self.assertEqual(answer.status, 504)
        self.assertEqual(answer.json()["instance"], answer.header("X-Request-Id"))
        self.assertEqual(self.lines_of(answer.header("X-Request-Id"))[0]["level"], "warn")

    def slow_line(self, answer):
        line = self.lines_of(answer.header("X-Request-Id"))[0]
        self.assertEqual(line["traceId"], line["traceparent"].split("-")[1])
        return line

    def test_slow_request__says_where_its_time_went(self):
        self.assertNotIn("gatewayMs", self.quick_line("GET", "/v1/users/profile", 200))
        task = self.user.create_task()
        # Of one key, so they never share a batch.
        patch = support.make_request("PATCH", "/v1/tasks/" + task["id"], [("Authorization", f"Bearer {self.user.token}")], {"summary": "again"})
        with module.server.database() as database, module.server.connect() as first, module.server.connect() as second:
            with support.TaskLock(database) as lock:
                first.send(patch)
                lock.wait_for_waiters()
                second.send_and_wait(patch)
                time.sleep(2 * SLOW_MS / 1000)  # so slow they are to be
            lines = [self.slow_line(one.response()) for one in (first, second)]
        for line in lines:
            self.assertEqual((line["level"], line["op"], line["status"], line["batch"]), ("warn", "task_update", 200, 1))
            parts = line["gatewayMs"] + line["mailboxMs"] + line["databaseMs"]
            self.assertLessEqual(parts, line["durationMs"] + 1)
        self.assertGreater(lines[0]["databaseMs"], lines[0]["mailboxMs"])  # it held the statement that waited for the lock
        self.assertGreater(lines[1]["mailboxMs"], lines[1]["databaseMs"])  # it waited behind that

    def test_slow_request__without_an_answer_has_no_times_of_the_actor(self):
        self.user.create_task()
        with module.server.database() as database:
            pid = int(database.value("SELECT pid FROM pg_stat_activity WHERE application_name = 'data-writer/0'"))
        with support.Frozen([pid]):  # otherwise the server may end the statement just in time
            answer = self.user.post("/v1/tasks", {"summary": "waits", "taskPriorityCode": "LOW"})
        self.assertEqual(answer.status, 504)
        line = self.slow_line(answer)
        self.assertLess(line["gatewayMs"], line["durationMs"])
        self.assertNotIn("databaseMs", line)

    def refusals(self):
        return [line for line in module.server.logs("request") if line["status"] == 503]

    def refuse(self):
        answer = self.user.post("/v1/tasks", {"summary": "long", "description": "x" * ROOM, "taskPriorityCode": "LOW"})
        self.assertEqual(answer.status, 503)

    def test_refusals__cost_no_line_each(self):
        begun = time.monotonic()
        for _ in range(10 * BURST):
            self.refuse()
        seconds = time.monotonic() - begun + 2  # and those of which the first and the last are a part
        self.assertLessEqual(len(self.refusals()), BURST * seconds)
        told = support.wait_for(self.tells_of_all, 10, "a line tells how many were left out")
        self.assertGreaterEqual(told, 10 * BURST)

    def tells_of_all(self):
        """Of the refusals so far, one more included: each has a line, or is counted in the `leftOut` of a later one."""
        self.refuse()
        told = sum(1 + line.get("leftOut", 0) for line in self.refusals())
        return told if told >= 10 * BURST else None

    def test_log__never_holds_a_secret(self):
        password = "a password that must not be told"
        refused = self.user.post("/v1/auth/register", {**support.new_user(), "password": password, "email": "x"}, token=None)
        self.assertEqual(refused.status, 400)
        self.assertNotIn(password, refused.body.decode())
        signed = self.user.post("/v1/auth/signin", {"username": self.user.user["username"], "password": support.PASSWORD}, token=None)
        self.user.post("/v1/auth/signin", {"username": self.user.user["username"], "password": password}, token=None)
        self.user.get("/v1/tasks", token="forged." + signed.json()["accessToken"])
        self.user.create_task(summary="a summary that is nobody's business")
        text = module.server.text()
        for secret in (password, support.PASSWORD, support.SECRET, signed.json()["accessToken"], signed.json()["refreshToken"],
                       "argon2id", "nobody's business"):
            self.assertNotIn(secret, text)
        self.assertNotIn("SELECT", text)

    def test_line__is_json_with_time_level_and_message(self):
        self.user.get("/v1/users/profile")
        for line in list(module.server.lines):
            self.assertLessEqual({"time", "level", "message"}, set(json.loads(line)), line)


if __name__ == "__main__":
    unittest.main()
