"""An OTLP collector for tests: takes ExportTraceServiceRequests as JSON over HTTP, and holds each to the mapping.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids in hexadecimal, 64-bit integers as decimal strings,
enums as numbers, names in lowerCamelCase. What it would not take, it remembers in `faults`.
"""

import http.server
import json
import re
import socket
import threading
import time

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
LEAST_TIME = 1_600_000_000 * 10**9  # nanoseconds: nothing here is from before 2020

# The members of a message that we write, and what each has to be.
TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
DECIMAL = re.compile(r"-?[0-9]+")


class Fault(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Fault(what)


def members(value, where, /, **known):
    """Holds an object to its members: each a function that takes the value, or (function, None) when it may be missing."""
    expect(isinstance(value, dict), f"{where}: not an object: {value!r}")
    unknown = set(value) - set(known)
    expect(not unknown, f"{where}: unknown members {unknown}")
    for name, check in known.items():
        optional = isinstance(check, tuple)
        if name not in value:
            expect(optional, f"{where}: no {name}")
            continue
        (check[0] if optional else check)(value[name], f"{where}.{name}")


def text(value, where):
    expect(isinstance(value, str), f"{where}: no text: {value!r}")


def filled(value, where):
    text(value, where)
    expect(value != "", f"{where}: empty")


def matching(pattern):
    def check(value, where):
        text(value, where)
        expect(pattern.fullmatch(value), f"{where}: {value!r}")
    return check


def number(least, most):
    def check(value, where):
        expect(isinstance(value, int) and not isinstance(value, bool) and least <= value <= most, f"{where}: {value!r}")
    return check


def list_of(check):
    def check_list(value, where):
        expect(isinstance(value, list), f"{where}: no list")
        for i, item in enumerate(value):
            check(item, f"{where}[{i}]")
    return check_list


def any_value(value, where):
    members(value, where, stringValue=(text, None), intValue=(matching(DECIMAL), None))
    expect(len(value) == 1, f"{where}: not one value: {value}")


def attributes(value, where):
    list_of(lambda item, at: members(item, at, key=filled, value=any_value))(value, where)
    keys = [item["key"] for item in value]
    expect(len(keys) == len(set(keys)), f"{where}: a key twice: {keys}")


def link(value, where):
    members(value, where, traceId=matching(TRACE_ID), spanId=matching(SPAN_ID), flags=number(0, 0x3FF))


def span(value, where):
    members(value, where, traceId=matching(TRACE_ID), spanId=matching(SPAN_ID), parentSpanId=(matching(SPAN_ID), None),
            traceState=(filled, None), flags=number(0, 0x3FF), name=filled, kind=number(1, 5),
            startTimeUnixNano=matching(DECIMAL), endTimeUnixNano=matching(DECIMAL), attributes=attributes,
            links=(list_of(link), None), droppedLinksCount=(number(1, 2**32 - 1), None),
            status=(lambda item, at: members(item, at, code=number(2, 2)), None))
    start, end = int(value["startTimeUnixNano"]), int(value["endTimeUnixNano"])
    expect(LEAST_TIME < start <= end < (time.time() + 60) * 10**9, f"{where}: from {start} to {end}")


def request(value):
    members(value, "request", resourceSpans=list_of(lambda item, at: members(
        item, at, resource=lambda resource, here: members(resource, here, attributes=attributes),
        scopeSpans=list_of(lambda scoped, here: members(
            scoped, here, scope=lambda scope, there: members(scope, there, name=filled, version=filled),
            spans=list_of(span))))))


def plain(list_of_attributes):
    """{"a": "b", "c": 1} of a list of attributes."""
    return {item["key"]: item["value"].get("stringValue", int(item["value"].get("intValue", "0")))
            for item in list_of_attributes}


class Span:
    def __init__(self, raw, resource):
        self.raw = raw
        self.resource = resource
        self.trace, self.id, self.parent = raw["traceId"], raw["spanId"], raw.get("parentSpanId")
        self.name, self.kind, self.attributes = raw["name"], raw["kind"], plain(raw["attributes"])
        self.start, self.end = int(raw["startTimeUnixNano"]), int(raw["endTimeUnixNano"])
        self.links = [(item["traceId"], item["spanId"]) for item in raw.get("links", [])]
        self.failed = "status" in raw

    def __repr__(self):
        return f"<{self.name} {self.trace}/{self.id} below {self.parent}: {self.attributes}, links {self.links}>"


class Collector:
    """Listens on a port of its own. `behave(handler)` may answer in another way than 200 with {}, and return True."""

    def __init__(self, behave=None, port=0):
        self.spans = []
        self.requests = []  # (path, headers)
        self.faults = []
        self.behave = behave
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.behave and outer.behave(self):
                    outer.requests.append((self.path, dict(self.headers.items())))
                    return
                outer.take(self.path, self.headers, body)
                self.answer(200, b"{}")

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # whoever hangs up on a collector that misbehaves is right

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def take(self, path, headers, body):
        try:
            value = json.loads(body)
            expect(headers["Content-Type"] == "application/json", f"Content-Type: {headers['Content-Type']}")
            request(value)
            for group in value["resourceSpans"]:
                resource = plain(group["resource"]["attributes"])
                self.spans.extend(Span(raw, resource) for scoped in group["scopeSpans"] for raw in scoped["spans"])
        except Exception as fault:  # also what this file gets wrong
            self.faults.append(repr(fault))
        self.requests.append((path, dict(headers.items())))

    def of_trace(self, trace):
        return [span for span in list(self.spans) if span.trace == trace]

    def named(self, name):
        return [span for span in list(self.spans) if span.name == name]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def silent_port():
    """A socket that takes connections (in the kernel's queue) and never says a word; close it in the end."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener
