"""Programs in Go that pages show: built where Go is at hand (Debian: golang-go), and skipped with a reason elsewhere."""

import os
import shutil
import subprocess
import unittest

import support


def build(scratch, name, text):
    """The path of the program that the file `name` with this text is built to, in the scratch folder."""
    go = shutil.which("go")
    if go is None:
        raise unittest.SkipTest("Go is not installed (Debian: golang-go)")
    scratch.write({name: text})
    program = scratch.join(name.removesuffix(".go"))
    cache = os.path.join(os.environ.get("MILLRACE_TEST_CACHE", scratch.path), "go")
    done = subprocess.run([go, "build", "-o", program, scratch.join(name)], text=True, capture_output=True, cwd=scratch.path, check=False,
                          timeout=support.patience(120), env={**os.environ, "GO111MODULE": "off", "GOCACHE": cache, "GOFLAGS": ""})
    if done.returncode != 0:
        raise AssertionError(f"{name} does not build: {done.stderr}")
    return program
