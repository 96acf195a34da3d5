"""The gateway at its edges, by raw sockets: framing, limits, timers, pipelining, overload, deadlines."""

import json
import socket
import threading
import time
import unittest
import uuid

import support
from support import (Connection, Frozen, ModuleServer, NoAnswer, TaskLock, make_request, new_user, patience, wait_for)

module = ModuleServer()
server = None
user = None  # an Api, registered and signed in


def setUpModule():
    global server, user
    # A head that is sent byte by byte, each when the one before was read, took up to ten seconds on a busy machine: the default.
    # Tests hold locks for longer than a statement waits for one by default.
    server = module.start(GATEWAY_HEADER_TIMEOUT="10m", GATEWAY_REQUEST_TIMEOUT="60s", DB_LOCK_TIMEOUT="60s")
    user = server.api().register()
    user.close()


def tearDownModule():
    module.stop()


def authorization():
    return ("Authorization", f"Bearer {user.token}")


def task_request(summary="a task", headers=(), **fields):
    return make_request("POST", "/v1/tasks", [authorization(), *headers],
                        {"summary": summary, "taskPriorityCode": "LOW", **fields})


def tasks_named(summary):
    with server.database() as database:
        return database.count("task", f"summary = '{summary}'")


def unique(prefix):
    return prefix + uuid.uuid4().hex


class GatewayTest(unittest.TestCase):
    def connect(self, process=None, **options):
        connection = Connection((process or server).port, **options)
        self.addCleanup(connection.close)
        return connection

    def assert_refused(self, response, status):
        """A framing fault: a problem document, and the end of the connection."""
        self.assertEqual(response.status, status, response)
        self.assertTrue(response.closes, response)
        self.assertEqual(response.header("Content-Type"), "application/problem+json")
        self.assertEqual(response.json()["status"], status)

    def refuse(self, data, *statuses):
        """The bytes are answered with one of the statuses and the connection ends, or it just ends."""
        connection = self.connect()
        connection.send(data)
        try:
            response = connection.response()
        except NoAnswer as answer:
            self.assertIn(answer.how, ("closed", "reset"))
            return None
        self.assertIn(response.status, statuses, response)
        self.assert_refused(response, response.status)
        self.assertEqual(connection.ended(), "closed")
        return response


class Framing(GatewayTest):
    def head(self, *lines, path="/v1/tasks", method="POST"):
        top = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {user.token}",
               "Content-Type: application/json", *lines]
        return ("\r\n".join(top) + "\r\n\r\n").encode()

    def body(self, summary):
        return json.dumps({"summary": summary, "taskPriorityCode": "LOW"}).encode()

    def assert_never_run(self, *lines, status=400, after=b""):
        """A request with these header lines, whole in every other way, makes no row."""
        summary = unique("never")
        body = self.body(summary)
        filled = [line.replace("{length}", str(len(body))) for line in lines]
        response = self.refuse(self.head(*filled) + body + after, status)
        self.assertEqual(tasks_named(summary), 0)
        return response

    def test_one_byte_after_the_body_dispatches_once(self):
        summary = unique("extra")
        connection = self.connect()
        connection.send(task_request(summary) + b"X")
        self.assertEqual(connection.response().status, 201)
        connection.half_close()
        self.assertIn(connection.ended(patience(2)), ("closed", "data"))
        self.assertEqual(tasks_named(summary), 1)

    def test_one_byte_after_the_body_while_the_answer_is_not_ready(self):
        summary = unique("extra")
        connection = self.connect()
        with server.database() as database:
            with TaskLock(database) as lock:
                connection.send(task_request(summary))
                lock.wait_for_waiters()
                for _ in range(3 if support.SANITIZE else 20):  # within the time that a statement may take
                    connection.send_and_wait(b"X")
                self.assertEqual(len(database.query("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'task'::regclass")), 1)
            self.assertEqual(connection.response().status, 201)
            self.assertEqual(database.count("task", f"summary = '{summary}'"), 1)

    def test_bytes_after_the_body_are_the_next_request(self):
        first, second = unique("first"), unique("second")
        connection = self.connect()
        data = task_request(first) + task_request(second)
        connection.send_and_wait(data[:len(task_request(first)) + 1])
        connection.send(data[len(task_request(first)) + 1:])
        self.assertEqual(connection.response().json()["summary"], first)
        self.assertEqual(connection.response().json()["summary"], second)
        self.assertEqual((tasks_named(first), tasks_named(second)), (1, 1))

    def test_length_beside_transfer_encoding(self):
        for lines in (("Content-Length: {length}", "Transfer-Encoding: chunked"),
                      ("Transfer-Encoding: chunked", "Content-Length: {length}"),
                      ("Content-Length: {length}", "Transfer-Encoding: identity")):
            with self.subTest(lines=lines):
                self.assert_never_run(*lines)

    def test_two_lengths(self):
        self.assert_never_run("Content-Length: {length}", "Content-Length: {length}")
        self.assert_never_run("Content-Length: {length}", "Content-Length: 3")
        self.assert_never_run("Content-Length: 3", "Content-Length: {length}")
        self.assert_never_run("Content-Length: {length}", "X-Between: 1", "content-length: {length}")
        self.assert_never_run("Content-Length: {length}, {length}")

    def test_length_that_is_no_plain_number(self):
        for length in ("{length}abc", "+{length}", "-1", "", " ", "0x40", "{length}.0", "{length} 1", "1e2", "{length};",
                       "99999999999999999999999", "18446744073709551617"):
            with self.subTest(length=length):
                self.assert_never_run(f"Content-Length: {length}")

    def test_length_with_zeros_in_front_is_a_number(self):
        summary = unique("zeros")
        body = self.body(summary)
        connection = self.connect()
        connection.send(self.head(f"Content-Length: 00{len(body)}") + body)
        self.assertEqual(connection.response().status, 201)
        self.assertTrue(connection.is_open())

    def test_folded_header(self):
        self.assert_never_run("X-Folded: a\r\n b", "Content-Length: {length}")
        self.assert_never_run("X-Folded: a\r\n\tb", "Content-Length: {length}")
        self.assert_never_run("Content-Length: {length}\r\n 0")
        self.refuse(b"GET /livez HTTP/1.1\r\n Host: localhost\r\n\r\n", 400)

    def test_bare_line_feed(self):
        self.refuse(b"GET /livez HTTP/1.1\nHost: localhost\n\n", 400)
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: localhost\n\r\n", 400)
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\nY: b\r\n\r\n", 400)
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\n", 400)
        self.assert_never_run("X-A: b\nX-C: d", "Content-Length: {length}")

    def test_bare_carriage_return(self):
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400)
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\r\r\n\r\n", 400)
        self.refuse(b"GET /livez\r HTTP/1.1\r\nHost: localhost\r\n\r\n", 400)
        self.refuse(b"\r\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 400)
        self.assert_never_run("X-A: b\rX-C: d", "Content-Length: {length}")
        connection = self.connect()
        connection.send(b"GET /livez HTTP/1.1\rHost: localhost\r\r")
        connection.half_close()
        self.assertEqual(connection.ended(), "closed")

    def test_nul_in_the_head(self):
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400)
        self.refuse(b"GET /live\0z HTTP/1.1\r\nHost: localhost\r\n\r\n", 400)

    def test_host(self):
        self.refuse(b"GET /livez HTTP/1.1\r\n\r\n", 400)
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400)
        self.refuse(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: a\r\n\r\n", 400)
        self.refuse(b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n", 400)

    def assert_one_refusal(self, data, status=400):
        """However much follows, one answer comes, and the end."""
        connection = self.connect()
        connection.send(data)
        self.assert_refused(connection.response(), status)
        self.assertIn(connection.ended(), ("closed", "reset"))

    def test_blank_before_the_colon(self):
        """RFC 9112, 5.1. A field that is not recognised would be absent for us and present for a proxy in front."""
        hidden = unique("hidden")
        inner = task_request(hidden)
        for blank in (" ", "\t", "  ", "\x0b", "\xa0"):
            with self.subTest(blank=blank):
                head = f"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length{blank}: {len(inner)}\r\n\r\n".encode("latin-1")
                self.assert_one_refusal(head + inner)
                head = f"GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding{blank}: chunked\r\n\r\n".encode("latin-1")
                self.assert_one_refusal(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner))
                self.assert_one_refusal(f"GET /livez HTTP/1.1\r\nHost{blank}: localhost\r\n\r\n".encode("latin-1"))
        self.assertEqual(tasks_named(hidden), 0)

    def test_blank_before_the_colon_of_a_guard(self):
        """A guard that is not understood is refused, not passed over."""
        summary = unique("guarded")
        self.assert_one_refusal(task_request(summary, [("Idempotency-Key ", '"once"')]))
        self.assertEqual(tasks_named(summary), 0)
        connection = self.connect()
        connection.send(task_request(summary))
        task = connection.response().json()
        for name in ("If-Match ", "If-None-Match\t", "If-Unmodified-Since "):
            self.assert_one_refusal(make_request("DELETE", f"/v1/tasks/{task['id']}", [authorization(), (name, '"99"')]))
        self.assertEqual(tasks_named(summary), 1)

    def test_names_that_are_no_token(self):
        for name in (b"X(y)", b"X,Y", b"X/Y", b"X@Y", b'"X"', b"X\x01", b"X\x7f", b"\xe9", b"X Y"):
            with self.subTest(name=name):
                self.assert_one_refusal(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n%s: 1\r\n\r\n" % name)

    def test_values_with_control_bytes(self):
        for byte in b"\x01\x07\x08\x0b\x0c\x1b\x7f":
            with self.subTest(byte=byte):
                self.assert_one_refusal(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a%cb\r\n\r\n" % byte)
                self.assert_one_refusal(b"GET /livez HTTP/1.1\r\nHost: local%chost\r\n\r\n" % byte)

    def test_hosts_that_are_none(self):
        for host in ("user@localhost", "a, b", "a,b", "[::1", "a b", "a/b", "localhost:80:80", "localhost:http", "<a>"):
            with self.subTest(host=host):
                self.assert_one_refusal(f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        for host in ("[::1]:3000", "localhost:", "example.com"):
            self.assertEqual(self.connect().request("GET", "/livez", host=host).status, 200)

    def test_targets_with_other_bytes(self):
        for byte in b'"<>\\^`{|}[]\x01\x7f\x80\xff':
            with self.subTest(byte=byte):
                self.assert_one_refusal(b"GET /livez?a=%c HTTP/1.1\r\nHost: localhost\r\n\r\n" % byte)
                self.assert_one_refusal(b"GET /liv%cez HTTP/1.1\r\nHost: localhost\r\n\r\n" % byte)

    def test_fields_that_stand_once(self):
        summary = unique("twice")
        other = ("Authorization", "Bearer x")
        for headers in ([authorization()], [other], [("Content-Type", "application/json")] * 2,
                        [("Idempotency-Key", '"a"'), ("Idempotency-Key", '"b"')]):
            with self.subTest(headers=headers):
                self.assert_one_refusal(task_request(summary, headers))
        self.assertEqual(tasks_named(summary), 0)

    def test_expectations_that_are_not_known(self):
        self.assert_one_refusal(make_request("GET", "/livez", [("Expect", "the-unexpected")]), 417)

    def test_lower_case_method(self):
        """Methods are case-sensitive (RFC 9110, 9.1): these are others, that no resource takes."""
        self.refuse(b"get /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 405)
        connection = self.connect()
        self.assertEqual(connection.request("post", "/v1/tasks", [authorization()], b"").status, 405)
        self.assertTrue(connection.is_open())

    def test_other_versions(self):
        for version in ("HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/1.10", "HTTP/11", "http/1.1", "HTTPS/1.1", "ICY/1.0"):
            with self.subTest(version=version):
                self.refuse(f"GET /livez {version}\r\nHost: localhost\r\n\r\n".encode(), 400)
        self.refuse(b"GET /livez\r\n\r\n", 400)
        self.refuse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 404, 405)

    def chunks(self, body, *sizes):
        """The body in chunks of these sizes, over and over."""
        out, at, turn = b"", 0, 0
        while at < len(body):
            piece = body[at:at + sizes[turn % len(sizes)]]
            out += b"%x\r\n%s\r\n" % (len(piece), piece)
            at, turn = at + len(piece), turn + 1
        return out + b"0\r\n\r\n"

    def test_chunked_body(self):
        for sizes in ((10**6,), (1,), (7, 1, 20)):
            with self.subTest(sizes=sizes):
                first, second = unique("chunked"), unique("next")
                connection = self.connect()
                connection.send(self.head("Transfer-Encoding: chunked") + self.chunks(self.body(first), *sizes) + task_request(second))
                self.assertEqual(connection.response().json()["summary"], first)
                self.assertEqual(connection.response().json()["summary"], second)
                self.assertTrue(connection.is_open())

    def test_chunked_body_byte_by_byte(self):
        summary = unique("trickled")
        connection = self.connect()
        for byte in self.head("Transfer-Encoding: chunked") + self.chunks(self.body(summary), 9) + make_request("GET", "/livez"):
            connection.send(bytes([byte]))
        self.assertEqual(connection.response().json()["summary"], summary)
        self.assertEqual(connection.response().status, 200)

    def test_chunked_body_over_the_limit(self):
        """The limit holds while it comes: nothing says beforehand how long it will be."""
        connection = self.connect()
        connection.send(self.head("Transfer-Encoding: chunked"))
        sent = 0
        try:
            while sent < 4 << 20:
                connection.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
                sent += 65536
        except OSError:
            pass
        self.assert_refused(connection.response(), 413)

    def test_chunked_bodies_that_are_malformed_make_no_row_and_end_the_connection(self):
        summary, hidden = unique("malformed"), unique("hidden")
        body = self.body(summary)
        whole = b"%x\r\n%s\r\n" % (len(body), body)
        for chunks in (whole + b"0\r\n\n", whole + b"0\n\n", whole.replace(b"\r\n", b"\n"), b"0x" + whole + b"0\r\n\r\n",
                       b"+" + whole + b"0\r\n\r\n", b" " + whole + b"0\r\n\r\n", whole[:-2] + b"0\r\n\r\n", whole + b"-1\r\n\r\n",
                       whole + b"fffffffffffffffff\r\n", whole + b"0\r\nContent-Length : 3\r\n\r\n", whole + b"0;a=\n\r\n\r\n",
                       whole + b"0\r\nGET / HTTP/1.1\r\n\r\n"):
            with self.subTest(chunks=chunks):
                self.assert_one_refusal(self.head("Transfer-Encoding: chunked") + chunks + task_request(hidden))
        self.assertEqual((tasks_named(summary), tasks_named(hidden)), (0, 0))

    def test_transfer_codings_that_are_not_read(self):
        summary = unique("coded")
        for coding in ("gzip, chunked", "identity", "xchunked", "chunked, chunked", "chunked, identity", "chunked;a=b", ""):
            with self.subTest(coding=coding):
                self.assert_never_run(f"Transfer-Encoding: {coding}", status=501)
                self.assert_one_refusal(self.head(f"Transfer-Encoding: {coding}") + self.chunks(self.body(summary), 100), 501)
        self.assert_never_run("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
        self.assertEqual(tasks_named(summary), 0)

    def test_chunked_body_of_http_1_0(self):
        summary = unique("old")
        head = self.head("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0")
        self.assert_one_refusal(head + self.chunks(self.body(summary), 100), 411)
        self.assertEqual(tasks_named(summary), 0)

    def test_request_hidden_in_a_chunked_body_never_runs(self):
        hidden = unique("hidden")
        inner = task_request(hidden)
        for method, path, status in (("POST", "/v1/tasks", 400), ("GET", "/livez", 200)):
            data = self.head("Transfer-Encoding: chunked", method=method, path=path) + self.chunks(inner, len(inner))
            connection = self.connect()
            head_end = data.index(b"\r\n\r\n") + 4
            connection.send_and_wait(data[:head_end])
            connection.send(data[head_end:])
            self.assertEqual(connection.response().status, status)
            self.assertTrue(connection.is_open())
        self.assertEqual(tasks_named(hidden), 0)

    def test_post_with_neither_length_nor_encoding(self):
        summary, next_one = unique("bodyless"), unique("next")
        connection = self.connect()
        connection.send(self.head() + self.body(summary) + task_request(next_one))
        response = connection.response()
        self.assertEqual(response.status, 400, response)
        self.assertTrue(response.closes)
        self.assertEqual(connection.ended(), "closed")
        self.assertEqual((tasks_named(summary), tasks_named(next_one)), (0, 0))

    def test_body_of_a_get_is_read_over(self):
        connection = self.connect()
        inner = task_request("never")
        connection.send(make_request("GET", "/livez", [], inner) + make_request("GET", "/nothing"))
        self.assertEqual([connection.response().status for _ in range(2)], [200, 404])

    def test_one_empty_line_before_a_request(self):
        connection = self.connect()
        connection.send(b"\r\n" + make_request("GET", "/livez"))
        self.assertEqual(connection.response().status, 200)
        connection.send(b"\r\n\r\n" + make_request("GET", "/livez"))
        self.assertEqual(connection.response().status, 400)

    def test_headers_named_like_the_beginning_of_known_ones(self):
        connection = self.connect()
        for name in ("X", "If", "X-Forwarded", "H", "Hos", "Content", "Content-", "Content-Lengt", "Transfer", "Upgrad",
                     "Connectio", "A", "Sec", "Sec-WebSocket", ":a"[1:]):
            for value in ("", "v"):
                with self.subTest(name=name, value=value):
                    self.assertEqual(connection.get("/livez", [(name, value)]).status, 200)
        self.assertTrue(connection.is_open())

    def test_absolute_target(self):
        connection = self.connect()
        self.assertEqual(connection.get("http://localhost/livez?a=b").status, 200)
        self.assertEqual(connection.get("http://localhost/nothing").status, 404)
        self.refuse(b"GET livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 400)
        self.refuse(b"GET /livez#part HTTP/1.1\r\nHost: localhost\r\n\r\n", 400)
        self.refuse(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, 405)

    def test_garbage(self):
        for data in (b"A" * 12000, bytes(range(256)) * 48, b"\xff" * 12000, b"\0" * 12000, b"\r\n" * 6000,
                     b"GET " * 3000, b"\n" * 12000):
            with self.subTest(data=data[:16]):
                self.refuse(data, 400, 405, 414, 431)
        self.assertTrue(self.connect().is_open())


class Targets(GatewayTest):
    def test_unknown_method(self):
        for method in ("BREW", "FOO", "PROPFIND", "LOCK", "X"):
            with self.subTest(method=method):
                response = self.connect().request(method, "/v1/tasks")
                self.assertEqual(response.status, 405, response)
                self.assertEqual(set(response.header("Allow").split(", ")), {"OPTIONS", "GET", "HEAD", "POST"})
                self.assertEqual(response.header("Content-Type"), "application/problem+json")

    def test_unknown_method_on_an_unknown_path(self):
        self.assertEqual(self.connect().request("BREW", "/pot").status, 404)

    def test_options_star(self):
        response = self.connect().request("OPTIONS", "*")
        self.assertEqual(response.status, 204)
        self.assertIn("GET", response.header("Allow"))
        self.refuse(b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400)

    def test_broken_escapes(self):
        connection = self.connect()
        for target in ("/v1/tasks/%zz", "/v1/tasks/%4", "/v1/tasks/%", "/v1/tasks?limit=%zz", "/v1/tasks?cursor=%2",
                       "/v1/tasks?page=1&pageSize=%g0", "/%zz", "/livez?x=%zz", "/v1/tasks?unknown=%zz", "/v1/%zz?x=1"):
            with self.subTest(target=target):
                self.assertEqual(connection.get(target, [authorization()]).status, 400)
                connection = self.connect()

    def test_escaped_nul(self):
        for target in ("/v1/tasks/%00", "/v1/tasks/a%00b", "/v1/tasks?limit=1%00", "/v1/tasks?cursor=%00", "/a%00b",
                       "/livez%00", "/livez?q=%00", "/v1/tasks?q=%00"):
            with self.subTest(target=target):
                response = self.connect().get(target, [authorization()])
                self.assertEqual(response.status, 400, response)

    def test_paths_that_only_look_like_others(self):
        task = self.connect()
        task.send(task_request())
        task_id = task.response().json()["id"]
        connection = self.connect()
        for target in ("/v1/tasks/", "//v1/tasks", "/v1//tasks", "/v1/tasks//", "//", "/", "/v1/./tasks", "/v1/x/../tasks",
                       "/v1/x/..%2ftasks", "/v1/tasks/..%2f..%2flivez", "/v1%2ftasks", "/v1/tasks%2f" + task_id,
                       "/V1/tasks", "/v1/Tasks", "/v1/tasks;a=b", "/livez/", "//livez", "/%6civez", "/v1/tasks/%2e%2e",
                       f"/v1/tasks/{task_id}/", f"/v1/tasks/./{task_id}", f"/v1/tasks//{task_id}", "/v1/tasks\\",
                       f"//v1/tasks/{task_id}", "/v1/tasks/..;/livez"):
            with self.subTest(target=target):
                response = connection.get(target, [authorization()])
                self.assertIn(response.status, (400, 404), response)
                self.assertNotIn(task_id.encode(), response.body.replace(target.encode(), b""))
                if response.closes:
                    connection = self.connect()
        self.assertEqual(self.connect().get("//livez").status, 404)
        self.assertEqual(self.connect().get("/v1/tasks/..%2flivez", [authorization()]).status, 400)

    def test_an_escaped_id_is_the_id(self):
        connection = self.connect()
        connection.send(task_request())
        task_id = connection.response().json()["id"]
        escaped = "".join(f"%{ord(c):02x}" for c in task_id)
        self.assertEqual(connection.get(f"/v1/tasks/{escaped}", [authorization()]).json()["id"], task_id)
        self.assertEqual(connection.get(f"/v1/tasks/{task_id.upper()}", [authorization()]).json()["id"], task_id)

    def test_upgrade_is_never_granted(self):
        websocket = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Protocol", "millrace")]
        h2c = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")]
        for headers in (websocket, h2c, [("Connection", "Upgrade"), ("Upgrade", "anything")]):
            for token in ([], [authorization()]):
                for path, expected in (("/livez", 200), ("/v1/tasks", 200 if token else 401), ("/", 404)):
                    with self.subTest(upgrade=headers[1], path=path, token=bool(token)):
                        connection = self.connect()
                        self.assertEqual(connection.get(path, headers + token).status, expected)
                        self.assertEqual(connection.get("/livez").status, 200)


class Limits(GatewayTest):
    def test_header_block_over_16_kib(self):
        response = self.refuse(make_request("GET", "/livez", [("X-Large", "a" * 20 * 1024)]), 431)
        self.assertIsNotNone(response)
        response = self.refuse(make_request("GET", "/livez", [(f"X-{i}", "a" * 1000) for i in range(20)]), 431)
        self.assertIsNotNone(response)

    def test_header_block_of_nearly_16_kib(self):
        response = self.connect().get("/livez", [(f"X-{i}", "a" * 1000) for i in range(15)])
        self.assertEqual(response.status, 200)

    def test_target_over_8_kib(self):
        for size in (8192 + 1, 9 * 1024, 20 * 1024):
            with self.subTest(size=size):
                self.assertIsNotNone(self.refuse(make_request("GET", "/" + "a" * (size - 1)), 414))
        self.assertIsNotNone(self.refuse(make_request("GET", "/livez?" + "a" * 9 * 1024), 414))

    def test_lines_without_an_end_are_refused_at_the_limit(self):
        """Not kept until the timer: what has come in is over the limit already."""
        self.assertIsNotNone(self.refuse(b"GET /" + b"a" * 12000, 414))
        self.assertIsNotNone(self.refuse(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20000, 431))

    def test_target_of_8_kib(self):
        self.assertEqual(self.connect().get("/" + "a" * 8191).status, 404)
        self.assertEqual(self.connect().get("/livez?" + "a" * (8192 - 7)).status, 200)

    def test_number_of_headers(self):
        self.assertEqual(self.connect().get("/livez", [(f"X-{i}", "v") for i in range(99)]).status, 200)
        self.assertIsNotNone(self.refuse(make_request("GET", "/livez", [(f"X-{i}", "v") for i in range(100)]), 431))
        self.assertIsNotNone(self.refuse(make_request("GET", "/livez", [("X", "")] * 1000), 431))

    def test_body_limit_to_the_byte(self):
        def body_of(size):
            return json.dumps({"summary": "s", "taskPriorityCode": "LOW", "pad": ""}).encode()[:-2] + \
                b"a" * (size - len(json.dumps({"summary": "s", "taskPriorityCode": "LOW", "pad": ""}))) + b'"}'

        head = [authorization(), ("Content-Type", "application/json")]
        most = 1 << 20
        self.assertEqual(len(body_of(most)), most)
        self.assertEqual(self.connect().request("POST", "/v1/tasks", head, body_of(most)).status, 201)
        response = self.refuse(make_request("POST", "/v1/tasks", head, body_of(most + 1)), 413)
        self.assertIsNotNone(response)

    def test_the_longest_description_fits_however_it_is_written(self):
        for text, escaped in (("\u6f22" * 65536, False), ("\u6f22" * 65536, True), ("\U00020000" * 65536, True)):
            with self.subTest(text=text[0], escaped=escaped):
                body = json.dumps({"summary": "long", "taskPriorityCode": "LOW", "description": text}, ensure_ascii=escaped)
                response = self.connect().request("POST", "/v1/tasks", [authorization(), ("Content-Type", "application/json")],
                                                  body.encode())
                self.assertEqual(response.status, 201, response.body[:200])
                self.assertEqual(response.json()["description"], text)

    def test_early_413_is_readable_while_the_body_is_sent(self):
        body = b"x" * 2048 * 1024
        data = make_request("POST", "/v1/tasks", [authorization(), ("Content-Type", "application/json")], body)
        for _ in range(5):
            connection = self.connect()
            connection.send(data)  # all of it, before anything is read
            response = connection.response()
            self.assert_refused(response, 413)
            self.assertEqual(connection.ended(), "closed")

    def test_early_413_is_readable_however_slowly_the_body_is_sent(self):
        """By a client that sends all of it, over a slow link, before it reads: three seconds, which is more than the server waits in silence."""
        connection = self.connect()
        connection.send(make_request("POST", "/v1/tasks", [authorization(), ("Content-Length", str(10**7))]))
        for _ in range(30):
            connection.send(b"x" * 1000)
            time.sleep(0.1)
        self.assert_refused(connection.response(), 413)
        self.assertEqual(connection.ended(), "closed")

    def test_413_comes_before_the_body(self):
        connection = self.connect()
        connection.send(make_request("POST", "/v1/tasks", [authorization(), ("Content-Length", str(10**12))]))
        self.assert_refused(connection.response(), 413)
        connection.half_close()
        self.assertEqual(connection.ended(), "closed")


class KeepAlive(GatewayTest):
    def test_http_1_0(self):
        connection = self.connect()
        connection.send(b"GET /livez HTTP/1.0\r\n\r\n")
        response = connection.response()
        self.assertEqual(response.status, 200)
        self.assertTrue(response.closes)
        self.assertEqual(connection.ended(), "closed")

    def test_http_1_0_with_keep_alive(self):
        connection = self.connect()
        for _ in range(3):
            connection.send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = connection.response()
            self.assertEqual((response.status, response.closes), (200, False))
            self.assertEqual(response.header("Connection"), "keep-alive")  # which HTTP/1.0 has to be told
        self.assertTrue(connection.is_open())

    def test_http_1_0_gets_no_interim_answer(self):
        summary = unique("old")
        data = task_request(summary, [("Expect", "100-continue")]).replace(b"HTTP/1.1", b"HTTP/1.0")
        at = data.index(b"\r\n\r\n") + 4
        connection = self.connect()
        connection.send_and_wait(data[:at])
        connection.send(data[at:])
        self.assertEqual(connection.response().status, 201)

    def test_http_1_1_is_told_nothing_it_knows(self):
        self.assertIsNone(self.connect().get("/livez").header("Connection"))

    def test_connection_close(self):
        for value in ("close", "Close", "x, close", "keep-alive, close", "close ,x"):
            with self.subTest(value=value):
                connection = self.connect()
                response = connection.get("/livez", [("Connection", value)])
                self.assertEqual((response.status, response.closes), (200, True))
                self.assertEqual(connection.ended(), "closed")

    def test_close_ends_what_was_pipelined_behind_it(self):
        never = unique("never")
        connection = self.connect()
        connection.send(make_request("GET", "/livez", [("Connection", "close")]) + task_request(never))
        self.assertEqual(connection.response().status, 200)
        self.assertEqual(connection.ended(), "closed")
        self.assertEqual(tasks_named(never), 0)

    def test_errors_of_the_application_keep_the_connection(self):
        connection = self.connect()
        for method, path, body, status in (("GET", "/nothing", None, 404), ("GET", "/v1/tasks", None, 401),
                                           ("POST", "/v1/auth/register", {}, 400), ("DELETE", "/livez", None, 405)):
            response = connection.request(method, path, body=body)
            self.assertEqual((response.status, response.closes), (status, False))
        self.assertTrue(connection.is_open())

    def test_expect_100_continue(self):
        summary = unique("continue")
        data = task_request(summary, [("Expect", "100-continue")])
        at = data.index(b"\r\n\r\n") + 4
        connection = self.connect()
        connection.send(data[:at])
        self.assertEqual(connection.response().status, 100)
        connection.send(data[at:])
        self.assertEqual(connection.response().status, 201)
        self.assertTrue(connection.is_open())

    def test_expect_with_a_body_that_is_too_large(self):
        connection = self.connect()
        connection.send(make_request("POST", "/v1/tasks", [("Expect", "100-continue"), ("Content-Length", "2000000")]))
        self.assert_refused(connection.response(), 413)

    def test_expect_when_the_body_is_already_there(self):
        connection = self.connect()
        connection.send(task_request("here already", [("Expect", "100-continue")]))
        response = connection.response()
        if response.status == 100:
            response = connection.response()
        self.assertEqual(response.status, 201)

    def test_head_wherever_get_works(self):
        connection = self.connect()
        connection.send(task_request())
        task_id = connection.response().json()["id"]
        for path in ("/livez", "/readyz", "/v1/health", "/health", "/v1/tasks", "/v1/tasks?page=1",
                     f"/v1/tasks/{task_id}", f"/v1/tasks/{uuid.uuid4()}", "/v1/tasks/x", "/nothing", "/v1/auth/signin"):
            with self.subTest(path=path):
                full = connection.request("GET", path, [authorization()])
                head = connection.request("HEAD", path, [authorization()])
                self.assertEqual(head.body, b"")
                self.assertEqual(head.status, full.status)
                ignored = ("date", "x-request-id")
                self.assertEqual([h for h in head.headers if h[0].lower() not in ignored],
                                 [h for h in full.headers if h[0].lower() not in ignored])
        self.assertTrue(connection.is_open())

    def test_client_gone_before_its_answer(self):
        summary = unique("gone")
        with server.database() as database:
            with TaskLock(database) as lock:
                for leave in (Connection.close, Connection.abort, Connection.half_close):
                    connection = self.connect()
                    connection.send(task_request(summary))
                    connection.send_and_wait(make_request("GET", "/livez"))
                    leave(connection)
                lock.wait_for_waiters()
            wait_for(lambda: database.count("task", f"summary = '{summary}'") == 3, 5, "the tasks are made all the same")
        self.assertTrue(self.connect().is_open())
        connection = self.connect()
        connection.send(task_request(unique("after")))
        self.assertEqual(connection.response().status, 201)


class HalfClosed(GatewayTest):
    """RFC 9112, 9.6: who has sent a request and shuts down the sending side waits for the answer."""

    def test_an_answer_at_once(self):
        connection = self.connect()
        connection.send(make_request("GET", "/livez"))
        connection.half_close()
        self.assertEqual(connection.response().status, 200)
        self.assertEqual(connection.ended(), "closed")

    def test_an_answer_that_takes_its_time(self):
        summary = unique("half")
        connection = self.connect()
        with server.database() as database:
            with TaskLock(database) as lock:
                connection.send(task_request(summary))
                connection.half_close()
                lock.wait_for_waiters()
            response = connection.response()
        self.assertEqual((response.status, response.json()["summary"]), (201, summary))
        self.assertEqual(connection.ended(), "closed")

    def test_every_request_that_was_sent_whole_is_answered(self):
        connection = self.connect()
        summaries = [unique(f"{i}-") for i in range(20)]
        connection.send(b"".join(task_request(summary) for summary in summaries) + b"GET /livez HTT")
        connection.half_close()
        self.assertEqual([connection.response().json()["summary"] for _ in summaries], summaries)
        self.assertEqual(connection.ended(), "closed")

    def test_while_the_answer_waits_no_cpu_is_burnt(self):
        connections = [self.connect() for _ in range(5)]
        with server.database() as database:
            with TaskLock(database) as lock:
                for connection in connections:
                    connection.send(task_request("half"))
                    connection.half_close()
                lock.wait_for_waiters()
                before, started = server.cpu_seconds(), time.monotonic()
                wait_for(lambda: time.monotonic() - started > 1.0, 2, "a second passes")
                self.assertLess(server.cpu_seconds() - before, 0.3 * patience(1))
        for connection in connections:
            self.assertEqual(connection.response().status, 201)

    def test_a_body_that_is_cut_off_is_refused(self):
        summary = unique("cut")
        data = task_request(summary)
        connection = self.connect()
        connection.send(data[:-1])
        connection.half_close()
        self.assert_refused(connection.response(), 400)
        self.assertEqual(connection.ended(), "closed")
        self.assertEqual(tasks_named(summary), 0)

    def test_a_head_that_is_cut_off_just_ends(self):
        for data in (b"", b"GET", make_request("GET", "/livez")[:-1]):
            connection = self.connect()
            connection.send(data)
            connection.half_close()
            self.assertEqual(connection.ended(), "closed")

    def test_a_big_answer_is_taken_slowly(self):
        owner = server.api().register()
        with server.database() as database:
            database.query("INSERT INTO task (id, user_id, summary, description, priority_code) SELECT gen_random_uuid(), "
                           f"'{owner.user['id']}', 'big ' || n, repeat('x', 700), 'LOW' FROM generate_series(1, 800) n")
        connection = self.connect(receive_buffer=4096)
        connection.send(make_request("GET", "/v1/tasks", [("Authorization", f"Bearer {owner.token}")]))
        connection.half_close()
        self.assertEqual(len(connection.response().json()), 800)
        self.assertEqual(connection.ended(), "closed")
        # The kernel takes the answer in many pieces.
        connection = self.connect(receive_buffer=4096, segment=1400)
        for _ in range(2):
            connection.send(make_request("GET", "/v1/tasks", [("Authorization", f"Bearer {owner.token}")]))
            self.assertEqual(len(connection.response().json()), 800)
        self.assertTrue(connection.is_open())
        owner.close()


class Pipelining(GatewayTest):
    def test_many_requests_in_one_write_are_answered_in_order(self):
        connection = self.connect()
        paths = [("GET", "/livez"), ("GET", "/v1/tasks?limit=1"), ("GET", "/nothing"), ("HEAD", "/v1/tasks?limit=1"),
                 ("GET", f"/v1/tasks/{uuid.uuid4()}"), ("OPTIONS", "/livez"), ("GET", "/v1/health")]
        wanted = [200, 200, 404, 200, 404, 204, 200]
        rounds = 60
        data = b"".join(make_request(method, path, [authorization(), ("X-Request-Id", f"{i}-{j}")])
                        for i in range(rounds) for j, (method, path) in enumerate(paths))
        sender = threading.Thread(target=connection.send, args=(data,))
        sender.start()
        for i in range(rounds):
            for j, (method, _) in enumerate(paths):
                response = connection.response(head=method == "HEAD")
                self.assertEqual((response.status, response.header("X-Request-Id")), (wanted[j], f"{i}-{j}"))
        sender.join()

    def test_mixed_writes_are_answered_in_order(self):
        connection = self.connect()
        summaries = [unique(f"{i}-") for i in range(50)]
        connection.send(b"".join(task_request(summary) for summary in summaries))
        self.assertEqual([connection.response().json()["summary"] for _ in summaries], summaries)

    def test_waiting_pipelined_requests_burn_no_cpu(self):
        connections = [self.connect() for _ in range(3)]
        summary = unique("slow")
        with server.database() as database:
            with TaskLock(database) as lock:
                # Posts only: their mailbox is the one that waits.
                connections[0].send(task_request(summary))
                lock.wait_for_waiters()
                for connection in connections:
                    connection.send_and_wait(task_request(summary) + make_request("GET", "/livez") * 30 + b"GET /li")
                before, started = server.cpu_seconds(), time.monotonic()
                wait_for(lambda: time.monotonic() - started > 1.0, 2, "a second passes")
                spent = server.cpu_seconds() - before
            self.assertLess(spent, 0.3 * patience(1), "processor time while nothing could be done")
        for connection, posts in zip(connections, (2, 1, 1)):
            self.assertEqual([connection.response().status for _ in range(posts + 30)], [201] * posts + [200] * 30)
            connection.send(b"vez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(connection.response().status, 200)

    def test_a_full_pipeline_behind_a_slow_request_burns_no_cpu_and_is_bounded(self):
        connection = self.connect()
        request = make_request("GET", "/livez", [("X-Padding", "a" * 4000)])
        with server.database() as database:
            with TaskLock(database) as lock:
                connection.send(task_request("slow"))
                lock.wait_for_waiters()
                connection.socket.settimeout(0.5)
                sent = 0
                memory = server.resident_bytes()
                try:
                    while sent < 64 << 20:
                        sent += connection.socket.send(request * 16)
                except TimeoutError:
                    pass
                self.assertLess(sent, 32 << 20, "the server reads on without end")
                self.assertLess(server.resident_bytes() - memory, 8 << 20)
                before, started = server.cpu_seconds(), time.monotonic()
                wait_for(lambda: time.monotonic() - started > 0.5, 2, "half a second passes")
                self.assertLess(server.cpu_seconds() - before, 0.2 * patience(1))
        connection.socket.settimeout(connection.timeout)
        rest = len(request) - sent % len(request)
        reader = threading.Thread(target=connection.send, args=(request[len(request) - rest:] if rest < len(request) else b"",))
        reader.start()
        self.assertEqual(connection.response().status, 201)
        for _ in range(-(-sent // len(request))):
            self.assertEqual(connection.response().status, 200)
        reader.join()
        self.assertTrue(connection.is_open())

    def test_a_client_that_never_reads_is_stopped(self):
        connection = self.connect(receive_buffer=4096)
        memory = server.resident_bytes()
        sent, block = 0, b""
        request = make_request("GET", "/livez", [("X-Padding", "a" * 700)])
        connection.socket.settimeout(1)
        try:
            while sent < 64 << 20:
                block = block or request * 256
                count = connection.socket.send(block)
                sent += count
                block = block[count:]
        except TimeoutError:
            pass
        self.assertLess(sent, 32 << 20, "the server reads on without end")
        self.assertLess(server.resident_bytes() - memory, 8 << 20)
        self.assertTrue(self.connect().is_open())
        connection.socket.settimeout(connection.timeout)
        for _ in range(sent // len(request)):
            self.assertEqual(connection.response().status, 200)
        if sent % len(request):
            connection.send(request[sent % len(request):])
            self.assertEqual(connection.response().status, 200)
        self.assertTrue(connection.is_open())

    def test_every_split_of_a_request_gives_the_same_answer(self):
        connection = self.connect()
        request = make_request("POST", "/v1/auth/register", [("X-Request-Id", "split")],
                               {"firstName": "", "username": "ab"})
        connection.send(request)
        wanted = connection.response()
        self.assertEqual(wanted.status, 400)
        for at in range(1, len(request)):
            connection.send_and_wait(request[:at])
            connection.send(request[at:])
            got = connection.response()
            self.assertEqual((got.status, got.body), (wanted.status, wanted.body), f"split at {at}")

    def test_a_request_byte_by_byte(self):
        connection = self.connect()
        summary = unique("bytes")
        for byte in task_request(summary):
            connection.send_and_wait(bytes([byte]))
        self.assertEqual(connection.response().status, 201)
        self.assertEqual(tasks_named(summary), 1)

    def test_every_split_of_two_pipelined_requests(self):
        connection = self.connect()
        both = make_request("GET", "/livez") + make_request("GET", "/nothing")
        for at in range(1, len(both)):
            connection.send_and_wait(both[:at])
            connection.send(both[at:])
            self.assertEqual([connection.response().status for _ in range(2)], [200, 404], f"split at {at}")


class Delivery(GatewayTest):
    def test_no_wake_up_is_lost(self):
        """ZMQ_FD has only edges: a lost one would leave a request until the next tick or longer."""
        errors = []
        slowest = []

        def ask(path, count):
            latencies = []
            with Connection(server.port) as connection:
                for _ in range(count):
                    watch = support.Stopwatch()
                    response = connection.get(path, [authorization()])
                    latencies.append(watch.seconds())
                    if response.status not in (200, 404):
                        errors.append(response)
            slowest.append(max(latencies))

        path = f"/v1/tasks/{uuid.uuid4()}"
        threads = [threading.Thread(target=ask, args=(path, 700)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(len(slowest), 6)
        self.assertLess(max(slowest), patience(1.0))

    def test_a_slow_reader_of_a_big_list_gets_it_all(self):
        owner = server.api().register()
        with server.database() as database:
            database.query("INSERT INTO task (id, user_id, summary, description, priority_code) SELECT gen_random_uuid(), "
                           f"'{owner.user['id']}', 'big ' || n, repeat('x', 700), 'LOW' FROM generate_series(1, 800) n")
        connection = self.connect(receive_buffer=4096)
        connection.send(make_request("GET", "/v1/tasks", [("Authorization", f"Bearer {owner.token}")]) +
                        make_request("GET", "/livez"))
        wait_for(connection.was_read, 5, "the request is read")
        self.assertTrue(self.connect().is_open())
        received = b""
        while len(received) < 100000:  # in drops at first
            received += connection.socket.recv(1000)
        connection.buffer = received
        response = connection.response()
        self.assertGreater(len(response.body), 700 * 800)
        self.assertEqual(len(response.json()), 800)
        self.assertEqual(connection.response().status, 200)
        owner.close()


class Timers(GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.scale = patience(1)
        cls.span = 0.6 * cls.scale
        milliseconds = f"{int(cls.span * 1000)}ms"
        cls.process = server.api_process(GATEWAY_HEADER_TIMEOUT=milliseconds, GATEWAY_BODY_TIMEOUT=milliseconds,
                                         GATEWAY_KEEPALIVE_TIMEOUT=milliseconds).ready()

    @classmethod
    def tearDownClass(cls):
        cls.process.stop()

    def cut_off(self, connection, data, every):
        """Sends the bytes one at a time until the server ends the connection."""
        connection.socket.settimeout(every)
        for byte in data:
            try:
                connection.send(bytes([byte]))
                if connection.socket.recv(1) == b"":
                    break
                self.fail("an answer")
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            self.fail("every byte was taken")

    def assert_one_span(self, watch):
        """Since before anything was sent: the server's timer began later."""
        self.assertGreater(watch.passed(), self.span * 0.8)
        self.assertLess(watch.seconds(), self.span * 2.5 + 0.3)

    def test_body_that_was_refused__is_not_taken_for_ever(self):
        """As long as any body, and then until the silence would have ended it."""
        connection, watch = self.connect(self.process), support.Stopwatch()
        connection.send(make_request("POST", "/v1/tasks", [authorization(), ("Content-Length", str(10**7))]))
        with self.assertRaises(OSError):
            while watch.seconds() < self.span + 2 + patience(3):
                connection.send(b"x")
                time.sleep(0.05)

    def trickle(self, connection, data, every):
        """Sends the bytes one at a time until an answer comes."""
        for byte in data:
            connection.send(bytes([byte]))
            connection.socket.settimeout(every)
            try:
                connection.buffer += connection.socket.recv(1 << 16)
                break
            except TimeoutError:
                continue
        connection.socket.settimeout(connection.timeout)

    def test_trickled_body_has_one_timer_and_gets_an_answer(self):
        for framing, body in (("Content-Length: 1000", b"x" * 60), ("Transfer-Encoding: chunked", b"1\r\nx\r\n" * 10)):
            with self.subTest(framing=framing):
                watch = support.Stopwatch()
                connection = self.connect(self.process)
                connection.send(f"POST /v1/auth/signin HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
                self.trickle(connection, body, self.span / 12)
                self.assert_one_span(watch)
                self.assert_refused(connection.response(), 408)
                self.assertIn(connection.ended(), ("closed", "reset"))

    def test_a_body_that_stops_gets_an_answer(self):
        watch = support.Stopwatch()
        connection = self.connect(self.process)
        connection.send(make_request("POST", "/v1/auth/signin", [("Content-Length", "1000")]))
        self.assert_refused(connection.response(), 408)
        self.assert_one_span(watch)

    def test_a_body_that_comes_fast_enough_may_take_longer(self):
        """16 KiB/s and more (GATEWAY_BODY_MIN_RATE), for three times as long as any body may take."""
        connection = self.connect(self.process)
        head = make_request("POST", "/v1/auth/signin", [("Content-Type", "application/json"), ("Content-Length", str(1 << 20))])
        connection.send(head + b"{" + b" " * 65535)
        sent, started = 65536, time.monotonic()
        while time.monotonic() - started < 3 * self.span:
            connection.send(b" " * 8192)
            sent += 8192
            connection.socket.settimeout(min(0.1, self.span / 6))
            with self.assertRaises(TimeoutError):
                connection.socket.recv(1)
        connection.socket.settimeout(connection.timeout)
        connection.send(b" " * ((1 << 20) - sent - 1) + b"}")
        self.assertEqual(connection.response().status, 400)  # all of it was read: what is missing is the fields

    def test_trickled_headers_have_one_timer(self):
        watch = support.Stopwatch()
        self.cut_off(self.connect(self.process), make_request("GET", "/livez", [("X", "a" * 60)]), self.span / 12)
        self.assert_one_span(watch)

    def test_trickled_headers_of_the_second_request(self):
        watch = support.Stopwatch()
        connection = self.connect(self.process)
        connection.send(make_request("GET", "/livez") + b"GET /li")
        self.assertEqual(connection.response().status, 200)
        self.cut_off(connection, b"vez HTTP/1.1\r\nX: " + b"a" * 60, self.span / 12)
        self.assert_one_span(watch)

    def test_header_and_body_each_have_their_own(self):
        data = make_request("POST", "/v1/auth/signin", [("Content-Type", "application/json")], b"{}")

        def attempt(in_time):
            connection = self.connect(self.process)
            connection.send(data[:10])
            time.sleep(self.span * 0.6)  # most of the first span
            connection.send_and_wait(data[10:-1])
            in_time()
            time.sleep(self.span * 0.6)  # most of the second
            connection.send(data[-1:])
            self.assertEqual(connection.response().status, 400)

        support.steadily(self.span, attempt)

    def test_a_tls_client_hello_ends_with_the_timer_at_the_latest(self):
        connection = self.connect(self.process)
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 506)
        try:
            self.assertEqual(connection.response().status, 400)
        except NoAnswer as answer:
            self.assertEqual(answer.how, "closed")

    def test_idle_connections_end(self):
        for prepare in (lambda c: None, lambda c: self.assertTrue(c.is_open())):
            watch = support.Stopwatch()
            connection = self.connect(self.process)
            prepare(connection)
            self.assertEqual(connection.ended(10), "closed")
            self.assert_one_span(watch)

    def test_an_idle_connection_that_asks_again_stays(self):
        def attempt(in_time):
            connection = self.connect(self.process)
            for _ in range(9):  # in two spans
                self.assertTrue(connection.is_open())
                in_time()
                time.sleep(self.span / 4)

        support.steadily(self.span, attempt)

    def test_a_client_that_takes_an_answer_steadily_gets_all_of_it(self):
        owner = server.api().register()
        self.addCleanup(owner.close)
        with server.database() as database:
            database.query("INSERT INTO task (id, user_id, summary, description, priority_code) SELECT gen_random_uuid(), "
                           f"'{owner.user['id']}', 'big ' || n, repeat('x', 2000), 'LOW' FROM generate_series(1, 400) n")

        def attempt(in_time):
            connection = self.connect(self.process, receive_buffer=4096, segment=1400)
            connection.send(make_request("GET", "/v1/tasks", [("Authorization", f"Bearer {owner.token}")]))
            for _ in range(40):  # in four spans
                time.sleep(self.span / 10)
                left = 20_000
                while left > 0:
                    data = connection.socket.recv(left)
                    self.assertNotEqual(data, b"", "cut")
                    connection.buffer += data
                    left -= len(data)
                in_time()
            self.assertEqual(len(connection.response().json()), 400)

        support.steadily(self.span, attempt)

    def test_a_client_that_takes_no_answer_is_cut(self):
        connection = self.connect(self.process, receive_buffer=4096)
        connection.socket.settimeout(0.2)
        request = make_request("GET", "/livez") * 64
        started = time.monotonic()
        while time.monotonic() - started < patience(20):
            try:
                connection.socket.send(request)
            except TimeoutError:
                continue
            except OSError:
                return
        self.fail("the connection is still there")


class Overload(GatewayTest):
    def process(self, **settings):
        process = server.api_process(**settings).ready()
        self.addCleanup(process.kill)
        return process

    def test_connection_limit(self):
        limit = 8
        process = self.process(GATEWAY_MAX_CONNECTIONS=limit)
        held = []
        for _ in range(limit):
            connection = self.connect(process)
            # The connections that polled for readiness may still be counted for a moment.
            connection.send(make_request("GET", "/livez"))
            self.assertEqual(connection.response().status, 200)
            held.append(connection)
        waiting = [self.connect(process) for _ in range(4)]
        for connection in waiting:
            connection.send(make_request("GET", "/livez"))
        for connection in waiting:
            connection.socket.settimeout(0.15)
            with self.assertRaises(TimeoutError):
                connection.socket.recv(1)
        self.assertTrue(held[0].is_open())
        for connection in held[:4]:
            connection.close()
        for connection in waiting:
            self.assertEqual(connection.response().status, 200)
        self.assertTrue(held[7].is_open())
        for connection in held[4:] + waiting:
            connection.close()
        self.assertTrue(self.connect(process).is_open())
        self.assertEqual(process.stop(), 0)

    def test_full_mailbox_is_refused_at_once(self):
        process = self.process(MAILBOX_MAX_MESSAGES=3, DB_LOCK_TIMEOUT="60s")
        with server.database() as database:
            with TaskLock(database) as lock:
                waiting = [self.connect(process) for _ in range(3)]
                for connection in waiting:
                    connection.send_and_wait(task_request("waits"))
                lock.wait_for_waiters()
                refused = self.connect(process)
                watch = support.Stopwatch()
                refused.send(task_request("refused"))
                response = refused.response()
                self.assertLess(watch.seconds(), patience(0.5))
                self.assertEqual(response.status, 503, response)
                self.assertRegex(response.header("Retry-After"), "^[0-9]+$")
                self.assertEqual(response.header("Content-Type"), "application/problem+json")
                self.assertFalse(response.closes)
                # Nor is it read before that: what is wrong with it is told when there is room.
                refused.send(task_request(""))
                self.assertEqual(refused.response().status, 503)
                # Nor is it asked who sends it.
                refused.send(make_request("POST", "/v1/tasks", [("Authorization", "Bearer nobody")], {"summary": "refused"}))
                self.assertEqual(refused.response().status, 503)
                # Other mailboxes, and what needs none, go on.
                self.assertTrue(refused.is_open())
            for connection in waiting:
                self.assertEqual(connection.response().status, 201)
            refused.send(task_request(""))
            self.assertEqual(refused.response().status, 400)
            refused.send(task_request("taken"))
            self.assertEqual(refused.response().status, 201)
        self.assertEqual(process.stop(), 0)

    def test_overload_is_no_outage(self):
        """A full mailbox leaves health and readiness alone; so does a ping that waits behind many requests."""
        process = self.process(MAILBOX_MAX_MESSAGES=1, DB_LOCK_TIMEOUT="60s")
        probe = self.connect(process)
        stop = threading.Event()

        def ask():
            with Connection(process.port) as connection:
                while not stop.is_set():
                    connection.get(f"/v1/tasks/{uuid.uuid4()}", [authorization()])

        askers = [threading.Thread(target=ask) for _ in range(8)]
        for asker in askers:
            asker.start()
        try:
            with server.database() as database, TaskLock(database) as lock:
                writer = self.connect(process)
                writer.send(task_request("waits"))
                lock.wait_for_waiters()
                started = time.monotonic()
                while time.monotonic() - started < 6:  # longer than what was seen before is believed
                    self.assertEqual(probe.get("/v1/health").status, 200)
                    self.assertEqual(probe.get("/readyz").status, 200)
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        self.assertEqual(process.stop(), 0)

    def test_full_mailbox_by_bytes(self):
        process = self.process(MAILBOX_MAX_BYTES="64KiB", DB_LOCK_TIMEOUT="60s")
        with server.database() as database:
            with TaskLock(database) as lock:
                first = self.connect(process)
                first.send_and_wait(task_request("waits", description="d" * 40000))
                lock.wait_for_waiters()
                second = self.connect(process)
                second.send(task_request("refused", description="d" * 40000))
                self.assertEqual(second.response().status, 503)
                second.send(task_request("small"))
            self.assertEqual(first.response().status, 201)
            self.assertEqual(second.response().status, 201)
        self.assertEqual(process.stop(), 0)

    def assert_deadline(self, watch, span):
        self.assertGreater(watch.passed(), span * 0.9)
        self.assertLess(watch.seconds(), span + patience(0.6))

    def assert_own_answer(self, connection):
        """To the request that was sent, not to one that was given up. The machine may be too busy for a deadline; then there is another."""
        def attempt():
            summary = unique("mine")
            connection.send(task_request(summary))
            response = connection.response()
            if response.status == 504:
                return False
            self.assertEqual((response.status, response.json().get("summary")), (201, summary))
            return True

        wait_for(attempt, 20, "a task is made within the deadline")

    def test_deadline_with_a_lock_in_the_way(self):
        span = patience(0.5)
        process = self.process(GATEWAY_REQUEST_TIMEOUT=f"{int(span * 1000)}ms", DB_LOCK_TIMEOUT="60s")
        summary = unique("late")
        connection = self.connect(process)
        with server.database() as database:
            with TaskLock(database):
                watch = support.Stopwatch()
                connection.send(task_request(summary))
                response = connection.response()
                self.assertEqual(response.status, 504, response)
                self.assert_deadline(watch, span)
                self.assertFalse(response.closes)
                self.assertEqual(response.header("Content-Type"), "application/problem+json")
            self.assert_own_answer(connection)
        self.assertEqual(process.stop(), 0)

    def test_deadline_with_a_server_that_hangs(self):
        """The postmaster hangs too: while the actor tries to connect again, only the gateway can answer."""
        span = patience(0.7)
        process = self.process(GATEWAY_REQUEST_TIMEOUT=f"{int(span * 1000)}ms", DB_CONNECT_TIMEOUT="30s")
        connection = self.connect(process)
        with server.database() as database:
            frozen = [server.postmaster(), *self.backends(database, process)]
            with Frozen(frozen):
                for _ in range(3):
                    watch = support.Stopwatch()
                    connection.send(make_request("GET", f"/v1/tasks/{uuid.uuid4()}", [authorization()]))
                    response = connection.response()
                    self.assertEqual(response.status, 504, response)
                    self.assertFalse(response.closes)
                    self.assert_deadline(watch, span)
        wait_for(process.is_ready, 10, "ready again")
        for _ in range(20):
            self.assert_own_answer(connection)
        self.assertEqual(process.stop(), 0)

    def test_late_replies_meet_nobody_else(self):
        """Hashing many passwords takes longer than the deadline; the replies come when others use the places."""
        span = 0.25
        process = self.process(GATEWAY_REQUEST_TIMEOUT=f"{int(span * 1000)}ms")
        faults, statuses = [], []

        def work():
            with Connection(process.port) as connection:
                for _ in range(6):
                    fields = new_user()
                    started = time.monotonic()
                    response = connection.request("POST", "/v1/auth/register", body=fields)
                    took = time.monotonic() - started
                    statuses.append(response.status)
                    if response.status == 200 and response.json()["username"] != fields["username"]:
                        faults.append((fields["username"], response))
                    elif response.status == 504 and took < span * 0.95:
                        faults.append((took, response))
                    elif response.status not in (200, 503, 504):
                        faults.append(response)

        threads = [threading.Thread(target=work) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        self.assertEqual(len(statuses), 24 * 6)
        self.assertIn(504, statuses)
        process.stop()

    @staticmethod
    def backends(database, process):
        """The server processes of the connections of that `millrace api`: told apart by who has connected last."""
        names = ("data-writer/0", "data-reader/0", "data-reader/slow", "auth/0", "auth/slow")
        pids = []
        for name in names:
            pids.append(int(database.value(f"SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' "
                                           "ORDER BY backend_start DESC LIMIT 1")))
        return pids

    def test_health_is_bounded_while_the_database_hangs(self):
        process = self.process()
        connection = self.connect(process)
        with server.database() as database:
            backends = self.backends(database, process)
            with Frozen(backends):
                watch = support.Stopwatch()
                response = connection.get("/v1/health")
                self.assertLess(watch.seconds(), 1 + patience(0.7))
                self.assertEqual(response.status, 503, response)
                self.assertEqual(response.json()["status"], "error")
                self.assertEqual(response.json()["error"]["database"]["status"], "down")
                self.assertEqual(connection.get("/livez").status, 200)
        wait_for(lambda: connection.get("/v1/health").status == 200, 10, "well again")
        process.kill()


if __name__ == "__main__":
    unittest.main()
