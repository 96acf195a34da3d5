"""The stack of compose/docker-compose.yml, brought up by its one command, with the replica and the balancer beside it."""

import json
import os
import time
import unittest
import uuid

import docker as engine
from docker import ROOT, docker, inspect
from load import Load
from support import Api, assert_becomes, free_port, wait_for

PROJECT = f"millrace-{uuid.uuid4().hex[:8]}"
OURS = ("api", "scheduler", "api-a", "api-b")
MIB = 1024 * 1024

environment = {}


def setUpModule():
    engine.need_engine()
    environment.update(os.environ, APP_PORT=str(free_port()), BALANCER_PORT=str(free_port()), RATE_LIMIT_AUTH_PER_MINUTE="0",
                       LOGGING_LEVEL="debug",  # a line a request
                       MILLRACE_IMAGE=os.environ.get("MILLRACE_IMAGE") or f"millrace:{PROJECT}")
    unittest.addModuleCleanup(take_down)
    up()


def take_down():
    compose("down", "--volumes", "--timeout", 20)
    if not os.environ.get("MILLRACE_IMAGE"):
        engine.run("docker", "image", "rm", environment["MILLRACE_IMAGE"])


def compose(*arguments):
    answer = engine.run("docker", "compose", "--project-name", PROJECT, "--file", ROOT / "compose" / "docker-compose.yml", "--profile",
                        "replica", *arguments, env=environment, seconds=1500)
    assert answer.returncode == 0, f"compose {arguments}: {answer.returncode}\n{(answer.stdout + answer.stderr)[-6000:]}"
    return answer.stdout


def up():
    compose("up", "--wait", *(() if os.environ.get("MILLRACE_IMAGE") else ("--build",)))


def container(service):
    return f"{PROJECT}-{service}-1"


def secret(volume, name):
    return docker("run", "--rm", "--network", "none", "--volume", f"{PROJECT}_{volume}:/secrets:ro", "--entrypoint", "cat", engine.POSTGRES,
                  f"/secrets/{name}")


def sql(text, service="postgres", database="millrace"):
    return docker("exec", container(service), "psql", "--username", "postgres", "--dbname", database, "--no-align", "--tuples-only",
                  "--command", text)


def through_balancer():
    return Api(int(environment["BALANCER_PORT"]))


class Stack(unittest.TestCase):
    def test_start__one_after_the_other(self):
        def healthy_at(service):
            probes = [probe for probe in inspect(container(service))["State"]["Health"]["Log"] if probe["ExitCode"] == 0]
            return engine.moment(probes[0]["End"])

        def started_at(service):
            return engine.moment(inspect(container(service))["State"]["StartedAt"])

        self.assertGreater(started_at("api"), healthy_at("postgres"))
        for service in ("scheduler", "api-a", "api-b"):
            self.assertGreater(started_at(service), healthy_at("api"))
        self.assertGreater(started_at("balancer"), max(healthy_at("api-a"), healthy_at("api-b")))

    def test_limits__are_those_of_a_small_task(self):
        for service in OURS:
            with self.subTest(service):
                description = inspect(container(service))
                config = description["HostConfig"]
                self.assertEqual((config["ReadonlyRootfs"], config["CapDrop"], config["Memory"], config["NanoCpus"], config["SecurityOpt"]),
                                 (True, ["ALL"], 512 * MIB, 250_000_000, ["no-new-privileges:true"]))
                self.assertEqual(description["Config"]["User"], "65532:65532")
                changes = docker("diff", container(service)).splitlines()
                self.assertEqual([line for line in changes if not line.startswith("A /run")], [])  # where the secrets are mounted

    def test_ports__only_on_this_machine_and_none_of_the_scheduler(self):
        self.assertEqual(list(filter(None, inspect(container("scheduler"))["HostConfig"]["PortBindings"].values())), [])
        published = {bind["HostIp"] for service in (*OURS, "balancer", "postgres", "postgres-replica")
                     for binds in (inspect(container(service))["HostConfig"]["PortBindings"] or {}).values() for bind in binds}
        self.assertEqual(published, {"127.0.0.1"})

    def test_scheduler__is_healthy_and_is_told_no_secret_of_the_tokens(self):
        self.assertEqual(engine.health(container("scheduler")), "healthy")
        mounts = [mount["Name"] for mount in inspect(container("scheduler"))["Mounts"]]
        self.assertEqual(mounts, [f"{PROJECT}_database-secrets"])

    def test_secrets__show_nowhere(self):
        secrets = [secret("database-secrets", name) for name in ("postgres", "replicator", "millrace")] + [secret("api-secrets", "jwt")]
        self.assertEqual(len(set(secrets)), 4)
        self.assertGreaterEqual(min(map(len, secrets)), 32)
        for service in (*OURS, "postgres", "postgres-replica", "balancer", "secrets"):
            shown = json.dumps(inspect(container(service))) + engine.logs(container(service))
            self.assertFalse([one for one in secrets if one in shown], service)

    def test_database__millrace_owns_its_own_and_is_no_superuser(self):
        self.assertEqual(sql("SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = 'millrace'"), "f|f|f|f")
        self.assertEqual(sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"), "millrace")

    def test_again__what_runs_is_left_alone_and_data_and_tokens_outlive_the_containers(self):
        before = {service: inspect(container(service))["Id"] for service in (*OURS, "postgres")}
        up()
        self.assertEqual({service: inspect(container(service))["Id"] for service in before}, before)
        api = Api(int(environment["APP_PORT"])).register()
        task = api.create_task(summary="kept")
        api.close()
        compose("down", "--timeout", 20)
        up()
        self.assertEqual(api.get(f"/v1/tasks/{task['id']}").json()["summary"], "kept")
        api.close()


class Replica(unittest.TestCase):
    def test_replica__streams_and_is_read_from(self):
        self.assertEqual(sql("SELECT state FROM pg_stat_replication"), "streaming")
        self.assertEqual(sql("SELECT pg_is_in_recovery()", "postgres-replica"), "t")
        readers = "SELECT count(DISTINCT client_addr) FROM pg_stat_activity WHERE usename = 'millrace'"
        wait_for(lambda: sql(readers, "postgres-replica") == "2", 30, "both instances read from the replica")

    def test_writer__sees_what_it_wrote(self):
        api = through_balancer().register()
        for number in range(20):
            task = api.create_task(summary=f"number {number}")
            self.assertEqual(api.get(f"/v1/tasks/{task['id']}").status, 200)
        api.close()

    def test_balancer__gives_work_to_both_and_a_token_to_one(self):
        def lists(service):
            return sum('"task_list"' in line for line in engine.logs(container(service)).splitlines())

        before = {service: lists(service) for service in ("api-a", "api-b")}
        user = through_balancer().register()
        for _ in range(10):
            self.assertEqual(user.get("/v1/tasks").status, 200)
        user.close()
        # A line comes to the engine's log behind the answer.
        assert_becomes(self, lambda: sorted(lists(service) - before[service] for service in before), [0, 10])
        for _ in range(12):
            user = through_balancer().register()
            self.assertEqual(user.get("/v1/tasks").status, 200)
            user.close()
        for service, count in before.items():
            wait_for(lambda: lists(service) > count, 10, service)  # noqa: B023

    def test_rolling_restart__no_request_is_lost(self):
        with Load(int(environment["BALANCER_PORT"]), 8, reconnects=True) as load:
            for service in ("api-a", "api-b"):
                before = load.answered
                wait_for(lambda: load.failures or load.answered > before + 100, 60, "the load goes on")
                docker("restart", "--time", 30, container(service))
                wait_for(lambda: engine.health(container(service)) == "healthy", 30, f"{service} is back")
                time.sleep(1.5)  # the balancer's two checks
        print(f"\nrolling restart: {load.answered} answers, {len(load.failures)} failures")
        self.assertEqual(load.failures, [])


if __name__ == "__main__":
    unittest.main()
