"""A registry of images that only takes: as much of the OCI distribution specification as `docker push` asks of one."""

import hashlib
import http.server
import re
import threading
import uuid


class Registry:
    """On a port of this host, where an engine needs no TLS. `manifests` are texts by repository and tag, `blobs` sizes by their digest."""

    def __init__(self):
        self.manifests = {}
        self.blobs = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def body(self):
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def answer(self, status, length=0, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(length))
                self.end_headers()

            def do_GET(self):
                self.answer(200 if self.path == "/v2/" else 404)

            def do_HEAD(self):
                digest = self.path.rsplit("/", 1)[1]
                self.answer(200 if digest in outer.blobs else 404, outer.blobs.get(digest, 0), Docker_Content_Digest=digest)

            def do_POST(self):
                self.body()
                self.answer(202, Location=f"{self.path.split('?')[0]}{uuid.uuid4()}", Range="0-0")

            def do_PATCH(self):
                self.server.sizes[self.path] = self.server.sizes.get(self.path, 0) + len(self.body())
                self.answer(202, Location=self.path, Range=f"0-{self.server.sizes[self.path] - 1}")

            def do_PUT(self):
                data = self.body()
                manifest = re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", self.path)
                if manifest:
                    outer.manifests[manifest.groups()] = data.decode()
                    digest = "sha256:" + hashlib.sha256(data).hexdigest()
                else:
                    upload, digest = self.path.replace("%3A", ":").split("?digest=")
                    outer.blobs[digest] = self.server.sizes.pop(upload, 0) + len(data)
                self.answer(201, Location=self.path, Docker_Content_Digest=digest)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.sizes = {}
        self.name = f"localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
