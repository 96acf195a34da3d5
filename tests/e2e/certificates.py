"""Authorities and certificates of the tests' own, made by openssl."""

import os
import shutil
import subprocess

from cluster import server_user

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], text=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr


class Authority:
    """Signs what it is asked to; `certificate` is its own."""

    def __init__(self, scratch, name):
        self.scratch, self.name = scratch, name
        self.certificate = scratch.join(f"{name}.crt")
        self.key = scratch.join(f"{name}.key")
        openssl("req", "-x509", *KEY, "-keyout", self.key, "-out", self.certificate, "-subj", f"/CN={name}", "-days", "3")

    def issue(self, names="DNS:localhost,IP:127.0.0.1", days=3):
        """A certificate and its key for the server; less than no days: it has expired."""
        base = self.scratch.join(f"{self.name}-{abs(hash((names, days)))}")
        with open(base + ".ext", "w") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("req", *KEY, "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=database")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", str(days),
                "-extfile", base + ".ext", "-out", base + ".crt")
        return base + ".crt", base + ".key"


def serve(server, pair):
    """Turns TLS on at a server that runs, with another certificate each time; with None, off."""
    if pair is not None:
        for source, name in zip(pair, ("server.crt", "server.key")):
            path = os.path.join(server.data, name)
            shutil.copyfile(source, path)
            os.chown(path, *server_user())
            os.chmod(path, 0o600)
    server.query(f"ALTER SYSTEM SET ssl = {'on' if pair else 'off'}", "postgres")
    server.query("SELECT pg_reload_conf()", "postgres")
