"""The shop of tests/data/applications, end to end: products, categories and baskets as clients see them."""

import os
import unittest
import uuid

import support

SHOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "applications", "shop")

server = None


def setUpModule():
    global server
    server = support.Everything(MILLRACE_APP=SHOP).ready()


def tearDownModule():
    server.close()


def sku():
    return uuid.uuid4().hex[:16].upper()


class Shop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.admin = server.admin()
        cls.user = server.api().register()
        cls.other = server.api().register()
        response = cls.admin.post("/v1/categories", {"code": "TOYS", "label": "Toys"})
        assert response.status == 201, response

    @classmethod
    def tearDownClass(cls):
        for api in (cls.admin, cls.user, cls.other):
            api.close()

    def product(self, **changes):
        response = self.admin.post("/v1/products", {"sku": sku(), "name": "Kite", "price": 12.5, "category": "TOYS", **changes})
        self.assertEqual(response.status, 201, response)
        return response

    def fields_of(self, response, status):
        self.assertEqual(response.status, status, response)
        return {error["field"]: error["code"] for error in response.json().get("errors", [])}

    def test_shop__a_product_has_a_location_and_a_tag(self):
        made = self.product(price=99999.99, tags=["red", "wind"], released="2027-01-31", details={"wings": [1, 2.50]})
        product = made.json()
        self.assertEqual(made.header("Location"), f"/v1/products/{product['id']}")
        self.assertEqual(made.header("ETag"), '"1"')
        self.assertIn(b'"price":99999.99', made.body)
        self.assertEqual((product["tags"], product["released"], product["details"]), (["red", "wind"], "2027-01-31", {"wings": [1, 2.5]}))
        self.assertEqual((product["stock"], product["soldOut"], product["categoryInfo"]), (0, True, {"code": "TOYS", "label": "Toys"}))
        seen = self.user.get(made.header("Location"), token=None)
        self.assertEqual((seen.status, seen.json()), (200, product))

    def test_shop__every_problem_is_told_at_once(self):
        fields = self.fields_of(self.admin.post("/v1/products", {"sku": "a b", "price": 1.234, "stock": -1, "tags": ["x" * 41], "released": "soon"}), 400)
        self.assertEqual(set(fields), {"sku", "name", "price", "stock", "tags[0]", "released", "category"})

    def test_shop__who_may_not_write_is_refused(self):
        body = {"sku": sku(), "name": "n", "price": 1, "category": "TOYS"}
        self.assertEqual(self.user.post("/v1/products", body).status, 403)
        self.assertEqual(self.user.post("/v1/products", body, token=None).status, 401)

    def test_shop__what_is_taken_or_in_use_is_409(self):
        product = self.product().json()
        body = {"sku": product["sku"], "name": "n", "price": 1, "category": "TOYS"}
        self.assertEqual(self.fields_of(self.admin.post("/v1/products", body), 409), {"sku": "taken"})
        self.assertEqual(self.fields_of(self.admin.post("/v1/products", {**body, "category": "NONE"}), 400), {"category": "unknown"})
        category = next(c for c in self.admin.get("/v1/categories").json() if c["code"] == "TOYS")
        self.assertEqual(self.admin.request("DELETE", f"/v1/categories/{category['id']}").status, 409)

    def test_shop__a_key_has_one_answer(self):
        headers = [("Idempotency-Key", f'"{uuid.uuid4()}"')]
        body = {"sku": sku(), "name": "n", "price": 1, "category": "TOYS"}
        first = self.admin.post("/v1/products", body, headers=headers)
        again = self.admin.post("/v1/products", body, headers=headers)
        self.assertEqual((first.status, again.status, again.json()), (201, 201, first.json()))
        self.assertEqual(self.admin.post("/v1/products", {**body, "price": 2}, headers=headers).status, 422)

    def test_shop__a_change_holds_to_its_tag(self):
        path = self.product(released="2027-01-31").header("Location")
        changed = self.admin.request("PATCH", path, {"price": 0.05, "released": None}, [("If-Match", '"1"')])
        self.assertEqual((changed.status, changed.header("ETag")), (200, '"2"'))
        self.assertEqual(changed.json()["price"], 0.05)
        self.assertNotIn("released", changed.json())
        self.assertEqual(self.admin.request("PUT", path, {"price": 3}, [("If-Match", '"1"')]).status, 412)
        self.assertEqual(self.admin.request("DELETE", path, None, [("If-Match", '"2"')]).status, 204)
        self.assertEqual(self.admin.request("DELETE", path).status, 404)

    def test_shop__a_basket_is_its_owners(self):
        product = self.product().json()
        made = self.user.post("/v1/baskets", {"product": product["id"], "quantity": 2})
        self.assertEqual(made.status, 201, made)
        self.assertEqual(made.json()["productInfo"], {"sku": product["sku"], "name": "Kite", "price": 12.5})
        path = made.header("Location")
        self.assertEqual(self.user.get(path).json(), made.json())
        for stranger in (self.other, self.admin):
            for method, body in (("GET", None), ("PATCH", {"quantity": 3}), ("DELETE", None)):
                self.assertEqual(stranger.request(method, path, body).status, 404)
        self.assertEqual(self.user.request("PATCH", path, {"quantity": 3}).json()["quantity"], 3)
        self.assertEqual(self.fields_of(self.user.request("PATCH", path, {"product": str(uuid.uuid4())}), 400), {"product": "unknown"})


if __name__ == "__main__":
    unittest.main()
