"""The quick start and the tutorial, typed on a Debian 12 that has nothing: `./dev bare [--quick-tests]`, as root.

The machine is a root file system of Debian's smallest kind in a mount and a process namespace of its own. The project is a clone of what
is committed here, and belongs to a user without sudo; root types only what a page or ./dev tells them. Packages and what npm brings come
over the network, and everything is compiled, so this takes a quarter of an hour, and is not among the tests.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import pages  # noqa: E402
import support  # noqa: E402

USER = "ada"
HOME = f"/home/{USER}"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A network may be reached by a proxy, and have an authority of its own.
PROXY = {name: value for name, value in os.environ.items() if name.lower() in ("http_proxy", "https_proxy", "no_proxy")}
AUTHORITIES = Path("/usr/local/share/ca-certificates")


class Machine:
    """The bare Debian. It is gone when this process ends; its files are when it is closed."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="millrace-bare-", dir="/var/tmp"))
        check("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", self.root)
        for authority in AUTHORITIES.glob("*.crt"):
            (self.root / AUTHORITIES.relative_to("/")).mkdir(parents=True, exist_ok=True)
            shutil.copy(authority, self.root / AUTHORITIES.relative_to("/"))
        check("mount", "--make-rprivate", "/")
        check("mount", "-t", "proc", "proc", self.root / "proc")
        check("mount", "--rbind", "/dev", self.root / "dev")
        check("chroot", self.root, "useradd", "--create-home", "--shell", "/bin/bash", USER)
        check("git", "clone", "--quiet", "--no-local", f"file://{ROOT}", f"{self.root}{HOME}/millrace")
        check("chroot", self.root, "chown", "-R", f"{USER}:", HOME)

    def processes(self):
        """What still runs in it."""
        return [path.parent.name for path in (self.root / "proc").glob("[0-9]*/root") if os.path.realpath(path) == str(self.root)]

    def close(self):
        # A heartbeat of ./dev may sleep for ten seconds more; anything else was left behind.
        support.wait_for(lambda: not self.processes(), 30, "nothing runs in it any more")
        for name in ("dev", "proc"):
            check("umount", "--recursive", self.root / name)
        shutil.rmtree(self.root)

    def command(self, *words, user=USER):
        """The words that run something in it as somebody."""
        return ["chroot", f"--userspec={user}:{user}", str(self.root), *words]

    def environment(self, user=USER):
        return {"PATH": PATH, "HOME": "/root" if user == "root" else HOME, "USER": user, **PROXY}

    def type(self, text, user=USER, folder="millrace"):
        """Types a line; the finished process, with both outputs as one."""
        return subprocess.run(self.command("bash", "-c", f"cd ~/{folder} && {text}", user=user), env=self.environment(user), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class Terminal(pages.Terminal):
    """Its shell is on the bare machine, and `./dev run` is what it says."""

    def __init__(self, machine, folder):
        self.machine = machine
        self.ports = {shown: str(support.free_port()) for shown in ("3000", "4318", "8800", "9464")}
        self.beside = []
        self.server = None
        self.env = {**machine.environment(), "APP_PORT": self.ports["3000"]}
        self.shell = subprocess.Popen(machine.command("bash"), env=self.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        self.type(f"cd {folder}")

    def folder(self):
        """Where the shell is, seen from outside."""
        return str(self.machine.root) + super().folder()

    def start(self, command):
        self.stop()
        log = open(f"{self.machine.root}{HOME}/server.log", "wb")
        path = self.type("echo $PATH").strip()
        self.server = subprocess.Popen(self.machine.command("bash", "-c", f"cd '{super().folder()}' && exec {command.strip()}"),
                                       env={**self.env, "PATH": path}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        support.wait_for(self.is_up, 2400, f"{command} serves")

    def is_up(self):
        assert self.server.poll() is None, Path(f"{self.machine.root}{HOME}/server.log").read_text()[-3000:]
        time.sleep(0.2)
        return '"up"' in self.type("curl -s localhost:3000/v1/health")


def check(*command):
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL)


machine = None
arguments = None


class Bare(unittest.TestCase):
    """Steps in the order of their numbers: each goes on where the one before has ended."""

    def setUp(self):
        self.begin = time.monotonic()
        self.addCleanup(lambda: print(f"\n{self._testMethodName}: {time.monotonic() - self.begin:.0f} s"))

    def typed(self, text, **options):
        answer = machine.type(text, **options)
        self.assertEqual(answer.returncode, 0, answer.stdout[-3000:])
        return answer.stdout

    def does_what_it_is_told(self, text):
        """What takes root prints one command; once root has typed it, the same works."""
        told = machine.type(text)
        self.assertEqual(told.returncode, 1, told.stdout[-3000:])
        commands = [line.strip() for line in told.stdout.splitlines() if line.startswith("    ")]
        self.assertEqual(len(commands), 1, told.stdout)
        self.typed(commands[0], user="root", folder="")

    def test_1_root_installs_what_the_page_says(self):
        block = re.search(r"^```sh skip\n(.*?)^```$", pages.read("docs", "quick-start.md"), re.M | re.S).group(1)
        self.typed(block.strip(), user="root", folder="")

    def test_2_run__tells_what_root_has_to_type(self):
        self.does_what_it_is_told("./dev run")

    def test_3_quick_start__works_as_written(self):
        terminal = Terminal(machine, f"{HOME}/millrace")
        self.addCleanup(terminal.close)
        pages.follow(self, pages.read("docs", "quick-start.md"), terminal)

    def test_4_package__is_made_and_installed(self):
        self.does_what_it_is_told("./dev package")
        self.typed("./dev package")
        self.typed("apt-get install -y ./build/release/millrace_*.deb", user="root", folder=f"..{HOME}/millrace")
        self.assertRegex(self.typed("cd / && millrace --version"), r"^millrace \d")

    def test_5_tutorial__works_with_the_package(self):
        self.typed("mkdir tutorial", folder="")
        terminal = Terminal(machine, f"{HOME}/tutorial")
        self.addCleanup(terminal.close)
        pages.follow(self, pages.read("docs", "tutorial.md"), terminal)

    def test_6_quick_tests__pass(self):
        if not arguments.quick_tests:
            self.skipTest("--quick-tests runs them")
        self.does_what_it_is_told("./dev test --quick")
        begin = time.monotonic()
        told = self.typed("./dev test --quick")
        print(f"\n./dev test --quick with its packages there: {time.monotonic() - begin:.0f} s\n" + "\n".join(told.splitlines()[-3:]))


def main():
    global machine, arguments
    parser = argparse.ArgumentParser(prog="./dev bare")
    parser.add_argument("--quick-tests", action="store_true", help="./dev test --quick there, too")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bare: another root is entered by root only")
    machine = Machine()
    print(f"bare: a Debian without anything, in {machine.root}", flush=True)
    try:
        result = unittest.TextTestRunner(verbosity=2, failfast=True).run(unittest.defaultTestLoader.loadTestsFromTestCase(Bare))
    finally:
        machine.close()
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
