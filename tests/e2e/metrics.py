"""What the tests know of the metrics: their tables in runtime/metrics.h, and what a process serves of them.

As a program it writes the tables into docs/metrics.md.
"""

import os
import re
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
TEXT = r'"((?:[^"\\]|\\.)*)"'
ROLES = {"A": "API", "S": "scheduler", "AS": "both"}


def header():
    with open(os.path.join(ROOT, "runtime", "metrics.h"), encoding="utf-8") as file:
        return file.read()


def cells(*values):
    return "|" + "|".join(f" {value} " if value else " " for value in values) + "|\n"


def sentence(about):
    return about[0].upper() + about[1:]


def tables(header):
    """The tables of docs/metrics.md by their names, from the text of runtime/metrics.h."""
    singles = re.findall(r"^    M\((\w+),\s*" + r",\s*".join([TEXT, r"(\w+)", TEXT, TEXT, TEXT, TEXT, TEXT]), header, re.M)
    families = re.findall(r"^    F\((\w+),\s*" + r",\s*".join([TEXT, r"(\w+)", TEXT, TEXT, TEXT]), header, re.M)
    suffix = {"COUNTER": "_total", "INFO": "_info"}
    prometheus = {name + suffix.get(kind, ""): (kind.lower(), labels, roles, about)
                  for _, name, kind, labels, roles, about in families}
    for _, _, kind, _, roles, name, label, about in singles:
        if name:
            kind = "COUNTER" if kind == "COUNT" else "GAUGE"
            prometheus.setdefault(name + suffix.get(kind, ""), (kind.lower(), label.split("=")[0], roles, about))
    cloudwatch = [(name, unit, {"COUNT": "sum", "LAST": "last", "MOST": "greatest"}[kind], roles, about)
                  for _, name, kind, unit, roles, _, _, about in singles]
    head = "| metric | type | labels | of | what it is |\n|---|---|---|---|---|\n"
    head_emf = "| metric | unit | of a minute | of | what it is |\n|---|---|---|---|---|\n"
    return {
        "prometheus": head + "".join(cells(f"`{name}`", kind, labels, ROLES[roles], sentence(about))
                                     for name, (kind, labels, roles, about) in sorted(prometheus.items())),
        "cloudwatch": head_emf + "".join(cells(f"`{name}`", unit, kind, ROLES[roles], sentence(about))
                                         for name, unit, kind, roles, about in cloudwatch),
    }


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body.decode()


def ask(port, path="/metrics", accept=None, method="GET", body=None):
    """An answer of the admin port."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, method=method, headers={"Accept": accept} if accept else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def samples(text):
    """The values of an exposition by name and labels, as `name{label="value"}`."""
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")}


def write_documentation():
    page = os.path.join(ROOT, "docs", "metrics.md")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for name, table in tables(header()).items():
        text = re.sub(rf"(<!-- {name}: .*? -->\n).*?(<!-- /{name} -->)", rf"\g<1>{table}\g<2>", text, flags=re.S)
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    write_documentation()
