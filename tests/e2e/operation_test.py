"""Operations of an application's own, over HTTP: the shop, whose statements are plain SQL."""

import concurrent.futures
import os
import shutil
import time
import unittest
import urllib.parse
import uuid

import support

SHOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "applications", "shop")

MORE = """\
product_named:
  route: GET /v1/named/{name}
  access: public
  fields: {name: {type: text}}
  returns: product
ticket_draw:
  route: POST /v1/tickets
  access: public
  fields: {label: {type: text, required: true, length: 1..9}, count: {type: integer, range: 1..5}}
  returns: {label: {type: text}, number: {type: integer, required: true}}
sentence_say:
  route: POST /v1/sentences
  access: public
  fields: {text: {type: text, required: true}}
refusal_raised:
  route: POST /v1/refusals/raised
  access: public
  fields: {text: {type: text}, field: {type: text}, hint: {type: text, default: ''}}
refusal_raised_set:
  route: GET /v1/refusals/raised
  access: public
  fields: {text: {type: text}, field: {type: text}}
refusal_raised_shown:
  route: GET /v1/refusals/raised/shown
  access: public
  fields: {text: {type: text}, field: {type: text}}
  returns: {number: {type: integer}}
refusal_raised_batch:
  route: GET /v1/refusals/raised/batch
  access: public
  fields: {text: {type: text}, field: {type: text}}
refusal_row:
  route: POST /v1/refusals/rows
  access: public
  fields: {text: {type: text}, field: {type: text}}
refusal_row_set:
  route: GET /v1/refusals/rows
  access: public
  fields: {text: {type: text}, field: {type: text}}
  statement: refusal_row
refusal_row_shown:
  route: GET /v1/refusals/rows/shown
  access: public
  fields: {text: {type: text}, field: {type: text}}
  returns: {number: {type: integer}}
refusal_row_batch:
  route: GET /v1/refusals/rows/batch
  access: public
  fields: {text: {type: text}, field: {type: text}}
span_read:
  route: GET /v1/spans
  access: public
  fields: {from: {type: integer, required: true}, to: {type: integer, required: true}}
  returns: {label: {type: text}, number: {type: integer}}
rows_read:
  route: GET /v1/rows
  access: public
  fields: {count: {type: integer, required: true}, bytes: {type: integer, required: true}}
  returns: [{label: {type: text}, number: {type: integer}}]
rows_drawn:
  route: GET /v1/drawn-rows
  access: public
  fields: {count: {type: integer, required: true}, bytes: {type: integer, required: true}}
  returns: [{label: {type: text}, number: {type: integer}}]
"""

STATEMENTS = """\
-- name: product_named
SELECT * FROM product n WHERE n.name = :name

-- name: ticket_draw
SELECT :label AS label, nextval('ticket') AS number WHERE :count IS NULL OR :count > 0

-- name: sentence_say
SELECT say(:text)

-- name: refusal_raised
SELECT refuse(:text, :field, :hint)

-- name: refusal_raised_set
SELECT refuse_stable(:text, :field)

-- name: refusal_raised_shown
SELECT 7 AS number, refuse_stable(:text, :field) AS looked

-- name: refusal_raised_batch
WITH k AS ({{k}}) SELECT k."$n", refuse_stable(k.text, k.field) FROM k

-- name: refusal_row
SELECT 409 AS "$status", :field AS "$field", :text AS "$message"

-- name: refusal_row_shown
SELECT 7 AS number, 409 AS "$status", :field AS "$field", :text AS "$message"

-- name: refusal_row_batch
WITH k AS ({{k}}) SELECT k."$n", 409 AS "$status", k.field AS "$field", k.text AS "$message" FROM k

-- name: span_read
SELECT int8range(:from, :to)::text AS label, width_bucket(:from, 0, 9, :to::int) AS number

-- name: rows_read
SELECT repeat('x', :bytes::int) AS label, g AS number FROM generate_series(1, :count) g

-- name: rows_drawn
SELECT repeat('x', :bytes::int) AS label, nextval('ticket') AS number FROM generate_series(1, :count) g
"""

SAYS = """\
CREATE FUNCTION say(words text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE SQLSTATE 'MR409' USING MESSAGE = words, COLUMN = 'text';
END $$;
CREATE FUNCTION refuse(words text, field text, hint text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE SQLSTATE 'MR409' USING MESSAGE = words, COLUMN = coalesce(field, ''), DETAIL = nullif(hint, 'null');
END $$;
CREATE FUNCTION refuse_stable(words text, field text) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN
    RAISE SQLSTATE 'MR409' USING MESSAGE = words, COLUMN = coalesce(field, '');
END $$;
"""

scratch = None
server = None
api = None


def setUpModule():
    global scratch, server, api
    scratch = support.Scratch()
    folder = scratch.join("shop")
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("jobs"))
    for name, text in (("operations/more.yaml", MORE), ("queries/more.sql", STATEMENTS),
                       ("migrations/0003_more.sql", "CREATE SEQUENCE ticket;\n" + SAYS)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    server = api = support.Everything(MILLRACE_APP=folder).ready()
    with server.database() as database:
        database.query("INSERT INTO category (id, code, label) VALUES (gen_random_uuid(), 'A', 'All')")
        database.query("INSERT INTO product (id, sku, name, price, stock, category_code)"
                       " SELECT gen_random_uuid(), 'SKU-' || g, 'p' || g, g + 0.25, 3, 'A' FROM generate_series(1, 40) g")


def tearDownModule():
    server.close()
    scratch.remove()


class Operation(unittest.TestCase):
    def client(self, signed_in=True):
        client = api.api()
        self.addCleanup(client.close)
        return client.register() if signed_in else client

    def basket(self, user, sku, quantity):
        row = str(uuid.uuid4())
        with server.database() as database:
            database.query(f"INSERT INTO basket (id, user_id, product_id, quantity) SELECT '{row}', '{user.user['id']}', id, {quantity}"
                           f" FROM product WHERE sku = '{sku}'")
        return row

    def together(self, call, count, workers=8):
        """What `call` answers for each number, many at a time."""
        def one(number):
            client = api.api()
            try:
                return call(client, number)
            finally:
                client.close()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return list(pool.map(one, range(1, count + 1)))

    def test_operation__an_answer_that_is_too_large_is_refused_and_its_neighbours_are_not(self):
        for path in ("/v1/rows", "/v1/drawn-rows"):
            def call(client, number, path=path):
                count, length = ((3, 10), (1_000_000, 100), (2, 12_000_000))[number % 3]
                return client.get(f"{path}?count={count}&bytes={length}")
            for number, answer in enumerate(self.together(call, 3), 1):
                if number % 3 == 0:
                    self.assertEqual((answer.status, len(answer.json())), (200, 3), path)
                else:
                    self.assertEqual((answer.status, answer.json()["detail"]),
                                     (500, "The answer is larger than 16 MiB; ask for less at a time."), path)
            whole = self.client(signed_in=False).get(f"{path}?count=10&bytes=50000")
            self.assertEqual((whole.status, len(whole.json())), (200, 10))

    def test_operation__a_connection_that_is_given_up_over_an_answer_is_not_called_lost(self):
        """The order to cancel may still be under way, so there is another connection: no trouble of the database's."""
        client = self.client(signed_in=False)
        before = len(server.logs("statement failed"))
        self.assertEqual(client.get("/v1/drawn-rows?count=1000000&bytes=100").status, 500)
        told = server.said("statement failed", before + 1)[-1]
        self.assertEqual((told["statement"], told["reason"]), ("rows_drawn/each", "the result is larger than 32 MiB"))
        self.assertEqual(client.get("/v1/drawn-rows?count=1&bytes=1").status, 200)
        for line in ("database connection lost", "database not reached yet"):
            self.assertEqual([told["reason"] for told in server.logs(line)], [])

    def test_operation__a_message_that_is_raised_has_all_its_lines(self):
        client = self.client(signed_in=False)
        for words in ("one\ntwo", "\nthree", "four\n"):
            answer = client.post("/v1/sentences", {"text": words})
            self.assertEqual((answer.status, answer.json()["errors"]), (409, [{"field": "text", "code": "state", "message": words}]))

    def refusals(self, **given):
        """What a refusal comes to, by each way in which SQL can refuse: message by message and for a batch, raised and as a row."""
        client = self.client(signed_in=False)
        query = urllib.parse.urlencode({name: value for name, value in given.items() if value is not None})
        for way in ("raised", "rows"):
            for call in (lambda: client.post(f"/v1/refusals/{way}", given), lambda: client.get(f"/v1/refusals/{way}?{query}"),
                         lambda: client.get(f"/v1/refusals/{way}/shown?{query}"), lambda: client.get(f"/v1/refusals/{way}/batch?{query}")):
                answer = call()
                yield way, answer, answer.json()

    def test_operation__a_refusal_says_what_it_was_given_to_say(self):
        for words, told in (("no", "no"), ("100% %s {x} \\", "100% %s {x} \\"), ("a\x01\x1f\x7f\u0085\u2028\U0001f600b",) * 2, ("x" * 5000, "x" * 255),
                            ("xé" * 500, "xé" * 85)):
            for field in ("text", None):
                for way, answer, problem in self.refusals(text=words, field=field):
                    expected = told if way == "raised" else words
                    self.assertEqual((answer.status, answer.header("Content-Type")), (409, "application/problem+json"))
                    if field is None:
                        self.assertEqual((problem["detail"], "errors" in problem), (expected, False))
                    else:
                        self.assertEqual(problem["errors"], [{"field": "text", "code": "state", "message": expected}])

    def test_operation__a_refusal_without_words_has_the_usual_ones(self):
        for words in ("", "   ", "\n\t "):
            for way, answer, problem in self.refusals(text=words, field=None):
                self.assertEqual((answer.status, problem["detail"], "errors" in problem), (409, "The request conflicts with what is stored.", False))
            for way, answer, problem in self.refusals(text=words, field="text"):
                code, told = ("state", "is refused") if way == "raised" else ("taken", "is taken already")
                self.assertEqual((answer.status, problem["errors"]), (409, [{"field": "text", "code": code, "message": told}]))

    def test_operation__what_cannot_be_raised_is_a_failure_that_the_log_explains(self):
        """RAISE takes no NULL: nobody knows what was meant."""
        client = self.client(signed_in=False)
        before = len(server.logs("statement failed"))
        for body in ({"text": None}, {"text": "a", "hint": "null"}):
            answer = client.post("/v1/refusals/raised", body)
            self.assertEqual((answer.status, answer.json()["detail"]), (500, "Something went wrong; the log has the reason under this request id."))
        told = server.said("statement failed", before + 1)[before:]
        self.assertIn(("22004", "RAISE statement option cannot be null"), [(line["sqlstate"], line["reason"]) for line in told])

    def test_operation__a_long_answer_goes_on_to_a_client_that_becomes_slower(self):
        """Its fast beginning filled a large buffer of the kernel, which then takes no more until a third of that has gone."""
        span = support.patience(0.6)
        process = server.api_process(MILLRACE_APP=scratch.join("shop"), GATEWAY_BODY_TIMEOUT=f"{int(span * 1000)}ms").ready()
        self.addCleanup(process.stop)

        def attempt(in_time):
            def take(count):
                while count > 0:
                    data = connection.socket.recv(count)
                    self.assertNotEqual(data, b"", "cut")
                    count -= len(data)
                    in_time()

            with support.Connection(process.port, receive_buffer=4096, segment=1400) as connection:
                connection.send(b"GET /v1/rows?count=8&bytes=1000000 HTTP/1.1\r\nHost: test\r\n\r\n")
                piece = int(4 * 16384 * span / 10)  # four times what has to be taken
                take(3_000_000)
                for _ in range(40):  # in four spans
                    time.sleep(span / 10)
                    take(piece)
                take(8_000_000 - 3_000_000 - 40 * piece)

        support.steadily(span, attempt)

    def test_operation__a_value_that_only_the_server_finds_wrong_is_told_by_its_kind(self):
        for path in ("/v1/rows", "/v1/drawn-rows"):
            answer = self.client(signed_in=False).get(f"{path}?count=1&bytes=3000000000")
            self.assertEqual((answer.status, answer.json()["detail"]), (400, "A number is out of range for what is computed from it."), path)
        for span, told in (("from=2&to=1", "Values do not fit together, such as the end of a range before its beginning."),
                           ("from=0&to=0", "A value is not one that can be computed with.")):
            answer = self.client(signed_in=False).get(f"/v1/spans?{span}")
            self.assertEqual((answer.status, answer.json()["detail"]), (400, told), span)

    def test_operation__a_query_answers_everybody_their_own(self):
        answers = self.together(lambda client, number: client.get(f"/v1/named/p{number}"), 41)
        for number, answer in enumerate(answers[:40], 1):
            self.assertEqual(answer.status, 200)
            product = answer.json()
            self.assertEqual((product["name"], product["price"], product["categoryInfo"]), (f"p{number}", number + 0.25, {"code": "A", "label": "All"}))
            self.assertEqual(answer.header("ETag"), '"1"')
        self.assertEqual(answers[40].status, 404)

    def test_operation__everybody_draws_a_ticket_of_their_own(self):
        answers = self.together(lambda client, number: client.post("/v1/tickets", {"label": f"l{number}"}), 40)
        self.assertEqual([answer.json()["label"] for answer in answers], [f"l{number}" for number in range(1, 41)])
        self.assertEqual(len({answer.json()["number"] for answer in answers}), 40)

    def test_operation__tells_every_field_that_is_wrong(self):
        answer = self.client(signed_in=False).post("/v1/tickets", {"count": 6, "labels": "x"})
        self.assertEqual(answer.status, 400)
        self.assertLessEqual({"label", "count"}, {error["field"] for error in answer.json()["errors"]})

    def test_operation__an_order_is_placed_and_cancelled(self):
        user = self.client()
        placed = user.post("/v1/orders", {"basketId": self.basket(user, "SKU-7", 2), "note": "soon"})
        self.assertEqual(placed.status, 201, placed)
        order = placed.json()
        self.assertEqual((order["total"], order["note"], "userId" in order), (14.5, "soon", False))
        self.assertEqual(placed.header("Location"), f"/v1/orders/{order['id']}")
        self.assertEqual(user.get(placed.header("Location")).json(), order)
        # What the statement raises is the answer: to a stranger there is no such order.
        self.assertEqual(self.client().post(f"/v1/orders/{order['id']}/cancel", None).status, 404)
        self.assertEqual(user.post(f"/v1/orders/{order['id']}/cancel", None).status, 204)
        self.assertEqual(user.get(placed.header("Location")).status, 404)

    def test_operation__more_than_there_is_cannot_be_bought(self):
        user = self.client()
        refused = user.post("/v1/orders", {"basketId": self.basket(user, "SKU-8", 4)})
        self.assertEqual(refused.status, 409)
        self.assertEqual(refused.json()["errors"][0]["field"], "basketId")
        self.assertEqual(refused.json()["errors"][0]["message"], "out of stock")

    def test_operation__a_key_that_comes_again_gets_the_first_answer(self):
        user = self.client()
        body = {"basketId": self.basket(user, "SKU-11", 1)}
        key = [("Idempotency-Key", '"buy-once"')]
        first = user.post("/v1/orders", body, headers=key)
        again = user.post("/v1/orders", body, headers=key)
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertEqual(again.json(), first.json())
        self.assertEqual(again.header("Location"), first.header("Location"))
        self.assertEqual(user.post("/v1/orders", {**body, "note": "other"}, headers=key).status, 422)
        self.assertEqual(user.post("/v1/orders", body).status, 404)  # the basket is gone

    def test_operation__needs_whom_it_says(self):
        user = self.client()
        self.assertEqual(self.client(signed_in=False).post("/v1/orders", {"basketId": str(uuid.uuid4())}).status, 401)
        with server.database() as database:
            product = database.value("SELECT id FROM product WHERE sku = 'SKU-1'")
        self.assertEqual(user.get(f"/v1/products/{product}/sales").status, 403)
        basket = self.basket(user, "SKU-9", 1)
        with server.database() as database:
            database.query(f"DELETE FROM millrace.app_user WHERE id = '{user.user['id']}'")
        self.assertEqual(user.post("/v1/orders", {"basketId": basket}).status, 401)

    def test_operation__figures_are_exact(self):
        buyer = self.client()
        self.assertEqual(buyer.post("/v1/orders", {"basketId": self.basket(buyer, "SKU-10", 3)}).status, 201)
        with server.database() as database:
            product = database.value("SELECT id FROM product WHERE sku = 'SKU-10'")
        admin = self.client(signed_in=False).register(grant=server.make_admin)
        self.assertEqual(admin.get(f"/v1/products/{product}/sales").json(), {"sold": 3, "revenue": 30.75})
        self.assertEqual(admin.get(f"/v1/products/{product}/sales?since=2999-01-01").json(), {"sold": 0, "revenue": 0})


class Sql(unittest.TestCase):
    def sql(self, *arguments, **settings):
        return support.run("sql", *arguments, MILLRACE_APP=scratch.join("shop"), **settings)

    def test_sql__shows_what_the_database_makes_of_it(self):
        database = {"DB_HOST": os.path.join(server.state_dir, support.SERVER_DATABASE), "DB_USER": "postgres"}
        self.assertIn("-- one for a batch\n", self.sql("product_named", **database).stdout)
        self.assertIn("-- message by message: nextval() is volatile\n", self.sql("ticket_draw", **database).stdout)
        self.assertIn("-- message by message: cancel_order() is volatile\n", self.sql("order_cancel", **database).stdout)

    def test_sql__shows_both_forms_without_a_database(self):
        told = self.sql("product_named").stdout
        self.assertIn("-- message by message\n", told)
        self.assertIn("-- one for a batch, if nothing that it calls is volatile\n", told)

    def test_sql__knows_resources_and_nothing_else(self):
        told = self.sql("basket")
        self.assertIn("-- name: basket_get\n", told.stdout)
        self.assertNotIn("-- name: order_", told.stdout)
        self.assertEqual(self.sql("baskets").returncode, 1)
        self.assertEqual(self.sql("a", "b").returncode, 2)


if __name__ == "__main__":
    unittest.main()
