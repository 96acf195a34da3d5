"""The Debian package: what is in it, its units, and its life in a bare Debian that has what the package asks for and no more."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support import SECRET, Api, Connection, Everything, NoAnswer, free_port, wait_for  # noqa: E402

SERVICES = ("millrace-api", "millrace-scheduler")
# Of systemd-analyze, 0 to 10: below 2 there is hardly anything left to take away.
EXPOSURE = 1.5
# Enough for the package's own scripts; everything else comes by the package's dependencies.
BASE = ("base-files", "base-passwd", "dash", "dpkg", "coreutils", "libc-bin", "diffutils")
# What the service manager would want, read by its own words.
SERVICE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

folder = None
package = None


def run(*command, seconds=600, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds, **options)


def output(*command, **options):
    answer = run(*command, **options)
    assert answer.returncode == 0, f"{command}: {answer.returncode}\n{answer.stdout[-3000:]}{answer.stderr[-3000:]}"
    return answer.stdout


def setUpModule():
    global folder, package
    if os.geteuid() != 0:
        raise unittest.SkipTest("a package is installed by root only")
    for program in ("mmdebstrap", "dpkg-shlibdeps", "systemd-analyze"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"there is no {program}; `./dev test` as root installs it")
    output(ROOT / "dev", "package", cwd=ROOT)
    package = next((ROOT / "build" / "release").glob("millrace_*.deb"))
    folder = Path(tempfile.mkdtemp(prefix="millrace-package-"))
    folder.chmod(0o755)
    unittest.addModuleCleanup(shutil.rmtree, folder)
    output("dpkg-deb", "-x", package, folder / "files")


def field(name):
    return output("dpkg-deb", "-f", package, name).strip()


class Contents(unittest.TestCase):
    def test_control__names_what_no_library_tells(self):
        version = re.search(r"project\(millrace VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual((field("Package"), field("Version")), ("millrace", f"{version}-1"))
        depends = {entry.split()[0] for entry in field("Depends").split(", ")}
        self.assertLessEqual({"libwebsockets-evlib-ev", "tzdata", "libpq5", "libzmq5", "libc6"}, depends)

    def test_files__are_these(self):
        files = {str(path.relative_to(folder / "files")) for path in (folder / "files").rglob("*") if not path.is_dir()}
        documents = {f"usr/share/doc/millrace/{name}" for name in
                     ("copyright", "apidoc-licenses.txt", "README.md", "CHANGELOG.md", "operations.md", "packaging.md")}
        units = {f"usr/lib/systemd/system/{name}.service" for name in SERVICES}
        settings = {f"etc/millrace/{name}.env" for name in ("millrace", "api", "scheduler")}
        self.assertEqual(files, {"usr/bin/millrace"} | documents | units | settings)

    def test_settings__are_roots_alone_and_kept_when_changed(self):
        listed = output("dpkg-deb", "-c", package)
        for name in ("millrace", "api", "scheduler"):
            self.assertRegex(listed, rf"(?m)^-rw------- root/root .* \./etc/millrace/{name}\.env$")
            self.assertIn(f"/etc/millrace/{name}.env\n", output("dpkg-deb", "-I", package, "conffiles"))

    def test_binary__is_stripped_and_hardened(self):
        binary = folder / "files" / "usr" / "bin" / "millrace"
        self.assertNotIn(".debug_info", output("readelf", "-SW", binary))
        self.assertIn("DYN (Position-Independent Executable", output("readelf", "-hW", binary))
        dynamic = output("readelf", "-dW", binary)
        self.assertIn("BIND_NOW", dynamic)
        self.assertNotRegex(dynamic, r"\((RPATH|RUNPATH)\)")


class Units(unittest.TestCase):
    """As far as systemd judges without running: this machine need not be run by it."""

    @classmethod
    def setUpClass(cls):
        cls.units = [path for path in (folder / "files").rglob("*.service")]

    def verified(self, name, **additions):
        """What systemd says of the units, some with lines added to them as `systemctl edit` does."""
        place = folder / name
        place.mkdir()
        for unit in self.units:
            # The program is looked up in systemd's own path, where it is not installed here.
            (place / unit.name).write_text(unit.read_text().replace("ExecStart=millrace", f"ExecStart={folder}/files/usr/bin/millrace"))
        for unit, lines in additions.items():
            (place / f"{unit}.service.d").mkdir()
            (place / f"{unit}.service.d" / "override.conf").write_text(lines)
        answer = run("systemd-analyze", "verify", "--man=no", *place.glob("*.service"), env={**os.environ, "SYSTEMD_UNIT_PATH": f"{place}:"})
        return answer.returncode, answer.stdout + answer.stderr

    def test_verify__has_nothing_to_say(self):
        self.assertEqual(self.verified("units"), (0, ""))

    def test_verify__takes_what_the_page_adds_to_a_unit(self):
        page = (ROOT / "docs" / "packaging.md").read_text()
        edits = re.findall(r"^    # systemctl edit (millrace-\w+)\n((?:    .*\n)+)", page, re.M)
        self.assertNotEqual(edits, [])
        for number, (unit, lines) in enumerate(edits):
            self.assertEqual(self.verified(f"edited-{number}", **{unit: re.sub(r"^    ", "", lines, flags=re.M)}), (0, ""))
        self.assertIn("LoadCredentials", self.verified("mistaken", **{"millrace-api": "[Service]\nLoadCredentials=jwt:/etc/millrace/jwt\n"})[1])

    def test_verify__tells_of_a_mistake(self):
        wrong = folder / "wrong.service"
        wrong.write_text("[Service]\nExecStart=/bin/true\nNoNewPrivilege=yes\n")
        self.assertIn("'NoNewPrivilege' in section [Service]", run("systemd-analyze", "verify", "--man=no", wrong).stderr)

    def test_security__exposes_hardly_anything(self):
        for unit in self.units:
            told = output("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", "--no-pager", unit)
            print("\n" + told.strip().splitlines()[-1])

    def test_stop__is_given_the_time_that_the_binary_takes_at_most(self):
        grace = 25  # SHUTDOWN_GRACE, and SHUTDOWN_DELAY is 0 unless set
        for unit in self.units:
            self.assertGreater(int(re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.M).group(1)), grace)


class Bare(unittest.TestCase):
    """A tree of Debian's packages without a package that runs: the base, and what the package's own fields ask apt for."""

    @classmethod
    def setUpClass(cls):
        cls.root = folder / "debian"
        depends = re.sub(r" \([^)]*\)", "", field("Depends")).replace(" ", "").split(",")
        output("mmdebstrap", "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
               '--aptopt=APT::Install-Recommends "false"', f"--include={','.join([*BASE, *depends])}", "bookworm", cls.root)
        shutil.copy(package, cls.root / "millrace.deb")
        cls.server = Everything(state_dir=str(cls.root / "state")).ready()
        cls.addClassCleanup(cls.server.close)

    def inside(self, *command):
        return output("chroot", self.root, *command, env={"PATH": SERVICE_PATH, "DEBIAN_FRONTEND": "noninteractive"})

    def dpkg(self, *arguments):
        # The tree was unpacked, not installed, so dpkg there knows of no dependency; that all are there is what running shows.
        return self.inside("dpkg", "--force-depends", *arguments)

    def setUp(self):
        self.dpkg("--install", "/millrace.deb")
        self.addCleanup(self.dpkg, "--purge", "millrace")

    def settings(self, name):
        """What the service manager would make of an environment file."""
        text = (self.root / "etc" / "millrace" / f"{name}.env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))

    def start(self, role, **settings):
        command = re.search(r"^ExecStart=(.*)$", next((self.root / "lib/systemd/system").glob(f"*-{role}.service")).read_text(), re.M).group(1)
        environment = {"PATH": SERVICE_PATH, **self.settings("millrace"), **self.settings(role), **settings}
        child = subprocess.Popen(["chroot", self.root, *command.split()], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def database(self):
        return {"DB_HOST": "/state/postgres/run", "DB_USER": "postgres", "DB_DATABASE": self.server.new_database()}

    def test_installed__is_configured_and_says_what_it_runs_with(self):
        self.assertIn("install ok installed", self.inside("dpkg", "--status", "millrace"))
        told = self.inside("millrace", "--version", "--verbose")
        self.assertRegex(told, r"\Amillrace \d+\.\d+\.\d+ \(\w+\)\n")
        self.assertRegex(told, r"(?m)^libpq\.so\.5\.\d+ +/usr/lib/")

    def test_unconfigured__is_refused_and_not_started_again(self):
        child = self.start("api")
        told = child.communicate(timeout=30)[0]
        self.assertEqual(child.returncode, 2)
        self.assertIn("DB_HOST: expected", told)
        self.assertIn("JWT_SECRET: expected", told)
        for name in SERVICES:
            self.assertIn("\nRestartPreventExitStatus=2\n", (self.root / "lib/systemd/system" / f"{name}.service").read_text())

    def test_api__serves_and_ends_in_order(self):
        port = free_port()
        child = self.start("api", JWT_SECRET=SECRET, APP_PORT=str(port), APP_HOST="127.0.0.1", **self.database())

        def is_ready():
            self.assertIsNone(child.poll())
            try:
                with Connection(port) as connection:
                    return connection.get("/readyz").status == 200
            except (OSError, NoAnswer):
                return False

        wait_for(is_ready, 40, "the installed API is ready")
        api = Api(port).register()
        task = api.create_task(summary="from a package")
        self.assertEqual(api.get(f"/v1/tasks/{task['id']}").json()["summary"], "from a package")
        api.close()
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(30), 0, child.stdout.read())

    def test_scheduler__runs_and_ends_in_order(self):
        settings = {**self.database(), "HEALTH_SOCKET": f"millrace-package-{os.getpid()}"}
        child = self.start("scheduler", SCHEDULE_TIMEZONE="Europe/Berlin", SCHEDULE_TASK_CLEANUP_CRON="0 2 * * *", **settings)

        def is_well():
            self.assertIsNone(child.poll())
            environment = {"PATH": SERVICE_PATH, "NODE_ENV": "production", "HEALTH_SOCKET": settings["HEALTH_SOCKET"]}
            return run("chroot", self.root, "millrace", "health", env=environment).returncode == 0

        wait_for(is_well, 40, "the installed scheduler is well")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(30), 0, child.stdout.read())

    def test_settings__outlive_an_upgrade_and_a_removal_but_not_a_purge(self):
        place = self.root / "etc" / "millrace" / "api.env"
        place.write_text("JWT_SECRET=mine\n")
        self.dpkg("--install", "/millrace.deb")
        self.assertEqual(place.read_text(), "JWT_SECRET=mine\n")
        self.dpkg("--remove", "millrace")
        self.assertEqual(place.read_text(), "JWT_SECRET=mine\n")
        self.assertFalse((self.root / "usr" / "bin" / "millrace").exists())
        self.dpkg("--purge", "millrace")
        self.assertFalse(place.parent.exists())


if __name__ == "__main__":
    unittest.main()
