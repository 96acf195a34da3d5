"""Many users at once: every answer belongs to its asker, and what waits together is answered together."""

import json
import selectors
import socket
import unittest
import uuid

from support import ModuleServer, claims_for, make_request, patience, sign

CONCURRENCY = 128
ROUNDS = 60

module = ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


class Asker:
    """One connection of one user: create a task, get it, list; check that each body is this user's and this request's."""

    def __init__(self, process, user, token):
        self.user = user
        self.bearer = ("Authorization", f"Bearer {token}")
        self.socket = socket.create_connection(("127.0.0.1", process.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = bytearray()
        self.summary = None
        self.task = None
        self.made = 0
        self.kind = None
        self.request_id = None

    def next_request(self, kind):
        self.kind = kind
        self.request_id = uuid.uuid4().hex
        headers = [self.bearer, ("X-Request-Id", self.request_id)]
        if kind == "create":
            self.summary = f"{self.user} {uuid.uuid4()}"
            return make_request("POST", "/v1/tasks", headers, {"summary": self.summary, "taskPriorityCode": "HIGH"})
        if kind == "get":
            return make_request("GET", f"/v1/tasks/{self.task['id']}", headers)
        if kind == "absent":
            return make_request("GET", f"/v1/tasks/{uuid.uuid4()}", headers)
        if kind == "bad":
            return make_request("POST", "/v1/tasks", headers, {"summary": self.user, "taskPriorityCode": "NOPE"})
        return make_request("GET", "/v1/tasks?page=1&pageSize=1", headers)

    def receive(self):
        """True when the answer is whole."""
        self.buffer += self.socket.recv(65536)
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end + 2]).decode("latin-1")
        length = int(head.split("Content-Length: ", 1)[1].split("\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return False
        assert len(self.buffer) == end + 4 + length, "more than one answer"
        body = bytes(self.buffer[end + 4:])
        self.buffer.clear()
        self.check(head, json.loads(body))
        return True

    def check(self, head, body):
        status = int(head.split(" ", 2)[1])
        assert f"X-Request-Id: {self.request_id}\r\n" in head, (self.request_id, head)
        if self.kind == "create":
            assert (status, body["summary"], body["userId"]) == (201, self.summary, self.user), (self.summary, head, body)
            assert f"Location: /v1/tasks/{body['id']}\r\n" in head
            self.task = body
            self.made += 1
        elif self.kind == "get":
            assert (status, body) == (200, self.task), (self.task, head, body)
        elif self.kind == "absent":
            assert (status, body["instance"]) == (404, self.request_id), (head, body)
        elif self.kind == "bad":
            assert (status, body["instance"], body["errors"][0]["field"]) == (400, self.request_id, "taskPriorityCode"), (head, body)
        else:
            assert (status, body["data"], body["pagination"]["totalItems"]) == (200, [self.task], self.made), (head, body)


def users_by_sql(process, count):
    users = [str(uuid.uuid4()) for _ in range(count)]
    rows = ",".join(f"('{user}', '{user}', 'a@b.co', 'a', 'b', 'x')" for user in users)
    with process.database() as database:
        database.query(f"INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash) VALUES {rows}")
    return [(user, sign(claims_for(user))) for user in users]


def drive(askers, kinds_of):
    """Every asker goes through its kinds of request, as fast as it is answered; all of them at the same time."""
    selector = selectors.DefaultSelector()
    left = {}
    # Written before anything is read: all the first requests are under way together.
    first = []
    for number, asker in enumerate(askers):
        left[asker] = kinds_of(number)
        first.append((asker, asker.next_request(next(left[asker]))))
        selector.register(asker.socket, selectors.EVENT_READ, asker)
    for asker, request in first:
        asker.socket.send(request)
    waiting = len(askers)
    while waiting:
        events = selector.select(patience(15))
        assert events, "no answer in time"
        answered = [key.data for key, _ in events if key.data.receive()]
        # Requests are made before they are sent, so that those of one turn arrive close together.
        requests = []
        for asker in answered:
            kind = next(left[asker], None)
            if kind is None:
                waiting -= 1
            else:
                requests.append((asker, asker.next_request(kind)))
        for asker, request in requests:
            asker.socket.send(request)
    selector.close()


def averages(process):
    """Messages per batch of each actor that had any, from what it logs at its end."""
    found = {}
    for entry in process.logs("actor stopped"):
        if entry["batches"]:
            found[entry["actor"]] = entry["messages"] / entry["batches"]
    return found


class Interleaving(unittest.TestCase):
    def run_with(self, concurrency, kinds_of, **settings):
        process = module.server.api_process(**settings).ready()
        self.addCleanup(process.kill)
        users = users_by_sql(module.server, concurrency)
        askers = [Asker(process, user, token) for user, token in users]
        try:
            drive(askers, kinds_of)
        finally:
            for asker in askers:
                asker.socket.close()
        self.assertEqual(process.stop(), 0)
        self.assertEqual(process.logs("handler left a message unanswered"), [])
        self.assertEqual(process.logs("malformed envelope"), [])
        return process

    def test_every_answer_belongs_to_its_asker(self):
        def kinds(number):
            yield "create"
            for turn in range(ROUNDS):
                yield ("get", "absent", "create", "page", "bad")[(turn + number) % 5]

        process = self.run_with(CONCURRENCY, kinds)
        messages = sum(entry["messages"] for entry in process.logs("actor stopped"))
        self.assertGreaterEqual(messages, CONCURRENCY * (ROUNDS + 1))

    def test_with_several_actors_of_each_kind(self):
        def kinds(number):
            yield "create"
            for turn in range(ROUNDS // 2):
                yield ("get", "create", "page", "bad", "absent")[(turn + number) % 5]

        process = self.run_with(CONCURRENCY, kinds, ACTOR_DATA_READER_COUNT=3, ACTOR_DATA_WRITER_COUNT=3, ACTOR_BATCH_MAX=7)
        busy = averages(process)
        for actor in ("data-reader/0", "data-reader/1", "data-reader/2", "data-writer/0", "data-writer/1", "data-writer/2"):
            self.assertIn(actor, busy)
            self.assertLessEqual(busy[actor], 7)

    def test_batches_grow_by_themselves(self):
        def kinds(number):
            for turn in range(ROUNDS):
                yield "create"
            for turn in range(ROUNDS):
                yield "get"

        average = averages(self.run_with(CONCURRENCY, kinds))
        self.assertGreater(average["data-writer/0"], 5, average)
        self.assertGreater(average["data-reader/0"], 5, average)

    def test_one_at_a_time_is_a_batch_of_one(self):
        def kinds(number):
            yield "create"
            for turn in range(100):
                yield ("get", "absent", "create", "page", "bad")[turn % 5]

        average = averages(self.run_with(1, kinds))
        self.assertEqual(set(average.values()), {1.0}, average)


if __name__ == "__main__":
    unittest.main()
