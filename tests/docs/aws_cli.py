"""The AWS CLI without AWS: its parser judges the arguments of a command, the models of the services judge the parameters of each call,
and the answer is something of the shape that the model promises. No call leaves the process.

    python3 aws_cli.py SOCKET ARGUMENT...    what `aws` is in a Terminal: has the command run by the process that listens there
"""

import contextlib
import importlib.util
import io
import json
import os
import select
import socket
import subprocess
import sys
import tempfile

# What a command needs of an answer and the model does not tell.
NEEDED = {
    ("ecr", "GetAuthorizationToken"): {"authorizationData": [{"authorizationToken": "QVdTOm9mLXRoZS1yZWdpc3RyeQ==", "proxyEndpoint": "https://registry"}]},
    ("secretsmanager", "GetSecretValue"): {"SecretString": '{"username": "millrace", "password": "before"}'},
    ("backup", "DescribeRegionSettings"): {"ResourceTypeOptInPreference": {"Aurora": True}},
    ("rds", "DescribeDBInstances"): {"DBInstances": [{"DBInstanceStatus": "available"}]},
}

# What a waiter sees of a thing that is deleted.
GONE = {("cloudformation", "DescribeStacks"): "ValidationError", ("rds", "DescribeDBClusters"): "DBClusterNotFoundFault"}

NEXT_PAGE = ("nexttoken", "marker", "paginationtoken", "nextmarker")


def installed():
    return importlib.util.find_spec("awscli") is not None


def merged(answer, needed):
    """The answer with what is needed in its place; a list's elements one by one."""
    if isinstance(answer, dict) and isinstance(needed, dict):
        return {**answer, **{key: merged(answer.get(key), value) for key, value in needed.items()}}
    if isinstance(answer, list) and isinstance(needed, list):
        return [merged(old, new) for old, new in zip(answer, needed)] + needed[len(answer):]
    return needed


class Transport:
    """What botocore asks of the transport of an answer."""

    def __init__(self, status_code):
        self.status_code = status_code
        self.headers = {}


class Cli:
    """The CLI in this process: a process for each command would take a second."""

    def __init__(self):
        driver = importlib.import_module("awscli.clidriver")
        try:
            utils = importlib.import_module("awscli.botocore.utils")  # version 2 has a botocore of its own
        except ImportError:
            utils = importlib.import_module("botocore.utils")
        self.generator = utils.ArgumentGenerator()
        self.driver = driver.create_clidriver()
        self.driver.session.register("before-call", self.answer)
        self.waits = False
        self.calls = []

    def answer(self, model, params, **_):
        name = (model.service_model.service_name, model.name)
        self.calls.append(name)
        if self.waits and name in GONE:
            return Transport(400), {"Error": {"Code": GONE[name], "Message": "It is gone."}, "ResponseMetadata": {}}
        made = self.generator.generate_skeleton(model.output_shape) if model.output_shape is not None else {}
        last = {key: value for key, value in made.items() if key.lower() not in NEXT_PAGE}
        return Transport(200), merged(last, NEEDED.get(name, {}))

    def run(self, arguments):
        """(status, what it prints, what it complains of)."""
        self.waits = "wait" in arguments
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = self.driver.main(arguments) or 0
            except SystemExit as ended:
                status = ended.code or 0
        return status, out.buffer.getvalue().decode(), err.getvalue()


class Terminal:
    """A shell in which `aws` is Cli, `docker login` wants the password that `aws` prints, and a session with a task ends at once.

    It puts these programs into the PATH of this process."""

    def __init__(self, folder):
        self.cli = Cli()
        path = os.path.join(folder, "aws.socket")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        program(folder, "aws", f'exec "{sys.executable}" -S -B "{os.path.abspath(__file__)}" "{path}" "$@"')
        program(folder, "docker", '[ "$1" = login ] && [ "$(cat)" = of-the-registry ]')
        program(folder, "session-manager-plugin", "")
        os.environ["PATH"] = folder + ":" + os.environ["PATH"]

    def type(self, text):
        """(status, what it prints, what it complains of). The CLI wants the main thread, so this one serves the shell until it ends."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            shell = subprocess.Popen(["bash", "-o", "pipefail", "-c", text], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            ended = os.pidfd_open(shell.pid)
            while ended not in select.select([self.listener, ended], [], [])[0]:
                self.serve()
            os.close(ended)
            for file in (out, err):
                file.seek(0)
            return shell.wait(), out.read(), err.read()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rw") as file:
            json.dump(self.cli.run(json.loads(file.readline())), file)

    def close(self):
        self.listener.close()


def program(folder, name, body):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{body}\n")
    os.chmod(path, 0o755)


def ask(path, arguments):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(json.dumps(arguments).encode() + b"\n")
        status, out, err = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    sys.stdout.write(out)
    sys.stderr.write(err)
    return status


if __name__ == "__main__":
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
