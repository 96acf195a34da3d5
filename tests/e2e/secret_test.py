"""The key of the access tokens: who needs one, who makes one, and where it never shows."""

import glob
import os
import unittest

import support
from support import run

EXAMPLE = "development-only-secret-do-not-use-in-production"

module = support.ModuleServer(JWT_SECRET=None)
setUpModule, tearDownModule = module.start, module.stop


def secret_file(state_dir):
    return os.path.join(state_dir, "jwt_secret")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class OfAll(unittest.TestCase):
    """`millrace all` without JWT_SECRET."""

    def setUp(self):
        self.scratch = support.Scratch()
        self.addCleanup(self.scratch.remove)
        self.state_dir = self.scratch.join("state")

    def all(self, **settings):
        """`millrace all` in this state directory, on the database of the module's server."""
        process = support.Process("all", DB_HOST=os.path.join(module.server.state_dir, support.SERVER_DATABASE), DB_USER="postgres",
                                  MILLRACE_STATE_DIR=self.state_dir, **{"JWT_SECRET": None, **settings})
        self.addCleanup(process.kill)
        return process

    def stop(self, process):
        self.assertEqual(process.stop(), 0, process.text()[-4000:])

    def status(self, process, token):
        api = process.api()
        self.addCleanup(api.close)
        return api.get("/v1/users/profile", token=token).status

    def user(self, process):
        user = process.api().register()
        self.addCleanup(user.close)
        return user

    def put(self, text):
        os.makedirs(self.state_dir)
        with open(secret_file(self.state_dir), "wb") as file:
            file.write(text)
        os.chmod(secret_file(self.state_dir), 0o600)

    def test_all__with_a_postgresql_of_its_own_makes_a_secret(self):
        path = secret_file(module.server.state_dir)
        self.assertEqual([line["path"] for line in module.server.logs("made a token secret")], [path])
        self.assertRegex(read(path), r"\A[0-9a-f]{64}\n\Z")
        self.assertEqual((os.stat(path).st_mode & 0o7777, os.stat(path).st_uid), (0o600, os.geteuid()))
        self.assertEqual(glob.glob(path + "?*"), [])
        user = self.user(module.server)
        self.assertEqual(user.get("/v1/users/profile").status, 200)
        self.assertEqual(self.status(module.server, support.sign(support.claims_for(user.user["id"]), read(path).strip())), 200)
        self.assertEqual(self.status(module.server, support.sign(support.claims_for(user.user["id"]), EXAMPLE)), 401)

    def test_all__keeps_its_secret_from_one_start_to_the_next(self):
        first = self.all().ready()
        token = self.user(first).token
        self.stop(first)
        second = self.all().ready()
        self.assertEqual(self.status(second, token), 200)
        self.assertEqual(second.logs("made a token secret"), [])
        self.assertNotIn(read(secret_file(self.state_dir)).strip(), first.text() + second.text())
        self.stop(second)

    def test_all__takes_a_secret_that_is_set(self):
        first = self.all().ready()
        token = self.user(first).token
        self.stop(first)
        second = self.all(JWT_SECRET=support.SECRET).ready()
        self.assertEqual(self.status(second, token), 401)
        self.stop(second)
        os.remove(secret_file(self.state_dir))
        third = self.all(JWT_SECRET=support.SECRET).ready()
        self.assertFalse(os.path.exists(secret_file(self.state_dir)))
        self.stop(third)

    def test_all__makes_one_secret_when_two_start_at_once(self):
        both = [self.all(), self.all()]
        for process in both:
            process.ready()
        token = self.user(both[0]).token
        self.assertEqual([self.status(process, token) for process in both], [200, 200])
        self.assertEqual(os.listdir(self.state_dir), ["jwt_secret"])
        for process in both:
            self.stop(process)

    def test_all__refuses_a_secret_that_is_no_good(self):
        self.put(b"garbage of no use\n")
        done = run("all", MILLRACE_STATE_DIR=self.state_dir)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn(secret_file(self.state_dir) + ": expected one line of 32", done.stdout + done.stderr)
        self.assertNotIn("garbage", done.stdout + done.stderr)
        self.assertEqual(os.listdir(self.state_dir), ["jwt_secret"])

    def test_all__says_when_it_can_keep_none(self):
        done = run("all", MILLRACE_STATE_DIR="/dev/null/state")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("/dev/null/state/jwt_secret: cannot", done.stdout + done.stderr)

    def test_all__warns_when_others_may_read_it(self):
        self.put(b"a secret of the operator's own, long enough\n")
        for mode, warnings in ((0o644, 1), (0o600, 0)):
            os.chmod(secret_file(self.state_dir), mode)
            process = self.all().ready()
            self.assertEqual(len(process.logs("others may read the token secret")), warnings)
            self.stop(process)

    def test_all__makes_none_in_production(self):
        done = run("all", NODE_ENV="production", MILLRACE_STATE_DIR=self.state_dir)
        self.assertEqual(done.returncode, 2)
        self.assertIn("JWT_SECRET: expected", done.stderr)
        self.assertFalse(os.path.exists(self.state_dir))

    def test_all__takes_the_published_one_for_development_only(self):
        done = run("all", JWT_SECRET=EXAMPLE, MILLRACE_STATE_DIR=self.state_dir)
        self.assertEqual(done.returncode, 2)
        self.assertIn("JWT_SECRET=***: expected a secret of your own", done.stderr)


class OfApi(unittest.TestCase):
    def api(self, **settings):
        process = module.server.api_process(**{"JWT_SECRET": None, **settings})
        self.addCleanup(process.kill)
        return process

    def test_api__needs_a_secret(self):
        for settings in ({}, {"NODE_ENV": "test"}, {"NODE_ENV": ""}, {"JWT_SECRET": EXAMPLE}, {"JWT_SECRET": EXAMPLE, "NODE_ENV": "test"}):
            with self.subTest(settings=settings):
                done = run("api", DB_HOST="/nonexistent", **settings)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, r"(?m)^JWT_SECRET(=\*\*\*)?: expected a secret of")
                self.assertNotIn(EXAMPLE, done.stderr)

    def test_api__does_without_in_development_and_says_so(self):
        process = self.api(NODE_ENV="development").ready()
        warnings = process.logs("tokens are signed with the published example secret: anybody can forge them")
        self.assertEqual([line["level"] for line in warnings], ["warn"])
        user = process.api().register()
        self.addCleanup(user.close)
        self.assertEqual(user.get("/v1/users/profile", token=support.sign(support.claims_for(user.user["id"]), EXAMPLE)).status, 200)
        self.assertEqual(process.stop(), 0)

    def test_api__with_a_secret_warns_of_nothing(self):
        process = self.api(JWT_SECRET=support.SECRET, NODE_ENV="development").ready()
        self.assertEqual([line for line in process.logs() if line["level"] == "warn"], [])
        self.assertEqual(process.stop(), 0)

    def test_api__reads_from_a_dotenv_file_that_this_is_development(self):
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        with open(scratch.join(".env"), "w", encoding="utf-8") as file:
            file.write("NODE_ENV=development\nLOGGING_LEVEL=loud\n")
        done = run("api", cwd=scratch.path, DB_HOST="/nonexistent")
        self.assertEqual(done.returncode, 2)
        self.assertIn("LOGGING_LEVEL", done.stderr)
        self.assertNotIn("JWT_SECRET", done.stderr)


class OfConfig(unittest.TestCase):
    """What `millrace config` shows is what is used, and never a secret."""

    def setUp(self):
        self.scratch = support.Scratch()
        self.addCleanup(self.scratch.remove)

    def shown(self, **settings):
        done = run("config", cwd=self.scratch.path, **settings)
        self.assertEqual(done.returncode, 0, done)
        self.assertNotIn(EXAMPLE, done.stdout + done.stderr)
        return dict(line.split("=", 1) for line in done.stdout.splitlines())["JWT_SECRET"], done.stderr

    def test_config__says_where_a_secret_comes_from(self):
        state_dir = self.scratch.join("state")
        path = secret_file(state_dir)
        self.assertEqual(self.shown(JWT_SECRET="mine"), ("***", ""))
        value, said = self.shown(MILLRACE_STATE_DIR=state_dir)
        self.assertEqual(value, "")
        self.assertIn(f"`all` makes one in {path}; `api` refuses to start", said)
        value, said = self.shown(MILLRACE_STATE_DIR=state_dir, NODE_ENV="development")
        self.assertEqual(value, "***")
        self.assertIn("`api` uses the published example", said)
        value, said = self.shown(MILLRACE_STATE_DIR=state_dir, NODE_ENV="production")
        self.assertEqual(value, "")
        self.assertIn("`all` and `api` refuse to start", said)
        self.assertFalse(os.path.exists(state_dir))

    def test_config__finds_the_secret_that_all_keeps(self):
        path = secret_file(module.server.state_dir)
        value, said = self.shown(MILLRACE_STATE_DIR=module.server.state_dir)
        self.assertEqual(value, "***")
        self.assertIn(f"`all` uses the one in {path}", said)
        self.assertNotIn(read(path).strip(), said)

    def test_config__finds_a_secret_in_a_file_and_in_dotenv(self):
        with open(self.scratch.join("jwt"), "w", encoding="utf-8") as file:
            file.write("a secret that stands in a file, long enough\n")
        self.assertEqual(self.shown(JWT_SECRET_FILE=self.scratch.join("jwt")), ("***", ""))
        with open(self.scratch.join(".env"), "w", encoding="utf-8") as file:
            file.write("JWT_SECRET=of this file\n")
        self.assertEqual(self.shown(), ("***", ""))
        value, said = self.shown(JWT_SECRET_FILE=self.scratch.join("nothing"))
        self.assertIn("JWT_SECRET_FILE=", said)


if __name__ == "__main__":
    unittest.main()
