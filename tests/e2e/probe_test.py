"""What a prober of HTTP/1.1 servers would try, row by row, against the whole server (docs/http.md says the same in words)."""

import unittest

from support import Connection, ModuleServer, NoAnswer, make_request

module = ModuleServer(RATE_LIMIT_AUTH=0)
setUpModule, tearDownModule = module.start, module.stop

HOST = b"Host: localhost\r\n"
GET = b"GET /livez HTTP/1.1\r\n" + HOST
POST = b"POST /v1/auth/signin HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
BODY = b'{"username":"nobody","password":"nothing"}'
NEXT = make_request("GET", "/readyz")
KEPT, ENDS = True, False

# name, section, bytes, status (0: the connection ends without an answer), and whether the connection goes on behind it.
ROWS = (
    ("plain", "9112 2.1", GET + b"\r\n", 200, KEPT),
    ("http/1.0", "9112 2.3", b"GET /livez HTTP/1.0\r\n\r\n", 200, ENDS),
    ("http/1.0 with host", "9112 3.2", b"GET /livez HTTP/1.0\r\n" + HOST + b"\r\n", 200, ENDS),
    ("http/1.0 keep-alive", "9112 9.3", b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, KEPT),
    ("http/0.9", "9112 2.3", b"GET /livez\r\n\r\n", 400, ENDS),
    ("http/1.2", "9112 2.3", b"GET /livez HTTP/1.2\r\n" + HOST + b"\r\n", 400, ENDS),
    ("http/2.0", "9112 2.3", b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", 400, ENDS),
    ("http/1.1.1", "9112 2.3", b"GET /livez HTTP/1.1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("http/01.1", "9112 2.3", b"GET /livez HTTP/01.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("lower-case version", "9112 2.3", b"GET /livez http/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("preface of HTTP/2", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ENDS),
    ("bare LF behind the request line", "9112 2.2", b"GET /livez HTTP/1.1\n" + HOST + b"\r\n", 400, ENDS),
    ("bare LF behind a field", "9112 2.2", b"GET /livez HTTP/1.1\r\nHost: localhost\n\r\n", 400, ENDS),
    ("bare LF at the end", "9112 2.2", GET + b"\n", 400, ENDS),
    ("bare CR in a value", "9112 2.2", GET + b"X: a\rb\r\n\r\n", 400, ENDS),
    ("bare CR in a name", "9112 2.2", GET + b"X\r: a\r\n\r\n", 400, ENDS),
    ("NUL in a value", "9110 5.5", GET + b"X: a\0b\r\n\r\n", 400, ENDS),
    ("NUL in the target", "9112 3.2", b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("one empty line first", "9112 2.2", b"\r\n" + GET + b"\r\n", 200, KEPT),
    ("two empty lines first", "9112 2.2", b"\r\n\r\n" + GET + b"\r\n", 400, ENDS),
    ("blank in front of the request line", "9112 2.2", b" " + GET + b"\r\n", 400, ENDS),
    ("two blanks in the request line", "9112 3", b"GET  /livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("tab in the request line", "9112 3", b"GET\t/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("blank behind the version", "9112 3", b"GET /livez HTTP/1.1 \r\n" + HOST + b"\r\n", 400, ENDS),
    ("no target", "9112 3", b"GET HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("folded field", "9112 5.2", GET + b"X: a\r\n b\r\n\r\n", 400, ENDS),
    ("folded by a tab", "9112 5.2", GET + b"X: a\r\n\tb\r\n\r\n", 400, ENDS),
    ("blank in front of the first field", "9112 2.2", b"GET /livez HTTP/1.1\r\n Host: localhost\r\n\r\n", 400, ENDS),
    ("blank in front of a colon", "9112 5.1", GET + b"X : a\r\n\r\n", 400, ENDS),
    ("tab in front of a colon", "9112 5.1", GET + b"X\t: a\r\n\r\n", 400, ENDS),
    ("field without a colon", "9112 5", GET + b"X\r\n\r\n", 400, ENDS),
    ("field without a name", "9112 5", GET + b": a\r\n\r\n", 400, ENDS),
    ("name in quotes", "9110 5.1", GET + b'"X": a\r\n\r\n', 400, ENDS),
    ("name with a byte above ASCII", "9110 5.1", GET + b"X\xe9: a\r\n\r\n", 400, ENDS),
    ("value above ASCII", "9110 5.5", GET + b"X: \xc3\xa9\r\n\r\n", 200, KEPT),
    ("value with DEL", "9110 5.5", GET + b"X: a\x7f\r\n\r\n", 400, ENDS),
    ("empty value", "9110 5.5", GET + b"X:\r\n\r\n", 200, KEPT),
    ("no blank behind the colon", "9112 5", b"GET /livez HTTP/1.1\r\nHost:localhost\r\n\r\n", 200, KEPT),
    ("no Host", "9112 3.2", b"GET /livez HTTP/1.1\r\n\r\n", 400, ENDS),
    ("two Hosts", "9112 3.2", GET + HOST + b"\r\n", 400, ENDS),
    ("two different Hosts", "9112 3.2", GET + b"Host: other\r\n\r\n", 400, ENDS),
    ("empty Host", "9112 3.2", b"GET /livez HTTP/1.1\r\nHost: \r\n\r\n", 400, ENDS),
    ("Host with user information", "9110 7.2", b"GET /livez HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, ENDS),
    ("Host that is a list", "9110 7.2", b"GET /livez HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, ENDS),
    ("Host with a path", "9110 7.2", b"GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, ENDS),
    ("Host with an open bracket", "3986 3.2.2", b"GET /livez HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, ENDS),
    ("Host with a port that is none", "3986 3.2.3", b"GET /livez HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, ENDS),
    ("absolute form", "9112 3.2.2", b"GET http://localhost/livez HTTP/1.1\r\n" + HOST + b"\r\n", 200, KEPT),
    ("absolute form with user information", "9110 4.2.4", b"GET http://a@b/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("absolute form without a host", "9110 4.2.1", b"GET http:///livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("another scheme", "9112 3.2.2", b"GET ftp://localhost/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("authority form", "9112 3.2.3", b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("asterisk form of GET", "9112 3.2.4", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("asterisk form of OPTIONS", "9112 3.2.4", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 204, KEPT),
    ("fragment", "9112 3.2", b"GET /livez#a HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("no slash", "9112 3.2.1", b"GET livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("angle brackets in the query", "3986 2", b"GET /livez?<a> HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("backslash in the path", "3986 2", b"GET /livez\\ HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("unknown method", "9110 9.1", b"BREW /livez HTTP/1.1\r\n" + HOST + b"\r\n", 405, ENDS),
    ("method that is no token", "9110 9.1", b"GE(T /livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, ENDS),
    ("TRACE", "9110 9.3.8", b"TRACE /livez HTTP/1.1\r\n" + HOST + b"\r\n", 405, ENDS),
    ("length and chunks", "9112 6.1", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, ENDS),
    ("chunks and length", "9112 6.1", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, ENDS),
    ("two lengths alike", "9112 6.3", POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, ENDS),
    ("two lengths", "9112 6.3", POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, ENDS),
    ("list of lengths", "9112 6.3", POST + b"Content-Length: 2, 2\r\n\r\n{}", 400, ENDS),
    ("signed length", "9112 6.3", POST + b"Content-Length: +2\r\n\r\n{}", 400, ENDS),
    ("negative length", "9112 6.3", POST + b"Content-Length: -2\r\n\r\n{}", 400, ENDS),
    ("hexadecimal length", "9112 6.3", POST + b"Content-Length: 0x2\r\n\r\n{}", 400, ENDS),
    ("empty length", "9112 6.3", POST + b"Content-Length:\r\n\r\n{}", 400, ENDS),
    ("length beyond 64 bits", "9112 6.3", POST + b"Content-Length: 18446744073709551618\r\n\r\n{}", 400, ENDS),
    ("blank before the colon of a length", "9112 5.1", POST + b"Content-Length : 2\r\n\r\n{}", 400, ENDS),
    ("coding that is not known", "9112 6.1", POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, ENDS),
    ("chunked twice", "9112 6.1", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501, ENDS),
    ("chunked in two lines", "9112 6.1", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, ENDS),
    ("chunked with a control byte", "9112 6.1", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, ENDS),
    ("chunked in HTTP/1.0", "9112 6.1", POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, ENDS),
    ("empty chunks", "9112 7.1", POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, KEPT),
    ("chunks", "9112 7.1", POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), 401, KEPT),
    ("chunk with an extension", "9112 7.1.1", POST + b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), 401, KEPT),
    ("chunk with a trailer", "9112 7.1.2", POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX: y\r\n\r\n" % (len(BODY), BODY), 401, KEPT),
    ("chunk size in other bases", "9112 7.1", POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n", 400, ENDS),
    ("chunk size with a blank", "9112 7.1", POST + b"Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n", 400, ENDS),
    ("chunk size that overflows", "9112 7.1", POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n", 400, ENDS),
    ("chunk ended by LF", "9112 7.1", POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", 400, ENDS),
    ("chunk longer than it says", "9112 7.1", POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", 400, ENDS),
    ("LF in an extension", "9112 7.1.1", POST + b"Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n", 400, ENDS),
    ("trailer with a blank before its colon", "9112 5.1", POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n", 400, ENDS),
    ("POST without a length", "9112 6.3", POST + b"\r\n", 400, ENDS),
    ("body of a GET", "9110 9.3.1", GET + b"Content-Length: 5\r\n\r\nhello", 200, KEPT),
    ("body of a GET in chunks", "9110 9.3.1", GET + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, KEPT),
    ("unknown expectation", "9110 10.1.1", GET + b"Expect: tea\r\n\r\n", 417, ENDS),
    ("Upgrade to h2c", "9110 7.8", GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200, KEPT),
    ("close among others", "9112 9.6", GET + b"Connection: a, Close\r\n\r\n", 200, ENDS),
    ("close in the second line", "9110 5.3", GET + b"Connection: a\r\nConnection: close\r\n\r\n", 200, ENDS),
    ("two credentials", "9110 5.3", GET + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400, ENDS),
    ("two content types", "9110 5.3", POST + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 400, ENDS),
    ("101 fields", "6585 5", GET + b"".join(b"X-%d: a\r\n" % i for i in range(100)) + b"\r\n", 431, ENDS),
    ("17 KiB of fields", "6585 5", GET + b"X: " + b"a" * 17 * 1024 + b"\r\n\r\n", 431, ENDS),
    ("9 KiB of target", "9110 15.5.15", b"GET /" + b"a" * 9 * 1024 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, ENDS),
    ("garbage", "9112 2", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 500 + b"\r\n\r\n", 400, ENDS),
)


class Probe(unittest.TestCase):
    def outcome(self, data):
        """The status, 0 for none, and whether the request behind is answered as well."""
        with Connection(module.server.port) as connection:
            connection.send(data + NEXT)
            try:
                first = connection.response()
            except NoAnswer as answer:
                return (0, answer.how == "timeout")
            try:
                kept = connection.response().status == 200
            except NoAnswer as answer:
                self.assertIn(answer.how, ("closed", "reset"))
                kept = False
            if first.status >= 400:
                self.assertEqual(first.header("Content-Type"), "application/problem+json")
                self.assertEqual(first.json()["status"], first.status)
            self.assertEqual(first.closes, not kept)
            return (first.status, kept)

    def test_every_row(self):
        for name, section, data, status, kept in ROWS:
            with self.subTest(name, section=section):
                self.assertEqual(self.outcome(data), (status, kept))

    def test_every_row__byte_by_byte(self):
        """However the bytes come in, the answer is the same."""
        for name, section, data, status, kept in ROWS:
            if len(data) > 400:
                continue
            with self.subTest(name, section=section), Connection(module.server.port) as connection:
                try:
                    for byte in data:
                        connection.send(bytes([byte]))
                except OSError:
                    pass
                answer = connection.response()
                self.assertEqual((answer.status, answer.closes), (status, not kept))


if __name__ == "__main__":
    unittest.main()
