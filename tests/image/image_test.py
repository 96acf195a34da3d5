"""The image as it is deployed: what is in it, and how it runs with the limits of a small task, on a PostgreSQL with TLS.

It is built here, unless MILLRACE_IMAGE names one that is there.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import uuid
from pathlib import Path

import contents
import docker as engine
from contents import BUNDLE, MIB
from docker import ROOT, docker, inspect
from load import Load
from registry import Registry
from support import Api, Stopwatch, wait_for

IMAGE = os.environ.get("MILLRACE_IMAGE") or "millrace:under-test"
IS_BUILT_HERE = not os.environ.get("MILLRACE_IMAGE")
JWT_SECRET = "a secret of the image's test, long enough"
# Those of the task definition, and more: it drops nothing of what is promised.
LIMITS = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--memory", "512m", "--cpus", "0.25")

run_id = uuid.uuid4().hex[:8]
certificates = None  # a folder with the authority of this run, and the certificate that it gave to the host "database"


def setUpModule():
    global certificates
    engine.need_engine()
    certificates = Path(tempfile.mkdtemp(prefix="millrace-image-"))
    certificates.chmod(0o755)
    make_certificates()
    if IS_BUILT_HERE:
        build("--tag", IMAGE, *bundle(digest(certificates / "ca.pem")))


def tearDownModule():
    shutil.rmtree(certificates)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def openssl(*arguments):
    answer = engine.run("openssl", *arguments)
    assert answer.returncode == 0, answer.stderr


def make_certificates():
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-keyout", certificates / f"{name}.key", "-out", certificates / f"{name}.pem")
    openssl("req", *key, "-subj", "/CN=database", "-keyout", certificates / "server.key", "-out", certificates / "server.csr")
    (certificates / "names").write_text("subjectAltName=DNS:database\n")
    openssl("x509", "-req", "-in", certificates / "server.csr", "-CA", certificates / "ca.pem", "-CAkey", certificates / "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", certificates / "names", "-out", certificates / "server.pem")
    for path in certificates.iterdir():
        path.chmod(0o644)


def bundle(sha256):
    """The arguments that build the authority of this run into the image, in the place of Amazon's."""
    place = Path("build", "certificates")
    (ROOT / place).mkdir(parents=True, exist_ok=True)
    shutil.copy(certificates / "ca.pem", ROOT / place / "ca.pem")
    return "--build-arg", f"RDS_CA_BUNDLE={place / 'ca.pem'}", "--build-arg", f"RDS_CA_SHA256={sha256}"


def try_to_build(*arguments):
    return engine.run(ROOT / "dev", "image", "--progress", "plain", *arguments, seconds=1500)


def build(*arguments):
    answer = try_to_build(*arguments)
    assert answer.returncode == 0, (answer.stdout + answer.stderr)[-6000:]


# ---- What it is ----


class Contents(contents.Files, unittest.TestCase):
    """The files of the image and what Docker knows about it. Nothing runs, but for two words on its version."""

    @classmethod
    def setUpClass(cls):
        cls.image = inspect(IMAGE)
        container = docker("create", IMAGE)
        try:
            data = subprocess.run(["docker", "export", container], stdout=subprocess.PIPE, check=True).stdout
        finally:
            docker("rm", container)
        cls.read(data)

    def test_size__is_at_most_36_mib(self):
        print(f"\nimage: {self.image['Size'] / MIB:.1f} MiB, its files {self.size() / MIB:.1f} MiB")
        self.assertLessEqual(self.image["Size"], contents.MOST)

    def test_bundle__is_the_file_of_that_checksum(self):
        expected = re.search(r"^ARG RDS_CA_SHA256=(\w+)$", (ROOT / "compose" / "Dockerfile").read_text(), re.M).group(1)
        if IS_BUILT_HERE:
            expected = digest(certificates / "ca.pem")
        self.assertEqual(hashlib.sha256(self.texts[BUNDLE]).hexdigest(), expected)

    def test_configuration__is_what_is_promised(self):
        config = self.image["Config"]
        self.assertEqual(config["User"], "65532:65532")
        self.assertEqual((config["Entrypoint"], config["Cmd"]), (["/usr/bin/millrace"], ["api"]))
        self.assertEqual(config["Healthcheck"]["Test"], ["CMD", "/usr/bin/millrace", "health"])
        self.assertLess(config["Healthcheck"]["Timeout"], config["Healthcheck"]["Interval"])
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(list(config["ExposedPorts"]), ["3000/tcp"])
        self.assertFalse(config.get("Volumes"))

    def test_labels__say_version_and_revision(self):
        labels = {name.removeprefix("org.opencontainers.image."): value for name, value in self.image["Config"]["Labels"].items()}
        said = docker("run", "--rm", IMAGE, "--version")
        self.assertEqual(said, f"millrace {labels['version']} ({labels['revision']})")
        self.assertRegex(labels["version"], r"^\d+\.\d+\.\d+$")
        self.assertRegex(labels["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual((labels["title"], labels["licenses"]), ("millrace", "MIT"))

    def test_history__has_no_secret(self):
        self.assertEqual([setting.split("=")[0] for setting in self.image["Config"]["Env"]], ["PATH", "NODE_ENV"])
        history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE)
        self.assertIn("REVISION=", history)
        self.assertEqual(re.findall(r"(?i)\w*(?:secret|password|passwd|token|_pass|api_?key)\w*", history), [])

    def test_bill_of_materials__is_what_the_binary_prints(self):
        self.assertEqual((self.bill["bomFormat"], self.bill["specVersion"]), ("CycloneDX", "1.5"))
        components = {component["name"]: component["version"] for component in self.bill["components"]}
        for name in ("libc6", "libpq5", "libzmq5", "libssl3", "libwebsockets-evlib-ev", "ca-certificates", "tzdata"):
            self.assertRegex(components[name], r"^\S*\d", name)
        printed = docker("run", "--rm", IMAGE, "--version", "--verbose").splitlines()[1:-1]
        self.assertEqual(dict(line.split() for line in printed), components)


class Push(unittest.TestCase):
    """The runbook tags an image and pushes it: here into a registry of the test."""

    def test_runbook__pushes_the_image(self):
        runbook = (ROOT / "infrastructure" / "docs" / "runbook.md").read_text()
        commands = re.findall(r"^docker (?:tag|push) .*$", runbook, re.M)
        registry, repository, version = re.search(r"^docker push ([^/]+)/(\S+):(\S+)$", runbook, re.M).groups()
        place = Registry()
        self.addCleanup(place.close)
        self.addCleanup(engine.run, "docker", "rmi", f"{place.name}/{repository}:{version}")
        for command in commands:
            words = [word.replace(registry, place.name) for word in command.split()[1:]]
            docker(*[IMAGE if word == f"{repository}:{version}" else word for word in words])
        manifest = json.loads(place.manifests[repository, version])
        for each in manifest.get("manifests", []):  # what an engine pushes that keeps images by platform
            manifest = json.loads(place.manifests[repository, each["digest"]])
        for part in [manifest["config"], *manifest["layers"]]:
            self.assertEqual(part["size"], place.blobs[part["digest"]])


@unittest.skipUnless(IS_BUILT_HERE, "MILLRACE_IMAGE names the image")
class Build(unittest.TestCase):
    def refused(self, told, *arguments):
        answer = try_to_build("--tag", "millrace:never", *arguments)
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn(told, answer.stdout + answer.stderr)

    def test_bundle_with_another_checksum__is_refused(self):
        self.refused("did NOT match", *bundle("0" * 64))

    def test_version_that_is_not_the_binarys__is_refused(self):
        self.refused("is not version 9.9.9", *bundle(""), "--build-arg", "VERSION=9.9.9")


# ---- How it runs ----


class Running(unittest.TestCase):
    """A network with a PostgreSQL that speaks TLS as `database`, and also answers to `elsewhere`."""

    @classmethod
    def setUpClass(cls):
        cls.network = f"millrace-{run_id}"
        cls.database = f"millrace-database-{run_id}"
        docker("network", "create", cls.network)
        cls.addClassCleanup(docker, "network", "rm", cls.network)
        serve = ("install -o postgres -m 600 /certificates/server.key /var/tmp/server.key && exec docker-entrypoint.sh postgres"
                 " -c ssl=on -c ssl_cert_file=/certificates/server.pem -c ssl_key_file=/var/tmp/server.key")
        docker("run", "--detach", "--name", cls.database, "--network", cls.network, "--network-alias", "database", "--network-alias",
               "elsewhere", "--env", "POSTGRES_PASSWORD=of the test", "--env", "POSTGRES_DB=millrace", "--volume",
               f"{certificates}:/certificates:ro", "--entrypoint", "bash", engine.POSTGRES, "-c", serve)
        cls.addClassCleanup(docker, "rm", "--force", "--volumes", cls.database)
        wait_for(lambda: engine.run("docker", "exec", cls.database, "pg_isready", "--quiet", "--host", "127.0.0.1").returncode == 0, 60,
                 "PostgreSQL is up")

    def start(self, *options, image=IMAGE, command=(), ssl="verify-full", host="database", root=None, **settings):
        """A container with the limits of a task; its name. It is taken away after the test."""
        name = f"millrace-{uuid.uuid4().hex[:8]}"
        settings = {"DB_HOST": host, "DB_USER": "postgres", "DB_PASS": "of the test", "DB_SSL": ssl, "JWT_SECRET": JWT_SECRET,
                    "DB_SSL_ROOT_CERT": f"/{BUNDLE}" if IS_BUILT_HERE else "/tmp/ca.pem", "RATE_LIMIT_AUTH_PER_MINUTE": 0,
                    **settings}
        if root is not None:
            settings["DB_SSL_ROOT_CERT"] = root
        words = [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
        self.addCleanup(docker, "rm", "--force", name)
        docker("run", "--detach", "--name", name, "--network", self.network, "--publish", "127.0.0.1::3000", "--volume",
               f"{certificates}:/tmp:ro", *LIMITS, *words, *options, image, *command)
        return name

    def healthy(self, name):
        wait_for(lambda: engine.health(name) == "healthy", 20, "the container is healthy")
        return name

    def sql(self, text):
        return docker("exec", self.database, "psql", "--username", "postgres", "--dbname", "millrace", "--no-align", "--tuples-only",
                      "--command", text)

    def stop(self, name, grace=30):
        """Stops it as Docker and ECS do; the seconds that took. Its exit status must be 0."""
        watch = Stopwatch()
        docker("stop", "--time", grace, name)
        took = watch.seconds()
        self.assertEqual(inspect(name)["State"]["ExitCode"], 0, engine.logs(name)[-3000:])
        return took


class Life(Running):
    def test_api__serves_and_keeps_what_was_written_over_a_restart(self):
        name = self.healthy(self.start())
        api = Api(engine.host_port(name)).register()
        task = api.create_task(summary="Water the plants")
        self.assertEqual(api.get(f"/v1/tasks/{task['id']}").json()["summary"], "Water the plants")
        api.close()
        docker("restart", "--time", 30, name)
        self.healthy(name)
        again = Api(engine.host_port(name))
        again.token = api.token
        self.assertEqual(again.get(f"/v1/tasks/{task['id']}").json()["summary"], "Water the plants")
        self.assertEqual(again.get("/v1/health", token=None).json()["info"]["version"]["value"],
                         inspect(IMAGE)["Config"]["Labels"]["org.opencontainers.image.version"])
        again.close()
        self.assertEqual(docker("diff", name), "")

    def start_and_measure(self, *options):
        """Seconds to healthy of the best of some starts, and the processor time that the server took for it."""
        times, used = [], []
        while len(times) < 5 and min(times, default=9) >= 1:
            name = self.healthy(self.start(*options))
            times.append(engine.seconds_to_healthy(name))
            used.append(engine.processor_seconds(name))
            docker("rm", "--force", name)
        return min(times), min(used)

    def test_start__is_healthy_within_a_second(self):
        self.healthy(self.start())  # the migrations are not part of it
        whole, used = self.start_and_measure("--cpus", "1")
        quarter, _ = self.start_and_measure()
        print(f"\nhealthy {whole:.2f} s after the start, {quarter:.2f} s with a quarter of a CPU, verified TLS included;"
              f" {used:.2f} s of processor time")
        self.assertLess(used, 0.5)
        # On a machine that has more to do than processors the clock measures the others.
        busy = os.getloadavg()[0] / os.cpu_count()
        if max(whole, quarter) >= 1 and busy > 1:
            self.skipTest(f"the second is not to be measured on a machine this busy: {busy:.1f} processes a processor")
        self.assertLess(whole, 1)
        self.assertLess(quarter, 2)

    def test_stop__idle_takes_less_than_five_seconds(self):
        name = self.healthy(self.start())
        with_connection = Api(engine.host_port(name))
        with_connection.get("/livez")
        took = self.stop(name)
        with_connection.close()
        print(f"\nstopped after {took:.2f} s, idle with an open connection")
        self.assertLess(took, 5)

    def test_process__has_no_rights(self):
        name = self.healthy(self.start())
        config = inspect(name)["HostConfig"]
        self.assertEqual((config["ReadonlyRootfs"], config["CapDrop"], config["Memory"], config["NanoCpus"]),
                         (True, ["ALL"], 512 * MIB, 250_000_000))
        self.assertEqual(docker("top", name, "-eo", "pid,uid,gid").split()[-2:], ["65532", "65532"])
        path = Path("/proc", str(inspect(name)["State"]["Pid"]), "status")
        if not path.exists():
            self.skipTest("the engine is on another machine")
        status = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertEqual(status["NoNewPrivs"], "1")

    def test_database_gone__is_unhealthy_and_comes_back(self):
        name = self.healthy(self.start("--health-interval", "500ms", "--health-retries", "1"))
        docker("pause", self.database)
        try:
            wait_for(lambda: engine.health(name) == "unhealthy", 30, "health tells of the database")
        finally:
            docker("unpause", self.database)
        self.healthy(name)

    def test_setting_refused__ends_with_status_2(self):
        name = self.start(JWT_SECRET="short")
        self.assertEqual(docker("wait", name), "2")
        self.assertIn("JWT_SECRET=***: expected at least 32 bytes", engine.logs(name))

    def test_secrets__may_stand_in_files(self):
        (certificates / "jwt").write_text(JWT_SECRET + "\n")
        (certificates / "password").write_text("of the test\n")
        name = self.healthy(self.start(JWT_SECRET="", JWT_SECRET_FILE="/tmp/jwt", DB_PASS="", DB_PASS_FILE="/tmp/password"))
        self.assertNotIn("of the test", json.dumps(inspect(name)))


class Application(Running):
    """Two lines make an image of a folder: FROM this one, COPY."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.image = f"millrace-shop:{run_id}"
        with tempfile.TemporaryDirectory() as context:
            shutil.copytree(ROOT / "examples" / "shop", Path(context, "shop"))
            Path(context, "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY shop /app\n")
            docker("build", "--tag", cls.image, context)
        cls.addClassCleanup(docker, "rmi", cls.image)

    def test_commands__know_the_folder(self):
        self.assertIn("/v1/basket-items", docker("run", "--rm", self.image, "routes"))
        self.assertNotIn("/v1/basket-items", docker("run", "--rm", IMAGE, "routes"))
        self.assertIn("/v1/basket-items", json.loads(docker("run", "--rm", self.image, "openapi"))["paths"])

    def test_api_and_scheduler__serve_it(self):
        docker("exec", self.database, "createdb", "--username", "postgres", "shop")
        name = self.healthy(self.start(image=self.image, DB_DATABASE="shop"))
        api = Api(engine.host_port(name)).register()
        self.assertEqual(api.get("/v1/products", token=None).json(), [])
        self.assertEqual(api.get("/v1/basket-items").json(), [])
        api.close()
        self.healthy(self.start(image=self.image, command=("scheduler",), DB_DATABASE="shop"))
        docker("run", "--rm", "--network", self.network, "--env", "DB_HOST=database", "--env", "DB_USER=postgres", "--env",
               "DB_PASS=of the test", "--env", "DB_DATABASE=postgres", *LIMITS, self.image, "check")
        self.assertEqual(docker("diff", name), "")


class VerifiedTls(Running):
    """DB_SSL=verify-full, by the name of a host that is looked up from inside the image."""

    def refused(self, reason, **options):
        # Migrations wait for a database that is away; without them the reason is told at once and the API waits by itself.
        name = self.start(DB_MIGRATIONS_RUN="false", **options)
        try:
            wait_for(lambda: reason in engine.logs(name), 60, f"the log tells: {reason}")
        except AssertionError as error:
            self.fail(f"{error}\n{engine.logs(name)[-3000:]}")
        self.assertNotEqual(engine.health(name), "healthy")

    def test_verified__every_connection_is_encrypted(self):
        self.healthy(self.start())
        counts = self.sql("SELECT count(*), count(*) FILTER (WHERE s.ssl) FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid)"
                          " WHERE a.client_addr IS NOT NULL").split("|")
        self.assertGreater(int(counts[0]), 2)
        self.assertEqual(counts[0], counts[1])

    def test_other_name__is_refused(self):
        self.refused("not for elsewhere", host="elsewhere")

    def test_other_authority__is_refused(self):
        self.refused("is not trusted", root="/tmp/other.pem")

    def test_no_file_named__the_systems_authorities_are_asked(self):
        self.refused("is not trusted", root="")


class UnderLoad(Running):
    def test_load__stays_below_48_mib_and_ends_without_a_request_cut(self):
        name = self.healthy(self.start())
        over = threading.Event()
        sizes = []

        def watch():
            while not over.is_set():
                sizes.append(engine.resident_kib(name))
                over.wait(0.2)

        with Load(engine.host_port(name), 16) as load:
            watcher = threading.Thread(target=watch)
            watcher.start()
            time.sleep(8)  # the load: there is nothing to wait for
            over.set()
            watcher.join()
            before = load.answered
            took = self.stop(name, grace=30)
            load.wait()
            print(f"\nunder load: {before} answers in 8 s, at most {max(sizes) / 1024:.1f} MiB resident; stopped after {took:.2f} s")
            self.assertEqual(load.failures, [])
            self.assertTrue(all(client.goodbye for client in load.clients), [client.answered for client in load.clients])
        self.assertGreater(before, 200)
        self.assertLess(max(sizes), 48 * 1024)
        self.assertEqual(docker("diff", name), "")


if __name__ == "__main__":
    unittest.main()
