"""The guides do what they say: their commands are typed, one page after the other, into one terminal beside one folder of state.

api-keys.md comes first: it makes the administrator's $TOKEN and the API key $KEY that the others use.
"""

import http.server
import threading
import unittest

import pages
import support

GUIDES = ["http.md", "jobs.md", "workers.md", "webhooks.md", "metrics.md", "tracing.md", "operations.md"]


class Collector:
    """Stands where tracing.md starts one: keeps the spans that it gets."""

    def __init__(self, port):
        self.got = b""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.got += self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Guides(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = support.Scratch()
        cls.addClassCleanup(cls.scratch.remove)
        cls.terminal = pages.Terminal(cls.scratch)
        cls.addClassCleanup(cls.terminal.close)

    def test_guides__work_as_written(self):
        collector = Collector(int(self.terminal.ports["4318"]))
        self.addCleanup(collector.close)
        pages.follow(self, pages.read("docs", "api-keys.md"), self.terminal)
        for name in GUIDES:
            with self.subTest(page=name):
                pages.follow(self, pages.read("docs", name), self.terminal)
        support.wait_for(lambda: b"0af7651916cd43dd8448eb211c80319c" in collector.got, 30, "tracing.md's request is recorded")


if __name__ == "__main__":
    unittest.main()
