"""What the pages say of the binary is what the binary says of itself."""

import os
import re
import subprocess
import unittest

import metrics
import support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(*names):
    with open(os.path.join(ROOT, *names), encoding="utf-8") as file:
        return file.read()


def libraries():
    """The folders that the build makes a library of; one folder may hold two libraries."""
    names = re.findall(r"^mr_library\((\w+) SOURCES", read("CMakeLists.txt"), re.M)
    return [name for name in names if os.path.isdir(os.path.join(ROOT, name))]


def call_at(text, start):
    """The call that begins at `start`, to its closing parenthesis."""
    depth, end, quoted = 0, text.index("(", start), False
    while True:
        char = text[end]
        if quoted:
            end += char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        else:
            depth += (char == "(") - (char == ")")
            if depth == 0:
                return text[start:end]
        end += 1


def fields_of_log_lines():
    """Message -> the fields that any call gives it. `leftOut` may stand in every line that is bounded."""
    found = {}
    for folder in libraries():
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            text = read(folder, name) if name.endswith(".c") else ""
            for match in re.finditer(r'\bmr_log(?:_bounded)?\(\s*([^;"]*?),\s*"([^"]+)"', text):
                if match.group(1) == "MR_LOG_DEBUG":
                    continue
                call = call_at(text, match.start())
                names = re.findall(r'\bmr_log_(?:text|int|slice)\([^,"]*"(\w+)"', call)
                names += ["traceId", "spanId"] if "mr_log_trace(" in call else []
                found.setdefault(match.group(2), set()).update(set(names) - {"leftOut"})
    return found


class Docs(unittest.TestCase):
    def test_readme__has_the_table_of_settings_that_the_binary_prints(self):
        shown = re.search(r"<!-- settings: .*? -->\n(.*?)<!-- /settings -->", read("README.md"), re.S).group(1)
        printed = subprocess.run([support.binary(), "config", "--markdown"], text=True, capture_output=True, check=True).stdout
        self.assertEqual(shown, printed, "run: build/dev/millrace config --markdown")

    def test_applications__have_the_tables_of_keys_that_the_binary_prints(self):
        shown = re.search(r"<!-- keys: .*? -->\n(.*?)<!-- /keys -->", read("docs", "applications.md"), re.S).group(1)
        printed = subprocess.run([support.binary(), "schema", "--markdown"], text=True, capture_output=True, check=True).stdout
        self.assertEqual(shown, printed, "run: build/dev/millrace schema --markdown")

    def test_operations__name_every_log_line(self):
        table = read("docs", "operations.md")
        for folder in libraries():
            for name in sorted(os.listdir(os.path.join(ROOT, folder))):
                if not name.endswith(".c"):
                    continue
                for level, message in re.findall(r'mr_log(?:_bounded)?\((MR_LOG_\w+),\s*"([^"]+)"', read(folder, name)):
                    if level != "MR_LOG_DEBUG":
                        self.assertTrue(f"`{message}`" in table or f"`` {message} ``" in table, f"{folder}/{name}: {message}")

    def test_operations__name_every_field_of_a_log_line(self):
        page = read("docs", "operations.md")
        rows = [line.split(" | ") for line in re.search(r"^## Log lines$(.*?)^### ", page, re.M | re.S).group(1).splitlines() if line.startswith("| `")]
        fields = fields_of_log_lines()
        self.assertIn("sqlstate", fields["statement failed"])
        self.assertIn("databaseMs", fields["request"])
        for message, names in fields.items():
            shown = next((row[2] for row in rows if f"`{message}`" in row[0] or f"`` {message} ``" in row[0]), None)
            self.assertIsNotNone(shown, message)
            self.assertEqual(names - set(re.findall(r"\w+", shown)), set(), message)

    def test_jobs__name_every_job(self):
        page = read("docs", "jobs.md")
        for job in re.findall(r"^    JOB\((\w+),", read("proto", "jobs.h"), re.M):
            if job != "noop":
                self.assertIn(f"| `{job}` |", page)

    def test_metrics__have_the_tables_of_the_header(self):
        page = read("docs", "metrics.md")
        for name, table in metrics.tables(read("runtime", "metrics.h")).items():
            shown = re.search(rf"<!-- {name}: .*? -->\n(.*?)<!-- /{name} -->", page, re.S).group(1)
            self.assertEqual(shown, table, "run: python3 tests/e2e/metrics.py")

    def test_architecture__has_every_folder(self):
        for folder in libraries():
            self.assertIn(f"| `{folder}/` |", read("docs", "architecture.md"))

    def test_architecture__says_where_libraries_are_used(self):
        table = re.search(r"^\| library \| header \| where \|\n\|---.*?\n((?:\|.*\n)+)", read("docs", "architecture.md"), re.M).group(1)
        rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| (.*) \|$", table, re.M)
        self.assertGreater(len(rows), 10)
        includes = {}
        for folder in libraries():
            for name in sorted(os.listdir(os.path.join(ROOT, folder))):
                if name.endswith((".c", ".h")):
                    for header in re.findall(r"^#include <([^>]+)>", read(folder, name), re.M):
                        includes.setdefault(header, []).append(f"`{folder}/{name}`")
        for header, where in rows:
            self.assertEqual(where, ", ".join(sorted(includes.get(header, []))), header)

    def test_image__gets_every_folder_that_is_built(self):
        copied = re.findall(r"^COPY (\w+) \w+/$", read("compose", "Dockerfile"), re.M)
        let_in = re.findall(r"^!(\S+)$", read("compose", "Dockerfile.dockerignore"), re.M)
        for folder in (*libraries(), "cmake"):
            self.assertIn(folder, copied)
            self.assertIn(folder, let_in)

    def test_decisions__are_all_in_the_list(self):
        index = read("docs", "decisions", "README.md")
        for name in os.listdir(os.path.join(ROOT, "docs", "decisions")):
            if name != "README.md":
                number, title = re.match(r"# (\d{4}): (.*)\n", read("docs", "decisions", name)).groups()
                self.assertIn(f"| [{number}]({name}) | {title} |", index)


if __name__ == "__main__":
    unittest.main()
