"""What the log tells, and what it never tells."""

import json
import unittest

import support

module = support.ModuleServer()


def setUpModule():
    module.start(LOGGING_LEVEL="debug", GATEWAY_REQUEST_TIMEOUT="1s")


def tearDownModule():
    module.stop()


class Log(unittest.TestCase):
    def setUp(self):
        self.user = module.server.api().register()
        self.addCleanup(self.user.close)

    def lines_of(self, request_id):
        return support.wait_for(lambda: [line for line in module.server.logs("request") if line["requestId"] == request_id],
                                5, "the request's line")

    def test_request__has_one_line_with_its_id(self):
        for method, path, status in (("GET", "/v1/users/profile", 200), ("GET", "/nowhere", 404), ("DELETE", "/v1/tasks", 405)):
            answer = self.user.request(method, path, headers=[("X-Request-Id", f"id-{method}-{status}")])
            self.assertEqual(answer.status, status)
            lines = self.lines_of(f"id-{method}-{status}")
            self.assertEqual(len(lines), 1)
            self.assertEqual((lines[0]["status"], lines[0]["level"]), (status, "debug"))
            self.assertGreaterEqual(lines[0]["durationMs"], 0)

    def test_failure__is_louder_and_carries_the_id_of_the_answer(self):
        with module.server.database() as database, support.TaskLock(database):
            answer = self.user.post("/v1/tasks", {"summary": "waits", "taskPriorityCode": "LOW"})
        self.assertEqual(answer.status, 504)
        self.assertEqual(answer.json()["instance"], answer.header("X-Request-Id"))
        self.assertEqual(self.lines_of(answer.header("X-Request-Id"))[0]["level"], "warn")

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
