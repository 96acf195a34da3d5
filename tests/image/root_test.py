"""The root file system of the image without an engine: gathered by compose/collect, and run in a mount namespace.

What an engine would do is done by hand here: a root that is read-only, a user without rights, /proc, /dev and /etc/hosts. Limits,
networks and health checks are for image_test.py.
"""

import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path

import contents
from docker import ROOT
from certificates import Authority, serve
from cluster import Server
from support import Process, Scratch, environment, patience, run, wait_for

# The environment is the image's. Arguments: what the program is told. It takes the place of the shell, so its process is the one that
# was started.
ENTER = """#!/bin/sh
export NODE_ENV=production
exec setpriv --no-new-privs unshare --mount --propagation private sh -euc '
    mount --bind "$0" "$0"
    mount -o remount,bind,ro "$0"
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    exec chroot --userspec=65532:65532 "$0" /usr/bin/millrace "$@"
' {root} "$@"
"""

scratch = None
root = None  # the tree; the one with which a process is started has what an engine adds as well
enter = None
archive = None
authority = None  # whose certificate is the bundle's


def setUpModule():
    global scratch, root, enter, archive, authority
    if os.geteuid() != 0:
        raise unittest.SkipTest("another root is entered by root only")
    may = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if may.returncode != 0:
        raise unittest.SkipTest(f"no mount namespace is to be had: {may.stderr.strip()}")
    scratch = Scratch()
    unittest.addModuleCleanup(scratch.remove)
    root = Path(scratch.join("root"))
    authority = Authority(scratch, "ours")
    gather()
    archive = subprocess.run(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    add_what_an_engine_adds()
    enter = Path(scratch.join("enter"))
    enter.write_text(ENTER.format(root=root))
    enter.chmod(0o755)


def gather():
    """As the Dockerfile does, with the program of the build that is tested."""
    build = os.environ.get("MILLRACE_BUILD") or ROOT / "build" / "dev"
    for command in (["cmake", "--install", build, "--prefix", root / "usr", "--component", "binary", "--strip"],
                    [ROOT / "compose" / "collect", root],
                    ["install", "-D", "-m", "444", authority.certificate, root / contents.BUNDLE]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience(120))
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def add_what_an_engine_adds():
    for name in ("proc", "dev"):
        (root / name).mkdir()
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost database elsewhere\n")
    shutil.copytree(ROOT / "examples" / "shop", root / "app")


class Inside(Process):
    """A process in that root."""

    program = staticmethod(lambda: enter)


def inside(*arguments, **settings):
    return subprocess.run([enter, *arguments], env=environment(**settings), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=patience(60))


class Contents(contents.Files, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.read(archive)

    def test_size__is_at_most_36_mib(self):
        print(f"\nroot of the image: {self.size() / contents.MIB:.1f} MiB")
        self.assertLessEqual(self.size(), contents.MOST)

    def test_bill_of_materials__is_what_the_binary_prints(self):
        printed = inside("--version", "--verbose")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        self.assertEqual(dict(line.split() for line in printed.stdout.splitlines()[1:-1]),
                         {component["name"]: component["version"] for component in self.bill["components"]})


class Commands(unittest.TestCase):
    """Those that need no database."""

    def test_openapi__is_what_it_is_outside(self):
        told = inside("openapi")
        self.assertEqual((told.returncode, told.stdout), (0, run("openapi").stdout), told.stderr)

    def test_application__is_a_folder_at_app(self):
        self.assertIn("/v1/basket-items", inside("routes", MILLRACE_APP="/app").stdout)
        self.assertNotIn("/v1/basket-items", inside("routes").stdout)

    def test_setting_refused__ends_with_status_2(self):
        told = inside("api", JWT_SECRET="short", DB_HOST="database")
        self.assertEqual(told.returncode, 2)
        self.assertIn("JWT_SECRET=***: expected at least 32 bytes", told.stdout + told.stderr)


class Life(unittest.TestCase):
    """On a PostgreSQL by TCP and TLS, whose host is a name."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.addClassCleanup(cls.server.kill)
        serve(cls.server, authority.issue("DNS:database"))

    def settings(self, database, **changes):
        self.server.query(f'CREATE DATABASE "{database}"', "postgres")
        return {**self.server.settings(database), "DB_HOST": "database", "DB_SSL": "verify-full", "DB_SSL_ROOT_CERT": f"/{contents.BUNDLE}",
                "HEALTH_SOCKET": f"millrace-image-{os.getpid()}-{database}", **changes}

    def start(self, command, **settings):
        process = Inside(command, **settings)
        self.addCleanup(process.kill)
        return process

    def test_api__serves_without_rights_and_without_a_place_to_write(self):
        settings = self.settings("tasks")
        begin = time.monotonic()
        process = self.start("api", **settings).ready()
        took = time.monotonic() - begin
        print(f"\nready {took:.2f} s after the start, migrations and verified TLS included; {process.resident_bytes() / contents.MIB:.1f} MiB")
        self.assert_has_no_rights(process)
        api = process.api().register()
        task = api.create_task(summary="Water the plants")
        self.assertEqual(api.get(f"/v1/tasks/{task['id']}").json()["summary"], "Water the plants")
        api.close()
        rows = self.server.query("SELECT DISTINCT s.ssl FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE a.datname = 'tasks'"
                                 " AND a.pid <> pg_backend_pid()", "tasks")
        self.assertEqual([row[0] for row in rows], ["t"])
        well = inside("health", **{**settings, "APP_PORT": process.port})
        self.assertEqual(well.returncode, 0, well.stdout + well.stderr)
        self.assertLess(process.resident_bytes(), 40 * contents.MIB)
        self.assertEqual(process.stop(), 0, process.text())

    def assert_has_no_rights(self, process):
        status = dict(line.split(":\t", 1) for line in Path("/proc", str(process.pid), "status").read_text().splitlines() if ":\t" in line)
        self.assertEqual((status["Uid"].split(), status["Gid"].split(), status["Groups"].split()), (["65532"] * 4, ["65532"] * 4, ["65532"]))
        self.assertEqual([int(status[kind], 16) for kind in ("CapPrm", "CapEff", "CapAmb")], [0, 0, 0])
        self.assertEqual(status["NoNewPrivs"], "1")
        mounts = [line.split() for line in Path("/proc", str(process.pid), "mountinfo").read_text().splitlines()]
        self.assertEqual([mount[5].split(",")[0] for mount in mounts if mount[4] == "/"], ["ro"])

    def test_application__is_served_with_its_scheduler(self):
        settings = self.settings("shop", MILLRACE_APP="/app")
        process = self.start("api", **settings).ready()
        api = process.api()
        self.addCleanup(api.close)
        self.assertEqual(api.get("/v1/products", token=None).status, 200)
        scheduler = self.start("scheduler", **{**settings, "HEALTH_SOCKET": settings["HEALTH_SOCKET"] + "-s"})
        wait_for(lambda: inside("health", HEALTH_SOCKET=settings["HEALTH_SOCKET"] + "-s").returncode == 0, 40,
                 "the scheduler is well")
        self.assertEqual((scheduler.stop(), process.stop()), (0, 0))

    def test_other_name__is_refused(self):
        process = self.start("api", **self.settings("other", DB_HOST="elsewhere", DB_MIGRATIONS_RUN="false"))
        wait_for(lambda: "not for elsewhere" in process.text() or "does not match host name" in process.text(), 40, "the log tells of the name")
        self.assertFalse(process.is_ready())


if __name__ == "__main__":
    unittest.main()
