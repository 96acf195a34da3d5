"""./dev as a newcomer meets it: its help, what it says to mistakes, and to a machine without packages and root."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("run", "build", "test", "fuzz", "soak", "image", "package", "packages", "bare", "bench", "docs", "fmt", "lint", "clean", "help")


def dev(*arguments, script=ROOT / "dev", **options):
    return subprocess.run([script, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **options)


class Help(unittest.TestCase):
    def test_help__lists_every_command(self):
        for word in ("help", "--help", "-h"):
            answer = dev(word)
            self.assertEqual((answer.returncode, answer.stderr), (0, ""), word)
            listed = [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ") and line[2] != " "]
            self.assertEqual(sorted(listed), sorted(COMMANDS))

    def test_help__from_any_folder(self):
        self.assertEqual(dev("help", cwd="/").returncode, 0)


class Mistakes(unittest.TestCase):
    def refused(self, *arguments, told):
        answer = dev(*arguments)
        self.assertEqual((answer.returncode, answer.stdout), (2, ""), arguments)
        self.assertIn(told, answer.stderr)

    def test_nothing__is_the_help(self):
        self.refused(told="usage: ./dev COMMAND")

    def test_unknown_command__is_named(self):
        self.refused("tset", told="no command 'tset'")

    def test_unknown_preset__is_named(self):
        self.refused("build", "fast", told="no preset 'fast'")
        self.refused("test", "fast", told="of a preset 'fast'")

    def test_release__has_no_tests(self):
        self.refused("test", "release", told="of a preset 'release'")


class Failures(unittest.TestCase):
    def test_quietly__leaves_the_names_of_its_callers_alone(self):
        """`result` of the tests was set back to 0 by the installation of npm packages behind them."""
        functions = (ROOT / "dev").read_text().split("# ---- Debian packages ----")[0].split("# ---- Long work ----")[1]
        with tempfile.TemporaryDirectory() as folder:
            script = "say() { :; }\n" + functions + "result=7; outcome=0; quietly trying false || :; quietly trying true; exit $result"
            done = subprocess.run(["sh", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(done.returncode, 7)


class Copy(unittest.TestCase):
    """A copy of the script, with programs in PATH that know of no package, no root and no sudo."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.script = Path(shutil.copy(ROOT / "dev", self.folder))
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        for name in ("dirname", "cat"):
            (self.programs / name).symlink_to(shutil.which(name))
        self.program("dpkg-query", "exit 1")
        self.program("id", "echo 1000")
        self.program("apt-get", f"for word; do case $word in update | install) echo $word >>{self.folder}/called ;; esac; done")

    def program(self, name, body):
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)


class BareMachine(Copy):
    def command_told(self, *arguments):
        environment = {**os.environ, "PATH": str(self.programs)}
        answer = dev(*arguments, script=self.script, env=environment)
        self.assertEqual((answer.returncode, answer.stdout), (1, ""))
        self.assertFalse((self.folder / "called").exists())
        commands = [line.strip() for line in answer.stderr.splitlines() if line.startswith("    ")]
        self.assertEqual(len(commands), 1, answer.stderr)
        return commands[0]

    def test_without_root__one_command_is_told(self):
        command = self.command_told("build")
        self.assertTrue(command.startswith("su -c 'apt-get update && apt-get install -y --no-install-recommends gcc "), command)
        self.assertNotIn("cmocka", command)

    def test_sudo_that_is_refused__one_command_is_told(self):
        self.program("sudo", "exit 1")
        self.assertTrue(self.command_told("build").startswith("sudo sh -c 'apt-get update && "))

    def test_tests__need_more(self):
        command = self.command_told("test")
        self.assertIn(" libcmocka-dev ", command)
        packages = command.strip("'").split(" --no-install-recommends ")[1].split()
        self.assertEqual(sorted(packages), sorted(set(packages)), "none twice")
        self.assertIn(" clang ", self.command_told("test", "clang"))
        self.assertTrue(self.command_told("fmt").endswith(" clang-format'"))

    def test_what_is_there__is_not_asked_for(self):
        self.program("dpkg-query", "echo ' cmake=installed gcc=installed ninja-build=config-files '")
        words = self.command_told("build").strip("'").split()
        self.assertNotIn("cmake", words)
        self.assertNotIn("gcc", words)
        self.assertIn("ninja-build", words)

    def test_stale_lists__are_updated_once(self):
        for name in ("env", "mkdir", "rm", "sleep", "tail", "tr", "cut", "grep", "sh"):
            (self.programs / name).symlink_to(shutil.which(name))
        self.program("id", "echo 0")
        self.program("apt-get", f"""
            case " $* " in *" update "*) echo update >>{self.folder}/called; exit 0 ;; esac
            echo install >>{self.folder}/called
            grep -q update {self.folder}/called""")
        answer = dev("build", script=self.script, env={**os.environ, "PATH": str(self.programs)})
        calls = (self.folder / "called").read_text().split()
        self.assertEqual(calls[-2:], ["update", "install"], answer.stderr)
        self.assertEqual(calls.count("update"), 1)
        self.assertIn("cmake failed", answer.stderr)  # past the packages; the folder has none


class Commands(Copy):
    """What is typed reaches the program that does it, with its arguments. The programs only note that they were called."""

    REAL = ("cp", "cut", "find", "git", "grep", "mkdir", "nproc", "rm", "sed", "sh", "sleep", "sort", "tail", "touch", "tr", "xargs", "date")
    NOTED = ("cmake", "ctest", "python3", "unshare", "clang-format", "run-clang-tidy", "mkdocs", "docker", "node", "npm", "shellcheck", "yamllint",
             "codespell", "xdg-open")

    def setUp(self):
        super().setUp()
        noting = f'echo "${{0##*/}} $*" >>{self.folder}/called'
        for name in self.REAL:
            (self.programs / name).symlink_to(shutil.which(name))
        for name in self.NOTED:
            self.program(name, noting)
        self.program("dpkg-query", "printf '%s=installed ' \"$@\"")
        self.program("docker", noting + '\n[ "$1" != version ] || echo 27.0.0')
        for path in ("build/fuzz/tests/fuzz_gateway", "build/release/millrace", ".github/lint/node_modules/.bin/action-validator",
                     ".github/lint/node_modules/.bin/dockerfile-utils"):
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            self.program(self.folder / path, noting)
        for path in ("tests/fuzz/gateway_fuzz.c", ".github/workflows/one.yml"):
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).touch()
        shutil.copy(ROOT / "CMakeLists.txt", self.folder)
        for preset in ("release", "fuzz"):  # they count as configured, for then nothing of them is removed
            (self.folder / "build" / preset / "build.ninja").touch()
            (self.folder / "build" / preset / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={self.folder}\n")

    def calls(self, *arguments):
        answer = dev(*arguments, script=self.script, cwd=self.folder, env={"PATH": str(self.programs)})
        self.assertEqual(answer.returncode, 0, answer.stderr)
        called = (self.folder / "called").read_text()
        (self.folder / "called").unlink()
        return called

    def test_commands_of_pages__reach_their_programs(self):
        for typed, call in (
                ("run", r"^millrace all$"),
                ("test", r"^ctest --preset dev -j \d+$"),
                ("test --quick", r"^ctest --preset dev -j \d+ -L unit\|integration$"),
                ("test asan", r"^ctest --preset asan "),
                ("test -R queue", r"^ctest --preset dev -j \d+ -R queue$"),
                ("fuzz gateway 600", r"^fuzz_gateway -max_total_time=600 .* tests/fuzz/corpus/gateway$"),
                ("bare", r"^unshare .* tests/bare/bare\.py$"),
                ("bare --quick-tests", r"^unshare .* tests/bare/bare\.py --quick-tests$"),
                ("soak 600 7", r"^python3 tests/soak/soak\.py build/dev/millrace 600 7$"),
                ("bench --quick", r"^python3 bench/bench\.py build/release/millrace --quick$"),
                ("bench queue", r"^python3 bench/workqueue\.py build/release/millrace$"),
                ("fmt", r"^clang-format -i .*gateway_fuzz\.c"),
                ("docs", r"^mkdocs build --strict -f build/docs-source\.yml$"),
                ("lint", r"^run-clang-tidy "),
                ("image", r"^docker build --file compose/Dockerfile .*--tag millrace:latest \.$"),
                ("image --tag registry/name:tag", r"^docker build --file compose/Dockerfile .* --tag registry/name:tag \.$"),
                ("package", r"^cmake --build --preset release --target package$")):
            with self.subTest(typed=typed):
                self.assertRegex(self.calls(*typed.split()), re.compile(call, re.M))


class Image(Copy):
    """The engine that is asked to build it."""

    def image(self, version):
        for name in ("tail", "sed", "date", "git"):
            (self.programs / name).symlink_to(shutil.which(name))
        self.program("docker", f'[ "$1" != version ] || echo {version}\n[ "$1" != build ] || echo built >{self.folder}/built')
        return dev("image", script=self.script, cwd=self.folder, env={**os.environ, "PATH": str(self.programs)})

    def test_engine_of_debian_12__is_too_old(self):
        answer = self.image("20.10.24+dfsg1")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("Docker 25 or newer builds the image; this one is 20.10.24+dfsg1", answer.stderr)
        self.assertFalse((self.folder / "built").exists())

    def test_engine_of_today__builds(self):
        shutil.copy(ROOT / "CMakeLists.txt", self.folder)
        answer = self.image("26.1.5+dfsg1")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertTrue((self.folder / "built").exists())


class Services(unittest.TestCase):
    def test_package_with_a_service__installs_it_without_starting_or_enabling_it(self):
        """What the functions do, with root's programs written down instead of run."""
        functions = (ROOT / "dev").read_text().split("# Tests and benchmarks run servers")[1].split("has_package_lists()")[0]
        with tempfile.TemporaryDirectory() as folder:
            script = ("services_file=\nas_root() { echo \"$*\" >>$told; }\nsystemctl() { :; }\n#" +
                      functions.replace("/usr/sbin/policy-rc.d", folder + "/policy"))
            told = {}
            for package in ("nginx", "gcc"):
                told_file = Path(folder, package)
                told_file.touch()
                run = f"told={told_file}\n{script}\nforbid_services wrk {package}\ndisable_services wrk {package}\n[ -z \"$services_file\" ] || allow_services"
                done = subprocess.run(["sh", "-eu", "-c", run], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                told[package] = told_file.read_text().replace(folder, "F").splitlines()
        self.assertEqual(told, {
            "nginx": ["tee F/policy", "chmod 755 F/policy", "systemctl --quiet disable nginx", "rm -f F/policy"], "gcc": []})


if __name__ == "__main__":
    unittest.main()
