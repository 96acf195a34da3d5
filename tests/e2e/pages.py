"""Pages that show what to type: their blocks, one terminal to type them into, and what has to be printed.

A block is fenced. What stands behind its language says what it is:

    ```sh               typed into the terminal; a ```text block behind it is what is printed, where … stands for anything
    ```sh run           starts a server: `./dev run`, which is `millrace all` without a build; settings may stand before it
    ```sh dev           starts a server: `millrace dev`
    ```sh beside        a program that goes on, in a terminal of its own with the variables of the first; it is stopped when the page ends
    ```sh served        typed once the running server serves what the folder says
    ```sh until         typed again until it prints what stands behind it
    ```sh skip          not typed; tests/docs/commands.py says why
    ```LANGUAGE file=F  the contents of the file F
"""

import json
import os
import re
import subprocess

import support

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
END = "---- end of the block ----"
SERVERS = {"./dev run": "millrace all", "millrace dev": "millrace dev", "millrace api": "millrace api"}
SETTINGS = re.compile(r"((?:[A-Z_]+=\S+ )*)(.*)")
PORTS = re.compile(r"\b(3000|4318|8800|9464)\b")  # that the pages name; each terminal has ports of its own in their place


def blocks(text):
    """The fenced blocks of a page as (language, what stands behind it, text)."""
    return re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, re.M | re.S)


def read(*names):
    with open(os.path.join(DOCS, *names), encoding="utf-8") as file:
        return file.read()


def pattern(line):
    """What a line of output has to look like: an ellipsis stands for anything."""
    return ".*?".join(re.escape(part) for part in line.split("…"))


def misses(printed, expected):
    """What is wrong with what was printed; None: nothing."""
    at = 0
    for line in expected.splitlines():
        found = re.search(pattern(line), printed[at:])
        if found is None:
            return f"expected {line!r} in {printed[at:]!r}"
        at += found.end()
    return None


class Terminal:
    """One shell, as somebody at a terminal has it: what was set stays. And a second one, in which a server runs."""

    def __init__(self, scratch):
        self.ports = {shown: str(support.free_port()) for shown in ("3000", "4318", "8800", "9464")}
        self.beside = []
        programs = scratch.join("bin")
        os.mkdir(programs)
        os.symlink(support.binary(), os.path.join(programs, "millrace"))
        self.cwd = scratch.path
        self.env = {**support.environment(APP_PORT=self.ports["3000"], NODE_ENV="development"), "PATH": programs + ":" + os.environ["PATH"],
                    "HOME": os.environ.get("HOME", "/")}
        self.shell = subprocess.Popen(["bash"], cwd=self.cwd, env=self.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        self.server = None

    def ported(self, text):
        return PORTS.sub(lambda match: self.ports[match.group(1)], text)

    def type(self, text):
        self.shell.stdin.write(self.ported(text) + f"\necho; echo '{END}'\n")
        self.shell.stdin.flush()
        out = []
        for line in self.shell.stdout:
            if line.rstrip("\n") == END:
                break
            out.append(line)
        return "".join(out)

    def folder(self):
        """Where the shell is."""
        return self.type("pwd").strip()

    def start(self, command):
        """A server takes the place of the one before."""
        self.stop()
        settings, program = SETTINGS.fullmatch(self.ported(command.strip())).groups()
        self.server = subprocess.Popen(f"{settings}exec {SERVERS[program]}", shell=True, cwd=self.folder(), env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        support.wait_for(lambda: "ok" in self.type("curl -s localhost:3000/livez"), 60, f"{command} serves")
        support.wait_for(lambda: '"up"' in self.type("curl -s localhost:3000/v1/health"), 60, "its database is up")

    def stop(self):
        if self.server is not None:
            self.server.terminate()
            self.server.wait(support.patience(40))
            self.server = None

    def start_beside(self, command):
        """A program that goes on: it has what the shell has set."""
        settings, program = SETTINGS.fullmatch(command.strip()).groups()
        self.beside.append(int(self.type(f"( {settings}exec {program} ) </dev/null >>beside.log 2>&1 &\necho $!")))

    def stop_beside(self):
        for pid in self.beside:
            self.type(f"kill {pid}; wait {pid}")
        self.beside = []

    def serves_the_folder(self):
        """The running server has taken up what the folder says."""
        wanted = json.loads(self.type("millrace openapi"))
        try:
            return json.loads(self.type("curl -s localhost:3000/openapi.json")) == wanted
        except ValueError:
            return False

    def close(self):
        self.stop_beside()
        self.stop()
        self.shell.stdin.close()
        self.shell.wait(support.patience(30))
        self.shell.stdout.close()


def follow(case, text, terminal=None):
    """Does what a page says, in its order; `case` fails where something else is printed than the page shows. Without a terminal that
    pages share, in one of its own."""
    if terminal is None:
        scratch = support.Scratch()
        case.addCleanup(scratch.remove)
        terminal = Terminal(scratch)
        case.addCleanup(terminal.close)
    page = blocks(text)
    for i, (language, kind, block) in enumerate(page):
        follows = page[i + 1][2] if i + 1 < len(page) and page[i + 1][0] == "text" else ""
        if kind.startswith(" file="):
            path = os.path.join(terminal.folder(), kind[len(" file="):])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(terminal.ported(block))
        elif kind in (" dev", " run"):
            terminal.start(block)
        elif kind == " beside":
            terminal.start_beside(block)
        elif kind == " until":  # it only looks, and what it shows is there a moment after the change
            support.wait_for(lambda: misses(terminal.type(block), follows) is None, 60, f"{block}{follows}")
        elif language == "sh" and kind != " skip":
            if kind == " served":
                support.wait_for(terminal.serves_the_folder, 60, "the change is served")
            printed = terminal.type(block)
            case.assertIsNone(misses(printed, follows), printed)
    terminal.stop_beside()
    return terminal
