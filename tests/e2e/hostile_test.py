"""Declared rules cannot be got around: a row of another's, a row that one may not see, a field that is the database's own. Each is tried
by every way there is: the operations, conditions, filters, words, orders, cursors, pages, embeds and an import."""

import itertools
import json
import re
import unittest
import uuid

import support
from support import wait_for

FILES = {
    "millrace.yaml": "title: Shelves\n",
    "migrations/0001_shelf.sql": """\
CREATE TABLE shelf (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                    updated_at timestamptz NOT NULL DEFAULT now(), user_id uuid NOT NULL, code text NOT NULL UNIQUE, label text NOT NULL);
CREATE TABLE book  (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                    updated_at timestamptz NOT NULL DEFAULT now(), user_id uuid NOT NULL, title text NOT NULL,
                    shelf_code text REFERENCES shelf (code), stamp text NOT NULL DEFAULT 'ours');
CREATE INDEX book_title ON book (user_id, title, id);
CREATE INDEX book_created ON book (user_id, created_at, id);
""",
    "resources/shelf.yaml": """\
path: /v1/shelves
owner: user_id
fields:
  code:  {type: text, required: true, length: 1..40, unique: true}
  label: {type: text, required: true, length: 1..40}
""",
    "resources/book.yaml": """\
path: /v1/books
owner: user_id
fields:
  title: {type: text, required: true, length: 1..80}
  shelf: {type: text, length: 1..40, clearable: true, column: shelf_code, references: shelf.code, embed: {as: shelfInfo, columns: [code, label]}}
  stamp: {type: text, readonly: true}
list:
  sort:   [title, -createdAt]
  filter: {shelf: '=', titleFrom: 'title >='}
  search: [title]
operations: [create, get, list, update, delete, import]
""",
}
HERS, FORGED = "hers and nobody else's", "forged"


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = support.Scratch()
        cls.addClassCleanup(cls.scratch.remove)
        cls.scratch.write(FILES)
        cls.server = support.Everything(MILLRACE_APP=cls.scratch.path)
        cls.addClassCleanup(cls.server.close)
        cls.server.ready()
        cls.ann, cls.bob = cls.server.api().register(), cls.server.api().register()
        cls.addClassCleanup(cls.ann.close)
        cls.addClassCleanup(cls.bob.close)
        cls.database = cls.server.database()
        cls.addClassCleanup(cls.database.close)
        cls.shelf = cls.made(cls.ann, "/v1/shelves", {"code": "S" + uuid.uuid4().hex, "label": HERS})
        cls.books = [cls.made(cls.ann, "/v1/books", {"title": f"{HERS} {i}", "shelf": cls.shelf["code"]}) for i in range(3)]

    @staticmethod
    def made(api, path, body):
        answer = api.post(path, body)
        assert answer.status == 201, answer
        return answer.json()

    def stored(self, id):
        return self.database.query(f"SELECT title, coalesce(shelf_code, ''), stamp, version, user_id FROM book WHERE id = '{id}'")

    def imported(self, api, *records):
        answer = api.post("/v1/books/import", "".join(json.dumps(record) + "\n" for record in records).encode(),
                          headers=[("Content-Type", "application/x-ndjson")])
        self.assertEqual(answer.status, 202, answer)
        run = answer.header("Location")
        wait_for(lambda: api.get(run).json()["state"] == "succeeded", 30, "the import")
        return api.get(run).json()["result"]

    def test_row_of_another__is_not_there_by_any_operation_and_condition(self):
        before = [self.stored(book["id"]) for book in self.books]
        conditions = ((), (("If-Match", "*"),), (("If-Match", '"1"'),), (("If-Match", '"9"'),), (("If-None-Match", '"1"'),), (("If-None-Match", "*"),))
        for method, given in itertools.product(("GET", "PUT", "PATCH", "DELETE"), conditions):
            if method == "GET" and given and given[0][0] == "If-Match":
                continue
            with self.subTest(method=method, given=given):
                answer = self.bob.request(method, f"/v1/books/{self.books[0]['id']}", {"title": FORGED} if method in ("PUT", "PATCH") else None, headers=list(given))
                self.assertIn(answer.status, (404,) if not given else (404, 412), answer)
                self.assertNotIn(HERS.encode(), answer.body)
        self.assertEqual([self.stored(book["id"]) for book in self.books], before)

    def test_row_of_another__is_in_no_list(self):
        mine = self.made(self.bob, "/v1/books", {"title": "bob's"})
        walk = self.ann.get("/v1/books?limit=1&sort=title")
        cursor = re.search(r"cursor=([^&>]+)", walk.header("Link")).group(1)
        self.assertEqual(self.ann.get("/v1/books?page=1&q=hers").json()["pagination"]["totalItems"], 3)
        queries = ("", "limit=100", "page=1&pageSize=100", "sort=title", "sort=-title", "sort=createdAt", "sort=-createdAt", "q=hers", "q=hers&page=1",
                   f"shelf={self.shelf['code']}", f"shelf={self.shelf['code']}&page=1", "titleFrom=a", f"limit=100&sort=title&cursor={cursor}",
                   f"titleFrom=a&shelf={self.shelf['code']}&q=nobody", f"userId={self.ann.user['id']}", f"owner={self.ann.user['id']}")
        for query in queries:
            with self.subTest(query=query):
                answer = self.bob.get("/v1/books?" + query)
                self.assertIn(answer.status, (200, 400), answer)
                self.assertNotIn(HERS.encode(), answer.body)
                if answer.status == 200 and "page=" in query:
                    own = self.database.query(f"SELECT count(*) FROM book WHERE user_id = '{self.bob.user['id']}'")[0][0]
                    self.assertLessEqual(answer.json()["pagination"]["totalItems"], int(own))
        self.assertEqual(self.bob.request("DELETE", f"/v1/books/{mine['id']}").status, 204)

    def test_row_that_one_may_not_see__cannot_be_referred_to(self):
        mine = self.made(self.bob, "/v1/books", {"title": "bob's"})
        refused = [self.bob.post("/v1/books", {"title": "b", "shelf": self.shelf["code"]})]
        refused += [self.bob.request(method, f"/v1/books/{mine['id']}", {"title": "b", "shelf": self.shelf["code"]}, headers=headers)
                    for method, headers in itertools.product(("PUT", "PATCH"), ([], [("If-Match", '"1"')]))]
        for answer in refused:
            self.assertEqual((answer.status, [error["field"] for error in answer.json()["errors"]]), (400, ["shelf"]), answer)
            self.assertNotIn(HERS.encode(), answer.body)
        result = self.imported(self.bob, {"title": "b", "shelf": self.shelf["code"]})
        self.assertEqual((result["imported"], [error["field"] for error in result["errors"]]), (0, ["shelf"]))
        # A reference that is there nonetheless, by SQL of somebody's, shows nothing of the row.
        self.database.query(f"UPDATE book SET shelf_code = '{self.shelf['code']}' WHERE id = '{mine['id']}'")
        for path in (f"/v1/books/{mine['id']}", "/v1/books", "/v1/books?page=1"):
            answer = self.bob.get(path)
            self.assertEqual(answer.status, 200)
            self.assertNotIn(HERS.encode(), answer.body)
        self.assertEqual(self.bob.request("DELETE", f"/v1/books/{mine['id']}").status, 204)

    def test_what_is_the_databases_own__cannot_be_written(self):
        forged = {"stamp": FORGED, "userId": self.ann.user["id"], "user_id": self.ann.user["id"], "version": 99, "createdAt": "2001-01-01T00:00:00Z",
                  "shelfInfo": {"code": FORGED}}
        bob = self.bob.user["id"]
        for name, value in [*forged.items(), (None, None)]:
            with self.subTest(name=name):
                extra = {name: value} if name else forged
                answer = self.bob.post("/v1/books", {"title": "b", **extra})
                self.assertIn(answer.status, (201, 400), answer)
                id = answer.json()["id"] if answer.status == 201 else self.made(self.bob, "/v1/books", {"title": "b"})["id"]
                self.assertEqual(self.stored(id), [["b", "", "ours", "1", bob]])
                for method in ("PUT", "PATCH"):
                    self.assertIn(self.bob.request(method, f"/v1/books/{id}", {"title": "b", **extra}).status, (200, 400))
                row = self.stored(id)[0]
                self.assertEqual((row[2], row[4]), ("ours", bob))
                self.assertLess(int(row[3]), 10)
                self.imported(self.bob, {"title": "imported", **extra})
        self.assertEqual(self.database.query("SELECT DISTINCT stamp FROM book"), [["ours"]])
        self.assertEqual(self.database.query(f"SELECT count(*) FROM book WHERE user_id = '{self.ann.user['id']}'"), [["3"]])
        self.assertEqual(self.database.query("SELECT count(*) FROM book WHERE created_at < '2002-01-01' OR version > 9"), [["0"]])

    def test_id_of_another__makes_nothing(self):
        """An id in a body is the path's, or no field."""
        taken = self.books[1]["id"]
        self.assertIn(self.bob.post("/v1/books", {"title": FORGED, "id": taken}).status, (201, 400))
        self.imported(self.bob, {"title": FORGED, "id": taken})
        mine = self.made(self.bob, "/v1/books", {"title": "b"})["id"]
        self.assertEqual(self.bob.request("PATCH", f"/v1/books/{mine}", {"id": taken, "title": FORGED}).status, 400)
        self.assertEqual(self.stored(taken)[0][0], self.books[1]["title"])


if __name__ == "__main__":
    unittest.main()
