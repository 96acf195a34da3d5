"""examples/shop, as its customers and its owner use it."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import threading
import unittest

import support

SHOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "shop")

SECRET = b"a secret of whoever sends receipts"

module = support.ModuleServer()
receipts = None


class Receipts(http.server.ThreadingHTTPServer):
    """Who sends receipts: what it was asked for, and whether that was signed."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receipt)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Receipt(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        self.server.asked.append((json.loads(body), self.headers["webhook-signature"] == signature))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def setUpModule():
    global receipts
    receipts = Receipts()
    module.start(MILLRACE_APP=os.path.realpath(SHOP), PUSH_ALLOW_PRIVATE="true", RECEIPT_URL=f"http://127.0.0.1:{receipts.server_port}/orders",
                 RECEIPT_SECRET="whsec_" + base64.b64encode(SECRET).decode())


def tearDownModule():
    module.stop()
    receipts.shutdown()
    receipts.server_close()


class Shop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.owner = module.server.admin()
        cls.owner.post("/v1/categories", {"code": "TEA", "label": "Tea"})
        cls.stocked = 0

    @classmethod
    def tearDownClass(cls):
        cls.owner.close()

    def setUp(self):
        self.customer = module.server.api().register()
        self.addCleanup(self.customer.close)

    def expect(self, response, status):
        self.assertEqual(response.status, status, response)
        return response.json() if response.body else None

    def product(self, **fields):
        type(self).stocked += 1
        return self.expect(self.owner.post("/v1/products", {"sku": f"T-{self.stocked}", "name": f"Tea {self.stocked}", "price": 9.90,
                                                            "stock": 5, "category": "TEA", **fields}), 201)

    def put_in_basket(self, product, quantity, customer=None):
        return self.expect((customer or self.customer).post("/v1/basket-items", {"product": product["id"], "quantity": quantity}), 201)

    def stock(self, product):
        return self.expect(self.owner.get("/v1/products/" + product["id"]), 200)["stock"]

    # ---- What is declared ----

    def test_product__is_shown_with_its_shelf_and_an_exact_price(self):
        made = self.product(price=0.10, tags=["green", "it's \"loose\", {yes}"])
        shown = module.server.api()
        self.addCleanup(shown.close)
        response = shown.get("/v1/products/" + made["id"])
        self.assertEqual(self.expect(response, 200), made)
        self.assertIn(b'"price":0.10', response.body)
        self.assertEqual(made["shelf"], {"code": "TEA", "label": "Tea"})
        self.assertEqual(made["tags"], ["green", "it's \"loose\", {yes}"])
        self.assertIs(made["soldOut"], False)

    def test_product__tells_all_that_is_wrong_at_once(self):
        problem = self.expect(self.owner.post("/v1/products", {"sku": "no spaces", "name": "", "price": 9.999, "stock": -1}), 400)
        self.assertEqual([error["field"] for error in problem["errors"]], ["sku", "name", "price", "stock", "category"])

    def test_product__names_what_is_taken_and_what_is_not_there(self):
        product = self.product()
        fields = {"sku": product["sku"], "name": "Other", "price": 1, "category": "TEA"}
        self.assertEqual(self.expect(self.owner.post("/v1/products", fields), 409)["errors"][0]["field"], "sku")
        self.assertEqual(self.expect(self.owner.post("/v1/products", {**fields, "sku": "NEW-1", "category": "NONE"}), 400)["errors"][0]["field"],
                         "category")

    def test_product__only_the_owner_writes(self):
        self.expect(self.customer.post("/v1/products", {}), 403)
        self.expect(self.customer.request("DELETE", "/v1/products/" + self.product()["id"]), 403)

    def test_product__a_change_needs_the_version_that_was_seen(self):
        product = self.product()
        path = "/v1/products/" + product["id"]
        tag = self.owner.get(path).header("ETag")
        self.assertEqual(self.expect(self.owner.request("PATCH", path, {"price": 12.5}, headers=[("If-Match", tag)]), 200)["price"], 12.5)
        self.expect(self.owner.request("PATCH", path, {"price": 13}, headers=[("If-Match", tag)]), 412)
        self.expect(self.owner.request("PATCH", path, {"soldOut": True}), 200)  # read only: not a field of the message
        self.assertIs(self.expect(self.owner.get(path), 200)["soldOut"], False)

    def test_products__are_filtered_sorted_and_searched(self):
        names = {self.product(name=f"Zebra {name}", price=price)["id"]: name for name, price in (("one", 1), ("two", 2), ("three", 30000))}
        found = self.expect(self.owner.get("/v1/products?category=TEA&q=zebra&sort=-price"), 200)
        self.assertEqual([names.get(product["id"]) for product in found], ["three", "two", "one"])
        page = self.expect(self.owner.get("/v1/products?q=zebra&priceUpTo=2&page=1&pageSize=1"), 200)
        self.assertEqual((len(page["data"]), page["pagination"]["totalItems"]), (1, 2))
        first = self.owner.get("/v1/products?q=zebra&sort=price&limit=2")
        self.assertEqual([names[product["id"]] for product in self.expect(first, 200)], ["one", "two"])
        rest = first.header("Link").split(">")[0].lstrip("<")
        self.assertEqual([names[product["id"]] for product in self.expect(self.owner.get(rest), 200)], ["three"])

    def test_products__are_imported_from_a_spreadsheet(self):
        """What a line says is held to what a product is, and what is wrong is told by line and field."""
        first = self.product(stock=3)
        lines = ["sku,name,price,stock,tags,category,soldOut",
                 'I-1,Oolong,4.50,7,"[""loose"",""green""]",TEA,true',
                 "I-2,Sencha,4.505,1,,TEA,",
                 f"{first['sku']},Again,1,1,,TEA,",
                 "I-1,Twice,1,1,,TEA,",
                 "I-3,Mate,0.10,,,NONE,",
                 "I-4,Assam,0.10,,,TEA,"]
        body = "\r\n".join(lines).encode()
        self.expect(self.customer.request("POST", "/v1/products/import", body, [("Content-Type", "text/csv")]), 403)
        headers = [("Content-Type", "text/csv"), ("Idempotency-Key", '"products"')]
        answer = self.owner.request("POST", "/v1/products/import", body, headers)
        run = self.expect(answer, 202)
        path = answer.header("Location")
        self.assertEqual(path, "/v1/job-runs/" + run["id"])
        self.assertEqual(self.expect(self.owner.request("POST", "/v1/products/import", body, headers), 202)["id"], run["id"])
        support.wait_for(lambda: "finishedAt" in self.expect(self.owner.get(path), 200), 30, "the import is over")
        result = self.expect(self.owner.get(path), 200)["result"]
        self.assertEqual((result["imported"], result["rejected"]), (2, 4))
        self.assertEqual([(error["line"], error["field"]) for error in result["errors"]],
                         [(3, "price"), (4, "sku"), (5, "sku"), (6, "category")])
        self.assertEqual([(told["line"], told["field"]) for told in result["ignored"]], [(1, "soldOut")])
        self.expect(self.customer.get(path), 404)
        found = self.expect(self.owner.get("/v1/products?q=oolong"), 200)
        self.assertEqual([(product["sku"], product["price"], product["tags"], product["soldOut"]) for product in found],
                         [("I-1", 4.5, ["loose", "green"], False)])
        self.assertEqual(self.expect(self.owner.get("/v1/products?q=assam"), 200)[0]["stock"], 0)

    def test_basket__is_the_customer_s_own(self):
        item = self.put_in_basket(self.product(), 1)
        other = module.server.api().register()
        self.addCleanup(other.close)
        path = "/v1/basket-items/" + item["id"]
        self.assertEqual(self.expect(other.get("/v1/basket-items"), 200), [])
        self.expect(other.get(path), 404)
        self.expect(other.request("PATCH", path, {"quantity": 2}), 404)
        self.expect(other.request("DELETE", path), 404)
        self.expect(self.customer.request("DELETE", path), 204)

    # ---- What is a statement ----

    def test_order__takes_the_stock_and_empties_the_basket(self):
        tea, cup = self.product(price=9.90), self.product(price=5)
        self.put_in_basket(tea, 3)
        self.put_in_basket(cup, 1)
        response = self.customer.post("/v1/orders", {"note": "quick"})
        order = self.expect(response, 201)
        self.assertEqual((order["total"], order["note"]), (34.70, "quick"))
        self.assertEqual(response.header("Location"), "/v1/orders/" + order["id"])
        self.assertEqual(self.expect(self.customer.get(response.header("Location")), 200), order)
        self.assertEqual((self.stock(tea), self.stock(cup)), (2, 4))
        self.assertEqual(self.expect(self.customer.get("/v1/basket-items"), 200), [])
        lines = self.expect(self.customer.get(f"/v1/orders/{order['id']}/lines"), 200)
        self.assertEqual(sorted((line["product"], line["quantity"]) for line in lines), sorted([(tea["id"], 3), (cup["id"], 1)]))
        self.assertEqual(self.expect(self.owner.get(f"/v1/products/{tea['id']}/sales"), 200), {"sold": 3, "revenue": 29.70})

    def test_order__of_more_than_there_is_changes_nothing(self):
        tea, cup = self.product(stock=5), self.product(stock=1)
        self.put_in_basket(tea, 1)
        self.put_in_basket(cup, 2)
        problem = self.expect(self.customer.post("/v1/orders", {}), 409)
        self.assertEqual(problem["errors"][0]["field"], "quantity")
        self.assertIn("only 1 left", problem["errors"][0]["message"])
        self.assertEqual((self.stock(tea), self.stock(cup)), (5, 1))
        self.assertEqual(len(self.expect(self.customer.get("/v1/basket-items"), 200)), 2)

    def test_order__the_same_key_buys_once(self):
        self.put_in_basket(self.product(), 1)
        key = [("Idempotency-Key", '"once"')]
        first = self.expect(self.customer.post("/v1/orders", {"note": "a"}, headers=key), 201)
        self.assertEqual(self.expect(self.customer.post("/v1/orders", {"note": "a"}, headers=key), 201), first)
        self.expect(self.customer.post("/v1/orders", {"note": "b"}, headers=key), 422)
        self.expect(self.customer.post("/v1/orders", {"note": "a"}), 409)  # without a key the basket is empty

    def test_order__of_another_is_not_there(self):
        self.put_in_basket(self.product(), 1)
        order = self.expect(self.customer.post("/v1/orders", {}), 201)
        other = module.server.api().register()
        self.addCleanup(other.close)
        self.expect(other.get("/v1/orders/" + order["id"]), 404)
        self.assertEqual(self.expect(other.get(f"/v1/orders/{order['id']}/lines"), 200), [])
        self.expect(self.customer.get(f"/v1/products/{self.product()['id']}/sales"), 403)

    def queued(self, job, order):
        with module.server.database() as database:
            return database.query(f"SELECT state, key FROM millrace.every_run WHERE job = '{job}' AND args ->> 'orderId' = '{order['id']}'")

    def test_order__queues_a_receipt_and_a_parcel(self):
        self.put_in_basket(self.product(), 1)
        order = self.expect(self.customer.post("/v1/orders", {}), 201)
        mine = support.wait_for(lambda: [call for call in receipts.asked if call[0]["data"]["orderId"] == order["id"]], 20, "the receipt is sent")
        self.assertEqual([(call["type"], is_signed) for call, is_signed in mine], [("order_receipt", True)])
        support.wait_for(lambda: self.queued("order_receipt", order)[0][0] == "succeeded", 20, "that is known")
        self.assertEqual(self.queued("order_pack", order), [["queued", self.customer.user["id"]]])
        claims = self.expect(self.owner.post("/v1/jobs/order_pack/claims", {"max": 100, "worker": "warehouse"}), 200)["runs"]
        mine = [run for run in claims if run["args"]["orderId"] == order["id"]]
        self.assertEqual([run["key"] for run in mine], [self.customer.user["id"]])
        told = [{"id": run["id"], "claim": run["claim"], "outcome": "succeeded", "result": {"parcel": "P-1"}} for run in claims]
        self.assertEqual({entry["state"] for entry in self.expect(self.owner.post("/v1/job-runs/outcomes", {"outcomes": told}), 200)["outcomes"]},
                         {"succeeded"})
        self.assertEqual(self.queued("order_pack", order)[0][0], "succeeded")

    def test_order__that_is_not_placed_queues_nothing(self):
        with module.server.database() as database:
            before = database.count("millrace.every_run", "job IN ('order_receipt', 'order_pack')")
            self.expect(self.customer.post("/v1/orders", {}), 409)
            self.assertEqual(database.count("millrace.every_run", "job IN ('order_receipt', 'order_pack')"), before)

    def test_restock__notes_what_runs_out(self):
        product = self.product(stock=1)
        self.assertEqual(self.owner.run_job("restock")["state"], "succeeded")
        with module.server.database() as database:
            self.assertEqual(len(database.query(f"SELECT 1 FROM wish WHERE product_id = '{product['id']}'")), 1)
        self.assertTrue(self.owner.get("/v1/jobs/restock").json()["nextAt"].endswith("T03:00:00.000Z"))


class Checked(unittest.TestCase):
    def test_shop__has_no_problem(self):
        done = support.run("check", SHOP, DB_HOST=os.path.join(module.server.state_dir, support.SERVER_DATABASE), DB_USER="postgres")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
