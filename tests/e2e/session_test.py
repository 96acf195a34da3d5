"""Sessions: refresh, sign-out, change of password and profile, secrets and roles."""

import base64
import json
import threading
import time
import unittest
import uuid

import support

INVALID_TOKEN = 'Bearer error="invalid_token"'
OLD_SECRET = "the secret of the tests before this one, long enough"

module = support.ModuleServer(JWT_SECRET_PREVIOUS=OLD_SECRET)
setUpModule, tearDownModule = module.start, module.stop


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def together(count, act):
    """Runs act(number) in so many threads that start as one; returns what they returned."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(number):
        barrier.wait()
        results[number] = act(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class WithUser(unittest.TestCase):
    def setUp(self):
        self.user = module.server.api().register()
        self.addCleanup(self.user.close)
        self.id = self.user.user["id"]

    def other(self):
        other = module.server.api().register()
        self.addCleanup(other.close)
        return other

    def sign_in(self, password=support.PASSWORD, username=None):
        body = {"username": username or self.user.user["username"], "password": password}
        return self.user.post("/v1/auth/signin", body, token=None)

    def session(self):
        answer = self.sign_in()
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def refresh(self, token):
        return self.user.post("/v1/auth/refresh", {"refreshToken": token}, token=None)

    def refreshed(self, token):
        answer = self.refresh(token)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def rows(self, table, where):
        with module.server.database() as database:
            return database.count(table, where)

    def database(self, sql):
        with module.server.database() as database:
            return database.query(sql)

    def assert_problem(self, answer, status, *fields):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        self.assertEqual([error["field"] for error in answer.json().get("errors", [])], list(fields))


class Refresh(WithUser):
    def test_refresh__gives_new_tokens_of_the_same_session(self):
        first = self.session()
        second = self.refreshed(first["refreshToken"])
        self.assertEqual(set(second), {"accessToken", "refreshToken", "tokenType", "expiresIn"})
        self.assertEqual((second["tokenType"], second["expiresIn"]), ("Bearer", 3600))
        self.assertNotEqual(second["refreshToken"], first["refreshToken"])
        before, after = claims_of(first["accessToken"]), claims_of(second["accessToken"])
        for name in ("sub", "id", "username", "role", "iss", "sid"):
            self.assertEqual(after[name], before[name], name)
        self.assertEqual(self.user.get("/v1/users/profile", token=second["accessToken"]).json(), self.user.user)

    def test_refresh__goes_on_as_long_as_one_likes(self):
        token = self.session()["refreshToken"]
        seen = {token}
        for _ in range(20):
            token = self.refreshed(token)["refreshToken"]
            self.assertNotIn(token, seen)
            seen.add(token)

    def age(self, seconds):
        """Puts back when this user's tokens were spent."""
        self.database(f"UPDATE millrace.refresh_token t SET created_at = t.created_at - interval '{seconds} s' FROM millrace.session s "
                      f"WHERE s.id = t.session_id AND s.user_id = '{self.id}'")

    def test_refresh__of_a_spent_token_gives_the_same_successor_for_a_while(self):
        first = self.session()
        second = self.refreshed(first["refreshToken"])
        again = self.refreshed(first["refreshToken"])
        self.assertEqual(again["refreshToken"], second["refreshToken"])
        self.assertEqual(claims_of(again["accessToken"])["sid"], claims_of(first["accessToken"])["sid"])
        self.assertEqual(self.user.get("/v1/users/profile", token=again["accessToken"]).status, 200)
        self.age(8)  # of 10
        self.assertEqual(self.refreshed(first["refreshToken"])["refreshToken"], second["refreshToken"])
        self.refreshed(second["refreshToken"])

    def test_refresh__of_a_spent_token_ends_the_session_after_the_grace(self):
        first = self.session()["refreshToken"]
        bystander = self.session()["refreshToken"]
        second = self.refreshed(first)["refreshToken"]
        self.age(11)
        answer = self.refresh(first)
        self.assert_problem(answer, 401)
        self.assertEqual(answer.header("WWW-Authenticate"), "Bearer")
        self.assert_problem(self.refresh(second), 401)
        self.refreshed(bystander)

    def test_refresh__of_a_token_whose_successor_is_spent_ends_the_session(self):
        first = self.session()["refreshToken"]
        bystander = self.session()["refreshToken"]
        second = self.refreshed(first)["refreshToken"]
        third = self.refreshed(second)["refreshToken"]
        self.assert_problem(self.refresh(first), 401)
        for token in (first, second, third):
            self.assert_problem(self.refresh(token), 401)
        self.refreshed(bystander)

    def test_refresh__of_what_is_no_token_is_401(self):
        live = self.session()["refreshToken"]
        for token in ("", "x", live[:-1], live + "A", live.swapcase(), " " + live, live + "=", "ü" * 40, "0" * 90000,
                      self.user.token, "' OR 1=1 --"):
            with self.subTest(token=token[:60]):
                self.assert_problem(self.refresh(token), 401)
        self.refreshed(live)

    def test_refresh__without_a_string_is_400(self):
        live = self.session()["refreshToken"]
        for body in ({}, {"refreshToken": None}, {"refreshToken": 7}, {"refreshToken": [live]}, {"refreshToken": {"a": live}},
                     {"refreshToken": True}, {"refresh_token": live}):
            with self.subTest(body=body):
                self.assert_problem(self.user.post("/v1/auth/refresh", body, token=None), 400, "refreshToken")
        for body in (b"", b"[]", b"nonsense", json.dumps(live).encode()):
            self.assert_problem(self.user.post("/v1/auth/refresh", body, token=None), 400)
        self.refreshed(live)

    def test_refresh__of_an_expired_token_is_401_and_no_reuse(self):
        spent = self.session()["refreshToken"]
        expired = self.refreshed(spent)["refreshToken"]
        bystander = self.session()["refreshToken"]
        of_token = f"token_hash = sha256('{expired}'::bytea)"
        self.database(f"UPDATE millrace.refresh_token SET expires_at = now() - interval '1 s' WHERE {of_token}")
        for _ in range(2):
            self.assert_problem(self.refresh(expired), 401)
        self.database(f"UPDATE millrace.refresh_token SET expires_at = now() + interval '1 h' WHERE {of_token}")
        self.refreshed(expired)
        self.refreshed(bystander)

    def test_refresh__keeps_hashes_only_and_an_expiry_of_its_own(self):
        token = self.refreshed(self.session()["refreshToken"])["refreshToken"]
        where = f"token_hash = sha256('{token}'::bytea) AND next_id IS NULL"
        self.assertEqual(self.rows("millrace.refresh_token", where), 1)
        self.assertEqual(self.rows("millrace.refresh_token", where + " AND expires_at BETWEEN now() + interval '29 d 23 h' AND "
                                                            "now() + interval '30 d 1 min'"), 1)

    def race(self, servers, count):
        """`count` uses of one token at once; returns the answers."""
        token = self.session()["refreshToken"]
        apis = [servers[number % len(servers)].api() for number in range(count)]
        for api in apis:
            api.get("/livez")  # connected before the race begins
        answers = together(count, lambda number: apis[number].post("/v1/auth/refresh", {"refreshToken": token}, token=None))
        for api in apis:
            api.close()
        return answers

    def other_process(self, **settings):
        other = module.server.api_process(**settings).ready()
        self.addCleanup(lambda: self.assertEqual(other.stop(), 0, other.text()[-4000:]))
        return other

    def assert_one_successor(self, answers):
        self.assertEqual({answer.status for answer in answers}, {200}, answers)
        tokens = {answer.json()["refreshToken"] for answer in answers}
        self.assertEqual(len(tokens), 1)
        self.refreshed(tokens.pop())

    def test_refresh__racing_uses_get_one_successor(self):
        for _ in range(5):
            self.assert_one_successor(self.race([module.server], 12))

    def test_refresh__racing_processes_give_one_successor_too(self):
        servers = [module.server, self.other_process()]
        for _ in range(5):
            self.assert_one_successor(self.race(servers, 8))

    def test_refresh__without_a_grace_racing_uses_have_one_winner_and_end_the_session(self):
        strict = [self.other_process(JWT_REFRESH_GRACE="0s"), self.other_process(JWT_REFRESH_GRACE="0s")]
        for servers in (strict[:1], strict):
            for _ in range(5):
                answers = self.race(servers, 8)
                self.assertEqual(sorted(answer.status for answer in answers), [200] + [401] * 7)
                winner = next(answer.json() for answer in answers if answer.status == 200)
                self.assert_problem(self.refresh(winner["refreshToken"]), 401)
        self.assertEqual(self.rows("millrace.session", f"user_id = '{self.id}'"), 1)  # that of register()

    def test_refresh__of_a_process_with_the_next_secret_gives_the_same_successor(self):
        rotated = self.other_process(JWT_SECRET="the secret that comes next, also long enough", JWT_SECRET_PREVIOUS=support.SECRET)
        token = self.session()["refreshToken"]
        before = self.refreshed(token)["refreshToken"]
        api = rotated.api()
        self.addCleanup(api.close)
        after = api.post("/v1/auth/refresh", {"refreshToken": token}, token=None)
        self.assertEqual((after.status, after.json()["refreshToken"]), (200, before))

    def test_refresh__of_many_sessions_at_once_mixes_nobody_up(self):
        users = [self.other() for _ in range(6)]

        def go_on(number):
            api = module.server.api()
            body = {"username": users[number].user["username"], "password": support.PASSWORD}
            grant = api.post("/v1/auth/signin", body, token=None).json()
            for _ in range(15):
                answer = api.post("/v1/auth/refresh", {"refreshToken": grant["refreshToken"]}, token=None)
                if answer.status != 200 or claims_of(answer.json()["accessToken"])["id"] != users[number].user["id"]:
                    return answer
                grant = answer.json()
            api.close()
            return None

        self.assertEqual(together(6, go_on), [None] * 6)

    def test_refresh__takes_on_a_new_role(self):
        first = self.session()
        self.assertEqual(claims_of(first["accessToken"])["role"], "user")
        self.database(f"UPDATE millrace.app_user SET role = 'admin' WHERE id = '{self.id}'")
        second = self.refreshed(first["refreshToken"])
        self.assertEqual(claims_of(second["accessToken"])["role"], "admin")
        self.database(f"UPDATE millrace.app_user SET role = 'user' WHERE id = '{self.id}'")
        self.assertEqual(claims_of(self.refreshed(second["refreshToken"])["accessToken"])["role"], "user")


class SignOut(WithUser):
    def sign_out(self, token, body=None):
        return self.user.request("POST", "/v1/auth/signout", body, token=token)

    def expired(self):
        return support.sign(support.claims_for(self.id, exp=int(time.time()) - 60))

    def assert_unauthorized(self, answer, challenge):
        self.assert_problem(answer, 401)
        self.assertEqual(answer.header("WWW-Authenticate"), challenge)

    def test_signout__ends_its_session_and_no_other(self):
        mine, elsewhere = self.session(), self.session()
        renewed = self.refreshed(mine["refreshToken"])
        answer = self.sign_out(renewed["accessToken"])
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assert_problem(self.refresh(renewed["refreshToken"]), 401)
        self.refreshed(elsewhere["refreshToken"])
        self.assertEqual(self.rows("millrace.session", f"id = '{claims_of(mine['accessToken'])['sid']}'"), 0)

    def test_signout__is_the_same_twice_and_leaves_the_access_token(self):
        mine = self.session()
        for _ in range(2):
            self.assertEqual(self.sign_out(mine["accessToken"]).status, 204)
        self.assertEqual(self.user.get("/v1/users/profile", token=mine["accessToken"]).status, 200)

    def test_signout__with_a_token_that_names_no_session_ends_all(self):
        sessions = [self.session() for _ in range(3)]
        bystander = self.other()
        self.assertEqual(self.sign_out(support.sign(support.claims_for(self.id))).status, 204)
        for session in sessions:
            self.assert_problem(self.refresh(session["refreshToken"]), 401)
        self.assertEqual(self.rows("millrace.session", f"user_id = '{bystander.user['id']}'"), 1)

    def test_signout__never_ends_somebody_else_s_session(self):
        other = self.other()
        theirs = claims_of(other.token)["sid"]
        self.assertEqual(self.sign_out(support.sign(support.claims_for(self.id, sid=theirs))).status, 204)
        self.assertEqual(self.rows("millrace.session", f"id = '{theirs}'"), 1)

    def test_signout__needs_a_token(self):
        self.assert_unauthorized(self.sign_out(None), "Bearer")
        self.assert_unauthorized(self.sign_out(None, {}), "Bearer")
        self.assert_unauthorized(self.sign_out(None, {"refreshToken": None}), "Bearer")
        for bad in (support.sign(support.claims_for(self.id, sid="mine")), support.sign(support.claims_for(uuid.uuid4())),
                    self.expired()):
            self.assert_unauthorized(self.sign_out(bad), INVALID_TOKEN)
            self.assert_unauthorized(self.sign_out(bad, {}), INVALID_TOKEN)

    def test_signout__with_the_refresh_token_needs_no_access_token(self):
        for token in (None, self.expired(), "nonsense"):
            mine, elsewhere = self.session(), self.session()
            for _ in range(2):
                answer = self.sign_out(token, {"refreshToken": mine["refreshToken"]})
                self.assertEqual((answer.status, answer.body), (204, b""))
            self.assert_problem(self.refresh(mine["refreshToken"]), 401)
            self.refreshed(elsewhere["refreshToken"])

    def test_signout__with_any_refresh_token_of_the_session_ends_it(self):
        spent = self.session()["refreshToken"]
        live = self.refreshed(spent)["refreshToken"]
        self.assertEqual(self.sign_out(None, {"refreshToken": spent}).status, 204)
        self.assert_problem(self.refresh(live), 401)
        expired = self.session()
        sid = claims_of(expired["accessToken"])["sid"]
        self.database(f"UPDATE millrace.refresh_token SET expires_at = now() WHERE session_id = '{sid}'")
        self.assertEqual(self.sign_out(None, {"refreshToken": expired["refreshToken"]}).status, 204)
        self.assertEqual(self.rows("millrace.session", f"id = '{sid}'"), 0)

    def test_signout__tells_nobody_which_refresh_tokens_there_are(self):
        known = self.sign_out(None, {"refreshToken": self.session()["refreshToken"]})
        for token in ("", "x", "' OR 1=1 --", "\\x00", "ü" * 40, "0" * 90000):
            unknown = self.sign_out(None, {"refreshToken": token})
            self.assertEqual((unknown.status, unknown.body), (known.status, known.body), token[:40])
        self.assertEqual(self.rows("millrace.session", f"user_id = '{self.id}'"), 1)  # that of register()

    def test_signout__with_both_tokens_ends_both_sessions(self):
        mine, other, third = self.session(), self.session(), self.session()
        answer = self.sign_out(mine["accessToken"], {"refreshToken": other["refreshToken"]})
        self.assertEqual(answer.status, 204)
        for ended in (mine, other):
            self.assert_problem(self.refresh(ended["refreshToken"]), 401)
        self.refreshed(third["refreshToken"])

    def test_signout__refuses_a_body_that_breaks_the_rules(self):
        mine = self.session()
        for token in (None, mine["accessToken"]):
            for value in (7, [mine["refreshToken"]], {"a": 1}, True):
                self.assert_problem(self.sign_out(token, {"refreshToken": value}), 400, "refreshToken")
            for body in (b"[]", b"nonsense", b"{", json.dumps(mine["refreshToken"]).encode()):
                self.assert_problem(self.sign_out(token, body), 400)
        self.refreshed(mine["refreshToken"])


class Challenge(WithUser):
    """What a 401 says of the access token (RFC 6750, 3)."""

    def challenge(self, value=None, path="/v1/users/profile", method="GET", body=None):
        headers = [("Authorization", value)] if value is not None else []
        answer = self.user.request(method, path, body, headers=headers, token=None)
        self.assert_problem(answer, 401)
        return answer.header("WWW-Authenticate")

    def test_challenge__of_a_missing_token_names_no_error(self):
        for value in (None, "Basic dXNlcjpwYXNz", "Digest username=x", self.user.token, "Bearer", "Bearer ", "Bearerx y"):
            self.assertEqual(self.challenge(value), "Bearer", value)

    def test_challenge__of_a_token_that_is_no_good_says_so(self):
        expired = support.sign(support.claims_for(self.id, exp=int(time.time()) - 1))
        forged = support.sign(support.claims_for(self.id), "a third secret, of the same sort of length")
        nobody = support.sign(support.claims_for(uuid.uuid4()))
        for token in (expired, forged, nobody, "x", self.user.token[:-2], self.user.token + "x", "a" * 5000):
            for path, method, body in (("/v1/users/profile", "GET", None), ("/v1/auth/signout", "POST", None),
                                       ("/v1/users/password", "POST", {"currentPassword": "x" * 8, "newPassword": "y" * 8})):
                self.assertEqual(self.challenge("Bearer " + token, path, method, body), INVALID_TOKEN, (path, token[:40]))
        self.assertEqual(self.challenge("bearer " + expired), INVALID_TOKEN)

    def test_challenge__of_what_stands_in_a_body_speaks_of_no_access_token(self):
        refresh = {"refreshToken": "unknown"}
        credentials = {"username": self.user.user["username"], "password": "wrong horse battery"}
        for value in (None, "Bearer nonsense"):
            self.assertEqual(self.challenge(value, "/v1/auth/refresh", "POST", refresh), "Bearer")
            self.assertEqual(self.challenge(value, "/v1/auth/signin", "POST", credentials), "Bearer")

    def test_challenge__is_shown_to_scripts_of_other_origins(self):
        answer = self.user.get("/v1/users/profile", headers=[("Origin", "https://example.org")], token=None)
        self.assertIn("www-authenticate", answer.header("Access-Control-Expose-Headers").split(", "))


class Password(WithUser):
    def change(self, current, new, **options):
        return self.user.post("/v1/users/password", {"currentPassword": current, "newPassword": new}, **options)

    def test_password__is_another_one_afterwards(self):
        answer = self.change(support.PASSWORD, "a new battery staple")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assert_problem(self.sign_in(), 401)
        self.assertEqual(self.sign_in("a new battery staple").status, 200)

    def test_password__change_ends_every_session(self):
        sessions = [self.session() for _ in range(3)]
        other = self.other()
        self.assertEqual(self.change(support.PASSWORD, "a new battery staple").status, 204)
        for session in sessions:
            self.assert_problem(self.refresh(session["refreshToken"]), 401)
        self.assertEqual(self.rows("millrace.session", f"user_id = '{self.id}'"), 0)
        self.assertEqual(self.rows("millrace.session", f"user_id = '{other.user['id']}'"), 1)

    def test_password__needs_the_current_one(self):
        session = self.session()
        for wrong in (support.PASSWORD + "x", "", support.PASSWORD.upper(), "p" * 5000):
            answer = self.change(wrong, "a new battery staple")
            self.assert_problem(answer, 400, "currentPassword")
            self.assertEqual(answer.json()["errors"][0]["code"], "wrong")
        self.refreshed(session["refreshToken"])
        self.assertEqual(self.sign_in().status, 200)

    def test_password__keeps_to_its_rules(self):
        for new in ("", "1234567", "p" * 101, 12345678, None):
            self.assert_problem(self.change(support.PASSWORD, new), 400, "newPassword")
        self.assert_problem(self.user.post("/v1/users/password", {}), 400, "currentPassword", "newPassword")
        self.assert_problem(self.change(support.PASSWORD, "a new battery staple", token=None), 401)
        for new in ("12345678", "ü" * 100):
            self.assertEqual(self.change(support.PASSWORD, new).status, 204)
            self.assertEqual(self.change(new, support.PASSWORD).status, 204)

    def test_password__racing_changes_have_one_winner(self):
        apis = [module.server.api() for _ in range(6)]
        for api in apis:
            api.token = self.user.token
        answers = together(6, lambda number: apis[number].post(
            "/v1/users/password", {"currentPassword": support.PASSWORD, "newPassword": f"battery number {number}"}))
        for api in apis:
            api.close()
        self.assertEqual(sorted(answer.status for answer in answers), [204] + [400] * 5)
        winner = next(number for number, answer in enumerate(answers) if answer.status == 204)
        for number in range(6):
            self.assertEqual(self.sign_in(f"battery number {number}").status, 200 if number == winner else 401)


class Profile(WithUser):
    def patch(self, body):
        return self.user.request("PATCH", "/v1/users/profile", body)

    def test_profile__changes_what_is_given_and_keeps_the_rest(self):
        answer = self.patch({"firstName": "Augusta", "email": "augusta@example.org"})
        self.assertEqual(answer.status, 200, answer)
        changed = answer.json()
        expected = {**self.user.user, "firstName": "Augusta", "email": "augusta@example.org", "updatedAt": changed["updatedAt"]}
        self.assertEqual(changed, expected)
        self.assertGreater(changed["updatedAt"], self.user.user["updatedAt"])
        self.assertEqual(self.user.get("/v1/users/profile").json(), changed)
        self.assertEqual(self.patch({"lastName": "King"}).json()["lastName"], "King")

    def test_profile__null_is_as_if_left_out(self):
        answer = self.patch({"firstName": None, "lastName": None, "email": None})
        self.assertEqual(answer.status, 200)
        self.assertEqual({**answer.json(), "updatedAt": ""}, {**self.user.user, "updatedAt": ""})

    def test_profile__names_every_broken_field_and_changes_nothing(self):
        self.assert_problem(self.patch({"firstName": "", "lastName": "x" * 101, "email": "nowhere"}), 400,
                            "firstName", "lastName", "email")
        self.assert_problem(self.patch({"firstName": "Good", "email": 7}), 400, "email")
        self.assertEqual(self.user.get("/v1/users/profile").json(), self.user.user)

    def test_profile__takes_no_other_field(self):
        answer = self.patch({"id": str(uuid.uuid4()), "username": "root", "role": "admin", "password": "x", "passwordHash": "x"})
        self.assertEqual({**answer.json(), "updatedAt": ""}, {**self.user.user, "updatedAt": ""})
        self.assertEqual(self.database(f"SELECT role FROM millrace.app_user WHERE id = '{self.id}'"), [["user"]])
        self.assertEqual(self.sign_in().status, 200)

    def test_profile__allows_get_patch_and_delete(self):
        answer = self.user.request("PUT", "/v1/users/profile", {})
        self.assertEqual(answer.status, 405)
        self.assertEqual({verb.strip() for verb in answer.header("Allow").split(",")} - {"HEAD", "OPTIONS"},
                         {"GET", "PATCH", "DELETE"})


class Secrets(WithUser):
    def status_of(self, token):
        return self.user.get("/v1/users/profile", token=token).status

    def test_secrets__the_one_before_still_verifies(self):
        old = support.sign(support.claims_for(self.id), OLD_SECRET)
        for _ in range(3):  # at first verified, then remembered
            self.assertEqual(self.status_of(old), 200)
            self.assertEqual(self.status_of(support.sign(support.claims_for(self.id), "a third secret, of the same sort of length")), 401)
            self.assertEqual(self.status_of(support.sign(support.claims_for(self.id), "")), 401)

    def test_secrets__the_one_before_lets_no_forgery_in(self):
        now = int(time.time())
        good = support.claims_for(self.id)
        for token in (support.sign(good, OLD_SECRET, {"alg": "none"}, None), support.sign(good, OLD_SECRET, {"alg": "none"}),
                      support.sign(good, OLD_SECRET, {"alg": "HS512", "typ": "JWT"}),
                      support.sign(support.claims_for(self.id, exp=now - 1), OLD_SECRET),
                      support.sign(support.claims_for(self.id, exp=None), OLD_SECRET),
                      support.sign(support.claims_for(self.id, nbf=now + 600), OLD_SECRET),
                      support.sign(support.claims_for(self.id, iss="another"), OLD_SECRET),
                      support.sign(good, OLD_SECRET)[:-1], support.sign({**good, "pad": "x" * 6000}, OLD_SECRET)):
            with self.subTest(token=token[:300]):
                self.assertEqual(self.status_of(token), 401)

    def test_secrets__the_one_before_never_signs(self):
        token = self.session()["accessToken"]
        rotated = module.server.api_process(JWT_SECRET="the secret that comes next, also long enough",
                                            JWT_SECRET_PREVIOUS=support.SECRET).ready()
        try:
            api = rotated.api()
            self.assertEqual(api.get("/v1/users/profile", token=token).status, 200)
            answer = api.post("/v1/auth/signin", {"username": self.user.user["username"], "password": support.PASSWORD})
            self.assertEqual(api.get("/v1/users/profile", token=answer.json()["accessToken"]).status, 200)
            self.assertEqual(self.status_of(answer.json()["accessToken"]), 401)
            api.close()
        finally:
            self.assertEqual(rotated.stop(), 0, rotated.text()[-4000:])

    def test_secrets__a_weak_one_before_is_refused_in_production(self):
        for weak in ("short", "development-only-secret-do-not-use-in-production"):
            done = support.run("api", NODE_ENV="production", DB_HOST="nowhere.invalid", JWT_SECRET=support.SECRET,
                               JWT_SECRET_PREVIOUS=weak)
            self.assertEqual(done.returncode, 2)
            self.assertIn("JWT_SECRET_PREVIOUS=***: expected", done.stderr)
            self.assertNotIn(weak + "\n", done.stderr)


class GrantAdmin(WithUser):
    def command(self, *arguments, **settings):
        settings = {"DB_HOST": module.server.state_dir + "/" + support.SERVER_DATABASE, "DB_USER": "postgres", **settings}
        return support.run("user", *arguments, **settings)

    def test_grant_admin__takes_effect_at_the_next_refresh_or_signin(self):
        before = self.session()
        done = self.command("grant-admin", self.user.user["username"].upper())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(self.user.user["username"] + " is an administrator from", done.stdout)
        self.assertEqual(claims_of(self.refreshed(before["refreshToken"])["accessToken"])["role"], "admin")
        self.assertEqual(claims_of(self.session()["accessToken"])["role"], "admin")
        other = self.other()
        self.assertEqual(claims_of(other.token)["role"], "user")

    def test_grant_admin__finds_the_name_as_a_sign_in_does(self):
        """In another spelling, on a database whose lower() knows A to Z only; of two that collide, by the exact one."""
        name = module.server.new_database(locale="C")
        process = module.server.api_process(name)
        self.addCleanup(process.kill)
        process.ready().api().register(username="Straße").close()
        with module.server.database(name) as database:
            database.add_user()
            database.query("UPDATE millrace.app_user SET username = 'STRASSE' WHERE username <> 'Straße'")
            for asked, found in (("strasse", "Straße"), ("STRASSE", "STRASSE"), ("Straße", "Straße")):
                done = self.command("grant-admin", asked, DB_DATABASE=name)
                self.assertIn(f"{found} is an administrator", done.stdout, done)
                self.assertEqual(database.value(f"SELECT role FROM millrace.app_user WHERE username = '{found}'"), "admin")

    def test_grant_admin__twice_is_the_same(self):
        for said in ("is an administrator from", "is an administrator already"):
            done = self.command("grant-admin", self.user.user["username"])
            self.assertEqual(done.returncode, 0)
            self.assertIn(said, done.stdout)
        self.assertEqual(self.rows("millrace.app_user", f"id = '{self.id}' AND role = 'admin'"), 1)

    def test_grant_admin__says_what_is_wrong(self):
        for name in ("nobody-of-that-name", "' OR true --", "%", "ü" * 5000):
            done = self.command("grant-admin", name)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"there is no user '{name}'", done.stderr)
        for arguments in ((), ("grant-admin",), ("grant-admin", ""), ("grant-admin", "a", "b"), ("grant", "a"), ("revoke-admin", "a")):
            done = self.command(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn("millrace user", done.stderr)
        self.assertEqual(self.rows("millrace.app_user", "role = 'admin' AND username LIKE '%''%'"), 0)

    def test_grant_admin__needs_a_database_that_is_there(self):
        self.assertEqual(self.command("grant-admin", "a", DB_HOST=None).returncode, 2)
        away = self.command("grant-admin", "a", DB_HOST="/nowhere")
        self.assertEqual(away.returncode, 1)
        self.assertIn("the database cannot be reached", away.stderr)
        empty = self.command("grant-admin", "a", DB_DATABASE=module.server.new_database())
        self.assertEqual(empty.returncode, 1)
        self.assertIn("run `millrace migrate` first", empty.stderr)

    def test_grant_admin__wants_no_secret_of_tokens(self):
        self.assertEqual(self.command("grant-admin", self.user.user["username"], NODE_ENV="production").returncode, 0)


class Cost(WithUser):
    def test_signin__of_nobody_costs_as_much_as_a_wrong_password(self):
        taken = {"wrong": [], "unknown": []}
        for number in range(24):
            kind, name = (("wrong", self.user.user["username"]), ("unknown", "u" + uuid.uuid4().hex[:20]))[number % 2]
            began = time.monotonic()
            self.assert_problem(self.sign_in("not the password", name), 401)
            taken[kind].append(time.monotonic() - began)
        ratio = min(taken["unknown"]) / min(taken["wrong"])  # others are at work on this machine
        self.assertTrue(0.6 < ratio < 1.7, f"{ratio}: {taken}")


if __name__ == "__main__":
    unittest.main()
