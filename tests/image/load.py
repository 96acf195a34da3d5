"""Clients that keep asking until the server says goodbye, and tell of every request that was not answered well."""

import threading

from support import Api, NoAnswer


class Client(threading.Thread):
    """One user on one kept-alive connection: creates, reads, lists. Every tenth round signs in anew, which costs memory."""

    def __init__(self, port, stop, signs_in, reconnects):
        super().__init__(daemon=True)
        self.api = Api(port)
        self.user = self.api.register(password="correct horse battery").user["username"]
        self.stop = stop
        self.signs_in = signs_in
        self.reconnects = reconnects
        self.answered = 0
        self.goodbye = False
        self.failures = []

    def ask(self, method, path, expected, body=None, **options):
        had = self.api.connection
        try:
            response = self.api.request(method, path, body, **options)
        except (NoAnswer, OSError) as error:
            self.api.close()
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        if response.status != expected:
            self.failures.append(f"{method} {path}: {response}")
        self.answered += 1
        self.goodbye = self.goodbye or (had is not None and response.closes)
        return response

    def rounds(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            yield self.ask("POST", "/v1/tasks", 201, {"summary": f"number {number}", "taskPriorityCode": "LOW"})
            yield self.ask("GET", "/v1/tasks?page=1&pageSize=50", 200)
            yield self.ask("GET", "/v1/users/profile", 200)
            if self.signs_in:
                yield self.ask("POST", "/v1/auth/signin", 200, {"username": self.user, "password": "correct horse battery"}, token=None)

    def run(self):
        for _ in self.rounds():
            if self.failures or (self.goodbye and not self.reconnects):
                return


class Load:
    """`count` clients at once, from entry to end(); with `reconnects` a goodbye is followed by a new connection."""

    def __init__(self, port, count, reconnects=False):
        self.stop = threading.Event()
        self.clients = [Client(port, self.stop, signs_in=i < 2, reconnects=reconnects) for i in range(count)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.end()

    def wait(self, seconds=60):
        """Until every client has been told goodbye, or has failed."""
        for client in self.clients:
            client.join(seconds)

    def end(self):
        self.stop.set()
        self.wait()
        for client in self.clients:
            client.api.close()

    @property
    def answered(self):
        return sum(client.answered for client in self.clients)

    @property
    def failures(self):
        return [failure for client in self.clients for failure in client.failures]
