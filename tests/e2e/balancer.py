"""
A stand-in for a load balancer that keeps its time-outs: bytes go both ways as they come, and a connection on which none has
come for `idle` seconds is given up. As an Application Load Balancer then answers: 408 if the client owes a part of its request, 504 if the
target owes its answer, 502 if the target went without one.
"""

import re
import selectors
import socket
import threading
import time


class Balancer:
    def __init__(self, target, idle):
        self.target, self.idle = target, idle
        self.gave_up = []  # the statuses of its own answers
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as target:
            status = self._relay(client, target)
            if status is not None:
                self.gave_up.append(status)
                client.sendall(f"HTTP/1.1 {status} given up\r\nServer: awselb/2.0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    def _relay(self, client, target):
        """Until one of them ends; the status to answer with where nobody has begun to."""
        asked, answered = b"", False
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ)
            ready.register(target, selectors.EVENT_READ)
            last = time.monotonic()
            while True:
                events = ready.select(max(0, last + self.idle - time.monotonic()))
                if not events:
                    return None if answered else 408 if owes(asked) else 504
                last = time.monotonic()
                for key, _ in events:
                    data = self._read(key.fileobj)
                    if key.fileobj is client:
                        if not data:
                            return None
                        asked += data
                        try:
                            target.sendall(data)
                        except OSError:
                            ready.unregister(client)  # what the target has said already is still passed on
                    elif not data:
                        return None if answered or not asked else 502
                    else:
                        answered = True
                        client.sendall(data)

    @staticmethod
    def _read(connection):
        try:
            return connection.recv(1 << 16)
        except OSError:
            return b""


def owes(asked):
    """Whether a part of the one request is missing."""
    head, end, body = asked.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M)
    return not end or len(body) < int(length.group(1) if length else 0)
