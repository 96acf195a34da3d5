"""Declared rules cannot be got around: a row of another's, a row that one may not see, a field that is the database's own. Each is tried
by every way there is; a test says which it tries, and the last one compares them with the table of rules and ways."""

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
CREATE TABLE vault (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                    updated_at timestamptz NOT NULL DEFAULT now(), code text NOT NULL UNIQUE);
INSERT INTO vault (id, code) VALUES ('00000000-0000-7000-8000-000000000001', 'V');
CREATE TABLE book  (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                    updated_at timestamptz NOT NULL DEFAULT now(), user_id uuid NOT NULL, title text NOT NULL,
                    shelf_code text REFERENCES shelf (code), vault_code text REFERENCES vault (code), stamp text NOT NULL DEFAULT 'ours');
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
    "resources/vault.yaml": "path: /v1/vaults\naccess: admin\nfields: {code: {type: text, required: true, unique: true}}\noperations: [get]\n",
    "resources/book.yaml": """\
path: /v1/books
owner: user_id
fields:
  title: {type: text, required: true, length: 1..80}
  shelf: {type: text, length: 1..40, clearable: true, column: shelf_code, references: shelf.code, embed: {as: shelfInfo, columns: [code, label]}}
  vault: {type: text, length: 1..40, clearable: true, column: vault_code, references: vault.code}
  stamp: {type: text, readonly: true}
list:
  sort:   [title, -createdAt]
  filter: {shelf: '=', titleFrom: 'title >='}
  search: [title]
operations: [create, get, list, update, delete, import]
""",
    # The same rows, found by a statement of one's own in the place of what is generated.
    "resources/note.yaml": """\
path: /v1/notes
table: book
owner: user_id
fields:
  title: {type: text, required: true, length: 1..80}
  shelf: {type: text, length: 1..40, clearable: true, column: shelf_code, references: shelf.code, embed: {as: shelfInfo, columns: [code, label]}}
operations: [get]
""",
    "operations/mine.yaml": """\
mine_batch:
  route: GET /v1/mine
  fields: {from: {type: text}}
  returns: [book]
mine_row:
  route: POST /v1/mine/{id}/title
  idempotent: true
  fields: {id: {type: uuid}, title: {type: text, required: true}}
  returns: book
mine_set:
  route: GET /v1/mine/{id}
  fields: {id: {type: uuid}}
  returns: book
""",
    "queries/mine.sql": """\
-- name: note_get
SELECT * FROM book WHERE id = :noteId AND user_id = :caller
-- name: mine_batch
SELECT * FROM book WHERE user_id = :caller AND title >= coalesce(:from, '') ORDER BY title
-- name: mine_row
UPDATE book SET title = :title WHERE id = :id AND user_id = :caller RETURNING *
-- name: mine_set
WITH k AS ({{k}})
SELECT k."$n", CASE WHEN b.id IS NULL THEN 404 END AS "$status", b.* FROM k LEFT JOIN book b ON b.id = k.id AND b.user_id = k.caller
""",
}
HERS, FORGED = "hers and nobody else's", "forged"

# Rules and ways. `by code`: what one gets by an operation of the folder's own, in each form that its statement may have.
RULES = ROW, REFERENCE, READONLY = "another owner's row", "a referenced row that one may not see", "a readonly field"
WAYS = ("create", "get", "list", "put", "patch", "delete", "import", "filter", "search", "sort", "cursor", "page", "embed", "If-Match", "If-None-Match",
        "Idempotency-Key", "query for a batch", "query one by one", "query with {{k}}", "query in the place of a generated one", "run")
READS = "what only reads writes no field"
AUTHOR = "a statement of the folder's own writes what its author says"
NOT_TRIED = {
    **{(READONLY, way): READS for way in ("get", "list", "delete", "filter", "search", "sort", "cursor", "page", "embed", "If-None-Match", "run",
                                          "query for a batch", "query with {{k}}", "query in the place of a generated one")},
    (READONLY, "query one by one"): AUTHOR,
    (REFERENCE, "run"): "arguments of jobs reference nothing",
}
TRIED = set()


def tries(rule, *ways):
    """What a test tries of the table."""
    assert set(ways) <= set(WAYS), ways
    TRIED.update((rule, way) for way in ways)
    return lambda test: test


def told(answer, id):
    """What an answer tells a stranger who asked for `id`: without what differs in any two."""
    body = answer.json() if answer.body else {}
    return answer.status, json.dumps({name: value for name, value in body.items() if name != "instance"}).replace(id, "ID")


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

    def lost(self, api):
        """A book on a shelf of Ann's, by somebody's SQL."""
        id = self.made(api, "/v1/books", {"title": "lost"})["id"]
        self.database.query(f"UPDATE book SET shelf_code = '{self.shelf['code']}' WHERE id = '{id}'")
        self.addCleanup(lambda: self.database.query(f"DELETE FROM book WHERE id = '{id}'"))
        return id

    @tries(ROW, "get", "put", "patch", "delete", "If-Match", "If-None-Match")
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
                nowhere = str(uuid.uuid4())
                other = self.bob.request(method, f"/v1/books/{nowhere}", {"title": FORGED} if method in ("PUT", "PATCH") else None, headers=list(given))
                self.assertEqual(told(answer, self.books[0]["id"]), told(other, nowhere), "hers differs from what is not there")
        self.assertEqual([self.stored(book["id"]) for book in self.books], before)

    @tries(ROW, "Idempotency-Key")
    def test_key_of_another__is_a_key_of_ones_own(self):
        key = [("Idempotency-Key", uuid.uuid4().hex)]
        hers = self.ann.post("/v1/books", {"title": HERS}, headers=key).json()
        mine = self.bob.post("/v1/books", {"title": HERS}, headers=key)
        self.assertEqual((mine.status, self.stored(mine.json()["id"])[0][4]), (201, self.bob.user["id"]))
        self.assertNotEqual(mine.json()["id"], hers["id"])
        titled = self.ann.post(f"/v1/mine/{hers['id']}/title", {"title": HERS}, headers=[("Idempotency-Key", key[0][1] + "t")])
        self.assertEqual(titled.json()["id"], hers["id"])
        self.assertEqual(self.bob.post(f"/v1/mine/{hers['id']}/title", {"title": HERS}, headers=[("Idempotency-Key", key[0][1] + "t")]).status, 404)
        for api, id in ((self.ann, hers["id"]), (self.bob, mine.json()["id"])):
            self.assertEqual(api.request("DELETE", f"/v1/books/{id}").status, 204)

    @tries(ROW, "query for a batch", "query one by one", "query with {{k}}", "query in the place of a generated one")
    def test_row_of_another__is_not_there_for_statements_that_ask_for_the_caller(self):
        """Whoever calls is who the token says, whatever else the request calls the caller."""
        hers, ann = self.books[0]["id"], self.ann.user["id"]
        before = self.stored(hers)
        paths = ("/v1/mine", f"/v1/mine/{hers}", f"/v1/notes/{hers}")
        for path, name in itertools.product(paths, (None, "caller", "$caller", "userId", "user_id", "role", "$admin")):
            with self.subTest(path=path, name=name):
                answer = self.bob.get(path + (f"?{name}={ann}" if name else ""))
                self.assertIn(answer.status, (200, 400, 404), answer)
                self.assertNotIn(HERS.encode(), answer.body)
        for extra in ({}, {"caller": ann}, {"$caller": ann}, {"userId": ann}, {"id": hers}):
            with self.subTest(extra=extra):
                self.assertIn(self.bob.post(f"/v1/mine/{hers}/title", {"title": FORGED, **extra}).status, (400, 404))
        self.assertEqual(self.stored(hers), before)
        for path in (f"/v1/mine/{hers}", f"/v1/notes/{hers}"):
            self.assertEqual(self.ann.get(path).json()["title"], self.books[0]["title"])

    @tries(ROW, "run")
    def test_run_of_another__is_not_there(self):
        answer = self.ann.post("/v1/books/import", json.dumps({"title": 7}).encode(), headers=[("Content-Type", "application/x-ndjson")])
        run, nowhere = answer.header("Location").rsplit("/", 1)[1], str(uuid.uuid4())
        for method, path in (("GET", "/v1/job-runs/{}"), ("GET", "/v1/job-runs/{}?wait=1s"), ("POST", "/v1/job-runs/{}/cancel"), ("GET", "/v1/job-runs/{}/attempts"),
                             ("POST", "/v1/job-runs/{}/retry")):
            with self.subTest(method=method, path=path):
                hers, none = (self.bob.request(method, path.format(id)) for id in (run, nowhere))
                self.assertIn(hers.status, (403, 404))
                self.assertEqual(told(hers, run), told(none, nowhere))
        wait_for(lambda: self.ann.get(f"/v1/job-runs/{run}").json()["state"] == "succeeded", 30, "the import")

    @tries(ROW, "list", "filter", "search", "sort", "cursor", "page")
    def test_row_of_another__is_in_no_list(self):
        mine = self.made(self.bob, "/v1/books", {"title": "bob's"})
        cursors = {sort: re.search(r"cursor=([^&>]+)", self.ann.get(f"/v1/books?limit=1&sort={sort}").header("Link")).group(1)
                   for sort in ("title", "-title", "createdAt", "-createdAt")}
        self.assertEqual(self.ann.get("/v1/books?page=1&q=hers").json()["pagination"]["totalItems"], 3)
        queries = ("", "limit=100", "page=1&pageSize=100", "sort=title", "sort=-title", "sort=createdAt", "sort=-createdAt", "q=hers", "q=hers&page=1",
                   f"shelf={self.shelf['code']}", f"shelf={self.shelf['code']}&page=1", "titleFrom=a", *(f"limit=100&sort={sort}&cursor={cursor}" for sort, cursor in cursors.items()),
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

    @tries(REFERENCE, "create", "put", "patch", "import", "If-Match", "Idempotency-Key")
    def test_row_that_one_may_not_see__cannot_be_referred_to(self):
        mine = self.made(self.bob, "/v1/books", {"title": "bob's"})
        key = [("Idempotency-Key", uuid.uuid4().hex)]
        for field, hidden, nowhere in (("shelf", self.shelf["code"], "S" + uuid.uuid4().hex), ("vault", "V", "W")):
            for value in (hidden, nowhere):
                body = {"title": "b", field: value}
                refused = [self.bob.post("/v1/books", body), self.bob.post("/v1/books", body, headers=key), self.bob.post("/v1/books", body, headers=key)]
                refused += [self.bob.request(method, f"/v1/books/{mine['id']}", body, headers=headers)
                            for method, headers in itertools.product(("PUT", "PATCH"), ([], [("If-Match", '"1"')], [("If-Match", "*")]))]
                for answer in refused:
                    self.assertEqual((answer.status, [error["field"] for error in answer.json()["errors"]]), (400, [field]), answer)
                    self.assertNotIn(HERS.encode(), answer.body)
                result = self.imported(self.bob, body)
                self.assertEqual((result["imported"], [error["field"] for error in result["errors"]]), (0, [field]))
        self.assertEqual(self.stored(mine["id"]), [["bob's", "", "ours", "1", self.bob.user["id"]]])
        self.assertEqual(self.bob.post("/v1/books", {"title": "b"}, headers=key).status, 201, "a refusal keeps no key")
        self.assertEqual(self.bob.request("DELETE", f"/v1/books/{mine['id']}").status, 204)

    @tries(REFERENCE, "get", "list", "filter", "search", "sort", "cursor", "page", "embed", "query for a batch", "query one by one", "query with {{k}}",
           "query in the place of a generated one", "If-None-Match")
    def test_row_that_one_may_not_see__is_not_shown_by_one_that_refers_to_it(self):
        """A reference that is there nonetheless, by SQL of somebody's, shows nothing of the row."""
        carl = self.server.api().register()
        self.addCleanup(carl.close)
        lost = [self.lost(carl) for _ in range(2)]
        shelf = self.shelf["code"]
        paths = [f"/v1/books/{lost[0]}", "/v1/books", "/v1/books?page=1", f"/v1/books?shelf={shelf}", f"/v1/books?shelf={shelf}&page=1&q=lost",
                 "/v1/books?q=lost", "/v1/mine", f"/v1/mine/{lost[0]}", f"/v1/notes/{lost[0]}",
                 *(f"/v1/books?limit=1&sort={sort}" for sort in ("title", "-title", "createdAt", "-createdAt"))]
        for path in paths:
            with self.subTest(path=path):
                answer = carl.get(path, headers=[("If-None-Match", '"7"')])
                self.assertEqual(answer.status, 200, answer)
                self.assertIn(b"lost", answer.body)
                self.assertNotIn(b"shelfInfo", answer.body)
                self.assertNotIn(HERS.encode(), answer.body + str(answer.headers).encode())
                if answer.header("Link"):
                    more = re.search(r"<([^>]+)>; rel=\"next\"", answer.header("Link"))
                    self.assertNotIn(HERS.encode(), carl.get(more.group(1)).body if more else b"")
        answer = carl.post(f"/v1/mine/{lost[0]}/title", {"title": "lost"})
        self.assertEqual((answer.status, answer.json().get("shelfInfo")), (200, None))
        self.assertEqual(carl.get(f"/v1/books?q={HERS.split()[0]}").json(), [])
        self.assertEqual(self.ann.get(f"/v1/books/{self.books[0]['id']}").json()["shelfInfo"]["label"], HERS)

    @tries(REFERENCE, "delete")
    def test_row_that_one_may_not_see__outlives_what_refers_to_it(self):
        lost = self.lost(self.bob)
        self.assertEqual(self.bob.request("DELETE", f"/v1/shelves/{self.shelf['id']}").status, 404)
        self.assertEqual(self.bob.request("DELETE", f"/v1/books/{lost}").status, 204)
        self.assertEqual(self.ann.get(f"/v1/shelves/{self.shelf['id']}").json()["label"], HERS)

    @tries(READONLY, "create", "put", "patch", "import", "If-Match", "Idempotency-Key")
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
                for method, headers in itertools.product(("PUT", "PATCH"), ([], [("If-Match", "*")])):
                    self.assertIn(self.bob.request(method, f"/v1/books/{id}", {"title": "b", **extra}, headers=headers).status, (200, 400))
                keyed = self.bob.post("/v1/books", {"title": "b", **extra}, headers=[("Idempotency-Key", uuid.uuid4().hex)])
                self.assertIn(keyed.status, (201, 400))
                row = self.stored(id)[0]
                self.assertEqual((row[2], row[4]), ("ours", bob))
                self.assertLess(int(row[3]), 10)
                self.imported(self.bob, {"title": "imported", **extra})
        self.assertEqual(self.database.query("SELECT DISTINCT stamp FROM book"), [["ours"]])
        self.assertEqual(self.database.query(f"SELECT count(*) FROM book WHERE user_id = '{self.ann.user['id']}'"), [["3"]])
        self.assertEqual(self.database.query("SELECT count(*) FROM book WHERE created_at < '2002-01-01' OR version > 9"), [["0"]])

    @tries(ROW, "create", "import", "patch", "embed")
    def test_id_of_another__makes_nothing(self):
        """An id in a body is the path's, or no field."""
        taken = self.books[1]["id"]
        self.assertIn(self.bob.post("/v1/books", {"title": FORGED, "id": taken}).status, (201, 400))
        self.imported(self.bob, {"title": FORGED, "id": taken})
        mine = self.made(self.bob, "/v1/books", {"title": "b"})["id"]
        self.assertEqual(self.bob.request("PATCH", f"/v1/books/{mine}", {"id": taken, "title": FORGED}).status, 400)
        self.assertEqual(self.stored(taken)[0][0], self.books[1]["title"])
        self.assertIn(self.bob.post("/v1/books", {"title": FORGED, "shelfInfo": {"code": self.shelf["code"], "label": FORGED}}).status, (201, 400))
        self.assertEqual(self.database.query(f"SELECT label FROM shelf WHERE id = '{self.shelf['id']}'"), [[HERS]])

    def test_every_rule_is_tried_by_every_way(self):
        for cell in itertools.product(RULES, WAYS):
            self.assertTrue((cell in TRIED) != (cell in NOT_TRIED), f"{cell}: it has to have a test, or a reason")


if __name__ == "__main__":
    unittest.main()
