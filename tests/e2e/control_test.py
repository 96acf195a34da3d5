"""Kinds of jobs that are made at run time, runs that are queued by HTTP, and what is done to many of them at once."""

import json
import os
import re
import shutil
import subprocess
import threading
import unittest
import urllib.parse
import uuid

import golang
import support
from support import wait_for

module = support.ModuleServer()
setUpModule, tearDownModule = module.start, module.stop

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class ControlTest(support.TiersTest):
    module = module

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.boss = cls.api.api()
        cls.boss.id, cls.boss.token = cls.database.add_user("admin")
        cls.addClassCleanup(cls.boss.close)

    def put(self, body=None, name=None, status=200):
        """A kind of pull, unless the body says otherwise, and its name."""
        name = name or "k" + uuid.uuid4().hex[:12]
        answer = self.boss.request("PUT", f"/v1/jobs/{name}", {"work": "pull", **(body or {})})
        self.assertEqual(answer.status, status, answer)
        return name, answer.json()

    def queue(self, job, body=None, **options):
        return self.boss.post(f"/v1/jobs/{job}/runs", body, **options)

    def errors(self, answer, status=400):
        self.assertEqual(answer.status, status, answer)
        return [(error["field"], error["code"]) for error in answer.json()["errors"]]

    def claim(self, job, most=1):
        return [row["id"] for row in self.rows(f"SELECT id, claim FROM millrace.claim_runs('{job}', {most}, 30000, 'w', '')")]

    def rows(self, sql):
        return json.loads(self.database.value(f"WITH q AS ({sql}) SELECT coalesce(json_agg(q), '[]') FROM q"))

    def settle(self, job, outcome, most=1, error=None):
        """Claims runs and tells how they ended; their ids."""
        return [row["id"] for row in self.rows(
            f"SELECT c.id FROM (SELECT array_agg(id) AS ids, array_agg(claim) AS claims, count(*) AS n FROM millrace.claim_runs('{job}', {most}, 30000, 'w', '') HAVING count(*) > 0) a "
            f"CROSS JOIN LATERAL millrace.settle_runs(a.ids, a.claims, array_fill('{outcome}'::text, ARRAY[a.n::int]), NULL, "
            f"array_fill({'NULL' if error is None else repr(error)}::text, ARRAY[a.n::int]), NULL, NULL, array_fill(NULL::jsonb, ARRAY[a.n::int])) s "
            f"CROSS JOIN LATERAL unnest(a.ids) c (id) WHERE s.n = 1")]

    def run_of(self, run_id):
        answer = self.boss.get(f"/v1/job-runs/{run_id}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def listed(self, query):
        """All pages of a list of runs, their ids."""
        path, ids = "/v1/job-runs?" + query, []
        while path is not None:
            answer = self.boss.get(path)
            self.assertEqual(answer.status, 200, answer)
            ids += [run["id"] for run in answer.json()]
            link = answer.header("Link")
            path = link[1:link.index(">")] if link else None
        return ids


class Kinds(ControlTest):
    def test_kind__is_made_told_changed_and_removed(self):
        name, told = self.put({"work": "push", "url": "https://hooks.example.org/x", "secret": SECRET, "args": {"orderId": {"type": "text", "default": "none"}},
                               "retry": {"attempts": 3, "first": "5s", "most": "90m"}, "timeout": "20s", "concurrency": 20, "perKey": 1, "priority": -5,
                               "unique": {"by": ["orderId"], "for": "1h"}, "cron": "0 5 * * MON", "timezone": "Europe/Berlin", "missed": "skip", "keep": "14d"})
        settings = {"name": name, "work": "push", "origin": "managed", "schedule": "0 5 * * MON", "timezone": "Europe/Berlin", "missed": "skip", "enabled": True,
                    "url": "https://hooks.example.org/x", "secrets": 1, "args": {"orderId": {"type": "text", "default": "none"}},
                    "retry": {"attempts": 3, "first": "5s", "most": "90m"}, "timeout": "20s", "concurrency": 20, "perKey": 1, "priority": -5,
                    "unique": {"by": ["orderId"], "for": "1h"}, "keep": "14d"}
        figures = {"depth": {"ready": 0, "later": 0, "running": 0, "dead": 0}, "lastMinute": {"succeeded": 0, "failed": 0, "dead": 0},
                   "lastHour": {"succeeded": 0, "failed": 0, "dead": 0}}
        self.assertEqual(told, {**settings, **figures})
        self.assertEqual(self.boss.get(f"/v1/jobs/{name}").json(), told)
        self.assertIn(told, self.boss.get("/v1/jobs").json())

        changed = self.boss.request("PATCH", f"/v1/jobs/{name}", {"retry": {"attempts": 4}, "perKey": None, "unique": None, "cron": "@daily", "secrets": [OTHER, SECRET]})
        for member in ("perKey", "unique"):
            del settings[member]
        settings.update({"retry": {"attempts": 4, "first": "5s", "most": "90m"}, "schedule": "@daily", "secrets": 2})
        self.assertEqual(changed.json(), {**settings, **figures}, changed)
        self.assertEqual(self.boss.request("PATCH", f"/v1/jobs/{name}", {"cron": None}).json()["enabled"], False)

        self.put({"work": "push", "url": "http://elsewhere.example.org"}, name)  # secrets stay: nobody can say them again
        self.assertEqual(self.database.value(f"SELECT secrets::text FROM millrace.job WHERE name = '{name}'"), "{%s,%s}" % (OTHER, SECRET))
        self.assertEqual(self.boss.request("DELETE", f"/v1/jobs/{name}").status, 204)
        self.assertEqual([self.boss.get(f"/v1/jobs/{name}").status, self.boss.request("DELETE", f"/v1/jobs/{name}").status,
                          self.boss.request("PATCH", f"/v1/jobs/{name}", {"priority": 1}).status], [404, 404, 404])
        self.assertEqual(self.errors(self.queue(name), 409), [("job", "state")])
        self.put(name=name)
        self.assertEqual(self.queue(name).status, 202)

        audit = [(entry["operation"], entry["subjectType"], entry["subjectName"], entry.get("detail")) for entry in self.boss.get("/v1/audit").json()
                 if entry.get("subjectName") == name][::-1]
        self.assertEqual([entry[:3] for entry in audit], [(operation, "job", name) for operation in ("job_put", "job_update", "job_update", "job_put", "job_delete", "job_put")])
        self.assertEqual(audit[1][3], {"changed": ["secrets", "retry.attempts", "perKey", "unique", "cron"]})
        self.assertNotIn("whsec_", self.database.value("SELECT string_agg(a::text, '') FROM millrace.audit a"))
        self.assertNotIn("whsec_", self.api.text())

    def test_kind__breaks_rules_all_at_once(self):
        answer = self.boss.request("PUT", "/v1/jobs/bad", {
            "work": "sql", "url": "ftp://x", "secrets": [SECRET, "whsec_short"], "args": {"a": {"type": "word"}, "b": {"type": "text", "min": 1}},
            "retry": {"attempts": 0, "first": "1x", "most": 5}, "timeout": "100ms", "concurrency": 0, "perKey": "1", "priority": 101,
            "unique": {"by": [], "for": "1ms"}, "cron": "61 * * * *", "timezone": "Mars/Base", "missed": "never", "keep": "1s"})
        self.assertEqual(self.errors(answer), [
            ("work", "choice"), ("url", "format"), ("secrets[1]", "format"), ("args.a.type", "choice"), ("args.b.min", "mismatch"), ("retry.attempts", "range"),
            ("retry.first", "type"), ("retry.most", "type"), ("timeout", "range"), ("concurrency", "range"), ("perKey", "type"), ("priority", "range"),
            ("unique.by", "items"), ("unique.for", "range"), ("cron", "format"), ("timezone", "unknown"), ("missed", "choice"), ("keep", "range")])
        self.assertNotIn(b"short", answer.body)
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/bad", {"work": "pull", "retry": "often", "unique": [1]})), [("retry", "type"), ("unique", "type")])
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/Bad", {"work": "pull"})), [("job", "format")])
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/bad", {
            "work": "push", "retry": {"first": "2h", "most": "1h"}, "perKey": 3, "concurrency": 2, "args": {}, "unique": {"by": ["a"]}, "timezone": "UTC", "missed": "all"})),
            [("missed", "mismatch"), ("perKey", "range"), ("retry.most", "range"), ("secrets", "required"), ("timezone", "mismatch"), ("unique.by", "unknown"), ("url", "required")])
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/bad", {"work": "pull", "url": "https://a.b", "secret": SECRET})),
                         [("secrets", "mismatch"), ("url", "mismatch")])
        needs = {"work": "pull", "args": {"a": {"type": "text"}, "b": {"type": "text", "required": True}}}
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/bad", {**needs, "cron": "@daily"})), [("args", "mismatch")])
        self.assertEqual(self.boss.get("/v1/jobs/bad").status, 404)
        self.assertEqual(self.boss.request("PUT", "/v1/jobs/needs", needs).status, 200)
        self.assertEqual(self.errors(self.boss.request("PATCH", "/v1/jobs/needs", {"cron": "@daily"})), [("args", "mismatch")])

    def test_schedule__that_never_fires_is_refused(self):
        in_the_gap = "30 2 25-31 3 */7"  # of Berlin, where the clocks go forward on the last Sunday of March, and nowhere else
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/gap", {"work": "pull", "cron": "30 2 30 2 *"})), [("cron", "format")])
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/gap", {"work": "pull", "cron": in_the_gap, "timezone": "Europe/Berlin"})), [("cron", "mismatch")])
        self.assertEqual(self.boss.get("/v1/jobs/gap").status, 404)
        self.put({"cron": in_the_gap, "timezone": "America/New_York"}, "gap")
        self.assertEqual(self.errors(self.boss.request("PATCH", "/v1/jobs/gap", {"cron": in_the_gap, "timezone": "Europe/Berlin"})), [("cron", "mismatch")])
        self.assertEqual(self.boss.request("PATCH", "/v1/jobs/gap", {"cron": "30 3 25-31 3 */7", "timezone": "Europe/Berlin"}).status, 200)

    def test_declared__answers_409(self):
        self.database.query("INSERT INTO millrace.job (name, work, origin, manual, exclusive) VALUES ('declared', 'pull', 'folder', false, false)")
        for name in ("cleanup", "declared"):
            for method, body in (("PUT", {"work": "pull"}), ("PATCH", {"priority": 1}), ("DELETE", None)):
                with self.subTest(name=name, method=method):
                    self.assertEqual(self.errors(self.boss.request(method, f"/v1/jobs/{name}", body), 409), [("job", "state")])
            self.assertIn("pausedAt", self.boss.post(f"/v1/jobs/{name}/pause", None).json())
            self.assertNotIn("pausedAt", self.boss.post(f"/v1/jobs/{name}/resume", None).json())

    def test_declared__and_removed_since_is_free(self):
        removed = "INSERT INTO millrace.job (name, work, origin, manual, exclusive, url, secrets, removed_at, declared) VALUES "
        self.database.query(removed + f"('once', 'push', 'folder', false, false, 'https://a.b', '{{{OTHER}}}', now(), '{{}}'), ('before', 'sql', 'folder', true, true, NULL, NULL, now(), '{{}}')")
        self.assertEqual([self.boss.request(*request).status for request in (("PATCH", "/v1/jobs/once", {"priority": 1}), ("DELETE", "/v1/jobs/once"))], [404, 404])
        # Its secrets are the application's.
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/once", {"work": "push", "url": "https://c.d"})), [("secrets", "required")])
        told = self.put(name="once")[1]
        self.assertEqual((told["origin"], "removedAt" in told, "url" in told), ("managed", False, False))
        self.assertEqual(self.queue("once").status, 202)
        self.assertEqual(self.database.value("SELECT declared IS NULL AND secrets IS NULL FROM millrace.job WHERE name = 'once'"), "t")
        # Runs of statements are in another table, and wait for the folder.
        self.assertEqual(self.errors(self.boss.request("PUT", "/v1/jobs/before", {"work": "pull"}), 409), [("job", "state")])

    def test_pause__ends_claims_and_resume_begins_them(self):
        name, _ = self.put()
        self.queue(name)
        paused = self.boss.post(f"/v1/jobs/{name}/pause", None).json()["pausedAt"]
        self.assertEqual(self.boss.post(f"/v1/jobs/{name}/pause", None).json()["pausedAt"], paused)
        self.assertEqual(self.claim(name), [])
        self.assertEqual(self.queue(name).status, 202)
        self.boss.post(f"/v1/jobs/{name}/resume", None)
        self.assertEqual(len(self.claim(name, 5)), 2)
        operations = [entry["operation"] for entry in self.boss.get("/v1/audit").json() if entry.get("subjectName") == name]
        self.assertEqual(operations, ["job_resume", "job_pause", "job_put"])
        self.assertEqual(self.boss.post("/v1/jobs/nosuch/pause", None).status, 404)

    def test_figures__follow_the_runs(self):
        name, _ = self.put({"retry": {"attempts": 1}})
        self.queue(name, [{"key": "a"}, {"key": "b"}, {}, {"runAt": "2099-01-01"}, {}])
        self.settle(name, "succeeded")
        self.settle(name, "failed", error="no")
        self.claim(name)
        told = self.boss.get(f"/v1/jobs/{name}").json()
        self.assertEqual((told["depth"], told["lastHour"]), ({"ready": 1, "later": 1, "running": 1, "dead": 1}, {"succeeded": 1, "failed": 1, "dead": 1}))
        self.assertTrue(told["oldestReadyAt"] <= told["oldestRunningAt"])
        self.assertEqual(told["lastRun"]["job"], name)

    def test_oldest__has_waited_longest_whatever_goes_first(self):
        name, _ = self.put()
        first = self.queue(name).json()
        self.queue(name, [{"priority": 100}, {"priority": 100, "key": "a"}])
        self.assertEqual(self.boss.get(f"/v1/jobs/{name}").json()["oldestReadyAt"], first["dueAt"])

    def test_scopes__are_held(self):
        name, _ = self.put()
        def program(*scopes):
            client = self.api.api()
            client.token = self.boss.post("/v1/api-keys", {"name": "p", "scopes": scopes}).json()["key"]
            self.addCleanup(client.close)
            return client
        queues, admin = program(f"jobs:enqueue:{name}"), program(f"jobs:admin:{name}")
        made = queues.post(f"/v1/jobs/{name}/runs", {"key": "k"})
        self.assertEqual(made.status, 202, made)
        self.assertEqual([queues.get(made.header("Location")).status, queues.post("/v1/jobs/cleanup/runs", None).status, queues.get("/v1/job-runs").status,
                          queues.request("PUT", f"/v1/jobs/{name}", {"work": "pull"}).status, queues.post(f"/v1/jobs/{name}/pause", None).status], [200, 403, 403, 403, 403])
        self.assertEqual([admin.request("PATCH", f"/v1/jobs/{name}", {"priority": 3}).status, admin.request("PUT", "/v1/jobs/other", {"work": "pull"}).status], [200, 403])
        self.assertEqual([run["id"] for run in admin.get("/v1/job-runs").json()], [made.json()["id"]])
        self.assertEqual([admin.get("/v1/job-runs?job=cleanup").status, admin.post("/v1/job-runs/cancel", {"job": "cleanup"}).status], [404, 404])
        bulk, others = admin.post("/v1/job-runs/retry", {"job": name}), self.boss.post("/v1/job-runs/retry", {"job": "cleanup"})
        self.assertEqual([admin.get(run.header("Location")).status for run in (bulk, others)], [200, 404])
        self.assertEqual([admin.post(run.header("Location") + "/cancel", None).status for run in (others, bulk)], [404, 202])
        self.assertEqual(self.new_client().request("PUT", f"/v1/jobs/{name}", {"work": "pull"}).status, 403)
        self.assertEqual([entry["by"] for entry in self.boss.get("/v1/audit").json() if entry.get("subjectName") == name], ["key", "key", "user"])


class Queueing(ControlTest):
    def test_run__is_queued_with_what_it_is_about(self):
        name, _ = self.put({"args": {"orderId": {"type": "uuid", "required": True}, "locale": {"type": "text", "default": "en"}}, "priority": 7})
        order = str(uuid.uuid4())
        answer = self.queue(name, {"args": {"orderId": order}, "runAt": "2099-01-02T03:04:05Z", "key": "tenant", "uniqueKey": "u"})
        self.assertEqual(answer.status, 202, answer)
        run = answer.json()
        self.assertEqual(answer.header("Location"), "/v1/job-runs/" + run["id"])
        self.assertEqual((run["state"], run["attempt"], run["maxAttempts"], run["trigger"], run["dueAt"], run["key"], run["priority"]),
                         ("queued", 0, 10, "manual", "2099-01-02T03:04:05.000Z", "tenant", 7))
        told = self.run_of(run["id"])
        self.assertEqual(told.pop("args"), {"orderId": order, "locale": "en"})
        self.assertEqual(told, run)
        again = self.queue(name, {"args": {"orderId": order}, "uniqueKey": "u", "priority": 1})
        self.assertEqual((again.status, again.json()), (202, {**run, "args": {"orderId": order, "locale": "en"}, "duplicate": True}))

    def test_run__without_a_body_is_started_as_ever(self):
        name, _ = self.put()
        for job in (name, "cleanup"):
            answer = self.queue(job)
            self.assertEqual((answer.status, self.run_of(answer.json()["id"])["state"]), (202, "queued"), answer)
        self.assertEqual(self.errors(self.queue("import"), 409), [("job", "state")])
        self.assertEqual(self.errors(self.queue("cleanup", {"key": "x", "priority": 1})), [("key", "rule"), ("priority", "rule")])

    def test_keys__are_as_long_as_in_sql(self):
        name, _ = self.put()
        key = "ü" * 255
        self.database.query(f"SELECT millrace.enqueue('{name}', key => '{key}', unique_key => '{key}')")
        run = self.queue(name, {"key": key, "uniqueKey": key}).json()
        self.assertEqual((run["key"], run["duplicate"]), (key, True))
        self.assertEqual(self.listed("job=" + name + "&key=" + urllib.parse.quote(key)), [run["id"]])
        self.assertEqual(self.boss.post("/v1/job-runs/cancel", {"job": name, "key": key}).status, 202)
        self.assertEqual(self.errors(self.queue(name, {"key": key + "x", "uniqueKey": key + "x"})), [("key", "length"), ("uniqueKey", "length")])

    def test_errors__name_the_argument_all_at_once(self):
        name, _ = self.put({"args": {"orderId": {"type": "uuid", "required": True}, "n": {"type": "integer", "min": 1, "max": 9}}})
        self.assertEqual(self.errors(self.queue(name, {"args": {"n": 10, "x": 1}})), [("args.n", "rule"), ("args.orderId", "required"), ("args.x", "unknown")])
        many = self.queue(name, {"args": {f"unknown{number}": 1 for number in range(2000)}})
        self.assertIn(("args.unknown0", "unknown"), self.errors(many))
        self.assertLess(len(many.body), 20_000) # a body may hold a hundred thousand
        self.assertEqual(self.errors(self.queue(name, {"args": [1], "runAt": "soon", "priority": 101, "key": ""})),
                         [("args", "type"), ("runAt", "type"), ("priority", "range"), ("key", "length")])
        good = {"args": {"orderId": str(uuid.uuid4())}}
        self.assertEqual(self.errors(self.queue(name, [good, {"args": {"n": "x"}}, good, {}])),
                         [("[1].args.n", "rule"), ("[1].args.orderId", "required"), ("[3].args.orderId", "required")])
        self.assertEqual(self.errors(self.queue(name, [good, 5, {"priority": "x"}])), [("[1]", "type"), ("[2].priority", "type")])
        self.assertEqual([self.errors(self.queue(name, body)) for body in ([], [good] * 1001)], [[("runs", "items")]] * 2)
        self.assertEqual([self.queue(name, 5).status, self.queue("nosuch", {}).status], [400, 404])
        self.assertEqual(self.database.count("millrace.run", f"job = '{name}'"), 0)

    def test_job_of_the_engine__takes_what_its_statements_read(self):
        before = self.database.count("millrace.job_run")
        for job in ("maintenance", "housekeeping", "removal"):
            self.assertEqual(self.boss.get(f"/v1/jobs/{job}").json()["args"], {})
            self.assertEqual(self.errors(self.queue(job, {"args": {"scope": "all"}})), [("args.scope", "unknown")])
        answer = self.queue("cleanup", {"args": {"scop": "all", "scope": "everything", "completedAfter": 5}})
        self.assertEqual([(error["field"], error["message"]) for error in answer.json()["errors"]],
                         [("args.completedAfter", "must be a text"), ("args.scop", "is not an argument of the job"), ("args.scope", "must match completed|all")])
        self.assertEqual(self.errors(self.queue("cleanup", [{}, {"args": {"scop": "all"}}])), [("[1].args.scop", "unknown")])
        with self.assertRaisesRegex(Exception, "args.scop is not an argument of the job"):
            self.database.query("SELECT millrace.enqueue('cleanup', '{\"scop\": \"all\"}')")
        self.assertEqual(self.database.count("millrace.job_run"), before)
        run = self.queue("cleanup", {"args": {"scope": "completed"}, "runAt": "2099-01-01T00:00:00Z"})
        self.assertEqual((run.status, self.database.value(f"SELECT args FROM millrace.job_run WHERE id = '{run.json()['id']}'")), (202, '{"scope": "completed"}'))

    def test_array__is_queued_in_its_order(self):
        name, _ = self.put()
        answer = self.queue(name, [{"args": {"i": i}, "uniqueKey": "same" if i in (3, 5) else None} for i in range(1000)])
        self.assertEqual((answer.status, answer.header("Location")), (202, None), answer)
        runs = answer.json()["runs"]
        self.assertEqual((len(runs), runs[5]), (1000, {"id": runs[3]["id"], "duplicate": True}))
        order = [row["id"] for row in self.rows(f"SELECT id FROM millrace.run WHERE job = '{name}' ORDER BY (args ->> 'i')::int")]
        self.assertEqual(order, [run["id"] for run in runs if "duplicate" not in run])

    def test_idempotency_key__queues_once(self):
        name, _ = self.put()
        for body in ({"args": {"a": 1}}, [{"args": {"a": 1}}, {}]):
            key = {"Idempotency-Key": str(uuid.uuid4())}.items()
            with self.subTest(body=body):
                first, second = (self.queue(name, body, headers=key) for _ in range(2))
                self.assertEqual((first.status, second.status, second.json()), (202, 202, first.json()))
                self.assertEqual(self.queue(name, {"args": {"a": 2}}, headers=key).status, 422)
        self.assertEqual(self.database.count("millrace.run", f"job = '{name}'"), 3)
        self.database.query("UPDATE millrace.idempotency_key SET created_at = now() - interval '25 hours'")
        self.assertEqual((self.queue(name, {}, headers=key).status, self.queue(name, {}, headers=key).status), (202, 202))  # a day later it is a new one
        self.assertEqual(self.database.count("millrace.run", f"job = '{name}'"), 4)

    def test_idempotency_key__answers_as_before_when_the_job_is_removed(self):
        name, _ = self.put()
        requests = [(body, {"Idempotency-Key": str(uuid.uuid4())}.items()) for body in ({}, [{}, {}])]
        first = [self.queue(name, body, headers=key) for body, key in requests]
        self.assertEqual(self.boss.request("DELETE", f"/v1/jobs/{name}").status, 204)
        for (body, key), before in zip(requests, first):
            again = self.queue(name, body, headers=key)
            self.assertEqual((again.status, again.json()), (202, before.json()))
            self.assertEqual(self.queue(name, {"key": "another"}, headers=key).status, 422)
            self.assertEqual(self.queue(name, body, headers={"Idempotency-Key": str(uuid.uuid4())}.items()).status, 409)

    def test_idempotency_key__in_two_processes_at_once_queues_once(self):
        name, _ = self.put()
        other = module.server.api_process(self.name)
        self.addCleanup(other.kill)
        other.ready()
        answers, keys = {}, [str(uuid.uuid4()) for _ in range(20)]

        def call(process, client):
            answers[process] = [client.post(f"/v1/jobs/{name}/runs", {}, headers={"Idempotency-Key": key}.items()) for key in keys]

        clients = [self.api.api(), other.api()]
        threads = []
        for number, client in enumerate(clients):
            client.token = self.boss.token
            self.addCleanup(client.close)
            threads.append(threading.Thread(target=call, args=(number, client)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        self.assertEqual({answer.status for answers_of in answers.values() for answer in answers_of}, {202})
        self.assertEqual([answer.json()["id"] for answer in answers[0]], [answer.json()["id"] for answer in answers[1]])
        self.assertEqual(self.database.count("millrace.run", f"job = '{name}'"), len(keys))


class Runs(ControlTest):
    def test_list__is_narrowed_and_walks_on(self):
        name, _ = self.put({"retry": {"attempts": 1}})
        runs = [run["id"] for run in self.queue(name, [{"key": "abc"[i % 3]} for i in range(9)] + [{"runAt": "2099-01-01"}]).json()["runs"]]
        dead = self.settle(name, "failed", 2, "no") + self.settle(name, "failed", 1, "no")
        done = self.settle(name, "succeeded", 2)
        running = self.claim(name, 1)
        self.assertEqual(self.boss.post(f"/v1/job-runs/{runs[9]}/cancel", None).json()["state"], "cancelled")
        newest_first = lambda ids: sorted(ids, reverse=True)
        everything = f"job={name}"
        self.assertEqual(self.listed(everything), newest_first(runs))
        self.assertEqual(self.listed(everything + "&limit=3"), newest_first(runs))
        for state, ids in (("dead", dead), ("succeeded", done), ("running", running), ("cancelled", runs[9:]), ("failed", []),
                           ("queued", set(runs[:9]) - set(dead) - set(done) - set(running))):
            with self.subTest(state=state):
                self.assertEqual(self.listed(f"{everything}&state={state}&limit=1"), newest_first(ids))
        self.assertEqual(self.listed(f"{everything}&key=b&limit=2"), newest_first(runs[1:9:3]))
        self.assertEqual(self.listed(f"{everything}&since=2099-01-01"), [])
        self.assertEqual(self.listed(f"{everything}&since=2020-01-01T00:00:00Z"), newest_first(runs))
        self.assertTrue(set(runs) <= set(self.listed("limit=100")))
        cleanup = self.queue("cleanup").json()["id"]
        self.assertIn(cleanup, self.listed("state=queued"))
        self.assertEqual(self.boss.get("/v1/job-runs?job=nosuch").status, 404)
        self.assertEqual([error[0] for error in self.errors(self.boss.get("/v1/job-runs?state=lost&limit=0&cursor=x&since=soon"))], ["state", "since", "limit", "cursor"])
        self.assertEqual([run["id"] for run in self.boss.get(f"/v1/jobs/{name}/runs?limit=2").json()], newest_first(runs)[:2])

    def test_attempts__are_told_in_order(self):
        name, _ = self.put({"retry": {"attempts": 3}})
        run = self.queue(name).json()["id"]
        self.settle(name, "failed", error="it broke")
        attempts = self.boss.get(f"/v1/job-runs/{run}/attempts").json()
        self.assertEqual([(attempt["attempt"], attempt["error"], attempt["worker"]) for attempt in attempts], [(1, "it broke", "w")])
        self.assertEqual((self.run_of(run)["state"], self.run_of(run)["error"]), ("failed", "it broke"))
        self.assertEqual(self.boss.get(f"/v1/job-runs/{uuid.uuid4()}/attempts").status, 404)

    def test_retry_and_cancel__of_one(self):
        name, _ = self.put({"retry": {"attempts": 1}})
        run = self.queue(name).json()["id"]
        self.assertEqual(self.errors(self.boss.post(f"/v1/job-runs/{run}/retry", None), 409), [("state", "state")])
        self.settle(name, "failed", error="no")
        self.assertEqual(self.run_of(run)["state"], "dead")
        answer = self.boss.post(f"/v1/job-runs/{run}/retry", None)
        self.assertEqual((answer.status, answer.json()["state"], answer.json()["maxAttempts"]), (202, "queued", 2), answer)
        self.claim(name)
        self.assertEqual(self.boss.post(f"/v1/job-runs/{run}/cancel", None).json()["state"], "cancelling")
        self.assertEqual(self.run_of(run)["state"], "cancelling")
        self.assertEqual([self.boss.post(f"/v1/job-runs/{uuid.uuid4()}/{what}", None).status for what in ("retry", "cancel")], [404, 404])
        cleanup = self.queue("cleanup").json()["id"]
        self.assertEqual(self.boss.post(f"/v1/job-runs/{cleanup}/cancel", None).json()["state"], "cancelled")
        self.assertEqual(self.boss.post(f"/v1/job-runs/{cleanup}/retry", None).json()["state"], "queued")
        self.boss.post(f"/v1/job-runs/{cleanup}/cancel", None)

    def test_bulk__does_it_in_a_run_of_its_own(self):
        self.scheduler()
        name, _ = self.put({"retry": {"attempts": 1}})
        other, _ = self.put({"retry": {"attempts": 1}})
        for job in (name, other):
            self.queue(job, [{"key": "a"}] * 600 + [{"key": "b"}] * 400)
            while self.settle(job, "failed", 200, "no"):
                pass
        self.assertEqual(self.database.count("millrace.run", "outcome = 'dead'"), 2000)

        def bulk(action, **body):
            answer = self.boss.post(f"/v1/job-runs/{action}", body)
            self.assertEqual(answer.status, 202, answer)
            run = self.boss.ended_run(answer.header("Location"))
            self.assertEqual(run["state"], "succeeded", run)
            return run["result"]

        self.assertEqual(bulk("retry", job=name, key="b", state="dead"), {"retried": 400, "cancelled": 0, "deleted": 0})
        self.assertEqual(self.database.count("millrace.ready", f"job = '{name}'"), 400)
        self.assertEqual(bulk("cancel", job=name)["cancelled"], 400)
        self.assertEqual([bulk("retry", job=name, before=before)["retried"] for before in ("2020-01-01T00:00:00Z", "1969-12-31T23:59:59Z")], [0, 0])
        self.assertEqual(bulk("retry", job=name)["retried"], 1000)
        self.assertEqual(bulk("cancel", job=name, state="queued")["cancelled"], 1000)
        self.assertEqual(bulk("delete", job=name, state="dead")["deleted"], 0)
        self.assertEqual(bulk("delete", job=name)["deleted"], 1000)
        self.assertEqual([self.database.count("millrace.run", f"job = '{job}'") for job in (name, other)], [0, 1000])
        self.assertEqual([self.boss.post("/v1/job-runs/retry", {"job": job}).status for job in ("nosuch", "bulk")], [404, 409])
        # Only these operations, which write the audit, start a run of it: not whoever may queue work.
        by_hand = {"args": {"action": "delete", "job": other}}
        self.assertEqual([self.errors(self.queue("bulk", body), 409) for body in (by_hand, [by_hand])], [[("job", "state")], [("[0].job", "state")]])
        self.assertEqual(self.errors(self.boss.post("/v1/job-runs/delete", {"state": "queued"})), [("job", "required"), ("state", "choice")])
        # A condition that is not understood would be one that is not there.
        for action in ("retry", "cancel", "delete"):
            body = {"job": other, "stat": "dead", "key": None, "k" * 300: 1}
            self.assertEqual(self.errors(self.boss.post(f"/v1/job-runs/{action}", body)), [("stat", "unknown"), ("", "unknown")])
        self.assertEqual(self.database.count("millrace.run", f"job = '{other}'"), 1000)
        entries = [entry for entry in self.boss.get("/v1/audit").json() if entry["operation"] == "job_runs_retry" and entry["subjectName"] == name]
        self.assertEqual((len(entries), entries[-1]["detail"]["key"]), (4, "b"))


class Page(ControlTest):
    """docs/jobs.md: what it shows is typed as it stands, but for the port and the administrator's token."""

    def shown(self, language):
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "jobs.md"), encoding="utf-8") as file:
            page = file.read()
        part = page[page.index("## Kinds"):page.index("## Operations")]
        return [block.replace("localhost:3000", f"127.0.0.1:{self.api.port}") for block in re.findall(rf"^```{language}\n(.*?)^```$", part, re.M | re.S)]

    def printed(self, *command, text, **environment):
        done = subprocess.run(command, input=text, env={**os.environ, **environment}, text=True, capture_output=True, timeout=support.patience(60), check=False)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def test_page__is_typed_as_it_stands(self):
        make, queue = self.shown("sh")
        made = json.loads(self.printed("sh", "-s", text=make.replace("curl", "curl -s"), TOKEN=self.boss.token))
        self.assertEqual((made["name"], made["perKey"]), ("send_receipt", 1))
        key = self.boss.post("/v1/api-keys", {"name": "page", "scopes": ["jobs:enqueue:send_receipt"]}).json()["key"]

        self.database.query("CREATE TABLE orders (id uuid, total numeric); CREATE ROLE shop; GRANT INSERT ON orders TO shop")
        self.addCleanup(self.database.query, "DROP OWNED BY shop; DROP ROLE shop; DROP TABLE orders")
        transaction, grants = self.shown("sql")
        self.database.query("SET ROLE shop")
        with self.assertRaisesRegex(support.DatabaseError, "permission denied"):
            self.database.query(transaction)
        self.database.query("ROLLBACK; RESET ROLE;" + grants)
        self.database.query("SET ROLE shop;" + transaction.replace("COMMIT", "ROLLBACK"))
        self.database.query(transaction + "RESET ROLE")

        ids = [json.loads(self.printed("sh", "-s", text=queue.replace("curl", "curl -s"), KEY=key))["id"]]
        ids += self.printed("python3", "-", text=self.shown("python")[0], KEY=key).split()
        if shutil.which("node"):
            ids += self.printed("node", "--input-type=module", "-", text=self.shown("js")[0], KEY=key).split()
        if shutil.which("go"):
            scratch = support.Scratch()
            self.addCleanup(scratch.remove)
            ids += self.printed(golang.build(scratch, "queue.go", self.shown("go")[0]), text="", KEY=key).split()
        runs = self.rows("SELECT id, key, args ->> 'locale' AS locale FROM millrace.run WHERE job = 'send_receipt' ORDER BY id")
        self.assertEqual([run["id"] for run in runs][1:], ids)  # the first is that of the transaction
        self.assertEqual(({run["locale"] for run in runs}, [run["key"] for run in runs][:3]), ({"en"}, ["tenant-7", "tenant-7", ""]))


class Pauses(ControlTest):
    """With a scheduler that has a schedule: another one's would be refused for a while."""

    def test_pause__stops_runs_and_ticks_of_a_job_of_sql(self):
        self.scheduler(SCHEDULE_TASK_CLEANUP_CRON="* * * * * *")
        made = "job = 'cleanup' AND trigger = 'cron'"
        wait_for(lambda: self.database.count("millrace.job_run", made + " AND state = 'succeeded'") > 0, 30, "a tick")
        self.boss.post("/v1/jobs/cleanup/pause", None)
        wait_for(lambda: self.database.count("millrace.job_run", "job = 'cleanup' AND state = 'running'") == 0, 30, "what is at work")
        run = self.queue("cleanup").json()["id"]
        before, mark = self.database.count("millrace.job_run", made), self.database.value("SELECT next_at FROM millrace.job WHERE name = 'cleanup'")
        wait_for(lambda: self.database.value(f"SELECT next_at > '{mark}'::timestamptz + interval '2 s' FROM millrace.job WHERE name = 'cleanup'") == "t", 30, "ticks that are missed")
        self.assertEqual((self.database.count("millrace.job_run", made), self.run_of(run)["state"]), (before, "queued"))
        paused_until = self.database.value("SELECT now()")
        self.boss.post("/v1/jobs/cleanup/resume", None)
        self.boss.ended_run("/v1/job-runs/" + run)
        wait_for(lambda: self.database.count("millrace.job_run", f"{made} AND scheduled_for <= '{paused_until}'") > before, 30, "the ticks that came meanwhile")


if __name__ == "__main__":
    unittest.main()
