"""An application from a folder, served by all of it: `millrace all` with MILLRACE_APP."""

import os
import unittest

import support

FILES = {
    "millrace.yaml": "title: Census\nversion: 1.2.3\nabout: Counts those who are here.\n",
    "jobs/census.yaml": """\
census:
  work: sql
  statements: [census_touch, census_walk]
  cron: 30 4 * * *
  timezone: Europe/Berlin
  exclusive: true
  about: Counts users
""",
    "queries/census.sql": """\
-- name: census_touch
UPDATE millrace.app_user SET updated_at = updated_at;

-- name: census_walk
WITH {{chunk}}, seen AS (
    SELECT u.id
      FROM k
     CROSS JOIN LATERAL (SELECT u.id FROM millrace.app_user u WHERE u.id > coalesce(k.cursor::uuid, {{least_id}}) ORDER BY u.id LIMIT least(k.most, 2)) u
)
SELECT (SELECT count(*) FROM seen) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) = least(k.most, 2) AS more,
       NULL::text AS unit
  FROM k;
""",
}

scratch = None
server = None


def write(files):
    for name, text in files.items():
        path = scratch.join(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def setUpModule():
    global scratch, server
    scratch = support.Scratch()
    write(FILES)
    server = support.Everything(MILLRACE_APP=scratch.path).ready()


def tearDownModule():
    server.close()
    scratch.remove()


class Application(unittest.TestCase):
    def test_application__takes_the_place_of_tasks(self):
        user = server.api().register()
        self.addCleanup(user.close)
        self.assertEqual(user.get("/v1/tasks").status, 404)
        self.assertEqual(user.get("/v1/users/profile").status, 200)

    def test_application__has_a_document_of_its_own(self):
        api = server.api()
        self.addCleanup(api.close)
        info = api.get("/openapi.json").json()["info"]
        self.assertEqual((info["title"], info["version"], "license" in info), ("Census", "1.2.3", False))
        self.assertTrue(info["description"].startswith("Counts those who are here."))

    def test_application__a_job_runs_its_statements_in_their_order(self):
        users = [server.api().register() for _ in range(5)]
        for user in users:
            self.addCleanup(user.close)
        admin = server.admin()
        self.addCleanup(admin.close)
        run = admin.run_job("census")
        self.assertEqual(run["state"], "succeeded")
        counted = run["result"]["census_walk"]
        self.assertGreaterEqual(counted, 6)
        self.assertEqual(run["result"], {"census_touch": counted, "census_walk": counted})

    def test_application__a_job_is_scheduled_in_its_zone(self):
        admin = server.admin()
        self.addCleanup(admin.close)
        job = admin.get("/v1/jobs/census").json()
        self.assertEqual((job["schedule"], job["timezone"]), ("30 4 * * *", "Europe/Berlin"))
        self.assertRegex(job["nextAt"], "T0[23]:30:00")
        self.assertNotIn("nextAt", admin.get("/v1/jobs/report").json())


class Refused(unittest.TestCase):
    def refuse(self, *arguments, **settings):
        done = support.run(*arguments, **settings)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_refused__a_folder_with_mistakes(self):
        bad = support.Scratch()
        self.addCleanup(bad.remove)
        with open(bad.join("millrace.yaml"), "w", encoding="utf-8") as file:
            file.write("titel: Bad\n")
        for command in ("all", "api", "routes", "openapi"):
            told = self.refuse(command, bad.path, JWT_SECRET="x" * 32, DB_HOST="/nowhere")
            self.assertIn('millrace.yaml:1:1: unknown key "titel"', told)

    def test_refused__a_zone_that_is_nowhere(self):
        bad = support.Scratch()
        self.addCleanup(bad.remove)
        os.mkdir(bad.join("jobs"))
        os.mkdir(bad.join("queries"))
        for name, text in (("millrace.yaml", "title: Bad\n"), ("queries/a.sql", "-- name: a\nSELECT 1;\n"),
                           ("jobs/a.yaml", "a:\n  work: sql\n  statements: [a]\n  cron: 0 3 * * *\n  timezone: Europe/Atlantis\n")):
            with open(bad.join(name), "w", encoding="utf-8") as file:
                file.write(text)
        self.assertIn("Europe/Atlantis", self.refuse("scheduler", bad.path, DB_HOST="/nowhere"))


if __name__ == "__main__":
    unittest.main()
