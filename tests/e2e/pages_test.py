"""README, quick start and adding-a-resource.md do what they say: what they show is typed, and what is printed is what stands there.
So it is with what the runbook asks a deployment."""

import http.client
import http.server
import os
import re
import ssl
import subprocess
import threading
import unittest

import certificates
import pages
import support


def readme():
    """The resource of the README as a page of its own: its indexes and its administrator are what the README says beside it."""
    text = pages.read("README.md")
    shown = "\n".join(re.findall(r"^```yaml file=.*?^```$|^```sh\npost .*?^```\n\n```text\n.*?^```$", text, re.M | re.S))
    declaration, conversation = shown.split("```sh", 1)
    return f"""
```sh
millrace new app shop
cd shop
millrace new resource product sku:text:unique name:text price:decimal stock:integer
```
{declaration}
```sh
indexes=$(millrace check 2>&1 | sed -n 's/.*expected \\(CREATE INDEX .*\\)/\\1;/p')
echo "$indexes" >migrations/0002_look.sql
millrace check
```

```text
Shop: resources 1, operations 0, jobs 0, migrations 2: no problem
```

```sh dev
millrace dev
```

```sh
post() {{ curl -s "localhost:3000$1" -H 'content-type: application/json' -H "authorization: Bearer $TOKEN" -d "$2"; echo; }}
post /v1/auth/register '{{"username": "ada", "password": "correct horse", "email": "a@example.com", "firstName": "A", "lastName": "L"}}'
DB_HOST=$PWD/.millrace/postgres/run DB_USER=postgres millrace user grant-admin ada
TOKEN=$(post /v1/auth/signin '{{"username": "ada", "password": "correct horse"}}' | sed 's/.*"accessToken":"\\([^"]*\\)".*/\\1/')
```

```sh{conversation}
"""


class Deployment:
    """What a client sees of a deployment: TLS, with a certificate for its name, in front of the API."""

    def __init__(self, port, pair):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                behind = http.client.HTTPConnection("127.0.0.1", port, timeout=support.patience(30))
                behind.request("GET", self.path)
                answer = behind.getresponse()
                body = answer.read()
                behind.close()
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Pages(unittest.TestCase):
    def test_readme__its_twelve_lines_serve_what_it_says(self):
        lines = re.search(r"^```yaml file=.*?\n(.*?)^```$", pages.read("README.md"), re.M | re.S).group(1).count("\n")
        self.assertEqual(lines, 12, "the heading says so")
        pages.follow(self, readme())

    def test_quick_start__works_as_written(self):
        pages.follow(self, pages.read("docs", "quick-start.md"))

    def test_adding_a_resource__begins_as_written(self):
        pages.follow(self, pages.read("docs", "adding-a-resource.md"))

    def test_runbook__asks_whether_a_deployment_is_up(self):
        commands = re.findall(r"^curl --fail https://millrace-api\.example\.com/.*$", pages.read("infrastructure", "docs", "runbook.md"), re.M)
        self.assertNotEqual(commands, [])
        server = support.Everything().ready()
        self.addCleanup(server.close)
        scratch = support.Scratch()
        self.addCleanup(scratch.remove)
        authority = certificates.Authority(scratch, "authority")
        deployment = Deployment(server.port, authority.issue("DNS:millrace-api.example.com"))
        self.addCleanup(deployment.close)
        scratch.write({".curlrc": f'cacert = "{authority.certificate}"\nconnect-to = "millrace-api.example.com:443:127.0.0.1:{deployment.port}"\n'})

        def typed(command):
            return subprocess.run(["bash", "-c", command], env={**os.environ, "CURL_HOME": scratch.path, "no_proxy": "*"}, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=support.patience(60))

        for command in commands:
            answer = typed(command)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn('"up"', answer.stdout)
            self.assertEqual(typed(command + "/nothing").returncode, 22, "--fail turns a status of 400 or more into a failure")


if __name__ == "__main__":
    unittest.main()
