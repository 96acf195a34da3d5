"""The Docker engine, by its command line, as the tests of the image use it."""

import datetime
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

POSTGRES = os.environ.get("MILLRACE_TEST_POSTGRES", "postgres:17")


def why_not():
    """Why no image can be built and run here; None when one can."""
    try:
        answer = subprocess.run(["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, timeout=60)
    except FileNotFoundError:
        return "there is no docker command"
    version = answer.stdout.strip()
    if answer.returncode != 0 or not version:
        return "docker info: " + (answer.stderr.strip().splitlines() or ["failed"])[-1]
    return None if int(version.split(".")[0]) >= 25 else f"Docker 25 or newer builds the image, this one is {version}"


def need_engine():
    reason = why_not()
    if reason:
        raise unittest.SkipTest(f"no Docker engine that builds the image answers ({reason})")


def run(*command, seconds=300, **options):
    """Runs a command to its end; returns its CompletedProcess with text output."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=ROOT,
                          timeout=seconds, **options)


def docker(*arguments, **options):
    """The output of a docker command that succeeds."""
    answer = run("docker", *arguments, **options)
    if answer.returncode != 0:
        raise AssertionError(f"docker {' '.join(map(str, arguments))}: {answer.returncode}\n{answer.stdout[-3000:]}{answer.stderr[-3000:]}")
    return answer.stdout.strip()


def inspect(name):
    return json.loads(docker("inspect", name))[0]


def moment(text):
    """A time as Docker writes it in either of its ways, to the microsecond."""
    text = text.replace(" +0000 UTC", "Z").replace(" ", "T")
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{(fraction + '000000')[:6]}+00:00")


def seconds_to_healthy(name):
    """From the start of the container to the end of its first good probe; None while there was none."""
    state = inspect(name)["State"]
    good = [probe for probe in state["Health"]["Log"] if probe["ExitCode"] == 0]
    return (moment(good[0]["End"]) - moment(state["StartedAt"])).total_seconds() if good else None


def health(name):
    """healthy, starting or unhealthy; fails when the container has ended."""
    state = inspect(name)["State"]
    if not state["Running"]:
        raise AssertionError(f"{name} ended with {state['ExitCode']}:\n{logs(name)[-3000:]}")
    return state["Health"]["Status"]


def logs(name):
    answer = run("docker", "logs", name)
    return answer.stdout + answer.stderr


def host_port(name, port=3000):
    return int(docker("port", name, f"{port}/tcp").splitlines()[0].rsplit(":", 1)[1])


def resident_kib(name):
    """Resident memory of the container's first process. A health check that runs meanwhile maps the same files."""
    rows = dict(row.split() for row in docker("top", name, "-eo", "pid,rss").splitlines()[1:])
    return int(rows[str(inspect(name)["State"]["Pid"])])


def processor_seconds(name):
    """Processor time that the container's first process has used; 0 when the engine is on another machine."""
    try:
        fields = Path("/proc", str(inspect(name)["State"]["Pid"]), "stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
