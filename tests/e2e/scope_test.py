"""Scopes of API keys as the access of an application's resources and operations."""

import os
import unittest
import uuid

import support

FILES = {
    "millrace.yaml": "title: Warehouse\n",
    "migrations/0001_warehouse.sql": """\
CREATE TABLE shelf (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                    updated_at timestamptz NOT NULL DEFAULT now(), code text NOT NULL UNIQUE);
CREATE TABLE safe  (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                    updated_at timestamptz NOT NULL DEFAULT now(), code text NOT NULL UNIQUE);
CREATE TABLE item  (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
                    updated_at timestamptz NOT NULL DEFAULT now(), name text NOT NULL, shelf_code text REFERENCES shelf (code),
                    safe_code text REFERENCES safe (code));
CREATE INDEX item_created ON item (created_at, id);
CREATE INDEX item_shelf ON item (shelf_code);
CREATE INDEX item_safe ON item (safe_code);
CREATE INDEX shelf_created ON shelf (created_at, id);
CREATE INDEX safe_created ON safe (created_at, id);
CREATE TABLE call  (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who uuid, role text);
CREATE PROCEDURE count_call() LANGUAGE sql AS $$ INSERT INTO call (role) VALUES ('procedure') $$;
""",
    "resources/shelf.yaml": "path: /v1/shelves\naccess: {read: public, write: stock:write}\nfields: {code: {type: text, required: true, length: 1..9, unique: true}}\n",
    "resources/safe.yaml": "path: /v1/safes\naccess: admin\nfields: {code: {type: text, required: true, length: 1..9, unique: true}}\n",
    "resources/item.yaml": """\
path: /v1/items
access: {read: stock:read, write: stock:write}
fields:
  name:  {type: text, required: true, length: 1..40}
  shelf: {type: text, column: shelf_code, length: 1..9, clearable: true, references: shelf.code}
  safe:  {type: text, column: safe_code, length: 1..9, clearable: true, references: safe.code}
list: {sort: [-createdAt]}
operations: [create, get, list, update, delete, import]
""",
    "operations/calls.yaml": """\
who_reads:
  route: GET /v1/who
  access: calls:read
  returns: {who: {type: uuid}, as: {type: text, required: true}}
who_reads_of_many:
  route: GET /v1/who/many
  access: calls:read
  returns: {who: {type: uuid}, as: {type: text, required: true}}
who_calls:
  route: POST /v1/calls
  access: calls:write
  idempotent: true
  fields: {note: {type: text, length: 0..20}}
  returns: {id: {type: integer, required: true}, who: {type: uuid}, as: {type: text, required: true}}
call_counted:
  route: POST /v1/calls/counted
  access: calls:write
""",
    "queries/calls.sql": """\
-- name: who_reads
SELECT :caller AS who, :role AS "as"

-- name: who_reads_of_many
WITH k AS ({{k}})
SELECT k."$n", k.caller AS who, k.role AS "as" FROM k

-- name: who_calls
INSERT INTO call (who, role) SELECT :caller, :role WHERE :note IS NULL OR :note <> 'never' RETURNING id, who, role AS "as"

-- name: call_counted
CALL count_call()
""",
}


class Scopes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = support.Scratch()
        cls.addClassCleanup(cls.scratch.remove)
        cls.scratch.write(FILES)
        cls.server = support.Everything(MILLRACE_APP=cls.scratch.path)
        cls.addClassCleanup(cls.server.close)
        cls.server.ready()
        cls.boss = cls.server.admin()
        cls.addClassCleanup(cls.boss.close)
        cls.user = cls.server.api().register()
        cls.addClassCleanup(cls.user.close)

    def program(self, *scopes):
        made = self.boss.post("/v1/api-keys", {"name": "a program", "scopes": list(scopes)})
        self.assertEqual(made.status, 201, made)
        api = self.server.api()
        self.addCleanup(api.close)
        api.token = made.json()["key"]
        return api

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.json() if answer.body else None

    def lacks(self, answer, scope):
        self.assertEqual(answer.status, 403, answer)
        self.assertEqual(answer.header("WWW-Authenticate"), f'Bearer error="insufficient_scope", scope="{scope}"')

    def test_resource__is_written_and_read_by_its_scopes(self):
        writer, reader = self.program("stock:write"), self.program("stock:read")
        shelf = "s" + uuid.uuid4().hex[:8]
        self.good(writer.post("/v1/shelves", {"code": shelf}), 201)
        made = self.good(writer.post("/v1/items", {"name": "bolt", "shelf": shelf}), 201)
        self.assertEqual(list(made), ["id"])  # it may not read what it writes
        path = "/v1/items/" + made["id"]
        self.lacks(writer.get(path), "stock:read")
        self.lacks(reader.post("/v1/items", {"name": "nut"}), "stock:write")
        self.assertEqual(self.good(reader.get(path))["shelf"], shelf)
        self.assertIn(made["id"], [item["id"] for item in self.good(reader.get("/v1/items"))])
        both = self.program("stock:read", "stock:write")
        self.good(both.request("PATCH", path, {"name": "screw"}))
        self.assertEqual(self.good(both.get(path))["name"], "screw")
        self.good(both.request("DELETE", path), 204)
        self.assertEqual(both.get(path).status, 404)

    def test_import__is_a_users_and_says_so(self):
        record, header = b'{"name": "bolt"}\n', [("Content-Type", "application/x-ndjson")]
        refused = self.program("stock:write").post("/v1/items/import", record, headers=header)
        self.assertEqual((refused.status, refused.header("WWW-Authenticate")), (403, 'Bearer error="insufficient_scope"'))
        self.assertEqual(refused.json()["detail"], "An API key may not do this; use a user's access token.")
        self.good(self.boss.post("/v1/items/import", record, headers=header), 202)

    def test_administrators__may_do_what_a_scope_allows_and_users_may_not(self):
        made = self.good(self.boss.post("/v1/items", {"name": "bolt"}), 201)
        self.assertEqual(self.good(self.boss.get("/v1/items/" + made["id"]))["name"], "bolt")
        for method, path, body in (("GET", "/v1/items", None), ("POST", "/v1/items", {"name": "x"}), ("GET", "/v1/who", None)):
            self.assertEqual(self.user.request(method, path, body).status, 403)
            answer = self.user.request(method, path, body, token=None)
            self.assertEqual((answer.status, answer.header("WWW-Authenticate")), (401, "Bearer"))

    def test_administrator__who_is_gone_is_401(self):
        gone = self.server.admin()
        self.addCleanup(gone.close)
        self.good(gone.request("DELETE", "/v1/users/profile"), 204)
        for method, path, body in (("GET", "/v1/items", None), ("POST", "/v1/items", {"name": "x"}), ("GET", "/v1/who", None),
                                   ("GET", "/v1/who/many", None), ("POST", "/v1/calls", {})):
            with self.subTest(path=path):
                self.assertEqual(gone.request(method, path, body).status, 401)

    def test_reference__to_what_a_key_may_not_read_is_none(self):
        code = "v" + uuid.uuid4().hex[:8]
        self.good(self.boss.post("/v1/safes", {"code": code}), 201)
        refused = self.program("stock:write").post("/v1/items", {"name": "gold", "safe": code})
        self.assertEqual((refused.status, [error["field"] for error in refused.json()["errors"]]), (400, ["safe"]), refused)
        self.good(self.boss.post("/v1/items", {"name": "gold", "safe": code}), 201)
        self.assertEqual(self.program("stock:read").get("/v1/safes").status, 403)

    def test_operations__have_no_caller_and_the_role_of_a_key(self):
        program = self.program("calls:read", "calls:write")
        for path in ("/v1/who", "/v1/who/many"):
            self.assertEqual(self.good(program.get(path)), {"as": "key"})
            self.assertEqual(self.good(self.boss.get(path)), {"who": self.boss.user["id"], "as": "admin"})
        made = self.good(program.post("/v1/calls", {"note": "x"}))
        self.assertEqual({name: made[name] for name in made if name != "id"}, {"as": "key"})
        self.assertEqual(program.post("/v1/calls/counted", {}).status, 204)
        self.lacks(self.program("calls:read").post("/v1/calls", {}), "calls:write")

    def test_idempotency_key__is_each_keys_own(self):
        header = [("Idempotency-Key", '"once"')]
        for path, body, status in (("/v1/calls", {"note": "x"}, 200), ("/v1/items", {"name": "bolt"}, 201)):
            with self.subTest(path=path):
                one, two = (self.program("calls:write", "stock:write") for _ in range(2))
                first, again, other = (self.good(api.post(path, body, headers=header), status)["id"] for api in (one, one, two))
                self.assertEqual(first, again)
                self.assertNotEqual(first, other)
                # A key that was deleted is taken for some seconds still; nobody is there to keep an answer for.
                with self.server.database() as database:
                    key = database.value("SELECT id FROM millrace.api_key ORDER BY id DESC OFFSET 1 LIMIT 1")
                    database.query(f"DELETE FROM millrace.api_key WHERE id = '{key}'")
                    support.wait_for(lambda: database.count("millrace.account", f"id = '{key}'") == 0, 30, "the end of the key's account")
                late = one.post(path, body, headers=[("Idempotency-Key", '"late"')])
                self.assertEqual((late.status, late.header("WWW-Authenticate")), (401, 'Bearer error="invalid_token"'), late)

    def test_scopes__of_the_folder_are_those_there_are(self):
        for scope in ("stock:delete", "stock:write:x", "stock"):
            answer = self.boss.post("/v1/api-keys", {"name": "n", "scopes": [scope]})
            self.assertEqual((answer.status, answer.json()["errors"][0]["message"]), (400, "no operation knows " + scope))
        document = self.boss.get("/openapi.json").json()
        self.assertEqual(document["paths"]["/v1/items"]["post"]["security"], [{"bearer": []}, {"apiKey": ["stock:write"]}])

    def test_check__has_no_problem(self):
        done = support.run("check", self.scratch.path, seconds=60, DB_HOST=os.path.join(self.server.state_dir, support.SERVER_DATABASE), DB_USER="postgres")
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main()
