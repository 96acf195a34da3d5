"""
Uploads through a load balancer. Its idle time-out and the gateway's limits have to agree: infrastructure/test/settings.test.ts holds the
figures of a deployment to what is shown here with smaller ones.
"""

import threading
import time
import unittest

import support
from balancer import Balancer
from support import make_request, patience, wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop
LINE = b'{"summary":"one","taskPriorityCode":"LOW"}\n'


class SlowUploads(unittest.TestCase):
    def through(self, idle, **settings):
        """A user, and a connection of theirs through a balancer to an API with these settings."""
        api = module.server.api_process(**settings).ready()
        self.addCleanup(api.stop)
        user = api.api().register()
        self.addCleanup(user.close)
        self.balancer = Balancer(api.port, idle)
        self.addCleanup(self.balancer.close)
        connection = support.Connection(self.balancer.port, timeout=60)
        self.addCleanup(connection.close)
        return user, connection

    def begin(self, user, connection, length):
        connection.send(make_request("POST", "/v1/tasks/import", [
            ("Content-Length", str(length)), ("Content-Type", "application/x-ndjson"), ("Authorization", "Bearer " + user.token)]))

    def test_upload__that_takes_longer_than_the_balancer_waits_arrives_while_it_keeps_coming(self):
        user, connection = self.through(patience(5), GATEWAY_BODY_TIMEOUT="1s", GATEWAY_BODY_MIN_RATE="1KiB")
        body = LINE * 2000
        began = time.monotonic()
        self.begin(user, connection, len(body))
        pieces = 40
        for i in range(pieces):
            piece = body[len(body) * i // pieces:len(body) * (i + 1) // pieces]
            connection.send(piece)
            if i + 1 < pieces:
                threading.Event().wait(patience(6) / pieces)  # the client is slow: that is what is tested
        answer = connection.response()
        self.assertEqual(answer.status, 202, answer)
        self.assertGreater(time.monotonic() - began, patience(5))
        self.assertEqual(self.balancer.gave_up, [])

    def test_upload__that_stops_is_told_so_by_the_gateway_before_the_balancer_gives_it_up(self):
        user, connection = self.through(patience(20), GATEWAY_BODY_TIMEOUT="1s")
        self.begin(user, connection, 1 << 20)
        connection.send(LINE * 100)
        answer = connection.response()
        self.assertEqual((answer.status, answer.header("Content-Type")), (408, "application/problem+json"))
        self.assertEqual(self.balancer.gave_up, [])

    def test_upload__that_dribbles_gets_the_gateways_answer_though_it_goes_on_sending(self):
        user, connection = self.through(patience(20), GATEWAY_BODY_TIMEOUT="1s", GATEWAY_BODY_MIN_RATE="1MiB")
        self.begin(user, connection, 1 << 20)
        over = threading.Event()

        def dribble():
            while not over.wait(0.05):
                try:
                    connection.socket.sendall(LINE)
                except OSError:
                    return

        client = threading.Thread(target=dribble)
        client.start()
        try:
            self.assertEqual(connection.response().status, 408)
        finally:
            over.set()
            client.join()
        self.assertEqual(self.balancer.gave_up, [])

    def test_balancer__that_waits_shorter_than_the_gateway_answers_in_its_place(self):
        user, connection = self.through(1, GATEWAY_BODY_TIMEOUT="10m")
        connection.asked = None  # its answer is none of ours
        self.begin(user, connection, 1 << 20)
        connection.asked = None
        connection.send(LINE * 100)
        answer = connection.response()
        self.assertEqual((answer.status, answer.header("Server")), (408, "awselb/2.0"))
        wait_for(lambda: self.balancer.gave_up == [408], 5, "and says so")


if __name__ == "__main__":
    unittest.main()
