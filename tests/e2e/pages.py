"""Pages that show what to type: their blocks, one terminal to type them into, and what has to be printed.

A block is fenced. What stands behind its language says what it is:

    ```sh               typed into the terminal; a ```text block behind it is what is printed, where … stands for anything
    ```sh run           starts a server: `./dev run`, which is `millrace all` without a build
    ```sh dev           starts a server: `millrace dev`
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
SERVERS = {"./dev run\n": "exec millrace all", "millrace dev\n": "exec millrace dev"}


def blocks(text):
    """The fenced blocks of a page as (language, what stands behind it, text)."""
    return re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, re.M | re.S)


def read(*names):
    with open(os.path.join(DOCS, *names), encoding="utf-8") as file:
        return file.read()


def pattern(line):
    """What a line of output has to look like: an ellipsis stands for anything."""
    return ".*".join(re.escape(part) for part in line.split("…"))


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

    def __init__(self, scratch, port):
        self.port = port
        programs = scratch.join("bin")
        os.mkdir(programs)
        os.symlink(support.binary(), os.path.join(programs, "millrace"))
        self.cwd = scratch.path
        self.env = {**support.environment(APP_PORT=port, NODE_ENV="development"), "PATH": programs + ":" + os.environ["PATH"],
                    "HOME": os.environ.get("HOME", "/")}
        self.shell = subprocess.Popen(["bash"], cwd=self.cwd, env=self.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        self.server = None

    def type(self, text):
        self.shell.stdin.write(text.replace("localhost:3000", f"localhost:{self.port}") + f"\necho; echo '{END}'\n")
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
        self.server = subprocess.Popen(SERVERS[command], shell=True, cwd=self.folder(), env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        support.wait_for(lambda: "ok" in self.type("curl -s localhost:3000/livez"), 60, f"{command} serves")
        support.wait_for(lambda: '"up"' in self.type("curl -s localhost:3000/v1/health"), 60, "its database is up")

    def stop(self):
        if self.server is not None:
            self.server.terminate()
            self.server.wait(support.patience(40))
            self.server = None

    def serves_the_folder(self):
        """The running server has taken up what the folder says."""
        wanted = json.loads(self.type("millrace openapi"))
        try:
            return json.loads(self.type("curl -s localhost:3000/openapi.json")) == wanted
        except ValueError:
            return False

    def close(self):
        self.stop()
        self.shell.stdin.close()
        self.shell.wait(support.patience(30))
        self.shell.stdout.close()


def follow(case, text):
    """Does what a page says, in its order; `case` fails where something else is printed than the page shows."""
    scratch = support.Scratch()
    case.addCleanup(scratch.remove)
    terminal = Terminal(scratch, support.free_port())
    case.addCleanup(terminal.close)
    page = blocks(text)
    for i, (language, kind, block) in enumerate(page):
        follows = page[i + 1][2] if i + 1 < len(page) and page[i + 1][0] == "text" else ""
        if kind.startswith(" file="):
            path = os.path.join(terminal.folder(), kind[len(" file="):])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(block)
        elif kind in (" dev", " run"):
            terminal.start(block)
        elif kind == " until":  # it only looks, and what it shows is there a moment after the change
            support.wait_for(lambda: misses(terminal.type(block), follows) is None, 60, f"{block}{follows}")
        elif language == "sh" and kind != " skip":
            if kind == " served":
                support.wait_for(terminal.serves_the_folder, 60, "the change is served")
            printed = terminal.type(block)
            case.assertIsNone(misses(printed, follows), printed)
    return terminal
