"""What the API says of itself: the document and the files of the page, their headers, and that they can be turned off."""

import gzip
import json
import os
import re
import unittest

import support

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop
GAUGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "applications", "gauge")
PAGE_FILES = ("apidoc.css", "apidoc.js", "favicon.png", "licenses.txt", "swagger-ui-bundle.js", "swagger-ui.css")


class Command(unittest.TestCase):
    def test_openapi__needs_no_database_and_no_setting(self):
        done = support.run("openapi", DB_HOST="127.0.0.1", DB_PORT="1", JWT_SECRET="")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout)["openapi"], "3.1.0")
        self.assertEqual(support.run("openapi", "--json").returncode, 2)

    def test_openapi__is_what_the_server_answers(self):
        api = module.server.api()
        self.addCleanup(api.close)
        served = api.get("/openapi.json").json()
        self.assertEqual(json.loads(support.run("openapi").stdout), served)


    def test_openapi__promises_no_value_that_a_client_may_clear(self):
        schemas = json.loads(support.run("openapi", GAUGE).stdout)["components"]["schemas"]
        cleared = {name for name, schema in schemas["ReadingUpdateBody"]["properties"].items()
                   if "null" in schema.get("type", "null")}
        self.assertIn("details", cleared, "which also has a default")
        self.assertEqual(cleared & set(schemas["Reading"]["required"]), set())


class Served(unittest.TestCase):
    def setUp(self):
        self.api = module.server.api()
        self.addCleanup(self.api.close)

    def get(self, path, *headers, method="GET"):
        return self.api.request(method, path, headers=headers)

    def test_document__has_an_alias(self):
        self.assertEqual(self.get("/apidoc-json").body, self.get("/openapi.json").body)

    def test_files__come_compressed_to_who_takes_that(self):
        for path in ("/openapi.json", "/apidoc", *("/apidoc/" + name for name in PAGE_FILES)):
            with self.subTest(path):
                plain = self.get(path)
                packed = self.get(path, ("Accept-Encoding", "br, gzip;q=0.8"))
                self.assertEqual((plain.status, packed.status), (200, 200))
                self.assertEqual(packed.header("Content-Encoding"), "gzip")
                self.assertIsNone(plain.header("Content-Encoding"))
                self.assertEqual(gzip.decompress(packed.body), plain.body)
                self.assertIn("Accept-Encoding", plain.all("Vary"))
                self.assertNotEqual(plain.header("ETag"), packed.header("ETag"))

    def test_files__a_coding_can_be_declined(self):
        for value in ("identity", "gzip;q=0", "gzip; q=0.000", "*;q=0", "deflate"):
            self.assertIsNone(self.get("/openapi.json", ("Accept-Encoding", value)).header("Content-Encoding"), value)
        for value in ("*", "GZIP", "gzip ; q=1"):
            self.assertEqual(self.get("/openapi.json", ("Accept-Encoding", value)).header("Content-Encoding"), "gzip", value)

    def test_files__are_asked_for_again_and_not_sent_again(self):
        for path in ("/openapi.json", "/apidoc", "/apidoc/swagger-ui.css"):
            first = self.get(path)
            self.assertEqual(first.header("Cache-Control"), "public, no-cache")
            again = self.get(path, ("If-None-Match", first.header("ETag")))
            self.assertEqual((again.status, again.body, again.header("ETag")), (304, b"", first.header("ETag")))
            self.assertEqual(self.get(path, ("If-None-Match", '"other"')).status, 200)
            self.assertEqual(self.get(path, ("If-Match", '"other"')).status, 412)
            refused = self.get(path, ("If-None-Match", "bare"))
            self.assertEqual((refused.status, refused.json()["errors"][0]["field"]), (400, "If-None-Match"))

    def test_files__head_tells_the_same_without_the_body(self):
        whole, head = self.get("/apidoc"), self.get("/apidoc", method="HEAD")
        self.assertEqual((head.status, head.body, head.header("Content-Length")), (200, b"", str(len(whole.body))))

    def test_files__what_is_not_there_is_404_and_takes_no_other_method(self):
        for name in ("index.html", "..%2fapidoc", "swagger-ui-bundle.js.map", "%00"):
            self.assertIn(self.get("/apidoc/" + name).status, (400, 404), name)
        refused = self.get("/apidoc", method="POST")
        self.assertEqual((refused.status, refused.header("Allow")), (405, "OPTIONS, GET, HEAD"))

    def test_page__has_a_policy_of_its_own_that_names_no_other_host(self):
        policies = self.get("/apidoc").all("Content-Security-Policy")
        self.assertEqual(len(policies), 1)
        self.assertIn("script-src 'self';", policies[0])
        self.assertNotRegex(policies[0], r"https?:|unsafe-eval")
        for path in ("/openapi.json", "/apidoc/apidoc.js"):
            self.assertEqual(self.get(path).all("Content-Security-Policy"), ["default-src 'none'; frame-ancestors 'none'"])

    def test_page__what_it_loads_is_there(self):
        page = self.get("/apidoc").body.decode()
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
        self.assertGreater(len(loaded), 5)
        for name in loaded:
            self.assertNotIn(":", name)
            self.assertEqual(self.get("/" + name).status, 200, name)

    def test_page__tells_the_licence_of_what_it_is_made_of(self):
        self.assertIn(b"Apache License", self.get("/apidoc/licenses.txt").body)


class Off(unittest.TestCase):
    def test_docs__can_be_turned_off(self):
        process = module.server.api_process(API_DOCS="false")
        self.addCleanup(process.kill)
        api = process.ready().api()
        self.addCleanup(api.close)
        for path in ("/openapi.json", "/apidoc-json", "/apidoc", "/apidoc/swagger-ui.css"):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                self.assertEqual(api.request(method, path).status, 404, f"{method} {path}")
