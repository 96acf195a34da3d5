"""What the image is built from, held against what the build reads: no engine is needed to see that a folder is missing."""

import fnmatch
import os
import re
import subprocess
import unittest
from pathlib import Path

from docker import ROOT

COMPOSE = ROOT / "compose"


def stages():
    """The Dockerfile's stages by name: the sources of each COPY out of the context."""
    sources, stage = {}, None
    for line in (COMPOSE / "Dockerfile").read_text().replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:1] == ["FROM"]:
            stage = sources.setdefault(words[3], [])
        elif words[:1] == ["COPY"] and not words[1].startswith("--"):
            stage += [word.rstrip("/") for word in words[1:-1]]
    return sources


def let_through(path, rules):
    """Whether the engine sees a file of the context. The last rule that names it, or a folder that it lies in, counts."""
    names = [path, *map(str, Path(path).parents)]
    seen = True
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        if any(fnmatch.fnmatchcase(name, pattern) or (rule.startswith("**/") and fnmatch.fnmatchcase(name, f"*/{pattern}")) for name in names):
            seen = rule.startswith("!")
    return seen


def ignore_rules():
    lines = (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def read_by_the_build(build):
    """The files of this repository that the program's targets read, by ninja's own graph and the compiler's lists of headers."""
    def ninja(*arguments):
        return subprocess.run(["ninja", "-C", build, "-t", *arguments], capture_output=True, text=True, check=True).stdout

    found = ninja("inputs", "millrace").splitlines() + ninja("inputs", "build.ninja").splitlines() + re.findall(r"^ {4}(\S+)$", ninja("deps"), re.M)
    paths = {Path(os.path.normpath(Path(build, name))) for name in found}
    inside = (path.relative_to(ROOT) for path in paths if path.is_relative_to(ROOT) and not path.is_relative_to(build) and path.is_file())
    return {str(path) for path in inside if path.parts[0] not in ("build", "tests")}


def is_among(file, sources):
    return any(file == source or file.startswith(source + "/") for source in sources)


class Context(unittest.TestCase):
    def test_copied__is_let_through(self):
        rules = ignore_rules()
        for stage, sources in stages().items():
            for source in sources:
                with self.subTest(stage=stage, source=source):
                    self.assertTrue((ROOT / source).exists(), "there is no such file")
                    self.assertTrue(let_through(source, rules), "compose/Dockerfile.dockerignore keeps it out")

    def test_read_by_the_build__is_copied(self):
        build = os.environ.get("MILLRACE_BUILD")
        if not build:
            self.skipTest("MILLRACE_BUILD names no build folder; ctest does")
        copied = [*stages()["toolchain"], *stages()["build"]]
        files = read_by_the_build(build)
        self.assertGreater(len(files), 200)
        self.assertEqual([file for file in sorted(files) if not is_among(file, copied)], [])

    def test_opened_by_tests__is_copied_for_them(self):
        copied = [*stages()["toolchain"], *stages()["build"], *stages()["test"]]
        files = {name for kind in ("unit", "integration", "support") for source in (ROOT / "tests" / kind).rglob("*.[ch]")
                 for name in re.findall(r'MR_SOURCE_DIR "/([^"%]+?)/?"', source.read_text())}
        self.assertIn("apps/tasks", files)
        self.assertEqual([file for file in sorted(files) if not is_among(file, copied)], [])

    def test_rules__are_read_as_the_engine_reads_them(self):
        rules = ["*", "!docs", "!build/certificates", "**/__pycache__"]
        self.assertEqual([path for path in ("docs/a.md", "apps/a.yaml", "build/a", "build/certificates/ca.pem", "docs/__pycache__/a", "docs")
                          if let_through(path, rules)], ["docs/a.md", "build/certificates/ca.pem", "docs"])


if __name__ == "__main__":
    unittest.main()
