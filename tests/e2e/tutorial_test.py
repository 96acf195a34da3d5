"""docs/tutorial.md does what it says: its files are written, its commands typed, and what they print is what stands there."""

import json
import os
import re
import subprocess
import unittest

import support

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "tutorial.md")
END = "---- end of the block ----"


def blocks():
    """The page's blocks as (language, what stands behind it, text)."""
    with open(PAGE, encoding="utf-8") as file:
        return re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", file.read(), re.M | re.S)


def pattern(line):
    """What a line of output has to look like: an ellipsis stands for anything."""
    return ".*".join(re.escape(part) for part in line.split("…"))


class Typing:
    """One shell, as somebody at a terminal has it: what was set stays."""

    def __init__(self, scratch, port):
        self.port = port
        programs = scratch.join("bin")
        os.mkdir(programs)
        os.symlink(support.binary(), os.path.join(programs, "millrace"))
        env = {**support.environment(APP_PORT=port, NODE_ENV="development"), "PATH": programs + ":" + os.environ["PATH"],
               "HOME": os.environ.get("HOME", "/")}
        self.env = env
        self.cwd = scratch.path
        self.shell = subprocess.Popen(["bash"], cwd=self.cwd, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)

    def type(self, text):
        self.shell.stdin.write(text.replace("localhost:3000", f"localhost:{self.port}") + f"\necho; echo '{END}'\n")
        self.shell.stdin.flush()
        out = []
        for line in self.shell.stdout:
            if line.rstrip("\n") == END:
                break
            out.append(line)
        return "".join(out)

    def close(self):
        self.shell.stdin.close()
        self.shell.wait(support.patience(30))
        self.shell.stdout.close()


class Tutorial(unittest.TestCase):
    def setUp(self):
        self.scratch = support.Scratch()
        self.addCleanup(self.scratch.remove)
        self.port = support.free_port()
        self.typing = Typing(self.scratch, self.port)
        self.addCleanup(self.typing.close)
        self.folder = self.scratch.join("shop")

    def start(self, command):
        child = subprocess.Popen(command, shell=True, cwd=self.folder, env=self.typing.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

        def stop():
            child.terminate()
            child.wait(support.patience(40))

        self.addCleanup(stop)
        support.wait_for(lambda: "ok" in self.typing.type("curl -s localhost:3000/livez"), 60, "millrace dev serves")

    def is_served(self):
        """The running server has taken up what the folder says."""
        wanted = json.loads(self.typing.type("millrace openapi"))
        try:
            return json.loads(self.typing.type("curl -s localhost:3000/openapi.json")) == wanted
        except ValueError:
            return False

    def prints(self, typed, expected):
        """What is wrong with what was printed; None: nothing."""
        at = 0
        for line in expected.splitlines():
            found = re.search(pattern(line), typed[at:])
            if found is None:
                return f"expected {line!r} in {typed[at:]!r}"
            at += found.end()
        return None

    def test_tutorial__works_as_written(self):
        page = blocks()
        for i, (language, kind, text) in enumerate(page):
            follows = page[i + 1][2] if i + 1 < len(page) and page[i + 1][0] == "text" else ""
            if kind.startswith(" file="):
                path = os.path.join(self.folder, kind[len(" file="):])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            elif kind == " dev":
                self.start("exec " + text)
            elif language == "sh":
                if kind == " served":
                    support.wait_for(self.is_served, 60, "the change is served")
                typed = self.typing.type(text)
                self.assertIsNone(self.prints(typed, follows), typed)


if __name__ == "__main__":
    unittest.main()
